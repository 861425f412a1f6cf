//! Distances as a user sees them, computed as pgvector computes them (src/vector.c, halfvec.c, sparsevec.c, bitutils.c):
//! sums in `f32`, counts exact, and the last step in `f64`.

use crate::{DotAndNorms, F16, Sparse, kernels};

/// What "near" means for a pair of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Euclidean distance, SQL `<->`.
    L2,
    /// Negative inner product, SQL `<#>`.
    InnerProduct,
    /// One minus the cosine of the angle, SQL `<=>`.
    Cosine,
    /// Taxicab distance, SQL `<+>`.
    L1,
    /// Bits that differ, SQL `<~>`; of bit strings only.
    Hamming,
    /// One minus shared set bits over all set bits, SQL `<%>`; of bit strings only.
    Jaccard,
}

/// The distance a user sees for `a <op> b`.
///
/// L2 is the root of the `f32` sum; `InnerProduct` is negative, so that smaller is nearer; `Cosine` is
/// `1 - clamp(dot / sqrt(|a|^2 |b|^2), -1, 1)`, NaN when a norm is zero.
///
/// Panics when dimensions differ and under a metric of bit strings.
pub fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let table = kernels();
    match metric {
        Metric::L2 => root(table.f32.l2_squared.pair(a, b)),
        Metric::InnerProduct => -(table.f32.dot.pair(a, b) as f64),
        Metric::Cosine => cosine(table.dot_and_norms.pair(a, b)),
        Metric::L1 => table.f32.l1.pair(a, b) as f64,
        Metric::Hamming | Metric::Jaccard => panic!("a metric of numbers"),
    }
}

/// [`distance`] of `halfvec` values.
pub fn distance_f16(metric: Metric, a: &[F16], b: &[F16]) -> f64 {
    let table = kernels();
    match metric {
        Metric::L2 => root(table.f16.l2_squared.pair(a, b)),
        Metric::InnerProduct => -(table.f16.dot.pair(a, b) as f64),
        Metric::Cosine => cosine(table.f16_dot_and_norms.pair(a, b)),
        Metric::L1 => table.f16.l1.pair(a, b) as f64,
        Metric::Hamming | Metric::Jaccard => panic!("a metric of numbers"),
    }
}

/// [`distance`] of `sparsevec` values of one dimension, which the caller has compared.
pub fn distance_sparse(metric: Metric, a: Sparse<'_>, b: Sparse<'_>) -> f64 {
    match metric {
        Metric::L2 => root(a.l2_squared(b)),
        Metric::InnerProduct => -(a.dot(b) as f64),
        Metric::Cosine => cosine(a.dot_and_norms(b)),
        Metric::L1 => a.l1(b) as f64,
        Metric::Hamming | Metric::Jaccard => panic!("a metric of numbers"),
    }
}

/// The distance of bit strings of one length, in words whose bits past the end are zero. Jaccard is one when no set bit is
/// shared.
///
/// Panics when numbers of words differ and under a metric of numbers.
pub fn distance_bits(metric: Metric, a: &[u64], b: &[u64]) -> f64 {
    let table = kernels();
    match metric {
        Metric::Hamming => table.bits.hamming.pair(a, b) as f64,
        Metric::Jaccard => {
            let shared = table.bits.overlap.pair(a, b);
            if shared.both == 0 { 1.0 } else { 1.0 - shared.both as f64 / shared.either as f64 }
        }
        Metric::L2 | Metric::InnerProduct | Metric::Cosine | Metric::L1 => {
            panic!("a metric of bit strings")
        }
    }
}

fn root(squared: f32) -> f64 {
    (squared as f64).sqrt()
}

fn cosine(sums: DotAndNorms) -> f64 {
    let similarity = sums.dot as f64 / (sums.norm_a as f64 * sums.norm_b as f64).sqrt();
    // `clamp` passes NaN through: a zero vector has no direction.
    1.0 - similarity.clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_distances_follow_pgvector() {
        // The cases of pgvector's own regression test (test/sql/vector_type.sql).
        let (a, b) = ([1.0, 2.0, 3.0], [4.0, 6.0, 3.0]);
        assert_eq!(distance(Metric::L2, &a, &b), 5.0);
        assert_eq!(distance(Metric::InnerProduct, &a, &b), -25.0);
        assert_eq!(distance(Metric::L1, &a, &b), 7.0);
        assert_eq!(distance(Metric::L2, &[0.0, 0.0], &[1.0, 1.0]), std::f64::consts::SQRT_2);
        assert_eq!(distance(Metric::Cosine, &[1.0, 2.0], &[2.0, 4.0]), 0.0);
        assert_eq!(distance(Metric::Cosine, &[1.0, 0.0], &[0.0, 2.0]), 1.0);
        assert_eq!(distance(Metric::Cosine, &[1.0, 1.0], &[-1.0, -1.0]), 2.0);
        assert!(distance(Metric::Cosine, &[0.0, 0.0], &[1.0, 1.0]).is_nan());
        // Sums overflow and underflow in f32, as there.
        assert_eq!(distance(Metric::L2, &[3e38], &[-3e38]), f64::INFINITY);
        assert_eq!(distance(Metric::L1, &[3e38], &[-3e38]), f64::INFINITY);
        assert!(distance(Metric::Cosine, &[3e38, 1.0], &[3e38, 1.0]).is_nan());
        assert_eq!(distance(Metric::Cosine, &[1e-30, 0.0], &[1.0, 0.0]), 0.0);
    }

    #[test]
    fn halves_are_compared_in_full_precision() {
        let halves = |values: [f32; 2]| values.map(F16::from_f32);
        let (a, b) = (halves([65504.0, 1.0]), halves([-65504.0, 4.0]));
        assert_eq!(distance_f16(Metric::L1, &a, &b), 131011.0);
        assert_eq!(distance_f16(Metric::L2, &a, &b), 131008.0);
        assert_eq!(distance_f16(Metric::InnerProduct, &a, &a), -(65504.0 * 65504.0));
        assert_eq!(distance_f16(Metric::Cosine, &a, &a), 0.0);
        assert!(distance_f16(Metric::Cosine, &a, &halves([0.0, 0.0])).is_nan());
    }

    #[test]
    fn bit_strings_follow_pgvector() {
        // test/sql/bit.sql: 1110 and 1100 differ in one bit and share two of three.
        assert_eq!(distance_bits(Metric::Hamming, &[0b0111], &[0b0011]), 1.0);
        assert_eq!(distance_bits(Metric::Jaccard, &[0b0111], &[0b0011]), 1.0 - 2.0 / 3.0);
        assert_eq!(distance_bits(Metric::Jaccard, &[0], &[0]), 1.0);
        assert_eq!(distance_bits(Metric::Jaccard, &[], &[]), 1.0);
    }

    #[test]
    fn a_cosine_distance_is_never_negative() {
        // Rounding may carry the quotient past one.
        for dim in 1..200 {
            let a: Vec<f32> = (0..dim).map(|i| (i as f32 * 0.7).sin() + 0.01).collect();
            let scaled: Vec<f32> = a.iter().map(|x| x * 3.0).collect();
            let actual = distance(Metric::Cosine, &a, &scaled);
            assert!((0.0..1e-5).contains(&actual), "dim {dim}: {actual}");
        }
    }
}
