//! What the operations of [`crate::Index`] take and give back.
//!
//! ETags stand without quotes, times are milliseconds since the Unix epoch, an empty storage class is
//! `STANDARD`, and header and metadata names are lower case.

mod lists;

pub use lists::{
    BucketPage, ListBuckets, ListObjects, ListUploads, ListVersions, ListedObject, ListedUpload,
    ListedVersion, ObjectPage, ObjectPartPage, PartPage, PlacedPart, UploadPage, VersionPage,
};

use crate::key::bucket::Versioning;
use crate::key::cluster::MissingShards;
use crate::key::object::{ObjectChecksum, VersionRecord};
use crate::store::Seq;
use bytes::Bytes;
use std::collections::BTreeMap;
use types::{BucketId, ChunkRef, Manifest, OpId, PartitionId, RegionId, UploadId, VersionId};

/// A bucket as it was when it was read. The operations take it as a hint of where to look; what they
/// decide on is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its id, never reused.
    pub id: BucketId,
    /// Its name.
    pub name: String,
    /// Canonical id of the account that owns it.
    pub owner: String,
    /// When it was created.
    pub created_ms: u64,
    /// The partition that holds it.
    pub partition: PartitionId,
    /// The region where it is written.
    pub home: RegionId,
    /// Whether it keeps versions.
    pub versioning: Versioning,
    /// Sequence of its state record.
    pub state_seq: Seq,
}

/// What a client says of an object besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Canonical id of the account that will own the object.
    pub account: String,
    /// As S3 names it.
    pub storage_class: String,
    /// Headers that a GET gives back.
    pub headers: BTreeMap<String, String>,
    /// User metadata, names without `x-amz-meta-`.
    pub user_metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// What must hold of the key's current version for a write to happen. A key under a delete marker
/// has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WriteCondition {
    /// Nothing.
    #[default]
    None,
    /// There is none (`If-None-Match: *`).
    IfNoneMatch,
    /// There is one, with this ETag; `*` stands for any.
    IfMatch(String),
}

/// The bytes of a new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewBody {
    /// Kept in the index; at most `types::limits::INLINE_BYTES_CAP`.
    Inline(Bytes),
    /// Durable in chunks.
    Chunks {
        /// With the id under which the chunks were written, taken for the bucket's partition, its length
        /// and its chunks in order. The index sets the rest.
        manifest: Manifest,
        /// When the oldest chunk was written.
        oldest_ms: u64,
        /// Shards that were not durable.
        missing: Vec<MissingShards>,
    },
}

/// A version of a key, as a client names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VersionRef {
    /// The null version.
    Null,
    /// The version with this id; never finds a null one.
    Id(VersionId),
}

/// A version that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion {
    /// What is known of it. It may be a delete marker when it was asked for by version.
    pub record: VersionRecord,
    /// How clients name it.
    pub version: VersionRef,
}

impl From<VersionRecord> for ObjectVersion {
    fn from(record: VersionRecord) -> Self {
        Self {
            version: VersionRef::of(record.is_null, record.id),
            record,
        }
    }
}

impl VersionRef {
    /// How clients name a version.
    #[must_use]
    pub fn of(is_null: bool, id: VersionId) -> Self {
        if is_null { Self::Null } else { Self::Id(id) }
    }
}

/// A PUT.
#[derive(Debug, Clone)]
pub struct PutObject<'a> {
    /// Where to.
    pub bucket: &'a Bucket,
    /// The key, at most `types::limits::OBJECT_KEY_BYTES_MAX` bytes.
    pub key: &'a str,
    /// The bytes.
    pub body: NewBody,
    /// The ETag to show.
    pub etag: String,
    /// The checksum to show.
    pub checksum: Option<ObjectChecksum>,
    /// What else the client said.
    pub meta: ObjectMeta,
    /// The client's condition.
    pub condition: WriteCondition,
    /// Taken when the body was durable; kept by retries after `Indeterminate`.
    pub op_id: OpId,
}

/// A version that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedVersion {
    /// How clients name it.
    pub version: VersionRef,
    /// The ETag it has.
    pub etag: String,
    /// Its Last-Modified.
    pub last_modified_ms: u64,
}

/// What must hold of a version for a DELETE to remove it, or to put a delete marker before it. A version that
/// is not there fits a time and a size, and never an ETag: of several DELETEs with the same one, one succeeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteCondition {
    /// Its ETag; `*` stands for any.
    pub etag: Option<String>,
    /// The second of its Last-Modified, since the Unix epoch.
    pub last_modified_s: Option<i64>,
    /// Bytes of the object.
    pub size: Option<u64>,
}

