//! Tests of the executors over an index and disks in memory: what is deleted, abandoned or orphaned is
//! freed after its grace and never before; what is named never is; what is missing comes back.

mod outcomes;

use super::dirty::DirtyGroups;
use super::gc::{Gc, SharedTime};
use super::housekeeping::Housekeeping;
use super::orphans::Orphans;
use super::repair::Repair;
use crate::budget::Budget;
use crate::config::SchedulerConfig;
use crate::worker::{Step, Worker};
use bytes::Bytes;
use chunkstore::testing::{ClusterShape, MemoryCluster};
use chunkstore::{WriteTarget, Written};
use index::{
    Bucket, DeleteCondition, DeleteObject, Index, NewBody, ObjectMeta, PutObject, WriteCondition,
};
use std::sync::Arc;
use std::time::Duration;
use types::entropy::SeededEntropy;
use types::{Clock, DiskState, Manifest, ManifestId};

mod repair;

const GRACE: Duration = Duration::from_secs(50);
const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    cluster: MemoryCluster,
    index: Index,
    bucket: Bucket,
    config: SchedulerConfig,
    time: Arc<SharedTime>,
}

impl Bench {
    async fn new() -> Self {
        let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
        let clock: Arc<dyn Clock> = cluster.clock.clone();
        let index = Index::in_memory(clock, Arc::new(SeededEntropy::new(5)));
        let bucket = index.create_bucket("bench", "owner").await.unwrap();
        let config = SchedulerConfig {
            interval: Duration::from_secs(1),
            rate: 1 << 40,
            write_deadline: 24 * HOUR,
            reclaim_grace: GRACE,
            upload_expiry: None,
        };
        Self {
            cluster,
            index,
            bucket,
            config,
            time: Arc::default(),
        }
    }

    async fn write(&self, manifest: ManifestId, length: usize) -> Written {
        let target = WriteTarget {
            bucket: self.bucket.id,
            manifest,
            size: None,
        };
        let mut writer = self.cluster.store.writer(target);
        writer.write(Bytes::from(vec![7; length])).await.unwrap();
        writer.finish().await.unwrap()
    }

    /// Stores an object of `length` bytes; the chunks it has.
    async fn put(&self, key: &str, length: usize) -> Written {
        let id = self.index.new_manifest_id(&self.bucket);
        let written = self.write(id, length).await;
        let chunks = written.chunks.clone();
        let manifest = Manifest {
            id,
            length: length as u64,
            chunks,
            ..Default::default()
        };
        let missing = written.missing.iter().map(|missing| index::MissingShards {
            pg: missing.pg,
            chunk: missing.chunk,
            positions: missing.positions.0,
            ..Default::default()
        });
        let put = PutObject {
            bucket: &self.bucket,
            key,
            body: NewBody::Chunks {
                manifest,
                oldest_ms: written.oldest_ms,
                missing: missing.collect(),
            },
            etag: "etag".to_owned(),
            checksum: None,
            meta: ObjectMeta::default(),
            condition: WriteCondition::None,
            op_id: self.index.new_op_id(),
        };
        self.index.put_object(put).await.unwrap();
        written
    }

    async fn delete(&self, key: &str) {
        let (condition, op_id) = (DeleteCondition::default(), self.index.new_op_id());
        let delete = DeleteObject {
            bucket: &self.bucket,
            key,
            version: None,
            condition,
            op_id,
        };
        self.index.delete_object(delete).await.unwrap();
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.cluster.clock.clone()
    }

    async fn gc(&self) -> Gc {
        let (index, store) = (self.index.clone(), self.cluster.store.clone());
        Gc::resume(
            index,
            store,
            self.config.clone(),
            self.clock(),
            Arc::clone(&self.time),
        )
        .await
        .unwrap()
    }

    fn orphans(&self) -> Orphans {
        let (index, store) = (self.index.clone(), self.cluster.store.clone());
        Orphans::new(
            index,
            store,
            self.config.clone(),
            Arc::clone(&self.time),
            self.clock(),
        )
    }

    fn repair(&self) -> (Repair, Arc<DirtyGroups>) {
        let dirty = Arc::new(DirtyGroups::default());
        let budget = Arc::new(Budget::new(1 << 40, self.clock()));
        let (index, store) = (self.index.clone(), self.cluster.store.clone());
        (Repair::new(index, store, Arc::clone(&dirty), budget), dirty)
    }
}

/// Runs a worker until it has nothing to do; fails if that takes for ever.
async fn round(worker: &mut impl Worker) {
    for _ in 0..100_000 {
        if worker.step().await.unwrap() == Step::Idle {
            return;
        }
    }
    panic!("{} never gets idle", worker.name());
}

