//! How each operation can fail. Every enum ends in [`StoreError`], which says whether to try again;
//! after `Indeterminate` only with the same operation id.

use crate::api::VersionRef;
use crate::store::StoreError;

/// Why a bucket was not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateBucketError {
    /// The caller has a bucket of this name.
    #[error("the account has the bucket already")]
    AlreadyOwnedByYou,
    /// Another account has a bucket of this name.
    #[error("another account has a bucket of this name")]
    AlreadyExists,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a bucket was not deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeleteBucketError {
    /// There is no such bucket.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// The bucket holds versions or delete markers; it is open again.
    #[error("the bucket holds versions or delete markers: delete them first")]
    NotEmpty,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a bucket's configuration was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateBucketError {
    /// There is no such bucket.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// A bucket whose versioning was enabled can only suspend it.
    #[error("versioning that was enabled can be suspended, not removed")]
    CannotRemoveVersioning,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a version was not put.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutObjectError {
    /// `If-Match` on a key that has no current version.
    #[error("If-Match names an ETag, but the key has no current version")]
    NoSuchKey,
    /// The client's condition does not hold.
    #[error("the current version of the key does not fit the request's condition")]
    PreconditionFailed,
    /// The bucket was deleted.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// A chunk of it is older than the write deadline: nothing was committed by this call, and the write must
    /// begin anew.
    #[error("the write began too long ago to be committed: begin it anew")]
    TooOld,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeleteObjectError {
    /// A condition on the ETag, and the key has no current version.
    #[error("the condition names an ETag, but the key has no current version")]
    NoSuchKey,
    /// A condition on the ETag, and the key has no such version.
    #[error("the condition names an ETag, but the key has no such version")]
    NoSuchVersion,
    /// The version that would be deleted has not what the condition says.
    #[error("the version to delete does not fit the request's condition")]
    PreconditionFailed,
    /// The bucket was deleted.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the tags of a version were not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetObjectTagsError {
    /// The key has no current version, or not the version that is named.
    #[error("the key has no such version")]
    NoSuchVersion,
    /// The version that is named is a delete marker.
    #[error("the version is a delete marker")]
    IsDeleteMarker {
        /// The marker.
        version: VersionRef,
    },
    /// The bucket was deleted.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyObjectError {
    /// The source version that the caller read is gone: read the source again, and evaluate the
    /// conditions on it again.
    #[error("the source of the copy was replaced or deleted meanwhile")]
    SourceChanged,
    /// The destination could not be written.
    #[error(transparent)]
    Destination(PutObjectError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an upload was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateUploadError {
    /// The bucket was deleted.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a part was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutPartError {
    /// The upload was never started, was aborted, or is completed.
    #[error("there is no such upload")]
    NoSuchUpload,
    /// The bucket was deleted.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// A chunk of it is older than the write deadline.
    #[error("the part began too long ago to be committed: begin it anew")]
    TooOld,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an upload was not completed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompleteUploadError {
    /// The upload was never started, was aborted, or was completed with other parts.
    #[error("there is no such upload")]
    NoSuchUpload,
    /// A part that the request names was not uploaded, or has another ETag.
    #[error("part {number} was not uploaded, or has another ETag than the request says")]
    InvalidPart {
        /// The part's number.
        number: u16,
    },
    /// The part numbers do not rise, or there are none.
    #[error("part numbers must rise, and there must be at least one part")]
    InvalidPartOrder,
    /// A part that is not the last one is too small.
    #[error(
        "part {number} has {length} bytes, fewer than the {minimum} that all but the last need"
    )]
    PartTooSmall {
        /// The part's number.
        number: u16,
        /// Its length in bytes.
        length: u64,
        /// The least length in bytes.
        minimum: u64,
    },
    /// The object could not be written.
    #[error(transparent)]
    Put(PutObjectError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an upload was not aborted, or its parts not listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The upload was never started, was aborted, or is completed.
    #[error("there is no such upload")]
    NoSuchUpload,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the cluster map or a scheduler state was not replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceError {
    /// Another change came first: read the value again and decide anew.
    #[error("the value was changed meanwhile: read it again and decide anew")]
    Changed,
    /// More existing placement groups would change at once than one batch holds.
    #[error(
        "{groups} placement groups would change at once; at most {limit} can: change them in steps"
    )]
    TooManyGroups {
        /// Groups that would change.
        groups: usize,
        /// Groups that can change at once.
        limit: usize,
    },
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

macro_rules! from_put_error {
    ($($error:ident::$case:ident),*) => {$(
        impl From<PutObjectError> for $error {
            fn from(error: PutObjectError) -> Self {
                match error {
                    PutObjectError::Store(error) => Self::Store(error),
                    other @ (PutObjectError::NoSuchKey
                    | PutObjectError::PreconditionFailed
                    | PutObjectError::NoSuchBucket
                    | PutObjectError::TooOld) => Self::$case(other),
                }
            }
        }
    )*};
}
from_put_error!(CopyObjectError::Destination, CompleteUploadError::Put);
