//! The one narrow trait that engines implement: conditional batches inside one partition, ordered
//! reads, and the partition's feed.
//!
//! Keys are opaque bytes here; [`crate::key`] gives them meaning. The bounds of `types::limits`
//! (operations and bytes of a batch, bytes of a key and of a value) are enforced by every engine,
//! so that a later engine (Raft, an SQL database) can keep the same promises.

use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;
use types::limits::VALUE_BYTES_MAX;
use types::{NodeId, OpId, PartitionId};

/// Sequence of a commit in its partition: 1, 2, 3 ... without a gap.
pub type Seq = u64;

/// Something that must hold of a key at the moment of the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The key has no value.
    Absent(Bytes),
    /// The key has a value.
    Exists(Bytes),
    /// The key has the value that commit `.1` wrote.
    SeqIs(Bytes, Seq),
}

/// A change to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Gives the key this value (the payload; the engine adds the envelope).
    Put(Bytes, Bytes),
    /// Removes the key; no error when it is absent.
    Delete(Bytes),
    /// Puts a reclaim record under `g/<seq of this commit>/<position among the batch's reclaims>`.
    Reclaim(Bytes),
}

/// An operation id with the result that a repetition of it is to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The id, kept by all retries of one attempt.
    pub op_id: OpId,
    /// What [`Outcome::Duplicate`] returns to a retry.
    pub outcome: Bytes,
}

/// Conditions and changes that take effect together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Applied in order.
    pub operations: Vec<Operation>,
    /// The event of this batch in the feed; empty when there is nothing to tell. A feed record is
    /// written for every commit, so the feed is dense.
    pub feed: Bytes,
    /// Makes a retry of the same attempt return the first one's outcome.
    pub idempotency: Option<Idempotency>,
    /// Epoch of the owner that sends the batch; an older one than the partition has seen is fenced.
    pub epoch: u64,
}

/// What became of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Durable under this sequence.
    Committed(Seq),
    /// Condition number `.0` did not hold; nothing was changed.
    ConditionFailed(usize),
    /// The operation id was committed before with this outcome; nothing was changed now.
    Duplicate(Bytes),
    /// The operation id is older than one whose outcome was forgotten, so its own may have been; nothing was
    /// changed.
    Expired {
        /// Ids from this time on are taken, in milliseconds since the Unix epoch.
        oldest_kept_ms: u64,
    },
}

/// A value and the commit that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// Sequence of the commit that wrote the value.
    pub seq: Seq,
    /// The value as it was put.
    pub value: Bytes,
}

/// One key of a scan page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanEntry {
    /// A key with its value.
    Value(Bytes, Versioned),
    /// A run of keys that share this prefix, which ends with the grouping's delimiter.
    Group(Bytes),
}

/// Collapses runs of keys, as S3 list delimiters do: past the first `skip` bytes of a key, everything
/// up to and including the first `delimiter` names the group. The delimiter is not looked for past the
/// end of an escaped S3 key ([`crate::key::escape::TERMINATOR`]): what follows there is not text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// Bytes at the start of each key in which the delimiter is not looked for.
    pub skip: usize,
    /// Escaped as the keys are ([`crate::Key::grouping`] makes it). Never empty.
    pub delimiter: Bytes,
}

/// A range of keys to read in one consistent page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRequest {
    /// First key that may be returned.
    pub start: Bytes,
    /// First key past the range.
    pub end: Bytes,
    /// Entries (values and groups together) at the most; at least 1. A page has fewer, although the
    /// range has more, when it comes to 4 MiB: resume while [`ScanPage::more`] says so.
    pub limit: usize,
    /// Groups runs of keys; the engine seeks past a run, it does not read through it.
    pub grouping: Option<Grouping>,
}

/// A page of a scan, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanPage {
    /// In key order.
    pub entries: Vec<ScanEntry>,
    /// True when the range holds more than the page.
    pub more: bool,
}

/// One commit as the feed tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Sequence of the commit.
    pub seq: Seq,
    /// [`Batch::feed`] of the commit.
    pub feed: Bytes,
}

