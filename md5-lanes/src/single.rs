//! One body in vector registers: where AVX-512 works on 128 bits, the function of each step and its
//! rotation are one instruction each, and the chain is shorter than in general registers.

use crate::{Block, State};
use std::arch::x86_64::{
    __cpuid, __m128i, _mm_add_epi32, _mm_cvtsi32_si128, _mm_cvtsi128_si32, _mm_rol_epi32,
    _mm_set1_epi32, _mm_ternarylogic_epi32,
};
use std::sync::LazyLock;

type V = __m128i;

/// Whether this processor can do it, and is faster for it: AMD's wait longer for vector instructions.
pub(crate) fn is_faster() -> bool {
    static IS_FASTER: LazyLock<bool> = LazyLock::new(|| {
        let vendor = __cpuid(0);
        let is_intel = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes) == *INTEL;
        is_intel && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
    });
    *IS_FASTER
}
const INTEL: &[[u8; 4]; 3] = &[*b"Genu", *b"ineI", *b"ntel"];

/// Adds `blocks` to the body.
#[target_feature(enable = "avx512f,avx512vl")]
pub(crate) fn compress(state: &mut State, blocks: &[Block]) {
    let [mut a, mut b, mut c, mut d] = state.map(|word| _mm_cvtsi32_si128(word.cast_signed()));
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        let m: [V; 16] = std::array::from_fn(|n| _mm_cvtsi32_si128(i32::from_le_bytes(words[n])));
        let before = [a, b, c, d];
        rounds!(a, b, c, d, m);
        a = _mm_add_epi32(a, before[0]);
        b = _mm_add_epi32(b, before[1]);
        c = _mm_add_epi32(c, before[2]);
        d = _mm_add_epi32(d, before[3]);
    }
    *state = [a, b, c, d].map(|word| _mm_cvtsi128_si32(word).cast_unsigned());
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn f<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    step::<S, 0b1100_1010>(a, b, c, d, m, k)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn g<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    step::<S, 0b1110_0100>(a, b, c, d, m, k)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn h<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    step::<S, 0b1001_0110>(a, b, c, d, m, k)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn i<const S: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    step::<S, 0b0011_1001>(a, b, c, d, m, k)
}

/// Bit `4b + 2c + d` of the table is the value of the round's function at the bits b, c and d.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn step<const S: i32, const TABLE: i32>(a: V, b: V, c: V, d: V, m: V, k: u32) -> V {
    let early = settled!(
        xmm_reg,
        _mm_add_epi32(_mm_add_epi32(m, _mm_set1_epi32(k.cast_signed())), a)
    );
    let mixed = _mm_ternarylogic_epi32::<TABLE>(b, c, d);
    _mm_add_epi32(b, _mm_rol_epi32::<S>(_mm_add_epi32(early, mixed)))
}
