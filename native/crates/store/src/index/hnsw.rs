//! A graph index over a vector column: a graph of vids, and a tail of vids not linked yet.
//!
//! Commits append to the column and return; the pool links new vids into the graph in order. Until a vid is linked every
//! search looks at it exactly, so a committed row is found at once. Visibility is the column's entry table, tested inside
//! the traversal. A vid nobody can see any more when its turn comes is left out of the graph for good.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use omen_hnsw::{HnswGraph, HnswParams, InsertScratch, SearchScratch};

use crate::sync::lock;
use crate::table::vectors::VectorColumn;
use crate::types::{IndexStatistics, Metric};

/// Vids a search scans exactly before commits that bring more have to wait for the graph.
pub const MAX_TAIL: u32 = 16_384;

/// Scratches kept: about as many as threads search at once.
const MAX_IDLE_SCRATCHES: usize = 8;

/// The graph's levels are drawn from this and the vid: the same rows give the same graph on every machine.
const SEED: u64 = 0x6F6D_656E_6462;

pub struct HnswIndex {
    pub column: u16,
    pub vectors: Arc<VectorColumn>,
    pub graph: HnswGraph,
    pub metric: Metric,
    pub m: u16,
    /// A linking job is queued or running.
    pub linking: AtomicBool,
    /// Search memory between searches: its visited set grows with the graph and is not made anew for each query.
    scratches: Mutex<Vec<SearchScratch>>,
}

impl HnswIndex {
    pub fn new(
        column: u16,
        vectors: Arc<VectorColumn>,
        m: u16,
        ef_construction: u16,
        metric: Metric,
    ) -> Self {
        let params = HnswParams { m, ef_construction, seed: SEED, ..HnswParams::new(metric) };
        Self::with_graph(column, vectors, HnswGraph::new(params))
    }

    pub fn with_graph(column: u16, vectors: Arc<VectorColumn>, graph: HnswGraph) -> Self {
        let (metric, m) = (graph.params().metric, graph.params().m);
        Self {
            column,
            vectors,
            graph,
            metric,
            m,
            linking: AtomicBool::new(false),
            scratches: Mutex::default(),
        }
    }

    /// Runs a search with memory of the index's own.
    pub fn with_scratch<R>(&self, search: impl FnOnce(&mut SearchScratch) -> R) -> R {
        let mut scratch = lock(&self.scratches).pop().unwrap_or_default();
        let result = search(&mut scratch);
        let mut idle = lock(&self.scratches);
        if idle.len() < MAX_IDLE_SCRATCHES {
            idle.push(scratch);
        }
        result
    }

    /// Vids published but not linked.
    pub fn tail(&self) -> u32 {
        self.vectors.published.load(Ordering::Acquire).saturating_sub(self.graph.len())
    }

    /// Links published vids on `threads` threads until none is left or `cancel` is set. One caller at a time.
    pub fn link(&self, threads: usize, oldest: u64, progress: &AtomicU64, cancel: &AtomicBool) {
        let end = self.vectors.published.load(Ordering::Acquire);
        let next = AtomicU32::new(self.graph.len());
        let entries = self.vectors.entries.view();
        let work = || {
            let mut scratch = InsertScratch::new();
            while !cancel.load(Ordering::Relaxed) {
                let take = |vid| (vid < end).then_some(vid + 1);
                let Ok(vid) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) else {
                    return;
                };
                if entries.dead(vid, oldest) {
                    self.graph.skip(vid);
                } else {
                    self.graph.insert(vid, &*self.vectors, &mut scratch);
                }
                progress.fetch_add(1, Ordering::Relaxed);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
    }

    pub fn statistics(&self) -> IndexStatistics {
        IndexStatistics {
            entry_count: u64::from(self.vectors.published.load(Ordering::Acquire)),
            size_bytes: self.graph.memory_bytes() as u64,
            linked_count: u64::from(self.graph.len()),
        }
    }
}
