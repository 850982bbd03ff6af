//! What the feed (`f/`) tells of a commit: enough to replicate, notify, meter and keep an inventory.

use super::bucket::ordinal;
use types::record;
use types::wire::{DecodeError, Field, Input};
use types::{BucketId, Order, UploadId, VersionId};

ordinal! {
    /// What happened.
    pub enum EventKind as "event kind" {
        /// Nothing that a consumer needs.
        Internal = 0,
        /// A version was put.
        Put = 1,
        /// A version was made by copying another.
        Copy = 2,
        /// A version was made by completing a multipart upload.
        Complete = 3,
        /// A delete marker was made.
        MarkerCreated = 4,
        /// A version or marker was deleted; nothing new stands in its place.
        Deleted = 5,
        /// A multipart upload was started.
        UploadCreated = 6,
        /// A part was stored.
        PartPut = 7,
        /// A multipart upload was aborted.
        UploadAborted = 8,
        /// The bucket's state was written.
        BucketChanged = 9,
        /// The bucket was removed.
        BucketRemoved = 10,
        /// The tags of a version were changed; it keeps its place, its ETag and its Last-Modified.
        TagsChanged = 11,
    }
}

record! {
    /// A version (or part) that the commit removed, for metering and replication.
    pub struct RemovedVersion {
        1 => version: VersionId,
        2 => order: Order,
        3 => plain_length: u64,
        4 => is_null: bool,
        5 => delete_marker: bool,
    }
}

record! {
    /// One event.
    pub struct FeedEvent {
        1 => kind: EventKind,
        2 => bucket: BucketId,
        3 => key: String,
        /// The version that was made.
        4 => version: VersionId,
        5 => order: Order,
        6 => is_null: bool,
        7 => plain_length: u64,
        8 => etag: String,
        /// What the commit removed.
        9 => removed: Vec<RemovedVersion>,
        10 => upload: UploadId,
        11 => part: u16,
    }
}

#[cfg(test)]
mod tests;
