//! The conformance suite that every implementation of [`Disk`] passes.

use super::memory::{Faults, Power};
use super::{Disk, FileDisk, MemoryDisk, read_file, replace_file};
use std::io::ErrorKind;

fn kind<T>(result: std::io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn names(disk: &dyn Disk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.sort();
    names
}

fn conforms(disk: &dyn Disk) {
    // Names.
    assert!(names(disk).is_empty());
    assert_eq!(kind(disk.open("a")), Some(ErrorKind::NotFound));
    assert_eq!(kind(disk.remove("a")), Some(ErrorKind::NotFound));
    let file = disk.create("a").unwrap();
    assert_eq!(kind(disk.create("a")), Some(ErrorKind::AlreadyExists));
    assert_eq!(names(disk), ["a"]);

    // Bytes.
    file.append(0, b"hello").unwrap();
    file.append(5, b" world").unwrap();
    file.append(0, b"J").unwrap();
    assert_eq!(file.size().unwrap(), 11);
    let mut bytes = [0; 11];
    disk.open("a").unwrap().read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"Jello world");
    let mut cached = [0; 5];
    if file.read_cached(6, &mut cached).unwrap() {
        assert_eq!(&cached, b"world");
    }
    assert_eq!(
        kind(file.read_at(7, &mut cached)),
        Some(ErrorKind::UnexpectedEof)
    );
    assert!(!matches!(file.read_cached(7, &mut cached), Ok(true)));
    file.truncate(5).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.open("a").unwrap().size().unwrap(), 5);

    // Renaming replaces; what is open stays readable.
    disk.create("b").unwrap().append(0, b"other").unwrap();
    disk.rename("b", "a").unwrap();
    assert_eq!(names(disk), ["a"]);
    file.read_at(0, &mut cached).unwrap();
    assert_eq!(&cached, b"Jello");
    assert_eq!(read_file(disk, "a", 5).unwrap().unwrap(), b"other");
    assert_eq!(kind(read_file(disk, "a", 4)), Some(ErrorKind::InvalidData));
    replace_file(disk, "a", b"new").unwrap();
    assert_eq!(read_file(disk, "a", 5).unwrap().unwrap(), b"new");
    assert_eq!(read_file(disk, "b", 5).unwrap(), None);
    disk.remove("a").unwrap();
    disk.sync_dir().unwrap();
    assert!(names(disk).is_empty());

    let space = disk.space().unwrap();
    assert!(space.free > 0 && space.free <= space.capacity);
}

#[test]
fn a_directory_conforms_and_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FileDisk::open(directory.path()).unwrap();
    conforms(&disk);
    let again = FileDisk::open(directory.path());
    assert_eq!(kind(again), Some(ErrorKind::ResourceBusy));
    drop(disk);
    FileDisk::open(directory.path()).unwrap();
}

#[test]
fn memory_conforms() {
    conforms(&MemoryDisk::default());
}

#[test]
fn a_crash_keeps_what_was_synced_and_may_lose_or_tear_the_rest() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let disk = MemoryDisk::default();
        let file = disk.create("a").unwrap();
        file.append(0, b"synced").unwrap();
        file.sync().unwrap();
        disk.sync_dir().unwrap();
        file.append(6, b"unsynced").unwrap();
        let found = read_file(&disk.after_crash(seed, Power::default()), "a", 99).unwrap();
        let found = found.expect("the name was synced");
        assert!(b"syncedunsynced".starts_with(&found) && found.starts_with(b"synced"));
        outcomes.insert(found.len());
    }
    assert!(outcomes.contains(&6) && outcomes.contains(&14) && outcomes.len() > 3);
}

#[test]
fn a_crash_may_lose_names_that_were_not_synced() {
    let survives = |seed| {
        let disk = MemoryDisk::default();
        let file = disk.create("a").unwrap();
        file.append(0, b"x").unwrap();
        file.sync().unwrap();
        disk.after_crash(seed, Power::default()).open("a").is_ok()
    };
    assert!((0..50).any(survives) && !(0..50).all(survives));
}

#[test]
fn replacing_a_file_leaves_the_old_or_the_new_one_at_every_crash() {
    for changes in 0..6 {
        for seed in 0..20 {
            let power = Power::default();
            let disk = MemoryDisk::new(power.clone());
            replace_file(&disk, "a", b"old").unwrap();
            power.ends_after(changes);
            let is_done = replace_file(&disk, "a", b"new").is_ok();
            let found = read_file(&disk.after_crash(seed, Power::default()), "a", 9).unwrap();
            let found = found.expect("one of the two is there");
            assert!(
                found == b"new" || (found == b"old" && !is_done),
                "{found:?} {is_done}"
            );
        }
    }
}

#[test]
fn a_failed_sync_loses_what_it_should_have_written() {
    let disk = MemoryDisk::default();
    let file = disk.create("a").unwrap();
    disk.sync_dir().unwrap();
    file.append(0, b"lost").unwrap();
    disk.set_faults(Faults {
        failing_sync: true,
        ..Faults::default()
    });
    assert!(file.sync().is_err());
    disk.set_faults(Faults::default());
    file.sync().unwrap();
    assert_eq!(disk.bytes("a"), b"lost", "it is still seen");
    assert_eq!(
        disk.after_crash(1, Power::default()).bytes("a"),
        b"",
        "but it is not there"
    );
}
