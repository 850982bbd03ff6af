//! Tests of chunk clusters that can and cannot be, and of removing nodes.

use super::*;
use crate::region::change::with_node;
use crate::region::describe::NodeDescription;
use crate::region::first::description;
use types::{DiskId, NodeId};

/// A region of one node in each of `zones` zones, each with `disks` disks, all up.
fn region(zones: u32, disks: u32) -> ClusterView {
    let mut view = ClusterView::default();
    for number in 1..=zones {
        let node = NodeDescription {
            disks,
            ..description(number, &format!("zone-{number}"))
        };
        let ids: Vec<DiskId> = (0..disks)
            .map(|disk| DiskId(u128::from(number * 100 + disk)))
            .collect();
        view = with_node(&view, NodeId(number), &node, &ids);
    }
    for node in &mut view.map.nodes {
        node.is_down = false;
    }
    view
}

fn plan(profile: &str, small: &str, domain: &str) -> ClusterPlan {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ClusterPlan {
        profile: given(profile),
        small: given(small),
        domain: given(domain),
    }
}

fn refused(view: &ClusterView, plan: &ClusterPlan) -> String {
    with_cluster(view, plan)
        .expect_err("it must be refused")
        .to_string()
}

#[test]
fn three_zones_of_three_disks_take_five_plus_four() {
    let view = region(3, 3);
    for asked in [plan("", "", ""), plan("5+4", "1+3", "zone")] {
        let (next, cluster) = with_cluster(&view, &asked).unwrap();
        assert_eq!(
            (cluster.striped.to_string(), cluster.small.to_string()),
            ("5+4".to_owned(), "1+3".to_owned())
        );
        assert_eq!(check_map(&next), Ok(()));
        assert!(next.map.disks.iter().all(|disk| disk.cluster == cluster.id));
        assert!(next.writable(PgClass::Striped).count() >= 100);
        assert!(next.writable(PgClass::Small).count() >= 100);
        let again = refused(&next, &asked);
        assert!(again.contains("already"), "{again}");
    }
}

#[test]
fn nodes_that_join_later_make_a_cluster_of_their_own() {
    let (mut view, first) = with_cluster(&region(3, 3), &plan("", "", "")).unwrap();
    for number in 4..=6 {
        let zone = format!("zone-{}", number - 3);
        let ids: Vec<DiskId> = (0..3)
            .map(|disk| DiskId(u128::from(number * 100 + disk)))
            .collect();
        view = with_node(&view, NodeId(number), &description(number, &zone), &ids);
    }
    let down = refused(&view, &plan("", "", ""));
    assert!(down.contains("n4, n5, n6"), "{down}");
    view.map
        .nodes
        .iter_mut()
        .for_each(|node| node.is_down = false);
    let (next, second) = with_cluster(&view, &plan("", "", "")).unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(
        next.map
            .disks
            .iter()
            .filter(|disk| disk.cluster == second.id)
            .count(),
        9
    );
    assert_eq!(check_map(&next), Ok(()));
}

#[test]
fn what_cannot_be_safe_is_refused_with_the_reason() {
    let view = region(3, 3);
    let wide = refused(&view, &plan("8+2", "", ""));
    assert!(wide.contains("8+2"), "{wide}");
    let bare = refused(&view, &plan("9+0", "", ""));
    assert!(bare.contains("parity"), "{bare}");
    let striped = refused(&view, &plan("5+4", "2+2", ""));
    assert!(striped.contains("1+m"), "{striped}");
    assert!(refused(&view, &plan("five", "", "")).contains("5+4"));
    assert!(refused(&view, &plan("", "", "galaxy")).contains("zone, rack"));
    let one = refused(&region(1, 6), &plan("", "", ""));
    assert!(one.contains("--domain"), "{one}");
    let (_, cluster) = with_cluster(&region(1, 6), &plan("", "", "disk")).unwrap();
    assert_eq!(cluster.striped.to_string(), "4+2");
    assert!(refused(&region(1, 1), &plan("", "", "disk")).contains("parity"));
}

#[test]
fn a_node_is_removed_only_when_nothing_is_on_it() {
    let view = region(3, 3);
    let unknown = without_node(&view, "n9", false).unwrap_err().to_string();
    assert!(unknown.contains("n1, n2, n3"), "{unknown}");
    let member = without_node(&view, "n2", true).unwrap_err().to_string();
    assert!(member.contains("cairn index replace"), "{member}");
    let (next, id) = without_node(&view, "n2", false).unwrap();
    assert_eq!(id, NodeId(2));
    assert!(
        next.map.node(id).is_some_and(|node| node.is_removed),
        "its number stays taken"
    );
    assert_eq!(next.map.state(DiskId(200)), DiskState::Removed);
    assert!(
        with_cluster(&next, &plan("", "", ""))
            .is_ok_and(|(_, made)| made.striped.to_string() == "1+3")
    );
    let (full, _) = with_cluster(&view, &plan("", "", "")).unwrap();
    let held = without_node(&full, "n2", false).unwrap_err().to_string();
    assert!(held.contains("3 disks"), "{held}");
}

#[test]
fn a_node_that_moved_is_reached_at_its_new_address() {
    let view = region(2, 1);
    let (same, ()) = with_address(&view, NodeId(2), "10.0.0.2:9002").unwrap();
    assert_eq!(same, view);
    let (moved, ()) = with_address(&view, NodeId(2), "10.9.9.9:9002").unwrap();
    assert_eq!(moved.map.nodes[1].addresses, ["10.9.9.9:9002"]);
    let (taken, ()) = with_address(&view, NodeId(2), "10.0.0.1:9002").unwrap();
    assert!(check_map(&taken).is_err(), "it is another node's");
    assert!(with_address(&view, NodeId(9), "10.9.9.9:9002").is_err());
}
