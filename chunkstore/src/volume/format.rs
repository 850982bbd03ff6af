//! The layout of a volume: shard records one after the other, each at a multiple of 4 KiB, the first at 0.
//! Numbers are big endian.
//!
//! ```text
//! header   0  magic "CairnShd"                        8
//!          8  format version, 1                       2
//!         10  codec: 1 = GF(2^8) 0x11d, Vandermonde   2
//!         12  profile: data shards, parity shards     1 + 1
//!         14  shard: position in the group            1
//!         15  zero                                    1
//!         16  placement group, its version            4 + 4
//!         24  chunk id                               16
//!         40  stripe, object bytes in the stripe      4 + 4
//!         48  bucket id                               8
//!         56  manifest id                            16
//!         72  bytes of the body, blocks of the body   4 + 4
//!         80  position checksum of each block         8 x blocks       (see `crate::block`)
//!          .  checksum of the header                  8
//! body     .  the cell, in blocks of 64 KiB
//! trailer  .  magic "CairnEnd"                        8
//!          .  checksum of the header, again           8
//!          .  zeros up to the next multiple of 4 KiB
//! ```
//! The checksum of the header is CRC-64/NVME over disk id (16), volume number (8), offset of the record (8)
//! and the header up to the checksum. So a record is one only in its own place: a scan that looks for the next record
//! behind damage cannot be led astray by a copy of one, though it stands in the body of an object.

use crate::shard::{ShardInfo, ShardKey};
use crc_fast::{CrcAlgorithm, Digest};
use types::limits::{BLOCK_BYTES, CELL_BYTES, RECORD_ALIGN_BYTES, SMALL_BYTES_CAP};
use types::{BucketId, ChunkId, DiskId, ErasureProfile, ManifestId, PgId};

const MAGIC: &[u8; 8] = b"CairnShd";
const END_MAGIC: &[u8; 8] = b"CairnEnd";
const FORMAT: u16 = 1;
const CODEC_VANDERMONDE: u16 = 1;
const FIXED_BYTES: usize = 80;
const CHECKSUM_BYTES: usize = 8;
/// Bytes of a record behind its body, padding left out.
pub const TRAILER_BYTES: usize = 16;
/// Bytes of the largest body: a small object whole, or a cell with room for larger ones to come.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Blocks of the largest body.
pub const BLOCKS_MAX: usize = BODY_BYTES_MAX / BLOCK_BYTES;
/// Bytes of the longest header.
pub const HEADER_BYTES_MAX: usize = header_bytes(BODY_BYTES_MAX);

const _: () = assert!(CELL_BYTES <= BODY_BYTES_MAX && SMALL_BYTES_CAP <= BODY_BYTES_MAX);
const _: () = assert!(HEADER_BYTES_MAX as u64 <= RECORD_ALIGN_BYTES);

/// Where a record lies on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Number of the volume.
    pub volume: u64,
    /// Offset of the record in it, bytes.
    pub offset: u64,
}

/// All that a record says of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardHeader {
    /// The shard.
    pub info: ShardInfo,
    /// Position checksums of the body's blocks, in order.
    pub block_checksums: Vec<u64>,
}

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// They end before the record does.
    #[error("the record is cut short")]
    Truncated,
    /// They do not begin as a record does.
    #[error("there is no record here")]
    Magic,
    /// A newer binary wrote the record.
    #[error("the record has format {0}, this binary reads {FORMAT}: start the newer binary")]
    UnknownFormat(u16),
    /// The shards were made by an erasure code that this binary does not have.
    #[error("the record has erasure code {0}, this binary has {CODEC_VANDERMONDE}")]
    UnknownCodec(u16),
    /// A field has a value that is never written.
    #[error("the {0} of the record is not possible")]
    BadField(&'static str),
    /// The header is not the one that was written in this place.
    #[error("the checksum of the record's header does not match")]
    Checksum,
    /// The end of the record is not the one that belongs to its header.
    #[error("the end of the record does not belong to its header")]
    Trailer,
}

/// Bytes of the header in front of a body of `body_bytes`.
#[must_use]
pub const fn header_bytes(body_bytes: usize) -> usize {
    FIXED_BYTES + 8 * body_bytes.div_ceil(BLOCK_BYTES) + CHECKSUM_BYTES
}

/// Bytes that a record with a body of `body_bytes` takes in a volume.
#[must_use]
pub const fn record_bytes(body_bytes: usize) -> u64 {
    let bytes = header_bytes(body_bytes) + body_bytes + TRAILER_BYTES;
    (bytes as u64).next_multiple_of(RECORD_ALIGN_BYTES)
}

/// The file name of a volume.
#[must_use]
pub fn volume_name(number: u64) -> String {
    format!("volume-{number:012}")
}

/// The number of the volume with this file name, if it is one.
#[must_use]
pub fn volume_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix("volume-")?.parse().ok()?;
    (volume_name(number) == name).then_some(number)
}

