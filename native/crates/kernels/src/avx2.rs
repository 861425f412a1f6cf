//! AVX2 + FMA kernels: eight lanes, four accumulators (FMA has a latency of four to five cycles and a throughput of two
//! per cycle, so fewer accumulators would wait), unaligned loads because vectors come from anywhere, and one masked load
//! for the last `dim % 8` floats, so that a row's length costs no scalar tail.

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps, _mm256_add_ps,
    _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_maskload_ps, _mm256_setzero_ps, _mm256_sub_ps,
};

use crate::{DotAndNorms, Kernels, prefetch};

static KERNELS: Kernels =
    Kernels { name: "avx2+fma", l2_squared, dot, dot_and_norms, l2_squared_many, dot_many };

/// The table, when this CPU can run it. Nothing else leads to the functions of this module.
pub(crate) fn kernels() -> Option<&'static Kernels> {
    (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(&KERNELS)
}

const LANES: usize = 8;
/// Rows asked for ahead of the one being summed. Two took a third off random reads of 128-dimensional rows.
const PREFETCH_AHEAD: usize = 2;

/// What one kernel does with eight pairs of floats.
trait Term {
    /// `accumulator + term(a, b)`, lane by lane. Must be inlined into a function that enables AVX2 and FMA.
    unsafe fn add(accumulator: __m256, a: __m256, b: __m256) -> __m256;
}

struct SquaredDifference;
struct Product;

impl Term for SquaredDifference {
    #[inline(always)]
    unsafe fn add(accumulator: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller runs on a CPU with AVX2 and FMA (contract of the trait).
        unsafe {
            let difference = _mm256_sub_ps(a, b);
            _mm256_fmadd_ps(difference, difference, accumulator)
        }
    }
}

impl Term for Product {
    #[inline(always)]
    unsafe fn add(accumulator: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_fmadd_ps(a, b, accumulator) }
    }
}

/// Loads the first `count < 8` floats at `from`, zeros in the other lanes.
///
/// # Safety
/// `from` must be readable for `count` floats.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn load_partial(from: *const f32, count: usize) -> __m256 {
    // A window into this table selects the first `count` lanes.
    const WINDOW: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    debug_assert!(count < LANES);
    // SAFETY: `8 - count .. 16 - count` lies inside the table; lanes whose mask is clear are not read from `from`.
    unsafe {
        let mask = _mm256_loadu_si256(WINDOW.as_ptr().add(LANES - count).cast());
        _mm256_maskload_ps(from, mask)
    }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn horizontal_sum(lanes: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn sum<T: Term>(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one dimension");
    let (length, a, b) = (a.len(), a.as_ptr(), b.as_ptr());
    let mut sums = [_mm256_setzero_ps(); 4];
    let mut at = 0;
    // SAFETY: every load below starts at `at` and covers at most `length - at` floats of slices that are `length` long;
    // the features are enabled on this function.
    unsafe {
        while at + 4 * LANES <= length {
            for (lane, total) in sums.iter_mut().enumerate() {
                let from = at + lane * LANES;
                *total = T::add(*total, _mm256_loadu_ps(a.add(from)), _mm256_loadu_ps(b.add(from)));
            }
            at += 4 * LANES;
        }
        while at + LANES <= length {
            sums[0] = T::add(sums[0], _mm256_loadu_ps(a.add(at)), _mm256_loadu_ps(b.add(at)));
            at += LANES;
        }
        if at < length {
            let rest = length - at;
            let (last_a, last_b) = (load_partial(a.add(at), rest), load_partial(b.add(at), rest));
            sums[1] = T::add(sums[1], last_a, last_b);
        }
    }
    horizontal_sum(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])))
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn sum_many<T: Term>(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    assert_eq!(rows.len(), out.len(), "one result per row");
    for row in rows.iter().take(PREFETCH_AHEAD) {
        prefetch(row);
    }
    for (i, (slot, row)) in out.iter_mut().zip(rows).enumerate() {
        if let Some(next) = rows.get(i + PREFETCH_AHEAD) {
            prefetch(next);
        }
        *slot = sum::<T>(query, row);
    }
}

#[target_feature(enable = "avx2,fma")]
fn three_sums(a: &[f32], b: &[f32]) -> DotAndNorms {
    assert_eq!(a.len(), b.len(), "vectors of one dimension");
    let (length, a, b) = (a.len(), a.as_ptr(), b.as_ptr());
    let zero = _mm256_setzero_ps();
    let (mut dot, mut norm_a, mut norm_b) = ([zero; 2], [zero; 2], [zero; 2]);
    let mut add = |half: usize, x: __m256, y: __m256| {
        dot[half] = _mm256_fmadd_ps(x, y, dot[half]);
        norm_a[half] = _mm256_fmadd_ps(x, x, norm_a[half]);
        norm_b[half] = _mm256_fmadd_ps(y, y, norm_b[half]);
    };
    let mut at = 0;
    // SAFETY: as in `sum`.
    unsafe {
        while at + 2 * LANES <= length {
            add(0, _mm256_loadu_ps(a.add(at)), _mm256_loadu_ps(b.add(at)));
            let second = at + LANES;
            add(1, _mm256_loadu_ps(a.add(second)), _mm256_loadu_ps(b.add(second)));
            at += 2 * LANES;
        }
        if at + LANES <= length {
            add(0, _mm256_loadu_ps(a.add(at)), _mm256_loadu_ps(b.add(at)));
            at += LANES;
        }
        if at < length {
            let rest = length - at;
            add(1, load_partial(a.add(at), rest), load_partial(b.add(at), rest));
        }
    }
    let total = |halves: [__m256; 2]| horizontal_sum(_mm256_add_ps(halves[0], halves[1]));
    DotAndNorms { dot: total(dot), norm_a: total(norm_a), norm_b: total(norm_b) }
}

// The faces the table points to. SAFETY of each call: this module's table is given out by `kernels` alone, after it has
// found AVX2 and FMA on this CPU.

fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: features checked by `kernels`.
    unsafe { sum::<SquaredDifference>(a, b) }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: features checked by `kernels`.
    unsafe { sum::<Product>(a, b) }
}

fn dot_and_norms(a: &[f32], b: &[f32]) -> DotAndNorms {
    // SAFETY: features checked by `kernels`.
    unsafe { three_sums(a, b) }
}

fn l2_squared_many(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    // SAFETY: features checked by `kernels`.
    unsafe { sum_many::<SquaredDifference>(query, rows, out) }
}

fn dot_many(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    // SAFETY: features checked by `kernels`.
    unsafe { sum_many::<Product>(query, rows, out) }
}
