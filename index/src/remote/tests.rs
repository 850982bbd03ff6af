//! Requests find the leader however it moves, answers come back as they were given, and nothing is sent twice that
//! may have been done.

use super::AnswerSize;
use super::*;
use crate::engine::memory::MemoryEngine;
use crate::store::{
    Batch, Change, Condition, Idempotency, IndexStore, Operation, Outcome, ScanPage, ScanRequest,
    Seq, StoreError, Versioned,
};
use crate::{Key, PartitionOwner};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;
use types::clock::SystemClock;
use types::{BucketId, OpId, PartitionId, RunOn};

mod bytes;
mod together;

const PARTITION: PartitionId = PartitionId(3);

/// Time for the answer of a node that is cut off.
const ATTEMPT: Duration = Duration::from_secs(8);

/// Nodes over one engine, of which one leads.
#[derive(Debug)]
struct Nodes {
    engine: Arc<MemoryEngine>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    leader: Option<NodeId>,
    /// What others than the leader say of it.
    hint: Option<NodeId>,
    gone: BTreeSet<NodeId>,
    /// They take requests and never answer.
    cut_off: BTreeSet<NodeId>,
    /// Who leads as the engines have heard.
    heard: Option<NodeId>,
    /// The leader does what it is asked, and its answer is lost so many times.
    lost_answers: usize,
    asked: Vec<NodeId>,
}

/// What one node would do.
#[derive(Debug)]
struct One(Arc<Nodes>, NodeId);

impl One {
    fn leads(&self, partition: PartitionId) -> Result<(), StoreError> {
        let state = self.0.state.lock();
        if state.leader == Some(self.1) {
            return Ok(());
        }
        Err(StoreError::NotLeader {
            partition,
            leader: state.hint,
        })
    }
}

#[async_trait]
impl IndexStore for One {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.leads(partition)?;
        self.0.engine.commit_many(partition, batches).await
    }
    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError> {
        self.leads(partition)?;
        self.0.engine.get(partition, key).await
    }
    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        self.leads(partition)?;
        self.0.engine.scan(partition, request).await
    }
    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.leads(partition)?;
        self.0.engine.changes(partition, after, limit).await
    }
    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.leads(partition)?;
        self.0.engine.trim(partition, up_to).await
    }
    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        self.leads(partition)?;
        self.0.engine.last_seq(partition).await
    }
    fn leader_heard(&self, _partition: PartitionId) -> Option<NodeId> {
        self.0.state.lock().heard
    }
}

#[async_trait]
impl IndexCaller for Arc<Nodes> {
    async fn call(
        &self,
        to: NodeId,
        request: Bytes,
        _answer: AnswerSize,
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        let is_cut_off = {
            let mut state = self.state.lock();
            state.asked.push(to);
            if state.gone.contains(&to) {
                return Err(CallError::NotSent("it is gone".to_owned()));
            }
            state.cut_off.contains(&to)
        };
        if is_cut_off {
            tokio::time::sleep(deadline).await;
            return Err(CallError::Unknown("it took too long".to_owned()));
        }
        let answer = IndexService::new(Arc::new(One(Arc::clone(self), to)))
            .handle(request)
            .await;
        let mut state = self.state.lock();
        if state.leader == Some(to) && state.lost_answers > 0 {
            state.lost_answers -= 1;
            return Err(CallError::Unknown("reset".to_owned()));
        }
        Ok(answer)
    }
}

fn nodes(leader: u32) -> Arc<Nodes> {
    let leader = Some(NodeId(leader));
    let state = State {
        leader,
        hint: leader,
        ..State::default()
    };
    Arc::new(Nodes {
        engine: Arc::new(MemoryEngine::new()),
        state: Mutex::new(state),
    })
}

/// The store of node `me`, which is one of nodes 1 to 3 or none of them.
fn routed(nodes: &Arc<Nodes>, me: u32) -> RoutedStore {
    routed_by(nodes, me, &watch::Sender::new(list()))
}

fn list() -> IndexNodes {
    IndexNodes {
        all: (1..=3).map(NodeId).collect(),
        down: BTreeSet::new(),
    }
}

/// The same, with a list of nodes that changes.
fn routed_by(nodes: &Arc<Nodes>, me: u32, list: &watch::Sender<IndexNodes>) -> RoutedStore {
    let me = NodeId(me);
    let local = (me.0 <= 3).then(|| Arc::new(One(Arc::clone(nodes), me)) as Arc<dyn IndexStore>);
    let routing = Routing {
        attempt: ATTEMPT,
        patience: Duration::from_millis(700),
    };
    RoutedStore::new(
        (me, local),
        Arc::new(Arc::clone(nodes)),
        list.subscribe(),
        routing,
        Arc::new(SystemClock::new()),
    )
}

