//! What the data path learns about disks: evidence for whoever keeps the cluster map, and which disk
//! keeps others waiting just now.

use crate::shard::{ShardKey, ShardStore};
use futures::future::BoxFuture;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tracing::Instrument;
use types::limits::SMALL_BYTES_CAP;
use types::{DiskId, DiskState};

/// Takes evidence from readers, writers and repair. Called on the data path and again for every shard
/// concerned: it must not block, and must bear repetition.
pub trait HealthSink: Send + Sync + fmt::Debug {
    /// The disk should be in `state` in the cluster map. The map alone decides: until it says so, the
    /// quorum rule counts the disk as usable.
    fn disk_failed(&self, disk: DiskId, state: DiskState, reason: &str);

    /// The disk's node did not answer this process. That may be the node's fault, or that of the network between
    /// the two: only who hears all sides can tell.
    fn unreachable(&self, disk: DiskId, reason: &str);

    /// A shard needs a look.
    fn finding(&self, finding: Finding);
}

/// One shard that was not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The shard.
    pub shard: ShardKey,
    /// The disk that should have it.
    pub disk: DiskId,
    /// What is wrong.
    pub fault: ShardFault,
}

/// What is wrong with a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardFault {
    /// The disk does not have it. (A read of a chunk that is being deleted finds that too.)
    Missing,
    /// Its bytes are not those that were written for this position.
    Damaged(String),
    /// The device failed the read; one bad sector, or more.
    Unreadable(String),
}

/// A sink that forgets: for tools and tests that keep no cluster map.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoHealthSink;

impl HealthSink for NoHealthSink {
    fn disk_failed(&self, _disk: DiskId, _state: DiskState, _reason: &str) {}
    fn unreachable(&self, _disk: DiskId, _reason: &str) {}
    fn finding(&self, _finding: Finding) {}
}

/// What was asked of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// To store a shard.
    Put,
    /// To read blocks of one.
    Read,
}

/// A disk, and what the client remembers of how it behaves.
#[derive(Debug)]
pub(crate) struct DiskHandle {
    pub store: Arc<dyn ShardStore>,
    /// One put that the disk was too slow with is left running, to see whether it ever answers. While
    /// it runs the disk gets no others that can do without: a disk that hangs costs one put its time.
    late_put: AtomicBool,
    /// The same for reads. Reads that wait for a busy device say nothing of puts.
    late_read: AtomicBool,
    /// `available` of the usage at which the disk last said it was full; `u64::MAX` when it did not.
    full_at: AtomicU64,
}

impl DiskHandle {
    pub fn new(store: Arc<dyn ShardStore>) -> Self {
        Self {
            store,
            late_put: AtomicBool::new(false),
            late_read: AtomicBool::new(false),
            full_at: AtomicU64::new(u64::MAX),
        }
    }

    pub fn id(&self) -> DiskId {
        self.store.disk()
    }

    /// True while the disk owes an answer, to a request of this kind, that others did not wait for.
    pub fn is_late(&self, kind: RequestKind) -> bool {
        self.late(kind).load(Ordering::Relaxed)
    }

    fn late(&self, kind: RequestKind) -> &AtomicBool {
        match kind {
            RequestKind::Put => &self.late_put,
            RequestKind::Read => &self.late_read,
        }
    }

    /// True when a cell of any profile fits, as far as is known. A device that does not tell is not full
    /// but failing, which a put finds out.
    pub fn has_room(&self) -> bool {
        let usage = self.store.usage();
        if usage.capacity == 0 {
            return true;
        }
        let available = usage.available;
        let full_at = self.full_at.load(Ordering::Relaxed);
        let regained = full_at == u64::MAX || available > full_at;
        regained && available >= SMALL_BYTES_CAP as u64
    }

    /// The disk refused a shard for want of room: it has room again only when more is available.
    pub fn note_full(&self) {
        let available = self.store.usage().available;
        self.full_at.store(available, Ordering::Relaxed);
    }

    /// A shard fitted.
    pub fn note_stored(&self) {
        if self.full_at.load(Ordering::Relaxed) != u64::MAX {
            self.full_at.store(u64::MAX, Ordering::Relaxed);
        }
    }
}

/// Tells the sink of a disk that did not answer in time.
pub(crate) fn report_silence(health: &dyn HealthSink, disk: DiskId, waited: Duration) {
    let reason = format!("no answer for {} ms", waited.as_millis());
    health.disk_failed(disk, DiskState::Down, &reason);
}

/// A request under way to one disk. Several are polled together; one that is late can be taken out and
/// left running by itself.
pub(crate) struct Request<T> {
    pub position: usize,
    pub disk: Arc<DiskHandle>,
    pub answer: BoxFuture<'static, T>,
}

impl<T> Future for Request<T> {
    type Output = (usize, T);
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let position = self.position;
        self.answer
            .as_mut()
            .poll(cx)
            .map(|answer| (position, answer))
    }
}

impl<T: 'static> Request<T> {
    /// Lets the request run on for at most `deadline`; a disk that has not answered then is reported as
    /// down. Of several late requests of one kind only the first runs on, so memory stays bounded.
    pub fn leave_running(
        self,
        kind: RequestKind,
        deadline: Duration,
        health: &Arc<dyn HealthSink>,
    ) {
        if self.disk.late(kind).swap(true, Ordering::Relaxed) {
            return;
        }
        let health = Arc::clone(health);
        let watch = async move {
            if tokio::time::timeout(deadline, self.answer).await.is_err() {
                report_silence(&*health, self.disk.id(), deadline);
            }
            self.disk.late(kind).store(false, Ordering::Relaxed);
        };
        tokio::spawn(watch.in_current_span());
    }
}
