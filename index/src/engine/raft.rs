//! The engine that keeps each partition on several nodes: a Raft group of `openraft` per partition, all
//! groups of a node in one process and on two RocksDB databases.
//!
//! ```text
//! <dir>/log        votes and entries of all groups; one ordered write-ahead log, each write synced
//! <dir>/state      the partitions, laid out as `engine/rocks.rs` has them; no write-ahead log of its own:
//!                  after a crash it is as of its last flush, and the entries after that are applied anew
//! <dir>/snapshots  files that are sent to members that have fallen behind the log, and those received
//! ```
//! # To ensure correctness
//! - An entry is acknowledged when a quorum has it on stable storage; what it does follows from the entry
//!   and the state before it alone (`state_machine.rs`).
//! - Reads are proven to be after what was acknowledged before them (`group.rs`).
//! - The log is kept until a completed flush of all families makes it superfluous (`upkeep.rs`,
//!   `log_store.rs`, `snapshot.rs`).
//! - A node whose disk went back in time takes no part (`peers.rs`, `start.rs`).
//! - Whatever else goes wrong ends the engine: [`IndexStore::failure`] tells, and the process must end.

mod acks;
pub(crate) mod entry;
mod group;
mod log_store;
mod membership;
mod message;
mod network;
mod options;
mod peers;
mod receive;
mod report;
mod snapshot;
mod snapshot_file;
mod start;
mod state_machine;
mod types;
mod upkeep;

pub use membership::ChangeError;
pub use network::{Transport, TransportError};
pub use options::{BeforeSync, RaftOptions, Timing};
pub use peers::RolledBack;
pub use report::{GroupReport, MemberReport};
pub use start::{OpenRaftError, StartError};

use self::entry::Command;
use self::group::Group;
use self::message::NodeRecord;
use self::peers::Peers;
use crate::engine::limits::{check_batch, check_scan};
use crate::engine::rocks::records::Records;
use crate::engine::rocks::replica::Replica;
use crate::engine::rocks::space::Space;
use crate::store::{
    Batch, Change, IndexStore, Outcome, ScanPage, ScanRequest, Seq, StoreError, ValuesOfMany,
    Versioned,
};
use ::types::{Clock, NodeId, PartitionId};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the engine keeps in its directory.
pub const FOLDERS: [&str; 3] = ["log", "state", "snapshots"];

/// Told once why the engine has ended.
pub type OnFailure = Box<dyn Fn(&str) + Send + Sync>;

/// Partitions that are replicated.
pub struct RaftEngine {
    options: RaftOptions,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    records: Arc<Records>,
    replica: Arc<Replica>,
    log_space: Space,
    peers: Arc<Peers>,
    /// This node as it was when it was started.
    node: NodeRecord,
    groups: RwLock<BTreeMap<PartitionId, Arc<Group>>>,
    leadership: BTreeMap<PartitionId, upkeep::Leadership>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    failure: Arc<Failure>,
}

/// Why the engine has ended.
struct Failure {
    reason: OnceLock<String>,
    tell: OnFailure,
}

impl Failure {
    fn set(&self, reason: String) {
        tracing::error!(reason, "the index ends");
        // The first reason is the one that counts.
        if self.reason.set(reason).is_ok() {
            (self.tell)(self.reason.get().map_or("", String::as_str));
        }
    }
}

impl std::fmt::Debug for RaftEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RaftEngine")
            .field("node", &self.options.node)
            .finish_non_exhaustive()
    }
}

/// That a read is allowed: this node led the partition after it was asked for, and has applied everything
/// that was acknowledged before. Use it for the reads of one operation, and at once.
#[derive(Debug)]
pub struct Proof<'a> {
    engine: &'a RaftEngine,
    partition: PartitionId,
}

impl RaftEngine {
    fn group(&self, partition: PartitionId) -> Result<Arc<Group>, StoreError> {
        if let Some(reason) = self.failure.reason.get() {
            return Err(StoreError::Unavailable(format!(
                "the index ended: {reason}"
            )));
        }
        if let Some(group) = self.groups.read().get(&partition) {
            return Ok(Arc::clone(group));
        }
        if self.leadership.contains_key(&partition) {
            return Err(StoreError::Unavailable("the index is starting".to_owned()));
        }
        Err(StoreError::Moved(partition))
    }

