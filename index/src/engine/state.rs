//! The state record of a partition, under [`Key::PartitionState`].

use super::{corrupt, open_value};
use crate::key::Key;
use crate::store::{Seq, StoreError};
use bytes::Bytes;
use types::{FormatVersion, envelope, record};

record! {
    /// What an engine must know of a partition to go on after a restart. Written with every commit.
    pub struct PartitionState {
        /// Sequence of the last commit.
        1 => last_seq: u64,
        /// Highest epoch of an owner that has sent a batch; older ones are fenced.
        2 => epoch: u64,
        /// The feed is forgotten up to and including this commit.
        3 => trimmed: u64,
        /// Outcomes of operation ids older than this are forgotten, so an id older than this is refused
        /// even if the wall clock has gone back since.
        4 => outcomes_from_ms: u64,
    }
}

impl PartitionState {
    /// The state sealed for its key.
    pub fn seal(&self, format: FormatVersion) -> (Bytes, Bytes) {
        let key = Key::PartitionState.encode();
        let sealed = envelope::seal_as(format, &key, self.last_seq, &self.encode());
        (key, sealed.into())
    }

    /// Reads what was found under [`Key::PartitionState`]; nothing is the state of a new partition.
    pub fn open(sealed: Option<&Bytes>) -> Result<Self, StoreError> {
        let Some(sealed) = sealed else {
            return Ok(Self::default());
        };
        let key = Key::PartitionState.encode();
        let value = open_value(&key, sealed)?.value;
        Self::decode(value).map_err(|error| corrupt(&key, &error))
    }

    /// The first commit after `after` that the feed still tells of.
    pub fn first_change(&self, after: Seq) -> Seq {
        after.max(self.trimmed).saturating_add(1)
    }
}
