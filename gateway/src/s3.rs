//! The one `impl S3`: every operation that is offered, one line each. What is not listed answers
//! 501 NotImplemented, by the defaults of s3s.

use crate::context::Context;
use crate::error::{ApiError, ErrorDetails};
use crate::http::restore;
use crate::metrics::OpMetrics;
use crate::{digest, ops};
use http::StatusCode;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};
use std::future::Future;
use std::sync::Arc;
use tracing::Span;

/// The S3 operations over an index and a chunk store. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    context: Arc<Context>,
}

impl Gateway {
    /// Operations that share `context`.
    #[must_use]
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Runs one operation, whose name it puts into the request's span, and counts it. A success is counted as 200, also
    /// where s3s makes it a 204 or 206.
    async fn observe<I, O, F>(
        &self,
        measured: &'static OpMetrics,
        run: impl FnOnce(Arc<Context>, S3Request<I>) -> F + Send,
        mut request: S3Request<I>,
    ) -> S3Result<S3Response<O>>
    where
        F: Future<Output = Result<S3Response<O>, ApiError>> + Send,
    {
        let span = Span::current();
        span.record("op", measured.op());
        let started = self.context.clock.monotonic();
        restore(&mut request);
        let details = request.extensions.get::<ErrorDetails>().cloned();
        let answer = match digest::small_body_fault(&request.extensions) {
            Some(fault) => Err(fault.into()),
            None => run(Arc::clone(&self.context), request).await,
        };
        let status = match &answer {
            Ok(_) => StatusCode::OK,
            Err(error) => error.status(),
        };
        let took = self.context.clock.monotonic().saturating_sub(started);
        measured.answered(status, took);
        if let (Err(error), Some(details)) = (&answer, details) {
            details.leave(error);
        }
        answer.map_err(|error| error.log(&span))
    }
}

macro_rules! delegate {
    ($($method:ident($input:ident) -> $output:ident: $op:literal, $run:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Gateway {
            $(async fn $method(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                static MEASURED: OpMetrics = OpMetrics::new($op);
                self.observe(&MEASURED, $run, request).await
            })*
        }

        /// The operations that [`Gateway`] answers, by S3's names.
        #[cfg(test)]
        pub(crate) const ANSWERED: &[&str] = &[$($op),*];
    };
}

delegate! {
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput:
        "AbortMultipartUpload", ops::abort_upload::run;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput:
        "CompleteMultipartUpload", ops::complete_upload::run;
    copy_object(CopyObjectInput) -> CopyObjectOutput: "CopyObject", ops::copy_object::run;
    create_bucket(CreateBucketInput) -> CreateBucketOutput: "CreateBucket", ops::create_bucket::run;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput:
        "CreateMultipartUpload", ops::create_upload::run;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput: "DeleteBucket", ops::delete_bucket::run;
    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput:
        "DeleteBucketTagging", ops::bucket_tagging::delete;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput: "DeleteObject", ops::delete_object::run;
    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput:
        "DeleteObjectTagging", ops::object_tagging::delete;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput:
        "DeleteObjects", ops::delete_objects::run;
    get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput)
        -> GetBucketAccelerateConfigurationOutput:
        "GetBucketAccelerateConfiguration", ops::unset::accelerate;
    get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput: "GetBucketAcl", ops::acl::of_bucket;
    get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput: "GetBucketCors", ops::unset::cors;
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput:
        "GetBucketEncryption", ops::unset::encryption;
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput)
        -> GetBucketLifecycleConfigurationOutput:
        "GetBucketLifecycleConfiguration", ops::unset::lifecycle;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput:
        "GetBucketLocation", ops::get_bucket_location::run;
    get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput:
        "GetBucketLogging", ops::unset::logging;
    get_bucket_notification_configuration(GetBucketNotificationConfigurationInput)
        -> GetBucketNotificationConfigurationOutput:
        "GetBucketNotificationConfiguration", ops::unset::notification;
    get_bucket_ownership_controls(GetBucketOwnershipControlsInput)
        -> GetBucketOwnershipControlsOutput:
        "GetBucketOwnershipControls", ops::unset::ownership_controls;
    get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput:
        "GetBucketPolicy", ops::unset::policy;
    get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput:
        "GetBucketPolicyStatus", ops::unset::policy_status;
    get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput:
        "GetBucketReplication", ops::unset::replication;
    get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput:
        "GetBucketRequestPayment", ops::unset::request_payment;
    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput:
        "GetBucketTagging", ops::bucket_tagging::get;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput:
        "GetBucketVersioning", ops::bucket_versioning::get;
    get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput:
        "GetBucketWebsite", ops::unset::website;
    get_object(GetObjectInput) -> GetObjectOutput: "GetObject", ops::get_object::run;
    get_object_acl(GetObjectAclInput) -> GetObjectAclOutput: "GetObjectAcl", ops::acl::of_object;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput:
        "GetObjectAttributes", ops::get_object_attributes::run;
    get_object_lock_configuration(GetObjectLockConfigurationInput)
        -> GetObjectLockConfigurationOutput:
        "GetObjectLockConfiguration", ops::unset::object_lock;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput:
        "GetObjectTagging", ops::object_tagging::get;
    get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput:
        "GetPublicAccessBlock", ops::unset::public_access_block;
    head_bucket(HeadBucketInput) -> HeadBucketOutput: "HeadBucket", ops::head_bucket::run;
    head_object(HeadObjectInput) -> HeadObjectOutput: "HeadObject", ops::head_object::run;
    list_buckets(ListBucketsInput) -> ListBucketsOutput: "ListBuckets", ops::list_buckets::run;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput:
        "ListMultipartUploads", ops::list_uploads::run;
    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput:
        "ListObjectVersions", ops::list_versions::run;
    list_objects(ListObjectsInput) -> ListObjectsOutput: "ListObjects", ops::list_objects::run;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output:
        "ListObjectsV2", ops::list_objects_v2::run;
    list_parts(ListPartsInput) -> ListPartsOutput: "ListParts", ops::list_parts::run;
    put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput:
        "PutBucketAcl", ops::acl::put_of_bucket;
    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput:
        "PutBucketTagging", ops::bucket_tagging::put;
    put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput:
        "PutBucketVersioning", ops::bucket_versioning::put;
    put_object(PutObjectInput) -> PutObjectOutput: "PutObject", ops::put_object::run;
    put_object_acl(PutObjectAclInput) -> PutObjectAclOutput:
        "PutObjectAcl", ops::acl::put_of_object;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput:
        "PutObjectTagging", ops::object_tagging::put;
    upload_part(UploadPartInput) -> UploadPartOutput: "UploadPart", ops::upload_part::run;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput:
        "UploadPartCopy", ops::upload_part_copy::run;
}
