//! UploadPart.

use super::checksum::show_checksum;
use super::part::{CommittedPart, Part};
use super::receive::{Upload, Wire};
use super::{OpResult, detached, unsupported};
use crate::context::Context;
use crate::error::ApiError;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// UploadPart: the part is durable when this returns, or nothing is left of it.
///
/// # Errors
/// What stands between the signer and the upload; a body that is not what it declared; a checksum
/// of another algorithm than the upload's; 503 and 507 of the disks.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<UploadPartInput>,
) -> OpResult<UploadPartOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    unsupported::check(&request.headers)?;
    unsupported::check_unconditional(&request.headers)?;
    let part = Part::find(
        &context,
        owned,
        &input.key,
        &input.upload_id,
        input.part_number,
    )
    .await?;
    let upload = Upload::open(&context, &request).await?;
    part.check_algorithm(upload.algorithm())?;
    let committed = detached(put(context, part, upload)).await?;
    let mut output = UploadPartOutput {
        e_tag: Some(ETag::Strong(committed.etag)),
        ..UploadPartOutput::default()
    };
    show_checksum!(output, &committed.checksum, 0);
    Ok(S3Response::new(output))
}

/// Receives the body and commits it.
async fn put(
    context: Arc<Context>,
    part: Part,
    upload: Upload<Wire>,
) -> Result<CommittedPart, ApiError> {
    let chosen = upload.algorithm();
    let default = part.default_algorithm();
    let received = upload
        .receive(&context, &part.owned.bucket, 0, default)
        .await?;
    let mut committed = part.commit(&context, received).await?;
    committed.checksum = part.shown(committed.checksum, chosen);
    Ok(committed)
}
