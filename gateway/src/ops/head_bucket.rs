//! HeadBucket.

use super::OpResult;
use crate::context::Context;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// HeadBucket. (The region beside a refusal comes from [`crate::http`], which sees all of them.)
///
/// # Errors
/// What stands between the signer and the bucket.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<HeadBucketInput>,
) -> OpResult<HeadBucketOutput> {
    let expected = request.input.expected_bucket_owner.as_deref();
    context
        .owned(&request, &request.input.bucket, expected)
        .await?;
    Ok(S3Response::new(HeadBucketOutput {
        access_point_alias: Some(false),
        bucket_region: Some(context.config.region.clone()),
        ..HeadBucketOutput::default()
    }))
}
