//! The S3 operations, one file each, and the table of what is offered.

pub mod abort_upload;
pub mod acl;
pub mod bucket_tagging;
pub mod bucket_versioning;
pub mod complete_upload;
pub mod copy_object;
pub mod create_bucket;
pub mod create_upload;
pub mod delete_bucket;
pub mod delete_object;
pub mod delete_objects;
pub mod get_bucket_location;
pub mod get_object;
pub mod get_object_attributes;
pub mod head_bucket;
pub mod head_object;
pub mod list_buckets;
pub mod list_objects;
pub mod list_objects_v2;
pub mod list_parts;
pub mod list_uploads;
pub mod list_versions;
pub mod object_tagging;
pub mod put_object;
pub mod unset;
pub mod upload_part;
pub mod upload_part_copy;

mod checksum;
mod commit;
mod copy_source;
mod found;
mod listing;
mod object_body;
mod part;
mod read;
mod receive;
mod tags;
mod unsupported;
mod version;

pub(crate) use object_body::Multiplexed;

use crate::error::ApiError;
use s3s::S3Response;
use std::fmt::Write;
use tracing::Instrument;

/// What an operation answers.
pub(crate) type OpResult<T> = Result<S3Response<T>, ApiError>;

/// Runs `work` to its end even if the client goes away, so that what it began is either committed
/// or cleaned up.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    let task = tokio::spawn(work.in_current_span());
    task.await
        .unwrap_or_else(|stopped| Err(ApiError::internal(stopped)))
}

/// How much of an operation is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It works.
    Yes,
    /// It answers what AWS answers where nothing has been configured, and nothing can be yet.
    Unset,
    /// It answers 501 NotImplemented.
    NotYet,
}

impl Support {
    /// The word in README's table.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Unset => "answers \"not set\"",
            Self::NotYet => "501",
        }
    }
}

/// Every operation of S3, in alphabetical order.
pub const SUPPORT: &[(&str, Support)] = {
    use Support::{NotYet, Unset, Yes};
    &[
        ("AbortMultipartUpload", Yes),
        ("CompleteMultipartUpload", Yes),
        ("CopyObject", Yes),
        ("CreateBucket", Yes),
        ("CreateBucketMetadataTableConfiguration", NotYet),
        ("CreateMultipartUpload", Yes),
        ("CreateSession", NotYet),
        ("DeleteBucket", Yes),
        ("DeleteBucketAnalyticsConfiguration", NotYet),
        ("DeleteBucketCors", NotYet),
        ("DeleteBucketEncryption", NotYet),
        ("DeleteBucketIntelligentTieringConfiguration", NotYet),
        ("DeleteBucketInventoryConfiguration", NotYet),
        ("DeleteBucketLifecycle", NotYet),
        ("DeleteBucketMetadataTableConfiguration", NotYet),
        ("DeleteBucketMetricsConfiguration", NotYet),
        ("DeleteBucketOwnershipControls", NotYet),
        ("DeleteBucketPolicy", NotYet),
        ("DeleteBucketReplication", NotYet),
        ("DeleteBucketTagging", Yes),
        ("DeleteBucketWebsite", NotYet),
        ("DeleteObject", Yes),
        ("DeleteObjectTagging", Yes),
        ("DeleteObjects", Yes),
        ("DeletePublicAccessBlock", NotYet),
        ("GetBucketAccelerateConfiguration", Unset),
        ("GetBucketAcl", Yes),
        ("GetBucketAnalyticsConfiguration", NotYet),
        ("GetBucketCors", Unset),
        ("GetBucketEncryption", Unset),
        ("GetBucketIntelligentTieringConfiguration", NotYet),
        ("GetBucketInventoryConfiguration", NotYet),
        ("GetBucketLifecycleConfiguration", Unset),
        ("GetBucketLocation", Yes),
        ("GetBucketLogging", Unset),
        ("GetBucketMetadataTableConfiguration", NotYet),
        ("GetBucketMetricsConfiguration", NotYet),
        ("GetBucketNotificationConfiguration", Unset),
        ("GetBucketOwnershipControls", Unset),
        ("GetBucketPolicy", Unset),
        ("GetBucketPolicyStatus", Unset),
        ("GetBucketReplication", Unset),
        ("GetBucketRequestPayment", Unset),
        ("GetBucketTagging", Yes),
        ("GetBucketVersioning", Yes),
        ("GetBucketWebsite", Unset),
        ("GetObject", Yes),
        ("GetObjectAcl", Yes),
        ("GetObjectAttributes", Yes),
        ("GetObjectLegalHold", NotYet),
        ("GetObjectLockConfiguration", Unset),
        ("GetObjectRetention", NotYet),
        ("GetObjectTagging", Yes),
        ("GetObjectTorrent", NotYet),
        ("GetPublicAccessBlock", Unset),
        ("HeadBucket", Yes),
        ("HeadObject", Yes),
        ("ListBucketAnalyticsConfigurations", NotYet),
        ("ListBucketIntelligentTieringConfigurations", NotYet),
        ("ListBucketInventoryConfigurations", NotYet),
        ("ListBucketMetricsConfigurations", NotYet),
        ("ListBuckets", Yes),
        ("ListDirectoryBuckets", NotYet),
        ("ListMultipartUploads", Yes),
        ("ListObjectVersions", Yes),
        ("ListObjects", Yes),
        ("ListObjectsV2", Yes),
        ("ListParts", Yes),
        ("PostObject", NotYet),
        ("PutBucketAccelerateConfiguration", NotYet),
        ("PutBucketAcl", Yes),
        ("PutBucketAnalyticsConfiguration", NotYet),
        ("PutBucketCors", NotYet),
        ("PutBucketEncryption", NotYet),
        ("PutBucketIntelligentTieringConfiguration", NotYet),
        ("PutBucketInventoryConfiguration", NotYet),
        ("PutBucketLifecycleConfiguration", NotYet),
        ("PutBucketLogging", NotYet),
        ("PutBucketMetricsConfiguration", NotYet),
        ("PutBucketNotificationConfiguration", NotYet),
        ("PutBucketOwnershipControls", NotYet),
        ("PutBucketPolicy", NotYet),
        ("PutBucketReplication", NotYet),
        ("PutBucketRequestPayment", NotYet),
        ("PutBucketTagging", Yes),
        ("PutBucketVersioning", Yes),
        ("PutBucketWebsite", NotYet),
        ("PutObject", Yes),
        ("PutObjectAcl", Yes),
        ("PutObjectLegalHold", NotYet),
        ("PutObjectLockConfiguration", NotYet),
        ("PutObjectRetention", NotYet),
        ("PutObjectTagging", Yes),
        ("PutPublicAccessBlock", NotYet),
        ("RestoreObject", NotYet),
        ("SelectObjectContent", NotYet),
        ("UploadPart", Yes),
        ("UploadPartCopy", Yes),
        ("WriteGetObjectResponse", NotYet),
    ]
};

/// [`SUPPORT`] as a Markdown table: one row for each degree of support.
#[must_use]
pub fn support_table() -> String {
    let mut table = String::from("| support | operations |\n|---|---|\n");
    for degree in [Support::Yes, Support::Unset, Support::NotYet] {
        let names: Vec<&str> = SUPPORT
            .iter()
            .filter(|(_, own)| *own == degree)
            .map(|(name, _)| *name)
            .collect();
        let _ = writeln!(table, "| {} | {} |", degree.word(), names.join(", "));
    }
    table
}

#[cfg(test)]
mod tests;
