//! The replica of a group: applies entries, says up to where it is durable, installs snapshots.
//!
//! # To ensure correctness
//! - What an entry does follows from the entry and the state before it. No clock, no randomness, no free
//!   bytes of a device are read; limits were judged when the entry was proposed.
//! - What an entry refuses as a whole (an owner that is fenced) is an answer like any other. A damaged
//!   record, or a device that fails, ends the group: to pass over the entry would make this replica
//!   differ from the others.

use super::entry::Command;
use super::snapshot::{SnapshotData, Snapshots, open_position, seal_position};
use super::types::{
    Answers, Entry, LogId, Proposal, Snapshot, SnapshotMeta, StorageError, StorageIOError,
    StoredMembership, Types,
};
use crate::engine::evaluate::evaluate_admitted;
use crate::engine::rocks::replica::{Changes, Pending, Replica};
use crate::engine::state::PartitionState;
use crate::store::{Outcome, StoreError};
use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use types::PartitionId;

/// The replica of one group.
#[derive(Debug, Clone)]
pub struct StateMachine {
    partition: PartitionId,
    replica: Arc<Replica>,
    snapshots: Arc<Snapshots>,
    applied: Option<LogId>,
    membership: StoredMembership,
    /// Index of the next entry to apply.
    next: watch::Sender<u64>,
}

impl StateMachine {
    /// The replica as it was flushed last.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn open(
        partition: PartitionId,
        replica: Arc<Replica>,
        snapshots: Arc<Snapshots>,
    ) -> Result<Self, StoreError> {
        let (applied, membership) = match replica.position(partition) {
            Some(position) => open_position(partition, &position)?,
            None => Default::default(),
        };
        Ok(Self {
            partition,
            replica,
            snapshots,
            applied,
            membership,
            next: watch::channel(next_index(applied)).0,
        })
    }

    /// Tells the index of the next entry to apply.
    pub fn next(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    fn apply_entry(&mut self, entry: Entry) -> Result<Answers, StoreError> {
        let mut answers = Answers::default();
        let mut changes = Changes {
            state: self.replica.state(self.partition)?,
            ..Changes::default()
        };
        match entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Normal(proposal) => {
                answers = self.evaluate(proposal, &mut changes)?;
            }
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
            }
        }
        let position = seal_position(self.partition, Some(entry.log_id), &self.membership);
        self.replica.apply(self.partition, changes, position)?;
        self.applied = Some(entry.log_id);
        Ok(answers)
    }

    fn evaluate(&self, proposal: Proposal, changes: &mut Changes) -> Result<Answers, StoreError> {
        let mut pending = Pending {
            replica: &self.replica,
            partition: self.partition,
            writes: BTreeMap::new(),
        };
        let before = changes.state.clone();
        let mut answers = Answers::default();
        for command in &proposal.commands {
            answers.0.push(match command {
                Command::Commit(batches) => {
                    let state = &changes.state;
                    match evaluate_admitted(&pending, self.partition, state, batches) {
                        Ok(evaluated) => {
                            pending.writes.extend(evaluated.writes);
                            changes.state = evaluated.state;
                            Ok(evaluated.outcomes)
                        }
                        Err(error @ StoreError::Fenced { .. }) => Err(error),
                        Err(error) => return Err(error),
                    }
                }
                Command::Trim(up_to) => {
                    trim(*up_to, changes);
                    Ok(Vec::new())
                }
            });
        }
        changes.writes = pending.writes;
        if changes.state != before {
            let (key, sealed) = changes.state.seal(self.replica.format());
            changes.writes.insert(key, Some(sealed));
        }
        Ok(answers)
    }
}

fn next_index(applied: Option<LogId>) -> u64 {
    applied.map_or(0, |at| at.index + 1)
}

