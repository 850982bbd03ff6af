//! Beats: every node calls every other one four times a second, so that all know whom they hear, whom the others
//! hear, and who keeps the cluster map.
//!
//! ```text
//! A: pulse ----> B      B has heard A, and knows whom A hears
//! A <---- pulse :B      A has heard B, and knows whom B hears
//! ```
//! # To ensure correctness
//! - A node is heard when something that it sent has arrived, and for no other reason: the map marks nodes down by
//!   this, and writers go on without those.
//! - Time in which this process did not run counts little ([`Listening`]): whoever was stopped for a while has
//!   not heard others, and must not take them for dead.
//! - A node does not take part before it [runs](Beats::run): it is not heard before it can serve.

mod listening;
mod pulse;

use self::listening::Listening;
use self::pulse::{HeardRecord, Pulse, RoomRecord};
use crate::cluster::Cluster;
use bytes::Bytes;
use chunkstore::DiskUsage;
use parking_lot::{Mutex, RwLock};
use rpc::client::{Call, Network, Peer};
use rpc::error::Failure;
use rpc::server::{Response, Service};
use scheduler::plan::outage::Heard;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, info, warn};
use types::{Clock, DiskId, NodeId};

/// The method's name on the wire.
pub const METHOD: &str = "node.beat";
/// Time between two beats to each node.
pub const EVERY: Duration = Duration::from_millis(250);
/// Time for an answer. Calls to a node that hangs pile up to four; they hold up nobody else.
const DEADLINE: Duration = Duration::from_secs(1);
/// A node that was heard so lately is there.
const FRESH: Duration = Duration::from_secs(1);
/// Time between looks at the room on this node's disks.
const USAGE_EVERY: Duration = Duration::from_secs(5);

/// Code of the failure that says that the node is not ready.
const NOT_READY: u32 = 1;
/// Code of the failure that says that the caller's pulse cannot be read.
const UNREADABLE: u32 = 2;

/// What [`Beats`] are made of.
pub struct BeatsOf {
    /// This process. Its epoch goes into each pulse.
    pub node: Arc<rpc::Node>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whether this node leads the control partition, and so keeps the map; `None` where it keeps no index.
    pub leadership: Option<watch::Receiver<Option<u64>>>,
    /// Room on each disk of this node. It may block, and is called on a thread for that.
    pub usage: Box<dyn Fn() -> Vec<(DiskId, DiskUsage)> + Send + Sync>,
}

/// A node as its last pulse shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// The node.
    pub id: NodeId,
    /// How long ago this node last heard it; zero for this node.
    pub heard: Duration,
    /// Epoch of the map that it goes by.
    pub epoch: u64,
    /// Its product version.
    pub product: String,
    /// It says that it keeps the map.
    pub keeps_map: bool,
    /// When its certificate ends, in milliseconds since the Unix epoch.
    pub certificate_end_ms: u64,
    /// Room on its disks.
    pub disks: Vec<(DiskId, DiskUsage)>,
}

/// The last that was heard of another node.
struct Seen {
    /// By [`Listening`].
    at: Duration,
    pulse: Pulse,
}

impl Seen {
    fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.at)
    }
}

/// Who hears whom, as far as this node knows.
pub struct Beats {
    of: BeatsOf,
    listening: Listening,
    /// When this node began to listen, by [`Listening`]; `None` while it does not.
    began: RwLock<Option<Duration>>,
    others: Mutex<BTreeMap<NodeId, Seen>>,
    room: Mutex<Vec<RoomRecord>>,
    epoch: watch::Sender<u64>,
}

impl Beats {
    /// Beats of this node, which begin when it [runs](Self::run).
    #[must_use]
    pub fn new(of: BeatsOf) -> Arc<Self> {
        Arc::new(Self {
            listening: Listening::new(Arc::clone(&of.clock)),
            of,
            began: RwLock::default(),
            others: Mutex::default(),
            room: Mutex::default(),
            epoch: watch::Sender::new(0),
        })
    }

    /// Adds the method that others call.
    #[must_use]
    pub fn service(self: &Arc<Self>, service: Service) -> Service {
        let beats = Arc::clone(self);
        service.unary(METHOD, 0, move |context, request| {
            let answer = beats.answer(context.peer.node, request.message);
            async move { answer }
        })
    }

    fn answer(&self, from: NodeId, message: Bytes) -> Result<Response, Failure> {
        if self.began().is_none() {
            return Err(Failure::new(NOT_READY, "the node is starting or stopping"));
        }
        let pulse = Pulse::decode(message);
        let pulse = pulse.map_err(|error| Failure::new(UNREADABLE, error.to_string()))?;
        self.hear(from, pulse);
        Ok(Response::of(self.pulse().encode()))
    }

    /// Beats to every node of `network` until it is dropped; at once when `cluster` has a new view, so that others
    /// learn of it.
    pub async fn run(self: Arc<Self>, network: Arc<Network>, cluster: Arc<Cluster>) -> Infallible {
        *self.began.write() = Some(self.listening.tick());
        let _stops = Stops(Arc::clone(&self));
        let (beating, _) = tokio::join!(self.beat(&network, &cluster), self.look_at_room());
        beating
    }

