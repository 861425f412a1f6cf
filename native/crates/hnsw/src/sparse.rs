//! Sparse vectors: the dimensions that are not zero, in order, and their values.

use omen_kernels::{Metric, Sparse};

use crate::VectorForm;

/// The words of a sparse vector: its dimensions, strictly increasing, then as many values, as the bits of floats that are
/// not zero. One slice, so that an arena or a mapped file can hold them.
#[derive(Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct SparseWords([u32]);

impl SparseWords {
    /// The words as a vector. None when they are odd in number or dimensions do not increase.
    pub fn new(words: &[u32]) -> Option<&Self> {
        let (dimensions, _) = words.split_at(words.len() / 2);
        let sound = words.len().is_multiple_of(2) && dimensions.is_sorted_by(|a, b| a < b);
        // SAFETY: `SparseWords` is `repr(transparent)` over the slice.
        sound.then(|| unsafe { &*(std::ptr::from_ref(words) as *const Self) })
    }

    /// As `new`, of words that were checked when they were stored: what is wrong with them gives wrong distances, nothing
    /// worse. A last odd word is left out.
    pub fn trusted(words: &[u32]) -> &Self {
        let words = &words[..words.len() / 2 * 2];
        // SAFETY: `SparseWords` is `repr(transparent)` over the slice.
        unsafe { &*(std::ptr::from_ref(words) as *const Self) }
    }

    /// The words of a vector, to be stored.
    pub fn words(dimensions: &[u32], values: &[f32]) -> Vec<u32> {
        assert_eq!(dimensions.len(), values.len(), "a value for each dimension");
        dimensions.iter().copied().chain(values.iter().map(|value| value.to_bits())).collect()
    }

    /// The vector as the kernels take it.
    pub fn view(&self) -> Sparse<'_> {
        let (dimensions, values) = self.0.split_at(self.0.len() / 2);
        // SAFETY: `f32` has the size and alignment of `u32`, and every bit pattern is one.
        let values = unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) };
        Sparse::new(dimensions, values)
    }
}

impl VectorForm for SparseWords {
    fn has(metric: Metric) -> bool {
        !matches!(metric, Metric::Hamming | Metric::Jaccard)
    }

    fn raw(metric: Metric, query: &Self, row: &Self) -> f32 {
        let (query, row) = (query.view(), row.view());
        match metric {
            Metric::L2 => query.l2_squared(row),
            // Subtracted, not negated: no negative zero.
            Metric::InnerProduct => 0.0 - query.dot(row),
            Metric::Cosine => query.dot(row),
            Metric::L1 => query.l1(row),
            Metric::Hamming | Metric::Jaccard => panic!("a metric of numbers"),
        }
    }

    fn raw_many(metric: Metric, query: &Self, rows: &[&Self], out: &mut [f32]) {
        for (slot, row) in out.iter_mut().zip(rows) {
            *slot = Self::raw(metric, query, row);
        }
    }

    fn squared_norm(&self) -> f32 {
        self.view().values().iter().map(|value| value * value).sum()
    }

    fn equals(&self, other: &Self) -> bool {
        self == other
    }

    fn fingerprint(&self) -> Option<u64> {
        Some(crate::source::fold(self.0.iter().map(|&word| word as u64)))
    }

    #[inline(always)]
    fn prefetch(&self) {
        omen_kernels::prefetch(&self.0);
    }

    const NUMBERS: bool = false;

    fn to_floats(&self, _: &mut [f32]) {
        panic!("dense vectors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(words: &[u32]) -> &SparseWords {
        SparseWords::new(words).expect("dimensions in order")
    }

    #[test]
    fn distances_equal_those_of_the_dense_vectors() {
        let a = SparseWords::words(&[1, 4, 7], &[1.0, -2.0, 0.5]);
        let b = SparseWords::words(&[0, 4, 9, 10], &[3.0, 1.0, 2.0, -1.0]);
        let (a, b) = (vector(&a), vector(&b));
        let dense_a = [0.0f32, 1.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0];
        let dense_b = [3.0f32, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 2.0, -1.0];
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
            let expected = <[f32]>::raw(metric, &dense_a, &dense_b);
            assert_eq!(
                (SparseWords::raw(metric, a, b), SparseWords::raw(metric, b, a)),
                (expected, expected)
            );
        }
        assert_eq!(a.squared_norm(), 5.25);
        assert_eq!(SparseWords::raw(Metric::L1, a, vector(&[])), 3.5);
    }

    #[test]
    fn words_that_are_no_vector_are_refused() {
        assert!(SparseWords::new(&[1, 2, 3]).is_none());
        assert!(SparseWords::new(&[2, 1, 0, 0]).is_none());
        assert!(SparseWords::new(&[2, 2, 0, 0]).is_none());
        assert!(SparseWords::new(&[]).is_some());
    }
}
