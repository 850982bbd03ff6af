//! Opening a disk after a restart, a crash, a lost catalogue, and damage.

use crate::disk::memory::Faults;
use crate::disk_fixtures::{Machine, body, key, record, run};
use crate::shard::{PutShardError, ReadShardError, ShardStore};
use crate::store::DiskStore;
use crate::volume::format::{record_bytes, volume_name};

/// Puts shards 0..count of chunk 1, of 5000 bytes each, one after the other.
fn fill(store: &DiskStore, stripes: std::ops::Range<u32>) {
    run(async {
        for stripe in stripes {
            store.put(record(key(1, stripe), 5000)).await.unwrap();
        }
    });
}

fn found(store: &DiskStore, stripes: u32) -> Vec<u32> {
    run(async {
        let mut found = Vec::new();
        for stripe in 0..stripes {
            match body(store, key(1, stripe)).await {
                Ok(bytes) => {
                    assert_eq!(bytes, record(key(1, stripe), 5000).body);
                    found.push(stripe);
                }
                Err(ReadShardError::Missing { .. }) => {}
                Err(error) => panic!("stripe {stripe}: {error}"),
            }
        }
        found
    })
}

const EACH: u64 = record_bytes(5000);

#[test]
fn a_restart_finds_everything_and_goes_on() {
    let machine = Machine::new(5 * EACH);
    fill(&machine.open().unwrap(), 0..12);
    let store = machine.open().unwrap();
    assert_eq!(store.recovery(), &crate::RecoveryReport::default());
    assert_eq!(found(&store, 13), (0..12).collect::<Vec<_>>());
    fill(&store, 12..13);
    assert_eq!(store.volumes(), [1, 2, 3]);
    assert_eq!(store.usage().shards, 13);
    assert_eq!(store.usage().live, 13 * EACH);
    assert_eq!(store.usage().volumes, 13 * EACH);
}

#[test]
fn a_lost_catalogue_is_made_again() {
    let machine = Machine::new(5 * EACH);
    fill(&machine.open().unwrap(), 0..12);
    let machine = machine.without_catalog();
    let store = machine.open().unwrap();
    assert!(store.recovery().is_rebuilt);
    assert_eq!(store.recovery().entered_shards, 12);
    assert_eq!(found(&store, 12), (0..12).collect::<Vec<_>>());
    assert_eq!(store.usage().live, 12 * EACH);
    drop(store);
    assert!(
        !machine.open().unwrap().recovery().is_rebuilt,
        "once is enough"
    );
}

#[test]
fn a_lost_volume_is_noticed() {
    let machine = Machine::new(5 * EACH);
    fill(&machine.open().unwrap(), 0..12);
    crate::disk::Disk::remove(&machine.disk, &volume_name(2)).unwrap();
    let store = machine.open().unwrap();
    assert!(store.recovery().is_rebuilt);
    assert_eq!(found(&store, 12), [0, 1, 2, 3, 4, 10, 11]);
}

#[test]
fn a_torn_tail_is_cut_off_at_every_length() {
    let whole = Machine::new(1 << 20);
    fill(&whole.open().unwrap(), 0..3);
    let bytes = whole.disk.bytes(&volume_name(1));
    for length in (2 * EACH as usize..bytes.len()).step_by(97) {
        for with_catalog in [false, true] {
            let mut machine = Machine::new(1 << 20);
            fill(&machine.open().unwrap(), 0..2);
            machine
                .disk
                .corrupt(&volume_name(1), |file| *file = bytes[..length].to_vec());
            if !with_catalog {
                machine = machine.without_catalog();
            }
            let store = machine.open().unwrap();
            let torn = (length as u64 > 2 * EACH).then_some((1, 2 * EACH..length as u64));
            assert_eq!(store.recovery().torn_tail, torn);
            assert_eq!(store.recovery().gaps, []);
            assert_eq!(found(&store, 3), [0, 1]);
            fill(&store, 2..3);
            assert_eq!(found(&store, 3), [0, 1, 2]);
            assert_eq!(store.usage().volumes, 3 * EACH);
        }
    }
}

#[test]
fn damage_is_not_taken_for_a_torn_tail() {
    let machine = Machine::new(1 << 20);
    fill(&machine.open().unwrap(), 0..4);
    for at in [3, EACH + 30, EACH + 2000, 3 * EACH - 4096] {
        let machine = machine.without_catalog();
        machine
            .disk
            .corrupt(&volume_name(1), |bytes| bytes[at as usize] ^= 1);
        let store = machine.open().unwrap();
        assert_eq!(store.recovery().torn_tail, None);
        assert_eq!(store.recovery().gaps.len(), 1, "byte {at}");
        assert_eq!(found(&store, 4).len(), 3);
        drop(store);
        machine
            .disk
            .corrupt(&volume_name(1), |bytes| bytes[at as usize] ^= 1);
    }
}

