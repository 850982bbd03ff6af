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

/// How long each row is measured.
const ROUND: Duration = Duration::from_secs(3);
const BODY_BYTES: usize = 4096;

/// CPU time that this process has used, in microseconds, to a hundredth of a second.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.map(|field| field.parse::<f64>().unwrap()).sum();
    ticks * 1e4
}

/// Runs `operation` on its number, `together` at once, for a round. Prints what one costs.
async fn measure<F>(name: &str, together: usize, operation: impl Fn(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (clock, next) = (SystemClock::new(), AtomicUsize::new(0));
    let before = cpu_us();
    let one = async || {
        while clock.monotonic() < ROUND {
            // A task of its own, as a request is.
            tokio::spawn(operation(next.fetch_add(1, Ordering::Relaxed)))
                .await
                .unwrap();
        }
    };
    let mut all: Vec<_> = (0..together).map(|_| Box::pin(one())).collect();
    std::future::poll_fn(|cx| {
        all.retain_mut(|one| one.as_mut().poll(cx).is_pending());
        match all.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    let (took, count) = (clock.monotonic(), next.load(Ordering::Relaxed) as f64);
    println!(
        "{name:<24} {together:>3} together: {:>8.1} us of CPU each, {:>8.0} a second",
        (cpu_us() - before) / count,
        count / took.as_secs_f64()
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
        for together in [1, 16] {
            measure("get", together, |number| {
                let (index, bucket) = shared();
                get(index, bucket, scattered(number, keys))
            })
            .await;
        }
        measure("list 1,000", 4, |number| {
            let (index, bucket) = shared();
            let after = format!("obj/{:08}", number * 7919 % (keys - 1000));
            list(index, bucket, after)
        })
        .await;
        for together in [16, 64] {
            measure("put of a new key", together, |number| {
                let (index, bucket) = shared();
                put(index, bucket, format!("new/{together}/{number}"))
            })
            .await;
        }
        measure("put of a known key", 64, |number| {
            let (index, bucket) = shared();
            put(index, bucket, scattered(number, keys))
        })
        .await;
        index.close().await.unwrap();
    }
}
