//! One bit a dimension: the signs of the rotated vector around the mean, and factors that make dot products with them
//! unbiased (RaBitQ, Gao and Long, arXiv 2405.12497).
//!
//! With `x' = R(x - mean)`, `s` the signs of `x'` and any `q'`:
//!
//! ```text
//!   <q', x'>  ~  f * sum(s_i q'_i)         f = |x'|^2 / sum |x'_i|
//! ```
//!
//! which is exact along `x'` itself and errs by a random angle otherwise. The query is kept to four bits a dimension, so
//! the sum is a count of bits over four planes. L2 needs `|x'|^2` beside it; dot products take `q' = Rq` and need no more.
//!
//! A row: the signs in 64-bit words, then `f`, `|x'|^2`, the number of set bits, and four bytes of nothing.

use omen_kernels::{Metric, PLANES, kernels, pack_bits, pack_planes, words};

use super::mean_of;
use crate::pool::Pool;
use crate::space::{BLOCK, or_infinite};

const FACTOR_BYTES: usize = 16;
const LEVELS: f32 = ((1 << PLANES) - 1) as f32;
/// Rounds of sign flips and transforms; three leave nothing of the axes, and one more costs little.
const ROUNDS: usize = 4;

pub(super) fn row_bytes(dim: usize) -> usize {
    words(dim) * size_of::<u64>() + FACTOR_BYTES
}

pub(crate) struct Rabitq {
    pub mean: Vec<f32>,
    pub seed: u64,
    /// Sign bits of each round, one bit a dimension.
    flips: [Vec<u64>; ROUNDS],
}

#[derive(Default)]
pub(crate) struct RabitqQuery {
    rotated: Vec<f32>,
    levels: Vec<u8>,
    planes: Vec<u64>,
    /// `q'_i ~ low + width * level_i`.
    low: f32,
    width: f32,
    /// `sum(q'_i)` as rounded.
    sum: f32,
    /// `distance = offset + norm_share * |x'|^2 + dot_factor * <q', x'>`.
    offset: f32,
    norm_share: f32,
    dot_factor: f32,
}

impl Rabitq {
    /// From rows of `dim` numbers, at least one; the seed draws the rotation.
    pub fn train(dim: usize, seed: u64, rows: &[f32]) -> Self {
        Self::new(mean_of(dim, rows), seed)
    }

    pub fn new(mean: Vec<f32>, seed: u64) -> Self {
        let words = words(mean.len()) as u64;
        let word = |round: usize, at| crate::graph::split_mix(seed ^ (round as u64 * words + at));
        let flips = std::array::from_fn(|round| (0..words).map(|at| word(round, at)).collect());
        Self { mean, seed, flips }
    }

    /// A random rotation in `d log d` steps: flipped signs, then a Hadamard transform of the first and of the last `p`
    /// dimensions, `p` being the largest power of two; where it is not all of them the halves overlap and mix.
    fn rotate(&self, values: &mut [f32]) {
        let dim = values.len();
        let p = 1 << dim.ilog2();
        for flips in &self.flips {
            for (at, value) in values.iter_mut().enumerate() {
                let sign = (flips[at / 64] >> (at % 64) & 1) as u32;
                *value = f32::from_bits(value.to_bits() ^ sign << 31);
            }
            hadamard(&mut values[..p]);
            if p < dim {
                hadamard(&mut values[dim - p..]);
            }
        }
    }

    pub fn encode(&self, floats: &[f32], row: &mut [u8]) {
        let mut rotated: Vec<f32> = floats.iter().zip(&self.mean).map(|(x, m)| x - m).collect();
        self.rotate(&mut rotated);
        let squared: f32 = (kernels().dot)(&rotated, &rotated);
        let absolute: f32 = rotated.iter().map(|value| value.abs()).sum();
        let mut bits = vec![0; words(rotated.len())];
        pack_bits(&rotated, |value| value > 0.0, &mut bits);
        let ones: u32 = bits.iter().map(|word: &u64| word.count_ones()).sum();
        let factor = if absolute > 0.0 { squared / absolute } else { 0.0 };
        let (codes, factors) = row.split_at_mut(bits.len() * size_of::<u64>());
        for (out, word) in codes.as_chunks_mut::<8>().0.iter_mut().zip(&bits) {
            // As the kernels read them: words of this machine. Stored graphs are little-endian, see `image`.
            *out = word.to_le_bytes();
        }
        for (out, value) in
            factors.as_chunks_mut::<4>().0.iter_mut().zip([factor, squared, ones as f32])
        {
            *out = value.to_le_bytes();
        }
    }

