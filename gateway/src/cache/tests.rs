use super::*;
use chunkstore::testing::{ClusterShape, MemoryCluster, Reads};
use futures::future::join_all;

const MIB: u64 = 1024 * 1024;
/// Cells of a full stripe of 4+2 that a read asks for.
const CELLS: u64 = 4;

/// Chunks in memory, and a cache of them.
struct Setup {
    cluster: MemoryCluster,
    budget: MemoryBudget,
    cache: HotCache,
}

impl Setup {
    fn new(memory_bytes: u64) -> Self {
        Self::with(memory_bytes, None, ClusterShape::of_disks(6))
    }

    fn with(memory_bytes: u64, disk: Option<DiskCacheConfig>, shape: ClusterShape) -> Self {
        let cluster = MemoryCluster::new(shape);
        let budget = MemoryBudget::new(256 * MIB, Duration::from_millis(20));
        let config = CacheConfig { memory_bytes, disk };
        let cache = HotCache::open(&config, cluster.store.clone(), budget.clone()).unwrap();
        Self {
            cluster,
            budget,
            cache,
        }
    }

    async fn chunk(&self, length: u64, seed: u8) -> (ChunkRef, Vec<u8>) {
        let byte = |at: u64| (at.wrapping_mul(31) >> 3) as u8 ^ (at >> 16) as u8 ^ seed;
        let bytes: Vec<u8> = (0..length).map(byte).collect();
        let written = self.cluster.write(&bytes.clone().into(), 1 << 20).await;
        let mut chunks = written.unwrap().chunks;
        assert_eq!(chunks.len(), 1);
        (chunks.remove(0), bytes)
    }

    /// All of the range, as far as the cache gives it.
    async fn read(&self, chunk: &ChunkRef, range: Range<u64>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < range.end - range.start {
            let left = range.start + bytes.len() as u64..range.end;
            bytes.extend(self.cache.read(chunk, &left).await?.concat());
        }
        Some(bytes)
    }

    fn shards_read(&self) -> u64 {
        self.cluster.disks.iter().map(|disk| disk.seen().1).sum()
    }

    fn set_reads(&self, reads: Reads) {
        for disk in &self.cluster.disks {
            disk.set_reads(reads);
        }
    }

    fn held_bytes(&self) -> u64 {
        self.cache.0.state.lock().blocks.held_bytes()
    }
}

#[tokio::test]
async fn what_is_read_twice_is_kept_and_gives_every_range() {
    let setup = Setup::new(64 * MIB);
    for length in [17_000, 100_000, MIB - 1, MIB, MIB + 1, 3 * MIB + 70_000] {
        let (chunk, bytes) = setup.chunk(length, 1).await;
        assert_eq!(setup.read(&chunk, 0..length).await, None, "the first time");
        let held = setup.held_bytes();
        assert_eq!(setup.read(&chunk, 0..length).await.unwrap(), bytes);
        assert!(setup.held_bytes() >= held + length);
        let before = setup.shards_read();
        let edges = [
            0,
            1,
            256 << 10,
            (256 << 10) + 1,
            MIB - 1,
            MIB,
            2 * MIB + 5,
            length,
        ];
        for start in edges.into_iter().filter(|start| *start < length) {
            for end in edges
                .into_iter()
                .filter(|end| start < *end && *end <= length)
            {
                let expected = &bytes[start as usize..end as usize];
                let read = setup.read(&chunk, start..end).await.unwrap();
                assert!(read == expected, "{start}..{end} of {length}");
            }
        }
        assert_eq!(setup.shards_read(), before, "from memory alone");
    }
}

#[tokio::test]
async fn a_crowd_reads_a_block_once() {
    let setup = Setup::new(64 * MIB);
    let (chunk, bytes) = setup.chunk(MIB, 2).await;
    setup.set_reads(Reads::Slow(Duration::from_millis(20)));
    assert_eq!(setup.read(&chunk, 0..MIB).await, None);
    let crowd = (0..1000).map(|_| setup.read(&chunk, 0..MIB));
    for read in join_all(crowd).await {
        assert!(read.unwrap() == bytes);
    }
    assert!(setup.shards_read() <= 2 * CELLS, "{}", setup.shards_read());
}