fn key(name: &str) -> Bytes {
    let (bucket, key) = (BucketId(1), name.to_owned());
    Key::Current { bucket, key }.encode()
}

fn put(name: &str) -> Batch {
    Batch {
        operations: vec![Operation::Put(key(name), Bytes::from_static(b"value"))],
        ..Batch::default()
    }
}

async fn commit(store: &RoutedStore, name: &str) -> Result<Vec<Outcome>, StoreError> {
    store.commit_many(PARTITION, vec![put(name)]).await
}

#[tokio::test]
async fn whoever_asks_finds_the_leader_and_remembers_it() {
    for me in [1, 2, 9] {
        let nodes = nodes(2);
        let store = routed(&nodes, me);
        assert_eq!(commit(&store, "a").await, Ok(vec![Outcome::Committed(1)]));
        let looked = nodes.state.lock().asked.len();
        assert!(looked <= 2, "{looked}");
        for seq in 2..5 {
            assert_eq!(commit(&store, "a").await, Ok(vec![Outcome::Committed(seq)]));
            assert_eq!(
                store.get(PARTITION, &key("a")).await.unwrap().unwrap().seq,
                seq
            );
        }
        let asked = nodes.state.lock().asked[looked..].to_vec();
        assert!(asked.iter().all(|node| *node == NodeId(2)), "{asked:?}");
    }
}

#[tokio::test]
async fn everything_that_can_be_asked_is_answered() {
    let nodes = nodes(3);
    let store = routed(&nodes, 9);
    for name in ["a", "b/1", "b/2", "c"] {
        commit(&store, name).await.unwrap();
    }
    let mut scan = Key::objects_range(BucketId(1), "").page(10, None);
    for grouping in [None, Some(Key::grouping("", "/"))] {
        scan.grouping = grouping;
        let there = nodes.engine.scan(PARTITION, scan.clone()).await;
        assert_eq!(store.scan(PARTITION, scan.clone()).await, there);
        assert!(there.unwrap().entries.len() >= 3);
    }
    assert_eq!(store.last_seq(PARTITION).await, Ok(4));
    assert_eq!(store.changes(PARTITION, 1, 2).await.unwrap().len(), 2);
    store.trim(PARTITION, 3).await.unwrap();
    assert_eq!(store.changes(PARTITION, 0, 9).await.unwrap()[0].seq, 4);
    let failed = Batch {
        conditions: vec![Condition::Absent(key("a"))],
        ..put("a")
    };
    let outcomes = store.commit_many(PARTITION, vec![failed]).await;
    assert_eq!(outcomes, Ok(vec![Outcome::ConditionFailed(0)]));
    assert!(store.has_other_writers());
}

#[tokio::test]
async fn a_leader_that_moved_or_went_away_is_found_again() {
    let nodes = nodes(1);
    let store = routed(&nodes, 9);
    commit(&store, "a").await.unwrap();
    for (leader, hint, gone) in [
        (2, Some(2), None),
        (3, None, None),
        (1, None, Some(3)),
        (2, Some(1), Some(1)),
    ] {
        {
            let mut state = nodes.state.lock();
            state.leader = Some(NodeId(leader));
            state.hint = hint.map(NodeId);
            state.gone = gone.map(NodeId).into_iter().collect();
        }
        let committed = commit(&store, "a").await;
        assert!(
            committed.is_ok(),
            "{leader} {hint:?} {gone:?}: {committed:?}"
        );
    }
}

/// A node is cut off with the one that was the leader: it does not wait for ever, and it does not ask in a rush.
#[tokio::test]
async fn without_a_leader_the_wait_is_bounded_and_so_are_the_calls() {
    let nodes = nodes(1);
    nodes.state.lock().leader = None;
    nodes.state.lock().hint = None;
    let store = routed(&nodes, 9);
    let refused = commit(&store, "a").await;
    assert!(
        matches!(refused, Err(StoreError::NotLeader { .. })),
        "{refused:?}"
    );
    // Two nodes that take each other for the leader are no different.
    nodes.state.lock().hint = Some(NodeId(1));
    assert!(commit(&store, "a").await.is_err());
    let asked = nodes.state.lock().asked.len();
    assert!(asked < 60, "{asked}");
    assert_eq!(nodes.engine.last_seq(PARTITION).await, Ok(0));
}

