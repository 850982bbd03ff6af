//! Keys: pinned bytes, round trips, order, ranges, and damaged input.

use super::*;
use crate::store::{Grouping, ScanRequest};
use proptest::prelude::*;

fn manifest() -> ManifestId {
    ManifestId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10)
}

/// One key of each variant with its bytes in hexadecimal. They are persisted: a change here breaks every
/// index that exists.
fn golden() -> Vec<(Key, &'static str)> {
    [
        golden_of_objects(),
        golden_of_manifests(),
        golden_of_partitions(),
    ]
    .concat()
}

fn golden_of_objects() -> Vec<(Key, &'static str)> {
    let bucket = BucketId(0x2a);
    let key = || "a\0/b".to_owned();
    let upload = UploadId(manifest().0);
    let order = Order {
        time: 0x0102_0304_0506_0708,
        region: types::RegionId(9),
        epoch: 10,
    };
    let version = VersionId(manifest().0);
    vec![
        (Key::BucketState { bucket }, "000000000000002a62"),
        (
            Key::BucketConfig {
                bucket,
                name: "tagging".to_owned(),
            },
            "000000000000002a6a74616767696e67",
        ),
        (
            Key::Current { bucket, key: key() },
            "000000000000002a636100ff2f620001",
        ),
        (
            Key::Head { bucket, key: key() },
            "000000000000002a686100ff2f620001",
        ),
        (
            Key::Version {
                bucket,
                key: key(),
                order,
            },
            "000000000000002a766100ff2f620001fefdfcfbfaf9f8f7fff6fffffff5",
        ),
        (
            Key::Upload {
                bucket,
                key: key(),
                upload,
            },
            "000000000000002a6d6100ff2f6200010102030405060708090a0b0c0d0e0f10",
        ),
        (
            Key::Part {
                bucket,
                upload,
                number: 258,
            },
            "000000000000002a700102030405060708090a0b0c0d0e0f100102",
        ),
        (
            Key::Inline { bucket, version },
            "000000000000002a690102030405060708090a0b0c0d0e0f10",
        ),
    ]
}

fn golden_of_manifests() -> Vec<(Key, &'static str)> {
    let (bucket, manifest, reference) = (BucketId(0x2a), manifest(), 7);
    vec![
        (
            Key::ManifestPage {
                bucket,
                manifest,
                page: 7,
            },
            "000000000000002a780102030405060708090a0b0c0d0e0f1000000007",
        ),
        (
            Key::Shared { bucket, manifest },
            "000000000000002a730102030405060708090a0b0c0d0e0f10",
        ),
        (
            Key::SharedRef {
                bucket,
                manifest,
                reference,
            },
            "000000000000002a730102030405060708090a0b0c0d0e0f100000000000000007",
        ),
    ]
}

fn golden_of_partitions() -> Vec<(Key, &'static str)> {
    let (cluster, pg, chunk) = (ChunkClusterId(3), PgId(4), ChunkId(5));
    let op_id = OpId(manifest().0);
    let name = |text: &str| text.to_owned();
    vec![
        (Key::PartitionState, "000000000000000061"),
        (Key::Feed { seq: 258 }, "0000000000000000660000000000000102"),
        (
            Key::Reclaim {
                seq: 258,
                number: 3,
            },
            "00000000000000006700000000000001020003",
        ),
        (
            Key::Outcome { op_id },
            "00000000000000006f0102030405060708090a0b0c0d0e0f10",
        ),
        (
            Key::MissingShards { cluster, pg, chunk },
            "00000000000000006500030000000400000000000000000000000000000005",
        ),
        (
            Key::BucketName { name: name("pics") },
            "00000000000000006e70696373",
        ),
        (Key::BucketCounter, "00000000000000006b"),
        (
            Key::OwnedBucket {
                owner: name("alice"),
                name: name("pics"),
            },
            "000000000000000077616c696365000170696373",
        ),
        (Key::ClusterMap, "00000000000000007a"),
        (
            Key::PlacementGroup { cluster, pg },
            "000000000000000079000300000004",
        ),
        (
            Key::SchedulerState { name: name("gc") },
            "0000000000000000746763",
        ),
    ]
}

#[test]
fn bytes_of_each_key_are_pinned() {
    for (key, bytes) in golden() {
        assert_eq!(hexadecimal(&key.encode()), bytes, "{key:?}");
        assert_eq!(Key::decode(&key.encode()).as_ref(), Ok(&key));
    }
}

