//! HeadObject.

use super::found::{described, find};
use super::get_object::refuse_part_number;
use super::{OpResult, object_body, unsupported};
use crate::context::Context;
use crate::precondition::{ReadConditions, range_applies, seconds};
use crate::range;
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
    let record = find(&context, &owned.bucket, &input.key, &conditions).await?;
    let asked = input
        .range
        .filter(|_| range_applies(&request.headers, &record.etag, record.last_modified_ms()))
        .map(|header| range::resolve(header, record.plain_length));
    let asked = asked.transpose()?;
    let with_checksum = input.checksum_mode.is_some();
    let mut output = described!(HeadObjectOutput, &record, asked.as_ref(), with_checksum);
    override_headers(&mut output, input);
    Ok(S3Response::new(output))
}

/// The response-* parameters, which only signed requests come with.
fn override_headers(output: &mut HeadObjectOutput, input: &HeadObjectInput) {
    let overrides = [
        (&mut output.cache_control, &input.response_cache_control),
        (
            &mut output.content_disposition,
            &input.response_content_disposition,
        ),
        (
            &mut output.content_encoding,
            &input.response_content_encoding,
        ),
        (
            &mut output.content_language,
            &input.response_content_language,
        ),
        (&mut output.content_type, &input.response_content_type),
    ];
    for (shown, asked) in overrides {
        if asked.is_some() {
            shown.clone_from(asked);
        }
    }
    if input.response_expires.is_some() {
        output.expires.clone_from(&input.response_expires);
    }
}
