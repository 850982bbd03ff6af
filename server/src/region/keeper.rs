//! Keeps the cluster map: marks nodes down that are not heard, and up again once they are. Runs on every node that
//! keeps partitions of the index, and acts on the one that leads the control partition.
//!
//! # To ensure correctness
//! - Each change is a compare-and-set on the epoch of the map that it was decided from. A node that has lost the
//!   leadership without knowing changes nothing, and what it takes for changed is read again.
//! - The disks of a node that comes back are remembered for repair before the map says that it is back.

use crate::cluster::{Cluster, ensure_writable};
use crate::region::beat::{Beats, EVERY};
use index::{Index, ReplaceError};
use scheduler::plan::outage::{OutageLimits, OutageWatch, Witness};
use scheduler::returned;
use scheduler::worker::StepError;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};
use types::{ChunkClusterId, ClusterMap, ClusterView, DiskInfo, DiskState, NodeId};

/// What a keeper is given.
pub struct Keeping {
    /// This node.
    pub me: NodeId,
    /// Whether it leads the control partition: `engine.leadership(CONTROL)`.
    pub leadership: watch::Receiver<Option<u64>>,
    /// Where the map is stored.
    pub index: Index,
    /// Where it is published.
    pub cluster: Arc<Cluster>,
    /// Who hears whom. Nothing is decided until they [run](Beats::run).
    pub beats: Arc<Beats>,
    /// Times to decide by.
    pub limits: OutageLimits,
}

/// Why the map could not be changed.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    /// The disks that came back could not be remembered.
    #[error("disks that came back could not be remembered for repair: {0}")]
    Remember(#[from] StepError),
    /// The map was not stored, or that is not known.
    #[error(transparent)]
    Replace(#[from] ReplaceError),
}

/// Keeps the map whenever this node leads the control partition, until it is dropped.
pub async fn run(keeping: Keeping) -> Infallible {
    let mut leadership = keeping.leadership.clone();
    loop {
        let Ok(led) = leadership.wait_for(Option::is_some).await.map(|led| *led) else {
            // The engine has ended, and the process is about to.
            return pending().await;
        };
        info!("this node keeps the cluster map");
        tokio::select! {
            never = keep(&keeping) => return never,
            _ = leadership.wait_for(|now| *now != led) => {}
        }
        info!("this node does not keep the cluster map any more");
    }
}

async fn keep(keeping: &Keeping) -> Infallible {
    let mut watch = None;
    loop {
        // Who has listened all the while knows at once whom it does not hear.
        if let Some(began) = keeping.beats.began() {
            let watch = watch.get_or_insert_with(|| OutageWatch::new(began));
            if let Err(error) = keeping.decide(watch).await {
                warn!(%error, "the cluster map could not be changed; it is decided again");
                keeping.cluster.reload(&keeping.index).await;
            }
        }
        sleep(EVERY).await;
    }
}

impl Keeping {
    async fn decide(&self, watch: &mut OutageWatch) -> Result<(), KeepError> {
        let view = self.cluster.view();
        let down = down(&view.map);
        let next = watch.decide(
            &witnesses(&view.map),
            self.me,
            &self.beats.heard(),
            (&down, self.beats.now()),
            self.limits,
        );
        if next == down {
            return Ok(());
        }
        let back: Vec<&DiskInfo> = disks_of(&view.map, down.difference(&next)).collect();
        if !back.is_empty() {
            returned::remember(&self.index, back.into_iter().map(|disk| disk.id)).await?;
        }
        let mut changed = ClusterView {
            map: view.map.with_nodes_down(&next),
            groups: view.groups.clone(),
        };
        if let Err(error) = ensure_writable(&mut changed) {
            warn!(%error, "writes stop until a node or disk is back");
        }
        self.cluster.change(&self.index, changed).await?;
        tell(&view.map, &down, &next);
        Ok(())
    }
}

fn tell(map: &ClusterMap, before: &BTreeSet<NodeId>, now: &BTreeSet<NodeId>) {
    let name = |node: &NodeId| map.node(*node).map(|info| info.name.clone());
    for node in now.difference(before) {
        warn!(%node, name = name(node), "the node is out: the others do not hear it");
    }
    for node in before.difference(now) {
        info!(%node, name = name(node), "the node is back");
    }
    let gone = now.difference(before).count() as u64;
    metrics::counter!("cairn_nodes_marked_down_total").increment(gone);
}

fn down(map: &ClusterMap) -> BTreeSet<NodeId> {
    let down = map
        .nodes
        .iter()
        .filter(|node| node.is_down && !node.is_removed);
    down.map(|node| node.id).collect()
}

fn witnesses(map: &ClusterMap) -> Vec<Witness> {
    let in_use = map.nodes.iter().filter(|node| !node.is_removed);
    let witness = in_use.map(|node| Witness {
        id: node.id,
        zone: node.zone,
        // Disks that are in no chunk cluster hold nothing that could be lost.
        disks: disks_of(map, [&node.id].into_iter())
            .filter(|disk| disk.cluster != ChunkClusterId::NONE)
            .count(),
    });
    witness.collect()
}

/// The disks of these nodes that were not replaced.
fn disks_of<'a>(
    map: &'a ClusterMap,
    nodes: impl Iterator<Item = &'a NodeId>,
) -> impl Iterator<Item = &'a DiskInfo> {
    let nodes: BTreeSet<NodeId> = nodes.copied().collect();
    let disks = map
        .disks
        .iter()
        .filter(move |disk| nodes.contains(&disk.node));
    disks.filter(|disk| disk.state != DiskState::Removed)
}

#[cfg(test)]
mod tests;
