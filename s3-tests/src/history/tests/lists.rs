//! What lists of objects show of a key.

use super::*;

fn listed(called: u64, returned: u64, value: Option<Value>) -> Event {
    event(called, returned, Call::Look, Outcome::Shown(value))
}

#[test]
fn a_list_shows_what_is_there() {
    good(
        Off,
        vec![
            listed(0, 1, None),
            put(2, 5, 1),
            listed(3, 4, None),
            listed(6, 7, Some(1)),
            put(8, 9, 2),
            listed(10, 11, Some(2)),
            delete(12, 13),
            listed(14, 15, None),
        ],
    );
    let versioned = || vec![put_as(0, 1, 1, 0), mark(2, 3, 1)];
    let and = |more: Vec<Event>| [versioned(), more].concat();
    good(Enabled, and(vec![listed(4, 5, None)]));
    good(Enabled, and(vec![unmark(4, 5, 1), listed(6, 7, Some(1))]));
}

#[test]
fn a_list_that_lacks_a_key_is_found() {
    bad(Off, vec![put(0, 1, 1), listed(2, 3, None)]);
    bad(
        Off,
        vec![put(0, 1, 1), listed(2, 9, Some(1)), listed(10, 11, None)],
    );
    bad(Enabled, vec![put_as(0, 1, 1, 0), listed(2, 3, None)]);
}

#[test]
fn a_ghost_in_a_list_is_found() {
    bad(Off, vec![listed(0, 1, Some(7))]);
    bad(Off, vec![put(0, 1, 1), delete(2, 3), listed(4, 5, Some(1))]);
    let hidden = vec![put_as(0, 1, 1, 0), mark(2, 3, 1), listed(4, 5, Some(1))];
    bad(Enabled, hidden);
    // A write that was refused shows up.
    let refused = with(put_if(2, 3, 2, Absent), Outcome::Failed);
    bad(Off, vec![put(0, 1, 1), refused, listed(4, 5, Some(2))]);
}

#[test]
fn a_stale_list_is_found() {
    bad(Off, vec![put(0, 1, 1), put(2, 3, 2), listed(4, 5, Some(1))]);
    // What a list has shown has happened: a later read may not go back behind it.
    let lost = unanswered(2, Call::Put(2, Always));
    good(
        Off,
        vec![
            put(0, 1, 1),
            lost.clone(),
            listed(4, 5, Some(2)),
            get(6, 7, 2),
        ],
    );
    bad(
        Off,
        vec![put(0, 1, 1), lost, listed(4, 5, Some(2)), get(6, 7, 1)],
    );
}

#[test]
fn a_deletion_that_is_undone_is_found() {
    bad(
        Off,
        vec![put(0, 1, 1), delete(2, 3), missing(4, 5), get(6, 7, 1)],
    );
    let seen = get_as(4, 5, 1, 0);
    bad(Enabled, vec![put_as(0, 1, 1, 0), mark(2, 3, 1), seen]);
    bad(
        Enabled,
        vec![
            put_as(0, 1, 1, 0),
            delete_version(2, 3, 0),
            get_as(4, 5, 1, 0),
        ],
    );
}
