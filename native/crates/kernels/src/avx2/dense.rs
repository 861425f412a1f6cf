//! Floating point sums: eight lanes, four accumulators (FMA has a latency of four to five cycles and a throughput of two
//! per cycle, so fewer accumulators would wait) and unaligned loads, because vectors come from anywhere.
//!
//! The last `dim % 8` elements cost no scalar loop: eight elements that end with the vector are loaded and those already
//! summed are masked to zero. A vector shorter than eight goes through a buffer.

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadl_epi64, _mm_loadu_si128, _mm_movehl_ps,
    _mm_shuffle_ps, _mm256_add_ps, _mm256_and_ps, _mm256_andnot_ps, _mm256_castps256_ps128,
    _mm256_castsi256_ps, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32,
    _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_sub_ps,
};
use std::marker::PhantomData;

use crate::DotAndNorms;
use crate::forms::Pair;
use crate::half::F16;

pub(super) const LANES: usize = 8;

/// An element of which eight become eight floats.
pub(super) trait Lanes: Copy + Default + 'static {
    /// # Safety
    /// `from` is readable for eight elements; the CPU has AVX2 and F16C.
    unsafe fn load(from: *const Self) -> __m256;
}

impl Lanes for f32 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> __m256 {
        // SAFETY: contract of the trait; the load needs no alignment.
        unsafe { _mm256_loadu_ps(from) }
    }
}

impl Lanes for F16 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }
}

impl Lanes for i8 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))) }
    }
}

impl Lanes for u8 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()))) }
    }
}

/// What a kernel adds up.
pub(super) trait Term: 'static {
    /// `sum + term(a, b)`, lane by lane; zero where both are zero.
    ///
    /// # Safety
    /// The CPU has AVX2 and FMA.
    unsafe fn add(sum: __m256, a: __m256, b: __m256) -> __m256;
}

pub(super) struct SquaredDifference;
pub(super) struct Product;
pub(super) struct AbsoluteDifference;

impl Term for SquaredDifference {
    #[inline(always)]
    unsafe fn add(sum: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: contract of the trait.
        unsafe {
            let difference = _mm256_sub_ps(a, b);
            _mm256_fmadd_ps(difference, difference, sum)
        }
    }
}

impl Term for Product {
    #[inline(always)]
    unsafe fn add(sum: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: contract of the trait.
        unsafe { _mm256_fmadd_ps(a, b, sum) }
    }
}

impl Term for AbsoluteDifference {
    #[inline(always)]
    unsafe fn add(sum: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: contract of the trait. Minus zero is the sign bit alone.
        unsafe {
            let difference = _mm256_sub_ps(a, b);
            _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0), difference))
        }
    }
}

/// The last `vector.len() % 8` elements with zeros in the other lanes. Which lanes they take depends on the length alone,
/// so that two vectors of one length match. The remainder is not empty.
///
/// # Safety
/// The CPU has AVX2 and F16C.
#[inline(always)]
pub(super) unsafe fn load_tail<E: Lanes>(vector: &[E]) -> __m256 {
    // A window into this table selects the last `count` lanes.
    const WINDOW: [i32; 16] = [0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1];
    let count = vector.len() % LANES;
    if vector.len() < LANES {
        let mut padded = [E::default(); LANES];
        padded[..count].copy_from_slice(vector);
        // SAFETY: eight elements; features as the caller promised.
        return unsafe { E::load(padded.as_ptr()) };
    }
    // SAFETY: `vector` has eight elements before its end; `count .. count + 8` lies inside the table.
    unsafe {
        let mask = _mm256_loadu_si256(WINDOW.as_ptr().add(count).cast());
        let last = E::load(vector.as_ptr().add(vector.len() - LANES));
        _mm256_and_ps(last, _mm256_castsi256_ps(mask))
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn horizontal_sum(lanes: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

/// The sum of `T` over a query of `Q` and a row of `R`.
pub(super) struct Floats<T, Q, R>(PhantomData<(T, Q, R)>);

impl<T: Term, Q: Lanes, R: Lanes> Pair for Floats<T, Q, R> {
    type Query = Q;
    type Row = R;
    type Sum = f32;

    #[inline(always)]
    unsafe fn sum(query: &[Q], row: &[R]) -> f32 {
        let (length, q, r) = (row.len(), query.as_ptr(), row.as_ptr());
        // SAFETY: query and row are equally long (contract of the trait); every load starts at `at` and covers at most
        // `length - at` elements.
        unsafe {
            let mut sums = [_mm256_setzero_ps(); 4];
            let mut at = 0;
            while at + 4 * LANES <= length {
                for (lane, sum) in sums.iter_mut().enumerate() {
                    let from = at + lane * LANES;
                    *sum = T::add(*sum, Q::load(q.add(from)), R::load(r.add(from)));
                }
                at += 4 * LANES;
            }
            // At most three more: each has an accumulator of its own, so that none waits for another.
            for sum in &mut sums[..3] {
                if at + LANES > length {
                    break;
                }
                *sum = T::add(*sum, Q::load(q.add(at)), R::load(r.add(at)));
                at += LANES;
            }
            if at < length {
                sums[3] = T::add(sums[3], load_tail(query), load_tail(row));
            }
            horizontal_sum(_mm256_add_ps(
                _mm256_add_ps(sums[0], sums[1]),
                _mm256_add_ps(sums[2], sums[3]),
            ))
        }
    }
}

/// The dot product of two vectors and the squared norms of both.
pub(super) struct Norms<E>(PhantomData<E>);

impl<E: Lanes> Pair for Norms<E> {
    type Query = E;
    type Row = E;
    type Sum = DotAndNorms;

    #[inline(always)]
    unsafe fn sum(query: &[E], row: &[E]) -> DotAndNorms {
        let (length, q, r) = (row.len(), query.as_ptr(), row.as_ptr());
        // SAFETY: query and row are equally long (contract of the trait); every load starts at `at` and covers at most
        // `length - at` elements.
        unsafe {
            let zero = _mm256_setzero_ps();
            let mut sums = [[zero; 3]; 2];
            let add = |[dot, norm_q, norm_r]: &mut [__m256; 3], x: __m256, y: __m256| {
                *dot = Product::add(*dot, x, y);
                *norm_q = Product::add(*norm_q, x, x);
                *norm_r = Product::add(*norm_r, y, y);
            };
            let mut at = 0;
            while at + 2 * LANES <= length {
                add(&mut sums[0], E::load(q.add(at)), E::load(r.add(at)));
                let second = at + LANES;
                add(&mut sums[1], E::load(q.add(second)), E::load(r.add(second)));
                at += 2 * LANES;
            }
            if at + LANES <= length {
                add(&mut sums[0], E::load(q.add(at)), E::load(r.add(at)));
                at += LANES;
            }
            if at < length {
                add(&mut sums[1], load_tail(query), load_tail(row));
            }
            let total = |i: usize| horizontal_sum(_mm256_add_ps(sums[0][i], sums[1][i]));
            DotAndNorms { dot: total(0), norm_a: total(1), norm_b: total(2) }
        }
    }
}
