//! How groups reach each other: the transport that the server gives, and openraft's clients on it.

use super::acks::Acks;
use super::entry::{CodecError, EntryRecord};
use super::log_store::LogStore;
use super::message::{AppendRecord, PartRecord, RequestRecord, ResponseRecord};
use super::peers::Peers;
use super::snapshot::{SnapshotData, SnapshotFile, Snapshots, read_part, snapshot_id};
use super::types::{AppendRequest, AppendResponse, LogId, Member, Snapshot, Types, Vote};
use async_trait::async_trait;
use bytes::Bytes;
use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{OptionalSend, RaftNetwork, RaftNetworkFactory};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use types::{Clock, NodeId, PartitionId};

/// Bytes of a part of a snapshot.
const PART_BYTES: u64 = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The node cannot be reached, or did not answer in time. It may have got the message.
    #[error("node {0} cannot be reached: {1}")]
    Unreachable(NodeId, String),
    /// The node does not serve the message.
    #[error("node {0} refuses: {1}")]
    Refused(NodeId, String),
}

/// Carries messages between nodes. Messages may be lost, repeated, delayed and overtake each other; they may
/// not be forged or changed.
#[async_trait]
pub trait Transport: Send + Sync + std::fmt::Debug {
    /// Gives `message` about `partition` to the engine of node `to` (its `receive`) and returns the answer.
    /// A message has up to about 16 MiB.
    /// `address` is what the group knows of the node. Gives up after `deadline`.
    ///
    /// # Errors
    /// [`TransportError`].
    async fn send(
        &self,
        to: NodeId,
        address: &str,
        partition: PartitionId,
        message: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, TransportError>;
}

/// What the clients of one group share.
#[derive(Debug)]
pub struct Link {
    /// This node.
    pub me: u64,
    /// The group.
    pub partition: PartitionId,
    /// The way out.
    pub transport: Arc<dyn Transport>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who has answered.
    pub acks: Acks,
    /// What is known of the others.
    pub peers: Arc<Peers>,
    /// This node's log, for its vote.
    pub log: LogStore,
    /// Files to send.
    pub snapshots: Arc<Snapshots>,
    /// Pause after a failure.
    pub backoff: Duration,
    /// Time for a part of a snapshot, and for its installation.
    pub part_deadline: Duration,
    /// See `part_deadline`.
    pub install_deadline: Duration,
}

impl Link {
    /// Sends a request and reads its answer.
    pub async fn ask(
        &self,
        to: u64,
        address: &str,
        request: &RequestRecord,
        deadline: Duration,
    ) -> Result<ResponseRecord, TransportError> {
        let node = node_id(to);
        let message = request.to_message();
        let sent = self
            .transport
            .send(node, address, self.partition, message, deadline);
        let answer = tokio::time::timeout(deadline, sent).await;
        let answer = answer.unwrap_or_else(|_| {
            let reason = format!("no answer in {deadline:?}");
            Err(TransportError::Unreachable(node, reason))
        })?;
        let refused = |reason| TransportError::Refused(node, reason);
        let answer = ResponseRecord::from_message(&answer);
        let answer = answer.map_err(|error| refused(error.to_string()))?;
        match answer.refusal {
            Some(reason) => Err(refused(reason)),
            None => Ok(answer),
        }
    }

    /// Sends entries, or none, as the leader by their vote.
    pub async fn append(
        &self,
        to: u64,
        address: &str,
        append: AppendRecord,
        deadline: Duration,
    ) -> Result<AppendResponse, TransportError> {
        let vote = append.vote.vote();
        let sent = self.clock.monotonic();
        if self.acks.is_silent(vote, sent) {
            let reason = "this node leads no quorum and keeps silent".to_owned();
            return Err(TransportError::Unreachable(node_id(to), reason));
        }
        self.acks.sending(vote, to, sent);
        let last = append.entries.last().map(|entry| entry.at.log_id());
        let append = Some(append);
        let request = RequestRecord {
            append,
            ..RequestRecord::default()
        };
        let answer = self.ask(to, address, &request, deadline).await?;
        let answer = answer.append.ok_or_else(|| no_answer(to))?;
        let answer = answer.response().map_err(|error| malformed(to, &error))?;
        if !matches!(answer, AppendResponse::HigherVote(_)) {
            self.acks.heard(vote, to, sent);
        }
        if matches!(answer, AppendResponse::Success) {
            self.peers.saw(to, self.partition, vote, last);
        }
        Ok(answer)
    }
}

/// The id of a node, which openraft counts in 64 bits.
pub fn node_id(node: u64) -> NodeId {
    NodeId(u32::try_from(node).unwrap_or(u32::MAX))
}

fn no_answer(to: u64) -> TransportError {
    TransportError::Refused(node_id(to), "it answered another question".to_owned())
}

fn malformed(to: u64, error: &CodecError) -> TransportError {
    TransportError::Refused(node_id(to), error.to_string())
}

/// Makes openraft's clients.
#[derive(Debug, Clone)]
pub struct Clients(pub Arc<Link>);

/// openraft's way to one other node.
#[derive(Debug)]
pub struct Client {
    link: Arc<Link>,
    to: u64,
    address: String,
    sending: Option<Sending>,
}

type Appended = Result<AppendResponse, TransportError>;

/// Entries on their way. openraft gives up after a heartbeat and asks again with the same ones: large ones
/// would never arrive, if each time they were sent anew.
#[derive(Debug)]
struct Sending {
    entries: (Vote, Option<LogId>, Option<LogId>),
    answer: JoinHandle<Appended>,
}

/// Milliseconds that openraft's deadline is stretched to for each KiB.
const MS_PER_KIB: u64 = 1;

impl RaftNetworkFactory<Types> for Clients {
    type Network = Client;

