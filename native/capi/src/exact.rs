//! The nearest of given nodes by measuring every one: what a search falls back on when few nodes match a filter, or when
//! the graph cannot vouch that there are no more.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use omen_hnsw::{Hit, VectorForm, VectorSource};
use omen_kernels::Metric;

/// Nodes measured in one kernel call.
const BLOCK: usize = 32;

/// A hit that sorts by distance, then by node.
#[derive(PartialEq)]
struct Ranked(Hit);

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.distance.total_cmp(&other.0.distance).then(self.0.node.cmp(&other.0.node))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `k` nearest of `nodes` to the query, nearest first, ties by node; without those that have no distance. Distances are
/// those of [`Hit::distance`], within rounding.
pub(crate) fn nearest<S: VectorSource>(
    source: &S,
    metric: Metric,
    query: &S::Vector,
    nodes: impl Iterator<Item = u32>,
    k: usize,
) -> Vec<Hit> {
    let mut nodes = nodes.peekable();
    let mut worst_first = BinaryHeap::with_capacity(k.min(1 << 16) + 1);
    let query_scale = scale(metric, query);
    let (mut block, mut out) = (Vec::with_capacity(BLOCK), [0.0; BLOCK]);
    while nodes.peek().is_some() {
        block.clear();
        block.extend(nodes.by_ref().take(BLOCK));
        let mut rows = [query; BLOCK];
        for (row, &node) in rows.iter_mut().zip(&block) {
            *row = source.vector(node);
        }
        let (rows, out) = (&rows[..block.len()], &mut out[..block.len()]);
        S::Vector::raw_many(metric, query, rows, out);
        for ((&node, &raw), row) in block.iter().zip(&*out).zip(rows) {
            let distance = match metric {
                Metric::Cosine => 1.0 - raw * query_scale * scale(metric, *row),
                _ => raw,
            };
            if distance.is_nan() {
                continue;
            }
            worst_first.push(Ranked(Hit { node, distance }));
            if worst_first.len() > k {
                worst_first.pop();
            }
        }
    }
    worst_first.into_sorted_vec().into_iter().map(|Ranked(hit)| hit).collect()
}

/// The inverse norm under cosine; infinite for a vector without direction, whose distances are then not numbers.
fn scale<V: VectorForm + ?Sized>(metric: Metric, vector: &V) -> f32 {
    if metric == Metric::Cosine { 1.0 / vector.squared_norm().sqrt() } else { 1.0 }
}
