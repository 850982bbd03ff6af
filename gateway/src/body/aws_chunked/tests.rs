//! AWS's own examples, what real clients send, and every way to be wrong.

use super::fuzz::{decode_any, decode_in_pieces};
use super::*;
use crate::sigv4::{CredentialScope, Seed};
use proptest::prelude::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const CRC32C: &str = "x-amz-checksum-crc32c";

fn scope() -> CredentialScope {
    CredentialScope {
        date: "20130524".into(),
        region: "us-east-1".into(),
        service: "s3".into(),
    }
}

fn signer(seed: &str) -> ChunkSigner {
    let signature = parse_digest(seed.as_bytes()).unwrap();
    ChunkSigner::new(
        SECRET,
        Seed {
            signature,
            timestamp: "20130524T000000Z".into(),
            scope: scope(),
        },
    )
}

/// The example of "Transferring Payload in Multiple Chunks": 65 KiB of `a`.
fn signed_example() -> Vec<u8> {
    let mut wire = Vec::new();
    for (size, signature) in [
        (
            0x10000,
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        ),
        (
            0x400,
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        ),
        (
            0,
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ),
    ] {
        wire.extend(format!("{size:x};chunk-signature={signature}\r\n").bytes());
        wire.extend(std::iter::repeat_n(b'a', size));
        wire.extend(b"\r\n");
    }
    wire
}

fn signed_framing() -> Framing {
    Framing::Signed(signer(
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    ))
}

/// The example of "Including Trailing Headers": the same payload and a CRC-32C.
fn trailer_example(trailers: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for (size, signature) in [
        (
            0x10000,
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        ),
        (
            0x400,
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        ),
    ] {
        wire.extend(format!("{size:x};chunk-signature={signature}\r\n").bytes());
        wire.extend(std::iter::repeat_n(b'a', size));
        wire.extend(b"\r\n");
    }
    let last = "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992";
    wire.extend(format!("0;chunk-signature={last}\r\n{trailers}").bytes());
    wire
}

const TRAILER_SIGNATURE_EXAMPLE: &str =
    "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";

fn trailer_framing() -> Framing {
    let seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    Framing::SignedWithTrailers(signer(seed), vec![CRC32C.into()])
}

fn unsigned(names: &[&str]) -> Framing {
    Framing::UnsignedWithTrailers(names.iter().map(|name| (*name).to_owned()).collect())
}

fn decode_unsigned(wire: &str, len: u64) -> Result<(Vec<u8>, Trailers), PayloadError> {
    decode_in_pieces(unsigned(&[CRC32C]), len, wire.as_bytes(), usize::MAX)
}

#[test]
fn aws_example_of_signed_chunks() {
    for piece_len in [usize::MAX, 65536, 4096, 7] {
        let (payload, trailers) =
            decode_in_pieces(signed_framing(), 66560, &signed_example(), piece_len).unwrap();
        assert_eq!(payload, vec![b'a'; 66560]);
        assert_eq!(trailers, Trailers::default());
    }
}

#[test]
fn aws_example_of_signed_trailers() {
    for lines in [
        format!("{CRC32C}:sOO8/Q==\r\n{TRAILER_SIGNATURE_EXAMPLE}\r\n\r\n"),
        format!("{CRC32C}:sOO8/Q==\r\n{TRAILER_SIGNATURE_EXAMPLE}\r\n"),
        format!("{CRC32C}: sOO8/Q== \r\n{TRAILER_SIGNATURE_EXAMPLE}"),
        // As minio-go writes it.
        format!("{CRC32C}:sOO8/Q==\n\r\n{TRAILER_SIGNATURE_EXAMPLE}\r\n\r\n"),
        format!("X-Amz-Checksum-Crc32c:sOO8/Q==\r\n{TRAILER_SIGNATURE_EXAMPLE}\r\n\r\n"),
    ] {
        let wire = trailer_example(&lines);
        let (payload, trailers) = decode_in_pieces(trailer_framing(), 66560, &wire, 1000).unwrap();
        assert_eq!(payload.len(), 66560);
        assert_eq!(trailers.get(CRC32C), Some("sOO8/Q=="));
        assert_eq!(trailers.iter().count(), 1, "the signature is no trailer");
    }
}