    async fn new_client(&mut self, to: u64, member: &Member) -> Client {
        Client {
            link: Arc::clone(&self.0),
            to,
            address: member.addr.clone(),
            sending: None,
        }
    }
}

type Failed = RPCError<u64, Member, RaftError<u64>>;

fn failed(error: &TransportError) -> Failed {
    // Of openraft's errors the one that makes it pause before it tries again.
    RPCError::Unreachable(Unreachable::new(error))
}

impl RaftNetwork<Types> for Client {
    async fn append_entries(
        &mut self,
        request: AppendRequest,
        option: RPCOption,
    ) -> Result<AppendResponse, Failed> {
        let last = request.entries.last().map(|entry| entry.log_id);
        let entries = (request.vote, request.prev_log_id, last);
        let same = self
            .sending
            .take()
            .filter(|sending| sending.entries == entries);
        let sending = same.unwrap_or_else(|| Sending {
            entries,
            answer: self.send(&request, option.hard_ttl()),
        });
        let sending = self.sending.insert(sending);
        let answer = (&mut sending.answer).await;
        self.sending = None;
        let ended = |error: tokio::task::JoinError| {
            TransportError::Unreachable(node_id(self.to), error.to_string())
        };
        let answer = answer.map_err(ended).and_then(|answer| answer);
        answer.map_err(|error| failed(&error))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, Failed> {
        let record = RequestRecord {
            vote: Some((&request).into()),
            ..RequestRecord::default()
        };
        let link = &self.link;
        let answer = link.ask(self.to, &self.address, &record, option.hard_ttl());
        let answer = answer.await.map_err(|error| failed(&error))?;
        let answer = answer.vote.ok_or_else(|| failed(&no_answer(self.to)))?;
        let answer = answer.response();
        if answer.vote_granted {
            link.peers.saw(self.to, link.partition, request.vote, None);
        }
        Ok(answer)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Types, Fatal<u64>>> {
        let sending = self.send_snapshot(vote, &snapshot);
        tokio::select! {
            closed = cancel => Err(closed.into()),
            sent = sending => sent.map_err(|error| Unreachable::new(&error).into()),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(self.link.backoff))
    }
}

/// Why a snapshot was not sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotSent(String);

impl Client {
    fn send(&self, request: &AppendRequest, deadline: Duration) -> JoinHandle<Appended> {
        let append = AppendRecord::from(request);
        let kib = append.entries.iter().map(EntryRecord::bytes).sum::<usize>() / 1024;
        let deadline = deadline.max(Duration::from_millis(kib as u64 * MS_PER_KIB));
        let (link, to, address) = (Arc::clone(&self.link), self.to, self.address.clone());
        tokio::spawn(async move { link.append(to, &address, append, deadline).await })
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: &Snapshot,
    ) -> Result<SnapshotResponse<u64>, NotSent> {
        let SnapshotData::Here(snapshots) = snapshot.snapshot.as_ref() else {
            return Err(NotSent("it has arrived from elsewhere".to_owned()));
        };
        // A file is large: it is not made for a member that is not there.
        let link = &self.link;
        let pulse = AppendRecord::pulse(&vote);
        let answer = link.append(self.to, &self.address, pulse, link.part_deadline);
        match answer.await {
            Ok(AppendResponse::HigherVote(newer)) => return Ok(SnapshotResponse::new(newer)),
            Ok(_) => {}
            Err(error) => return Err(NotSent(error.to_string())),
        }
        let file = snapshots.file(snapshot.meta.last_log_id).await;
        let file = file.map_err(|error| NotSent(error.to_string()))?;
        tracing::info!(
            partition = self.link.partition.0,
            to = self.to,
            bytes = file.length,
            "a snapshot is sent"
        );
        let mut offset = None;
        loop {
            let part = self.part(vote, &file, offset).await?;
            let deadline = if part.install {
                self.link.install_deadline
            } else {
                self.link.part_deadline
            };
            let request = RequestRecord {
                part: Some(part),
                ..RequestRecord::default()
            };
            let answer = self.link.ask(self.to, &self.address, &request, deadline);
            let answer = answer.await.map_err(|error| NotSent(error.to_string()))?;
            let arrived = answer.part.ok_or_else(|| NotSent("no answer".to_owned()))?;
            snapshots.touch();
            let theirs = arrived.vote.vote();
            if theirs > vote || arrived.is_installed {
                return Ok(SnapshotResponse::new(theirs));
            }
            offset = Some(arrived.bytes);
        }
    }

    /// The part at `offset`; before the receiver has said where it stands, only the question.
    async fn part(
        &self,
        vote: Vote,
        file: &SnapshotFile,
        offset: Option<u64>,
    ) -> Result<PartRecord, NotSent> {
        let at = offset.unwrap_or_default();
        let length = offset.map_or(0, |at| file.length.saturating_sub(at).min(PART_BYTES));
        let mut part = Bytes::new();
        if length > 0 {
            let path = file.path.clone();
            let read = tokio::task::spawn_blocking(move || read_part(&path, at, length as usize));
            let read = read.await.map_err(|error| NotSent(error.to_string()))?;
            part = read.map_err(|error| NotSent(error.to_string()))?.into();
        }
        Ok(PartRecord {
            vote: (&vote).into(),
            id: snapshot_id(&file.at),
            at: (&file.at).into(),
            offset: at,
            part,
            install: offset.is_some_and(|at| at >= file.length),
            ..PartRecord::default()
        })
    }
}
