use super::*;
use crate::chunk_store::ChunkStoreOptions;
use crate::error::WriteError;
use crate::shard::ShardStore;
use crate::testing::{BUCKET, ClusterShape, MANIFEST, MemoryCluster, Puts};
use std::collections::BTreeSet;
use std::time::Duration;
use types::entropy::{Entropy, SeededEntropy};
use types::{DiskState, ErasureProfile};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

fn bytes(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    SeededEntropy::new(5).fill(&mut bytes);
    bytes.into()
}

/// Twelve disks, and 4+2 over six of them in each group.
fn wide_cluster() -> MemoryCluster {
    let mut shape = ClusterShape::of_disks(12);
    shape.striped = ErasureProfile::new(4, 2).unwrap();
    shape.groups = 24;
    MemoryCluster::new(shape)
}

fn writer(cluster: &MemoryCluster, size: Option<u64>) -> ObjectWriter {
    cluster.store.writer(WriteTarget {
        bucket: BUCKET,
        manifest: MANIFEST,
        size,
    })
}

async fn assert_comes_back(cluster: &MemoryCluster, written: &Written, object: &Bytes) {
    assert_eq!(written.length, object.len() as u64);
    let read = cluster.read(written, 0..written.length).await.unwrap();
    assert!(read == *object, "other bytes came back");
}

async fn assert_nothing_is_left(cluster: &MemoryCluster) {
    for _ in 0..200 {
        if cluster.shard_count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} shards are left", cluster.shard_count());
}

#[tokio::test]
async fn every_position_gets_its_shard_and_the_checksums_are_those_of_its_place() {
    let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
    let object = bytes(MIB + 10);
    let written = cluster.write(&object, 100_000).await.unwrap();
    assert_eq!(written.chunks.len(), 1);
    let chunk = &written.chunks[0];
    assert_eq!(chunk.blake3, *blake3::hash(&object).as_bytes());
    assert_eq!(
        (chunk.skip, chunk.written_bytes()),
        (0, object.len() as u64)
    );
    let group = &cluster.store.view().groups[&chunk.pg];
    for (position, disk) in group.disks.iter().enumerate() {
        let shards = cluster.disk(*disk).shards();
        let places: Vec<_> = shards
            .iter()
            .map(|it| (it.key.stripe, it.key.shard))
            .collect();
        assert_eq!(places, [(0, position as u8), (1, position as u8)]);
        for shard in shards {
            let sums = crate::block::checksums(&shard.key, group.profile, &shard.body);
            assert_eq!(shard.block_checksums, sums);
            assert_eq!((shard.bucket, shard.manifest), (BUCKET, MANIFEST));
            assert_eq!(shard.pg_version, group.version);
        }
    }
    let first = cluster.disk(group.disks[1]).shards();
    assert_eq!(first[0].body, object[256 * KIB..512 * KIB]);
    assert_eq!(
        first[1].body,
        object[MIB + 3..MIB + 6],
        "10 bytes in cells of 3"
    );
    let last = cluster.disk(group.disks[3]).shards();
    assert_eq!(last[1].body, [&object[MIB + 9..], &[0, 0]].concat());
}