#[test]
fn swapped_records_are_not_found_by_a_rebuild() {
    let machine = Machine::new(1 << 20);
    fill(&machine.open().unwrap(), 0..3);
    machine.disk.corrupt(&volume_name(1), |bytes| {
        let (first, rest) = bytes.split_at_mut(EACH as usize);
        first.swap_with_slice(&mut rest[..EACH as usize]);
    });
    // With the catalogue, each place holds the other's blocks.
    let store = machine.open().unwrap();
    for stripe in 0..2 {
        let read = run(body(&store, key(1, stripe)));
        assert!(
            matches!(read, Err(ReadShardError::Damaged { .. })),
            "{read:?}"
        );
    }
    drop(store);
    let store = machine.without_catalog().open().unwrap();
    assert_eq!(found(&store, 3), [2]);
}

#[test]
fn after_a_failed_sync_nothing_is_claimed_that_a_power_loss_could_take() {
    let machine = Machine::new(1 << 20);
    let store = machine.open().unwrap();
    fill(&store, 0..1);
    machine.disk.set_faults(Faults {
        failing_sync: true,
        ..Faults::default()
    });
    let failed = run(store.put(record(key(1, 1), 5000)));
    assert!(
        matches!(failed, Err(PutShardError::Failed { .. })),
        "{failed:?}"
    );
    machine.disk.set_faults(Faults::default());
    let later = run(store.put(record(key(1, 2), 5000)));
    assert!(
        matches!(later, Err(PutShardError::ReadOnly { .. })),
        "{later:?}"
    );
    assert!(store.read_only().is_some());
    assert_eq!(
        found(&store, 3),
        [0],
        "what was there stays readable, what failed is not there"
    );
    drop(store);

    // The process starts again, finds the record in the page cache, and makes it durable before it shows it.
    let store = machine.open().unwrap();
    assert_eq!(found(&store, 3), [0, 1]);
    drop(store);
    for seed in 0..20 {
        assert_eq!(found(&machine.after_crash(seed).open().unwrap(), 3), [0, 1]);
    }
}

#[test]
fn a_disk_that_still_fails_opens_for_reading() {
    let machine = Machine::new(1 << 20);
    let store = machine.open().unwrap();
    fill(&store, 0..1);
    machine.disk.set_faults(Faults {
        failing_sync: true,
        ..Faults::default()
    });
    assert!(run(store.put(record(key(1, 1), 5000))).is_err());
    drop(store);
    let store = machine.open().unwrap();
    assert!(
        store
            .read_only()
            .is_some_and(|reason| reason.contains("sync"))
    );
    assert!(found(&store, 2).contains(&0));
    let refused = run(store.put(record(key(1, 2), 5000)));
    assert!(
        matches!(refused, Err(PutShardError::ReadOnly { .. })),
        "{refused:?}"
    );
}

#[test]
fn what_cannot_be_read_is_not_cut_off() {
    let machine = Machine::new(1 << 20);
    fill(&machine.open().unwrap(), 0..3);
    let unreadable = 2 * EACH..2 * EACH + 1;
    let failing_read = Some((volume_name(1), unreadable));
    machine.disk.set_faults(Faults {
        failing_read,
        ..Faults::default()
    });
    let bad = machine.without_catalog();
    let store = bad.open().unwrap();
    assert_eq!(store.recovery().torn_tail, None);
    assert_eq!(found(&store, 2), [0, 1]);
    fill(&store, 5..6);
    assert_eq!(store.volumes(), [1, 2], "new records go to a new volume");
    drop(store);
    machine.disk.set_faults(Faults::default());
    let store = machine.without_catalog().open().unwrap();
    assert_eq!(found(&store, 6), [0, 1, 2, 5], "the device gave it back");
}

#[test]
fn the_name_of_a_volume_is_durable_before_records_in_it_are_promised() {
    for changes in 0..8 {
        for seed in 0..10 {
            let machine = Machine::new(1 << 20);
            let store = machine.open().unwrap();
            machine.power.ends_after(changes);
            let first = run(store.put(record(key(1, 0), 5000)));
            drop(store);
            // The process ended in the midst of making its first volume, the machine went on.
            machine.power.ends_after(u32::MAX);
            fill(&machine.open().unwrap(), 1..2);
            let store = machine.after_crash(seed).open().unwrap();
            let found = found(&store, 2);
            assert!(found.contains(&1), "{changes} changes, seed {seed}");
            assert!(found.contains(&0) || first.is_err());
        }
    }
}
