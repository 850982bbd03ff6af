//! The conditional headers of S3, as pure functions. What they say of a *write* is decided by the
//! index in the commit; only the shape of the request is judged here.

use http::header::{self, HeaderMap, HeaderName};
use index::WriteCondition;
use s3s::dto::{Timestamp, TimestampFormat};
use std::time::UNIX_EPOCH;

/// Conditions on the object that is read, or that is copied from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadConditions {
    /// If-Match.
    pub if_match: Option<ETags>,
    /// If-None-Match.
    pub if_none_match: Option<ETags>,
    /// If-Modified-Since, in seconds since the Unix epoch.
    pub if_modified_since_s: Option<i64>,
    /// If-Unmodified-Since, in seconds since the Unix epoch.
    pub if_unmodified_since_s: Option<i64>,
}

/// What stands in If-Match or If-None-Match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ETags {
    /// `*`: every object that exists.
    Any,
    /// A list.
    These(Vec<AskedETag>),
}

/// An ETag as a client writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedETag {
    /// Written with `W/`.
    pub weak: bool,
    /// Without quotes.
    pub value: String,
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

/// The names of the four headers: of ETags first, then of times.
type Names = [HeaderName; 4];

const OF_READ: Names = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];
const OF_SOURCE: Names = [
    HeaderName::from_static("x-amz-copy-source-if-match"),
    HeaderName::from_static("x-amz-copy-source-if-none-match"),
    HeaderName::from_static("x-amz-copy-source-if-modified-since"),
    HeaderName::from_static("x-amz-copy-source-if-unmodified-since"),
];

/// Seconds since the Unix epoch of a header's time.
#[must_use]
pub fn seconds(time: Timestamp) -> i64 {
    time::OffsetDateTime::from(time).unix_timestamp()
}

/// Seconds since the Unix epoch of a date in a condition: an HTTP date in any of its three forms, or
/// RFC 3339, which S3 takes as well; `None` for other text.
#[must_use]
pub fn http_seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let Ok(time) = httpdate::parse_http_date(text) else {
        let time = Timestamp::parse(TimestampFormat::DateTime, text).ok()?;
        return Some(seconds(time));
    };
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

impl ReadConditions {
    /// The conditions of a GET or HEAD. A time that is no HTTP date says nothing, and neither does
    /// an If-Modified-Since after `now_ms`, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn of_read(headers: &HeaderMap, now_ms: u64) -> Self {
        Self::of(headers, &OF_READ, now_ms)
    }

    /// The conditions on the source of a copy, `x-amz-copy-source-if-...`, read alike.
    #[must_use]
    pub fn of_source(headers: &HeaderMap, now_ms: u64) -> Self {
        Self::of(headers, &OF_SOURCE, now_ms)
    }

    fn of(headers: &HeaderMap, names: &Names, now_ms: u64) -> Self {
        let [if_match, if_none_match, modified, unmodified] = names;
        let time = |name| http_seconds(headers.get(name)?.to_str().ok()?);
        let now_s = whole_seconds(now_ms);
        Self {
            if_match: ETags::read(headers, if_match),
            if_none_match: ETags::read(headers, if_none_match),
            if_modified_since_s: time(modified).filter(|since| *since <= now_s),
            if_unmodified_since_s: time(unmodified),
        }
    }

    /// Evaluates the conditions in the order of RFC 9110, section 13.2.2: an ETag condition takes
    /// the place of the time condition of its kind. Times compare in whole seconds, which is all
    /// that Last-Modified shows.
    #[must_use]
    pub fn evaluate(&self, etag: &str, last_modified_ms: u64) -> Verdict {
        let modified_s = whole_seconds(last_modified_ms);
        match (&self.if_match, self.if_unmodified_since_s) {
            (Some(asked), _) if !asked.match_strongly(etag) => return Verdict::Failed("If-Match"),
            (None, Some(since)) if modified_s > since => {
                return Verdict::Failed("If-Unmodified-Since");
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since_s) {
            (Some(asked), _) if asked.match_weakly(etag) => Verdict::NotModified,
            (None, Some(since)) if modified_s <= since => Verdict::NotModified,
            _ => Verdict::Proceed,
        }
    }
}

