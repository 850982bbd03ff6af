//! Tests of the envelope: fixed bytes, and every damage noticed.

use super::*;

#[test]
fn bytes_are_pinned() {
    assert_eq!(hex(&seal(b"key", 0x0102, b"payload")), GOLDEN);
}

const GOLDEN: &str = "0100000000000001027061796c6f6164631fe9fb6e609e62";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_may_be_written_follows_the_finalised_format() {
    let first = seal_as(FormatVersion::FIRST, b"key", 9, b"payload");
    assert_eq!(first, seal(b"key", 9, b"payload"));
    let newest = seal_as(FormatVersion::NEWEST, b"key", 9, b"payload");
    assert_eq!(newest[0], FORMAT);
    assert_eq!(open_slice(b"key", &newest), Ok((9, b"payload".as_slice())));
}

#[test]
fn opens_what_it_sealed() {
    let sealed = Bytes::from(seal(b"key", 9, b"payload"));
    let opened = open(b"key", &sealed).unwrap();
    assert_eq!(
        (opened.seq, opened.payload.as_ref()),
        (9, b"payload".as_slice())
    );
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let sealed = seal(b"key", 9, b"payload");
    for bit in 0..sealed.len() * 8 {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            open(b"key", &damaged.into()),
            Err(EnvelopeError::Checksum),
            "bit {bit}"
        );
    }
    for cut in 0..sealed.len() {
        assert!(
            open(b"key", &Bytes::copy_from_slice(&sealed[..cut])).is_err(),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_value_under_another_key_is_noticed() {
    let sealed = Bytes::from(seal(b"key", 9, b"payload"));
    assert_eq!(open(b"kex", &sealed), Err(EnvelopeError::Checksum));
}

#[test]
fn a_later_format_is_named() {
    let mut sealed = seal(b"key", 9, b"payload");
    sealed[0] = FORMAT + 1;
    let end = sealed.len() - CHECKSUM_BYTES;
    let sum = checksum(b"key", &sealed[..end]).to_be_bytes();
    sealed[end..].copy_from_slice(&sum);
    assert_eq!(
        open(b"key", &sealed.into()),
        Err(EnvelopeError::UnknownFormat(FORMAT + 1))
    );
}
