//! Searching: greedy descent through the upper levels, then a beam on level 0 with the filter inside.
//!
//! Without a filter the beam is algorithm 2 of the HNSW paper. With one, only accepted nodes enter the results, and what a
//! hop looks at depends on how many of the expanded node's neighbours the filter accepts:
//!
//! ```text
//!   many accepted    every neighbour gets a distance; rejected ones guide the way (as hnswlib does)
//!   few accepted     accepted neighbours get a distance, rejected ones are stepped through to their accepted
//!                    neighbours without one (ACORN-1, arXiv 2403.04871)
//!   hardly any       as before, and the rejected neighbours get distances too and stay on the frontier as bridges:
//!                    stepping alone would strand the search wherever matches are farther apart than two hops
//! ```
//!
//! Each hop decides for itself, so a filter that is dense in one region and empty in another gets the right treatment in
//! both without an estimate of either.

use std::cmp::Reverse;

use crate::graph::HnswGraph;
use crate::scratch::{Candidate, SearchScratch};
use crate::space::{BLOCK, Space};
use crate::{Hit, NodeFilter, SearchBudget, SearchStats, VectorSource};

/// A hop steps through rejected neighbours when fewer than two in five are accepted: there, one distance per accepted node
/// at two hops costs less than a distance for every neighbour.
const PLAIN_SHARE: (usize, usize) = (2, 5);
/// Bridges are laid where fewer accepted nodes than this are expected within two hops of a node.
const BRIDGE_BELOW: usize = 6;
/// Bridges laid per hop. At one match in a hundred, three cost a fifth of the distances that all neighbours would and lose
/// half an answer in a hundred (photo-sift, `examples/photo_sift.rs`).
const BRIDGES: usize = 3;

impl HnswGraph {
    /// The `k` nearest accepted nodes to `query`, nearest first, ties by node number, into `out` (cleared first).
    ///
    /// `ef` is the beam width, at least `k` being used; `query` has the source's dimension. Fewer than `k` hits mean that
    /// the stats say `exhausted` or `budget_exceeded`, never that no more nodes match. Runs concurrently with
    /// insertions; a node whose insertion has finished before the call is taken into account like any other.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call per query; a struct would only rename the list"
    )]
    pub fn search<S: VectorSource, F: NodeFilter>(
        &self,
        source: &S,
        query: &[f32],
        k: usize,
        ef: usize,
        filter: &F,
        budget: SearchBudget,
        scratch: &mut SearchScratch,
        out: &mut Vec<Hit>,
    ) -> SearchStats {
        assert_eq!(query.len(), source.dim(), "query of the source's dimension");
        out.clear();
        let space = Space::new(self.params.metric, source, &self.scales, query);
        let mut stats = SearchStats::default();
        let (Some(entry), true) = (self.entry(), space.is_defined() && k > 0) else {
            stats.exhausted = true;
            return stats;
        };
        let top = self.level_of(entry);
        let nearest = self.descend(&space, entry, top, 0, &mut stats);
        scratch.start();
        let mut beam =
            Beam { graph: self, space: &space, filter, ef: ef.max(k), level: 0, twins: true };
        beam.seed(nearest, scratch, &mut stats);
        beam.run(budget, scratch, &mut stats);

        let found = &mut scratch.results;
        while found.len() > k {
            found.pop();
        }
        out.extend(
            std::iter::from_fn(|| found.pop())
                .map(|hit| Hit { node: hit.node(), distance: hit.distance() }),
        );
        out.reverse();
        stats
    }

    /// Walks from `entry` on level `top` down to the level above `floor`, on each level to a node that has no nearer
    /// neighbour; returns the last one.
    pub(crate) fn descend<S: VectorSource>(
        &self,
        space: &Space<'_, S>,
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

/// One beam search on one level. Its frontier and results are the scratch's.
pub(crate) struct Beam<'a, S, F> {
    pub graph: &'a HnswGraph,
    pub space: &'a Space<'a, S>,
    pub filter: &'a F,
    pub ef: usize,
    pub level: u8,
    /// Whether nodes that hang off a linked node with an equal vector are answers too; insertions want linked ones only.
    pub twins: bool,
}

