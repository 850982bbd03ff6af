//! Multipart uploads (`m/`) and their parts (`p/`).

use super::object::{ChecksumType, Encryption, ObjectChecksum};
use bytes::Bytes;
use std::collections::BTreeMap;
use types::record;
use types::{Manifest, UploadId, VersionId};

record! {
    /// What a completed upload became.
    pub struct CompletedUpload {
        1 => version: VersionId,
        2 => is_null: bool,
        3 => etag: String,
        4 => last_modified_ms: u64,
        /// When it was completed; the record is kept for seven days after.
        5 => completed_ms: u64,
    }
}

record! {
    /// A multipart upload.
    pub struct UploadRecord {
        1 => id: UploadId,
        2 => initiated_ms: u64,
        /// Canonical id of the account that started it.
        3 => account: String,
        /// As S3 names it; empty for `STANDARD`.
        4 => storage_class: String,
        5 => headers: BTreeMap<String, String>,
        6 => user_metadata: BTreeMap<String, String>,
        7 => tags: BTreeMap<String, String>,
        /// As S3 names it; empty when the client asked for none.
        8 => checksum_algorithm: String,
        9 => checksum_type: ChecksumType,
        10 => encryption: Option<Encryption>,
        /// Raised by every part: so a completion that missed a part fails its condition.
        11 => part_writes: u64,
        /// Present once the upload is completed; the same completion is then answered from it.
        12 => completed: Option<CompletedUpload>,
    }
}

record! {
    /// A part of an upload.
    pub struct PartRecord {
        1 => number: u16,
        /// Without quotes.
        2 => etag: String,
        /// Bytes of the part as the client sent them.
        3 => plain_length: u64,
        4 => checksum: Option<ObjectChecksum>,
        5 => manifest: Manifest,
        6 => modified_ms: u64,
        /// Where the part's key stream starts, for an encrypted upload.
        7 => nonce_base: Bytes,
    }
}

#[cfg(test)]
mod tests;
