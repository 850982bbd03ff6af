use super::*;

fn asked(algorithm: &str, kind: &str) -> Result<Option<(ChecksumAlgorithm, Kind)>, ApiError> {
    let algorithm = Some(algorithm).filter(|name| !name.is_empty());
    let kind = Some(kind).filter(|name| !name.is_empty());
    let algorithm = algorithm.map(|name| s3s::dto::ChecksumAlgorithm::from(name.to_owned()));
    let kind = kind.map(|name| s3s::dto::ChecksumType::from(name.to_owned()));
    checksum_asked(algorithm.as_ref(), kind.as_ref())
}

#[test]
fn the_checksum_of_an_upload() {
    use ChecksumAlgorithm::{Crc32, Crc64Nvme, Sha256};
    let table = [
        ("", "", None),
        ("CRC32", "", Some((Crc32, Kind::Composite))),
        ("crc32", "FULL_OBJECT", Some((Crc32, Kind::FullObject))),
        ("CRC64NVME", "", Some((Crc64Nvme, Kind::FullObject))),
        ("SHA256", "COMPOSITE", Some((Sha256, Kind::Composite))),
    ];
    for (algorithm, kind, expected) in table {
        assert_eq!(
            asked(algorithm, kind).unwrap(),
            expected,
            "{algorithm} {kind}"
        );
    }
    for (algorithm, kind) in [
        ("", "COMPOSITE"),
        ("MD5", ""),
        ("CRC32", "HALF_OBJECT"),
        ("SHA1", "FULL_OBJECT"),
        ("CRC64NVME", "COMPOSITE"),
    ] {
        let error = asked(algorithm, kind).unwrap_err();
        assert_eq!(error.code(), "InvalidRequest", "{algorithm} {kind}");
    }
}
