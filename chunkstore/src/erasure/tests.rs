use super::*;
use proptest::prelude::*;
use std::time::Duration;
use types::Clock;
use types::clock::SystemClock;
use types::entropy::{Entropy, SeededEntropy};

fn profile(data: u8, parity: u8) -> ErasureProfile {
    ErasureProfile::new(data, parity).unwrap()
}

/// Multiplication in GF(2^8) with polynomial 0x11d, bit by bit.
fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1d };
        b >>= 1;
    }
    product
}

fn power(base: u8, exponent: usize) -> u8 {
    (0..exponent).fold(1, |product, _| multiply(product, base))
}

/// `top` inverted by Gauss-Jordan elimination.
fn invert(mut top: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let size = top.len();
    for (number, row) in top.iter_mut().enumerate() {
        row.extend((0..size).map(|column| u8::from(column == number)));
    }
    for column in 0..size {
        let pivot = (column..size).find(|row| top[*row][column] != 0).unwrap();
        top.swap(column, pivot);
        let inverse = power(top[column][column], 254);
        for value in &mut top[column] {
            *value = multiply(*value, inverse);
        }
        let pivot = top[column].clone();
        for (number, row) in top.iter_mut().enumerate() {
            let factor = row[column];
            if number != column {
                for (value, above) in row.iter_mut().zip(&pivot) {
                    *value ^= multiply(factor, *above);
                }
            }
        }
    }
    top.into_iter().map(|row| row[size..].to_vec()).collect()
}

/// The lower rows of the matrix as JavaReedSolomon makes it: a Vandermonde matrix times the inverse of
/// its top.
fn parity_rows(profile: ErasureProfile) -> Vec<Vec<u8>> {
    let (k, n) = (profile.data(), profile.shards());
    let row = |r: usize| (0..k).map(|c| power(r as u8, c)).collect::<Vec<u8>>();
    let vandermonde: Vec<Vec<u8>> = (0..n).map(row).collect();
    let top = invert(vandermonde[..k].to_vec());
    let times_top = |row: &Vec<u8>| {
        let column = |c: usize| (0..k).fold(0, |sum, i| sum ^ multiply(row[i], top[i][c]));
        (0..k).map(column).collect()
    };
    vandermonde[k..].iter().map(times_top).collect()
}

fn code_naively(rows: &[Vec<u8>], data: &[Bytes]) -> Vec<Bytes> {
    let cell = |row: &Vec<u8>| {
        let byte =
            |at: usize| (row.iter().zip(data)).fold(0, |sum, (f, c)| sum ^ multiply(*f, c[at]));
        (0..data[0].len()).map(byte).collect()
    };
    rows.iter().map(cell).collect()
}

/// The matrix itself: what unit vectors are coded to.
fn coded_unit_vectors(profile: ErasureProfile) -> Vec<Vec<u8>> {
    let k = profile.data();
    let cell = |row: usize| (0..64).map(|at| u8::from(at % k == row)).collect();
    let data: Vec<Bytes> = (0..k).map(cell).collect();
    let parity = Codec::of(profile).parity(&data);
    let first = |cell: &Bytes| cell[..k].to_vec();
    parity.iter().map(first).collect()
}

#[test]
fn the_matrices_are_fixed() {
    let golden: [(ErasureProfile, &[&[u8]]); 6] = [
        (profile(1, 0), &[]),
        (profile(1, 2), &[&[1], &[1]]),
        (profile(2, 2), &[&[0x03, 0x02], &[0x02, 0x03]]),
        (profile(3, 2), &[&[0x01, 0x01, 0x01], &[0x0f, 0x08, 0x06]]),
        (
            profile(4, 2),
            &[&[0x1b, 0x1c, 0x12, 0x14], &[0x1c, 0x1b, 0x14, 0x12]],
        ),
        (
            profile(8, 4),
            &[
                &[0x1a, 0x84, 0xba, 0x33, 0xe7, 0x10, 0xc6, 0x27],
                &[0x84, 0x1a, 0x33, 0xba, 0x10, 0xe7, 0x27, 0xc6],
                &[0xba, 0x33, 0x1a, 0x84, 0xc6, 0x27, 0xe7, 0x10],
                &[0x33, 0xba, 0x84, 0x1a, 0x27, 0xc6, 0x10, 0xe7],
            ],
        ),
    ];
    for (profile, rows) in golden {
        assert_eq!(coded_unit_vectors(profile), rows, "{profile}");
        assert_eq!(parity_rows(profile), rows, "{profile}, made anew");
    }
}

