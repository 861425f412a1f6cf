//! Half-precision codes. Numbers past the largest half become infinite and sort last, until the stored vectors decide.

use omen_kernels::{F16, Metric, kernels, to_f16};

use crate::pool::Pool;
use crate::space::{BLOCK, or_infinite};

pub(crate) struct HalfSpace<'a> {
    /// The query's numbers, of length one under cosine.
    pub query: &'a [f32],
    pub metric: Metric,
    pub pool: &'a Pool,
}

fn halves(row: &[u8], dim: usize) -> &[F16] {
    debug_assert!(row.len() >= 2 * dim && row.as_ptr().align_offset(2) == 0);
    // SAFETY: pool rows are aligned to words and hold two bytes a dimension; every bit pattern is a half.
    unsafe { std::slice::from_raw_parts(row.as_ptr().cast(), dim) }
}

pub(super) fn encode(floats: &[f32], row: &mut [u8]) {
    let dim = floats.len();
    assert!(row.len() >= 2 * dim, "two bytes a dimension");
    // SAFETY: as in `halves`; the row is the caller's alone.
    to_f16(floats, unsafe { std::slice::from_raw_parts_mut(row.as_mut_ptr().cast(), dim) });
}

impl HalfSpace<'_> {
    #[inline]
    pub fn distances(&self, nodes: &[u32], out: &mut [f32; BLOCK]) {
        let mut rows = [&[][..]; BLOCK];
        let (rows, out) = (&mut rows[..nodes.len()], &mut out[..nodes.len()]);
        for (row, &node) in rows.iter_mut().zip(nodes) {
            *row = halves(self.pool.bytes(node), self.query.len());
        }
        let kernels = &kernels().f32_f16;
        match self.metric {
            Metric::L2 => kernels.l2_squared.list(self.query, rows, out),
            Metric::L1 => kernels.l1.list(self.query, rows, out),
            _ => kernels.dot.list(self.query, rows, out),
        }
        for value in out {
            *value = or_infinite(match self.metric {
                Metric::InnerProduct => 0.0 - *value,
                Metric::Cosine => 1.0 - *value,
                _ => *value,
            });
        }
    }
}
