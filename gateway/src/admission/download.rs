//! The share of a download.

use super::{BUFFERS_WAIT, Exhausted, MemoryBudget, READ_AHEAD_BYTES_MAX, SENDING_BYTES_MAX};
use tokio::sync::OwnedSemaphorePermit;

/// What a download holds: its entry, and buffers while it reads ahead.
#[derive(Debug)]
pub struct DownloadLease {
    budget: MemoryBudget,
    _entry: OwnedSemaphorePermit,
    buffers: Option<OwnedSemaphorePermit>,
    /// The upload that it feeds has taken the buffers.
    is_lent: bool,
}

/// Something that reads ahead and can do without.
pub(crate) trait GiveBack: Send + Sync {
    /// Called now and then while others wait. Gives buffers back if nothing was read since the last call.
    fn give_back_if_idle(&self);
}

impl DownloadLease {
    pub(super) fn new(budget: MemoryBudget, entry: OwnedSemaphorePermit) -> Self {
        Self {
            budget,
            _entry: entry,
            buffers: None,
            is_lent: false,
        }
    }

    /// Waits for buffers to read `left_bytes`, unless there are some or they fit the entry.
    ///
    /// # Errors
    /// [`Exhausted`]: they took too long to come.
    pub(crate) async fn buffers(&mut self, left_bytes: u64) -> Result<(), Exhausted> {
        if self.buffers.is_none() && !self.is_lent && left_bytes > SENDING_BYTES_MAX {
            let bytes = left_bytes.min(READ_AHEAD_BYTES_MAX);
            let taken = self.budget.inner.buffers(bytes, BUFFERS_WAIT).await?;
            self.buffers = Some(taken);
        }
        Ok(())
    }

    /// Takes no buffers from now on: whoever uses what is read takes them, [`READ_AHEAD_BYTES_MAX`] at the most.
    pub(crate) fn lend(&mut self) {
        self.is_lent = true;
    }

    /// Gives the buffers back.
    pub(crate) fn give_back(&mut self) {
        self.buffers = None;
    }
}
