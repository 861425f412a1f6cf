//! x86-64 CPUs with AVX2, FMA, F16C and POPCNT: every one since 2013 (Intel) or 2015 (AMD).

#![allow(clippy::wildcard_imports, reason = "intrinsics carry their set in their names")]

use std::arch::x86_64::*;

use crate::half::F16;
use crate::simd::{Codes, Floats, Load, Words, table};

pub(crate) struct Avx2;

// Sixteen registers: twelve sums, three queries and a row; a difference needs one of its own.
table!(Avx2, "avx2+fma", "avx2,fma,f16c,popcnt", tiles of 3 and 2);

pub(crate) fn is_supported() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("popcnt")
}

/// Zeros and then ones: a register loaded at `count` selects its last `count` lanes.
static WINDOW: [i8; 64] = {
    let mut window = [0; 64];
    let mut at = 32;
    while at < 64 {
        window[at] = -1;
        at += 1;
    }
    window
};

/// The mask of the last `count` lanes of `lane_bytes` each, in a register of 32 bytes.
#[inline(always)]
unsafe fn last_lanes(count: usize, lane_bytes: usize) -> __m256i {
    debug_assert!(count * lane_bytes <= 32);
    // SAFETY: 32 bytes from at most 32 lie inside the window; contract of the traits.
    unsafe { _mm256_loadu_si256(WINDOW.as_ptr().add(count * lane_bytes).cast()) }
}

impl Floats for Avx2 {
    type Floats = __m256;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> __m256 {
        // SAFETY: contract of the trait.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: contract of the trait.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn subtract(a: __m256, b: __m256) -> __m256 {
        // SAFETY: contract of the trait.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply_add(sum: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: contract of the trait.
        unsafe { _mm256_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    unsafe fn magnitude(a: __m256) -> __m256 {
        // SAFETY: contract of the trait. Minus zero is the sign bit alone.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }

    #[inline(always)]
    unsafe fn total(lanes: __m256) -> f32 {
        // SAFETY: contract of the trait.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    unsafe fn totals([a, b, c, d]: [__m256; 4]) -> [f32; 4] {
        let mut totals = [0.0; 4];
        // SAFETY: contract of the trait; four floats are written.
        unsafe {
            let lanes = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
            let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
            _mm_storeu_ps(totals.as_mut_ptr(), four);
        }
        totals
    }
}

/// The tail of any element: eight elements that end with the vector, those already summed masked to zero, or, of a
/// vector shorter than that, a padded copy.
#[inline(always)]
unsafe fn floats_tail<E: Copy + Default>(vector: &[E]) -> __m256
where
    Avx2: Load<E>,
{
    const LANES: usize = <Avx2 as Floats>::LANES;
    let count = vector.len() % LANES;
    // SAFETY: `vector` has eight elements before its end, or the copy has; contract of the traits.
    unsafe {
        if vector.len() < LANES {
            let mut padded = [E::default(); LANES];
            padded[LANES - count..].copy_from_slice(vector);
            return <Avx2 as Load<E>>::load(padded.as_ptr());
        }
        let last = <Avx2 as Load<E>>::load(vector.as_ptr().add(vector.len() - LANES));
        _mm256_and_ps(last, _mm256_castsi256_ps(last_lanes(count, 4)))
    }
}

/// Implements [`Load`] by an expression over the pointer.
macro_rules! load {
    ($element:ty, |$from:ident| $load:expr) => {
        impl Load<$element> for Avx2 {
            #[inline(always)]
            unsafe fn load($from: *const $element) -> __m256 {
                // SAFETY: contract of the trait; no load here needs alignment.
                unsafe { $load }
            }

            #[inline(always)]
            unsafe fn load_tail(vector: &[$element]) -> __m256 {
                // SAFETY: contract of the trait.
                unsafe { floats_tail(vector) }
            }
        }
    };
}

load!(f32, |from| _mm256_loadu_ps(from));
load!(F16, |from| _mm256_cvtph_ps(_mm_loadu_si128(from.cast())));
load!(i8, |from| _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))));
load!(u8, |from| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()))));

