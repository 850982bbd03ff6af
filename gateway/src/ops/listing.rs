//! What the lists of S3 share: limits, tokens, encoding.

use crate::digest;
use crate::error::ApiError;
use crate::headers::{shown_class, timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use index::ListedObject;
use index::key::object::ChecksumType as StoredType;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumAlgorithmList, ChecksumType, CommonPrefix, ETag, EncodingType,
    Object, ObjectStorageClass, Owner,
};
use types::limits::{LIST_KEYS_MAX, OBJECT_KEY_BYTES_MAX};

/// Tokens begin with this, so that their form can change.
const TOKEN_VERSION: u8 = 1;

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
        if self.url {
            url_encode(text)
        } else {
            text.to_owned()
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

    /// An entry of Contents.
    pub(crate) fn object(self, listed: ListedObject, owner: Option<Owner>) -> Object {
        let class = shown_class(&listed.storage_class).to_owned();
        let checksum = listed.checksum.as_ref();
        let (checksum_algorithm, checksum_type) =
            shown_checksum(checksum.map(|(name, kind)| (name.as_str(), *kind)));
        Object {
            checksum_algorithm,
            checksum_type,
            e_tag: Some(ETag::Strong(listed.etag)),
            key: Some(self.text(&listed.key)),
            last_modified: Some(timestamp(listed.last_modified_ms)),
            owner,
            size: i64::try_from(listed.size).ok(),
            storage_class: Some(ObjectStorageClass::from(class)),
            ..Object::default()
        }
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
        if byte.is_ascii_alphanumeric() || b"-_.~/*".contains(&byte) {
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
