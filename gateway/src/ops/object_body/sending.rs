//! A download between two pieces: what its client has not asked for yet can be taken from it.

use super::{Reader, SendError};
use crate::admission::{Idle, Looks, MemoryBudget, SENDING_BYTES_MAX};
use bytes::Bytes;
use parking_lot::Mutex;
use std::mem;
use std::sync::{Arc, Weak};

/// What a stream of HTTP/2 is given at once: it takes one more than its client lets it send, and keeps that
/// for as long as the client likes.
const FRAME_BYTES: usize = 16 * 1024;

/// See the module.
pub(super) struct Sending {
    state: Mutex<State>,
    is_multiplexed: bool,
}

enum State {
    /// The client has been given bytes and has not asked for more.
    Parked {
        reader: Box<Reader>,
        /// Read, and not yet asked for.
        piece: Bytes,
        looks: Looks,
    },
    Reading,
    /// The client left it.
    Ended,
}

impl Sending {
    /// `reader` with what it read `first`; looked after while others wait.
    pub(super) fn begin(
        budget: &MemoryBudget,
        reader: Reader,
        first: Bytes,
        is_multiplexed: bool,
    ) -> Arc<Self> {
        let is_watched = is_multiplexed || reader.left_bytes() > SENDING_BYTES_MAX;
        let sending = Arc::new(Self {
            state: Mutex::new(State::parked(Box::new(reader), first)),
            is_multiplexed,
        });
        if is_watched {
            let watched: Weak<Self> = Arc::downgrade(&sending);
            budget.watch(watched);
        }
        sending
    }

    /// What is sent next, never empty; `None` at the end. One at a time.
    pub(super) async fn next(&self) -> Result<Option<Bytes>, SendError> {
        let mut reader = match self.take() {
            State::Parked { reader, piece, .. } if !piece.is_empty() => {
                return Ok(Some(self.give(reader, piece)));
            }
            State::Parked { reader, .. } => reader,
            State::Reading => unreachable!("one piece is asked for at a time"),
            State::Ended => return Err(SendError::Left),
        };
        let piece = reader.next().await?;
        Ok(piece.map(|piece| self.give(reader, piece)))
    }

    fn take(&self) -> State {
        mem::replace(&mut *self.state.lock(), State::Reading)
    }

    /// Gives of `piece` what is sent at once, and parks the rest.
    fn give(&self, reader: Box<Reader>, mut piece: Bytes) -> Bytes {
        let given = if self.is_multiplexed {
            // A copy: a slice would keep the whole piece.
            let slice = piece.split_to(piece.len().min(FRAME_BYTES));
            Bytes::copy_from_slice(&slice)
        } else {
            mem::take(&mut piece)
        };
        *self.state.lock() = State::parked(reader, piece);
        given
    }
}

impl State {
    fn parked(reader: Box<Reader>, piece: Bytes) -> Self {
        Self::Parked {
            reader,
            piece,
            looks: Looks::default(),
        }
    }
}

impl Idle for Sending {
    fn look(&self, is_entry_wanted: bool) {
        let mut state = self.state.lock();
        let State::Parked { reader, looks, .. } = &mut *state else {
            return;
        };
        looks.count();
        if looks.is_idle() {
            reader.give_back();
        }
        // Of a connection that carries one answer it is seen whether anything is read of that.
        if self.is_multiplexed && is_entry_wanted && looks.is_left() {
            *state = State::Ended;
        }
    }
}
