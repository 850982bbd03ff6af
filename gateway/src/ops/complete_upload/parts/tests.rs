use super::*;
use s3s::dto::ETag;

const ETAG: &str = "25f9e794323b453885f5181f1b624d0b";

fn completed(number: Option<i32>, etag: Option<&str>) -> CompletedPart {
    CompletedPart {
        part_number: number,
        e_tag: etag.map(|etag| ETag::Strong(etag.to_owned())),
        ..CompletedPart::default()
    }
}

fn code(parts: Vec<CompletedPart>) -> String {
    let list = CompletedMultipartUpload { parts: Some(parts) };
    read(Some(&list)).unwrap_err().code().to_owned()
}

#[test]
fn lists_that_are_none_are_refused() {
    assert_eq!(read(None).unwrap_err().code(), "MalformedXML");
    assert_eq!(code(vec![]), "MalformedXML");
    assert_eq!(code(vec![completed(None, Some(ETAG))]), "MalformedXML");
    assert_eq!(code(vec![completed(Some(1), None)]), "MalformedXML");
    assert_eq!(
        code(vec![completed(Some(0), Some(ETAG))]),
        "InvalidArgument"
    );
    assert_eq!(
        code(vec![completed(Some(10_001), Some(ETAG))]),
        "InvalidArgument"
    );
    let twice = vec![
        completed(Some(2), Some(ETAG)),
        completed(Some(2), Some(ETAG)),
    ];
    assert_eq!(code(twice), "InvalidPartOrder");
    let falling = vec![
        completed(Some(2), Some(ETAG)),
        completed(Some(1), Some(ETAG)),
    ];
    assert_eq!(code(falling), "InvalidPartOrder");
}

fn part(number: u16, checksum: Option<&[u8]>) -> Part {
    Part {
        number,
        etag: ETAG.to_owned(),
        checksum: checksum.map(|raw| (ChecksumAlgorithm::Crc32, raw.to_vec())),
    }
}

fn stored(number: u16, crc: Option<&'static [u8]>) -> PartRecord {
    let kind = Kind::FullObject;
    PartRecord {
        number,
        etag: ETAG.to_owned(),
        plain_length: 9,
        checksum: crc.map(|raw| checksum::of(ChecksumAlgorithm::Crc32, kind, raw.to_vec())),
        ..PartRecord::default()
    }
}

fn upload(algorithm: &str, kind: Kind) -> UploadRecord {
    UploadRecord {
        checksum_algorithm: algorithm.to_owned(),
        checksum_type: kind,
        ..UploadRecord::default()
    }
}

const CRC: &[u8] = &[0xcb, 0xf4, 0x39, 0x26];

#[test]
fn the_etag_needs_md5s() {
    assert!(etag(&[part(1, None)]).unwrap().ends_with("-1"));
    let odd = Part {
        etag: "odd".to_owned(),
        ..part(3, None)
    };
    assert_eq!(etag(&[odd]).unwrap_err().code(), "InvalidPart");
}

#[test]
fn parts_must_be_those_uploaded() {
    let judge = |parts: &[Part], stored: &[PartRecord]| {
        let plain = upload("", Kind::FullObject);
        Asked::default()
            .judge(&plain, parts, stored)
            .map_err(|error| error.code().to_owned())
    };
    assert_eq!(judge(&[part(1, None)], &[stored(1, None)]), Ok(None));
    let kept = judge(&[part(1, Some(CRC))], &[stored(1, Some(CRC))]);
    assert_eq!(kept.unwrap().unwrap().value, CRC);
    let invalid = Err("InvalidPart".to_owned());
    assert_eq!(judge(&[part(1, None)], &[]), invalid);
    assert_eq!(judge(&[part(1, None)], &[stored(2, None)]), invalid);
    assert_eq!(judge(&[part(1, Some(CRC))], &[stored(1, None)]), invalid);
    assert_eq!(
        judge(&[part(1, Some(b"1234"))], &[stored(1, Some(CRC))]),
        invalid
    );
}

