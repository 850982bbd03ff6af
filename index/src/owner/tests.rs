//! The owner: shared commits, isolation of faults, latches, time, purge and close.

mod races;

use super::*;
use crate::engine::memory::MemoryEngine;
use crate::store::{Condition, Idempotency};
use async_trait::async_trait;
use std::time::Duration;
use tokio::sync::Semaphore;
use types::clock::ManualClock;
use types::{BucketId, OpId};

const PARTITION: PartitionId = PartitionId(1);
const NOW_MS: u64 = 1_800_000_000_000;

/// A memory engine that commits only when it is let, notes how many batches come together, and finds
/// one key damaged.
#[derive(Debug)]
struct Gated {
    engine: MemoryEngine,
    gate: Semaphore,
    groups: Mutex<Vec<usize>>,
    damaged: Bytes,
}

#[async_trait]
impl IndexStore for Gated {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.groups.lock().push(batches.len());
        self.gate
            .acquire()
            .await
            .expect("it is never closed")
            .forget();
        let damaged = Condition::Absent(self.damaged.clone());
        if batches
            .iter()
            .any(|batch| batch.conditions.contains(&damaged))
        {
            let (key, reason) = (String::new(), "planted".to_owned());
            return Err(StoreError::Corrupt { key, reason });
        }
        self.engine.commit_many(partition, batches).await
    }
    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError> {
        self.engine.get(partition, key).await
    }
    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        self.engine.scan(partition, request).await
    }
    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.engine.changes(partition, after, limit).await
    }
    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.engine.trim(partition, up_to).await
    }
    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        self.engine.last_seq(partition).await
    }
}

struct Fixture {
    owner: Arc<PartitionOwner>,
    store: Arc<Gated>,
    clock: Arc<ManualClock>,
}

/// An owner whose first `permits` commits are let through.
fn fixture(permits: usize) -> Fixture {
    let store = Arc::new(Gated {
        engine: MemoryEngine::new(),
        gate: Semaphore::new(permits),
        groups: Mutex::default(),
        damaged: object("damaged"),
    });
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let shared: Arc<dyn IndexStore> = Arc::clone(&store) as _;
    let owner = PartitionOwner::start(
        shared,
        PARTITION,
        1,
        Arc::clone(&clock) as _,
        RunOn::Threads,
    );
    Fixture {
        owner: owner.expect("a thread"),
        store,
        clock,
    }
}

fn object(name: &str) -> Bytes {
    let (bucket, key) = (BucketId(1), name.to_owned());
    Key::Current { bucket, key }.encode()
}

fn put(name: &str) -> Batch {
    let operations = vec![Operation::Put(object(name), Bytes::from_static(b"value"))];
    Batch {
        operations,
        ..Batch::default()
    }
}

/// Starts commits of `batches` in order, the first of which must reach the store before the others are
/// sent.
async fn commit_all(
    fixture: &Fixture,
    batches: Vec<Batch>,
) -> Vec<tokio::task::JoinHandle<Result<Outcome, StoreError>>> {
    let mut tasks = Vec::new();
    for (sent, batch) in batches.into_iter().enumerate() {
        let owner = Arc::clone(&fixture.owner);
        tasks.push(tokio::spawn(async move { owner.commit(batch).await }));
        let has_arrived = || match sent {
            0 => !fixture.store.groups.lock().is_empty(),
            _ => {
                let queue = fixture.owner.queue.lock();
                let queue = queue.as_ref().expect("it is open");
                queue.max_capacity() - queue.capacity() == sent
            }
        };
        for _ in 0..10_000 {
            if has_arrived() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(has_arrived(), "batch {sent} did not arrive");
    }
    tasks
}

#[tokio::test]
async fn what_waits_is_committed_together_in_order() {
    let fixture = fixture(0);
    let batches = (0..6).map(|n| put(&n.to_string())).collect();
    let tasks = commit_all(&fixture, batches).await;
    fixture.store.gate.add_permits(2);
    for (index, task) in tasks.into_iter().enumerate() {
        let outcome = task.await.expect("no panic");
        assert_eq!(outcome, Ok(Outcome::Committed(index as u64 + 1)));
    }
    assert_eq!(*fixture.store.groups.lock(), [1, 5]);
    fixture.owner.close().await;
}

#[tokio::test]
async fn the_fault_of_one_batch_does_not_reach_the_others() {
    let fixture = fixture(0);
    let conditions = vec![Condition::Absent(object("damaged"))];
    let faulty = Batch {
        conditions,
        ..put("b")
    };
    let tasks = commit_all(&fixture, vec![put("a"), faulty, put("c")]).await;
    fixture.store.gate.add_permits(10);
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.expect("no panic"));
    }
    assert_eq!(outcomes[0], Ok(Outcome::Committed(1)));
    assert!(matches!(outcomes[1], Err(StoreError::Corrupt { .. })));
    assert_eq!(outcomes[2], Ok(Outcome::Committed(2)));
    fixture.owner.close().await;
}

#[tokio::test]
async fn a_batch_that_is_too_large_never_reaches_the_store() {
    let fixture = fixture(10);
    let operations = vec![Operation::Delete(Bytes::new())];
    let refused = fixture
        .owner
        .commit(Batch {
            operations,
            ..Batch::default()
        })
        .await;
    assert!(matches!(refused, Err(StoreError::TooLarge(_))));
    assert!(fixture.store.groups.lock().is_empty());
    fixture.owner.close().await;
}

