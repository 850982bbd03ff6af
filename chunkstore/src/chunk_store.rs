//! The facade: an object's bytes to chunks and back, over all disks at hand.

use crate::error::{DeleteChunkError, ListChunksError, ReadChunkError};
use crate::health::{DiskHandle, HealthSink};
use crate::placement::{Group, Plan};
use crate::shard::{DiskUsage, ReadShardError, ShardInfo, ShardKey, ShardStore};
use crate::stripe::{reader, writer};
use bytes::Bytes;
use futures::Stream;
use futures::future::{BoxFuture, join_all};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::ids::IdSource;
use types::limits::{CELL_BYTES, CHUNK_BYTES_MAX, SMALL_BYTES_CAP, SMALL_BYTES_DEFAULT};
use types::{BucketId, ChunkId, ChunkRef, Clock, ClusterView, DiskId, DiskState, ManifestId, PgId};

/// What a [`ChunkStore`] goes by. The default suits disks of one machine.
#[derive(Debug, Clone, Copy)]
pub struct ChunkStoreOptions {
    /// Largest object, in bytes, that goes to a small-object group; at most [`SMALL_BYTES_CAP`].
    pub small_bytes: usize,
    /// Object bytes after which a chunk ends; between [`CELL_BYTES`] and [`CHUNK_BYTES_MAX`]. Each
    /// chunk but an object's last holds as many whole stripes as fit, and at least one.
    pub chunk_bytes: u64,
    /// Stripes of one object on their way to the disks at once; they and the one being filled are what
    /// a writer holds in memory.
    pub stripes_in_flight: usize,
    /// Stripes of one read that are fetched at once; they and the one that is given out are what a reader holds
    /// in memory.
    pub read_ahead: usize,
    /// Time after which a disk that has not answered a put or a delete counts as failed.
    pub put_deadline: Duration,
    /// Time that the slower disks are given once a stripe may be acknowledged.
    pub straggler_wait: Duration,
    /// Time after which a read asks other disks besides the slow ones.
    pub hedge_after: Duration,
    /// Time after which a disk that has not answered a read counts as failed.
    pub read_deadline: Duration,
    /// Time that a stripe waits, once its disks have failed, for the cluster map to say so.
    pub map_wait: Duration,
}

/// Bytes that a reader holds in memory, at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadMemory {
    /// Those of the stripe that it gives out and of all that it reads ahead.
    pub ahead_bytes: u64,
    /// Those of one stripe alone.
    pub stripe_bytes: u64,
}

impl Default for ChunkStoreOptions {
    fn default() -> Self {
        Self {
            small_bytes: SMALL_BYTES_DEFAULT,
            chunk_bytes: CHUNK_BYTES_MAX,
            stripes_in_flight: 4,
            read_ahead: 2,
            put_deadline: Duration::from_secs(10),
            straggler_wait: Duration::from_secs(1),
            hedge_after: Duration::from_millis(200),
            read_deadline: Duration::from_secs(10),
            map_wait: Duration::from_secs(3),
        }
    }
}

/// What the bytes of an [`ObjectWriter`](crate::ObjectWriter) are for.
#[derive(Debug, Clone, Copy)]
pub struct WriteTarget {
    /// The bucket; shards carry its id.
    pub bucket: BucketId,
    /// The manifest that will list the chunks; shards carry its id.
    pub manifest: ManifestId,
    /// Bytes to come, where that is known. A hint: it spares buffering, and decides nothing.
    pub size: Option<u64>,
}

/// Chunks of all placement groups of the cluster. Cheap to clone; all clones are one store.
#[derive(Debug, Clone)]
pub struct ChunkStore {
    pub(crate) inner: Arc<Inner>,
}

/// The disks at hand by id. A change makes a new map, so that a plan can tell whether it is of this one.
type Disks = BTreeMap<DiskId, Arc<DiskHandle>>;

