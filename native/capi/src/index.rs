//! The index behind the interface: vectors, labels, marks of removal, and the graph over them.
//!
//! Nodes are numbered in the order of their coming and never renumbered. A writer (add, remove, save) holds `writer`; a
//! search holds nothing. What a search reads of a node was written before the node was linked, and marks of removal are
//! atomic.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::thread::available_parallelism;

use omen_hnsw::{BatchOptions, F16, HnswGraph, MAX_NODE, SearchScratch, VectorForm, VectorSource};
use omen_kernels::words;

use crate::rows::Rows;
use crate::search::Request;
use crate::settings::{Component, Element, Settings};
use crate::status::{Failure, Status};

/// As many vectors that come first are linked in batches, which takes less time than one by one.
const BATCH_FROM: usize = 1000;

/// Labels of vectors that are added.
#[derive(Clone, Copy)]
pub(crate) enum Labels<'a> {
    /// The node numbers.
    Positions,
    Given(&'a [u64]),
}

/// The vectors of an index, read by its graph.
pub(crate) struct Vectors<E> {
    dim: usize,
    pub rows: Rows<E>,
}

impl<E: Component> VectorSource for Vectors<E>
where
    [E]: VectorForm,
{
    type Vector = [E];

    fn dim(&self) -> usize {
        self.dim
    }

    #[inline]
    fn vector(&self, node: u32) -> &[E] {
        self.rows.row(node as usize)
    }
}

/// What only writers use.
#[derive(Default)]
struct Writer {
    /// The nodes of labels, once something asked for one; without given labels never.
    nodes: Option<HashMap<u64, u32>>,
}

/// An index over vectors of `E`.
pub(crate) struct Typed<E> {
    pub(crate) settings: Settings,
    pub(crate) vectors: Vectors<E>,
    pub(crate) graph: HnswGraph,
    /// Set by the first vectors: whether they came with labels.
    labelled: OnceLock<bool>,
    labels: Rows<u64>,
    /// One bit a node, 64 of them a row.
    removed: Rows<u64>,
    removed_count: AtomicU64,
    writer: Mutex<Writer>,
    /// Memory of searches between searches.
    pub(crate) scratches: Mutex<Vec<SearchScratch>>,
}

/// The parts of an index, in memory or out of a file.
pub(crate) struct Parts<E> {
    pub vectors: Rows<E>,
    pub labels: Rows<u64>,
    pub removed: Rows<u64>,
    pub graph: HnswGraph,
    /// None while there are no vectors.
    pub labelled: Option<bool>,
}