#[tokio::test]
async fn close_commits_what_waits_and_refuses_what_comes_after() {
    let fixture = fixture(0);
    let tasks = commit_all(&fixture, vec![put("a"), put("b")]).await;
    fixture.store.gate.add_permits(10);
    fixture.owner.close().await;
    for task in tasks {
        assert!(matches!(
            task.await.expect("no panic"),
            Ok(Outcome::Committed(_))
        ));
    }
    let refused = fixture.owner.commit(put("c")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    fixture.owner.close().await;
}

#[tokio::test]
async fn an_older_owner_is_fenced() {
    let fixture = fixture(10);
    let newer = Batch {
        epoch: 2,
        ..put("a")
    };
    fixture
        .store
        .engine
        .commit_many(PARTITION, vec![newer])
        .await
        .expect("it commits");
    assert_eq!(fixture.owner.epoch(), 1);
    let refused = fixture.owner.commit(put("b")).await;
    assert!(
        matches!(
            refused,
            Err(StoreError::Fenced {
                epoch: 1,
                current: 2,
                ..
            })
        ),
        "{refused:?}"
    );
    fixture.owner.close().await;
}

#[tokio::test]
async fn a_latch_keeps_others_out_until_it_is_dropped() {
    let fixture = fixture(10);
    let held = fixture.owner.latch(&[object("a"), object("b")]).await;
    let shared = [object("b")];
    let mut second = Box::pin(fixture.owner.latch(&shared));
    let blocked = tokio::time::timeout(Duration::from_millis(20), &mut second).await;
    assert!(blocked.is_err(), "two hold the same key");
    let keys = [object("c")];
    let other = fixture.owner.latch(&keys);
    let _other = tokio::time::timeout(Duration::from_secs(5), other)
        .await
        .expect("nobody has it");
    drop(held);
    let _second = tokio::time::timeout(Duration::from_secs(5), second)
        .await
        .expect("it is free");
    fixture.owner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latches_in_any_order_and_number_never_deadlock_and_always_exclude() {
    let fixture = fixture(10);
    let counters: Arc<Vec<AtomicU64>> = Arc::new((0..4).map(|_| AtomicU64::new(0)).collect());
    let mut tasks = Vec::new();
    for number in 0..8_usize {
        let (owner, counters) = (Arc::clone(&fixture.owner), Arc::clone(&counters));
        tasks.push(tokio::spawn(async move {
            for round in 0..100 {
                let mine = [(number + round) % 4, (number * 3 + 1) % 4, number % 4];
                let keys = mine.map(|key| object(&key.to_string()));
                let _latch = owner.latch(&keys).await;
                // A read and a write that would lose counts if two were here at once.
                let seen = counters[mine[0]].load(Ordering::Relaxed);
                tokio::task::yield_now().await;
                counters[mine[0]].store(seen + 1, Ordering::Relaxed);
            }
        }));
    }
    for task in tasks {
        let done = tokio::time::timeout(Duration::from_secs(30), task).await;
        done.expect("no deadlock").expect("no panic");
    }
    let total: u64 = counters
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .sum();
    assert_eq!(total, 800);
    fixture.owner.close().await;
}

#[tokio::test]
async fn time_never_goes_back_and_passes_what_the_key_has() {
    let fixture = fixture(10);
    let first = fixture.owner.next_order(0);
    assert_eq!(first, NOW_MS << 16);
    assert_eq!(fixture.owner.next_order(0), first + 1);
    fixture.clock.set_wall_ms(NOW_MS - 1000);
    assert_eq!(fixture.owner.next_order(0), first + 2);
    let future = (NOW_MS + 1_000_000) << 16;
    assert_eq!(fixture.owner.next_order(future), future + 1);
    assert_eq!(
        fixture.owner.next_order(0),
        first + 4,
        "one key's future is not the partition's"
    );
    fixture.clock.set_wall_ms(NOW_MS + 1);
    assert_eq!(fixture.owner.next_order(0), (NOW_MS + 1) << 16);
    fixture.owner.close().await;
}

#[tokio::test]
async fn purge_deletes_old_outcomes_and_keeps_new_ones() {
    let fixture = fixture(100);
    let attempt = |ms: u64| Batch {
        idempotency: Some(Idempotency {
            op_id: OpId(u128::from(ms) << 80),
            outcome: Bytes::new(),
        }),
        ..put("a")
    };
    let owner = &fixture.owner;
    for ms in [NOW_MS - 2, NOW_MS - 1, NOW_MS] {
        let committed = owner.commit(attempt(ms)).await;
        assert!(matches!(committed, Ok(Outcome::Committed(_))));
    }
    let is_kept = async |ms: u64| {
        fixture.clock.set_wall_ms(NOW_MS);
        let again = owner.commit(attempt(ms)).await;
        assert!(matches!(
            again,
            Ok(Outcome::Duplicate(_) | Outcome::Expired { .. })
        ));
        again == Ok(Outcome::Duplicate(Bytes::new()))
    };
    let purge = async |seq: Seq| {
        let after_ttl_ms = NOW_MS + OUTCOME_TTL.as_millis() as u64;
        fixture.clock.set_wall_ms(after_ttl_ms);
        owner.purge_outcomes(seq, None).await.unwrap()
    };
    assert_eq!(owner.purge_outcomes(3, None).await, Ok(None), "too young");
    assert!(is_kept(NOW_MS - 2).await);
    assert_eq!(purge(0).await, None);
    assert!(
        is_kept(NOW_MS - 2).await,
        "of later commits than were seen to age"
    );
    assert_eq!(purge(1).await, None);
    assert!(!is_kept(NOW_MS - 2).await);
    assert!(is_kept(NOW_MS - 1).await);
    assert_eq!(purge(3).await, None);
    assert!(!is_kept(NOW_MS - 1).await);
    assert!(is_kept(NOW_MS).await, "as old as they are kept");
    fixture.owner.close().await;
}
