//! UploadPartCopy: the bytes are read, hashed and written again, as those of any part.

use super::checksum::show_checksum;
use super::copy_source::{CopySource, check_length};
use super::part::{CommittedPart, Part};
use super::receive::Upload;
use super::{OpResult, detached, unsupported};
use crate::context::Context;
use crate::error::ApiError;
use crate::headers::timestamp;
use crate::precondition::ReadConditions;
use crate::range;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::ops::Range as Bytes;
use std::sync::Arc;

/// Times that an inline source is read anew when it is replaced between its record and its bytes.
const ATTEMPTS: usize = 16;

/// UploadPartCopy: the part is durable when this returns, and has the bytes of one version of the
/// source, the one that was found when it began.
///
/// # Errors
/// What stands between the signer and the upload or the source; 412 by the conditions on the source; a
/// range that the source does not have; 503 and 507 of the disks.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<UploadPartCopyInput>,
) -> OpResult<UploadPartCopyOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    unsupported::check(&request.headers)?;
    unsupported::check_unconditional(&request.headers)?;
    let range = input
        .copy_source_range
        .as_deref()
        .filter(|range| !range.is_empty())
        .map(range::of_copy_source)
        .transpose()?;
    let conditions = ReadConditions::of_source(&request.headers, context.clock.now_ms());
    let source = CopySource::read(
        &context,
        &request,
        &input.copy_source,
        input.expected_source_bucket_owner.as_deref(),
        conditions,
    )
    .await?;
    let part = Part::find(
        &context,
        owned,
        &input.key,
        &input.upload_id,
        input.part_number,
    )
    .await?;
    let work = PartCopy {
        source,
        range,
        part,
    };
    let (committed, version) = detached(work.run(Arc::clone(&context))).await?;
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(committed.etag)),
        last_modified: Some(timestamp(context.clock.now_ms())),
        ..CopyPartResult::default()
    };
    show_checksum!(result, &committed.checksum, 0);
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: version,
        ..UploadPartCopyOutput::default()
    }))
}

/// A copy whose headers have been found good.
struct PartCopy {
    source: CopySource,
    range: Option<Bytes<u64>>,
    part: Part,
}

impl PartCopy {
    /// Copies the bytes; returns the part, and the version of the source as answers show it.
    async fn run(self, context: Arc<Context>) -> Result<(CommittedPart, Option<String>), ApiError> {
        for _ in 0..ATTEMPTS {
            let found = self.source.find(&context).await?;
            let version = self.source.shown(&found);
            let range = self.range_of(found.record.plain_length)?;
            let length = range.end - range.start;
            let Some(bytes) = self.source.open(&context, found.record, range).await? else {
                continue;
            };
            let upload = Upload::of(&context, bytes, length).await?;
            let algorithm = self.part.default_algorithm();
            let bucket = &self.part.owned.bucket;
            let received = upload.store(&context, bucket, 0, algorithm).await?;
            let mut committed = self.part.commit(&context, received).await?;
            committed.checksum = self.part.shown(committed.checksum, None);
            return Ok((committed, version));
        }
        Err(ApiError::unavailable(
            "the source was replaced each time that it was read",
        ))
    }

    /// The bytes to copy of a source of `length` bytes.
    fn range_of(&self, length: u64) -> Result<Bytes<u64>, ApiError> {
        let range = match &self.range {
            None => 0..length,
            Some(range) if range.end <= length => range.clone(),
            Some(_) => return Err(range::OutsideSource { length }.into()),
        };
        check_length(range.end - range.start)?;
        Ok(range)
    }
}
