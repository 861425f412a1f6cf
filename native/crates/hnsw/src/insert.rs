//! Inserting a node: find its neighbourhood on every level, choose diverse neighbours, then publish.
//!
//! Nothing of the new node can be reached while it is prepared. Its own links are written first, then the links back to it,
//! level 0 first, so that whoever comes upon the node on some level can go on from it on that level and below.

use omen_kernels::Metric;

use crate::SearchBudget;
use crate::VectorSource;
use crate::beam::{Beam, Terms};
use crate::codes::{Codes, QueryScratch};
use crate::graph::{HnswGraph, MAX_LEVEL};
use crate::scratch::{Candidate, SearchScratch};
use crate::search::measure;
use crate::space::{ExactSpace, Space, inverse_norm};
use crate::sync::{Fault, Ordering, planted, publishing};
use crate::{Quantisation, SearchStats, VectorForm};

/// One of so many slots is filled in any case. Where one vector is nearer to all others than they are to one another, as zero
/// is among sparse ones, pruning would leave each of them that one link, and it has room for few of theirs.
const FILLED: usize = 4;

/// Reusable memory of one insertion at a time.
#[derive(Default)]
pub struct InsertScratch {
    search: SearchScratch,
    /// The neighbours chosen for the new node, per level.
    pub(crate) chosen: [Vec<Candidate>; MAX_LEVEL as usize + 1],
    pub(crate) prune: PruneScratch,
    query: QueryScratch,
    pub(crate) floats: Vec<f32>,
    /// Of the nearest that the last insertion found by codes, those that the codes ranked high enough (`review`).
    agreement: Option<u32>,
}

/// What a beam found on one level, or one node's full list, and what is kept of it.
#[derive(Default)]
pub(crate) struct PruneScratch {
    pub sorted: Vec<Candidate>,
    pub kept: Vec<Candidate>,
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
    /// one missing. A number that [`HnswGraph::remove`] took out is inserted anew the same way.
    pub fn insert<S: VectorSource>(&self, node: u32, source: &S, scratch: &mut InsertScratch) {
        assert!(S::Vector::has(self.params.metric), "a metric of such vectors");
        self.prepare(node);
        let vector = source.vector(node);
        if self.params.metric == Metric::Cosine {
            self.scales.words(node)[0].store(inverse_norm(vector).to_bits(), Ordering::Relaxed);
        }
        self.note_lengths(self.entry().into_iter().chain([node]), source);
        if !self.exact(source, node).is_defined() {
            return self.complete(node);
        }
        if self.params.quantisation == Quantisation::None {
            self.link_new(node, source, None, scratch);
            return self.complete(node);
        }
        let is_due = {
            let _codes_stay = self.review.insertion();
            if let Some(codes) = self.codes() {
                codes.encode(node, source.vector(node), &mut scratch.floats);
            }
            self.link_new(node, source, self.guiding_codes().as_deref(), scratch);
            self.complete(node);
            self.review.note(node, scratch.agreement.take())
        };
        if is_due {
            self.review_codes(source);
        }
    }

    fn link_new<S: VectorSource>(
        &self,
        node: u32,
        source: &S,
        codes: Option<&Codes>,
        scratch: &mut InsertScratch,
    ) {
        if let Some(twin) = self.link_with(node, source, codes, scratch) {
            self.join(twin, node);
        }
    }

