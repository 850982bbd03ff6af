//! What is cached: a mebibyte of a chunk, as pieces that are freed one by one.

use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use types::{ChunkId, ChunkRef};

/// Bytes of a block, but for a chunk's last one. It is also where downloads take turns, and a stripe of the
/// commonest profile.
pub const BLOCK_BYTES: u64 = crate::admission::TURN_BYTES;
/// Bytes of a piece: who sends one slowly holds no more than what it has a lease for.
const PIECE_BYTES: usize = crate::admission::SENDING_BYTES_MAX as usize;
/// What a piece is rounded up to, by the allocator.
const PAGE_BYTES: usize = 4 * 1024;
/// What a block takes beside its bytes: its place in tables, and in the allocator's.
const ENTRY_BYTES: usize = 512;

const _: () = assert!(BLOCK_BYTES.is_multiple_of(PIECE_BYTES as u64));

/// Names a block. A chunk's bytes never change and its id is never used again, so what is found under a key
/// cannot be out of date; versions that share a chunk, as copies do, share its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BlockKey {
    pub chunk: ChunkId,
    /// Its number in the chunk, from 0.
    pub number: u32,
}

impl BlockKey {
    /// The block that holds byte `at` of a chunk.
    pub fn at(chunk: ChunkId, at: u64) -> Self {
        let number = u32::try_from(at / BLOCK_BYTES).expect("a chunk has a few dozen blocks");
        Self { chunk, number }
    }

    /// Its bytes in the chunk.
    pub fn range(self, chunk: &ChunkRef) -> Range<u64> {
        let start = u64::from(self.number) * BLOCK_BYTES;
        start..(start + BLOCK_BYTES).min(chunk.length)
    }
}

/// Bytes of a block. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block(Arc<[Bytes]>);

impl Block {
    /// The bytes of `range`, from the block's first one on. A part of a piece is a copy, because a slice would
    /// keep all of it.
    pub fn slices(&self, range: Range<usize>) -> Vec<Bytes> {
        let mut first = 0;
        let mut slices = Vec::new();
        for piece in &*self.0 {
            let start = range.start.saturating_sub(first).min(piece.len());
            let end = range.end.saturating_sub(first).min(piece.len());
            if start == 0 && end == piece.len() {
                slices.push(piece.clone());
            } else if start < end {
                slices.push(Bytes::copy_from_slice(&piece[start..end]));
            }
            first += piece.len();
        }
        slices
    }

    pub fn pieces(&self) -> &[Bytes] {
        &self.0
    }

    pub fn length(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// What it takes in memory.
    pub fn held_bytes(&self) -> u64 {
        let page = |piece: &Bytes| piece.len().next_multiple_of(PAGE_BYTES);
        (self.0.iter().map(page).sum::<usize>() + ENTRY_BYTES) as u64
    }
}

/// A block whose bytes come in. They are copied: what is read lies in buffers that may be longer, and are
/// wanted again soon.
pub(crate) struct Filling {
    pieces: Vec<Bytes>,
    open: Vec<u8>,
    left: usize,
}

impl Filling {
    /// A block of `length` bytes.
    pub fn new(length: usize) -> Self {
        Self {
            pieces: Vec::new(),
            open: Vec::with_capacity(length.min(PIECE_BYTES)),
            left: length,
        }
    }

    /// The next bytes; false if there are more than the block has.
    #[must_use]
    pub fn push(&mut self, mut bytes: &[u8]) -> bool {
        if bytes.len() > self.left {
            return false;
        }
        self.left -= bytes.len();
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.open.len()));
            self.open.extend_from_slice(now);
            bytes = later;
            if self.open.len() == PIECE_BYTES {
                let next = Vec::with_capacity((self.left + bytes.len()).min(PIECE_BYTES));
                self.close(next);
            }
        }
        true
    }

    fn close(&mut self, next: Vec<u8>) {
        let full = std::mem::replace(&mut self.open, next);
        self.pieces.push(full.into());
    }

    /// The block, if all of it has come.
    pub fn finish(mut self) -> Option<Block> {
        if self.left > 0 {
            return None;
        }
        if !self.open.is_empty() {
            self.close(Vec::new());
        }
        Some(Block(self.pieces.into()))
    }

    /// As many pieces as a block of `length` bytes has, to be filled by `read`, from the front to the back.
    pub fn pieces<E>(
        length: usize,
        mut read: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<Block, E> {
        let mut pieces = Vec::new();
        let mut left = length;
        while left > 0 {
            let mut piece = vec![0; left.min(PIECE_BYTES)];
            read(&mut piece)?;
            left -= piece.len();
            pieces.push(piece.into());
        }
        Ok(Block(pieces.into()))
    }
}
