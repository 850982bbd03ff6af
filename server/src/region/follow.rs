//! Follows the cluster map: reads it again when anybody names a higher epoch, and sets this process up for it.

use crate::cluster::Cluster;
use crate::region::beat::Beats;
use futures::future::BoxFuture;
use index::Index;
use rpc::client::Network;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use types::{ClusterMap, ClusterView, NodeId};

/// Time after which the stored epoch is looked at even though nobody named a higher one.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Pause after an attempt to read a view that was named and not found.
const RETRY: Duration = Duration::from_millis(100);
/// Time between looks at the room on disks of other nodes.
const USAGE_EVERY: Duration = Duration::from_secs(5);

/// Saves who is where.
pub type SavePeers = Arc<dyn Fn(&ClusterMap) -> anyhow::Result<()> + Send + Sync>;

/// What a follower is given.
pub struct Following {
    /// Ways to the other nodes; their addresses are kept up to date.
    pub network: Arc<Network>,
    /// Where the map is stored.
    pub index: Index,
    /// Where it is published.
    pub cluster: Arc<Cluster>,
    /// Who names epochs.
    pub beats: Arc<Beats>,
    /// Called with the first view and with each newer one, when the addresses are those of the view: to add and
    /// remove disks of other nodes, and so on. It must not block.
    pub on_view: Box<dyn Fn(&ClusterView) + Send + Sync>,
    /// Saves who is where, for the next start; called with the first map and when nodes or their addresses have
    /// changed, on a thread that may block.
    pub save_peers: SavePeers,
    /// Asks other nodes for the room on their disks; called every few seconds.
    pub refresh_usage: Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    /// Cancelled when the map says that this node was taken out of it.
    pub removed: CancellationToken,
}

/// Follows the map until it is dropped.
pub async fn run(following: Following) -> Infallible {
    let (learning, _, _) = tokio::join!(
        following.learn(),
        following.set_up(),
        following.refresh_usage()
    );
    learning
}

/// Where all nodes but `me` are that were not taken out of the map.
pub fn addresses(map: &ClusterMap, me: NodeId) -> BTreeMap<NodeId, Vec<String>> {
    let in_use = map.nodes.iter().filter(|node| !node.is_removed);
    let others = in_use.filter(|node| node.id != me);
    others
        .map(|node| (node.id, node.addresses.clone()))
        .collect()
}

impl Following {
    fn me(&self) -> NodeId {
        self.network.node().id().node
    }

    async fn learn(&self) -> Infallible {
        let mut named = self.beats.epochs();
        loop {
            let published = self.cluster.view().map.epoch;
            if *named.borrow_and_update() > published {
                if !self.cluster.reload(&self.index).await {
                    sleep(RETRY).await;
                }
                continue;
            }
            tokio::select! {
                Ok(()) = named.changed() => {}
                () = sleep(LOOK_EVERY) => self.look().await,
            }
        }
    }

    /// Reads the view if the stored one is newer, though nobody has said so.
    async fn look(&self) {
        match self.index.cluster_epoch().await {
            Ok(stored) if stored > self.cluster.view().map.epoch => {
                self.cluster.reload(&self.index).await;
            }
            Ok(_) => {}
            Err(error) => debug!(%error, "the epoch of the cluster map could not be read"),
        }
    }

    async fn set_up(&self) -> Infallible {
        let mut views = self.cluster.subscribe();
        let mut saved = None;
        loop {
            let view = Arc::clone(&views.borrow_and_update());
            let node = self.network.node();
            self.network.update(addresses(&view.map, self.me()));
            node.raise_epoch(view.map.epoch);
            (self.on_view)(&view);
            self.stop_if_removed(&view.map);
            if saved.as_ref() != Some(&view.map.nodes) {
                self.save(&view).await;
                saved = Some(view.map.nodes.clone());
            }
            if views.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn stop_if_removed(&self, map: &ClusterMap) {
        match map.node(self.me()) {
            Some(node) if node.is_removed => {
                error!(node = %node.id, name = node.name, "this node was taken out of the cluster map: it stops");
                self.removed.cancel();
            }
            Some(_) => {}
            None => warn!(node = %self.me(), "the cluster map does not have this node"),
        }
    }

    async fn save(&self, view: &Arc<ClusterView>) {
        let (save, view) = (Arc::clone(&self.save_peers), Arc::clone(view));
        let saved = tokio::task::spawn_blocking(move || save(&view.map)).await;
        if let Ok(Err(error)) = saved {
            warn!(%error, "the other nodes' addresses could not be saved; the next start goes by older ones");
        }
    }

    async fn refresh_usage(&self) -> Infallible {
        loop {
            (self.refresh_usage)().await;
            sleep(USAGE_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests;
