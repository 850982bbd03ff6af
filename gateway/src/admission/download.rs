//! The share of a download.

use super::{Exhausted, MemoryBudget, SENDING_BYTES_MAX, SWEEP_PAUSE};
use chunkstore::ReadMemory;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// What a download holds: its entry, and buffers while it reads.
#[derive(Debug)]
pub struct DownloadLease {
    budget: MemoryBudget,
    _entry: OwnedSemaphorePermit,
    buffers: Option<OwnedSemaphorePermit>,
    /// The buffers are for one stripe.
    takes_turns: bool,
    /// The upload that it feeds has taken the buffers.
    is_lent: bool,
}

/// A download that can do without what it holds.
pub(crate) trait Idle: Send + Sync {
    /// Called now and then while others wait, [`SWEEP_PAUSE`] after the last time at the earliest. If nothing
    /// was read for long it gives its buffers back, and its entry where others wait for one.
    fn look(&self, is_entry_wanted: bool);
}

/// How often a download was looked at since it was last read.
#[derive(Debug, Default)]
pub(crate) struct Looks(u32);

impl Looks {
    /// Of a download that is not read for so long others have the buffers.
    const IDLE: u32 = 2;
    /// See [`Looks::is_left`].
    const LEFT: u32 = (LEFT_AFTER.as_millis() / SWEEP_PAUSE.as_millis()) as u32;

    pub(crate) fn count(&mut self) {
        self.0 += 1;
    }

    /// Whether its buffers serve others better.
    pub(crate) fn is_idle(&self) -> bool {
        self.0 >= Self::IDLE
    }

    /// Whether nobody seems to read it any more.
    pub(crate) fn is_left(&self) -> bool {
        self.0 >= Self::LEFT
    }
}

/// How long downloads need not be read while others wait to be let in: as long as connections.
const LEFT_AFTER: Duration = Duration::from_secs(5);

impl DownloadLease {
    pub(super) fn new(budget: MemoryBudget, entry: OwnedSemaphorePermit) -> Self {
        Self {
            budget,
            _entry: entry,
            buffers: None,
            takes_turns: false,
            is_lent: false,
        }
    }

    /// Waits for buffers to read `left_bytes`, unless there are some or they fit the entry. Where there are
    /// not enough to read ahead, they are for one stripe; `memory` says what both take.
    ///
    /// # Errors
    /// [`Exhausted`]: they took too long to come.
    pub(crate) async fn buffers(
        &mut self,
        left_bytes: u64,
        memory: ReadMemory,
    ) -> Result<(), Exhausted> {
        if self.buffers.is_some() || self.is_lent || left_bytes <= SENDING_BYTES_MAX {
            return Ok(());
        }
        let inner = &self.budget.inner;
        // Cells that must be rebuilt, and buffers that are not filled, take more than is sent.
        let most = 2 * left_bytes;
        let ahead = inner.buffers.units(most.min(memory.ahead_bytes));
        let taken = inner.buffers.try_take(ahead);
        self.takes_turns = taken.is_none();
        self.buffers = match taken {
            Some(taken) => Some(taken),
            None => Some(inner.buffers(most.min(memory.stripe_bytes)).await?),
        };
        Ok(())
    }

    /// Whether no more than one stripe may be read before the buffers are given back.
    pub(crate) fn takes_turns(&self) -> bool {
        self.takes_turns
    }

    /// Whether others wait for buffers that this one holds.
    pub(crate) fn is_wanted(&self) -> bool {
        self.buffers.is_some() && self.budget.inner.buffers.is_wanted()
    }

    /// Takes no buffers from now on: whoever uses what is read takes them.
    pub(crate) fn lend(&mut self) {
        self.is_lent = true;
    }

    /// Gives the buffers back.
    pub(crate) fn give_back(&mut self) {
        self.buffers = None;
    }
}
