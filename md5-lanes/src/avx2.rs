//! Eight bodies in the lanes of AVX2.

use crate::{Block, State};
use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_add_epi32, _mm256_and_si256,
    _mm256_andnot_si256, _mm256_castsi128_si256, _mm256_inserti128_si256, _mm256_loadu_si256,
    _mm256_or_si256, _mm256_set1_epi32, _mm256_slli_epi32, _mm256_srl_epi32, _mm256_storeu_si256,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};

/// Bodies hashed together.
pub(crate) const LANES: usize = 8;

type V = __m256i;

vector_kernel!("avx2");

#[inline]
#[target_feature(enable = "avx2")]
fn add(x: V, y: V) -> V {
    _mm256_add_epi32(x, y)
}

#[inline]
#[target_feature(enable = "avx2")]
fn f<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    let mixed = _mm256_xor_si256(_mm256_and_si256(_mm256_xor_si256(c, d), b), d);
    step::<S>(sum(a, m, k), b, mixed)
}

/// The halves of G have no bit in common: see `scalar.rs`.
#[inline]
#[target_feature(enable = "avx2")]
fn g<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    let early = add(sum(a, m, k), _mm256_andnot_si256(d, c));
    step::<S>(early, b, _mm256_and_si256(b, d))
}

#[inline]
#[target_feature(enable = "avx2")]
fn h<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    step::<S>(sum(a, m, k), b, _mm256_xor_si256(b, _mm256_xor_si256(c, d)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn i<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    let not_d = _mm256_xor_si256(d, _mm256_set1_epi32(-1));
    step::<S>(
        sum(a, m, k),
        b,
        _mm256_xor_si256(c, _mm256_or_si256(b, not_d)),
    )
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum(a: V, m: V, k: u32) -> V {
    add(add(m, _mm256_set1_epi32(k.cast_signed())), a)
}

#[inline]
#[target_feature(enable = "avx2")]
fn step<const S: i32>(early: V, b: V, mixed: V) -> V {
    let sum = add(settled!(ymm_reg, early), mixed);
    let right = _mm256_srl_epi32(sum, _mm_cvtsi32_si128(32 - S));
    add(b, _mm256_or_si256(_mm256_slli_epi32::<S>(sum), right))
}

/// The words from `4 * part` on of the lanes `first` and `first + 4`.
#[inline]
#[target_feature(enable = "avx2")]
fn rows(blocks: &[&Block; LANES], part: usize, first: usize) -> V {
    let v = _mm256_castsi128_si256(row(blocks[first], part));
    _mm256_inserti128_si256::<1>(v, row(blocks[first + 4], part))
}

#[inline]
#[target_feature(enable = "avx2")]
fn row(block: &Block, part: usize) -> __m128i {
    let row: &[u8; 16] = &block.as_chunks().0[part];
    // SAFETY: `row` is 16 readable bytes, and the instruction asks for no alignment.
    unsafe { _mm_loadu_si128(row.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn unpack32(x: V, y: V) -> (V, V) {
    (_mm256_unpacklo_epi32(x, y), _mm256_unpackhi_epi32(x, y))
}

#[inline]
#[target_feature(enable = "avx2")]
fn unpack64(x: V, y: V) -> (V, V) {
    (_mm256_unpacklo_epi64(x, y), _mm256_unpackhi_epi64(x, y))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(words: &[u32; LANES]) -> V {
    // SAFETY: `words` is 32 readable bytes, and the instruction asks for no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(vector: V) -> [u32; LANES] {
    let mut words = [0; LANES];
    // SAFETY: `words` is 32 writable bytes, and the instruction asks for no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) };
    words
}
