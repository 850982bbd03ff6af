//! The disks of this node, and those of the others as this node reaches them.

use super::calls::Calls;
use crate::assemble::{OpenDisk, open_found, store_found};
use crate::cluster::ensure_writable;
use crate::config::Config;
use crate::disks;
use anyhow::{Context as _, Result};
use chunkstore::remote::RemoteNode;
use chunkstore::{ChunkStore, ShardStore};
use index::{Index, ReplaceError};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};
use types::{Clock, ClusterView, DiskId, DiskState, NodeId};

/// Time for a call to another node's disk. By then the map has long said whether the node is there.
const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// Changes of the map by others in the middle of ours, after which we give up.
const TRIES: usize = 50;

/// Brings the map in line with the disks found on this node, and opens them. Gives the view that holds then.
///
/// # Errors
/// A disk belongs elsewhere, or the index cannot be changed.
pub async fn open_own(
    config: &Config,
    index: &Index,
    me: NodeId,
    clock: &Arc<dyn Clock>,
) -> Result<(ClusterView, Vec<OpenDisk>)> {
    let found = disks::survey(&config.data)?;
    disks::warn_of_missing(&found);
    let view = change(index, |stored| disks::reconcile(stored, &found, me)).await?;
    let (opened, failed) = open_found(config, index, &view, &found, clock).await?;
    if failed.is_empty() {
        return Ok((view, opened));
    }
    let down = |stored: &ClusterView| {
        let mut next = stored.clone();
        next.map.epoch += 1;
        for disk in next.map.disks.iter_mut() {
            if failed.contains(&disk.id) && disk.state != DiskState::Removed {
                disk.state = DiskState::Down;
            }
        }
        Ok((next.map.disks != stored.map.disks).then_some(next))
    };
    Ok((change(index, down).await?, opened))
}

/// Changes the stored view by compare-and-set, again when others changed it meanwhile.
async fn change(
    index: &Index,
    change: impl Fn(&ClusterView) -> Result<Option<ClusterView>>,
) -> Result<ClusterView> {
    let mut tries = 0;
    loop {
        let stored = index.cluster_view().await?;
        let stored = stored.context("the index has no cluster map")?;
        let Some(mut changed) = change(&stored)? else {
            return Ok(stored);
        };
        if let Err(error) = ensure_writable(&mut changed) {
            warn!(%error, "writes are refused until a disk is back or replaced");
        }
        let error = match store_found(index, &stored, &changed).await {
            Ok(view) => return Ok(view),
            Err(error) => error,
        };
        tries += 1;
        let is_changed = matches!(error.downcast_ref(), Some(ReplaceError::Changed));
        if !is_changed || tries == TRIES {
            return Err(error);
        }
    }
}

/// The other nodes' disks behind one chunk store, kept in line with the map.
pub struct Others {
    me: NodeId,
    calls: Calls,
    state: Mutex<OthersState>,
}

#[derive(Default)]
struct OthersState {
    nodes: BTreeMap<NodeId, Arc<RemoteNode>>,
    disks: BTreeSet<DiskId>,
}

impl Others {
    /// None yet.
    pub fn new(me: NodeId, calls: Calls) -> Self {
        Self {
            me,
            calls,
            state: Mutex::default(),
        }
    }

    /// Stores for the disks of `view` that are not known yet.
    pub fn add(&self, view: &ClusterView) -> Vec<Arc<dyn ShardStore>> {
        let mut state = self.state.lock();
        let mut added: Vec<Arc<dyn ShardStore>> = Vec::new();
        for disk in &view.map.disks {
            if disk.node == self.me || disk.state == DiskState::Removed {
                continue;
            }
            if state.disks.insert(disk.id) {
                let node = state.nodes.entry(disk.node).or_insert_with(|| {
                    RemoteNode::new(Arc::new(self.calls.to_disks_of(disk.node)), CALL_DEADLINE)
                });
                added.push(node.disk(disk.id));
            }
        }
        added
    }

    /// Adds to `chunks` what is new in `view`, and takes out what was removed.
    pub fn follow(&self, view: &ClusterView, chunks: &ChunkStore) {
        for disk in self.add(view) {
            info!(disk = %disk.disk(), "a disk of another node is known");
            chunks.add_disk(disk);
        }
        let in_use: BTreeSet<DiskId> = view
            .map
            .disks
            .iter()
            .filter(|disk| disk.state != DiskState::Removed)
            .map(|disk| disk.id)
            .collect();
        let mut state = self.state.lock();
        let (kept, gone) = state.disks.iter().partition(|disk| in_use.contains(disk));
        state.disks = kept;
        let gone: BTreeSet<DiskId> = gone;
        for disk in gone {
            chunks.remove_disk(disk);
        }
    }

    /// Asks every node for the room on its disks; those that do not answer are taken to have room.
    pub async fn refresh(&self) {
        let nodes: Vec<_> = self.state.lock().nodes.values().cloned().collect();
        let asked = nodes.iter().map(|node| node.refresh_usage());
        // A node that does not answer is marked by others' evidence, not by this.
        let _ = futures::future::join_all(asked).await;
    }
}
