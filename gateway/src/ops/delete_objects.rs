//! DeleteObjects.

use super::delete_object::{condition, delete};
use super::object_tagging::require_checksum;
use super::{OpResult, version};
use crate::context::Context;
use crate::error::{self, ApiError};
use crate::xml;
use futures::stream::{self, StreamExt};
use index::{DeleteCondition, Deleted, VersionRef};
use s3s::S3Request;
use s3s::dto::*;
use std::sync::Arc;
use types::limits::{DELETE_OBJECTS_MAX, OBJECT_KEY_BYTES_MAX};

/// Deletes under way at once; the index commits them together.
const CONCURRENT: usize = 64;

/// DeleteObjects: each key by itself, in any order; a key that is not there counts as deleted. The
/// body has been compared with Content-MD5 or the checksum it came with ([`crate::digest`]).
///
/// # Errors
/// What stands between the signer and the bucket; InvalidRequest for a body that came with neither
/// Content-MD5 nor a checksum; MalformedXML for no keys or more than 1,000.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<DeleteObjectsInput>,
) -> OpResult<DeleteObjectsOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    require_checksum(&request.headers)?;
    let Delete { objects, quiet } = request.input.delete;
    if objects.is_empty() || objects.len() > DELETE_OBJECTS_MAX {
        return Err(error::malformed_xml());
    }
    // Before anything is deleted: what was done must be told.
    let lease = context
        .budget
        .answer(objects.iter().map(told_bytes).sum())
        .await?;
    let (context, bucket) = (&context, &owned.bucket);
    let outcomes: Vec<Result<DeletedObject, Error>> = stream::iter(objects)
        .map(|object| delete_one(context, bucket, object))
        .buffered(CONCURRENT)
        .collect()
        .await;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(gone) => deleted.push(gone),
            Err(error) => errors.push(error),
        }
    }
    let quiet = quiet.unwrap_or(false);
    let told = DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: Some(errors),
        request_charged: None,
    };
    xml::answer(&told, lease)
}

/// What is told of an object may take so many bytes while it is written, twice and in references.
fn told_bytes(object: &ObjectIdentifier) -> u64 {
    const REFERENCE_BYTES: u64 = 6;
    let text = object.key.len() + object.version_id.as_ref().map_or(0, String::len);
    1024 + 2 * REFERENCE_BYTES * text as u64
}

async fn delete_one(
    context: &Context,
    bucket: &index::Bucket,
    object: ObjectIdentifier,
) -> Result<DeletedObject, Error> {
    let outcome = match target(&object) {
        Ok((version, condition)) => delete(context, bucket, (&object.key, version), condition)
            .await
            .map(|deleted| (version, deleted)),
        Err(error) => Err(error),
    };
    match outcome {
        Ok((version, deleted)) => Ok(gone(object.key, version, deleted)),
        Err(error) => Err(refused(object, &error)),
    }
}

/// What of a key is to be deleted, and on what condition.
fn target(object: &ObjectIdentifier) -> Result<(Option<VersionRef>, DeleteCondition), ApiError> {
    if object.key.is_empty() || object.key.len() > OBJECT_KEY_BYTES_MAX {
        return Err(ApiError::bad(
            "KeyTooLongError",
            "Your key is too long or empty",
        ));
    }
    // S3 tells no id that cannot be from one that is not there, and an empty element from none.
    let version = object.version_id.as_deref().filter(|id| !id.is_empty());
    let version = version::parse(version);
    let version = version.map_err(|_| error::no_such_version())?;
    let etag = object.e_tag.as_ref().map(|etag| etag.value().to_owned());
    let condition = condition(etag, object.last_modified_time.as_ref(), object.size)?;
    Ok((version, condition))
}

/// An entry of what is gone. Of a delete marker it tells the id: of the one that was made, or of the one
/// that was removed.
fn gone(key: String, asked: Option<VersionRef>, deleted: Deleted) -> DeletedObject {
    let marker = deleted.version.filter(|_| deleted.delete_marker);
    DeletedObject {
        delete_marker: deleted.delete_marker.then_some(true),
        delete_marker_version_id: marker.map(version::name),
        key: Some(key),
        version_id: asked.map(version::name),
    }
}

fn refused(object: ObjectIdentifier, error: &ApiError) -> Error {
    Error {
        code: Some(error.code().to_owned()),
        key: Some(object.key),
        message: Some(error.message().to_owned()),
        version_id: object.version_id,
    }
}