impl<E: Component> Typed<E>
where
    [E]: VectorForm,
{
    pub fn new(settings: Settings, parts: Parts<E>) -> Self {
        let Parts { vectors, labels, removed, graph, labelled } = parts;
        let index = Self {
            settings,
            vectors: Vectors { dim: settings.dim, rows: vectors },
            graph,
            labelled: labelled.map_or_else(OnceLock::new, OnceLock::from),
            labels,
            removed,
            removed_count: AtomicU64::new(0),
            writer: Mutex::default(),
            scratches: Mutex::default(),
        };
        let marks = (0..words(index.graph.len() as usize)).map(|at| index.removed_word(at));
        let count: u64 = marks.map(|word| u64::from(word.count_ones())).sum();
        index.removed_count.store(count, Ordering::Relaxed);
        index
    }

    pub fn create(settings: Settings) -> Self {
        let parts = Parts {
            vectors: Rows::new(E::width(settings.dim)),
            labels: Rows::new(1),
            removed: Rows::new(1),
            graph: HnswGraph::new(settings.params),
            labelled: None,
        };
        Self::new(settings, parts)
    }

    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// The parts, for as long as no writer comes.
    pub fn frozen(&self) -> Result<Frozen<'_, E>, Failure> {
        let writer = self.lock()?;
        let (vectors, labels) = (&self.vectors.rows, &self.labels);
        let labelled = self.is_labelled();
        Ok(Frozen { _writer: writer, vectors, labels, graph: &self.graph, labelled })
    }

    fn lock(&self) -> Result<MutexGuard<'_, Writer>, Failure> {
        let halfway = |_| Failure::new(Status::OMEN_INTERNAL, "an earlier call failed halfway");
        self.writer.lock().map_err(halfway)
    }

    pub fn is_labelled(&self) -> bool {
        self.labelled.get().copied().unwrap_or(false)
    }

    pub fn label(&self, node: u32) -> u64 {
        if self.is_labelled() { self.labels.row(node as usize)[0] } else { u64::from(node) }
    }

    /// Marks of nodes `64 * at ..`.
    pub fn removed_word(&self, at: usize) -> u64 {
        self.removed_cell(at).load(Ordering::Relaxed)
    }

    fn removed_cell(&self, at: usize) -> &AtomicU64 {
        // SAFETY: the cell is aligned, lives as long as the index, and is used as an atomic alone.
        unsafe { AtomicU64::from_ptr(self.removed.cell(at)) }
    }

    pub fn is_removed(&self, node: u32) -> bool {
        self.removed_word(node as usize / 64) >> (node % 64) & 1 == 1
    }

    pub fn len(&self) -> u64 {
        u64::from(self.graph.len()) - self.removed_count.load(Ordering::Relaxed)
    }

    pub fn memory_bytes(&self) -> usize {
        let count = self.graph.len() as usize;
        let labels = if self.is_labelled() { self.labels.used_bytes(count) } else { 0 };
        let removed = self.removed.used_bytes(words(count));
        self.vectors.rows.used_bytes(count) + labels + removed + self.graph.memory_bytes()
    }

    /// # Safety
    /// `from` holds `count` rows.
    pub unsafe fn add(
        &self,
        from: *const u8,
        labels: Labels<'_>,
        count: usize,
        threads: usize,
    ) -> Result<(), Failure> {
        let mut writer = self.lock()?;
        let first = self.graph.len();
        let end = u32::try_from(count).ok().and_then(|count| first.checked_add(count));
        let Some(end) = end.filter(|end| *end <= MAX_NODE) else {
            return Err(Failure::new(Status::OMEN_FULL, "more vectors than an index can number"));
        };
        let given = matches!(labels, Labels::Given(_));
        if self.labelled.get().is_some_and(|labelled| *labelled != given) {
            return Err(Failure::argument("an index takes labels always or never"));
        }
        let row_bytes = E::width(self.settings.dim) * size_of::<E>();
        self.vectors.rows.reserve(end as usize);
        for (i, node) in (first..end).enumerate() {
            // SAFETY: `from` holds `count` rows (contract of the function); the node is not linked yet.
            unsafe { self.vectors.rows.write(node as usize, from.add(i * row_bytes)) };
            if !E::is_sound(self.vectors.vector(node), self.settings.dim) {
                return Err(Failure::argument(format!(
                    "vector {i} has components that are not finite, or bits past its dimension"
                )));
            }
        }
        if let Labels::Given(labels) = labels {
            self.register(&mut writer, first, labels)?;
            self.labels.reserve(end as usize);
            for (node, label) in (first..end).zip(labels) {
                // SAFETY: a label is a row; the node is not linked yet.
                unsafe { self.labels.write(node as usize, std::ptr::from_ref(label).cast()) };
            }
        }
        self.removed.reserve(words(end as usize));
        self.labelled.get_or_init(|| given);
        let threads = match threads {
            0 => available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let threads = threads.min(count);
        let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
        let (progress, cancel) = (&progress, &cancel);
        let linked = if first == 0 && count >= BATCH_FROM {
            // Searches beside it find nothing: until it is done the graph counts no nodes.
            let options = BatchOptions { threads, memory_bytes: u64::MAX, progress, cancel };
            self.graph.build_batches(0..end, &self.vectors, |_| false, &options)
        } else {
            self.graph.build(first..end, &self.vectors, threads, progress, cancel)
        };
        linked.map_err(|cancelled| Failure::new(Status::OMEN_INTERNAL, cancelled.to_string()))
    }

    /// Notes the nodes of new labels, or of none when one is taken.
    fn register(&self, writer: &mut Writer, first: u32, labels: &[u64]) -> Result<(), Failure> {
        let nodes = self.nodes_of(writer);
        nodes.reserve(labels.len());
        for (i, (&label, node)) in labels.iter().zip(first..).enumerate() {
            if let Some(taken) = nodes.insert(label, node) {
                nodes.insert(label, taken);
                for label in &labels[..i] {
                    if nodes.get(label).is_some_and(|node| *node >= first) {
                        nodes.remove(label);
                    }
                }
                let message = format!("label {label} is in use");
                return Err(Failure::new(Status::OMEN_DUPLICATE_LABEL, message));
            }
        }
        Ok(())
    }

    /// Node by label, of those not removed. Made when first asked for: a loaded index that is only searched has none.
    fn nodes_of<'w>(&self, writer: &'w mut Writer) -> &'w mut HashMap<u64, u32> {
        writer.nodes.get_or_insert_with(|| {
            let live = (0..self.graph.len()).filter(|&node| !self.is_removed(node));
            live.map(|node| (self.label(node), node)).collect()
        })
    }

    pub fn remove(&self, labels: &[u64]) -> Result<usize, Failure> {
        let mut writer = self.lock()?;
        let mut removed = 0;
        for label in labels {
            let node = if self.is_labelled() {
                self.nodes_of(&mut writer).remove(label)
            } else {
                u32::try_from(*label).ok().filter(|node| *node < self.graph.len())
            };
            let Some(node) = node else { continue };
            let bit = 1 << (node % 64);
            if self.removed_cell(node as usize / 64).fetch_or(bit, Ordering::Relaxed) & bit == 0 {
                removed += 1;
            }
        }
        self.removed_count.fetch_add(removed as u64, Ordering::Relaxed);
        Ok(removed)
    }
}

