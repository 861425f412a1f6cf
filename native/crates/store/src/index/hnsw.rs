//! A graph index over a vector column: a graph of vids, and vids not linked yet.
//!
//! An index over rows that exist is built as a whole, in batches. Later commits append to the column and return; the pool
//! links new vids into the graph in order, and vids given again after them. Until a vid is linked every search looks at it
//! exactly, so a committed row is found at once. Visibility is the column's entry table, tested inside the traversal. A vid
//! nobody can see any more when its turn comes is left out.
//!
//! Dead vids are taken out of the graph together (`remove`), by the pool when there are many, by VACUUM at once.
//!
//! Lock order: `changing`, then `again`.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use omen_hnsw::{
    BatchOptions, BuildMemory, Cancelled, F16, HnswGraph, HnswParams, InsertScratch, Quantisation,
    SearchScratch, SparseWords,
};

use crate::error::StoreError;
use crate::sync::protocol::Queued;
use crate::sync::{lock, read, write};
use crate::table::form::{FormRows, InWords, has_metric, words};
use crate::table::numbers::Building;
use crate::table::vectors::VectorColumn;
use crate::types::{Form, GraphSpec, IndexStatistics};

/// Vids a search scans exactly before commits that bring more have to wait for the graph.
pub const MAX_TAIL: u32 = 16_384;
/// Linked vectors that make a new file of the graph due: one in so many of those in the file, within bounds. A start after a
/// crash searches them exactly until they are linked again, which for the most takes about a second.
const IMAGE_SHARE: u64 = 20;
const IMAGE_LEAST: u64 = 512;
const IMAGE_MOST: u64 = 10_000;

/// Vids for which an empty graph is built at once, during which they all stay in the tail.
const BATCH_TAIL: u32 = 4096;
/// Memory for that: PostgreSQL's default of `maintenance_work_mem`.
const BACKGROUND_BYTES: u64 = 64 << 20;

/// Scratches kept: about as many as threads search at once.
const MAX_IDLE_SCRATCHES: usize = 8;

/// The graph's levels are drawn from this and the vid: the same rows give the same graph on every machine.
const SEED: u64 = 0x6F6D_656E_6462;

/// What tells an image of a graph from a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageVersion {
    nodes: u32,
    linked_again: u64,
    removals: u64,
    /// Nodes of the graph when its recall was measured, zero before.
    measured: u32,
}

pub struct HnswIndex {
    pub column: u16,
    pub vectors: Arc<VectorColumn>,
    pub graph: HnswGraph,
    pub spec: GraphSpec,
    /// A linking job is queued or running.
    pub linking: Queued,
    /// Search memory between searches: its visited set grows with the graph and is not made anew for each query.
    scratches: Mutex<Vec<SearchScratch>>,
    /// Shared by whoever links fresh vids or writes the image, which go together. Alone are a removal, for fresh nodes
    /// could link to what it takes out, and whoever links numbers again, which may lie below the image's mark.
    changing: RwLock<()>,
    /// Published vids below the graph's length that are not linked: numbers given again.
    again: Mutex<Vec<u32>>,
    again_count: AtomicU32,
    /// Vids linked in the place of others.
    linked_again: AtomicU64,
    /// Removals from the graph.
    removals: AtomicU64,
    /// What had been linked when the graph's parts were joined last.
    joined_at: AtomicU64,
    /// A search asked for a recall since the start: measuring costs a third of building, which only they should pay.
    recall_wanted: AtomicBool,
    /// What its file has.
    stored: Mutex<Option<ImageVersion>>,
    /// Vids taken out of it.
    reclaimed: AtomicU64,
    /// Until commits know of the index.
    building: Mutex<Option<Building>>,
}

/// One vid in so many taken out at once, and what was measured before says nothing.
const MANY_REMOVED: u64 = 4;

/// Parts of a graph that grew by one vid in so many are joined.
const JOIN_SHARE: u64 = 8;

