//! Who is connected, and whether one more may be.

use crate::error::{Refusal, Refused};
use crate::identity::NodeIdentity;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// A process that is connected, or wants to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Which node it is, as its certificate says.
    pub node: NodeIdentity,
    /// Drawn at random when it started.
    pub boot: [u8; 16],
    /// Where it calls from.
    pub address: SocketAddr,
    /// Its product version.
    pub product: String,
}

/// Decides on each connection after its hello.
pub trait Admission: Send + Sync {
    /// Whether `newcomer` may connect while `present` are connected under the same node id.
    ///
    /// # Errors
    /// Why not, and what to do.
    fn admit(&self, newcomer: &Caller, present: &[Caller]) -> Result<(), Refused>;
}

/// Refuses a node id that is connected already by another process: a copy of a node (of its virtual
/// machine or its disk) would be taken for the node.
///
/// A node that restarts is let in as soon as its old connections have ended: at once when the process
/// ended, after the ping's time-out when the machine lost its power.
#[derive(Debug, Clone, Copy, Default)]
pub struct RefuseCopies;

impl Admission for RefuseCopies {
    fn admit(&self, newcomer: &Caller, present: &[Caller]) -> Result<(), Refused> {
        let Some(other) = present.iter().find(|caller| caller.boot != newcomer.boot) else {
            return Ok(());
        };
        let text = format!(
            "node {} is connected from {} already, by another process: if {} is a copy of it, stop the \
             copy and let it join as a node of its own; if the node was restarted, it is let in when the \
             old connection has ended",
            newcomer.node.node, other.address, newcomer.address
        );
        Err(Refused::new(Refusal::Duplicate, text))
    }
}

/// Who is connected to a server.
#[derive(Default)]
pub(super) struct Present {
    connections: Mutex<BTreeMap<u64, Caller>>,
}

impl Present {
    /// Lets `newcomer` in as connection `id`, if `admission` agrees. It counts until the guard is dropped.
    pub fn enter(
        self: &Arc<Self>,
        id: u64,
        newcomer: &Caller,
        admission: &dyn Admission,
    ) -> Result<Entry, Refused> {
        let mut connections = self.connections.lock();
        let same = connections.values().filter(|at| at.node == newcomer.node);
        let same: Vec<Caller> = same.cloned().collect();
        admission.admit(newcomer, &same)?;
        connections.insert(id, newcomer.clone());
        Ok(Entry {
            present: self.clone(),
            id,
        })
    }

    /// Every process that is connected, once for each connection.
    pub fn list(&self) -> Vec<Caller> {
        self.connections.lock().values().cloned().collect()
    }
}

/// The place of one connection among those present.
pub(super) struct Entry {
    present: Arc<Present>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.present.connections.lock().remove(&self.id);
    }
}
