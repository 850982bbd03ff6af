//! Blocks of chunks that are read again and again, kept near to their readers: in memory, and on a disk of the
//! gateway's own if it was given one.
//!
//! The index is asked for every GET, as without a cache; only bytes come from here. A block is named by its chunk,
//! whose bytes never change and whose id is never used again, so nothing here can be out of date, and deleting
//! an object needs to do nothing. What enters was verified by [`ChunkStore`], and what comes back from the
//! disk is verified again.
//!
//! - A block that is read for the first time goes past the cache, as if there were none, and is remembered. Only when
//!   it is read again, before as much as fills the cache was read besides, is all of it read and kept. So what is
//!   read once, however large, costs nothing and drives nothing out.
//! - It is read by a task of its own, a **fill**, for all who want it meanwhile: the slowest or first of them leaving
//!   changes nothing for the others. Whoever gets nothing from a fill, because it failed or takes long, reads past the
//!   cache, and finds out for itself what is wrong.
//! - A fill takes buffers of the budget of bodies, and if there are none to spare there is no fill. What is in memory
//!   has its share of `memory_limit`; what a reader holds of it longer is no more than it has a lease for,
//!   for pieces are freed one by one, and parts of them are copied.

mod block;
mod disk;
mod memory;
mod record;

pub use block::BLOCK_BYTES;
pub use disk::{DISK_BYTES_MIN, DiskCacheConfig, OpenCacheError};

use crate::admission::{Lease, MemoryBudget};
use crate::metrics::CacheMetrics;
use block::{Block, BlockKey, Filling};
use bytes::Bytes;
use chunkstore::{ChunkStore, ReadChunkError};
use disk::Disk;
use futures::future::{BoxFuture, FutureExt, Shared};
use futures::stream::StreamExt;
use memory::{Blocks, Seen};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use types::ChunkRef;

/// The least memory that a cache can do something with.
pub const MEMORY_BYTES_MIN: u64 = 8 * BLOCK_BYTES;
/// The share of its memory in which it remembers what was read once.
const SEEN_SHARE: u64 = 64;
/// The share of its memory in which it remembers what is on its disk, if it has one.
const PLACES_SHARE: u64 = 8;
/// How long a fill is waited for: longer than it takes to rebuild a block without a disk that does not answer.
const FILL_WAIT: Duration = Duration::from_secs(2);

/// What a cache may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// Bytes of memory, with all that it must remember; at least [`MEMORY_BYTES_MIN`].
    pub memory_bytes: u64,
    /// A disk beside.
    pub disk: Option<DiskCacheConfig>,
}

/// See the module. Clones are one cache.
#[derive(Clone)]
pub struct HotCache(Arc<Inner>);

struct Inner {
    chunks: ChunkStore,
    budget: MemoryBudget,
    state: Mutex<State>,
    disk: Option<Disk>,
    metrics: CacheMetrics,
}

struct State {
    blocks: Blocks,
    seen: Seen,
    fills: HashMap<BlockKey, Fill>,
}

/// A block that is being read, for all who wait for it; `None` if it cannot be had.
type Fill = Shared<BoxFuture<'static, Option<Block>>>;

enum Found {
    Block(Block),
    Fill(Fill),
}

/// Why a fill came to nothing.
#[derive(Debug, thiserror::Error)]
enum FillError {
    #[error(transparent)]
    Read(#[from] ReadChunkError),
    #[error("the chunk gave another number of bytes than it was asked for")]
    Length,
}

impl HotCache {
    /// A cache of what `chunks` holds; what it reads there takes buffers of `budget`. Needs a runtime, and for
    /// its metrics the recorder.
    ///
    /// # Errors
    /// The directory on disk cannot be used.
    pub fn open(
        config: &CacheConfig,
        chunks: ChunkStore,
        budget: MemoryBudget,
    ) -> Result<Self, OpenCacheError> {
        let memory = config.memory_bytes;
        let places = config.disk.as_ref().map_or(0, |_| memory / PLACES_SHARE);
        let disk_bytes = config.disk.as_ref().map_or(0, |disk| disk.bytes);
        let metrics = CacheMetrics::new();
        let open = |config| Disk::open(config, places, metrics.clone());
        let disk = config.disk.as_ref().map(open).transpose()?;
        let blocks = memory - memory / SEEN_SHARE - places;
        Ok(Self(Arc::new(Inner {
            chunks,
            budget,
            state: Mutex::new(State {
                blocks: Blocks::new(blocks),
                seen: Seen::new(blocks + disk_bytes, memory / SEEN_SHARE),
                fills: HashMap::new(),
            }),
            disk,
            metrics,
        })))
    }

