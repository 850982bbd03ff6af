//! A cursor over one or several column families, as of one snapshot.

use super::family::{Family, PARTITION_BYTES, full_key};
use super::read_error;
use crate::engine::scan::Cursor;
use crate::store::StoreError;
use rocksdb::{DB, DBRawIterator, ReadOptions, Snapshot};
use std::ops::Range;
use types::PartitionId;

/// Merges the keys of the families into one order.
pub struct FamilyCursor<'a> {
    iterators: Vec<DBRawIterator<'a>>,
    partition: PartitionId,
    /// The iterator that stands on the least key.
    least: usize,
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
            least: 0,
        }
    }

    /// Finds the least of the keys that the iterators stand on, after those in `moved` went to another.
    fn settle(&mut self, moved: Range<usize>, from: &[u8]) -> Result<(), StoreError> {
        for iterator in &self.iterators[moved] {
            // An iterator that failed stands on no key.
            if !iterator.valid() {
                iterator
                    .status()
                    .map_err(|error| read_error(from, &error))?;
            }
        }
        if self.iterators.len() > 1 {
            let keys = self.iterators.iter().enumerate();
            let keys = keys.filter_map(|(index, iterator)| Some((iterator.key()?, index)));
            self.least = keys.min().map_or(0, |(_, index)| index);
        }
        Ok(())
    }
}

impl Cursor for FamilyCursor<'_> {
    fn seek(&mut self, from: &[u8]) -> Result<(), StoreError> {
        let full = full_key(self.partition, from);
        for iterator in &mut self.iterators {
            iterator.seek(&full);
        }
        self.settle(0..self.iterators.len(), from)
    }

    fn next(&mut self) -> Result<(), StoreError> {
        self.iterators[self.least].next();
        self.settle(self.least..self.least + 1, &[])
    }

    fn item(&self) -> Option<(&[u8], &[u8])> {
        let (key, sealed) = self.iterators[self.least].item()?;
        Some((&key[PARTITION_BYTES..], sealed))
    }
}