#[test]
fn what_the_request_says_of_the_object_is_judged() {
    let (parts, own) = ([part(1, None)], [stored(1, Some(CRC))]);
    let judge = |asked: Asked, kind: Kind| {
        let judged = asked.judge(&upload("CRC32", kind), &parts, &own);
        judged
            .map(|checksum| checksum.unwrap().value)
            .map_err(|error| error.code().to_owned())
    };
    let named = |algorithm, raw: &[u8]| Asked {
        checksum: Some((algorithm, raw.to_vec())),
        ..Asked::default()
    };
    assert_eq!(judge(Asked::default(), Kind::FullObject).unwrap(), CRC);
    assert_eq!(
        judge(named(ChecksumAlgorithm::Crc32, CRC), Kind::FullObject).unwrap(),
        CRC
    );
    let refused = |asked| judge(asked, Kind::FullObject).unwrap_err();
    assert_eq!(
        refused(named(ChecksumAlgorithm::Crc32, &[0; 4])),
        "BadDigest"
    );
    assert_eq!(
        refused(named(ChecksumAlgorithm::Sha1, &[0; 20])),
        "InvalidRequest"
    );
    let size = |size| Asked {
        size: Some(size),
        ..Asked::default()
    };
    assert!(judge(size(9), Kind::FullObject).is_ok());
    assert_eq!(refused(size(8)), "InvalidRequest");
    let kind = Asked {
        kind: Some(Kind::Composite),
        ..Asked::default()
    };
    assert_eq!(refused(kind), "InvalidRequest");
}

#[test]
fn a_checksum_for_an_upload_without_an_algorithm_is_compared_or_refused() {
    let (parts, own) = ([part(1, None)], [stored(1, Some(CRC))]);
    let judge = |algorithm, raw: &[u8]| {
        let asked = Asked {
            checksum: Some((algorithm, raw.to_vec())),
            ..Asked::default()
        };
        let judged = asked.judge(&upload("", Kind::FullObject), &parts, &own);
        judged
            .map(|checksum| checksum.unwrap().value)
            .map_err(|error| error.code().to_owned())
    };
    assert_eq!(judge(ChecksumAlgorithm::Crc32, CRC).unwrap(), CRC);
    let refused = |algorithm, raw| judge(algorithm, raw).unwrap_err();
    assert_eq!(refused(ChecksumAlgorithm::Crc32, &[0; 4]), "BadDigest");
    // Neither can be computed of what the parts came with.
    assert_eq!(
        refused(ChecksumAlgorithm::Sha256, &[0; 32]),
        "InvalidRequest"
    );
    assert_eq!(refused(ChecksumAlgorithm::Crc32c, CRC), "InvalidRequest");

    let chosen = Asked::default().judge(&upload("", Kind::FullObject), &parts, &own);
    let chosen = chosen.unwrap().unwrap();
    assert_eq!(
        (chosen.algorithm.as_str(), &chosen.value[..]),
        ("CRC32", CRC)
    );
}

#[test]
fn a_part_without_the_uploads_checksum() {
    let judge = |kind, own| {
        let judged = Asked::default().judge(&upload("CRC32", kind), &[part(1, None)], &[own]);
        judged.map_err(|error| error.code().to_owned())
    };
    let composite = judge(Kind::Composite, stored(1, Some(CRC)));
    assert_eq!(composite.unwrap_err(), "InvalidRequest");
    let of_the_object = judge(Kind::FullObject, stored(1, None));
    assert_eq!(of_the_object.unwrap_err(), "InvalidPart");
}

fn input(parts: usize, crc32: Option<&str>, size: Option<i64>) -> CompleteMultipartUploadInput {
    let part = completed(Some(1), Some(ETAG));
    CompleteMultipartUploadInput {
        bucket: "bucket".to_owned(),
        key: "key".to_owned(),
        upload_id: "id".to_owned(),
        checksum_crc32: crc32.map(str::to_owned),
        mpu_object_size: size,
        multipart_upload: Some(CompletedMultipartUpload {
            parts: Some(vec![part; parts]),
        }),
        ..CompleteMultipartUploadInput::default()
    }
}

#[test]
fn the_checksum_of_the_object_may_count_its_parts() {
    for text in ["y/Q5Jg==", "y/Q5Jg==-3"] {
        let asked = Asked::read(&input(3, Some(text), Some(9))).unwrap();
        let expected = (ChecksumAlgorithm::Crc32, CRC.to_vec());
        assert_eq!((asked.checksum, asked.size), (Some(expected), Some(9)));
    }
    for text in ["y/Q5Jg==-2", "y/Q5Jg==-", "rubbish", ""] {
        let error = Asked::read(&input(3, Some(text), None)).unwrap_err();
        assert_eq!(
            error.message(),
            "Value for x-amz-checksum-crc32 header is invalid."
        );
    }
    let error = Asked::read(&input(3, None, Some(-1))).unwrap_err();
    assert_eq!(error.code(), "InvalidRequest");
}
