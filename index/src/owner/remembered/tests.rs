//! Tests of what is remembered, with the steps of commits and reads in chosen orders, one after another.

use super::*;
use crate::key::Key;
use types::BucketId;

fn key() -> Bytes {
    let bucket = BucketId(1);
    Key::BucketState { bucket }.encode()
}

fn record(seq: u64) -> Versioned {
    let value = Bytes::from_static(b"state");
    Versioned { seq, value }
}

fn batch(operation: Operation) -> Batch {
    Batch {
        operations: vec![operation],
        ..Batch::default()
    }
}

fn reading(remembered: &Remembered) -> Reading {
    remembered.find(&key()).expect_err("nothing is remembered")
}

#[test]
fn a_read_is_remembered_until_a_commit_writes_its_key() {
    let remembered = Remembered::default();
    remembered.keep(reading(&remembered), &key(), Some(&record(1)));
    assert_eq!(remembered.find(&key()).unwrap(), record(1));
    for operation in [
        Operation::Put(key(), Bytes::new()),
        Operation::Delete(key()),
    ] {
        drop(remembered.change([batch(operation)].iter()).unwrap());
        remembered.keep(reading(&remembered), &key(), Some(&record(2)));
        assert_eq!(remembered.find(&key()).unwrap(), record(2));
    }
}

#[test]
fn a_read_that_met_a_commit_is_not_remembered() {
    let remembered = Remembered::default();
    let before = reading(&remembered);
    let batches = [batch(Operation::Put(key(), Bytes::new()))];
    let changing = remembered.change(batches.iter()).unwrap();
    let during = reading(&remembered);
    remembered.keep(before, &key(), Some(&record(1)));
    remembered.keep(during, &key(), Some(&record(1)));
    reading(&remembered);
    drop(changing);
    // These reads may have seen what was there before the commit.
    remembered.keep(before, &key(), Some(&record(1)));
    remembered.keep(during, &key(), Some(&record(1)));
    let after = reading(&remembered);
    remembered.keep(after, &key(), Some(&record(2)));
    assert_eq!(remembered.find(&key()).unwrap(), record(2));
}

#[test]
fn other_records_and_absent_ones_are_not_remembered() {
    let remembered = Remembered::default();
    let object = Key::Current {
        bucket: BucketId(1),
        key: "k".to_owned(),
    }
    .encode();
    let read = remembered.find(&object).unwrap_err();
    remembered.keep(read, &object, Some(&record(1)));
    remembered.find(&object).unwrap_err();
    let puts = [batch(Operation::Put(object, Bytes::new()))];
    assert!(remembered.change(puts.iter()).is_none());
    remembered.keep(reading(&remembered), &key(), None);
    reading(&remembered);
}

#[test]
fn so_many_records_are_bounded() {
    let remembered = Remembered::default();
    for number in 0..=RECORDS_MAX as u64 {
        let bucket = BucketId(number + 1);
        let key = Key::BucketState { bucket }.encode();
        let read = remembered.find(&key).unwrap_err();
        remembered.keep(read, &key, Some(&record(1)));
        assert!(remembered.find(&key).is_ok());
    }
    assert!(remembered.state.read().records.len() <= RECORDS_MAX);
}
