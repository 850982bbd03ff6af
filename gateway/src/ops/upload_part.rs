//! UploadPart.

use super::checksum::{self, show_checksum};
use super::commit::until_known;
use super::receive::{Stored, Upload, manifest, missing};
use super::{OpResult, detached, unsupported};
use crate::context::{Context, Owned};
use crate::digest::ChecksumAlgorithm;
use crate::error::{self, ApiError};
use index::PutPart;
use index::key::object::ObjectChecksum;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;
use types::limits::PART_NUMBER_MAX;
use types::{Manifest, UploadId};

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
    let owned = context
        .owned_key(&request, &input.bucket, &input.key, expected)
        .await?;
    unsupported::check(&request.headers)?;
    let number = part_number(input.part_number)?;
    let upload_id = UploadId::parse(&input.upload_id).ok_or_else(error::no_such_upload)?;
    let found = context
        .index
        .get_upload(&owned.bucket, &input.key, upload_id)
        .await?;
    let record = found
        .filter(|record| record.completed.is_none())
        .ok_or_else(error::no_such_upload)?;
    let upload = Upload::open(&context, &request).await?;
    let algorithm = ChecksumAlgorithm::parse(&record.checksum_algorithm);
    refuse_other_algorithm(algorithm, upload.algorithm())?;
    let part = Part {
        owned,
        key: request.input.key,
        upload: upload_id,
        number,
        algorithm,
    };
    let (etag, checksum) = detached(part.put(context, upload)).await?;
    let mut output = UploadPartOutput {
        e_tag: Some(ETag::Strong(etag)),
        ..UploadPartOutput::default()
    };
    show_checksum!(output, &checksum, 0);
    Ok(S3Response::new(output))
}

/// Where a part belongs.
struct Part {
    owned: Owned,
    key: String,
    upload: UploadId,
    number: u16,
    /// The upload's, computed where the client sends none.
    algorithm: Option<ChecksumAlgorithm>,
}

impl Part {
    /// Receives the body and commits it. Parts are never inline: their manifests become one.
    async fn put(
        self,
        context: Arc<Context>,
        upload: Upload,
    ) -> Result<(String, Option<ObjectChecksum>), ApiError> {
        let bucket = &self.owned.bucket;
        let received = upload.receive(&context, bucket, 0, self.algorithm).await?;
        let checksum = checksum::stored(&received.digests);
        let etag = received.digests.etag();
        let (manifest, oldest_ms, missing) = match &received.stored {
            Stored::Chunks(id, written) => (
                manifest(bucket, *id, written),
                written.oldest_ms,
                missing(written),
            ),
            Stored::Inline(bytes) => {
                assert!(bytes.is_empty(), "only an empty part has no chunks");
                (
                    empty_manifest(&context, bucket),
                    context.clock.now_ms(),
                    Vec::new(),
                )
            }
        };
        let put = PutPart {
            bucket,
            key: &self.key,
            upload: self.upload,
            number: self.number,
            etag: etag.clone(),
            checksum: checksum.clone(),
            manifest,
            oldest_ms,
            missing,
            op_id: context.index.new_op_id(),
        };
        match until_known(&context, || context.index.put_part(put.clone())).await {
            Ok(()) => Ok((etag, checksum)),
            Err(failed) => Err(received.stored.uncommitted(&context, failed).await.into()),
        }
    }
}

fn empty_manifest(context: &Context, bucket: &index::Bucket) -> Manifest {
    Manifest {
        id: context.index.new_manifest_id(bucket),
        home: bucket.id,
        ..Manifest::default()
    }
}

fn part_number(number: i32) -> Result<u16, ApiError> {
    let number = u16::try_from(number).ok();
    number
        .filter(|number| (1..=PART_NUMBER_MAX).contains(number))
        .ok_or_else(|| {
            let message = "Part number must be an integer between 1 and 10000, inclusive";
            ApiError::bad("InvalidArgument", message)
        })
}

fn refuse_other_algorithm(
    of_upload: Option<ChecksumAlgorithm>,
    of_part: Option<ChecksumAlgorithm>,
) -> Result<(), ApiError> {
    match (of_upload, of_part) {
        (Some(expected), Some(actual)) if expected != actual => {
            let [expected, actual] =
                [expected, actual].map(|algorithm| algorithm.name().to_ascii_lowercase());
            let message = format!(
                "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual \
                 checksum Type: {actual}"
            );
            Err(ApiError::bad("InvalidRequest", message))
        }
        _ => Ok(()),
    }
}
