//! Nodes die and come back; the map says so everywhere, soon, whatever happens to whoever keeps it.

use super::*;
use crate::region::testing::{Node, Region, disk, until};
use async_trait::async_trait;
use index::IndexConfig;
use index::engine::memory::MemoryEngine;
use index::store::{
    Batch, Change, IndexStore, Outcome, ScanPage, ScanRequest, Seq, StoreError, Versioned,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::{PartitionId, PgClass};

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);
const THREE: NodeId = NodeId(3);

/// How long it may take from the death of a node to the map that says so: a second of silence, a beat, and what two
/// busy processors add.
const SOON: Duration = Duration::from_millis(2500);

async fn until_all_say(nodes: &BTreeMap<NodeId, Node>, down: &[u32]) -> Duration {
    let say = || nodes.values().all(|node| node.down() == down);
    until(&format!("all say that {down:?} are down"), say).await
}

async fn until_all_hear(nodes: &BTreeMap<NodeId, Node>) {
    let pairs = nodes.len() * (nodes.len() - 1);
    let hear = || nodes.values().all(|node| node.beats.heard().len() == pairs);
    until("all hear each other", hear).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_node_is_down_in_the_map_of_all_soon_and_comes_back() {
    let (region, mut nodes) = Region::start(3).await;
    until_all_hear(&nodes).await;
    until("one has listened", || {
        nodes[&ONE].beats.now() > Duration::from_secs(1)
    })
    .await;
    drop(nodes.remove(&THREE));
    let took = until_all_say(&nodes, &[3]).await;
    println!("down everywhere after {took:?}");
    assert!(took < SOON, "{took:?}");
    assert!(
        took > Duration::from_millis(250),
        "{took:?}: nobody may be given up so soon"
    );
    let view = nodes[&TWO].cluster.view();
    let took = view.writable(PgClass::Striped).count();
    assert_eq!(took, 60, "two zones take writes without the third");
    assert_eq!(view.groups.len(), 120, "so no other groups are needed");

    let listener = TcpListener::bind(&region.addresses[&THREE]).await.unwrap();
    nodes.insert(THREE, region.run(THREE, listener).await);
    let took = until_all_say(&nodes, &[]).await;
    assert!(took > region.limits.trust_after, "{took:?}");
    let remembered = returned::remembered(&region.index).await.unwrap();
    let disks = (0..3).map(|number| disk(3, number));
    assert_eq!(remembered, disks.collect(), "its disks may lack shards");
    assert_eq!(nodes[&THREE].cluster.view().map.epoch, 3);
}

/// The keeper dies; whoever takes over has heard of everybody all the while and marks it at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_keeper_knows_at_once_who_is_gone() {
    let (_region, mut nodes) = Region::start(3).await;
    until_all_hear(&nodes).await;
    drop(nodes.remove(&ONE));
    sleep(Duration::from_millis(1500)).await;
    nodes[&TWO].leads.send_replace(Some(2));
    let took = until_all_say(&nodes, &[1]).await;
    println!("down everywhere {took:?} after the new keeper came");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// A node that has lost the leadership and does not know it decides the same as its successor; no change is lost or
/// made twice.
#[tokio::test(flavor = "multi_thread")]
async fn two_keepers_at_once_do_no_harm() {
    let (region, mut nodes) = Region::start(4).await;
    until_all_hear(&nodes).await;
    nodes[&TWO].leads.send_replace(Some(2));
    sleep(Duration::from_secs(1)).await;
    drop(nodes.remove(&THREE));
    until_all_say(&nodes, &[3]).await;
    sleep(Duration::from_secs(1)).await;
    until_all_say(&nodes, &[3]).await;
    let stored = region.index.cluster_view().await.unwrap().unwrap();
    for node in nodes.values() {
        assert_eq!(*node.cluster.view(), stored);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_keeps_the_map_without_the_leadership() {
    let (region, mut nodes) = Region::start(3).await;
    until_all_hear(&nodes).await;
    nodes[&ONE].leads.send_replace(None);
    drop(nodes.remove(&THREE));
    sleep(Duration::from_secs(3)).await;
    assert_eq!(region.index.cluster_epoch().await, Ok(1));
}

/// An engine whose next answers to commits are lost.
#[derive(Debug)]
struct LossyStore {
    inner: MemoryEngine,
    to_lose: AtomicUsize,
}

#[async_trait]
impl IndexStore for LossyStore {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let outcomes = self.inner.commit_many(partition, batches).await?;
        let lose = |left: usize| left.checked_sub(1);
        let lost = self
            .to_lose
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose);
        match lost {
            Ok(_) => Err(StoreError::Indeterminate("planted".to_owned())),
            Err(_) => Ok(outcomes),
        }
    }

    async fn get(&self, at: PartitionId, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        self.inner.get(at, key).await
    }

    async fn scan(&self, at: PartitionId, request: ScanRequest) -> Result<ScanPage, StoreError> {
        self.inner.scan(at, request).await
    }

    async fn changes(
        &self,
        at: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.inner.changes(at, after, limit).await
    }

    async fn trim(&self, at: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.inner.trim(at, up_to).await
    }

    async fn last_seq(&self, at: PartitionId) -> Result<Seq, StoreError> {
        self.inner.last_seq(at).await
    }

    fn has_other_writers(&self) -> bool {
        true
    }
}

/// Whichever of a change's commits have no answer: the next round finds out what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_is_lost_is_decided_again() {
    let store = Arc::new(LossyStore {
        inner: MemoryEngine::new(),
        to_lose: AtomicUsize::new(0),
    });
    let config = IndexConfig {
        data_partitions: 1,
        ..IndexConfig::in_dir("memory".into())
    };
    let shared = Arc::clone(&store) as Arc<dyn IndexStore>;
    let clock = Arc::new(SystemClock::new());
    let index = Index::with_store(&config, shared, clock, Arc::new(OsEntropy)).unwrap();
    let (region, listeners) = Region::on(index, 3).await;
    let mut nodes = BTreeMap::new();
    for (id, listener) in listeners {
        nodes.insert(id, region.run(id, listener).await);
    }
    nodes[&ONE].leads.send_replace(Some(1));
    until_all_hear(&nodes).await;
    for lost in 1..4 {
        store.to_lose.store(lost, Ordering::SeqCst);
        drop(nodes.remove(&THREE));
        until_all_say(&nodes, &[3]).await;
        store.to_lose.store(lost, Ordering::SeqCst);
        let listener = TcpListener::bind(&region.addresses[&THREE]).await.unwrap();
        nodes.insert(THREE, region.run(THREE, listener).await);
        until_all_say(&nodes, &[]).await;
        assert_eq!(returned::remembered(&region.index).await.unwrap().len(), 3);
        assert_eq!(store.to_lose.load(Ordering::SeqCst), 0);
    }
}
