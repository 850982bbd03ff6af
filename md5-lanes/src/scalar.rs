//! One body in general registers, on any processor.

use crate::{Block, State};

/// Adds `blocks` to the body.
pub(crate) fn compress(state: &mut State, blocks: &[Block]) {
    let [mut a, mut b, mut c, mut d] = *state;
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        let m: [u32; 16] = std::array::from_fn(|n| u32::from_le_bytes(words[n]));
        let before = [a, b, c, d];
        rounds!(a, b, c, d, m);
        a = a.wrapping_add(before[0]);
        b = b.wrapping_add(before[1]);
        c = c.wrapping_add(before[2]);
        d = d.wrapping_add(before[3]);
    }
    *state = [a, b, c, d];
}

#[inline(always)]
fn f<const S: u32>(a: u32, b: u32, c: u32, d: u32, m: u32, k: u32) -> u32 {
    step::<S>(sum(a, m, k), b, ((c ^ d) & b) ^ d)
}

/// The halves of G have no bit in common, so that they can be added one after the other: only one of
/// them waits for `b`, which is the result of the step before.
#[inline(always)]
fn g<const S: u32>(a: u32, b: u32, c: u32, d: u32, m: u32, k: u32) -> u32 {
    step::<S>(sum(a, m, k).wrapping_add(c & !d), b, b & d)
}

#[inline(always)]
fn h<const S: u32>(a: u32, b: u32, c: u32, d: u32, m: u32, k: u32) -> u32 {
    step::<S>(sum(a, m, k), b, b ^ (c ^ d))
}

#[inline(always)]
fn i<const S: u32>(a: u32, b: u32, c: u32, d: u32, m: u32, k: u32) -> u32 {
    step::<S>(sum(a, m, k), b, c ^ (b | !d))
}

#[inline(always)]
fn sum(a: u32, m: u32, k: u32) -> u32 {
    m.wrapping_add(k).wrapping_add(a)
}

#[inline(always)]
#[allow(
    asm_sub_register,
    reason = "`settled!` names no register in an instruction"
)]
fn step<const S: u32>(early: u32, b: u32, mixed: u32) -> u32 {
    b.wrapping_add(settled!(reg, early).wrapping_add(mixed).rotate_left(S))
}