#[tokio::test]
async fn who_leaves_a_fill_takes_it_from_nobody() {
    let setup = Setup::new(64 * MIB);
    let (chunk, bytes) = setup.chunk(MIB, 3).await;
    assert_eq!(setup.read(&chunk, 0..MIB).await, None);
    setup.set_reads(Reads::Slow(Duration::from_millis(10)));
    let first = tokio::time::timeout(Duration::from_millis(1), setup.read(&chunk, 0..MIB));
    assert!(first.await.is_err());
    assert!(setup.read(&chunk, 0..MIB).await.unwrap() == bytes);
}

#[tokio::test]
async fn nobody_waits_long_for_a_fill() {
    let mut shape = ClusterShape::of_disks(6);
    shape.options.read_deadline = FILL_WAIT * 4;
    let setup = Setup::with(64 * MIB, None, shape);
    let (chunk, bytes) = setup.chunk(MIB, 4).await;
    assert_eq!(setup.read(&chunk, 0..MIB).await, None);
    setup.set_reads(Reads::Slow(FILL_WAIT * 5 / 4));
    assert_eq!(setup.read(&chunk, 0..MIB).await, None);
    tokio::time::sleep(FILL_WAIT).await;
    assert!(
        setup.read(&chunk, 0..MIB).await.unwrap() == bytes,
        "it came later"
    );
}

#[tokio::test]
async fn what_cannot_be_verified_does_not_enter() {
    let setup = Setup::new(64 * MIB);
    let free = setup.budget.free_bytes();
    let (chunk, bytes) = setup.chunk(MIB, 5).await;
    assert_eq!(setup.read(&chunk, 0..MIB).await, None);
    setup.set_reads(Reads::Fail);
    assert_eq!(setup.read(&chunk, 0..MIB).await, None);
    setup.set_reads(Reads::Work);
    let damage = |disks: usize| {
        for disk in &setup.cluster.disks[..disks] {
            for shard in disk.shards() {
                disk.flip(shard.key, 100);
            }
        }
    };
    damage(3);
    assert_eq!(setup.read(&chunk, 0..MIB).await, None);
    assert_eq!(setup.held_bytes(), 0);
    // A bit that is flipped again is right again: two damaged disks are one too few to matter.
    damage(1);
    assert!(setup.read(&chunk, 0..MIB).await.unwrap() == bytes);
    // The record of a chunk whose hash is another one: intact blocks, and yet not the right chunk.
    let (mut wrong, _) = setup.chunk(MIB, 6).await;
    wrong.blake3 = [0; 32];
    for _ in 0..2 {
        assert_eq!(setup.read(&wrong, 0..MIB).await, None);
    }
    assert_eq!(setup.budget.free_bytes(), free);
}

#[tokio::test]
async fn without_memory_to_spare_readers_go_past_it() {
    let setup = Setup::new(64 * MIB);
    let (chunk, bytes) = setup.chunk(MIB, 7).await;
    let all = setup.budget.everything();
    for _ in 0..3 {
        assert_eq!(setup.read(&chunk, 0..MIB).await, None);
    }
    drop(all);
    assert!(setup.read(&chunk, 0..MIB).await.unwrap() == bytes);
}

#[tokio::test]
async fn what_is_longer_than_the_cache_drives_nothing_out() {
    let setup = Setup::new(8 * MIB);
    let (hot, bytes) = setup.chunk(MIB, 8).await;
    let (long, _) = setup.chunk(20 * MIB, 9).await;
    for _ in 0..2 {
        setup.read(&hot, 0..MIB).await;
    }
    for _ in 0..4 {
        for at in 0..20 {
            let range = at * MIB..(at + 1) * MIB;
            assert_eq!(setup.read(&long, range).await, None, "{at}");
        }
        assert_eq!(setup.read(&long, 0..20 * MIB).await, None);
    }
    let before = setup.shards_read();
    assert!(setup.read(&hot, 0..MIB).await.unwrap() == bytes);
    assert_eq!(setup.shards_read(), before);
}

