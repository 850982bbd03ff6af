//! ListObjectsV2.

use super::OpResult;
use super::acl::owner;
use super::list_objects::page;
use super::listing::{self, Encoding, decode_token, encode_token, page_limit};
use crate::context::Context;
use index::ListObjects;
use s3s::S3Request;
use s3s::dto::*;
use std::sync::Arc;

/// ListObjectsV2. A token goes on strictly after the last key or prefix that was returned;
/// start-after counts only without one.
///
/// # Errors
/// What stands between the signer and the bucket; 400 for a bad max-keys, token or encoding-type.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<ListObjectsV2Input>,
) -> OpResult<ListObjectsV2Output> {
    let expected = request.input.expected_bucket_owner.as_deref();
    let owned = context
        .owned(&request, &request.input.bucket, expected)
        .await?;
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_limit(input.max_keys, "max-keys")?;
    let after = decode_token(input.continuation_token.as_deref())?;
    let start_after = after
        .as_deref()
        .or(input.start_after.as_deref())
        .unwrap_or_default();
    let list = ListObjects {
        bucket: &owned.bucket,
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        start_after,
        max_keys: limit,
    };
    let lease = listing::lease(&context, limit).await?;
    let page = page(&context, list).await?;
    let owner = input
        .fetch_owner
        .unwrap_or(false)
        .then(|| owner(&owned.signer));
    let count = page.objects.len() + page.common_prefixes.len();
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let head = ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.text(input.prefix.as_deref().unwrap_or_default())),
        max_keys: i32::try_from(limit).ok(),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_deref().map(encode_token),
        delimiter: encoding.optional(delimiter.as_deref()),
        encoding_type: encoding.shown(),
        start_after: encoding.optional(input.start_after.as_deref()),
        ..ListObjectsV2Output::default()
    };
    encoding.answer(&head, &page, owner.as_ref(), lease)
}
