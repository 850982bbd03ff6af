//! openraft's types, made ours.

use super::entry::Command;
use super::snapshot::SnapshotData;
use crate::store::{Outcome, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

openraft::declare_raft_types!(
    /// What a group replicates, and who its members are.
    pub Types:
        D = Proposal,
        R = Answers,
        NodeId = u64,
        Node = openraft::BasicNode,
        Entry = openraft::Entry<Types>,
        SnapshotData = SnapshotData,
);

pub type Entry = openraft::Entry<Types>;
pub type LogId = openraft::LogId<u64>;
pub type Member = openraft::BasicNode;
pub type Membership = openraft::Membership<u64, Member>;
pub type Raft = openraft::Raft<Types>;
pub type SnapshotMeta = openraft::SnapshotMeta<u64, Member>;
pub type Snapshot = openraft::Snapshot<Types>;
pub type StorageError = openraft::StorageError<u64>;
pub type StorageIOError = openraft::StorageIOError<u64>;
pub type StoredMembership = openraft::StoredMembership<u64, Member>;
pub type Vote = openraft::Vote<u64>;
pub type AppendRequest = openraft::raft::AppendEntriesRequest<Types>;
pub type AppendResponse = openraft::raft::AppendEntriesResponse<u64>;

/// Commands for one entry of the log.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// In order.
    pub commands: Vec<Command>,
    /// Set when the proposer's own log is asked to take the entry; until then a refusal is certain to have
    /// changed nothing. Not part of the entry.
    taken: Arc<AtomicBool>,
}

impl Proposal {
    /// A proposal that no log has.
    pub fn new(commands: Vec<Command>) -> Self {
        Self {
            commands,
            taken: Arc::default(),
        }
    }

    /// Tells the proposer that the entry is on its way into a log.
    pub fn mark_taken(&self) {
        self.taken.store(true, Ordering::SeqCst);
    }

    /// What tells whether the entry may be in a log.
    pub fn taken(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.taken)
    }
}

/// What became of the commands of an entry: one answer for each, the same on every replica.
#[derive(Debug, Clone, Default)]
pub struct Answers(pub Vec<Result<Vec<Outcome>, StoreError>>);
