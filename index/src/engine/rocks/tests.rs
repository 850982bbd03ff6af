//! What only this engine does: damage on its device, torn logs, failing writes, full devices.

use super::*;
use crate::store::{Condition, Operation};
use bytes::Bytes;
use std::path::Path;
use tempfile::TempDir;
use types::{BucketId, envelope};

const PARTITION: PartitionId = PartitionId(1);

fn options(dir: &Path) -> RocksOptions {
    RocksOptions {
        reserve_bytes: 0,
        floor_bytes: 0,
        ..RocksOptions::new(dir)
    }
}

fn object(name: &str) -> Bytes {
    let (bucket, key) = (BucketId(1), name.to_owned());
    Key::Current { bucket, key }.encode()
}

fn batch(operations: Vec<Operation>) -> Batch {
    Batch {
        operations,
        ..Batch::default()
    }
}

fn put(name: &str) -> Batch {
    batch(vec![Operation::Put(
        object(name),
        Bytes::from_static(b"value"),
    )])
}

/// An open engine in a folder of its own, and the folder.
fn engine() -> (RocksEngine, TempDir) {
    let dir = tempfile::tempdir().expect("a folder for the test");
    (
        RocksEngine::open(&options(dir.path())).expect("it opens"),
        dir,
    )
}

fn commit(engine: &RocksEngine, batch: Batch) -> Result<Outcome, StoreError> {
    engine
        .database
        .commit(PARTITION, &[batch])
        .map(|mut outcomes| outcomes.remove(0))
}

fn scan(engine: &RocksEngine, limit: usize) -> Result<ScanPage, StoreError> {
    let request = Key::objects_range(BucketId(1), "").page(limit, None);
    engine.database.scan(PARTITION, &request)
}

#[test]
fn values_are_sealed_as_the_finalised_format_has_them_and_older_ones_stay_readable() {
    let (engine, _dir) = engine();
    let sealed_as = |name: &str| {
        let key = object(name);
        let sealed = engine.database.read(PARTITION, &key).expect("it is read");
        sealed.expect("it is there")[0]
    };
    commit(&engine, put("old")).expect("it commits");
    engine.database.finalised.raise(FormatVersion::NEWEST);
    commit(&engine, put("new")).expect("it commits");
    assert_eq!((sealed_as("old"), sealed_as("new")), (1, envelope::FORMAT));
    assert_eq!(scan(&engine, 10).expect("a page").entries.len(), 2);
}

/// The log file of a folder, with more in it than any other.
fn log_file(dir: &Path) -> PathBuf {
    let files = std::fs::read_dir(dir).expect("the folder can be read");
    files
        .map(|file| file.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .max_by_key(|path| path.metadata().expect("a file has a length").len())
        .expect("there is a log")
}

/// A copy of `dir` in which `change` was made to the bytes of the log. RocksDB removes obsolete files in
/// the background when it has opened: what is gone when it is copied was not needed.
fn with_log(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder for the copy");
    for file in std::fs::read_dir(dir).expect("the folder can be read") {
        let file = file.expect("the folder can be read");
        match std::fs::copy(file.path(), copy.path().join(file.file_name())) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            copied => assert!(copied.is_ok(), "{copied:?}"),
        }
    }
    let log = log_file(copy.path());
    let mut bytes = std::fs::read(&log).expect("the log can be read");
    change(&mut bytes);
    std::fs::write(log, bytes).expect("the log can be written");
    copy
}

/// An engine's folder after `count` commits, with the length of the log after each.
fn after_commits(count: usize) -> (RocksEngine, TempDir, Vec<usize>) {
    let (engine, dir) = engine();
    let mut lengths = Vec::new();
    for number in 0..count {
        commit(&engine, put(&format!("{number:03}"))).expect("it commits");
        let length = log_file(dir.path())
            .metadata()
            .expect("a file has a length")
            .len();
        lengths.push(length as usize);
    }
    (engine, dir, lengths)
}

#[test]
fn a_log_torn_in_its_last_record_opens_with_every_commit_before_it() {
    let (_engine, dir, lengths) = after_commits(4);
    for cut in (lengths[2]..=lengths[3]).step_by(7) {
        let torn = with_log(dir.path(), |bytes| match cut % 3 {
            0 => bytes.truncate(cut),
            1 => bytes[cut..].fill(0),
            _ => bytes[cut..].fill(0x5a),
        });
        let engine = RocksEngine::open(&options(torn.path())).expect("a torn tail is no damage");
        let kept = if cut == lengths[3] { 4 } else { 3 };
        assert_eq!(
            scan(&engine, 10).expect("it scans").entries.len(),
            kept,
            "cut at {cut}"
        );
        let changes = engine
            .database
            .changes(PARTITION, 0, 10)
            .expect("the feed is dense");
        assert_eq!(changes.len(), kept);
        assert_eq!(
            commit(&engine, put("next")),
            Ok(Outcome::Committed(kept as u64 + 1))
        );
    }
}

#[test]
fn a_log_damaged_before_its_last_record_does_not_open() {
    let (_engine, dir, lengths) = after_commits(4);
    // The first bytes are a record's header with its length.
    let header = lengths[0]..lengths[0] + 8;
    for at in header.chain((lengths[1]..lengths[2]).step_by(11)) {
        let damaged = with_log(dir.path(), |bytes| bytes[at] ^= 0x40);
        let opened = RocksEngine::open(&options(damaged.path()));
        let error = opened
            .err()
            .unwrap_or_else(|| panic!("a flipped bit at {at} was not seen"));
        assert!(
            matches!(error, OpenEngineError::Damaged { .. }),
            "{at}: {error}"
        );
    }
}

