//! Where the bytes of a chunk stand: stripe, cell and block of any range. Pure.

use std::ops::Range;
use types::limits::{BLOCK_BYTES, CELL_BYTES, SMALL_BYTES_CAP};
use types::{ErasureProfile, PgClass};

/// Object bytes of a full stripe in a group of this class and profile.
pub(crate) fn stripe_bytes_max(class: PgClass, profile: ErasureProfile) -> usize {
    match class {
        PgClass::Striped | PgClass::Fallback => profile.data() * CELL_BYTES,
        PgClass::Small => SMALL_BYTES_CAP,
    }
}

/// Blocks of a cell.
pub(crate) fn block_count(cell_bytes: usize) -> u32 {
    u32::try_from(cell_bytes.div_ceil(BLOCK_BYTES)).expect("a cell is at most 512 KiB")
}

/// Bytes of the cell that stand in `blocks` of it.
pub(crate) fn block_bytes(blocks: &Range<u32>, cell_bytes: usize) -> Range<usize> {
    let start = (blocks.start as usize * BLOCK_BYTES).min(cell_bytes);
    start..(blocks.end as usize * BLOCK_BYTES).min(cell_bytes)
}

/// The shape of one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub profile: ErasureProfile,
    /// Object bytes of a full stripe.
    pub stripe_bytes_max: usize,
    /// Object bytes of the chunk as it was written.
    pub chunk_bytes: u64,
}

/// Part of one stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StripePart {
    pub stripe: u32,
    /// Object bytes in the whole stripe.
    pub stripe_bytes: usize,
    /// Bytes wanted, from the stripe's first one on; never empty.
    pub range: Range<usize>,
}

/// Part of one data cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CellPart {
    pub position: usize,
    /// Bytes wanted, from the cell's first one on; never empty.
    pub range: Range<usize>,
    /// The blocks that hold them.
    pub blocks: Range<u32>,
}

impl Layout {
    pub fn new(class: PgClass, profile: ErasureProfile, chunk_bytes: u64) -> Self {
        let stripe_bytes_max = stripe_bytes_max(class, profile);
        Self {
            profile,
            stripe_bytes_max,
            chunk_bytes,
        }
    }

    /// The stripes that hold `range` of the chunk's bytes, in order, with what is wanted of each.
    pub fn parts(self, range: Range<u64>) -> impl Iterator<Item = StripePart> + Send {
        let full = self.stripe_bytes_max as u64;
        let stripes = if range.is_empty() {
            0..0
        } else {
            range.start / full..range.end.div_ceil(full)
        };
        stripes.map(move |stripe| {
            let first = stripe * full;
            let held = full.min(self.chunk_bytes - first);
            let within = |at: u64| at.saturating_sub(first).min(held) as usize;
            StripePart {
                stripe: u32::try_from(stripe).expect("a chunk has at most a few hundred stripes"),
                stripe_bytes: held as usize,
                range: within(range.start)..within(range.end),
            }
        })
    }
}

/// The data cells that hold `range` of a stripe's bytes, in order.
pub(crate) fn cells(profile: ErasureProfile, part: &StripePart) -> Vec<CellPart> {
    let length = profile.cell_bytes(part.stripe_bytes);
    let range = &part.range;
    (range.start / length..range.end.div_ceil(length))
        .map(|position| {
            let first = position * length;
            let start = range.start.saturating_sub(first);
            let end = (range.end - first).min(length);
            CellPart {
                position,
                range: start..end,
                blocks: (start / BLOCK_BYTES) as u32..block_count(end),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