/// The parts of an index between two writers.
pub(crate) struct Frozen<'a, E> {
    _writer: MutexGuard<'a, Writer>,
    pub vectors: &'a Rows<E>,
    pub labels: &'a Rows<u64>,
    pub graph: &'a HnswGraph,
    pub labelled: bool,
}

/// An index over vectors of some element type.
pub(crate) enum Index {
    F32(Typed<f32>),
    F16(Typed<F16>),
    Bit(Typed<u64>),
}

/// The same expression over the index of any type.
macro_rules! any {
    ($self:expr, $index:ident => $body:expr) => {
        match $self {
            $crate::index::Index::F32($index) => $body,
            $crate::index::Index::F16($index) => $body,
            $crate::index::Index::Bit($index) => $body,
        }
    };
}
pub(crate) use any;

impl Index {
    pub fn create(settings: Settings) -> Self {
        match settings.element {
            Element::F32 => Self::F32(Typed::create(settings)),
            Element::F16 => Self::F16(Typed::create(settings)),
            Element::Bit => Self::Bit(Typed::create(settings)),
        }
    }

    pub fn settings(&self) -> Settings {
        any!(self, index => index.settings())
    }

    pub fn len(&self) -> u64 {
        any!(self, index => index.len())
    }

    pub fn memory_bytes(&self) -> usize {
        any!(self, index => index.memory_bytes())
    }

    /// # Safety
    /// `from` holds `count` rows.
    pub unsafe fn add(
        &self,
        from: *const u8,
        labels: Labels<'_>,
        count: usize,
        threads: usize,
    ) -> Result<(), Failure> {
        // SAFETY: the contract is the caller's.
        any!(self, index => unsafe { index.add(from, labels, count, threads) })
    }

    pub fn remove(&self, labels: &[u64]) -> Result<usize, Failure> {
        any!(self, index => index.remove(labels))
    }

    /// # Safety
    /// `query` leads to a row.
    pub unsafe fn search(
        &self,
        query: *const u8,
        request: &Request<'_>,
    ) -> Result<Vec<(u64, f32)>, Failure> {
        // SAFETY: the contract is the caller's.
        any!(self, index => unsafe { index.search(query, request) })
    }
}
