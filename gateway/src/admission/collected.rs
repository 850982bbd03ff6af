//! The share of a body that is collected whole before it is looked at.

use super::{BUFFERS_WAIT, ENTRY_BYTES, Exhausted, MemoryBudget};
use std::sync::Arc;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};
use tokio::time::sleep;

/// What a body that is collected holds: its entry, and buffers for what has come of it.
///
/// What has come cannot be given back, so it waits for buffers while it holds some. That all such bodies
/// hold everything and wait for each other cannot be: together they leave buffers for a longest body
/// untouched, but for one of them at a time, which has precedence and comes to its end with those.
#[derive(Debug)]
pub struct CollectedLease {
    budget: MemoryBudget,
    _entry: OwnedSemaphorePermit,
    buffers: Option<OwnedSemaphorePermit>,
    /// Of what such bodies may hold together.
    share: Option<OwnedSemaphorePermit>,
    precedence: Option<OwnedMutexGuard<()>>,
    /// Bytes that there is room for.
    room_bytes: u64,
    body_bytes: u64,
}

impl CollectedLease {
    pub(super) fn new(budget: MemoryBudget, entry: OwnedSemaphorePermit, body_bytes: u64) -> Self {
        Self {
            budget,
            _entry: entry,
            buffers: None,
            share: None,
            precedence: None,
            room_bytes: ENTRY_BYTES.min(body_bytes),
            body_bytes,
        }
    }

    /// Waits until there is room for `bytes`. What is taken doubles each time, up to what the body can need,
    /// so that it is never more than twice what has come.
    ///
    /// # Errors
    /// [`Exhausted`]: it took too long to come.
    pub(crate) async fn make_room(&mut self, bytes: u64) -> Result<(), Exhausted> {
        if bytes <= self.room_bytes {
            return Ok(());
        }
        let room = bytes.max(self.body_bytes.min(self.room_bytes * 2));
        let inner = &self.budget.inner;
        let held = self
            .buffers
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let units = inner.buffers.units(room) - held;
        if self.precedence.is_none() {
            tokio::select! {
                biased;
                share = inner.collected.take(units) => merge(&mut self.share, share),
                first = Arc::clone(&inner.precedence).lock_owned() => self.precedence = Some(first),
                () = sleep(BUFFERS_WAIT) => return Err(Exhausted),
            }
        }
        let taken = inner.take(&inner.buffers, units, BUFFERS_WAIT).await?;
        merge(&mut self.buffers, taken);
        self.room_bytes = room;
        Ok(())
    }

    /// Bytes that there is room for.
    pub(crate) fn room_bytes(&self) -> u64 {
        self.room_bytes
    }

    /// Whether others wait for what it holds.
    pub(crate) fn is_wanted(&self) -> bool {
        let inner = &self.budget.inner;
        inner.uploads.is_wanted() || self.buffers.is_some() && inner.buffers.is_wanted()
    }
}

fn merge(held: &mut Option<OwnedSemaphorePermit>, taken: OwnedSemaphorePermit) {
    match held {
        Some(held) => held.merge(taken),
        None => *held = Some(taken),
    }
}