impl<S: VectorSource, F: NodeFilter> Beam<'_, S, F> {
    /// Starts the beam from a node whose distance is known.
    pub fn seed(&mut self, start: Candidate, scratch: &mut SearchScratch, stats: &mut SearchStats) {
        if scratch.visited.insert(start.node()) {
            stats.visited += 1;
            self.meet(start, scratch, stats);
        }
    }

    /// Expands the frontier until nothing on it is nearer than the worst of `ef` results, or the budget is spent.
    pub fn run(
        &mut self,
        budget: SearchBudget,
        scratch: &mut SearchScratch,
        stats: &mut SearchStats,
    ) {
        let mut distances = [0.0; BLOCK];
        while let Some(Reverse(nearest)) = scratch.frontier.pop() {
            if !self.is_open(nearest, scratch) {
                return;
            }
            if stats.distances >= budget.max_distance_computations {
                stats.budget_exceeded = true;
                return;
            }
            scratch.wanted.clear();
            if F::ACCEPTS_ALL {
                self.expand_all(nearest.node(), scratch);
            } else {
                self.expand_filtered(nearest.node(), scratch, stats);
            }
            stats.visited += scratch.wanted.len() as u64;
            stats.distances += scratch.wanted.len() as u64;
            let wanted = std::mem::take(&mut scratch.wanted);
            for block in wanted.chunks(BLOCK) {
                self.space.distances(block, &mut distances);
                for (&node, &distance) in block.iter().zip(&distances) {
                    self.meet(Candidate::new(distance, node), scratch, stats);
                }
            }
            scratch.wanted = wanted;
        }
        stats.exhausted = scratch.results.len() < self.ef;
    }

    /// Whether a node at this distance could still improve the results.
    #[inline]
    fn is_open(&self, candidate: Candidate, scratch: &SearchScratch) -> bool {
        scratch.results.len() < self.ef
            || scratch.results.peek().is_none_or(|worst| candidate < *worst)
    }

    /// Takes a node whose distance is known: onto the frontier, and into the results if accepted.
    #[inline]
    fn meet(&self, candidate: Candidate, scratch: &mut SearchScratch, stats: &mut SearchStats) {
        let accepted = F::ACCEPTS_ALL || self.filter.accepts(candidate.node());
        stats.accepted_seen += u64::from(accepted);
        if !self.is_open(candidate, scratch) {
            return;
        }
        scratch.frontier.push(Reverse(candidate));
        if accepted {
            self.keep(candidate, scratch);
        }
        if self.twins {
            self.meet_twins(candidate, scratch, stats);
        }
    }

    #[inline]
    fn keep(&self, candidate: Candidate, scratch: &mut SearchScratch) {
        if scratch.results.len() < self.ef {
            scratch.results.push(candidate);
        } else if let Some(mut worst) = scratch.results.peek_mut() {
            // One sift instead of the two of a push and a pop.
            *worst = candidate.min(*worst);
        }
    }

    /// Takes the accepted nodes whose vector equals `candidate`'s. Their number has no bound but costs one filter test each,
    /// which an exact scan would pay as well, so the budget does not count them.
    fn meet_twins(
        &self,
        candidate: Candidate,
        scratch: &mut SearchScratch,
        stats: &mut SearchStats,
    ) {
        let mut next = self.graph.next_twin(candidate.node());
        while let Some(node) = next {
            let full = scratch.results.len() >= self.ef;
            if full
                && scratch
                    .results
                    .peek()
                    .is_some_and(|worst| worst.distance() <= candidate.distance())
            {
                return;
            }
            // Also ends the walk on a chain that a damaged checkpoint bent into a ring.
            if !scratch.visited.insert(node) {
                return;
            }
            stats.visited += 1;
            if F::ACCEPTS_ALL || self.filter.accepts(node) {
                stats.accepted_seen += 1;
                self.keep(Candidate::new(candidate.distance(), node), scratch);
            }
            next = self.graph.next_twin(node);
        }
    }

    /// Wants every neighbour not met before.
    #[inline]
    fn expand_all(&self, node: u32, scratch: &mut SearchScratch) {
        for neighbour in self.graph.neighbours(node, self.level) {
            if scratch.visited.insert(neighbour) {
                // Asked for here, a vector is on its way while the rest of the links are read: 7 % of a search.
                omen_kernels::prefetch(self.space.source.vector(neighbour));
                scratch.wanted.push(neighbour);
            }
        }
    }

    /// Accepted itself, or through an equal vector that may be.
    #[inline]
    fn may_answer(&self, node: u32) -> bool {
        self.filter.accepts(node) || self.graph.next_twin(node).is_some()
    }

    /// Wants what the head of this file says.
    fn expand_filtered(&self, node: u32, scratch: &mut SearchScratch, stats: &mut SearchStats) {
        scratch.rejected.clear();
        let (mut degree, mut accepted) = (0, 0);
        for neighbour in self.graph.neighbours(node, self.level) {
            degree += 1;
            if self.may_answer(neighbour) {
                accepted += 1;
                if scratch.visited.insert(neighbour) {
                    scratch.wanted.push(neighbour);
                }
            } else {
                scratch.rejected.push(neighbour);
            }
        }
        let SearchScratch { visited, wanted, rejected, .. } = scratch;
        if accepted * PLAIN_SHARE.1 >= degree * PLAIN_SHARE.0 {
            wanted.extend(rejected.iter().filter(|&&bridge| visited.insert(bridge)));
            return;
        }
        // As many distances as a full unfiltered hop would cost.
        let enough = 2 * self.graph.params.m as usize;
        let (mut scanned, mut reached) = (0, 0);
        rejected.retain(|&step| {
            if wanted.len() >= enough || !visited.insert(step) {
                return false;
            }
            stats.visited += 1;
            for second in self.graph.neighbours(step, self.level) {
                scanned += 1;
                if self.may_answer(second) {
                    reached += 1;
                    if visited.insert(second) {
                        wanted.push(second);
                    }
                }
            }
            true
        });
        // The share of accepted nodes here, over all nodes at two hops: the accepted nodes alone hold together only while
        // each of them leads to several others.
        if reached * degree * degree < BRIDGE_BELOW * scanned {
            rejected.truncate(BRIDGES);
            stats.visited -= rejected.len() as u64;
            wanted.append(rejected);
        }
    }
}