/// A DELETE.
#[derive(Debug, Clone)]
pub struct DeleteObject<'a> {
    /// Where.
    pub bucket: &'a Bucket,
    /// The key.
    pub key: &'a str,
    /// The version to remove; without one the current version goes, or a delete marker is made.
    pub version: Option<VersionRef>,
    /// What must hold of the version to remove: the current one, or the one named.
    pub condition: DeleteCondition,
    /// Kept by retries after `Indeterminate`.
    pub op_id: OpId,
}

/// What a DELETE did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// True when a delete marker was made, or a delete marker was removed.
    pub delete_marker: bool,
    /// The marker that was made, or the version that was removed by its id; none when nothing changed or
    /// the bucket does not version.
    pub version: Option<VersionRef>,
}

/// A change of an object's tags.
#[derive(Debug, Clone)]
pub struct SetObjectTags<'a> {
    /// Where.
    pub bucket: &'a Bucket,
    /// The key.
    pub key: &'a str,
    /// The version; without one the current version.
    pub version: Option<VersionRef>,
    /// All the tags that the version has afterwards.
    pub tags: BTreeMap<String, String>,
    /// Kept by retries after `Indeterminate`.
    pub op_id: OpId,
}

/// The source of a copy: a version that the caller has read, and found to fit the conditions.
#[derive(Debug, Clone)]
pub struct CopySource<'a> {
    /// Where it is.
    pub bucket: &'a Bucket,
    /// Its key.
    pub key: &'a str,
    /// Its record, as `get_object` gave it.
    pub record: &'a VersionRecord,
}

/// What a copy says of the new version.
#[derive(Debug, Clone)]
pub enum CopyMeta {
    /// The same as the source; the new owner and storage class are these.
    Copy {
        /// Canonical id of the account that will own the copy.
        account: String,
        /// As S3 names it.
        storage_class: String,
    },
    /// This instead.
    Replace(ObjectMeta),
}

/// A copy inside the region. No bytes move.
#[derive(Debug, Clone)]
pub struct CopyObject<'a> {
    /// Where from.
    pub source: CopySource<'a>,
    /// Where to.
    pub bucket: &'a Bucket,
    /// The key to write.
    pub key: &'a str,
    /// What is said of the new version.
    pub meta: CopyMeta,
    /// The checksum to show instead of the source's; the copy then has no parts.
    pub checksum: Option<ObjectChecksum>,
    /// The client's condition on the destination.
    pub condition: WriteCondition,
    /// Kept by retries after `Indeterminate`.
    pub op_id: OpId,
}

/// The start of a multipart upload.
#[derive(Debug, Clone)]
pub struct CreateUpload<'a> {
    /// Where to.
    pub bucket: &'a Bucket,
    /// The key.
    pub key: &'a str,
    /// What the client says of the object.
    pub meta: ObjectMeta,
    /// As S3 names it; empty for none.
    pub checksum_algorithm: String,
    /// What the checksum is computed over.
    pub checksum_type: crate::key::object::ChecksumType,
    /// Kept by retries after `Indeterminate`.
    pub op_id: OpId,
}

/// A part.
#[derive(Debug, Clone)]
pub struct PutPart<'a> {
    /// The upload's bucket.
    pub bucket: &'a Bucket,
    /// The upload's key.
    pub key: &'a str,
    /// The upload.
    pub upload: UploadId,
    /// From 1 to `types::limits::PART_NUMBER_MAX`.
    pub number: u16,
    /// The part's ETag.
    pub etag: String,
    /// The part's checksum.
    pub checksum: Option<ObjectChecksum>,
    /// As in [`NewBody::Chunks`].
    pub manifest: Manifest,
    /// When the oldest chunk was written.
    pub oldest_ms: u64,
    /// Shards that were not durable.
    pub missing: Vec<MissingShards>,
    /// Taken when the body was durable; kept by retries after `Indeterminate`.
    pub op_id: OpId,
}

/// The completion of a multipart upload.
#[derive(Debug, Clone)]
pub struct CompleteUpload<'a> {
    /// The upload's bucket.
    pub bucket: &'a Bucket,
    /// The upload's key.
    pub key: &'a str,
    /// The upload.
    pub upload: UploadId,
    /// Number and ETag of each part, rising.
    pub parts: Vec<(u16, String)>,
    /// The ETag to show, made of the parts' (so it tells one list of parts from another).
    pub etag: String,
    /// The checksum to show.
    pub checksum: Option<ObjectChecksum>,
    /// Least bytes of every part but the last: `types::limits::PART_BYTES_MIN`, less in tests.
    pub part_bytes_min: u64,
    /// The client's condition.
    pub condition: WriteCondition,
    /// Kept by retries after `Indeterminate`.
    pub op_id: OpId,
}

/// A run of an object's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedChunk {
    /// Offset in the object of the chunk's first byte.
    pub offset: u64,
    /// The chunk.
    pub chunk: ChunkRef,
}
