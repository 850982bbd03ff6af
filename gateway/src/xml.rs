//! XML answers that s3s would not write as S3 does: lists whose entries stand in one order, and keys with
//! characters that XML 1.0 cannot hold.
//!
//! An operation writes such an answer here, and gives s3s an empty one; the front puts the first in the
//! place of the second.

use crate::admission::AnswerLease;
use crate::error::ApiError;
use bytes::Bytes;
use s3s::S3Response;
use s3s::xml::{SerResult, Serialize, SerializeContent, Serializer};
use std::fmt::Write;
use time::OffsetDateTime;

/// The namespace of S3's answers.
pub(crate) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

/// The body that takes the place of the one that s3s has written.
#[derive(Debug, Clone)]
pub(crate) struct XmlBody(pub(crate) Bytes);

/// An answer of the type `T` whose body is `content`, in the memory of `lease`.
///
/// # Errors
/// 500 when it cannot be written, which no value of ours brings about.
pub(crate) fn answer<T: Default>(
    content: &impl Serialize,
    lease: AnswerLease,
) -> Result<S3Response<T>, ApiError> {
    let mut xml = DECLARATION.to_owned();
    append(&mut xml, |serializer| content.serialize(serializer))?;
    Ok(Document { xml }.answer(lease))
}

/// What s3s writes of `content` inside an element.
///
/// # Errors
/// As [`answer`].
pub(crate) fn elements(content: &impl SerializeContent) -> Result<String, ApiError> {
    let mut xml = String::new();
    append(&mut xml, |serializer| content.serialize_content(serializer))?;
    Ok(xml)
}

fn append(
    out: &mut String,
    write: impl FnOnce(&mut Serializer<&mut Vec<u8>>) -> SerResult,
) -> Result<(), ApiError> {
    let mut xml = Vec::new();
    write(&mut Serializer::new(&mut xml)).map_err(ApiError::internal)?;
    let xml = String::from_utf8(xml).map_err(ApiError::internal)?;
    escape(out, &xml, |byte| byte.is_ascii_control());
    Ok(())
}

/// An XML document in the making. Long lists are written straight into it: a value of s3s for each entry
/// and an event for each of its tags would cost more than reading the list does.
#[derive(Debug)]
pub(crate) struct Document {
    xml: String,
}

impl Document {
    /// Begins an answer whose outermost element is `root`, and which will have about `bytes`.
    pub(crate) fn begin(root: &str, bytes: usize) -> Self {
        let mut xml = String::with_capacity(bytes);
        xml.push_str(DECLARATION);
        write!(xml, r#"<{root} xmlns="{NAMESPACE}">"#).expect(TAKES_ALL);
        Self { xml }
    }

    /// Ends the element `root`, and the document with it: an answer of the type `T`, in the memory of `lease`.
    pub(crate) fn end<T: Default>(mut self, root: &str, lease: AnswerLease) -> S3Response<T> {
        write!(self.xml, "</{root}>").expect(TAKES_ALL);
        self.answer(lease)
    }

    fn answer<T: Default>(self, lease: AnswerLease) -> S3Response<T> {
        let mut response = S3Response::new(T::default());
        let body = XmlBody(lease.keep(self.xml));
        response.extensions.insert(body);
        response
    }

    /// Appends `tags` as they are.
    pub(crate) fn tags(&mut self, tags: &str) {
        self.xml.push_str(tags);
    }

    /// Appends `text` with references for what would be markup, and for control characters.
    pub(crate) fn text(&mut self, text: &str) {
        escape(&mut self.xml, text, |byte| {
            byte.is_ascii_control() || matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\'')
        });
    }

    /// Appends a number.
    pub(crate) fn number(&mut self, number: u64) {
        write!(self.xml, "{number}").expect(TAKES_ALL);
    }

    /// Appends a time, in milliseconds since the Unix epoch, as s3s writes it.
    pub(crate) fn time(&mut self, ms: u64) {
        let seconds = i64::try_from(ms / 1000).ok();
        let time = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        let (time, ms) = time.map_or((OffsetDateTime::UNIX_EPOCH, 0), |time| (time, ms % 1000));
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second) = time.to_hms();
        let mut digits = |number: u64, count: u32, after: char| {
            for place in (0..count).rev() {
                let digit = number / 10_u64.pow(place) % 10;
                self.xml.push(char::from(b'0' + digit as u8));
            }
            self.xml.push(after);
        };
        digits(year.unsigned_abs().into(), 4, '-');
        digits(u8::from(month).into(), 2, '-');
        digits(day.into(), 2, 'T');
        digits(hour.into(), 2, ':');
        digits(minute.into(), 2, ':');
        digits(second.into(), 2, '.');
        digits(ms, 3, 'Z');
    }
}

const TAKES_ALL: &str = "a String takes all that is written";

/// Writes control characters as references, as S3 does. A reader of XML takes a raw carriage return for a
/// line feed; most of the others are in no XML 1.0 at all, so no reader need take them: that is why
/// clients ask for encoding-type=url.
pub(crate) fn escape_controls(xml: &str) -> String {
    let mut escaped = String::with_capacity(xml.len());
    escape(&mut escaped, xml, |byte| byte.is_ascii_control());
    escaped
}

/// Appends `text` with references for the ASCII characters that `must_escape` names.
fn escape(out: &mut String, text: &str, must_escape: impl Fn(u8) -> bool) {
    let mut rest = text;
    while let Some(at) = position(rest.as_bytes(), &must_escape) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'<' => out.push_str("&lt;"),
            b'>' => out.push_str("&gt;"),
            b'&' => out.push_str("&amp;"),
            b'"' => out.push_str("&quot;"),
            b'\'' => out.push_str("&apos;"),
            control => write!(out, "&#x{control:x};").expect(TAKES_ALL),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// The first byte that fits. Most texts have none, so they are looked through a block at a time, which compiles to
/// vector instructions: byte by byte it was a seventh of a list's time.
fn position(bytes: &[u8], fits: impl Fn(u8) -> bool) -> Option<usize> {
    const BLOCK: usize = 16;
    let has = |block: &[u8]| block.iter().fold(false, |found, byte| found | fits(*byte));
    let clean = BLOCK * bytes.chunks(BLOCK).position(has)?;
    let at = bytes[clean..].iter().position(|byte| fits(*byte))?;
    Some(clean + at)
}

#[cfg(test)]
mod tests;
