//! Distances as a user sees them.

use crate::kernels;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_distances_follow_pgvector() {
        // The cases of pgvector's own regression test (test/sql/vector_type.sql).
        let (a, b) = ([1.0, 2.0, 3.0], [4.0, 6.0, 3.0]);
        assert_eq!(distance(Metric::L2, &a, &b), 5.0);
        assert_eq!(distance(Metric::InnerProduct, &a, &b), -25.0);
        assert_eq!(distance(Metric::L2, &[0.0, 0.0], &[1.0, 1.0]), std::f64::consts::SQRT_2);
        assert_eq!(distance(Metric::Cosine, &[1.0, 2.0], &[2.0, 4.0]), 0.0);
        assert_eq!(distance(Metric::Cosine, &[1.0, 0.0], &[0.0, 2.0]), 1.0);
        assert_eq!(distance(Metric::Cosine, &[1.0, 1.0], &[-1.0, -1.0]), 2.0);
        assert!(distance(Metric::Cosine, &[0.0, 0.0], &[1.0, 1.0]).is_nan());
        // Sums overflow and underflow in f32, as there.
        assert_eq!(distance(Metric::L2, &[3e38], &[-3e38]), f64::INFINITY);
        assert!(distance(Metric::Cosine, &[3e38, 1.0], &[3e38, 1.0]).is_nan());
        assert_eq!(distance(Metric::Cosine, &[1e-30, 0.0], &[1.0, 0.0]), 0.0);
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
