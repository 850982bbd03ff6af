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
//! - a download takes buffers for what it reads ahead if there are any. While others wait it has those
//!   of one stripe at a time, as an upload has; and when its client does not read it gives the buffers
//!   back, and reads again what it had read ahead when its client goes on;
//! - a body that is collected whole before it is looked at, XML, takes them as it comes;
//! - an answer that is made whole before it is sent, XML too, is an entry of a download: first what making it may
//!   take, then what it is long, until the last of it is sent.
//!
//! When entries run out as well, bodies that hardly come, and connections and streams of HTTP/2 that are
//! not read, are ended, if others wait to be let in.
//!
//! An upload never waits for buffers while it holds some, and a download holds its buffers without
//! waiting for anything else; so a copy, which needs both, takes both at once. Bodies that are collected
//! do wait while they hold some: see [`CollectedLease`] for why they come to an end.

mod answer;
mod collected;
mod download;
mod pace;
mod upload;

pub use answer::AnswerLease;
pub use collected::CollectedLease;
pub use download::DownloadLease;
pub(crate) use download::{Idle, Looks};
pub(crate) use pace::Pace;
pub use upload::UploadLease;

use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Bytes of one permit.
const UNIT_BYTES: u64 = 4 * 1024;
/// What an upload holds before it takes buffers: what the connection reads at once.
pub const ENTRY_BYTES: u64 = 64 * 1024;
/// What the connection holds of a download that its client does not read.
pub const SENDING_BYTES_MAX: u64 = 256 * 1024;
/// What a download reads at a time while others wait for buffers: a stripe.
pub const TURN_BYTES: u64 = 1024 * 1024;
/// The longest body that is collected whole.
pub const COLLECTED_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The smallest budget that all requests can be served with, one at a time.
pub const BUDGET_BYTES_MIN: u64 = 32 * 1024 * 1024;
/// Longest wait for buffers of a body that has been let in: longer than it takes to end uploads that are
/// too slow, shorter than clients wait for an answer.
const BUFFERS_WAIT: Duration = Duration::from_secs(30);
/// Longest wait of a download to be let in, in waits of other requests: longer than connections that are
/// not read are put up with while it waits.
const DOWNLOAD_WAITS: u32 = 5;
/// The least time between two looks at downloads while others wait, however many they are.
const SWEEP_PAUSE: Duration = Duration::from_millis(200);

const _: () = assert!(
    COLLECTED_BYTES_MAX < BUDGET_BYTES_MIN - BUDGET_BYTES_MIN / 4 - BUDGET_BYTES_MIN / 3,
    "a body that is collected fits the buffers"
);

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
    /// What of the buffers bodies that are collected may hold together.
    collected: Pool,
    /// Held by the one of them that may hold more.
    precedence: Arc<tokio::sync::Mutex<()>>,
    /// Longest wait of a request that has not been let in.
    wait: Duration,
    watched: Mutex<Vec<Weak<dyn Idle>>>,
    /// Held by the one who looks after downloads while he waits; what is left of the pause after the last
    /// look.
    sweeper: tokio::sync::Mutex<Option<Pin<Box<Sleep>>>>,
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
        let buffers = limit_bytes - uploads - downloads;
        Self {
            inner: Arc::new(Inner {
                uploads: Pool::new(uploads),
                downloads: Pool::new(downloads),
                buffers: Pool::new(buffers),
                collected: Pool::new(buffers.saturating_sub(COLLECTED_BYTES_MAX)),
                precedence: Arc::default(),
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
        let inner = &self.inner;
        let units = inner.downloads.units(body_bytes.min(SENDING_BYTES_MAX));
        let wait = inner.wait * DOWNLOAD_WAITS;
        let entry = inner.take(&inner.downloads, units, wait).await?;
        Ok(DownloadLease::new(self.clone(), entry))
    }

    /// The entry of a body of up to `body_bytes` that is collected whole before it is looked at.
    ///
    /// # Errors
    /// [`Exhausted`], as for an upload.
    pub async fn collected(&self, body_bytes: u64) -> Result<CollectedLease, Exhausted> {
        let bytes = body_bytes.min(ENTRY_BYTES);
        let entry = self.inner.uploads.enter(bytes, self.inner.wait).await?;
        Ok(CollectedLease::new(self.clone(), entry, body_bytes))
    }

    /// Buffers of `bytes` if nobody else wants them now: for work that can be left undone.
    pub(crate) fn spare(&self, bytes: u64) -> Option<Lease> {
        let buffers = &self.inner.buffers;
        if buffers.is_wanted() {
            return None;
        }
        let permit = buffers.try_take(buffers.units(bytes));
        permit.map(|permit| Lease { _permit: permit })
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

    /// Lets `download` be looked after while others wait.
    pub(crate) fn watch(&self, download: Weak<dyn Idle>) {
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

    /// Units of a pool that downloads hold; looks after those while it waits.
    async fn take(
        &self,
        pool: &Pool,
        units: usize,
        wait: Duration,
    ) -> Result<OwnedSemaphorePermit, Exhausted> {
        if let Some(permit) = pool.try_take(units) {
            return Ok(permit);
        }
        tokio::select! {
            biased;
            permit = pool.take(units) => Ok(permit),
            () = sleep(wait) => Err(Exhausted),
            never = self.look_after() => match never {},
        }
    }

    /// Buffers for `bytes`, or all of them where there are not as many.
    async fn buffers(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Exhausted> {
        let units = self.buffers.units(bytes);
        self.take(&self.buffers, units, BUFFERS_WAIT).await
    }

    /// Sweeps now and then. Of all who wait one does so.
    async fn look_after(&self) -> std::convert::Infallible {
        let mut sweeper = self.sweeper.lock().await;
        let pause = sweeper.get_or_insert_with(|| Box::pin(sleep(Duration::ZERO)));
        loop {
            pause.as_mut().await;
            self.sweep();
            pause.set(sleep(SWEEP_PAUSE));
        }
    }

    fn sweep(&self) {
        let watched: Vec<_> = {
            let mut watched = self.watched.lock();
            watched.retain(|download| download.strong_count() > 0);
            watched.iter().filter_map(Weak::upgrade).collect()
        };
        for download in watched {
            download.look(self.downloads.is_wanted());
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
