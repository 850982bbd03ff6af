//! The source of a copy: what x-amz-copy-source names, under the conditions that the client sets, and
//! its bytes.

use super::object_body::Reader;
use super::receive::Source;
use super::{found, version};
use crate::context::Context;
use crate::digest::BodyDigests;
use crate::error::{self, ApiError};
use crate::precondition::{ReadConditions, Verdict};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use index::key::object::VersionRecord;
use index::{Bucket, ObjectVersion, VersionRef};
use s3s::S3Request;
use s3s::dto::CopySource as Header;
use std::ops::Range;
use std::sync::Arc;
use types::limits::{OBJECT_KEY_BYTES_MAX, PART_BYTES_MAX};

const HEADER: &str = "x-amz-copy-source";

/// What is copied from: an object that need not exist, in a bucket that the signer owns.
pub(crate) struct CopySource {
    pub(crate) bucket: Bucket,
    pub(crate) key: String,
    /// The version that the client names.
    pub(crate) version: Option<VersionRef>,
    conditions: ReadConditions,
}

impl CopySource {
    /// Reads the header, and looks its bucket up; `expected_owner` is
    /// x-amz-source-expected-bucket-owner.
    ///
    /// # Errors
    /// What stands between the signer and the source's bucket; 400 for a key or a version id that
    /// nothing has; 501 for an access point.
    pub(crate) async fn read<T>(
        context: &Context,
        request: &S3Request<T>,
        header: &Header,
        expected_owner: Option<&str>,
        conditions: ReadConditions,
    ) -> Result<Self, ApiError> {
        let Header::Bucket {
            bucket,
            key,
            version_id,
        } = header
        else {
            return Err(ApiError::not_implemented(format_args!("access points")));
        };
        check_encoding(&request.headers)?;
        if key.is_empty() {
            let message = "Copy Source must mention the source bucket and key: \
                           sourcebucket/sourcekey.";
            return Err(ApiError::bad("InvalidArgument", message));
        }
        if key.len() > OBJECT_KEY_BYTES_MAX {
            return Err(ApiError::bad("KeyTooLongError", "Your key is too long"));
        }
        let version = version::parse(version_id.as_deref())?;
        let owned = context.owned(request, bucket, expected_owner).await?;
        Ok(Self {
            bucket: owned.bucket,
            key: key.to_string(),
            version,
            conditions,
        })
    }

    /// The version to copy, which is an object and fits the conditions.
    ///
    /// # Errors
    /// 404 NoSuchKey or NoSuchVersion; 400 for a delete marker that is named; 412.
    pub(crate) async fn find(&self, context: &Context) -> Result<ObjectVersion, ApiError> {
        let found = context
            .index
            .get_object(&self.bucket, &self.key, self.version)
            .await?;
        let absent = || found::absent(self.version).with_detail("Key", &self.key);
        let found = found.ok_or_else(absent)?;
        let record = &found.record;
        if record.delete_marker {
            let message = "The source of a copy request may not specifically refer to a delete \
                           marker by version id.";
            return Err(ApiError::bad("InvalidRequest", message));
        }
        let conditions = &self.conditions;
        let failed = match conditions.evaluate(&record.etag, record.last_modified_ms()) {
            Verdict::Proceed => return Ok(found),
            Verdict::NotModified if conditions.if_none_match.is_some() => "If-None-Match",
            Verdict::NotModified => "If-Modified-Since",
            Verdict::Failed(condition) => condition,
        };
        let condition = format!("x-amz-copy-source-{failed}");
        Err(error::precondition_failed().with_detail("Condition", condition))
    }

    /// The x-amz-copy-source-version-id of an answer.
    pub(crate) fn shown(&self, found: &ObjectVersion) -> Option<String> {
        version::shown(&self.bucket, found.version)
    }

    /// The bytes `range` of a version that was found; `None` when it was replaced or deleted since and
    /// its inline bytes are gone. Bytes on disks stay until they have been read.
    pub(crate) async fn open(
        &self,
        context: &Arc<Context>,
        record: VersionRecord,
        range: Range<u64>,
    ) -> Result<Option<SourceBytes>, ApiError> {
        if range.is_empty() {
            return Ok(Some(SourceBytes::AtHand(None)));
        }
        if !record.manifest.inline {
            let reader = Reader::new(context, record, range).await?;
            return Ok(Some(SourceBytes::OnDisks(Box::new(reader))));
        }
        let Some(body) = context.index.inline_body(&self.bucket, &record).await? else {
            return Ok(None);
        };
        let short = || ApiError::internal("an inline body is shorter than its record");
        let end = usize::try_from(range.end).map_err(|_| short())?;
        let start = usize::try_from(range.start).map_err(|_| short())?;
        if end > body.len() {
            return Err(short());
        }
        Ok(Some(SourceBytes::AtHand(Some(body.slice(start..end)))))
    }
}

/// Refuses `%` that begins no encoded byte, which s3s takes for itself.
fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let header = headers.get(HEADER).map_or(&b""[..], HeaderValue::as_bytes);
    let mut encoded = header.split(|byte| *byte == b'%').skip(1);
    let is_byte = |rest: &[u8]| {
        let digits = rest.get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if encoded.all(is_byte) {
        return Ok(());
    }
    Err(ApiError::bad(
        "InvalidArgument",
        "Invalid copy source encoding.",
    ))
}

/// Refuses to copy more than S3 copies in one request.
///
/// # Errors
/// 400 InvalidRequest.
pub(crate) fn check_length(bytes: u64) -> Result<(), ApiError> {
    if bytes <= PART_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "The specified copy source is larger than the maximum allowable size for a copy source: \
         {PART_BYTES_MAX}"
    );
    Err(ApiError::bad("InvalidRequest", message))
}

/// Bytes that are copied, each piece verified as it is read.
pub(crate) enum SourceBytes {
    /// What is left of an inline body.
    AtHand(Option<Bytes>),
    OnDisks(Box<Reader>),
}

impl Source for SourceBytes {
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        match self {
            Self::AtHand(bytes) => Ok(bytes.take()),
            Self::OnDisks(reader) => Ok(reader.next().await?),
        }
    }

    fn lend(&mut self) -> u64 {
        match self {
            Self::AtHand(_) => 0,
            Self::OnDisks(reader) => reader.lend(),
        }
    }

    fn give_back(&mut self) {
        if let Self::OnDisks(reader) = self {
            reader.give_back();
        }
    }

    /// Nothing was declared of it: the reader has verified every piece.
    fn verify(&self, _: &BodyDigests) -> Result<(), ApiError> {
        Ok(())
    }
}
