//! Erasure-coded chunks on disks. Knows chunks, placement groups and bytes; never a bucket's name, a key or HTTP.
//!
//! Two halves meet at the trait [`ShardStore`]:
//! - [`ChunkStore`] cuts objects into chunks, stripes and cells, codes them, and spreads the shards over a placement
//!   group; it reads them back, verified, and makes lost ones again.
//! - [`DiskStore`] keeps shards on one disk.
//!
//! # Durability contract
//! - A put of a shard returns when its record is on stable storage (fdatasync) and can be read. It survives
//!   the loss of power at any later moment.
//! - A shard whose put did not return Ok is there whole or not at all; it may come to light later.
//! - A disk that fails a write or a sync takes no writes until it is opened again; what was put before is read as ever.
//! - A byte is given out only if it matches the checksum of the position that was asked for: damage,
//!   swapped blocks and swapped records are errors, never wrong bytes.
//! - A deleted shard may come back after a crash. Ids are never reused, so that is garbage, not wrong data.

pub mod block;
mod buffers;
pub mod catalog;
mod chunk_store;
pub mod disk;
#[cfg(test)]
mod disk_fixtures;
pub mod erasure;
mod error;
mod health;
pub mod identity;
mod ledger;
pub mod metrics;
mod placement;
mod recover;
pub mod remote;
mod repair;
mod scrub;
mod shard;
mod shared;
mod store;
mod stripe;
pub mod testing;
pub mod volume;

pub use catalog::rocks::CatalogMemory;
pub use chunk_store::{
    ChunkPage, ChunkStore, ChunkStoreOptions, ReadMemory, StoredChunk, WriteTarget,
};
pub use error::{DeleteChunkError, ListChunksError, ReadChunkError, RepairError, WriteError};
pub use health::{Finding, HealthSink, NoHealthSink, ShardFault};
pub use recover::{RecoverError, RecoveryReport};
pub use repair::{LostStripe, RepairReport, RepairScope};
pub use scrub::ScrubReport;
pub use shard::{
    DiskUsage, PutShardError, ReadShardError, ShardBlocks, ShardInfo, ShardKey, ShardRecord,
    ShardStore,
};
pub use store::{
    CATALOG_FOLDER, DiskConfig, DiskStore, OpenDiskError, VOLUME_BYTES_DEFAULT, VOLUME_BYTES_MAX,
};
pub use stripe::writer::{MissingShards, ObjectWriter, Written};
pub use volume::compact::{CompactBudget, CompactReport, DiskFinding, MaintainError};
