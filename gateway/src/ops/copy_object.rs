//! CopyObject: by reference, no bytes move. They are read only for a checksum that the source does not
//! have.

use super::checksum::{self, show_checksum};
use super::commit::{Failed, until_known};
use super::copy_source::{CopySource, check_length};
use super::receive::Source;
use super::{OpResult, detached, tags, unsupported, version};
use crate::context::{Context, Owned};
use crate::digest::{Checksum, ChecksumAlgorithm};
use crate::error::ApiError;
use crate::headers::{StoredHeaders, storage_class, timestamp};
use crate::precondition::{self, ReadConditions};
use http::HeaderMap;
use index::error::CopyObjectError;
use index::key::object::{ChecksumType, ObjectChecksum, VersionRecord};
use index::{CommittedVersion, CopyMeta, CopyObject, ObjectMeta, ObjectVersion, WriteCondition};
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, ETag, MetadataDirective, TaggingDirective,
};
use s3s::{S3Request, S3Response};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Times that the source is looked up when it is replaced while it is copied.
const ATTEMPTS: usize = 16;
const REDIRECT_LOCATION: &str = "x-amz-website-redirect-location";
const CHECKSUM_ALGORITHM: &str = "x-amz-checksum-algorithm";

/// A copy whose headers have been found good.
struct Copy {
    source: CopySource,
    destination: Owned,
    key: String,
    replace: bool,
    /// The tags of the copy, where they are not those of the source.
    tags: Option<BTreeMap<String, String>>,
    stored: StoredHeaders,
    storage_class: String,
    condition: WriteCondition,
    /// The checksum that the copy shall have.
    checksum: Option<ChecksumAlgorithm>,
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
    let destination = context.owned(&request, &input.bucket, expected).await?;
    unsupported::check(&request.headers)?;
    let checksum = checksum_algorithm(&request.headers)?;
    let conditions = ReadConditions::of_source(&request.headers, context.clock.now_ms());
    let copy = Copy {
        source: CopySource::read(
            &context,
            &request,
            &input.copy_source,
            input.expected_source_bucket_owner.as_deref(),
            conditions,
        )
        .await?,
        replace: replaces(
            input
                .metadata_directive
                .as_ref()
                .map(MetadataDirective::as_str),
            "metadata",
        )?,
        tags: replaced_tags(&request)?,
        stored: StoredHeaders::read(&request.headers, input.metadata.as_ref())?,
        storage_class: storage_class(&request.headers)?,
        condition: precondition::of_write(&request.headers)?,
        checksum,
        destination,
        key: request.input.key,
    };
    let bucket = copy.destination.bucket.clone();
    let Copied {
        committed,
        source_version,
        checksum,
        parts,
    } = detached(copy.run(context)).await?;
    let mut result = CopyObjectResult {
        e_tag: Some(ETag::Strong(committed.etag)),
        last_modified: Some(timestamp(committed.last_modified_ms)),
        checksum_type: checksum::shown_type(checksum.as_ref()),
        ..CopyObjectResult::default()
    };
    show_checksum!(result, &checksum, parts);
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: source_version,
        version_id: version::shown(&bucket, committed.version),
        ..CopyObjectOutput::default()
    }))
}

/// A copy that was committed.
struct Copied {
    committed: CommittedVersion,
    /// The version of the source, as answers show it.
    source_version: Option<String>,
    checksum: Option<ObjectChecksum>,
    parts: u32,
}