    /// Waits until everything that was acknowledged before the call may be read here.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`] and [`StoreError::Unavailable`].
    pub async fn prove(&self, partition: PartitionId) -> Result<Proof<'_>, StoreError> {
        self.group(partition)?.prove().await?;
        Ok(Proof {
            engine: self,
            partition,
        })
    }

    /// Tells whether this node leads a partition: the epoch for its owner, which is greater than that of
    /// every leader before; `None` while another leads or none.
    ///
    /// # Panics
    /// When the engine was not opened with the partition.
    #[must_use]
    pub fn leadership(&self, partition: PartitionId) -> watch::Receiver<Option<u64>> {
        self.leadership[&partition].subscribe()
    }

    async fn write(
        &self,
        partition: PartitionId,
        command: Command,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.group(partition)?.write(command).await
    }

    /// Ends every group, writes the replica to files and waits until nothing is under way.
    pub async fn shutdown(&self) {
        self.halt().await;
        let replica = Arc::clone(&self.replica);
        let closed = tokio::task::spawn_blocking(move || replica.close()).await;
        if let Err(error) = closed {
            tracing::warn!(%error, "the replica was not written to files");
        }
    }

    /// Ends every group and leaves everything as it is: the next start applies what was not flushed.
    pub async fn halt(&self) {
        let groups = std::mem::take(&mut *self.groups.write());
        for group in groups.into_values() {
            if let Err(error) = group.raft.shutdown().await {
                tracing::warn!(%error, "a group did not end as it should");
            }
        }
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in &tasks {
            task.abort();
        }
        for task in tasks {
            // It was aborted.
            let _ = task.await;
        }
        self.settle().await;
    }

    /// Waits until what openraft has left behind has let go of the databases.
    async fn settle(&self) {
        for _ in 0..200 {
            if Arc::strong_count(&self.replica) == 1 && Arc::strong_count(&self.records) <= 2 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        tracing::warn!("something still holds the index open");
    }

    fn admit(&self, batches: &[Batch]) -> Result<(), StoreError> {
        batches.iter().try_for_each(check_batch)?;
        self.replica.admit(batches)?;
        self.log_space.admit(batches)
    }
}

impl Proof<'_> {
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Replica, PartitionId) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (replica, partition) = (Arc::clone(&self.engine.replica), self.partition);
        let read = tokio::task::spawn_blocking(move || read(&replica, partition));
        let read = read.await;
        read.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    /// See [`IndexStore::get`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        self.engine.replica.get(self.partition, key)
    }

    /// See [`IndexStore::scan`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scan(&self, request: ScanRequest) -> Result<ScanPage, StoreError> {
        self.read(move |replica, partition| replica.scan(partition, &request))
            .await
    }

    /// See [`IndexStore::changes`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn changes(&self, after: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.read(move |replica, partition| replica.changes(partition, after, limit))
            .await
    }

    /// See [`IndexStore::last_seq`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_seq(&self) -> Result<Seq, StoreError> {
        Ok(self.engine.replica.state(self.partition)?.last_seq)
    }
}

#[async_trait]
impl IndexStore for RaftEngine {
    fn leader_heard(&self, partition: PartitionId) -> Option<NodeId> {
        self.group(partition).ok()?.leader_heard()
    }

    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        self.admit(&batches)?;
        self.write(partition, Command::Commit(batches)).await
    }

    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError> {
        self.prove(partition).await?.get(key)
    }

    async fn get_many(
        &self,
        partition: PartitionId,
        keys: &[Bytes],
    ) -> Result<Vec<Option<Versioned>>, StoreError> {
        let proof = self.prove(partition).await?;
        let mut values = ValuesOfMany::default();
        for key in keys {
            if !values.take(proof.get(key)?) {
                break;
            }
        }
        Ok(values.0)
    }

    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        check_scan(&request)?;
        self.prove(partition).await?.scan(request).await
    }

    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.prove(partition).await?.changes(after, limit).await
    }

    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.write(partition, Command::Trim(up_to)).await.map(drop)
    }

    fn failure(&self) -> Option<String> {
        self.failure.reason.get().cloned()
    }

    /// Another node's owner may write, once it leads, before this one knows that it does not lead any more.
    fn has_other_writers(&self) -> bool {
        true
    }

    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        self.prove(partition).await?.last_seq()
    }
}

/// The node as others call it.
fn number(node: NodeId) -> u64 {
    u64::from(node.0)
}

#[cfg(test)]
mod tests;
