//! Golden bytes.

use super::*;
use crate::key::golden;
use bytes::Bytes;

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
    golden::check(
        &state,
        "010670686f746f730205616c696365030680d095ffbc31040101050102",
    );
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
    golden::check(
        &name,
        "0101070205616c696365030102040680d095ffbc31050101060102070103",
    );
    golden::check(
        &BucketTags {
            tags: [("team".to_owned(), "a".to_owned())].into(),
            ..Default::default()
        },
        "0107047465616d0161",
    );
    golden::check(
        &Counter {
            last: 300,
            ..Default::default()
        },
        "0102ac02",
    );
}

#[test]
fn ordinals_are_stable() {
    fn read<T: Field>(bytes: &'static [u8]) -> Result<T, DecodeError> {
        T::take(Input::of(&Bytes::from_static(bytes)))
    }
    assert_eq!(read(&[1]), Ok(Versioning::Enabled));
    assert_eq!(read(&[1]), Ok(NamePhase::Active));
    for bad in [&[][..], &[3], &[0, 0]] {
        assert!(read::<Versioning>(bad).is_err());
    }
}
