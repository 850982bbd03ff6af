//! The list of parts in a completion, and what else it says of the object. Pure.

use crate::digest::{self, ChecksumAlgorithm};
use crate::error::ApiError;
use crate::ops::checksum;
use index::error::CompleteUploadError;
use index::key::object::{ChecksumType as Kind, ObjectChecksum};
use index::key::upload::{PartRecord, UploadRecord};
use s3s::dto::{CompleteMultipartUploadInput, CompletedMultipartUpload, CompletedPart};
use types::limits::PART_NUMBER_MAX;

/// A part as the request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) number: u16,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) checksum: Option<(ChecksumAlgorithm, Vec<u8>)>,
}

/// Reads the list of parts: at least one, with rising numbers.
pub(super) fn read(list: Option<&CompletedMultipartUpload>) -> Result<Vec<Part>, ApiError> {
    let list = list
        .and_then(|list| list.parts.as_deref())
        .unwrap_or_default();
    if list.is_empty() || list.len() > usize::from(PART_NUMBER_MAX) {
        return Err(malformed());
    }
    let parts: Vec<Part> = list.iter().map(part).collect::<Result<_, _>>()?;
    if parts.is_sorted_by(|a, b| a.number < b.number) {
        Ok(parts)
    } else {
        Err(CompleteUploadError::InvalidPartOrder.into())
    }
}