#[test]
fn every_cut_and_every_extra_byte_is_an_error() {
    for (key, _) in golden() {
        let bytes = key.encode();
        for length in 0..bytes.len() {
            // A name may be cut anywhere, and a reference without its number names the manifest.
            let is_other = match Key::decode(&bytes[..length]) {
                Ok(
                    Key::BucketName { .. }
                    | Key::BucketConfig { .. }
                    | Key::OwnedBucket { .. }
                    | Key::SchedulerState { .. }
                    | Key::Shared { .. },
                ) => true,
                Ok(_) => false,
                Err(error) => !error.key.is_empty() || length == 0,
            };
            assert!(is_other, "{key:?} cut to {length} bytes");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert_ne!(Key::decode(&longer), Ok(key));
    }
}

#[test]
fn a_record_of_a_bucket_is_none_of_the_partition() {
    for (key, _) in golden() {
        let mut bytes = key.encode().to_vec();
        bytes[7] ^= 0x2a;
        assert!(
            Key::decode(&bytes).is_err(),
            "{key:?} with another bucket id"
        );
    }
}

#[test]
fn versions_of_a_key_lie_newest_first_and_before_the_next_key() {
    let version = |key: &str, time| {
        let order = Order {
            time,
            ..Order::default()
        };
        let (bucket, key) = (BucketId(1), key.to_owned());
        Key::Version { bucket, key, order }.encode()
    };
    let sorted = [
        version("a", 9),
        version("a", 8),
        version("a\0", 9),
        version("a\u{1}", 9),
    ];
    assert!(sorted.is_sorted());
    let range = Key::versions_of(BucketId(1), "a");
    let inside: Vec<bool> = sorted
        .iter()
        .map(|key| range.start <= *key && *key < range.end)
        .collect();
    assert_eq!(inside, [true, true, false, false]);
}

#[test]
fn ranges_of_commits_and_operation_ids_end_where_they_say() {
    let reclaim = |seq, number| Key::Reclaim { seq, number }.encode();
    let range = Key::reclaims_range(7);
    assert!(range.start <= reclaim(0, 0) && reclaim(7, u16::MAX) < range.end);
    assert!(range.end <= reclaim(8, 0));
    let outcome = |ms: u128, rest| {
        Key::Outcome {
            op_id: OpId((ms << 80) | rest),
        }
        .encode()
    };
    let range = Key::outcomes_range(1000);
    assert!(range.start <= outcome(0, 0) && outcome(999, 1 << 79) < range.end);
    assert!(range.end <= outcome(1000, 0));
}

#[test]
fn the_range_past_a_key_or_a_group_begins_right_after_it() {
    let object = |key: &str| {
        let (bucket, key) = (BucketId(1), key.to_owned());
        Key::Current { bucket, key }.encode()
    };
    let all = || Key::objects_range(BucketId(1), "");
    let past_key = all().after(&object("a"));
    assert!(object("a") < past_key.start && past_key.start <= object("a\0"));
    let group = KeyRange::of_prefix(&object("a/")[..HEADER_BYTES + 2]).start;
    assert_eq!(Key::common_prefix(&group).as_deref(), Some("a/"));
    let past_group = all().after_prefix(&group);
    assert!(object("a/\u{10ffff}") < past_group.start && past_group.start <= object("a0"));
    let request = past_group.page(3, Some(Key::grouping("a\0", "\0")));
    let grouping = Grouping {
        skip: HEADER_BYTES + 3,
        delimiter: Bytes::from_static(b"\0\xff"),
    };
    let ScanRequest {
        limit,
        grouping: made,
        ..
    } = request;
    assert_eq!((limit, made), (3, Some(grouping)));
}

/// Short keys over few characters, so that escapes, prefixes and equal beginnings are common.
fn s3_key() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just('\0'),
            Just('\u{1}'),
            Just('/'),
            Just('a'),
            Just('\u{ff}'),
            any::<char>()
        ],
        0..8,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #[test]
    fn objects_sort_as_their_s3_keys(a in s3_key(), b in s3_key(), bucket in 1_u64..3) {
        let encode = |key: &String| {
            let (bucket, key) = (BucketId(bucket), key.clone());
            Key::Current { bucket, key }.encode()
        };
        prop_assert_eq!(encode(&a).cmp(&encode(&b)), a.as_bytes().cmp(b.as_bytes()));
        prop_assert_eq!(Key::decode(&encode(&a)), Ok(Key::Current { bucket: BucketId(bucket), key: a }));
    }

    #[test]
    fn a_prefix_range_holds_exactly_the_keys_with_the_prefix(key in s3_key(), prefix in s3_key()) {
        let range = Key::objects_range(BucketId(1), &prefix);
        let encoded = Key::Current { bucket: BucketId(1), key: key.clone() }.encode();
        let is_inside = range.start <= encoded && encoded < range.end;
        prop_assert_eq!(is_inside, key.starts_with(&prefix));
    }

    #[test]
    fn uploads_and_versions_round_trip(key in s3_key(), wide: u128, time: u64, epoch: u32) {
        let bucket = BucketId(1);
        let upload = Key::Upload { bucket, key: key.clone(), upload: UploadId(wide) };
        prop_assert_eq!(Key::decode(&upload.encode()), Ok(upload));
        let order = Order { time, epoch, ..Order::default() };
        let version = Key::Version { bucket, key, order };
        prop_assert_eq!(Key::decode(&version.encode()), Ok(version));
    }

    #[test]
    fn what_decodes_is_what_was_encoded(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(key) = Key::decode(&bytes) {
            prop_assert_eq!(key.encode(), bytes);
        }
    }

    #[test]
    fn a_damaged_key_is_an_error_or_another_key(index: prop::sample::Index, at: prop::sample::Index, bit in 0..8_u8) {
        let all = golden();
        let (key, _) = index.get(&all);
        let mut bytes = key.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_ne!(Key::decode(&bytes), Ok(key.clone()));
    }
}
