//! Checksums between the digests of a body, what the index keeps, and what answers show.

use crate::digest::{self, BodyDigests, ChecksumAlgorithm};
use crate::error::ApiError;
use index::key::object::{ChecksumType, ObjectChecksum};

/// What the index keeps of the checksum of a body that was sent whole.
pub(crate) fn stored(digests: &BodyDigests) -> Option<ObjectChecksum> {
    let (algorithm, value) = digests.checksum.as_ref()?;
    Some(of(*algorithm, ChecksumType::FullObject, value.clone()))
}

/// A checksum as the index keeps it.
pub(crate) fn of(
    algorithm: ChecksumAlgorithm,
    kind: ChecksumType,
    value: Vec<u8>,
) -> ObjectChecksum {
    ObjectChecksum {
        algorithm: algorithm.name().to_owned(),
        kind,
        value: value.into(),
        ..ObjectChecksum::default()
    }
}

/// A kept checksum as it stands in a header; `parts` is how many a composite one covers.
pub(crate) fn shown(checksum: &ObjectChecksum, parts: u32) -> String {
    let value = digest::encode(&checksum.value);
    match checksum.kind {
        ChecksumType::FullObject => value,
        ChecksumType::Composite => format!("{value}-{parts}"),
    }
}

/// Sets the field of an answer that belongs to the checksum's algorithm.
macro_rules! show_checksum {
    ($output:expr, $checksum:expr, $parts:expr) => {
        if let Some(checksum) = $checksum {
            let value = Some($crate::ops::checksum::shown(checksum, $parts));
            use $crate::digest::ChecksumAlgorithm as Algorithm;
            match Algorithm::parse(&checksum.algorithm) {
                Some(Algorithm::Crc32) => $output.checksum_crc32 = value,
                Some(Algorithm::Crc32c) => $output.checksum_crc32c = value,
                Some(Algorithm::Crc64Nvme) => $output.checksum_crc64nvme = value,
                Some(Algorithm::Sha1) => $output.checksum_sha1 = value,
                Some(Algorithm::Sha256) => $output.checksum_sha256 = value,
                None => {}
            }
        }
    };
}
pub(crate) use show_checksum;

/// 400: x-amz-checksum-algorithm names none that S3 has.
pub(crate) fn unknown_algorithm() -> ApiError {
    let message = "Checksum algorithm provided is unsupported. Please try again with any of the valid \
                   types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]";
    ApiError::bad("InvalidRequest", message)
}

/// The x-amz-checksum-type of an answer.
pub(crate) fn shown_type(checksum: Option<&ObjectChecksum>) -> Option<s3s::dto::ChecksumType> {
    let kind = digest::type_name(checksum?.kind);
    Some(s3s::dto::ChecksumType::from_static(kind))
}