impl Copy {
    /// Copies the source as it is at some moment at which it fits the conditions.
    async fn run(self, context: Arc<Context>) -> Result<Copied, ApiError> {
        let mut op_id = context.index.new_op_id();
        for _ in 0..ATTEMPTS {
            let found = self.find(&context).await?;
            let record = &found.record;
            let checksum = match self.checksum {
                Some(algorithm) if !has_checksum(record, algorithm) => {
                    let Some(checksum) = self.computed(&context, record, algorithm).await? else {
                        continue;
                    };
                    Some(checksum)
                }
                Some(_) | None => None,
            };
            let copy = CopyObject {
                source: index::CopySource {
                    bucket: &self.source.bucket,
                    key: &self.source.key,
                    record,
                },
                bucket: &self.destination.bucket,
                key: &self.key,
                meta: self.meta(record),
                checksum: checksum.clone(),
                condition: self.condition.clone(),
                op_id,
            };
            let copied = until_known(&context, &mut op_id, |op_id| {
                context.index.copy_object(CopyObject {
                    op_id,
                    ..copy.clone()
                })
            })
            .await;
            match copied.map_err(Failed::into_error) {
                Ok(committed) => {
                    return Ok(Copied {
                        committed,
                        source_version: self.source.shown(&found),
                        parts: record.parts,
                        checksum: checksum.or(found.record.checksum),
                    });
                }
                Err(CopyObjectError::SourceChanged) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CopyObjectError::SourceChanged.into())
    }

    /// Reads the whole source for a checksum that it does not have; `None` when it was replaced or
    /// deleted meanwhile.
    async fn computed(
        &self,
        context: &Arc<Context>,
        record: &VersionRecord,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Option<ObjectChecksum>, ApiError> {
        let length = record.plain_length;
        let bytes = self.source.open(context, record.clone(), 0..length).await?;
        let Some(mut bytes) = bytes else {
            return Ok(None);
        };
        let mut sum = Checksum::new(algorithm)?;
        while let Some(piece) = bytes.next().await? {
            sum.update(&piece)?;
        }
        let value = sum.finish()?;
        Ok(Some(checksum::of(
            algorithm,
            ChecksumType::FullObject,
            value,
        )))
    }

    async fn find(&self, context: &Context) -> Result<ObjectVersion, ApiError> {
        let found = self.source.find(context).await?;
        check_length(found.record.plain_length)?;
        self.refuse_unchanged(&found.record)?;
        Ok(found)
    }

    /// Refuses a copy onto itself that would change nothing. A version that is named may be an old one,
    /// which such a copy makes the current one again.
    fn refuse_unchanged(&self, record: &VersionRecord) -> Result<(), ApiError> {
        let onto_itself = self.source.bucket.id == self.destination.bucket.id
            && self.source.key == self.key
            && self.source.version.is_none()
            && !self.replace
            && self.tags.is_none()
            && self
                .checksum
                .is_none_or(|algorithm| has_checksum(record, algorithm))
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
        let as_it_is = !self.replace && self.tags.is_none();
        if as_it_is && redirect.is_none() && !record.headers.contains_key(REDIRECT_LOCATION) {
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
            tags: self.tags.clone().unwrap_or_else(|| record.tags.clone()),
        })
    }
}

/// Whether x-amz-metadata-directive or x-amz-tagging-directive (`what`) asks for what the request says
/// in the place of what the source has.
fn replaces(directive: Option<&str>, what: &str) -> Result<bool, ApiError> {
    match directive {
        None | Some("" | MetadataDirective::COPY) => Ok(false),
        Some(MetadataDirective::REPLACE) => Ok(true),
        Some(_) => {
            let message = format!("Unknown {what} directive.");
            Err(ApiError::bad("InvalidArgument", message))
        }
    }
}

/// The tags of the copy, where they are not those of the source.
fn replaced_tags(
    request: &S3Request<CopyObjectInput>,
) -> Result<Option<BTreeMap<String, String>>, ApiError> {
    let directive = request.input.tagging_directive.as_ref();
    let replaced = replaces(directive.map(TaggingDirective::as_str), "tagging")?;
    let tags = tags::parse_header(&request.headers)?;
    Ok(replaced.then_some(tags))
}

/// The algorithm that x-amz-checksum-algorithm asks for; without one the copy has its source's checksum.
fn checksum_algorithm(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, ApiError> {
    let value = headers
        .get(CHECKSUM_ALGORITHM)
        .filter(|value| !value.is_empty());
    let Some(value) = value else {
        return Ok(None);
    };
    let algorithm = value.to_str().ok().and_then(ChecksumAlgorithm::parse);
    algorithm.map(Some).ok_or_else(checksum::unknown_algorithm)
}

/// Whether the version has this checksum, of all its bytes.
fn has_checksum(record: &VersionRecord, algorithm: ChecksumAlgorithm) -> bool {
    record.checksum.as_ref().is_some_and(|own| {
        own.algorithm == algorithm.name() && own.kind == ChecksumType::FullObject
    })
}
