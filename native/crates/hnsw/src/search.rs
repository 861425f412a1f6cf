//! Searching: greedy descent through the upper levels, then a beam on level 0, then the stored vectors' verdict.
//!
//! The traversal reads the vectors themselves or, in a quantised index, the codes beside the graph. Codes give distances
//! that are nearly right, so the best of what such a beam found are measured again by their vectors: what comes out has
//! exact distances whatever led there.

use crate::beam::{Beam, Terms};
use crate::filtered::FilteredBeam;
use crate::graph::HnswGraph;
use crate::scratch::{Candidate, SearchScratch};
use crate::space::{BLOCK, ExactSpace, Space};
use crate::{Hit, NodeFilter, Quantisation, SearchRequest, SearchStats, VectorSource};

/// A neighbourhood is rejected when fewer of its nodes than this share of the expected number pass the filter. Random
/// filters stay within a few percent of what is expected.
const REJECTED_SHARE: f64 = 0.7;
/// How much wider the beam then is: 30,000 x 128 clustered vectors without the query's own cluster had recall .81 with
/// 100, .905 with 200, .975 with 400. The beam of a search without a filter is some 70 there.
const WIDER_BEAM: usize = 6;

impl HnswGraph {
    /// The `k` nearest accepted nodes to `query`, nearest first, ties by node number, into `out` (cleared first).
    ///
    /// `query` has the source's dimension. Fewer than `k` hits mean that the stats say `exhausted` or `budget_exceeded`,
    /// never that no more nodes match. Runs concurrently with insertions; a node whose insertion has finished before the
    /// call is taken into account like any other.
    pub fn search<S: VectorSource, F: NodeFilter>(
        &self,
        source: &S,
        query: &S::Vector,
        request: &SearchRequest,
        filter: &F,
        scratch: &mut SearchScratch,
        out: &mut Vec<Hit>,
    ) -> SearchStats {
        let reach = || self.calibration().map_or(f32::INFINITY, |known| known.reach);
        let terms = Terms { stop: self.stop(query, request, reach), without: None };
        self.search_until(source, query, request, terms, filter, scratch, out)
    }

    /// [`HnswGraph::search`] on terms of the caller's.
    #[expect(clippy::too_many_arguments, reason = "of the search, and one more")]
    pub(crate) fn search_until<S: VectorSource, F: NodeFilter>(
        &self,
        source: &S,
        query: &S::Vector,
        request: &SearchRequest,
        terms: Terms<'_>,
        filter: &F,
        scratch: &mut SearchScratch,
        out: &mut Vec<Hit>,
    ) -> SearchStats {
        out.clear();
        let exact = ExactSpace::new(self.params.metric, source, &self.scales, query);
        let _reader = self.epochs.enter();
        let (Some(entry), true) = (self.entry(), exact.is_defined() && request.k > 0) else {
            return SearchStats { exhausted: true, ..SearchStats::default() };
        };
        let mut stats = SearchStats::default();
        scratch.shortlist.clear();
        match self.codes() {
            None => self.traverse(&exact, entry, request, terms, filter, scratch, &mut stats),
            Some(codes) => {
                let mut memory = std::mem::take(&mut scratch.query);
                let space = codes.query(query, &mut memory);
                self.traverse(&space, entry, request, terms, filter, scratch, &mut stats);
                scratch.query = memory;
                self.decide(&exact, request, scratch, &mut stats);
            }
        }
        let best = scratch.shortlist.iter().take(request.k);
        out.extend(best.map(|hit| Hit { node: hit.node(), distance: hit.distance() }));
        stats
    }

    /// Fills the shortlist with what a beam finds, nearest first.
    #[expect(clippy::too_many_arguments, reason = "of the search, and one more")]
    fn traverse<P: Space, F: NodeFilter>(
        &self,
        space: &P,
        entry: u32,
        request: &SearchRequest,
        terms: Terms<'_>,
        filter: &F,
        scratch: &mut SearchScratch,
        stats: &mut SearchStats,
    ) {
        let ef = request.ef.max(request.k);
        let start = self.descend(space, entry, self.level_of(entry), 0, stats);
        if F::ACCEPTS_ALL {
            let beam = Beam { graph: self, space, level: 0, budget: request.budget, terms };
            beam.run(&[start], ef, scratch, stats);
            self.shortlist(ef, scratch, stats);
            return;
        }
        let mut beam = FilteredBeam { graph: self, space, filter, ef, budget: request.budget };
        beam.start(start, scratch, stats);
        beam.run(scratch, stats);
        // Where the filter rejects the query's own neighbourhood, a beam of `ef` finds the matches of its first neighbours
        // outside, not the nearest.
        let rejected = request.matches.is_some_and(|all| is_rejected_here(stats, all, self.len()));
        if rejected && !stats.budget_exceeded {
            beam.ef *= WIDER_BEAM;
            beam.take_back(scratch, stats);
            beam.run(scratch, stats);
        }
        let SearchScratch { results, shortlist, .. } = scratch;
        stats.kept = results.len() as u64;
        shortlist.extend(results.drain());
        shortlist.sort_unstable();
    }

