//! The index: ordered, durable metadata. It knows names, versions, manifests and references, and
//! never reads chunk bytes. The facade is [`Index`].
//!
//! # The consistency contract
//! - **Linearizable.** Every write of a bucket is one conditional batch in the bucket's partition,
//!   committed in one order and durable when it is acknowledged. A read that begins after an
//!   acknowledgement sees it: get, list, list of versions, of uploads and of parts alike.
//! - **One winner.** The client's condition (`If-None-Match: *`, `If-Match`) is evaluated against the
//!   same state that the batch is conditioned on, so of any number of writers that race for the same
//!   condition exactly one succeeds. What else changes under a write is retried inside; it never
//!   becomes a client's 412.
//! - **Once.** `StoreError::Indeterminate` says that a write may or may not have happened. Calling again
//!   with the same operation id gives the first call's result (version id, ETag), or does it now; it
//!   never does it twice. An operation id works for `types::limits::OUTCOME_TTL`.
//! - **Pages.** A page of a list is as of one moment; two pages are of two moments. A key that is there
//!   during the whole list is listed once. A page of versions is made of several reads: a version that
//!   is there all the while is in it.
//! - **Nothing leaks, nothing is freed early.** The batch that lets go of chunks names them in a reclaim
//!   entry; the batch that commits chunks is refused when they are old enough to be taken for orphans; a
//!   shared manifest is freed by the batch that removes its last reference.
//! - **Operations of several batches** (creating and deleting a bucket, copying, completing a large upload)
//!   can stop between any two of them. What is half done is invisible, and is finished or undone by the
//!   next caller or by the scheduler.
//!
//! How records are named is in [`key`], what an engine promises in [`store`], how the versions of a key
//! change in `ops/versions.rs`, what always holds in [`invariants`].

pub mod api;
pub mod config;
mod context;
pub mod engine;
pub mod error;
mod index;
pub mod invariants;
pub mod key;
mod list;
mod ops;
pub mod owner;
pub mod partition;
pub mod remote;
pub mod store;
pub mod until_known;

pub use api::{
    Bucket, BucketPage, CommittedVersion, CompleteUpload, CopyMeta, CopyObject, CopySource,
    CreateUpload, DeleteCondition, DeleteObject, Deleted, ListBuckets, ListObjects, ListUploads,
    ListVersions, ListedObject, ListedUpload, ListedVersion, NewBody, ObjectMeta, ObjectPage,
    ObjectPartPage, ObjectVersion, PartPage, PlacedChunk, PlacedPart, PutObject, PutPart,
    SetObjectTags, UploadPage, VersionPage, VersionRef, WriteCondition,
};
pub use config::IndexConfig;
pub use error::{
    CompleteUploadError, CopyObjectError, CreateBucketError, CreateUploadError, DeleteBucketError,
    DeleteObjectError, PutObjectError, PutPartError, ReplaceError, SetObjectTagsError,
    UpdateBucketError, UploadError,
};
pub use index::{Index, OpenIndexError};
pub use key::bucket::Versioning;
pub use key::cluster::MissingShards;
pub use key::object::{ChecksumType, ObjectChecksum, VersionRecord};
pub use key::upload::{CompletedUpload, PartRecord, UploadRecord};
pub use key::{Key, KeyRange};
pub use ops::reclaim::{Freed, ReclaimEntry, ReclaimStep};
pub use ops::scan::{ChunkScanPage, ScanCursor};
pub use ops::share::AuditPage;
pub use ops::upload::ExpiredUploads;
pub use owner::{Latch, PartitionOwner};
pub use store::{IndexStore, StoreError};
