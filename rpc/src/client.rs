//! The calling end: a [`Network`] of [`Peer`]s. A peer connects when it is first called, again when a
//! connection has ended, and tells at once when its node is known to be gone.

mod call;
mod connect;
mod lane;
mod peer;

pub use call::Call;
pub use peer::Peer;

use crate::node::Node;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::ids::NodeId;

/// This process and the nodes that it can call.
#[derive(Debug)]
pub struct Network {
    node: Arc<Node>,
    peers: RwLock<BTreeMap<NodeId, Peer>>,
}

impl Network {
    /// A network that knows nobody yet.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self {
            node,
            peers: RwLock::default(),
        }
    }

    /// Takes over the addresses (`host:port`) of a cluster map. Connections to nodes whose addresses stay
    /// the same go on; those to nodes that are gone from the map end with the calls under way.
    pub fn update(&self, addresses: BTreeMap<NodeId, Vec<String>>) {
        let mut peers = self.peers.write();
        peers.retain(|id, peer| {
            let stays = addresses.contains_key(id);
            if !stays {
                peer.close("the node is not in the cluster map any more");
            }
            stays
        });
        for (id, addresses) in addresses {
            match peers.get(&id) {
                Some(peer) => peer.set_addresses(addresses),
                None => {
                    peers.insert(id, Peer::new(self.node.clone(), id, addresses));
                }
            }
        }
    }

    /// The node with this id; `None` if it is not in the cluster map. The handle is cheap to clone and
    /// may be kept: it follows changes of the node's addresses.
    #[must_use]
    pub fn peer(&self, id: NodeId) -> Option<Peer> {
        self.peers.read().get(&id).cloned()
    }

    /// All of them.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.peers.read().values().cloned().collect()
    }

    /// This process.
    #[must_use]
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for peer in self.peers.get_mut().values() {
            peer.close("this process is stopping");
        }
    }
}
