//! Golden bytes.

use super::*;
use crate::key::golden;

#[test]
fn records_have_their_golden_bytes() {
    let state = BucketState {
        name: "photos".to_owned(),
        owner: "alice".to_owned(),
        created_ms: 1_700_000_000_000,
        phase: BucketPhase::Closing,
        versioning: Versioning::Suspended,
        ..Default::default()
    };
    golden::check(&state, "GOLD");
    let name = BucketName {
        bucket: BucketId(7),
        owner: "alice".to_owned(),
        phase: NamePhase::Deleting,
        created_ms: 1_700_000_000_000,
        home: RegionId(1),
        home_epoch: 2,
        partition: PartitionId(3),
        ..Default::default()
    };
    golden::check(&name, "GOLD");
    golden::check(&Counter { last: 300, ..Default::default() }, "GOLD");
}

#[test]
fn ordinals_are_stable() {
    let byte = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    assert_eq!(Versioning::take(byte(&[1])), Ok(Versioning::Enabled));
    assert_eq!(NamePhase::take(byte(&[1])), Ok(NamePhase::Active));
    for bad in [&[][..], &[3], &[0, 0]] {
        assert!(Versioning::take(byte(bad)).is_err());
    }
}
