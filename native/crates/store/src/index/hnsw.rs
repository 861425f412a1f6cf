//! A graph index over a vector column: a graph of vids, and a tail of vids not linked yet.
//!
//! An index over rows that exist is built as a whole, in batches. Later commits append to the column and return; the pool
//! links new vids into the graph in order. Until a vid is linked every search looks at it exactly, so a committed row is
//! found at once. Visibility is the column's entry table, tested inside
//! the traversal. A vid nobody can see any more when its turn comes is left out of the graph for good.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use omen_hnsw::{
    BatchOptions, BuildMemory, Cancelled, F16, HnswGraph, HnswParams, InsertScratch, Quantisation,
    SearchScratch, SparseWords,
};

use crate::error::StoreError;
use crate::sync::lock;
use crate::table::form::{FormRows, InWords, has_metric, words};
use crate::table::vectors::VectorColumn;
use crate::types::{Form, GraphSpec, IndexStatistics};

/// Vids a search scans exactly before commits that bring more have to wait for the graph.
pub const MAX_TAIL: u32 = 16_384;

/// Vids for which an empty graph is built at once, during which they all stay in the tail.
const BATCH_TAIL: u32 = 4096;
/// Memory for that: PostgreSQL's default of `maintenance_work_mem`.
const BACKGROUND_BYTES: u64 = 64 << 20;

/// Scratches kept: about as many as threads search at once.
const MAX_IDLE_SCRATCHES: usize = 8;

/// The graph's levels are drawn from this and the vid: the same rows give the same graph on every machine.
const SEED: u64 = 0x6F6D_656E_6462;

pub struct HnswIndex {
    pub column: u16,
    pub vectors: Arc<VectorColumn>,
    pub graph: HnswGraph,
    pub spec: GraphSpec,
    /// A linking job is queued or running.
    pub linking: AtomicBool,
    /// Search memory between searches: its visited set grows with the graph and is not made anew for each query.
    scratches: Mutex<Vec<SearchScratch>>,
}

impl HnswIndex {
    /// An empty index. Errors when the column's rows are not what `spec` says, or codes or metric do not go with it.
    pub fn new(
        column: u16,
        vectors: Arc<VectorColumn>,
        spec: GraphSpec,
    ) -> Result<Self, StoreError> {
        let has_codes = spec.quantisation == Quantisation::None
            || (matches!(spec.form, Form::F32 | Form::F16) && spec.quantisation.fits(spec.metric));
        let in_range = omen_hnsw::M_RANGE.contains(&spec.m)
            && omen_hnsw::EF_CONSTRUCTION_RANGE.contains(&spec.ef_construction);
        let fits = words(spec.form, spec.dim) as usize == vectors.segments.dim();
        if !(has_metric(spec.form, spec.metric) && has_codes && in_range && fits) {
            return Err(StoreError::internal("hnsw parameters that do not go together"));
        }
        let GraphSpec { m, ef_construction, metric, quantisation, .. } = spec;
        let params =
            HnswParams { m, ef_construction, quantisation, seed: SEED, ..HnswParams::new(metric) };
        Ok(Self::with_graph(column, vectors, spec, HnswGraph::new(params)))
    }

    /// As `new`, with a graph that was made with the same parameters.
    pub fn with_graph(
        column: u16,
        vectors: Arc<VectorColumn>,
        spec: GraphSpec,
        graph: HnswGraph,
    ) -> Self {
        Self {
            column,
            vectors,
            graph,
            spec,
            linking: AtomicBool::new(false),
            scratches: Mutex::default(),
        }
    }

    /// The vectors in their form, which the caller has looked up.
    pub fn rows<V: InWords + ?Sized>(&self) -> FormRows<'_, V> {
        FormRows::new(&self.vectors, self.spec.dim as usize)
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

    /// What building the graph of the vids published so far takes.
    pub fn build_memory(&self) -> BuildMemory {
        let nodes = u64::from(self.vectors.published.load(Ordering::Acquire));
        let numbers = matches!(self.spec.form, Form::F32 | Form::F16);
        BuildMemory::of(self.graph.params(), self.spec.dim as usize, numbers, nodes)
    }

    /// Builds the graph of the vids published so far at once, on `options.threads` threads; the same rows give the same
    /// graph on any number of them. Nothing was linked yet and nobody links meanwhile. After a cancel the graph is to be
    /// dropped.
    pub fn build(&self, oldest: u64, options: &BatchOptions<'_>) -> Result<(), Cancelled> {
        match self.spec.form {
            Form::F32 => self.build_as::<[f32]>(oldest, options),
            Form::F16 => self.build_as::<[F16]>(oldest, options),
            Form::Bits => self.build_as::<[u64]>(oldest, options),
            Form::Sparse => self.build_as::<SparseWords>(oldest, options),
        }
    }

    fn build_as<V: InWords + ?Sized>(
        &self,
        oldest: u64,
        options: &BatchOptions<'_>,
    ) -> Result<(), Cancelled> {
        let end = self.vectors.published.load(Ordering::Acquire);
        let entries = self.vectors.entries.view();
        let is_dead = |vid| entries.dead(vid, oldest);
        self.graph.build_batches(0..end, &self.rows::<V>(), is_dead, options)
    }

    /// Links published vids on `threads` threads until none is left or `cancel` is set: the engine ends then. An empty graph
    /// with many to come is built at once. One caller at a time.
    pub fn link(&self, threads: usize, oldest: u64, progress: &AtomicU64, cancel: &AtomicBool) {
        if self.graph.is_empty() && self.tail() >= BATCH_TAIL {
            let options =
                BatchOptions { threads, memory_bytes: BACKGROUND_BYTES, progress, cancel };
            // Cancelled, nothing counts as linked, and the checkpoint of the end writes an empty graph.
            let _ = self.build(oldest, &options);
            return;
        }
        match self.spec.form {
            Form::F32 => self.link_as::<[f32]>(threads, oldest, progress, cancel),
            Form::F16 => self.link_as::<[F16]>(threads, oldest, progress, cancel),
            Form::Bits => self.link_as::<[u64]>(threads, oldest, progress, cancel),
            Form::Sparse => self.link_as::<SparseWords>(threads, oldest, progress, cancel),
        }
    }

    fn link_as<V: InWords + ?Sized>(
        &self,
        threads: usize,
        oldest: u64,
        progress: &AtomicU64,
        cancel: &AtomicBool,
    ) {
        let rows = self.rows::<V>();
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
                    self.graph.insert(vid, &rows, &mut scratch);
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