#[derive(Debug)]
pub(crate) struct Inner {
    disks: RwLock<Arc<Disks>>,
    pub view: watch::Receiver<Arc<ClusterView>>,
    pub options: ChunkStoreOptions,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<IdSource>,
    pub health: Arc<dyn HealthSink>,
    plan: RwLock<Arc<Plan>>,
}

impl Inner {
    /// The disks at hand.
    pub fn disks(&self) -> Arc<Disks> {
        Arc::clone(&self.disks.read())
    }

    /// The groups of the newest view.
    pub fn plan(&self) -> Arc<Plan> {
        let view = Arc::clone(&self.view.borrow());
        let disks = self.disks();
        {
            let plan = self.plan.read();
            if Arc::ptr_eq(&plan.view, &view) && Arc::ptr_eq(&plan.disks, &disks) {
                return Arc::clone(&plan);
            }
        }
        let plan = Arc::new(Plan::new(view, disks));
        *self.plan.write() = Arc::clone(&plan);
        plan
    }

    pub fn group(&self, pg: PgId) -> Option<Arc<Group>> {
        self.plan().group(pg).cloned()
    }

    /// Removes a chunk from the disks of its group; what could not be asked comes back.
    pub async fn delete(&self, pg: PgId, chunk: ChunkId) -> Result<(), DeleteChunkError> {
        let plan = self.plan();
        let Some(group) = plan.group(pg) else {
            return Err(DeleteChunkError::NoSuchGroup { chunk, pg });
        };
        // What was on a disk that is gone for good is gone with it.
        let there = |id: &&DiskId| plan.view.map.state(**id) != DiskState::Removed;
        let disks_at_hand = &plan.disks;
        let answers = group.record.disks.iter().filter(there).map(|id| async {
            let Some(disk) = disks_at_hand.get(id) else {
                return Some((*id, "it cannot be reached".to_owned()));
            };
            let answer = disk.store.delete(pg, chunk);
            match tokio::time::timeout(self.options.put_deadline, answer).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some((*id, error.to_string())),
                Err(_) => Some((*id, "it did not answer in time".to_owned())),
            }
        });
        let disks: Vec<_> = join_all(answers).await.into_iter().flatten().collect();
        if disks.is_empty() {
            return Ok(());
        }
        Err(DeleteChunkError::Partial { chunk, disks })
    }

    /// One page of shards after `after` from each disk of the group that the map says can be read, by
    /// position.
    pub async fn list(&self, group: &Group, after: Option<ShardKey>, limit: usize) -> GroupListing {
        let pg = group.record.id;
        let ask = |position: usize| -> BoxFuture<'_, Result<Vec<ShardInfo>, String>> {
            Box::pin(async move {
                if !group.readable.contains(position) {
                    return Err("the cluster map says that it cannot be read".to_owned());
                }
                let Some(disk) = group.disk(position) else {
                    return Err("it cannot be reached".to_owned());
                };
                let answer = disk.store.list(pg, after, limit);
                match tokio::time::timeout(self.options.read_deadline, answer).await {
                    Ok(answer) => answer.map_err(|error: ReadShardError| error.to_string()),
                    Err(_) => Err("it did not answer in time".to_owned()),
                }
            })
        };
        let answers = join_all((0..group.record.disks.len()).map(ask)).await;
        let mut listing = GroupListing::default();
        for (position, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(page) => listing.pages.push((position, page)),
                Err(fault) => listing.faults.push((group.record.disks[position], fault)),
            }
        }
        listing
    }
}

/// What the disks of a group answered to one listing.
#[derive(Debug, Default)]
pub(crate) struct GroupListing {
    /// A page for each position that could be listed.
    pub pages: Vec<(usize, Vec<ShardInfo>)>,
    /// The disks that could not.
    pub faults: Vec<(DiskId, String)>,
}

/// A chunk that some disk has shards of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredChunk {
    /// The chunk.
    pub id: ChunkId,
    /// The bucket that it was written for.
    pub bucket: BucketId,
    /// The manifest that it was written for.
    pub manifest: ManifestId,
}

