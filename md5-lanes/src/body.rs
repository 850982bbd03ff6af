//! The MD5 of one body that comes in pieces.

use crate::{BLOCK_BYTES, Block, State, scalar};

/// The MD5 of a body, as its 16 bytes stand in an ETag.
pub type Digest = [u8; 16];

/// RFC 1321, section 3.3.
const INITIAL: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
/// Where the length of the body stands in its last block.
const LENGTH_AT: usize = BLOCK_BYTES - 8;

/// The MD5 of a body in the making.
#[derive(Debug, Clone)]
pub struct Md5 {
    pub(crate) state: State,
    /// All bytes added; what is over whole blocks is in `partial`.
    pub(crate) length_bytes: u64,
    partial: Block,
}

impl Md5 {
    /// Of a body that has no bytes yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: INITIAL,
            length_bytes: 0,
            partial: [0; BLOCK_BYTES],
        }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let rest = self.complete_block(bytes);
        let (blocks, rest) = rest.as_chunks();
        if !blocks.is_empty() {
            self.add_blocks(blocks);
        }
        self.keep_partial(rest);
    }

    /// The digest of all bytes added.
    #[must_use]
    pub fn finish(mut self) -> Digest {
        let length_bits = self.length_bytes.wrapping_mul(8);
        let mut block = self.partial;
        let used = self.partial_bytes();
        block[used] = 0x80;
        block[used + 1..].fill(0);
        if used >= LENGTH_AT {
            compress(&mut self.state, &[block]);
            block.fill(0);
        }
        block[LENGTH_AT..].copy_from_slice(&length_bits.to_le_bytes());
        compress(&mut self.state, &[block]);
        let mut digest = [0; 16];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_le_bytes();
        }
        digest
    }

    /// Bytes of a block that is not whole yet.
    fn partial_bytes(&self) -> usize {
        (self.length_bytes % BLOCK_BYTES as u64) as usize
    }

    /// Makes a block whole that was begun; returns the bytes that it did not need. Until they have
    /// been added nothing else may be: none are left where the block is not whole still.
    pub(crate) fn complete_block<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let used = self.partial_bytes();
        if used == 0 {
            return bytes;
        }
        let (head, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - used));
        self.partial[used..used + head.len()].copy_from_slice(head);
        self.length_bytes += head.len() as u64;
        if self.partial_bytes() == 0 && !head.is_empty() {
            compress(&mut self.state, &[self.partial]);
        }
        rest
    }

    /// Adds whole blocks; no other has been begun.
    pub(crate) fn add_blocks(&mut self, blocks: &[Block]) {
        debug_assert_eq!(self.partial_bytes(), 0, "blocks follow whole blocks");
        compress(&mut self.state, blocks);
        self.length_bytes += blocks.as_flattened().len() as u64;
    }

    /// Begins a block with less than its bytes.
    pub(crate) fn keep_partial(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            debug_assert_eq!(self.partial_bytes(), 0, "a block is begun once");
            self.partial[..bytes.len()].copy_from_slice(bytes);
            self.length_bytes += bytes.len() as u64;
        }
    }
}

impl Default for Md5 {
    fn default() -> Self {
        Self::new()
    }
}

/// The MD5 of a body that is there whole.
#[must_use]
pub fn digest(body: &[u8]) -> Digest {
    let mut md5 = Md5::new();
    md5.update(body);
    md5.finish()
}

/// Advances one body by the fastest way.
fn compress(state: &mut State, blocks: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    if crate::single::is_faster() {
        // SAFETY: it is faster only where the processor has what it needs.
        return unsafe { crate::single::compress(state, blocks) };
    }
    scalar::compress(state, blocks);
}
