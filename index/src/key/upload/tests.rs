//! Golden bytes.

use super::*;
use crate::key::golden;
use types::ManifestId;

#[test]
fn an_upload_has_its_golden_bytes() {
    let upload = UploadRecord {
        id: UploadId(0x55),
        initiated_ms: 1_700_000_000_000,
        account: "alice".to_owned(),
        storage_class: "STANDARD_IA".to_owned(),
        headers: [("content-type".to_owned(), "text/plain".to_owned())].into(),
        user_metadata: [("m".to_owned(), "v".to_owned())].into(),
        tags: [("t".to_owned(), "u".to_owned())].into(),
        checksum_algorithm: "CRC32".to_owned(),
        checksum_type: ChecksumType::Composite,
        encryption: Some(Encryption {
            scheme: "AES256".to_owned(),
            ..Default::default()
        }),
        part_writes: 4,
        completed: Some(CompletedUpload {
            version: VersionId(0x1234),
            is_null: true,
            etag: "e-2".to_owned(),
            last_modified_ms: 8,
            completed_ms: 9,
            ..Default::default()
        }),
        ..Default::default()
    };
    golden::check(
        &upload,
        "\
         011000000000000000000000000000000055020680d095ffbc310305616c696365040b535441\
         4e444152445f494105180c636f6e74656e742d747970650a746578742f706c61696e0604016d\
         0176070401740175080543524333320901010a0801064145533235360b01040c200110000000\
         000000000000000000000012340201010303652d32040108050109",
    );
}

#[test]
fn a_part_has_its_golden_bytes() {
    let part = PartRecord {
        number: 10_000,
        etag: "e".to_owned(),
        plain_length: 10,
        checksum: Some(ObjectChecksum {
            algorithm: "SHA256".to_owned(),
            ..Default::default()
        }),
        manifest: Manifest {
            id: ManifestId(0xfeed),
            length: 10,
            ..Default::default()
        },
        modified_ms: 1_700_000_000_000,
        nonce_base: Bytes::from_static(b"nonce"),
        ..Default::default()
    };
    golden::check(
        &part,
        "\
         0102904e02016503010a04080106534841323536051501100000000000000000000000000000\
         feed02010a060680d095ffbc3107056e6f6e6365",
    );
}
