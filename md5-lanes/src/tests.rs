use super::*;
use openssl::hash::{MessageDigest, hash};
use proptest::prelude::*;

fn expected(body: &[u8]) -> Digest {
    let md5 = hash(MessageDigest::md5(), body).unwrap();
    md5.as_ref().try_into().unwrap()
}

/// Bytes that differ from place to place, and from seed to seed.
fn body(length: usize, seed: u32) -> Vec<u8> {
    let mut word = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = || {
        word ^= word << 13;
        word ^= word >> 17;
        word ^= word << 5;
        word.to_le_bytes()[1]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Every way to hash side by side that this processor has.
fn all_lanes() -> Vec<Lanes> {
    let lanes: Vec<Lanes> = Kernel::ALL.into_iter().filter_map(Lanes::with).collect();
    assert!(!lanes.is_empty(), "there is always the scalar kernel");
    lanes
}

/// The digests of bodies that come in pieces, all at once.
fn side_by_side(lanes: Lanes, bodies: &[Vec<&[u8]>]) -> Vec<Digest> {
    let mut md5s = vec![Md5::new(); bodies.len()];
    let mut feeds: Vec<_> = md5s
        .iter_mut()
        .zip(bodies)
        .map(|(md5, pieces)| Feed::new(md5, pieces.iter().copied()))
        .collect();
    lanes.update(&mut feeds);
    drop(feeds);
    md5s.into_iter().map(Md5::finish).collect()
}

#[test]
fn digests_are_those_of_rfc_1321() {
    let table = [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("a", "0cc175b9c0f1b6a831c399e269772661"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        (
            "abcdefghijklmnopqrstuvwxyz",
            "c3fcd3d76192e4007dfb496cca67e13b",
        ),
        (
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "d174ab98d277d9f5a5611c2c9f419d9f",
        ),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a",
        ),
    ];
    for (text, digits) in table {
        let found: String = digest(text.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(found, digits, "{text:?}");
    }
}

#[test]
fn every_length_around_a_block_is_padded_right() {
    let bytes = body(300, 1);
    for length in 0..bytes.len() {
        assert_eq!(
            digest(&bytes[..length]),
            expected(&bytes[..length]),
            "{length}"
        );
    }
}

#[test]
fn a_body_alone_is_hashed_alike_in_both_registers() {
    let bytes = body(64 * 20, 2);
    let (blocks, _) = bytes.as_chunks();
    let mut md5 = Md5::new();
    let mut state = md5.state;
    scalar::compress(&mut state, blocks);
    md5.update(&bytes);
    assert_eq!(md5.state, state);
}

#[test]
fn any_number_of_bodies_is_hashed_right() {
    let bodies: Vec<Vec<u8>> = (0..50).map(|n| body(64 * 40, n)).collect();
    for lanes in all_lanes() {
        for count in 0..bodies.len() {
            let whole: Vec<Vec<&[u8]>> = bodies[..count].iter().map(|b| vec![&b[..]]).collect();
            let found = side_by_side(lanes, &whole);
            let right: Vec<Digest> = bodies[..count].iter().map(|b| expected(b)).collect();
            assert_eq!(found, right, "{count} bodies, {lanes:?}");
        }
    }
}

#[test]
fn bodies_of_all_lengths_and_alignments_are_hashed_right() {
    let bytes = body(8_000, 3);
    let ends = [
        0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 121, 127, 128, 129, 4_096, 7_900,
    ];
    let slices: Vec<Vec<&[u8]>> = ends
        .iter()
        .enumerate()
        .map(|(offset, length)| vec![&bytes[offset..offset + length]])
        .collect();
    let right: Vec<Digest> = slices.iter().map(|slice| expected(slice[0])).collect();
    for lanes in all_lanes() {
        assert_eq!(side_by_side(lanes, &slices), right, "{lanes:?}");
    }
}

/// The last block holds the length in bits, modulo 2^64. Bodies are made long by saying that they are.
#[test]
fn lengths_beyond_32_bits_are_counted() {
    let block_of = |length_bytes: u64| {
        let mut md5 = Md5::new();
        md5.length_bytes = length_bytes;
        md5.update(b"abc");
        md5.finish()
    };
    let padded = |length_bits: u64| {
        let mut block = [0; BLOCK_BYTES];
        block[..4].copy_from_slice(b"abc\x80");
        block[56..].copy_from_slice(&length_bits.to_le_bytes());
        let mut state = Md5::new().state;
        scalar::compress(&mut state, &[block]);
        let mut digest = [0; 16];
        for (bytes, word) in digest.chunks_mut(4).zip(state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        digest
    };
    assert_eq!(block_of(0), expected(b"abc"));
    assert_eq!(block_of(0), padded(24));
    assert_eq!(block_of(1 << 29), padded((1 << 32) + 24));
    assert_eq!(block_of(5 << 40), padded((5 << 43) + 24));
    assert_eq!(block_of(1 << 61), padded(24));
}

/// What a body is made of: its length, where it is cut, and how many calls bring it.
#[derive(Debug, Clone)]
struct Shape {
    length: usize,
    cuts: Vec<usize>,
    calls: usize,
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let length = prop_oneof![
        0_usize..200,
        (0_usize..40).prop_map(|blocks| blocks * 64),
        0_usize..6_000,
    ];
    let shape = (
        length,
        prop::collection::vec(0_usize..6_000, 0..6),
        1_usize..4,
    );
    let shape = shape.prop_map(|(length, mut cuts, calls)| {
        cuts.retain(|cut| *cut < length);
        cuts.sort_unstable();
        Shape {
            length,
            cuts,
            calls,
        }
    });
    prop::collection::vec(shape, 0..40)
}

/// The pieces of a body, those of each call together.
fn pieces<'a>(bytes: &'a [u8], shape: &Shape) -> Vec<Vec<&'a [u8]>> {
    let starts = std::iter::once(0).chain(shape.cuts.iter().copied());
    let ends = shape.cuts.iter().copied().chain([bytes.len()]);
    let all: Vec<&[u8]> = starts
        .zip(ends)
        .map(|(start, end)| &bytes[start..end])
        .collect();
    let each = all.len().div_ceil(shape.calls);
    all.chunks(each).map(<[_]>::to_vec).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Bodies of any lengths, in any pieces, which take part in some of the calls only.
    #[test]
    fn interleaved_bodies_are_hashed_right(shapes in shapes()) {
        let bodies: Vec<Vec<u8>> =
            shapes.iter().zip(0..).map(|(shape, seed)| body(shape.length, seed)).collect();
        for lanes in all_lanes() {
            let mut calls: Vec<_> = bodies
                .iter()
                .zip(&shapes)
                .map(|(bytes, shape)| pieces(bytes, shape).into_iter())
                .collect();
            let mut md5s = vec![Md5::new(); bodies.len()];
            loop {
                let mut feeds: Vec<_> = md5s
                    .iter_mut()
                    .zip(&mut calls)
                    .filter_map(|(md5, calls)| Some(Feed::new(md5, calls.next()?.into_iter())))
                    .collect();
                if feeds.is_empty() {
                    break;
                }
                lanes.update(&mut feeds);
            }
            for (md5, bytes) in md5s.into_iter().zip(&bodies) {
                prop_assert_eq!(md5.finish(), expected(bytes), "{:?}", lanes);
            }
        }
    }

    #[test]
    fn a_body_in_pieces_is_hashed_right(shape in shapes()) {
        for (shape, seed) in shape.iter().zip(0..) {
            let bytes = body(shape.length, seed);
            let mut md5 = Md5::new();
            for piece in pieces(&bytes, shape).concat() {
                md5.update(piece);
            }
            prop_assert_eq!(md5.finish(), expected(&bytes));
        }
    }
}
