//! Sixteen bodies in the lanes of AVX-512, which has what MD5 wants: rotation, and any function of
//! three bits in one instruction.

use crate::{Block, State};
use std::arch::x86_64::{
    __m128i, __m512i, _mm_loadu_si128, _mm512_add_epi32, _mm512_castsi128_si512,
    _mm512_inserti32x4, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32,
    _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

/// Bodies hashed together.
pub(crate) const LANES: usize = 16;

type V = __m512i;

vector_kernel!("avx512f");

#[inline]
#[target_feature(enable = "avx512f")]
fn add(x: V, y: V) -> V {
    _mm512_add_epi32(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn f<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    step::<S, 0b1100_1010>(a, b, c, d, m, k)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn g<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    step::<S, 0b1110_0100>(a, b, c, d, m, k)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn h<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    step::<S, 0b1001_0110>(a, b, c, d, m, k)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn i<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    step::<S, 0b0011_1001>(a, b, c, d, m, k)
}

/// Bit `4b + 2c + d` of the table is the value of the round's function at the bits b, c and d.
#[inline]
#[target_feature(enable = "avx512f")]
fn step<const S: i32, const TABLE: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    let early = settled!(zmm_reg, add(add(m, _mm512_set1_epi32(k.cast_signed())), a));
    let mixed = _mm512_ternarylogic_epi32::<TABLE>(b, c, d);
    add(b, _mm512_rol_epi32::<S>(add(early, mixed)))
}

/// The words from `4 * part` on of the lanes `first`, `first + 4` and so on.
#[inline]
#[target_feature(enable = "avx512f")]
fn rows(blocks: &[&Block; LANES], part: usize, first: usize) -> V {
    let v = _mm512_castsi128_si512(row(blocks[first], part));
    let v = _mm512_inserti32x4::<1>(v, row(blocks[first + 4], part));
    let v = _mm512_inserti32x4::<2>(v, row(blocks[first + 8], part));
    _mm512_inserti32x4::<3>(v, row(blocks[first + 12], part))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn row(block: &Block, part: usize) -> __m128i {
    let row: &[u8; 16] = &block.as_chunks().0[part];
    // SAFETY: `row` is 16 readable bytes, and the instruction asks for no alignment.
    unsafe { _mm_loadu_si128(row.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn unpack32(x: V, y: V) -> (V, V) {
    (_mm512_unpacklo_epi32(x, y), _mm512_unpackhi_epi32(x, y))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn unpack64(x: V, y: V) -> (V, V) {
    (_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u32; LANES]) -> V {
    // SAFETY: `words` is 64 readable bytes, and the instruction asks for no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(vector: V) -> [u32; LANES] {
    let mut words = [0; LANES];
    // SAFETY: `words` is 64 writable bytes, and the instruction asks for no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) };
    words
}
