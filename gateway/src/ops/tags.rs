//! Tags as clients write them: in the header x-amz-tagging, and in the XML of the tagging operations.

use crate::error::ApiError;
use http::HeaderMap;
use s3s::dto::{Tag, TagSet};
use std::collections::BTreeMap;

const HEADER: &str = "x-amz-tagging";
/// Tags of one object.
const OBJECT_TAGS_MAX: usize = 10;
/// Tags of one bucket.
const BUCKET_TAGS_MAX: usize = 50;
/// Length of a key in UTF-16 units, as S3 counts it.
const KEY_UNITS_MAX: usize = 128;
/// Length of a value in UTF-16 units.
const VALUE_UNITS_MAX: usize = 256;
/// Characters that keys and values may have besides letters, digits and white space.
const SYMBOLS: &str = "+-=._:/@";
/// Keys that begin like this are S3's own.
const RESERVED: &str = "aws:";

/// What tags are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Object,
    Bucket,
}

/// The tags of the header x-amz-tagging; none when there is no such header, or an empty one.
///
/// # Errors
/// 400 InvalidArgument for a header that is no list of tags, and as [`check`].
pub(crate) fn parse_header(headers: &HeaderMap) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = Vec::new();
    for value in headers.get_all(HEADER) {
        let text = value.to_str().map_err(|_| malformed())?;
        check_encoding(text)?;
        tags.extend(form_urlencoded::parse(text.as_bytes()).into_owned());
    }
    let mut seen = BTreeMap::new();
    for (key, value) in &tags {
        let is_text = !key.is_empty() && is_allowed(key) && is_allowed(value);
        if !is_text || seen.insert(key, value).is_some() {
            return Err(malformed());
        }
    }
    check(Of::Object, tags)
}

/// Refuses `%` that begins no encoded byte, which a lenient decoder would take for itself.
fn check_encoding(text: &str) -> Result<(), ApiError> {
    let encoded = text.split('%').skip(1);
    let is_byte = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if encoded.into_iter().all(is_byte) {
        Ok(())
    } else {
        Err(malformed())
    }
}

fn malformed() -> ApiError {
    let message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters \
                   without tag name duplicates.";
    ApiError::bad("InvalidArgument", message)
}

/// The tags of a request's XML.
///
/// # Errors
/// 400 MalformedXML for a tag without a key or without a value, and as [`check`].
pub(crate) fn parse_set(of: Of, set: TagSet) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = Vec::with_capacity(set.len());
    for Tag { key, value } in set {
        let (Some(key), Some(value)) = (key, value) else {
            let message = "The XML you provided was not well-formed or did not validate against our published \
                           schema";
            return Err(ApiError::bad("MalformedXML", message));
        };
        tags.push((key, value));
    }
    check(of, tags)
}

/// The tags by key, if S3 allows them.
///
/// # Errors
/// 400 BadRequest for too many, 400 InvalidTag for one that is not allowed or given twice.
fn check(of: Of, tags: Vec<(String, String)>) -> Result<BTreeMap<String, String>, ApiError> {
    let (max, too_many) = match of {
        Of::Object => (OBJECT_TAGS_MAX, "Object tags cannot be greater than 10"),
        Of::Bucket => (
            BUCKET_TAGS_MAX,
            "Bucket tag count cannot be greater than 50",
        ),
    };
    if tags.len() > max {
        return Err(ApiError::bad("BadRequest", too_many));
    }
    let mut checked = BTreeMap::new();
    for (key, value) in tags {
        if let Some(fault) = fault(of, &key, &value) {
            return Err(ApiError::bad("InvalidTag", fault));
        }
        if checked.insert(key, value).is_some() {
            let message = "Cannot provide multiple Tags with the same key";
            return Err(ApiError::bad("InvalidTag", message));
        }
    }
    Ok(checked)
}

/// What S3 finds wrong with a tag.
fn fault(of: Of, key: &str, value: &str) -> Option<&'static str> {
    let units = |text: &str| text.encode_utf16().count();
    if key.starts_with(RESERVED) {
        Some(match of {
            Of::Object => "Your TagKey cannot be prefixed with aws:",
            Of::Bucket => "System tags cannot be added/updated by requester",
        })
    } else if key.is_empty() || units(key) > KEY_UNITS_MAX || !is_allowed(key) {
        Some("The TagKey you have provided is invalid")
    } else if units(value) > VALUE_UNITS_MAX || !is_allowed(value) {
        Some("The TagValue you have provided is invalid")
    } else {
        None
    }
}

/// Whether S3 allows these characters in a key or a value.
fn is_allowed(text: &str) -> bool {
    text.chars()
        .all(|it| it.is_alphanumeric() || it.is_whitespace() || SYMBOLS.contains(it))
}

/// Tags as an answer lists them.
pub(crate) fn shown(tags: BTreeMap<String, String>) -> TagSet {
    tags.into_iter()
        .map(|(key, value)| Tag {
            key: Some(key),
            value: Some(value),
        })
        .collect()
}

#[cfg(test)]
mod tests;
