//! A block as it lies in a segment on the cache's disk: a header, and its bytes behind. Numbers are big endian.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `CairnHot` |
//! | 4 | version of the format, 1 |
//! | 16, 4 | key: chunk, number of the block |
//! | 4 | length of the block's bytes |
//! | 8 | CRC-64/NVME of key, length and the block's bytes |
//! | 8 | CRC-64/NVME of all of the header before it |

use super::block::{Block, BlockKey};
use crc_fast::{CrcAlgorithm, Digest};
use types::ChunkId;

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 52;
const MAGIC: &[u8; 8] = b"CairnHot";
const VERSION: u32 = 1;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub key: BlockKey,
    /// Bytes of the block.
    pub length: u32,
    /// Of key, length and bytes: intact bytes of another block do not match it.
    pub checksum: u64,
}

impl Header {
    pub fn of(key: BlockKey, block: &Block) -> Self {
        let length = u32::try_from(block.length()).expect("a block is at most a mebibyte");
        let mut sum = Sum::new(key, length);
        for piece in block.pieces() {
            sum.update(piece);
        }
        Self {
            key,
            length,
            checksum: sum.finish(),
        }
    }

    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_be_bytes());
        bytes[12..28].copy_from_slice(&self.key.chunk.to_bytes());
        bytes[28..32].copy_from_slice(&self.key.number.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.length.to_be_bytes());
        bytes[36..44].copy_from_slice(&self.checksum.to_be_bytes());
        let checksum = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &bytes[..44]);
        bytes[44..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// `None` for what is not a header of this version, as it was written.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let number = |at: usize| u32::from_be_bytes(array(&bytes[at..at + 4]));
        let long = |at: usize| u64::from_be_bytes(array(&bytes[at..at + 8]));
        let is_intact = long(44) == crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &bytes[..44]);
        if !is_intact || &bytes[..8] != MAGIC || number(8) != VERSION {
            return None;
        }
        Some(Self {
            key: BlockKey {
                chunk: ChunkId::from_bytes(array(&bytes[12..28])),
                number: number(28),
            },
            length: number(32),
            checksum: long(36),
        })
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("as many bytes as were cut out")
}

/// The checksum of a block under its key.
pub(super) struct Sum(Digest);

impl Sum {
    pub fn new(key: BlockKey, length: u32) -> Self {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        digest.update(&key.chunk.to_bytes());
        digest.update(&key.number.to_be_bytes());
        digest.update(&length.to_be_bytes());
        Self(digest)
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> u64 {
        self.0.finalize()
    }
}
