//! The Range header against the length of an object. Pure.

use http::{HeaderMap, header};
use s3s::dto::Range as Header;
use std::ops::Range;

/// No byte of the object lies in the range asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the range lies outside of an object of {length} bytes")]
pub struct Unsatisfiable {
    /// Length of the object.
    pub length: u64,
}

/// The range that a request asks for. `None` for a header that S3 passes over, and so sends the
/// whole object: another unit, several ranges, what is no range.
#[must_use]
pub fn asked(headers: &HeaderMap) -> Option<Header> {
    let mut values = headers.get_all(header::RANGE).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (unit, range) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    match range.trim().split_once('-')? {
        ("", suffix) => Some(Header::Suffix {
            length: number(suffix)?,
        }),
        (first, "") => Some(Header::Int {
            first: number(first)?,
            last: None,
        }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            let last = Some(last);
            (Some(first) <= last).then_some(Header::Int { first, last })
        }
    }
}

/// A number of any length; what exceeds every object's length is one such number.
fn number(digits: &str) -> Option<u64> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// The bytes to send of an object of `length` bytes; never an empty range.
///
/// # Errors
/// [`Unsatisfiable`]: 416, which every range of an empty object is.
pub fn resolve(header: Header, length: u64) -> Result<Range<u64>, Unsatisfiable> {
    let range = match header {
        Header::Int { first, last } => {
            first..last.map_or(length, |last| last.saturating_add(1).min(length))
        }
        Header::Suffix { length: suffix } => length.saturating_sub(suffix)..length,
    };
    if range.is_empty() {
        return Err(Unsatisfiable { length });
    }
    Ok(range)
}

/// x-amz-copy-source-range has another form than `bytes=first-last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are \
     the zero-based offsets of the first and last bytes to copy"
)]
pub struct MalformedSourceRange;

/// The range to copy does not lie within the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Range specified is not valid for source object of size: {length}")]
pub struct OutsideSource {
    /// Length of the source.
    pub length: u64,
}

/// Reads x-amz-copy-source-range, which has one form only; never an empty range.
///
/// # Errors
/// [`MalformedSourceRange`].
pub fn of_copy_source(header: &str) -> Result<Range<u64>, MalformedSourceRange> {
    let offset = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| digits)
    };
    let ends = header
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'));
    let (first, last) = ends.ok_or(MalformedSourceRange)?;
    let (Some(first), Some(last)) = (offset(first), offset(last)) else {
        return Err(MalformedSourceRange);
    };
    let end = last.checked_add(1).ok_or(MalformedSourceRange)?;
    (first < end)
        .then_some(first..end)
        .ok_or(MalformedSourceRange)
}

/// The Content-Range header of a 206.
#[must_use]
pub fn content_range(range: &Range<u64>, length: u64) -> String {
    assert!(
        range.end > range.start && range.end <= length,
        "a resolved range is not empty"
    );
    format!("bytes {}-{}/{length}", range.start, range.end - 1)
}

/// The Content-Range header of a 416.
#[must_use]
pub fn unsatisfied_range(length: u64) -> String {
    format!("bytes */{length}")
}

#[cfg(test)]
mod tests;
