//! HeadObject.

use super::read::Asked;
use super::{OpResult, unsupported};
use crate::context::Context;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// HeadObject: what GetObject says, without the bytes.
///
/// # Errors
/// As GetObject.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<HeadObjectInput>,
) -> OpResult<HeadObjectOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    unsupported::check(&request.headers)?;
    let asked = Asked::read(&request.uri, &request.headers, context.clock.now_ms())?;
    let selected = asked.select(&context, &owned.bucket, &input.key).await?;
    let metadata = selected.found.record.user_metadata.clone();
    let output = HeadObjectOutput {
        metadata: Some(metadata.into_iter().collect()),
        ..HeadObjectOutput::default()
    };
    let headers = asked.headers(&owned.bucket, &selected);
    Ok(S3Response::with_headers(output, headers))
}