#[tokio::test]
async fn a_commit_without_an_answer_is_not_sent_again() {
    let nodes = nodes(2);
    let store = routed(&nodes, 9);
    nodes.state.lock().lost_answers = 1;
    let unknown = commit(&store, "a").await;
    assert!(
        matches!(unknown, Err(StoreError::Indeterminate(_))),
        "{unknown:?}"
    );
    assert_eq!(nodes.engine.last_seq(PARTITION).await, Ok(1), "once");
    nodes.state.lock().lost_answers = 1;
    assert!(
        store.get(PARTITION, &key("a")).await.unwrap().is_some(),
        "a read is asked again"
    );
}

/// Node 1, which led, is cut off: nobody waits for its answers once another leader is heard of, or the map has marked it.
#[tokio::test]
async fn a_leader_that_is_cut_off_is_not_waited_for() {
    let cut_off = |nodes: &Nodes| {
        let mut state = nodes.state.lock();
        (state.leader, state.hint) = (Some(NodeId(3)), None);
        state.cut_off.insert(NodeId(1));
    };
    for me in [2, 9] {
        let nodes = nodes(1);
        nodes.state.lock().heard = Some(NodeId(1));
        let list = watch::Sender::new(list());
        let store = routed_by(&nodes, me, &list);
        commit(&store, "a").await.unwrap();
        cut_off(&nodes);
        let clock = SystemClock::new();
        let started = types::Clock::monotonic(&clock);
        let changes = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if me == 2 {
                nodes.state.lock().heard = Some(NodeId(3));
            } else {
                list.send_modify(|list| list.down = BTreeSet::from([NodeId(1)]));
            }
        };
        let (read, written, ()) =
            tokio::join!(store.last_seq(PARTITION), commit(&store, "a"), changes);
        let took = types::Clock::monotonic(&clock) - started;
        assert_eq!(read, Ok(1), "asked of the next leader");
        let is_unknown = matches!(&written, Err(StoreError::Indeterminate(_)));
        assert!(is_unknown, "it may have arrived: {written:?}");
        assert!(took < ATTEMPT / 2, "{took:?}");
    }
}

/// Nobody is waited for either who asks later, and has not asked the next leader yet.
#[tokio::test]
async fn another_leader_that_was_heard_of_is_asked_at_once() {
    let nodes = nodes(1);
    nodes.state.lock().heard = Some(NodeId(1));
    let store = routed(&nodes, 2);
    commit(&store, "a").await.unwrap();
    {
        let mut state = nodes.state.lock();
        (state.leader, state.heard) = (Some(NodeId(3)), Some(NodeId(3)));
        state.cut_off.insert(NodeId(1));
    }
    assert_eq!(commit(&store, "a").await, Ok(vec![Outcome::Committed(2)]));
    assert_eq!(nodes.state.lock().asked[1..], [NodeId(3)]);
}

#[tokio::test]
async fn whoever_has_an_operation_id_learns_what_became_of_it() {
    let nodes = nodes(2);
    let store = Arc::new(routed(&nodes, 9));
    let clock = Arc::new(SystemClock::new());
    let owner = PartitionOwner::start(store, PARTITION, 1, clock.clone(), RunOn::Threads).unwrap();
    let op_id = OpId::new(
        types::Clock::now_ms(clock.as_ref()),
        &types::entropy::OsEntropy,
    );
    let outcome = Bytes::from_static(b"outcome");
    let batch = Batch {
        idempotency: Some(Idempotency {
            op_id,
            outcome: outcome.clone(),
        }),
        ..put("a")
    };
    nodes.state.lock().lost_answers = 1;
    let unknown = owner.commit(batch.clone()).await;
    assert!(
        matches!(unknown, Err(StoreError::Indeterminate(_))),
        "{unknown:?}"
    );
    assert_eq!(owner.commit(batch).await, Ok(Outcome::Duplicate(outcome)));
    owner.close().await;
}

#[tokio::test]
async fn a_map_without_index_nodes_is_told() {
    let nodes = nodes(1);
    let (_, none) = watch::channel(IndexNodes::default());
    let clock = Arc::new(SystemClock::new());
    let store = RoutedStore::new(
        (NodeId(9), None),
        Arc::new(nodes),
        none,
        Routing::default(),
        clock,
    );
    let refused = store.get(PARTITION, &key("a")).await.unwrap_err();
    assert!(refused.to_string().contains("no node"), "{refused}");
}
