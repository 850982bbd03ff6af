//! Golden bytes.

use super::*;
use crate::key::golden;
use types::{BucketId, ChunkId, ChunkRef, ManifestId, PgId};

fn text(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn manifest() -> Manifest {
    let chunk = ChunkRef {
        cluster: ChunkClusterId(1),
        pg: PgId(9),
        id: ChunkId(0x0123_4567),
        length: 1000,
        blake3: [0xab; 32],
        ..Default::default()
    };
    Manifest {
        id: ManifestId(0xfeed),
        length: 1000,
        chunks: vec![chunk],
        home: BucketId(7),
        shared_ref: 1,
        ..Default::default()
    }
}

fn version() -> VersionRecord {
    VersionRecord {
        id: VersionId(0x1234),
        order: Order {
            time: 99,
            region: RegionId(1),
            epoch: 2,
        },
        is_null: true,
        delete_marker: false,
        account: "alice".to_owned(),
        storage_class: "STANDARD_IA".to_owned(),
        cluster: ChunkClusterId(1),
        plain_length: 1000,
        stored_length: 900,
        encryption: Some(Encryption {
            scheme: "AES256".to_owned(),
            key_id: "k1".to_owned(),
            wrapped_key: Bytes::from_static(b"wrapped"),
            nonce_base: Bytes::from_static(b"nonce"),
            ..Default::default()
        }),
        compression: "zstd".to_owned(),
        etag: "0cc175b9c0f1b6a831c399e269772661".to_owned(),
        checksum: Some(ObjectChecksum {
            algorithm: "CRC32".to_owned(),
            kind: ChecksumType::Composite,
            value: Bytes::from_static(&[1, 2, 3, 4]),
            ..Default::default()
        }),
        headers: text(&[
            ("cache-control", "no-cache"),
            ("content-type", "text/plain"),
        ]),
        user_metadata: text(&[("m", "v")]),
        manifest: manifest(),
        replication: Some(Replication {
            status: "REPLICA".to_owned(),
            origin: RegionId(2),
            ..Default::default()
        }),
        lock: Some(ObjectLock {
            mode: "GOVERNANCE".to_owned(),
            retain_until_ms: 5,
            legal_hold: true,
            ..Default::default()
        }),
        tags: text(&[("t", "u")]),
        parts: 3,
        ..Default::default()
    }
}

#[test]
fn lists_read_what_the_record_says() {
    for record in [version(), VersionRecord::default()] {
        let fields = ListFields {
            order: record.order,
            storage_class: record.storage_class.clone(),
            plain_length: record.plain_length,
            etag: record.etag.clone(),
            checksum: record.checksum.clone(),
        };
        let bytes: Bytes = record.encode().into();
        assert_eq!(ListFields::decode(&bytes), Ok(fields));
    }
}

#[test]
fn a_version_has_its_golden_bytes() {
    golden::check(
        &version(),
        "\
         011000000000000000000000000000001234020e000000000000006300010000000203010105\
         05616c696365060b5354414e444152445f49410701010802e807090284070a1c010641455332\
         353602026b3103077772617070656404056e6f6e63650b047a7374640c203063633137356239\
         6330663162366138333163333939653236393737323636310d10010543524333320201010304\
         010203040e2f0d63616368652d636f6e74726f6c086e6f2d63616368650c636f6e74656e742d\
         747970650a746578742f706c61696e0f04016d0176105d011000000000000000000000000000\
         00feed0202e807033f3e0101010201090310000000000000000000000000012345670402e807\
         0520abababababababababababababababababababababababababababababababab06010707\
         0101110c01075245504c4943410201021212010a474f5645524e414e43450201050301011304\
         01740175140103",
    );
}

#[test]
fn a_delete_marker_has_its_golden_bytes() {
    let marker = VersionRecord {
        id: VersionId(0x1234),
        order: Order {
            time: 99,
            region: RegionId(1),
            epoch: 2,
        },
        delete_marker: true,
        ..Default::default()
    };
    golden::check(
        &marker,
        "\
         011000000000000000000000000000001234020e0000000000000063000100000002040101",
    );
}
