//! ListBuckets.

use super::OpResult;
use super::acl::owner;
use super::listing;
use crate::context::Context;
use crate::error::ApiError;
use crate::headers::timestamp;
use crate::xml;
use index::BucketPage;
use s3s::S3Request;
use s3s::dto::*;
use std::sync::Arc;
use types::limits::LIST_BUCKETS_MAX;

/// What an entry may take while the list is made: names are short.
const ENTRY_BYTES: u64 = 1024;

/// ListBuckets: the buckets of the signer, by name.
///
/// # Errors
/// AccessDenied for an anonymous request; 400 for a bad max-buckets or token.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<ListBucketsInput>,
) -> OpResult<ListBucketsOutput> {
    let signer = context.signer(&request)?;
    let input = request.input;
    let after = listing::decode_token(input.continuation_token.as_deref())?;
    let prefix = input.prefix.unwrap_or_default();
    let elsewhere = input
        .bucket_region
        .is_some_and(|region| region != context.config.region);
    let max = page_limit(input.max_buckets)?;

    let lease = context.budget.answer(max as u64 * ENTRY_BYTES).await?;
    let page = if elsewhere {
        BucketPage::default()
    } else {
        let list = index::ListBuckets {
            owner: &signer.canonical_id,
            prefix: &prefix,
            after: after.as_deref().unwrap_or_default(),
            max,
        };
        context.index.list_buckets_page(list).await?
    };
    let region = &context.config.region;
    let buckets = page.buckets.into_iter().map(|bucket| Bucket {
        bucket_region: Some(region.clone()),
        creation_date: Some(timestamp(bucket.created_ms)),
        name: Some(bucket.name),
    });
    let list = ListBucketsOutput {
        buckets: Some(buckets.collect()),
        continuation_token: page.next.as_deref().map(listing::encode_token),
        owner: Some(owner(&signer)),
        prefix: (!prefix.is_empty()).then_some(prefix),
    };
    xml::answer(&list, lease)
}

/// Buckets of a page: as many as S3 allows an account without asking, unless told otherwise.
fn page_limit(asked: Option<i32>) -> Result<usize, ApiError> {
    let Some(asked) = asked else {
        return Ok(LIST_BUCKETS_MAX);
    };
    let limit = usize::try_from(asked).ok();
    limit
        .filter(|limit| (1..=LIST_BUCKETS_MAX).contains(limit))
        .ok_or_else(|| {
            let message =
                format!("Argument max-buckets must be an integer between 1 and {LIST_BUCKETS_MAX}");
            ApiError::bad("InvalidArgument", message)
        })
}
