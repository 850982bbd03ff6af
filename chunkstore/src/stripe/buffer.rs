//! The stripe that is being filled.

use bytes::{Bytes, BytesMut};

/// Collects bytes up to a stripe. Bytes that come in one piece are kept as they came; those that come
/// in several are copied once, so that small pieces do not pin the large buffers they were cut from.
#[derive(Debug, Default)]
pub(crate) struct StripeBuffer {
    /// The only piece so far; empty once there is a second.
    single: Bytes,
    joined: BytesMut,
}

impl StripeBuffer {
    pub fn len(&self) -> usize {
        self.single.len() + self.joined.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a piece. `capacity` is what the stripe will hold at most, to allocate once.
    pub fn push(&mut self, piece: Bytes, capacity: usize) {
        if self.is_empty() {
            self.single = piece;
            return;
        }
        if self.joined.is_empty() {
            self.joined = BytesMut::with_capacity(capacity.max(self.single.len() + piece.len()));
            self.joined.extend_from_slice(&self.single);
            self.single = Bytes::new();
        }
        self.joined.extend_from_slice(&piece);
    }

    /// All bytes; the buffer is empty after that.
    pub fn take(&mut self) -> Bytes {
        if self.joined.is_empty() {
            return std::mem::take(&mut self.single);
        }
        std::mem::take(&mut self.joined).freeze()
    }
}
