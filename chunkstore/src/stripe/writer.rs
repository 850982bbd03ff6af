//! An object's bytes to chunks: cut into stripes, coded, sent, acknowledged, and moved to another
//! placement group when one fails.
//!
//! The object is at every moment, in this order: chunks that are done, acknowledged stripes of the open
//! chunk, stripes in flight, the stripe being filled, and what waits to be laid out. When a stripe
//! cannot get its quorum, the chunk ends at the last acknowledged stripe, and all that follows goes back
//! to the end of that list, to be laid out anew in another group.

mod memory;

use super::buffer::StripeBuffer;
use super::layout::stripe_bytes_max;
use super::metrics;
use super::put::{StripeOutcome, StripePut, encode};
use crate::chunk_store::{Inner, WriteTarget};
use crate::error::WriteError;
use crate::placement::{Group, NoGroup};
use crate::shard::ShardKey;
use ::metrics::counter;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::Instrument;
use types::{ChunkId, ChunkRef, PgClass, PgId, ShardSet};

/// Groups that may fail an object in a row, without one durable stripe between, before it fails.
const GROUPS_TRIED_MAX: usize = 8;
/// Pause after the second failure in a row, to be doubled after each further one: ten times what the
/// cluster map usually takes to give up a disk.
const MAP_PAUSE: Duration = Duration::from_millis(20);

/// Positions of a chunk that lack shards, though every stripe of it has its quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingShards {
    /// The placement group.
    pub pg: PgId,
    /// The chunk.
    pub chunk: ChunkId,
    /// First stripe that lacks a shard.
    pub first_stripe: u32,
    /// Last stripe that lacks a shard.
    pub last_stripe: u32,
    /// Every position that lacks a shard of some stripe between them.
    pub positions: ShardSet,
}

/// Bytes that are durable, by the promise of their groups' profiles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// The chunks, in object order.
    pub chunks: Vec<ChunkRef>,
    /// Bytes in all of them.
    pub length: u64,
    /// Chunks that lack shards; to be recorded in the commit, for repair.
    pub missing: Vec<MissingShards>,
    /// When the oldest chunk id was taken, in milliseconds since the Unix epoch; 0 without chunks. The
    /// commit's write deadline counts from it.
    pub oldest_ms: u64,
}

/// Takes the bytes of one object, or of one part. It holds a few stripes in memory, whatever the
/// object's length; `write` waits while as many as that are under way.
///
/// A writer that is dropped before [`ObjectWriter::finish`] returned deletes what it wrote, as
/// [`ObjectWriter::abandon`] does, in the background.
#[derive(Debug)]
pub struct ObjectWriter {
    store: Arc<Inner>,
    target: WriteTarget,
    /// `None` while the bytes may yet turn out to be few.
    class: Option<PgClass>,
    /// Bytes to lay out, after those in `buffer`.
    backlog: VecDeque<Bytes>,
    buffer: StripeBuffer,
    in_flight: VecDeque<Flight>,
    open: Option<OpenChunk>,
    /// Object bytes in a full stripe of the last chunk; as many as can be while there was none.
    stripe_bytes: usize,
    written: Written,
    /// Groups that failed this object.
    failed: Vec<PgId>,
    /// Those since the last durable stripe.
    failed_in_a_row: usize,
    /// Every chunk of which a shard was sent; emptied by `finish`.
    touched: Vec<(PgId, ChunkId)>,
    /// Chunks that failed before they had a durable stripe, and stripes that failed groups still get.
    strays: Leftovers,
}

/// A stripe on its way.
#[derive(Debug)]
struct Flight {
    stripe: u32,
    data: Bytes,
    /// BLAKE3 of the chunk up to the end of this stripe.
    blake3: [u8; 32],
    task: JoinHandle<StripeOutcome>,
}

/// The chunk that stripes are added to.
#[derive(Debug)]
struct OpenChunk {
    id: ChunkId,
    group: Arc<Group>,
    stripe_bytes_max: usize,
    stripes_max: u32,
    stripes_sent: u32,
    hasher: blake3::Hasher,
    /// Bytes in acknowledged stripes, and their BLAKE3.
    durable_bytes: u64,
    blake3: [u8; 32],
    missing: Option<MissingShards>,
}

