//! One bit a dimension and nothing else: on which side of the sample's mean a number lies. Two vectors are as far apart as
//! the sides they differ in.
//!
//! The count says how the directions from the mean lie to each other and nothing of their lengths, so it is coarse and has
//! many ties; it is also the least that can be read of a vector, an eighth of a byte a dimension.

use omen_kernels::{kernels, pack_bits, words};

use super::mean_of;
use crate::pool::Pool;
use crate::space::BLOCK;

pub(super) fn row_bytes(dim: usize) -> usize {
    words(dim) * size_of::<u64>()
}

pub(crate) struct Bq {
    pub mean: Vec<f32>,
}

/// The sides of one vector at a time.
#[derive(Default)]
pub(crate) struct BqQuery {
    around: Vec<f32>,
    bits: Vec<u64>,
}

impl Bq {
    /// From rows of `dim` numbers, at least one.
    pub fn train(dim: usize, rows: &[f32]) -> Self {
        Self { mean: mean_of(dim, rows) }
    }

    pub fn encode(&self, floats: &[f32], row: &mut [u8]) {
        let mut sides = BqQuery::default();
        self.query(floats, &mut sides);
        for (out, word) in row.as_chunks_mut::<8>().0.iter_mut().zip(&sides.bits) {
            // As the kernels read them: words of this machine. Stored graphs are little-endian, see `image`.
            *out = word.to_le_bytes();
        }
    }

    pub fn query(&self, floats: &[f32], out: &mut BqQuery) {
        out.around.clear();
        out.around.extend(floats.iter().zip(&self.mean).map(|(x, m)| x - m));
        out.bits.resize(words(floats.len()), 0);
        pack_bits(&out.around, |value| value > 0.0, &mut out.bits);
    }
}

pub(crate) struct BqSpace<'a> {
    pub query: &'a BqQuery,
    pub pool: &'a Pool,
}

impl BqSpace<'_> {
    #[inline]
    pub fn distances(&self, nodes: &[u32], out: &mut [f32; BLOCK]) {
        let words = self.query.bits.len();
        let mut rows = [&[][..]; BLOCK];
        let mut sums = [0; BLOCK];
        let (rows, sums) = (&mut rows[..nodes.len()], &mut sums[..nodes.len()]);
        for (row, &node) in rows.iter_mut().zip(nodes) {
            let bytes = self.pool.bytes(node);
            assert!(bytes.len() == words * size_of::<u64>(), "a row of this codec");
            #[expect(clippy::cast_ptr_alignment, reason = "rows of eight bytes in blocks of 64")]
            let start = bytes.as_ptr().cast::<u64>();
            // SAFETY: the row has `words` words and starts on one.
            *row = unsafe { std::slice::from_raw_parts(start, words) };
        }
        kernels().bits.hamming.list(&self.query.bits, rows, sums);
        for (slot, &sum) in out.iter_mut().zip(sums.iter()) {
            *slot = sum as f32;
        }
    }
}
