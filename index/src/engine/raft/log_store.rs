//! Votes and entries of a group, in the records that all groups of a node share.
//!
//! ```text
//! key     kind (u8), partition (u32, big endian), index (u64, big endian; entries only)
//! value   an envelope of `types::envelope` with a record of `entry.rs`
//! ```
//! # To ensure correctness
//! - Everything is durable when it is answered. Vote and entries are written in the order in which they
//!   were asked for, by one thread ([`Records`]).
//! - An entry is removed at the low end only when the replica will not need it after a crash: openraft
//!   asks for the removal of what a received snapshot covers when it has *ordered* its installation, which
//!   may be a crash before that is done, so [`LogStore::purge`] waits for [`Floor`].

use super::entry::{CodecError, LogIdRecord, VoteRecord, open_entry, seal_entry};
use super::types::{Entry, LogId, StorageError, StorageIOError, Types, Vote};
use crate::engine::corrupt;
use crate::engine::rocks::records::{Change, Records};
use crate::store::StoreError;
use bytes::Bytes;
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, EntryPayload, LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use std::fmt::Debug;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::{Clock, PartitionId, envelope};

/// Kinds of records. Persisted.
pub mod kind {
    /// This node: how often it was started.
    pub const NODE: u8 = 1;
    /// What is known of another node.
    pub const PEER: u8 = 2;
    /// Whom a group's node voted for.
    pub const VOTE: u8 = 3;
    /// The last entry that was removed at the low end.
    pub const PURGED: u8 = 4;
    /// An entry that is known to be committed.
    pub const COMMITTED: u8 = 5;
    /// An entry.
    pub const ENTRY: u8 = 6;
}

/// Bytes of entries that are sent together at the most, unless one alone is larger.
const SEND_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a removal waits for the replica. It takes as long as what was committed takes to be applied.
const FLOOR_WAIT: Duration = Duration::from_secs(120);

/// Entries below this index are not needed after a crash; the index of the first that may be.
pub type Floor = watch::Receiver<u64>;

/// The log of one group.
#[derive(Debug, Clone)]
pub struct LogStore {
    group: Arc<GroupLog>,
}

#[derive(Debug)]
struct GroupLog {
    records: Arc<Records>,
    partition: PartitionId,
    clock: Arc<dyn Clock>,
    floor: Option<Floor>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    vote: Option<Vote>,
    purged: Option<LogId>,
    last: Option<LogId>,
    committed: Option<LogId>,
    /// Since when a write is under way.
    writing_since: Option<Duration>,
}

/// The key of a record without an index.
pub fn record_key(kind: u8, number: u32) -> Bytes {
    let mut key = vec![kind];
    key.extend_from_slice(&number.to_be_bytes());
    key.into()
}

/// The key of an entry.
pub fn entry_key(partition: PartitionId, index: u64) -> Bytes {
    let mut key = vec![kind::ENTRY];
    key.extend_from_slice(&partition.0.to_be_bytes());
    key.extend_from_slice(&index.to_be_bytes());
    key.into()
}

/// The first key past a partition's entries.
fn entries_end(partition: PartitionId) -> Bytes {
    let mut key = entry_key(partition, u64::MAX).to_vec();
    key.push(0);
    key.into()
}

impl LogStore {
    /// The log of `partition` as it is stored. `floor` is what its removals wait for.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] and [`StoreError::Unavailable`].
    pub fn open(
        records: Arc<Records>,
        partition: PartitionId,
        clock: Arc<dyn Clock>,
        floor: Option<Floor>,
    ) -> Result<Self, StoreError> {
        let vote = read(&records, &record_key(kind::VOTE, partition.0), |payload| {
            Ok(VoteRecord::decode(payload)?.vote())
        })?;
        let log_id = |payload| Ok(LogIdRecord::decode(payload)?.log_id());
        let purged = read(&records, &record_key(kind::PURGED, partition.0), log_id)?;
        let committed = read(&records, &record_key(kind::COMMITTED, partition.0), log_id)?;
        let last = records.last(&entry_key(partition, 0), &entries_end(partition))?;
        let last = last.map(|(key, sealed)| {
            open_entry(&key, &sealed)
                .map(|entry| entry.log_id)
                .map_err(|error| corrupt(&key, &error))
        });
        let state = State {
            vote,
            purged,
            last: last.transpose()?.or(purged),
            committed,
            writing_since: None,
        };
        Ok(Self {
            group: Arc::new(GroupLog {
                records,
                partition,
                clock,
                floor,
                state: Mutex::new(state),
            }),
        })
    }

    /// The last vote that is stored.
    pub fn vote(&self) -> Vote {
        self.group.state.lock().vote.unwrap_or_default()
    }

    /// The last entry that is stored.
    pub fn last(&self) -> Option<LogId> {
        self.group.state.lock().last
    }

    /// The last entry that was removed at the low end.
    pub fn purged(&self) -> Option<LogId> {
        self.group.state.lock().purged
    }

    /// How long the write that is under way has taken so far.
    pub fn writing_for(&self) -> Option<Duration> {
        let since = self.group.state.lock().writing_since?;
        Some(self.group.clock.monotonic().saturating_sub(since))
    }

