//! Shared manifests: how several versions use the same chunks.
//!
//! A manifest that is copied gets an `s/` record in the partition where it was first written, with a
//! count and one reference record for each version that uses it.

use types::record;
use types::{BucketId, Manifest, OpId, PartitionId};

/// The reference of the version that owned the manifest before it was shared.
pub const OWNER_REFERENCE: u64 = 1;

record! {
    /// A shared manifest (`s/<manifest>`).
    pub struct SharedRecord {
        /// Number of reference records. The batch that would make it 0 removes the record and queues
        /// the chunks for reclaim.
        1 => count: u64,
        /// The manifest as its owner had it; what reclaim frees.
        2 => manifest: Manifest,
    }
}

record! {
    /// A use of a shared manifest (`s/<manifest>/<reference>`).
    pub struct SharedReference {
        /// The bucket of the version.
        1 => bucket: BucketId,
        2 => key: String,
        /// The partition of that bucket.
        3 => partition: PartitionId,
        /// When the reference was written; the audit leaves young ones alone.
        4 => created_ms: u64,
        /// The copy that wrote it; 0 for the owner's.
        5 => op_id: OpId,
    }
}

#[cfg(test)]
mod tests;
