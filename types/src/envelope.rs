//! The envelope around every value that the index persists.
//!
//! ```text
//! +--------+------------------+-----------------+------------------------------+
//! | format | modification seq | payload         | CRC-64/NVME over key, format,|
//! | u8     | u64, big endian  | (`wire` fields) | seq and payload, big endian  |
//! +--------+------------------+-----------------+------------------------------+
//! ```
//! The checksum covers the key, so an intact value in the wrong place fails as a damaged one does.
//! The modification seq is the sequence of the commit that wrote the value; conditions refer to it.
//!
//! The first byte is the format of the envelope, not that of the installation ([`crate::format`]), which says which
//! of them may be written.

use crate::format::FormatVersion;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};

/// The newest format of envelopes that this binary reads. The second differs from the first by its number alone, which
/// is enough for a binary that does not know it to refuse it: it is for the test of upgrades.
pub const FORMAT: u8 = if cfg!(feature = "next-format") { 2 } else { 1 };
const FIRST: u8 = 1;
const HEADER_BYTES: usize = 9;
const CHECKSUM_BYTES: usize = 8;
/// Bytes that the envelope adds to a payload.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + CHECKSUM_BYTES;

/// Why an envelope could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The value is shorter than an empty envelope.
    #[error("the value has {0} bytes, fewer than an empty envelope")]
    TooShort(usize),
    /// A newer binary wrote the value.
    #[error("the value has format {0}, this binary reads up to {FORMAT}: start the newer binary")]
    UnknownFormat(u8),
    /// The bytes are not those that were written, or they were written under another key.
    #[error("the checksum of the value does not match its key and bytes")]
    Checksum,
}

/// An opened value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Sequence of the commit that wrote the value.
    pub seq: u64,
    /// The bytes that were sealed.
    pub payload: Bytes,
}

fn checksum(key: &[u8], sealed: &[u8]) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(&(key.len() as u64).to_be_bytes());
    digest.update(key);
    digest.update(sealed);
    digest.finalize()
}

/// Puts `payload` into an envelope for `key`, written by commit `seq`, that every binary can open.
#[must_use]
pub fn seal(key: &[u8], seq: u64, payload: &[u8]) -> Vec<u8> {
    seal_as(FormatVersion::FIRST, key, seq, payload)
}

/// The same in the newest envelope that an installation of format `finalised` may hold.
#[must_use]
pub fn seal_as(finalised: FormatVersion, key: &[u8], seq: u64, payload: &[u8]) -> Vec<u8> {
    let format = if finalised > FormatVersion::FIRST {
        FORMAT
    } else {
        FIRST
    };
    let mut out = Vec::with_capacity(payload.len() + OVERHEAD_BYTES);
    out.push(format);
    out.extend_from_slice(&seq.to_be_bytes());
    out.extend_from_slice(payload);
    let sum = checksum(key, &out);
    out.extend_from_slice(&sum.to_be_bytes());
    out
}

/// Opens the envelope found under `key`; the payload shares the memory of `sealed`.
///
/// # Errors
/// [`EnvelopeError`] when the value is not intact, not of `key`, or of a later format.
pub fn open(key: &[u8], sealed: &Bytes) -> Result<Opened, EnvelopeError> {
    let (seq, payload) = open_slice(key, sealed)?;
    Ok(Opened {
        seq,
        payload: sealed.slice_ref(payload),
    })
}

/// Opens the envelope found under `key`, as [`open`] does: the modification seq and the payload.
///
/// # Errors
/// As [`open`].
pub fn open_slice<'a>(key: &[u8], sealed: &'a [u8]) -> Result<(u64, &'a [u8]), EnvelopeError> {
    let too_short = || EnvelopeError::TooShort(sealed.len());
    let (guarded, sum) = sealed
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or_else(too_short)?;
    let (format, rest) = guarded.split_first().ok_or_else(too_short)?;
    let (seq, payload) = rest.split_first_chunk().ok_or_else(too_short)?;
    if checksum(key, guarded).to_be_bytes() != *sum {
        return Err(EnvelopeError::Checksum);
    }
    if !(FIRST..=FORMAT).contains(format) {
        return Err(EnvelopeError::UnknownFormat(*format));
    }
    Ok((u64::from_be_bytes(*seq), payload))
}

#[cfg(test)]
mod tests;
