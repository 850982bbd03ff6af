//! What a client declares of its body in headers, and whether the body has it.

use super::{BodyDigests, ChecksumAlgorithm};
use crate::body::Trailers;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};

const CONTENT_MD5: &str = "content-md5";
const CHECKSUM_PREFIX: &str = "x-amz-checksum-";
const SDK_ALGORITHM: &str = "x-amz-sdk-checksum-algorithm";
const TRAILER: &str = "x-amz-trailer";
/// Headers that begin like a checksum and are none.
const NO_VALUES: [&str; 3] = [
    "x-amz-checksum-algorithm",
    "x-amz-checksum-type",
    "x-amz-checksum-mode",
];

/// A declaration that cannot be kept, or was not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Content-MD5 is not the base64 of 16 bytes.
    #[error("The Content-MD5 you specified is not valid.")]
    InvalidMd5,
    /// The body has another MD5.
    #[error("The Content-MD5 you specified did not match what we received.")]
    Md5Mismatch,
    /// More than one checksum.
    #[error("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")]
    Several,
    /// A checksum header has a value that it cannot have.
    #[error("Value for {header} header is invalid.")]
    InvalidValue {
        /// The header or trailer.
        header: String,
    },
    /// x-amz-sdk-checksum-algorithm names another algorithm than the value sent.
    #[error("Value for x-amz-sdk-checksum-algorithm header is invalid.")]
    OtherAlgorithm,
    /// An algorithm is named, and no value sent.
    #[error(
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or \
         x-amz-trailer headers were found."
    )]
    MissingValue,
    /// The body has another checksum.
    #[error("The {algorithm} you specified did not match the calculated checksum.")]
    Mismatch {
        /// Name of the algorithm.
        algorithm: &'static str,
    },
    /// A checksum algorithm that is not offered.
    #[error("The checksum header {header} is not supported.")]
    Unsupported {
        /// The header.
        header: String,
    },
}

/// Where the value of a checksum stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Header(Vec<u8>),
    Trailer,
}

/// What headers declare of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    md5: Option<[u8; 16]>,
    checksum: Option<(ChecksumAlgorithm, Value)>,
}

impl Declared {
    /// Reads the headers of a request.
    ///
    /// # Errors
    /// [`DigestError`] for a declaration that no body could keep.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, DigestError> {
        let md5 = headers
            .get(CONTENT_MD5)
            .map(|value| parse_md5(value.as_bytes()))
            .transpose()?;
        let mut found = in_headers(headers)?;
        found.extend(in_trailers(headers)?);
        if found.len() > 1 {
            return Err(DigestError::Several);
        }
        let checksum = found.pop();
        if let Some(named) = headers.get(SDK_ALGORITHM).filter(|named| !named.is_empty()) {
            let named = named.to_str().ok().and_then(ChecksumAlgorithm::parse);
            match (&checksum, named) {
                (_, None) => return Err(DigestError::OtherAlgorithm),
                (None, Some(_)) => return Err(DigestError::MissingValue),
                (Some((own, _)), Some(named)) if *own != named => {
                    return Err(DigestError::OtherAlgorithm);
                }
                (Some(_), Some(_)) => {}
            }
        }
        Ok(Self { md5, checksum })
    }

    /// Reads only Content-MD5: for a request whose checksum headers speak of something else than
    /// its body, as those of CompleteMultipartUpload do.
    ///
    /// # Errors
    /// [`DigestError::InvalidMd5`], and [`DigestError::Unsupported`] for a checksum that nobody would read.
    pub fn md5_of_headers(headers: &HeaderMap) -> Result<Self, DigestError> {
        for (name, _) in checksums(headers) {
            by_header(name)?;
        }
        let md5 = headers
            .get(CONTENT_MD5)
            .map(|value| parse_md5(value.as_bytes()))
            .transpose()?;
        Ok(Self {
            md5,
            checksum: None,
        })
    }

    /// Whether anything is declared that the body can be checked against.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.md5.is_none() && self.checksum.is_none()
    }

    /// The checksum that must be computed.
    #[must_use]
    pub fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        self.checksum.as_ref().map(|(algorithm, _)| *algorithm)
    }

    /// Compares the digests of the whole body with what was declared.
    ///
    /// # Errors
    /// [`DigestError`]: the body must not become visible.
    pub fn verify(&self, body: &BodyDigests, trailers: &Trailers) -> Result<(), DigestError> {
        if self.md5.is_some_and(|declared| declared != body.md5) {
            return Err(DigestError::Md5Mismatch);
        }
        let Some((algorithm, value)) = &self.checksum else {
            return Ok(());
        };
        let declared = match value {
            Value::Header(raw) => raw.clone(),
            Value::Trailer => trailers
                .get(algorithm.header())
                .and_then(|text| algorithm.decode(text))
                .ok_or_else(|| DigestError::InvalidValue {
                    header: format!("{} trailing", algorithm.header()),
                })?,
        };
        let (computed, raw) = body
            .checksum
            .as_ref()
            .expect("the declared checksum is computed");
        assert_eq!(computed, algorithm, "the declared checksum is computed");
        if *raw != declared {
            let algorithm = algorithm.name();
            return Err(DigestError::Mismatch { algorithm });
        }
        Ok(())
    }
}

fn parse_md5(text: &[u8]) -> Result<[u8; 16], DigestError> {
    let raw = STANDARD.decode(text).map_err(|_| DigestError::InvalidMd5)?;
    raw.try_into().map_err(|_| DigestError::InvalidMd5)
}

/// The headers that hold the value of a checksum.
fn checksums(headers: &HeaderMap) -> impl Iterator<Item = (&str, &HeaderValue)> {
    let named = headers.iter().map(|(name, value)| (name.as_str(), value));
    named.filter(|(name, value)| {
        name.starts_with(CHECKSUM_PREFIX) && !NO_VALUES.contains(name) && !value.is_empty()
    })
}

fn in_headers(headers: &HeaderMap) -> Result<Vec<(ChecksumAlgorithm, Value)>, DigestError> {
    let mut found = Vec::new();
    for (name, value) in checksums(headers) {
        let algorithm = by_header(name)?;
        let raw = value
            .to_str()
            .ok()
            .and_then(|text| algorithm.decode(text))
            .ok_or_else(|| DigestError::InvalidValue {
                header: name.to_owned(),
            })?;
        found.push((algorithm, Value::Header(raw)));
    }
    Ok(found)
}

fn in_trailers(headers: &HeaderMap) -> Result<Vec<(ChecksumAlgorithm, Value)>, DigestError> {
    let names = headers
        .get(TRAILER)
        .and_then(|names| names.to_str().ok())
        .unwrap_or_default();
    let mut found = Vec::new();
    for name in names
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
    {
        if name.starts_with(CHECKSUM_PREFIX) {
            found.push((by_header(&name)?, Value::Trailer));
        }
    }
    Ok(found)
}

fn by_header(name: &str) -> Result<ChecksumAlgorithm, DigestError> {
    ChecksumAlgorithm::ALL
        .into_iter()
        .find(|own| own.header() == name)
        .ok_or_else(|| DigestError::Unsupported {
            header: name.to_owned(),
        })
}
