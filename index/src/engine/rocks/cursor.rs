//! A cursor over one or several column families, as of one snapshot.

use super::family::{Family, PARTITION_BYTES, full_key};
use super::read_error;
use crate::engine::scan::Cursor;
use crate::store::StoreError;
use bytes::Bytes;
use rocksdb::{DB, DBRawIterator, ReadOptions, Snapshot};
use types::PartitionId;

/// Merges the keys of the families into one order.
pub struct FamilyCursor<'a> {
    iterators: Vec<DBRawIterator<'a>>,
    partition: PartitionId,
    /// The iterator that stands on the key that was returned last.
    last: usize,
}

impl<'a> FamilyCursor<'a> {
    /// A cursor over the keys of `partition` in `families` that are before `end`.
    pub fn new(
        db: &'a DB,
        snapshot: &'a Snapshot<'a>,
        families: &[Family],
        partition: PartitionId,
        end: &[u8],
    ) -> Self {
        let end = full_key(partition, end);
        let iterators = families
            .iter()
            .map(|family| {
                let mut options = ReadOptions::default();
                options.set_iterate_upper_bound(end.as_ref());
                snapshot.raw_iterator_cf_opt(family.of(db), options)
            })
            .collect();
        Self {
            iterators,
            partition,
            last: 0,
        }
    }

    /// The least of the keys that the iterators stand on.
    fn least(&mut self, from: &[u8]) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        for iterator in &self.iterators {
            iterator
                .status()
                .map_err(|error| read_error(from, &error))?;
        }
        let least = self
            .iterators
            .iter()
            .enumerate()
            .filter_map(|(index, iterator)| Some((iterator.item()?, index)))
            .min_by_key(|((key, _), _)| *key);
        let Some(((key, sealed), index)) = least else {
            return Ok(None);
        };
        let key = Bytes::copy_from_slice(&key[PARTITION_BYTES..]);
        let sealed = Bytes::copy_from_slice(sealed);
        self.last = index;
        Ok(Some((key, sealed)))
    }
}

impl Cursor for FamilyCursor<'_> {
    fn seek(&mut self, from: &[u8]) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let full = full_key(self.partition, from);
        for iterator in &mut self.iterators {
            iterator.seek(&full);
        }
        self.least(from)
    }

    fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        self.iterators[self.last].next();
        self.least(&[])
    }
}
