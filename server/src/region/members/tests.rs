//! Tests of who may be taken out of a group.

use super::super::status::MemberStatus;
use super::*;
use crate::region::change::with_node;
use crate::region::first::{description, view};

/// A group of nodes 1 to `count`, and the view in which those of `down` are down.
fn group(count: u32, down: &[u32]) -> (ClusterView, GroupStatus) {
    let mut view = view();
    for number in 2..=count {
        view = with_node(&view, NodeId(number), &description(number, "b"), &[]);
    }
    for node in &mut view.map.nodes {
        node.is_down = down.contains(&node.id.0);
    }
    let members = (1..=count).map(|number| MemberStatus {
        node: NodeId(number),
        is_voter: true,
        ..Default::default()
    });
    let group = GroupStatus {
        partition: PartitionId(1),
        members: members.collect(),
        ..Default::default()
    };
    (view, group)
}

#[test]
fn the_last_node_and_those_that_the_others_need_stay() {
    let refused = |count, down: &[u32], node| {
        let (view, group) = group(count, down);
        may_lose(&view, &group, NodeId(node)).map_err(|error| error.to_string())
    };
    assert!(refused(1, &[], 1).unwrap_err().contains("only node"));
    assert_eq!(refused(3, &[], 1), Ok(()));
    assert_eq!(refused(3, &[1], 1), Ok(()), "a dead one may go");
    assert!(refused(3, &[1], 2).unwrap_err().contains("only 1 are up"));
    assert_eq!(refused(3, &[], 9), Ok(()), "it is no member");
}

#[test]
fn the_role_follows() {
    let (view, _) = group(2, &[]);
    let has = |view: &ClusterView| view.map.nodes[1].roles.has(Role::Index);
    assert!(has(&view));
    let (without, ()) = with_index_role(&view, NodeId(2), false).unwrap();
    assert!(!has(&without) && without.map.nodes[1].roles.has(Role::Gateway));
    let (with, ()) = with_index_role(&without, NodeId(2), true).unwrap();
    assert_eq!(with, view);
}

#[test]
fn a_zone_without_the_index_beside_one_that_has_it_twice_is_told() {
    // Node 1 is in its zone, the others are in zone b.
    let (view, mut group) = group(3, &[]);
    assert_eq!(shared_zone(&view, std::slice::from_ref(&group)), None);
    group.members.remove(0);
    let told = shared_zone(&view, std::slice::from_ref(&group)).expect("a warning");
    let zone = &view.map.zones[0].name;
    assert!(told.contains(&format!("no node of zone {zone} ")), "{told}");
    group.members[1].is_voter = false;
    assert_eq!(
        shared_zone(&view, &[group]),
        None,
        "one voter shares its zone with nobody"
    );
}