impl ObjectWriter {
    pub(crate) fn new(store: Arc<Inner>, target: WriteTarget) -> Self {
        let small = store.options.small_bytes as u64;
        Self {
            class: target
                .size
                .filter(|size| *size > small)
                .map(|_| PgClass::Striped),
            store,
            target,
            backlog: VecDeque::new(),
            buffer: StripeBuffer::default(),
            in_flight: VecDeque::new(),
            open: None,
            stripe_bytes: usize::MAX,
            written: Written::default(),
            failed: Vec::new(),
            failed_in_a_row: 0,
            touched: Vec::new(),
            strays: Leftovers::default(),
        }
    }

    /// Adds bytes. On return they are laid out, or wait in memory for more to fill a stripe; they are
    /// durable only when [`ObjectWriter::finish`] says so. Bytes that fill a whole stripe are sent
    /// without being copied.
    ///
    /// # Errors
    /// When no placement group can take them. The writer is of no use then, but to be abandoned.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), WriteError> {
        if !bytes.is_empty() {
            self.backlog.push_back(bytes);
        }
        self.advance(false).await
    }

    /// Ends the object. On `Ok` every byte is durable by its group's promise: it may be acknowledged
    /// once the index knows of it. No bytes at all give no chunks.
    ///
    /// # Errors
    /// When some bytes could not be made durable; then what was written is deleted.
    pub async fn finish(mut self) -> Result<Written, WriteError> {
        if let Err(error) = self.advance(true).await {
            self.abandon().await;
            return Err(error);
        }
        self.close_chunk();
        self.touched.clear();
        self.strays.take().delete_in_background(&self.store);
        let mut written = std::mem::take(&mut self.written);
        let oldest = written.chunks.iter().map(|chunk| chunk.id.time_ms()).min();
        written.oldest_ms = oldest.unwrap_or(0);
        Ok(written)
    }

    /// Deletes what was written, as far as disks can be reached; the orphan collector finds the rest.
    pub async fn abandon(mut self) {
        let (store, clean_up) = (Arc::clone(&self.store), self.leftovers());
        clean_up.delete(store).await;
    }

    fn leftovers(&mut self) -> Leftovers {
        let mut tasks = self.strays.take().tasks;
        tasks.extend(self.in_flight.drain(..).map(|flight| flight.task));
        let chunks = std::mem::take(&mut self.touched);
        Leftovers { tasks, chunks }
    }

    /// Lays out and sends what is there; with `end`, all of it, and waits for every acknowledgement.
    async fn advance(&mut self, end: bool) -> Result<(), WriteError> {
        loop {
            let is_chunk_full = self.open.as_ref().is_some_and(OpenChunk::is_full);
            let is_window_full = self.in_flight.len() >= self.store.options.stripes_in_flight;
            if is_window_full || (is_chunk_full && !self.in_flight.is_empty()) {
                self.settle().await?;
            } else if is_chunk_full {
                self.close_chunk();
            } else if self.buffer.is_empty() && self.backlog.is_empty() {
                if !end || self.in_flight.is_empty() {
                    return Ok(());
                }
                self.settle().await?;
            } else {
                let Some(class) = self.decide_class(end) else {
                    return Ok(());
                };
                if self.open.is_none() {
                    let chunk = self.choose_group(class).await?;
                    self.stripe_bytes = chunk.stripe_bytes_max;
                    self.open = Some(chunk);
                }
                if !self.fill_and_send(end) {
                    return Ok(());
                }
            }
        }
    }

    /// Small or striped; `None` while that cannot be said. Until then the bytes are kept in `buffer`.
    fn decide_class(&mut self, end: bool) -> Option<PgClass> {
        if self.class.is_none() {
            let small = self.store.options.small_bytes;
            while let Some(piece) = self.backlog.pop_front() {
                if self.buffer.len() + piece.len() > small {
                    self.backlog.push_front(piece);
                    self.class = Some(PgClass::Striped);
                    break;
                }
                self.buffer.push(piece, small);
            }
            if end && self.class.is_none() {
                self.class = Some(PgClass::Small);
            }
            if self.class.is_some() && !self.buffer.is_empty() {
                self.backlog.push_front(self.buffer.take());
            }
        }
        self.class
    }

    /// Fills the buffer from the backlog and sends it when it holds a stripe, or at the end all there
    /// is. False when there is not enough yet.
    fn fill_and_send(&mut self, end: bool) -> bool {
        let chunk = self.open.as_mut().expect("a chunk is open");
        let capacity = chunk.stripe_bytes_max;
        while self.buffer.len() < capacity
            && let Some(mut piece) = self.backlog.pop_front()
        {
            let room = capacity - self.buffer.len();
            if piece.len() > room {
                self.backlog.push_front(piece.split_off(room));
            }
            self.buffer.push(piece, capacity);
        }
        if self.buffer.len() < capacity && !end {
            return false;
        }
        let data = self.buffer.take();
        if chunk.stripes_sent == 0 {
            self.touched.push((chunk.group.record.id, chunk.id));
        }
        let flight = chunk.send(&self.store, &self.target, data);
        self.in_flight.push_back(flight);
        true
    }

    /// Waits for the oldest stripe in flight, and moves on to another group when it failed.
    async fn settle(&mut self) -> Result<(), WriteError> {
        // The stripe stays in the queue while it is awaited: a caller may drop this future.
        let flight = self.in_flight.front_mut().expect("a stripe is in flight");
        let outcome = (&mut flight.task).await.unwrap_or_else(|stopped| {
            // A task that panicked brings the process down by the server's hook; this is shutdown.
            StripeOutcome {
                acknowledged: false,
                missing: ShardSet::default(),
                fault: stopped.to_string(),
            }
        });
        if outcome.acknowledged {
            let flight = self.in_flight.pop_front().expect("it was just there");
            let chunk = self.open.as_mut().expect("its chunk is open");
            chunk.acknowledge(&flight, outcome.missing);
            self.failed_in_a_row = 0;
            return Ok(());
        }
        self.move_on(outcome.fault)
    }

    /// The open chunk cannot go on: what is not acknowledged goes back to the backlog.
    fn move_on(&mut self, fault: String) -> Result<(), WriteError> {
        let chunk = self.open.as_ref().expect("its chunk is open");
        let pg = chunk.group.record.id;
        tracing::warn!(%pg, chunk = %chunk.id, fault, "a chunk goes on in another placement group");
        counter!(metrics::GROUP_SWITCHES).increment(1);
        if chunk.durable_bytes == 0 {
            self.strays.chunks.push((pg, chunk.id));
        }
        self.failed.push(pg);
        self.failed_in_a_row += 1;
        let buffered = self.buffer.take();
        if !buffered.is_empty() {
            self.backlog.push_front(buffered);
        }
        for flight in self.in_flight.drain(..).rev() {
            self.backlog.push_front(flight.data);
            // The one that failed has ended, and must not be awaited again.
            if !flight.task.is_finished() {
                self.strays.tasks.push(flight.task);
            }
        }
        self.close_chunk();
        if self.failed_in_a_row >= GROUPS_TRIED_MAX {
            return Err(WriteError::NoQuorum {
                class: self.class.expect("decided before the first stripe"),
                failed: self.failed.len(),
                last: fault,
            });
        }
        Ok(())
    }

    /// Ends the open chunk at its last acknowledged stripe.
    fn close_chunk(&mut self) {
        let Some(chunk) = self.open.take() else {
            return;
        };
        if chunk.durable_bytes == 0 {
            return;
        }
        self.written.length += chunk.durable_bytes;
        self.written.missing.extend(chunk.missing);
        self.written.chunks.push(ChunkRef {
            cluster: chunk.group.record.cluster,
            pg: chunk.group.record.id,
            id: chunk.id,
            length: chunk.durable_bytes,
            blake3: chunk.blake3,
            ..Default::default()
        });
    }

    /// A chunk in a group that can take it. When this object has just seen groups fail, the cluster map
    /// is given time to say so and to offer others.
    async fn choose_group(&self, class: PgClass) -> Result<OpenChunk, WriteError> {
        let mut view = self.store.view.clone();
        if self.failed_in_a_row > 1 {
            // Disks that fail at once fail every group that has them: more groups must not be used up
            // before the map can say so.
            view.mark_unchanged();
            let pause = MAP_PAUSE * (1 << (self.failed_in_a_row - 2));
            let pause = pause.min(self.store.options.map_wait);
            // Both a change and the end of the pause are reason to try again.
            let _ = tokio::time::timeout(pause, view.changed()).await;
        }
        let mut until = std::pin::pin!(tokio::time::sleep(self.store.options.map_wait));
        loop {
            view.borrow_and_update();
            let id = self.store.ids.chunk(self.store.clock.now_ms());
            match self.store.plan().pick(class, id, &self.failed) {
                Ok(group) => return Ok(OpenChunk::new(id, group, self.store.options.chunk_bytes)),
                Err(NoGroup::Full) => return Err(WriteError::Full { class }),
                Err(NoGroup::NotWritable) => {}
            }
            let changed = async {
                if self.failed.is_empty() {
                    return false;
                }
                tokio::select! {
                    biased;
                    changed = view.changed() => changed.is_ok(),
                    () = until.as_mut() => false,
                }
            };
            if !changed.await {
                return Err(WriteError::NoQuorum {
                    class,
                    failed: self.failed.len(),
                    last: "the cluster map has no writable group".to_owned(),
                });
            }
        }
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        self.leftovers().delete_in_background(&self.store);
    }
}

