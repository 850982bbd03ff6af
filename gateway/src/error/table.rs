//! Each error of the crates below, and of this one, with its answer.

#![deny(clippy::wildcard_enum_match_arm)]

use super::{ApiError, RETRY_AFTER};
use super::{no_such_bucket, no_such_key, no_such_upload, no_such_version, precondition_failed};
use crate::admission::Exhausted;
use crate::body::PayloadError;
use crate::digest::{BodyFault, DigestError, HashFailed};
use crate::headers::HeaderError;
use crate::policy::AccessDenied;
use crate::precondition::UnsupportedCondition;
use crate::range::{self, MalformedSourceRange, OutsideSource, Unsatisfiable};
use chunkstore::{ReadChunkError, WriteError};
use http::StatusCode;
use index::error::{
    CompleteUploadError, CopyObjectError, CreateBucketError, CreateUploadError, DeleteBucketError,
    DeleteObjectError, PutObjectError, PutPartError, UpdateBucketError, UploadError,
};
use index::store::StoreError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Throttled(after) => Self::slow_down(after),
            StoreError::Fenced { .. }
            | StoreError::Moved(_)
            | StoreError::NotLeader { .. }
            | StoreError::Unavailable(_)
            | StoreError::Indeterminate(_) => Self::unavailable(error),
            StoreError::Expired { .. } => too_old(),
            StoreError::Full => Self::full(error),
            StoreError::Corrupt { .. } | StoreError::TooLarge(_) => Self::internal(error),
        }
    }
}

