//! The body of a GET: verified bytes, and exactly as many as were announced, or an error that
//! aborts the connection.

use crate::admission::{
    DownloadLease, Exhausted, GiveBack, READ_AHEAD_BYTES_MAX, SENDING_BYTES_MAX,
};
use crate::context::Context;
use crate::error::ApiError;
use crate::metrics;
use bytes::Bytes;
use chunkstore::ReadChunkError;
use futures::stream::{self, BoxStream, StreamExt};
use http_body::Frame;
use http_body_util::StreamBody;
use index::PlacedChunk;
use index::key::object::VersionRecord;
use index::store::StoreError;
use parking_lot::Mutex;
use s3s::Body;
use s3s::dto::StreamingBlob;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Weak};
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
            SendError::Short { .. } | SendError::Deadline { .. } => Self::internal(error),
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
    started: Duration,
    lease: DownloadLease,
}

/// A download whose client has been given a piece and has not asked for the next.
struct Parked(Mutex<Parking>);

struct Parking {
    /// `None` while it reads.
    reader: Option<Reader>,
    /// It was here already when memory was last asked for.
    is_idle: bool,
}

/// A body of `range` of the object that `record` describes. The first bytes have been read and
/// verified when this returns, so that what is known to be lost is an error answer.
pub(crate) async fn open(
    context: &Arc<Context>,
    record: VersionRecord,
    range: Range<u64>,
) -> Result<StreamingBlob, ApiError> {
    let mut sending = Reader::new(context, record, range).await?;
    let Some(first) = sending.next().await? else {
        return Ok(StreamingBlob::from(Body::empty()));
    };
    let reads_ahead = sending.left.end - sending.left.start > SENDING_BYTES_MAX;
    let parked = Arc::new(Parked::new(sending));
    if reads_ahead {
        let watched: Weak<Parked> = Arc::downgrade(&parked);
        context.budget.watch(watched);
    }
    let rest = stream::unfold(Some(parked), |parked| async {
        let parked = parked?;
        let mut sending = parked.take();
        match sending.next().await {
            Ok(piece) => {
                parked.park(sending);
                piece.map(|piece| (Ok(piece), Some(parked)))
            }
            Err(error) => {
                tracing::error!(%error, "the download is cut off");
                Some((Err(error), None))
            }
        }
    });
    let pieces = stream::once(async { Ok(first) }).chain(rest);
    let frames = pieces.map(|piece| {
        piece.map(|bytes| {
            metrics::sent(bytes.len() as u64);
            Frame::data(bytes)
        })
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
            self.lease.buffers(self.left.end - self.left.start).await?;
            let Some(current) = &mut self.current else {
                self.next_chunk().await?;
                continue;
            };
            match current.next().await.transpose()? {
                Some(piece) if piece.is_empty() => {}
                Some(piece) => {
                    self.left.start += piece.len() as u64;
                    assert!(
                        self.left.start <= self.left.end,
                        "chunks give what was asked for"
                    );
                    return Ok(Some(piece));
                }
                None => self.current = None,
            }
        }
    }

    /// Leaves it to the upload that is fed to take memory for what is read ahead; how much that is.
    pub(crate) fn lend(&mut self) -> u64 {
        self.lease.lend();
        READ_AHEAD_BYTES_MAX
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
        let missing = self.left.end - self.left.start;
        let (chunk, range) = self
            .chunks
            .pop_front()
            .ok_or(SendError::Short { missing })?;
        self.current = Some(self.context.chunks.read(chunk, range).boxed());
        Ok(())
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

impl Parked {
    fn new(reader: Reader) -> Self {
        Self(Mutex::new(Parking {
            reader: Some(reader),
            is_idle: false,
        }))
    }

    fn take(&self) -> Reader {
        let reader = self.0.lock().reader.take();
        reader.expect("one piece is read at a time")
    }

    fn park(&self, reader: Reader) {
        *self.0.lock() = Parking {
            reader: Some(reader),
            is_idle: false,
        };
    }
}

impl GiveBack for Parked {
    fn give_back_if_idle(&self) {
        let mut parking = self.0.lock();
        if parking.is_idle
            && let Some(reader) = &mut parking.reader
        {
            reader.give_back();
        }
        parking.is_idle = true;
    }
}
