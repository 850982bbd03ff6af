//! The body of a GET: verified bytes, and exactly as many as were announced, or an error that
//! aborts the connection.

mod sending;

use crate::admission::{DownloadLease, Exhausted, TURN_BYTES};
use crate::cache::BLOCK_BYTES;
use crate::context::Context;
use crate::error::ApiError;
use crate::metrics;
use bytes::Bytes;
use chunkstore::{ReadChunkError, ReadMemory};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http_body::Frame;
use http_body_util::StreamBody;
use index::PlacedChunk;
use index::key::object::VersionRecord;
use index::store::StoreError;
use s3s::Body;
use s3s::dto::StreamingBlob;
use sending::Sending;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use types::ChunkRef;

/// Object bytes whose chunks are looked up at once: bounds what a long download keeps in memory.
const WINDOW_BYTES: u64 = 1 << 30;

/// Why a download was cut off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The bytes cannot be read.
    #[error(transparent)]
    Chunk(#[from] ReadChunkError),
    /// Where they are cannot be read.
    #[error(transparent)]
    Index(#[from] StoreError),
    /// The manifest does not have as many bytes as its record says.
    #[error("the manifest ends {missing} bytes before the object does")]
    Short {
        /// Bytes that are not there.
        missing: u64,
    },
    /// There is no memory to read on.
    #[error(transparent)]
    Memory(#[from] Exhausted),
    /// Its client did not read it while others waited to be let in.
    #[error("the client does not read, and others wait")]
    Left,
    /// It took so long that what it reads may be reclaimed soon.
    #[error("the download took longer than {limit:?}")]
    Deadline {
        /// The read deadline.
        limit: Duration,
    },
}

impl From<SendError> for ApiError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Chunk(error) => error.into(),
            SendError::Index(error) => error.into(),
            SendError::Memory(error) => error.into(),
            SendError::Short { .. } | SendError::Left | SendError::Deadline { .. } => {
                Self::internal(error)
            }
        }
    }
}

/// The bytes of a range of an object, read and verified piece by piece.
pub(crate) struct Reader {
    context: Arc<Context>,
    record: VersionRecord,
    /// Bytes of the object still to send.
    left: Range<u64>,
    /// Where the next of them are: chunks with the range to send of each.
    chunks: VecDeque<(ChunkRef, Range<u64>)>,
    current: Option<BoxStream<'static, Result<Bytes, ReadChunkError>>>,
    /// Bytes to the end of the stripe, where others may have the buffers.
    turn_left: u64,
    /// Where the bytes end that the cache is not asked for any more.
    uncached_to: u64,
    started: Duration,
    lease: DownloadLease,
}

/// In the extensions of a request whose connection carries others at the same time: HTTP/2. That a client
/// does not read its answer is not seen on the connection then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Multiplexed;

/// A body of `range` of the object that `record` describes. The first bytes have been read and
/// verified when this returns, so that what is known to be lost is an error answer.
pub(crate) async fn open(
    context: &Arc<Context>,
    record: VersionRecord,
    range: Range<u64>,
    multiplexed: Option<&Multiplexed>,
) -> Result<StreamingBlob, ApiError> {
    let mut reader = Reader::new(context, record, range).await?;
    let Some(first) = reader.next().await? else {
        return Ok(StreamingBlob::from(Body::empty()));
    };
    let sending = Sending::begin(&context.budget, reader, first, multiplexed.is_some());
    let pieces = stream::try_unfold(sending, |sending| async {
        let piece = sending.next().await?;
        Ok(piece.map(|piece| (piece, sending)))
    });
    let frames = pieces.map_ok(|bytes| {
        metrics::sent(bytes.len() as u64);
        Frame::data(bytes)
    });
    let frames = frames.inspect_err(|error| match error {
        SendError::Left => tracing::info!(%error, "the download is cut off"),
        _ => tracing::error!(%error, "the download is cut off"),
    });
    Ok(StreamingBlob::from(Body::http_body_unsync(
        StreamBody::new(frames),
    )))
}

/// A body of bytes that are at hand.
pub(crate) fn of_bytes(bytes: Bytes) -> StreamingBlob {
    metrics::sent(bytes.len() as u64);
    StreamingBlob::from(Body::from(bytes))
}

impl Reader {
    /// Waits for the entry of a download of `range` of the object; nothing is read yet. The object's bytes
    /// must not be inline.
    pub(crate) async fn new(
        context: &Arc<Context>,
        record: VersionRecord,
        range: Range<u64>,
    ) -> Result<Self, ApiError> {
        let lease = context.budget.download(range.end - range.start).await?;
        Ok(Self {
            context: Arc::clone(context),
            record,
            left: range,
            chunks: VecDeque::new(),
            current: None,
            turn_left: 0,
            uncached_to: 0,
            started: context.clock.monotonic(),
            lease,
        })
    }

