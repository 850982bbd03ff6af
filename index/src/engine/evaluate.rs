//! What becomes of a run of batches: pure but for reading the values that conditions name.
//!
//! # To ensure correctness
//! - Each batch sees the effects of those before it in the run (the overlay).
//! - No clock and no randomness is read: the same batches on the same partition give the same result
//!   on every replica.
//! - Nothing is changed here. The engine makes all of [`Evaluated::writes`] durable together, or none.

use super::state::PartitionState;
use super::{limits, open_value};
use crate::key::Key;
use crate::store::{Batch, Condition, Operation, Outcome, Seq, StoreError, Versioned};
use bytes::Bytes;
use std::collections::BTreeMap;
use types::{FormatVersion, OpId, PartitionId, Planted, envelope};

/// Where sealed values are read that the run has not written itself.
pub trait Base {
    /// The sealed value of `key`.
    fn sealed(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The format in which values are sealed. Replicas may differ in it for moments, never in what is sealed.
    fn format(&self) -> FormatVersion;
}

/// The result of a run.
pub struct Evaluated {
    /// One for each batch.
    pub outcomes: Vec<Outcome>,
    /// Sealed values by key, `None` where the key is removed. Empty when nothing is to be written.
    pub writes: BTreeMap<Bytes, Option<Bytes>>,
    /// State of the partition after the run; among the writes when it has changed.
    pub state: PartitionState,
}

/// Evaluates `batches` in order on a partition that has `state` and the values of `base`.
///
/// # Errors
/// [`StoreError::TooLarge`], [`StoreError::Fenced`] and [`StoreError::Corrupt`] for the run as a whole.
pub fn evaluate(
    base: &dyn Base,
    partition: PartitionId,
    state: &PartitionState,
    batches: &[Batch],
) -> Result<Evaluated, StoreError> {
    for batch in batches {
        limits::check_batch(batch)?;
    }
    evaluate_admitted(base, partition, state, batches)
}

/// The same for batches that were found to be inside the limits when they were taken. A replica must not
/// judge that again: its binary may have other limits than the one that took them.
///
/// # Errors
/// [`StoreError::Fenced`] and [`StoreError::Corrupt`] for the run as a whole, and what `base` fails with.
pub fn evaluate_admitted(
    base: &dyn Base,
    partition: PartitionId,
    state: &PartitionState,
    batches: &[Batch],
) -> Result<Evaluated, StoreError> {
    let mut run = Run {
        base,
        format: base.format(),
        partition,
        state: state.clone(),
        writes: BTreeMap::new(),
    };
    let outcomes = batches
        .iter()
        .map(|batch| run.apply(batch))
        .collect::<Result<_, _>>()?;
    if run.state != *state {
        let (key, sealed) = run.state.seal(run.format);
        run.writes.insert(key, Some(sealed));
    }
    Ok(Evaluated {
        outcomes,
        writes: run.writes,
        state: run.state,
    })
}

struct Run<'a> {
    base: &'a dyn Base,
    format: FormatVersion,
    partition: PartitionId,
    state: PartitionState,
    writes: BTreeMap<Bytes, Option<Bytes>>,
}

impl Run<'_> {
    fn apply(&mut self, batch: &Batch) -> Result<Outcome, StoreError> {
        if batch.epoch < self.state.epoch {
            return Err(StoreError::Fenced {
                partition: self.partition,
                epoch: batch.epoch,
                current: self.state.epoch,
            });
        }
        self.state.epoch = batch.epoch;
        if let Some(idempotency) = &batch.idempotency {
            let key = outcome_key(idempotency.op_id);
            if let Some(found) = self.get(&key)? {
                return Ok(Outcome::Duplicate(found.value));
            }
            // Its outcome may be gone. No clock is asked: those of the processes that send batches differ.
            let oldest_kept_ms = self.state.outcomes_from_ms;
            if idempotency.op_id.time_ms() < oldest_kept_ms {
                return Ok(Outcome::Expired { oldest_kept_ms });
            }
        }
        for (index, condition) in batch.conditions.iter().enumerate() {
            if !self.holds(condition)? {
                return Ok(Outcome::ConditionFailed(index));
            }
        }
        Ok(Outcome::Committed(self.commit(batch)))
    }

    fn get(&self, key: &Bytes) -> Result<Option<Versioned>, StoreError> {
        let sealed = match self.writes.get(key) {
            Some(written) => written.clone(),
            None => self.base.sealed(key)?,
        };
        sealed.map(|sealed| open_value(key, &sealed)).transpose()
    }

    fn holds(&self, condition: &Condition) -> Result<bool, StoreError> {
        if Planted::CheckThenPublish.is_here() {
            return Ok(true);
        }
        Ok(match condition {
            Condition::Absent(key) => self.get(key)?.is_none(),
            Condition::Exists(key) => self.get(key)?.is_some(),
            Condition::SeqIs(key, seq) => self.get(key)?.is_some_and(|found| found.seq == *seq),
        })
    }

    fn commit(&mut self, batch: &Batch) -> Seq {
        self.state.last_seq += 1;
        let seq = self.state.last_seq;
        let mut reclaims = 0;
        for operation in &batch.operations {
            match operation {
                Operation::Put(key, value) => self.put(key.clone(), value),
                Operation::Delete(key) => self.delete(key),
                Operation::Reclaim(value) => {
                    let number = reclaims;
                    reclaims += 1;
                    self.put(Key::Reclaim { seq, number }.encode(), value);
                }
            }
        }
        self.put(Key::Feed { seq }.encode(), &batch.feed);
        if let Some(idempotency) = &batch.idempotency {
            self.put(outcome_key(idempotency.op_id), &idempotency.outcome);
        }
        seq
    }

    fn put(&mut self, key: Bytes, value: &Bytes) {
        let sealed = envelope::seal_as(self.format, &key, self.state.last_seq, value);
        self.writes.insert(key, Some(sealed.into()));
    }

    fn delete(&mut self, key: &Bytes) {
        if let Ok(Key::Outcome { op_id }) = Key::decode(key) {
            let after_ms = op_id.time_ms() + 1;
            self.state.outcomes_from_ms = self.state.outcomes_from_ms.max(after_ms);
        }
        self.writes.insert(key.clone(), None);
    }
}

fn outcome_key(op_id: OpId) -> Bytes {
    Key::Outcome { op_id }.encode()
}
