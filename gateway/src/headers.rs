//! Object headers to stored metadata and back.

use crate::body::stored_content_encoding;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use s3s::dto::{Metadata, StorageClass, Timestamp, TimestampFormat};
use std::collections::BTreeMap;
use types::limits::USER_METADATA_BYTES_MAX;

const STORAGE_CLASS: &str = "x-amz-storage-class";
const REDIRECT_LOCATION: &str = "x-amz-website-redirect-location";
/// Content-Type of an object that was put without one.
pub const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// Headers of an upload that a GET gives back.
pub(crate) const KEPT: [HeaderName; 7] = [
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::EXPIRES,
    HeaderName::from_static(REDIRECT_LOCATION),
];

/// Storage classes that can be asked for: those whose objects can be read at once. The name is
/// kept and shown.
const CLASSES: [&str; 6] = [
    StorageClass::STANDARD,
    StorageClass::REDUCED_REDUNDANCY,
    StorageClass::STANDARD_IA,
    StorageClass::ONEZONE_IA,
    StorageClass::INTELLIGENT_TIERING,
    StorageClass::GLACIER_IR,
];
/// Storage classes of S3 that are not offered: their objects must be restored before they can be read.
/// (Those of other kinds of bucket, such as `EXPRESS_ONEZONE`, are not valid here, as in S3.)
const ARCHIVES: [&str; 2] = [StorageClass::GLACIER, StorageClass::DEEP_ARCHIVE];

/// Metadata that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A header is not text.
    #[error("The header {name} is not valid UTF-8.")]
    NotText {
        /// The header.
        name: String,
    },
    /// More user metadata than S3 allows.
    #[error("Your metadata headers exceed the maximum allowed metadata size.")]
    MetadataTooLarge {
        /// Bytes of names and values.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// There is no such storage class.
    #[error("The storage class you specified is not valid")]
    InvalidStorageClass,
    /// A storage class of S3 that is not offered.
    #[error("the storage class {class}")]
    UnsupportedStorageClass {
        /// Its name.
        class: String,
    },
}

/// What an upload says of its object, as the index keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredHeaders {
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    /// By lower-case name, without `x-amz-meta-`.
    pub user_metadata: BTreeMap<String, String>,
}

impl StoredHeaders {
    /// Reads the headers of an upload; `metadata` is what s3s made of x-amz-meta-*.
    ///
    /// # Errors
    /// [`HeaderError`] for what cannot be kept.
    pub fn read(headers: &HeaderMap, metadata: Option<&Metadata>) -> Result<Self, HeaderError> {
        let mut kept = BTreeMap::new();
        for name in KEPT {
            // Lines of one name are one list. The SDK for Java sends aws-chunked in a line of its own.
            let lines = headers.get_all(&name).iter().map(HeaderValue::as_bytes);
            let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
            if lines.is_empty() {
                continue;
            }
            let text = String::from_utf8(lines.join(&b","[..]));
            let text = text.map_err(|_| HeaderError::NotText {
                name: name.to_string(),
            })?;
            let text = if name == header::CONTENT_ENCODING {
                stored_content_encoding(&text)
            } else {
                Some(text)
            };
            kept.extend(text.map(|text| (name.to_string(), text)));
        }
        Ok(Self {
            headers: kept,
            user_metadata: user_metadata(metadata)?,
        })
    }

    /// Whether the headers of a copy ask for anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.user_metadata.is_empty()
    }
}

fn user_metadata(metadata: Option<&Metadata>) -> Result<BTreeMap<String, String>, HeaderError> {
    let own: BTreeMap<String, String> = metadata
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    let bytes = own
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let max = USER_METADATA_BYTES_MAX;
    if bytes > max {
        Err(HeaderError::MetadataTooLarge { bytes, max })
    } else {
        Ok(own)
    }
}

/// The storage class of an upload, as the index keeps it: empty for `STANDARD`.
///
/// # Errors
/// [`HeaderError`] for one that does not exist or is not offered.
pub fn storage_class(headers: &HeaderMap) -> Result<String, HeaderError> {
    let value = headers
        .get(STORAGE_CLASS)
        .map_or(&b""[..], |value| value.as_bytes());
    let named = |class: &&str| class.as_bytes() == value;
    match CLASSES.into_iter().find(named) {
        _ if value.is_empty() => Ok(String::new()),
        Some(StorageClass::STANDARD) => Ok(String::new()),
        Some(class) => Ok(class.to_owned()),
        None => Err(match ARCHIVES.into_iter().find(named) {
            Some(class) => HeaderError::UnsupportedStorageClass {
                class: class.to_owned(),
            },
            None => HeaderError::InvalidStorageClass,
        }),
    }
}

/// The storage class of a stored object as it is listed.
#[must_use]
pub fn shown_class(stored: &str) -> &str {
    if stored.is_empty() {
        StorageClass::STANDARD
    } else {
        stored
    }
}

/// The storage class of a stored object as a header, where S3 sends none for `STANDARD`.
#[must_use]
pub fn class_header(stored: &str) -> Option<StorageClass> {
    (!stored.is_empty()).then(|| StorageClass::from(stored.to_owned()))
}

/// Milliseconds since the Unix epoch as s3s writes times.
#[must_use]
pub fn timestamp(ms: u64) -> Timestamp {
    let nanos = i128::from(ms) * 1_000_000;
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(nanos);
    time.unwrap_or(time::OffsetDateTime::UNIX_EPOCH).into()
}

/// Milliseconds since the Unix epoch as a Last-Modified header.
#[must_use]
pub fn http_date(ms: u64) -> String {
    let mut text = Vec::new();
    let formatted = timestamp(ms).format(TimestampFormat::HttpDate, &mut text);
    formatted.expect("a date formats into memory");
    String::from_utf8(text).expect("a date is ASCII")
}

#[cfg(test)]
mod tests;
