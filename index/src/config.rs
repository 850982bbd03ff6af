//! What an index is opened with.

use std::path::PathBuf;
use std::time::Duration;
use types::limits::WRITE_DEADLINE;
use types::{Finalised, RegionId, RunOn};

/// Configuration of the index role.
#[derive(Debug, Clone)]
pub struct IndexConfig {
    /// Folder of the engine; created if it is absent.
    pub dir: PathBuf,
    /// The region of this index: part of every order it gives.
    pub region: RegionId,
    /// Epoch of the region as a home; raised by a promotion.
    pub home_epoch: u32,
    /// Partitions that hold buckets, at least 1. May grow from one start to the next, never shrink.
    pub data_partitions: u32,
    /// Bytes of memory for cached blocks of the engine.
    pub cache_bytes: usize,
    /// Bytes of memory for writes that the engine has in its log and not yet in files. For moments, while
    /// files are written, it takes half as much again.
    pub write_buffer_bytes: usize,
    /// Age of its oldest chunk at which a commit is refused; see `types::limits::WRITE_DEADLINE`.
    pub write_deadline: Duration,
    /// What the partitions' commits run on.
    pub run_on: RunOn,
    /// The format of what is written.
    pub finalised: Finalised,
}

impl IndexConfig {
    /// The defaults, with the engine in `dir`.
    #[must_use]
    pub fn in_dir(dir: PathBuf) -> Self {
        Self {
            dir,
            region: RegionId(1),
            home_epoch: 1,
            data_partitions: 4,
            cache_bytes: 256 << 20,
            write_buffer_bytes: 64 << 20,
            write_deadline: WRITE_DEADLINE,
            run_on: RunOn::Threads,
            finalised: Finalised::default(),
        }
    }
}
