//! Golden bytes.

use super::*;
use crate::key::golden;
use bytes::Bytes;
use types::RegionId;

#[test]
fn an_event_has_its_golden_bytes() {
    let order = |time| Order {
        time,
        region: RegionId(1),
        epoch: 2,
    };
    let event = FeedEvent {
        kind: EventKind::BucketRemoved,
        bucket: BucketId(7),
        key: "a/b".to_owned(),
        version: VersionId(0x1234),
        order: order(300),
        is_null: true,
        plain_length: 10,
        etag: "e".to_owned(),
        removed: vec![RemovedVersion {
            version: VersionId(0x1233),
            order: order(200),
            plain_length: 9,
            is_null: true,
            delete_marker: true,
            ..Default::default()
        }],
        upload: UploadId(0x55),
        part: 2,
        ..Default::default()
    };
    golden::check(
        &event,
        "\
         01010a0201070303612f62041000000000000000000000000000001234050e00000000000001\
         2c00010000000206010107010a080165092c2b01100000000000000000000000000000123302\
         0e00000000000000c80001000000020301090401010501010a10000000000000000000000000\
         000000550b0102",
    );
}

/// Kinds are persisted: one that is given another byte tells consumers of the feed something else.
#[test]
fn kinds_keep_their_bytes() {
    let kinds = [
        EventKind::Internal,
        EventKind::Put,
        EventKind::Copy,
        EventKind::Complete,
        EventKind::MarkerCreated,
        EventKind::Deleted,
        EventKind::UploadCreated,
        EventKind::PartPut,
        EventKind::UploadAborted,
        EventKind::BucketChanged,
        EventKind::BucketRemoved,
        EventKind::TagsChanged,
    ];
    for (byte, kind) in (0_u8..).zip(kinds) {
        assert_eq!(
            EventKind::take(Input::of(&Bytes::from(vec![byte]))),
            Ok(kind)
        );
        let mut bytes = Vec::new();
        kind.put(&mut bytes);
        assert_eq!(bytes, [byte]);
    }
    assert!(EventKind::take(Input::of(&Bytes::from_static(&[12]))).is_err());
}
