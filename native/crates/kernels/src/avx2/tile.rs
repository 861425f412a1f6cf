//! Distance matrices: the sums of a few queries with four rows stay in registers while their dimensions stream by, so
//! that a load feeds several multiplications.

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_storeu_ps, _mm256_castps256_ps128, _mm256_extractf128_ps,
    _mm256_hadd_ps, _mm256_loadu_ps, _mm256_setzero_ps,
};

use super::dense::{LANES, Product, SquaredDifference, Term, load_tail};
use crate::tile::each_block;

const ROWS: usize = 4;
/// Twelve sums, three queries and a row are the sixteen registers.
const DOT_QUERIES: usize = 3;
/// A difference needs a register of its own.
const L2_QUERIES: usize = 2;

/// # Safety
/// As for [`crate::Tile::l2_squared`], its checks done; the CPU has AVX2, FMA and F16C.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn l2_squared(queries: &[&[f32]], rows: &[&[f32]], out: &mut [f32]) {
    // SAFETY: all vectors are equally long (contract of the function).
    each_block::<L2_QUERIES, ROWS>(queries, rows, out, |queries, rows| unsafe {
        block::<SquaredDifference, L2_QUERIES>(queries, rows)
    });
}

/// # Safety
/// As for [`crate::Tile::dot`], its checks done; the CPU has AVX2, FMA and F16C.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn dot(queries: &[&[f32]], rows: &[&[f32]], out: &mut [f32]) {
    // SAFETY: all vectors are equally long (contract of the function).
    each_block::<DOT_QUERIES, ROWS>(queries, rows, out, |queries, rows| unsafe {
        block::<Product, DOT_QUERIES>(queries, rows)
    });
}

/// # Safety
/// All vectors are equally long; the CPU has AVX2, FMA and F16C.
#[inline(always)]
unsafe fn block<T: Term, const Q: usize>(
    queries: [&[f32]; Q],
    rows: [&[f32]; ROWS],
) -> [[f32; ROWS]; Q] {
    let length = rows[0].len();
    // SAFETY: every load covers eight floats before the end of vectors that are `length` long.
    unsafe {
        let mut sums = [[_mm256_setzero_ps(); ROWS]; Q];
        let mut at = 0;
        while at + LANES <= length {
            let query: [__m256; Q] =
                std::array::from_fn(|i| _mm256_loadu_ps(queries[i].as_ptr().add(at)));
            for (j, row) in rows.iter().enumerate() {
                let row = _mm256_loadu_ps(row.as_ptr().add(at));
                for (i, &query) in query.iter().enumerate() {
                    sums[i][j] = T::add(sums[i][j], query, row);
                }
            }
            at += LANES;
        }
        if at < length {
            let query = queries.map(|query| load_tail(query));
            for (j, row) in rows.iter().enumerate() {
                let row = load_tail(row);
                for (i, &query) in query.iter().enumerate() {
                    sums[i][j] = T::add(sums[i][j], query, row);
                }
            }
        }
        sums.map(|sums| four_sums(sums))
    }
}

/// The sums of the lanes of four registers.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn four_sums([a, b, c, d]: [__m256; ROWS]) -> [f32; ROWS] {
    let mut out = [0.0; ROWS];
    // SAFETY: four floats are written; features as the caller promised.
    unsafe {
        let lanes = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
        let sums = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
        _mm_storeu_ps(out.as_mut_ptr(), sums);
    }
    out
}
