//! CreateMultipartUpload.

use super::commit::{Failed, until_known};
use super::{OpResult, checksum, tags, unsupported};
use crate::context::Context;
use crate::digest::{self, ChecksumAlgorithm};
use crate::error::ApiError;
use crate::headers::{StoredHeaders, storage_class};
use index::key::object::ChecksumType as Kind;
use index::{CreateUpload, ObjectMeta};
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// CreateMultipartUpload.
///
/// # Errors
/// What stands between the signer and the bucket; a header that is not offered; a checksum that
/// S3 does not have.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<CreateMultipartUploadInput>,
) -> OpResult<CreateMultipartUploadOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    unsupported::check(&request.headers)?;
    unsupported::check_unconditional(&request.headers)?;
    let checksum = checksum_asked(
        input.checksum_algorithm.as_ref(),
        input.checksum_type.as_ref(),
    )?;
    let stored = StoredHeaders::read(&request.headers, input.metadata.as_ref())?;
    let mut op_id = context.index.new_op_id();
    let create = CreateUpload {
        bucket: &owned.bucket,
        key: &input.key,
        meta: ObjectMeta {
            account: owned.signer.canonical_id.clone(),
            storage_class: storage_class(&request.headers)?,
            headers: stored.headers,
            user_metadata: stored.user_metadata,
            tags: tags::parse_header(&request.headers)?,
        },
        checksum_algorithm: checksum
            .map_or("", |(algorithm, _)| algorithm.name())
            .to_owned(),
        checksum_type: checksum.map(|(_, kind)| kind).unwrap_or_default(),
        op_id,
    };
    let created = until_known(&context, &mut op_id, |op_id| {
        context.index.create_upload(CreateUpload {
            op_id,
            ..create.clone()
        })
    })
    .await;
    let upload = created.map_err(Failed::into_error)?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        upload_id: Some(upload.to_string()),
        checksum_algorithm: checksum
            .map(|(algorithm, _)| s3s::dto::ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: checksum
            .map(|(_, kind)| s3s::dto::ChecksumType::from_static(digest::type_name(kind))),
        ..CreateMultipartUploadOutput::default()
    }))
}

/// Algorithm and type that the upload will have.
fn checksum_asked(
    algorithm: Option<&s3s::dto::ChecksumAlgorithm>,
    kind: Option<&s3s::dto::ChecksumType>,
) -> Result<Option<(ChecksumAlgorithm, Kind)>, ApiError> {
    let refused = |message: String| Err(ApiError::bad("InvalidRequest", message));
    let Some(algorithm) = algorithm else {
        return match kind {
            None => Ok(None),
            Some(_) => refused(
                "The x-amz-checksum-type header can only be used with the \
                 x-amz-checksum-algorithm header."
                    .to_owned(),
            ),
        };
    };
    let algorithm = ChecksumAlgorithm::parse(algorithm.as_str());
    let algorithm = algorithm.ok_or_else(checksum::unknown_algorithm)?;
    let Some(kind) = kind else {
        return Ok(Some((algorithm, algorithm.default_type())));
    };
    match digest::parse_type(kind.as_str()) {
        Some(kind) if algorithm.allows(kind) => Ok(Some((algorithm, kind))),
        Some(kind) => refused(format!(
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            digest::type_name(kind),
            algorithm.name().to_ascii_lowercase()
        )),
        None => refused("Value for x-amz-checksum-type header is invalid.".to_owned()),
    }
}

#[cfg(test)]
mod tests;