impl ShardHeader {
    /// Bytes of the body.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.info.body_bytes as usize
    }

    /// Bytes that the record takes in a volume.
    #[must_use]
    pub fn record_bytes(&self) -> u64 {
        record_bytes(self.body_bytes())
    }

    /// Appends the header up to its checksum.
    pub fn encode_fields(&self, out: &mut Vec<u8>) {
        let info = &self.info;
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&CODEC_VANDERMONDE.to_be_bytes());
        out.extend_from_slice(&info.profile.to_bytes());
        out.extend_from_slice(&[info.key.shard, 0]);
        out.extend_from_slice(&info.key.pg.0.to_be_bytes());
        out.extend_from_slice(&info.pg_version.to_be_bytes());
        out.extend_from_slice(&info.key.chunk.to_bytes());
        out.extend_from_slice(&info.key.stripe.to_be_bytes());
        out.extend_from_slice(&info.stripe_bytes.to_be_bytes());
        out.extend_from_slice(&info.bucket.0.to_be_bytes());
        out.extend_from_slice(&info.manifest.to_bytes());
        out.extend_from_slice(&info.body_bytes.to_be_bytes());
        let blocks = u32::try_from(self.block_checksums.len()).expect("a body has few blocks");
        out.extend_from_slice(&blocks.to_be_bytes());
        for sum in &self.block_checksums {
            out.extend_from_slice(&sum.to_be_bytes());
        }
    }

    /// Reads what [`ShardHeader::encode_fields`] writes from the front of `bytes`; also says how many bytes that was.
    ///
    /// # Errors
    /// [`RecordError`] for anything else; never a panic, whatever the bytes.
    pub fn decode_fields(bytes: &[u8]) -> Result<(Self, usize), RecordError> {
        let mut fields = Fields(bytes);
        if fields.take::<8>()? != *MAGIC {
            return Err(RecordError::Magic);
        }
        let format = u16::from_be_bytes(fields.take()?);
        if format != FORMAT {
            return Err(RecordError::UnknownFormat(format));
        }
        let codec = u16::from_be_bytes(fields.take()?);
        if codec != CODEC_VANDERMONDE {
            return Err(RecordError::UnknownCodec(codec));
        }
        let [data, parity] = fields.take()?;
        let profile = ErasureProfile::new(data, parity).ok_or(RecordError::BadField("profile"))?;
        let [shard, zero] = fields.take()?;
        if usize::from(shard) >= profile.shards() || zero != 0 {
            return Err(RecordError::BadField("shard"));
        }
        let pg = PgId(u32::from_be_bytes(fields.take()?));
        let pg_version = u32::from_be_bytes(fields.take()?);
        let chunk = ChunkId::from_bytes(fields.take()?);
        let stripe = u32::from_be_bytes(fields.take()?);
        let stripe_bytes = u32::from_be_bytes(fields.take()?);
        let bucket = BucketId(u64::from_be_bytes(fields.take()?));
        let manifest = ManifestId::from_bytes(fields.take()?);
        let body_bytes = u32::from_be_bytes(fields.take()?);
        let blocks = u32::from_be_bytes(fields.take()?) as usize;
        let body = body_bytes as usize;
        if body > BODY_BYTES_MAX || blocks != body.div_ceil(BLOCK_BYTES) {
            return Err(RecordError::BadField("length"));
        }
        let mut block_checksums = Vec::with_capacity(blocks);
        for _ in 0..blocks {
            block_checksums.push(u64::from_be_bytes(fields.take()?));
        }
        let key = ShardKey {
            pg,
            chunk,
            stripe,
            shard,
        };
        let info = ShardInfo {
            key,
            pg_version,
            profile,
            bucket,
            manifest,
            stripe_bytes,
            body_bytes,
        };
        Ok((
            Self {
                info,
                block_checksums,
            },
            bytes.len() - fields.0.len(),
        ))
    }

    /// Appends the header of a record at `place` of `disk`; gives its checksum, for [`encode_trailer`].
    pub fn encode(&self, disk: DiskId, place: Place, out: &mut Vec<u8>) -> u64 {
        let start = out.len();
        self.encode_fields(out);
        let sum = header_checksum(disk, place, &out[start..]);
        out.extend_from_slice(&sum.to_be_bytes());
        sum
    }

    /// Reads the header of a record at `place` of `disk` from the front of `bytes`; also gives its checksum.
    ///
    /// # Errors
    /// [`RecordError`] when it is not there intact; never a panic, whatever the bytes.
    pub fn decode(bytes: &[u8], disk: DiskId, place: Place) -> Result<(Self, u64), RecordError> {
        let (header, length) = Self::decode_fields(bytes)?;
        let sum = u64::from_be_bytes(Fields(&bytes[length..]).take()?);
        if sum == header_checksum(disk, place, &bytes[..length]) {
            Ok((header, sum))
        } else {
            Err(RecordError::Checksum)
        }
    }
}

/// Appends the trailer of a record whose body has `body_bytes`, with the zeros after it.
pub fn encode_trailer(body_bytes: usize, header_sum: u64, out: &mut Vec<u8>) {
    let used = header_bytes(body_bytes) + body_bytes + TRAILER_BYTES;
    let padding = record_bytes(body_bytes) as usize - used;
    out.extend_from_slice(END_MAGIC);
    out.extend_from_slice(&header_sum.to_be_bytes());
    out.resize(out.len() + padding, 0);
}

/// Checks the trailer of a record whose header has the checksum `header_sum`.
///
/// # Errors
/// [`RecordError`] when it is not there intact.
pub fn check_trailer(bytes: &[u8], header_sum: u64) -> Result<(), RecordError> {
    let mut fields = Fields(bytes);
    if fields.take::<8>()? == *END_MAGIC && fields.take::<8>()? == header_sum.to_be_bytes() {
        Ok(())
    } else {
        Err(RecordError::Trailer)
    }
}

fn header_checksum(disk: DiskId, place: Place, fields: &[u8]) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(&disk.to_bytes());
    digest.update(&place.volume.to_be_bytes());
    digest.update(&place.offset.to_be_bytes());
    digest.update(fields);
    digest.finalize()
}

/// Takes fixed runs of bytes from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests;