    async fn write(&self, changes: Vec<Change>) -> Result<(), String> {
        let group = &self.group;
        group.state.lock().writing_since = Some(group.clock.monotonic());
        let written = group.records.write(changes).await;
        group.state.lock().writing_since = None;
        written
    }

    fn record(&self, kind: u8, payload: &[u8]) -> Change {
        let key = record_key(kind, self.group.partition.0);
        let sealed = envelope::seal(&key, 0, payload);
        Change::Put(key, sealed.into())
    }

    /// Entries from `start` up to `end`, exclusive, until they come to `bytes_max`.
    fn entries(&self, start: u64, end: u64, bytes_max: usize) -> Result<Vec<Entry>, StoreError> {
        let partition = self.group.partition;
        let (mut entries, mut bytes, mut fault) = (Vec::new(), 0, None);
        let visited = self.group.records.visit(
            &entry_key(partition, start),
            &entry_key(partition, end),
            |key, sealed| {
                if bytes >= bytes_max {
                    return ControlFlow::Break(());
                }
                bytes += sealed.len();
                match open_entry(&key, &sealed) {
                    Ok(entry) => entries.push(entry),
                    Err(error) => fault = Some(corrupt(&key, &error)),
                }
                if fault.is_some() {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            },
        );
        match visited.err().or(fault) {
            Some(error) => Err(error),
            None => Ok(entries),
        }
    }
}

/// Reads the record under `key`.
pub fn read<T>(
    records: &Records,
    key: &[u8],
    decode: impl FnOnce(Bytes) -> Result<T, CodecError>,
) -> Result<Option<T>, StoreError> {
    let Some(sealed) = records.get(key)? else {
        return Ok(None);
    };
    let opened = envelope::open(key, &sealed).map_err(CodecError::from);
    let decoded = opened.and_then(|opened| decode(opened.payload));
    decoded.map(Some).map_err(|error| corrupt(key, &error))
}

fn write_error(reason: &str) -> StorageError {
    StorageIOError::write_logs(AnyError::error(reason)).into()
}

fn read_error(error: &StoreError) -> StorageError {
    StorageIOError::read_logs(AnyError::new(error)).into()
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let entries = self.entries(start, end, usize::MAX);
        entries.map_err(|error| read_error(&error))
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        let entries = self.entries(start, end, SEND_BYTES_MAX);
        entries.map_err(|error| read_error(&error))
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let state = self.group.state.lock();
        Ok(LogState {
            last_purged_log_id: state.purged,
            last_log_id: state.last,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let change = self.record(kind::VOTE, &VoteRecord::from(vote).encode());
        let written = self.write(vec![change]).await;
        written.map_err(|reason| StorageIOError::write_vote(AnyError::error(reason)))?;
        self.group.state.lock().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.group.state.lock().vote)
    }

    /// Only remembered here; the next entries take it along, since it is but a hint: how much can be applied
    /// at the next start before a leader says so.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.group.state.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.group.state.lock().committed)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        flushed: LogFlushed<Types>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let (mut changes, mut last) = (Vec::new(), None);
        for entry in entries {
            if let EntryPayload::Normal(proposal) = &entry.payload {
                proposal.mark_taken();
            }
            let key = entry_key(self.group.partition, entry.log_id.index);
            let sealed = seal_entry(&key, &entry);
            changes.push(Change::Put(key, sealed.into()));
            last = Some(entry.log_id);
        }
        let committed = self.group.state.lock().committed;
        if let Some(committed) = &committed {
            let payload = LogIdRecord::from(committed).encode();
            changes.push(self.record(kind::COMMITTED, &payload));
        }
        let written = self.write(changes).await;
        if written.is_ok() {
            let mut state = self.group.state.lock();
            state.last = last.or(state.last);
        }
        flushed.log_io_completed(written.clone().map_err(std::io::Error::other));
        written.map_err(|reason| write_error(&reason))
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let partition = self.group.partition;
        let start = entry_key(partition, log_id.index);
        let change = Change::DeleteRange(start, entries_end(partition));
        let written = self.write(vec![change]).await;
        written.map_err(|reason| write_error(&reason))?;
        let before = log_id.index.saturating_sub(1);
        let before = self.entries(before, log_id.index, usize::MAX);
        let before = before.map_err(|error| read_error(&error))?;
        let mut state = self.group.state.lock();
        state.last = before.last().map(|entry| entry.log_id).or(state.purged);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let partition = self.group.partition;
        if let Some(floor) = &self.group.floor {
            let mut floor = floor.clone();
            let reached = floor.wait_for(|floor| *floor > log_id.index);
            let reached = tokio::time::timeout(FLOOR_WAIT, reached).await;
            if !matches!(reached, Ok(Ok(_))) {
                let reason = format!("entries up to {log_id} are still needed by the replica");
                return Err(write_error(&reason));
            }
        }
        let end = entry_key(partition, log_id.index.saturating_add(1));
        let changes = vec![
            self.record(kind::PURGED, &LogIdRecord::from(&log_id).encode()),
            Change::DeleteRange(entry_key(partition, 0), end),
        ];
        let written = self.write(changes).await;
        written.map_err(|reason| write_error(&reason))?;
        let mut state = self.group.state.lock();
        state.purged = Some(log_id);
        state.last = state.last.max(Some(log_id));
        Ok(())
    }
}
