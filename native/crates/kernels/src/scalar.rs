//! Portable kernels: the fallback on CPUs without a faster table, and the oracle the SIMD kernels are tested against.
//!
//! Sums run in [`LANES`] independent accumulators, which the compiler may turn into vector instructions of the baseline
//! target; a single accumulator would force one addition after another, since `f32` addition may not be reordered.

use crate::{DotAndNorms, Kernels};

const LANES: usize = 8;

pub(crate) static KERNELS: Kernels = Kernels {
    name: "scalar",
    l2_squared,
    dot,
    dot_and_norms,
    l2_squared_many: |query, rows, out| many(l2_squared, query, rows, out),
    dot_many: |query, rows, out| many(dot, query, rows, out),
};

/// Adds `term(a[i], b[i])` over both slices, lane by lane.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one dimension");
    let mut lanes = [0f32; LANES];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (rest_a, rest_b) = (chunks_a.remainder(), chunks_b.remainder());
    for (chunk_a, chunk_b) in chunks_a.zip(chunks_b) {
        for (lane, (&x, &y)) in lanes.iter_mut().zip(chunk_a.iter().zip(chunk_b)) {
            *lane += term(x, y);
        }
    }
    for (lane, (&x, &y)) in lanes.iter_mut().zip(rest_a.iter().zip(rest_b)) {
        *lane += term(x, y);
    }
    lanes.iter().sum()
}

pub(crate) fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |x, y| (x - y) * (x - y))
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |x, y| x * y)
}

pub(crate) fn dot_and_norms(a: &[f32], b: &[f32]) -> DotAndNorms {
    DotAndNorms { dot: dot(a, b), norm_a: dot(a, a), norm_b: dot(b, b) }
}

fn many(kernel: fn(&[f32], &[f32]) -> f32, query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    assert_eq!(rows.len(), out.len(), "one result per row");
    for (slot, row) in out.iter_mut().zip(rows) {
        *slot = kernel(query, row);
    }
}