fn malformed() -> ApiError {
    ApiError::bad(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

fn part(asked: &CompletedPart) -> Result<Part, ApiError> {
    let number = asked.part_number.ok_or_else(malformed)?;
    let number = u16::try_from(number)
        .ok()
        .filter(|n| (1..=PART_NUMBER_MAX).contains(n));
    let number = number.ok_or_else(|| {
        let message = "PartNumber must be an integer between 1 and 10000, inclusive";
        ApiError::bad("InvalidArgument", message)
    })?;
    let etag = asked
        .e_tag
        .as_ref()
        .ok_or_else(malformed)?
        .value()
        .to_owned();
    let values = [
        (ChecksumAlgorithm::Crc32, &asked.checksum_crc32),
        (ChecksumAlgorithm::Crc32c, &asked.checksum_crc32c),
        (ChecksumAlgorithm::Crc64Nvme, &asked.checksum_crc64nvme),
        (ChecksumAlgorithm::Sha1, &asked.checksum_sha1),
        (ChecksumAlgorithm::Sha256, &asked.checksum_sha256),
    ];
    let named = values
        .into_iter()
        .find_map(|(algorithm, value)| Some((algorithm, value.as_ref()?)));
    let checksum = match named {
        None => None,
        Some((algorithm, text)) => {
            let raw = algorithm.decode(text).ok_or_else(|| invalid_part(number))?;
            Some((algorithm, raw))
        }
    };
    Ok(Part {
        number,
        etag,
        checksum,
    })
}

fn invalid_part(number: u16) -> ApiError {
    CompleteUploadError::InvalidPart { number }.into()
}

/// The ETag of the object.
pub(super) fn etag(parts: &[Part]) -> Result<String, ApiError> {
    let md5 = |part: &Part| digest::etag_md5(&part.etag).ok_or_else(|| invalid_part(part.number));
    let md5s: Vec<[u8; 16]> = parts.iter().map(md5).collect::<Result<_, _>>()?;
    Ok(digest::multipart_etag(&md5s)?)
}

/// What a completion says of the object beside its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    size: Option<i64>,
    kind: Option<Kind>,
    /// Algorithm and text of the checksum of the whole object.
    checksum: Option<(ChecksumAlgorithm, String)>,
}

impl Asked {
    pub(super) fn read(input: &CompleteMultipartUploadInput) -> Result<Self, ApiError> {
        let kind = input.checksum_type.as_ref().map(|kind| {
            let message = "Value for x-amz-checksum-type header is invalid.";
            digest::parse_type(kind.as_str())
                .ok_or_else(|| ApiError::bad("InvalidRequest", message))
        });
        let values = [
            (ChecksumAlgorithm::Crc32, &input.checksum_crc32),
            (ChecksumAlgorithm::Crc32c, &input.checksum_crc32c),
            (ChecksumAlgorithm::Crc64Nvme, &input.checksum_crc64nvme),
            (ChecksumAlgorithm::Sha1, &input.checksum_sha1),
            (ChecksumAlgorithm::Sha256, &input.checksum_sha256),
        ];
        let mut named = values
            .into_iter()
            .filter_map(|(algorithm, text)| Some((algorithm, text.clone()?)));
        let checksum = named.next();
        if named.next().is_some() {
            return Err(digest::DigestError::Several.into());
        }
        Ok(Self {
            size: input.mpu_object_size,
            kind: kind.transpose()?,
            checksum,
        })
    }

    /// Whether the stored parts must be read to judge or to make the checksum.
    pub(super) fn needs_parts(&self, upload: &UploadRecord, parts: &[Part]) -> bool {
        !upload.checksum_algorithm.is_empty()
            || *self != Self::default()
            || parts.iter().any(|part| part.checksum.is_some())
    }

    /// Judges the request against what was uploaded; returns the checksum of the object.
    pub(super) fn judge(
        &self,
        upload: &UploadRecord,
        parts: &[Part],
        stored: &[PartRecord],
    ) -> Result<Option<ObjectChecksum>, ApiError> {
        check_parts(parts, stored)?;
        let total: u64 = stored.iter().map(|part| part.plain_length).sum();
        if self
            .size
            .is_some_and(|size| u64::try_from(size) != Ok(total))
        {
            let message = "The provided 'x-amz-mp-object-size' header does not match what was \
                           computed.";
            return Err(ApiError::bad("InvalidRequest", message));
        }
        let Some(algorithm) = ChecksumAlgorithm::parse(&upload.checksum_algorithm) else {
            return match &self.checksum {
                None => Ok(None),
                Some(_) => Err(other_algorithm()),
            };
        };
        if self.kind.is_some_and(|kind| kind != upload.checksum_type) {
            let message = "The upload was created using another checksum type than the complete \
                           request names.";
            return Err(ApiError::bad("InvalidRequest", message));
        }
        let value = value(algorithm, upload.checksum_type, stored)?;
        let checksum = checksum::of(algorithm, upload.checksum_type, value);
        if let Some((named, text)) = &self.checksum {
            if *named != algorithm {
                return Err(other_algorithm());
            }
            let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
            if *text != checksum::shown(&checksum, count)
                && *text != digest::encode(&checksum.value)
            {
                let algorithm = algorithm.name();
                return Err(digest::DigestError::Mismatch { algorithm }.into());
            }
        }
        Ok(Some(checksum))
    }
}

fn other_algorithm() -> ApiError {
    let message = "The checksum of the complete request is not of the algorithm that the upload \
                   was created with.";
    ApiError::bad("InvalidRequest", message)
}

/// Each named part was uploaded, with the ETag and the checksum that the request says.
fn check_parts(parts: &[Part], stored: &[PartRecord]) -> Result<(), ApiError> {
    for (at, part) in parts.iter().enumerate() {
        let found = stored.get(at).filter(|found| {
            let checksum = part.checksum.as_ref().is_none_or(|(algorithm, raw)| {
                found.checksum.as_ref().is_some_and(|own| {
                    own.algorithm == algorithm.name() && own.value == raw.as_slice()
                })
            });
            found.number == part.number && found.etag == part.etag && checksum
        });
        found.ok_or_else(|| invalid_part(part.number))?;
    }
    Ok(())
}

fn value(
    algorithm: ChecksumAlgorithm,
    kind: Kind,
    stored: &[PartRecord],
) -> Result<Vec<u8>, ApiError> {
    let mut values = Vec::with_capacity(stored.len());
    for part in stored {
        let own = part
            .checksum
            .as_ref()
            .filter(|own| own.algorithm == algorithm.name());
        let own = own.ok_or_else(|| invalid_part(part.number))?;
        values.push((own.value.as_ref(), part.plain_length));
    }
    match kind {
        Kind::Composite => Ok(digest::composite(
            algorithm,
            values.into_iter().map(|(raw, _)| raw),
        )?),
        Kind::FullObject => digest::full_object(algorithm, values)
            .ok_or_else(|| ApiError::internal("the parts' checksums cannot be combined")),
    }
}

#[cfg(test)]
mod tests;