#[tokio::test]
async fn deleted_data_is_freed_after_the_observed_grace() {
    let bench = Bench::new().await;
    bench.put("kept", 300_000).await;
    let kept = bench.cluster.shard_count();
    bench.put("gone", 300_000).await;
    let mut gc = bench.gc().await;
    bench.delete("gone").await;
    round(&mut gc).await;
    bench
        .cluster
        .clock
        .set_wall_ms(bench.cluster.clock.now_ms() + 100 * 24 * 3_600_000);
    round(&mut gc).await;
    assert!(
        bench.cluster.shard_count() > kept,
        "a jump of the wall clock frees nothing"
    );
    bench.cluster.clock.advance(GRACE - Duration::from_secs(1));
    round(&mut gc).await;
    assert!(bench.cluster.shard_count() > kept);
    bench.cluster.clock.advance(Duration::from_secs(1));
    round(&mut gc).await;
    assert_eq!(bench.cluster.shard_count(), kept);
}

#[tokio::test]
async fn a_restart_neither_loses_nor_invents_observed_time() {
    let bench = Bench::new().await;
    bench.put("gone", 300_000).await;
    bench.delete("gone").await;
    let mut gc = bench.gc().await;
    round(&mut gc).await;
    bench.cluster.clock.advance(GRACE / 2);
    round(&mut gc).await;
    drop(gc);
    bench.cluster.clock.advance(100 * HOUR);
    let mut gc = bench.gc().await;
    round(&mut gc).await;
    assert!(
        bench.cluster.shard_count() > 0,
        "time in which nothing ran does not count"
    );
    bench.cluster.clock.advance(GRACE / 2);
    round(&mut gc).await;
    assert_eq!(
        bench.cluster.shard_count(),
        0,
        "time seen before the restart does"
    );
}

#[tokio::test]
async fn what_a_down_disk_holds_of_deleted_data_does_not_stop_the_rest() {
    let bench = Bench::new().await;
    bench.put("gone", 300_000).await;
    let disk = bench.cluster.disks[0].clone();
    let id = chunkstore::ShardStore::disk(disk.as_ref());
    bench.cluster.mark(id, DiskState::Down);
    disk.set_reads(chunkstore::testing::Reads::Fail);
    bench.delete("gone").await;
    let mut gc = bench.gc().await;
    round(&mut gc).await;
    bench.cluster.clock.advance(GRACE);
    round(&mut gc).await;
    assert!(
        bench.cluster.shard_count() <= 1,
        "only the disk that is down still has its shard"
    );

    // The disk comes back with a shard of a deleted object: an orphan, freed as such.
    disk.set_reads(chunkstore::testing::Reads::Work);
    bench.cluster.mark(id, DiskState::Up);
    bench
        .cluster
        .clock
        .advance(bench.config.orphan_age() + HOUR);
    let mut orphans = bench.orphans();
    round(&mut gc).await;
    round(&mut orphans).await;
    for _ in 0..3 {
        bench.cluster.clock.advance(bench.config.orphan_age() / 2);
        round(&mut gc).await;
        round(&mut orphans).await;
    }
    assert_eq!(bench.cluster.shard_count(), 0);
}

#[tokio::test]
async fn orphans_are_freed_and_named_chunks_are_not() {
    let bench = Bench::new().await;
    bench.put("small", 100_000).await;
    bench.put("large", 3_000_000).await;
    let named = bench.cluster.shard_count();
    bench.write(ManifestId(99), 2_000_000).await;
    let all = bench.cluster.shard_count();
    assert!(all > named);
    let (mut gc, mut orphans) = (bench.gc().await, bench.orphans());
    round(&mut gc).await;
    round(&mut orphans).await;
    bench
        .cluster
        .clock
        .advance(bench.config.orphan_age() + HOUR);
    round(&mut gc).await;
    round(&mut orphans).await;
    assert_eq!(
        bench.cluster.shard_count(),
        all,
        "the first round that finds an orphan only quarantines it"
    );
    bench.cluster.clock.advance(bench.config.orphan_age());
    round(&mut gc).await;
    round(&mut orphans).await;
    assert_eq!(bench.cluster.shard_count(), named);
}

#[tokio::test]
async fn a_wiped_disk_is_filled_again() {
    let bench = Bench::new().await;
    for n in 0..8 {
        bench.put(&format!("key{n}"), 400_000 * n).await;
    }
    let full = bench.cluster.shard_count();
    let disk = bench.cluster.disks[3].clone();
    let id = chunkstore::ShardStore::disk(disk.as_ref());
    let (mut repair, _) = bench.repair();
    bench.cluster.mark(id, DiskState::Down);
    round(&mut repair).await;
    let before: Vec<_> = disk.shards();
    disk.wipe();
    assert!(bench.cluster.shard_count() < full);
    bench.cluster.mark(id, DiskState::Up);
    round(&mut repair).await;
    assert_eq!(disk.shards(), before, "shard by shard");
}

