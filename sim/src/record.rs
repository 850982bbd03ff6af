//! What clients asked and were told, as histories to be judged.

use crate::log::Log;
use index::VersionRef;
use parking_lot::Mutex;
use s3_tests::history::{
    Call, Event, History, Outcome, Value, Verdict, Version, Versioning, check,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::VersionId;

/// A key of a bucket, by the bucket's name.
pub(crate) type Place = (&'static str, String);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Record {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls and returns have an order of their own: the clock stands still while much happens.
    moment: u64,
    histories: BTreeMap<Place, (Versioning, Vec<Event>)>,
    versions: Vec<VersionId>,
    /// Length of each value.
    lengths: BTreeMap<Value, usize>,
    /// Values that were written, or copied, to each key: each once.
    written: BTreeSet<(Place, Value)>,
}

/// A call that has not returned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    client: usize,
    called: u64,
}

impl Record {
    /// A key that will have a history.
    pub fn add_key(&self, place: Place, versioning: Versioning) {
        let mut state = self.state.lock();
        state.histories.insert(place, (versioning, Vec::new()));
    }

    pub fn places(&self) -> Vec<Place> {
        self.state.lock().histories.keys().cloned().collect()
    }

    /// A value that nothing has yet, to be written to this key.
    pub fn new_value(&self, place: &Place, length: usize) -> Value {
        let mut state = self.state.lock();
        let value = state.lengths.len() as Value + 1;
        state.lengths.insert(value, length);
        state.written.insert((place.clone(), value));
        value
    }

    pub fn length(&self, value: Value) -> Option<usize> {
        self.state.lock().lengths.get(&value).copied()
    }

    /// Whether the value has not been written to the key before; from now on it has.
    pub fn claim(&self, place: &Place, value: Value) -> bool {
        self.state.lock().written.insert((place.clone(), value))
    }

    pub fn open(&self, client: usize) -> Open {
        let mut state = self.state.lock();
        state.moment += 1;
        Open {
            client,
            called: state.moment,
        }
    }

    /// How histories call a version.
    pub fn version(&self, version: VersionRef) -> Version {
        let VersionRef::Id(id) = version else {
            return Version::Null;
        };
        let versions = &mut self.state.lock().versions;
        let known = versions.iter().position(|known| *known == id);
        Version::Id(known.unwrap_or_else(|| {
            versions.push(id);
            versions.len() - 1
        }))
    }

    /// Records an answer, or for an unknown outcome that there was none.
    pub fn close(&self, open: Open, place: &Place, call: Call, outcome: Outcome) {
        let mut state = self.state.lock();
        state.moment += 1;
        let returned = match outcome {
            Outcome::Unknown => u64::MAX,
            _ => state.moment,
        };
        let event = Event {
            client: open.client,
            called: open.called,
            returned,
            call,
            outcome,
        };
        let history = state.histories.get_mut(place);
        history.expect("every key has a history").1.push(event);
    }

    /// Events with an unknown outcome so far, of one key.
    pub fn unknown(&self, place: &Place) -> usize {
        let state = self.state.lock();
        let events = state.histories.get(place).map(|(_, events)| events.iter());
        let events = events.into_iter().flatten();
        events
            .filter(|event| event.outcome == Outcome::Unknown)
            .count()
    }

    /// Judges every history; how many there were, and of how many it stayed open.
    pub fn judge(&self, log: &Log) -> (usize, usize) {
        let state = self.state.lock();
        let texts: Vec<String> = state.versions.iter().map(|id| format!("{id}")).collect();
        let texts = Arc::new(texts);
        let mut undecided = 0;
        for ((bucket, key), (versioning, events)) in &state.histories {
            let history = History {
                key: format!("{bucket}/{key}"),
                versioning: *versioning,
                events: events.clone(),
                versions: Arc::clone(&texts),
            };
            match check(&history) {
                Verdict::Linearizable => {}
                Verdict::Undecided(_) => undecided += 1,
                Verdict::Broken(broken) => log.violation(format_args!("{broken}")),
            }
        }
        (state.histories.len(), undecided)
    }
}