/// Chunks to be deleted, and what still writes to them.
#[derive(Debug, Default)]
struct Leftovers {
    tasks: Vec<JoinHandle<StripeOutcome>>,
    chunks: Vec<(PgId, ChunkId)>,
}

impl Leftovers {
    fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    async fn delete(self, store: Arc<Inner>) {
        // A shard that arrives after the delete would stay: let them all arrive first.
        for task in self.tasks {
            drop(task.await);
        }
        delete_all(&store, self.chunks).await;
    }

    fn delete_in_background(self, store: &Arc<Inner>) {
        if !self.chunks.is_empty()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(self.delete(Arc::clone(store)).in_current_span());
        }
    }
}

/// Deletes chunks that nothing refers to, best effort.
pub(crate) async fn delete_all(store: &Inner, chunks: Vec<(PgId, ChunkId)>) {
    for (pg, chunk) in chunks {
        if let Err(error) = store.delete(pg, chunk).await {
            tracing::warn!(%pg, %chunk, %error, "left for the orphan collector");
        }
    }
}

impl OpenChunk {
    fn new(id: ChunkId, group: &Arc<Group>, chunk_bytes: u64) -> Self {
        let record = &group.record;
        let stripe_bytes_max = stripe_bytes_max(record.class, record.profile);
        let stripes = match record.class {
            PgClass::Small => 1,
            PgClass::Striped | PgClass::Fallback => (chunk_bytes / stripe_bytes_max as u64).max(1),
        };
        Self {
            id,
            group: Arc::clone(group),
            stripe_bytes_max,
            stripes_max: u32::try_from(stripes).expect("at most 64 MiB / 256 KiB"),
            stripes_sent: 0,
            hasher: blake3::Hasher::new(),
            durable_bytes: 0,
            blake3: [0; 32],
            missing: None,
        }
    }

