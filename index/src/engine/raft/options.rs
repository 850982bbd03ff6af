//! What a Raft engine is opened with.

use crate::engine::rocks::RocksOptions;
use openraft::{Config, SnapshotPolicy};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use types::{NodeId, PartitionId};

/// Times of a group. A leader that is killed is missed after `2 * election_max` at the most. If the first to
/// notice lacks entries that another has, openraft has it wait for as long again before it asks once more.
#[derive(Debug, Clone)]
pub struct Timing {
    /// How often a leader speaks. openraft looks at its clock every one and a half times that.
    pub heartbeat: Duration,
    /// A follower that hears nothing waits for `election_max` and then for a random time from here ...
    pub election_min: Duration,
    /// ... to here before it stands for election. A leader that no quorum has answered for as long serves
    /// nobody.
    pub election_max: Duration,
    /// Time after which a write whose fate is not known is answered.
    pub commit_deadline: Duration,
    /// Time for the proof that a read needs.
    pub read_deadline: Duration,
    /// How long a leader whose disk does not answer still says that it leads. A busy disk is no reason
    /// to elect another leader, a dead one is.
    pub stall_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(250),
            election_max: Duration::from_millis(400),
            commit_deadline: Duration::from_secs(5),
            read_deadline: Duration::from_secs(2),
            stall_max: Duration::from_secs(3),
        }
    }
}

/// Played between a request to write the log and the write, in tests of slow devices.
pub type BeforeSync = Arc<dyn Fn() + Send + Sync>;

/// What a Raft engine is opened with.
#[derive(Clone)]
pub struct RaftOptions {
    /// This node. An id is never used for another node, nor for this one with another disk.
    pub node: NodeId,
    /// Folder of the engine; made if it is not there.
    pub dir: PathBuf,
    /// The groups; the same on every node.
    pub partitions: Vec<PartitionId>,
    /// The other nodes that are configured, and where they are.
    pub peers: BTreeMap<NodeId, String>,
    /// Memory and reserves of the partitions. Its folder is not used.
    pub state: RocksOptions,
    /// Memory of the log. Its folder is not used.
    pub log: RocksOptions,
    /// Times.
    pub timing: Timing,
    /// Bytes and entries that are applied before the partitions are written to files: what a start applies
    /// anew, and up to twice that is what the logs hold.
    pub flush_bytes: u64,
    /// See `flush_bytes`.
    pub flush_entries: u64,
    /// How long a snapshot that nobody reads is kept, and the log with it, for a member to go on.
    pub snapshot_hold: Duration,
    /// For tests.
    pub before_sync: Option<BeforeSync>,
}

impl std::fmt::Debug for RaftOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RaftOptions")
            .field("node", &self.node)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl RaftOptions {
    /// The usual sizes and times.
    #[must_use]
    pub fn new(node: NodeId, dir: impl Into<PathBuf>, partitions: Vec<PartitionId>) -> Self {
        let dir = dir.into();
        let log = RocksOptions {
            block_cache_bytes: 8 * 1024 * 1024,
            ..RocksOptions::new(dir.join("log"))
        };
        Self {
            node,
            partitions,
            peers: BTreeMap::new(),
            state: RocksOptions::new(dir.join("state")),
            log,
            dir,
            timing: Timing::default(),
            flush_bytes: 64 * 1024 * 1024,
            flush_entries: 16 * 1024,
            snapshot_hold: Duration::from_secs(60),
            before_sync: None,
        }
    }

    /// openraft's form of it.
    pub(super) fn config(&self) -> Config {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let timing = &self.timing;
        Config {
            cluster_name: "index".to_owned(),
            heartbeat_interval: ms(timing.heartbeat),
            election_timeout_min: ms(timing.election_min),
            election_timeout_max: ms(timing.election_max),
            // When to flush, and which entries to remove then, is decided by bytes in `upkeep.rs`.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: u64::MAX,
            ..Config::default()
        }
    }
}
