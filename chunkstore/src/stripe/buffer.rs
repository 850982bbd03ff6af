//! The stripe that is being filled.

use crate::buffers::Buffer;
use bytes::Bytes;

/// Collects bytes up to a stripe. Bytes that come in one piece are kept as they came; those that come
/// in several are copied once, so that small pieces do not pin the large buffers they were cut from.
#[derive(Debug, Default)]
pub(crate) struct StripeBuffer {
    /// The only piece so far; empty once there is a second.
    single: Bytes,
    /// All pieces, once there are several, and their length.
    joined: Option<Buffer>,
    joined_bytes: usize,
}

impl StripeBuffer {
    pub fn len(&self) -> usize {
        self.single.len() + self.joined_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a piece. `capacity` is what the stripe will hold at most: the same for all of its pieces.
    pub fn push(&mut self, piece: Bytes, capacity: usize) {
        if self.is_empty() {
            self.single = piece;
            return;
        }
        if self.joined.is_none() {
            self.joined = Some(Buffer::take(capacity));
            let first = std::mem::take(&mut self.single);
            self.join(&first);
        }
        self.join(&piece);
    }

    fn join(&mut self, piece: &[u8]) {
        let joined = self.joined.as_mut().expect("there are several pieces");
        joined[self.joined_bytes..][..piece.len()].copy_from_slice(piece);
        self.joined_bytes += piece.len();
    }

    /// All bytes; the buffer is empty after that.
    pub fn take(&mut self) -> Bytes {
        let length = std::mem::take(&mut self.joined_bytes);
        match self.joined.take() {
            Some(joined) => joined.freeze(length),
            None => std::mem::take(&mut self.single),
        }
    }
}