    pub fn query(&self, metric: Metric, floats: &[f32], out: &mut RabitqQuery) {
        let l2 = metric == Metric::L2;
        out.rotated.clear();
        let around = floats.iter().zip(&self.mean).map(|(x, m)| if l2 { x - m } else { *x });
        out.rotated.extend(around);
        self.rotate(&mut out.rotated);
        let extent =
            out.rotated.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
        (out.low, out.width) = (extent.0, (extent.1 - extent.0) / LEVELS);
        let scale = if out.width > 0.0 { 1.0 / out.width } else { 0.0 };
        out.levels.clear();
        out.levels.extend(
            out.rotated.iter().map(|v| ((v - out.low) * scale).round().clamp(0.0, LEVELS) as u8),
        );
        let level_sum: u32 = out.levels.iter().map(|&level| u32::from(level)).sum();
        out.sum = out.low * floats.len() as f32 + out.width * level_sum as f32;
        out.planes.resize(PLANES * words(floats.len()), 0);
        pack_planes(&out.levels, &mut out.planes);
        if l2 {
            (out.offset, out.norm_share, out.dot_factor) =
                ((kernels().dot)(&out.rotated, &out.rotated), 1.0, -2.0);
        } else {
            let constant = (kernels().dot)(floats, &self.mean);
            let start = if metric == Metric::Cosine { 1.0 } else { 0.0 };
            (out.offset, out.norm_share, out.dot_factor) = (start - constant, 0.0, -1.0);
        }
    }
}

/// The orthonormal Walsh-Hadamard transform in place; the length is a power of two.
fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    let scale = 1.0 / (values.len() as f32).sqrt();
    for value in values {
        *value *= scale;
    }
}

pub(crate) struct RabitqSpace<'a> {
    pub query: &'a RabitqQuery,
    pub dim: usize,
    pub pool: &'a Pool,
}

impl RabitqSpace<'_> {
    #[inline]
    pub fn distances(&self, nodes: &[u32], out: &mut [f32; BLOCK]) {
        let words = words(self.dim);
        let mut rows = [&[][..]; BLOCK];
        let mut factors = [[0.0; 3]; BLOCK];
        let mut sums = [0; BLOCK];
        let (rows, sums) = (&mut rows[..nodes.len()], &mut sums[..nodes.len()]);
        for ((row, factors), &node) in rows.iter_mut().zip(&mut factors).zip(nodes) {
            let bytes = self.pool.bytes(node);
            assert!(bytes.len() == words * size_of::<u64>() + FACTOR_BYTES, "a row of this codec");
            #[expect(clippy::cast_ptr_alignment, reason = "rows of eight bytes in blocks of 64")]
            let start = bytes.as_ptr().cast::<u64>();
            // SAFETY: the row has `words` words and then the factors, and starts on a word.
            *row = unsafe { std::slice::from_raw_parts(start, words) };
            let floats = bytes[words * size_of::<u64>()..].as_chunks::<4>().0;
            *factors = [0, 1, 2].map(|at| f32::from_le_bytes(floats[at]));
        }
        let q = self.query;
        kernels().bits.planes.list(&q.planes, rows, sums);
        for ((slot, &sum), [factor, squared, ones]) in out.iter_mut().zip(sums.iter()).zip(factors)
        {
            // sum(s_i q'_i), over set bits twice and over all once less.
            let signed = 2.0 * (q.low * ones + q.width * sum as f32) - q.sum;
            *slot = or_infinite(q.offset + q.norm_share * squared + q.dot_factor * factor * signed);
        }
    }
}
