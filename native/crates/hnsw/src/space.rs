//! Comparable distances from one query to nodes of the graph: what a traversal asks.
//!
//! [`ExactSpace`] reads the vectors themselves; `codes` has the spaces that read an index's own codes. A traversal is
//! compiled for each.

use omen_kernels::Metric;

use crate::pool::Pool;
use crate::sync::Ordering;
use crate::{VectorForm, VectorSource};

/// Nodes whose distances are computed in one kernel call.
pub(crate) const BLOCK: usize = 32;

/// Distances from one query.
pub(crate) trait Space {
    /// Whether these are the distances of the vectors themselves.
    const EXACT: bool;

    /// The comparable distance to `node`, see [`crate::Hit::distance`]; never NaN.
    fn distance(&self, node: u32) -> f32;

    /// `out[i] = distance(nodes[i])` for at most [`BLOCK`] nodes.
    fn distances(&self, nodes: &[u32], out: &mut [f32; BLOCK]);

    /// Asks the CPU for what the distance to `node` will read.
    fn prefetch(&self, node: u32);
}

/// A distance that arithmetic could not give counts as infinite.
#[inline(always)]
pub(crate) fn or_infinite(distance: f32) -> f32 {
    if distance.is_nan() { f32::INFINITY } else { distance }
}

/// One query among the vectors of the source. Under cosine every node's inverse norm was stored when it was inserted, so
/// that a traversal pays one dot product per node and vectors need not be normalised.
pub(crate) struct ExactSpace<'a, S: VectorSource> {
    pub source: &'a S,
    pub query: &'a S::Vector,
    query_scale: f32,
    scales: &'a Pool,
    metric: Metric,
}

/// `1 / |vector|`; infinite for a vector whose squared norm is zero in `f32`, where cosine is undefined.
pub(crate) fn inverse_norm<V: VectorForm + ?Sized>(vector: &V) -> f32 {
    1.0 / vector.squared_norm().sqrt()
}

impl<'a, S: VectorSource> ExactSpace<'a, S> {
    pub fn new(metric: Metric, source: &'a S, scales: &'a Pool, query: &'a S::Vector) -> Self {
        let query_scale = if metric == Metric::Cosine { inverse_norm(query) } else { 1.0 };
        Self { source, query, query_scale, scales, metric }
    }

    /// The space seen from a node whose inverse norm is stored.
    pub fn of_node(metric: Metric, source: &'a S, scales: &'a Pool, node: u32) -> Self {
        let space = Self { source, query: source.vector(node), query_scale: 1.0, scales, metric };
        space.seen_from(node)
    }

    /// The space seen from a node that is in the graph.
    #[inline]
    pub fn seen_from(&self, node: u32) -> Self {
        let query_scale = if self.metric == Metric::Cosine { self.scale(node) } else { 1.0 };
        Self { query: self.source.vector(node), query_scale, ..*self }
    }

    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The same query and nodes under a metric without scales.
    pub fn under(&self, metric: Metric) -> Self {
        Self { metric, query_scale: 1.0, ..*self }
    }

    /// False when no distance from this query means anything: a zero vector under cosine.
    pub fn is_defined(&self) -> bool {
        self.query_scale.is_finite()
    }

    #[inline(always)]
    fn scale(&self, node: u32) -> f32 {
        f32::from_bits(self.scales.words(node)[0].load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn finish(&self, node: u32, raw: f32) -> f32 {
        match self.metric {
            Metric::Cosine => or_infinite(1.0 - raw * self.query_scale * self.scale(node)),
            _ => or_infinite(raw),
        }
    }

    /// Whether `node` is the very point of the query.
    pub fn equals(&self, node: u32) -> bool {
        self.source.vector(node).equals(self.query)
    }
}

impl<S: VectorSource> Space for ExactSpace<'_, S> {
    const EXACT: bool = true;

    #[inline]
    fn distance(&self, node: u32) -> f32 {
        self.finish(node, VectorForm::raw(self.metric, self.query, self.source.vector(node)))
    }

    #[inline]
    fn distances(&self, nodes: &[u32], out: &mut [f32; BLOCK]) {
        let mut rows = [self.query; BLOCK];
        let (rows, out) = (&mut rows[..nodes.len()], &mut out[..nodes.len()]);
        for (row, &node) in rows.iter_mut().zip(nodes) {
            *row = self.source.vector(node);
        }
        VectorForm::raw_many(self.metric, self.query, rows, out);
        for (slot, &node) in out.iter_mut().zip(nodes) {
            *slot = self.finish(node, *slot);
        }
    }

    #[inline(always)]
    fn prefetch(&self, node: u32) {
        self.source.vector(node).prefetch();
    }
}
