use super::*;
use proptest::prelude::*;

const KIB: usize = 1024;

fn profile(data: u8, parity: u8) -> ErasureProfile {
    ErasureProfile::new(data, parity).unwrap()
}

fn layout(data: u8, parity: u8, chunk_bytes: usize) -> Layout {
    Layout::new(PgClass::Striped, profile(data, parity), chunk_bytes as u64)
}

#[test]
fn a_range_over_two_stripes() {
    let layout = layout(2, 1, 700 * KIB);
    assert_eq!(layout.stripe_bytes_max, 512 * KIB);
    let parts: Vec<_> = layout.parts(500 * 1024..600 * 1024).collect();
    let expected = [
        StripePart {
            stripe: 0,
            stripe_bytes: 512 * KIB,
            range: 500 * KIB..512 * KIB,
        },
        StripePart {
            stripe: 1,
            stripe_bytes: 188 * KIB,
            range: 0..88 * KIB,
        },
    ];
    assert_eq!(parts, expected);
    assert_eq!(
        cells(profile(2, 1), &parts[0]),
        [CellPart {
            position: 1,
            range: 244 * KIB..256 * KIB,
            blocks: 3..4,
        }]
    );
    // The last stripe has cells of 94 KiB.
    assert_eq!(
        cells(profile(2, 1), &parts[1]),
        [CellPart {
            position: 0,
            range: 0..88 * KIB,
            blocks: 0..2,
        }]
    );
}

#[test]
fn an_empty_range_has_no_parts() {
    assert_eq!(layout(2, 1, 700 * KIB).parts(5..5).count(), 0);
    assert_eq!(layout(2, 1, 0).parts(0..0).count(), 0);
    let end = 512 * 1024;
    assert_eq!(layout(2, 1, 512 * KIB).parts(end..end).count(), 0);
}

#[test]
fn a_small_object_is_one_stripe() {
    let layout = Layout::new(PgClass::Small, profile(1, 2), 400 * 1024);
    let parts: Vec<_> = layout.parts(0..400 * 1024).collect();
    assert_eq!(parts.len(), 1);
    assert_eq!(cells(profile(1, 2), &parts[0])[0].blocks, 0..7);
}

/// Where one byte of a chunk stands: stripe, position, byte of the cell.
fn place(layout: Layout, at: usize) -> (usize, usize, usize) {
    let stripe = at / layout.stripe_bytes_max;
    let first = stripe * layout.stripe_bytes_max;
    let held = (layout.chunk_bytes as usize - first).min(layout.stripe_bytes_max);
    let cell = held.div_ceil(layout.profile.data());
    (stripe, (at - first) / cell, (at - first) % cell)
}

proptest! {
    #[test]
    fn every_byte_of_a_range_is_named_once_and_in_order(
        data in 1_u8..9,
        chunk_bytes in 1_usize..(5 * 1024 * KIB),
        start: prop::sample::Index,
        length in 1_usize..(600 * KIB),
    ) {
        let layout = layout(data, 1, chunk_bytes);
        let start = start.index(chunk_bytes);
        let end = (start + length).min(chunk_bytes);
        let mut at = start;
        for part in layout.parts(start as u64..end as u64) {
            for cell in cells(layout.profile, &part) {
                prop_assert!(!cell.range.is_empty());
                let first = (part.stripe as usize, cell.position, cell.range.start);
                let last = (part.stripe as usize, cell.position, cell.range.end - 1);
                prop_assert_eq!(place(layout, at), first);
                at += cell.range.len();
                prop_assert_eq!(place(layout, at - 1), last);
                let cell_bytes = layout.profile.cell_bytes(part.stripe_bytes);
                let bytes = block_bytes(&cell.blocks, cell_bytes);
                prop_assert!(bytes.start <= cell.range.start && cell.range.end <= bytes.end);
                prop_assert!(bytes.len() < cell.range.len() + 2 * BLOCK_BYTES);
            }
        }
        prop_assert_eq!(at, end);
    }
}