#[test]
fn changed_trailers_do_not_match_their_signature() {
    for lines in [
        format!("{CRC32C}:sOO8/R==\r\n{TRAILER_SIGNATURE_EXAMPLE}\r\n\r\n"),
        format!("{CRC32C}:sOO8/Q==\r\nx-amz-trailer-signature:d81f\r\n\r\n"),
        format!(
            "{CRC32C}:sOO8/Q==\r\n{}0\r\n",
            &TRAILER_SIGNATURE_EXAMPLE[..87]
        ),
    ] {
        let wire = trailer_example(&lines);
        let error = decode_in_pieces(trailer_framing(), 66560, &wire, 5000).unwrap_err();
        assert_eq!(error, PayloadError::TrailerSignature, "{lines}");
        assert_eq!(error.code(), "SignatureDoesNotMatch");
    }
    let wire = trailer_example(&format!("{CRC32C}:sOO8/Q==\r\n\r\n"));
    let error = decode_in_pieces(trailer_framing(), 66560, &wire, 5000).unwrap_err();
    assert_eq!(error.code(), "MalformedTrailerError", "a missing signature");
}

#[test]
fn a_changed_byte_breaks_the_chain_of_chunks() {
    let header_len = "10000;chunk-signature=".len() + 64 + 2;
    for (at, chunk) in [
        (header_len, 1),
        (header_len + 65535, 1),
        (header_len + 65538 + 90, 2),
    ] {
        let mut wire = signed_example();
        assert_eq!(wire[at], b'a');
        wire[at] = b'b';
        let error = decode_in_pieces(signed_framing(), 66560, &wire, 4096).unwrap_err();
        assert_eq!(error, PayloadError::ChunkSignature { chunk });
        assert_eq!(error.status(), 403);
    }
}

#[test]
fn upper_case_signatures_and_sizes_are_understood() {
    let wire = String::from_utf8(signed_example()).unwrap();
    let wire = wire.replace("ad80c730a21e", "AD80C730A21E");
    assert!(decode_in_pieces(signed_framing(), 66560, wire.as_bytes(), 4096).is_ok());
    let wire = format!("A\r\n0123456789\r\n0\r\n{CRC32C}:x\r\n\r\n");
    assert_eq!(decode_unsigned(&wire, 10).unwrap().0, b"0123456789");
}

#[test]
fn unsigned_chunks_as_clients_send_them() {
    let whole = [
        // AWS SDKs.
        format!("5\r\nhello\r\n0\r\n{CRC32C}:AAAA\r\n\r\n"),
        // minio-go.
        format!("5\r\nhello\r\n0\r\n{CRC32C}:AAAA\n\r\n\r\n"),
        // Without the empty line, and with a padded size.
        format!("0000000000000005\r\nhello\r\n0\r\n{CRC32C}:AAAA\r\n"),
        format!("5\r\nhello\r\n000\r\n{CRC32C}:AAAA"),
    ];
    for wire in whole {
        let (payload, trailers) = decode_unsigned(&wire, 5).unwrap();
        assert_eq!(
            (payload.as_slice(), trailers.get(CRC32C)),
            (&b"hello"[..], Some("AAAA"))
        );
    }
    let empty = decode_in_pieces(unsigned(&[]), 0, b"0\r\n\r\n", 1).unwrap();
    assert_eq!(empty, (Vec::new(), Trailers::default()));
}

