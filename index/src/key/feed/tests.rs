//! Golden bytes.

use super::*;
use crate::key::golden;
use types::RegionId;

#[test]
fn an_event_has_its_golden_bytes() {
    let order = |time| Order { time, region: RegionId(1), epoch: 2 };
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
    golden::check(&event, "GOLD");
}