#[test]
fn every_profile_has_the_matrix_of_the_construction() {
    for (data, parity) in [
        (1, 1),
        (1, 3),
        (2, 1),
        (5, 4),
        (6, 3),
        (9, 6),
        (16, 16),
        (28, 4),
    ] {
        let profile = profile(data, parity);
        assert_eq!(
            coded_unit_vectors(profile),
            parity_rows(profile),
            "{profile}"
        );
    }
}

fn cells(count: usize, length: usize, seed: u64) -> Vec<Bytes> {
    let entropy = SeededEntropy::new(seed);
    let cell = |_| {
        let mut bytes = vec![0; length];
        entropy.fill(&mut bytes);
        Bytes::from(bytes)
    };
    (0..count).map(cell).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_k_cells_give_the_others_back(
        (data, parity) in prop_oneof![
            Just((1, 0)), Just((1, 1)), Just((1, 2)), Just((2, 2)), Just((3, 2)), Just((4, 2)),
            Just((8, 4)), Just((9, 6)),
        ],
        length in 1_usize..300,
        seed: u64,
        lost in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
        data_only: bool,
    ) {
        let profile = profile(data, parity);
        let mut all = cells(profile.data(), length, seed);
        let coded = Codec::of(profile).parity(&all);
        prop_assert_eq!(&coded, &code_naively(&parity_rows(profile), &all));
        all.extend(coded);
        let mut some: Vec<Option<Bytes>> = all.iter().cloned().map(Some).collect();
        for index in lost {
            some[index.index(profile.shards())] = None;
        }
        let present = some.iter().flatten().count();
        let rebuilt = Codec::of(profile).rebuild(some, data_only);
        if present < profile.data() {
            prop_assert_eq!(rebuilt, Err(TooFewCells { profile, present }));
        } else {
            let count = if data_only { profile.data() } else { profile.shards() };
            let rebuilt: Vec<_> = rebuilt.unwrap().into_iter().take(count).collect();
            let whole: Vec<_> = all.into_iter().take(count).map(Some).collect();
            prop_assert_eq!(rebuilt, whole);
        }
    }
}

#[test]
fn a_stripe_is_cut_into_even_cells_and_padded_with_zeros() {
    let stripe = Bytes::from_static(b"abcdefghij");
    let cells = split(&stripe, profile(4, 2));
    assert_eq!(cells, [&b"abc"[..], b"def", b"ghi", b"j\0\0"]);
    assert_eq!(
        cells[1].as_ptr(),
        stripe[3..].as_ptr(),
        "a full cell is not copied"
    );
    let stripe = Bytes::from_static(b"abcde");
    assert_eq!(
        split(&stripe, profile(4, 2)),
        [&b"ab"[..], b"cd", b"e\0", b"\0\0"]
    );
    assert_eq!(split(&stripe, profile(1, 2)), [&b"abcde"[..]]);
}

#[test]
fn copies_are_not_copied() {
    let data = [Bytes::from(vec![7; 100])];
    let copies = Codec::of(profile(1, 2)).parity(&data);
    assert!(copies.iter().all(|copy| copy.as_ptr() == data[0].as_ptr()));
    assert_eq!(copies.len(), 2);
}

#[test]
fn this_machine_can_code() {
    assert_eq!(require_cpu(), Ok(()));
}

/// Coding by one table look-up a byte is what the coding crate does without its feature `simd-accel`,
/// and takes about ten times as long as with it.
#[test]
fn coding_uses_simd() {
    let clock = SystemClock::new();
    let time = |work: &mut dyn FnMut()| -> Duration {
        // The shortest of many runs, so that other load on the machine does not count.
        let run = |_| {
            let start = clock.monotonic();
            work();
            clock.monotonic() - start
        };
        (0..40).map(run).min().unwrap()
    };
    let data = cells(4, 16 * 1024, 3);
    let codec = Codec::of(profile(4, 2));
    let coding = time(&mut || {
        std::hint::black_box(codec.parity(std::hint::black_box(&data)));
    });
    let tables: Vec<Vec<[u8; 256]>> = parity_rows(profile(4, 2))
        .iter()
        .map(|row| {
            let table = |factor: &u8| std::array::from_fn(|byte| multiply(*factor, byte as u8));
            row.iter().map(table).collect()
        })
        .collect();
    let mut out = vec![0_u8; 16 * 1024];
    let looking_up = time(&mut || {
        for row in &tables {
            out.fill(0);
            for (table, cell) in row.iter().zip(std::hint::black_box(&data)) {
                for (sum, byte) in out.iter_mut().zip(cell) {
                    *sum ^= table[usize::from(*byte)];
                }
            }
            std::hint::black_box(&out);
        }
    });
    assert!(
        coding * 3 < looking_up,
        "coding took {coding:?}, table look-ups {looking_up:?}: is `simd-accel` off?"
    );
}
