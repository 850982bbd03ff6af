//! The bytes of the objects: made once, shared by every body, and known again when they are read.
//!
//! An object's bytes are a stretch of one ring of pseudo-random bytes, from a start that follows from the object's
//! number. So an upload allocates nothing, and a download is compared byte by byte (about 0.1 ms of the
//! client's CPU for each MiB, because the ring stays in the processor's cache).

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use openssl::hash::{Hasher, MessageDigest};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use types::entropy::{Entropy, SeededEntropy};

/// Not a multiple of any block or stripe, so that a block in another's place is noticed.
const RING_BYTES: usize = (1 << 20) + 4096 + 64;
/// What is handed to the socket at a time.
const FRAME_BYTES: usize = 256 << 10;
/// Starts are multiples of this, so that comparing is not slowed by odd addresses.
const START_STEP: u64 = 64;

/// The bytes of all objects of one seed. Clones share them.
#[derive(Debug, Clone)]
pub struct Content {
    ring: Bytes,
}

impl Content {
    /// The content that `seed` stands for.
    pub fn new(seed: u64) -> Self {
        let mut ring = vec![0; RING_BYTES];
        SeededEntropy::new(seed).fill(&mut ring);
        Self { ring: ring.into() }
    }

    /// The body of the object with this number and length.
    pub fn object(&self, number: u64, length_bytes: u64) -> Stretch {
        let starts = RING_BYTES as u64 / START_STEP;
        Stretch {
            ring: self.ring.clone(),
            at: (scatter(number) % starts * START_STEP) as usize,
            left: length_bytes,
        }
    }
}

/// Spreads consecutive numbers over all 64-bit numbers; each has its own.
pub fn scatter(number: u64) -> u64 {
    SeededEntropy::new(number).next_u64()
}

/// What is still to be sent, or to be received, of one object.
#[derive(Debug, Clone)]
pub struct Stretch {
    ring: Bytes,
    at: usize,
    left: u64,
}

impl Stretch {
    /// A body of these bytes alone.
    pub fn of(bytes: Bytes) -> Self {
        let left = bytes.len() as u64;
        Self {
            ring: bytes,
            at: 0,
            left,
        }
    }

    /// No bytes.
    pub fn empty() -> Self {
        Self::of(Bytes::new())
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next bytes, at most `limit`; none at the end.
    fn next(&mut self, limit: usize) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let length = limit.min(left).min(self.ring.len() - self.at);
        let piece = self.ring.slice(self.at..self.at + length);
        self.at = (self.at + length) % self.ring.len();
        self.left -= length as u64;
        Some(piece)
    }

    /// Whether `received` are the next bytes; they are behind us then.
    pub fn matches(&mut self, mut received: &[u8]) -> bool {
        while !received.is_empty() {
            let Some(piece) = self.next(received.len()) else {
                return false;
            };
            let (now, later) = received.split_at(piece.len());
            if now != piece {
                return false;
            }
            received = later;
        }
        true
    }

    /// The MD5 of what is left, in hexadecimal, as an ETag has it.
    pub fn md5(&self) -> String {
        let mut hash = Hasher::new(MessageDigest::md5()).expect("OpenSSL has MD5");
        let mut rest = self.clone();
        while let Some(piece) = rest.next(FRAME_BYTES) {
            hash.update(&piece).expect("MD5 takes any bytes");
        }
        hex::encode(hash.finish().expect("MD5 takes any bytes"))
    }

    /// The SHA-256 of what is left, in hexadecimal.
    pub fn sha256(&self) -> String {
        let mut hash = openssl::sha::Sha256::new();
        let mut rest = self.clone();
        while let Some(piece) = rest.next(FRAME_BYTES) {
            hash.update(&piece);
        }
        hex::encode(hash.finish())
    }
}

impl Body for Stretch {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next(FRAME_BYTES).map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(mut stretch: Stretch) -> Vec<u8> {
        std::iter::from_fn(|| stretch.next(FRAME_BYTES))
            .flatten()
            .collect()
    }

    #[test]
    fn an_object_has_its_length_and_is_known_again() {
        let content = Content::new(1);
        let length = 3 * RING_BYTES as u64 + 5;
        let all = bytes(content.object(7, length));
        assert_eq!(all.len() as u64, length);
        let mut expected = content.object(7, length);
        assert!(all.chunks(70_001).all(|frame| expected.matches(frame)));
        assert_eq!(expected.left(), 0);
        assert!(!expected.matches(&[0]), "there is nothing more");
    }

    #[test]
    fn other_bytes_are_noticed() {
        let content = Content::new(1);
        let mut all = bytes(content.object(7, 5000));
        assert!(!content.object(8, 5000).matches(&all), "another object's");
        assert!(
            !Content::new(2).object(7, 5000).matches(&all),
            "another seed's"
        );
        all[4999] ^= 1;
        assert!(!content.object(7, 5000).matches(&all), "a flipped bit");
    }

    #[test]
    fn hashes_are_of_all_bytes() {
        let object = Content::new(3).object(1, 2_000_000);
        let expected = hex::encode(openssl::sha::sha256(&bytes(object.clone())));
        assert_eq!(object.sha256(), expected);
        let expected = openssl::hash::hash(MessageDigest::md5(), &bytes(object.clone()));
        assert_eq!(object.md5(), hex::encode(expected.unwrap()));
    }

    /// Run with `-- --ignored --nocapture`: what comparing costs the client.
    #[test]
    #[ignore = "prints a time, checks nothing"]
    fn cost_of_comparing() {
        use types::clock::{Clock, SystemClock};
        const MIB: u64 = 1 << 20;
        let content = Content::new(1);
        let received = bytes(content.object(7, 64 * MIB));
        let clock = SystemClock::new();
        for _ in 0..10 {
            let mut expected = content.object(7, 64 * MIB);
            // What one read of a socket gives at most.
            assert!(
                received
                    .chunks(400 << 10)
                    .all(|frame| expected.matches(frame))
            );
        }
        println!("{:?} for each MiB", clock.monotonic() / 640);
    }
}
