//! Random histories: those of a store that works are accepted whatever overlaps, and the search agrees with
//! one that tries every order.

use super::store::Store;
use crate::history::model::{KeyState, Names};
use crate::history::search::check;
use crate::history::*;

/// A seeded generator.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn one<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }
}

/// What a random history is made of.
struct Shape {
    versioning: Versioning,
    events: u64,
    /// Events that overlap a moment, about.
    overlap: u64,
    /// One of so many events is not answered.
    unanswered: u64,
}

fn random_call(dice: &mut Dice, store: &Store, n: u64) -> Call {
    let condition = match dice.roll(6) {
        0 | 1 => Condition::Absent,
        2 | 3 => Condition::Is(dice.roll(n + 1).max(n.saturating_sub(4))),
        _ => Condition::Always,
    };
    match dice.roll(16) {
        0..=4 => Call::Put(n, condition),
        5 => Call::Complete(n, condition),
        // An upload that may have been completed before.
        6 => Call::Complete(1_000_000 + n / 4, condition),
        7 if condition == Condition::Absent => Call::Delete(Condition::Always),
        7 => Call::Delete(condition),
        8 if store.versioning != Versioning::Off && dice.roll(4) == 0 => {
            let to = [Versioning::Enabled, Versioning::Suspended];
            Call::SetVersioning(dice.one(&to))
        }
        8 | 9 => Call::DeleteVersion(dice.one(&store.names())),
        10 if dice.roll(2) == 0 => Call::List,
        10 => Call::Look,
        11 => Call::ReadVersion(dice.one(&store.names())),
        _ => Call::Read,
    }
}

/// A history of a store that works: each event takes effect at one moment between call and return.
fn of_working_store(seed: u64, shape: &Shape) -> History {
    let mut dice = Dice::new(seed);
    let mut store = Store::new(shape.versioning);
    let mut events = Vec::new();
    for n in 0..shape.events {
        let moment = 100_000 + n * 10;
        let call = random_call(&mut dice, &store, n);
        let mut event = Event {
            client: (n % 7) as usize,
            called: moment - dice.roll(10 * shape.overlap) - 1,
            returned: moment + dice.roll(10 * shape.overlap) + 1,
            call,
            outcome: Outcome::Unknown,
        };
        let is_unanswered = dice.roll(shape.unanswered) == 0;
        if !is_unanswered || dice.roll(2) == 0 {
            let outcome = store.run(call);
            if !is_unanswered {
                event.outcome = outcome;
            }
        }
        if is_unanswered && dice.roll(2) == 0 {
            event.returned = u64::MAX;
        }
        events.push(event);
    }
    History {
        key: format!("seed {seed}"),
        versioning: shape.versioning,
        events,
        versions: Arc::default(),
    }
}

/// Changes one thing that some client was told, or when.
fn falsify(dice: &mut Dice, history: &mut History) {
    let events = &mut history.events;
    let (n, other) = (
        dice.roll(events.len() as u64),
        dice.roll(events.len() as u64),
    );
    let (n, other) = (n as usize, other as usize);
    match dice.roll(4) {
        0 => events[n].outcome = events[other].outcome.clone(),
        1 => {
            let value = dice.roll(8);
            match &mut events[n].outcome {
                Outcome::Found(found, _) => *found = value,
                outcome @ Outcome::Failed => *outcome = Outcome::Stored(Version::Null),
                outcome @ Outcome::Stored(_) => *outcome = Outcome::Failed,
                outcome => *outcome = Outcome::Missing,
            }
        }
        2 => {
            if let Outcome::Listed(entries) = &mut events[n].outcome {
                entries.pop();
            }
        }
        _ => {
            let (call, outcome) = (events[n].call, events[n].outcome.clone());
            (events[n].call, events[n].outcome) =
                (events[other].call, events[other].outcome.clone());
            (events[other].call, events[other].outcome) = (call, outcome);
        }
    }
}

