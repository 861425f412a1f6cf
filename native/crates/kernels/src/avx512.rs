//! x86-64 CPUs with AVX-512 F, BW, VL, VNNI and VPOPCNTDQ: Intel's servers since Ice Lake (2021), AMD's since Zen 4 (2022).
//! Older ones lack the instructions that make codes and bits fast, and slow their clock under long registers; they run
//! the AVX2 table.
//!
//! Tails are masked loads: they read nothing past the end and cost no more than a whole register.

#![allow(clippy::wildcard_imports, reason = "intrinsics carry their set in their names")]

use std::arch::x86_64::*;

use crate::half::F16;
use crate::simd::{Codes, Floats, Load, Words, table};

pub(crate) struct Avx512;

// Thirty-two registers: twenty sums, five queries and a row, and a difference.
table!(
    Avx512,
    "avx512",
    "avx512f,avx512bw,avx512vl,avx512vnni,avx512vpopcntdq,avx2,fma,f16c,popcnt",
    tiles of 5 and 5
);

pub(crate) fn is_supported() -> bool {
    crate::avx2::is_supported()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512vpopcntdq")
}

/// A mask of the first `count` lanes, and where they begin: the tail of a slice in registers of `lanes`.
#[inline(always)]
fn tail<E>(slice: &[E], lanes: usize) -> (u64, *const E) {
    let count = slice.len() % lanes;
    ((1 << count) - 1, slice[slice.len() - count..].as_ptr())
}

impl Floats for Avx512 {
    type Floats = __m512;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        // SAFETY: contract of the trait.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: contract of the trait.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn subtract(a: __m512, b: __m512) -> __m512 {
        // SAFETY: contract of the trait.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply_add(sum: __m512, a: __m512, b: __m512) -> __m512 {
        // SAFETY: contract of the trait.
        unsafe { _mm512_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    unsafe fn magnitude(a: __m512) -> __m512 {
        // SAFETY: contract of the trait.
        unsafe { _mm512_abs_ps(a) }
    }

    #[inline(always)]
    unsafe fn total(lanes: __m512) -> f32 {
        // SAFETY: contract of the trait.
        unsafe { _mm512_reduce_add_ps(lanes) }
    }

    #[inline(always)]
    unsafe fn totals([a, b, c, d]: [__m512; 4]) -> [f32; 4] {
        let mut totals = [0.0; 4];
        // SAFETY: contract of the trait; four floats are written. Each step halves the lanes of every sum.
        unsafe {
            let lanes =
                _mm256_hadd_ps(_mm256_hadd_ps(fold(a), fold(b)), _mm256_hadd_ps(fold(c), fold(d)));
            let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
            _mm_storeu_ps(totals.as_mut_ptr(), four);
        }
        totals
    }
}

/// The upper half of the lanes added to the lower.
#[inline(always)]
unsafe fn fold(lanes: __m512) -> __m256 {
    // SAFETY: contract of the traits.
    unsafe {
        let pairs = _mm512_castps_pd(lanes);
        let (low, high) = (_mm512_castpd512_pd256(pairs), _mm512_extractf64x4_pd::<1>(pairs));
        _mm256_add_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high))
    }
}

/// Implements [`Load`] by a masked load and what makes floats of it; without a tail every lane is loaded.
macro_rules! load {
    ($element:ty, |$mask:ident, $from:ident| $load:expr) => {
        impl Load<$element> for Avx512 {
            #[inline(always)]
            unsafe fn load($from: *const $element) -> __m512 {
                let $mask = !0;
                // SAFETY: contract of the trait; no load here needs alignment.
                unsafe { $load }
            }

            #[inline(always)]
            unsafe fn load_tail(vector: &[$element]) -> __m512 {
                let (mask, $from) = tail(vector, <Self as Floats>::LANES);
                let $mask = mask as u16;
                // SAFETY: lanes whose mask is clear are not read; contract of the trait.
                unsafe { $load }
            }
        }
    };
}

load!(f32, |mask, from| _mm512_maskz_loadu_ps(mask, from));
load!(F16, |mask, from| _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, from.cast())));
load!(i8, |mask, from| {
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, from)))
});
load!(u8, |mask, from| {
    _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, from.cast())))
});

/// The codes of each half, widened to sixteen bits.
#[inline(always)]
unsafe fn widen(codes: __m512i) -> [__m512i; 2] {
    // SAFETY: contract of the traits.
    unsafe {
        [
            _mm512_cvtepi8_epi16(_mm512_castsi512_si256(codes)),
            _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64::<1>(codes)),
        ]
    }
}

