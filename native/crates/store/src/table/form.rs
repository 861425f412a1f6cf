//! The words of a vector column's rows as vectors: floats, halves, bits or sparse vectors.
//!
//! A column stores rows of 32-bit words and moves them as they are; what they mean is said by whoever computes with them
//! (an index, a distance). So one kind of segment, log record and private row serves every form.

use std::marker::PhantomData;

use omen_hnsw::{SparseWords, VectorForm, VectorSource};
use omen_kernels::{F16, Metric, distance, distance_bits, distance_f16, distance_sparse};

use super::vectors::VectorColumn;
use crate::types::Form;

/// Elements other than zero of a sparse vector in an index (pgvector's HNSW_MAX_NNZ). A row has room for all of them.
const MAX_SPARSE_ELEMENTS: u32 = 1000;

/// Words of a row of `dim` elements.
pub fn words(form: Form, dim: u32) -> u32 {
    match form {
        Form::F32 => dim,
        Form::F16 => dim.div_ceil(2),
        // Whole pairs: kernels read bits by 64.
        Form::Bits => dim.div_ceil(64) * 2,
        // How many, their indices, their values.
        Form::Sparse => 1 + 2 * dim.min(MAX_SPARSE_ELEMENTS),
    }
}

/// Whether a form has distances under a metric.
pub fn has_metric(form: Form, metric: Metric) -> bool {
    match form {
        Form::F32 => <[f32]>::has(metric),
        Form::F16 => <[F16]>::has(metric),
        Form::Bits => <[u64]>::has(metric),
        Form::Sparse => SparseWords::has(metric),
    }
}

/// A form of vector that lies in words.
pub trait InWords: VectorForm {
    /// The vector in a row of a segment, which is aligned to a cache line.
    fn of(row: &[f32], dim: usize) -> &Self;

    /// The distance a user sees.
    fn distance(metric: Metric, a: &Self, b: &Self) -> f64;

    /// Calls `f` with the vector in words from anywhere.
    fn with<R>(words: &[f32], dim: usize, f: impl FnOnce(&Self) -> R) -> R {
        f(Self::of(words, dim))
    }
}

impl InWords for [f32] {
    fn of(row: &[f32], dim: usize) -> &Self {
        &row[..dim]
    }

    fn distance(metric: Metric, a: &Self, b: &Self) -> f64 {
        distance(metric, a, b)
    }
}

impl InWords for [F16] {
    fn of(row: &[f32], dim: usize) -> &Self {
        // SAFETY: any bits are a u16, and an f32 is aligned for two of them.
        let (_, halves, _) = unsafe { row.align_to::<u16>() };
        &F16::cast(halves)[..dim]
    }

    fn distance(metric: Metric, a: &Self, b: &Self) -> f64 {
        distance_f16(metric, a, b)
    }
}

impl InWords for [u64] {
    fn of(row: &[f32], dim: usize) -> &Self {
        // SAFETY: any bits are a u64; what is not aligned for one ends in the parts around the middle.
        let (before, words, _) = unsafe { row.align_to::<u64>() };
        assert!(before.is_empty(), "a row begins at a multiple of eight bytes");
        &words[..dim.div_ceil(64)]
    }

    fn distance(metric: Metric, a: &Self, b: &Self) -> f64 {
        distance_bits(metric, a, b)
    }

    fn with<R>(words: &[f32], dim: usize, f: impl FnOnce(&Self) -> R) -> R {
        let pair = |pair: &[f32]| u64::from(pair[0].to_bits()) | u64::from(pair[1].to_bits()) << 32;
        let aligned: Vec<u64> = words.chunks_exact(2).map(pair).collect();
        f(&aligned[..dim.div_ceil(64)])
    }
}

impl InWords for SparseWords {
    fn of(row: &[f32], _: usize) -> &Self {
        // SAFETY: any bits are a u32, which is aligned as an f32 is.
        let (_, words, _) = unsafe { row.align_to::<u32>() };
        let (count, elements) = words.split_first().map_or((0, words), |(&n, rest)| (n, rest));
        // Indices and values fill the row from its start, whatever room it has.
        let used = (count as usize).saturating_mul(2).min(elements.len());
        Self::trusted(&elements[..used])
    }

    fn distance(metric: Metric, a: &Self, b: &Self) -> f64 {
        distance_sparse(metric, a.view(), b.view())
    }
}

/// The vectors of a column in one form.
pub struct FormRows<'a, V: ?Sized> {
    pub column: &'a VectorColumn,
    pub dim: usize,
    form: PhantomData<fn(&V)>,
}

impl<'a, V: InWords + ?Sized> FormRows<'a, V> {
    pub fn new(column: &'a VectorColumn, dim: usize) -> Self {
        Self { column, dim, form: PhantomData }
    }
}

impl<V: InWords + ?Sized> VectorSource for FormRows<'_, V> {
    type Vector = V;

    fn dim(&self) -> usize {
        self.dim
    }

    #[inline]
    fn vector(&self, vid: u32) -> &V {
        V::of(self.column.words(vid), self.dim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hold_as_many_elements_as_they_say() {
        assert_eq!([1, 2, 3].map(|dim| words(Form::F16, dim)), [1, 1, 2]);
        assert_eq!([1, 64, 65].map(|dim| words(Form::Bits, dim)), [2, 2, 4]);
        assert_eq!([3, 1000, 1_000_000_000].map(|dim| words(Form::Sparse, dim)), [7, 2001, 2001]);
        let halves = [0x3C00_u16, 0xC000, 0x3800, 0];
        let row: Vec<f32> = halves
            .chunks(2)
            .map(|p| f32::from_bits(u32::from(p[0]) | u32::from(p[1]) << 16))
            .collect();
        let vector = <[F16]>::of(&row, 3);
        assert_eq!(vector.iter().map(|h| h.to_f32()).collect::<Vec<_>>(), [1.0, -2.0, 0.5]);
        // Bit patterns of signalling NaNs stay what they are.
        let bits = [0x7F80_0001_u32, 3, 1, 0].map(f32::from_bits);
        <[u64]>::with(&bits, 100, |vector| assert_eq!(vector, [0x3_7F80_0001, 1]));
        // Behind the elements of a sparse vector there is room.
        let row = [2, 4, 9, 1.5_f32.to_bits(), 2.5_f32.to_bits(), 7, 7].map(f32::from_bits);
        let sparse = SparseWords::of(&row, 10).view();
        assert_eq!((sparse.indices(), sparse.values()), (&[4, 9][..], &[1.5, 2.5][..]));
        // A count that no row has room for reads what there is.
        let damaged = [u32::MAX, 4, 9, 0, 0].map(f32::from_bits);
        assert_eq!(SparseWords::of(&damaged, 2).view().indices(), [4, 9]);
    }
}