#[tokio::test]
async fn the_class_follows_from_the_length_however_it_comes() {
    let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
    let small = ChunkStoreOptions::default().small_bytes;
    let class = async |length: usize, size: Option<u64>, piece: usize| {
        let mut writer = writer(&cluster, size);
        let object = bytes(length);
        for piece in object.chunks(piece) {
            writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        let written = writer.finish().await.unwrap();
        assert_comes_back(&cluster, &written, &object).await;
        cluster.store.view().groups[&written.chunks[0].pg].class
    };
    for piece in [1000, MIB] {
        assert_eq!(class(1, None, piece).await, PgClass::Small);
        assert_eq!(class(small, None, piece).await, PgClass::Small);
        assert_eq!(class(small + 1, None, piece).await, PgClass::Striped);
        assert_eq!(
            class(small, Some(small as u64), piece).await,
            PgClass::Small
        );
        let size = small as u64 + 1;
        assert_eq!(class(small + 1, Some(size), piece).await, PgClass::Striped);
        // A size that turns out wrong.
        assert_eq!(class(small + 1, Some(5), piece).await, PgClass::Striped);
        assert_eq!(class(5, Some(size), piece).await, PgClass::Striped);
    }
}

#[tokio::test]
async fn whole_stripes_are_sent_without_a_copy() {
    let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
    let object = bytes(2 * MIB);
    let mut writer = writer(&cluster, None);
    writer.write(object.clone()).await.unwrap();
    let written = writer.finish().await.unwrap();
    let group = &cluster.store.view().groups[&written.chunks[0].pg];
    let shards = cluster.disk(group.disks[1]).shards();
    assert_eq!(shards[0].body.as_ptr(), object[256 * KIB..].as_ptr());
    assert_eq!(shards[1].body.as_ptr(), object[MIB + 256 * KIB..].as_ptr());
}

#[tokio::test]
async fn no_bytes_give_no_chunks() {
    let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
    let mut writer = writer(&cluster, None);
    writer.write(Bytes::new()).await.unwrap();
    assert_eq!(writer.finish().await.unwrap(), Written::default());
    assert_eq!(cluster.shard_count(), 0);
}

#[tokio::test]
async fn chunks_end_at_their_limit_in_whole_stripes() {
    let mut shape = ClusterShape::of_disks(5);
    shape.options.chunk_bytes = 2 * MIB as u64;
    let cluster = MemoryCluster::new(shape);
    let object = bytes(4 * MIB);
    let written = cluster.write(&object, MIB).await.unwrap();
    // 3+2 has stripes of 768 KiB, two of which fit.
    let lengths: Vec<u64> = written
        .chunks
        .iter()
        .map(|chunk| chunk.length / 1024)
        .collect();
    assert_eq!(lengths, [1536, 1536, 1024]);
    assert_comes_back(&cluster, &written, &object).await;
}

#[tokio::test]
async fn a_chunk_whose_group_fails_goes_on_in_another() {
    let cluster = wide_cluster();
    let object = bytes(9 * MIB);
    let mut writer = writer(&cluster, None);
    writer.write(object.slice(..5 * MIB + 7)).await.unwrap();
    let pg = writer.open.as_ref().unwrap().group.record.id;
    let disks = cluster.store.view().groups[&pg].disks.clone();
    for disk in &disks[2..4] {
        cluster.disk(*disk).set_puts(Puts::Fail);
    }
    writer.write(object.slice(5 * MIB + 7..)).await.unwrap();
    let written = writer.finish().await.unwrap();
    assert!(written.chunks.len() >= 2);
    assert_eq!(written.chunks[0].pg, pg);
    let whole_stripes = written.chunks[0].length as usize / MIB;
    assert_eq!(written.chunks[0].length as usize, whole_stripes * MIB);
    assert!((1..=5).contains(&whole_stripes), "{whole_stripes}");
    let ids: BTreeSet<_> = written.chunks.iter().map(|chunk| chunk.id).collect();
    assert_eq!(
        ids.len(),
        written.chunks.len(),
        "chunk ids are not used again"
    );
    let failed: BTreeSet<_> = cluster
        .failures()
        .into_iter()
        .map(|(disk, ..)| disk)
        .collect();
    assert_eq!(failed, disks[2..4].iter().copied().collect());
    assert_comes_back(&cluster, &written, &object).await;
}

/// Callers share memory out by it.
#[tokio::test]
async fn what_goes_back_when_a_group_fails_is_held_still() {
    let cluster = wide_cluster();
    let object = bytes(4 * MIB);
    let mut writer = writer(&cluster, None);
    writer.write(object.slice(..200 * KIB)).await.unwrap();
    assert_eq!(
        (writer.stripes_held(), writer.filling_bytes()),
        (0, 200 * KIB as u64)
    );
    let pg = writer.open.as_ref().unwrap().group.record.id;
    for disk in &cluster.store.view().groups[&pg].disks[2..5] {
        cluster.disk(*disk).set_puts(Puts::Fail);
    }
    writer
        .write(object.slice(200 * KIB..3 * MIB + 5))
        .await
        .unwrap();
    assert_eq!(writer.stripes_held(), 3);
    while writer.settle_oldest().await.unwrap() {}
    assert!(writer.open.is_none(), "the group has failed");
    assert_eq!((writer.stripes_held(), writer.filling_bytes()), (3, 5));
    writer.write(object.slice(3 * MIB + 5..)).await.unwrap();
    let written = writer.finish().await.unwrap();
    assert_comes_back(&cluster, &written, &object).await;
}

#[tokio::test]
async fn one_failed_disk_is_recorded_as_missing() {
    let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
    let object = bytes(3 * MIB + 5);
    let mut writer = writer(&cluster, None);
    writer.write(object.slice(..MIB)).await.unwrap();
    let chunk = (
        writer.touched[0],
        writer.open.as_ref().unwrap().group.clone(),
    );
    writer.settle().await.unwrap();
    cluster.disk(chunk.1.record.disks[4]).set_puts(Puts::Fail);
    writer.write(object.slice(MIB..)).await.unwrap();
    let written = writer.finish().await.unwrap();
    let mut positions = ShardSet::default();
    positions.insert(4);
    let missing = MissingShards {
        pg: chunk.0.0,
        chunk: chunk.0.1,
        first_stripe: 1,
        last_stripe: 3,
        positions,
    };
    assert_eq!(written.missing, [missing]);
    assert_comes_back(&cluster, &written, &object).await;
    let (_, state, _) = &cluster.failures()[0];
    assert_eq!(*state, DiskState::ReadOnly);
}

#[tokio::test]
async fn a_disk_that_hangs_delays_one_stripe_and_is_reported() {
    let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
    cluster.disks[2].set_puts(Puts::Hang);
    let object = bytes(16 * MIB);
    let written = cluster.write(&object, MIB).await.unwrap();
    assert_comes_back(&cluster, &written, &object).await;
    let missing: u64 = written
        .missing
        .iter()
        .map(|it| u64::from(it.last_stripe))
        .sum();
    assert_eq!(missing, 15, "{:?}", written.missing);
    let (puts, _) = cluster.disks[2].seen();
    assert!(puts <= 5, "{puts} puts went to a disk that was late");
    for _ in 0..100 {
        if !cluster.failures().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let failures = cluster.failures();
    assert_eq!(
        (failures[0].0, failures[0].1),
        (cluster.disks[2].disk(), DiskState::Down)
    );
}

#[tokio::test]
async fn hanging_disks_beyond_the_quorum_end_at_the_deadline() {
    let cluster = wide_cluster();
    let object = bytes(2 * MIB);
    let mut writer = writer(&cluster, Some(object.len() as u64));
    writer.open = Some(writer.choose_group(PgClass::Striped).await.unwrap());
    let group = Arc::clone(&writer.open.as_ref().unwrap().group);
    for disk in &group.record.disks[..2] {
        cluster.disk(*disk).set_puts(Puts::Hang);
    }
    writer.write(object.clone()).await.unwrap();
    let written = writer.finish().await.unwrap();
    assert_ne!(written.chunks[0].pg, group.record.id);
    let down: BTreeSet<_> = cluster
        .failures()
        .into_iter()
        .map(|(disk, ..)| disk)
        .collect();
    assert!(
        group.record.disks[..2]
            .iter()
            .all(|disk| down.contains(disk))
    );
    assert_comes_back(&cluster, &written, &object).await;
}

#[tokio::test]
async fn a_stripe_waits_for_the_map_to_give_up_its_failed_disks() {
    // 8+4 acknowledges with 11 while all are up, and with 9 once some are marked.
    let cluster = MemoryCluster::new(ClusterShape::of_disks(12));
    for disk in &cluster.disks[..3] {
        disk.set_puts(Puts::Fail);
    }
    let object = bytes(2 * MIB);
    let written = cluster.write(&object, MIB).await.unwrap();
    assert_eq!(written.chunks.len(), 1);
    assert_eq!(written.missing[0].positions.len(), 3);
    assert_comes_back(&cluster, &written, &object).await;
}

#[tokio::test]
async fn two_disks_that_fail_at_once_do_not_use_up_the_groups_before_the_map_knows() {
    let mut shape = ClusterShape::of_disks(6);
    shape.groups = 100;
    shape.map_delay = Duration::from_millis(50);
    let cluster = MemoryCluster::new(shape);
    for disk in &cluster.disks[..2] {
        disk.set_puts(Puts::Fail);
    }
    let object = bytes(2 * MIB);
    let written = cluster.write(&object, MIB).await.unwrap();
    assert_comes_back(&cluster, &written, &object).await;
}

#[tokio::test]
async fn without_enough_disks_there_is_no_quorum() {
    let mut shape = ClusterShape::of_disks(6);
    shape.options.map_wait = Duration::from_millis(50);
    let cluster = MemoryCluster::new(shape);
    for disk in &cluster.disks {
        disk.set_puts(Puts::Fail);
    }
    let error = cluster.write(&bytes(MIB), MIB).await.unwrap_err();
    assert!(
        matches!(
            error,
            WriteError::NoQuorum {
                class: PgClass::Striped,
                ..
            }
        ),
        "{error}"
    );
    let error = cluster.write(&bytes(1000), MIB).await.unwrap_err();
    let none = WriteError::NoQuorum {
        class: PgClass::Small,
        failed: 0,
        last: "the cluster map has no writable group".to_owned(),
    };
    assert_eq!(error, none);
    assert_nothing_is_left(&cluster).await;
}

#[tokio::test]
async fn what_is_abandoned_or_dropped_or_fails_leaves_nothing() {
    let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
    let object = bytes(3 * MIB + 5);
    for disk in &cluster.disks[..2] {
        disk.set_puts(Puts::Slow(Duration::from_millis(5)));
    }
    let mut first = writer(&cluster, None);
    first.write(object.clone()).await.unwrap();
    first.abandon().await;
    assert_eq!(cluster.shard_count(), 0);
    let mut second = writer(&cluster, None);
    second.write(object.clone()).await.unwrap();
    drop(second);
    tokio::task::yield_now().await;
    assert_nothing_is_left(&cluster).await;
    // A request that is cut off in the middle of a write.
    let cut = async {
        let mut third = writer(&cluster, None);
        for _ in 0..100 {
            third.write(object.clone()).await.unwrap();
        }
    };
    tokio::select! {
        () = cut => panic!("it is cut off before"),
        () = tokio::time::sleep(Duration::from_millis(12)) => {}
    }
    assert_nothing_is_left(&cluster).await;
    let written = cluster.write(&object, MIB).await.unwrap();
    assert_comes_back(&cluster, &written, &object).await;
    cluster.store.abandon(&written.chunks).await;
    assert_eq!(cluster.shard_count(), 0);
    let mut last = writer(&cluster, None);
    last.write(object.clone()).await.unwrap();
    for disk in &cluster.disks {
        disk.set_puts(Puts::Full);
    }
    last.write(object).await.unwrap_or_else(drop);
    let error = last.finish().await.unwrap_err();
    assert!(matches!(error, WriteError::Full { .. }), "{error}");
    assert_nothing_is_left(&cluster).await;
}
