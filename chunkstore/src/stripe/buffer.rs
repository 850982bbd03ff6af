//! The stripe that is being filled.

use crate::buffers::Buffer;
use bytes::Bytes;

/// Pieces that are no more than this together lie in a buffer of this size: a client that sends little
/// and then pauses does not hold a whole stripe's.
const FIRST_BYTES: usize = 64 * 1024;

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
        let needed = self.len() + piece.len();
        if self
            .joined
            .as_ref()
            .is_none_or(|joined| joined.len() < needed)
        {
            let first = FIRST_BYTES.min(capacity);
            self.move_to(Buffer::take(if needed <= first { first } else { capacity }));
        }
        self.join(&piece);
    }

    /// Takes what there is to a larger buffer.
    fn move_to(&mut self, buffer: Buffer) {
        let length = self.joined_bytes;
        let smaller = self.joined.replace(buffer);
        self.joined_bytes = 0;
        match smaller {
            Some(smaller) => self.join(&smaller[..length]),
            None => {
                let single = std::mem::take(&mut self.single);
                self.join(&single);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_are_joined_in_order() {
        const CAPACITY: usize = 300 * 1024;
        let whole: Vec<u8> = (0..CAPACITY).map(|at| (at % 251) as u8).collect();
        for sizes in [
            [1, 1, 70_000],
            [40_000, 60_000, 1],
            [65_536, 1, 100_000],
            [9, 65_527, 9],
        ] {
            let mut buffer = StripeBuffer::default();
            let mut taken = 0;
            for size in sizes
                .into_iter()
                .chain([CAPACITY - sizes.iter().sum::<usize>()])
            {
                buffer.push(
                    Bytes::copy_from_slice(&whole[taken..taken + size]),
                    CAPACITY,
                );
                taken += size;
                assert_eq!(buffer.len(), taken);
            }
            assert!(buffer.take() == whole, "{sizes:?}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_few_small_pieces_take_a_small_buffer() {
        let mut buffer = StripeBuffer::default();
        for _ in 0..10 {
            buffer.push(Bytes::from_static(b"x"), 1024 * 1024);
        }
        assert_eq!(buffer.joined.as_ref().unwrap().len(), FIRST_BYTES);
    }
}
