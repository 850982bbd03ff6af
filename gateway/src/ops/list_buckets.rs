//! ListBuckets.

use super::OpResult;
use super::acl::owner;
use super::listing;
use crate::context::Context;
use crate::headers::timestamp;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

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
    let max = input
        .max_buckets
        .map(|max| listing::page_limit(Some(max), "max-buckets"));
    let max = max.transpose()?.unwrap_or(usize::MAX);

    let mut found = context.index.list_buckets(&signer.canonical_id).await?;
    found.retain(|bucket| {
        !elsewhere
            && bucket.name.starts_with(&prefix)
            && after.as_ref().is_none_or(|after| bucket.name > *after)
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let more = found.len() > max;
    found.truncate(max);
    let next = found
        .last()
        .filter(|_| more)
        .map(|last| listing::encode_token(&last.name));
    let region = &context.config.region;
    let buckets = found.into_iter().map(|bucket| Bucket {
        bucket_region: Some(region.clone()),
        creation_date: Some(timestamp(bucket.created_ms)),
        name: Some(bucket.name),
    });
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(buckets.collect()),
        continuation_token: next,
        owner: Some(owner(&signer)),
        prefix: (!prefix.is_empty()).then_some(prefix),
    }))
}
