//! Golden bytes and the bounds of the decoder.

use super::*;
use crate::disk_fixtures::{DISK, key, record};
use proptest::prelude::*;

const PLACE: Place = Place {
    volume: 3,
    offset: 8192,
};

fn header(len: usize) -> ShardHeader {
    let record = record(key(5, 6), len);
    let info = ShardInfo {
        key: record.key,
        pg_version: record.pg_version,
        profile: record.profile,
        bucket: record.bucket,
        manifest: record.manifest,
        stripe_bytes: record.stripe_bytes,
        body_bytes: len as u32,
    };
    ShardHeader {
        info,
        block_checksums: record.block_checksums,
    }
}

fn encoded(header: &ShardHeader) -> (Vec<u8>, u64) {
    let mut bytes = Vec::new();
    let sum = header.encode(DISK, PLACE, &mut bytes);
    (bytes, sum)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_header_and_trailer() {
    let mut header = header(65537);
    header.block_checksums = vec![0x1112_1314_1516_1718, 0x2122_2324_2526_2728];
    let (bytes, sum) = encoded(&header);
    let fields = [
        "436169726e536864",                 // magic
        "0001",                             // format
        "0001",                             // codec
        "0402",                             // profile
        "0100",                             // shard
        "00000007",                         // placement group
        "00000003",                         // its version
        "00000000000000000000000000000005", // chunk
        "00000006",                         // stripe
        "00040004",                         // bytes of the stripe
        "0000000000000009",                 // bucket
        "0000000000000000000000000000000a", // manifest
        "00010001",                         // bytes of the body
        "00000002",                         // blocks
        "1112131415161718",                 // checksum of block 0
        "2122232425262728",                 // checksum of block 1
        "ba2e9b6e6f98aeee",                 // checksum of the header
    ];
    assert_eq!(hex(&bytes), fields.concat());
    let mut trailer = Vec::new();
    encode_trailer(65537, sum, &mut trailer);
    assert_eq!(hex(&trailer[..16]), "436169726e456e64ba2e9b6e6f98aeee");
    assert!(trailer[16..].iter().all(|byte| *byte == 0));
    assert_eq!((bytes.len() + 65537 + trailer.len()) as u64, 69632);
    assert_eq!(record_bytes(65537), 69632);
}

#[test]
fn golden_position_checksum() {
    let sums = record(key(5, 6), 65537).block_checksums;
    assert_eq!(sums, [11459392855375442959, 8161799592450070323]);
}

#[test]
fn names_of_volumes() {
    assert_eq!(volume_name(7), "volume-000000000007");
    assert_eq!(volume_number("volume-000000000007"), Some(7));
    for other in [
        "volume-7",
        "volume-",
        "volume-00000000000x",
        "identity",
        "volume-000000000007.new",
    ] {
        assert_eq!(volume_number(other), None, "{other}");
    }
}

#[test]
fn every_flipped_bit_and_every_other_place_is_refused() {
    let header = header(70_000);
    let (bytes, sum) = encoded(&header);
    assert_eq!(ShardHeader::decode(&bytes, DISK, PLACE), Ok((header, sum)));
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(
            ShardHeader::decode(&bytes, DISK, PLACE).is_err(),
            "bit {bit}"
        );
    }
    for length in 0..bytes.len() {
        assert!(
            ShardHeader::decode(&bytes[..length], DISK, PLACE).is_err(),
            "length {length}"
        );
    }
    let elsewhere = [
        (DiskId(1), PLACE),
        (DISK, Place { volume: 4, ..PLACE }),
        (
            DISK,
            Place {
                offset: 4096,
                ..PLACE
            },
        ),
    ];
    for (disk, place) in elsewhere {
        assert_eq!(
            ShardHeader::decode(&bytes, disk, place),
            Err(RecordError::Checksum)
        );
    }
}

#[test]
fn what_a_newer_binary_wrote_is_named_as_such() {
    let (mut bytes, _) = encoded(&header(10));
    bytes[9] = 2;
    assert_eq!(
        ShardHeader::decode(&bytes, DISK, PLACE),
        Err(RecordError::UnknownFormat(2))
    );
    (bytes[9], bytes[11]) = (1, 7);
    assert_eq!(
        ShardHeader::decode(&bytes, DISK, PLACE),
        Err(RecordError::UnknownCodec(7))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_header_is_read_back(len in 0..BODY_BYTES_MAX, stripe: u32, pg: u32, chunk: u128) {
        let mut header = header(len.min(200_000));
        header.info.key.stripe = stripe;
        header.info.key.pg = PgId(pg);
        header.info.key.chunk = ChunkId(chunk);
        let (bytes, sum) = encoded(&header);
        prop_assert_eq!(bytes.len(), header_bytes(header.body_bytes()));
        prop_assert_eq!(ShardHeader::decode(&bytes, DISK, PLACE), Ok((header, sum)));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(mut bytes: Vec<u8>, with_magic: bool) {
        if with_magic && bytes.len() >= 12 {
            bytes[..12].copy_from_slice(b"CairnShd\0\x01\0\x01");
        }
        let _ = ShardHeader::decode(&bytes, DISK, PLACE);
        let _ = check_trailer(&bytes, 1);
    }
}
