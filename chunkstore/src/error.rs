//! What can go wrong with chunks, one enum per operation. (Errors of one shard on one disk stand with
//! the trait in [`crate::shard`].)

use types::{ChunkId, DiskId, PgClass, PgId};

/// Why object bytes were not stored. Nothing that was written is promised then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Every placement group that could take the bytes has a disk without room.
    #[error(
        "no placement group for {class:?} data has room on all its disks: add disks or delete objects"
    )]
    Full {
        /// What the bytes were to be stored as.
        class: PgClass,
    },
    /// No placement group could make the bytes durable by its profile's promise.
    #[error(
        "no placement group for {class:?} data can take writes ({failed} tried and failed; {last}): \
         bring disks back or add disks"
    )]
    NoQuorum {
        /// What the bytes were to be stored as.
        class: PgClass,
        /// Groups that this object tried and that failed it.
        failed: usize,
        /// What the last of them lacked.
        last: String,
    },
}

/// Why bytes of a chunk could not be read. No wrong byte was given out before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadChunkError {
    /// The cluster has no such placement group.
    #[error("chunk {chunk} is said to be in placement group {pg}, which the cluster does not have")]
    NoSuchGroup {
        /// The chunk.
        chunk: ChunkId,
        /// The group that its reference names.
        pg: PgId,
    },
    /// The reference contradicts itself, or the range goes past its end.
    #[error("bytes {start}..{end} of chunk {chunk} were asked for: {reason}")]
    BadRange {
        /// The chunk.
        chunk: ChunkId,
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// What is wrong with that.
        reason: &'static str,
    },
    /// Fewer shards of a stripe can be read intact than its profile needs.
    #[error(
        "stripe {stripe} of chunk {chunk} in placement group {pg} has {intact} readable shards of the \
         {needed} it takes: {}",
        list(faults)
    )]
    Unreadable {
        /// The placement group.
        pg: PgId,
        /// The chunk.
        chunk: ChunkId,
        /// The stripe.
        stripe: u32,
        /// Shards that were read intact.
        intact: usize,
        /// Shards that it takes.
        needed: usize,
        /// What each other disk answered.
        faults: Vec<(DiskId, String)>,
    },
    /// Every block was intact where it stood, and yet the whole is not what was written.
    #[error("chunk {chunk} in placement group {pg} does not have the BLAKE3 of its manifest")]
    Damaged {
        /// The placement group.
        pg: PgId,
        /// The chunk.
        chunk: ChunkId,
    },
}

/// Why a chunk is not, or not everywhere, deleted. Deleting it again is safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeleteChunkError {
    /// The cluster has no such placement group.
    #[error("chunk {chunk} is said to be in placement group {pg}, which the cluster does not have")]
    NoSuchGroup {
        /// The chunk.
        chunk: ChunkId,
        /// The group that its reference names.
        pg: PgId,
    },
    /// Some disks of the group could not be asked, and may still have shards of the chunk.
    #[error("chunk {chunk} may still have shards on some disks: {}", list(disks))]
    Partial {
        /// The chunk.
        chunk: ChunkId,
        /// Those disks, and why.
        disks: Vec<(DiskId, String)>,
    },
}

/// Why the chunks of a placement group could not be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListChunksError {
    /// The cluster has no such placement group.
    #[error("the cluster has no placement group {pg}")]
    NoSuchGroup {
        /// The group asked for.
        pg: PgId,
    },
    /// No disk of the group could be listed.
    #[error("no disk of placement group {pg} could be listed: {}", list(faults))]
    NoDisk {
        /// The group.
        pg: PgId,
        /// What each disk answered.
        faults: Vec<(DiskId, String)>,
    },
}

/// Why a position of a placement group could not be repaired. What was rebuilt before is in place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepairError {
    /// The cluster has no such placement group, or the group no such position.
    #[error("the cluster has no position {position} in placement group {pg}")]
    NoSuchPosition {
        /// The group asked for.
        pg: PgId,
        /// The position asked for.
        position: usize,
    },
    /// The disk at that position takes no shards.
    #[error("position {position} of placement group {pg} is on disk {disk}, which {reason}")]
    Target {
        /// The group.
        pg: PgId,
        /// The position.
        position: usize,
        /// The disk there.
        disk: DiskId,
        /// What it cannot do.
        reason: String,
    },
    /// Too few other disks could be listed to know what the position lacks.
    #[error(
        "{listed} disks of placement group {pg} could be listed, and it takes {needed} to rebuild \
         anything: {}",
        list(faults)
    )]
    TooFewPeers {
        /// The group.
        pg: PgId,
        /// Disks that could be listed.
        listed: usize,
        /// Data shards of the profile.
        needed: usize,
        /// What the others answered.
        faults: Vec<(DiskId, String)>,
    },
}

/// "disk A: what it said; disk B: ..." for a message.
fn list(faults: &[(DiskId, String)]) -> String {
    let lines: Vec<String> = faults
        .iter()
        .map(|(disk, fault)| format!("disk {disk}: {fault}"))
        .collect();
    lines.join("; ")
}
