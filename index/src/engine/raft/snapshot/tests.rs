//! A snapshot replaces a partition wholly, whenever a crash comes.

use super::*;
use crate::engine::raft::entry::Command;
use crate::engine::raft::tests::{PARTITION, machine, replica, snapshots};
use crate::engine::raft::types::{Entry, Proposal};
use crate::key::Key;
use crate::store::{Batch, Operation};
use openraft::storage::RaftStateMachine;
use openraft::{CommittedLeaderId, EntryPayload};
use types::BucketId;

fn key(name: &str) -> Bytes {
    let (bucket, key) = (BucketId(1), name.to_owned());
    Key::Current { bucket, key }.encode()
}

fn log_id(index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(1, 1), index)
}

/// Entry `index`, which puts a key of its own and a common one.
fn entry(index: u64, name: &str) -> Entry {
    let value = Bytes::from(vec![b'v'; 20_000]);
    let batch = Batch {
        operations: vec![
            Operation::Put(key(&format!("{name}{index}")), value),
            Operation::Put(key("common"), Bytes::from(name.to_owned())),
        ],
        ..Batch::default()
    };
    let commands = vec![Command::Commit(vec![batch])];
    Entry {
        log_id: log_id(index),
        payload: EntryPayload::Normal(Proposal::new(commands)),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A folder whose partition has the entries up to `last`, named `name`, in files.
fn node(name: &'static str, last: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let (replica, _, mut machine) = machine(dir.path());
    runtime().block_on(async {
        let entries = (0..=last).map(|index| entry(index, name));
        machine.apply(entries).await.expect("it applies");
    });
    replica.flush().expect("it flushes");
    dir
}

/// The file of a partition with 200 entries.
fn source() -> (tempfile::TempDir, SnapshotFile) {
    let dir = node("new", 199);
    let replica = replica(dir.path());
    let file = snapshots(dir.path(), &replica).make().expect("it is made");
    (dir, file)
}

/// Puts the file where a complete one arrives.
fn arrive(snapshots: &Snapshots, file: &SnapshotFile) -> (SnapshotMeta, PathBuf) {
    let id = snapshot_id(&file.at);
    let mut offset = snapshots.arrived_bytes(&id).expect("a new one");
    while offset < file.length {
        let length = (file.length - offset).min(100_000) as usize;
        let part = read_part(&file.path, offset, length).expect("it is read");
        offset = snapshots.take_part(&id, offset, &part).expect("it arrives");
    }
    match snapshots.complete(&id).expect("it is whole") {
        (meta, SnapshotData::Arrived(path)) => (meta, path),
        other => panic!("{other:?}"),
    }
}

/// What a start finds: the common value, keys, the next commit of the feed.
fn state(dir: &Path) -> (String, usize, u64) {
    let replica = replica(dir);
    drop(snapshots(dir, &replica));
    let common = replica.get(PARTITION, &key("common")).expect("it reads");
    let common = String::from_utf8(common.expect("it is there").value.to_vec());
    let range = Key::objects_range(BucketId(1), "").page(1000, None);
    let mut count = 0;
    let mut request = range;
    loop {
        let page = replica.scan(PARTITION, &request).expect("it scans");
        count += page.entries.len();
        let Some(crate::store::ScanEntry::Value(last, _)) = page.entries.last() else {
            break;
        };
        request.start = crate::key::KeyRange::of_prefix(last).end;
    }
    let seq = replica.state(PARTITION).expect("it reads").last_seq;
    let changes = replica
        .changes(PARTITION, 0, 1000)
        .expect("the feed is dense");
    assert_eq!(changes.len() as u64, seq);
    (common.expect("text"), count, seq)
}

const OLD: (&str, usize, u64) = ("old", 11, 10);
const NEW: (&str, usize, u64) = ("new", 201, 200);

fn assert_state(dir: &Path, expected: (&str, usize, u64)) {
    let (common, count, seq) = state(dir);
    assert_eq!((common.as_str(), count, seq), expected);
}

#[test]
fn an_installed_snapshot_is_the_whole_partition_and_leaves_no_file() {
    let (_source, file) = source();
    let dir = node("old", 9);
    {
        let replica = replica(dir.path());
        let snapshots = snapshots(dir.path(), &replica);
        let floor = snapshots.floor();
        assert_eq!(*floor.borrow(), 10);
        let (meta, path) = arrive(&snapshots, &file);
        assert_eq!(meta.last_log_id, Some(log_id(199)));
        snapshots
            .install(log_id(199), &path)
            .expect("it is installed");
        assert_eq!(*floor.borrow(), 200);
        assert_eq!(snapshots.announced(), Some(meta));
    }
    assert_state(dir.path(), NEW);
    let files = std::fs::read_dir(dir.path().join("snapshots")).expect("it is there");
    assert_eq!(files.count(), 0);
}

#[test]
fn a_crash_leaves_the_old_state_or_an_installation_that_the_next_start_completes() {
    let (_source, file) = source();
    let dir = node("old", 9);
    {
        let replica = replica(dir.path());
        let snapshots = snapshots(dir.path(), &replica);
        arrive(&snapshots, &file);
    }
    assert_state(dir.path(), OLD);
    {
        let replica = replica(dir.path());
        let snapshots = snapshots(dir.path(), &replica);
        // It is still there, whole, and needs no further part.
        let (_, path) = arrive(&snapshots, &file);
        snapshots.decide(log_id(199), &path).expect("it is renamed");
        assert_eq!(
            *snapshots.floor().borrow(),
            200,
            "old entries are not needed any more"
        );
        // Half of it is written and gets into files.
        let reader = SnapshotReader::open(&snapshots.installing()).expect("it opens");
        let position = reader.position().clone();
        let broken = || StoreError::Unavailable("the crash".to_owned());
        let half = reader.values().take(150).chain([Err(broken())]);
        let replaced = replica.replace(PARTITION, half, &position);
        assert_eq!(replaced, Err(broken()));
        replica.flush().expect("it flushes");
    }
    let installing = dir.path().join(format!("snapshots/{PARTITION}.installing"));
    let kept = std::fs::read(&installing).expect("it is there");
    assert_state(dir.path(), NEW);
    assert!(!installing.exists());
    // The crash came before the file was removed.
    std::fs::write(&installing, kept).expect("it is written");
    assert_state(dir.path(), NEW);
}

#[test]
fn parts_are_taken_in_order_and_a_damaged_snapshot_is_sent_anew() {
    let (_source, file) = source();
    let dir = node("old", 9);
    let replica = replica(dir.path());
    let snapshots = snapshots(dir.path(), &replica);
    let id = snapshot_id(&file.at);
    let mut bytes = std::fs::read(&file.path).expect("it is read");
    assert_eq!(snapshots.take_part(&id, 0, &bytes[..1000]), Ok(1000));
    assert_eq!(
        snapshots.take_part(&id, 0, &bytes[..1000]),
        Ok(1000),
        "once more"
    );
    assert_eq!(
        snapshots.take_part(&id, 5000, &bytes[5000..6000]),
        Ok(1000),
        "too early"
    );
    bytes[70_000] ^= 1;
    let whole = snapshots.take_part(&id, 1000, &bytes[1000..]);
    assert_eq!(whole, Ok(file.length));
    assert!(snapshots.complete(&id).is_err());
    assert_eq!(snapshots.arrived_bytes(&id), Ok(0));
    let (meta, _) = arrive(&snapshots, &file);
    assert_eq!(meta.snapshot_id, id);
    // Another snapshot takes its place.
    assert_eq!(snapshots.arrived_bytes("9-9-9"), Ok(0));
    assert_eq!(snapshots.arrived_bytes(&id), Ok(0));
}

#[test]
fn a_file_is_made_once_and_removed_when_nobody_uses_it() {
    let dir = node("new", 9);
    let replica = replica(dir.path());
    let snapshots = snapshots(dir.path(), &replica);
    runtime().block_on(async {
        let first = snapshots.file(Some(log_id(9))).await.expect("it is made");
        let made = first.path.metadata().and_then(|file| file.modified());
        let again = snapshots.file(Some(log_id(3))).await.expect("it is there");
        let found = again.path.metadata().and_then(|file| file.modified());
        assert_eq!(made.expect("a time"), found.expect("a time"));
        assert!(snapshots.is_in_use(Duration::from_secs(60)));
        assert!(!snapshots.is_in_use(Duration::ZERO));
        assert!(!first.path.exists());
    });
}
