//! Time by which the silence of others is counted: it goes on only while this process runs.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use types::Clock;

/// The most that passes between two ticks: two beats. A process that was stopped, suspended or starved for longer has
/// messages waiting that it has not looked at.
const STEP_MAX: Duration = Duration::from_millis(500);

/// A clock that stands still while nobody [ticks](Self::tick) it.
#[derive(Debug)]
pub struct Listening {
    clock: Arc<dyn Clock>,
    /// Time that had passed at the last tick, and the monotonic time of that tick.
    last: Mutex<(Duration, Duration)>,
}

impl Listening {
    /// A clock that shows zero.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let last = Mutex::new((Duration::ZERO, clock.monotonic()));
        Self { clock, last }
    }

    /// Time that has passed.
    pub fn now(&self) -> Duration {
        self.at(*self.last.lock()).0
    }

    /// The same, and lets time go on from here.
    pub fn tick(&self) -> Duration {
        let mut last = self.last.lock();
        *last = self.at(*last);
        last.0
    }

    fn at(&self, (passed, ticked): (Duration, Duration)) -> (Duration, Duration) {
        let now = self.clock.monotonic();
        (passed + now.saturating_sub(ticked).min(STEP_MAX), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::clock::ManualClock;

    #[test]
    fn time_goes_on_with_ticks_only() {
        let clock = Arc::new(ManualClock::at(1));
        let listening = Listening::new(Arc::clone(&clock) as _);
        for _ in 0..4 {
            clock.advance(Duration::from_millis(250));
            listening.tick();
        }
        assert_eq!(listening.now(), Duration::from_secs(1));
        clock.advance(Duration::from_secs(30));
        assert_eq!(
            listening.now(),
            Duration::from_millis(1500),
            "it was stopped"
        );
        assert_eq!(listening.tick(), Duration::from_millis(1500));
        clock.advance(Duration::from_millis(100));
        assert_eq!(listening.now(), Duration::from_millis(1600));
    }
}
