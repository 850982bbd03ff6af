//! GetObject.

use super::found::{described, find};
use super::{OpResult, object_body, unsupported};
use crate::context::Context;
use crate::error::ApiError;
use crate::precondition::{ReadConditions, range_applies, seconds};
use crate::range;
use index::Bucket;
use index::key::object::VersionRecord;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::ops::Range as Bytes;
use std::sync::Arc;

/// Times that an inline object is read anew when it is replaced between its record and its bytes.
const ATTEMPTS: usize = 16;

/// GetObject: exactly the bytes that Content-Length announces, each verified before it is sent, or
/// a connection that breaks.
///
/// # Errors
/// What stands between the signer and the object; 304 and 412 by the client's conditions; 416;
/// 500 when the bytes cannot be read.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<GetObjectInput>,
) -> OpResult<GetObjectOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context
        .owned_key(&request, &input.bucket, &input.key, expected)
        .await?;
    unsupported::check(&request.headers)?;
    object_body::refuse_version(input.version_id.as_deref())?;
    refuse_part_number(input.part_number)?;
    let conditions = ReadConditions {
        if_match: input.if_match.clone(),
        if_none_match: input.if_none_match.clone(),
        if_modified_since_s: input.if_modified_since.clone().map(seconds),
        if_unmodified_since_s: input.if_unmodified_since.clone().map(seconds),
    };
    let with_checksum = input.checksum_mode.is_some();
    for _ in 0..ATTEMPTS {
        let record = find(&context, &owned.bucket, &input.key, &conditions).await?;
        let asked = input
            .range
            .filter(|_| range_applies(&request.headers, &record.etag, record.last_modified_ms()))
            .map(|header| range::resolve(header, record.plain_length));
        let asked = asked.transpose()?;
        let mut output = described!(GetObjectOutput, &record, asked.as_ref(), with_checksum);
        let sent = asked.unwrap_or(0..record.plain_length);
        tracing::Span::current().record("bytes", sent.end - sent.start);
        let Some(body) = body(&context, &owned.bucket, record, sent).await? else {
            continue;
        };
        output.body = Some(body);
        return Ok(S3Response::new(output));
    }
    Err(ApiError::unavailable(
        "the object was replaced each time that it was read",
    ))
}

/// The bytes `sent` of the object; `None` when it was replaced meanwhile and its inline bytes are
/// gone.
async fn body(
    context: &Arc<Context>,
    bucket: &Bucket,
    record: VersionRecord,
    sent: Bytes<u64>,
) -> Result<Option<StreamingBlob>, ApiError> {
    if !record.manifest.inline {
        return Ok(Some(object_body::open(context, record, sent).await?));
    }
    let Some(bytes) = context.index.inline_body(bucket, &record).await? else {
        return Ok(None);
    };
    let within = usize::try_from(sent.start)
        .ok()
        .zip(usize::try_from(sent.end).ok());
    let part =
        within.and_then(|(start, end)| (end <= bytes.len()).then(|| bytes.slice(start..end)));
    let part =
        part.ok_or_else(|| ApiError::internal("an inline body is shorter than its record"))?;
    Ok(Some(object_body::of_bytes(part)))
}

/// Single parts of a multipart object cannot be read yet.
pub(super) fn refuse_part_number(number: Option<i32>) -> Result<(), ApiError> {
    match number {
        None => Ok(()),
        Some(_) => Err(ApiError::not_implemented(format_args!("partNumber"))),
    }
}
