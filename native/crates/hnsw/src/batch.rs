//! Building a whole graph at once: batches of nodes against a frozen graph, for CREATE INDEX.
//!
//! Each batch is a fixed share of what is there already (prefix doubling, ParlayANN, arXiv 2305.04359) and goes through
//! phases, every one of them parallel over threads and none dependent on their number or timing:
//!
//! ```text
//!   choose    every node of the batch finds its neighbours in the graph as it was and writes its own links
//!   gather    the reverse links are sorted by target
//!   link      every target takes its new links at once, thinning them out a single time
//!   publish   the entry moves up
//! ```
//!
//! What pruning left out of reach is joined at the end.
//!
//! So one seed gives one graph on any number of threads. Nodes come in an order drawn from the seed: rows that lie
//! together are often near one another, and nodes of one batch do not see each other. Of nodes with equal vectors only the
//! first is linked, the others hang off it. The traversal reads 7-bit codes made for the build and dropped
//! after it, a quarter of the vectors' bytes; the vectors themselves decide what is kept.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use omen_kernels::Metric;

use crate::build::Cancelled;
use crate::codes::Codes;
use crate::graph::{HnswGraph, lock, split_mix};
use crate::insert::{InsertScratch, PruneScratch};
use crate::need::{BuildMemory, guide, sample_rows};
use crate::scratch::Candidate;
use crate::space::{ExactSpace, inverse_norm};
use crate::sync::Mutex;
use crate::threads::share;
use crate::{HnswParams, Quantisation, VectorForm, VectorSource};

/// The first nodes are inserted one by one: a batch needs a graph to look into.
const FIRST_NODES: usize = 512;
/// A batch is this share of the graph: nodes of one batch do not see one another, so it must be small.
const BATCH_SHARE: usize = 50;
const MAX_BATCH: usize = 16_384;

/// What a batch build is given beside the vectors.
pub struct BatchOptions<'a> {
    /// At least one; the calling thread is one of them.
    pub threads: usize,
    /// Memory for all of [`BuildMemory`]. Without room for the codes of the build traversals read the vectors; what it needs
    /// at least it takes in any case.
    pub memory_bytes: u64,
    /// Counts finished nodes.
    pub progress: &'a AtomicU64,
    /// Looked at every few nodes.
    pub cancel: &'a AtomicBool,
}

/// A link to be made: level, target, node; sorted so, a target's links are together.
type Reverse = (u8, u32, u32);

impl HnswGraph {
    /// Inserts `nodes` into an empty graph; those that `skip` names are left out for good. Nothing else is inserted or
    /// removed meanwhile, and the nodes count as inserted all at once, at the end.
    pub fn build_batches<S: VectorSource>(
        &self,
        nodes: Range<u32>,
        source: &S,
        skip: impl Fn(u32) -> bool + Sync,
        options: &BatchOptions<'_>,
    ) -> Result<(), Cancelled> {
        assert!(self.entry().is_none() && nodes.start == self.len(), "an empty graph");
        assert!(S::Vector::has(self.params.metric), "a metric of such vectors");
        let present: Vec<u32> = nodes.clone().filter(|&node| !skip(node)).collect();
        let defined: Vec<u32> = present
            .iter()
            .copied()
            .filter(|&node| {
                self.params.metric != Metric::Cosine
                    || inverse_norm(source.vector(node)).is_finite()
            })
            .collect();
        self.note_lengths(defined.iter().copied(), source);
        let own = self.train_on_sample(source, &defined);
        let borrowed = self.temporary_codes(source, &defined, options);
        let idle = Mutex::default();
        let build = Build { graph: self, source, codes: None, idle, options };
        // Codes of the graph's own are complete before a traversal may read them.
        for codes in own.iter().chain(&borrowed) {
            build.share(defined.len(), |share| {
                let mut floats = Vec::new();
                share.for_each(|at| {
                    codes.encode(defined[at], source.vector(defined[at]), &mut floats);
                });
            })?;
        }
        self.publish_codes(own.map(Arc::new));
        let guides = self.guiding_codes();
        let build = Build { codes: guides.as_deref().or(borrowed.as_ref()), ..build };

        let equals = build.equals(&defined)?;
        let is_equal = |node| equals.binary_search_by_key(&node, |pair| pair.0).is_ok();
        let mut linked: Vec<u32> = defined.into_iter().filter(|&node| !is_equal(node)).collect();
        let seed = self.params.seed;
        linked.sort_by_cached_key(|&node| (split_mix(!seed ^ node as u64), node));

        nodes.clone().for_each(|node| self.prepare(node));
        let mut scratch = InsertScratch::new();
        let mut done = linked.len().min(FIRST_NODES);
        for &node in &linked[..done] {
            if options.cancel.load(Ordering::Relaxed) {
                return Err(Cancelled);
            }
            build.store_scale(node);
            if let Some(twin) = self.link_with(node, source, build.codes, &mut scratch) {
                // Of a form whose equals are not known beforehand.
                self.join(twin, node);
            }
            options.progress.fetch_add(1, Ordering::Relaxed);
        }
        while done < linked.len() {
            let size = (done / BATCH_SHARE).min(MAX_BATCH).min(linked.len() - done).max(1);
            build.insert(&linked[done..done + size])?;
            done += size;
        }
        self.reconnect(nodes.end, source, |_| false);
        for &(node, first) in &equals {
            build.store_scale(node);
            self.join(first, node);
        }
        nodes.clone().for_each(|node| self.complete(node));
        self.review_build(source, &linked);
        let others = nodes.len() as u64 - done as u64;
        options.progress.fetch_add(others, Ordering::Relaxed);
        Ok(())
    }

