//! Distance kernels over dense `f32` vectors, chosen once per process for the CPU at hand.
//!
//! Every distance the engine computes, in an index or in an exact scan, goes through the one table that [`kernels`]
//! returns: the same pair of vectors gives the same bits whatever plan asked. The `*_many` kernels run a whole neighbour
//! list inside one `#[target_feature]` function, so that dispatch is paid per list and the next vectors are prefetched
//! while the current one is summed; each of their results equals the single-pair kernel's bit for bit.
//!
//! [`distance`] gives the values a user sees, computed as pgvector computes them: sums in `f32`, the last step in `f64`.
//!
//! Not here: storage, ids, quantised codes. Adding an instruction set means adding a module with one [`Kernels`] constant
//! and a line in `detect`; `scalar` stays as the fallback and as the oracle of the tests.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;

use std::sync::OnceLock;

/// What "near" means for a pair of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Euclidean distance, SQL `<->`.
    L2,
    /// Negative inner product, SQL `<#>`.
    InnerProduct,
    /// One minus the cosine of the angle, SQL `<=>`.
    Cosine,
}

/// `sum(a * b)`, `sum(a * a)` and `sum(b * b)` of one pass over both vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DotAndNorms {
    pub dot: f32,
    pub norm_a: f32,
    pub norm_b: f32,
}

/// One implementation of every kernel. All functions panic when lengths differ: callers check dimensions where vectors
/// enter the engine.
#[derive(Clone, Copy)]
pub struct Kernels {
    /// The instruction set, for diagnostics.
    pub name: &'static str,
    /// `sum((a - b)^2)`.
    pub l2_squared: fn(&[f32], &[f32]) -> f32,
    /// `sum(a * b)`.
    pub dot: fn(&[f32], &[f32]) -> f32,
    /// Dot product and both squared norms together: cosine of vectors nobody has normalised.
    pub dot_and_norms: fn(&[f32], &[f32]) -> DotAndNorms,
    /// `out[i] = l2_squared(query, rows[i])`; `out` is as long as `rows`.
    pub l2_squared_many: fn(&[f32], &[&[f32]], &mut [f32]),
    /// `out[i] = dot(query, rows[i])`; `out` is as long as `rows`.
    pub dot_many: fn(&[f32], &[&[f32]], &mut [f32]),
}

/// The kernels for this CPU. Detection runs on the first call only.
pub fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    CHOSEN.get_or_init(detect)
}

fn detect() -> &'static Kernels {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = avx2::kernels() {
        return avx2;
    }
    &scalar::KERNELS
}

/// The distance a user sees for `a <op> b`.
///
/// L2 is the root of the `f32` sum; `InnerProduct` is negative, so that smaller is nearer; `Cosine` is
/// `1 - clamp(dot / sqrt(|a|^2 |b|^2), -1, 1)`, NaN when a norm is zero. This follows pgvector's `l2_distance`,
/// `vector_negative_inner_product` and `cosine_distance` (src/vector.c), down to which steps are done in `f64`.
pub fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let table = kernels();
    match metric {
        Metric::L2 => ((table.l2_squared)(a, b) as f64).sqrt(),
        Metric::InnerProduct => -((table.dot)(a, b) as f64),
        Metric::Cosine => {
            let sums = (table.dot_and_norms)(a, b);
            let similarity = sums.dot as f64 / (sums.norm_a as f64 * sums.norm_b as f64).sqrt();
            // `clamp` passes NaN through: a zero vector has no direction.
            1.0 - similarity.clamp(-1.0, 1.0)
        }
    }
}

/// Asks the CPU to load the first cache lines of `row`. A hint: no effect on results, none at all off x86-64.
#[inline(always)]
pub fn prefetch(row: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // Hardware prefetchers follow a sequential read after its first lines; asking for many more would only fill the
        // load queue.
        const FLOATS_PER_LINE: usize = 16;
        const MAX_LINES: usize = 8;
        for line in row.chunks(FLOATS_PER_LINE).take(MAX_LINES) {
            // SAFETY: the address comes from a live slice, and prefetch cannot fault on any address anyway.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

#[cfg(test)]
mod tests;