#[tokio::test]
async fn a_returned_disk_is_filled_even_if_the_server_was_stopped_in_between() {
    let bench = Bench::new().await;
    bench.put("key", 700_000).await;
    let disk = bench.cluster.disks[3].clone();
    let id = chunkstore::ShardStore::disk(disk.as_ref());
    let before = disk.shards();
    disk.wipe();
    crate::returned::remember(&bench.index, [id]).await.unwrap();
    let (mut stopped, _) = bench.repair();
    stopped.step().await.unwrap();
    drop(stopped);
    assert!(
        crate::returned::remembered(&bench.index)
            .await
            .unwrap()
            .contains(&id)
    );
    let (mut repair, _) = bench.repair();
    round(&mut repair).await;
    assert_eq!(disk.shards(), before);
    assert!(
        crate::returned::remembered(&bench.index)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_disk_that_takes_no_more_holds_up_no_other() {
    let bench = Bench::new().await;
    for n in 1..12 {
        bench.put(&format!("key{n}"), 300_000 * n).await;
    }
    let (full, other) = (
        bench.cluster.disks[0].clone(),
        bench.cluster.disks[5].clone(),
    );
    let ids = [&full, &other].map(|disk| chunkstore::ShardStore::disk(disk.as_ref()));
    let before = other.shards();
    full.wipe();
    other.wipe();
    full.set_puts(chunkstore::testing::Puts::Full);
    crate::returned::remember(&bench.index, ids).await.unwrap();
    let (mut repair, _) = bench.repair();
    round(&mut repair).await;
    assert_eq!(other.shards(), before, "the other disk is filled");
    let waiting = crate::returned::remembered(&bench.index).await.unwrap();
    assert!(
        waiting.contains(&ids[0]),
        "what is not done stays on the list"
    );
    full.set_puts(chunkstore::testing::Puts::Work);
    for _ in 0..12 {
        round(&mut repair).await;
    }
    assert!(!full.shards().is_empty(), "tried again once there is room");
    assert!(
        crate::returned::remembered(&bench.index)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn shards_missing_at_the_commit_are_rebuilt_and_taken_off_the_list() {
    let bench = Bench::new().await;
    let disk = bench.cluster.disks[1].clone();
    disk.set_puts(chunkstore::testing::Puts::Fail);
    let written = bench.put("key", 5_000_000).await;
    assert!(!written.missing.is_empty());
    let partition = bench.bucket.partition;
    assert!(
        !bench
            .index
            .missing_shards(partition, None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    let (mut repair, _) = bench.repair();
    round(&mut repair).await;
    let listed = bench
        .index
        .missing_shards(partition, None, 10)
        .await
        .unwrap();
    assert!(
        !listed.is_empty(),
        "a disk that takes no writes cannot be repaired"
    );
    disk.set_puts(chunkstore::testing::Puts::Work);
    bench
        .cluster
        .mark(chunkstore::ShardStore::disk(disk.as_ref()), DiskState::Up);
    round(&mut repair).await;
    assert!(
        bench
            .index
            .missing_shards(partition, None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!disk.shards().is_empty());
}

#[tokio::test]
async fn a_damaged_shard_is_mended() {
    let bench = Bench::new().await;
    bench.put("key", 700_000).await;
    let disk = bench.cluster.disks[2].clone();
    let shard = disk
        .shards()
        .into_iter()
        .next()
        .expect("every disk has a shard of a striped object");
    assert!(disk.flip(shard.key, 5));
    let (mut repair, dirty) = bench.repair();
    dirty.add_shard(shard.key);
    round(&mut repair).await;
    assert_eq!(disk.shards().into_iter().next(), Some(shard));
    assert!(dirty.is_empty());
}

#[tokio::test]
async fn abandoned_uploads_are_aborted_when_that_is_asked_for() {
    let mut bench = Bench::new().await;
    let (account, op_id) = ("owner".to_owned(), bench.index.new_op_id());
    let create = index::CreateUpload {
        bucket: &bench.bucket,
        key: "key",
        meta: ObjectMeta {
            account,
            ..Default::default()
        },
        checksum_algorithm: String::new(),
        checksum_type: Default::default(),
        op_id,
    };
    let upload = bench.index.create_upload(create).await.unwrap();
    bench.cluster.clock.advance(30 * 24 * HOUR);
    let is_open = async |bench: &Bench| {
        bench
            .index
            .get_upload(&bench.bucket, "key", upload)
            .await
            .unwrap()
            .is_some()
    };
    round(&mut Housekeeping::new(
        bench.index.clone(),
        bench.config.clone(),
        Arc::default(),
        bench.clock(),
    ))
    .await;
    assert!(
        is_open(&bench).await,
        "without a configured age nothing is aborted"
    );
    bench.config.upload_expiry = Some(7 * 24 * HOUR);
    round(&mut Housekeeping::new(
        bench.index.clone(),
        bench.config.clone(),
        Arc::default(),
        bench.clock(),
    ))
    .await;
    assert!(!is_open(&bench).await);
}
