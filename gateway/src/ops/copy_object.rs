//! CopyObject: by reference, no bytes move.

use super::checksum::{self, show_checksum};
use super::commit::{Failed, until_known};
use super::{OpResult, detached, object_body, unsupported};
use crate::context::{Context, Owned};
use crate::error::{self, ApiError};
use crate::headers::{StoredHeaders, storage_class, timestamp};
use crate::precondition::{self, ReadConditions, Verdict};
use http::{HeaderMap, HeaderName, header};
use index::error::CopyObjectError;
use index::key::object::{ObjectChecksum, VersionRecord};
use index::{Bucket, CommittedVersion, CopyMeta, CopyObject, ObjectMeta, WriteCondition};
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;
use types::limits::{OBJECT_KEY_BYTES_MAX, PART_BYTES_MAX};

/// Times that the source is read anew when it is replaced while it is copied.
const ATTEMPTS: usize = 16;
const REDIRECT_LOCATION: &str = "x-amz-website-redirect-location";
const CHECKSUM_ALGORITHM: &str = "x-amz-checksum-algorithm";

/// A copy whose headers have been found good.
struct Copy {
    source: Bucket,
    source_key: String,
    conditions: ReadConditions,
    destination: Owned,
    key: String,
    replace: bool,
    stored: StoredHeaders,
    storage_class: String,
    condition: WriteCondition,
}

/// CopyObject.
///
/// # Errors
/// What stands between the signer and the two buckets; 404 without a source; 412 by the client's
/// conditions; InvalidRequest for a copy onto itself that changes nothing.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<CopyObjectInput>,
) -> OpResult<CopyObjectOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let destination = context
        .owned_key(&request, &input.bucket, &input.key, expected)
        .await?;
    unsupported::check(&request.headers)?;
    refuse_checksum(&request.headers)?;
    let (source, source_key) = source(&context, &request).await?;
    let copy = Copy {
        source,
        source_key,
        conditions: ReadConditions::of_source(&request.headers, context.clock.now_ms()),
        replace: replaces(input.metadata_directive.as_ref())?,
        stored: StoredHeaders::read(&request.headers, input.metadata.as_ref())?,
        storage_class: storage_class(&request.headers)?,
        condition: condition(&request.headers)?,
        destination,
        key: request.input.key,
    };
    let (committed, checksum, parts) = detached(copy.run(context)).await?;
    let mut result = CopyObjectResult {
        e_tag: Some(ETag::Strong(committed.etag)),
        last_modified: Some(timestamp(committed.last_modified_ms)),
        checksum_type: checksum::shown_type(checksum.as_ref()),
        ..CopyObjectResult::default()
    };
    show_checksum!(result, &checksum, parts);
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result),
        ..CopyObjectOutput::default()
    }))
}

