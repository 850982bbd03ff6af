//! Histories known to be good and known to be bad, one small one for each way to be either.

mod lists;
mod random;
mod store;

use super::*;
use Condition::{Absent, Always, Is};
use Version::{Id, Null};
use Versioning::{Enabled, Off, Suspended};

/// An event by client 0, in milliseconds.
fn event(called: u64, returned: u64, call: Call, outcome: Outcome) -> Event {
    Event {
        client: 0,
        called: called * 1000,
        returned: returned.saturating_mul(1000),
        call,
        outcome,
    }
}

fn put(called: u64, returned: u64, value: Value) -> Event {
    put_if(called, returned, value, Always)
}

fn put_if(called: u64, returned: u64, value: Value, condition: Condition) -> Event {
    let call = Call::Put(value, condition);
    event(called, returned, call, Outcome::Stored(Null))
}

/// A PUT that makes version `id`.
fn put_as(called: u64, returned: u64, value: Value, id: usize) -> Event {
    let call = Call::Put(value, Always);
    event(called, returned, call, Outcome::Stored(Id(id)))
}

fn get(called: u64, returned: u64, value: Value) -> Event {
    event(called, returned, Call::Read, Outcome::Found(value, Null))
}

fn get_as(called: u64, returned: u64, value: Value, id: usize) -> Event {
    event(called, returned, Call::Read, Outcome::Found(value, Id(id)))
}

fn missing(called: u64, returned: u64) -> Event {
    event(called, returned, Call::Read, Outcome::Missing)
}

fn delete(called: u64, returned: u64) -> Event {
    let call = Call::Delete(Always);
    event(called, returned, call, Outcome::Deleted(None))
}

/// A DELETE that makes the marker `id`.
fn mark(called: u64, returned: u64, id: usize) -> Event {
    let call = Call::Delete(Always);
    event(called, returned, call, Outcome::Deleted(Some(Id(id))))
}

fn marked(called: u64, returned: u64, id: usize) -> Event {
    event(called, returned, Call::Read, Outcome::Marker(Id(id)))
}

fn delete_version(called: u64, returned: u64, id: usize) -> Event {
    let call = Call::DeleteVersion(Id(id));
    event(called, returned, call, Outcome::Deleted(None))
}

fn unmark(called: u64, returned: u64, id: usize) -> Event {
    let call = Call::DeleteVersion(Id(id));
    event(called, returned, call, Outcome::Deleted(Some(Id(id))))
}

fn list(called: u64, returned: u64, entries: &[(usize, Option<Value>)]) -> Event {
    let entries = entries.iter().map(|(id, value)| (Id(*id), *value));
    event(
        called,
        returned,
        Call::List,
        Outcome::Listed(entries.collect()),
    )
}

fn unanswered(called: u64, call: Call) -> Event {
    event(called, u64::MAX, call, Outcome::Unknown)
}

fn with(mut event: Event, outcome: Outcome) -> Event {
    event.outcome = outcome;
    event
}

fn history(versioning: Versioning, events: Vec<Event>) -> History {
    History {
        key: "k".to_owned(),
        versioning,
        events,
        versions: Arc::default(),
    }
}

#[track_caller]
fn good(versioning: Versioning, events: Vec<Event>) {
    let verdict = check(&history(versioning, events));
    if let Verdict::Broken(broken) = &verdict {
        panic!("{broken}");
    }
    assert!(matches!(verdict, Verdict::Linearizable));
}

/// The proof that the history is broken.
#[track_caller]
fn bad(versioning: Versioning, events: Vec<Event>) -> Broken {
    match check(&history(versioning, events)) {
        Verdict::Broken(broken) => *broken,
        verdict => panic!("{verdict:?}"),
    }
}

#[test]
fn a_read_sees_the_last_write_or_one_beside_it() {
    good(Off, vec![put(0, 1, 1), get(2, 3, 1)]);
    good(
        Off,
        vec![put(0, 1, 1), put(2, 9, 2), get(3, 4, 1), get(5, 6, 2)],
    );
    good(Off, vec![missing(0, 1), put(0, 3, 1), get(1, 2, 1)]);
    good(
        Off,
        vec![put(0, 1, 1), delete(2, 5), get(3, 4, 1), missing(4, 9)],
    );
}