impl ETags {
    /// Reads all headers of this name as one list; `None` without any, and for empty ones.
    fn read(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut all = Vec::new();
        for value in headers.get_all(name) {
            let text = String::from_utf8_lossy(value.as_bytes());
            if text.trim() == "*" {
                return Some(Self::Any);
            }
            parse_list(&text, &mut all);
        }
        (!all.is_empty()).then_some(Self::These(all))
    }

    /// If-Match of an object that exists: weak ETags match nothing.
    fn match_strongly(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(asked) => asked.iter().any(|own| !own.weak && own.value == etag),
        }
    }

    /// If-None-Match of an object that exists.
    fn match_weakly(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(asked) => asked.iter().any(|own| own.value == etag),
        }
    }
}

/// Reads ETags with commas between. S3 also takes them without quotes.
fn parse_list(text: &str, all: &mut Vec<AskedETag>) {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return;
        }
        let strong = rest.strip_prefix("W/");
        let weak = strong.is_some();
        let tag = strong.unwrap_or(rest);
        let quoted = tag.strip_prefix('"').and_then(|open| open.split_once('"'));
        let (value, after) = quoted.unwrap_or_else(|| tag.split_once(',').unwrap_or((tag, "")));
        all.push(AskedETag {
            weak,
            value: value.trim().to_owned(),
        });
        rest = after;
    }
}

fn whole_seconds(ms: u64) -> i64 {
    i64::try_from(ms / 1000).unwrap_or(i64::MAX)
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

/// Reads If-Match and If-None-Match of a PUT, a Complete, a copy or a DELETE as they were sent. S3 takes one ETag,
/// with or without quotes; `If-Match: *` asks for any object.
///
/// # Errors
/// [`UnsupportedCondition`]: 501, as AWS answers.
pub fn of_write(headers: &HeaderMap) -> Result<WriteCondition, UnsupportedCondition> {
    let if_match = ETags::read(headers, &header::IF_MATCH);
    let if_none_match = ETags::read(headers, &header::IF_NONE_MATCH);
    match (if_match, if_none_match) {
        (None, None) => Ok(WriteCondition::None),
        (None, Some(ETags::Any)) => Ok(WriteCondition::IfNoneMatch),
        (None, Some(ETags::These(_))) => {
            unsupported("If-None-Match", "a write takes no other value than *")
        }
        (Some(ETags::Any), None) => Ok(WriteCondition::IfMatch(ANY.to_owned())),
        (Some(ETags::These(asked)), None) => match asked.as_slice() {
            [one] if !one.weak => if_match_one(&one.value),
            _ => unsupported("If-Match", "a write takes one strong ETag"),
        },
        (Some(_), Some(_)) => unsupported("If-Match", "not together with If-None-Match"),
    }
}

/// Stands for any ETag, in a header without quotes and in [`WriteCondition::IfMatch`].
const ANY: &str = "*";

/// If-Match of one ETag, which must not be taken for [`ANY`].
fn if_match_one(etag: &str) -> Result<WriteCondition, UnsupportedCondition> {
    if etag == ANY {
        return unsupported("If-Match", "* has no quotes");
    }
    Ok(WriteCondition::IfMatch(etag.to_owned()))
}

fn unsupported<T>(header: &'static str, reason: &'static str) -> Result<T, UnsupportedCondition> {
    Err(UnsupportedCondition { header, reason })
}

/// Whether a `Range` applies, as `If-Range` says (RFC 9110, section 13.1.5): without the header it
/// does; with an ETag when it is this one, weak ones never are; with a date when it is exactly the
/// object's.
#[must_use]
pub fn range_applies(headers: &HeaderMap, etag: &str, last_modified_ms: u64) -> bool {
    let Some(value) = headers.get(header::IF_RANGE) else {
        return true;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    let value = value.trim();
    let quoted = value
        .strip_prefix('"')
        .and_then(|own| own.strip_suffix('"'));
    quoted.unwrap_or(value) == etag || http_seconds(value) == Some(whole_seconds(last_modified_ms))
}

#[cfg(test)]
mod tests;
