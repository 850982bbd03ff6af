use super::*;
use crate::body::Trailers;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let value = HeaderValue::from_str(value).unwrap();
        map.append(HeaderName::from_static(name), value);
    }
    map
}

async fn digests(pieces: &[Bytes], checksum: Option<ChecksumAlgorithm>) -> BodyDigests {
    let length = pieces.iter().map(|piece| piece.len() as u64).sum();
    let mut hasher = BodyHasher::new(&Md5Pool::new(), length, checksum).unwrap();
    for piece in pieces {
        hasher.update(piece).await.unwrap();
    }
    hasher.finish().await.unwrap()
}

/// Values of "123456789": the check values of the CRC catalogue, and of the hash standards.
#[tokio::test]
async fn digests_have_their_published_values() {
    let table = [
        (ChecksumAlgorithm::Crc32, "cbf43926"),
        (ChecksumAlgorithm::Crc32c, "e3069283"),
        (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
        (
            ChecksumAlgorithm::Sha1,
            "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
        ),
        (
            ChecksumAlgorithm::Sha256,
            "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
        ),
    ];
    for (algorithm, expected) in table {
        let found = digests(&[Bytes::from_static(b"123456789")], Some(algorithm)).await;
        assert_eq!(found.etag(), "25f9e794323b453885f5181f1b624d0b");
        assert_eq!(
            found.checksum,
            Some((algorithm, hex::decode(expected).unwrap()))
        );
    }
}

#[tokio::test]
async fn a_large_body_hashes_beside_to_the_same_values() {
    let body = Bytes::from(
        (0..3_000_000_u32)
            .map(|n| (n % 251) as u8)
            .collect::<Vec<_>>(),
    );
    let mut inline = Checksum::new(ChecksumAlgorithm::Crc32c).unwrap();
    inline.update(&body).unwrap();
    let pieces: Vec<Bytes> = body.chunks(16_000).map(Bytes::copy_from_slice).collect();
    let found = digests(&pieces, Some(ChecksumAlgorithm::Crc32c)).await;
    assert_eq!(found.checksum.unwrap().1, inline.finish().unwrap());
    let md5 = openssl::hash::hash(openssl::hash::MessageDigest::md5(), &body).unwrap();
    assert_eq!(found.md5.as_slice(), md5.as_ref());
}

#[test]
fn declarations_that_cannot_be_kept_are_refused() {
    let crc = "y/Q5Jg==";
    let error =
        |fields: &[(&'static str, &str)]| Declared::from_headers(&headers(fields)).unwrap_err();
    assert_eq!(error(&[("content-md5", "")]), DigestError::InvalidMd5);
    assert_eq!(
        error(&[("content-md5", "rubbish")]),
        DigestError::InvalidMd5
    );
    assert_eq!(error(&[("content-md5", crc)]), DigestError::InvalidMd5);
    assert_eq!(
        error(&[
            ("x-amz-checksum-crc32", crc),
            ("x-amz-checksum-crc32c", crc)
        ]),
        DigestError::Several
    );
    assert_eq!(
        error(&[
            ("x-amz-checksum-crc32", crc),
            ("x-amz-trailer", "x-amz-checksum-crc32")
        ]),
        DigestError::Several
    );
    assert!(matches!(
        error(&[("x-amz-checksum-sha256", crc)]),
        DigestError::InvalidValue { .. }
    ));
    assert!(matches!(
        error(&[("x-amz-checksum-md5", crc)]),
        DigestError::Unsupported { .. }
    ));
    assert_eq!(
        error(&[
            ("x-amz-checksum-crc32", crc),
            ("x-amz-sdk-checksum-algorithm", "SHA256")
        ]),
        DigestError::OtherAlgorithm
    );
    assert_eq!(
        error(&[("x-amz-sdk-checksum-algorithm", "CRC32")]),
        DigestError::MissingValue
    );
}

#[test]
fn headers_that_only_look_like_checksums_declare_nothing() {
    let fields = [
        ("x-amz-checksum-algorithm", "CRC32"),
        ("x-amz-checksum-type", "COMPOSITE"),
        ("x-amz-checksum-mode", "ENABLED"),
        ("x-amz-checksum-crc32", ""),
        ("x-amz-sdk-checksum-algorithm", ""),
    ];
    assert!(
        Declared::from_headers(&headers(&fields))
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_body_must_have_what_was_declared() {
    let verify = |fields: &[(&'static str, &str)], body: &'static [u8]| {
        let declared = Declared::from_headers(&headers(fields)).unwrap();
        async move {
            let found = digests(&[Bytes::from_static(body)], declared.algorithm()).await;
            declared.verify(&found, &Trailers::default())
        }
    };
    let md5 = [("content-md5", "JfnnlDI7RTiF9RgfG2JNCw==")];
    assert_eq!(verify(&md5, b"123456789").await, Ok(()));
    assert_eq!(
        verify(&md5, b"12345678").await,
        Err(DigestError::Md5Mismatch)
    );
    let crc = [
        ("x-amz-checksum-crc32", "y/Q5Jg=="),
        ("x-amz-sdk-checksum-algorithm", "crc32"),
    ];
    assert_eq!(verify(&crc, b"123456789").await, Ok(()));
    assert_eq!(
        verify(&crc, b"").await,
        Err(DigestError::Mismatch { algorithm: "CRC32" })
    );
    let trailer = [("x-amz-trailer", "x-amz-checksum-crc32")];
    assert!(matches!(
        verify(&trailer, b"123456789").await,
        Err(DigestError::InvalidValue { .. })
    ));
}

#[test]
fn the_etag_of_parts_is_the_md5_of_their_md5s() {
    let part = etag_md5("25f9e794323b453885f5181f1b624d0b").unwrap();
    // md5 of that MD5, twice: computed with md5sum.
    assert_eq!(multipart_etag(&[part, part]), TWO_PARTS_ETAG);
    assert_eq!(etag_md5("25f9e794323b453885f5181f1b624d0"), None);
    assert_eq!(etag_md5("zzf9e794323b453885f5181f1b624d0b"), None);
}

const TWO_PARTS_ETAG: &str = "4f2908c19b573e50b194e208c928de17-2";

#[test]
fn types_follow_aws() {
    use ChecksumAlgorithm::{Crc32, Crc64Nvme, Sha1, Sha256};
    assert!(Crc32.allows(ChecksumType::Composite) && Crc32.allows(ChecksumType::FullObject));
    assert!(!Crc64Nvme.allows(ChecksumType::Composite));
    assert!(!Sha1.allows(ChecksumType::FullObject) && !Sha256.allows(ChecksumType::FullObject));
    for algorithm in ChecksumAlgorithm::ALL {
        assert!(algorithm.allows(algorithm.default_type()));
        assert_eq!(ChecksumAlgorithm::parse(algorithm.name()), Some(algorithm));
    }
    assert_eq!(parse_type("COMPOSITE"), Some(ChecksumType::Composite));
    assert_eq!(parse_type("WHOLE"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The checksum of the object is what its parts' checksums combine to.
    #[test]
    fn parts_combine(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6),
    ) {
        use ChecksumAlgorithm::{Crc32, Crc32c, Crc64Nvme, Sha256};
        for algorithm in [Crc32, Crc32c, Crc64Nvme] {
            let sum = |bytes: &[u8]| composite(algorithm, [bytes]).unwrap();
            let sums: Vec<(Vec<u8>, u64)> =
                parts.iter().map(|part| (sum(part), part.len() as u64)).collect();
            let combined = full_object(algorithm, sums.iter().map(|(raw, n)| (raw.as_slice(), *n)));
            prop_assert_eq!(combined, Some(sum(&parts.concat())));
        }
        prop_assert_eq!(full_object(Sha256, []), None);
    }
}
