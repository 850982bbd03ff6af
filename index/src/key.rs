//! The data model of the index: every record that a partition holds, by its key.
//!
//! ```text
//! +-----------------------+---------+--------------------------------------------+
//! | bucket id             | kind    | rest, by kind                              |
//! | u64, big endian       | u8      |                                            |
//! | 0: the partition's own| letter  |                                            |
//! +-----------------------+---------+--------------------------------------------+
//! ```
//! Numbers are big endian and S3 keys are escaped ([`escape`]), so byte order is the order in which
//! records are listed. Kinds are persisted: a letter, once used, is never given another meaning.
//! `d` is kept for lifecycle entries, `l`, `N` and `u` for a partition map, leases and users.

pub mod bucket;
pub mod cluster;
mod decode;
pub mod escape;
pub mod feed;
#[cfg(test)]
mod golden;
pub mod head;
pub mod object;
pub mod outcome;
mod range;
pub mod reclaim;
pub mod shared;
pub mod upload;

pub use decode::DecodeKeyError;
pub use range::KeyRange;
pub(crate) use range::successor_of_prefix;

use bytes::Bytes;
use types::{
    BucketId, ChunkClusterId, ChunkId, ManifestId, OpId, Order, PgId, UploadId, VersionId,
};

/// The bucket id of a partition's own records.
pub const PARTITION_RECORDS: BucketId = BucketId(0);
/// Bytes of the bucket id and the kind at the start of every key.
pub const HEADER_BYTES: usize = 9;

/// The one-byte kinds, as they are persisted.
pub mod kind {
    /// [`super::Key::PartitionState`]
    pub const PARTITION_STATE: u8 = b'a';
    /// [`super::Key::BucketState`]
    pub const BUCKET_STATE: u8 = b'b';
    /// [`super::Key::BucketConfig`]
    pub const BUCKET_CONFIG: u8 = b'j';
    /// [`super::Key::Current`]
    pub const CURRENT: u8 = b'c';
    /// [`super::Key::BucketCounter`]
    pub const BUCKET_COUNTER: u8 = b'k';
    /// [`super::Key::OwnedBucket`]
    pub const OWNED_BUCKET: u8 = b'w';
    /// [`super::Key::MissingShards`]
    pub const MISSING_SHARDS: u8 = b'e';
    /// [`super::Key::Feed`]
    pub const FEED: u8 = b'f';
    /// [`super::Key::Reclaim`]
    pub const RECLAIM: u8 = b'g';
    /// [`super::Key::Head`]
    pub const HEAD: u8 = b'h';
    /// [`super::Key::Inline`]
    pub const INLINE: u8 = b'i';
    /// [`super::Key::Upload`]
    pub const UPLOAD: u8 = b'm';
    /// [`super::Key::BucketName`]
    pub const BUCKET_NAME: u8 = b'n';
    /// [`super::Key::Outcome`]
    pub const OUTCOME: u8 = b'o';
    /// [`super::Key::Part`]
    pub const PART: u8 = b'p';
    /// [`super::Key::Shared`] and [`super::Key::SharedRef`]
    pub const SHARED: u8 = b's';
    /// [`super::Key::SchedulerState`]
    pub const SCHEDULER_STATE: u8 = b't';
    /// [`super::Key::Version`]
    pub const VERSION: u8 = b'v';
    /// [`super::Key::ManifestPage`]
    pub const MANIFEST_PAGE: u8 = b'x';
    /// [`super::Key::PlacementGroup`]
    pub const PLACEMENT_GROUP: u8 = b'y';
    /// [`super::Key::ClusterMap`]
    pub const CLUSTER_MAP: u8 = b'z';
}

