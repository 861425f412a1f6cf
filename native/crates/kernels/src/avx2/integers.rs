//! Integer sums over quantised codes, exact: thirty-two codes a step, products of neighbours added by the multiplication
//! itself into sixteen bits (`maddubs`, codes of seven bits) or thirty-two (`madd`, widened signed codes).
//!
//! The tail is handled as in `dense`: the last thirty-two codes, those already summed masked to zero.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32, _mm256_abs_epi8,
    _mm256_abs_epi16, _mm256_add_epi32, _mm256_and_si256, _mm256_castsi256_si128,
    _mm256_cvtepi8_epi16, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_sad_epu8, _mm256_set1_epi16, _mm256_setzero_si256,
    _mm256_sub_epi8, _mm256_sub_epi16,
};

use crate::forms::Pair;

const LANES: usize = 32;

/// A code of one byte.
trait Byte: Copy + Default + 'static {}
impl Byte for i8 {}
impl Byte for u8 {}

/// Thirty-two codes at `from`.
///
/// # Safety
/// `from` is readable for thirty-two codes; the CPU has AVX2.
#[inline(always)]
unsafe fn load<E: Byte>(from: *const E) -> __m256i {
    // SAFETY: contract of the function; the load needs no alignment.
    unsafe { _mm256_loadu_si256(from.cast()) }
}

/// The last `codes.len() % 32` codes, zeros in the other lanes; which lanes depends on the length alone.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn load_tail<E: Byte>(codes: &[E]) -> __m256i {
    const WINDOW: [i8; 64] = {
        let mut window = [0; 64];
        let mut at = 32;
        while at < 64 {
            window[at] = -1;
            at += 1;
        }
        window
    };
    let count = codes.len() % LANES;
    if codes.len() < LANES {
        let mut padded = [E::default(); LANES];
        padded[..count].copy_from_slice(codes);
        // SAFETY: thirty-two codes.
        return unsafe { load(padded.as_ptr()) };
    }
    // SAFETY: `codes` has thirty-two codes before its end; `count .. count + 32` lies inside the table.
    unsafe {
        let mask = load(WINDOW.as_ptr().add(count));
        _mm256_and_si256(load(codes.as_ptr().add(codes.len() - LANES)), mask)
    }
}

/// The sum of eight `i32` lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn horizontal_sum(lanes: __m256i) -> i32 {
    let four: __m128i =
        _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256::<1>(lanes));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two)))
}

/// What a kernel adds up: eight `i32` lanes out of thirty-two pairs of codes.
trait Term {
    /// # Safety
    /// The CPU has AVX2.
    unsafe fn of(a: __m256i, b: __m256i) -> __m256i;
}

/// # Safety
/// Query and row are equally long; the CPU has AVX2.
#[inline(always)]
unsafe fn sum<T: Term, Q: Byte, R: Byte>(query: &[Q], row: &[R]) -> i32 {
    let (length, q, r) = (row.len(), query.as_ptr(), row.as_ptr());
    // SAFETY: every load starts at `at` and covers at most `length - at` codes of equally long slices.
    unsafe {
        let mut sums = [_mm256_setzero_si256(); 2];
        let mut at = 0;
        while at + 2 * LANES <= length {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let from = at + lane * LANES;
                *sum = _mm256_add_epi32(*sum, T::of(load(q.add(from)), load(r.add(from))));
            }
            at += 2 * LANES;
        }
        if at + LANES <= length {
            sums[0] = _mm256_add_epi32(sums[0], T::of(load(q.add(at)), load(r.add(at))));
            at += LANES;
        }
        if at < length {
            sums[1] = _mm256_add_epi32(sums[1], T::of(load_tail(query), load_tail(row)));
        }
        horizontal_sum(_mm256_add_epi32(sums[0], sums[1]))
    }
}

/// Defines a kernel out of a term.
macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident($query:ty, $row:ty): |$a:ident, $b:ident| $term:expr) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl Term for $name {
            #[inline(always)]
            unsafe fn of($a: __m256i, $b: __m256i) -> __m256i {
                // SAFETY: contract of the trait.
                unsafe { $term }
            }
        }

        impl Pair for $name {
            type Query = $query;
            type Row = $row;
            type Sum = i32;

            #[inline(always)]
            unsafe fn sum(query: &[$query], row: &[$row]) -> i32 {
                // SAFETY: contract of the trait.
                unsafe { sum::<Self, $query, $row>(query, row) }
            }
        }
    };
}

/// The sixteen codes of each half, widened to sixteen bits.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn widen(codes: __m256i) -> [__m256i; 2] {
    // SAFETY: contract of the function.
    unsafe {
        [
            _mm256_cvtepi8_epi16(_mm256_castsi256_si128(codes)),
            _mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(codes)),
        ]
    }
}

/// Neighbouring sixteen-bit sums added into thirty-two bits.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn pairs(sums: __m256i) -> __m256i {
    // SAFETY: contract of the function.
    unsafe { _mm256_madd_epi16(sums, _mm256_set1_epi16(1)) }
}

kernel!(SignedProduct(i8, i8): |a, b| {
    let ([a0, a1], [b0, b1]) = (widen(a), widen(b));
    _mm256_add_epi32(_mm256_madd_epi16(a0, b0), _mm256_madd_epi16(a1, b1))
});

kernel!(SignedSquaredDifference(i8, i8): |a, b| {
    let ([a0, a1], [b0, b1]) = (widen(a), widen(b));
    let (d0, d1) = (_mm256_sub_epi16(a0, b0), _mm256_sub_epi16(a1, b1));
    _mm256_add_epi32(_mm256_madd_epi16(d0, d0), _mm256_madd_epi16(d1, d1))
});

kernel!(SignedAbsoluteDifference(i8, i8): |a, b| {
    let ([a0, a1], [b0, b1]) = (widen(a), widen(b));
    let (d0, d1) = (_mm256_sub_epi16(a0, b0), _mm256_sub_epi16(a1, b1));
    _mm256_add_epi32(pairs(_mm256_abs_epi16(d0)), pairs(_mm256_abs_epi16(d1)))
});

kernel!(
    /// Two products of 127 * 127 fit sixteen bits.
    NarrowProduct(u8, u8): |a, b| pairs(_mm256_maddubs_epi16(a, b))
);

kernel!(
    /// A difference of seven-bit codes fits a signed byte, and its magnitude multiplies like a code.
    NarrowSquaredDifference(u8, u8): |a, b| {
        let difference = _mm256_abs_epi8(_mm256_sub_epi8(a, b));
        pairs(_mm256_maddubs_epi16(difference, difference))
    }
);

kernel!(
    /// The sums of eight magnitudes arrive in sixty-four-bit lanes, whose upper halves are zero.
    NarrowAbsoluteDifference(u8, u8): |a, b| _mm256_sad_epu8(a, b)
);

kernel!(
    /// `maddubs` takes its unsigned operand first: the row.
    MixedProduct(i8, u8): |a, b| pairs(_mm256_maddubs_epi16(b, a))
);