#[test]
fn broken_framing_is_named() {
    let end = format!("0\r\n{CRC32C}:AAAA\r\n\r\n");
    let table = [
        (format!("5\nhello\r\n{end}"), "IncompleteBody"),
        (format!("5\r\nhello\n{end}"), "IncompleteBody"),
        (format!("5\r\nhelloXX{end}"), "IncompleteBody"),
        (format!("3\r\nhello\r\n{end}"), "IncompleteBody"),
        (format!("6\r\nhello\r\n{end}"), "IncompleteBody"),
        (format!("4\r\nhell\r\n{end}"), "IncompleteBody"),
        (format!("\r\nhello\r\n{end}"), "IncompleteBody"),
        (format!("-5\r\nhello\r\n{end}"), "IncompleteBody"),
        (format!("+5\r\nhello\r\n{end}"), "IncompleteBody"),
        (format!(" 5\r\nhello\r\n{end}"), "IncompleteBody"),
        (format!("0x5\r\nhello\r\n{end}"), "IncompleteBody"),
        (format!("5;a=b\r\nhello\r\n{end}"), "IncompleteBody"),
        (
            format!("00000000000000005\r\nhello\r\n{end}"),
            "IncompleteBody",
        ),
        (
            format!("ffffffffffffffff\r\nhello\r\n{end}"),
            "IncompleteBody",
        ),
        (
            format!("3\r\nhel\r\n2\r\nlo\r\n{end}"),
            "InvalidChunkSizeError",
        ),
        (end.clone(), "IncompleteBody"),
        (String::new(), "IncompleteBody"),
        ("5\r\nhello\r\n".into(), "IncompleteBody"),
        ("5\r\nhello\r\n0\r\n\r\n".into(), "MalformedTrailerError"),
        (
            "5\r\nhello\r\n0\r\nx-other:AAAA\r\n\r\n".into(),
            "MalformedTrailerError",
        ),
        (
            format!("5\r\nhello\r\n0\r\n{CRC32C}\r\n\r\n"),
            "MalformedTrailerError",
        ),
        (
            format!("5\r\nhello\r\n0\r\n{CRC32C}:a\x07b\r\n"),
            "MalformedTrailerError",
        ),
        (
            format!("5\r\nhello\r\n{end}{CRC32C}:AAAA\r\n"),
            "MalformedTrailerError",
        ),
        (
            format!("5\r\nhello\r\n{end}x-extra:1\r\n"),
            "MalformedTrailerError",
        ),
        (
            format!("5\r\nhello\r\n{end}{TRAILER_SIGNATURE_EXAMPLE}\r\n"),
            "MalformedTrailerError",
        ),
        (
            format!("5\r\nhello\r\n{end}{}", "\r\n".repeat(20_000)),
            "MalformedTrailerError",
        ),
        (format!("5{}", "0".repeat(400)), "IncompleteBody"),
    ];
    for (wire, code) in table {
        let shown: String = wire.chars().take(80).collect();
        for piece_len in [1, 3, usize::MAX] {
            let result = decode_in_pieces(unsigned(&[CRC32C]), 5, wire.as_bytes(), piece_len);
            let error = result.expect_err(&shown);
            assert_eq!(error.code(), code, "{shown:?} gave {error}");
        }
    }
}

#[test]
fn signed_chunks_need_their_signature_and_nothing_after_the_last() {
    let (first, last) = ("ad80c730", ";chunk-signature=ad80c730");
    let wire = String::from_utf8(signed_example()).unwrap();
    for broken in [
        wire.replacen(&last.replace(first, ""), ";chunk-signatura=", 1),
        wire.replacen(first, "zd80c730", 1),
        wire.replacen(first, "d80c730", 1),
        wire.replacen("10000;chunk", "10000; chunk", 1),
        format!("{wire}\r\n"),
        format!("{wire}0"),
    ] {
        let error = decode_in_pieces(signed_framing(), 66560, broken.as_bytes(), 999).unwrap_err();
        assert_eq!(error.code(), "IncompleteBody", "{error}");
    }
}

#[test]
fn a_chunk_of_4_gib_streams_through() {
    let len = 1_u64 << 32;
    let mut decoder = Decoder::new(unsigned(&[]), len);
    assert_eq!(
        decoder
            .push(&mut Bytes::from_static(b"100000000\r\n"))
            .unwrap(),
        None
    );
    let piece = Bytes::from(vec![7; 1 << 20]);
    for _ in 0..4096 {
        let mut input = piece.clone();
        let data = decoder.push(&mut input).unwrap().unwrap();
        assert_eq!(
            data.as_ptr(),
            piece.as_ptr(),
            "payload is passed on, not copied"
        );
        assert_eq!(
            (data.len(), input.len(), decoder.held_len()),
            (1 << 20, 0, 0)
        );
    }
    assert_eq!(
        decoder
            .push(&mut Bytes::from_static(b"\r\n0\r\n\r\n"))
            .unwrap(),
        None
    );
    decoder.finish().unwrap();
}