    /// Distances from a node whose inverse norm is stored.
    pub(crate) fn exact<'a, S: VectorSource>(
        &'a self,
        source: &'a S,
        node: u32,
    ) -> ExactSpace<'a, S> {
        ExactSpace::of_node(self.params.metric, source, &self.scales, node)
    }

    /// Links a prepared node, traversing by `codes` if there are any; or leaves it and names a linked node that has the same
    /// vector.
    pub(crate) fn link_with<S: VectorSource>(
        &self,
        node: u32,
        source: &S,
        codes: Option<&Codes>,
        scratch: &mut InsertScratch,
    ) -> Option<u32> {
        let level = self.level_of(node);
        let mut entry = self.entry();
        let mut rising = None;
        if entry.is_none_or(|entry| self.level_of(entry) < level) {
            // This node may become the entry: nobody else may until it is linked. The entry may have moved meanwhile.
            rising = Some(self.lock_entry());
            if !planted(Fault::EntryNotLookedAtAgain) {
                entry = self.entry();
            }
        }
        let Some(entry) = entry else {
            self.prepare_upper(node, level);
            self.set_entry(node);
            return None;
        };
        let top = self.level_of(entry);
        if top >= level {
            rising = None;
        }
        let highest = level.min(top);
        let twin = self.choose(node, source, codes, (entry, highest), scratch);
        if twin.is_some() {
            return twin;
        }
        self.prepare_upper(node, level);
        let exact = self.exact(source, node);
        let write_own = |chosen: &[Vec<Candidate>]| {
            for (at, chosen) in (0..=highest).zip(chosen) {
                self.write_links(node, at, chosen.iter().map(|c| c.node()));
            }
        };
        let is_late = planted(Fault::LinksBackFirst);
        if !is_late {
            write_own(&scratch.chosen);
        }
        for (at, chosen) in (0..=highest).zip(&scratch.chosen) {
            for neighbour in chosen {
                self.link_back(neighbour.node(), node, &exact, at, &mut scratch.prune);
            }
        }
        if is_late {
            write_own(&scratch.chosen);
        }
        if rising.is_some() {
            self.set_entry(node);
        }
        None
    }

    /// Fills `scratch.chosen` for levels 0..=`highest`, or returns a linked node that has the same vector. Starts from the
    /// first of `from` and traverses by `codes` if there are any; the vectors decide.
    pub(crate) fn choose<S: VectorSource>(
        &self,
        node: u32,
        source: &S,
        codes: Option<&Codes>,
        from: (u32, u8),
        scratch: &mut InsertScratch,
    ) -> Option<u32> {
        if self.has_both_links() {
            return self.choose_both(node, source, codes, from, scratch);
        }
        self.choose_as(node, &self.exact(source, node), codes, from, scratch)
    }

    /// The same by distances of `exact`'s metric.
    pub(crate) fn choose_as<S: VectorSource>(
        &self,
        node: u32,
        exact: &ExactSpace<'_, S>,
        codes: Option<&Codes>,
        from: (u32, u8),
        scratch: &mut InsertScratch,
    ) -> Option<u32> {
        let Some(codes) = codes else {
            return self.choose_by(node, exact, exact, from, scratch);
        };
        let mut memory = std::mem::take(&mut scratch.query);
        let walk = codes.query_under(exact.metric(), exact.query, &mut memory);
        let twin = self.choose_by(node, exact, &walk, from, scratch);
        scratch.query = memory;
        twin
    }

    fn choose_by<S: VectorSource, P: Space>(
        &self,
        node: u32,
        exact: &ExactSpace<'_, S>,
        walk: &P,
        (entry, highest): (u32, u8),
        scratch: &mut InsertScratch,
    ) -> Option<u32> {
        let InsertScratch { search, chosen, prune, agreement, .. } = scratch;
        let mut stats = SearchStats::default();
        let nearest = self.descend(walk, entry, self.level_of(entry), highest, &mut stats);
        prune.sorted.clear();
        prune.sorted.push(nearest);
        for level in (0..=highest).rev() {
            let beam = Beam {
                graph: self,
                space: walk,
                level,
                budget: SearchBudget::UNLIMITED,
                terms: Terms::default(),
            };
            beam.run(&prune.sorted, self.params.ef_construction as usize, search, &mut stats);
            prune.sorted.clear();
            // A node that lost its links may still be found by links to it.
            prune.sorted.extend(search.nearest.iter().filter(|found| found.node() != node));
            let starts = (!P::EXACT).then(|| prune.sorted.clone());
            if !P::EXACT {
                measure(exact, &mut prune.sorted);
            }
            if level == 0 {
                if let Some(by_code) = &starts {
                    *agreement = crate::review::agreement(by_code, &prune.sorted);
                }
                // An older node only: of two equal nodes inserted at once at most one may hang off the other, and a
                // checkpoint that keeps a node keeps the one it hangs off.
                let own = exact.distance(node);
                let mut equals =
                    prune.sorted.iter().filter(|c| c.distance() == own && c.node() < node);
                if let Some(twin) = equals.find(|c| exact.equals(c.node())) {
                    return Some(twin.node());
                }
            }
            self.prune(exact, &prune.sorted, self.params.m as usize, &mut chosen[level as usize]);
            if let Some(starts) = starts {
                // The next level's beam goes on in the walk's own distances.
                prune.sorted = starts;
            }
        }
        None
    }

    /// Puts `node`, which is in no chain, into that of the nodes whose vector equals `first`'s.
    pub(crate) fn join(&self, first: u32, node: u32) {
        let _writer = self.lock_node(first);
        let head = self.twin_slot(first);
        self.twin_slot(node).store(head.load(Ordering::Relaxed), Ordering::Relaxed);
        // Before the link is published: a reader that needs to see the chain sees that there are chains.
        self.twin_count.fetch_add(1, Ordering::Relaxed);
        head.store(node + 1, Ordering::Release);
    }

    /// Keeps at most `limit` of the candidates, nearest first, leaving out those that are nearer to a kept one than to the
    /// node itself (algorithm 4 of the HNSW paper; with `alpha` above one, RobustPrune of DiskANN). Where that leaves fewer
    /// than a share of `limit`, the nearest of those left out make it up (see [`FILLED`]).
    pub(crate) fn prune<S: VectorSource>(
        &self,
        space: &ExactSpace<'_, S>,
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
        let floor = limit / FILLED;
        for &candidate in sorted {
            if kept.len() >= floor {
                return;
            }
            if kept.iter().all(|k| k.node() != candidate.node()) {
                kept.push(candidate);
            }
        }
    }

    /// Adds `node` to the links of `target`, thinning them out when all slots are taken.
    pub(crate) fn link_back<S: VectorSource>(
        &self,
        target: u32,
        node: u32,
        space: &ExactSpace<'_, S>,
        level: u8,
        scratch: &mut PruneScratch,
    ) {
        let _writer = (!planted(Fault::SlotsUnlocked)).then(|| self.lock_node(target));
        let slots = self.slots(target, level);
        for slot in slots {
            match slot.load(Ordering::Relaxed) {
                0 => return slot.store(node + 1, publishing()),
                link if link == node + 1 => return,
                _ => {}
            }
        }
        let view = space.seen_from(target);
        scratch.sorted.clear();
        let links = slots.iter().map(|link| link.load(Ordering::Relaxed) - 1);
        scratch.sorted.extend(links.chain([node]).map(|link| Candidate::new(0.0, link)));
        self.thin(&view, slots.len(), scratch);
        self.write_links(target, level, scratch.kept.iter().map(|c| c.node()));
    }
}