/// A record's key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `0 a`: last sequence, epoch and trimmed feed of the partition. Lives as long as the partition;
    /// only the engine writes it.
    PartitionState,
    /// `bucket b`: the bucket's state (open or closing, versioning, ...), in each partition of the
    /// bucket. From CreateBucket to DeleteBucket; every object batch conditions on it.
    BucketState {
        /// The bucket.
        bucket: BucketId,
    },
    /// `bucket j name`: one of the bucket's configurations (`tagging`, ...), apart from `b/` so that a change
    /// of one fails no object batch. From the call that sets it until one removes it, or DeleteBucket.
    BucketConfig {
        /// The bucket.
        bucket: BucketId,
        /// Which configuration, as S3 names its sub-resource.
        name: String,
    },
    /// `bucket c key`: the current version with its list fields, metadata and manifest; absent under a
    /// delete marker. Replaced by each PUT, removed by a DELETE.
    Current {
        /// The bucket.
        bucket: BucketId,
        /// The S3 key.
        key: String,
    },
    /// `bucket h key`: newest order, order of the null version, count of `v` records; exists while the
    /// key has `v` records.
    Head {
        /// The bucket.
        bucket: BucketId,
        /// The S3 key.
        key: String,
    },
    /// `bucket v key order`: a noncurrent version or a delete marker, newest first. Until it is
    /// deleted by id or becomes current again.
    Version {
        /// The bucket.
        bucket: BucketId,
        /// The S3 key.
        key: String,
        /// The version's order; its bytes are inverted in the key.
        order: Order,
    },
    /// `bucket i version`: the body of a small object. As long as the version that names it.
    Inline {
        /// The bucket.
        bucket: BucketId,
        /// The version whose body it is.
        version: VersionId,
    },
    /// `bucket x manifest page`: a page of a large manifest. As long as the manifest.
    ManifestPage {
        /// The bucket in which the manifest was first written.
        bucket: BucketId,
        /// The manifest.
        manifest: ManifestId,
        /// Number of the page, from 0.
        page: u32,
    },
    /// `bucket s manifest`: a manifest that several versions share, with the count of references.
    /// From the first copy until the last reference is dropped.
    Shared {
        /// The bucket in which the manifest was first written.
        bucket: BucketId,
        /// The manifest.
        manifest: ManifestId,
    },
    /// `bucket s manifest reference`: one reference to a shared manifest. As long as the version that
    /// holds it.
    SharedRef {
        /// The bucket in which the manifest was first written.
        bucket: BucketId,
        /// The manifest.
        manifest: ManifestId,
        /// The reference, never 0.
        reference: u64,
    },
    /// `bucket m key upload`: a multipart upload. From its creation until it is aborted, or for seven
    /// days after its completion.
    Upload {
        /// The bucket.
        bucket: BucketId,
        /// The S3 key.
        key: String,
        /// The upload.
        upload: UploadId,
    },
    /// `bucket p upload number`: an uploaded part. Until the upload is completed or aborted.
    Part {
        /// The bucket.
        bucket: BucketId,
        /// The upload.
        upload: UploadId,
        /// The part number, from 1.
        number: u16,
    },
    /// `0 f seq`: the event of a commit; written by the engine for each, until it is trimmed.
    Feed {
        /// Sequence of the commit.
        seq: u64,
    },
    /// `0 g seq number`: something to reclaim (a manifest, an upload). Until a bot has freed it.
    Reclaim {
        /// Sequence of the commit that gave it up.
        seq: u64,
        /// Position among the reclaims of that commit.
        number: u16,
    },
    /// `0 o op-id`: the outcome of an operation id, whose leading bits are its time. For
    /// `OUTCOME_TTL`.
    Outcome {
        /// The operation id.
        op_id: OpId,
    },
    /// `0 e cluster pg chunk`: shards of a chunk that were not written or are known to be lost. Until
    /// they are repaired.
    MissingShards {
        /// The chunk cluster.
        cluster: ChunkClusterId,
        /// The placement group.
        pg: PgId,
        /// The chunk.
        chunk: ChunkId,
    },
    /// `0 n name`: who has a bucket name, in the control partition. From CreateBucket to DeleteBucket.
    BucketName {
        /// The name.
        name: String,
    },
    /// `0 k`: the last bucket id given out, in the control partition, for ever.
    BucketCounter,
    /// `0 w owner name`: that an account has a bucket, in the control partition. As long as the name.
    OwnedBucket {
        /// Canonical id of the account.
        owner: String,
        /// The bucket's name.
        name: String,
    },
    /// `0 z`: the cluster map, in the control partition, for ever.
    ClusterMap,
    /// `0 y cluster pg`: a placement group, in the control partition, for ever.
    PlacementGroup {
        /// The chunk cluster.
        cluster: ChunkClusterId,
        /// The placement group.
        pg: PgId,
    },
    /// `0 t name`: what a background worker remembers. As long as the worker wants it.
    SchedulerState {
        /// The worker's name for it.
        name: String,
    },
}