    /// A codec for the graph's own codes, which are still to be made.
    fn train_on_sample<S: VectorSource>(&self, source: &S, nodes: &[u32]) -> Option<Codes> {
        let HnswParams { quantisation, metric, seed, .. } = self.params;
        if quantisation == Quantisation::None || nodes.is_empty() {
            return None;
        }
        Some(Codes::train(quantisation, metric, seed, source, &sample(nodes, source.dim())))
    }

    /// A codec for codes that only this build reads: none where the graph's own will do, the vectors are no numbers or as
    /// small, or memory does not allow it.
    fn temporary_codes<S: VectorSource>(
        &self,
        source: &S,
        nodes: &[u32],
        options: &BatchOptions<'_>,
    ) -> Option<Codes> {
        let HnswParams { metric, seed, .. } = self.params;
        let kind = guide(&self.params, S::Vector::NUMBERS);
        let needed =
            BuildMemory::of(&self.params, source.dim(), S::Vector::NUMBERS, nodes.len() as u64);
        let has_room = needed.total() <= options.memory_bytes;
        if kind == Quantisation::None || nodes.is_empty() || !has_room {
            return None;
        }
        Some(Codes::train(kind, metric, seed, source, &sample(nodes, source.dim())))
    }
}

/// The nodes a codec is trained on, evenly spread.
fn sample(nodes: &[u32], dim: usize) -> Vec<u32> {
    nodes.iter().copied().step_by(nodes.len().div_ceil(sample_rows(dim)).max(1)).collect()
}

struct Build<'a, S> {
    graph: &'a HnswGraph,
    source: &'a S,
    codes: Option<&'a Codes>,
    /// Scratches between phases.
    idle: Mutex<Vec<InsertScratch>>,
    options: &'a BatchOptions<'a>,
}

