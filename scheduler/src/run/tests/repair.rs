//! Stripes that nobody can rebuild, and disks that are gone, hold up the repair of nothing else.

use super::*;
use chunkstore::testing::{MemoryShards, Puts, Reads};
use chunkstore::{ShardKey, ShardStore};
use std::collections::BTreeSet;
use types::{ChunkRef, DiskId};

impl Bench {
    async fn listed(&self) -> BTreeSet<types::ChunkId> {
        let partition = self.bucket.partition;
        let listed = self.index.missing_shards(partition, None, 1000).await;
        listed.unwrap().iter().map(|entry| entry.chunk).collect()
    }

    /// The disks of a chunk's group, in the order of its shards.
    fn disks_of(&self, chunk: &ChunkRef) -> Vec<Arc<MemoryShards>> {
        let view = self.cluster.store.view();
        let disks = view.groups[&chunk.pg].disks.iter();
        disks
            .map(|disk| Arc::clone(self.cluster.disk(*disk)))
            .collect()
    }

    /// What a delete leaves that all but two disks have heard of; the keys of the shards.
    async fn half_deleted(&self, manifest: u128) -> (ChunkRef, Vec<ShardKey>) {
        let chunk = self.write(ManifestId(manifest), 700_000).await.chunks[0].clone();
        let mut keys = Vec::new();
        for (position, disk) in self.disks_of(&chunk).iter().enumerate() {
            let shards = disk.shards().into_iter().map(|shard| shard.key);
            for key in shards.filter(|key| key.chunk == chunk.id) {
                if position >= 2 {
                    disk.lose(key);
                }
                keys.push(key);
            }
        }
        (chunk, keys)
    }

    /// An object in the group of `chunk` that was committed while the group's last disk took no writes.
    async fn put_short(&self, chunk: &ChunkRef) -> ChunkRef {
        let disk = self.disks_of(chunk).pop().unwrap();
        self.cluster.mark(disk.disk(), DiskState::Down);
        for n in 0..100 {
            let written = self.put(&format!("short{n}"), 700_000).await;
            if written.chunks[0].pg == chunk.pg {
                self.cluster.mark(disk.disk(), DiskState::Up);
                assert!(self.listed().await.contains(&written.chunks[0].id));
                return written.chunks[0].clone();
            }
        }
        panic!("no object came into the group");
    }

    fn shards_of(&self, chunk: &ChunkRef) -> usize {
        let shards = self.cluster.disks.iter().flat_map(|disk| disk.shards());
        let of_chunk = shards.filter(|shard| shard.key.chunk == chunk.id);
        of_chunk
            .map(|shard| shard.key.shard)
            .collect::<BTreeSet<_>>()
            .len()
    }
}

/// Steps until the round is over, `each` after every step; the number of steps.
async fn steps(repair: &mut Repair, mut each: impl FnMut()) -> usize {
    for count in 1..2000 {
        let step = repair.step().await.unwrap();
        each();
        if step == Step::Idle {
            return count;
        }
    }
    panic!("repair never gets idle");
}

/// Findings go to repair, as in the server, and readers find the same stripes wanting again and again.
#[tokio::test]
async fn garbage_that_is_found_again_and_again_holds_up_nothing() {
    let bench = Bench::new().await;
    let (garbage, keys) = bench.half_deleted(99).await;
    let short = bench.put_short(&garbage).await;
    assert!(bench.shards_of(&short) < 6);
    let (mut repair, dirty) = bench.repair();
    let find = || {
        for key in &keys[2..] {
            dirty.add_shard(*key);
        }
        for finding in bench.cluster.take_findings() {
            dirty.add_shard(finding.shard);
        }
    };
    find();
    steps(&mut repair, find).await;
    assert_eq!(bench.shards_of(&short), 6);
    assert_eq!(bench.listed().await, BTreeSet::new());
    let (_, before) = bench.disks_of(&garbage)[0].seen();
    for _ in 0..3 {
        steps(&mut repair, find).await;
    }
    let (_, after) = bench.disks_of(&garbage)[0].seen();
    assert_eq!(after, before, "what is put aside costs the disks nothing");
    assert_eq!(bench.shards_of(&garbage), 2, "and nothing is done to it");
}