    /// The next bytes, never empty; `None` once all have been given.
    ///
    /// # Errors
    /// [`SendError`]: bytes that were announced cannot be given.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, SendError> {
        let limit = self.context.config.read_deadline;
        loop {
            if self.left.is_empty() {
                return Ok(None);
            }
            if self.context.clock.monotonic().saturating_sub(self.started) > limit {
                return Err(SendError::Deadline { limit });
            }
            self.lease.buffers(self.left_bytes(), self.memory()).await?;
            let Some(current) = &mut self.current else {
                self.next_chunk().await?;
                continue;
            };
            match current.next().await.transpose()? {
                Some(piece) if piece.is_empty() => {}
                Some(piece) => {
                    self.count(piece.len() as u64);
                    return Ok(Some(piece));
                }
                None => {
                    self.current = None;
                    self.end_turn();
                }
            }
        }
    }

    /// What is held at once of what is read.
    fn memory(&self) -> ReadMemory {
        let memory = self.context.chunks.read_memory();
        let block = self.context.cache.as_ref().map_or(0, |_| BLOCK_BYTES);
        ReadMemory {
            ahead_bytes: memory.ahead_bytes.max(block),
            stripe_bytes: memory.stripe_bytes.max(block),
        }
    }

    /// Bytes still to send.
    fn left_bytes(&self) -> u64 {
        self.left.end - self.left.start
    }

    /// The next `bytes` are sent.
    fn count(&mut self, bytes: u64) {
        self.left.start += bytes;
        assert!(
            self.left.start <= self.left.end,
            "chunks give what was asked for"
        );
        self.turn_left = self.turn_left.saturating_sub(bytes);
        if self.turn_left == 0 {
            self.turn_left = TURN_BYTES;
            self.end_turn();
        }
    }

    /// Between two stripes: others who wait for the buffers have them next.
    fn end_turn(&mut self) {
        if self.lease.takes_turns() {
            self.current = None;
            self.lease.give_back();
        } else if self.lease.is_wanted() {
            self.give_back();
        }
    }

    /// Leaves it to the upload that is fed to take memory for what is read ahead; how much that is.
    pub(crate) fn lend(&mut self) -> u64 {
        self.lease.lend();
        self.memory().ahead_bytes
    }

    /// Drops what was read ahead, and the memory it took. The next call of [`Reader::next`] reads it again.
    pub(crate) fn give_back(&mut self) {
        self.current = None;
        self.chunks.clear();
        self.lease.give_back();
    }

    async fn next_chunk(&mut self) -> Result<(), SendError> {
        if self.chunks.is_empty() {
            self.look_up().await?;
        }
        let missing = self.left_bytes();
        let (chunk, mut range) = self
            .chunks
            .pop_front()
            .ok_or(SendError::Short { missing })?;
        self.turn_left = TURN_BYTES - (chunk.skip + range.start) % TURN_BYTES;
        if let Some(pieces) = self.cached(&chunk, &range).await {
            let bytes: usize = pieces.iter().map(Bytes::len).sum();
            let end = range.start + bytes as u64;
            if end < range.end {
                self.chunks.push_front((chunk, end..range.end));
            }
            self.current = Some(stream::iter(pieces.into_iter().map(Ok)).boxed());
            return Ok(());
        }
        let end = range.start + self.turn_left;
        if self.lease.takes_turns() && end < range.end {
            self.chunks.push_front((chunk.clone(), end..range.end));
            range.end = end;
        }
        self.current = Some(self.context.chunks.read(chunk, range).boxed());
        Ok(())
    }

    /// The first bytes of the range of a chunk, if the cache has them or reads them. What it told to read past it
    /// is read so to its end, also when that is begun anew: this download's own reading makes nothing hot.
    async fn cached(&mut self, chunk: &ChunkRef, range: &Range<u64>) -> Option<Vec<Bytes>> {
        if self.left.start < self.uncached_to {
            return None;
        }
        let cache = self.context.cache.as_ref()?;
        let Some(pieces) = cache.read(chunk, range).await else {
            self.uncached_to = self.left.start + (range.end - range.start);
            return None;
        };
        let next = (range.start / BLOCK_BYTES + 1) * BLOCK_BYTES;
        if next < range.end && !self.lease.takes_turns() {
            cache.prepare(chunk, next);
        }
        Some(pieces)
    }

    /// Finds the chunks of the next window.
    async fn look_up(&mut self) -> Result<(), SendError> {
        let window = self.left.start..self.left.end.min(self.left.start + WINDOW_BYTES);
        let index = &self.context.index;
        let found = index.resolve_chunks(&self.record, window.clone()).await?;
        for PlacedChunk { offset, chunk } in found {
            let start = window.start.max(offset) - offset;
            let end = window.end.min(offset + chunk.length).saturating_sub(offset);
            if start < end {
                self.chunks.push_back((chunk, start..end));
            }
        }
        Ok(())
    }
}