impl From<CreateBucketError> for ApiError {
    fn from(error: CreateBucketError) -> Self {
        match error {
            CreateBucketError::AlreadyOwnedByYou => Self::new(
                StatusCode::CONFLICT,
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own \
                 it.",
            ),
            CreateBucketError::AlreadyExists => Self::new(
                StatusCode::CONFLICT,
                "BucketAlreadyExists",
                "The requested bucket name is not available. The bucket namespace is shared by all \
                 users of the system. Please select a different name and try again.",
            ),
            CreateBucketError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteBucketError> for ApiError {
    fn from(error: DeleteBucketError) -> Self {
        match error {
            DeleteBucketError::NoSuchBucket => no_such_bucket(),
            DeleteBucketError::NotEmpty => Self::new(
                StatusCode::CONFLICT,
                "BucketNotEmpty",
                "The bucket you tried to delete is not empty",
            ),
            DeleteBucketError::Store(error) => error.into(),
        }
    }
}

impl From<UpdateBucketError> for ApiError {
    fn from(error: UpdateBucketError) -> Self {
        match error {
            UpdateBucketError::NoSuchBucket => no_such_bucket(),
            UpdateBucketError::CannotRemoveVersioning => Self::bad(
                "IllegalVersioningConfigurationException",
                "Versioning that was enabled can be suspended, not removed.",
            ),
            UpdateBucketError::Store(error) => error.into(),
        }
    }
}

impl From<PutObjectError> for ApiError {
    fn from(error: PutObjectError) -> Self {
        match error {
            PutObjectError::NoSuchKey => no_such_key(),
            PutObjectError::PreconditionFailed => precondition_failed(),
            PutObjectError::NoSuchBucket => no_such_bucket(),
            PutObjectError::TooOld => too_old(),
            PutObjectError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteObjectError> for ApiError {
    fn from(error: DeleteObjectError) -> Self {
        match error {
            DeleteObjectError::NoSuchKey => no_such_key(),
            DeleteObjectError::NoSuchVersion => no_such_version(),
            DeleteObjectError::PreconditionFailed => precondition_failed(),
            DeleteObjectError::NoSuchBucket => no_such_bucket(),
            DeleteObjectError::Store(error) => error.into(),
        }
    }
}

impl From<CopyObjectError> for ApiError {
    fn from(error: CopyObjectError) -> Self {
        match error {
            CopyObjectError::SourceChanged => Self::new(
                StatusCode::CONFLICT,
                "OperationAborted",
                "The source of the copy keeps changing. Please try again.",
            ),
            CopyObjectError::Destination(error) => error.into(),
            CopyObjectError::Store(error) => error.into(),
        }
    }
}

impl From<CreateUploadError> for ApiError {
    fn from(error: CreateUploadError) -> Self {
        match error {
            CreateUploadError::NoSuchBucket => no_such_bucket(),
            CreateUploadError::Store(error) => error.into(),
        }
    }
}

impl From<PutPartError> for ApiError {
    fn from(error: PutPartError) -> Self {
        match error {
            PutPartError::NoSuchUpload => no_such_upload(),
            PutPartError::NoSuchBucket => no_such_bucket(),
            PutPartError::TooOld => too_old(),
            PutPartError::Store(error) => error.into(),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::NoSuchUpload => no_such_upload(),
            UploadError::Store(error) => error.into(),
        }
    }
}

impl From<CompleteUploadError> for ApiError {
    fn from(error: CompleteUploadError) -> Self {
        match error {
            CompleteUploadError::NoSuchUpload => no_such_upload(),
            CompleteUploadError::InvalidPart { number } => Self::bad(
                "InvalidPart",
                "One or more of the specified parts could not be found.  The part may not have been \
                 uploaded, or the specified entity tag may not match the part's entity tag.",
            )
            .with_detail("PartNumber", number),
            CompleteUploadError::InvalidPartOrder => Self::bad(
                "InvalidPartOrder",
                "The list of parts was not in ascending order. The parts list must be specified in \
                 order by part number.",
            ),
            CompleteUploadError::PartTooSmall {
                number,
                length,
                minimum,
            } => Self::bad(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
            )
            .with_detail("ProposedSize", length)
            .with_detail("MinSizeAllowed", minimum)
            .with_detail("PartNumber", number),
            CompleteUploadError::Put(error) => error.into(),
            CompleteUploadError::Store(error) => error.into(),
        }
    }
}

/// SDKs begin such a request anew.
fn too_old() -> ApiError {
    ApiError::bad(
        "RequestTimeout",
        "The request took too long to be committed. Begin it anew.",
    )
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Full { .. } => Self::full(error),
            WriteError::NoQuorum { .. } => Self::unavailable(error),
        }
    }
}

impl From<ReadChunkError> for ApiError {
    fn from(error: ReadChunkError) -> Self {
        match error {
            // Groups are never removed: this gateway's map is behind, as right after a chunk cluster was added.
            ReadChunkError::NoSuchGroup { .. } => Self::unavailable(error),
            ReadChunkError::BadRange { .. }
            | ReadChunkError::Unreadable { .. }
            | ReadChunkError::Damaged { .. } => Self::internal(error),
        }
    }
}

impl From<PayloadError> for ApiError {
    fn from(error: PayloadError) -> Self {
        Self::new(error.status(), error.code(), error.to_string())
    }
}

impl From<DigestError> for ApiError {
    fn from(error: DigestError) -> Self {
        let code = match &error {
            DigestError::InvalidMd5 => "InvalidDigest",
            DigestError::Md5Mismatch | DigestError::Mismatch { .. } => "BadDigest",
            DigestError::Several
            | DigestError::InvalidValue { .. }
            | DigestError::OtherAlgorithm
            | DigestError::MissingValue => "InvalidRequest",
            DigestError::Unsupported { header } => {
                return Self::not_implemented(format_args!("the checksum {header}"));
            }
        };
        Self::bad(code, error.to_string())
    }
}

impl From<HashFailed> for ApiError {
    fn from(error: HashFailed) -> Self {
        Self::internal(error)
    }
}

impl From<BodyFault> for ApiError {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::Digest(error) => error.into(),
            BodyFault::Hash(error) => error.into(),
        }
    }
}

impl From<HeaderError> for ApiError {
    fn from(error: HeaderError) -> Self {
        let code = match &error {
            HeaderError::NotText { .. } => "InvalidArgument",
            HeaderError::MetadataTooLarge { bytes, max } => {
                return Self::bad("MetadataTooLarge", error.to_string())
                    .with_detail("Size", bytes)
                    .with_detail("MaxSizeAllowed", max);
            }
            HeaderError::InvalidStorageClass => "InvalidStorageClass",
            HeaderError::UnsupportedStorageClass { .. } => {
                return Self::not_implemented(format_args!("{error}"));
            }
        };
        Self::bad(code, error.to_string())
    }
}

impl From<Exhausted> for ApiError {
    fn from(_: Exhausted) -> Self {
        Self::slow_down(RETRY_AFTER)
    }
}

impl From<AccessDenied> for ApiError {
    fn from(error: AccessDenied) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", error.to_string())
    }
}

impl From<UnsupportedCondition> for ApiError {
    fn from(error: UnsupportedCondition) -> Self {
        Self::not_implemented(format_args!("this condition ({error})"))
    }
}

impl From<Unsatisfiable> for ApiError {
    fn from(error: Unsatisfiable) -> Self {
        let message = "The requested range is not satisfiable";
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message)
            .with_header("content-range", &range::unsatisfied_range(error.length))
    }
}

impl From<MalformedSourceRange> for ApiError {
    fn from(error: MalformedSourceRange) -> Self {
        Self::bad("InvalidArgument", error.to_string())
    }
}

impl From<OutsideSource> for ApiError {
    fn from(error: OutsideSource) -> Self {
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        Self::new(status, "InvalidRange", error.to_string())
    }
}
