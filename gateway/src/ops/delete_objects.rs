//! DeleteObjects.

use super::delete_object::delete;
use super::{OpResult, object_body};
use crate::context::Context;
use crate::error::ApiError;
use futures::stream::{self, StreamExt};
use index::DeleteCondition;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;
use types::limits::{DELETE_OBJECTS_MAX, OBJECT_KEY_BYTES_MAX};

/// Deletes under way at once; the index commits them together.
const CONCURRENT: usize = 64;

/// DeleteObjects: each key by itself, in any order; a key that is not there counts as deleted. The
/// body has been compared with Content-MD5 or the checksum it came with ([`crate::digest`]); unlike
/// AWS, one that came with neither is taken, since its signature may cover it.
///
/// # Errors
/// What stands between the signer and the bucket; MalformedXML for no keys or more than 1,000.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<DeleteObjectsInput>,
) -> OpResult<DeleteObjectsOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    let Delete { objects, quiet } = request.input.delete;
    if objects.is_empty() || objects.len() > DELETE_OBJECTS_MAX {
        let message = "The XML you provided was not well-formed or did not validate against our \
                       published schema";
        return Err(ApiError::bad("MalformedXML", message));
    }
    let (context, bucket) = (&context, &owned.bucket);
    let outcomes: Vec<(String, Result<(), ApiError>)> = stream::iter(objects)
        .map(|object| async move {
            let outcome = delete_one(context, bucket, &object).await;
            (object.key, outcome)
        })
        .buffered(CONCURRENT)
        .collect()
        .await;

    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for (key, outcome) in outcomes {
        match outcome {
            Ok(()) => deleted.push(DeletedObject {
                key: Some(key),
                ..DeletedObject::default()
            }),
            Err(error) => errors.push(refused(key, &error)),
        }
    }
    let quiet = quiet.unwrap_or(false);
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: Some(errors),
        request_charged: None,
    }))
}

async fn delete_one(
    context: &Context,
    bucket: &index::Bucket,
    object: &ObjectIdentifier,
) -> Result<(), ApiError> {
    if object.key.is_empty() || object.key.len() > OBJECT_KEY_BYTES_MAX {
        return Err(ApiError::bad(
            "KeyTooLongError",
            "Your key is too long or empty",
        ));
    }
    object_body::refuse_version(object.version_id.as_deref())?;
    if object.last_modified_time.is_some() || object.size.is_some() {
        return Err(ApiError::not_implemented(format_args!(
            "conditions on time or size"
        )));
    }
    let condition = DeleteCondition {
        etag: object.e_tag.as_ref().map(|etag| etag.value().to_owned()),
        ..Default::default()
    };
    delete(context, bucket, (&object.key, None), condition).await?;
    Ok(())
}

fn refused(key: String, error: &ApiError) -> Error {
    Error {
        code: Some(error.code().to_owned()),
        key: Some(key),
        message: Some(error.message().to_owned()),
        version_id: None,
    }
}