fn trim(up_to: u64, changes: &mut Changes) {
    let state: &mut PartitionState = &mut changes.state;
    let up_to = up_to.min(state.last_seq);
    if up_to <= state.trimmed {
        return;
    }
    let first = state.first_change(0);
    let first = changes.trimmed.map_or(first, |(first, _)| first);
    changes.trimmed = Some((first, up_to));
    state.trimmed = up_to;
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotBuilder = Flush;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    /// Runs on tokio's blocking threads: conditions may read the disk, and RocksDB stops writers when it
    /// has too much to write.
    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Answers>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let mut this = self.clone();
        let applied = tokio::task::spawn_blocking(move || {
            let mut answers = Vec::with_capacity(entries.len());
            for entry in entries {
                let at = entry.log_id;
                let applied = this.apply_entry(entry);
                answers.push(applied.map_err(|error| (at, error))?);
            }
            Ok((this, answers))
        });
        let ended = |error| StorageIOError::write_state_machine(AnyError::new(&error));
        match applied.await.map_err(ended)? {
            Ok((this, answers)) => {
                *self = this;
                self.next.send_replace(next_index(self.applied));
                Ok(answers)
            }
            Err((at, error)) => {
                tracing::error!(partition = self.partition.0, %at, %error, "an entry was not applied");
                Err(StorageIOError::apply(at, AnyError::new(&error)).into())
            }
        }
    }

    async fn get_snapshot_builder(&mut self) -> Flush {
        Flush {
            replica: Arc::clone(&self.replica),
            snapshots: Arc::clone(&self.snapshots),
        }
    }

    /// The file of what is returned here is made when it is sent.
    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        Ok(self.snapshots.announced().map(|meta| Snapshot {
            meta,
            snapshot: Box::new(SnapshotData::Here(Arc::clone(&self.snapshots))),
        }))
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotData>, StorageError> {
        Ok(Box::new(SnapshotData::Here(Arc::clone(&self.snapshots))))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<SnapshotData>,
    ) -> Result<(), StorageError> {
        let failed = |error: StoreError| {
            let source = AnyError::new(&error);
            StorageError::from(StorageIOError::write_snapshot(
                Some(meta.signature()),
                source,
            ))
        };
        let path = match *snapshot {
            SnapshotData::Arrived(path) => path,
            SnapshotData::Here(source) => source.file(meta.last_log_id).await.map_err(failed)?.path,
        };
        let at = meta.last_log_id.unwrap_or_default();
        let snapshots = Arc::clone(&self.snapshots);
        let installed = tokio::task::spawn_blocking(move || snapshots.install(at, &path)).await;
        let ended = |error: tokio::task::JoinError| StoreError::Unavailable(error.to_string());
        installed
            .map_err(ended)
            .and_then(|done| done)
            .map_err(failed)?;
        let position = self.replica.position(self.partition);
        let position = position.unwrap_or_default();
        let opened = open_position(self.partition, &position).map_err(failed)?;
        (self.applied, self.membership) = opened;
        self.next.send_replace(next_index(self.applied));
        Ok(())
    }
}

/// Stands for openraft's building of a snapshot: the replica is made durable without its log, which may
/// then be cut.
#[derive(Debug)]
pub struct Flush {
    replica: Arc<Replica>,
    snapshots: Arc<Snapshots>,
}

impl RaftSnapshotBuilder<Types> for Flush {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let replica = Arc::clone(&self.replica);
        let flushed = tokio::task::spawn_blocking(move || replica.flush()).await;
        let ended = |error: tokio::task::JoinError| StoreError::Unavailable(error.to_string());
        let flushed = flushed.map_err(ended).and_then(|flushed| flushed);
        let meta = flushed.and_then(|_| self.snapshots.announce());
        let failed =
            |error: &StoreError| StorageIOError::write_snapshot(None, AnyError::new(error));
        let meta = meta.map_err(|error| failed(&error))?;
        Ok(Snapshot {
            meta: meta.unwrap_or_default(),
            snapshot: Box::new(SnapshotData::Here(Arc::clone(&self.snapshots))),
        })
    }
}

/// What a commit answers when its entry was applied.
pub type Answer = Result<Vec<Outcome>, StoreError>;
