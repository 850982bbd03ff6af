use super::*;
use crate::admission::MemoryBudget;
use std::time::Duration;
use types::ChunkId;

const MIB: u64 = 1024 * 1024;
/// A record of a block of [`block`].
const RECORD_BYTES: u64 = HEADER_BYTES as u64 + MIB;

fn key(number: u32) -> BlockKey {
    BlockKey {
        chunk: ChunkId::from_bytes([7; 16]),
        number,
    }
}

fn block(number: u32) -> Block {
    let mut filling = Filling::new(MIB as usize);
    assert!(filling.push(&vec![number as u8; MIB as usize]));
    filling.finish().unwrap()
}

fn open(directory: &Path, bytes: u64) -> Disk {
    open_for(directory, bytes, MIB)
}

fn open_for(directory: &Path, bytes: u64, memory_bytes: u64) -> Disk {
    let config = DiskCacheConfig {
        directory: directory.to_owned(),
        bytes,
    };
    for _ in 0..500 {
        match Disk::open(&config, memory_bytes, CacheMetrics::new()) {
            // What an earlier one of the test was writing still holds the directory.
            Err(OpenCacheError::InUse { .. }) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("the directory stays in use");
}

impl Disk {
    fn write(&self, number: u32) {
        self.0.write(key(number), &block(number)).unwrap();
    }

    async fn holds(&self, number: u32) -> bool {
        let read = self.read(key(number), MIB as usize).await;
        assert!(read.is_none() || read == Some(block(number)), "{number}");
        read.is_some()
    }

    /// Waits until the start has found so many records.
    async fn found(&self, records: usize) {
        while self.0.places.lock().records.len() < records {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "seg");
    let mut files: Vec<PathBuf> = entries.filter(is_segment).collect();
    files.sort();
    files
}

#[test]
fn a_record_is_what_it_was() {
    let mut filling = Filling::new(3);
    assert!(filling.push(b"abc") && !filling.push(b"d"));
    let header = Header::of(key(9), &filling.finish().unwrap());
    let bytes = header.encode();
    let expected = "436169726e486f7400000001070707070707070707070707070707070000000900000003";
    assert_eq!(hex::encode(&bytes[..36]), expected);
    assert_eq!(
        hex::encode(&bytes[36..]),
        "2b225855df49308715ff1556763303af"
    );
    assert_eq!(Header::decode(&bytes), Some(header));
    for bit in 0..8 * HEADER_BYTES {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Header::decode(&damaged), None);
    }
}

#[tokio::test]
async fn a_start_finds_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let disk = open(directory.path(), 64 * MIB);
    for number in 0..10 {
        disk.write(number);
    }
    drop(disk);
    let disk = open(directory.path(), 64 * MIB);
    disk.found(10).await;
    disk.write(10);
    for number in 0..=10 {
        assert!(disk.holds(number).await);
    }
    assert!(!disk.holds(11).await);
}

#[tokio::test]
async fn the_oldest_go_when_there_is_no_more_room() {
    let directory = tempfile::tempdir().unwrap();
    let disk = open(directory.path(), 64 * MIB);
    let size = || -> u64 {
        let length = |file: PathBuf| file.metadata().unwrap().len();
        files(directory.path()).into_iter().map(length).sum()
    };
    for number in 0..200 {
        disk.write(number);
        assert!(size() <= 64 * MIB);
    }
    assert!(size() > 58 * MIB);
    for number in 0..200 {
        assert_eq!(disk.holds(number).await, number >= 137, "{number}");
    }
    drop(disk);
    // With less room at the next start, what is oldest goes then.
    let disk = open(directory.path(), 5 * MIB);
    assert!(size() <= 5 * MIB);
    disk.found(4).await;
    assert!(disk.holds(199).await && !disk.holds(190).await);
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let records = 64;
    let disk = open_for(directory.path(), 1 << 40, records * PLACE_BYTES);
    for number in 0..200 {
        disk.write(number);
        assert!(disk.0.places.lock().records.len() <= records as usize);
    }
    assert!(disk.holds(199).await && disk.holds(150).await && !disk.holds(100).await);
}

#[tokio::test]
async fn damaged_and_exchanged_records_are_misses() {
    let directory = tempfile::tempdir().unwrap();
    let disk = open(directory.path(), 1 << 30);
    for number in 0..4 {
        disk.write(number);
    }
    let [segment] = &files(directory.path())[..] else {
        panic!("one segment");
    };
    let mut bytes = fs::read(segment).unwrap();
    let record = RECORD_BYTES as usize;
    // The last byte of the first one; the second and the third in each other's place.
    bytes[record - 1] ^= 1;
    let second = bytes[record..2 * record].to_vec();
    bytes.copy_within(2 * record..3 * record, record);
    bytes[2 * record..3 * record].copy_from_slice(&second);
    fs::write(segment, bytes).unwrap();
    for number in 0..4 {
        assert_eq!(disk.holds(number).await, number == 3);
        assert_eq!(disk.has(key(number)), number == 3, "it is forgotten");
    }
    drop(disk);
    // A start goes by what stands there: the exchanged ones are where their headers say.
    let disk = open(directory.path(), 1 << 30);
    disk.found(4).await;
    assert!(!disk.holds(0).await);
    assert!(disk.holds(1).await && disk.holds(2).await && disk.holds(3).await);
}

#[tokio::test]
async fn a_torn_segment_is_read_as_far_as_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let disk = open(directory.path(), 1 << 30);
    for number in 0..4 {
        disk.write(number);
    }
    drop(disk);
    let segment = &files(directory.path())[0];
    let file = OpenOptions::new().write(true).open(segment).unwrap();
    file.set_len(4 * RECORD_BYTES - 1).unwrap();
    file.write_all_at(&[0; HEADER_BYTES], 2 * RECORD_BYTES)
        .unwrap();
    let disk = open(directory.path(), 1 << 30);
    disk.found(2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    for number in 0..4 {
        assert_eq!(disk.holds(number).await, number < 2);
    }
}

#[tokio::test]
async fn two_cannot_use_one_directory() {
    let directory = tempfile::tempdir().unwrap();
    let disk = open(directory.path(), 64 * MIB);
    let config = DiskCacheConfig {
        directory: directory.path().to_owned(),
        bytes: 64 * MIB,
    };
    let second = Disk::open(&config, MIB, CacheMetrics::new());
    assert!(matches!(second, Err(OpenCacheError::InUse { .. })));
    drop(disk);
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let config = DiskCacheConfig {
        directory: file,
        ..config
    };
    let third = Disk::open(&config, MIB, CacheMetrics::new());
    assert!(matches!(third, Err(OpenCacheError::Directory { .. })));
}

#[tokio::test]
async fn a_device_that_fails_is_not_written_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let disk = open(directory.path(), 64 * MIB);
    disk.write(0);
    // A block makes a segment of this size; the next one cannot be made.
    fs::remove_dir_all(directory.path()).unwrap();
    let budget = MemoryBudget::new(64 * MIB, Duration::ZERO);
    let free = budget.free_bytes();
    disk.keep(key(2), block(2), budget.spare(MIB).unwrap());
    while budget.free_bytes() < free {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(disk.0.is_read_only.load(Ordering::Relaxed));
    assert!(disk.holds(0).await && !disk.holds(2).await);
}
