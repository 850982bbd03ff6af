//! Position checksums: one for each 64 KiB block of a cell, over the block's bytes *and* the position
//! they belong to. The writer computes them before it codes and sends a stripe; the reader computes
//! them again for the position it asked for, so an intact block in the wrong place fails just as a
//! damaged one does.

use crate::shard::ShardKey;
use crc_fast::{CrcAlgorithm, Digest};
use types::ErasureProfile;
use types::limits::BLOCK_BYTES;

/// The checksum of block number `block` of shard `key`: CRC-64/NVME over
/// `chunk (16), stripe (4), shard (1), block (4), k (1), m (1)`, big endian, and then the bytes.
#[must_use]
pub fn checksum(key: &ShardKey, profile: ErasureProfile, block: u32, bytes: &[u8]) -> u64 {
    let mut position = [0; 27];
    position[..16].copy_from_slice(&key.chunk.to_bytes());
    position[16..20].copy_from_slice(&key.stripe.to_be_bytes());
    position[20] = key.shard;
    position[21..25].copy_from_slice(&block.to_be_bytes());
    position[25..].copy_from_slice(&profile.to_bytes());
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(&position);
    digest.update(bytes);
    digest.finalize()
}

/// The checksums of all blocks of a cell, in order.
#[must_use]
pub fn checksums(key: &ShardKey, profile: ErasureProfile, cell: &[u8]) -> Vec<u64> {
    cell.chunks(BLOCK_BYTES)
        .zip(0..)
        .map(|(bytes, block)| checksum(key, profile, block, bytes))
        .collect()
}
