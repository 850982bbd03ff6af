//! DeleteObject.

use super::commit::{Failed, until_known};
use super::{OpResult, version};
use crate::context::Context;
use crate::error::ApiError;
use crate::precondition;
use index::{DeleteCondition, DeleteObject, Deleted, VersionRef, WriteCondition};
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// DeleteObject: the key has no current version when this returns. A key that had none is no error.
///
/// # Errors
/// What stands between the signer and the bucket; 412 when If-Match names another ETag.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<DeleteObjectInput>,
) -> OpResult<DeleteObjectOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context
        .owned_key(&request, &input.bucket, &input.key, expected)
        .await?;
    let target = version::parse(input.version_id.as_deref())?;
    if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
        return Err(ApiError::not_implemented(format_args!(
            "conditions on time or size"
        )));
    }
    let etag = match precondition::of_write(input.if_match.as_ref(), None)? {
        WriteCondition::IfMatch(etag) => Some(etag),
        WriteCondition::None | WriteCondition::IfNoneMatch => None,
    };
    let condition = DeleteCondition {
        etag,
        ..Default::default()
    };
    let deleted = delete(&context, &owned.bucket, (&input.key, target), condition).await?;
    Ok(S3Response::new(DeleteObjectOutput {
        delete_marker: deleted.delete_marker.then_some(true),
        version_id: deleted.version.or(target).map(version::name),
        request_charged: None,
    }))
}

/// Deletes a version of a key, or without one its current version, where a bucket that keeps
/// versions gets a delete marker.
pub(super) async fn delete(
    context: &Context,
    bucket: &index::Bucket,
    (key, version): (&str, Option<VersionRef>),
    condition: DeleteCondition,
) -> Result<Deleted, ApiError> {
    let delete = DeleteObject {
        bucket,
        key,
        version,
        condition,
        op_id: context.index.new_op_id(),
    };
    let deleted = until_known(context, || context.index.delete_object(delete.clone())).await;
    Ok(deleted.map_err(Failed::into_error)?)
}
