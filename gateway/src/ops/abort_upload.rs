//! AbortMultipartUpload.

use super::{OpResult, detached};
use crate::context::Context;
use crate::error::{self, ApiError};
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;
use types::UploadId;

/// AbortMultipartUpload: the upload is gone, and its parts are reclaimed.
///
/// # Errors
/// What stands between the signer and the upload.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<AbortMultipartUploadInput>,
) -> OpResult<AbortMultipartUploadOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    if input.if_match_initiated_time.is_some() {
        return Err(ApiError::not_implemented(format_args!(
            "a condition on the time of initiation"
        )));
    }
    let upload = UploadId::parse(&input.upload_id).ok_or_else(error::no_such_upload)?;
    let key = request.input.key;
    detached(async move {
        Ok(context
            .index
            .abort_upload(&owned.bucket, &key, upload)
            .await?)
    })
    .await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}
