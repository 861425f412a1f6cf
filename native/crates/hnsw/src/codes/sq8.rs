//! One byte a dimension: seven bits around the mean of the sample, one step for all dimensions.
//!
//! `c = round((x - mean) / step) + 64`, held in `0..=127`: the narrow range lets AVX2 multiply and add pairs of bytes in
//! one instruction without overflow. L2 and L1 do not see the mean; in a dot product `<q, x> = <q, mean> + <q, x - mean>`
//! it is a constant of the query. So the mean may differ by dimension while the step is common, and no factor is stored.

use omen_kernels::{Metric, kernels};

use super::mean_of;
use crate::pool::Pool;
use crate::space::BLOCK;

const MIDDLE: f32 = 64.0;
const HIGHEST: f32 = 127.0;
/// Deviations beyond this share of the sample's are clipped: finer steps for all others.
const CLIPPED: f64 = 0.0005;

pub(crate) struct Sq8 {
    pub mean: Vec<f32>,
    pub step: f32,
}

#[derive(Default)]
pub(crate) struct Sq8Query {
    /// As a row is encoded, for L2 and L1.
    code: Vec<u8>,
    /// Signed, on the query's own scale, for dot products.
    signed: Vec<i8>,
    kind: Kind,
    /// `distance = offset + factor * sum`.
    offset: f32,
    factor: f32,
}

#[derive(Clone, Copy, Default)]
enum Kind {
    #[default]
    L2,
    L1,
    Dot,
}

impl Sq8 {
    /// From rows of `dim` numbers, at least one.
    pub fn train(dim: usize, rows: &[f32]) -> Self {
        let mean = mean_of(dim, rows);
        let deviation =
            |row: &[f32]| row.iter().zip(&mean).map(|(x, m)| (x - m).abs()).collect::<Vec<f32>>();
        let mut deviations: Vec<f32> = rows.chunks(dim).flat_map(deviation).collect();
        deviations.retain(|value| value.is_finite());
        let at = ((deviations.len() as f64) * (1.0 - CLIPPED)) as usize;
        let widest = match deviations.len() {
            0 => 0.0,
            len => *deviations.select_nth_unstable_by(at.min(len - 1), f32::total_cmp).1,
        };
        // A sample without spread has nothing to tell apart.
        let step = if widest > 0.0 { widest / (MIDDLE - 1.0) } else { 1.0 };
        Self { mean, step }
    }

    pub fn encode(&self, floats: &[f32], row: &mut [u8]) {
        let scale = 1.0 / self.step;
        for ((code, &value), &mean) in row.iter_mut().zip(floats).zip(&self.mean) {
            // NaN becomes zero: such a vector is nowhere anyway.
            *code = ((value - mean) * scale + MIDDLE).round().clamp(0.0, HIGHEST) as u8;
        }
    }

    pub fn query(&self, metric: Metric, floats: &[f32], out: &mut Sq8Query) {
        match metric {
            Metric::L2 | Metric::L1 => {
                out.code.resize(floats.len(), 0);
                self.encode(floats, &mut out.code);
                (out.kind, out.offset) = (Kind::L2, 0.0);
                out.factor = self.step * self.step;
                if metric == Metric::L1 {
                    (out.kind, out.factor) = (Kind::L1, self.step);
                }
            }
            _ => {
                let widest = floats.iter().fold(0.0f32, |widest, value| widest.max(value.abs()));
                let scale = if widest > 0.0 { widest / HIGHEST } else { 1.0 };
                out.signed.clear();
                out.signed.extend(floats.iter().map(|value| (value / scale).round() as i8));
                // <q, x> = <q, mean> + step * (scale * <signed, code> - 64 * sum(q)), with q as it was rounded.
                let rounded: i32 = out.signed.iter().map(|&value| i32::from(value)).sum();
                let constant = (kernels().dot)(floats, &self.mean)
                    - self.step * MIDDLE * scale * rounded as f32;
                out.kind = Kind::Dot;
                out.factor = -self.step * scale;
                out.offset = if metric == Metric::Cosine { 1.0 - constant } else { 0.0 - constant };
            }
        }
    }
}

pub(crate) struct Sq8Space<'a> {
    pub query: &'a Sq8Query,
    pub dim: usize,
    pub pool: &'a Pool,
}

impl Sq8Space<'_> {
    #[inline]
    pub fn distances(&self, nodes: &[u32], out: &mut [f32; BLOCK]) {
        let mut rows = [&[][..]; BLOCK];
        let mut sums = [0; BLOCK];
        let (rows, sums) = (&mut rows[..nodes.len()], &mut sums[..nodes.len()]);
        for (row, &node) in rows.iter_mut().zip(nodes) {
            *row = &self.pool.bytes(node)[..self.dim];
        }
        let Sq8Query { code, signed, kind, offset, factor } = self.query;
        match kind {
            Kind::L2 => kernels().u7.l2_squared.list(code, rows, sums),
            Kind::L1 => kernels().u7.l1.list(code, rows, sums),
            Kind::Dot => kernels().i8_u7_dot.list(signed, rows, sums),
        }
        for (slot, &sum) in out.iter_mut().zip(sums.iter()) {
            *slot = crate::space::or_infinite(offset + factor * sum as f32);
        }
    }
}
