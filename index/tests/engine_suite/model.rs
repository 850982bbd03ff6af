//! What an engine must do, said in the plainest way: a map of values, a list of events.

use bytes::Bytes;
use index::Key;
use index::store::{
    Batch, Change, Condition, Grouping, Operation, Outcome, ScanEntry, ScanPage, ScanRequest,
    StoreError, Versioned,
};
use std::collections::BTreeMap;
use types::PartitionId;

/// A partition as the contract describes it.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// Every value but feed and state, reclaims and outcomes included.
    pub values: BTreeMap<Bytes, Versioned>,
    /// Events of all commits; commit `n` is at `n - 1`.
    pub feed: Vec<Bytes>,
    pub trimmed: u64,
    pub epoch: u64,
    pub forgotten_ms: u64,
}

impl Model {
    pub fn last_seq(&self) -> u64 {
        self.feed.len() as u64
    }

    pub fn commit_many(
        &mut self,
        partition: PartitionId,
        batches: &[Batch],
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut next = self.clone();
        let mut outcomes = Vec::new();
        for batch in batches {
            if batch.epoch < next.epoch {
                return Err(StoreError::Fenced {
                    partition,
                    epoch: batch.epoch,
                    current: next.epoch,
                });
            }
            next.epoch = batch.epoch;
            outcomes.push(next.commit(batch));
        }
        *self = next;
        Ok(outcomes)
    }

    fn commit(&mut self, batch: &Batch) -> Outcome {
        if let Some(idempotency) = &batch.idempotency {
            let op_id = idempotency.op_id;
            if let Some(found) = self.values.get(&Key::Outcome { op_id }.encode()) {
                return Outcome::Duplicate(found.value.clone());
            }
            if op_id.time_ms() < self.forgotten_ms {
                return Outcome::Expired {
                    oldest_kept_ms: self.forgotten_ms,
                };
            }
        }
        let failed = batch
            .conditions
            .iter()
            .position(|condition| !self.holds(condition));
        if let Some(index) = failed {
            return Outcome::ConditionFailed(index);
        }
        self.feed.push(batch.feed.clone());
        let seq = self.last_seq();
        let mut number = 0;
        for operation in &batch.operations {
            match operation {
                Operation::Put(key, value) => self.put(key.clone(), seq, value),
                Operation::Reclaim(value) => {
                    self.put(Key::Reclaim { seq, number }.encode(), seq, value);
                    number += 1;
                }
                Operation::Delete(key) => {
                    self.values.remove(key);
                    if let Ok(Key::Outcome { op_id }) = Key::decode(key) {
                        self.forgotten_ms = self.forgotten_ms.max(op_id.time_ms() + 1);
                    }
                }
            }
        }
        if let Some(idempotency) = &batch.idempotency {
            let op_id = idempotency.op_id;
            self.put(Key::Outcome { op_id }.encode(), seq, &idempotency.outcome);
        }
        Outcome::Committed(seq)
    }

    fn put(&mut self, key: Bytes, seq: u64, value: &Bytes) {
        let value = value.clone();
        self.values.insert(key, Versioned { seq, value });
    }

    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Absent(key) => !self.values.contains_key(key),
            Condition::Exists(key) => self.values.contains_key(key),
            Condition::SeqIs(key, seq) => self.values.get(key).is_some_and(|v| v.seq == *seq),
        }
    }

    /// Reads the whole range, then groups, then cuts.
    pub fn scan(&self, request: &ScanRequest) -> ScanPage {
        let mut entries = Vec::new();
        if request.start < request.end {
            for (key, value) in self
                .values
                .range(request.start.clone()..request.end.clone())
            {
                let grouping = request.grouping.as_ref();
                let entry = match grouping.and_then(|grouping| group_of(key, grouping)) {
                    Some(group) => ScanEntry::Group(group),
                    None => ScanEntry::Value(key.clone(), value.clone()),
                };
                if entries.last() != Some(&entry) {
                    entries.push(entry);
                }
            }
        }
        let more = entries.len() > request.limit;
        entries.truncate(request.limit);
        ScanPage { entries, more }
    }

    pub fn changes(&self, after: u64, limit: usize) -> Vec<Change> {
        let first = after.max(self.trimmed) + 1;
        (first..=self.last_seq())
            .take(limit)
            .map(|seq| Change {
                seq,
                feed: self.feed[seq as usize - 1].clone(),
            })
            .collect()
    }

    pub fn trim(&mut self, up_to: u64) {
        self.trimmed = self.trimmed.max(up_to.min(self.last_seq()));
    }
}

/// The group by the S3 key itself, unescaped. Delimiters and prefixes of the suite have no 00, so they
/// are their own escaped form.
fn group_of(key: &Bytes, grouping: &Grouping) -> Option<Bytes> {
    let text = match Key::decode(key) {
        Ok(Key::Current { key, .. } | Key::Upload { key, .. }) => key,
        _ => return None,
    };
    let delimiter = &grouping.delimiter;
    let skip = grouping.skip - index::key::HEADER_BYTES;
    let rest = text.as_bytes().get(skip..)?;
    let at = rest
        .windows(delimiter.len())
        .position(|found| found == delimiter)?;
    let prefix = &text[..skip + at + delimiter.len()];
    let mut group = key[..index::key::HEADER_BYTES].to_vec();
    index::key::escape::put_unterminated(&mut group, prefix);
    Some(group.into())
}
