//! Inserting a node: find its neighbourhood on every level, choose diverse neighbours, then publish.
//!
//! Nothing of the new node can be reached while it is prepared. Its own links are written first, then the links back to it,
//! level 0 first, so that whoever comes upon the node on some level can go on from it on that level and below.

use std::sync::atomic::Ordering;

use omen_kernels::Metric;

use crate::graph::{HnswGraph, MAX_LEVEL};
use crate::scratch::{Candidate, SearchScratch};
use crate::search::Beam;
use crate::space::{BLOCK, Space, inverse_norm};
use crate::{AllNodes, SearchBudget, SearchStats, VectorSource};

/// Reusable memory of one insertion at a time.
#[derive(Default)]
pub struct InsertScratch {
    search: SearchScratch,
    /// The neighbours chosen for the new node, per level.
    chosen: [Vec<Candidate>; MAX_LEVEL as usize + 1],
    prune: PruneScratch,
}

/// What a beam found on one level, or one node's full list, and what is kept of it.
#[derive(Default)]
struct PruneScratch {
    sorted: Vec<Candidate>,
    kept: Vec<Candidate>,
}

impl InsertScratch {
    pub fn new() -> Self {
        Self::default()
    }
}

impl HnswGraph {
    /// Links `node`, whose vector the source already has. Runs concurrently with searches and other insertions.
    ///
    /// Each number is inserted or skipped exactly once, in roughly increasing order: [`HnswGraph::len`] stops at the first
    /// one missing.
    pub fn insert<S: VectorSource>(&self, node: u32, source: &S, scratch: &mut InsertScratch) {
        self.prepare(node);
        let vector = source.vector(node);
        assert_eq!(vector.len(), source.dim(), "vector of the source's dimension");
        if self.params.metric == Metric::Cosine {
            self.scales.row(node)[0].store(inverse_norm(vector).to_bits(), Ordering::Relaxed);
        }
        let space = Space::new(self.params.metric, source, &self.scales, vector);
        if space.is_defined() {
            self.link(node, &space, scratch);
        }
        self.complete(node);
    }

    fn link<S: VectorSource>(&self, node: u32, space: &Space<'_, S>, scratch: &mut InsertScratch) {
        let level = self.level_of(node);
        let mut entry = self.entry();
        let mut rising = None;
        if entry.is_none_or(|entry| self.level_of(entry) < level) {
            // This node may become the entry: nobody else may until it is linked. The entry may have moved meanwhile.
            rising = Some(self.lock_entry());
            entry = self.entry();
        }
        let Some(entry) = entry else {
            self.prepare_upper(node, level);
            self.set_entry(node);
            return;
        };
        let top = self.level_of(entry);
        if top >= level {
            rising = None;
        }
        if let Some(twin) = self.choose_neighbours(node, space, entry, level.min(top), scratch) {
            self.join(twin, node);
            return;
        }
        self.prepare_upper(node, level);
        for (at, chosen) in (0..=level.min(top)).zip(&scratch.chosen) {
            self.write_links(node, at, chosen.iter().map(|c| c.node()));
        }
        for (at, chosen) in (0..=level.min(top)).zip(&scratch.chosen) {
            for neighbour in chosen {
                self.link_back(neighbour.node(), node, space, at, &mut scratch.prune);
            }
        }
        if rising.is_some() {
            self.set_entry(node);
        }
    }

    /// Fills `scratch.chosen` for levels 0..=`highest`, or returns a linked node that has the same vector.
    fn choose_neighbours<S: VectorSource>(
        &self,
        node: u32,
        space: &Space<'_, S>,
        entry: u32,
        highest: u8,
        scratch: &mut InsertScratch,
    ) -> Option<u32> {
        let InsertScratch { search, chosen, prune } = scratch;
        let mut stats = SearchStats::default();
        let nearest = self.descend(space, entry, self.level_of(entry), highest, &mut stats);
        prune.sorted.clear();
        prune.sorted.push(nearest);
        for level in (0..=highest).rev() {
            search.start();
            let ef = self.params.ef_construction as usize;
            let mut beam = Beam { graph: self, space, filter: &AllNodes, ef, level, twins: false };
            for &start in &prune.sorted {
                beam.seed(start, search, &mut stats);
            }
            beam.run(SearchBudget::UNLIMITED, search, &mut stats);
            prune.sorted.clear();
            prune.sorted.extend(search.results.drain());
            prune.sorted.sort_unstable();
            if level == 0 {
                // An older node only: of two equal nodes inserted at once at most one may hang off the other, and a
                // checkpoint that keeps a node keeps the one it hangs off.
                let own = space.distance(node);
                let mut equals =
                    prune.sorted.iter().filter(|c| c.distance() == own && c.node() < node);
                if let Some(twin) = equals.find(|c| space.equals(c.node())) {
                    return Some(twin.node());
                }
            }
            self.prune(space, &prune.sorted, self.params.m as usize, &mut chosen[level as usize]);
        }
        None
    }

    /// Puts `node` into the chain of nodes whose vector equals `first`'s.
    fn join(&self, first: u32, node: u32) {
        let _writer = self.lock_node(first);
        let head = self.twin_slot(first);
        self.twin_slot(node).store(head.load(Ordering::Relaxed), Ordering::Relaxed);
        // Before the link is published: a reader that needs to see the chain sees that there are chains.
        self.twin_count.fetch_add(1, Ordering::Relaxed);
        head.store(node + 1, Ordering::Release);
    }

    /// Keeps at most `limit` of the candidates, nearest first, leaving out those that are nearer to a kept one than to the
    /// node itself (algorithm 4 of the HNSW paper; with `alpha` above one, RobustPrune of DiskANN).
    fn prune<S: VectorSource>(
        &self,
        space: &Space<'_, S>,
        sorted: &[Candidate],
        limit: usize,
        kept: &mut Vec<Candidate>,
    ) {
        kept.clear();
        for &candidate in sorted {
            if kept.len() == limit {
                return;
            }
            let view = space.seen_from(candidate.node());
            let crowded =
                |k: &Candidate| self.params.alpha * view.distance(k.node()) < candidate.distance();
            if !kept.iter().any(crowded) {
                kept.push(candidate);
            }
        }
    }

    /// Adds `node` to the links of `target`, thinning them out when all slots are taken.
    fn link_back<S: VectorSource>(
        &self,
        target: u32,
        node: u32,
        space: &Space<'_, S>,
        level: u8,
        scratch: &mut PruneScratch,
    ) {
        let _writer = self.lock_node(target);
        let slots = self.slots(target, level);
        if let Some(free) = slots.iter().find(|slot| slot.load(Ordering::Relaxed) == 0) {
            free.store(node + 1, Ordering::Release);
            return;
        }
        let view = space.seen_from(target);
        scratch.sorted.clear();
        let mut add = |nodes: &[u32]| {
            let mut distances = [0.0; BLOCK];
            view.distances(nodes, &mut distances);
            scratch.sorted.extend(nodes.iter().zip(distances).map(|(&n, d)| Candidate::new(d, n)));
        };
        let mut nodes = [0; BLOCK];
        for block in slots.chunks(BLOCK) {
            for (slot, link) in nodes.iter_mut().zip(block) {
                *slot = link.load(Ordering::Relaxed) - 1;
            }
            add(&nodes[..block.len()]);
        }
        add(&[node]);
        scratch.sorted.sort_unstable();
        self.prune(&view, &scratch.sorted, slots.len(), &mut scratch.kept);
        self.write_links(target, level, scratch.kept.iter().map(|c| c.node()));
    }
}
