//! What is known of a bucket: its name in the root, its state in its own partition.

use std::collections::BTreeMap;
use types::record;
use types::wire::{DecodeError, Field, Input};
use types::{BucketId, PartitionId, RegionId};

/// Declares a fieldless enum that is kept as one byte; the first case is the default.
macro_rules! ordinal {
    ($(#[$doc:meta])* pub enum $name:ident as $what:literal {
        $(#[$first_doc:meta])* $first:ident = 0,
        $($(#[$case_doc:meta])* $case:ident = $byte:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[$first_doc])*
            #[default]
            $first,
            $($(#[$case_doc])* $case,)*
        }

        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self {
                    Self::$first => 0,
                    $(Self::$case => $byte,)*
                });
            }
            fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
                match &*bytes {
                    [0] => Ok(Self::$first),
                    $([$byte] => Ok(Self::$case),)*
                    _ => Err(DecodeError::BadValue { what: $what }),
                }
            }
            fn is_default(&self) -> bool {
                *self == Self::$first
            }
        }
    };
}
pub(crate) use ordinal;

ordinal! {
    /// Whether a bucket keeps the versions of its keys.
    pub enum Versioning as "versioning state" {
        /// Never enabled: a key has one version, the null version.
        Unversioned = 0,
        /// Each write makes a version with an id of its own.
        Enabled = 1,
        /// Writes replace the null version; the others stay.
        Suspended = 2,
    }
}

ordinal! {
    /// Whether a bucket takes writes.
    pub enum BucketPhase as "bucket phase" {
        /// It does.
        Open = 0,
        /// It is being deleted: nothing is written until the deletion has removed or reopened it.
        Closing = 1,
    }
}

ordinal! {
    /// Where the life of a bucket's name stands.
    pub enum NamePhase as "bucket name phase" {
        /// Taken; the bucket's state may not be written yet.
        Creating = 0,
        /// The bucket can be used.
        Active = 1,
        /// The bucket was found empty and is being removed.
        Deleting = 2,
    }
}

record! {
    /// The state of a bucket (`b/`), in its partition. Every object batch conditions on it.
    pub struct BucketState {
        1 => name: String,
        /// Canonical id of the account that owns the bucket.
        2 => owner: String,
        3 => created_ms: u64,
        4 => phase: BucketPhase,
        5 => versioning: Versioning,
    }
}

record! {
    /// The tags of a bucket, as its configuration `tagging` (`j/`) keeps them.
    pub struct BucketTags {
        1 => tags: BTreeMap<String, String>,
    }
}

record! {
    /// A bucket name (`n`), in the root.
    pub struct BucketName {
        1 => bucket: BucketId,
        /// Canonical id of the account that owns the bucket.
        2 => owner: String,
        3 => phase: NamePhase,
        4 => created_ms: u64,
        /// The region where the bucket is written.
        5 => home: RegionId,
        /// Raised when another region becomes the home.
        6 => home_epoch: u32,
        /// The partition of the home's index that holds the bucket.
        7 => partition: PartitionId,
    }
}

record! {
    /// A number that only grows: the last one given out.
    pub struct Counter {
        1 => last: u64,
    }
}

#[cfg(test)]
mod tests;
