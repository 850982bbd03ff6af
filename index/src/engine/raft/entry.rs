//! How log entries, votes and positions are persisted and sent: `types::wire` records, in the envelope
//! of `types::envelope` where they are stored.
//!
//! A record with a field that this binary does not know is refused, not passed over: a replica that
//! left something out of an entry would differ from the others for ever.

use super::types::{Entry, LogId, Member, Membership, Proposal, StoredMembership, Vote};
use crate::store::{Batch, Condition, Idempotency, Operation, Seq};
use bytes::Bytes;
use openraft::{CommittedLeaderId, EntryPayload};
use std::collections::{BTreeMap, BTreeSet};
use types::wire::DecodeError;
use types::{OpId, envelope, record};

/// What the owner of a partition asks of its replicas, in one entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Batches that take effect in order: one call of `commit_many`.
    Commit(Vec<Batch>),
    /// The feed is forgotten up to and including this commit.
    Trim(Seq),
}

/// Why stored or received bytes are no such record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes are damaged, or were written by a binary that this one does not understand.
    #[error("{0}")]
    Envelope(#[from] envelope::EnvelopeError),
    /// The bytes are no record.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// A newer binary wrote something that must not be passed over.
    #[error("{0} has a field that this binary does not know: start the newer binary")]
    Unknown(&'static str),
    /// A value that no binary writes.
    #[error("{0} has a kind that this binary does not know: start the newer binary")]
    Kind(&'static str),
}

record! {
    /// A place in the log.
    pub struct LogIdRecord {
        /// Term of the leader that proposed the entry.
        1 => term: u64,
        /// That leader.
        2 => node: u64,
        /// The place.
        3 => index: u64,
    }
}

record! {
    /// For whom a node has voted.
    pub struct VoteRecord {
        /// The term.
        1 => term: u64,
        /// The candidate.
        2 => node: u64,
        /// Whether a quorum granted it.
        3 => committed: bool,
    }
}

record! {
    /// A member of a group.
    pub struct MemberRecord {
        /// The node.
        1 => node: u64,
        /// Where it is reached.
        2 => address: String,
    }
}

record! {
    /// One set of voters.
    pub struct VotersRecord {
        /// The nodes.
        1 => nodes: Vec<u64>,
    }
}

record! {
    /// Who belongs to a group.
    pub struct MembershipRecord {
        /// Sets of voters; two while one takes over from the other.
        1 => configs: Vec<VotersRecord>,
        /// All nodes; those in no set are learners.
        2 => members: Vec<MemberRecord>,
    }
}

record! {
    /// How far a replica has applied the log, written with what it has applied.
    pub struct PositionRecord {
        /// The last entry.
        1 => applied: Option<LogIdRecord>,
        /// Entry of the last change of membership.
        2 => membership_at: Option<LogIdRecord>,
        /// The membership as of then.
        3 => membership: MembershipRecord,
    }
}

record! {
    /// A condition of a batch.
    pub struct ConditionRecord {
        1 => kind: u8,
        2 => key: Bytes,
        3 => seq: u64,
    }
}

record! {
    /// An operation of a batch.
    pub struct OperationRecord {
        1 => kind: u8,
        2 => key: Bytes,
        3 => value: Bytes,
    }
}

record! {
    /// A batch.
    pub struct BatchRecord {
        1 => conditions: Vec<ConditionRecord>,
        2 => operations: Vec<OperationRecord>,
        3 => feed: Bytes,
        4 => op_id: Option<OpId>,
        5 => outcome: Bytes,
        6 => epoch: u64,
    }
}

record! {
    /// A command: batches, or else a trim.
    pub struct CommandRecord {
        1 => batches: Vec<BatchRecord>,
        2 => trim: Option<u64>,
    }
}

record! {
    /// An entry of the log: a change of membership, commands, or nothing.
    pub struct EntryRecord {
        /// Its place.
        1 => at: LogIdRecord,
        /// The members from here on.
        2 => membership: Option<MembershipRecord>,
        /// Commands in order.
        3 => commands: Vec<CommandRecord>,
    }
}

macro_rules! known {
    ($($record:expr),*) => {$(
        if !$record.unknown.is_empty() {
            return Err(CodecError::Unknown(std::any::type_name_of_val(&$record)));
        }
    )*};
}

impl From<&LogId> for LogIdRecord {
    fn from(id: &LogId) -> Self {
        Self {
            term: id.leader_id.term,
            node: id.leader_id.node_id,
            index: id.index,
            ..Self::default()
        }
    }
}

impl LogIdRecord {
    /// The place.
    pub fn log_id(&self) -> LogId {
        LogId::new(CommittedLeaderId::new(self.term, self.node), self.index)
    }
}

impl From<&Vote> for VoteRecord {
    fn from(vote: &Vote) -> Self {
        Self {
            term: vote.leader_id.term,
            node: vote.leader_id.node_id,
            committed: vote.committed,
            ..Self::default()
        }
    }
}

impl VoteRecord {
    /// The vote.
    pub fn vote(&self) -> Vote {
        if self.committed {
            Vote::new_committed(self.term, self.node)
        } else {
            Vote::new(self.term, self.node)
        }
    }
}

impl From<&Membership> for MembershipRecord {
    fn from(membership: &Membership) -> Self {
        let voters = membership.get_joint_config().iter();
        let members = membership.nodes();
        Self {
            configs: voters
                .map(|nodes| VotersRecord {
                    nodes: nodes.iter().copied().collect(),
                    ..VotersRecord::default()
                })
                .collect(),
            members: members
                .map(|(node, member)| MemberRecord {
                    node: *node,
                    address: member.addr.clone(),
                    ..MemberRecord::default()
                })
                .collect(),
            ..Self::default()
        }
    }
}

impl MembershipRecord {
    /// The membership.
    pub fn membership(&self) -> Result<Membership, CodecError> {
        known!(self);
        let mut configs = Vec::with_capacity(self.configs.len());
        for config in &self.configs {
            known!(config);
            configs.push(config.nodes.iter().copied().collect::<BTreeSet<u64>>());
        }
        let mut members = BTreeMap::new();
        for member in &self.members {
            known!(member);
            members.insert(member.node, Member::new(&member.address));
        }
        Ok(Membership::new(configs, members))
    }
}

impl PositionRecord {
    /// The record of a position.
    pub fn new(applied: Option<LogId>, membership: &StoredMembership) -> Self {
        Self {
            applied: applied.as_ref().map(LogIdRecord::from),
            membership_at: membership.log_id().as_ref().map(LogIdRecord::from),
            membership: membership.membership().into(),
            ..Self::default()
        }
    }

    /// The position.
    pub fn position(&self) -> Result<(Option<LogId>, StoredMembership), CodecError> {
        known!(self);
        let at = self.membership_at.as_ref().map(LogIdRecord::log_id);
        let membership = StoredMembership::new(at, self.membership.membership()?);
        Ok((self.applied.as_ref().map(LogIdRecord::log_id), membership))
    }
}

const ABSENT: u8 = 1;
const EXISTS: u8 = 2;
const SEQ_IS: u8 = 3;

impl From<&Condition> for ConditionRecord {
    fn from(condition: &Condition) -> Self {
        let (kind, key, seq) = match condition {
            Condition::Absent(key) => (ABSENT, key, 0),
            Condition::Exists(key) => (EXISTS, key, 0),
            Condition::SeqIs(key, seq) => (SEQ_IS, key, *seq),
        };
        Self {
            kind,
            key: key.clone(),
            seq,
            ..Self::default()
        }
    }
}

impl ConditionRecord {
    fn condition(self) -> Result<Condition, CodecError> {
        known!(self);
        Ok(match self.kind {
            ABSENT => Condition::Absent(self.key),
            EXISTS => Condition::Exists(self.key),
            SEQ_IS => Condition::SeqIs(self.key, self.seq),
            _ => return Err(CodecError::Kind("a condition")),
        })
    }
}

const PUT: u8 = 1;
const DELETE: u8 = 2;
const RECLAIM: u8 = 3;

impl From<&Operation> for OperationRecord {
    fn from(operation: &Operation) -> Self {
        let (kind, key, value) = match operation {
            Operation::Put(key, value) => (PUT, key.clone(), value.clone()),
            Operation::Delete(key) => (DELETE, key.clone(), Bytes::new()),
            Operation::Reclaim(value) => (RECLAIM, Bytes::new(), value.clone()),
        };
        Self {
            kind,
            key,
            value,
            ..Self::default()
        }
    }
}

impl OperationRecord {
    fn operation(self) -> Result<Operation, CodecError> {
        known!(self);
        Ok(match self.kind {
            PUT => Operation::Put(self.key, self.value),
            DELETE => Operation::Delete(self.key),
            RECLAIM => Operation::Reclaim(self.value),
            _ => return Err(CodecError::Kind("an operation")),
        })
    }
}

impl From<&Batch> for BatchRecord {
    fn from(batch: &Batch) -> Self {
        let idempotency = batch.idempotency.as_ref();
        Self {
            conditions: batch.conditions.iter().map(Into::into).collect(),
            operations: batch.operations.iter().map(Into::into).collect(),
            feed: batch.feed.clone(),
            op_id: idempotency.map(|id| id.op_id),
            outcome: idempotency.map_or_else(Bytes::new, |id| id.outcome.clone()),
            epoch: batch.epoch,
            ..Self::default()
        }
    }
}

impl BatchRecord {
    fn batch(self) -> Result<Batch, CodecError> {
        known!(self);
        let conditions = self.conditions.into_iter().map(ConditionRecord::condition);
        let operations = self.operations.into_iter().map(OperationRecord::operation);
        let outcome = self.outcome;
        Ok(Batch {
            conditions: conditions.collect::<Result<_, _>>()?,
            operations: operations.collect::<Result<_, _>>()?,
            feed: self.feed,
            idempotency: self.op_id.map(|op_id| Idempotency { op_id, outcome }),
            epoch: self.epoch,
        })
    }
}

impl From<&Command> for CommandRecord {
    fn from(command: &Command) -> Self {
        match command {
            Command::Commit(batches) => Self {
                batches: batches.iter().map(Into::into).collect(),
                ..Self::default()
            },
            Command::Trim(up_to) => Self {
                trim: Some(*up_to),
                ..Self::default()
            },
        }
    }
}

impl CommandRecord {
    /// The command.
    pub fn command(self) -> Result<Command, CodecError> {
        known!(self);
        match (self.trim, self.batches.is_empty()) {
            (None, _) => {
                let batches = self.batches.into_iter().map(BatchRecord::batch);
                Ok(Command::Commit(batches.collect::<Result<_, _>>()?))
            }
            (Some(up_to), true) => Ok(Command::Trim(up_to)),
            (Some(_), false) => Err(CodecError::Kind("a command")),
        }
    }
}

impl From<&Entry> for EntryRecord {
    fn from(entry: &Entry) -> Self {
        let (membership, commands) = match &entry.payload {
            EntryPayload::Blank => (None, Vec::new()),
            EntryPayload::Normal(proposal) => {
                let commands = proposal.commands.iter().map(Into::into).collect();
                (None, commands)
            }
            EntryPayload::Membership(membership) => (Some(membership.into()), Vec::new()),
        };
        Self {
            at: (&entry.log_id).into(),
            membership,
            commands,
            ..Self::default()
        }
    }
}

impl EntryRecord {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        let batches = self.commands.iter().flat_map(|command| &command.batches);
        let operations = batches.flat_map(|batch| &batch.operations);
        operations
            .map(|operation| operation.key.len() + operation.value.len())
            .sum()
    }

    /// The entry.
    pub fn entry(self) -> Result<Entry, CodecError> {
        known!(self, self.at);
        let payload = match self.membership {
            Some(_) if !self.commands.is_empty() => return Err(CodecError::Kind("an entry")),
            Some(membership) => EntryPayload::Membership(membership.membership()?),
            None if self.commands.is_empty() => EntryPayload::Blank,
            None => {
                let commands = self.commands.into_iter().map(CommandRecord::command);
                EntryPayload::Normal(Proposal::new(commands.collect::<Result<_, _>>()?))
            }
        };
        Ok(Entry {
            log_id: self.at.log_id(),
            payload,
        })
    }
}

/// The bytes of an entry for its key in the log.
pub fn seal_entry(key: &[u8], entry: &Entry) -> Vec<u8> {
    envelope::seal(key, entry.log_id.index, &EntryRecord::from(entry).encode())
}

/// Reads the entry under `key`.
pub fn open_entry(key: &[u8], sealed: &Bytes) -> Result<Entry, CodecError> {
    let opened = envelope::open(key, sealed)?;
    EntryRecord::decode(opened.payload)?.entry()
}

#[cfg(test)]
mod tests;
