//! Computes the digests of one body: in place for a small one, on a thread beside the coding and
//! sending for a large one, because MD5 is slower than everything else a PUT does.

use super::ChecksumAlgorithm;
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bodies longer than this are hashed beside their sending.
const BESIDE_BYTES_MIN: u64 = 256 * 1024;
/// Pieces are handed over together until they have this many bytes.
const BATCH_BYTES: usize = 256 * 1024;
/// Batches that may wait for the thread.
const BATCHES_WAITING_MAX: usize = 4;

/// The digests could not be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body cannot be hashed: {reason}")]
pub struct HashFailed {
    /// What the library said; for MD5, a system in FIPS mode refuses it.
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
pub(super) struct Checksum {
    algorithm: ChecksumAlgorithm,
    sum: Sum,
}

impl Checksum {
    pub(super) fn new(algorithm: ChecksumAlgorithm) -> Result<Self, HashFailed> {
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

    pub(super) fn update(&mut self, bytes: &[u8]) -> Result<(), HashFailed> {
        match &mut self.sum {
            Sum::Crc(crc) => crc.update(bytes),
            Sum::Sha(sha) => sha
                .update(bytes)
                .map_err(|error| HashFailed::library(&error))?,
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, HashFailed> {
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
    md5: Hasher,
    checksum: Option<Checksum>,
}

impl Sums {
    pub(super) fn new(checksum: Option<ChecksumAlgorithm>) -> Result<Self, HashFailed> {
        let md5 = Hasher::new(MessageDigest::md5()).map_err(|error| HashFailed::library(&error))?;
        Ok(Self {
            md5,
            checksum: checksum.map(Checksum::new).transpose()?,
        })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) -> Result<(), HashFailed> {
        self.md5
            .update(bytes)
            .map_err(|error| HashFailed::library(&error))?;
        self.checksum
            .as_mut()
            .map_or(Ok(()), |checksum| checksum.update(bytes))
    }

    pub(super) fn finish(mut self) -> Result<BodyDigests, HashFailed> {
        let md5 = self
            .md5
            .finish()
            .map_err(|error| HashFailed::library(&error))?;
        let mut digests = BodyDigests {
            md5: [0; 16],
            checksum: None,
        };
        digests.md5.copy_from_slice(&md5);
        if let Some(checksum) = self.checksum {
            digests.checksum = Some((checksum.algorithm, checksum.finish()?));
        }
        Ok(digests)
    }
}

/// Digests of a body in the making.
pub struct BodyHasher(Place);

enum Place {
    Here(Box<Sums>),
    Beside {
        batch: Vec<Bytes>,
        batch_bytes: usize,
        batches: mpsc::Sender<Vec<Bytes>>,
        thread: JoinHandle<Result<BodyDigests, HashFailed>>,
    },
}

impl BodyHasher {
    /// A hasher for a body of `length` bytes.
    ///
    /// # Errors
    /// [`HashFailed`] when the library refuses.
    pub fn new(length: u64, checksum: Option<ChecksumAlgorithm>) -> Result<Self, HashFailed> {
        let mut sums = Sums::new(checksum)?;
        if length < BESIDE_BYTES_MIN {
            return Ok(Self(Place::Here(Box::new(sums))));
        }
        let (batches, mut waiting) = mpsc::channel::<Vec<Bytes>>(BATCHES_WAITING_MAX);
        let thread = tokio::task::spawn_blocking(move || {
            while let Some(batch) = waiting.blocking_recv() {
                for piece in batch {
                    sums.update(&piece)?;
                }
            }
            sums.finish()
        });
        Ok(Self(Place::Beside {
            batch: Vec::new(),
            batch_bytes: 0,
            batches,
            thread,
        }))
    }

    /// Adds the next bytes of the body; waits when the thread is behind.
    ///
    /// # Errors
    /// [`HashFailed`] when the library refuses.
    pub async fn update(&mut self, bytes: &Bytes) -> Result<(), HashFailed> {
        match &mut self.0 {
            Place::Here(sums) => sums.update(bytes),
            Place::Beside {
                batch,
                batch_bytes,
                batches,
                ..
            } => {
                batch.push(bytes.clone());
                *batch_bytes += bytes.len();
                if *batch_bytes < BATCH_BYTES {
                    return Ok(());
                }
                *batch_bytes = 0;
                // A thread that gave up tells why when it is joined.
                let _ = batches.send(std::mem::take(batch)).await;
                Ok(())
            }
        }
    }

    /// The digests of all bytes added.
    ///
    /// # Errors
    /// [`HashFailed`] when the library refused anything.
    pub async fn finish(self) -> Result<BodyDigests, HashFailed> {
        match self.0 {
            Place::Here(sums) => sums.finish(),
            Place::Beside {
                batch,
                batches,
                thread,
                ..
            } => {
                let _ = batches.send(batch).await;
                drop(batches);
                thread.await.map_err(|error| HashFailed {
                    reason: error.to_string(),
                })?
            }
        }
    }
}
