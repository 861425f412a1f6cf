//! Comparable distances from one query vector to nodes of the graph.

use std::sync::atomic::Ordering;

use omen_kernels::{Kernels, Metric, kernels};

use crate::VectorSource;
use crate::pool::Pool;

/// Nodes whose distances are computed in one kernel call.
pub(crate) const BLOCK: usize = 32;

/// One query in the metric space of the graph. Under cosine every node's inverse norm was stored when it was inserted, so
/// that a traversal pays one dot product per node and vectors need not be normalised.
pub(crate) struct Space<'a, S> {
    pub source: &'a S,
    query: &'a [f32],
    query_scale: f32,
    scales: &'a Pool,
    metric: Metric,
    kernels: &'static Kernels,
}

/// `1 / |vector|`; infinite for a vector whose squared norm is zero in `f32`, where cosine is undefined.
pub(crate) fn inverse_norm(vector: &[f32]) -> f32 {
    1.0 / (kernels().dot)(vector, vector).sqrt()
}

impl<'a, S: VectorSource> Space<'a, S> {
    pub fn new(metric: Metric, source: &'a S, scales: &'a Pool, query: &'a [f32]) -> Self {
        let query_scale = if metric == Metric::Cosine { inverse_norm(query) } else { 1.0 };
        Self { source, query, query_scale, scales, metric, kernels: kernels() }
    }

    /// The space seen from a node that is in the graph.
    pub fn seen_from(&self, node: u32) -> Self {
        let query_scale = if self.metric == Metric::Cosine { self.scale(node) } else { 1.0 };
        Self { query: self.source.vector(node), query_scale, ..*self }
    }

    /// False when no distance from this query means anything: a zero vector under cosine.
    pub fn is_defined(&self) -> bool {
        self.query_scale.is_finite()
    }

    fn scale(&self, node: u32) -> f32 {
        f32::from_bits(self.scales.row(node)[0].load(Ordering::Relaxed))
    }

    /// The comparable distance to `node`, see [`crate::Hit::distance`].
    #[inline]
    pub fn distance(&self, node: u32) -> f32 {
        let vector = self.source.vector(node);
        let raw = match self.metric {
            Metric::L2 => (self.kernels.l2_squared)(self.query, vector),
            Metric::InnerProduct | Metric::Cosine => (self.kernels.dot)(self.query, vector),
            Metric::L1 => self.kernels.f32.l1.pair(self.query, vector),
            Metric::Hamming | Metric::Jaccard => panic!("a metric of numbers"),
        };
        self.finish(node, raw)
    }

    /// `out[i] = distance(nodes[i])` for at most [`BLOCK`] nodes.
    #[inline]
    pub fn distances(&self, nodes: &[u32], out: &mut [f32; BLOCK]) {
        let mut rows = [self.query; BLOCK];
        let (rows, out) = (&mut rows[..nodes.len()], &mut out[..nodes.len()]);
        for (row, &node) in rows.iter_mut().zip(nodes) {
            *row = self.source.vector(node);
        }
        match self.metric {
            Metric::L2 => (self.kernels.l2_squared_many)(self.query, rows, out),
            Metric::InnerProduct | Metric::Cosine => (self.kernels.dot_many)(self.query, rows, out),
            Metric::L1 => self.kernels.f32.l1.list(self.query, rows, out),
            Metric::Hamming | Metric::Jaccard => panic!("a metric of numbers"),
        }
        for (slot, &node) in out.iter_mut().zip(nodes) {
            *slot = self.finish(node, *slot);
        }
    }

    #[inline]
    fn finish(&self, node: u32, raw: f32) -> f32 {
        let distance = match self.metric {
            Metric::L2 | Metric::L1 | Metric::Hamming | Metric::Jaccard => raw,
            // Subtracted, not negated: no negative zero.
            Metric::InnerProduct => 0.0 - raw,
            Metric::Cosine => 1.0 - raw * self.query_scale * self.scale(node),
        };
        if distance.is_nan() { f32::INFINITY } else { distance }
    }

    /// Whether `node` holds the very floats of the query (`-0.0` equals `0.0`).
    pub fn equals(&self, node: u32) -> bool {
        self.source.vector(node) == self.query
    }
}
