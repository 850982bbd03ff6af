use super::*;
use crate::shard::ShardRecord;
use crate::testing::{BUCKET, ClusterShape, MANIFEST, MemoryCluster, Puts, Reads};
use crate::{ReadChunkError, WriteError};
use proptest::prelude::*;
use types::ErasureProfile;
use types::entropy::{Entropy, SeededEntropy};

mod real_disks;

const MIB: usize = 1024 * 1024;

fn bytes(length: usize, seed: u64) -> Bytes {
    let mut bytes = vec![0; length];
    SeededEntropy::new(seed).fill(&mut bytes);
    bytes.into()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(future)
}

/// As many disks as the profile has shards, so that a fault on a disk concerns every group.
fn cluster((data, parity): (u8, u8)) -> MemoryCluster {
    let striped = ErasureProfile::new(data, parity).unwrap();
    let mut shape = ClusterShape::of_disks(striped.shards());
    shape.striped = striped;
    // Four full stripes of the widest profile, so that objects of these tests have several chunks.
    shape.options.chunk_bytes = 2 * MIB as u64 + 4000;
    MemoryCluster::new(shape)
}

fn profiles() -> impl Strategy<Value = (u8, u8)> {
    prop::sample::select(vec![(1, 0), (1, 1), (1, 2), (2, 2), (3, 2), (4, 2), (8, 4)])
}

/// Lengths around the edges of blocks, cells, stripes, chunks and the small-object limit.
fn lengths() -> impl Strategy<Value = usize> {
    let edges = vec![
        0,
        1,
        64 * 1024,
        128 * 1024,
        256 * 1024,
        512 * 1024,
        MIB,
        2 * MIB,
        4 * MIB,
    ];
    let near = (prop::sample::select(edges), -9_isize..10)
        .prop_map(|(edge, by)| edge.saturating_add_signed(by));
    prop_oneof![3 => near, 1 => 0..5 * MIB]
}

fn range(length: usize, (one, other): (prop::sample::Index, prop::sample::Index)) -> Range<u64> {
    let (one, other) = (one.index(length + 1) as u64, other.index(length + 1) as u64);
    one.min(other)..one.max(other)
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Wiped,
    Damaged,
    Fails,
    Hangs,
    Slow,
    MarkedDown,
}

fn read_faults() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![
        Fault::Wiped,
        Fault::Damaged,
        Fault::Fails,
        Fault::Hangs,
        Fault::Slow,
        Fault::MarkedDown,
    ])
}

fn inflict(cluster: &MemoryCluster, number: usize, fault: Fault) {
    let disk = &cluster.disks[number];
    match fault {
        Fault::Wiped => disk.wipe(),
        Fault::Damaged => {
            for (at, ShardRecord { key, .. }) in disk.shards().into_iter().enumerate() {
                assert!(disk.flip(key, at * 7919));
            }
        }
        Fault::Fails => disk.set_reads(Reads::Fail),
        Fault::Hangs => disk.set_reads(Reads::Hang),
        Fault::Slow => disk.set_reads(Reads::Slow(Duration::from_millis(60))),
        Fault::MarkedDown => {
            disk.set_reads(Reads::Hang);
            cluster.mark(disk.disk(), DiskState::Down);
        }
    }
}

