//! Calls between the nodes of a region: what the other crates want carried, over `rpc`, and the methods that answer.
//!
//! | method | message | body | answer's body |
//! |---|---|---|---|
//! | `index.raft` | the partition | openraft's message | openraft's answer |
//! | `index.ask` | | a request of `index::remote` | its answer |
//! | `shard.*` | a record of `chunkstore::remote` | a cell | blocks; long records of lists |

use crate::assemble::OpenDisk;
use crate::cluster::Cluster;
use async_trait::async_trait;
use bytes::Bytes;
use chunkstore::HealthSink;
use chunkstore::remote::{
    CallError as ShardCallError, Message, NodeCaller, ShardMethod, ShardService,
};
use index::engine::raft::{RaftEngine, Transport, TransportError};
use index::remote::{AnswerSize, CallError as IndexCallError, IndexCaller, IndexService, METHOD};
use rpc::body::{Body, BodyError};
use rpc::client::{Call, Network, Peer};
use rpc::error::{CallError, Failure};
use rpc::server::{Request, Response, Service};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use types::limits::{BATCH_BYTES_MAX, CELL_BYTES, RPC_BULK_BYTES};
use types::{NodeId, PartitionId, record};

const RAFT: &str = "index.raft";
/// Longest message of Raft: entries of several commits, or a part of a snapshot.
const RAFT_BYTES_MAX: usize = 24 * 1024 * 1024;
/// Longest group of commits, or page of a scan.
const INDEX_BYTES_MAX: usize = 72 * BATCH_BYTES_MAX;
/// Longest answer that is expected to be short: one value.
const VALUE_ANSWER_BYTES: usize = 3 * RPC_BULK_BYTES;
/// Longest body of a call to a disk: a cell and what it is wrapped in.
const SHARD_BYTES_MAX: usize = CELL_BYTES + 64 * 1024;
/// Records up to here go beside the body; longer ones, of lists, are the body.
const RECORD_BYTES: usize = 16 * 1024;

/// A disk of this node that has not answered another node for so long is marked: less than callers wait.
const DISK_SILENT: Duration = Duration::from_secs(8);

/// In `Failure::code`: the method's own failure, in its detail.
const OWN_FAILURE: u32 = 1;
/// In `Failure::code`: the node is starting; nothing was done.
const STARTING: u32 = 2;

record! {
    /// In front of openraft's message.
    pub struct RaftCall {
        1 => partition: PartitionId,
    }
}

/// Carries what this process asks of others.
#[derive(Debug, Clone)]
pub struct Calls {
    network: Arc<Network>,
}

/// Carries calls to the disks of one node.
#[derive(Debug)]
pub struct ShardCalls {
    network: Arc<Network>,
    node: NodeId,
}

impl Calls {
    /// Over `network`.
    pub fn new(network: Arc<Network>) -> Self {
        Self { network }
    }

    /// To the disks of `node`.
    pub fn to_disks_of(&self, node: NodeId) -> ShardCalls {
        ShardCalls {
            network: Arc::clone(&self.network),
            node,
        }
    }
}

fn peer(network: &Network, node: NodeId) -> Result<Peer, String> {
    let peer = network.peer(node);
    peer.ok_or_else(|| "the cluster map does not have it".to_owned())
}

/// The body of an answer, which `Peer::call` has in one piece.
async fn body_of(response: Response, max: usize) -> Result<Bytes, BodyError> {
    response.body.collect(max).await
}

