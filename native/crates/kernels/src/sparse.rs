//! Sparse vectors: only the dimensions that are not zero are stored.
//!
//! Portable code for every CPU: a merge of two sorted lists. Its steps have no branches that depend on the data, since
//! which list moves on is a coin toss that no predictor learns. Sums run in `f32` in the order of the dimensions, as
//! pgvector's do.

use crate::DotAndNorms;

/// A sparse vector, borrowed: dimensions in strictly increasing order, and a value for each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sparse<'a> {
    indices: &'a [u32],
    values: &'a [f32],
}

impl<'a> Sparse<'a> {
    /// Panics when there is not one value for each dimension. The order is the caller's promise: dimensions out of order
    /// give a wrong sum, nothing worse.
    pub fn new(indices: &'a [u32], values: &'a [f32]) -> Self {
        assert_eq!(indices.len(), values.len(), "a value for each dimension");
        debug_assert!(indices.is_sorted_by(|a, b| a < b), "dimensions in order");
        Self { indices, values }
    }

    /// Dimensions that are not zero.
    pub fn indices(self) -> &'a [u32] {
        self.indices
    }

    /// Their values, in the same order.
    pub fn values(self) -> &'a [f32] {
        self.values
    }

    /// `sum((a - b)^2)`.
    pub fn l2_squared(self, other: Self) -> f32 {
        let square = |v: f32| v * v;
        self.merge(other, |a, b| square(a - b), square)
    }

    /// `sum(|a - b|)`.
    pub fn l1(self, other: Self) -> f32 {
        self.merge(other, |a, b| (a - b).abs(), f32::abs)
    }

    /// `sum(a * b)`. Only shared dimensions are multiplied: infinity against a missing zero counts nothing, as in
    /// pgvector.
    pub fn dot(self, other: Self) -> f32 {
        let (mut i, mut j, mut sum) = (0, 0, 0.0);
        while i < self.indices.len() && j < other.indices.len() {
            let (at, other_at) = (self.indices[i], other.indices[j]);
            let product = self.values[i] * other.values[j];
            sum += if at == other_at { product } else { 0.0 };
            i += usize::from(at <= other_at);
            j += usize::from(other_at <= at);
        }
        sum
    }

    /// Dot product and both squared norms.
    pub fn dot_and_norms(self, other: Self) -> DotAndNorms {
        let norm = |values: &[f32]| values.iter().map(|v| v * v).sum();
        DotAndNorms { dot: self.dot(other), norm_a: norm(self.values), norm_b: norm(other.values) }
    }

    /// Sums `both(a, b)` over every dimension of either vector, `b` or `a` being zero where it is missing; `one` is `both`
    /// with a zero, for the end of the longer vector.
    #[inline(always)]
    fn merge(self, other: Self, both: impl Fn(f32, f32) -> f32, one: impl Fn(f32) -> f32) -> f32 {
        let (mut i, mut j, mut sum) = (0, 0, 0.0);
        while i < self.indices.len() && j < other.indices.len() {
            let (at, other_at) = (self.indices[i], other.indices[j]);
            let a = if at <= other_at { self.values[i] } else { 0.0 };
            let b = if other_at <= at { other.values[j] } else { 0.0 };
            sum += both(a, b);
            i += usize::from(at <= other_at);
            j += usize::from(other_at <= at);
        }
        self.values[i..].iter().chain(&other.values[j..]).fold(sum, |sum, &v| sum + one(v))
    }
}