impl<S: VectorSource> Build<'_, S> {
    /// Runs `work` on all threads, each with a share of `0..len`.
    fn share(
        &self,
        len: usize,
        work: impl Fn(&mut dyn Iterator<Item = usize>) + Sync,
    ) -> Result<(), Cancelled> {
        share(len, self.options.threads, self.options.cancel, work)
    }

    fn store_scale(&self, node: u32) {
        if let [scale] = self.graph.scales.words(node) {
            scale.store(inverse_norm(self.source.vector(node)).to_bits(), Ordering::Relaxed);
        }
    }

    fn insert(&self, batch: &[u32]) -> Result<(), Cancelled> {
        let graph = self.graph;
        for &node in batch {
            // One after the other, so that numbers of upper blocks do not depend on threads.
            graph.prepare_upper(node, graph.level_of(node));
            self.store_scale(node);
        }
        let links = self.choose(batch)?;
        self.link(&links)?;
        let top = graph.entry().map_or(0, |entry| graph.level_of(entry));
        let highest = |&node: &u32| (graph.level_of(node), std::cmp::Reverse(node));
        let highest = batch.iter().copied().max_by_key(highest);
        if let Some(node) = highest.filter(|&node| graph.level_of(node) > top) {
            graph.set_entry(node);
        }
        self.options.progress.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Nodes whose vector an earlier node has, each with the first of its kind.
    fn equals(&self, nodes: &[u32]) -> Result<Vec<(u32, u32)>, Cancelled> {
        let prints: Vec<AtomicU64> = nodes.iter().map(|_| AtomicU64::new(0)).collect();
        self.share(nodes.len(), |share| {
            share.for_each(|at| {
                let print = self.source.vector(nodes[at]).fingerprint().unwrap_or(at as u64);
                prints[at].store(print, Ordering::Relaxed);
            });
        })?;
        let mut prints: Vec<(u64, u32)> =
            prints.into_iter().map(AtomicU64::into_inner).zip(nodes.iter().copied()).collect();
        prints.sort_unstable();
        let mut equals = Vec::new();
        for same in prints.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
            // Those that only look alike are linked like any other node.
            let first = same[0].1;
            let vector = self.source.vector(first);
            let others = same[1..].iter().map(|&(_, node)| node);
            let others = others.filter(|&node| self.source.vector(node).equals(vector));
            equals.extend(others.map(|node| (node, first)));
        }
        equals.sort_unstable();
        Ok(equals)
    }

    /// Every node of the batch finds its neighbours in the graph as it is, and writes its own links; the reverse links come
    /// back sorted.
    fn choose(&self, batch: &[u32]) -> Result<Vec<Reverse>, Cancelled> {
        let graph = self.graph;
        let entry = graph.entry().expect("the first nodes are linked");
        let top = graph.level_of(entry);
        let all = Mutex::new(Vec::new());
        self.share(batch.len(), |share| {
            let (mut scratch, mut own) = (self.scratch(), Vec::new());
            for node in share.map(|at| batch[at]) {
                let highest = graph.level_of(node).min(top);
                let from = (entry, highest);
                graph.choose(node, self.source, self.codes, from, &mut scratch);
                for (level, chosen) in (0..=highest).zip(&scratch.chosen) {
                    let links = chosen.iter().map(|link| link.node());
                    own.extend(links.clone().map(|link| (level, link, node)));
                    graph.write_links(node, level, links);
                }
            }
            self.put_back(scratch);
            lock(&all).append(&mut own);
        })?;
        let mut links = all.into_inner().expect("no thread panicked");
        links.sort_unstable();
        Ok(links)
    }

    /// Every target takes its new links.
    fn link(&self, links: &[Reverse]) -> Result<(), Cancelled> {
        let targets: Vec<&[Reverse]> = links.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
        self.share(targets.len(), |share| {
            let mut scratch = self.scratch();
            share.for_each(|at| self.link_target(targets[at], &mut scratch.prune));
            self.put_back(scratch);
        })
    }

    /// One target takes its new links, which are not empty and all of one level.
    fn link_target(&self, new: &[Reverse], scratch: &mut PruneScratch) {
        let graph = self.graph;
        let (level, target, _) = new[0];
        let _writer = graph.lock_node(target);
        let old = graph.neighbours(target, level);
        let sorted = &mut scratch.sorted;
        sorted.clear();
        let all = old.chain(new.iter().map(|&(_, _, node)| node));
        sorted.extend(all.map(|node| Candidate::new(0.0, node)));
        let slots = graph.slots(target, level).len();
        if sorted.len() <= slots {
            graph.write_links(target, level, sorted.iter().map(|c| c.node()));
            return;
        }
        let metric = graph.params.metric;
        let view = ExactSpace::of_node(metric, self.source, &graph.scales, target);
        graph.thin(&view, slots, scratch);
        graph.write_links(target, level, scratch.kept.iter().map(|c| c.node()));
    }

    /// Working memory, used before if there is any: its visited set is as large as the graph.
    fn scratch(&self) -> InsertScratch {
        lock(&self.idle).pop().unwrap_or_default()
    }

    fn put_back(&self, scratch: InsertScratch) {
        lock(&self.idle).push(scratch);
    }
}
