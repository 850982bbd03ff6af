//! Tests of changes of the map, and of storing them while others change it too.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Handle;
use types::clock::ManualClock;
use types::entropy::SeededEntropy;
use types::{DiskState, Roles};

fn node(number: u32, zone: &str) -> NodeDescription {
    NodeDescription {
        name: format!("n{number}"),
        zone: zone.to_owned(),
        addresses: vec![format!("10.0.0.{number}:9002")],
        roles: Roles::all(),
        disks: 2,
        ..Default::default()
    }
}

fn first() -> ClusterView {
    let disks = [DiskId(11), DiskId(12)];
    first_view(InstallationId(7), RegionId(1), &node(1, "a"), &disks)
}

fn index() -> Index {
    Index::in_memory(
        Arc::new(ManualClock::at(1)),
        Arc::new(SeededEntropy::new(2)),
    )
}

#[test]
fn the_first_view_is_one_that_a_region_may_go_by() {
    let view = first();
    assert_eq!(check_map(&view), Ok(()));
    assert_eq!(view.map.epoch, 1);
    assert!(!view.map.nodes[0].is_down);
    assert_eq!(view.map.disks[1].cluster, ChunkClusterId::NONE);
    let peers = peers_of(&view.map);
    assert_eq!((peers[0].node, peers[0].is_index), (NodeId(1), true));
}

#[test]
fn a_node_is_down_until_it_is_heard_and_zones_are_made_when_they_are_first_named() {
    let view = with_node(&first(), NodeId(2), &node(2, "b"), &[DiskId(21)]);
    let view = with_node(&view, NodeId(3), &node(3, "b"), &[]);
    assert_eq!(check_map(&view), Ok(()));
    let zones: Vec<&str> = view
        .map
        .zones
        .iter()
        .map(|zone| zone.name.as_str())
        .collect();
    assert_eq!(zones, ["a", "b"]);
    assert_eq!(view.map.nodes[1].zone, view.map.nodes[2].zone);
    assert_eq!(view.map.state(DiskId(21)), DiskState::Down);
    assert_eq!(node_named(&view.map, "n3").unwrap().id, NodeId(3));
    let error = node_named(&view.map, "n4").unwrap_err().to_string();
    assert!(error.contains("n1, n2, n3"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_another_came_before_is_made_again() {
    let index = index();
    index.replace_cluster_view(0, &first()).await.unwrap();
    let tries = AtomicUsize::new(0);
    let add = |view: &ClusterView| {
        if tries.fetch_add(1, Ordering::Relaxed) == 0 {
            // The other change is stored while this one is being made.
            let mut other = view.clone();
            other.map.epoch += 1;
            other.map.nodes[0].rack = "r".to_owned();
            let stored = index.replace_cluster_view(view.map.epoch, &other);
            tokio::task::block_in_place(|| Handle::current().block_on(stored)).unwrap();
        }
        Ok((with_node(view, NodeId(2), &node(2, "b"), &[]), ()))
    };
    let (stored, ()) = store(&index, add).await.unwrap();
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    assert_eq!((stored.map.epoch, stored.map.nodes.len()), (3, 2));
    assert_eq!(stored.map.nodes[0].rack, "r", "the other change is kept");
    assert_eq!(index.cluster_view().await.unwrap(), Some(stored));
}

#[tokio::test]
async fn a_change_that_breaks_a_promise_is_not_stored() {
    let index = index();
    index.replace_cluster_view(0, &first()).await.unwrap();
    let twice = |view: &ClusterView| Ok((with_node(view, NodeId(2), &node(1, "b"), &[]), ()));
    let error = store(&index, twice).await.unwrap_err().to_string();
    assert!(error.contains("node name n1"), "{error}");
    assert_eq!(index.cluster_view().await.unwrap(), Some(first()));
}
