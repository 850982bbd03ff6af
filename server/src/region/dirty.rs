//! What waits for repair goes to the node that repairs: the one that has the lease of the region's tasks.

use bytes::Bytes;
use chunkstore::ShardKey;
use rpc::client::{Call, Network};
use rpc::error::Failure;
use rpc::server::{Response, Service};
use scheduler::DirtyGroups;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;
use types::{ChunkId, NodeId, PgId, record};

/// The method's name on the wire.
pub const METHOD: &str = "repair.dirty";
/// Time between looks at what waits.
const EVERY: Duration = Duration::from_secs(1);
/// Time for an answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Shards, and groups, of one message: a few dozen bytes each.
const BATCH: usize = 1000;

/// Code of the failure that says that the node does not repair.
const NOT_WORKER: u32 = 1;
/// Code of the failure that says that the message cannot be read.
const UNREADABLE: u32 = 2;

record! {
    /// A shard that was found missing or damaged.
    pub struct ShardRecord {
        1 => pg: PgId,
        2 => chunk: ChunkId,
        3 => stripe: u32,
        4 => shard: u8,
    }
}

record! {
    /// What the sender found.
    pub struct Findings {
        1 => shards: Vec<ShardRecord>,
        /// Groups that may lack shards.
        2 => groups: Vec<PgId>,
    }
}

impl From<ShardKey> for ShardRecord {
    fn from(key: ShardKey) -> Self {
        Self {
            pg: key.pg,
            chunk: key.chunk,
            stripe: key.stripe,
            shard: key.shard,
            ..Default::default()
        }
    }
}

impl From<&ShardRecord> for ShardKey {
    fn from(record: &ShardRecord) -> Self {
        Self {
            pg: record.pg,
            chunk: record.chunk,
            stripe: record.stripe,
            shard: record.shard,
        }
    }
}

/// What the forwarding of findings is given.
#[derive(Clone)]
pub struct Forwarding {
    /// Ways to the other nodes.
    pub network: Arc<Network>,
    /// Who repairs.
    pub worker: watch::Receiver<Option<NodeId>>,
    /// What was found here. On the node that repairs nothing is taken out: its repair does that.
    pub dirty: Arc<DirtyGroups>,
}

/// Adds the method by which other nodes hand over what they found.
pub fn service(service: Service, forwarding: &Forwarding) -> Service {
    let forwarding = forwarding.clone();
    service.unary(METHOD, 0, move |_, request| {
        let answer = forwarding.take(request.message);
        async move { answer }
    })
}

/// Hands over what was found here to the node that repairs, again until it has taken it, until this is dropped.
/// What waits stays within the bounds of [`DirtyGroups`].
pub async fn run(forwarding: Forwarding) -> Infallible {
    loop {
        while forwarding.hand_over().await {}
        sleep(EVERY).await;
    }
}

impl Forwarding {
    fn is_worker(&self) -> bool {
        *self.worker.borrow() == Some(self.network.node().id().node)
    }

    fn take(&self, message: Bytes) -> Result<Response, Failure> {
        if !self.is_worker() {
            return Err(Failure::new(NOT_WORKER, "the node does not repair"));
        }
        let findings = Findings::decode(message);
        let findings = findings.map_err(|error| Failure::new(UNREADABLE, error.to_string()))?;
        for shard in &findings.shards {
            self.dirty.add_shard(shard.into());
        }
        for group in findings.groups {
            self.dirty.add(group);
        }
        Ok(Response::default())
    }

    /// Hands over a batch; whether there may be more to hand over at once.
    async fn hand_over(&self) -> bool {
        if self.is_worker() || self.dirty.is_empty() {
            return false;
        }
        let Some(worker) = *self.worker.borrow() else {
            return false;
        };
        let (shards, groups) = self.dirty.take(BATCH);
        let findings = Findings {
            shards: shards.iter().copied().map(ShardRecord::from).collect(),
            groups: groups.clone(),
            ..Default::default()
        };
        match self.send(worker, &findings).await {
            Ok(()) => true,
            Err(why) => {
                debug!(node = %worker, why, "findings were not handed over; they are kept");
                self.dirty.put_back(groups, shards);
                false
            }
        }
    }

    async fn send(&self, worker: NodeId, findings: &Findings) -> Result<(), String> {
        let peer = self.network.peer(worker).ok_or("it is not in the map")?;
        let call = Call::new(METHOD, findings.encode(), DEADLINE);
        let answer = peer.call(call).await;
        answer.map(drop).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
