//! GetObjectTagging, PutObjectTagging and DeleteObjectTagging.

use super::commit::until_known;
use super::{OpResult, found, tags, version};
use crate::context::{Context, Owned};
use crate::digest::Declared;
use crate::error::{self, ApiError};
use http::HeaderMap;
use index::{SetObjectTags, SetObjectTagsError, VersionRef};
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::collections::BTreeMap;
use std::sync::Arc;

/// GetObjectTagging: the tags of the current version, or of the one named; an object without tags has an
/// empty set.
///
/// # Errors
/// What stands between the signer and the bucket; 404 NoSuchKey or NoSuchVersion; 405 for a delete marker that
/// is named.
pub async fn get(
    context: Arc<Context>,
    request: S3Request<GetObjectTaggingInput>,
) -> OpResult<GetObjectTaggingOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    let target = version::parse(input.version_id.as_deref())?;
    let found = found::find(&context, &owned.bucket, &input.key, target).await?;
    Ok(S3Response::new(GetObjectTaggingOutput {
        tag_set: tags::shown(found.record.tags),
        version_id: version::shown(&owned.bucket, found.version),
    }))
}

/// PutObjectTagging: replaces all tags of the current version, or of the one named. Nothing else of it changes.
///
/// # Errors
/// As [`get`]; 400 for tags that S3 does not allow, and for a body without a checksum.
pub async fn put(
    context: Arc<Context>,
    request: S3Request<PutObjectTaggingInput>,
) -> OpResult<PutObjectTaggingOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    require_checksum(&request.headers)?;
    let target = version::parse(input.version_id.as_deref())?;
    let key = request.input.key;
    let tags = tags::parse_set(tags::Of::Object, request.input.tagging.tag_set)?;
    let version = set(&context, &owned, (&key, target), tags).await?;
    Ok(S3Response::new(PutObjectTaggingOutput {
        version_id: version::shown(&owned.bucket, version),
    }))
}

/// DeleteObjectTagging: removes all tags of the current version, or of the one named.
///
/// # Errors
/// As [`get`].
pub async fn delete(
    context: Arc<Context>,
    request: S3Request<DeleteObjectTaggingInput>,
) -> OpResult<DeleteObjectTaggingOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    let target = version::parse(input.version_id.as_deref())?;
    let version = set(&context, &owned, (&input.key, target), BTreeMap::new()).await?;
    Ok(S3Response::new(DeleteObjectTaggingOutput {
        version_id: version::shown(&owned.bucket, version),
    }))
}

/// Replaces the tags of a version; returns which one it was.
async fn set(
    context: &Context,
    owned: &Owned,
    (key, version): (&str, Option<VersionRef>),
    tags: BTreeMap<String, String>,
) -> Result<VersionRef, ApiError> {
    let mut op_id = context.index.new_op_id();
    let set = SetObjectTags {
        bucket: &owned.bucket,
        key,
        version,
        tags,
        op_id,
    };
    let done = until_known(context, &mut op_id, |op_id| {
        context.index.set_object_tags(SetObjectTags {
            op_id,
            ..set.clone()
        })
    })
    .await;
    done.map_err(|failed| match failed.into_error() {
        SetObjectTagsError::NoSuchVersion => found::absent(version),
        SetObjectTagsError::IsDeleteMarker { version } => found::is_marker(version),
        SetObjectTagsError::NoSuchBucket => error::no_such_bucket(),
        SetObjectTagsError::Store(error) => error.into(),
    })
}

/// Refuses a body that comes without Content-MD5 and without a checksum. (One that came with any has been
/// compared with it.)
pub(super) fn require_checksum(headers: &HeaderMap) -> Result<(), ApiError> {
    if Declared::from_headers(headers)?.is_empty() {
        let message = "Missing required header for this request: Content-MD5";
        return Err(ApiError::bad("InvalidRequest", message));
    }
    Ok(())
}
