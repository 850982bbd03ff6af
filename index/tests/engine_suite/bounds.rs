//! The bounds of batches and pages, and what outlives a restart, on every engine.

use crate::harness::{PARTITION, Subject, runtime};
use crate::steps::BASE_MS;
use bytes::Bytes;
use index::Key;
use index::engine::limits::SCAN_BYTES_MAX;
use index::store::{
    Batch, Condition, Idempotency, IndexStore, Operation, Outcome, ScanEntry, StoreError,
};
use types::limits::{BATCH_OPERATIONS_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use types::{BucketId, OpId};

fn every() -> [Subject; 3] {
    [Subject::memory(), Subject::rocks(), Subject::raft()]
}

fn object(name: &str) -> Bytes {
    let (bucket, key) = (BucketId(1), name.to_owned());
    Key::Current { bucket, key }.encode()
}

fn put(name: &str, value: &[u8]) -> Operation {
    Operation::Put(object(name), Bytes::copy_from_slice(value))
}

fn batch(operations: Vec<Operation>) -> Batch {
    Batch {
        operations,
        ..Batch::default()
    }
}

fn with_id(time_ms: u64) -> Batch {
    let op_id = OpId(u128::from(time_ms) << 80);
    let outcome = Bytes::from_static(b"first");
    Batch {
        idempotency: Some(Idempotency { op_id, outcome }),
        ..batch(vec![put("a", b"1")])
    }
}

async fn commit(store: &dyn IndexStore, batch: Batch) -> Result<Outcome, StoreError> {
    let mut outcomes = store.commit_many(PARTITION, vec![batch]).await?;
    assert_eq!(outcomes.len(), 1);
    Ok(outcomes.remove(0))
}

#[test]
fn what_exceeds_a_bound_is_refused_whole_and_what_meets_it_is_taken() {
    let value = |bytes| put("v", &vec![7; bytes]);
    let key = |bytes| Operation::Put(vec![b'k'; bytes].into(), Bytes::new());
    let sixteen = |bytes| {
        (0..16)
            .map(|n| put(&n.to_string(), &vec![7; bytes]))
            .collect()
    };
    let feed = |bytes| Batch {
        feed: vec![7; bytes].into(),
        ..Batch::default()
    };
    let many = |count| Batch {
        conditions: vec![Condition::Absent(object("absent")); count],
        ..Batch::default()
    };
    let cases = [
        (
            batch(vec![value(VALUE_BYTES_MAX)]),
            batch(vec![value(VALUE_BYTES_MAX + 1)]),
        ),
        (
            batch(vec![key(KEY_BYTES_MAX)]),
            batch(vec![key(KEY_BYTES_MAX + 1)]),
        ),
        (batch(vec![key(1)]), batch(vec![key(0)])),
        (
            batch(vec![put("a", b""); BATCH_OPERATIONS_MAX]),
            batch(vec![put("a", b""); BATCH_OPERATIONS_MAX + 1]),
        ),
        (
            batch(sixteen(VALUE_BYTES_MAX - 64)),
            batch(sixteen(VALUE_BYTES_MAX)),
        ),
        (feed(VALUE_BYTES_MAX), feed(VALUE_BYTES_MAX + 1)),
        (many(BATCH_OPERATIONS_MAX), many(BATCH_OPERATIONS_MAX + 1)),
    ];
    runtime().block_on(async {
        for subject in every() {
            for (number, (fits, exceeds)) in cases.iter().enumerate() {
                let store = subject.store();
                let before = store.last_seq(PARTITION).await;
                let run = vec![fits.clone(), exceeds.clone()];
                let refused = store.commit_many(PARTITION, run).await;
                assert!(
                    matches!(refused, Err(StoreError::TooLarge(_))),
                    "{number}: {refused:?}"
                );
                assert_eq!(store.last_seq(PARTITION).await, before, "{number}");
                let taken = commit(store, fits.clone()).await;
                assert!(
                    matches!(taken, Ok(Outcome::Committed(_))),
                    "{number}: {taken:?}"
                );
            }
        }
    });
}

#[test]
fn a_page_ends_at_its_bytes_and_the_next_goes_on() {
    runtime().block_on(async {
        for subject in every() {
            let store = subject.store();
            let count = 2 * SCAN_BYTES_MAX / VALUE_BYTES_MAX;
            let value = vec![7; VALUE_BYTES_MAX];
            let batches = (0..count).map(|n| batch(vec![put(&format!("{n:04}"), &value)]));
            store
                .commit_many(PARTITION, batches.collect())
                .await
                .expect("it commits");
            let mut range = Key::objects_range(BucketId(1), "");
            let mut pages = Vec::new();
            loop {
                let page = store.scan(PARTITION, range.clone().page(1000, None)).await;
                let page = page.expect("it scans");
                pages.push(page.entries.len());
                let Some(ScanEntry::Value(last, _)) = page.entries.last().filter(|_| page.more)
                else {
                    break;
                };
                range = range.after(last);
            }
            assert_eq!(pages.iter().sum::<usize>(), count);
            assert!(pages.len() >= 2 && pages.iter().all(|entries| *entries <= count / 2 + 1));
        }
    });
}

#[test]
fn a_scan_that_cannot_be_answered_is_refused() {
    runtime().block_on(async {
        for subject in every() {
            let range = || Key::objects_range(BucketId(1), "");
            let grouping = Key::grouping("", "");
            for request in [range().page(0, None), range().page(1, Some(grouping))] {
                let refused = subject.store().scan(PARTITION, request).await;
                assert!(
                    matches!(refused, Err(StoreError::TooLarge(_))),
                    "{refused:?}"
                );
            }
        }
    });
}

#[test]
fn outcomes_and_the_epoch_outlive_a_restart() {
    runtime().block_on(async {
        for subject in every() {
            let first = Batch {
                epoch: 3,
                ..with_id(BASE_MS)
            };
            assert_eq!(
                commit(subject.store(), first.clone()).await,
                Ok(Outcome::Committed(1))
            );
            let subject = subject.reopen();
            let duplicate = Outcome::Duplicate(Bytes::from_static(b"first"));
            assert_eq!(commit(subject.store(), first).await, Ok(duplicate));
            let older = Batch {
                epoch: 2,
                ..batch(vec![put("a", b"2")])
            };
            let fenced = StoreError::Fenced {
                partition: PARTITION,
                epoch: 2,
                current: 3,
            };
            assert_eq!(commit(subject.store(), older).await, Err(fenced));
            assert_eq!(subject.store().last_seq(PARTITION).await, Ok(1));
        }
    });
}

#[test]
fn an_epoch_is_seen_even_when_its_batch_fails_its_condition() {
    runtime().block_on(async {
        for subject in every() {
            let newer = Batch {
                conditions: vec![Condition::Exists(object("a"))],
                epoch: 2,
                ..Batch::default()
            };
            assert_eq!(
                commit(subject.store(), newer).await,
                Ok(Outcome::ConditionFailed(0))
            );
            let subject = subject.reopen();
            let older = Batch {
                epoch: 1,
                ..Batch::default()
            };
            assert!(matches!(
                commit(subject.store(), older).await,
                Err(StoreError::Fenced { .. })
            ));
        }
    });
}

#[test]
fn an_id_whose_outcome_may_have_been_purged_is_refused() {
    runtime().block_on(async {
        for subject in every() {
            let store = subject.store();
            for (time_ms, seq) in [(BASE_MS, 1), (BASE_MS + 1, 2)] {
                let committed = commit(store, with_id(time_ms)).await;
                assert_eq!(committed, Ok(Outcome::Committed(seq)));
            }
            let first = with_id(BASE_MS);
            assert!(matches!(
                commit(store, first.clone()).await,
                Ok(Outcome::Duplicate(_))
            ));
            let later = with_id(BASE_MS + 1);
            let op_id = later.idempotency.as_ref().expect("it has one").op_id;
            let purge = batch(vec![Operation::Delete(Key::Outcome { op_id }.encode())]);
            assert_eq!(commit(store, purge).await, Ok(Outcome::Committed(3)));
            let subject = subject.reopen();
            let store = subject.store();
            assert!(
                matches!(commit(store, first).await, Ok(Outcome::Duplicate(_))),
                "its outcome is still there"
            );
            let expired = Outcome::Expired {
                oldest_kept_ms: BASE_MS + 2,
            };
            assert_eq!(commit(store, later).await, Ok(expired.clone()));
            let unknown = with_id(BASE_MS - 1);
            assert_eq!(commit(store, unknown).await, Ok(expired));
            assert_eq!(
                commit(store, with_id(BASE_MS + 2)).await,
                Ok(Outcome::Committed(4))
            );
        }
    });
}
