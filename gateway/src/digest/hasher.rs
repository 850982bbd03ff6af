//! Computes the digests of one body. MD5 of a large one is left to the pool; the checksum is computed
//! where the bytes come by, while they are in the processor's cache.

use super::ChecksumAlgorithm;
use super::pool::{Md5Pool, PooledMd5};
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use md5_lanes::Md5;
use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};

/// Bodies of this many bytes and more are hashed by the pool. A shorter one that comes alone would pay
/// for waking a worker, and save little where it comes with others.
const POOLED_BYTES_MIN: u64 = 128 * 1024;

/// A checksum could not be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body cannot be hashed: {reason}")]
pub struct HashFailed {
    /// What the library of SHA-1 and SHA-256 said.
    pub reason: String,
}

impl HashFailed {
    pub(super) fn library(error: &ErrorStack) -> Self {
        Self {
            reason: error.to_string(),
        }
    }
}

/// The digests of a whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyDigests {
    /// MD5: the ETag, in hexadecimal.
    pub md5: [u8; 16],
    /// The raw checksum, where one was asked for.
    pub checksum: Option<(ChecksumAlgorithm, Vec<u8>)>,
}

impl BodyDigests {
    /// The ETag, without quotes.
    #[must_use]
    pub fn etag(&self) -> String {
        hex::encode(self.md5)
    }
}

/// The CRC of an algorithm that is one.
pub(super) fn crc(algorithm: ChecksumAlgorithm) -> Option<CrcAlgorithm> {
    match algorithm {
        ChecksumAlgorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
        ChecksumAlgorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
        ChecksumAlgorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => None,
    }
}

enum Sum {
    Crc(Box<crc_fast::Digest>),
    Sha(Hasher),
}

/// One checksum in the making.
pub(crate) struct Checksum {
    algorithm: ChecksumAlgorithm,
    sum: Sum,
}

impl Checksum {
    pub(crate) fn new(algorithm: ChecksumAlgorithm) -> Result<Self, HashFailed> {
        let sum = match crc(algorithm) {
            Some(crc) => Sum::Crc(Box::new(crc_fast::Digest::new(crc))),
            None => {
                let sha1 = algorithm == ChecksumAlgorithm::Sha1;
                let sha = if sha1 {
                    MessageDigest::sha1()
                } else {
                    MessageDigest::sha256()
                };
                Sum::Sha(Hasher::new(sha).map_err(|error| HashFailed::library(&error))?)
            }
        };
        Ok(Self { algorithm, sum })
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) -> Result<(), HashFailed> {
        match &mut self.sum {
            Sum::Crc(crc) => crc.update(bytes),
            Sum::Sha(sha) => sha
                .update(bytes)
                .map_err(|error| HashFailed::library(&error))?,
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>, HashFailed> {
        let width = self.algorithm.value_bytes();
        Ok(match self.sum {
            Sum::Crc(crc) => crc.finalize().to_be_bytes()[8 - width..].to_vec(),
            Sum::Sha(mut sha) => sha
                .finish()
                .map_err(|error| HashFailed::library(&error))?
                .to_vec(),
        })
    }
}

/// MD5 and the checksum together.
pub(super) struct Sums {
    md5: Md5,
    checksum: Option<Checksum>,
}

impl Sums {
    pub(super) fn new(checksum: Option<ChecksumAlgorithm>) -> Result<Self, HashFailed> {
        Ok(Self {
            md5: Md5::new(),
            checksum: checksum.map(Checksum::new).transpose()?,
        })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) -> Result<(), HashFailed> {
        self.md5.update(bytes);
        update(&mut self.checksum, bytes)
    }

    pub(super) fn finish(self) -> Result<BodyDigests, HashFailed> {
        digests(self.md5.finish(), self.checksum)
    }
}

fn update(checksum: &mut Option<Checksum>, bytes: &[u8]) -> Result<(), HashFailed> {
    checksum
        .as_mut()
        .map_or(Ok(()), |checksum| checksum.update(bytes))
}

fn digests(md5: [u8; 16], checksum: Option<Checksum>) -> Result<BodyDigests, HashFailed> {
    let checksum = checksum.map(|checksum| Ok((checksum.algorithm, checksum.finish()?)));
    Ok(BodyDigests {
        md5,
        checksum: checksum.transpose()?,
    })
}

/// Digests of a body in the making.
pub struct BodyHasher {
    md5: Place,
    checksum: Option<Checksum>,
}

enum Place {
    Here(Md5),
    Pooled(PooledMd5),
}

impl BodyHasher {
    /// A hasher for a body of `length` bytes.
    ///
    /// # Errors
    /// [`HashFailed`] when the library refuses the checksum.
    pub fn new(
        pool: &Md5Pool,
        length: u64,
        checksum: Option<ChecksumAlgorithm>,
    ) -> Result<Self, HashFailed> {
        let checksum = checksum.map(Checksum::new).transpose()?;
        let md5 = if length < POOLED_BYTES_MIN {
            Place::Here(Md5::new())
        } else {
            Place::Pooled(pool.body())
        };
        Ok(Self { md5, checksum })
    }

    /// Adds the next bytes of the body; waits when the pool is behind.
    ///
    /// # Errors
    /// [`HashFailed`] when the library refuses.
    pub async fn update(&mut self, bytes: &Bytes) -> Result<(), HashFailed> {
        update(&mut self.checksum, bytes)?;
        match &mut self.md5 {
            Place::Here(md5) => md5.update(bytes),
            Place::Pooled(md5) => md5.update(bytes.clone()).await,
        }
        Ok(())
    }

    /// Waits until nothing of the body is kept in memory.
    pub async fn drain(&mut self) {
        if let Place::Pooled(md5) = &self.md5 {
            md5.drain().await;
        }
    }

    /// The digests of all bytes added.
    ///
    /// # Errors
    /// [`HashFailed`] when the library refuses.
    pub async fn finish(self) -> Result<BodyDigests, HashFailed> {
        let md5 = match self.md5 {
            Place::Here(md5) => md5.finish(),
            Place::Pooled(md5) => md5.finish().await,
        };
        digests(md5, self.checksum)
    }
}
