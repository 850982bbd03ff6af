//! The conditional headers of S3, as pure functions. What they say of a *write* is decided by the
//! index in the commit; only the shape of the request is judged here.

use http::HeaderMap;
use index::WriteCondition;
use s3s::dto::{ETag, ETagCondition, Timestamp, TimestampFormat};

/// Conditions on the object that is read, or that is copied from.
#[derive(Debug, Clone, Default)]
pub struct ReadConditions {
    /// If-Match.
    pub if_match: Option<ETagCondition>,
    /// If-None-Match.
    pub if_none_match: Option<ETagCondition>,
    /// If-Modified-Since, in seconds since the Unix epoch.
    pub if_modified_since_s: Option<i64>,
    /// If-Unmodified-Since, in seconds since the Unix epoch.
    pub if_unmodified_since_s: Option<i64>,
}

/// What conditions say of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All hold.
    Proceed,
    /// The client has this version already: 304, or 412 for a copy.
    NotModified,
    /// 412; the header that does not hold.
    Failed(&'static str),
}

/// Seconds since the Unix epoch of a header's time.
#[must_use]
pub fn seconds(time: Timestamp) -> i64 {
    time::OffsetDateTime::from(time).unix_timestamp()
}

impl ReadConditions {
    /// Evaluates the conditions in the order of RFC 9110, section 13.2.2: an ETag condition takes
    /// the place of the time condition of its kind. Times compare in whole seconds, which is all
    /// that Last-Modified shows.
    #[must_use]
    pub fn evaluate(&self, etag: &str, last_modified_ms: u64) -> Verdict {
        let modified_s = i64::try_from(last_modified_ms / 1000).unwrap_or(i64::MAX);
        match (&self.if_match, self.if_unmodified_since_s) {
            (Some(condition), _) if !matches_strongly(condition, etag) => {
                return Verdict::Failed("If-Match");
            }
            (None, Some(since)) if modified_s > since => {
                return Verdict::Failed("If-Unmodified-Since");
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since_s) {
            (Some(condition), _) if matches_weakly(condition, etag) => Verdict::NotModified,
            (None, Some(since)) if modified_s <= since => Verdict::NotModified,
            _ => Verdict::Proceed,
        }
    }
}

/// If-Match of an object that exists.
fn matches_strongly(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(asked) => asked.strong_cmp(&ETag::Strong(etag.to_owned())),
    }
}

/// If-None-Match of an object that exists.
fn matches_weakly(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(asked) => asked.value() == etag,
    }
}

/// A combination of conditional headers that S3 does not have for writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{header}: {reason}")]
pub struct UnsupportedCondition {
    /// The header.
    pub header: &'static str,
    /// What of it is not offered.
    pub reason: &'static str,
}

/// Reads If-Match and If-None-Match of a PUT, a Complete or a copy.
///
/// # Errors
/// [`UnsupportedCondition`]: 501, as AWS answers.
pub fn of_write(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> Result<WriteCondition, UnsupportedCondition> {
    let unsupported = |header, reason| Err(UnsupportedCondition { header, reason });
    match (if_match, if_none_match) {
        (None, None) => Ok(WriteCondition::None),
        (None, Some(ETagCondition::Any)) => Ok(WriteCondition::IfNoneMatch),
        (Some(ETagCondition::Any), None) => Ok(WriteCondition::IfMatch("*".to_owned())),
        (Some(ETagCondition::ETag(ETag::Strong(etag))), None) => {
            Ok(WriteCondition::IfMatch(etag.clone()))
        }
        (Some(ETagCondition::ETag(ETag::Weak(_))), None) => {
            unsupported("If-Match", "a write takes no weak ETag")
        }
        (None, Some(ETagCondition::ETag(_))) => {
            unsupported("If-None-Match", "a write takes no other value than *")
        }
        (Some(_), Some(_)) => unsupported("If-Match", "not together with If-None-Match"),
    }
}

/// Whether a `Range` applies, as `If-Range` says (RFC 9110, section 13.1.5): without the header it does; with
/// an ETag when it is this one, weak ones never are; with a date when it is exactly the object's.
pub fn range_applies(headers: &HeaderMap, etag: &str, last_modified_ms: u64) -> bool {
    let Some(value) = headers.get(http::header::IF_RANGE) else {
        return true;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    if value.starts_with('"') {
        return value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            == Some(etag);
    }
    let date = Timestamp::parse(TimestampFormat::HttpDate, value);
    date.is_ok_and(|date| {
        seconds(date) == i64::try_from(last_modified_ms / 1000).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests;