#[test]
fn a_stale_read_is_found() {
    let broken = bad(Off, vec![put(0, 1, 1), put(2, 3, 2), get(4, 5, 1)]);
    assert_eq!(broken.event, 2);
    bad(Off, vec![put(0, 1, 1), missing(2, 3)]);
    bad(Off, vec![put(0, 1, 1), delete(2, 3), get(4, 5, 1)]);
}

#[test]
fn reads_that_go_back_are_found() {
    bad(
        Off,
        vec![put(0, 1, 1), put(2, 9, 2), get(3, 4, 2), get(5, 6, 1)],
    );
    bad(
        Off,
        vec![put(0, 1, 1), delete(2, 9), missing(3, 4), get(5, 6, 1)],
    );
}

#[test]
fn a_lost_update_is_found() {
    // Both replaced value 1, so one of them replaced what was not there any more.
    bad(
        Off,
        vec![put(0, 1, 1), put_if(2, 5, 2, Is(1)), put_if(3, 6, 3, Is(1))],
    );
    good(
        Off,
        vec![put(0, 1, 1), put_if(2, 5, 2, Is(1)), put_if(3, 6, 3, Is(2))],
    );
    // An acknowledged write that nobody overwrote is gone.
    bad(
        Off,
        vec![put(0, 1, 1), put(2, 4, 2), put(3, 5, 3), get(6, 7, 1)],
    );
}

#[test]
fn two_winners_of_if_none_match_are_found() {
    bad(Off, vec![put_if(0, 5, 1, Absent), put_if(1, 6, 2, Absent)]);
    let loser = with(put_if(1, 6, 2, Absent), Outcome::Failed);
    good(Off, vec![put_if(0, 5, 1, Absent), loser.clone()]);
    bad(Off, vec![loser]);
    // A delete between makes two winners possible, but only where it overlaps.
    good(
        Off,
        vec![
            put_if(0, 1, 1, Absent),
            delete(2, 5),
            put_if(3, 6, 2, Absent),
        ],
    );
    bad(
        Off,
        vec![
            put_if(0, 1, 1, Absent),
            put_if(3, 4, 2, Absent),
            delete(5, 6),
        ],
    );
}

#[test]
fn conditions_are_judged_at_their_moment() {
    let refused = |outcome| with(put_if(2, 3, 2, Is(1)), outcome);
    good(
        Off,
        vec![put(0, 1, 1), delete(1, 2), refused(Outcome::Missing)],
    );
    bad(Off, vec![put(0, 1, 1), refused(Outcome::Missing)]);
    bad(Off, vec![put(0, 1, 1), refused(Outcome::Failed)]);
    good(Off, vec![put(0, 1, 9), refused(Outcome::Failed)]);
    let conditional = |outcome| event(2, 3, Call::Delete(Is(1)), outcome);
    good(
        Off,
        vec![
            put(0, 1, 1),
            conditional(Outcome::Deleted(None)),
            missing(4, 5),
        ],
    );
    good(
        Off,
        vec![put(0, 1, 2), conditional(Outcome::Failed), get(4, 5, 2)],
    );
    bad(Off, vec![put(0, 1, 2), conditional(Outcome::Deleted(None))]);
    for nothing in [Off, Enabled] {
        bad(nothing, vec![conditional(Outcome::Deleted(None))]);
        good(nothing, vec![conditional(Outcome::Missing)]);
    }
    // In a versioned bucket a delete marker is nothing to match.
    let again = with(put_if(4, 5, 2, Absent), Outcome::Stored(Id(2)));
    good(Enabled, vec![put_as(0, 1, 1, 0), mark(2, 3, 1), again]);
}

#[test]
fn a_value_that_nobody_wrote_is_found() {
    bad(Off, vec![put(0, 1, 1), get(2, 3, 7)]);
    let refused = with(put_if(0, 5, 2, Is(1)), Outcome::Missing);
    bad(Off, vec![refused, get(1, 6, 2)]);
}

