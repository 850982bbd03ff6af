//! XML answers that s3s would not write as S3 does: lists whose entries stand in one order, and keys with
//! characters that XML 1.0 cannot hold.
//!
//! An operation writes such an answer here, and gives s3s an empty one; the front puts the first in the
//! place of the second.

use crate::error::ApiError;
use bytes::Bytes;
use s3s::S3Response;
use s3s::xml::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt::Write;

/// The namespace of S3's answers.
pub(crate) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The body that takes the place of the one that s3s has written.
#[derive(Debug, Clone)]
pub(crate) struct XmlBody(pub(crate) Bytes);

/// An answer of the type `T` whose body is `content`.
///
/// # Errors
/// 500 when it cannot be written, which no value of ours brings about.
pub(crate) fn answer<T: Default>(content: &impl Serialize) -> Result<S3Response<T>, ApiError> {
    let mut xml = Vec::with_capacity(1024);
    let mut serializer = Serializer::new(&mut xml);
    serializer
        .decl()
        .and_then(|()| content.serialize(&mut serializer))
        .map_err(ApiError::internal)?;
    let mut response = S3Response::new(T::default());
    let body = match escape_controls(&String::from_utf8_lossy(&xml)) {
        Cow::Borrowed(_) => Bytes::from(xml),
        Cow::Owned(escaped) => escaped.into(),
    };
    let body = XmlBody(body);
    response.extensions.insert(body);
    Ok(response)
}

/// Writes control characters as references, as S3 does. A reader of XML takes a raw carriage return for a
/// line feed; most of the others are in no XML 1.0 at all, so no reader need take them: that is why
/// clients ask for encoding-type=url.
pub(crate) fn escape_controls(xml: &str) -> Cow<'_, str> {
    if !xml.bytes().any(|byte| byte.is_ascii_control()) {
        return Cow::Borrowed(xml);
    }
    let mut escaped = String::with_capacity(xml.len() + 64);
    for character in xml.chars() {
        if character.is_ascii_control() {
            write!(escaped, "&#x{:x};", u32::from(character))
                .expect("a String takes all that is written");
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_references() {
        let escaped = |text: &str| escape_controls(text).into_owned();
        assert_eq!(
            escaped("<Key>a\u{1}b\rc\nd</Key>"),
            "<Key>a&#x1;b&#xd;c&#xa;d</Key>"
        );
        assert_eq!(escaped("<Key>é \u{85} ü</Key>"), "<Key>é \u{85} ü</Key>");
    }
}
