//! Distance matrices: the sums of a few queries with four rows stay in registers while their dimensions stream by, so
//! that a load feeds several multiplications.

use std::marker::PhantomData;

use super::floats::Term;
use crate::simd::{Floats, Load};
use crate::tile::{Block, each_block};

const ROWS: usize = 4;

/// The sums of `T` between `Q` queries and four rows.
struct Sums<I, T>(PhantomData<(I, T)>);

/// Fills the matrix in blocks of `Q` queries.
///
/// # Safety
/// See the module above; all vectors are equally long, and `out` holds a number for each pair.
#[inline(always)]
pub(crate) unsafe fn fill<I: Load<f32>, T: Term, const Q: usize>(
    queries: &[&[f32]],
    rows: &[&[f32]],
    out: &mut [f32],
) {
    // SAFETY: the contract is the caller's.
    unsafe { each_block::<Sums<I, T>, Q, ROWS>(queries, rows, out) }
}

impl<I: Load<f32>, T: Term, const Q: usize> Block<Q, ROWS> for Sums<I, T> {
    #[inline(always)]
    unsafe fn sums(queries: [&[f32]; Q], rows: [&[f32]; ROWS]) -> [[f32; ROWS]; Q] {
        let length = rows[0].len();
        let mut out = [[0.0; ROWS]; Q];
        // SAFETY: every load starts at `at` and covers at most `length - at` floats of vectors that are `length` long.
        unsafe {
            let mut sums = [[I::zero(); ROWS]; Q];
            let mut query = [I::zero(); Q];
            let mut at = 0;
            while at + I::LANES <= length {
                for (register, query) in query.iter_mut().zip(queries) {
                    *register = I::load(query.as_ptr().add(at));
                }
                for (j, row) in rows.iter().enumerate() {
                    let row = I::load(row.as_ptr().add(at));
                    for (i, &query) in query.iter().enumerate() {
                        sums[i][j] = T::add::<I>(sums[i][j], query, row);
                    }
                }
                at += I::LANES;
            }
            if at < length {
                for (register, query) in query.iter_mut().zip(queries) {
                    *register = I::load_tail(query);
                }
                for (j, row) in rows.iter().enumerate() {
                    let row = I::load_tail(row);
                    for (i, &query) in query.iter().enumerate() {
                        sums[i][j] = T::add::<I>(sums[i][j], query, row);
                    }
                }
            }
            for (out, sums) in out.iter_mut().zip(sums) {
                *out = <I as Floats>::totals(sums);
            }
        }
        out
    }
}
