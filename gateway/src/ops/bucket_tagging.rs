//! GetBucketTagging, PutBucketTagging and DeleteBucketTagging.

use super::commit::{Failed, until_known};
use super::object_tagging::require_checksum;
use super::{OpResult, tags};
use crate::context::Context;
use crate::error::ApiError;
use crate::http::AnswerStatus;
use http::StatusCode;
use index::Bucket;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::collections::BTreeMap;
use std::sync::Arc;

/// GetBucketTagging.
///
/// # Errors
/// What stands between the signer and the bucket; 404 NoSuchTagSet while it has no tags.
pub async fn get(
    context: Arc<Context>,
    request: S3Request<GetBucketTaggingInput>,
) -> OpResult<GetBucketTaggingOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    let tags = context.index.bucket_tags(&owned.bucket).await?;
    if tags.is_empty() {
        let message = "The TagSet does not exist";
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "NoSuchTagSet",
            message,
        ));
    }
    Ok(S3Response::new(GetBucketTaggingOutput {
        tag_set: tags::shown(tags),
    }))
}

/// PutBucketTagging: replaces all tags; an empty set removes them. Answers 204, as S3 does.
///
/// # Errors
/// What stands between the signer and the bucket; 400 for tags that S3 does not allow, and for a body without a
/// checksum.
pub async fn put(
    context: Arc<Context>,
    request: S3Request<PutBucketTaggingInput>,
) -> OpResult<PutBucketTaggingOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    require_checksum(&request.headers)?;
    let tags = tags::parse_set(tags::Of::Bucket, request.input.tagging.tag_set)?;
    set(&context, &owned.bucket, tags).await?;
    let mut answer = S3Response::new(PutBucketTaggingOutput::default());
    answer
        .extensions
        .insert(AnswerStatus(StatusCode::NO_CONTENT));
    Ok(answer)
}

/// DeleteBucketTagging: the bucket has no tags when this returns.
///
/// # Errors
/// What stands between the signer and the bucket.
pub async fn delete(
    context: Arc<Context>,
    request: S3Request<DeleteBucketTaggingInput>,
) -> OpResult<DeleteBucketTaggingOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    set(&context, &owned.bucket, BTreeMap::new()).await?;
    Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
}

async fn set(
    context: &Context,
    bucket: &Bucket,
    tags: BTreeMap<String, String>,
) -> Result<(), ApiError> {
    // Setting them twice is setting them once: the index needs no id for it.
    let set = |_| context.index.set_bucket_tags(bucket, tags.clone());
    Ok(until_known(context, &mut context.index.new_op_id(), set)
        .await
        .map_err(Failed::into_error)?)
}
