//! The engine that keeps partitions in memory: a map, nothing durable. Tests and simulations run on
//! it, and it is the plainest statement of what an engine does.

use super::evaluate::{Base, evaluate};
use super::scan::{Cursor, scan_page};
use super::state::PartitionState;
use super::{FeedReader, open_value};
use crate::key::Key;
use crate::store::{
    Batch, Change, IndexStore, Outcome, ScanPage, ScanRequest, Seq, StoreError, Versioned,
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Bound;
use types::{FormatVersion, PartitionId};

/// Partitions in memory. What was committed lives as long as this value.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    partitions: Mutex<BTreeMap<PartitionId, Partition>>,
}

/// Nothing of it is kept, so there is nothing to finalise.
const FORMAT: FormatVersion = FormatVersion::FIRST;

/// Sealed values by key.
#[derive(Debug, Default)]
struct Partition {
    values: BTreeMap<Bytes, Bytes>,
}

impl MemoryEngine {
    /// An engine whose partitions are all empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, partition: PartitionId, act: impl FnOnce(&mut Partition) -> T) -> T {
        act(self.partitions.lock().entry(partition).or_default())
    }
}

impl Base for Partition {
    fn sealed(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.values.get(key).cloned())
    }

    fn format(&self) -> FormatVersion {
        FORMAT
    }
}

impl Partition {
    fn state(&self) -> Result<PartitionState, StoreError> {
        PartitionState::open(self.values.get(&Key::PartitionState.encode()))
    }

    fn commit(&mut self, id: PartitionId, batches: &[Batch]) -> Result<Vec<Outcome>, StoreError> {
        let evaluated = evaluate(self, id, &self.state()?, batches)?;
        for (key, written) in evaluated.writes {
            match written {
                Some(sealed) => self.values.insert(key, sealed),
                None => self.values.remove(&key),
            };
        }
        Ok(evaluated.outcomes)
    }

    fn changes(&self, after: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        let state = self.state()?;
        let first = state.first_change(after);
        let mut reader = FeedReader::new(first);
        let range = feed_key(first)..=feed_key(Seq::MAX);
        let changes = self
            .values
            .range(range)
            .take(limit)
            .map(|(key, sealed)| reader.take(key, sealed))
            .collect::<Result<Vec<_>, _>>()?;
        if changes.len() < limit {
            reader.finish(state.last_seq)?;
        }
        Ok(changes)
    }

    fn trim(&mut self, up_to: Seq) -> Result<(), StoreError> {
        let mut state = self.state()?;
        let up_to = up_to.min(state.last_seq);
        if up_to <= state.trimmed {
            return Ok(());
        }
        for seq in state.first_change(0)..=up_to {
            self.values.remove(&feed_key(seq));
        }
        state.trimmed = up_to;
        let (key, sealed) = state.seal(FORMAT);
        self.values.insert(key, sealed);
        Ok(())
    }
}

fn feed_key(seq: Seq) -> Bytes {
    Key::Feed { seq }.encode()
}

struct MapCursor<'a> {
    values: &'a BTreeMap<Bytes, Bytes>,
    end: &'a Bytes,
    item: Option<(&'a Bytes, &'a Bytes)>,
}

impl MapCursor<'_> {
    fn go_to(&mut self, from: Bound<&[u8]>) {
        let found = self
            .values
            .range::<[u8], _>((from, Bound::Unbounded))
            .next();
        self.item = found.filter(|(key, _)| *key < self.end);
    }
}

impl Cursor for MapCursor<'_> {
    fn seek(&mut self, from: &[u8]) -> Result<(), StoreError> {
        self.go_to(Bound::Included(from));
        Ok(())
    }

    fn next(&mut self) -> Result<(), StoreError> {
        let (last, _) = self.item.expect("the cursor stands on a key");
        self.go_to(Bound::Excluded(last));
        Ok(())
    }

    fn item(&self) -> Option<(&[u8], &[u8])> {
        let (key, sealed) = self.item?;
        Some((key, sealed))
    }
}

#[async_trait]
impl IndexStore for MemoryEngine {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.with(partition, |data| data.commit(partition, &batches))
    }

    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError> {
        self.with(partition, |data| {
            let sealed = data.values.get(key);
            sealed.map(|sealed| open_value(key, sealed)).transpose()
        })
    }

    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        self.with(partition, |data| {
            let mut cursor = MapCursor {
                values: &data.values,
                end: &request.end,
                item: None,
            };
            scan_page(&mut cursor, &request)
        })
    }

    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.with(partition, |data| data.changes(after, limit))
    }

    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.with(partition, |data| data.trim(up_to))
    }

    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        self.with(partition, |data| data.state().map(|state| state.last_seq))
    }
}
