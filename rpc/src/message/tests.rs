//! Tests of what stands in front of calls: fixed bytes, any cutting into pieces, hostile input.

use super::*;
use proptest::prelude::*;

fn sample() -> CallHeader {
    CallHeader {
        version: 1,
        installation: InstallationId(0xca17),
        region: RegionId(2),
        epoch: 300,
        remaining_ms: 5000,
        method: "shard.put".into(),
        message: Bytes::from_static(b"m"),
        body_bytes: Some(0),
        ..Default::default()
    }
}

#[test]
fn bytes_are_pinned() {
    let mut expected = vec![1, 1, 1];
    expected.extend([2, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xca, 0x17]);
    expected.extend([3, 1, 2, 4, 2, 0xac, 2, 5, 2, 0x88, 0x27]);
    expected.extend([6, 9]);
    expected.extend(b"shard.put");
    expected.extend([7, 1, b'm', 8, 1, 0]);
    assert_eq!(sample().encode(), expected);
    let mut framed = vec![0, 0, 0, expected.len() as u8];
    framed.extend(&expected);
    framed.extend(b"body");
    assert_eq!(frame(&expected, b"body"), framed);
}

#[test]
fn fields_of_a_newer_peer_are_passed_over() {
    let mut bytes = sample().encode();
    bytes.extend([100, 3, 1, 2, 3]);
    let read = CallHeader::decode(bytes.into()).unwrap();
    assert_eq!(read.method, "shard.put");
    assert_eq!(read.unknown.len(), 1);
}

#[test]
fn a_header_that_would_be_too_long_is_refused_at_its_length() {
    let mut collector = Collector::default();
    let length = RPC_HEADER_BYTES_MAX as u32 + 1;
    let error = collector
        .push(Bytes::copy_from_slice(&length.to_be_bytes()))
        .unwrap_err();
    assert_eq!(error, HeaderError::TooLong(RPC_HEADER_BYTES_MAX + 1));
}

#[test]
fn the_newest_common_version_is_agreed_on() {
    assert_eq!(agree(VERSION_MIN, VERSION_MAX), Some(VERSION_MAX));
    assert_eq!(agree(VERSION_MIN, VERSION_MAX + 5), Some(VERSION_MAX));
    assert_eq!(agree(VERSION_MAX + 1, VERSION_MAX + 5), None);
    assert_eq!(agree(0, VERSION_MIN - 1), None);
    assert_eq!(agree(3, 2), None);
}

#[test]
fn the_bound_of_a_headers_length_holds() {
    for length in [0, 1, 127, 128, 20_000, 130_000] {
        let header = CallHeader {
            epoch: u64::MAX,
            remaining_ms: u64::MAX,
            version: u32::MAX,
            installation: InstallationId(u128::MAX),
            region: RegionId(u16::MAX),
            body_bytes: Some(u64::MAX),
            message: Bytes::from(vec![1; length]),
            ..sample()
        };
        let bound = header_bytes(&header.method, length);
        assert!(header.encode().len() <= bound, "{length}");
    }
}

proptest! {
    #[test]
    fn a_header_comes_out_of_any_pieces(
        header in prop::collection::vec(any::<u8>(), 0..300),
        body in prop::collection::vec(any::<u8>(), 0..50),
        cuts in prop::collection::vec(0_usize..354, 0..6),
    ) {
        let whole = frame(&header, &body);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        let mut collector = Collector::default();
        let mut found: Option<(Bytes, Vec<u8>)> = None;
        for pair in cuts.windows(2) {
            let piece = whole.slice(pair[0]..pair[1]);
            match &mut found {
                Some((_, rest)) => rest.extend_from_slice(&piece),
                None => if let Some(collected) = collector.push(piece).unwrap() {
                    found = Some((collected.header, collected.rest.to_vec()));
                }
            }
        }
        let (got, rest) = found.unwrap();
        prop_assert_eq!(got, header);
        prop_assert_eq!(rest, body);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = Collector::default().push(bytes.clone());
        if let Ok(header) = CallHeader::decode(bytes.clone()) {
            prop_assert_eq!(CallHeader::decode(header.encode().into()).unwrap(), header);
        }
        let _ = ReplyHeader::decode(bytes.clone());
        let _ = Hello::decode(bytes.clone());
        let _ = Welcome::decode(bytes);
    }

    #[test]
    fn headers_survive_their_bytes(
        version: u32, installation: u128, region: u16, epoch: u64, remaining_ms: u64,
        method in ".{0,20}", message: Vec<u8>, body_bytes: Option<u64>,
    ) {
        let header = CallHeader {
            version, installation: InstallationId(installation), region: RegionId(region), epoch,
            remaining_ms, method, message: message.into(), body_bytes, ..Default::default()
        };
        prop_assert_eq!(CallHeader::decode(header.encode().into()).unwrap(), header);
    }
}