/// `sums` and neighbouring products of sixteen bits, which cannot overflow thirty-two. Not VNNI's one instruction for both:
/// it saves an addition, and Miri could not check what it does.
#[inline(always)]
unsafe fn add_products(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: contract of the traits.
    unsafe { _mm512_add_epi32(sums, _mm512_madd_epi16(a, b)) }
}

impl Codes for Avx512 {
    type Codes = __m512i;
    type Sums = __m512i;
    const LANES: usize = 64;

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_loadu_epi8(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_tail(codes: &[u8]) -> __m512i {
        let (mask, from) = tail(codes, <Self as Codes>::LANES);
        // SAFETY: lanes whose mask is clear are not read; contract of the trait.
        unsafe { _mm512_maskz_loadu_epi8(mask, from.cast()) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn total(sums: __m512i) -> i32 {
        // SAFETY: contract of the trait.
        unsafe { _mm512_reduce_add_epi32(sums) }
    }

    #[inline(always)]
    unsafe fn signed_product(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe {
            let ([a0, a1], [b0, b1]) = (widen(a), widen(b));
            add_products(add_products(sums, a0, b0), a1, b1)
        }
    }

    #[inline(always)]
    unsafe fn signed_square(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe {
            let ([a0, a1], [b0, b1]) = (widen(a), widen(b));
            let (d0, d1) = (_mm512_sub_epi16(a0, b0), _mm512_sub_epi16(a1, b1));
            add_products(add_products(sums, d0, d0), d1, d1)
        }
    }

    /// Shifted by 128, signed codes are unsigned ones with the same differences.
    #[inline(always)]
    unsafe fn signed_magnitude(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe {
            let shift = _mm512_set1_epi8(-128);
            Self::narrow_magnitude(sums, _mm512_xor_si512(a, shift), _mm512_xor_si512(b, shift))
        }
    }

    #[inline(always)]
    unsafe fn narrow_product(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_dpbusd_epi32(sums, a, b) }
    }

    /// A difference of seven-bit codes fits a signed byte, and its magnitude multiplies like a code.
    #[inline(always)]
    unsafe fn narrow_square(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe {
            let difference = _mm512_abs_epi8(_mm512_sub_epi8(a, b));
            _mm512_dpbusd_epi32(sums, difference, difference)
        }
    }

    /// The instruction sums eight magnitudes into sixty-four bits, whose upper half stays zero.
    #[inline(always)]
    unsafe fn narrow_magnitude(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_add_epi32(sums, _mm512_sad_epu8(a, b)) }
    }

    #[inline(always)]
    unsafe fn mixed_product(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_dpbusd_epi32(sums, b, a) }
    }
}

impl Words for Avx512 {
    type Words = __m512i;
    /// Words.
    type Counts = __m512i;
    type Sums = __m512i;
    const LANES: usize = 8;
    const LEAST: usize = 3;

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u64) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_loadu_epi64(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_tail(words: &[u64]) -> __m512i {
        let (mask, from) = tail(words, <Self as Words>::LANES);
        // SAFETY: lanes whose mask is clear are not read; contract of the trait.
        unsafe { _mm512_maskz_loadu_epi64(mask as u8, from.cast()) }
    }

    #[inline(always)]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_and_si512(a, b) }
    }

    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    unsafe fn xor(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    unsafe fn count(words: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_popcnt_epi64(words) }
    }

    #[inline(always)]
    unsafe fn double_and_add(counts: __m512i, more: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_add_epi64(_mm512_add_epi64(counts, counts), more) }
    }

    #[inline(always)]
    unsafe fn add(sums: __m512i, counts: __m512i) -> __m512i {
        // SAFETY: contract of the trait.
        unsafe { _mm512_add_epi64(sums, counts) }
    }

    #[inline(always)]
    unsafe fn total(sums: __m512i) -> u32 {
        // SAFETY: contract of the trait.
        unsafe { _mm512_reduce_add_epi64(sums) as u32 }
    }
}

/// # Safety
/// The slices are equally long; the CPU has the table's features.
unsafe fn to_f16(from: &[f32], into: &mut [F16]) {
    // SAFETY: the features include those of AVX2's table. Conversion waits for memory at any width.
    unsafe { crate::avx2::to_f16(from, into) }
}

/// # Safety
/// The slices are equally long; the CPU has the table's features.
unsafe fn from_f16(from: &[F16], into: &mut [f32]) {
    // SAFETY: as above.
    unsafe { crate::avx2::from_f16(from, into) }
}
