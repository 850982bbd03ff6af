//! How fast the engine on disk is. Not part of a test run: `cargo test -p index --release --test
//! engine_suite -- --ignored --nocapture speed`.

use crate::harness::{PARTITION, Subject, runtime};
use bytes::Bytes;
use index::Key;
use index::store::{Batch, IndexStore, Operation, ScanEntry};
use std::time::Duration;
use types::{BucketId, Clock, clock::SystemClock};

const BUCKET: BucketId = BucketId(1);

fn put(key: String, value_bytes: usize) -> Operation {
    let key = Key::Current {
        bucket: BUCKET,
        key,
    }
    .encode();
    Operation::Put(key, vec![7; value_bytes].into())
}

fn batch(key: String) -> Batch {
    Batch {
        operations: vec![put(key, 500)],
        feed: Bytes::from_static(b"put"),
        ..Batch::default()
    }
}

async fn commits_a_second(store: &dyn IndexStore, together: usize, rounds: usize) -> f64 {
    let clock = SystemClock::new();
    for round in 0..rounds {
        let key = |n| format!("{together}/{round}/{n}");
        let batches = (0..together).map(|n| batch(key(n))).collect();
        store
            .commit_many(PARTITION, batches)
            .await
            .expect("it commits");
    }
    (together * rounds) as f64 / clock.monotonic().as_secs_f64()
}

#[test]
#[ignore = "a measurement, run by hand"]
fn speed_of_commits() {
    let subject = Subject::rocks();
    runtime().block_on(async {
        for (together, rounds) in [(1, 500), (64, 200)] {
            let rate = commits_a_second(subject.store(), together, rounds).await;
            println!("{together} together: {rate:.0} commits/s");
            assert!(rate > 10.0, "slower than one disk seek a commit");
        }
    });
}

#[test]
#[ignore = "a measurement, run by hand"]
fn speed_of_a_list_of_300_prefixes_over_600_000_keys() {
    let subject = Subject::rocks();
    runtime().block_on(async {
        let store = subject.store();
        for prefix in 0..300 {
            let batches = (0..20).map(|part| Batch {
                operations: (0..100)
                    .map(|n| put(format!("{prefix:03}/{part:02}{n:02}"), 200))
                    .collect(),
                ..Batch::default()
            });
            store
                .commit_many(PARTITION, batches.collect())
                .await
                .expect("it commits");
        }
        let mut best = Duration::MAX;
        for _ in 0..10 {
            let clock = SystemClock::new();
            let request = Key::objects_range(BUCKET, "").page(1000, Some(Key::grouping("", "/")));
            let page = store.scan(PARTITION, request).await.expect("it scans");
            best = best.min(clock.monotonic());
            assert_eq!(page.entries.len(), 300);
            assert!(
                page.entries
                    .iter()
                    .all(|entry| matches!(entry, ScanEntry::Group(_)))
            );
        }
        println!("300 prefixes over 600,000 keys: {best:?}");
        assert!(
            best < Duration::from_millis(50),
            "it reads through the runs"
        );
    });
}
