//! What the scheduler is told.

use std::time::Duration;

/// Times of the background work.
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    /// Time between two rounds of each worker.
    pub interval: Duration,
    /// Bytes a second that repair, compaction and scrubbing may move together.
    pub rate: u64,
    /// Age of its first chunk at which a commit is refused; orphans are taken for such at twice that.
    pub write_deadline: Duration,
    /// Observed time between a delete and the freeing of its chunks.
    pub reclaim_grace: Duration,
    /// Age at which an open upload is aborted; `None` for never.
    pub upload_expiry: Option<Duration>,
}

impl SchedulerConfig {
    /// Age at which a chunk that nothing names may be taken for an orphan.
    #[must_use]
    pub fn orphan_age(&self) -> Duration {
        2 * self.write_deadline
    }
}
