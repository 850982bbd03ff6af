//! The records of the protocol. Fields that the other side does not know are passed over, so that nodes of two
//! versions can talk.

use super::CallError;
use crate::shard::{DiskUsage, PutShardError, ReadShardError, ShardInfo, ShardKey, ShardRecord};
use bytes::Bytes;
use types::record;
use types::wire::DecodeError;
use types::{BucketId, ChunkId, DiskId, ErasureProfile, ManifestId, PgId};

record! {
    /// A [`ShardKey`].
    pub struct KeyRecord {
        1 => pg: PgId,
        2 => chunk: ChunkId,
        3 => stripe: u32,
        4 => shard: u8,
    }
}

record! {
    /// A [`ShardInfo`].
    pub struct InfoRecord {
        1 => key: KeyRecord,
        2 => pg_version: u32,
        3 => profile: ErasureProfile,
        4 => bucket: BucketId,
        5 => manifest: ManifestId,
        6 => stripe_bytes: u32,
        7 => body_bytes: u32,
    }
}

record! {
    /// Store this; the cell is the body.
    pub struct PutRequest {
        1 => disk: DiskId,
        2 => info: InfoRecord,
        /// Eight bytes for each block, big endian.
        3 => checksums: Bytes,
    }
}

record! {
    /// Read these blocks.
    pub struct ReadRequest {
        1 => disk: DiskId,
        2 => key: KeyRecord,
        3 => first: u32,
        4 => count: u32,
    }
}

record! {
    /// The blocks are the body.
    pub struct ReadAnswer {
        1 => info: InfoRecord,
        /// Position checksums of the blocks, computed from the bytes that are sent; eight bytes each, big endian.
        2 => checksums: Bytes,
    }
}

record! {
    /// Remove this chunk.
    pub struct DeleteRequest {
        1 => disk: DiskId,
        2 => pg: PgId,
        3 => chunk: ChunkId,
    }
}

record! {
    /// List shards of this group.
    pub struct ListRequest {
        1 => disk: DiskId,
        2 => pg: PgId,
        3 => after: Option<KeyRecord>,
        4 => limit: u32,
    }
}

record! {
    /// One page of shards.
    pub struct ListAnswer {
        1 => shards: Vec<InfoRecord>,
    }
}

record! {
    /// Room on one disk.
    pub struct UsageRecord {
        1 => disk: DiskId,
        2 => capacity: u64,
        3 => available: u64,
        4 => volumes: u64,
        5 => live: u64,
        6 => shards: u64,
    }
}

record! {
    /// Room on each disk of the node.
    pub struct UsageAnswer {
        1 => disks: Vec<UsageRecord>,
    }
}

record! {
    /// Why a request failed on the other node.
    pub struct Failure {
        /// A number of [`kind`].
        1 => kind: u8,
        2 => reason: String,
        3 => pg: PgId,
        /// Version of the group that the node knows.
        4 => current: u32,
    }
}

/// Numbers of [`Failure::kind`]. One that is not known says nothing of the disk: it is taken for
/// [`kind::NO_SUCH_DISK`].
pub mod kind {
    /// The device failed.
    pub const FAILED: u8 = 1;
    /// No room.
    pub const FULL: u8 = 2;
    /// The disk takes no writes.
    pub const READ_ONLY: u8 = 3;
    /// The bytes are not those of the position.
    pub const DAMAGED: u8 = 4;
    /// The disk does not have the shard.
    pub const MISSING: u8 = 5;
    /// The node does not have the disk, or not now.
    pub const NO_SUCH_DISK: u8 = 6;
    /// The writer's group is older than the node's.
    pub const OLD_GROUP: u8 = 7;
    /// The request makes no sense to the node.
    pub const BAD_REQUEST: u8 = 8;
}

impl From<ShardKey> for KeyRecord {
    fn from(key: ShardKey) -> Self {
        Self {
            pg: key.pg,
            chunk: key.chunk,
            stripe: key.stripe,
            shard: key.shard,
            ..Default::default()
        }
    }
}

impl From<KeyRecord> for ShardKey {
    fn from(key: KeyRecord) -> Self {
        Self {
            pg: key.pg,
            chunk: key.chunk,
            stripe: key.stripe,
            shard: key.shard,
        }
    }
}

impl From<&ShardInfo> for InfoRecord {
    fn from(info: &ShardInfo) -> Self {
        Self {
            key: info.key.into(),
            pg_version: info.pg_version,
            profile: info.profile,
            bucket: info.bucket,
            manifest: info.manifest,
            stripe_bytes: info.stripe_bytes,
            body_bytes: info.body_bytes,
            ..Default::default()
        }
    }
}

impl From<InfoRecord> for ShardInfo {
    fn from(info: InfoRecord) -> Self {
        Self {
            key: info.key.into(),
            pg_version: info.pg_version,
            profile: info.profile,
            bucket: info.bucket,
            manifest: info.manifest,
            stripe_bytes: info.stripe_bytes,
            body_bytes: info.body_bytes,
        }
    }
}

