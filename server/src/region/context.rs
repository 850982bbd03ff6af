//! What the operator's side of a node works with: filled by the assembly, shared by the admin socket, the join
//! listener and the methods for other nodes.

use super::change;
use super::home::NodeHome;
use crate::cluster::Cluster;
use crate::format::Formats;
use anyhow::{Context, Result};
use index::Index;
use index::engine::raft::RaftEngine;
use rpc::client::Network;
use scheduler::DirtyGroups;
use std::sync::Arc;
use std::time::Duration;
use types::{Clock, ClusterView, Entropy, NodeId, NodeInfo};

/// Time for the index to tell the newest view, before an older one is told.
const VIEW_WAIT: Duration = Duration::from_secs(1);

/// The parts of a running node.
#[derive(Clone)]
pub struct AdminContext {
    /// The index of the region.
    pub index: Index,
    /// The published view, and the disks that are here.
    pub cluster: Arc<Cluster>,
    /// The other nodes, and this node's credentials.
    pub network: Arc<Network>,
    /// This node's partitions, if it keeps any.
    pub engine: Option<Arc<RaftEngine>>,
    /// This node's directory.
    pub home: Arc<NodeHome>,
    /// The format that this node writes.
    pub formats: Arc<Formats>,
    /// What waits for repair here.
    pub dirty: Arc<DirtyGroups>,
    /// Where others reach this node, as its configuration says; the map is told when it says something else.
    pub advertise: Option<String>,
    /// The port of this node's join listener.
    pub join_port: u16,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl AdminContext {
    /// This node.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.home.node()
    }

    /// The view that this node goes by; it may be a moment behind the stored one.
    #[must_use]
    pub fn view(&self) -> Arc<ClusterView> {
        self.cluster.subscribe().borrow().clone()
    }

    /// Whether no view has been published yet: the node waits for the index.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.cluster.subscribe().borrow().map.epoch == 0
    }

    /// The stored view.
    ///
    /// # Errors
    /// The index does not answer.
    pub async fn stored_view(&self) -> Result<ClusterView> {
        let view = self.index.cluster_view().await;
        view.context("the cluster map cannot be read")?
            .context("the region has no cluster map yet: start its first node")
    }

    /// The stored view, or where the index does not answer soon, the one that this node goes by.
    pub async fn newest_view(&self) -> ClusterView {
        let stored = tokio::time::timeout(VIEW_WAIT, self.index.cluster_view()).await;
        match stored {
            Ok(Ok(Some(view))) => view,
            _ => (*self.view()).clone(),
        }
    }

    /// Makes a change of the stored view. Nodes take it over within moments.
    ///
    /// # Errors
    /// See [`change::store`].
    pub async fn change<T>(
        &self,
        change: impl Fn(&ClusterView) -> Result<(ClusterView, T)>,
    ) -> Result<(ClusterView, T)> {
        change::store(&self.index, change).await
    }
}

/// The nodes of a view that take part.
pub fn in_use(view: &ClusterView) -> impl Iterator<Item = &NodeInfo> {
    view.map.nodes.iter().filter(|node| !node.is_removed)
}
