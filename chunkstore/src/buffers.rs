//! Memory for cells and stripes, used again and again: a fresh buffer would have to be zeroed before it is
//! filled, and is in no cache of the processor.
//!
//! A [`Buffer`] comes back by itself when the last of the [`Bytes`] made from it is dropped. What is kept for
//! later is bounded for the whole process, by `KEPT_BYTES_MAX`.

use bytes::Bytes;
use parking_lot::Mutex;
use std::ops::{Deref, DerefMut};

/// Bytes of the smallest and of the largest buffers that are used again. Smaller ones are cheap to zero; the largest
/// holds a stripe of sixteen data cells.
const CLASS_BYTES: (usize, usize) = (64 * 1024, 4 * 1024 * 1024);
/// One class for each power of two.
const CLASSES: usize = (CLASS_BYTES.1 / CLASS_BYTES.0).ilog2() as usize + 1;
/// Bytes of one class that are kept while nobody uses them.
const KEPT_CLASS_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that the process keeps while nobody uses them.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

const _: () = assert!(CLASS_BYTES.0.is_power_of_two() && CLASS_BYTES.1.is_power_of_two());
const _: () = assert!(CLASS_BYTES.1 <= KEPT_CLASS_BYTES);
const _: () = assert!(CLASSES * KEPT_CLASS_BYTES <= KEPT_BYTES_MAX);

/// The buffers that nobody uses, by class.
#[derive(Debug)]
struct Pool([Mutex<Vec<Vec<u8>>>; CLASSES]);

/// The one of the process.
static POOL: Pool = Pool::new();

/// Bytes to be written before they are read: **they begin as whatever was in them before**.
#[derive(Debug)]
pub(crate) struct Buffer {
    pool: &'static Pool,
    /// Of the size of its class, or as long as was asked for where there is no class.
    bytes: Vec<u8>,
    length: usize,
}

/// The class for buffers of `length` bytes, if they are used again.
fn class(length: usize) -> Option<usize> {
    let (least, most) = CLASS_BYTES;
    let size = length.next_power_of_two();
    (least..=most)
        .contains(&size)
        .then(|| (size / least).ilog2() as usize)
}

/// What a buffer of `length` bytes takes in memory.
pub(crate) fn held_bytes(length: usize) -> usize {
    class(length).map_or(length, |class| CLASS_BYTES.0 << class)
}

impl Pool {
    const fn new() -> Self {
        Self([const { Mutex::new(Vec::new()) }; CLASSES])
    }

    fn take(&'static self, length: usize) -> Buffer {
        let bytes = match class(length) {
            None => vec![0; length],
            // The one that came back last is the likeliest to be in the processor's cache.
            Some(class) => {
                let kept = self.0[class].lock().pop();
                kept.unwrap_or_else(|| vec![0; CLASS_BYTES.0 << class])
            }
        };
        let pool = self;
        Buffer {
            pool,
            bytes,
            length,
        }
    }

    fn put_back(&self, bytes: Vec<u8>) {
        let Some(class) = class(bytes.len()) else {
            return;
        };
        let mut kept = self.0[class].lock();
        if (kept.len() + 1) * bytes.len() <= KEPT_CLASS_BYTES {
            kept.push(bytes);
        }
    }
}

impl Buffer {
    /// A buffer of `length` bytes.
    pub fn take(length: usize) -> Self {
        POOL.take(length)
    }

    /// Its first `length` bytes, not to be changed any more.
    pub fn freeze(mut self, length: usize) -> Bytes {
        assert!(length <= self.length, "a buffer does not grow");
        self.length = length;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.put_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests;
