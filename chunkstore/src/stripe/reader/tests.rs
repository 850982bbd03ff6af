use crate::shard::{ShardKey, ShardRecord, ShardStore};
use crate::testing::{ClusterShape, MemoryCluster, Reads};
use crate::{ReadChunkError, ShardFault, Written};
use bytes::Bytes;
use futures::StreamExt;
use std::time::Duration;
use types::clock::SystemClock;
use types::entropy::{Entropy, SeededEntropy};
use types::{ChunkRef, Clock, DiskState, ErasureProfile, PgId};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

fn bytes(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    SeededEntropy::new(5).fill(&mut bytes);
    bytes.into()
}

/// A cluster of six disks and 4+2 with one object of that length, and the object.
async fn with_object(length: usize) -> (MemoryCluster, Written, Bytes) {
    let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
    let object = bytes(length);
    let written = cluster.write(&object, MIB).await.unwrap();
    (cluster, written, object)
}

/// The key of a shard of a chunk, and the number of the disk that should have it.
fn shard(cluster: &MemoryCluster, chunk: &ChunkRef, stripe: u32, shard: u8) -> (ShardKey, usize) {
    let disk = cluster.store.view().groups[&chunk.pg].disks[usize::from(shard)];
    let number = cluster.disks.iter().position(|it| it.disk() == disk);
    let key = ShardKey {
        pg: chunk.pg,
        chunk: chunk.id,
        stripe,
        shard,
    };
    (key, number.unwrap())
}

fn faults(cluster: &MemoryCluster) -> Vec<(u8, &'static str)> {
    let mut faults: Vec<_> = cluster
        .take_findings()
        .into_iter()
        .map(|finding| match finding.fault {
            ShardFault::Missing => (finding.shard.shard, "missing"),
            ShardFault::Damaged(_) => (finding.shard.shard, "damaged"),
            ShardFault::Unreadable(_) => (finding.shard.shard, "unreadable"),
        })
        .collect();
    faults.sort_unstable();
    faults.dedup();
    faults
}

#[tokio::test]
async fn a_good_read_asks_only_for_the_data_it_needs() {
    let (cluster, written, object) = with_object(MIB).await;
    let chunk = &written.chunks[0];
    let before: u64 = cluster.disks.iter().map(|disk| disk.seen().1).sum();
    let part = cluster.read_chunk(chunk, 250_000..270_000).await.unwrap();
    assert_eq!(part, &object[250_000..270_000]);
    let after: u64 = cluster.disks.iter().map(|disk| disk.seen().1).sum();
    assert_eq!(after - before, 2, "one read of each of two cells");
    cluster.read_chunk(chunk, 0..chunk.length).await.unwrap();
    let all: u64 = cluster.disks.iter().map(|disk| disk.seen().1).sum();
    assert_eq!(all - after, 4, "no parity");
}

#[tokio::test]
async fn two_shards_swapped_are_caught() {
    let (cluster, written, object) = with_object(2 * MIB).await;
    let chunk = &written.chunks[0];
    let ((one, at_one), (other, at_other)) =
        (shard(&cluster, chunk, 1, 0), shard(&cluster, chunk, 1, 3));
    let find = |at: usize, key| {
        let shards = cluster.disks[at].shards();
        shards.into_iter().find(|record| record.key == key).unwrap()
    };
    let (first, second) = (find(at_one, one), find(at_other, other));
    // Once with their names, and once as a disk would find them that mixed up its places.
    cluster.disks[at_one].plant(one, second.clone());
    cluster.disks[at_other].plant(other, first.clone());
    assert_eq!(
        cluster.read_chunk(chunk, 0..chunk.length).await.unwrap(),
        object
    );
    assert_eq!(faults(&cluster), [(0, "damaged"), (3, "damaged")]);
    cluster.disks[at_one].plant(one, ShardRecord { key: one, ..second });
    cluster.disks[at_other].plant(
        other,
        ShardRecord {
            key: other,
            ..first
        },
    );
    assert_eq!(
        cluster.read_chunk(chunk, 0..chunk.length).await.unwrap(),
        object
    );
    assert_eq!(faults(&cluster), [(0, "damaged"), (3, "damaged")]);
}

