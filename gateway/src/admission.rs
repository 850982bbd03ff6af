//! One budget for the bytes that requests hold in memory, so that memory grows neither with the size of
//! objects nor with the number of clients. What does not fit waits, in the order of arrival, and is
//! then refused with 503 SlowDown.
//!
//! Every request with a body takes an **entry**: what it holds however slow its client is. Only what its
//! client has shown to be quick enough for takes **buffers**: an upload when more has arrived than its
//! entry holds, a download for what it reads ahead. So clients that dawdle fill entries, of which there
//! are many, and keep no buffers from others:
//!
//! - an upload takes buffers stripe by stripe. While others wait it has one stripe at a time and goes to
//!   the end of the queue after each; and when its client pauses it writes out what it has and gives
//!   the buffers back;
//! - a download whose client does not read while others wait gives its buffers back, and reads again
//!   what it had read ahead when its client goes on.
//!
//! When entries run out as well, bodies that hardly come and connections that are not read are ended, if
//! others wait to be let in.
//!
//! An upload never waits for buffers while it holds some, and a download holds its buffers without
//! waiting for anything else; so a copy, which needs both, takes both at once.

mod download;
mod upload;

pub use download::DownloadLease;
pub(crate) use download::GiveBack;
pub(crate) use upload::Pace;
pub use upload::UploadLease;

use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit.
const UNIT_BYTES: u64 = 4 * 1024;
/// What an upload holds before it takes buffers: what the connection reads at once.
pub const ENTRY_BYTES: u64 = 64 * 1024;
/// What the connection holds of a download that its client does not read.
pub const SENDING_BYTES_MAX: u64 = 256 * 1024;
/// What is read ahead of a download: a stripe to send from and two more, with what rebuilding takes.
pub const READ_AHEAD_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The smallest budget that all requests can be served with, one at a time.
pub const BUDGET_BYTES_MIN: u64 = 32 * 1024 * 1024;
/// Longest wait for buffers of a body that has been let in: longer than it takes to end uploads that are
/// too slow, shorter than clients wait for an answer.
const BUFFERS_WAIT: Duration = Duration::from_secs(30);
/// Longest wait of a download to be let in, in waits of other requests: longer than connections that are
/// not read are put up with while it waits.
const DOWNLOAD_WAITS: u32 = 5;
/// Bytes that an upload must receive in [`PACE_TIME`] not to be slow.
const PACE_BYTES_MIN: u64 = 64 * 1024;
/// See [`PACE_BYTES_MIN`].
const PACE_TIME: Duration = Duration::from_secs(10);
/// Time between two looks at downloads while others wait. One that is not read for twice this time
/// gives its buffers back.
const SWEEP_PAUSE: Duration = Duration::from_millis(200);

/// The budget. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    uploads: Pool,
    downloads: Pool,
    buffers: Pool,
    /// Longest wait of a request that has not been let in.
    wait: Duration,
    watched: Mutex<Vec<Weak<dyn GiveBack>>>,
    /// Held by the one who looks after downloads while he waits.
    sweeper: tokio::sync::Mutex<()>,
}