#[test]
fn a_damaged_value_is_an_error_and_never_absent() {
    let (engine, _dir) = engine();
    commit(&engine, put("a")).expect("it commits");
    commit(&engine, put("b")).expect("it commits");
    let database = &engine.database;
    let family = Family::Default.of(&database.db);
    let (good, bad) = (
        full_key(PARTITION, &object("a")),
        full_key(PARTITION, &object("b")),
    );
    // An intact value in another value's place.
    let sealed = database
        .db
        .get_cf(family, &good)
        .expect("it reads")
        .expect("it is there");
    database.db.put_cf(family, &bad, sealed).expect("it writes");
    let is_corrupt = |error: StoreError| match error {
        StoreError::Corrupt { key, .. } => key == crate::key::hexadecimal(&object("b")),
        _ => false,
    };
    assert!(is_corrupt(scan(&engine, 10).expect_err("the page has it")));
    assert_eq!(
        scan(&engine, 1).expect("this page does not").entries.len(),
        1
    );
    let conditions = vec![Condition::Absent(object("b"))];
    let on_it = Batch {
        conditions,
        ..put("c")
    };
    assert!(is_corrupt(
        commit(&engine, on_it).expect_err("its condition reads it")
    ));
    assert_eq!(engine.database.read(PARTITION, &object("c")), Ok(None));
}

#[test]
fn a_lost_feed_record_is_an_error_and_never_a_gap() {
    let (engine, _dir, _) = after_commits(5);
    for lost in [1, 3, 5] {
        let log = Family::Log.of(&engine.database.db);
        let key = full_key(PARTITION, &Key::Feed { seq: lost }.encode());
        let record = engine
            .database
            .db
            .get_cf(log, &key)
            .expect("it reads")
            .expect("it is there");
        engine.database.db.delete_cf(log, &key).expect("it deletes");
        let error = engine
            .database
            .changes(PARTITION, 0, 10)
            .expect_err("the feed has a gap");
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert_eq!(engine.database.changes(PARTITION, 5, 10), Ok(Vec::new()));
        engine
            .database
            .db
            .put_cf(log, &key, record)
            .expect("it writes");
    }
}

#[test]
fn a_failed_write_of_the_log_is_indeterminate_and_ends_the_commits() {
    let (engine, dir) = engine();
    commit(&engine, put("a")).expect("it commits");
    engine.close().expect("it closes");
    drop(engine);
    // A database that is open for reading fails each write, as a failing device would.
    let options = options(dir.path());
    let names = Family::ALL.map(Family::name);
    let db = DB::open_cf_for_read_only(&options.database(), dir.path(), names, false);
    let lock = space::lock_folder(dir.path()).expect("nobody has it");
    let database = Database::new(db.expect("it opens"), &options, lock, &[]);
    let engine = RocksEngine {
        database: Arc::new(database),
    };
    assert_eq!(engine.failure(), None);
    assert!(matches!(
        commit(&engine, put("b")),
        Err(StoreError::Indeterminate(_))
    ));
    assert!(engine.failure().is_some(), "health checks are told");
    assert!(matches!(
        commit(&engine, put("c")),
        Err(StoreError::Unavailable(_))
    ));
    assert!(matches!(
        engine.database.trim(PARTITION, 1),
        Err(StoreError::Unavailable(_))
    ));
    assert_eq!(scan(&engine, 10).expect("reads go on").entries.len(), 1);
}

#[test]
fn a_full_device_refuses_data_and_takes_deletes() {
    let (engine, dir) = engine();
    commit(&engine, put("a")).expect("it commits");
    engine.close().expect("it closes");
    drop(engine);
    let full = RocksOptions {
        reserve_bytes: u64::MAX,
        ..options(dir.path())
    };
    let engine = RocksEngine::open(&full).expect("it opens");
    assert_eq!(commit(&engine, put("b")), Err(StoreError::Full));
    let order = types::Order::default();
    let version = |name: &str| {
        let (bucket, key) = (BucketId(1), name.to_owned());
        Operation::Put(Key::Version { bucket, key, order }.encode(), Bytes::new())
    };
    let marker = batch(vec![version("a"), Operation::Delete(object("a"))]);
    assert_eq!(commit(&engine, marker), Ok(Outcome::Committed(2)));
    assert_eq!(commit(&engine, batch(vec![])), Ok(Outcome::Committed(3)));
    engine.close().expect("it closes");
    drop(engine);
    let brimful = RocksOptions {
        floor_bytes: u64::MAX,
        ..options(dir.path())
    };
    let engine = RocksEngine::open(&brimful).expect("it opens");
    assert_eq!(commit(&engine, batch(vec![])), Err(StoreError::Full));
    assert_eq!(scan(&engine, 10).expect("reads go on").entries.len(), 0);
}

#[test]
fn a_second_process_and_a_file_in_the_way_are_refused_with_a_reason() {
    let (engine, dir) = engine();
    let second = RocksEngine::open(&options(dir.path())).expect_err("the first has it");
    assert!(matches!(second, OpenEngineError::InUse { .. }), "{second}");
    drop(engine);
    let file = dir.path().join("file");
    std::fs::write(&file, b"in the way").expect("it writes");
    let blocked = RocksEngine::open(&options(&file.join("index"))).expect_err("a file is there");
    assert!(
        matches!(blocked, OpenEngineError::Folder { .. }),
        "{blocked}"
    );
}
