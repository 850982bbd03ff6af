//! Entries are settled one by one: each when its own positions were gone through, and no sooner.

use super::*;
use chunkstore::LostStripe;
use types::DiskId;

const COUNT: usize = 3;

fn entry(chunk: u128, positions: &[usize]) -> (PartitionId, MissingShards) {
    let mut set = ShardSet::default();
    positions.iter().for_each(|position| set.insert(*position));
    let entry = MissingShards {
        pg: PgId(1),
        chunk: ChunkId(chunk),
        positions: set.0,
        ..Default::default()
    };
    (PartitionId(0), entry)
}

fn set(positions: &[usize]) -> ShardSet {
    ShardSet(entry(0, positions).1.positions)
}

fn mended(walk: &Walk) -> Vec<u128> {
    walk.mended().map(|(_, entry)| entry.chunk.0).collect()
}

fn lost(chunk: u128, may_return: bool) -> RepairReport {
    let lost = LostStripe {
        chunk: ChunkId(chunk),
        stripe: 0,
        intact: 1,
        reason: String::new(),
        may_return,
    };
    RepairReport {
        unrecoverable: vec![lost],
        ..Default::default()
    }
}

/// Goes through every position that is not down, with `report` at position 1.
fn walk(entries: Entries, down: ShardSet, report: &RepairReport) -> Walk {
    let mut walk = Walk::new(PgId(1), entries);
    while let Some(position) = walk.next_position(COUNT, down) {
        match position {
            1 => walk.take(report),
            _ => walk.take(&RepairReport::default()),
        }
    }
    walk
}

#[test]
fn what_is_whole_is_settled_and_leaves_nothing() {
    let walk = walk(
        vec![entry(7, &[0, 2]), entry(8, &[1])],
        ShardSet::default(),
        &RepairReport::default(),
    );
    assert_eq!(mended(&walk), [7, 8]);
    assert_eq!(walk.left(), None);
}

#[test]
fn a_stripe_that_cannot_be_rebuilt_keeps_its_own_entry_only() {
    let entries = vec![entry(7, &[1]), entry(8, &[1]), entry(9, &[0])];
    let of_entry = walk(entries.clone(), ShardSet::default(), &lost(8, false));
    assert_eq!(mended(&of_entry), [7, 9]);
    let left = of_entry.left().unwrap();
    assert_eq!((left.entries, left.failed), (1, ShardSet::default()));
    let of_none = walk(entries, ShardSet::default(), &lost(99, false));
    assert_eq!(mended(&of_none), [7, 8, 9]);
    assert_eq!(of_none.left(), None, "garbage holds up nothing");
}

#[test]
fn what_may_be_rebuilt_another_time_is_tried_again() {
    let walk = walk(vec![entry(7, &[1])], ShardSet::default(), &lost(99, true));
    assert_eq!(mended(&walk), [7]);
    assert_eq!(walk.left().unwrap().failed, set(&[1]));
}

#[test]
fn a_position_that_was_passed_over_is_not_settled_whoever_is_up_at_the_end() {
    let entries = vec![entry(7, &[0]), entry(8, &[1]), entry(9, &[0, 1])];
    let mut walk = Walk::new(PgId(1), entries);
    assert_eq!(walk.next_position(COUNT, set(&[1])), Some(0));
    walk.take(&RepairReport::default());
    assert_eq!(walk.next_position(COUNT, set(&[1])), Some(2));
    walk.take(&RepairReport::default());
    assert_eq!(walk.next_position(COUNT, ShardSet::default()), None);
    assert_eq!(mended(&walk), [7]);
    let left = walk.left().unwrap();
    assert_eq!((left.entries, left.passed), (2, set(&[0, 2])));
    assert!(left.failed.is_empty(), "the disk's return is waited for");
}

#[test]
fn a_position_that_goes_down_in_the_middle_leaves_the_next_one_whole() {
    let mut walk = Walk::new(PgId(1), vec![entry(7, &[0])]);
    assert_eq!(walk.next_position(COUNT, ShardSet::default()), Some(0));
    walk.take(&RepairReport {
        next: Some((ChunkId(5), 1)),
        ..Default::default()
    });
    assert_eq!(walk.from, Some((ChunkId(5), 1)));
    assert_eq!(walk.next_position(COUNT, set(&[0])), Some(1));
    assert_eq!(walk.from, None);
    assert!(mended(&walk).is_empty());
}

#[test]
fn a_disk_that_should_be_listed_and_is_not_keeps_what_was_not_seen_for_certain() {
    let entries = vec![entry(7, &[1]), entry(8, &[2])];
    let mut walk = Walk::new(PgId(1), entries);
    walk.next_position(COUNT, ShardSet::default());
    walk.take(&RepairReport::default());
    walk.take(&RepairReport {
        unlisted: vec![(DiskId(3), "no answer".to_owned())],
        next: Some((ChunkId(5), 1)),
        ..Default::default()
    });
    walk.take(&RepairReport::default());
    walk.take(&RepairReport::default());
    assert_eq!(walk.next_position(COUNT, ShardSet::default()), None);
    assert_eq!(mended(&walk), [8], "also when it answered later");
    assert_eq!(walk.left().unwrap().failed, set(&[1]));
}

#[test]
fn a_position_that_is_given_up_keeps_its_entries() {
    let mut walk = Walk::new(PgId(1), vec![entry(7, &[0]), entry(8, &[1])]);
    walk.next_position(COUNT, ShardSet::default());
    walk.give_position_up();
    while walk.next_position(COUNT, ShardSet::default()).is_some() {
        walk.take(&RepairReport::default());
    }
    assert_eq!(mended(&walk), [8]);
    assert_eq!(walk.left().unwrap().failed, set(&[0]));
}