#[test]
fn the_error_of_a_small_chunk_says_which() {
    let error = decode_unsigned("3\r\nhel\r\n2\r\nlo\r\n0\r\n", 5).unwrap_err();
    assert_eq!(
        error,
        PayloadError::ChunkTooSmall {
            chunk: 2,
            bad_len: 3,
            min: 8192
        }
    );
}

fn example(kind: u8) -> (Framing, Vec<u8>, u64) {
    match kind % 3 {
        0 => (signed_framing(), signed_example(), 66560),
        1 => {
            let lines = format!("{CRC32C}:sOO8/Q==\r\n{TRAILER_SIGNATURE_EXAMPLE}\r\n\r\n");
            (trailer_framing(), trailer_example(&lines), 66560)
        }
        _ => {
            let payload = "x".repeat(9000);
            let wire = format!("2328\r\n{payload}\r\n5\r\nhello\r\n0\r\n{CRC32C}:AAAA\r\n\r\n");
            (unsigned(&[CRC32C]), wire.into_bytes(), 9005)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cut_gives_the_same_payload(kind: u8, cuts in prop::collection::vec(0..70_000_usize, 0..40)) {
        let (framing, wire, len) = example(kind);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(wire.len())).collect();
        cuts.sort_unstable();
        cuts.push(wire.len());
        let mut decoder = Decoder::new(framing, len);
        let (mut payload, mut from) = (Vec::new(), 0);
        for cut in cuts {
            let mut input = Bytes::copy_from_slice(&wire[from..cut]);
            while let Some(data) = decoder.push(&mut input).unwrap() {
                payload.extend_from_slice(&data);
            }
            from = cut;
        }
        let (framing, ..) = example(kind);
        let whole = decode_in_pieces(framing, len, &wire, usize::MAX).unwrap();
        prop_assert_eq!((payload, decoder.finish().unwrap()), whole);
    }

    #[test]
    fn a_mutation_never_breaks_a_promise(
        kind: u8,
        at in 0..70_000_usize,
        byte: u8,
        drop_len in 0..3_usize,
        piece_len in 1..5000_usize,
    ) {
        let (framing, mut wire, len) = example(kind);
        let at = at % wire.len();
        let changed = drop_len > 0 || wire[at] != byte;
        wire[at] = byte;
        wire.drain(at..(at + drop_len).min(wire.len()));
        // decode_in_pieces asserts the bounds itself.
        let result = decode_in_pieces(framing, len, &wire, piece_len);
        let (framing, original, _) = example(kind);
        let signed = !matches!(framing, Framing::UnsignedWithTrailers(_));
        if let (true, true, Ok((payload, trailers))) = (signed, changed, result) {
            let same = decode_in_pieces(framing, len, &original, usize::MAX).unwrap();
            prop_assert_eq!((payload, trailers), same, "a signed payload cannot be changed");
        }
    }

    #[test]
    fn any_bytes_are_survived(data in prop::collection::vec(any::<u8>(), 0..600)) {
        decode_any(&data);
    }

    #[test]
    fn any_framing_like_bytes_are_survived(
        head in any::<[u8; 4]>(),
        parts in prop::collection::vec(
            prop_oneof![
                Just("5\r\nhello\r\n".to_owned()), Just("0\r\n".to_owned()), Just("\r\n".to_owned()),
                Just("x-amz-checksum-crc32:AAAA\r\n".to_owned()), "[0-9a-f]{1,4}", ".{0,6}",
            ],
            0..12,
        ),
    ) {
        decode_any(&[head.as_slice(), parts.concat().as_bytes()].concat());
    }
}
