//! A version of an object: what stands under `c/` while it is current and under `v/` after.

use super::bucket::ordinal;
use bytes::Bytes;
use std::collections::BTreeMap;
use types::record;
use types::wire::{DecodeError, Field, Input};
use types::{ChunkClusterId, Manifest, Order, RegionId, VersionId};

ordinal! {
    /// What a checksum was computed over.
    pub enum ChecksumType as "checksum type" {
        /// The bytes of the object.
        FullObject = 0,
        /// The checksums of its parts, one after another.
        Composite = 1,
    }
}

record! {
    /// A checksum that the client asked for, besides the ETag.
    pub struct ObjectChecksum {
        /// As S3 names it: `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1`, `SHA256`.
        1 => algorithm: String,
        2 => kind: ChecksumType,
        /// The raw value.
        3 => value: Bytes,
    }
}

record! {
    /// How the bytes are encrypted.
    pub struct Encryption {
        /// As S3 names it: `AES256`, `aws:kms`, or `SSE-C`.
        1 => scheme: String,
        /// The key that wraps the object's own key.
        2 => key_id: String,
        3 => wrapped_key: Bytes,
        4 => nonce_base: Bytes,
    }
}

record! {
    /// What replication knows of a version.
    pub struct Replication {
        /// As S3 shows it: `PENDING`, `COMPLETED`, `FAILED`, `REPLICA`.
        1 => status: String,
        /// The region that the version was first written in, when that is another one.
        2 => origin: RegionId,
    }
}

record! {
    /// Object lock.
    pub struct ObjectLock {
        /// As S3 names it: `GOVERNANCE` or `COMPLIANCE`; empty without a retention.
        1 => mode: String,
        2 => retain_until_ms: u64,
        3 => legal_hold: bool,
    }
}

record! {
    /// A version of an object, or a delete marker.
    pub struct VersionRecord {
        /// Unique, also for null versions, which S3 shows as `null`.
        1 => id: VersionId,
        /// Its place among the key's versions; holds the home region and epoch that gave it.
        2 => order: Order,
        /// The version that a bucket without versioning has; at most one a key.
        3 => is_null: bool,
        4 => delete_marker: bool,
        /// Canonical id of the account that owns the object.
        5 => account: String,
        /// As S3 names it; empty for `STANDARD`.
        6 => storage_class: String,
        /// The chunk cluster that holds the first bytes; 0 when they are inline, or listed in pages.
        7 => cluster: ChunkClusterId,
        /// Bytes of the object as the client sees it.
        8 => plain_length: u64,
        /// Bytes of the object as they are kept, after compression and encryption.
        9 => stored_length: u64,
        10 => encryption: Option<Encryption>,
        /// Name of the compression; empty for none.
        11 => compression: String,
        /// Without quotes.
        12 => etag: String,
        13 => checksum: Option<ObjectChecksum>,
        /// Headers that a GET gives back, by lower-case name: `content-type`, `cache-control` ...
        14 => headers: BTreeMap<String, String>,
        /// User metadata by lower-case name, without `x-amz-meta-`.
        15 => user_metadata: BTreeMap<String, String>,
        /// Where the bytes are.
        16 => manifest: Manifest,
        17 => replication: Option<Replication>,
        18 => lock: Option<ObjectLock>,
        19 => tags: BTreeMap<String, String>,
        /// Parts of the multipart upload that made the object; 0 for an object that was put whole.
        20 => parts: u32,
    }
}

impl VersionRecord {
    /// Milliseconds since the Unix epoch that Last-Modified shows.
    #[must_use]
    pub fn last_modified_ms(&self) -> u64 {
        self.order.millis()
    }

    /// True when an `i/` record holds the bytes.
    #[must_use]
    pub fn has_inline_record(&self) -> bool {
        self.manifest.inline && self.manifest.length > 0
    }
}

/// What lists show of a version: a few fields of its [`VersionRecord`], read without the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFields {
    /// Field 2 of the record.
    pub order: Order,
    /// Field 6.
    pub storage_class: String,
    /// Field 8.
    pub plain_length: u64,
    /// Field 12.
    pub etag: String,
    /// Field 13.
    pub checksum: Option<ObjectChecksum>,
}

impl ListFields {
    /// Reads the bytes of a [`VersionRecord`].
    ///
    /// # Errors
    /// When `bytes` are not a run of fields, or one that is shown cannot be read.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut fields = Self::default();
        for field in Input::of(bytes).fields() {
            match field? {
                (2, order) => fields.order = Field::take(order)?,
                (6, class) => fields.storage_class = Field::take(class)?,
                (8, length) => fields.plain_length = Field::take(length)?,
                (12, etag) => fields.etag = Field::take(etag)?,
                (13, checksum) => fields.checksum = Field::take(checksum)?,
                _ => {}
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests;
