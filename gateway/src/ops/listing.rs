//! What the lists of S3 share: limits, tokens, encoding.

use crate::admission::AnswerLease;
use crate::context::Context;
use crate::digest;
use crate::error::ApiError;
use crate::headers::shown_class;
use crate::xml::{self, Document};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use index::key::object::ChecksumType as StoredType;
use index::{ListedObject, ObjectPage};
use s3s::S3Response;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumAlgorithmList, ChecksumType, CommonPrefix, EncodingType, Owner,
};
use s3s::xml::SerializeContent;
use std::borrow::Cow;
use types::limits::{LIST_KEYS_MAX, OBJECT_KEY_BYTES_MAX};

/// Tokens begin with this, so that their form can change.
const TOKEN_VERSION: u8 = 1;
/// The outermost element of both lists of objects.
const LIST: &str = "ListBucketResult";
/// About what an entry comes to.
const ENTRY_BYTES: usize = 384;

/// Entries of a page when the client asks for `asked`: at most what S3 returns.
pub(crate) fn page_limit(asked: Option<i32>, name: &str) -> Result<usize, ApiError> {
    let Some(asked) = asked else {
        return Ok(LIST_KEYS_MAX);
    };
    let limit = usize::try_from(asked).map_err(|_| {
        ApiError::bad(
            "InvalidArgument",
            format!("Argument {name} must be at least 0"),
        )
    })?;
    Ok(limit.min(LIST_KEYS_MAX))
}

/// What the entry of a list may take while it is made: a record with its metadata, and a key that is written in
/// references, twice.
const WORK_BYTES: u64 = 12 * 1024;

/// Memory for a list of up to `limit` entries.
///
/// # Errors
/// 503 when there is none.
pub(crate) async fn lease(context: &Context, limit: usize) -> Result<AnswerLease, ApiError> {
    let bytes = (limit as u64 + 1) * WORK_BYTES;
    Ok(context.budget.answer(bytes).await?)
}

/// An opaque continuation token for what comes after `last`.
pub(crate) fn encode_token(last: &str) -> String {
    let mut token = vec![TOKEN_VERSION];
    token.extend_from_slice(last.as_bytes());
    URL_SAFE_NO_PAD.encode(token)
}

/// What a continuation token says to go on after.
pub(crate) fn decode_token(token: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(token) = token else {
        return Ok(None);
    };
    let decoded = URL_SAFE_NO_PAD.decode(token).ok();
    let last = decoded
        .filter(|bytes| bytes.first() == Some(&TOKEN_VERSION))
        .and_then(|bytes| {
            let last = String::from_utf8(bytes[1..].to_vec()).ok()?;
            (last.len() <= OBJECT_KEY_BYTES_MAX).then_some(last)
        });
    let message = "The continuation token provided is incorrect";
    last.map(Some)
        .ok_or_else(|| ApiError::bad("InvalidArgument", message))
}

/// How keys stand in the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    url: bool,
}

impl Encoding {
    /// What encoding-type asks for.
    pub(crate) fn of(asked: Option<&EncodingType>) -> Result<Self, ApiError> {
        match asked.map(EncodingType::as_str) {
            None | Some("") => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(_) => {
                let message = "Invalid Encoding Method specified in Request";
                Err(ApiError::bad("InvalidArgument", message))
            }
        }
    }

    /// A key, prefix, delimiter or marker as it stands in the answer.
    pub(crate) fn text(self, text: &str) -> String {
        self.encoded(text).into_owned()
    }

    fn encoded(self, text: &str) -> Cow<'_, str> {
        if self.url {
            Cow::Owned(url_encode(text))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// The same for what may be absent.
    pub(crate) fn optional(self, text: Option<&str>) -> Option<String> {
        text.map(|text| self.text(text))
    }

    /// The element that tells the client.
    pub(crate) fn shown(self) -> Option<EncodingType> {
        self.url
            .then(|| EncodingType::from_static(EncodingType::URL))
    }

    /// The answer of the type `T` that begins with `head` and goes on with the Contents and CommonPrefixes of
    /// `page`, in the memory of `lease`; `owner` is who owns the objects, where that is shown.
    ///
    /// # Errors
    /// 500 when it cannot be written, which no value of ours brings about.
    pub(crate) fn answer<T: Default + SerializeContent>(
        self,
        head: &T,
        page: &ObjectPage,
        owner: Option<&Owner>,
        lease: AnswerLease,
    ) -> Result<S3Response<T>, ApiError> {
        let owner = owner.map(xml::elements).transpose()?;
        let mut xml = Document::begin(LIST, page.objects.len() * ENTRY_BYTES);
        xml.tags(&xml::elements(head)?);
        for listed in &page.objects {
            self.write(&mut xml, listed, owner.as_deref());
        }
        for prefix in &page.common_prefixes {
            xml.tags("<CommonPrefixes><Prefix>");
            xml.text(&self.encoded(prefix));
            xml.tags("</Prefix></CommonPrefixes>");
        }
        Ok(xml.end(LIST, lease))
    }

    /// An entry of Contents.
    fn write(self, xml: &mut Document, listed: &ListedObject, owner: Option<&str>) {
        xml.tags("<Contents>");
        if let Some((algorithm, kind)) = &listed.checksum {
            xml.tags("<ChecksumAlgorithm>");
            xml.text(algorithm);
            xml.tags("</ChecksumAlgorithm><ChecksumType>");
            xml.text(digest::type_name(*kind));
            xml.tags("</ChecksumType>");
        }
        xml.tags("<ETag>\"");
        xml.text(&listed.etag);
        xml.tags("\"</ETag><Key>");
        xml.text(&self.encoded(&listed.key));
        xml.tags("</Key><LastModified>");
        xml.time(listed.last_modified_ms);
        xml.tags("</LastModified>");
        if let Some(owner) = owner {
            xml.tags("<Owner>");
            xml.tags(owner);
            xml.tags("</Owner>");
        }
        xml.tags("<Size>");
        xml.number(listed.size);
        xml.tags("</Size><StorageClass>");
        xml.text(shown_class(&listed.storage_class));
        xml.tags("</StorageClass></Contents>");
    }

    /// The CommonPrefixes.
    pub(crate) fn prefixes(self, prefixes: &[String]) -> Vec<CommonPrefix> {
        let shown = |prefix: &String| CommonPrefix {
            prefix: Some(self.text(prefix)),
        };
        prefixes.iter().map(shown).collect()
    }
}

/// What an entry says of its object's checksum.
pub(crate) fn shown_checksum(
    checksum: Option<(&str, StoredType)>,
) -> (Option<ChecksumAlgorithmList>, Option<ChecksumType>) {
    let Some((algorithm, kind)) = checksum else {
        return (None, None);
    };
    (
        Some(vec![ChecksumAlgorithm::from(algorithm.to_owned())]),
        Some(ChecksumType::from_static(digest::type_name(kind))),
    )
}

/// Percent-encodes all but unreserved characters and the slash. A space becomes `%20`, which every
/// client decodes, whether it takes `+` for a space or not.
pub(crate) fn url_encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/' | b'*') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
