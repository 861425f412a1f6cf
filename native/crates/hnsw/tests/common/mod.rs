//! Data and exact answers for the tests of this crate.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use omen_hnsw::{
    BatchOptions, Hit, HnswGraph, HnswParams, InsertScratch, Metric, NodeFilter, SearchRequest,
    SearchScratch, SearchStats, VectorSource,
};
pub use omen_testing::Random;

pub struct Rows {
    pub dim: usize,
    pub floats: Vec<f32>,
}

impl Rows {
    /// `count` points around 40 centres of unequal spread; each centre's points vary mostly in a quarter of the
    /// dimensions, as real embeddings do.
    pub fn clustered(count: usize, dim: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let centres: Vec<f32> = (0..40 * dim).map(|_| random.normal()).collect();
        let mut floats = Vec::with_capacity(count * dim);
        for _ in 0..count {
            let centre = random.below(40) as usize;
            let spread = 0.3 + 0.1 * (centre % 8) as f32;
            for at in 0..dim {
                let narrow = if (at + centre).is_multiple_of(4) { 1.0 } else { 0.2 };
                floats.push(centres[centre * dim + at] + spread * narrow * random.normal());
            }
        }
        Self { dim, floats }
    }

    pub fn len(&self) -> u32 {
        (self.floats.len() / self.dim) as u32
    }

    /// The first `count` rows and the others: indexed rows and queries of the same distribution.
    pub fn split(mut self, count: usize) -> (Self, Self) {
        let rest = self.floats.split_off(count * self.dim);
        let dim = self.dim;
        (self, Self { dim, floats: rest })
    }

    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.floats.chunks(self.dim)
    }
}

impl VectorSource for Rows {
    type Vector = [f32];

    fn dim(&self) -> usize {
        self.dim
    }

    fn vector(&self, node: u32) -> &[f32] {
        &self.floats[node as usize * self.dim..][..self.dim]
    }
}

pub fn params(metric: Metric) -> HnswParams {
    HnswParams { seed: 42, ..HnswParams::new(metric) }
}

/// Inserts every row on this thread, in order.
pub fn build(rows: &Rows, params: HnswParams) -> HnswGraph {
    let graph = HnswGraph::new(params);
    let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
    graph.build(0..rows.len(), rows, 1, &progress, &cancel).expect("nobody cancels");
    graph
}

/// Inserts every row at once, with `room` bytes of working memory.
pub fn build_batches(rows: &Rows, params: HnswParams, threads: usize, room: u64) -> HnswGraph {
    let graph = HnswGraph::new(params);
    let (progress, cancel) = (&AtomicU64::new(0), &AtomicBool::new(false));
    let options = BatchOptions { threads, memory_bytes: room, progress, cancel };
    graph.build_batches(0..rows.len(), rows, |_| false, &options).expect("nobody cancels");
    let done = progress.load(Ordering::Relaxed);
    assert_eq!((graph.len(), done), (rows.len(), u64::from(rows.len())));
    graph
}

pub fn insert_all(graph: &HnswGraph, rows: &Rows, nodes: std::ops::Range<u32>) {
    let mut scratch = InsertScratch::new();
    for node in nodes {
        graph.insert(node, rows, &mut scratch);
    }
}

pub fn search<F: NodeFilter>(
    graph: &HnswGraph,
    rows: &Rows,
    query: &[f32],
    (k, ef): (usize, usize),
    filter: &F,
) -> (Vec<Hit>, SearchStats) {
    let mut hits = Vec::new();
    let mut scratch = SearchScratch::new();
    let stats =
        graph.search(rows, query, &SearchRequest::new(k, ef), filter, &mut scratch, &mut hits);
    (hits, stats)
}

/// The user's distances of the `k` nearest accepted rows.
pub fn exact(
    rows: &Rows,
    metric: Metric,
    query: &[f32],
    k: usize,
    accepts: impl Fn(u32) -> bool,
) -> Vec<f64> {
    let accepted = (0..rows.len()).filter(|&node| accepts(node));
    let mut all: Vec<f64> = accepted
        .map(|node| omen_kernels::distance(metric, query, rows.vector(node)))
        .filter(|distance| !distance.is_nan())
        .collect();
    all.sort_unstable_by(f64::total_cmp);
    all.truncate(k);
    all
}

/// Mean share of the exact `k` nearest that the graph finds; an equally near row counts as right.
pub fn recall<F: NodeFilter>(
    graph: &HnswGraph,
    rows: &Rows,
    queries: &Rows,
    (k, ef): (usize, usize),
    filter: &F,
) -> f64 {
    let metric = graph.params().metric;
    let (mut found, mut wanted) = (0, 0);
    for query in queries.iter() {
        let truth = exact(rows, metric, query, k, |node| filter.accepts(node));
        let (hits, _) = search(graph, rows, query, (k, ef), filter);
        assert!(hits.iter().all(|hit| filter.accepts(hit.node)), "a rejected node came out");
        let distance = |hit: &Hit| omen_kernels::distance(metric, query, rows.vector(hit.node));
        wanted += truth.len();
        let farthest = truth.last().copied().unwrap_or(f64::NEG_INFINITY);
        found += hits.iter().filter(|hit| distance(hit) <= farthest).count();
    }
    found as f64 / wanted as f64
}
