//! Fills an index with many records, as the operations would write them, many in each batch.

use bytes::Bytes;
use index::engine::rocks::{RocksEngine, RocksOptions};
use index::key::head::HeadRecord;
use index::store::{Batch, IndexStore, Operation, Outcome};
use index::{Bucket, Index, IndexConfig, Key, VersionRecord, Versioning};
use std::sync::Arc;
use tempfile::TempDir;
use types::clock::SystemClock;
use types::entropy::SeededEntropy;
use types::{Manifest, Order, RegionId, VersionId};

/// Keys with the same prefix.
pub const GROUP: usize = 10;
/// The key that has many versions.
pub const ONE: &str = "one";
/// Operations of a batch, and batches of one commit.
const BATCH: usize = 100;
const BATCHES: usize = 50;
/// Before any time that the index takes from the clock.
const FIRST_TIME: u64 = 1 << 40;

/// An index on disk, with buckets of many keys.
pub struct Loaded {
    pub index: Index,
    /// Keys with one version each.
    pub live: Bucket,
    /// Keys that were put and deleted, in a bucket with versions.
    pub marked: Bucket,
    /// One key with many versions.
    pub versions: Bucket,
    /// Keys that were put and deleted, in a bucket without versions.
    pub erased: Bucket,
    /// Ids of the versions of [`ONE`], oldest first.
    pub ids: Vec<VersionId>,
    pub dir: TempDir,
}

/// The prefix of keys `number * GROUP` and on.
pub fn prefix(number: usize) -> String {
    format!("{number:07}/")
}

/// Key number `number`, in the order of lists.
pub fn key(number: usize) -> String {
    format!(
        "{}{}-a-name-of-some-length",
        prefix(number / GROUP),
        number % GROUP
    )
}

fn record(time: u64, is_null: bool) -> VersionRecord {
    let (time, region) = (FIRST_TIME + time, RegionId(1));
    let order = Order {
        time,
        region,
        epoch: 1,
    };
    VersionRecord {
        id: VersionId::new(time, region, &SeededEntropy::new(time)),
        order,
        is_null,
        account: "alice".to_owned(),
        plain_length: 1000,
        stored_length: 1000,
        etag: "0cc175b9c0f1b6a831c399e269772661".to_owned(),
        headers: [(
            "content-type".to_owned(),
            "application/octet-stream".to_owned(),
        )]
        .into(),
        manifest: Manifest {
            length: 1000,
            inline: true,
            ..Default::default()
        },
        ..Default::default()
    }
}

/// Collects operations, and commits many at a time.
struct Loader<'a> {
    engine: &'a RocksEngine,
    bucket: &'a Bucket,
    batches: Vec<Batch>,
    open: Vec<Operation>,
}

impl<'a> Loader<'a> {
    fn new(engine: &'a RocksEngine, bucket: &'a Bucket) -> Self {
        let (batches, open) = (Vec::new(), Vec::new());
        Self {
            engine,
            bucket,
            batches,
            open,
        }
    }

    async fn push(&mut self, operation: Operation) {
        self.open.push(operation);
        if self.open.len() == BATCH {
            self.close_batch();
            if self.batches.len() == BATCHES {
                self.commit().await;
            }
        }
    }

    fn close_batch(&mut self) {
        self.batches.push(Batch {
            operations: std::mem::take(&mut self.open),
            epoch: 1,
            ..Batch::default()
        });
    }

    async fn commit(&mut self) {
        let batches = std::mem::take(&mut self.batches);
        let partition = self.bucket.partition;
        let outcomes = self.engine.commit_many(partition, batches).await.unwrap();
        let committed = |outcome: &Outcome| matches!(outcome, Outcome::Committed(_));
        assert!(outcomes.iter().all(committed));
    }

    async fn finish(mut self) {
        self.close_batch();
        self.commit().await;
    }

    fn current(&self, key: &str) -> Bytes {
        let (bucket, key) = (self.bucket.id, key.to_owned());
        Key::Current { bucket, key }.encode()
    }

