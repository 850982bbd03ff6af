//! How fast a body comes.

use std::time::Duration;
use types::Clock;

/// Bytes that a body must bring in [`PACE_TIME`] not to be slow.
pub(super) const PACE_BYTES_MIN: u64 = 64 * 1024;
/// See [`PACE_BYTES_MIN`].
pub(super) const PACE_TIME: Duration = Duration::from_secs(10);
/// A client that sends nothing for this long pauses.
const PAUSE: Duration = Duration::from_millis(500);

/// How fast a body comes: the time that was spent waiting for its last bytes.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Waits for `next`, of whose outcome `bytes` says how many came. `None` when its client pauses.
    pub(crate) async fn wait<T>(
        &mut self,
        clock: &dyn Clock,
        next: impl Future<Output = T>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Option<T> {
        let since = clock.monotonic();
        let came = tokio::time::timeout(PAUSE, next).await.ok();
        let bytes = came.as_ref().map_or(0, bytes);
        self.waited(clock.monotonic().saturating_sub(since), bytes as u64);
        came
    }

    /// It took `waited` for the next `bytes` to come.
    pub(super) fn waited(&mut self, waited: Duration, bytes: u64) {
        self.waited += waited;
        self.bytes += bytes;
        if self.bytes >= PACE_BYTES_MIN {
            *self = Self::default();
        }
    }

    /// Whether the body is slower than others who wait can be asked to put up with.
    pub(crate) fn is_too_slow(&self) -> bool {
        self.waited >= PACE_TIME
    }
}
