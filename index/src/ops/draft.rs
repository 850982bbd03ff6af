//! Reading records with their seq, and drafting the batch that depends on them.

use crate::key::outcome::OutcomeRecord;
use crate::key::reclaim::ReclaimRecord;
use crate::key::{Key, feed::FeedEvent, hexadecimal};
use crate::owner::PartitionOwner;
use crate::store::{
    Batch, Condition, Idempotency, Operation, Outcome, ScanEntry, ScanPage, Seq, StoreError,
};
use bytes::Bytes;
use types::OpId;
use types::wire::{Field, Input};

/// A record and the seq of the commit that wrote it.
#[derive(Debug, Clone)]
pub(crate) struct Loaded<T> {
    pub seq: Seq,
    pub record: T,
}

/// Reads the value found under `key` as a record.
pub(crate) fn decode<T: Field>(key: &[u8], value: Bytes) -> Result<T, StoreError> {
    T::take(Input::of(&value)).map_err(|error| corrupt(key, error.to_string()))
}

/// What a record that cannot be right is reported as.
pub(crate) fn corrupt(key: &[u8], reason: String) -> StoreError {
    StoreError::Corrupt {
        key: hexadecimal(key),
        reason,
    }
}

/// The record under `key`.
pub(crate) async fn load<T: Field>(
    owner: &PartitionOwner,
    key: &Key,
) -> Result<Option<Loaded<T>>, StoreError> {
    let key = key.encode();
    let Some(found) = owner.get(&key).await? else {
        return Ok(None);
    };
    let record = decode(&key, found.value)?;
    Ok(Some(Loaded {
        seq: found.seq,
        record,
    }))
}

/// The records of a page of a scan without grouping, with their keys as they are kept.
pub(crate) fn records<T: Field>(page: ScanPage) -> Result<Vec<(Bytes, Loaded<T>)>, StoreError> {
    let mut records = Vec::with_capacity(page.entries.len());
    for entry in page.entries {
        let ScanEntry::Value(key, found) = entry else {
            unreachable!("a scan without grouping gives no groups")
        };
        let record = decode(&key, found.value)?;
        records.push((
            key,
            Loaded {
                seq: found.seq,
                record,
            },
        ));
    }
    Ok(records)
}

/// Reads bytes that a scan returned as a key.
pub(crate) fn decode_key(bytes: &[u8]) -> Result<Key, StoreError> {
    Key::decode(bytes).map_err(|error| corrupt(bytes, error.reason.to_owned()))
}

/// The outcome of `op_id`, if it was committed before.
pub(crate) async fn outcome_of(
    owner: &PartitionOwner,
    op_id: OpId,
) -> Result<Option<OutcomeRecord>, StoreError> {
    let found = load(owner, &Key::Outcome { op_id }).await?;
    Ok(found.map(|loaded| loaded.record))
}

/// What became of a draft.
#[derive(Debug)]
pub(crate) enum Drafted {
    /// Durable under this sequence.
    Committed(Seq),
    /// The same operation was committed before, with this outcome.
    Repeated(OutcomeRecord),
    /// Something that the draft depends on has changed: decide anew.
    Conflict,
}

/// A batch in the making.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    batch: Batch,
}

impl Draft {
    /// Depends on `key` being as it was read: written by commit `seq`, or absent.
    pub fn expect(&mut self, key: &Key, seq: Option<Seq>) {
        let key = key.encode();
        self.batch.conditions.push(match seq {
            Some(seq) => Condition::SeqIs(key, seq),
            None => Condition::Absent(key),
        });
    }

    /// Depends on `key` having a value.
    pub fn expect_exists(&mut self, key: &Key) {
        self.batch.conditions.push(Condition::Exists(key.encode()));
    }

    pub fn put<T: Field>(&mut self, key: &Key, record: &T) {
        let mut value = Vec::new();
        record.put(&mut value);
        self.put_bytes(key, value.into());
    }

    pub fn put_bytes(&mut self, key: &Key, value: Bytes) {
        self.batch
            .operations
            .push(Operation::Put(key.encode(), value));
    }

    pub fn delete(&mut self, key: &Key) {
        self.batch.operations.push(Operation::Delete(key.encode()));
    }

    /// Queues something for reclaim.
    pub fn reclaim(&mut self, entry: &ReclaimRecord) {
        self.batch
            .operations
            .push(Operation::Reclaim(entry.encode().into()));
    }

    /// What the feed tells of the commit.
    pub fn tell(&mut self, event: &FeedEvent) {
        self.batch.feed = event.encode().into();
    }

    /// Makes the commit happen once for `op_id`; a repetition gets `outcome`.
    pub fn once(&mut self, op_id: OpId, outcome: &OutcomeRecord) {
        let outcome = outcome.encode().into();
        self.batch.idempotency = Some(Idempotency { op_id, outcome });
    }

    /// Commits the batch.
    pub async fn commit(self, owner: &PartitionOwner) -> Result<Drafted, StoreError> {
        let op_id = self.batch.idempotency.as_ref().map(|once| once.op_id);
        Ok(match owner.commit(self.batch).await? {
            Outcome::Committed(seq) => Drafted::Committed(seq),
            Outcome::ConditionFailed(_) => Drafted::Conflict,
            Outcome::Expired { oldest_kept_ms } => {
                return Err(StoreError::Expired { oldest_kept_ms });
            }
            Outcome::Duplicate(bytes) => {
                let key = Key::Outcome {
                    op_id: op_id.unwrap_or_default(),
                }
                .encode();
                Drafted::Repeated(decode(&key, bytes)?)
            }
        })
    }
}
