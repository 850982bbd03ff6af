//! Engines that keep partitions, and what they share: the evaluation of batches, the reading of
//! pages, and the partition's own state record.
//!
//! An engine differs from another only in where the sealed values lie. Whatever decides about a
//! commit is in [`evaluate`], so all engines decide alike.

mod evaluate;
pub mod limits;
pub mod memory;
pub mod raft;
pub mod rocks;
mod scan;
mod state;

use crate::key::{Key, hexadecimal};
use crate::store::{Change, Seq, StoreError, Versioned};
use bytes::Bytes;
use types::envelope;

/// Opens the sealed value found under `key`.
fn open_value(key: &[u8], sealed: &Bytes) -> Result<Versioned, StoreError> {
    let (seq, value) = open_slice(key, sealed)?;
    let value = sealed.slice_ref(value);
    Ok(Versioned { seq, value })
}

/// The same for a value that is borrowed: its seq and the bytes that were put.
fn open_slice<'a>(key: &[u8], sealed: &'a [u8]) -> Result<(Seq, &'a [u8]), StoreError> {
    envelope::open_slice(key, sealed).map_err(|error| corrupt(key, &error))
}

/// What a damaged or missing record under `key` is reported as.
fn corrupt(key: &[u8], reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        key: hexadecimal(key),
        reason: reason.to_string(),
    }
}

/// Checks feed records as they are read, so that a lost one is an error and not a gap that a consumer
/// cannot see.
struct FeedReader {
    expected: Seq,
}

impl FeedReader {
    /// A reader whose first record must be that of commit `expected`.
    fn new(expected: Seq) -> Self {
        Self { expected }
    }

    /// Takes the record that was found under `key`.
    fn take(&mut self, key: &[u8], sealed: &[u8]) -> Result<Change, StoreError> {
        let seq = match Key::decode(key) {
            Ok(Key::Feed { seq }) => seq,
            Ok(_) => {
                return Err(corrupt(
                    key,
                    &"another record stands among those of the feed",
                ));
            }
            Err(error) => return Err(corrupt(key, &error)),
        };
        if seq != self.expected {
            return Err(self.missing());
        }
        self.expected += 1;
        let (_, feed) = open_slice(key, sealed)?;
        let feed = Bytes::copy_from_slice(feed);
        Ok(Change { seq, feed })
    }

    /// Checks that the feed was read to its end, commit `last`.
    fn finish(self, last: Seq) -> Result<(), StoreError> {
        if self.expected <= last {
            return Err(self.missing());
        }
        Ok(())
    }

    fn missing(&self) -> StoreError {
        let key = Key::Feed { seq: self.expected }.encode();
        corrupt(&key, &"the feed's record of this commit is missing")
    }
}
