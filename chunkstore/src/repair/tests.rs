use super::*;
use crate::shard::ShardStore;
use crate::stripe::writer::Written;
use crate::testing::{ClusterShape, MemoryCluster, Puts, Reads};
use std::time::Duration;
use types::DiskState;
use types::entropy::{Entropy, SeededEntropy};

const MIB: usize = 1024 * 1024;

fn bytes(length: usize, seed: u64) -> Bytes {
    let mut bytes = vec![0; length];
    SeededEntropy::new(seed).fill(&mut bytes);
    bytes.into()
}

/// Six disks with some objects, small and large.
async fn with_objects() -> (MemoryCluster, Vec<(Written, Bytes)>) {
    let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
    let mut objects = Vec::new();
    for (seed, length) in (0..).zip([
        1,
        1000,
        100_000,
        200_000,
        MIB,
        2 * MIB + 1,
        3 * MIB - 70_000,
    ]) {
        let object = bytes(length, seed);
        objects.push((cluster.write(&object, MIB).await.unwrap(), object));
    }
    (cluster, objects)
}

/// Repairs every position of one disk; the reports added up.
async fn repair_disk(cluster: &MemoryCluster, disk: DiskId, scope: RepairScope) -> RepairReport {
    let mut sum = RepairReport::default();
    let view = cluster.store.view();
    for (group, position) in view.on_disk(disk) {
        let mut scope = scope;
        loop {
            let report = cluster
                .store
                .repair_group(group.id, position, scope)
                .await
                .unwrap();
            sum.stripes += report.stripes;
            sum.rebuilt += report.rebuilt;
            sum.rebuilt_bytes += report.rebuilt_bytes;
            sum.unrecoverable.extend(report.unrecoverable);
            scope.from = report.next;
            if scope.from.is_none() {
                break;
            }
        }
    }
    sum
}

async fn assert_all_come_back(cluster: &MemoryCluster, objects: &[(Written, Bytes)]) {
    for (written, object) in objects {
        let read = cluster.read(written, 0..written.length).await.unwrap();
        assert!(read == *object, "other bytes came back");
    }
}

#[tokio::test]
async fn a_wiped_disk_gets_every_shard_back() {
    let (cluster, objects) = with_objects().await;
    let before: Vec<_> = cluster.disks.iter().map(|disk| disk.shards()).collect();
    for (number, shards) in before.iter().enumerate() {
        cluster.disks[number].wipe();
        // Small steps, so that each call goes on where the one before stopped.
        let scope = RepairScope {
            bytes_max: if number % 2 == 0 { 1 } else { u64::MAX },
            ..Default::default()
        };
        let report = repair_disk(&cluster, cluster.disks[number].disk(), scope).await;
        assert_eq!(&cluster.disks[number].shards(), shards, "disk {number}");
        assert_eq!(report.rebuilt, shards.len() as u64);
        assert_eq!(report.unrecoverable, []);
    }
    assert_eq!(cluster.take_findings(), []);
    // Nothing is left to do.
    let report = repair_disk(&cluster, DiskId(1), RepairScope::default()).await;
    assert_eq!(report.rebuilt, 0);
    assert!(report.stripes > 0);
    // Full redundancy: the data can be read with any other two disks gone.
    cluster.disks[3].set_reads(Reads::Fail);
    cluster.disks[4].set_reads(Reads::Fail);
    assert_all_come_back(&cluster, &objects).await;
}

#[tokio::test]
async fn a_deep_repair_replaces_damaged_shards_and_a_plain_one_does_not_look() {
    let (cluster, objects) = with_objects().await;
    let before = cluster.disks[2].shards();
    for shard in before.iter().step_by(2) {
        assert!(cluster.disks[2].flip(shard.key, 77));
    }
    let damaged = cluster.disks[2].shards();
    repair_disk(&cluster, DiskId(3), RepairScope::default()).await;
    assert_eq!(cluster.disks[2].shards(), damaged);
    let deep = RepairScope {
        deep: true,
        ..Default::default()
    };
    let report = repair_disk(&cluster, DiskId(3), deep).await;
    assert_eq!(report.rebuilt, before.len().div_ceil(2) as u64);
    assert_eq!(cluster.disks[2].shards(), before);
    assert_all_come_back(&cluster, &objects).await;
}

#[tokio::test]
async fn what_cannot_be_rebuilt_is_listed_and_left_alone() {
    let (cluster, objects) = with_objects().await;
    let chunk = &objects[5].0.chunks[0];
    let disks = cluster.store.view().groups[&chunk.pg].disks.clone();
    let key = |shard: usize| ShardKey {
        pg: chunk.pg,
        chunk: chunk.id,
        stripe: 1,
        shard: shard as u8,
    };
    for (shard, disk) in disks.iter().enumerate().take(3) {
        assert!(cluster.disk(*disk).lose(key(shard)));
    }
    let count = cluster.shard_count();
    // Reads have no part in it: what they find of a stripe that is garbage would be asked of repair again.
    let repair = cluster
        .store
        .repair_group(chunk.pg, 1, RepairScope::default());
    let report = repair.await.unwrap();
    assert_eq!(cluster.take_findings(), []);
    assert!(
        !report.unrecoverable[0].may_return,
        "every disk has answered"
    );
    let lost: Vec<_> = report
        .unrecoverable
        .iter()
        .map(|it| (it.chunk, it.stripe))
        .collect();
    assert_eq!(lost, [(chunk.id, 1)]);
    assert_eq!(report.unrecoverable[0].intact, 3);
    assert_eq!((report.rebuilt, cluster.shard_count()), (0, count));
}