/// A part of the budget.
#[derive(Debug)]
struct Pool {
    permits: Arc<Semaphore>,
    units: usize,
    waiting: AtomicUsize,
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
    /// A budget of `limit_bytes`, for which a request waits no longer than `wait` to be let in.
    #[must_use]
    pub fn new(limit_bytes: u64, wait: Duration) -> Self {
        let (uploads, downloads) = (limit_bytes / 4, limit_bytes / 3);
        Self {
            inner: Arc::new(Inner {
                uploads: Pool::new(uploads),
                downloads: Pool::new(downloads),
                buffers: Pool::new(limit_bytes - uploads - downloads),
                wait,
                watched: Mutex::default(),
                sweeper: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// The entry of an upload of `body_bytes`.
    ///
    /// # Errors
    /// [`Exhausted`]: nothing is held; the client should come back later.
    pub async fn upload(&self, body_bytes: u64) -> Result<UploadLease, Exhausted> {
        let bytes = body_bytes.min(ENTRY_BYTES);
        let entry = self.inner.uploads.enter(bytes, self.inner.wait).await?;
        Ok(UploadLease::new(self.clone(), entry))
    }

    /// The entry of a download of `body_bytes`.
    ///
    /// # Errors
    /// [`Exhausted`], as for an upload.
    pub async fn download(&self, body_bytes: u64) -> Result<DownloadLease, Exhausted> {
        let bytes = body_bytes.min(SENDING_BYTES_MAX);
        let wait = self.inner.wait * DOWNLOAD_WAITS;
        let entry = self.inner.downloads.enter(bytes, wait).await?;
        Ok(DownloadLease::new(self.clone(), entry))
    }

    /// The share of `bytes` that are collected whole before they are looked at.
    ///
    /// # Errors
    /// [`Exhausted`], as for an upload.
    pub async fn collected(&self, bytes: u64) -> Result<Lease, Exhausted> {
        let inner = &self.inner;
        let permit = if bytes <= ENTRY_BYTES {
            inner.uploads.enter(bytes, inner.wait).await?
        } else {
            inner.buffers(bytes, inner.wait).await?
        };
        Ok(Lease { _permit: permit })
    }

    /// Bytes that are not leased.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        let free = |pool: &Pool| pool.permits.available_permits() as u64 * UNIT_BYTES;
        self.inner.pools().into_iter().map(free).sum()
    }

    /// All that is free now; for tests of what happens then.
    #[doc(hidden)]
    #[must_use]
    pub fn everything(&self) -> Vec<Lease> {
        let pools = self.inner.pools();
        let all = pools.map(|pool| pool.try_take(pool.permits.available_permits()));
        let permits = all.into_iter().flatten();
        permits.map(|permit| Lease { _permit: permit }).collect()
    }

    /// Whether downloads wait to be let in.
    pub(crate) fn downloads_wait(&self) -> bool {
        self.inner.downloads.is_wanted()
    }

    /// Lets `download` be asked to give back its buffers while others wait.
    pub(crate) fn watch(&self, download: Weak<dyn GiveBack>) {
        let mut watched = self.inner.watched.lock();
        if watched.len() == watched.capacity() {
            // Now and then, so that each costs little and those that are gone do not pile up.
            watched.retain(|download| download.strong_count() > 0);
        }
        watched.push(download);
    }
}

impl Inner {
    fn pools(&self) -> [&Pool; 3] {
        [&self.uploads, &self.downloads, &self.buffers]
    }

    /// Buffers for `bytes`, or all of them where there are not as many.
    async fn buffers(&self, bytes: u64, wait: Duration) -> Result<OwnedSemaphorePermit, Exhausted> {
        let units = self.buffers.units(bytes);
        if let Some(permit) = self.buffers.try_take(units) {
            return Ok(permit);
        }
        let sweep = async {
            let _only_one = self.sweeper.lock().await;
            loop {
                self.sweep();
                tokio::time::sleep(SWEEP_PAUSE).await;
            }
        };
        tokio::select! {
            biased;
            permit = self.buffers.take(units) => Ok(permit),
            () = tokio::time::sleep(wait) => Err(Exhausted),
            () = sweep => unreachable!("it has no end"),
        }
    }

    fn sweep(&self) {
        let watched: Vec<_> = {
            let mut watched = self.watched.lock();
            watched.retain(|download| download.strong_count() > 0);
            watched.iter().filter_map(Weak::upgrade).collect()
        };
        for download in watched {
            download.give_back_if_idle();
        }
    }
}

impl Pool {
    fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes / UNIT_BYTES).unwrap_or(usize::MAX);
        // A lease counts its units in 32 bits.
        let units = units.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Self {
            permits: Arc::new(Semaphore::new(units)),
            units,
            waiting: AtomicUsize::new(0),
        }
    }

    /// Units for `bytes`, or all of them where there are not as many.
    fn units(&self, bytes: u64) -> usize {
        let units = bytes.div_ceil(UNIT_BYTES).max(1);
        usize::try_from(units).map_or(self.units, |units| units.min(self.units))
    }

    /// Whether somebody waits for it.
    fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn try_take(&self, units: usize) -> Option<OwnedSemaphorePermit> {
        let permits = Arc::clone(&self.permits);
        permits.try_acquire_many_owned(units as u32).ok()
    }

    /// Units for `bytes`, within `wait`.
    async fn enter(&self, bytes: u64, wait: Duration) -> Result<OwnedSemaphorePermit, Exhausted> {
        let units = self.units(bytes);
        if let Some(permit) = self.try_take(units) {
            return Ok(permit);
        }
        let entered = tokio::time::timeout(wait, self.take(units)).await;
        entered.map_err(|_| Exhausted)
    }

    /// Waits in the queue.
    async fn take(&self, units: usize) -> OwnedSemaphorePermit {
        let _waiting = Waiting::new(&self.waiting);
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_many_owned(units as u32).await;
        permit.expect("the semaphore is never closed")
    }
}

/// Counts one who waits, for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
