//! What GetObject and HeadObject have in common: which version, which bytes of it, and every header
//! that is said of them.

use super::{checksum, found, version};
use crate::context::Context;
use crate::digest::{self, ChecksumAlgorithm};
use crate::error::ApiError;
use crate::headers::{DEFAULT_CONTENT_TYPE, KEPT, class_header, http_date};
use crate::http::Query;
use crate::precondition::{ReadConditions, range_applies};
use crate::range;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use index::key::object::VersionRecord;
use index::{Bucket, ObjectVersion, PlacedPart, VersionRef};
use std::ops::Range;
use types::limits::PART_NUMBER_MAX;

/// What a request asks of an object.
pub(super) struct Asked<'a> {
    version: Option<VersionRef>,
    conditions: ReadConditions,
    part: Option<u16>,
    with_checksum: bool,
    /// The response-* parameters, as the headers that they set.
    overrides: HeaderMap,
    /// As sent.
    headers: &'a HeaderMap,
}

/// An object that fits the conditions of a request, and what of it is sent.
pub(super) struct Selected {
    pub(super) found: ObjectVersion,
    /// The bytes of a 206; `None` for the whole object.
    pub(super) range: Option<Range<u64>>,
    part: Option<PlacedPart>,
}

/// The response-* parameters and the headers that they set.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("response-cache-control", header::CACHE_CONTROL),
    ("response-content-disposition", header::CONTENT_DISPOSITION),
    ("response-content-encoding", header::CONTENT_ENCODING),
    ("response-content-language", header::CONTENT_LANGUAGE),
    ("response-content-type", header::CONTENT_TYPE),
    ("response-expires", header::EXPIRES),
];

impl<'a> Asked<'a> {
    /// Reads a request as it was sent, at `now_ms`.
    ///
    /// # Errors
    /// 400 for a version, a part or a response-* parameter that cannot be.
    pub(super) fn read(uri: &Uri, headers: &'a HeaderMap, now_ms: u64) -> Result<Self, ApiError> {
        let query = Query::parse(uri);
        let part = query.get("partNumber").map(part_number).transpose()?;
        if part.is_some() && headers.contains_key(header::RANGE) {
            let message = "Cannot specify both Range header and partNumber query parameter";
            return Err(ApiError::bad("InvalidRequest", message));
        }
        let mode = headers.get("x-amz-checksum-mode");
        Ok(Self {
            version: version::parse(query.get("versionId"))?,
            conditions: ReadConditions::of_read(headers, now_ms),
            part,
            with_checksum: mode
                .is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"enabled")),
            overrides: overrides(&query)?,
            headers,
        })
    }

    /// Finds the object and what of it is asked for.
    ///
    /// # Errors
    /// 404 and 405 for what is not there, 304 and 412 by the conditions, 416.
    pub(super) async fn select(
        &self,
        context: &Context,
        bucket: &Bucket,
        key: &str,
    ) -> Result<Selected, ApiError> {
        let found = found::find(context, bucket, key, self.version).await?;
        found::check(&self.conditions, bucket, &found)?;
        let record = &found.record;
        let (range, part) = match self.part {
            Some(number) => part(context, record, number).await?,
            None => (self.range(record)?, None),
        };
        Ok(Selected { found, range, part })
    }

    fn range(&self, record: &VersionRecord) -> Result<Option<Range<u64>>, ApiError> {
        let asked = range::asked(self.headers)
            .filter(|_| range_applies(self.headers, &record.etag, record.last_modified_ms()))
            .map(|asked| range::resolve(asked, record.plain_length));
        Ok(asked.transpose()?)
    }

    /// Every header of the answer but those of the user's metadata.
    pub(super) fn headers(&self, bucket: &Bucket, selected: &Selected) -> HeaderMap {
        let record = &selected.found.record;
        let length = selected.length();
        let mut all = Shown(HeaderMap::new());
        all.set(header::ACCEPT_RANGES, "bytes");
        all.set(header::CONTENT_LENGTH, &length.to_string());
        all.set(header::CONTENT_TYPE, DEFAULT_CONTENT_TYPE);
        all.set(header::ETAG, &format!("\"{}\"", record.etag));
        all.set(header::LAST_MODIFIED, &http_date(record.last_modified_ms()));
        for name in KEPT {
            if let Some(value) = record.headers.get(name.as_str()) {
                all.set(name, value);
            }
        }
        if let Some(range) = &selected.range {
            let range = range::content_range(range, record.plain_length);
            all.set(header::CONTENT_RANGE, &range);
        }
        if let Some(class) = class_header(&record.storage_class) {
            all.set_own("x-amz-storage-class", class.as_str());
        }
        if let Some(id) = version::shown(bucket, selected.found.version) {
            all.set_own("x-amz-version-id", &id);
        }
        if !record.tags.is_empty() {
            all.set_own("x-amz-tagging-count", &record.tags.len().to_string());
        }
        if self.part.is_some() && record.parts > 0 {
            all.set_own("x-amz-mp-parts-count", &record.parts.to_string());
        }
        if self.with_checksum {
            selected.show_checksum(&mut all);
        }
        all.0.extend(self.overrides.clone());
        all.0
    }
}