#[tokio::test]
async fn two_blocks_swapped_are_caught() {
    let (cluster, written, object) = with_object(MIB).await;
    let chunk = &written.chunks[0];
    let (key, at) = shard(&cluster, chunk, 0, 1);
    cluster.disks[at].alter(key, |record| {
        let mut body = record.body.to_vec();
        let (one, other) = body.split_at_mut(64 * KIB);
        one.swap_with_slice(&mut other[64 * KIB..128 * KIB]);
        record.body = body.into();
        record.block_checksums.swap(0, 2);
    });
    let cell = 256 * KIB as u64;
    let whole = cluster.read_chunk(chunk, cell..2 * cell).await.unwrap();
    assert_eq!(whole, &object[256 * KIB..512 * KIB]);
    assert_eq!(faults(&cluster), [(1, "damaged")]);
    // The block between them is intact where it should be.
    let block = cell + 64 * 1024..cell + 128 * 1024;
    cluster.read_chunk(chunk, block).await.unwrap();
    assert_eq!(faults(&cluster), []);
}

#[tokio::test]
async fn disks_in_the_wrong_order_are_caught() {
    let (cluster, written, object) = with_object(MIB).await;
    let chunk = &written.chunks[0];
    let mut view = (*cluster.store.view()).clone();
    view.groups.get_mut(&chunk.pg).unwrap().disks.swap(0, 2);
    cluster.set_view(view.clone());
    assert_eq!(
        cluster.read_chunk(chunk, 0..chunk.length).await.unwrap(),
        object
    );
    assert_eq!(faults(&cluster), [(0, "missing"), (2, "missing")]);
    view.groups.get_mut(&chunk.pg).unwrap().disks.swap(2, 4);
    cluster.set_view(view);
    let wrong = cluster.read_chunk(chunk, 0..chunk.length).await;
    assert!(
        matches!(wrong, Err(ReadChunkError::Unreadable { intact: 3, .. })),
        "{wrong:?}"
    );
}

#[tokio::test]
async fn the_last_bytes_are_held_back_until_the_whole_is_known_to_be_right() {
    let (cluster, written, object) = with_object(MIB + 1000).await;
    let mut chunk = written.chunks[0].clone();
    chunk.blake3[0] ^= 1;
    let stream = cluster.store.read(chunk.clone(), 0..chunk.length);
    let pieces: Vec<_> = stream.collect().await;
    let (last, given) = pieces.split_last().unwrap();
    let (pg, id) = (chunk.pg, chunk.id);
    assert_eq!(last, &Err(ReadChunkError::Damaged { pg, chunk: id }));
    let given: Vec<u8> = given
        .iter()
        .flat_map(|piece| piece.clone().unwrap())
        .collect();
    assert!(given.len() < object.len());
    assert!(object.starts_with(&given));
}

#[tokio::test]
async fn an_error_comes_before_any_byte_of_its_stripe_and_ends_the_stream() {
    let (cluster, written, object) = with_object(4 * MIB).await;
    let chunk = &written.chunks[0];
    for position in 1..4 {
        let (key, at) = shard(&cluster, chunk, 2, position);
        assert!(cluster.disks[at].lose(key));
    }
    let stream = cluster.store.read(chunk.clone(), 0..chunk.length);
    let pieces: Vec<_> = stream.collect().await;
    let (last, given) = pieces.split_last().unwrap();
    assert!(matches!(
        last,
        Err(ReadChunkError::Unreadable {
            stripe: 2,
            intact: 3,
            ..
        })
    ));
    let given: Vec<u8> = given
        .iter()
        .flat_map(|piece| piece.clone().unwrap())
        .collect();
    assert_eq!(given, &object[..2 * MIB]);
}

