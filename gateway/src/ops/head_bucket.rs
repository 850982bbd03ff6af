//! HeadBucket.

use super::OpResult;
use crate::context::Context;
use crate::error::ApiError;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// HeadBucket: x-amz-bucket-region, also beside a refusal, since older clients learn the region
/// from it. (Not beside a 404: there is no bucket that has a region.)
///
/// # Errors
/// What stands between the signer and the bucket.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<HeadBucketInput>,
) -> OpResult<HeadBucketOutput> {
    let expected = request.input.expected_bucket_owner.as_deref();
    let found = context
        .owned(&request, &request.input.bucket, expected)
        .await;
    found.map_err(|error| with_region(error, &context.config.region))?;
    Ok(S3Response::new(HeadBucketOutput {
        bucket_region: Some(context.config.region.clone()),
        ..HeadBucketOutput::default()
    }))
}

fn with_region(error: ApiError, region: &str) -> ApiError {
    if error.status() == http::StatusCode::NOT_FOUND {
        return error;
    }
    error.with_header("x-amz-bucket-region", region)
}
