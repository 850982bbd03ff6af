//! Compaction undisturbed, with damage, and with a crash at every step.

use super::*;
use crate::disk_fixtures::{COMPACT_ALL, Machine, body, key, record, run};
use crate::shard::ShardStore;
use crate::volume::format::record_bytes;
use types::{ChunkId, PgId};

const EACH: u64 = record_bytes(5000);

/// Three volumes of four records; of chunks 0 to 3, each with one stripe in every volume, 0 to 2 are deleted.
fn machine() -> Machine {
    let machine = Machine::new(4 * EACH);
    let store = machine.open().unwrap();
    run(async {
        for stripe in 0..3 {
            for chunk in 0..4 {
                store.put(record(key(chunk, stripe), 5000)).await.unwrap();
            }
        }
        for chunk in 0..3 {
            store.delete(PgId(7), ChunkId(chunk)).await.unwrap();
        }
        store.flush().await.unwrap();
    });
    machine
}

fn check_live(store: &DiskStore) {
    for stripe in 0..3 {
        let key = key(3, stripe);
        assert_eq!(
            run(body(store, key)).unwrap(),
            record(key, 5000).body,
            "stripe {stripe}"
        );
    }
}

#[test]
fn live_records_move_and_volumes_go() {
    let machine = machine();
    let store = machine.open().unwrap();
    let report = run(store.compact(COMPACT_ALL)).unwrap();
    let expected = CompactReport {
        removed_volumes: vec![1, 2],
        removed_bytes: 8 * EACH,
        copied_bytes: 2 * EACH,
        ..CompactReport::default()
    };
    assert_eq!(report, expected);
    check_live(&store);
    assert_eq!(store.usage().shards, 3);
    assert_eq!(store.volumes(), [3, 4]);
    drop(store);
    let store = machine.open().unwrap();
    assert_eq!(store.recovery(), &crate::RecoveryReport::default());
    check_live(&store);
    drop(store);
    check_live(&machine.without_catalog().open().unwrap());
}

#[test]
fn the_budget_and_the_share_of_live_bytes_are_kept() {
    let store = machine().open().unwrap();
    let compact = |copy_bytes, live_percent_max| {
        run(store.compact(CompactBudget {
            copy_bytes,
            live_percent_max,
        }))
        .unwrap()
    };
    assert_eq!(compact(u64::MAX, 24), CompactReport::default());
    assert_eq!(compact(EACH - 1, 25), CompactReport::default());
    assert_eq!(compact(EACH, 25).removed_volumes, [1]);
    assert_eq!(compact(EACH, 25).removed_volumes, [2]);
    assert_eq!(
        compact(EACH, 25).removed_volumes,
        [3],
        "it is not the newest any more"
    );
    assert_eq!(compact(EACH, 25), CompactReport::default());
}

#[test]
fn an_open_volume_is_ended_when_enough_of_it_is_dead() {
    let machine = Machine::new(1 << 30);
    let store = machine.open().unwrap();
    run(async {
        for stripe in 0..17 {
            store.put(record(key(1, stripe), 1 << 20)).await.unwrap();
        }
        store.put(record(key(3, 0), 5000)).await.unwrap();
        store.delete(PgId(7), ChunkId(1)).await.unwrap();
        let report = store.compact(COMPACT_ALL).await.unwrap();
        assert_eq!(report.removed_volumes, [1]);
        assert_eq!(
            body(&store, key(3, 0)).await.unwrap(),
            record(key(3, 0), 5000).body
        );
        assert_eq!(store.usage().volumes, EACH);
    });
}

#[test]
fn a_damaged_record_is_reported_and_its_volume_stays() {
    // In the body; and in body and header, so that only the catalogue knows of it.
    for places in [vec![3 * EACH + 3000], vec![3 * EACH + 3000, 3 * EACH + 10]] {
        let machine = machine();
        machine.disk.corrupt(&volume_name(1), |bytes| {
            places.iter().for_each(|at| bytes[*at as usize] ^= 1);
        });
        let store = machine.open().unwrap();
        for _ in 0..2 {
            let report = run(store.compact(COMPACT_ALL)).unwrap();
            assert!(!report.removed_volumes.contains(&1));
            let [finding] = &report.findings[..] else {
                panic!("one finding: {report:?}")
            };
            assert_eq!((finding.volume, finding.key), (1, Some(key(3, 0))));
        }
        assert!(run(body(&store, key(3, 0))).is_err());
        // Once it has been put again, the volume may go.
        run(store.put(record(key(3, 0), 5000))).unwrap();
        let report = run(store.compact(COMPACT_ALL)).unwrap();
        assert!(
            report.removed_volumes.contains(&1) && report.findings.is_empty(),
            "{report:?}"
        );
        check_live(&store);
    }
}

#[test]
fn a_record_with_a_damaged_header_is_saved_by_the_catalogue() {
    let machine = machine();
    machine
        .disk
        .corrupt(&volume_name(1), |bytes| bytes[3 * EACH as usize + 10] ^= 1);
    let store = machine.open().unwrap();
    let report = run(store.compact(COMPACT_ALL)).unwrap();
    assert_eq!(
        (report.removed_volumes, report.findings),
        (vec![1, 2], vec![])
    );
    check_live(&store);
    drop(store);
    check_live(&machine.without_catalog().open().unwrap());
}

#[test]
fn a_crash_at_any_step_loses_nothing() {
    let mut is_done = false;
    for changes in 0..60 {
        for seed in 0..6 {
            let machine = machine();
            let store = machine.open().unwrap();
            machine.power.ends_after(changes);
            let is_whole = run(store.compact(COMPACT_ALL)).is_ok();
            machine.power.ends_after(0);
            let machine = machine.after_crash(seed + u64::from(changes) * 100);
            let store = machine.open().unwrap();
            check_live(&store);
            let report = run(store.compact(COMPACT_ALL)).unwrap();
            assert_eq!(report.findings, [], "{changes} changes, seed {seed}");
            check_live(&store);
            drop(store);
            check_live(&machine.without_catalog().open().unwrap());
            is_done |= is_whole;
        }
    }
    assert!(is_done, "the steps cover a whole compaction");
}