/// The codes of each half, widened to sixteen bits.
#[inline(always)]
unsafe fn widen(codes: __m256i) -> [__m256i; 2] {
    // SAFETY: contract of the traits.
    unsafe {
        [
            _mm256_cvtepi8_epi16(_mm256_castsi256_si128(codes)),
            _mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(codes)),
        ]
    }
}

/// `sums` and neighbouring products of sixteen bits, which cannot overflow thirty-two.
#[inline(always)]
unsafe fn add_products(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: contract of the traits.
    unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(a, b)) }
}

/// `sums` and the products of unsigned and signed codes. Neighbours are added in sixteen bits: what is below 127 in
/// magnitude cannot overflow them, nor 127 with -128.
#[inline(always)]
unsafe fn add_narrow_products(sums: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
    // SAFETY: contract of the traits.
    unsafe { add_products(sums, _mm256_maddubs_epi16(unsigned, signed), _mm256_set1_epi16(1)) }
}

impl Codes for Avx2 {
    type Codes = __m256i;
    type Sums = __m256i;
    const LANES: usize = 32;

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_tail(codes: &[u8]) -> __m256i {
        const LANES: usize = <Avx2 as Codes>::LANES;
        let count = codes.len() % LANES;
        // SAFETY: there are thirty-two codes before the end, or in the copy; contract of the trait.
        unsafe {
            if codes.len() < LANES {
                let mut padded = [0u8; LANES];
                padded[LANES - count..].copy_from_slice(codes);
                return _mm256_loadu_si256(padded.as_ptr().cast());
            }
            let last = _mm256_loadu_si256(codes.as_ptr().add(codes.len() - LANES).cast());
            _mm256_and_si256(last, last_lanes(count, 1))
        }
    }

    #[inline(always)]
    unsafe fn add(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn total(sums: __m256i) -> i32 {
        // SAFETY: contract of the trait.
        unsafe {
            let halves = (_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
            let four = _mm_add_epi32(halves.0, halves.1);
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
            _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two)))
        }
    }

    #[inline(always)]
    unsafe fn signed_product(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe {
            let ([a0, a1], [b0, b1]) = (widen(a), widen(b));
            add_products(add_products(sums, a0, b0), a1, b1)
        }
    }

    #[inline(always)]
    unsafe fn signed_square(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe {
            let ([a0, a1], [b0, b1]) = (widen(a), widen(b));
            let (d0, d1) = (_mm256_sub_epi16(a0, b0), _mm256_sub_epi16(a1, b1));
            add_products(add_products(sums, d0, d0), d1, d1)
        }
    }

    /// Shifted by 128, signed codes are unsigned ones with the same differences.
    #[inline(always)]
    unsafe fn signed_magnitude(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe {
            let shift = _mm256_set1_epi8(-128);
            Self::narrow_magnitude(sums, _mm256_xor_si256(a, shift), _mm256_xor_si256(b, shift))
        }
    }

    #[inline(always)]
    unsafe fn narrow_product(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { add_narrow_products(sums, a, b) }
    }

    /// A difference of seven-bit codes fits a signed byte, and its magnitude multiplies like a code.
    #[inline(always)]
    unsafe fn narrow_square(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe {
            let difference = _mm256_abs_epi8(_mm256_sub_epi8(a, b));
            add_narrow_products(sums, difference, difference)
        }
    }

    /// The instruction sums eight magnitudes into sixty-four bits, whose upper half stays zero.
    #[inline(always)]
    unsafe fn narrow_magnitude(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { _mm256_add_epi32(sums, _mm256_sad_epu8(a, b)) }
    }

    #[inline(always)]
    unsafe fn mixed_product(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { add_narrow_products(sums, b, a) }
    }
}

