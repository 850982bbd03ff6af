//! What a run shows: a pure function of what its clients recorded.

#[cfg(test)]
mod tests;

use crate::record::Record;
use s3_tests::history::{Event, History, Outcome, Verdict, check};
use std::collections::BTreeMap;
use std::fmt;

/// Findings of each kind that are shown.
const SHOWN: usize = 10;

/// What was found in what the clients of a run were told.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Keys with a history that no order explains: a lost write, a stale read, two winners, a list that is not
    /// the truth.
    pub broken: Vec<String>,
    /// Answers that are wrong by themselves.
    pub wrong: Vec<String>,
    /// Keys with too many possible orders to look through. Nothing is known of them.
    pub undecided: Vec<String>,
    /// Keys that were judged.
    pub keys: usize,
}

impl Judgement {
    /// Whether every key was judged and nothing was wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty() && self.wrong.is_empty() && self.undecided.is_empty()
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in self
            .broken
            .iter()
            .take(SHOWN)
            .chain(self.wrong.iter().take(SHOWN))
        {
            writeln!(f, "{found}")?;
        }
        let (broken, wrong) = (self.broken.len(), self.wrong.len());
        if broken + wrong > 0 {
            writeln!(f, "{broken} keys without an order, {wrong} wrong answers")?;
        }
        for key in &self.undecided {
            writeln!(f, "{key}: not judged, too many orders are possible")?;
        }
        write!(f, "{} keys judged", self.keys)
    }
}

/// Judges all that was recorded.
#[must_use]
pub fn judge(record: &Record) -> Judgement {
    let mut judgement = judge_histories(&record.histories());
    judgement.wrong = record.wrong();
    judgement
}

/// Judges each key's history.
#[must_use]
pub fn judge_histories(histories: &[History]) -> Judgement {
    let mut judgement = Judgement::default();
    for history in histories {
        judgement.keys += 1;
        match check(history) {
            Verdict::Linearizable => {}
            Verdict::Broken(broken) => judgement.broken.push(broken.to_string()),
            Verdict::Undecided(_) => judgement.undecided.push(history.key.clone()),
        }
    }
    judgement
}

/// The longest time that each client was without an answer, in microseconds, from `start` to `end`.
#[must_use]
pub fn longest_gaps(
    events: &[Event],
    clients: usize,
    (start, end): (u64, u64),
) -> BTreeMap<usize, u64> {
    let mut answered: BTreeMap<usize, Vec<u64>> = (0..clients).map(|n| (n, Vec::new())).collect();
    for event in events {
        if event.outcome != Outcome::Unknown
            && let Some(times) = answered.get_mut(&event.client)
        {
            times.push(event.returned.clamp(start, end));
        }
    }
    let longest = |mut times: Vec<u64>| {
        times.extend([start, end]);
        times.sort_unstable();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or(0)
    };
    answered
        .into_iter()
        .map(|(client, times)| (client, longest(times)))
        .collect()
}
