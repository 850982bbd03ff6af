//! Hashes large bodies beside their sending, and many of them together: MD5 is slower than everything
//! else a PUT does, but sixteen bodies in the lanes of a vector take hardly longer than one.

mod queue;

use bytes::Bytes;
use md5_lanes::{Digest, Feed, Lanes};
use parking_lot::{Mutex, MutexGuard};
use queue::{BodyId, Ending, Queue, Slice};
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::sync::Notify;

/// Bytes of a body that are hashed in one go, so that others which become ready can join.
const SLICE_BYTES: usize = 64 * 1024;
/// A body that holds this much is worth a lane.
const READY_BYTES: usize = 64 * 1024;
/// A body that holds this much is hashed without waiting for others: its sender should not have to wait.
const AWAITED_BYTES: usize = HELD_BYTES_MAX / 2;
/// A sender whose body holds this much waits. It is a part of the lease of an upload.
const HELD_BYTES_MAX: usize = 1024 * 1024;
/// What a piece holds beside its bytes: it may be a small part of a buffer.
const PIECE_BYTES: usize = 4 * 1024;
/// The last bytes of a body are hashed on the spot when there are no more of them than these: waking a
/// worker would take as long.
const REST_BYTES: usize = 16 * 1024;

/// Hashes bodies. Clones are the same pool.
#[derive(Clone)]
pub struct Md5Pool(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    lanes: Lanes,
}

impl Md5Pool {
    /// A pool that works on all processors, if there is work for them.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Lanes::new(), available_parallelism().map_or(1, usize::from))
    }

    fn with(lanes: Lanes, workers_max: usize) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::new(Queue::new(lanes.width(), workers_max)),
            lanes,
        }))
    }

    /// Begins a body.
    pub(super) fn body(&self) -> PooledMd5 {
        let room = Arc::new(Notify::new());
        let id = self.0.queue.lock().open(Arc::clone(&room));
        PooledMd5 {
            pool: Arc::clone(&self.0),
            id,
            room,
        }
    }
}

impl Default for Md5Pool {
    fn default() -> Self {
        Self::new()
    }
}

/// The MD5 of a body that the pool hashes. When it is dropped the pool forgets the body.
pub(super) struct PooledMd5 {
    pool: Arc<Shared>,
    id: BodyId,
    room: Arc<Notify>,
}

impl PooledMd5 {
    /// Adds the next bytes, which the pool keeps until it has hashed them; waits while it has too many.
    pub(super) async fn update(&self, bytes: Bytes) {
        if self.pool.push(self.id, bytes) {
            self.room.notified().await;
        }
    }

    /// Waits until the pool keeps no bytes of this body.
    pub(super) async fn drain(&self) {
        while self.pool.drain(self.id) {
            self.room.notified().await;
        }
    }

    /// The digest of all bytes added.
    pub(super) async fn finish(self) -> Digest {
        match self.pool.end(self.id) {
            Ending::Rest(mut md5, pieces) => {
                for piece in pieces {
                    md5.update(&piece);
                }
                md5.finish()
            }
            Ending::Awaited(digest) => digest.await.expect("a worker ends every body that is open"),
        }
    }
}

impl Drop for PooledMd5 {
    fn drop(&mut self) {
        self.pool.queue.lock().close(self.id);
    }
}

impl Shared {
    /// Adds a piece; whether the sender must wait for room.
    fn push(self: &Arc<Self>, id: BodyId, piece: Bytes) -> bool {
        let mut queue = self.queue.lock();
        let full = queue.push(id, piece);
        self.begin_worker(queue);
        full
    }

    /// Whether the sender must wait until nothing of a body is held.
    fn drain(self: &Arc<Self>, id: BodyId) -> bool {
        let mut queue = self.queue.lock();
        let drains = queue.drain(id);
        self.begin_worker(queue);
        drains
    }

    fn end(self: &Arc<Self>, id: BodyId) -> Ending {
        let mut queue = self.queue.lock();
        let ending = queue.end(id);
        self.begin_worker(queue);
        ending
    }

    /// Sets one more worker to work, where there is work for it.
    fn begin_worker(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        if queue.begin_worker() {
            drop(queue);
            let shared = Arc::clone(self);
            tokio::task::spawn_blocking(move || shared.work());
        }
    }

    /// What a worker does until nothing is left to do.
    fn work(self: Arc<Self>) {
        let mut queue = self.queue.lock();
        loop {
            let mut slices = queue.take();
            if slices.is_empty() {
                return;
            }
            self.begin_worker(queue);
            self.hash(&mut slices);
            queue = self.queue.lock();
            queue.give_back(slices);
        }
    }

    fn hash(&self, slices: &mut [Slice]) {
        let mut feeds: Vec<_> = slices
            .iter_mut()
            .map(|slice| Feed::new(&mut slice.md5, slice.pieces.iter().map(Bytes::as_ref)))
            .collect();
        self.lanes.update(&mut feeds);
    }
}

#[cfg(test)]
mod tests;
