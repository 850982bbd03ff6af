//! The walk over a volume, undamaged and with damage in every place.

use super::*;
use crate::disk::{Disk, MemoryDisk};
use crate::disk_fixtures::{Machine, key, record, run};
use crate::shard::{ShardKey, ShardStore};
use crate::volume::format::volume_name;

const LENGTHS: [usize; 4] = [10, 5000, 70_000, 0];

/// A disk with one volume of four records.
fn disk() -> MemoryDisk {
    let machine = Machine::new(1 << 20);
    let store = machine.open().unwrap();
    run(async {
        for (stripe, len) in (0..).zip(LENGTHS) {
            store.put(record(key(1, stripe), len)).await.unwrap();
        }
    });
    machine.disk
}

fn walk(disk: &MemoryDisk, depth: Depth) -> (Vec<ShardKey>, Vec<Range<u64>>) {
    let file = disk.open(&volume_name(1)).unwrap();
    let mut walk = Walk {
        file: &*file,
        file_bytes: file.size().unwrap(),
        disk: crate::disk_fixtures::DISK,
        next: Place {
            volume: 1,
            offset: 0,
        },
        depth,
    };
    let (mut keys, mut gaps) = (Vec::new(), Vec::new());
    while let Some(step) = walk.step() {
        match step {
            Step::Record(entry) => keys.push(entry.header.info.key),
            Step::Gap { range, .. } => gaps.push(range),
        }
    }
    (keys, gaps)
}

fn all() -> Vec<ShardKey> {
    (0..4).map(|stripe| key(1, stripe)).collect()
}

#[test]
fn an_intact_volume_is_walked_record_by_record() {
    for depth in [Depth::Ends, Depth::Whole] {
        assert_eq!(walk(&disk(), depth), (all(), vec![]));
    }
}

/// Which record the byte belongs to, and whether it is one that anyone looks at.
fn owner(offset: u64) -> (usize, bool) {
    let mut start = 0;
    for (index, len) in LENGTHS.into_iter().enumerate() {
        let bytes = crate::volume::format::record_bytes(len);
        if offset < start + bytes {
            let used = header_bytes(len) + len + TRAILER_BYTES;
            return (index, offset - start < used as u64);
        }
        start += bytes;
    }
    unreachable!("the offset is in the volume")
}

#[test]
fn a_bit_flipped_anywhere_costs_one_record_at_most() {
    let disk = disk();
    let name = volume_name(1);
    let bytes = disk.bytes(&name).len();
    // Every byte of the small records, and a sample of the large body.
    for at in (0..bytes).filter(|at| *at < 16_384 || *at > 86_000 || at % 97 == 0) {
        disk.corrupt(&name, |bytes| bytes[at] ^= 0x10);
        let (found, gaps) = walk(&disk, Depth::Whole);
        let (index, is_used) = owner(at as u64);
        let mut expected = all();
        if is_used {
            expected.remove(index);
        }
        assert_eq!(
            (found, gaps.len()),
            (expected, usize::from(is_used)),
            "byte {at}"
        );
        disk.corrupt(&name, |bytes| bytes[at] ^= 0x10);
    }
}

#[test]
fn a_copy_of_a_record_in_the_body_of_another_is_not_taken_for_one() {
    let machine = Machine::new(1 << 20);
    let store = machine.open().unwrap();
    run(store.put(record(key(1, 0), 5000))).unwrap();
    // An object whose bytes are a volume, and damage in front of it.
    let copy = machine.disk.bytes(&volume_name(1));
    let mut planted = record(key(2, 0), 0);
    let front = 4096 - header_bytes(4096);
    planted.body = [vec![0; front], copy].concat().into();
    planted.block_checksums = block::checksums(&planted.key, planted.profile, &planted.body);
    run(store.put(planted)).unwrap();
    run(store.put(record(key(3, 0), 10))).unwrap();
    machine
        .disk
        .corrupt(&volume_name(1), |bytes| bytes[8192 + 20] ^= 1);
    let (found, gaps) = walk(&machine.disk, Depth::Ends);
    assert_eq!((found, gaps.len()), (vec![key(1, 0), key(3, 0)], 1));
}
