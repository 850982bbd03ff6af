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

/// DeleteObject: the version that was named is gone when this returns, or without a name the key has no
/// current version. One that was not there is no error. x-amz-mfa and x-amz-bypass-governance-retention
/// lift what nothing here imposes.
///
/// # Errors
/// What stands between the signer and the bucket; 412 when a condition does not hold, 404 when there is no
/// version to compare its ETag with; 501 for one that
/// S3 does not have.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<DeleteObjectInput>,
) -> OpResult<DeleteObjectOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    let target = version::parse(input.version_id.as_deref())?;
    let etag = match precondition::of_write(&request.headers)? {
        WriteCondition::IfMatch(etag) => Some(etag),
        WriteCondition::None => None,
        WriteCondition::IfNoneMatch => {
            return Err(ApiError::not_implemented(format_args!(
                "If-None-Match of a DELETE"
            )));
        }
    };
    let time = input.if_match_last_modified_time.as_ref();
    let condition = condition(etag, time, input.if_match_size)?;
    let deleted = delete(&context, &owned.bucket, (&input.key, target), condition).await?;
    Ok(S3Response::new(DeleteObjectOutput {
        delete_marker: deleted.delete_marker.then_some(true),
        version_id: deleted.version.or(target).map(version::name),
        request_charged: None,
    }))
}

/// What must hold of the version that goes. With an ETag one that is not there is 404, so that one of several
/// clients succeeds; with a time or a size alone it is no failure, as without conditions. (See AWS's guide,
/// "How to perform conditional deletes".)
///
/// # Errors
/// 400 for a size that no object has.
pub(super) fn condition(
    etag: Option<String>,
    last_modified: Option<&Timestamp>,
    size: Option<i64>,
) -> Result<DeleteCondition, ApiError> {
    let size = size.map(u64::try_from).transpose();
    Ok(DeleteCondition {
        etag,
        last_modified_s: last_modified.map(|time| precondition::seconds(time.clone())),
        size: size.map_err(|_| ApiError::bad("InvalidArgument", "A size is never negative"))?,
    })
}

/// Deletes a version of a key, or without one its current version, where a bucket that keeps
/// versions gets a delete marker.
pub(super) async fn delete(
    context: &Context,
    bucket: &index::Bucket,
    (key, version): (&str, Option<VersionRef>),
    condition: DeleteCondition,
) -> Result<Deleted, ApiError> {
    let mut op_id = context.index.new_op_id();
    let delete = DeleteObject {
        bucket,
        key,
        version,
        condition,
        op_id,
    };
    let deleted = until_known(context, &mut op_id, |op_id| {
        context.index.delete_object(DeleteObject {
            op_id,
            ..delete.clone()
        })
    })
    .await;
    Ok(deleted.map_err(Failed::into_error)?)
}
