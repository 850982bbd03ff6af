//! The entry for fuzzing the decoder: one byte string decides the framing, how the rest is cut
//! into pieces, and the rest itself.

use super::{Decoder, Framing, MAX_TRAILERS_LEN, Trailers};
use crate::body::PayloadError;
use crate::sigv4::{ChunkSigner, CredentialScope, Seed};
use bytes::Bytes;

/// Decodes `wire` in pieces of `piece_len` bytes (0 counts as 1) and returns the payload and the
/// trailers.
///
/// # Errors
/// What the decoder says.
///
/// # Panics
/// When the decoder breaks a promise: it held too much, returned an empty piece, or more payload
/// than declared. That is what fuzzing looks for.
pub fn decode_in_pieces(
    framing: Framing,
    declared_len: u64,
    wire: &[u8],
    piece_len: usize,
) -> Result<(Vec<u8>, Trailers), PayloadError> {
    let mut decoder = Decoder::new(framing, declared_len);
    let mut payload = Vec::new();
    for piece in wire.chunks(piece_len.max(1)) {
        let mut input = Bytes::copy_from_slice(piece);
        while let Some(data) = decoder.push(&mut input)? {
            assert!(!data.is_empty(), "a piece of payload is never empty");
            payload.extend_from_slice(&data);
            assert!(
                payload.len() as u64 <= declared_len,
                "more payload than declared"
            );
        }
        assert!(
            input.is_empty(),
            "push returns None only when the input is used up"
        );
        assert!(
            decoder.held_len() <= MAX_TRAILERS_LEN,
            "the decoder holds too much"
        );
    }
    let trailers = decoder.finish()?;
    assert_eq!(
        payload.len() as u64,
        declared_len,
        "success means all that was declared"
    );
    Ok((payload, trailers))
}

/// Decodes whatever `data` describes. The first byte chooses the framing, the second the size of
/// the pieces, the next two the declared length (little endian); the rest is the body.
///
/// # Panics
/// As [`decode_in_pieces`], and when the cut into pieces changes the result.
pub fn decode_any(data: &[u8]) {
    let [kind, piece_len, low, high, wire @ ..] = data else {
        return;
    };
    let declared_len = u64::from(u16::from_le_bytes([*low, *high]));
    let decode = |piece_len| {
        decode_in_pieces(any_framing(*kind), declared_len, wire, piece_len)
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        decode(usize::from(*piece_len)),
        decode(usize::MAX),
        "pieces change nothing"
    );
}

fn any_framing(kind: u8) -> Framing {
    let scope = CredentialScope {
        date: "20130524".into(),
        region: "us-east-1".into(),
        service: "s3".into(),
    };
    let seed = Seed {
        signature: [0; 32],
        timestamp: "20130524T000000Z".into(),
        scope,
    };
    let signer = || ChunkSigner::new("secret", seed);
    let names = || vec!["x-amz-checksum-crc32".to_owned()];
    match kind % 3 {
        0 => Framing::UnsignedWithTrailers(names()),
        1 => Framing::Signed(signer()),
        _ => Framing::SignedWithTrailers(signer(), names()),
    }
}