/// Whether some order explains the history, by trying every one.
fn has_order(history: &History) -> bool {
    let Ok(names) = Names::read(&history.events) else {
        return false;
    };
    let left = (0..history.events.len()).collect();
    try_all(history, &names, &KeyState::new(history.versioning), left)
}

fn try_all(history: &History, names: &Names, state: &KeyState, left: Vec<usize>) -> bool {
    let event = |n: &usize| &history.events[*n];
    if left.iter().all(|n| event(n).outcome == Outcome::Unknown) {
        return true;
    }
    left.iter().any(|n| {
        let is_next = left
            .iter()
            .all(|other| event(other).returned >= event(n).called);
        let rest = || left.iter().copied().filter(|other| other != n).collect();
        let never = event(n).outcome == Outcome::Unknown && try_all(history, names, state, rest());
        let takes_effect = || {
            let states = state.step(names, *n, event(n));
            states
                .iter()
                .any(|state| try_all(history, names, state, rest()))
        };
        is_next && (never || takes_effect())
    })
}

const VERSIONINGS: [Versioning; 3] = [Versioning::Off, Versioning::Enabled, Versioning::Suspended];

#[test]
fn a_store_that_works_is_accepted() {
    for seed in 0..300 {
        let shape = Shape {
            versioning: VERSIONINGS[seed as usize % 3],
            events: 150,
            overlap: 1 + seed % 4,
            unanswered: 30,
        };
        let history = of_working_store(seed, &shape);
        match check(&history) {
            Verdict::Linearizable => {}
            Verdict::Broken(broken) => panic!("{broken}"),
            Verdict::Undecided(event) => panic!("seed {seed}: undecided at {event}"),
        }
    }
}

#[test]
fn the_search_agrees_with_one_that_tries_every_order() {
    let (mut accepted, mut rejected) = (0, 0);
    for seed in 0..5_000 {
        let shape = Shape {
            versioning: VERSIONINGS[seed as usize % 3],
            events: 3 + seed % 5,
            overlap: 1 + seed % 6,
            unanswered: 6,
        };
        let mut history = of_working_store(seed, &shape);
        let mut dice = Dice::new(!seed >> 1);
        for _ in 0..seed % 3 {
            falsify(&mut dice, &mut history);
        }
        let verdict = check(&history);
        let found = matches!(verdict, Verdict::Linearizable);
        assert_eq!(found, has_order(&history), "seed {seed}: {history:#?}");
        if let Verdict::Broken(broken) = &verdict {
            assert_window(&history, broken);
        }
        *(if found { &mut accepted } else { &mut rejected }) += 1;
    }
    println!("{accepted} accepted, {rejected} rejected");
    assert!(accepted > 1_500 && rejected > 1_000);
}

/// The observations that a proof leaves out are not needed for it.
fn assert_window(history: &History, broken: &Broken) {
    let is_left =
        |n: &usize| broken.window.contains(n) || !history.events[*n].outcome.is_observation();
    let left = (0..history.events.len()).filter(is_left);
    let rest = History {
        events: left.map(|n| history.events[n].clone()).collect(),
        ..history.clone()
    };
    assert!(!has_order(&rest), "{broken}\nof {history:#?}");
}

#[test]
fn most_false_answers_in_long_histories_are_found() {
    let mut rejected = 0;
    for seed in 0..50 {
        let shape = Shape {
            versioning: VERSIONINGS[seed as usize % 3],
            events: 120,
            overlap: 2,
            unanswered: 40,
        };
        let mut history = of_working_store(seed, &shape);
        let mut dice = Dice::new(seed + 77);
        for _ in 0..2 {
            falsify(&mut dice, &mut history);
        }
        if let Verdict::Broken(broken) = check(&history) {
            rejected += 1;
            assert!(!broken.window.is_empty(), "{broken}");
        }
    }
    println!("{rejected} of 50 rejected");
    assert!(rejected >= 30, "only {rejected} of 50");
}