#[async_trait]
impl Transport for Calls {
    async fn send(
        &self,
        to: NodeId,
        _address: &str,
        partition: PartitionId,
        message: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, TransportError> {
        let unreachable = |why: String| TransportError::Unreachable(to, why);
        let peer = peer(&self.network, to).map_err(unreachable)?;
        let header = RaftCall {
            partition,
            ..Default::default()
        };
        let call = Call::new(RAFT, header.encode(), deadline).with_body(message);
        let answer = peer.call(call).await.map_err(|error| match error {
            CallError::Refused { refused, .. } => TransportError::Refused(to, refused.to_string()),
            other => unreachable(other.to_string()),
        })?;
        let answer = body_of(answer, RPC_BULK_BYTES).await;
        answer.map_err(|error| unreachable(error.to_string()))
    }
}

#[async_trait]
impl IndexCaller for Calls {
    async fn call(
        &self,
        to: NodeId,
        request: Bytes,
        answer: AnswerSize,
        deadline: Duration,
    ) -> Result<Bytes, IndexCallError> {
        let peer = peer(&self.network, to).map_err(IndexCallError::NotSent)?;
        let (answer_bytes, is_bulk) = match answer {
            AnswerSize::Short => (VALUE_ANSWER_BYTES, false),
            AnswerSize::Page => (INDEX_BYTES_MAX, true),
        };
        let call = Call {
            answer_bytes,
            is_bulk,
            ..Call::new(METHOD, Bytes::new(), deadline).with_body(request)
        };
        let answer = peer.call(call).await.map_err(|error| match &error {
            _ if error.is_certainly_not_executed() => IndexCallError::NotSent(error.to_string()),
            CallError::Failed { failure, .. } if failure.code == STARTING => {
                IndexCallError::NotSent(error.to_string())
            }
            _ => IndexCallError::Unknown(error.to_string()),
        })?;
        let answer = body_of(answer, answer_bytes).await;
        answer.map_err(|error| IndexCallError::Unknown(error.to_string()))
    }
}

/// A message of `chunkstore::remote` as a call's record and body, in either direction.
fn split(message: Message) -> (Bytes, Bytes) {
    if message.body.is_empty() && message.header.len() > RECORD_BYTES {
        return (Bytes::new(), message.header);
    }
    (message.header, message.body)
}

/// The inverse: a body without a record is a long record.
fn join(record: Bytes, body: Bytes) -> Message {
    if record.is_empty() {
        return Message {
            header: body,
            body: Bytes::new(),
        };
    }
    Message {
        header: record,
        body,
    }
}

#[async_trait]
impl NodeCaller for ShardCalls {
    async fn call(
        &self,
        method: ShardMethod,
        request: Message,
        deadline: Duration,
    ) -> Result<Message, ShardCallError> {
        let peer = peer(&self.network, self.node).map_err(ShardCallError::NotSent)?;
        let (record, body) = split(request);
        let answer_bytes = match method {
            ShardMethod::Read => SHARD_BYTES_MAX,
            ShardMethod::List | ShardMethod::Usage => 4 * CELL_BYTES,
            ShardMethod::Put | ShardMethod::Delete => RPC_BULK_BYTES,
        };
        let call = Call::new(method.name(), record, deadline);
        let call = call.with_body(body).answered_by(answer_bytes);
        let answer = peer.call(call).await.map_err(|error| match error {
            CallError::Failed { failure, .. } if failure.code == OWN_FAILURE => {
                ShardCallError::Failed(failure.detail)
            }
            CallError::Failed { failure, .. } if failure.code == STARTING => {
                ShardCallError::NotSent(failure.message)
            }
            error if error.is_certainly_not_executed() => {
                ShardCallError::NotSent(error.to_string())
            }
            error => ShardCallError::Unknown(error.to_string()),
        })?;
        let record = answer.message.clone();
        let body = body_of(answer, answer_bytes).await;
        let body = body.map_err(|error| ShardCallError::Unknown(error.to_string()))?;
        Ok(join(record, body))
    }
}

/// What answers other nodes; what is not there yet answers that the node is starting.
#[derive(Default)]
pub struct Answers {
    /// The engine, on nodes that keep the index.
    pub engine: OnceLock<Arc<RaftEngine>>,
    /// The disks of this node.
    shards: OnceLock<Arc<ShardService>>,
}

fn starting() -> Failure {
    Failure::new(STARTING, "the node is starting, or does not have this role")
}

fn malformed(error: impl std::fmt::Display) -> Failure {
    Failure::new(0, format!("the request cannot be read: {error}"))
}

async fn collect(body: Body, max: usize) -> Result<Bytes, Failure> {
    body.collect(max).await.map_err(malformed)
}

impl Answers {
    /// Answers for the disks of this node from now on, and tells `health` of those that fail.
    pub fn serve_disks(
        &self,
        opened: &[OpenDisk],
        cluster: &Cluster,
        health: &Arc<dyn HealthSink>,
    ) {
        let stores = opened.iter().map(|(local, _)| Arc::clone(&local.store));
        let shards = ShardService::new(stores, cluster.subscribe());
        let shards = shards.with_health(Arc::clone(health), DISK_SILENT);
        assert!(self.shards.set(Arc::new(shards)).is_ok(), "set once");
    }

    /// Adds the methods to `service`.
    pub fn serve(self: &Arc<Self>, service: Service) -> Service {
        let answers = Arc::clone(self);
        let service = service.unary(RAFT, RAFT_BYTES_MAX, move |context, request| {
            let answers = Arc::clone(&answers);
            async move { answers.raft(context.peer.node, request).await }
        });
        let answers = Arc::clone(self);
        let service = service.unary(METHOD, INDEX_BYTES_MAX, move |_, request| {
            let answers = Arc::clone(&answers);
            async move { answers.index(request).await }
        });
        ShardMethod::ALL
            .into_iter()
            .fold(service, |service, method| {
                let answers = Arc::clone(self);
                service.unary(method.name(), SHARD_BYTES_MAX, move |_, request| {
                    let answers = Arc::clone(&answers);
                    async move { answers.shard(method, request).await }
                })
            })
    }

    async fn raft(&self, from: NodeId, request: Request) -> Result<Response, Failure> {
        let engine = Arc::clone(self.engine.get().ok_or_else(starting)?);
        let call = RaftCall::decode(request.message).map_err(malformed)?;
        let message = collect(request.body, RAFT_BYTES_MAX).await?;
        // In a task of its own: it must not be left half done when the caller gives up.
        let received =
            tokio::spawn(async move { engine.receive(from, call.partition, message).await });
        let answer = received.await.map_err(malformed)?;
        Ok(Response {
            message: Bytes::new(),
            body: answer.into(),
        })
    }

    async fn index(&self, request: Request) -> Result<Response, Failure> {
        let engine = Arc::clone(self.engine.get().ok_or_else(starting)?);
        let message = collect(request.body, INDEX_BYTES_MAX).await?;
        let answer = IndexService::new(engine).handle(message).await;
        Ok(Response {
            message: Bytes::new(),
            body: answer.into(),
        })
    }

    async fn shard(&self, method: ShardMethod, request: Request) -> Result<Response, Failure> {
        let shards = self.shards.get().ok_or_else(starting)?;
        let body = collect(request.body, SHARD_BYTES_MAX).await?;
        let answered = shards.handle(method, join(request.message, body)).await;
        let (message, body) = split(answered.map_err(|detail| Failure {
            detail,
            ..Failure::new(OWN_FAILURE, "the disk's node says why")
        })?);
        Ok(Response {
            message,
            body: body.into(),
        })
    }
}
