//! What the index costs: CPU time of the whole process per operation, RocksDB's threads included. Not part
//! of a test run: `cargo test -p index --release --test speed -- --ignored --nocapture`. `CAIRN_SPEED_KEYS`
//! are the sizes of the bucket that is read, `10000` unless it says otherwise.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed; clippy exempts only functions marked as tests"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a measurement is asked for with an environment variable"
)]

use bytes::Bytes;
use index::key::object::{ChecksumType, ObjectChecksum};
use index::{
    Bucket, Index, IndexConfig, ListObjects, NewBody, ObjectMeta, PutObject, WriteCondition,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use types::Clock;
use types::clock::SystemClock;
use types::entropy::OsEntropy;

/// How long each row is measured, and how often.
const ROUND: Duration = Duration::from_millis(400);
const ROUNDS: usize = 9;
const BODY_BYTES: usize = 4096;

/// CPU time that the threads of this process have used, in microseconds.
fn cpu_us() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let times = threads.filter_map(|thread| {
        // A thread may have ended meanwhile.
        let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<f64>().ok()
    });
    times.sum::<f64>() / 1000.0
}

/// Runs `operation` on one number after another in `together` tasks. Prints what one costs: at best, since other
/// work on the machine only ever adds to it, and in the median of the rounds.
async fn measure<F>(
    name: &str,
    together: usize,
    operation: impl Fn(usize) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let (mut costs, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (clock, before, first) = (
            Arc::new(SystemClock::new()),
            cpu_us(),
            next.load(Ordering::Relaxed),
        );
        let tasks = (0..together).map(|_| {
            let (next, operation, clock) =
                (Arc::clone(&next), operation.clone(), Arc::clone(&clock));
            tokio::spawn(async move {
                while clock.monotonic() < ROUND {
                    operation(next.fetch_add(1, Ordering::Relaxed)).await;
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let count = (next.load(Ordering::Relaxed) - first) as f64;
        costs.push((cpu_us() - before) / count);
        rates.push(count / clock.monotonic().as_secs_f64());
    }
    costs.sort_by(f64::total_cmp);
    rates.sort_by(f64::total_cmp);
    println!(
        "{name:<20} {together:>3} together: {:>7.1} us of CPU each at best, {:>7.1} median; {:>8.0} a second",
        costs[0],
        costs[ROUNDS / 2],
        rates[ROUNDS / 2]
    );
}

async fn put(index: Index, bucket: Arc<Bucket>, key: String) {
    let put = PutObject {
        bucket: &bucket,
        key: &key,
        body: NewBody::Inline(Bytes::from_static(&[7; BODY_BYTES])),
        etag: "0cc175b9c0f1b6a831c399e269772661".to_owned(),
        checksum: Some(ObjectChecksum {
            algorithm: "CRC64NVME".to_owned(),
            kind: ChecksumType::FullObject,
            value: Bytes::from_static(&[1; 8]),
            ..Default::default()
        }),
        meta: ObjectMeta {
            account: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef".to_owned(),
            headers: [(
                "content-type".to_owned(),
                "application/octet-stream".to_owned(),
            )]
            .into(),
            ..Default::default()
        },
        condition: WriteCondition::None,
        op_id: index.new_op_id(),
    };
    index.put_object(put).await.unwrap();
}

async fn get(index: Index, bucket: Arc<Bucket>, key: String) {
    let bucket = index.bucket(&bucket.name).await.unwrap().unwrap();
    let found = index
        .get_object(&bucket, &key, None)
        .await
        .unwrap()
        .unwrap();
    let body = index.inline_body(&bucket, &found.record).await.unwrap();
    assert_eq!(body.unwrap().len(), BODY_BYTES);
}

async fn list(index: Index, bucket: Arc<Bucket>, after: String) {
    let list = ListObjects {
        bucket: &bucket,
        prefix: "",
        delimiter: "",
        start_after: &after,
        max_keys: 1000,
    };
    let page = index.list_objects(list).await.unwrap();
    assert_eq!(page.objects.len(), 1000);
}

/// Number `number` of `count` keys, far from the one before.
fn scattered(number: usize, count: usize) -> String {
    format!("obj/{:08}-some-name.bin", number * 7919 % count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, run by hand"]
async fn cost_of_operations() {
    let sizes = std::env::var("CAIRN_SPEED_KEYS").unwrap_or_else(|_| "10000".to_owned());
    for keys in sizes.split(',').map(|size| size.parse::<usize>().unwrap()) {
        let dir = tempfile::tempdir().unwrap();
        let config = IndexConfig::in_dir(dir.path().to_owned());
        let index =
            Index::open(&config, Arc::new(SystemClock::new()), Arc::new(OsEntropy)).unwrap();
        let bucket = Arc::new(index.create_bucket("bench", "alice").await.unwrap());
        let shared = || (index.clone(), Arc::clone(&bucket));
        println!("{keys} keys");
        let mut numbers = 0..keys;
        while !numbers.is_empty() {
            let some = numbers.by_ref().take(256);
            let puts = some.map(|number| {
                let ((index, bucket), key) = (shared(), scattered(number, keys));
                tokio::spawn(put(index, bucket, key))
            });
            for put in puts.collect::<Vec<_>>() {
                put.await.unwrap();
            }
        }
        let near = (index.clone(), Arc::clone(&bucket));
        let shared = move || near.clone();
        let own = shared.clone();
        measure("get", 16, move |number| {
            let (index, bucket) = own();
            get(index, bucket, scattered(number, keys))
        })
        .await;
        for together in [16, 64] {
            let own = shared.clone();
            measure("put of a new key", together, move |number| {
                let (index, bucket) = own();
                put(index, bucket, format!("new/{together}/{number}"))
            })
            .await;
        }
        let own = shared.clone();
        measure("put of a known key", 64, move |number| {
            let (index, bucket) = own();
            put(index, bucket, scattered(number, keys))
        })
        .await;
        // Last, since the time of a thread counts as long as it lives, and those that scan end when idle.
        measure("list 1,000", 4, move |number| {
            let (index, bucket) = shared();
            let after = format!("obj/{:08}", number * 7919 % (keys - 1000));
            list(index, bucket, after)
        })
        .await;
        index.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, run by hand"]
async fn cost_of_puts_by_number_of_partitions() {
    const BUCKETS: usize = 16;
    for data_partitions in [1, 2, 4, 8] {
        let dir = tempfile::tempdir().unwrap();
        let config = IndexConfig {
            data_partitions,
            ..IndexConfig::in_dir(dir.path().to_owned())
        };
        let index =
            Index::open(&config, Arc::new(SystemClock::new()), Arc::new(OsEntropy)).unwrap();
        let mut buckets = Vec::new();
        for number in 0..BUCKETS {
            let name = format!("bench-{number}");
            let bucket = index.create_bucket(&name, "alice").await;
            buckets.push(Arc::new(bucket.unwrap()));
        }
        let buckets = Arc::new(buckets);
        for together in [16, 64] {
            let (index, buckets) = (index.clone(), Arc::clone(&buckets));
            let name = format!("put, {data_partitions} partitions");
            measure(&name, together, move |number| {
                let bucket = Arc::clone(&buckets[number % BUCKETS]);
                put(index.clone(), bucket, format!("{together}/{number}"))
            })
            .await;
        }
        index.close().await.unwrap();
    }
}
