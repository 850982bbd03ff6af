//! Digests of a body: the MD5 that is its ETag, and the checksum that the client names. They are
//! computed as the bytes pass, and compared with what the client declared in headers or trailers
//! before anything becomes visible.

mod declared;
mod hasher;
mod pool;
mod small;

pub use declared::{Declared, DigestError};
pub(crate) use hasher::Checksum;
pub use hasher::{BodyDigests, BodyHasher, HashFailed};
pub use pool::Md5Pool;
pub use small::{BodyFault, CheckedBody, check_small_body, small_body_fault};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use index::key::object::ChecksumType;

/// A checksum algorithm of x-amz-checksum-*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl ChecksumAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// What S3 computes of an object for which the client chose none.
    pub const DEFAULT: Self = Self::Crc64Nvme;

    /// The name in x-amz-checksum-algorithm.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header or trailer that carries the value.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The algorithm with this name, in either case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of a value.
    #[must_use]
    pub fn value_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// What it covers in a multipart upload that does not say.
    #[must_use]
    pub fn default_type(self) -> ChecksumType {
        match self {
            Self::Crc64Nvme => ChecksumType::FullObject,
            Self::Crc32 | Self::Crc32c | Self::Sha1 | Self::Sha256 => ChecksumType::Composite,
        }
    }

    /// Whether S3 has it with this type: a SHA of the object cannot be made from those of its
    /// parts, and CRC64NVME is never composite.
    #[must_use]
    pub fn allows(self, kind: ChecksumType) -> bool {
        match kind {
            ChecksumType::Composite => self != Self::Crc64Nvme,
            ChecksumType::FullObject => !matches!(self, Self::Sha1 | Self::Sha256),
        }
    }

    /// The raw value that `text` (base64) stands for; `None` when it cannot be one.
    #[must_use]
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        STANDARD
            .decode(text)
            .ok()
            .filter(|raw| raw.len() == self.value_bytes())
    }
}

/// The name in x-amz-checksum-type.
#[must_use]
pub fn type_name(kind: ChecksumType) -> &'static str {
    match kind {
        ChecksumType::Composite => "COMPOSITE",
        ChecksumType::FullObject => "FULL_OBJECT",
    }
}

/// The type with this name.
#[must_use]
pub fn parse_type(name: &str) -> Option<ChecksumType> {
    let kinds = [ChecksumType::Composite, ChecksumType::FullObject];
    kinds.into_iter().find(|kind| type_name(*kind) == name)
}

/// Base64, as checksums stand in headers.
#[must_use]
pub fn encode(raw: &[u8]) -> String {
    STANDARD.encode(raw)
}

/// The ETag of a multipart object: the MD5 of its parts' MD5s, and their number.
#[must_use]
pub fn multipart_etag(parts: &[[u8; 16]]) -> String {
    let md5 = md5_lanes::digest(parts.as_flattened());
    format!("{}-{}", hex::encode(md5), parts.len())
}

/// The MD5 that the ETag of a part stands for; `None` when it is none.
#[must_use]
pub fn etag_md5(etag: &str) -> Option<[u8; 16]> {
    let mut md5 = [0; 16];
    hex::decode_to_slice(etag, &mut md5).ok()?;
    Some(md5)
}

/// The composite checksum of parts with these raw values.
///
/// # Errors
/// [`HashFailed`] when the library refuses.
pub fn composite<'a>(
    algorithm: ChecksumAlgorithm,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, HashFailed> {
    let mut checksum = Checksum::new(algorithm)?;
    for part in parts {
        checksum.update(part)?;
    }
    checksum.finish()
}

/// The checksum of an object from the raw values and lengths of its parts; `None` for an algorithm
/// that has no such sum, or a value of the wrong length.
#[must_use]
pub fn full_object<'a>(
    algorithm: ChecksumAlgorithm,
    parts: impl IntoIterator<Item = (&'a [u8], u64)>,
) -> Option<Vec<u8>> {
    let crc = hasher::crc(algorithm)?;
    let width = algorithm.value_bytes();
    let mut whole = crc_fast::checksum(crc, b"");
    for (raw, length) in parts {
        if raw.len() != width {
            return None;
        }
        let part = raw
            .iter()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        whole = crc_fast::checksum_combine(crc, whole, part, length);
    }
    Some(whole.to_be_bytes()[8 - width..].to_vec())
}

#[cfg(test)]
mod tests;
