//! Finding the object of a request, and what is said of it beside its bytes.

use crate::context::Context;
use crate::error::{self, ApiError};
use crate::headers::http_date;
use crate::precondition::{ReadConditions, Verdict};
use http::StatusCode;
use index::key::object::VersionRecord;
use index::{Bucket, WriteCondition};
use s3s::dto::{Timestamp, TimestampFormat};

/// The current version of `key`, unless the client's conditions say otherwise.
pub(crate) async fn find(
    context: &Context,
    bucket: &Bucket,
    key: &str,
    conditions: &ReadConditions,
) -> Result<VersionRecord, ApiError> {
    let found = context.index.get_object(bucket, key, None).await?;
    let record = found.ok_or_else(error::no_such_key)?.record;
    match conditions.evaluate(&record.etag, record.last_modified_ms()) {
        Verdict::Proceed => Ok(record),
        Verdict::NotModified => Err(not_modified(&record)),
        Verdict::Failed(_) => Err(error::precondition_failed()),
    }
}

/// 304, with what a cache needs to keep its copy.
fn not_modified(record: &VersionRecord) -> ApiError {
    let etag = format!("\"{}\"", record.etag);
    let mut answer = ApiError::new(StatusCode::NOT_MODIFIED, "NotModified", "Not Modified")
        .with_header("etag", &etag)
        .with_header("last-modified", &http_date(record.last_modified_ms()));
    for name in ["cache-control", "expires"] {
        if let Some(value) = record.headers.get(name) {
            answer = answer.with_header(name, value);
        }
    }
    answer
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

/// The stored Expires header, as s3s writes it.
pub(crate) fn expires(record: &VersionRecord) -> Option<Timestamp> {
    let text = record.headers.get("expires")?;
    Timestamp::parse(TimestampFormat::HttpDate, text).ok()
}

/// Fills what GetObject and HeadObject say alike of an object.
macro_rules! described {
    ($output:ident, $record:expr, $sent:expr, $with_checksum:expr) => {{
        let record: &index::key::object::VersionRecord = $record;
        let sent: Option<&std::ops::Range<u64>> = $sent;
        let header = |name: &str| record.headers.get(name).cloned();
        let length = sent.map_or(record.plain_length, |range| range.end - range.start);
        let content_type = header("content-type");
        let mut output = $output {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: header("cache-control"),
            content_disposition: header("content-disposition"),
            content_encoding: header("content-encoding"),
            content_language: header("content-language"),
            content_length: i64::try_from(length).ok(),
            content_range: sent
                .map(|range| $crate::range::content_range(range, record.plain_length)),
            content_type: Some(
                content_type.unwrap_or_else(|| $crate::headers::DEFAULT_CONTENT_TYPE.to_owned()),
            ),
            e_tag: Some(s3s::dto::ETag::Strong(record.etag.clone())),
            expires: $crate::ops::found::expires(record),
            last_modified: Some($crate::headers::timestamp(record.last_modified_ms())),
            metadata: Some(record.user_metadata.clone().into_iter().collect()),
            storage_class: $crate::headers::class_header(&record.storage_class),
            website_redirect_location: header("x-amz-website-redirect-location"),
            ..$output::default()
        };
        if $with_checksum && sent.is_none() {
            let checksum = record.checksum.as_ref();
            output.checksum_type = $crate::ops::checksum::shown_type(checksum);
            $crate::ops::checksum::show_checksum!(output, checksum, record.parts);
        }
        output
    }};
}
pub(crate) use described;