#[tokio::test]
async fn a_stripe_may_return_with_a_disk_that_did_not_answer_and_a_disk_that_is_down_is_not_asked()
{
    let (cluster, objects) = with_objects().await;
    let chunk = &objects[5].0.chunks[0];
    let disks = cluster.store.view().groups[&chunk.pg].disks.clone();
    for (shard, disk) in disks.iter().enumerate().take(3) {
        let key = ShardKey {
            pg: chunk.pg,
            chunk: chunk.id,
            stripe: 1,
            shard: shard as u8,
        };
        assert!(cluster.disk(*disk).lose(key));
    }
    let repair = async || {
        let scope = RepairScope::default();
        let report = cluster.store.repair_group(chunk.pg, 0, scope).await;
        report.unwrap()
    };
    cluster.mark(disks[4], DiskState::Down);
    let report = repair().await;
    assert_eq!(report.unlisted, [], "nobody expects an answer of it");
    assert!(!report.unrecoverable[0].may_return);
    cluster.mark(disks[4], DiskState::Up);
    cluster
        .disk(disks[4])
        .set_reads(Reads::Slow(Duration::from_secs(5)));
    let report = repair().await;
    assert_eq!(report.unlisted.len(), 1);
    assert!(report.unrecoverable[0].may_return);
}

#[tokio::test]
async fn a_damaged_peer_is_not_built_upon() {
    let (cluster, objects) = with_objects().await;
    let chunk = &objects[4].0.chunks[0];
    let disks = cluster.store.view().groups[&chunk.pg].disks.clone();
    let of_chunk = |disk: DiskId| {
        let shards = cluster.disk(disk).shards();
        shards
            .into_iter()
            .find(|shard| shard.key.chunk == chunk.id)
            .unwrap()
    };
    let (target, peer) = (of_chunk(disks[5]), of_chunk(disks[0]));
    assert!(cluster.disk(disks[5]).lose(target.key));
    assert!(cluster.disk(disks[0]).flip(peer.key, 200_000));
    let repair = cluster
        .store
        .repair_group(chunk.pg, 5, RepairScope::default());
    assert_eq!(repair.await.unwrap().rebuilt, 1);
    assert_eq!(of_chunk(disks[5]), target);
    assert_eq!(cluster.take_findings().len(), 1, "the damage was reported");
}

#[tokio::test]
async fn a_position_that_cannot_be_repaired_is_refused() {
    let (cluster, _) = with_objects().await;
    let view = cluster.store.view();
    let (group, position) = view.on_disk(DiskId(2)).next().unwrap();
    let repair = async |pg, position| {
        let repair = cluster
            .store
            .repair_group(pg, position, RepairScope::default());
        repair.await.unwrap_err()
    };
    let is_target = |error| {
        matches!(
            error,
            RepairError::Target {
                disk: DiskId(2),
                ..
            }
        )
    };
    assert!(matches!(
        repair(group.id, 6).await,
        RepairError::NoSuchPosition { .. }
    ));
    assert!(matches!(
        repair(PgId(99), 0).await,
        RepairError::NoSuchPosition { .. }
    ));
    cluster.disks[1].wipe();
    for puts in [Puts::Fail, Puts::Hang, Puts::Full, Puts::Lose] {
        cluster.disks[1].set_puts(puts);
        let (group, position) = view
            .on_disk(DiskId(2))
            .find(|(group, _)| {
                cluster.disks[0]
                    .shards()
                    .iter()
                    .any(|it| it.key.pg == group.id)
            })
            .unwrap();
        assert!(is_target(repair(group.id, position).await), "{puts:?}");
        cluster.mark(DiskId(2), DiskState::Up);
    }
    cluster.disks[1].set_reads(Reads::Fail);
    assert!(is_target(repair(group.id, position).await));
    cluster.disks[1].set_reads(Reads::Work);
    cluster.mark(DiskId(2), DiskState::Down);
    assert!(is_target(repair(group.id, position).await));
    cluster.mark(DiskId(2), DiskState::Up);
    for disk in &cluster.disks[2..] {
        disk.set_reads(Reads::Fail);
    }
    assert!(matches!(
        repair(group.id, position).await,
        RepairError::TooFewPeers { .. }
    ));
}

#[tokio::test]
async fn a_disk_wiped_under_load_is_repaired() {
    let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
    for disk in &cluster.disks {
        disk.set_puts(Puts::Slow(Duration::from_millis(1)));
    }
    let write = async {
        let mut objects = Vec::new();
        for seed in 0..40 {
            let object = bytes(150_000 + 20_000 * seed as usize, seed);
            objects.push((cluster.write(&object, MIB).await.unwrap(), object));
        }
        objects
    };
    let wipe = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(7)).await;
            cluster.disks[4].wipe();
        }
    };
    let (objects, ()) = tokio::join!(write, wipe);
    assert_all_come_back(&cluster, &objects).await;
    repair_disk(&cluster, DiskId(5), RepairScope::default()).await;
    for number in [0, 1] {
        cluster.disks[number].set_reads(Reads::Fail);
    }
    assert_all_come_back(&cluster, &objects).await;
    // Shard by shard: every stripe has all six.
    let mut count = std::collections::BTreeMap::new();
    for disk in &cluster.disks {
        for shard in disk.shards() {
            *count
                .entry((shard.key.pg, shard.key.chunk, shard.key.stripe))
                .or_insert(0) += 1;
        }
    }
    assert!(count.values().all(|shards| *shards == 6), "{count:?}");
}