/// The bytes of a part. An object that was put whole is its own first part.
async fn part(
    context: &Context,
    record: &VersionRecord,
    number: u16,
) -> Result<(Option<Range<u64>>, Option<PlacedPart>), ApiError> {
    let part = context.index.object_part(record, number).await?;
    let range = match &part {
        Some(part) => part.offset..part.offset + part.entry.length,
        None if record.parts == 0 && number == 1 => 0..record.plain_length,
        None => return Err(no_such_part(record, number)),
    };
    // No Content-Range can name the bytes of an empty part.
    Ok(((!range.is_empty()).then_some(range), part))
}

impl Selected {
    /// The bytes to send.
    pub(super) fn sent(&self) -> Range<u64> {
        match (&self.range, &self.part) {
            (Some(range), _) => range.clone(),
            (None, Some(part)) => part.offset..part.offset,
            (None, None) => 0..self.found.record.plain_length,
        }
    }

    fn length(&self) -> u64 {
        let sent = self.sent();
        sent.end - sent.start
    }

    /// The checksum of what is sent, where one is kept: of the object or of a part.
    fn show_checksum(&self, all: &mut Shown) {
        let record = &self.found.record;
        let Some(checksum) = &record.checksum else {
            return;
        };
        let whole = self.length() == record.plain_length && self.part.is_none();
        let value = match &self.part {
            Some(part) if part.entry.checksum.is_empty() => return,
            Some(part) => digest::encode(&part.entry.checksum),
            None if whole => checksum::shown(checksum, record.parts),
            None => return,
        };
        if let Some(algorithm) = ChecksumAlgorithm::parse(&checksum.algorithm) {
            all.set_own(algorithm.header(), &value);
        }
        let kind = digest::type_name(checksum.kind);
        all.set_own("x-amz-checksum-type", kind);
    }
}

/// Headers in the making.
struct Shown(HeaderMap);

impl Shown {
    /// What was stored came in a header and goes out in one.
    fn set(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            self.0.insert(name, value);
        }
    }

    fn set_own(&mut self, name: &'static str, value: &str) {
        self.set(HeaderName::from_static(name), value);
    }
}

fn part_number(text: &str) -> Result<u16, ApiError> {
    let number = text.parse::<u16>().ok();
    let valid = number.filter(|number| (1..=PART_NUMBER_MAX).contains(number));
    valid.ok_or_else(|| {
        let message =
            format!("Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive");
        ApiError::bad("InvalidArgument", message)
    })
}

fn no_such_part(record: &VersionRecord, number: u16) -> ApiError {
    let message = "The requested partnumber is not satisfiable";
    ApiError::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "InvalidPartNumber",
        message,
    )
    .with_detail("PartNumberRequested", number)
    .with_detail("ActualPartCount", record.parts.max(1))
}

fn overrides(query: &Query) -> Result<HeaderMap, ApiError> {
    let mut given = query.names().filter(|name| name.starts_with("response-"));
    if let Some(other) = given.find(|name| OVERRIDES.iter().all(|(known, _)| known != name)) {
        let message = format!(
            "{other} is not in the set of overridable response headers. Please refer to the S3 API \
             documentation for a complete list of overridable response headers."
        );
        return Err(ApiError::bad("InvalidArgument", message));
    }
    let mut headers = HeaderMap::new();
    for (parameter, name) in OVERRIDES {
        let Some(value) = query.get(parameter) else {
            continue;
        };
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            let message = format!("The value of {parameter} cannot stand in a header");
            ApiError::bad("InvalidArgument", message)
        })?;
        headers.insert(name, value);
    }
    Ok(headers)
}
