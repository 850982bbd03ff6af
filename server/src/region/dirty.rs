//! What waits for repair goes to the node that repairs: the one that keeps the cluster map.

use crate::region::beat::Beats;
use bytes::Bytes;
use chunkstore::ShardKey;
use rpc::client::{Call, Network};
use rpc::error::Failure;
use rpc::server::{Response, Service};
use scheduler::DirtyGroups;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
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
const NOT_KEEPER: u32 = 1;
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
pub struct Forwarding {
    /// Ways to the other nodes.
    pub network: Arc<Network>,
    /// Who keeps the map.
    pub beats: Arc<Beats>,
    /// What was found here. On the node that keeps the map nothing is taken out: its repair does that.
    pub dirty: Arc<DirtyGroups>,
}

/// Adds the method by which other nodes hand over what they found.
pub fn service(service: Service, beats: &Arc<Beats>, dirty: &Arc<DirtyGroups>) -> Service {
    let (beats, dirty) = (Arc::clone(beats), Arc::clone(dirty));
    service.unary(METHOD, 0, move |_, request| {
        let answer = take(&beats, &dirty, request.message);
        async move { answer }
    })
}

fn take(beats: &Beats, dirty: &DirtyGroups, message: Bytes) -> Result<Response, Failure> {
    if !beats.is_keeper() {
        return Err(Failure::new(NOT_KEEPER, "the node does not keep the map"));
    }
    let findings = Findings::decode(message);
    let findings = findings.map_err(|error| Failure::new(UNREADABLE, error.to_string()))?;
    for shard in &findings.shards {
        dirty.add_shard(shard.into());
    }
    findings.groups.iter().for_each(|group| dirty.add(*group));
    Ok(Response::default())
}

/// Hands over what was found here to the node that keeps the map, again until it has taken it, until this is dropped.
/// What waits stays within the bounds of [`DirtyGroups`].
pub async fn run(forwarding: Forwarding) -> Infallible {
    loop {
        while forwarding.hand_over().await {}
        sleep(EVERY).await;
    }
}

impl Forwarding {
    /// Hands over a batch; whether there may be more to hand over at once.
    async fn hand_over(&self) -> bool {
        if self.beats.is_keeper() || self.dirty.is_empty() {
            return false;
        }
        let Some(keeper) = self.beats.keeper() else {
            return false;
        };
        let (shards, groups) = self.dirty.take(BATCH);
        let findings = Findings {
            shards: shards.iter().copied().map(ShardRecord::from).collect(),
            groups: groups.clone(),
            ..Default::default()
        };
        match self.send(keeper, &findings).await {
            Ok(()) => true,
            Err(why) => {
                debug!(node = %keeper, why, "findings were not handed over; they are kept");
                self.dirty.put_back(groups, shards);
                false
            }
        }
    }

    async fn send(&self, keeper: NodeId, findings: &Findings) -> Result<(), String> {
        let peer = self.network.peer(keeper).ok_or("it is not in the map")?;
        let call = Call::new(METHOD, findings.encode(), DEADLINE);
        let answer = peer.call(call).await;
        answer.map(drop).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
