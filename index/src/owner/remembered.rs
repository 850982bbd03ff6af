//! Records that nearly every operation reads and few change, kept in memory: the names and the states of
//! buckets.
//!
//! # To ensure correctness
//! - The owner is the only writer of its partition, and all its commits go through one thread. That thread
//!   forgets a key before the commit that writes it, and nothing of the kind is remembered again until the
//!   commit has ended, however it ended: meanwhile every read goes to the store.
//! - What a read found is remembered only if no such commit began after the read did. So what is remembered
//!   is what the store holds, and a read of it sees no less than a read of the store would.

use crate::key::{kind, kind_of};
use crate::store::{Batch, Operation, Versioned};
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::HashMap;

/// Records that are remembered at the most: some megabytes. All are forgotten when there are more.
const RECORDS_MAX: usize = 16 * 1024;

/// What is remembered.
#[derive(Debug, Default)]
pub struct Remembered {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    records: HashMap<Bytes, Versioned>,
    /// Times that a commit of such records began.
    changes: u64,
    /// Whether one is under way.
    is_changing: bool,
}

/// That a read began before any later change. Where it is none, the read is not to be remembered.
#[derive(Debug, Clone, Copy)]
pub struct Reading(Option<u64>);

/// A commit under way that writes records of the kind; until it is dropped, none is remembered.
#[derive(Debug)]
pub struct Changing<'a>(&'a Remembered);

impl Remembered {
    /// The record of `key`, or what [`Remembered::keep`] needs to know of the read that must follow.
    pub fn find(&self, key: &[u8]) -> Result<Versioned, Reading> {
        if !is_remembered(key) {
            return Err(Reading(None));
        }
        let state = self.state.read();
        match state.records.get(key) {
            Some(record) => Ok(record.clone()),
            None => Err(Reading((!state.is_changing).then_some(state.changes))),
        }
    }

    /// Remembers what a read found.
    pub fn keep(&self, reading: Reading, key: &[u8], found: Option<&Versioned>) {
        let (Some(changes), Some(found)) = (reading.0, found) else {
            return;
        };
        let mut state = self.state.write();
        if state.is_changing || state.changes != changes {
            return;
        }
        if state.records.len() >= RECORDS_MAX {
            state.records.clear();
        }
        state
            .records
            .insert(Bytes::copy_from_slice(key), found.clone());
    }

    /// Forgets what `batches` write, before they are committed; `None` when that is nothing of the kind.
    pub fn change<'a>(&self, batches: impl Iterator<Item = &'a Batch>) -> Option<Changing<'_>> {
        let written = batches.flat_map(|batch| &batch.operations);
        let keys = written.filter_map(|operation| match operation {
            Operation::Put(key, _) | Operation::Delete(key) => is_remembered(key).then_some(key),
            Operation::Reclaim(_) => None,
        });
        let mut keys = keys.peekable();
        keys.peek()?;
        let mut state = self.state.write();
        state.changes += 1;
        state.is_changing = true;
        for key in keys {
            state.records.remove(key);
        }
        drop(state);
        Some(Changing(self))
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.state.write().is_changing = false;
    }
}

fn is_remembered(key: &[u8]) -> bool {
    matches!(kind_of(key), Some(kind::BUCKET_NAME | kind::BUCKET_STATE))
}

#[cfg(test)]
mod tests;