    fn is_full(&self) -> bool {
        self.stripes_sent == self.stripes_max
    }

    fn send(&mut self, store: &Arc<Inner>, target: &WriteTarget, data: Bytes) -> Flight {
        let stripe = self.stripes_sent;
        self.stripes_sent += 1;
        self.hasher.update(&data);
        let key = ShardKey {
            pg: self.group.record.id,
            chunk: self.id,
            stripe,
            shard: 0,
        };
        let owner = (target.bucket, target.manifest);
        let records = encode(&self.group, key, owner, &data);
        counter!(metrics::WRITTEN_BYTES).increment(data.len() as u64);
        let span = tracing::debug_span!("put_stripe", pg = %key.pg, chunk = %key.chunk, stripe)
            .or_current();
        let put = StripePut::new(Arc::clone(store), Arc::clone(&self.group), records);
        Flight {
            stripe,
            data,
            blake3: self.hasher.finalize().into(),
            task: tokio::spawn(put.finish().instrument(span)),
        }
    }

    fn acknowledge(&mut self, flight: &Flight, missing: ShardSet) {
        self.durable_bytes += flight.data.len() as u64;
        self.blake3 = flight.blake3;
        if !missing.is_empty() {
            let all = self.missing.get_or_insert(MissingShards {
                pg: self.group.record.id,
                chunk: self.id,
                first_stripe: flight.stripe,
                last_stripe: flight.stripe,
                positions: missing,
            });
            all.last_stripe = flight.stripe;
            all.positions.0 |= missing.0;
        }
    }
}

#[cfg(test)]
mod tests;
