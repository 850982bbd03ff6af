//! What a bucket answers about configuration that nobody has set, in AWS's words: SDKs, Terraform
//! and older clients ask for it before they do anything else.

use super::OpResult;
use crate::context::Context;
use crate::error::ApiError;
use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// Operations that answer 404 with a code of their own.
macro_rules! missing {
    ($(
        $(#[$doc:meta])*
        $name:ident($input:ident) -> $output:ident: $code:literal, $message:literal;
    )*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// Always: 404, or what stands between the signer and the bucket.
        pub async fn $name(context: Arc<Context>, request: S3Request<$input>) -> OpResult<$output> {
            let expected = request.input.expected_bucket_owner.as_deref();
            context.owned(&request, &request.input.bucket, expected).await?;
            Err(ApiError::new(StatusCode::NOT_FOUND, $code, $message))
        }
    )*};
}

/// Operations that answer 200 with a default.
macro_rules! default {
    ($($(#[$doc:meta])* $name:ident($input:ident) -> $output:ident: $answer:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// What stands between the signer and the bucket.
        pub async fn $name(context: Arc<Context>, request: S3Request<$input>) -> OpResult<$output> {
            let expected = request.input.expected_bucket_owner.as_deref();
            context.owned(&request, &request.input.bucket, expected).await?;
            Ok(S3Response::new($answer))
        }
    )*};
}

missing! {
    /// GetBucketCors.
    cors(GetBucketCorsInput) -> GetBucketCorsOutput:
        "NoSuchCORSConfiguration", "The CORS configuration does not exist";
    /// GetBucketEncryption.
    encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput:
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found";
    /// GetBucketLifecycleConfiguration.
    lifecycle(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput:
        "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist";
    /// GetObjectLockConfiguration.
    object_lock(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput:
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket";
    /// GetBucketOwnershipControls.
    ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput:
        "OwnershipControlsNotFoundError", "The bucket ownership controls were not found";
    /// GetBucketPolicy.
    policy(GetBucketPolicyInput) -> GetBucketPolicyOutput:
        "NoSuchBucketPolicy", "The bucket policy does not exist";
    /// GetBucketPolicyStatus.
    policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput:
        "NoSuchBucketPolicy", "The bucket policy does not exist";
    /// GetPublicAccessBlock.
    public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput:
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found";
    /// GetBucketReplication.
    replication(GetBucketReplicationInput) -> GetBucketReplicationOutput:
        "ReplicationConfigurationNotFoundError", "The replication configuration was not found";
    /// GetBucketWebsite.
    website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput:
        "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration";
}

default! {
    /// GetBucketAccelerateConfiguration: never enabled.
    accelerate(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput:
        GetBucketAccelerateConfigurationOutput::default();
    /// GetBucketLogging: none.
    logging(GetBucketLoggingInput) -> GetBucketLoggingOutput: GetBucketLoggingOutput::default();
    /// GetBucketNotificationConfiguration: none.
    notification(GetBucketNotificationConfigurationInput)
        -> GetBucketNotificationConfigurationOutput:
        GetBucketNotificationConfigurationOutput::default();
    /// GetBucketRequestPayment: the owner of the bucket pays.
    request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput:
        GetBucketRequestPaymentOutput { payer: Some(Payer::from_static(Payer::BUCKET_OWNER)) };
}
