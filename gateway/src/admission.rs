//! One budget for the bytes that requests hold in memory. A request leases its share before it
//! buffers anything and gives it back when it ends; what does not fit waits shortly, in the order
//! of arrival, and is then refused with 503 SlowDown. So memory grows neither with the size of
//! objects nor with the number of clients.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit.
const UNIT_BYTES: u64 = 4 * 1024;
/// What an upload holds at the most: a stripe being filled, a few with their parity on the way to
/// the disks, and bytes waiting to be hashed.
pub const UPLOAD_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// What a download holds at the most: the stripes being read and what the connection has not taken.
pub const DOWNLOAD_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The largest lease.
pub const LEASE_BYTES_MAX: u64 = UPLOAD_BYTES_MAX;

const _: () = assert!(DOWNLOAD_BYTES_MAX <= LEASE_BYTES_MAX);

/// The budget. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    permits: Arc<Semaphore>,
    wait: Duration,
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub struct Lease {
    _permit: OwnedSemaphorePermit,
}

/// The budget is used up, and stayed so while the request waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all memory for request bodies is in use")]
pub struct Exhausted;

impl MemoryBudget {
    /// A budget of `limit_bytes`, for which a request waits no longer than `wait`.
    #[must_use]
    pub fn new(limit_bytes: u64, wait: Duration) -> Self {
        let permits = usize::try_from(limit_bytes / UNIT_BYTES).unwrap_or(usize::MAX);
        Self {
            permits: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            wait,
        }
    }

    /// The share of an upload of `body_bytes`.
    ///
    /// # Errors
    /// [`Exhausted`]: nothing is held; the client should come back later.
    pub async fn upload(&self, body_bytes: u64) -> Result<Lease, Exhausted> {
        self.lease(body_bytes.min(UPLOAD_BYTES_MAX)).await
    }

    /// The share of a download of `body_bytes`.
    ///
    /// # Errors
    /// [`Exhausted`], as for an upload.
    pub async fn download(&self, body_bytes: u64) -> Result<Lease, Exhausted> {
        self.lease(body_bytes.min(DOWNLOAD_BYTES_MAX)).await
    }

    /// Bytes that are not leased.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.permits.available_permits() as u64 * UNIT_BYTES
    }

    async fn lease(&self, bytes: u64) -> Result<Lease, Exhausted> {
        assert!(bytes <= LEASE_BYTES_MAX, "callers cap what they ask for");
        let units = bytes.div_ceil(UNIT_BYTES).max(1) as u32;
        let permits = Arc::clone(&self.permits);
        let acquired = tokio::time::timeout(self.wait, permits.acquire_many_owned(units)).await;
        match acquired {
            Ok(permit) => Ok(Lease {
                _permit: permit.expect("the semaphore is never closed"),
            }),
            Err(_) => Err(Exhausted),
        }
    }
}

#[cfg(test)]
mod tests;