#[tokio::test]
async fn a_slice_of_a_chunk_is_read_like_a_chunk() {
    let (cluster, written, object) = with_object(3 * MIB).await;
    let slice = ChunkRef {
        skip: 500_000,
        length: 2_000_000,
        full_length: written.chunks[0].length,
        ..written.chunks[0].clone()
    };
    let all = cluster.read_chunk(&slice, 0..2_000_000).await.unwrap();
    assert_eq!(all, &object[500_000..2_500_000]);
    let part = cluster
        .read_chunk(&slice, 1_999_999..2_000_000)
        .await
        .unwrap();
    assert_eq!(part, &object[2_499_999..2_500_000]);
    assert_eq!(cluster.read_chunk(&slice, 7..7).await.unwrap(), []);
}

#[tokio::test]
async fn references_that_cannot_be_are_refused() {
    let (cluster, written, _) = with_object(MIB).await;
    let chunk = &written.chunks[0];
    let read = async |chunk: &ChunkRef, range| cluster.read_chunk(chunk, range).await.unwrap_err();
    let is_bad = |error| matches!(error, ReadChunkError::BadRange { .. });
    assert!(is_bad(read(chunk, 0..chunk.length + 1).await));
    #[allow(clippy::reversed_empty_ranges, reason = "this is what is tested")]
    let reversed = 5..4;
    assert!(is_bad(read(chunk, reversed).await));
    let slice = |skip, length, full_length| ChunkRef {
        skip,
        length,
        full_length,
        ..chunk.clone()
    };
    assert!(is_bad(
        read(&slice(1, chunk.length, chunk.length), 0..1).await
    ));
    assert!(is_bad(read(&slice(u64::MAX, 2, chunk.length), 0..1).await));
    assert!(is_bad(read(&slice(0, u64::MAX, 0), 0..1).await));
    let elsewhere = ChunkRef {
        pg: PgId(999),
        ..chunk.clone()
    };
    let error = read(&elsewhere, 0..1).await;
    assert!(matches!(
        error,
        ReadChunkError::NoSuchGroup { pg: PgId(999), .. }
    ));
    // A length other than the one that was written is another stripe than the disks have.
    let error = read(&slice(0, 900_000, 0), 0..900_000).await;
    assert!(matches!(error, ReadChunkError::Unreadable { .. }));
}

#[tokio::test]
async fn a_disk_that_hangs_costs_one_read_its_time_and_is_reported() {
    let (cluster, written, object) = with_object(8 * MIB).await;
    let chunk = &written.chunks[0];
    let (_, at) = shard(&cluster, chunk, 0, 2);
    cluster.disks[at].set_reads(Reads::Hang);
    let clock = SystemClock::new();
    assert_eq!(
        cluster.read_chunk(chunk, 0..chunk.length).await.unwrap(),
        object
    );
    let took = clock.monotonic();
    // With a wait of 20 ms for each of eight stripes, two at a time, it would take 80 ms more.
    let (_, reads) = cluster.disks[at].seen();
    assert!(
        reads <= 2,
        "{reads} reads went to a disk that was late, in {took:?}"
    );
    for _ in 0..100 {
        if !cluster.failures().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let failures = cluster.failures();
    assert_eq!(failures[0].0, cluster.disks[at].disk());
    assert_eq!(failures[0].1, DiskState::Down);
}

#[tokio::test]
async fn a_slow_disk_is_not_waited_for() {
    let mut shape = ClusterShape::of_disks(3);
    shape.striped = ErasureProfile::new(2, 1).unwrap();
    shape.options.read_deadline = Duration::from_secs(60);
    let cluster = MemoryCluster::new(shape);
    let object = bytes(512 * KIB);
    let written = cluster.write(&object, MIB).await.unwrap();
    let chunk = &written.chunks[0];
    let (_, at) = shard(&cluster, chunk, 0, 0);
    cluster.disks[at].set_reads(Reads::Slow(Duration::from_secs(30)));
    let read = cluster.read_chunk(chunk, 0..chunk.length);
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    assert_eq!(read.expect("others are asked").unwrap(), object);
    // When the others do not suffice, it is.
    let (key, other) = shard(&cluster, chunk, 0, 2);
    cluster.disks[other].lose(key);
    cluster.disks[at].set_reads(Reads::Slow(Duration::from_millis(100)));
    assert_eq!(
        cluster.read_chunk(chunk, 0..chunk.length).await.unwrap(),
        object
    );
    assert_eq!(faults(&cluster), [(2, "missing")]);
}
