//! Records known to be bad, from the answers on: what must be found in a run, one small one for each.

use super::*;
use crate::record::Place;
use s3_tests::history::{Call, Condition, Version, Versioning};

fn record(versioning: Versioning) -> Record {
    Record::new(vec![Place {
        bucket: "b".to_owned(),
        key: "k".to_owned(),
        versioning,
        is_mixed: false,
    }])
}

/// An event by a client, in milliseconds.
fn event(client: usize, times: (u64, u64), call: Call, outcome: Outcome) -> Event {
    Event {
        client,
        called: times.0 * 1000,
        returned: times.1.saturating_mul(1000),
        call,
        outcome,
    }
}

fn put(times: (u64, u64), value: u64, condition: Condition, version: Version) -> Event {
    let call = Call::Put(value, condition);
    event(0, times, call, Outcome::Stored(version))
}

fn judged(versioning: Versioning, events: Vec<Event>) -> Judgement {
    let record = record(versioning);
    for event in events {
        record.add(0, event);
    }
    judge(&record)
}

#[track_caller]
fn assert_broken(versioning: Versioning, events: Vec<Event>) {
    let judgement = judged(versioning, events);
    assert!(!judgement.is_clean());
    assert_eq!(judgement.broken.len(), 1, "{judgement}");
}

const NULL: Version = Version::Null;
const ALWAYS: Condition = Condition::Always;

#[test]
fn what_works_is_clean() {
    let judgement = judged(
        Versioning::Off,
        vec![
            put((0, 1), 2, Condition::Absent, NULL),
            event(1, (2, 3), Call::Read, Outcome::Found(2, NULL)),
            event(1, (4, 5), Call::Look, Outcome::Shown(Some(2))),
            event(2, (6, 7), Call::Delete(ALWAYS), Outcome::Deleted(None)),
            event(1, (8, 9), Call::Look, Outcome::Shown(None)),
        ],
    );
    assert!(judgement.is_clean(), "{judgement}");
    assert_eq!(judgement.keys, 1);
}

#[test]
fn a_lost_write_is_found() {
    let stored = put((0, 1), 2, ALWAYS, NULL);
    let missing = event(1, (2, 3), Call::Read, Outcome::Missing);
    assert_broken(Versioning::Off, vec![stored, missing]);
}

#[test]
fn a_stale_read_is_found() {
    let first = put((0, 1), 2, ALWAYS, NULL);
    let second = put((2, 3), 4, ALWAYS, NULL);
    let read = event(1, (4, 5), Call::Read, Outcome::Found(2, NULL));
    assert_broken(Versioning::Off, vec![first, second, read]);
}

#[test]
fn two_winners_are_found() {
    let one = put((0, 5), 2, Condition::Absent, NULL);
    let other = put((1, 6), 4, Condition::Absent, NULL);
    assert_broken(Versioning::Off, vec![one, other]);
    let one = put((0, 5), 2, Condition::Absent, Version::Id(0));
    let other = put((1, 6), 4, Condition::Absent, Version::Id(1));
    assert_broken(Versioning::Enabled, vec![one, other]);
}

#[test]
fn a_list_with_a_ghost_is_found() {
    let stored = put((0, 1), 2, ALWAYS, NULL);
    let gone = event(0, (2, 3), Call::Delete(ALWAYS), Outcome::Deleted(None));
    let ghost = event(1, (4, 5), Call::Look, Outcome::Shown(Some(2)));
    assert_broken(Versioning::Off, vec![stored, gone, ghost]);
}

#[test]
fn a_list_that_lacks_a_key_is_found() {
    let stored = put((0, 1), 2, ALWAYS, NULL);
    let list = event(1, (2, 3), Call::Look, Outcome::Shown(None));
    assert_broken(Versioning::Off, vec![stored, list]);
}

#[test]
fn a_deletion_that_is_undone_is_found() {
    let stored = put((0, 1), 2, ALWAYS, Version::Id(0));
    let marked = Outcome::Deleted(Some(Version::Id(1)));
    let gone = event(0, (2, 3), Call::Delete(ALWAYS), marked);
    let back = event(1, (4, 5), Call::Read, Outcome::Found(2, Version::Id(0)));
    assert_broken(Versioning::Enabled, vec![stored, gone, back]);
}

#[test]
fn answers_that_are_wrong_by_themselves_count() {
    let record = record(Versioning::Off);
    record.add_wrong("other bytes".to_owned());
    let judgement = judge(&record);
    assert!(!judgement.is_clean());
    assert!(judgement.to_string().contains("other bytes"));
}

#[test]
fn gaps_are_from_answer_to_answer() {
    let read = |client, times| event(client, times, Call::Read, Outcome::Missing);
    let lost = event(0, (3, 40), Call::Put(2, ALWAYS), Outcome::Unknown);
    let events = [read(0, (1, 2)), lost, read(0, (49, 50)), read(1, (0, 1))];
    let gaps = longest_gaps(&events, 3, (0, 60_000));
    assert_eq!(gaps[&0], 48_000);
    assert_eq!(gaps[&1], 59_000);
    assert_eq!(gaps[&2], 60_000);
}