#[tokio::test]
async fn memory_is_bounded_and_what_is_read_stays() {
    let setup = Setup::new(8 * MIB);
    let (hot, bytes) = setup.chunk(MIB, 10).await;
    for _ in 0..3 {
        setup.read(&hot, 0..MIB).await;
    }
    for seed in 0..30 {
        let (other, of_other) = setup.chunk(MIB / 2 + 5, seed).await;
        setup.read(&other, 0..other.length).await;
        let read = setup.read(&other, 0..other.length).await;
        assert!(read.unwrap() == of_other);
        assert!(setup.held_bytes() <= 8 * MIB);
        assert!(setup.read(&hot, 0..MIB).await.unwrap() == bytes);
    }
    assert!(setup.held_bytes() > 6 * MIB);
    let before = setup.shards_read();
    assert!(setup.read(&hot, 0..MIB).await.unwrap() == bytes);
    assert_eq!(setup.shards_read(), before);
}

#[tokio::test]
async fn a_part_of_a_piece_keeps_no_more_than_itself() {
    let setup = Setup::new(64 * MIB);
    let (chunk, _) = setup.chunk(MIB, 11).await;
    for _ in 0..2 {
        setup.read(&chunk, 0..MIB).await;
    }
    let whole = setup.cache.read(&chunk, &(0..MIB)).await.unwrap();
    assert!(whole.iter().all(|piece| piece.len() == 256 << 10));
    let inside = |part: &Bytes| {
        whole
            .iter()
            .any(|piece| piece.as_ptr_range().contains(&part.as_ptr()))
    };
    let parts = setup
        .cache
        .read(&chunk, &(5..(256 << 10) + 5))
        .await
        .unwrap();
    assert_eq!(parts.len(), 2);
    assert!(!parts.iter().any(inside) && whole.iter().all(inside));
}

#[tokio::test]
async fn slices_of_chunks_are_left_alone() {
    let setup = Setup::new(64 * MIB);
    let (chunk, _) = setup.chunk(MIB, 12).await;
    let mut slice = chunk.clone();
    (slice.skip, slice.length, slice.full_length) = (100, 1000, chunk.length);
    for _ in 0..3 {
        assert_eq!(setup.read(&slice, 0..1000).await, None);
    }
}

#[tokio::test]
async fn blocks_come_back_from_the_disk_right_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let disk = DiskCacheConfig {
        directory: directory.path().to_owned(),
        bytes: DISK_BYTES_MIN,
    };
    let setup = Setup::with(16 * MIB, Some(disk), ClusterShape::of_disks(6));
    let mut chunks = Vec::new();
    for seed in 0..24 {
        let (chunk, bytes) = setup.chunk(MIB, seed).await;
        setup.read(&chunk, 0..MIB).await;
        assert!(setup.read(&chunk, 0..MIB).await.unwrap() == bytes);
        let key = BlockKey::at(chunk.id, 0);
        while !setup.cache.0.disk.as_ref().unwrap().has(key) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        chunks.push((chunk, bytes));
    }
    // More than the memory holds: the first ones are on disk only.
    let before = setup.shards_read();
    for (chunk, bytes) in &chunks {
        assert!(setup.read(chunk, 0..MIB).await.unwrap() == *bytes);
    }
    assert_eq!(setup.shards_read(), before);
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        for at in (1000..bytes.len()).step_by(300_000) {
            bytes[at] ^= 4;
        }
        std::fs::write(&path, bytes).unwrap();
    }
    for (chunk, bytes) in &chunks {
        assert!(setup.read(chunk, 0..MIB).await.unwrap() == *bytes);
    }
    assert!(
        setup.shards_read() > before,
        "from the chunk store, as nothing else is right"
    );
}
