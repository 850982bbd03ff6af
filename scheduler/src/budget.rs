//! A budget of bytes a second for background work, so that clients come first.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use types::Clock;

/// Bytes a second, with at most one second saved up.
#[derive(Debug)]
pub struct Budget {
    rate: u64,
    clock: Arc<dyn Clock>,
    /// Monotonic time at which everything taken so far is paid for.
    paid_until: Mutex<Duration>,
}

impl Budget {
    /// A budget of `rate` bytes a second; `rate` is not 0.
    #[must_use]
    pub fn new(rate: u64, clock: Arc<dyn Clock>) -> Self {
        assert!(rate > 0, "a budget of nothing would wait for ever");
        Self {
            rate,
            clock,
            paid_until: Mutex::new(Duration::ZERO),
        }
    }

    /// Takes `bytes` from the budget and returns how long to wait before using them.
    pub async fn take(&self, bytes: u64) -> Duration {
        let cost = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        let now = self.clock.monotonic();
        let mut paid_until = self.paid_until.lock().await;
        let start = (*paid_until).max(now.saturating_sub(Duration::from_secs(1)));
        *paid_until = start + cost;
        paid_until.saturating_sub(now)
    }

    /// Takes `bytes` and waits until they may be used.
    pub async fn spend(&self, bytes: u64) {
        let wait = self.take(bytes).await;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::clock::ManualClock;

    #[tokio::test]
    async fn spends_at_its_rate_and_saves_one_second() {
        let clock = Arc::new(ManualClock::at(0));
        clock.advance(Duration::from_secs(10));
        let budget = Budget::new(1000, Arc::clone(&clock) as Arc<dyn Clock>);
        assert_eq!(
            budget.take(1000).await,
            Duration::ZERO,
            "one second was saved up"
        );
        assert_eq!(budget.take(500).await, Duration::from_millis(500));
        clock.advance(Duration::from_secs(2));
        assert_eq!(budget.take(1000).await, Duration::ZERO);
        assert_eq!(budget.take(2000).await, Duration::from_secs(2));
    }
}
