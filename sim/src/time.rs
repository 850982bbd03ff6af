//! The clocks of the simulation's machines, all over the runtime's own, which stands still while any task can
//! run and goes to the next timer when none can.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use types::Clock;

/// What the wall clocks show at the start, but for what they are wrong.
const START_MS: i64 = 1_800_000_000_000;

/// The clock of one machine: its wall clock may be wrong and may jump.
#[derive(Debug)]
pub(crate) struct SimClock {
    started: Instant,
    skew_ms: AtomicI64,
}

impl SimClock {
    /// A clock whose monotonic reading starts at zero now.
    #[allow(
        clippy::disallowed_methods,
        reason = "the runtime's clock is that of the simulation: it shows no real time"
    )]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            skew_ms: AtomicI64::new(0),
        }
    }

    /// Makes the wall clock wrong by this much.
    pub fn set_skew_ms(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> u64 {
        let passed_ms = i64::try_from(self.monotonic().as_millis()).unwrap_or(i64::MAX);
        let now_ms = START_MS + passed_ms + self.skew_ms.load(Ordering::Relaxed);
        u64::try_from(now_ms).unwrap_or(0)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the runtime's clock is that of the simulation: it shows no real time"
    )]
    fn monotonic(&self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }
}
