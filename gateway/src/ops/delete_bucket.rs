//! DeleteBucket.

use super::{OpResult, detached};
use crate::context::Context;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// DeleteBucket: an empty bucket is gone, with its open uploads.
///
/// # Errors
/// What stands between the signer and the bucket; 409 BucketNotEmpty.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<DeleteBucketInput>,
) -> OpResult<DeleteBucketOutput> {
    let expected = request.input.expected_bucket_owner.as_deref();
    let owned = context
        .owned(&request, &request.input.bucket, expected)
        .await?;
    detached(async move { Ok(context.index.delete_bucket(&owned.bucket.name).await?) }).await?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}
