//! Finding the object of a request.

use super::version;
use crate::context::Context;
use crate::error::{self, ApiError};
use crate::headers::http_date;
use crate::precondition::{ReadConditions, Verdict};
use http::StatusCode;
use index::key::bucket::Versioning;
use index::{Bucket, ListVersions, ObjectVersion, VersionRef, WriteCondition};

/// How often a key is looked for that comes and goes meanwhile.
const ATTEMPTS: usize = 8;

/// The version of `key` that `version` names, or the current one.
///
/// # Errors
/// 404 NoSuchKey or NoSuchVersion; 405 for a delete marker that is named. A delete marker is told of
/// in both cases.
pub(crate) async fn find(
    context: &Context,
    bucket: &Bucket,
    key: &str,
    version: Option<VersionRef>,
) -> Result<ObjectVersion, ApiError> {
    for _ in 0..ATTEMPTS {
        let found = context.index.get_object(bucket, key, version).await?;
        match (found, version) {
            (Some(found), _) if !found.record.delete_marker => return Ok(found),
            (Some(marker), _) => {
                let last_modified = http_date(marker.record.last_modified_ms());
                return Err(is_marker(marker.version).with_header("last-modified", &last_modified));
            }
            (None, Some(_)) => return Err(absent(version)),
            (None, None) => {
                if let Some(error) = no_current(context, bucket, key).await? {
                    return Err(error);
                }
            }
        }
    }
    Err(error::no_such_key())
}

/// 404 for a version that is not there, or for a key that has no current one.
pub(crate) fn absent(version: Option<VersionRef>) -> ApiError {
    match version {
        None => error::no_such_key(),
        Some(version) => error::no_such_version().with_detail("VersionId", version::name(version)),
    }
}

/// 404 for a key without a current object, which says so when a delete marker hides it; None if it has a
/// current object by now.
async fn no_current(
    context: &Context,
    bucket: &Bucket,
    key: &str,
) -> Result<Option<ApiError>, ApiError> {
    let error = absent(None);
    if bucket.versioning == Versioning::Unversioned {
        return Ok(Some(error));
    }
    let newest = ListVersions {
        bucket,
        prefix: key,
        delimiter: "",
        key_marker: "",
        version_marker: None,
        max_keys: 1,
    };
    let page = context.index.list_versions(newest).await?;
    Ok(match page.versions.first().filter(|own| own.key == key) {
        None => Some(error),
        Some(newest) if newest.record.delete_marker => {
            Some(tell_marker(error, bucket, newest.version))
        }
        Some(_) => None,
    })
}

/// 405 for a delete marker that is named: it can only be deleted.
pub(crate) fn is_marker(marker: VersionRef) -> ApiError {
    let message = "The specified method is not allowed against this resource.";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
        .with_header("allow", "DELETE")
        .with_header("x-amz-delete-marker", "true")
        .with_header("x-amz-version-id", &version::name(marker))
        .with_detail("ResourceType", "DeleteMarker")
}

fn tell_marker(error: ApiError, bucket: &Bucket, marker: VersionRef) -> ApiError {
    with_version(
        error.with_header("x-amz-delete-marker", "true"),
        bucket,
        marker,
    )
}

fn with_version(error: ApiError, bucket: &Bucket, version: VersionRef) -> ApiError {
    match version::shown(bucket, version) {
        Some(id) => error.with_header("x-amz-version-id", &id),
        None => error,
    }
}

/// Refuses what the client's conditions say.
///
/// # Errors
/// 304 and 412.
pub(crate) fn check(
    conditions: &ReadConditions,
    bucket: &Bucket,
    found: &ObjectVersion,
) -> Result<(), ApiError> {
    let record = &found.record;
    match conditions.evaluate(&record.etag, record.last_modified_ms()) {
        Verdict::Proceed => Ok(()),
        Verdict::NotModified => Err(not_modified(bucket, found)),
        Verdict::Failed(condition) => {
            Err(error::precondition_failed().with_detail("Condition", condition))
        }
    }
}

/// 304, with what a cache needs to keep its copy.
fn not_modified(bucket: &Bucket, found: &ObjectVersion) -> ApiError {
    let record = &found.record;
    let etag = format!("\"{}\"", record.etag);
    let mut answer = ApiError::new(StatusCode::NOT_MODIFIED, "NotModified", "Not Modified")
        .with_header("etag", &etag)
        .with_header("last-modified", &http_date(record.last_modified_ms()));
    for name in ["cache-control", "expires"] {
        if let Some(value) = record.headers.get(name) {
            answer = answer.with_header(name, value);
        }
    }
    with_version(answer, bucket, found.version)
}

/// Refuses a write whose condition cannot hold before its body is sent. The commit decides again.
pub(crate) async fn refuse_early(
    context: &Context,
    bucket: &Bucket,
    key: &str,
    condition: &WriteCondition,
) -> Result<(), ApiError> {
    if *condition == WriteCondition::None {
        return Ok(());
    }
    let current = context.index.get_object(bucket, key, None).await?;
    match (condition, current) {
        (WriteCondition::IfNoneMatch, Some(_)) => Err(error::precondition_failed()),
        (WriteCondition::IfMatch(_), None) => Err(error::no_such_key()),
        (WriteCondition::IfMatch(etag), Some(current))
            if etag != "*" && *etag != current.record.etag =>
        {
            Err(error::precondition_failed())
        }
        _ => Ok(()),
    }
}