impl Copy {
    /// Copies the source as it is at some moment at which it fits the conditions.
    async fn run(
        self,
        context: Arc<Context>,
    ) -> Result<(CommittedVersion, Option<ObjectChecksum>, u32), ApiError> {
        let op_id = context.index.new_op_id();
        let mut attempts = 0;
        loop {
            let record = self.find(&context).await?;
            let copy = CopyObject {
                source: index::CopySource {
                    bucket: &self.source,
                    key: &self.source_key,
                    record: &record,
                },
                bucket: &self.destination.bucket,
                key: &self.key,
                meta: self.meta(&record),
                checksum: None,
                condition: self.condition.clone(),
                op_id,
            };
            let copied = until_known(&context, || context.index.copy_object(copy.clone())).await;
            attempts += 1;
            match copied.map_err(Failed::into_error) {
                Ok(committed) => return Ok((committed, record.checksum, record.parts)),
                Err(CopyObjectError::SourceChanged) if attempts < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn find(&self, context: &Context) -> Result<VersionRecord, ApiError> {
        let found = context
            .index
            .get_object(&self.source, &self.source_key, None)
            .await?;
        let record = found.ok_or_else(error::no_such_key)?.record;
        match self
            .conditions
            .evaluate(&record.etag, record.last_modified_ms())
        {
            Verdict::Proceed => {}
            Verdict::NotModified | Verdict::Failed(_) => return Err(error::precondition_failed()),
        }
        if record.plain_length > PART_BYTES_MAX {
            let message = format!(
                "The specified copy source is larger than the maximum allowable size for a copy \
                 source: {PART_BYTES_MAX}"
            );
            return Err(ApiError::bad("InvalidRequest", message));
        }
        self.refuse_unchanged(&record)?;
        Ok(record)
    }

    fn refuse_unchanged(&self, record: &VersionRecord) -> Result<(), ApiError> {
        let onto_itself = self.source.id == self.destination.bucket.id
            && self.source_key == self.key
            && !self.replace
            && self.storage_class == record.storage_class
            && !self.stored.headers.contains_key(REDIRECT_LOCATION);
        if !onto_itself {
            return Ok(());
        }
        let message = "This copy request is illegal because it is trying to copy an object to \
                       itself without changing the object's metadata, storage class, website \
                       redirect location or encryption attributes.";
        Err(ApiError::bad("InvalidRequest", message))
    }

    /// What is said of the copy. A redirect is never taken over from the source.
    fn meta(&self, record: &VersionRecord) -> CopyMeta {
        let account = self.destination.signer.canonical_id.clone();
        let storage_class = self.storage_class.clone();
        let redirect = self.stored.headers.get(REDIRECT_LOCATION).cloned();
        if !self.replace && redirect.is_none() && !record.headers.contains_key(REDIRECT_LOCATION) {
            return CopyMeta::Copy {
                account,
                storage_class,
            };
        }
        let kept = (!self.replace).then(|| (record.headers.clone(), record.user_metadata.clone()));
        let (mut headers, user_metadata) = kept.unwrap_or_else(|| {
            (
                self.stored.headers.clone(),
                self.stored.user_metadata.clone(),
            )
        });
        headers.remove(REDIRECT_LOCATION);
        headers.extend(redirect.map(|redirect| (REDIRECT_LOCATION.to_owned(), redirect)));
        CopyMeta::Replace(ObjectMeta {
            account,
            storage_class,
            headers,
            user_metadata,
            ..ObjectMeta::default()
        })
    }
}

/// The bucket and the key of x-amz-copy-source.
async fn source(
    context: &Context,
    request: &S3Request<CopyObjectInput>,
) -> Result<(Bucket, String), ApiError> {
    let input = &request.input;
    let CopySource::Bucket {
        bucket,
        key,
        version_id,
    } = &input.copy_source
    else {
        return Err(ApiError::not_implemented(format_args!("access points")));
    };
    object_body::refuse_version(version_id.as_deref())?;
    if key.is_empty() || key.len() > OBJECT_KEY_BYTES_MAX {
        return Err(ApiError::bad(
            "KeyTooLongError",
            "Your key is too long or empty",
        ));
    }
    let expected = input.expected_source_bucket_owner.as_deref();
    let owned = context.owned(request, bucket, expected).await?;
    Ok((owned.bucket, key.to_string()))
}

fn replaces(directive: Option<&MetadataDirective>) -> Result<bool, ApiError> {
    match directive.map(MetadataDirective::as_str) {
        None | Some(MetadataDirective::COPY) => Ok(false),
        Some(MetadataDirective::REPLACE) => Ok(true),
        Some(_) => Err(ApiError::bad(
            "InvalidArgument",
            "Unknown metadata directive.",
        )),
    }
}

/// A copy keeps the checksum of its source; no other is computed.
fn refuse_checksum(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers
        .get(CHECKSUM_ALGORITHM)
        .filter(|value| !value.is_empty())
    {
        None => Ok(()),
        Some(_) => Err(ApiError::not_implemented(format_args!(
            "another checksum for a copy"
        ))),
    }
}

/// If-Match and If-None-Match of the destination, which s3s leaves to us.
fn condition(headers: &HeaderMap) -> Result<WriteCondition, ApiError> {
    let read = |name: &HeaderName| {
        let Some(value) = headers.get(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        ETagCondition::parse_http_header(value.as_bytes())
            .map(Some)
            .map_err(|_| {
                ApiError::bad(
                    "InvalidArgument",
                    format!("The header {name} is not an ETag."),
                )
            })
    };
    let (if_match, if_none_match) = (read(&header::IF_MATCH)?, read(&header::IF_NONE_MATCH)?);
    Ok(precondition::of_write(
        if_match.as_ref(),
        if_none_match.as_ref(),
    )?)
}
