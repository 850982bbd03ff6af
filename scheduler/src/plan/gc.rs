//! Which reclaim records are old enough to be freed.

use std::collections::VecDeque;
use std::time::Duration;

/// "At observed time `at`, the partition's last commit was `seq`": every reclaim record up to `seq` is
/// at least as old as the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Observed time of the mark.
    pub at: Duration,
    /// Sequence of the last commit then.
    pub seq: u64,
}

/// Adds a mark for this moment, unless the newest one says the same or is too recent to be worth another.
///
/// Marks are kept about a sixteenth of the grace apart, so their number stays bounded however long the
/// grace is, and a record waits at most that much longer than it must.
pub fn add_mark(marks: &mut VecDeque<Mark>, now: Mark, grace: Duration) {
    let newest = marks.back();
    if newest.is_none_or(|last| now.seq > last.seq && now.at >= last.at + grace / 16) {
        marks.push_back(now);
    }
}

/// The sequence up to which reclaim records have waited for the whole grace; `None` if none have.
/// Marks that are no longer needed are dropped.
pub fn ripe_up_to(marks: &mut VecDeque<Mark>, now: Duration, grace: Duration) -> Option<u64> {
    let ripe = marks.iter().rposition(|mark| mark.at + grace <= now)?;
    marks.drain(..ripe);
    marks.front().map(|mark| mark.seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn nothing_is_ripe_before_the_whole_grace_was_observed() {
        let mut marks = VecDeque::new();
        add_mark(&mut marks, Mark { at: HOUR, seq: 10 }, 25 * HOUR);
        add_mark(
            &mut marks,
            Mark {
                at: 4 * HOUR,
                seq: 20,
            },
            25 * HOUR,
        );
        assert_eq!(
            ripe_up_to(&mut marks, 26 * HOUR - Duration::from_secs(1), 25 * HOUR),
            None
        );
        assert_eq!(ripe_up_to(&mut marks, 26 * HOUR, 25 * HOUR), Some(10));
        assert_eq!(ripe_up_to(&mut marks, 28 * HOUR, 25 * HOUR), Some(10));
        assert_eq!(ripe_up_to(&mut marks, 29 * HOUR, 25 * HOUR), Some(20));
        assert_eq!(marks.len(), 1);
    }

    #[test]
    fn marks_stay_few_while_commits_go_on() {
        let mut marks = VecDeque::new();
        for minute in 0..100_000_u64 {
            let at = Duration::from_secs(minute * 60);
            add_mark(
                &mut marks,
                Mark {
                    at,
                    seq: minute * 100,
                },
                25 * HOUR,
            );
            if let Some(seq) = ripe_up_to(&mut marks, at, 25 * HOUR) {
                let age_minutes = minute - seq / 100;
                assert!((25 * 60..27 * 60).contains(&age_minutes), "{age_minutes}");
            }
            assert!(marks.len() <= 20);
        }
    }

    #[test]
    fn a_zero_grace_frees_what_was_marked() {
        let mut marks = VecDeque::new();
        add_mark(&mut marks, Mark { at: HOUR, seq: 3 }, Duration::ZERO);
        assert_eq!(ripe_up_to(&mut marks, HOUR, Duration::ZERO), Some(3));
        add_mark(&mut marks, Mark { at: HOUR, seq: 9 }, Duration::ZERO);
        assert_eq!(ripe_up_to(&mut marks, HOUR, Duration::ZERO), Some(9));
    }
}
