//! A process that keeps no partition works on the groups of others, whoever leads them.

use crate::cluster::{Cluster, PARTITION, node, runtime};
use async_trait::async_trait;
use bytes::Bytes;
use index::engine::raft::RaftEngine;
use index::remote::{
    AnswerSize, CallError, IndexCaller, IndexNodes, IndexService, RoutedStore, Routing,
};
use index::store::{Batch, Idempotency, IndexStore, Operation, Outcome, StoreError};
use index::{Key, PartitionOwner};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::{BucketId, Clock, NodeId, OpId, RunOn};

/// Gives requests to the engines that run.
#[derive(Debug, Default)]
struct Doors(Mutex<BTreeMap<NodeId, Arc<RaftEngine>>>);

#[async_trait]
impl IndexCaller for Doors {
    async fn call(
        &self,
        to: NodeId,
        request: Bytes,
        _answer: AnswerSize,
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        let engine = self.0.lock().get(&to).cloned();
        let engine = engine.ok_or_else(|| CallError::NotSent("it is down".to_owned()))?;
        let service = IndexService::new(engine);
        let answer = tokio::time::timeout(deadline, service.handle(request)).await;
        answer.map_err(|_| CallError::Unknown("it did not answer in time".to_owned()))
    }
}

fn key(number: u64) -> Bytes {
    let key = format!("{number:06}");
    Key::Current {
        bucket: BucketId(1),
        key,
    }
    .encode()
}

/// Puts a new key; an attempt whose outcome is not known is made again under the same id, as the gateway does.
async fn put(owner: &PartitionOwner, clock: &SystemClock, number: u64) {
    let op_id = OpId::new(clock.now_ms(), &OsEntropy);
    let outcome = Bytes::from(number.to_string());
    let batch = Batch {
        operations: vec![Operation::Put(key(number), Bytes::from_static(b"value"))],
        idempotency: Some(Idempotency {
            op_id,
            outcome: outcome.clone(),
        }),
        ..Batch::default()
    };
    let started = clock.monotonic();
    loop {
        match owner.commit(batch.clone()).await {
            Ok(Outcome::Committed(_)) => return,
            Ok(other) => return assert_eq!(other, Outcome::Duplicate(outcome)),
            Err(
                StoreError::Indeterminate(_)
                | StoreError::NotLeader { .. }
                | StoreError::Unavailable(_),
            ) => {
                assert!(
                    clock.monotonic() - started < Duration::from_secs(30),
                    "{number} is never taken"
                );
            }
            Err(error) => panic!("{number}: {error}"),
        }
    }
}

#[test]
fn writes_from_elsewhere_go_on_when_leaders_are_killed() {
    runtime().block_on(async {
        let mut cluster = Cluster::new(3).await;
        let doors = Arc::new(Doors::default());
        let open = |cluster: &Cluster| {
            let ids = (1..=3).map(node);
            ids.map(|id| (id, Arc::clone(cluster.engine(id))))
                .collect::<BTreeMap<_, _>>()
        };
        *doors.0.lock() = open(&cluster);
        let (_, nodes) = watch::channel(IndexNodes {
            all: (1..=3).map(node).collect(),
            ..Default::default()
        });
        let clock = Arc::new(SystemClock::new());
        let store = RoutedStore::new(
            (node(9), None),
            Arc::clone(&doors) as _,
            nodes,
            Routing::default(),
            clock.clone(),
        );
        let store = Arc::new(store);
        let owner = PartitionOwner::start(
            Arc::clone(&store) as _,
            PARTITION,
            1,
            clock.clone(),
            RunOn::Threads,
        )
        .unwrap();
        let mut number = 0;
        let mut longest = Duration::ZERO;
        for _ in 0..3 {
            for _ in 0..20 {
                put(&owner, &clock, number).await;
                number += 1;
            }
            let leader = cluster.leader().await;
            doors.0.lock().remove(&leader);
            cluster.crash(leader, |_| {}).await;
            for _ in 0..20 {
                let started = clock.monotonic();
                put(&owner, &clock, number).await;
                longest = longest.max(clock.monotonic() - started);
                number += 1;
            }
            cluster.start_all().await;
            *doors.0.lock() = open(&cluster);
        }
        println!("the longest write over three killed leaders took {longest:?}");
        assert!(longest < Duration::from_secs(15), "{longest:?}");
        for number in 0..number {
            assert!(
                store.get(PARTITION, &key(number)).await.unwrap().is_some(),
                "{number} is lost"
            );
        }
        assert_eq!(
            store.last_seq(PARTITION).await,
            Ok(number),
            "nothing was done twice"
        );
        owner.close().await;
    });
}
