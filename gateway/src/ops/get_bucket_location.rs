//! GetBucketLocation.

use super::OpResult;
use crate::context::Context;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// The region that S3 shows as no location at all.
const UNNAMED_REGION: &str = "us-east-1";

/// GetBucketLocation: the region, which is empty for us-east-1.
///
/// # Errors
/// What stands between the signer and the bucket.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<GetBucketLocationInput>,
) -> OpResult<GetBucketLocationOutput> {
    let expected = request.input.expected_bucket_owner.as_deref();
    context
        .owned(&request, &request.input.bucket, expected)
        .await?;
    let region = &context.config.region;
    let location = if region == UNNAMED_REGION {
        String::new()
    } else {
        region.clone()
    };
    Ok(S3Response::new(GetBucketLocationOutput {
        location_constraint: Some(location.into()),
    }))
}