/// A failure, by what the caller should do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A newer owner has the partition; stop acting as its owner.
    #[error("epoch {epoch} of partition {partition} is fenced by epoch {current}")]
    Fenced {
        /// The partition.
        partition: PartitionId,
        /// Epoch of the refused batch.
        epoch: u64,
        /// Epoch that the partition has seen.
        current: u64,
    },
    /// The partition is served elsewhere; ask the partition map again.
    #[error("partition {0} is not served here")]
    Moved(PartitionId),
    /// Nothing was changed: another node leads the partition, or none does at the moment.
    #[error("this node does not lead partition {partition}")]
    NotLeader {
        /// The partition.
        partition: PartitionId,
        /// Who leads, as far as is known.
        leader: Option<NodeId>,
    },
    /// Too busy; try again after this time.
    #[error("the index is busy, try again in {0:?}")]
    Throttled(Duration),
    /// Nothing was changed and nothing can be answered now; try again.
    #[error("the index cannot be reached: {0}")]
    Unavailable(String),
    /// The commit may or may not have happened; retry with the same operation id.
    #[error("it is not known whether the commit happened: {0}")]
    Indeterminate(String),
    /// The operation id is older than outcomes are kept: nothing was changed by this call. Whoever has never sent
    /// the id before may begin anew with [`OpId::not_before`].
    #[error("the operation is older than outcomes are kept: begin it anew")]
    Expired {
        /// Ids from this time on are taken, in milliseconds since the Unix epoch.
        oldest_kept_ms: u64,
    },
    /// Stored bytes are damaged; trying again will not help.
    #[error("the index holds a damaged record under key {key}: {reason}")]
    Corrupt {
        /// The key, in hexadecimal.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The batch or scan is outside the bounds of `types::limits`: a fault of the caller.
    #[error("the request exceeds a limit of the index: {0}")]
    TooLarge(String),
    /// The device that holds the index has no room for more data; deletes still work.
    #[error("the device that holds the index is full")]
    Full,
}

/// What [`IndexStore::get_many`] has found so far.
#[derive(Debug, Default)]
pub struct ValuesOfMany(pub Vec<Option<Versioned>>, usize);

impl ValuesOfMany {
    /// False, and `found` is left out, if there is no room for it.
    pub fn take(&mut self, found: Option<Versioned>) -> bool {
        self.1 += found.as_ref().map_or(0, |found| found.value.len());
        let has_room = self.0.is_empty() || self.1 <= VALUE_BYTES_MAX;
        self.0.extend(has_room.then_some(found));
        has_room
    }
}

/// An ordered, durable map of keys per partition, changed by conditional batches.
///
/// # To ensure correctness
/// - `commit_many` returns only when every committed batch is on stable storage; batches are
///   evaluated in order, each seeing the effects of those before it.
/// - Conditions are evaluated at the commit, atomically with it.
/// - Reads see every commit that was acknowledged before they began.
/// - A page of `scan` is as of one moment.
/// - The feed is dense: commit `n` is followed by commit `n + 1`; a batch that fails a condition, is a
///   duplicate or is expired takes no sequence.
#[async_trait]
pub trait IndexStore: Send + Sync + std::fmt::Debug {
    /// Evaluates and commits the batches in order; one outcome for each.
    ///
    /// # Errors
    /// [`StoreError`] for the call as a whole; unless it is `Indeterminate`, none was committed.
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError>;

    /// The value of `key`.
    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError>;

    /// The values of `keys`, in their order, as of one moment or of several after the call. It ends before the keys
    /// do when the next value would make it longer than [`VALUE_BYTES_MAX`] in all, but not before the first one.
    async fn get_many(
        &self,
        partition: PartitionId,
        keys: &[Bytes],
    ) -> Result<Vec<Option<Versioned>>, StoreError> {
        let mut values = ValuesOfMany::default();
        for key in keys {
            if !values.take(self.get(partition, key).await?) {
                break;
            }
        }
        Ok(values.0)
    }

    /// One page of a range.
    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError>;

    /// Up to `limit` commits after sequence `after`, in order, from the first that is not trimmed.
    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError>;

    /// Forgets the feed up to and including `up_to`. The caller has made sure that every registered
    /// consumer is past it.
    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError>;

    /// Why the engine takes no commits until it is opened again; `None` while it does. For health checks: a
    /// commit is refused by itself.
    fn failure(&self) -> Option<String> {
        None
    }

    /// Whether others than the owner on this node may change a partition while the owner is in office, as after
    /// another node has come to lead it. An owner then remembers nothing: each read goes to the engine.
    fn has_other_writers(&self) -> bool {
        false
    }

    /// Which node leads the partition as far as this process has heard by itself; nobody is asked. `None` where that
    /// is not known.
    fn leader_heard(&self, _partition: PartitionId) -> Option<NodeId> {
        None
    }

    /// Sequence of the last commit; 0 before the first.
    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError>;
}