    async fn put_current(&mut self, key: &str, record: &VersionRecord) {
        let put = Operation::Put(self.current(key), record.encode().into());
        self.push(put).await;
    }

    async fn put_noncurrent(&mut self, key: &str, record: &VersionRecord) {
        let (bucket, key, order) = (self.bucket.id, key.to_owned(), record.order);
        let at = Key::Version { bucket, key, order };
        self.push(Operation::Put(at.encode(), record.encode().into()))
            .await;
    }

    async fn put_head(&mut self, key: &str, newest: Order, count: u64) {
        let (bucket, key) = (self.bucket.id, key.to_owned());
        let head = HeadRecord {
            newest,
            count,
            ..Default::default()
        };
        let at = Key::Head { bucket, key };
        self.push(Operation::Put(at.encode(), head.encode().into()))
            .await;
    }
}

/// Puts a version under each key.
async fn put_all(engine: &RocksEngine, bucket: &Bucket, count: usize, is_null: bool) {
    let mut loader = Loader::new(engine, bucket);
    for number in 0..count {
        loader
            .put_current(&key(number), &record(number as u64, is_null))
            .await;
    }
    loader.finish().await;
}

/// Deletes each key, leaving a delete marker before its version, or nothing.
async fn delete_all(engine: &RocksEngine, bucket: &Bucket, count: usize, with_markers: bool) {
    let mut loader = Loader::new(engine, bucket);
    for number in 0..count {
        let key = key(number);
        let current = loader.current(&key);
        loader.push(Operation::Delete(current)).await;
        if with_markers {
            let marker = VersionRecord {
                delete_marker: true,
                ..record((count + number) as u64, false)
            };
            loader
                .put_noncurrent(&key, &record(number as u64, false))
                .await;
            loader.put_noncurrent(&key, &marker).await;
            loader.put_head(&key, marker.order, 2).await;
        }
    }
    loader.finish().await;
}

/// Puts many versions of one key; returns their ids.
async fn put_versions(engine: &RocksEngine, bucket: &Bucket, count: usize) -> Vec<VersionId> {
    let mut loader = Loader::new(engine, bucket);
    let mut ids = Vec::with_capacity(count);
    for number in 0..count - 1 {
        let record = record(number as u64, false);
        ids.push(record.id);
        loader.put_noncurrent(ONE, &record).await;
    }
    let newest = record(count as u64, false);
    ids.push(newest.id);
    loader.put_current(ONE, &newest).await;
    loader.put_head(ONE, newest.order, count as u64 - 1).await;
    loader.finish().await;
    ids
}

fn open(engine: &Arc<RocksEngine>) -> Index {
    let config = IndexConfig::in_dir("unused".into());
    let (clock, entropy) = (
        Arc::new(SystemClock::new()),
        Arc::new(SeededEntropy::new(1)),
    );
    Index::with_store(&config, Arc::clone(engine) as _, clock, entropy).unwrap()
}

/// An index with `count` keys, markers and versions, each in a bucket of its own.
pub async fn load(count: usize) -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    let engine = Arc::new(RocksEngine::open(&RocksOptions::new(dir.path())).unwrap());
    let index = open(&engine);
    let mut buckets = Vec::new();
    for name in ["live", "marked", "versions", "erased"] {
        let bucket = index.create_bucket(name, "alice").await.unwrap();
        buckets.push(if name == "marked" || name == "versions" {
            index
                .set_versioning(&bucket, Versioning::Enabled)
                .await
                .unwrap()
        } else {
            bucket
        });
    }
    index.close().await.unwrap();
    let [live, marked, versions, erased] = <[Bucket; 4]>::try_from(buckets).unwrap();
    put_all(&engine, &live, count, true).await;
    put_all(&engine, &marked, count, false).await;
    delete_all(&engine, &marked, count, true).await;
    let ids = put_versions(&engine, &versions, count).await;
    put_all(&engine, &erased, count, true).await;
    delete_all(&engine, &erased, count, false).await;
    let index = open(&engine);
    Loaded {
        index,
        live,
        marked,
        versions,
        erased,
        ids,
        dir,
    }
}