#[test]
fn what_was_not_answered_happened_once_or_never() {
    let lost = || unanswered(2, Call::Put(2, Always));
    good(Off, vec![put(0, 1, 1), lost(), get(3, 4, 1)]);
    good(Off, vec![put(0, 1, 1), lost(), get(3, 4, 2)]);
    // It may take effect long after.
    good(
        Off,
        vec![put(0, 1, 1), lost(), get(3, 4, 1), get(50, 60, 2)],
    );
    bad(Off, vec![put(0, 1, 1), lost(), get(3, 4, 2), get(5, 6, 1)]);
    // Twice: it comes back after it was replaced.
    bad(
        Off,
        vec![
            put(0, 1, 1),
            lost(),
            get(3, 4, 2),
            put(5, 6, 3),
            get(7, 8, 2),
        ],
    );
    // Once it is known that the server was gone, it cannot take effect any more.
    let until = |returned| Event { returned, ..lost() };
    good(Off, vec![until(9_000), get(3, 8, 2)]);
    good(Off, vec![until(9_000), missing(10, 11)]);
    bad(Off, vec![until(9_000), missing(10, 11), get(12, 13, 2)]);
    // A delete that was not answered.
    let deleted = || unanswered(2, Call::Delete(Always));
    good(
        Off,
        vec![put(0, 1, 1), deleted(), get(3, 4, 1), missing(5, 6)],
    );
    bad(
        Off,
        vec![put(0, 1, 1), deleted(), missing(3, 4), get(5, 6, 1)],
    );
    // A conditional one may have lost.
    let conditional = || unanswered(2, Call::Put(2, Absent));
    good(Off, vec![put(0, 1, 1), conditional(), get(3, 4, 1)]);
    bad(Off, vec![put(0, 1, 1), conditional(), get(3, 4, 2)]);
}

#[test]
fn a_completion_that_is_repeated_changes_nothing() {
    let complete = |called, returned| {
        let call = Call::Complete(1, Absent);
        event(called, returned, call, Outcome::Stored(Null))
    };
    good(Off, vec![complete(0, 5), complete(1, 6), get(7, 8, 1)]);
    good(
        Off,
        vec![complete(0, 1), put(2, 3, 2), complete(4, 5), get(6, 7, 2)],
    );
    bad(
        Off,
        vec![complete(0, 1), put(2, 3, 2), complete(4, 5), get(6, 7, 1)],
    );
    good(
        Off,
        vec![complete(0, 1), with(complete(2, 3), Outcome::Failed)],
    );
    good(
        Off,
        vec![
            complete(0, 1),
            delete(2, 3),
            unanswered(4, Call::Complete(1, Always)),
            missing(5, 6),
        ],
    );
}

#[test]
fn versions_stay_until_they_are_deleted() {
    let read = |called, id, outcome| event(called, called + 1, Call::ReadVersion(Id(id)), outcome);
    let two = || vec![put_as(0, 1, 1, 0), put_as(2, 3, 2, 1)];
    let and = |more: Vec<Event>| [two(), more].concat();
    good(
        Enabled,
        and(vec![
            read(4, 0, Outcome::Found(1, Id(0))),
            get_as(4, 5, 2, 1),
        ]),
    );
    bad(Enabled, and(vec![read(4, 0, Outcome::Missing)]));
    bad(Enabled, and(vec![read(4, 0, Outcome::Found(2, Id(0)))]));
    bad(Enabled, and(vec![get_as(4, 5, 2, 0)]));
    good(
        Enabled,
        and(vec![
            delete_version(4, 5, 1),
            get_as(6, 7, 1, 0),
            read(6, 1, Outcome::Missing),
        ]),
    );
    // A deleted version comes back.
    bad(
        Enabled,
        and(vec![
            delete_version(4, 5, 0),
            read(6, 0, Outcome::Found(1, Id(0))),
        ]),
    );
    bad(
        Enabled,
        and(vec![
            delete_version(4, 5, 1),
            get_as(6, 7, 1, 0),
            get_as(8, 9, 2, 1),
        ]),
    );
    good(
        Enabled,
        and(vec![list(4, 5, &[(1, Some(2)), (0, Some(1))])]),
    );
    bad(
        Enabled,
        and(vec![list(4, 5, &[(0, Some(1)), (1, Some(2))])]),
    );
    bad(Enabled, and(vec![list(4, 5, &[(1, Some(2))])]));
    // One id for two writes.
    let broken = bad(Enabled, vec![put_as(0, 1, 1, 0), put_as(2, 3, 2, 0)]);
    assert!(broken.to_string().contains("given twice"), "{broken}");
    bad(Enabled, vec![mark(0, 1, 0), mark(2, 3, 0)]);
}