/// One page of the chunks of a placement group, in id order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkPage {
    /// The chunks.
    pub chunks: Vec<StoredChunk>,
    /// Where the next page starts (`after`); `None` at the end.
    pub next: Option<ChunkId>,
    /// Disks that could not be listed, and may have chunks that no other disk has.
    pub unlisted: Vec<(DiskId, String)>,
}

/// Shards asked of each disk for one page of a listing.
const LIST_SHARDS: usize = 1024;

impl ChunkStore {
    /// A store over `disks`: every disk that can be reached, by id. `view` is the current cluster map
    /// and its groups, replaced as a whole when they change. `health` is told what disks do wrong.
    ///
    /// # Panics
    /// When `options` are outside the bounds that they state.
    #[must_use]
    pub fn new(
        disks: BTreeMap<DiskId, Arc<dyn ShardStore>>,
        view: watch::Receiver<Arc<ClusterView>>,
        options: ChunkStoreOptions,
        clock: Arc<dyn Clock>,
        ids: Arc<IdSource>,
        health: Arc<dyn HealthSink>,
    ) -> Self {
        let chunk_bounds = CELL_BYTES as u64..=CHUNK_BYTES_MAX;
        assert!(options.small_bytes <= SMALL_BYTES_CAP, "small_bytes");
        assert!(chunk_bounds.contains(&options.chunk_bytes), "chunk_bytes");
        assert!(options.stripes_in_flight > 0, "stripes_in_flight");
        assert!(options.read_ahead > 0, "read_ahead");
        let handle = |store| Arc::new(DiskHandle::new(store));
        let disks = disks.into_iter().map(|(id, store)| (id, handle(store)));
        let disks = Arc::new(disks.collect());
        let plan = Plan::new(Arc::clone(&view.borrow()), Arc::clone(&disks));
        let inner = Inner {
            plan: RwLock::new(Arc::new(plan)),
            disks: RwLock::new(disks),
            view,
            options,
            clock,
            ids,
            health,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Adds a disk that can be reached from now on; what is under way goes on with the disks it began with. A
    /// handle that was there for the same disk is replaced.
    pub fn add_disk(&self, store: Arc<dyn ShardStore>) {
        let handle = Arc::new(DiskHandle::new(store));
        let mut disks = self.inner.disks.write();
        let mut next = Disks::clone(&disks);
        next.insert(handle.id(), handle);
        *disks = Arc::new(next);
    }

    /// Takes a disk out of those that can be reached, if it is one of them.
    pub fn remove_disk(&self, id: DiskId) {
        let mut disks = self.inner.disks.write();
        let mut next = Disks::clone(&disks);
        next.remove(&id);
        *disks = Arc::new(next);
    }

    /// A writer for the bytes of one object, or of one part.
    #[must_use]
    pub fn writer(&self, target: WriteTarget) -> writer::ObjectWriter {
        writer::ObjectWriter::new(Arc::clone(&self.inner), target)
    }

    /// The bytes of `range`, which counts from the first byte that the reference uses. Every block was
    /// verified for its place, or rebuilt from k that were; what was missing or damaged is reported.
    /// A read of the whole chunk is also held against its BLAKE3, and its last bytes given out only
    /// when that is right.
    ///
    /// On any fault the stream ends with an `Err`; it never ends early without.
    pub fn read(
        &self,
        chunk: ChunkRef,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, ReadChunkError>> + Send + 'static + use<> {
        reader::read(Arc::clone(&self.inner), chunk, range)
    }

    /// Bytes that a stripe takes in memory with its parity, at the most, while it is written.
    #[must_use]
    pub fn stripe_memory_bytes(&self) -> u64 {
        self.inner.plan().memory_max.written as u64
    }

    /// What a reader takes in memory; all that it reads may have to be rebuilt.
    #[must_use]
    pub fn read_memory(&self) -> ReadMemory {
        let stripe = self.inner.plan().memory_max;
        ReadMemory {
            ahead_bytes: (self.inner.options.read_ahead * stripe.read + stripe.given) as u64,
            stripe_bytes: stripe.read as u64,
        }
    }

    /// Deletes every shard of the chunk from the disks of its group. Only for chunks that nothing
    /// refers to any more. Disks that the map says are gone for good are left out.
    ///
    /// # Errors
    /// [`DeleteChunkError::Partial`] when some disk could not be asked or failed: it may still have
    /// shards, so the caller keeps its entry and asks again later.
    pub async fn delete(&self, chunk: &ChunkRef) -> Result<(), DeleteChunkError> {
        self.delete_chunk(chunk.pg, chunk.id).await
    }

    /// As [`ChunkStore::delete`], for a chunk that a listing found.
    ///
    /// # Errors
    /// As [`ChunkStore::delete`].
    pub async fn delete_chunk(&self, pg: PgId, chunk: ChunkId) -> Result<(), DeleteChunkError> {
        self.inner.delete(pg, chunk).await
    }

    /// Deletes chunks that were written and are known not to be committed. Best effort: what stays is
    /// found by the orphan collector.
    pub async fn abandon(&self, chunks: &[ChunkRef]) {
        let chunks = chunks.iter().map(|chunk| (chunk.pg, chunk.id)).collect();
        writer::delete_all(&self.inner, chunks).await;
    }

    /// Chunks of the group after `after` of which any readable disk has a shard, merged over the disks.
    /// A page may be empty and yet not be the last: `next` says.
    ///
    /// # Errors
    /// When there is no such group, or no disk of it could be listed.
    pub async fn list_chunks(
        &self,
        pg: PgId,
        after: Option<ChunkId>,
    ) -> Result<ChunkPage, ListChunksError> {
        let group = self
            .inner
            .group(pg)
            .ok_or(ListChunksError::NoSuchGroup { pg })?;
        let after = after.map(|chunk| ShardKey {
            pg,
            chunk,
            stripe: u32::MAX,
            shard: u8::MAX,
        });
        let listing = self.inner.list(&group, after, LIST_SHARDS).await;
        if listing.pages.is_empty() {
            let faults = listing.faults;
            return Err(ListChunksError::NoDisk { pg, faults });
        }
        // A disk that filled its page has told of every chunk up to its last one.
        let full = |page: &Vec<ShardInfo>| page.len() >= LIST_SHARDS;
        let next = listing
            .pages
            .iter()
            .filter(|(_, page)| full(page))
            .filter_map(|(_, page)| page.last().map(|shard| shard.key.chunk))
            .min();
        let mut chunks: Vec<StoredChunk> = listing
            .pages
            .iter()
            .flat_map(|(_, page)| page)
            .filter(|shard| next.is_none_or(|next| shard.key.chunk <= next))
            .map(|shard| StoredChunk {
                id: shard.key.chunk,
                bucket: shard.bucket,
                manifest: shard.manifest,
            })
            .collect();
        chunks.sort_unstable();
        chunks.dedup();
        Ok(ChunkPage {
            chunks,
            next,
            unlisted: listing.faults,
        })
    }

    /// The newest cluster view.
    #[must_use]
    pub fn view(&self) -> Arc<ClusterView> {
        Arc::clone(&self.inner.view.borrow())
    }

    /// The disks at hand, in id order.
    #[must_use]
    pub fn disks(&self) -> Vec<Arc<dyn ShardStore>> {
        let disks = self.inner.disks();
        let disks = disks.values();
        disks.map(|disk| Arc::clone(&disk.store)).collect()
    }

    /// Room on each disk at hand, in id order.
    #[must_use]
    pub fn usage(&self) -> Vec<(DiskId, DiskUsage)> {
        let disks = self.inner.disks();
        let disks = disks.iter();
        disks.map(|(id, disk)| (*id, disk.store.usage())).collect()
    }
}

#[cfg(test)]
mod tests;
