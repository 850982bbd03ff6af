//! Without a log of its own the replica is as of one entry, whatever was written to files, and why.

use super::*;
use crate::key::Key;
use crate::store::ScanEntry;
use std::path::Path;
use tempfile::TempDir;
use types::{BucketId, envelope};

const PARTITION: PartitionId = PartitionId(1);

fn open(dir: &Path) -> Replica {
    let options = RocksOptions {
        reserve_bytes: 0,
        floor_bytes: 0,
        ..RocksOptions::new(dir)
    };
    Replica::open(&options).expect("it opens")
}

fn key(number: u64) -> Bytes {
    let (bucket, key) = (BucketId(1), format!("{number:08}"));
    Key::Current { bucket, key }.encode()
}

/// Applies entry `number`: it puts its key, removes the one before, and tells the feed.
fn apply(replica: &Replica, number: u64) {
    let feed = Key::Feed { seq: number }.encode();
    let state = PartitionState {
        last_seq: number,
        ..PartitionState::default()
    };
    let sealed = |key: &Bytes| Some(Bytes::from(envelope::seal(key, number, b"value")));
    let (state_key, state_sealed) = state.seal(FormatVersion::FIRST);
    let writes = BTreeMap::from([
        (key(number), sealed(&key(number))),
        (key(number - 1), None),
        (feed.clone(), sealed(&feed)),
        (state_key, Some(state_sealed)),
    ]);
    let changes = Changes {
        writes,
        trimmed: None,
        state,
    };
    let position = Bytes::from(number.to_string());
    replica
        .apply(PARTITION, changes, position)
        .expect("it applies");
}

/// The only key, the last commit and the position, which must all be of one entry; 0 of none.
fn moment(replica: &Replica) -> u64 {
    let range = Key::objects_range(BucketId(1), "").page(10, None);
    let page = replica.scan(PARTITION, &range).expect("it scans");
    let keys: Vec<Bytes> = page
        .entries
        .iter()
        .map(|entry| match entry {
            ScanEntry::Value(key, _) | ScanEntry::Group(key) => key.clone(),
        })
        .collect();
    let last = replica.state(PARTITION).expect("it reads").last_seq;
    let expected: Vec<Bytes> = (last > 0).then(|| key(last)).into_iter().collect();
    assert_eq!(keys, expected, "the families are of different moments");
    let changes = replica.changes(PARTITION, 0, 10_000).expect("a dense feed");
    assert_eq!(changes.len() as u64, last);
    let position = replica.position(PARTITION);
    let position = position.map_or(0, |position| {
        let text = std::str::from_utf8(&position).expect("text");
        text.parse::<u64>().expect("a number")
    });
    assert_eq!(position, last, "the position is of another moment");
    last
}

/// What a crash would leave at this moment.
fn image(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder for the copy");
    for file in std::fs::read_dir(dir).expect("the folder can be read") {
        let file = file.expect("the folder can be read");
        match std::fs::copy(file.path(), copy.path().join(file.file_name())) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            copied => assert!(copied.is_ok(), "{copied:?}"),
        }
    }
    copy
}

#[test]
fn after_a_crash_it_is_as_of_its_last_flush_and_says_so() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let replica = open(dir.path());
    assert_eq!(replica.flushed(PARTITION), None);
    (1..=5).for_each(|number| apply(&replica, number));
    let flushed = replica.flush().expect("it flushes");
    assert_eq!(flushed[&PARTITION], "5");
    (6..=9).for_each(|number| apply(&replica, number));
    assert_eq!(moment(&replica), 9);
    assert_eq!(replica.flushed(PARTITION).expect("it was"), "5");
    let image = image(dir.path());
    let restarted = open(image.path());
    assert_eq!(moment(&restarted), 5);
    assert_eq!(restarted.flushed(PARTITION).expect("it was"), "5");
    (6..=9).for_each(|number| apply(&restarted, number));
    assert_eq!(moment(&restarted), 9);
}

#[test]
fn a_scan_that_has_deletions_written_to_files_writes_all_families() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let replica = open(dir.path());
    (1..=3000).for_each(|number| apply(&replica, number));
    // It passes 3,000 deletions, and has them written to a file in the background.
    assert_eq!(moment(&replica), 3000);
    (3001..=3003).for_each(|number| apply(&replica, number));
    for _ in 0..500 {
        let restarted = image(dir.path());
        if moment(&open(restarted.path())) > 0 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("nothing was written to files");
}
