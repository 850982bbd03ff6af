//! Golden bytes.

use super::*;
use crate::key::golden;
use types::{BucketId, ChunkId, ChunkRef, ManifestId, PgId};

fn text(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
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

#[test]
fn a_version_has_its_golden_bytes() {
    let record = VersionRecord {
        id: VersionId(0x1234),
        order: Order { time: 99, region: RegionId(1), epoch: 2 },
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
        headers: text(&[("cache-control", "no-cache"), ("content-type", "text/plain")]),
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
    };
    golden::check(&record, "GOLD");
}

#[test]
fn a_delete_marker_has_its_golden_bytes() {
    let marker = VersionRecord {
        id: VersionId(0x1234),
        order: Order { time: 99, region: RegionId(1), epoch: 2 },
        delete_marker: true,
        ..Default::default()
    };
    golden::check(&marker, "GOLD");
}