/// Bits are counted with a table of sixteen counts and a byte shuffle (W. Mula, N. Kurz, D. Lemire, "Faster population
/// counts using AVX2 instructions", 2016), which costs less than four POPCNTs a register.
impl Words for Avx2 {
    type Words = __m256i;
    /// Bytes.
    type Counts = __m256i;
    type Sums = __m256i;
    const LANES: usize = 4;
    const LEAST: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u64) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_tail(words: &[u64]) -> __m256i {
        const LANES: usize = <Avx2 as Words>::LANES;
        let count = words.len() % LANES;
        // SAFETY: lanes whose mask is clear are not read, and the others end with the slice; an address before the slice
        // is only computed. Contract of the trait.
        unsafe {
            let start = words.as_ptr().wrapping_add(words.len()).wrapping_sub(LANES);
            _mm256_maskload_epi64(start.cast(), last_lanes(count, 8))
        }
    }

    #[inline(always)]
    unsafe fn and(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { _mm256_and_si256(a, b) }
    }

    #[inline(always)]
    unsafe fn or(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { _mm256_or_si256(a, b) }
    }

    #[inline(always)]
    unsafe fn xor(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    unsafe fn count(words: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe {
            let counts = _mm256_setr_epi8(
                0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, //
                0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
            );
            let nibble = _mm256_set1_epi8(0x0f);
            let low = _mm256_and_si256(words, nibble);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(words), nibble);
            _mm256_add_epi8(_mm256_shuffle_epi8(counts, low), _mm256_shuffle_epi8(counts, high))
        }
    }

    #[inline(always)]
    unsafe fn double_and_add(counts: __m256i, more: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { _mm256_add_epi8(_mm256_add_epi8(counts, counts), more) }
    }

    #[inline(always)]
    unsafe fn add(sums: __m256i, counts: __m256i) -> __m256i {
        // SAFETY: contract of the trait.
        unsafe { _mm256_add_epi64(sums, _mm256_sad_epu8(counts, _mm256_setzero_si256())) }
    }

    #[inline(always)]
    unsafe fn total(sums: __m256i) -> u32 {
        // SAFETY: contract of the trait.
        unsafe {
            let halves = (_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
            let two = _mm_add_epi64(halves.0, halves.1);
            _mm_cvtsi128_si64(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two))) as u32
        }
    }
}

/// F16C rounds and treats NaNs as [`F16::from_f32`] does.
///
/// # Safety
/// The slices are equally long; the CPU has F16C.
#[target_feature(enable = "avx2,f16c")]
pub(crate) unsafe fn to_f16(from: &[f32], into: &mut [F16]) {
    let (from, rest) = from.as_chunks::<8>();
    let (into, into_rest) = into.as_chunks_mut::<8>();
    for (from, into) in from.iter().zip(into) {
        // SAFETY: eight floats are read and eight halves written.
        unsafe {
            let values = _mm256_loadu_ps(from.as_ptr());
            let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(values);
            _mm_storeu_si128(into.as_mut_ptr().cast(), halves);
        }
    }
    into_rest.iter_mut().zip(rest).for_each(|(half, &value)| *half = F16::from_f32(value));
}

/// # Safety
/// The slices are equally long; the CPU has F16C.
#[target_feature(enable = "avx2,f16c")]
pub(crate) unsafe fn from_f16(from: &[F16], into: &mut [f32]) {
    let (from, rest) = from.as_chunks::<8>();
    let (into, into_rest) = into.as_chunks_mut::<8>();
    for (from, into) in from.iter().zip(into) {
        // SAFETY: eight halves are read and eight floats written.
        unsafe {
            let values = _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast()));
            _mm256_storeu_ps(into.as_mut_ptr(), values);
        }
    }
    into_rest.iter_mut().zip(rest).for_each(|(value, half)| *value = half.to_f32());
}
