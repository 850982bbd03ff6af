//! What a node does with a view that another one has stored.

use super::*;
use crate::region::testing::{Region, until};
use std::sync::atomic::Ordering;
use types::{NodeInfo, ZoneId};

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_one_node_stores_is_followed_by_all_at_once() {
    let (region, nodes) = Region::start(2).await;
    let (one, two) = (&nodes[&ONE], &nodes[&TWO]);
    until("one hears two", || one.beats.heard().len() == 2).await;
    until("peers are saved", || two.saved.lock().epoch == 1).await;
    let told = two.views.load(Ordering::SeqCst);
    let mut next = ClusterView::clone(&one.cluster.view());
    next.map.epoch = 2;
    next.map.nodes.push(NodeInfo {
        id: NodeId(7),
        zone: ZoneId(1),
        name: "n7".to_owned(),
        addresses: vec!["127.0.0.1:1".to_owned()],
        ..Default::default()
    });
    one.cluster
        .change(&region.index, next.clone())
        .await
        .unwrap();
    let took = until("two has it", || *two.cluster.view() == next).await;
    println!("followed after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    until("two calls the new node", || {
        two.network.peer(NodeId(7)).is_some()
    })
    .await;
    until("two has saved it", || *two.saved.lock() == next.map).await;
    assert_eq!(two.network.node().epoch(), 2);
    assert_eq!(two.views.load(Ordering::SeqCst), told + 1);
    assert!(two.network.peer(TWO).is_none(), "nobody calls itself");

    // An older one changes nothing.
    let old = region.index.cluster_view().await.unwrap().unwrap();
    let old = ClusterView {
        map: ClusterMap {
            epoch: 1,
            ..old.map
        },
        ..old
    };
    assert!(!two.cluster.publish(old));
    assert_eq!(*two.cluster.view(), next);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_nobody_names_is_found_in_time() {
    let (region, listeners) = Region::new(2).await;
    let (id, listener) = listeners.into_iter().next().unwrap();
    let one = region.run(id, listener).await;
    let mut next = ClusterView::clone(&one.cluster.view());
    next.map.epoch = 2;
    region.index.replace_cluster_view(1, &next).await.unwrap();
    until("one has it", || *one.cluster.view() == next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_taken_out_of_the_map_stops() {
    let (region, nodes) = Region::start(2).await;
    let (one, two) = (&nodes[&ONE], &nodes[&TWO]);
    let mut next = ClusterView::clone(&one.cluster.view());
    next.map.epoch = 2;
    next.map.nodes[1].is_removed = true;
    one.cluster.change(&region.index, next).await.unwrap();
    until("two is told to stop", || two.removed.is_cancelled()).await;
    until("one does not call it", || one.network.peer(TWO).is_none()).await;
    assert!(!one.removed.is_cancelled());
}
