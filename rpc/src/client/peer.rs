//! One node that can be called.

use super::lane::Lane;
use crate::node::Node;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use types::ids::NodeId;

/// A handle to one node. Clones share its connections.
#[derive(Clone)]
pub struct Peer {
    pub(super) shared: Arc<Shared>,
    small: Arc<Lane>,
    bulk: Arc<[Arc<Lane>]>,
}

/// What the connections to a peer have in common.
pub struct Shared {
    pub node: Arc<Node>,
    pub id: NodeId,
    addresses: RwLock<Vec<String>>,
    is_closed: AtomicBool,
    closed_because: RwLock<&'static str>,
    waiting: AtomicUsize,
    next_bulk: AtomicUsize,
    epoch: AtomicU64,
}

impl Peer {
    pub(super) fn new(node: Arc<Node>, id: NodeId, addresses: Vec<String>) -> Self {
        let bulk = node.limits.bulk_connections;
        Self {
            shared: Arc::new(Shared {
                node,
                id,
                addresses: RwLock::new(addresses),
                is_closed: AtomicBool::new(false),
                closed_because: RwLock::new(""),
                waiting: AtomicUsize::new(0),
                next_bulk: AtomicUsize::new(0),
                epoch: AtomicU64::new(0),
            }),
            small: Arc::new(Lane::new()),
            bulk: (0..bulk).map(|_| Arc::new(Lane::new())).collect(),
        }
    }

    /// Which node it is.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.shared.id
    }

    /// The highest epoch of the cluster map that the node's answers have named; 0 before the first.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shared.epoch.load(Ordering::Relaxed)
    }

    pub(super) fn set_addresses(&self, addresses: Vec<String>) {
        let mut current = self.shared.addresses.write();
        if *current != addresses {
            *current = addresses;
            drop(current);
            self.lanes().for_each(|lane| lane.close());
        }
    }

    pub(super) fn close(&self, why: &'static str) {
        *self.shared.closed_because.write() = why;
        self.shared.is_closed.store(true, Ordering::Release);
        self.lanes().for_each(|lane| lane.close());
    }

    fn lanes(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.bulk.iter().chain([&self.small])
    }

    /// The place for a call: bodies have connections of their own, so that small calls do not wait for
    /// what was written before them.
    pub(super) fn lane(&self, is_bulk: bool) -> &Arc<Lane> {
        match self.bulk.len() {
            0 => &self.small,
            _ if !is_bulk => &self.small,
            count => &self.bulk[self.shared.next_bulk.fetch_add(1, Ordering::Relaxed) % count],
        }
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Peer({} at {:?})",
            self.shared.id,
            self.shared.addresses.read()
        )
    }
}

/// A call that waits for a connection; it is counted as long as it does.
pub struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    pub fn addresses(&self) -> Vec<String> {
        self.addresses.read().clone()
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Whether calls may be made at all.
    pub fn is_open(&self) -> Result<(), String> {
        if self.is_closed() {
            return Err((*self.closed_because.read()).to_owned());
        }
        Ok(())
    }

    pub fn learn_epoch(&self, epoch: u64) {
        self.epoch.fetch_max(epoch, Ordering::Relaxed);
    }

    /// Takes one of the bounded places for calls that wait.
    pub fn wait(&self) -> Result<Waits<'_>, String> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waits = Waits(&self.waiting);
        if before >= self.node.limits.waiting {
            return Err(format!("{before} calls wait for it already"));
        }
        Ok(waits)
    }

    /// The pause after so many failures: it doubles up to its limit, and is cut by a random half, so
    /// that the nodes that lost a peer together do not come back together.
    pub fn pause(&self, failures: u32) -> Duration {
        let limits = &self.node.limits;
        let doubled = limits
            .backoff_min
            .saturating_mul(1 << failures.saturating_sub(1).min(16));
        let whole = doubled.min(limits.backoff_max);
        let part = self.node.entropy.next_u64() as f64 / u64::MAX as f64;
        whole.mul_f64(1.0 - part / 2.0)
    }
}