#[test]
fn delete_markers_hide_and_are_removed() {
    let hidden = || vec![put_as(0, 1, 1, 0), put_as(2, 3, 2, 1), mark(4, 5, 2)];
    let and = |more: Vec<Event>| [hidden(), more].concat();
    good(
        Enabled,
        and(vec![marked(6, 7, 2), unmark(8, 9, 2), get_as(10, 11, 2, 1)]),
    );
    bad(Enabled, and(vec![get_as(6, 7, 2, 1)]));
    bad(Enabled, and(vec![missing(6, 7)]));
    // The marker removed, the value under it is the newer one.
    bad(Enabled, and(vec![unmark(6, 7, 2), get_as(8, 9, 1, 0)]));
    bad(Enabled, and(vec![unmark(6, 7, 2), marked(8, 9, 2)]));
    // A second delete makes a second marker.
    good(
        Enabled,
        and(vec![mark(6, 7, 3), unmark(8, 9, 2), marked(10, 11, 3)]),
    );
    good(
        Enabled,
        and(vec![list(6, 7, &[(2, None), (1, Some(2)), (0, Some(1))])]),
    );
}

#[test]
fn names_that_no_answer_gave_are_learnt_from_reads() {
    let lost_delete = || unanswered(2, Call::Delete(Always));
    let start = || vec![put_as(0, 1, 1, 0), lost_delete()];
    let and = |more: Vec<Event>| [start(), more].concat();
    good(
        Enabled,
        and(vec![marked(3, 4, 9), unmark(5, 6, 9), get_as(7, 8, 1, 0)]),
    );
    // Only one marker can have been made.
    bad(Enabled, and(vec![marked(3, 4, 9), marked(5, 6, 8)]));
    bad(
        Enabled,
        and(vec![marked(3, 4, 9), unmark(5, 6, 9), marked(7, 8, 9)]),
    );
    good(Enabled, and(vec![list(3, 4, &[(9, None), (0, Some(1))])]));
    let lost_put = || unanswered(2, Call::Put(2, Always));
    good(
        Enabled,
        vec![put_as(0, 1, 1, 0), lost_put(), get_as(3, 4, 2, 5)],
    );
    bad(
        Enabled,
        vec![
            put_as(0, 1, 1, 0),
            lost_put(),
            get_as(3, 4, 2, 5),
            get_as(5, 6, 2, 6),
        ],
    );
}

#[test]
fn a_suspended_bucket_replaces_its_null_version_only() {
    let null = |called, value| put(called, called + 1, value);
    let suspend = |called| {
        let call = Call::SetVersioning(Suspended);
        event(called, called + 1, call, Outcome::Set)
    };
    let start = || vec![put_as(0, 1, 1, 0), suspend(2), null(4, 2), null(6, 3)];
    let and = |more: Vec<Event>| [start(), more].concat();
    let list = |entries: &[(Version, Option<Value>)]| {
        event(10, 11, Call::List, Outcome::Listed(entries.to_vec()))
    };
    good(
        Enabled,
        and(vec![list(&[(Null, Some(3)), (Id(0), Some(1))])]),
    );
    bad(
        Enabled,
        and(vec![list(&[
            (Null, Some(3)),
            (Null, Some(2)),
            (Id(0), Some(1)),
        ])]),
    );
    let null_marker = event(8, 9, Call::Delete(Always), Outcome::Deleted(Some(Null)));
    good(
        Enabled,
        and(vec![
            null_marker.clone(),
            list(&[(Null, None), (Id(0), Some(1))]),
        ]),
    );
    bad(Enabled, and(vec![null_marker, get_as(10, 11, 1, 0)]));
    // A null version in a bucket that is not suspended yet.
    bad(Enabled, vec![null(0, 1), suspend(2)]);
}

#[test]
fn a_proof_is_short_and_readable() {
    let mut events = Vec::new();
    for n in 0..200 {
        let at = n * 10;
        events.push(put(at, at + 3, n));
        events.push(get(at + 4, at + 5, n));
    }
    events.push(get(3000, 3001, 150));
    let mut history = history(Off, events);
    history.key = "some key".to_owned();
    let Verdict::Broken(broken) = check(&history) else {
        panic!("a stale read")
    };
    assert_eq!(broken.event, 400);
    assert!(broken.window.len() <= 3, "{broken}");
    let text = broken.to_string();
    for part in [
        "key \"some key\" (Off): no order",
        "* client 0     3000.000 ..   3001.000 ms  GET -> v150, version null",
        "Off [v199=null]",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn too_many_possibilities_are_no_verdict() {
    // Each of these may come before or after any other, and each order is another state.
    let events = (0..30).map(|n| put_as(0, 100, n as u64, n)).collect();
    assert!(matches!(
        check(&history(Enabled, events)),
        Verdict::Undecided(_)
    ));
}