/// `count` different numbers below `n`.
fn some_of(n: usize, count: usize, seed: u64) -> Vec<usize> {
    let entropy = SeededEntropy::new(seed);
    let mut all: Vec<usize> = (0..n).collect();
    all.sort_by_cached_key(|_| entropy.next_u64());
    all.truncate(count);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_range_of_any_object_comes_back(
        profile in profiles(),
        length in lengths(),
        piece in prop::sample::select(vec![5 * MIB, MIB, 256 * 1024, 70_001]),
        at: (prop::sample::Index, prop::sample::Index),
    ) {
        run(async {
            let cluster = cluster(profile);
            let object = bytes(length, 1);
            let written = cluster.write(&object, piece).await.unwrap();
            prop_assert_eq!(written.length, length as u64);
            prop_assert_eq!(&written.missing, &[]);
            prop_assert_eq!(written.chunks.iter().map(|chunk| chunk.length).sum::<u64>(), length as u64);
            prop_assert_eq!(written.oldest_ms, if length == 0 { 0 } else { cluster.clock.now_ms() });
            prop_assert_eq!(cluster.read(&written, 0..length as u64).await.unwrap(), &object[..]);
            let range = range(length, at);
            let part = &object[range.start as usize..range.end as usize];
            prop_assert_eq!(cluster.read(&written, range).await.unwrap(), part);
            prop_assert_eq!(cluster.take_findings(), []);
            Ok(())
        })?;
    }

    #[test]
    fn faults_of_up_to_m_disks_are_read_through(
        profile in profiles(),
        length in 1..3 * MIB,
        faults in prop::collection::vec(read_faults(), 4),
        seed: u64,
        at: (prop::sample::Index, prop::sample::Index),
    ) {
        run(async {
            let cluster = cluster(profile);
            let object = bytes(length, seed);
            let written = cluster.write(&object, MIB).await.unwrap();
            // Small objects have up to three copies, whatever the striped profile.
            let small = cluster.store.view().map.clusters[0].small;
            let count = usize::from(profile.1).min(small.parity());
            let numbers = some_of(cluster.disks.len(), count, seed);
            for (number, fault) in numbers.iter().zip(faults) {
                inflict(&cluster, *number, fault);
            }
            prop_assert_eq!(cluster.read(&written, 0..length as u64).await.unwrap(), &object[..]);
            let range = range(length, at);
            let part = &object[range.start as usize..range.end as usize];
            prop_assert_eq!(cluster.read(&written, range).await.unwrap(), part);
            Ok(())
        })?;
    }

    #[test]
    fn beyond_m_faults_there_is_an_error_and_never_a_wrong_byte(
        profile in profiles(),
        length in 300 * 1024..3 * MIB,
        faults in prop::collection::vec(
            prop::sample::select(vec![Fault::Wiped, Fault::Damaged, Fault::Fails]), 5),
        seed: u64,
        at: (prop::sample::Index, prop::sample::Index),
    ) {
        run(async {
            let cluster = cluster(profile);
            let object = bytes(length, seed);
            let written = cluster.write(&object, MIB).await.unwrap();
            let numbers = some_of(cluster.disks.len(), usize::from(profile.1) + 1, seed);
            for (number, fault) in numbers.iter().zip(faults) {
                inflict(&cluster, *number, fault);
            }
            for chunk in &written.chunks {
                let all = cluster.read_chunk(chunk, 0..chunk.length).await;
                let is_unreadable = matches!(all, Err(ReadChunkError::Unreadable { stripe: 0, .. }));
                prop_assert!(is_unreadable, "{:?}", all.err());
            }
            // A range that needs none of the lost cells may yet be read.
            let range = range(length, at);
            if let Ok(part) = cluster.read(&written, range.clone()).await {
                prop_assert_eq!(&part[..], &object[range.start as usize..range.end as usize]);
            }
            Ok(())
        })?;
    }

    #[test]
    fn writes_go_on_with_up_to_m_faulty_disks(
        profile in profiles(),
        length in 1..3 * MIB,
        faults in prop::collection::vec(
            prop::sample::select(vec![Puts::Fail, Puts::ReadOnly, Puts::Hang, Puts::Lose,
                Puts::Slow(Duration::from_millis(60))]), 4),
        seed: u64,
    ) {
        run(async {
            let cluster = cluster(profile);
            let object = bytes(length, seed);
            let count = usize::from(profile.1);
            let small = cluster.store.view().map.clusters[0].small;
            let is_small = length <= cluster.store.inner.options.small_bytes;
            let count = if is_small { count.min(small.parity()) } else { count };
            let numbers = some_of(cluster.disks.len(), count, seed);
            for (number, fault) in numbers.iter().zip(faults) {
                cluster.disks[*number].set_puts(fault);
            }
            let written = cluster.write(&object, MIB).await.unwrap();
            prop_assert_eq!(written.length, length as u64);
            prop_assert_eq!(cluster.read(&written, 0..length as u64).await.unwrap(), &object[..]);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn full_disks_end_writes_and_nothing_else() {
    let cluster = cluster((4, 2));
    let object = bytes(2 * MIB, 1);
    let written = cluster.write(&object, MIB).await.unwrap();
    for disk in &cluster.disks[..2] {
        disk.set_puts(Puts::Full);
    }
    let refused = cluster.write(&object, MIB).await;
    assert!(
        matches!(refused, Err(WriteError::Full { .. })),
        "{refused:?}"
    );
    assert_eq!(cluster.failures(), [], "a full disk has not failed");
    assert_eq!(
        cluster
            .read(&written, 0..object.len() as u64)
            .await
            .unwrap(),
        object
    );
    for chunk in &written.chunks {
        cluster.store.delete(chunk).await.unwrap();
    }
    assert_eq!(
        cluster.shard_count(),
        0,
        "nothing is left of what was refused"
    );
}

#[tokio::test]
async fn a_group_with_a_full_disk_is_passed_over() {
    let mut shape = ClusterShape::of_disks(6);
    shape.striped = ErasureProfile::new(1, 2).unwrap();
    shape.groups = 40;
    let cluster = MemoryCluster::new(shape);
    cluster.disks[0].set_capacity(1000);
    for seed in 0..20 {
        let object = bytes(300_000, seed);
        let written = cluster.write(&object, MIB).await.unwrap();
        assert_eq!(written.missing, []);
    }
    assert_eq!(cluster.disks[0].seen().0, 0);
}

#[tokio::test]
async fn a_delete_that_misses_a_disk_says_so_and_can_be_repeated() {
    let cluster = cluster((4, 2));
    let written = cluster.write(&bytes(MIB, 1), MIB).await.unwrap();
    let chunk = &written.chunks[0];
    cluster.disks[1].set_reads(Reads::Fail);
    cluster.disks[4].set_reads(Reads::Hang);
    let Err(DeleteChunkError::Partial { disks, .. }) = cluster.store.delete(chunk).await else {
        panic!("two disks did not delete")
    };
    let mut disks: Vec<DiskId> = disks.into_iter().map(|(disk, _)| disk).collect();
    disks.sort_unstable();
    assert_eq!(disks, [DiskId(2), DiskId(5)]);
    assert_eq!(cluster.shard_count(), 2);
    cluster.disks[1].set_reads(Reads::Work);
    cluster.mark(DiskId(5), DiskState::Removed);
    cluster.store.delete(chunk).await.unwrap();
    let gone = cluster.read_chunk(chunk, 0..chunk.length).await;
    assert!(matches!(gone, Err(ReadChunkError::Unreadable { .. })));
}

#[tokio::test]
async fn the_chunks_of_a_group_are_listed_over_all_its_disks_page_by_page() {
    let cluster = cluster((1, 2));
    let written = cluster.write(&bytes(300_000, 1), MIB).await.unwrap();
    let pg = written.chunks[0].pg;
    let sample = cluster.disks[0].shards().remove(0);
    // Each chunk is on one disk only; the first disk's are three pages by themselves.
    let mut expected = vec![written.chunks[0].id];
    for number in 0..3000_u128 {
        let disk = if number % 10 == 0 { 1 } else { 0 };
        let key = ShardKey {
            chunk: ChunkId(number / 2),
            stripe: (number % 2) as u32,
            ..sample.key
        };
        let record = ShardRecord {
            key,
            ..sample.clone()
        };
        cluster.disks[disk].plant(key, record);
        expected.push(key.chunk);
    }
    expected.sort_unstable();
    expected.dedup();
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = cluster.store.list_chunks(pg, after).await.unwrap();
        assert_eq!(page.unlisted, []);
        let is_ours = |chunk: &StoredChunk| (chunk.bucket, chunk.manifest) == (BUCKET, MANIFEST);
        assert!(page.chunks.iter().all(is_ours));
        found.extend(page.chunks.iter().map(|chunk| chunk.id));
        (after, pages) = (page.next, pages + 1);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
    assert!(pages >= 3);
    cluster.disks[2].set_reads(Reads::Fail);
    let page = cluster.store.list_chunks(pg, None).await.unwrap();
    assert_eq!(page.unlisted[0].0, DiskId(3));
    for disk in &cluster.disks {
        disk.set_reads(Reads::Fail);
    }
    let none = cluster.store.list_chunks(pg, None).await;
    assert!(matches!(none, Err(ListChunksError::NoDisk { .. })));
    let none = cluster.store.list_chunks(PgId(999), None).await;
    assert_eq!(none, Err(ListChunksError::NoSuchGroup { pg: PgId(999) }));
}

/// A zone that is cut off: its disks are known to be unreachable at once, the map says so soon, and nothing waits
/// for a deadline.
#[test]
fn disks_that_cannot_be_reached_cost_no_deadline() {
    run(async {
        let mut shape = ClusterShape::of_disks(6);
        shape.options.put_deadline = std::time::Duration::from_secs(60);
        shape.options.read_deadline = std::time::Duration::from_secs(60);
        shape.options.hedge_after = std::time::Duration::from_secs(60);
        let cluster = MemoryCluster::new(shape);
        let body = bytes(3 * MIB, 5);
        let before = cluster.write(&body, MIB).await.unwrap();
        let cut_off = &cluster.disks[4];
        cut_off.set_puts(Puts::Unreachable);
        cut_off.set_reads(Reads::Unreachable);
        let during = tokio::time::timeout(std::time::Duration::from_secs(10), async {
            let during = cluster.write(&body, MIB).await.unwrap();
            for written in [&before, &during] {
                assert_eq!(
                    cluster.read(written, 0..body.len() as u64).await.unwrap(),
                    body
                );
            }
            during
        });
        let during = during.await.expect("no deadline was waited for");
        assert!(
            !during.missing.is_empty(),
            "what was not stored is noted for repair"
        );
        assert!(
            cluster
                .failures()
                .iter()
                .all(|(disk, ..)| *disk == cut_off.disk())
        );
        assert_eq!(
            cluster.take_findings(),
            [],
            "a cut connection is no fault of a shard"
        );
    });
}

/// A node that hangs: once the map says so, what it has been sent keeps nobody waiting.
#[tokio::test]
async fn a_disk_that_the_map_gives_up_is_not_waited_for() {
    let mut shape = ClusterShape::of_disks(6);
    shape.options.straggler_wait = std::time::Duration::from_secs(60);
    shape.options.put_deadline = std::time::Duration::from_secs(60);
    let cluster = Arc::new(MemoryCluster::new(shape));
    let hangs = &cluster.disks[4];
    hangs.set_puts(Puts::Hang);
    let writing = Arc::clone(&cluster);
    let writes = tokio::spawn(async move { writing.write(&bytes(MIB, 5), MIB).await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!writes.is_finished());
    cluster.mark(hangs.disk(), types::DiskState::Down);
    let written = tokio::time::timeout(std::time::Duration::from_secs(20), writes);
    let written = written.await.expect("no wait").unwrap().unwrap();
    assert!(!written.missing.is_empty());
}

/// The disk's node has a newer map than the writer: the chunk goes on in another group, and the disk is not blamed.
#[test]
fn a_writer_with_an_old_map_goes_on_elsewhere() {
    run(async {
        let cluster = MemoryCluster::new(ClusterShape::of_disks(9));
        let moved = &cluster.disks[0];
        moved.set_puts(Puts::OldGroup);
        let body = bytes(8 * MIB, 6);
        let written = cluster.write(&body, MIB).await.unwrap();
        assert_eq!(
            cluster.read(&written, 0..body.len() as u64).await.unwrap(),
            body
        );
        assert_eq!(cluster.failures(), []);
    });
}

#[test]
fn a_disk_that_is_added_later_is_used_and_one_that_is_removed_is_not() {
    run(async {
        let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
        let last = Arc::clone(&cluster.disks[5]);
        cluster.store.remove_disk(last.disk());
        let body = bytes(MIB, 7);
        let without = cluster.write(&body, MIB).await.unwrap();
        assert_eq!(last.shards().len(), 0);
        assert!(!without.missing.is_empty());
        cluster.mark(last.disk(), DiskState::Up);
        cluster.store.add_disk(Arc::clone(&last) as _);
        let with = cluster.write(&body, MIB).await.unwrap();
        assert_eq!(with.missing, []);
        assert_ne!(last.shards().len(), 0);
        for written in [&without, &with] {
            assert_eq!(cluster.read(written, 0..MIB as u64).await.unwrap(), body);
        }
    });
}
