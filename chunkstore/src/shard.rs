//! The seam between the erasure-coding client and the disks: shard records, and the trait through
//! which they are stored. In one process the client calls a disk directly; across processes the same
//! trait is implemented by an RPC client.

use async_trait::async_trait;
use bytes::Bytes;
use types::{BucketId, ChunkId, DiskId, ErasureProfile, ManifestId, PgId};

/// Names one shard record: the cell of one stripe at one position of the placement group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardKey {
    /// The placement group.
    pub pg: PgId,
    /// The chunk.
    pub chunk: ChunkId,
    /// Number of the stripe in the chunk, from 0.
    pub stripe: u32,
    /// Position in the placement group, from 0; parity follows data.
    pub shard: u8,
}

/// One shard record as it is sent to a disk and read back from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRecord {
    /// Its name.
    pub key: ShardKey,
    /// Version of the placement group that the writer went by.
    pub pg_version: u32,
    /// Profile of the group.
    pub profile: ErasureProfile,
    /// The bucket that the bytes were written for.
    pub bucket: BucketId,
    /// The manifest that the bytes were written for.
    pub manifest: ManifestId,
    /// Object bytes in the whole stripe; says how much of the last data cells is padding.
    pub stripe_bytes: u32,
    /// Position checksum ([`crate::block`]) of each block of `body`, computed before the record left
    /// the writer.
    pub block_checksums: Vec<u64>,
    /// The cell.
    pub body: Bytes,
}

/// What a disk knows of a shard without reading its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its name.
    pub key: ShardKey,
    /// Version of the placement group when it was written.
    pub pg_version: u32,
    /// Profile of the group.
    pub profile: ErasureProfile,
    /// The bucket that the bytes were written for.
    pub bucket: BucketId,
    /// The manifest that the bytes were written for.
    pub manifest: ManifestId,
    /// Object bytes in the whole stripe.
    pub stripe_bytes: u32,
    /// Bytes of the cell.
    pub body_bytes: u32,
}

/// Blocks of a shard, verified against their position checksums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardBlocks {
    /// What the disk knows of the shard.
    pub info: ShardInfo,
    /// The bytes of the blocks asked for; the last block of the cell may be shorter.
    pub bytes: Bytes,
}

/// Room on a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Bytes the device holds.
    pub capacity: u64,
    /// Bytes that new shards may still take, above the reserve for deletes and compaction.
    pub available: u64,
    /// Bytes in volumes.
    pub volumes: u64,
    /// Bytes in volumes that belong to shards in the catalogue.
    pub live: u64,
    /// Shards in the catalogue.
    pub shards: u64,
}

/// Why a shard was not stored. Nothing of it is promised then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutShardError {
    /// No room above the reserve.
    #[error("disk {disk} is full")]
    Full {
        /// The disk.
        disk: DiskId,
    },
    /// An earlier fsync failed, or an operator said so.
    #[error("disk {disk} takes no writes: {reason}")]
    ReadOnly {
        /// The disk.
        disk: DiskId,
        /// Why.
        reason: String,
    },
    /// The device failed this write or its fsync; the disk takes no writes any more.
    #[error("disk {disk} failed: {reason}")]
    Failed {
        /// The disk.
        disk: DiskId,
        /// The device's error.
        reason: String,
    },
    /// The body does not match the checksums it came with.
    #[error("the shard was damaged on its way to disk {disk}")]
    Damaged {
        /// The disk.
        disk: DiskId,
    },
    /// The disk's node did not answer. The shard may be there or not.
    #[error("disk {disk} cannot be reached: {reason}")]
    Unreachable {
        /// The disk.
        disk: DiskId,
        /// What the network said.
        reason: String,
    },
    /// The writer goes by an older version of the placement group than the disk's node knows of: the disk may
    /// have lost its place in it.
    #[error(
        "disk {disk} knows version {current} of placement group {pg}: the writer's cluster map is old"
    )]
    OldGroup {
        /// The disk.
        disk: DiskId,
        /// The group.
        pg: PgId,
        /// Its version, as the disk's node knows it.
        current: u32,
    },
}

/// Why a shard could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadShardError {
    /// The disk does not have it.
    #[error("disk {disk} does not have the shard")]
    Missing {
        /// The disk.
        disk: DiskId,
    },
    /// Its bytes are not those that were written for this position.
    #[error("the shard on disk {disk} is damaged: {reason}")]
    Damaged {
        /// The disk.
        disk: DiskId,
        /// What is wrong with it.
        reason: String,
    },
    /// The device failed the read.
    #[error("disk {disk} failed: {reason}")]
    Failed {
        /// The disk.
        disk: DiskId,
        /// The device's error.
        reason: String,
    },
    /// The disk's node did not answer.
    #[error("disk {disk} cannot be reached: {reason}")]
    Unreachable {
        /// The disk.
        disk: DiskId,
        /// What the network said.
        reason: String,
    },
}

/// One disk, as the erasure-coding client sees it.
///
/// # To ensure correctness
/// - `put` returns only when the record is on stable storage and `read` finds it.
/// - `read` returns no byte that was not verified for the position asked for.
/// - `delete` of a chunk that is not there succeeds. After a crash a deleted shard may be there again:
///   ids are never reused, so that is garbage, never wrong data.
#[async_trait]
pub trait ShardStore: Send + Sync + std::fmt::Debug {
    /// The disk's identity.
    fn disk(&self) -> DiskId;

    /// Stores a record. Storing one that is there already with the same content succeeds.
    async fn put(&self, record: ShardRecord) -> Result<(), PutShardError>;

    /// Reads `count` blocks of a shard from block `first` on; fewer where the cell ends before.
    async fn read(
        &self,
        key: ShardKey,
        first: u32,
        count: u32,
    ) -> Result<ShardBlocks, ReadShardError>;

    /// Removes every shard of the chunk that the disk has. The space comes back with compaction.
    async fn delete(&self, pg: PgId, chunk: ChunkId) -> Result<(), ReadShardError>;

    /// Up to `limit` shards of the group after `after`, in key order.
    async fn list(
        &self,
        pg: PgId,
        after: Option<ShardKey>,
        limit: usize,
    ) -> Result<Vec<ShardInfo>, ReadShardError>;

    /// Room on the disk.
    fn usage(&self) -> DiskUsage;
}
