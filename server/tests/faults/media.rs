//! Volumes as bytes, to be damaged.

use crate::common::workload::Dice;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Records begin at multiples of this.
const ALIGN: usize = 4096;
pub const BLOCK: usize = 64 << 10;

/// The volumes of a disk, in order.
pub fn volumes(disk: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(disk)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_volume = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("volume-"))
    };
    let mut found: Vec<PathBuf> = entries.filter(is_volume).collect();
    found.sort();
    found
}

/// A record: where it lies in its volume, and where its body does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub all: Range<usize>,
    pub body: Range<usize>,
}

/// The records of a volume, found by their magic and the lengths in their headers.
pub fn records(bytes: &[u8]) -> Vec<Record> {
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut found = Vec::new();
    let mut at = 0;
    while at + ALIGN <= bytes.len() {
        if !bytes[at..].starts_with(b"CairnShd") {
            at += ALIGN;
            continue;
        }
        let (body_bytes, blocks) = (number(at + 72), number(at + 76));
        let body = at + 80 + 8 * blocks + 8;
        let end = (body + body_bytes + 16).next_multiple_of(ALIGN);
        found.push(Record {
            all: at..end,
            body: body..body + body_bytes,
        });
        at = end;
    }
    found
}

/// Exchanges two ranges of equal length.
pub fn swap(bytes: &mut [u8], one: Range<usize>, other: Range<usize>) {
    let kept = bytes[one.clone()].to_vec();
    bytes.copy_within(other.clone(), one.start);
    bytes[other].copy_from_slice(&kept);
}

/// Flips `count` bits at random places of the volumes of a disk.
pub fn flip_bits(disk: &Path, count: u64, dice: &mut Dice) {
    let volumes = volumes(disk);
    for _ in 0..count {
        let volume = &volumes[dice.roll(volumes.len() as u64) as usize];
        let mut bytes = fs::read(volume).unwrap();
        let at = dice.roll(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.roll(8);
        fs::write(volume, bytes).unwrap();
    }
}

/// Appends what a torn write may leave: zeros, noise, or the beginning of a record.
pub fn tear(disk: &Path, kind: usize) {
    let volume = volumes(disk).pop().expect("the disk has a volume");
    let mut bytes = fs::read(&volume).unwrap();
    let record = records(&bytes).pop().expect("the volume has a record").all;
    let tail = match kind {
        0 => vec![0; 3 * ALIGN + 17],
        1 => crate::common::workload::value(99, 5000).to_vec(),
        2 => bytes[record.start..record.end - 1].to_vec(),
        // All of a record, but of another place.
        _ => bytes[record].to_vec(),
    };
    bytes.extend(tail);
    fs::write(&volume, bytes).unwrap();
}
