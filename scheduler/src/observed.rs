//! Observed time: how much time this installation has *seen pass*, summed over its runs.
//!
//! Grace periods count in it and never in differences of wall clocks: a clock that jumps ahead must
//! not free data early. The sum is persisted, and grows by what the monotonic clock shows between two
//! ticks, at most [`TICK_MAX`] a tick, so that time in which the process was stopped, suspended or
//! starved does not count.

use std::time::Duration;
use types::Clock;

/// The most that one tick may add.
pub const TICK_MAX: Duration = Duration::from_secs(120);

/// The running sum.
#[derive(Debug)]
pub struct ObservedTime {
    total: Duration,
    last_tick: Duration,
}

impl ObservedTime {
    /// Goes on from the persisted sum; nothing before this call counts.
    #[must_use]
    pub fn resume(total: Duration, clock: &dyn Clock) -> Self {
        Self {
            total,
            last_tick: clock.monotonic(),
        }
    }

    /// Counts the time since the last tick and returns the sum, which the caller persists.
    pub fn tick(&mut self, clock: &dyn Clock) -> Duration {
        let now = clock.monotonic();
        self.total += now.saturating_sub(self.last_tick).min(TICK_MAX);
        self.last_tick = now;
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::clock::ManualClock;

    #[test]
    fn only_time_seen_passing_counts() {
        let clock = ManualClock::at(1_000_000);
        let mut observed = ObservedTime::resume(Duration::from_secs(5), &clock);
        clock.advance(Duration::from_secs(10));
        assert_eq!(observed.tick(&clock), Duration::from_secs(15));
        clock.set_wall_ms(u64::MAX >> 16);
        assert_eq!(
            observed.tick(&clock),
            Duration::from_secs(15),
            "a jump of the wall clock is no time"
        );
        clock.advance(Duration::from_secs(3600));
        assert_eq!(
            observed.tick(&clock),
            Duration::from_secs(15) + TICK_MAX,
            "a gap counts little"
        );
    }
}