    /// Fills the shortlist with what a beam without filter found, nearest first, and with what hangs off that: at most `limit`
    /// nodes, which the beam itself does not count.
    fn shortlist(&self, limit: usize, scratch: &mut SearchScratch, stats: &mut SearchStats) {
        let SearchScratch { nearest, shortlist, visited, .. } = scratch;
        stats.kept = nearest.len() as u64;
        if !self.has_twins() {
            return shortlist.extend(nearest.iter());
        }
        for found in nearest.iter() {
            if shortlist.len() >= limit {
                break;
            }
            shortlist.push(found);
            let mut next = self.next_twin(found.node());
            while let Some(twin) = next.filter(|_| shortlist.len() < limit) {
                // Met before: chains may share their end, after a removal that was cut short.
                if !visited.insert(twin) {
                    break;
                }
                stats.visited += 1;
                shortlist.push(Candidate::new(found.distance(), twin));
                next = self.next_twin(twin);
            }
        }
        // Nearly in order: only equals are not, by their numbers.
        shortlist.sort_unstable();
    }

    /// Measures the best of the shortlist by their vectors and sorts them again.
    fn decide<S: VectorSource>(
        &self,
        exact: &ExactSpace<'_, S>,
        request: &SearchRequest,
        scratch: &mut SearchScratch,
        stats: &mut SearchStats,
    ) {
        let rerank = match request.rerank {
            0 => self.default_rerank(request.k),
            times => times.saturating_mul(request.k),
        };
        let shortlist = &mut scratch.shortlist;
        shortlist.truncate(rerank.max(request.k));
        stats.distances += shortlist.len() as u64;
        measure(exact, shortlist);
    }

    /// How many of a traversal's best are measured again where the request does not say.
    fn default_rerank(&self, k: usize) -> usize {
        match self.params.quantisation {
            Quantisation::None | Quantisation::F16 => k + 2,
            Quantisation::Sq8 => 2 * k + 8,
            // The estimate errs by several ranks: all the beam found.
            Quantisation::Rabitq | Quantisation::Bq | Quantisation::Pq => usize::MAX,
        }
    }

    /// Walks from `entry` on level `top` down to the level above `floor`, on each level to a node that has no nearer
    /// neighbour; returns the last one.
    pub(crate) fn descend<P: Space>(
        &self,
        space: &P,
        entry: u32,
        top: u8,
        floor: u8,
        stats: &mut SearchStats,
    ) -> Candidate {
        let mut nearest = Candidate::new(space.distance(entry), entry);
        stats.distances += 1;
        let (mut nodes, mut distances) = ([0; BLOCK], [0.0; BLOCK]);
        for level in (floor + 1..=top).rev() {
            loop {
                let from = nearest;
                let mut neighbours = self.neighbours(from.node(), level);
                loop {
                    let mut count = 0;
                    for node in neighbours.by_ref().take(BLOCK) {
                        space.prefetch(node);
                        nodes[count] = node;
                        count += 1;
                    }
                    if count == 0 {
                        break;
                    }
                    space.distances(&nodes[..count], &mut distances);
                    stats.distances += count as u64;
                    for (&node, &distance) in nodes[..count].iter().zip(&distances) {
                        nearest = nearest.min(Candidate::new(distance, node));
                    }
                }
                if nearest == from {
                    break;
                }
            }
        }
        nearest
    }
}

/// Gives every candidate the distance that `space` says, and sorts them.
pub(crate) fn measure<P: Space>(space: &P, candidates: &mut [Candidate]) {
    let (mut nodes, mut distances) = ([0; BLOCK], [0.0; BLOCK]);
    for candidate in candidates.iter() {
        space.prefetch(candidate.node());
    }
    for block in candidates.chunks_mut(BLOCK) {
        for (node, candidate) in nodes.iter_mut().zip(block.iter()) {
            *node = candidate.node();
        }
        space.distances(&nodes[..block.len()], &mut distances);
        for (candidate, &distance) in block.iter_mut().zip(&distances) {
            *candidate = Candidate::new(distance, candidate.node());
        }
    }
    candidates.sort_unstable();
}

/// Whether the nodes met passed the filter clearly less often than nodes do on the whole.
fn is_rejected_here(stats: &SearchStats, matches: u64, nodes: u32) -> bool {
    let expected = matches as f64 / f64::from(nodes.max(1)) * stats.visited as f64;
    (stats.accepted_seen as f64) < expected * REJECTED_SHARE
}
