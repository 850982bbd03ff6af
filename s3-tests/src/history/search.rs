//! The search for an order.
//!
//! It goes through the calls and returns in the order of their times, with all states in which the key may
//! be, each with the set of calls that have taken effect and have not returned. Nothing is ordered before a
//! return asks for it: at each return, every state in which that call has not taken effect yet is taken on
//! by it, and by other open calls before it, in every way that their answers allow. When no state is left,
//! no order explains what has been answered so far.

use super::explain::Broken;
use super::model::{KeyState, Names};
use super::{Event, History, Outcome, Verdict};
use std::collections::HashSet;
use std::rc::Rc;

/// States that are held at once before the search is given up.
const STATES_MAX: usize = 200_000;

/// What is made of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It happened as told.
    Whole,
    /// It happened as told or not at all.
    Optional,
    /// It is left out.
    Out,
}

/// A possibility: a state, and the open calls that have taken effect in it, in order of their number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Possibility {
    done: Vec<usize>,
    state: Rc<KeyState>,
}

/// How far a search came.
pub(super) enum Found {
    /// To the end.
    Order,
    /// No order explains this event's answer; the states in which the key may have been before.
    Nothing(usize, Vec<Rc<KeyState>>),
    /// There were too many possibilities at this event.
    TooMany(usize),
}

/// Looks for an order of the events that explains every answer.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let names = match Names::read(&history.events) {
        Ok(names) => names,
        Err(event) => return Verdict::Broken(Box::new(Broken::of_repeated_id(history, event))),
    };
    let uses = vec![Use::Whole; history.events.len()];
    match search(history, &names, &uses, None, STATES_MAX) {
        Found::Order => Verdict::Linearizable,
        Found::TooMany(event) => Verdict::Undecided(event),
        Found::Nothing(event, states) => {
            Verdict::Broken(Box::new(Broken::new(history, &names, event, &states)))
        }
    }
}

/// Looks for an order of the events as `uses` says of each, up to the return of `last` if that is given.
pub(super) fn search(
    history: &History,
    names: &Names,
    uses: &[Use],
    last: Option<usize>,
    states_max: usize,
) -> Found {
    let mut search = Search {
        history,
        names,
        uses,
        states_max,
        open: Vec::new(),
        possible: HashSet::from([Possibility {
            done: Vec::new(),
            state: Rc::new(KeyState::new(history.versioning)),
        }]),
    };
    let end = last.map_or(u64::MAX, |last| history.events[last].returned);
    for (time, is_return, index) in timeline(&history.events, uses) {
        if time > end {
            break;
        }
        if !is_return {
            search.call(index);
            continue;
        }
        match search.give_back(index) {
            None => return Found::TooMany(index),
            Some(next) if next.is_empty() => {
                let states = search.possible.into_iter().map(|one| one.state);
                let states: HashSet<_> = states.collect();
                return Found::Nothing(index, states.into_iter().collect());
            }
            Some(next) => search.possible = next,
        }
    }
    Found::Order
}

/// Calls and returns by time: (time, whether it is a return, event). What happens at one time overlaps.
fn timeline(events: &[Event], uses: &[Use]) -> Vec<(u64, bool, usize)> {
    let mut times = Vec::new();
    for (index, event) in events.iter().enumerate() {
        if uses[index] != Use::Out {
            times.push((event.called, false, index));
            if event.returned != u64::MAX || event.outcome != Outcome::Unknown {
                times.push((event.returned, true, index));
            }
        }
    }
    times.sort_unstable();
    times
}

struct Search<'a> {
    history: &'a History,
    names: &'a Names,
    uses: &'a [Use],
    states_max: usize,
    /// Calls that have not returned.
    open: Vec<usize>,
    possible: HashSet<Possibility>,
}

impl Search<'_> {
    fn event(&self, index: usize) -> &Event {
        &self.history.events[index]
    }

    fn call(&mut self, index: usize) {
        self.open.push(index);
        if self.event(index).outcome.is_observation() {
            let possible = std::mem::take(&mut self.possible);
            self.possible = possible.into_iter().map(|one| self.observed(one)).collect();
        }
    }

    /// With every open call that only observed, and fits, taken as done: it changes nothing, so whatever can
    /// follow without it can follow after it.
    fn observed(&self, mut one: Possibility) -> Possibility {
        for index in &self.open {
            let event = self.event(*index);
            if !event.outcome.is_observation() || one.done.contains(index) {
                continue;
            }
            let next = one.state.step(self.names, *index, event);
            if matches!(next.as_slice(), [same] if *same == *one.state) {
                insert(&mut one.done, *index);
            }
        }
        one
    }

    /// The possibilities after the return of an event; None if they are too many.
    fn give_back(&mut self, index: usize) -> Option<HashSet<Possibility>> {
        let is_optional =
            self.uses[index] == Use::Optional || self.event(index).outcome == Outcome::Unknown;
        let mut next = HashSet::new();
        let mut seen = HashSet::new();
        let mut waiting: Vec<Possibility> = Vec::new();
        for one in &self.possible {
            if let Ok(at) = one.done.binary_search(&index) {
                let mut one = one.clone();
                one.done.remove(at);
                next.insert(one);
            } else {
                if is_optional {
                    next.insert(one.clone());
                }
                waiting.push(one.clone());
            }
        }
        while let Some(one) = waiting.pop() {
            for other in &self.open {
                if one.done.contains(other) {
                    continue;
                }
                for state in one.state.step(self.names, *other, self.event(*other)) {
                    let mut done = one.done.clone();
                    insert(&mut done, *other);
                    let mut reached = self.observed(Possibility {
                        done,
                        state: Rc::new(state),
                    });
                    if let Ok(at) = reached.done.binary_search(&index) {
                        reached.done.remove(at);
                        next.insert(reached);
                    } else if seen.insert(reached.clone()) {
                        waiting.push(reached);
                    }
                }
                if next.len() + seen.len() > self.states_max {
                    return None;
                }
            }
        }
        self.open.retain(|open| *open != index);
        Some(next)
    }
}

fn insert(sorted: &mut Vec<usize>, index: usize) {
    if let Err(at) = sorted.binary_search(&index) {
        sorted.insert(at, index);
    }
}