impl PutRequest {
    /// The request to store `record` on `disk`, without the cell.
    pub fn of(disk: DiskId, record: &ShardRecord) -> Self {
        let info = InfoRecord {
            key: record.key.into(),
            pg_version: record.pg_version,
            profile: record.profile,
            bucket: record.bucket,
            manifest: record.manifest,
            stripe_bytes: record.stripe_bytes,
            body_bytes: u32::try_from(record.body.len()).unwrap_or(u32::MAX),
            ..Default::default()
        };
        Self {
            disk,
            info,
            checksums: checksums_to_bytes(&record.block_checksums),
            ..Default::default()
        }
    }

    /// The record with its cell; nothing is verified yet.
    ///
    /// # Errors
    /// The checksums are not whole numbers of eight bytes, or the cell has another length than announced.
    pub fn with(self, body: Bytes) -> Result<ShardRecord, DecodeError> {
        if body.len() != self.info.body_bytes as usize {
            return Err(DecodeError::BadValue {
                what: "length of the cell",
            });
        }
        Ok(ShardRecord {
            key: self.info.key.into(),
            pg_version: self.info.pg_version,
            profile: self.info.profile,
            bucket: self.info.bucket,
            manifest: self.info.manifest,
            stripe_bytes: self.info.stripe_bytes,
            block_checksums: checksums_from_bytes(&self.checksums)?,
            body,
        })
    }
}

/// Checksums as they go over the wire.
pub fn checksums_to_bytes(checksums: &[u64]) -> Bytes {
    let bytes: Vec<u8> = checksums.iter().flat_map(|one| one.to_be_bytes()).collect();
    bytes.into()
}

/// The inverse of [`checksums_to_bytes`].
///
/// # Errors
/// The bytes are no whole number of checksums.
pub fn checksums_from_bytes(bytes: &[u8]) -> Result<Vec<u64>, DecodeError> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(DecodeError::BadValue {
            what: "list of checksums",
        });
    }
    Ok(numbers.iter().map(|one| u64::from_be_bytes(*one)).collect())
}

impl UsageRecord {
    /// What is known of `disk`.
    pub fn of(disk: DiskId, usage: DiskUsage) -> Self {
        Self {
            disk,
            capacity: usage.capacity,
            available: usage.available,
            volumes: usage.volumes,
            live: usage.live,
            shards: usage.shards,
            ..Default::default()
        }
    }

    /// The usage without the disk's name.
    pub fn usage(&self) -> DiskUsage {
        DiskUsage {
            capacity: self.capacity,
            available: self.available,
            volumes: self.volumes,
            live: self.live,
            shards: self.shards,
        }
    }
}

impl Failure {
    /// A failure of this kind.
    pub fn of(kind: u8, reason: impl ToString) -> Self {
        Self {
            kind,
            reason: reason.to_string(),
            ..Default::default()
        }
    }

    /// What the other node's answer to a put means here.
    pub fn of_put(self, disk: DiskId) -> PutShardError {
        let reason = self.reason;
        match self.kind {
            kind::FULL => PutShardError::Full { disk },
            kind::READ_ONLY => PutShardError::ReadOnly { disk, reason },
            kind::DAMAGED => PutShardError::Damaged { disk },
            kind::FAILED => PutShardError::Failed { disk, reason },
            kind::OLD_GROUP => PutShardError::OldGroup {
                disk,
                pg: self.pg,
                current: self.current,
            },
            _ => PutShardError::Unreachable { disk, reason },
        }
    }

    /// What the other node's answer to a read, list or delete means here.
    pub fn of_read(self, disk: DiskId) -> ReadShardError {
        let reason = self.reason;
        match self.kind {
            kind::MISSING => ReadShardError::Missing { disk },
            kind::DAMAGED => ReadShardError::Damaged { disk, reason },
            kind::FAILED => ReadShardError::Failed { disk, reason },
            _ => ReadShardError::Unreachable { disk, reason },
        }
    }
}

impl From<PutShardError> for Failure {
    fn from(error: PutShardError) -> Self {
        let text = error.to_string();
        match error {
            PutShardError::Full { .. } => Self::of(kind::FULL, text),
            PutShardError::ReadOnly { reason, .. } => Self::of(kind::READ_ONLY, reason),
            PutShardError::Failed { reason, .. } => Self::of(kind::FAILED, reason),
            PutShardError::Damaged { .. } => Self::of(kind::DAMAGED, text),
            PutShardError::Unreachable { reason, .. } => Self::of(kind::NO_SUCH_DISK, reason),
            PutShardError::OldGroup { pg, current, .. } => Self {
                pg,
                current,
                ..Self::of(kind::OLD_GROUP, text)
            },
        }
    }
}

impl From<ReadShardError> for Failure {
    fn from(error: ReadShardError) -> Self {
        match error {
            ReadShardError::Missing { .. } => Self::of(kind::MISSING, error),
            ReadShardError::Damaged { reason, .. } => Self::of(kind::DAMAGED, reason),
            ReadShardError::Failed { reason, .. } => Self::of(kind::FAILED, reason),
            ReadShardError::Unreachable { reason, .. } => Self::of(kind::NO_SUCH_DISK, reason),
        }
    }
}

/// Without an answer of the service nothing is known of the disk.
impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Failed(bytes) => {
                Self::decode(bytes).unwrap_or_else(|error| Self::of(kind::NO_SUCH_DISK, error))
            }
            CallError::NotSent(reason) | CallError::Unknown(reason) => {
                Self::of(kind::NO_SUCH_DISK, reason)
            }
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::of(kind::BAD_REQUEST, error)
    }
}
