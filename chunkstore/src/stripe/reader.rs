//! A range of a chunk as a stream of verified bytes.

use super::gather::{Gather, Stripe, Wanted};
use super::layout::{Layout, StripePart, cells};
use super::metrics;
use super::read_ahead::ReadAhead;
use crate::chunk_store::Inner;
use crate::error::ReadChunkError;
use ::metrics::counter;
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use tracing::Instrument;
use types::limits::{BLOCK_BYTES, CHUNK_BYTES_MAX};
use types::{ChunkRef, ShardSet};

/// See [`ChunkStore::read`](crate::ChunkStore::read).
pub(crate) fn read(
    store: Arc<Inner>,
    chunk: ChunkRef,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, ReadChunkError>> + Send + 'static {
    let is_whole =
        chunk.skip == 0 && range == (0..chunk.length) && chunk.length == chunk.written_bytes();
    let state = Reading {
        stripes: stripes(store, &chunk, range.clone()),
        ready: VecDeque::new(),
        left: range.end.saturating_sub(range.start),
        hasher: is_whole.then(blake3::Hasher::new),
        chunk,
    };
    stream::unfold(state, Reading::next)
}

type Cells = Result<Vec<Bytes>, ReadChunkError>;

/// The stripes that hold the range, a few of them under way at once where devices are waited for.
fn stripes(store: Arc<Inner>, chunk: &ChunkRef, range: Range<u64>) -> BoxStream<'static, Cells> {
    if let Err(error) = check(chunk, &range) {
        return stream::iter([Err(error)]).boxed();
    }
    let (pg, id) = (chunk.pg, chunk.id);
    let Some(group) = store.group(pg) else {
        let error = ReadChunkError::NoSuchGroup { chunk: id, pg };
        return stream::iter([Err(error)]).boxed();
    };
    let record = &group.record;
    let layout = Layout::new(record.class, record.profile, chunk.written_bytes());
    let span = tracing::debug_span!("read_chunk", %pg, chunk = %id);
    let read_ahead = store.options.read_ahead;
    let parts = layout.parts(range.start + chunk.skip..range.end + chunk.skip);
    let stripes = parts.map(move |part| {
        // A long read follows the map: shards may move while it goes on.
        let group = store.group(pg).unwrap_or_else(|| Arc::clone(&group));
        let stripe = Stripe {
            group,
            chunk: id,
            stripe: part.stripe,
            stripe_bytes: part.stripe_bytes,
        };
        read_stripe(Arc::clone(&store), stripe, part).instrument(span.clone())
    });
    ReadAhead::new(stripes, read_ahead).boxed()
}

fn check(chunk: &ChunkRef, range: &Range<u64>) -> Result<(), ReadChunkError> {
    let written = chunk.written_bytes();
    let used_to = chunk.skip.checked_add(chunk.length);
    let reason = if written > CHUNK_BYTES_MAX {
        "the reference says that the chunk is longer than a chunk can be"
    } else if used_to.is_none_or(|used_to| used_to > written) {
        "the reference goes past the end of the chunk"
    } else if range.start > range.end || range.end > chunk.length {
        "the range goes past the end of the reference"
    } else {
        return Ok(());
    };
    Err(ReadChunkError::BadRange {
        chunk: chunk.id,
        start: range.start,
        end: range.end,
        reason,
    })
}

/// The wanted bytes of one stripe, a piece for each data cell.
async fn read_stripe(store: Arc<Inner>, stripe: Stripe, part: StripePart) -> Cells {
    let profile = stripe.group.record.profile;
    let cells = cells(profile, &part);
    let wanted: Vec<Wanted> = cells
        .iter()
        .map(|cell| (cell.position, cell.blocks.clone()))
        .collect();
    let gather = Gather::new(&store, &stripe, &wanted, ShardSet::default());
    let blocks = gather.run().await.map_err(|error| {
        counter!(metrics::STRIPES_UNREADABLE).increment(1);
        ReadChunkError::Unreadable {
            pg: stripe.group.record.id,
            chunk: stripe.chunk,
            stripe: stripe.stripe,
            intact: error.intact,
            needed: profile.data(),
            faults: error.faults,
        }
    })?;
    counter!(metrics::READ_BYTES).increment(part.range.len() as u64);
    let cut = cells.iter().zip(blocks).map(|(cell, bytes)| {
        let first = cell.blocks.start as usize * BLOCK_BYTES;
        bytes.slice(cell.range.start - first..cell.range.end - first)
    });
    Ok(cut.collect())
}

/// A read under way.
struct Reading {
    stripes: BoxStream<'static, Cells>,
    /// Pieces to give out next.
    ready: VecDeque<Bytes>,
    /// Bytes yet to give out.
    left: u64,
    /// For a read of the whole chunk.
    hasher: Option<blake3::Hasher>,
    chunk: ChunkRef,
}

impl Reading {
    /// The next piece. After an error there is none.
    async fn next(mut self) -> Option<(Result<Bytes, ReadChunkError>, Self)> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                let piece = self.pass(piece);
                return Some((piece, self));
            }
            match self.stripes.next().await? {
                Ok(pieces) => self.ready = pieces.into(),
                Err(error) => {
                    self.stripes = stream::empty().boxed();
                    return Some((Err(error), self));
                }
            }
        }
    }

    /// The last piece is held back until the hash of the whole is known to be right: whoever has got
    /// all bytes that were announced does not look for an error after them.
    fn pass(&mut self, piece: Bytes) -> Result<Bytes, ReadChunkError> {
        self.left -= piece.len() as u64;
        let Some(hasher) = &mut self.hasher else {
            return Ok(piece);
        };
        hasher.update(&piece);
        if self.left > 0 || hasher.finalize() == self.chunk.blake3 {
            return Ok(piece);
        }
        self.stripes = stream::empty().boxed();
        let (pg, chunk) = (self.chunk.pg, self.chunk.id);
        tracing::error!(%pg, %chunk, "intact blocks, and yet not the BLAKE3 of the manifest");
        Err(ReadChunkError::Damaged { pg, chunk })
    }
}

#[cfg(test)]
mod tests;
