//! GetObject.

use super::object_body::Multiplexed;
use super::read::{Asked, Selected};
use super::{OpResult, object_body, unsupported};
use crate::context::Context;
use crate::error::ApiError;
use crate::range;
use index::Bucket;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
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
    let owned = context.owned(&request, &input.bucket, expected).await?;
    unsupported::check(&request.headers)?;
    let asked = Asked::read(&request.uri, &request.headers, context.clock.now_ms())?;
    for _ in 0..ATTEMPTS {
        let selected = asked.select(&context, &owned.bucket, &input.key).await?;
        let headers = asked.headers(&owned.bucket, &selected);
        let record = &selected.found.record;
        let mut output = GetObjectOutput {
            // s3s makes the answer a 206 by this.
            content_range: (selected.range.as_ref())
                .map(|range| range::content_range(range, record.plain_length)),
            metadata: Some(record.user_metadata.clone().into_iter().collect()),
            ..GetObjectOutput::default()
        };
        let multiplexed = request.extensions.get();
        let Some(body) = body(&context, &owned.bucket, selected, multiplexed).await? else {
            continue;
        };
        output.body = Some(body);
        return Ok(S3Response::with_headers(output, headers));
    }
    Err(ApiError::unavailable(
        "the object was replaced each time that it was read",
    ))
}

/// The bytes that are sent; `None` when the object was replaced meanwhile and its inline bytes are
/// gone.
async fn body(
    context: &Arc<Context>,
    bucket: &Bucket,
    selected: Selected,
    multiplexed: Option<&Multiplexed>,
) -> Result<Option<StreamingBlob>, ApiError> {
    let sent = selected.sent();
    let record = selected.found.record;
    if !record.manifest.inline {
        let opened = object_body::open(context, record, sent, multiplexed);
        return Ok(Some(opened.await?));
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