    /// The first bytes of `range` of the chunk, which is not empty: those in the block that it begins in. `None`
    /// to read all of `range` from the chunk store; that has been taken note of then.
    pub(crate) async fn read(&self, chunk: &ChunkRef, range: &Range<u64>) -> Option<Vec<Bytes>> {
        if !is_whole(chunk) {
            return None;
        }
        let key = BlockKey::at(chunk.id, range.start);
        let block = match self.0.look(chunk, range, key)? {
            Found::Block(block) => block,
            Found::Fill(fill) => tokio::time::timeout(FILL_WAIT, fill).await.ok()??,
        };
        let held = key.range(chunk);
        let start = range.start - held.start;
        let end = range.end.min(held.end) - held.start;
        self.0.metrics.served(end - start);
        Some(block.slices(start as usize..end as usize))
    }

    /// Begins to read the block with byte `at` of the chunk, if it is one to be kept: it will be asked for next.
    pub(crate) fn prepare(&self, chunk: &ChunkRef, at: u64) {
        let key = BlockKey::at(chunk.id, at);
        let mut state = self.0.state.lock();
        if is_whole(chunk) && !state.blocks.has(key) && !state.fills.contains_key(&key) {
            self.0.begin_if_hot(&mut state, chunk, key);
        }
    }
}

/// Slices of chunks are left alone: a block of one would not be what its key says.
fn is_whole(chunk: &ChunkRef) -> bool {
    chunk.skip == 0 && chunk.length == chunk.written_bytes()
}

impl Inner {
    fn look(
        self: &Arc<Self>,
        chunk: &ChunkRef,
        range: &Range<u64>,
        key: BlockKey,
    ) -> Option<Found> {
        let mut state = self.state.lock();
        if let Some(block) = state.blocks.get(key) {
            self.metrics.found_in_memory();
            return Some(Found::Block(block));
        }
        if let Some(fill) = state.fills.get(&key) {
            self.metrics.collapsed();
            return Some(Found::Fill(fill.clone()));
        }
        if let Some(fill) = self.begin_if_hot(&mut state, chunk, key) {
            return Some(Found::Fill(fill));
        }
        let last = BlockKey::at(chunk.id, range.end - 1).number;
        for number in key.number..=last {
            let key = BlockKey { number, ..key };
            let held = key.range(chunk);
            state.seen.add(key, held.end - held.start);
            self.metrics.missed();
        }
        None
    }

    /// Begins a fill for a block that was read before or is on disk, if there is memory for it.
    fn begin_if_hot(
        self: &Arc<Self>,
        state: &mut State,
        chunk: &ChunkRef,
        key: BlockKey,
    ) -> Option<Fill> {
        let is_on_disk = self.disk.as_ref().is_some_and(|disk| disk.has(key));
        if !is_on_disk && !state.seen.has(key) {
            return None;
        }
        let bytes = self.chunks.read_memory().ahead_bytes + BLOCK_BYTES;
        let lease = self.budget.spare(bytes)?;
        let task = tokio::spawn(Arc::clone(self).fill(chunk.clone(), key, lease));
        let fill = task.map(|block| block.ok().flatten()).boxed().shared();
        state.fills.insert(key, fill.clone());
        Some(fill)
    }

    /// Reads a block, keeps it, and gives it to those who wait.
    async fn fill(self: Arc<Self>, chunk: ChunkRef, key: BlockKey, lease: Lease) -> Option<Block> {
        let held = key.range(&chunk);
        let length = (held.end - held.start) as usize;
        let on_disk = match &self.disk {
            Some(disk) => disk.read(key, length).await,
            None => None,
        };
        let was_on_disk = on_disk.is_some();
        let block = match on_disk {
            Some(block) => Some(block),
            None => {
                self.metrics.missed();
                let read = self.read_chunk(chunk, held, length).await;
                let told = |error: &FillError| {
                    tracing::warn!(chunk = %key.chunk, block = key.number, %error, "not cached");
                };
                read.inspect_err(told).ok()
            }
        };
        let mut gone = Vec::new();
        {
            let mut state = self.state.lock();
            state.fills.remove(&key);
            if let Some(block) = &block {
                gone = state.blocks.insert(key, block.clone());
                self.metrics.in_memory(state.blocks.held_bytes());
            }
        }
        drop(gone);
        if let (Some(disk), Some(block), false) = (&self.disk, &block, was_on_disk) {
            disk.keep(key, block.clone(), lease);
        }
        block
    }

    /// The bytes of `range` of the chunk, all of them verified.
    async fn read_chunk(
        &self,
        chunk: ChunkRef,
        range: Range<u64>,
        length: usize,
    ) -> Result<Block, FillError> {
        let mut filling = Filling::new(length);
        let mut pieces = std::pin::pin!(self.chunks.read(chunk, range));
        while let Some(piece) = pieces.next().await {
            if !filling.push(&piece?) {
                return Err(FillError::Length);
            }
        }
        filling.finish().ok_or(FillError::Length)
    }
}

#[cfg(test)]
mod tests;