impl Key {
    /// The bytes of the key.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (bucket, kind) = self.header();
        let mut out = Vec::with_capacity(64);
        put_header(&mut out, bucket, kind);
        match self {
            Self::PartitionState
            | Self::BucketState { .. }
            | Self::BucketCounter
            | Self::ClusterMap => {}
            Self::OwnedBucket { owner, name } => {
                escape::put(&mut out, owner);
                out.extend_from_slice(name.as_bytes());
            }
            Self::Current { key, .. } | Self::Head { key, .. } => escape::put(&mut out, key),
            Self::Version { key, order, .. } => {
                escape::put(&mut out, key);
                out.extend_from_slice(&order.to_inverted_bytes());
            }
            Self::Inline { version, .. } => out.extend_from_slice(&version.to_bytes()),
            Self::ManifestPage { manifest, page, .. } => {
                out.extend_from_slice(&manifest.to_bytes());
                out.extend_from_slice(&page.to_be_bytes());
            }
            Self::Shared { manifest, .. } => out.extend_from_slice(&manifest.to_bytes()),
            Self::SharedRef {
                manifest,
                reference,
                ..
            } => {
                out.extend_from_slice(&manifest.to_bytes());
                out.extend_from_slice(&reference.to_be_bytes());
            }
            Self::Upload { key, upload, .. } => {
                escape::put(&mut out, key);
                out.extend_from_slice(&upload.to_bytes());
            }
            Self::Part { upload, number, .. } => {
                out.extend_from_slice(&upload.to_bytes());
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Feed { seq } => out.extend_from_slice(&seq.to_be_bytes()),
            Self::Reclaim { seq, number } => {
                out.extend_from_slice(&seq.to_be_bytes());
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Outcome { op_id } => out.extend_from_slice(&op_id.to_bytes()),
            Self::MissingShards { cluster, pg, chunk } => {
                out.extend_from_slice(&cluster.0.to_be_bytes());
                out.extend_from_slice(&pg.0.to_be_bytes());
                out.extend_from_slice(&chunk.to_bytes());
            }
            Self::BucketName { name }
            | Self::BucketConfig { name, .. }
            | Self::SchedulerState { name } => {
                out.extend_from_slice(name.as_bytes());
            }
            Self::PlacementGroup { cluster, pg } => {
                out.extend_from_slice(&cluster.0.to_be_bytes());
                out.extend_from_slice(&pg.0.to_be_bytes());
            }
        }
        out.into()
    }

    fn header(&self) -> (BucketId, u8) {
        match self {
            Self::BucketState { bucket } => (*bucket, kind::BUCKET_STATE),
            Self::BucketConfig { bucket, .. } => (*bucket, kind::BUCKET_CONFIG),
            Self::Current { bucket, .. } => (*bucket, kind::CURRENT),
            Self::Head { bucket, .. } => (*bucket, kind::HEAD),
            Self::Version { bucket, .. } => (*bucket, kind::VERSION),
            Self::Inline { bucket, .. } => (*bucket, kind::INLINE),
            Self::ManifestPage { bucket, .. } => (*bucket, kind::MANIFEST_PAGE),
            Self::Shared { bucket, .. } | Self::SharedRef { bucket, .. } => (*bucket, kind::SHARED),
            Self::Upload { bucket, .. } => (*bucket, kind::UPLOAD),
            Self::Part { bucket, .. } => (*bucket, kind::PART),
            Self::PartitionState => (PARTITION_RECORDS, kind::PARTITION_STATE),
            Self::Feed { .. } => (PARTITION_RECORDS, kind::FEED),
            Self::Reclaim { .. } => (PARTITION_RECORDS, kind::RECLAIM),
            Self::Outcome { .. } => (PARTITION_RECORDS, kind::OUTCOME),
            Self::MissingShards { .. } => (PARTITION_RECORDS, kind::MISSING_SHARDS),
            Self::BucketName { .. } => (PARTITION_RECORDS, kind::BUCKET_NAME),
            Self::BucketCounter => (PARTITION_RECORDS, kind::BUCKET_COUNTER),
            Self::OwnedBucket { .. } => (PARTITION_RECORDS, kind::OWNED_BUCKET),
            Self::ClusterMap => (PARTITION_RECORDS, kind::CLUSTER_MAP),
            Self::PlacementGroup { .. } => (PARTITION_RECORDS, kind::PLACEMENT_GROUP),
            Self::SchedulerState { .. } => (PARTITION_RECORDS, kind::SCHEDULER_STATE),
        }
    }
}

/// The kind of an encoded key; `None` when it is shorter than a key's header.
#[must_use]
pub fn kind_of(key: &[u8]) -> Option<u8> {
    key.get(HEADER_BYTES - 1).copied()
}

/// `bytes` in hexadecimal, as error messages show keys.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn put_header(out: &mut Vec<u8>, bucket: BucketId, kind: u8) {
    out.extend_from_slice(&bucket.0.to_be_bytes());
    out.push(kind);
}

#[cfg(test)]
mod tests;
