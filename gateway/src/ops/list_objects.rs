//! ListObjects, the first version.

use super::OpResult;
use super::acl::owner;
use super::listing::{self, Encoding, page_limit};
use crate::context::Context;
use crate::error::ApiError;
use index::{ListObjects, ObjectPage};
use s3s::S3Request;
use s3s::dto::*;
use std::sync::Arc;

/// ListObjects.
///
/// # Errors
/// What stands between the signer and the bucket; 400 for a bad max-keys or encoding-type.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<ListObjectsInput>,
) -> OpResult<ListObjectsOutput> {
    let expected = request.input.expected_bucket_owner.as_deref();
    let owned = context
        .owned(&request, &request.input.bucket, expected)
        .await?;
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_limit(input.max_keys, "max-keys")?;
    let list = ListObjects {
        bucket: &owned.bucket,
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        start_after: input.marker.as_deref().unwrap_or_default(),
        max_keys: limit,
    };
    let lease = listing::lease(&context, limit).await?;
    let page = page(&context, list).await?;
    let owner = owner(&owned.signer);
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    // S3 gives the marker only with a delimiter; without one it is the last key.
    let next = page.next.as_deref().filter(|_| delimiter.is_some());
    let head = ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.text(input.prefix.as_deref().unwrap_or_default())),
        marker: Some(encoding.text(input.marker.as_deref().unwrap_or_default())),
        max_keys: i32::try_from(limit).ok(),
        is_truncated: Some(page.next.is_some()),
        next_marker: encoding.optional(next),
        delimiter: encoding.optional(delimiter.as_deref()),
        encoding_type: encoding.shown(),
        ..ListObjectsOutput::default()
    };
    encoding.answer(&head, &page, Some(&owner), lease)
}

/// One page of the index; none of a page without room is asked for.
pub(super) async fn page(context: &Context, list: ListObjects<'_>) -> Result<ObjectPage, ApiError> {
    if list.max_keys == 0 {
        return Ok(ObjectPage::default());
    }
    Ok(context.index.list_objects(list).await?)
}