/// As above, but there are always others: neither waits until the other has ended.
#[tokio::test]
async fn single_shards_do_not_starve_groups() {
    let bench = Bench::new().await;
    let other = bench.put("other", 700_000).await.chunks[0].clone();
    let short = bench.put_short(&other).await;
    let shard = bench.disks_of(&other)[0].shards()[0].key;
    let (mut repair, dirty) = bench.repair();
    for _ in 0..2000 {
        dirty.add_shard(shard);
        assert_eq!(repair.step().await.unwrap(), Step::More);
        if bench.listed().await.is_empty() {
            assert_eq!(bench.shards_of(&short), 6);
            return;
        }
    }
    panic!("the group had no turn");
}

/// A disk that is dead and garbage in the group: what can be repaired leaves the lists all the same.
#[tokio::test]
async fn lists_are_settled_beside_a_dead_disk_and_garbage() {
    let bench = Bench::new().await;
    let (garbage, _) = bench.half_deleted(99).await;
    let short = bench.put_short(&garbage).await;
    let disks = bench.disks_of(&garbage);
    disks[2].set_reads(Reads::Fail);
    disks[2].set_puts(Puts::Fail);
    bench.cluster.mark(disks[2].disk(), DiskState::Down);
    let back = disks[4].disk();
    crate::returned::remember(&bench.index, [back])
        .await
        .unwrap();
    let (mut repair, _) = bench.repair();
    round(&mut repair).await;
    assert!(bench.shards_of(&short) >= 5);
    assert_eq!(bench.listed().await, BTreeSet::new());
    let remembered = crate::returned::remembered(&bench.index).await.unwrap();
    assert_eq!(remembered, BTreeSet::new());
}

/// A disk in use that does not answer may be the only one to know of a stripe.
#[tokio::test]
async fn lists_are_kept_while_a_disk_in_use_does_not_answer() {
    let bench = Bench::new().await;
    let other = bench.put("other", 700_000).await.chunks[0].clone();
    bench.put_short(&other).await;
    let disks = bench.disks_of(&other);
    let back = disks[4].disk();
    crate::returned::remember(&bench.index, [back])
        .await
        .unwrap();
    disks[2].set_reads(Reads::Fail);
    let (mut repair, _) = bench.repair();
    round(&mut repair).await;
    assert_ne!(bench.listed().await, BTreeSet::new());
    let remembered = || crate::returned::remembered(&bench.index);
    assert_eq!(remembered().await.unwrap(), BTreeSet::from([back]));
    disks[2].set_reads(Reads::Work);
    for _ in 0..=10 {
        round(&mut repair).await;
    }
    assert_eq!(bench.listed().await, BTreeSet::new());
    assert_eq!(remembered().await.unwrap(), BTreeSet::<DiskId>::new());
}

/// Down while the walk passed it, up at the end of the walk.
#[tokio::test]
async fn an_entry_is_never_settled_before_its_shards_are_there() {
    for up_after in 0..10 {
        let bench = Bench::new().await;
        let other = bench.put("other", 700_000).await.chunks[0].clone();
        let short = bench.put_short(&other).await;
        let disk = bench.disks_of(&short).pop().unwrap().disk();
        let (mut repair, dirty) = bench.repair();
        bench.cluster.mark(disk, DiskState::Down);
        dirty.add(short.pg);
        for step in 0.. {
            if step == up_after {
                bench.cluster.mark(disk, DiskState::Up);
            }
            let is_idle = repair.step().await.unwrap() == Step::Idle;
            if !bench.listed().await.contains(&short.id) {
                assert_eq!(bench.shards_of(&short), 6, "up after step {up_after}");
            }
            if is_idle && step > up_after {
                break;
            }
        }
        assert_eq!(bench.shards_of(&short), 6);
        assert_eq!(bench.listed().await, BTreeSet::new());
    }
}

/// The index is away: nothing can be listed, and what was found wanting is mended.
#[tokio::test]
async fn shards_are_mended_while_groups_cannot_be_seen_to() {
    let bench = Bench::new().await;
    for n in 0..40 {
        bench.put(&format!("key{n}"), 300_000).await;
    }
    let disk = bench.cluster.disks[2].clone();
    let before = disk.shards();
    let (mut repair, dirty) = bench.repair();
    for shard in &before {
        assert!(disk.flip(shard.key, 5));
        dirty.add_shard(shard.key);
    }
    let damaged = Bytes::from_static(b"\xff\xff\xff");
    let planted = bench
        .index
        .replace_scheduler_state("returned-disks", None, damaged);
    planted.await.unwrap();
    let mut result = Ok(Step::More);
    while let Ok(Step::More) = result {
        result = repair.step().await;
    }
    assert!(result.is_err(), "the round is given up");
    assert_eq!(disk.shards(), before);
}
