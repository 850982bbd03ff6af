//! A history that no order explains, cut down to what shows it.

use super::model::{Entry, KeyState, Name, Names};
use super::search::{Found, Use, search};
use super::{Call, Event, History, Outcome, Value};
use std::fmt;
use std::rc::Rc;

/// States held at once while looking for what can be left out: a smaller history that takes more is not
/// worth the time.
const STATES_MAX: usize = 2_000;

/// Searches for what can be left out.
const ATTEMPTS: usize = 4_000;

/// States shown.
const SHOWN: usize = 6;

/// A proof that a history is not linearizable: the events that together cannot be explained.
#[derive(Debug)]
pub struct Broken {
    /// The event, of the whole history, whose answer is the first that nothing explains.
    pub event: usize,
    /// The events, of the whole history, that already cannot be explained by themselves; by call.
    pub window: Vec<usize>,
    text: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Broken {
    /// The proof for a history that failed at `event`, when the key may have been in one of `states`.
    pub(super) fn new(
        history: &History,
        names: &Names,
        event: usize,
        states: &[Rc<KeyState>],
    ) -> Self {
        let uses = Shrink::new(history, names, event).run();
        let needed: Vec<usize> = (0..uses.len()).filter(|n| uses[*n] == Use::Whole).collect();
        let mentioned: Vec<Value> = needed
            .iter()
            .flat_map(|n| values(&history.events[*n]))
            .collect();
        let tells = |n: &usize| {
            let event = &history.events[*n];
            let is_writer = values(event).iter().any(|value| mentioned.contains(value));
            uses[*n] == Use::Whole || (uses[*n] == Use::Optional && is_writer)
        };
        let window = by_call(history, (0..uses.len()).filter(tells).collect());
        // Leaving out may move the failure to an earlier answer, which then is the better one to show.
        let last = match search(history, names, &uses, Some(event), STATES_MAX) {
            Found::Nothing(last, _) => last,
            Found::Order | Found::TooMany(_) => event,
        };
        let mut text = headline(history, "no order of the operations explains the answers");
        text += &table(history, &window, last);
        text += "  before the marked answer the key was in one of:\n";
        for state in states.iter().take(SHOWN) {
            text += &format!("    {}\n", show(state, &history.versions));
        }
        if states.len() > SHOWN {
            text += &format!("    and {} more\n", states.len() - SHOWN);
        }
        Self {
            event,
            window,
            text,
        }
    }

    /// The proof for a version id that was given to two writes.
    pub(super) fn of_repeated_id(history: &History, event: usize) -> Self {
        let outcome = &history.events[event].outcome;
        let same = (0..history.events.len()).filter(|n| history.events[*n].outcome == *outcome);
        let window = by_call(history, same.collect());
        let text = headline(history, "one version id was given twice");
        Self {
            event,
            text: text + &table(history, &window, event),
            window,
        }
    }
}

fn headline(history: &History, what: &str) -> String {
    format!(
        "key {:?} ({:?}): {what}:\n",
        history.key, history.versioning
    )
}

fn by_call(history: &History, mut events: Vec<usize>) -> Vec<usize> {
    events.sort_by_key(|n| history.events[*n].called);
    events
}

fn table(history: &History, window: &[usize], marked: usize) -> String {
    let ms = |us: u64| format!("{}.{:03}", us / 1000, us % 1000);
    let mut text = String::new();
    for n in window {
        let event = &history.events[*n];
        let until = match event.returned {
            u64::MAX => "never".to_owned(),
            returned => ms(returned),
        };
        text += &format!(
            "  {} client {:<3} {:>10} .. {:>10} ms  {} -> {}\n",
            if *n == marked { '*' } else { ' ' },
            event.client,
            ms(event.called),
            until,
            event.call.show(&history.versions),
            event.outcome.show(&history.versions),
        );
    }
    text
}

/// The values that an event writes, asks for or sees.
fn values(event: &Event) -> Vec<Value> {
    let mut values = Vec::new();
    let condition = match event.call {
        Call::Put(value, condition) | Call::Complete(value, condition) => {
            values.push(value);
            Some(condition)
        }
        Call::Delete(condition) => Some(condition),
        _ => None,
    };
    if let Some(super::Condition::Is(value)) = condition {
        values.push(value);
    }
    match &event.outcome {
        Outcome::Found(value, _) | Outcome::Shown(Some(value)) => values.push(*value),
        Outcome::Listed(entries) => values.extend(entries.iter().filter_map(|(_, value)| *value)),
        _ => {}
    }
    values
}

fn show(state: &KeyState, texts: &[String]) -> String {
    let entry = |entry: &Entry| {
        let value = entry
            .value
            .map_or("marker".to_owned(), |value| format!("v{value}"));
        match entry.name {
            Name::Known(version) => format!("{value}={}", version.show(texts)),
            Name::Unseen(_) => format!("{value}=?"),
        }
    };
    let entries: Vec<String> = state.versions.iter().take(12).map(entry).collect();
    let more = if state.versions.len() > 12 {
        " ..."
    } else {
        ""
    };
    format!("{:?} [{}{more}]", state.versioning, entries.join(" "))
}

/// Takes less and less of a history while it stays without an order. Only ever less is claimed: what
/// observed is left out, what changed something may have happened or not. So what is left proves the same
/// of the whole.
struct Shrink<'a> {
    history: &'a History,
    names: &'a Names,
    /// Nothing is claimed of what came after its return.
    event: usize,
    uses: Vec<Use>,
    attempts: usize,
}

impl<'a> Shrink<'a> {
    fn new(history: &'a History, names: &'a Names, event: usize) -> Self {
        Self {
            history,
            names,
            event,
            uses: vec![Use::Whole; history.events.len()],
            attempts: ATTEMPTS,
        }
    }

    fn run(mut self) -> Vec<Use> {
        let is_observation = |n: &usize| self.history.events[*n].outcome.is_observation();
        let all = 0..self.uses.len();
        let (observations, changes): (Vec<usize>, Vec<usize>) = all.partition(is_observation);
        for part in [&observations, &changes, &observations] {
            let mut size = part.len().div_ceil(2).max(1);
            loop {
                // From the start, as what is long past is needed least.
                for chunk in part.chunks(size) {
                    self.weaken(chunk);
                }
                if size == 1 {
                    break;
                }
                size = size.div_ceil(2);
            }
        }
        self.uses
    }

    /// Claims less of these events, if what is left has no order still.
    fn weaken(&mut self, events: &[usize]) {
        let before: Vec<Use> = events.iter().map(|n| self.uses[*n]).collect();
        if self.attempts == 0 || !before.contains(&Use::Whole) {
            return;
        }
        self.attempts -= 1;
        for n in events {
            if self.uses[*n] == Use::Whole {
                let is_observation = self.history.events[*n].outcome.is_observation();
                self.uses[*n] = if is_observation {
                    Use::Out
                } else {
                    Use::Optional
                };
            }
        }
        let found = search(
            self.history,
            self.names,
            &self.uses,
            Some(self.event),
            STATES_MAX,
        );
        if !matches!(found, Found::Nothing(..)) {
            for (n, before) in events.iter().zip(before) {
                self.uses[*n] = before;
            }
        }
    }
}