    async fn beat(self: &Arc<Self>, network: &Network, cluster: &Cluster) -> Infallible {
        let (mut calls, mut fresh) = (JoinSet::new(), BTreeSet::new());
        let mut views = cluster.subscribe();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = views.changed() => ticks.reset(),
            }
            self.of
                .node
                .raise_epoch(views.borrow_and_update().map.epoch);
            self.listening.tick();
            while calls.try_join_next().is_some() {}
            let peers = network.peers();
            self.forget_all_but(&peers);
            let message = Bytes::from(self.pulse().encode());
            for peer in peers {
                calls.spawn(Arc::clone(self).call(peer, message.clone()));
            }
            fresh = self.tell_changes(&fresh);
        }
    }

    async fn call(self: Arc<Self>, peer: Peer, message: Bytes) {
        let answer = peer.call(Call::new(METHOD, message, DEADLINE)).await;
        self.learn_epoch(peer.epoch());
        let pulse = answer.map(|answer| Pulse::decode(answer.message));
        match pulse {
            Ok(Ok(pulse)) => self.hear(peer.id(), pulse),
            Ok(Err(error)) => warn!(node = %peer.id(), %error, "a beat's answer cannot be read"),
            Err(error) => debug!(node = %peer.id(), %error, "a beat without an answer"),
        }
    }

    async fn look_at_room(self: &Arc<Self>) -> Infallible {
        loop {
            let beats = Arc::clone(self);
            let room = tokio::task::spawn_blocking(move || (beats.of.usage)()).await;
            let room = room.unwrap_or_default().into_iter().map(RoomRecord::from);
            *self.room.lock() = room.collect();
            sleep(USAGE_EVERY).await;
        }
    }

    fn hear(&self, node: NodeId, pulse: Pulse) {
        self.learn_epoch(pulse.epoch);
        let at = self.listening.now();
        self.others.lock().insert(node, Seen { at, pulse });
    }

    fn learn_epoch(&self, epoch: u64) {
        self.epoch.send_if_modified(|known| {
            let is_newer = epoch > *known;
            *known = epoch.max(*known);
            is_newer
        });
    }

    /// Forgets nodes that were taken out of the map.
    fn forget_all_but(&self, peers: &[Peer]) {
        let peers: BTreeSet<NodeId> = peers.iter().map(Peer::id).collect();
        self.others.lock().retain(|id, _| peers.contains(id));
    }

    /// Writes down who is heard again or not any more; returns who is.
    fn tell_changes(&self, before: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let now = self.listening.now();
        let others = self.others.lock();
        let fresh = others.iter().filter(|(_, seen)| seen.age(now) < FRESH);
        let fresh: BTreeSet<NodeId> = fresh.map(|(id, _)| *id).collect();
        drop(others);
        for node in before.difference(&fresh) {
            warn!(%node, "the node is not heard any more");
        }
        for node in fresh.difference(before) {
            info!(%node, "the node is heard");
        }
        fresh
    }

    fn pulse(&self) -> Pulse {
        let node = &self.of.node;
        let now = self.listening.now();
        let others = self.others.lock();
        let heard = others.iter().map(|(id, seen)| HeardRecord {
            node: *id,
            age_ms: u64::try_from(seen.age(now).as_millis()).unwrap_or(u64::MAX),
            ..Default::default()
        });
        Pulse {
            epoch: node.epoch(),
            product: node.product.clone(),
            keeps_since: self.keeps_since(),
            heard: heard.collect(),
            certificate_end_ms: node.identity.not_after_ms(),
            room: self.room.lock().clone(),
            ..Default::default()
        }
    }

    /// The epoch of this node's leadership of the control partition, while it leads.
    fn keeps_since(&self) -> Option<u64> {
        self.of
            .leadership
            .as_ref()
            .and_then(|leads| *leads.borrow())
    }

    /// Since when this node listens, by [`now`](Self::now); `None` while it does not.
    #[must_use]
    pub fn began(&self) -> Option<Duration> {
        *self.began.read()
    }

    /// The time by which ages are counted: it goes on only while this process runs.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.listening.now()
    }

    /// How long ago each node heard each other one, as far as this node knows.
    #[must_use]
    pub fn heard(&self) -> Heard {
        let (me, now) = (self.of.node.id().node, self.listening.now());
        let mut heard = Heard::new();
        for (id, seen) in self.others.lock().iter() {
            let age = seen.age(now);
            heard.insert((me, *id), age);
            for record in &seen.pulse.heard {
                let theirs = Duration::from_millis(record.age_ms);
                heard.insert((*id, record.node), theirs.saturating_add(age));
            }
        }
        heard
    }

    /// Every node that was heard since this one started and is still in the map, and this one.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeStatus> {
        let now = self.listening.now();
        let me = self.pulse().status(self.of.node.id().node, Duration::ZERO);
        let others = self.others.lock();
        let status = |(id, seen): (&NodeId, &Seen)| seen.pulse.status(*id, seen.age(now));
        let mut nodes: Vec<NodeStatus> = others.iter().map(status).collect();
        nodes.push(me);
        nodes.sort_by_key(|node| node.id);
        nodes
    }

    /// Who keeps the cluster map: of those who are heard and say so, the one that came to it last.
    #[must_use]
    pub fn keeper(&self) -> Option<NodeId> {
        let now = self.listening.now();
        let others = self.others.lock();
        let fresh = others.iter().filter(|(_, seen)| seen.age(now) < FRESH);
        let others = fresh.filter_map(|(id, seen)| Some((seen.pulse.keeps_since?, *id)));
        let me = self
            .keeps_since()
            .map(|since| (since, self.of.node.id().node));
        others.chain(me).max().map(|(_, id)| id)
    }

    /// The highest epoch of the map that any other node has named.
    #[must_use]
    pub fn epochs(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }
}

/// A node that does not beat any more does not answer beats either.
struct Stops(Arc<Beats>);

impl Drop for Stops {
    fn drop(&mut self) {
        *self.0.began.write() = None;
    }
}

#[cfg(test)]
mod tests;
