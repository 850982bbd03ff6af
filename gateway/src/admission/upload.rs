//! The share of an upload.

use super::{ENTRY_BYTES, Exhausted, MemoryBudget};
use tokio::sync::OwnedSemaphorePermit;

/// Bytes of a body that wait to be hashed, at the most.
pub const HASHING_BYTES_MAX: u64 = 1536 * 1024;

/// What an upload holds: its entry, and buffers for some stripes.
#[derive(Debug)]
pub struct UploadLease {
    budget: MemoryBudget,
    _entry: OwnedSemaphorePermit,
    /// For the stripe being filled and what waits to be hashed, then one for each further stripe.
    stripes: Vec<OwnedSemaphorePermit>,
}

impl UploadLease {
    pub(super) fn new(budget: MemoryBudget, entry: OwnedSemaphorePermit) -> Self {
        Self {
            budget,
            _entry: entry,
            stripes: Vec::new(),
        }
    }

    /// Whether the entry is enough for a body of which `held` bytes are in memory, and for those that come
    /// next.
    pub(crate) fn entry_covers(&self, held: u64) -> bool {
        held < ENTRY_BYTES / 2
    }

    /// Stripes that there are buffers for.
    pub(crate) fn stripes(&self) -> usize {
        self.stripes.len()
    }

    /// Whether others wait for buffers that this one holds.
    pub(crate) fn is_wanted(&self) -> bool {
        self.stripes() > 0 && self.budget.inner.buffers.is_wanted()
    }

    /// Whether others wait to be let in.
    pub(crate) fn is_entry_wanted(&self) -> bool {
        self.budget.inner.uploads.is_wanted()
    }

    /// Waits for buffers for a first stripe, of `stripe_bytes` with its parity, of a body of which
    /// `left_bytes` are to come, and for `ahead_bytes` that are read ahead of it.
    ///
    /// # Errors
    /// [`Exhausted`]: they took too long to come.
    pub(crate) async fn first(
        &mut self,
        stripe_bytes: u64,
        left_bytes: u64,
        ahead_bytes: u64,
    ) -> Result<(), Exhausted> {
        assert!(
            self.stripes.is_empty(),
            "whoever waits for buffers holds none"
        );
        let bytes = stripe_bytes.min(2 * left_bytes)
            + HASHING_BYTES_MAX.min(left_bytes)
            + ahead_bytes.min(left_bytes);
        let inner = &self.budget.inner;
        self.stripes.push(inner.buffers(bytes).await?);
        Ok(())
    }

    /// Takes buffers for one more stripe, if there are any that nobody waits for.
    pub(crate) fn try_one_more(&mut self, stripe_bytes: u64) -> bool {
        let pool = &self.budget.inner.buffers;
        let taken = pool.try_take(pool.units(stripe_bytes));
        let is_taken = taken.is_some();
        self.stripes.extend(taken);
        is_taken
    }

    /// Gives back what is held for more than `stripes`.
    pub(crate) fn keep(&mut self, stripes: usize) {
        self.stripes.truncate(stripes);
    }
}