/// Vids linked between two looks at the list of those given again.
const AGAIN_BATCH: usize = 256;

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
        let building = Mutex::new(Some(Building::begin(&vectors)));
        let joined_at = AtomicU64::new(u64::from(graph.len()));
        Self {
            column,
            vectors,
            graph,
            spec,
            linking: Queued::default(),
            scratches: Mutex::default(),
            changing: RwLock::default(),
            again: Mutex::default(),
            again_count: AtomicU32::new(0),
            linked_again: AtomicU64::new(0),
            removals: AtomicU64::new(0),
            joined_at,
            recall_wanted: AtomicBool::new(false),
            stored: Mutex::default(),
            reclaimed: AtomicU64::new(0),
            building,
        }
    }

    /// Commits know of the index from now on.
    pub fn attached(&self) {
        lock(&self.building).take();
    }

    pub fn is_over(&self, vectors: &Arc<VectorColumn>) -> bool {
        Arc::ptr_eq(&self.vectors, vectors)
    }

    /// The vectors in their form, which the caller has looked up.
    pub fn rows<V: InWords + ?Sized>(&self) -> FormRows<'_, V> {
        FormRows::new(&self.vectors, self.spec.dim as usize)
    }

    /// [`omen_hnsw::SearchRequest::rerank`] of the index's searches.
    pub fn rerank(&self) -> usize {
        usize::from(self.spec.rerank)
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
        let fresh = self.vectors.published.load(Ordering::Acquire).saturating_sub(self.graph.len());
        fresh + self.again_count.load(Ordering::Acquire)
    }

    /// Published vids whose numbers were given again and that the graph may not have yet.
    pub fn given_again(&self) -> Vec<u32> {
        if self.again_count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        lock(&self.again).clone()
    }

    /// Notes published vids that the graph has as nodes without links.
    pub fn link_again(&self, vids: impl IntoIterator<Item = u32>) {
        let mut again = lock(&self.again);
        again.extend(vids);
        self.again_count.store(again.len() as u32, Ordering::Release);
    }

    /// After a load: the graph of a checkpoint lacks live vids whose numbers were given again since.
    pub fn find_unlinked(&self) {
        let linked = self.graph.linked_nodes();
        let entries = self.vectors.entries.view();
        let has = |vid: &u32| linked[*vid as usize / 64] >> (vid % 64) & 1 == 1;
        let live = (0..self.graph.len()).filter(|&vid| !entries.is_empty(vid));
        self.link_again(live.filter(|vid| !has(vid)).collect::<Vec<_>>());
    }

    /// Waits for the links that are being made, but for those of numbers given again.
    pub fn await_links(&self) {
        drop(write(&self.changing));
    }

    /// Takes dead vids, all below the graph's length, out of the graph. False when cancelled; then all are still in it.
    pub fn remove(&self, vids: &[u32], threads: usize, cancel: &AtomicBool) -> bool {
        match self.spec.form {
            Form::F32 => self.remove_as::<[f32]>(vids, threads, cancel),
            Form::F16 => self.remove_as::<[F16]>(vids, threads, cancel),
            Form::Bits => self.remove_as::<[u64]>(vids, threads, cancel),
            Form::Sparse => self.remove_as::<SparseWords>(vids, threads, cancel),
        }
    }

    fn remove_as<V: InWords + ?Sized>(
        &self,
        vids: &[u32],
        threads: usize,
        cancel: &AtomicBool,
    ) -> bool {
        let _alone = write(&self.changing);
        let mut gone = vec![0u64; self.graph.len() as usize / 64 + 1];
        for &vid in vids {
            gone[vid as usize / 64] |= 1 << (vid % 64);
        }
        let is_gone = |vid: u32| gone[vid as usize / 64] >> (vid % 64) & 1 == 1;
        {
            let mut again = lock(&self.again);
            again.retain(|&vid| !is_gone(vid));
            self.again_count.store(again.len() as u32, Ordering::Release);
        }
        let done = AtomicU64::new(0);
        self.removals.fetch_add(1, Ordering::AcqRel);
        let rows = self.rows::<V>();
        let removed = self.graph.remove(is_gone, &rows, threads, &done, cancel).is_ok();
        if removed {
            self.reclaimed.fetch_add(vids.len() as u64, Ordering::Relaxed);
            if vids.len() as u64 * MANY_REMOVED >= u64::from(self.graph.len()) {
                self.graph.forget_calibration();
            }
        }
        removed
    }

    fn image_version(&self) -> ImageVersion {
        let published = self.vectors.published.load(Ordering::Acquire);
        ImageVersion {
            nodes: self.graph.len().min(published),
            linked_again: self.linked_again.load(Ordering::Acquire),
            removals: self.removals.load(Ordering::Acquire),
            measured: self.graph.calibration().map_or(0, |known| known.nodes),
        }
    }

    /// Whether a file of the graph should be written now; `all`: whether it would differ from the one there is.
    pub fn image_is_due(&self, all: bool) -> bool {
        let Some(stored) = *lock(&self.stored) else { return true };
        if !self.graph.is_sound() {
            return true;
        }
        let now = self.image_version();
        let again = now.linked_again - stored.linked_again;
        let linked = u64::from(now.nodes.saturating_sub(stored.nodes)) + again;
        let share = (u64::from(stored.nodes) / IMAGE_SHARE).clamp(IMAGE_LEAST, IMAGE_MOST);
        let is_measured_anew = all && now.measured != stored.measured;
        now.removals != stored.removals || is_measured_anew || linked >= if all { 1 } else { share }
    }

    /// The file has this image.
    pub fn note_stored(&self, version: ImageVersion) {
        *lock(&self.stored) = Some(version);
    }

    /// The graph is the one of the file.
    pub fn note_opened(&self) {
        let counted = ImageVersion { linked_again: 0, removals: 0, ..self.image_version() };
        self.note_stored(ImageVersion { nodes: self.graph.len(), ..counted });
    }

    /// The graph's image, with the version it has; all that is linked in it is within reach, but for what is linked right
    /// now. What may block: a removal under way.
    pub fn image(&self) -> (ImageVersion, Vec<u8>) {
        self.join_parts(u64::MAX);
        let _shared = read(&self.changing);
        let version = self.image_version();
        let mut bytes = Vec::new();
        self.graph.write_image(version.nodes, &mut bytes).expect("writing to memory does not fail");
        (version, bytes)
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
        let _shared = read(&self.changing);
        let end = self.vectors.published.load(Ordering::Acquire);
        let entries = self.vectors.entries.view();
        let is_dead = |vid| entries.dead(vid, oldest);
        let rows = self.rows::<V>();
        self.graph.build_batches(0..end, &rows, is_dead, options)?;
        self.joined_at.store(u64::from(end), Ordering::Relaxed);
        Ok(())
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
        self.link_fresh(&rows, threads, oldest, progress, cancel);
        self.link_given_again(&rows, oldest, cancel);
        self.join_parts(JOIN_SHARE);
        if self.measurement_is_due() {
            let _shared = read(&self.changing);
            // Cancelled, the graph has the measurement it had.
            let _ = self.graph.calibrate(&rows, self.rerank(), threads, cancel);
        }
    }

    /// Single insertions can leave nodes out of reach. A walk over all of them is cheap beside linking one in `share` of them.
    fn join_parts(&self, share: u64) {
        let linked = || u64::from(self.graph.len()) + self.linked_again.load(Ordering::Acquire);
        let last = self.joined_at.load(Ordering::Relaxed);
        if (linked() - last).saturating_mul(share) <= last {
            return;
        }
        let _alone = write(&self.changing);
        match self.spec.form {
            Form::F32 => self.graph.join_parts(&self.rows::<[f32]>()),
            Form::F16 => self.graph.join_parts(&self.rows::<[F16]>()),
            Form::Bits => self.graph.join_parts(&self.rows::<[u64]>()),
            Form::Sparse => self.graph.join_parts(&self.rows::<SparseWords>()),
        }
        self.joined_at.store(linked(), Ordering::Relaxed);
    }

    /// Somebody searches for a recall: what it takes is worth to be known.
    pub fn want_recall(&self) {
        // Looked at first: searches on all threads come by.
        if !self.recall_wanted.load(Ordering::Relaxed) {
            self.recall_wanted.store(true, Ordering::Relaxed);
        }
    }

    /// Whether somebody wants to know what recall the graph's searches have, and nobody does.
    pub fn measurement_is_due(&self) -> bool {
        self.recall_wanted.load(Ordering::Relaxed)
            && self.graph.is_uncalibrated()
            && self.graph.is_sound()
    }

    fn link_fresh<V: InWords + ?Sized>(
        &self,
        rows: &FormRows<'_, V>,
        threads: usize,
        oldest: u64,
        progress: &AtomicU64,
        cancel: &AtomicBool,
    ) {
        let _shared = read(&self.changing);
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
                    self.graph.insert(vid, rows, &mut scratch);
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

    /// Links the vids that were given again. They stay on the list until they are found in the graph.
    fn link_given_again<V: InWords + ?Sized>(
        &self,
        rows: &FormRows<'_, V>,
        oldest: u64,
        cancel: &AtomicBool,
    ) {
        let mut scratch = InsertScratch::new();
        while !cancel.load(Ordering::Relaxed) {
            let _alone = write(&self.changing);
            // A removal takes from the list too, but not meanwhile.
            let batch: Vec<u32> = lock(&self.again).iter().copied().take(AGAIN_BATCH).collect();
            if batch.is_empty() {
                return;
            }
            let entries = self.vectors.entries.view();
            for &vid in batch.iter().filter(|&&vid| !entries.dead(vid, oldest)) {
                self.graph.insert(vid, rows, &mut scratch);
            }
            self.linked_again.fetch_add(batch.len() as u64, Ordering::AcqRel);
            let mut again = lock(&self.again);
            again.drain(..batch.len());
            self.again_count.store(again.len() as u32, Ordering::Release);
        }
    }

    pub fn statistics(&self) -> IndexStatistics {
        // The tail first: what is published in between is then not linked.
        let tail = self.tail();
        let published = self.vectors.published.load(Ordering::Acquire);
        IndexStatistics {
            entry_count: u64::from(published),
            size_bytes: self.graph.memory_bytes() as u64,
            linked_count: u64::from(published.saturating_sub(tail)),
            reclaimed_count: self.reclaimed.load(Ordering::Relaxed),
        }
    }
}
