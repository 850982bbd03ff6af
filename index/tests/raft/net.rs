//! A network in memory that loses, delays and reorders messages, and is cut one way or both.

use async_trait::async_trait;
use bytes::Bytes;
use index::engine::raft::{RaftEngine, Transport, TransportError};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use types::entropy::SeededEntropy;
use types::{Entropy, NodeId, PartitionId};

/// Messages longer than this are parts of snapshots, or many entries.
const LARGE_BYTES: usize = 16 * 1024;

#[derive(Debug, Default)]
struct Faults {
    /// From and to: what is sent so is lost.
    cut: BTreeSet<(NodeId, NodeId)>,
    lost_permille: u64,
    delay_max_ms: u64,
    /// Large messages that still get through; then none does.
    large_left: Option<u64>,
}

#[derive(Debug)]
pub struct Net {
    engines: Mutex<BTreeMap<NodeId, Weak<RaftEngine>>>,
    faults: Mutex<Faults>,
    random: SeededEntropy,
    pub large_bytes: AtomicU64,
}

impl Net {
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            engines: Mutex::default(),
            faults: Mutex::default(),
            random: SeededEntropy::new(seed),
            large_bytes: AtomicU64::new(0),
        })
    }

    pub fn join(&self, node: NodeId, engine: &Arc<RaftEngine>) {
        self.engines.lock().insert(node, Arc::downgrade(engine));
    }

    pub fn leave(&self, node: NodeId) {
        self.engines.lock().remove(&node);
    }

    pub fn transport(self: &Arc<Self>, me: NodeId) -> Arc<dyn Transport> {
        let net = Arc::clone(self);
        Arc::new(Port { me, net })
    }

    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.faults.lock().cut.insert((from, to));
    }

    /// Cuts `node` off from `others`, both ways.
    pub fn isolate(&self, node: NodeId, others: impl IntoIterator<Item = NodeId>) {
        for other in others.into_iter().filter(|other| *other != node) {
            self.cut(node, other);
            self.cut(other, node);
        }
    }

    pub fn heal(&self) {
        *self.faults.lock() = Faults::default();
    }

    pub fn disturb(&self, lost_permille: u64, delay_max_ms: u64) {
        let mut faults = self.faults.lock();
        faults.lost_permille = lost_permille;
        faults.delay_max_ms = delay_max_ms;
    }

    pub fn let_large_through(&self, count: Option<u64>) {
        self.faults.lock().large_left = count;
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.next_u64() % bound.max(1)
    }

    /// Takes a message from one node to another; false when it is lost.
    async fn carry(&self, from: NodeId, to: NodeId, bytes: usize) -> bool {
        let delay_ms = {
            let mut faults = self.faults.lock();
            if faults.cut.contains(&(from, to)) || self.below(1000) < faults.lost_permille {
                return false;
            }
            if bytes > LARGE_BYTES {
                match &mut faults.large_left {
                    Some(0) => return false,
                    Some(left) => *left -= 1,
                    None => {}
                }
                self.large_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            }
            // Each message has a delay of its own: so they overtake each other.
            self.below(faults.delay_max_ms + 1)
        };
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        true
    }
}

#[derive(Debug)]
struct Port {
    me: NodeId,
    net: Arc<Net>,
}

#[async_trait]
impl Transport for Port {
    async fn send(
        &self,
        to: NodeId,
        _address: &str,
        partition: PartitionId,
        message: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, TransportError> {
        let unreachable = |reason: &str| Err(TransportError::Unreachable(to, reason.to_owned()));
        let (me, net) = (self.me, Arc::clone(&self.net));
        let sent = async move {
            if !net.carry(me, to, message.len()).await {
                return std::future::pending().await;
            }
            let engine = net.engines.lock().get(&to).and_then(Weak::upgrade)?;
            let answer = engine.receive(me, partition, message).await;
            drop(engine);
            if !net.carry(to, me, answer.len()).await {
                return std::future::pending().await;
            }
            Some(answer)
        };
        // What has arrived takes effect although nobody waits for the answer any more.
        let mut sent = tokio::spawn(sent);
        let answer = tokio::time::timeout(deadline, &mut sent).await;
        match answer {
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(_) => unreachable("it is down"),
            Err(_) => {
                let lost = tokio::time::timeout(deadline, sent);
                tokio::spawn(lost);
                unreachable("no answer")
            }
        }
    }
}
