//! The list of parts in a completion, and what else it says of the object. Pure.

use crate::digest::{self, ChecksumAlgorithm, DigestError};
use crate::error::ApiError;
use crate::ops::checksum;
use crate::ops::part::other_algorithm;
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
    if number < 1 {
        return Err(ApiError::bad("InvalidArgument", "PartNumber must be >= 1"));
    }
    let number = u16::try_from(number).ok().filter(|n| *n <= PART_NUMBER_MAX);
    let number = number.ok_or_else(|| {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
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
    let mut named = values
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value.as_deref()?)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(algorithm, value)| Some((algorithm, algorithm.decode(value)?)));
    let checksum = match (named.next(), named.next()) {
        (None, _) => None,
        (Some(Some(checksum)), None) => Some(checksum),
        _ => {
            let message = "Invalid Base64 or multiple checksums present in request";
            return Err(ApiError::bad("InvalidArgument", message));
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
    Ok(digest::multipart_etag(&md5s))
}

/// What a completion says of the object beside its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    size: Option<u64>,
    kind: Option<Kind>,
    /// Algorithm and raw value of the checksum of the whole object.
    checksum: Option<(ChecksumAlgorithm, Vec<u8>)>,
}

impl Asked {
    pub(super) fn read(input: &CompleteMultipartUploadInput) -> Result<Self, ApiError> {
        let kind = input.checksum_type.as_ref().map(|kind| {
            let message = "Value for x-amz-checksum-type header is invalid.";
            digest::parse_type(kind.as_str())
                .ok_or_else(|| ApiError::bad("InvalidRequest", message))
        });
        let size = input.mpu_object_size.map(|size| {
            u64::try_from(size).map_err(|_| {
                let message =
                    format!("Value for x-amz-mp-object-size header is less than zero: '{size}'");
                ApiError::bad("InvalidRequest", message)
            })
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
            .filter_map(|(algorithm, text)| Some((algorithm, text.as_deref()?)));
        let checksum = named
            .next()
            .map(|(algorithm, text)| object_checksum(algorithm, text, input));
        if named.next().is_some() {
            return Err(DigestError::Several.into());
        }
        Ok(Self {
            size: size.transpose()?,
            kind: kind.transpose()?,
            checksum: checksum.transpose()?,
        })
    }

    /// Judges the request against what was uploaded; returns the checksum of the object. An upload
    /// without an algorithm gets the one by which all its parts' checksums can be combined: S3's default,
    /// unless the client chose another.
    pub(super) fn judge(
        &self,
        upload: &UploadRecord,
        parts: &[Part],
        stored: &[PartRecord],
    ) -> Result<Option<ObjectChecksum>, ApiError> {
        let algorithm = ChecksumAlgorithm::parse(&upload.checksum_algorithm);
        check_parts((algorithm, upload.checksum_type), parts, stored)?;
        self.check_size(stored)?;
        if self.kind.is_some_and(|kind| kind != upload.checksum_type) {
            let own = digest::type_name(upload.checksum_type);
            let message = format!(
                "The upload was created using the {own} checksum mode. The complete request must \
                 use the same checksum mode."
            );
            return Err(ApiError::bad("InvalidRequest", message));
        }
        let Some(algorithm) = algorithm else {
            return self.judge_without_algorithm(stored);
        };
        let value = value(algorithm, upload.checksum_type, stored)?;
        match &self.checksum {
            Some((named, _)) if *named != algorithm => {
                return Err(other_algorithm(Some(algorithm), *named));
            }
            Some((_, asked)) if *asked != value => return Err(mismatch(algorithm)),
            Some(_) | None => {}
        }
        Ok(Some(checksum::of(algorithm, upload.checksum_type, value)))
    }

    fn check_size(&self, stored: &[PartRecord]) -> Result<(), ApiError> {
        let total: u64 = stored.iter().map(|part| part.plain_length).sum();
        match self.size {
            Some(size) if size != total => {
                let message = format!(
                    "The provided 'x-amz-mp-object-size' header value {size} does not match what \
                     was computed: {total}"
                );
                Err(ApiError::bad("InvalidRequest", message))
            }
            _ => Ok(()),
        }
    }

    /// The same for an upload that the client started without an algorithm: the checksum that it may send
    /// now must be one that can be computed of the parts.
    fn judge_without_algorithm(
        &self,
        stored: &[PartRecord],
    ) -> Result<Option<ObjectChecksum>, ApiError> {
        let computed = |algorithm| value(algorithm, Kind::FullObject, stored).ok();
        if let Some((algorithm, asked)) = &self.checksum {
            return match computed(*algorithm) {
                Some(value) if value == *asked => {
                    Ok(Some(checksum::of(*algorithm, Kind::FullObject, value)))
                }
                Some(_) => Err(mismatch(*algorithm)),
                None => Err(other_algorithm(None, *algorithm)),
            };
        }
        // The client may have chosen another for all its parts.
        let combined = ChecksumAlgorithm::ALL
            .into_iter()
            .find_map(|algorithm| Some((algorithm, computed(algorithm)?)));
        Ok(combined.map(|(algorithm, value)| checksum::of(algorithm, Kind::FullObject, value)))
    }
}

fn mismatch(algorithm: ChecksumAlgorithm) -> ApiError {
    let algorithm = algorithm.name();
    DigestError::Mismatch { algorithm }.into()
}

/// The raw value of the checksum of the whole object. A composite one may name the number of parts.
fn object_checksum(
    algorithm: ChecksumAlgorithm,
    text: &str,
    input: &CompleteMultipartUploadInput,
) -> Result<(ChecksumAlgorithm, Vec<u8>), ApiError> {
    let list = input.multipart_upload.as_ref();
    let parts = list
        .and_then(|list| list.parts.as_ref())
        .map_or(0, Vec::len);
    let text = text.strip_suffix(&format!("-{parts}")).unwrap_or(text);
    let raw = algorithm.decode(text).ok_or_else(|| {
        let header = algorithm.header().to_owned();
        DigestError::InvalidValue { header }
    })?;
    Ok((algorithm, raw))
}

/// Each named part was uploaded, with the ETag and the checksum that the request says.
fn check_parts(
    (algorithm, kind): (Option<ChecksumAlgorithm>, Kind),
    parts: &[Part],
    stored: &[PartRecord],
) -> Result<(), ApiError> {
    for (at, part) in parts.iter().enumerate() {
        let found = stored
            .get(at)
            .filter(|found| found.number == part.number && found.etag == part.etag)
            .ok_or_else(|| invalid_part(part.number))?;
        match (&part.checksum, algorithm) {
            (None, Some(algorithm)) if kind == Kind::Composite => {
                return Err(missing_checksum(algorithm, part.number));
            }
            (Some((named, _)), Some(algorithm)) if *named != algorithm => {
                return Err(foreign_checksum(*named, part.number));
            }
            (Some((named, raw)), _) => {
                let own = found.checksum.as_ref();
                own.filter(|own| own.algorithm == named.name() && own.value == raw.as_slice())
                    .ok_or_else(|| invalid_part(part.number))?;
            }
            (None, _) => {}
        }
    }
    Ok(())
}

fn missing_checksum(algorithm: ChecksumAlgorithm, number: u16) -> ApiError {
    let name = algorithm.name().to_ascii_lowercase();
    let message = format!(
        "The upload was created using a {name} checksum. The complete request must include the \
         checksum for each part. It was missing for part {number} in the request."
    );
    ApiError::bad("InvalidRequest", message)
}

fn foreign_checksum(algorithm: ChecksumAlgorithm, number: u16) -> ApiError {
    let name = algorithm.name().to_ascii_lowercase();
    let message =
        format!("The {name} you specified for part {number} did not match what we received.");
    ApiError::bad("BadDigest", message)
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
