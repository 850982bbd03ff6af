//! Column families: which records lie in which.

use crate::key::{HEADER_BYTES, kind, kind_of, successor_of_prefix};
use bytes::Bytes;
use rocksdb::{ColumnFamily, DB};
use types::PartitionId;

/// Bytes of the partition in front of each key.
pub const PARTITION_BYTES: usize = 4;

/// A column family. The names are persisted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// What lists, metadata reads and conditions touch.
    Default,
    /// Bodies.
    Inline,
    /// Feed, reclaims, outcomes and partition state.
    Log,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 3] = [Self::Default, Self::Inline, Self::Log];

    /// The persisted name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => rocksdb::DEFAULT_COLUMN_FAMILY_NAME,
            Self::Inline => "inline",
            Self::Log => "log",
        }
    }

    /// The open family.
    pub fn of(self, db: &DB) -> &ColumnFamily {
        db.cf_handle(self.name())
            .expect("a database is opened with all families")
    }

    /// The family of a key.
    pub fn of_key(key: &[u8]) -> Self {
        match kind_of(key) {
            Some(kind::INLINE) => Self::Inline,
            Some(kind::FEED | kind::RECLAIM | kind::OUTCOME | kind::PARTITION_STATE) => Self::Log,
            Some(_) | None => Self::Default,
        }
    }

    /// The families that may have keys from `start` up to `end`: one when the range stays inside one
    /// kind of one bucket, as nearly all do.
    pub fn of_range(start: &[u8], end: &[u8]) -> &'static [Self] {
        let stays_in_kind = start
            .get(..HEADER_BYTES)
            .and_then(successor_of_prefix)
            .is_some_and(|next| end <= next.as_ref());
        if !stays_in_kind {
            return &Self::ALL;
        }
        match Self::of_key(start) {
            Self::Default => &[Self::Default],
            Self::Inline => &[Self::Inline],
            Self::Log => &[Self::Log],
        }
    }
}

/// The key under which RocksDB keeps `key` of `partition`.
pub fn full_key(partition: PartitionId, key: &[u8]) -> Bytes {
    let mut full = Vec::with_capacity(PARTITION_BYTES + key.len());
    full.extend_from_slice(&partition.0.to_be_bytes());
    full.extend_from_slice(key);
    full.into()
}
