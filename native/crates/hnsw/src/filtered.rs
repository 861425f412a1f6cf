//! The filtered beam on level 0, and how it goes on wider.
//!
//! Only accepted nodes enter the results, and what a hop looks at depends on how many of the expanded node's neighbours
//! the filter accepts:
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
//!
//! What was met and was too far for the beam is set aside, not forgotten: a beam that goes on wider starts from all that
//! the narrow one learnt and computes no distance twice.

use std::cmp::Reverse;

use crate::graph::HnswGraph;
use crate::scratch::{Candidate, SearchScratch};
use crate::space::{BLOCK, Space};
use crate::{NodeFilter, SearchBudget, SearchStats};

/// A hop steps through rejected neighbours when fewer than two in five are accepted: there, one distance per accepted node
/// at two hops costs less than a distance for every neighbour.
const PLAIN_SHARE: (usize, usize) = (2, 5);
/// Bridges are laid where fewer accepted nodes than this are expected within two hops of a node.
const BRIDGE_BELOW: usize = 6;
/// Bridges laid per hop. At one match in a hundred, three cost a fifth of the distances that all neighbours would and lose
/// half an answer in a hundred (photo-sift, `examples/photo_sift.rs`).
const BRIDGES: usize = 3;

/// One filtered beam search. Its frontier, results and what it set aside are the scratch's.
pub(crate) struct FilteredBeam<'a, P, F> {
    pub graph: &'a HnswGraph,
    pub space: &'a P,
    pub filter: &'a F,
    pub ef: usize,
    pub budget: SearchBudget,
}

impl<P: Space, F: NodeFilter> FilteredBeam<'_, P, F> {
    /// Starts from a node whose distance is known.
    pub fn start(&self, start: Candidate, scratch: &mut SearchScratch, stats: &mut SearchStats) {
        scratch.start();
        scratch.visited.insert(start.node());
        stats.visited += 1;
        self.meet(start, scratch, stats);
    }

    /// Takes back what an earlier, narrower run set aside, as far as it is open now.
    pub fn take_back(&self, scratch: &mut SearchScratch, stats: &mut SearchStats) {
        for candidate in std::mem::take(&mut scratch.spare.results) {
            self.keep(candidate, scratch);
        }
        for candidate in std::mem::take(&mut scratch.spare.frontier) {
            if scratch.visited.insert(candidate.node()) {
                // The rest of a chain of equal vectors that the narrow beam had no room for.
                stats.visited += 1;
                self.meet(candidate, scratch, stats);
            } else {
                self.queue(candidate, scratch);
            }
        }
    }

    /// Expands the frontier until nothing on it is nearer than the worst of `ef` results, or the budget is spent.
    pub fn run(&self, scratch: &mut SearchScratch, stats: &mut SearchStats) {
        let mut distances = [0.0; BLOCK];
        (stats.exhausted, stats.budget_exceeded) = (false, false);
        while let Some(Reverse(nearest)) = scratch.frontier.pop() {
            if !self.is_open(nearest, scratch) {
                scratch.spare.frontier.push(nearest);
                return;
            }
            if stats.distances >= self.budget.max_distance_computations {
                scratch.frontier.push(Reverse(nearest));
                stats.budget_exceeded = true;
                return;
            }
            stats.hops += 1;
            scratch.wanted.clear();
            if F::ACCEPTS_ALL {
                self.expand_all(nearest.node(), scratch);
            } else {
                self.expand(nearest.node(), scratch, stats);
            }
            stats.visited += scratch.wanted.len() as u64;
            stats.distances += scratch.wanted.len() as u64;
            let wanted = std::mem::take(&mut scratch.wanted);
            for &node in &wanted {
                self.space.prefetch(node);
            }
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
        self.queue(candidate, scratch);
        if accepted {
            self.keep(candidate, scratch);
        }
        if self.graph.has_twins() {
            self.meet_twins(candidate, scratch, stats);
        }
    }

    /// Puts a node onto the frontier, or aside.
    #[inline]
    fn queue(&self, candidate: Candidate, scratch: &mut SearchScratch) {
        if self.is_open(candidate, scratch) {
            scratch.frontier.push(Reverse(candidate));
        } else {
            scratch.spare.frontier.push(candidate);
        }
    }

    /// Puts an accepted node among the results, or aside; what it displaces goes aside.
    #[inline]
    fn keep(&self, candidate: Candidate, scratch: &mut SearchScratch) {
        if scratch.results.len() < self.ef {
            scratch.results.push(candidate);
        } else if let Some(mut worst) = scratch.results.peek_mut() {
            // One sift instead of the two of a push and a pop.
            scratch.spare.results.push(candidate.max(*worst));
            *worst = candidate.min(*worst);
        }
    }

    /// Takes the accepted nodes whose vector equals `of`'s. Their number has no bound but costs one filter test each, which
    /// an exact scan would pay as well, so the budget does not count them.
    fn meet_twins(&self, of: Candidate, scratch: &mut SearchScratch, stats: &mut SearchStats) {
        let mut next = self.graph.next_twin(of.node());
        while let Some(node) = next {
            let twin = Candidate::new(of.distance(), node);
            if !self.is_open(twin, scratch) {
                // Not met: `take_back` goes on from here.
                scratch.spare.frontier.push(twin);
                return;
            }
            // Met before: chains may share their end, after a removal that was cut short.
            if !scratch.visited.insert(node) {
                return;
            }
            stats.visited += 1;
            if F::ACCEPTS_ALL || self.filter.accepts(node) {
                stats.accepted_seen += 1;
                self.keep(twin, scratch);
            }
            next = self.graph.next_twin(node);
        }
    }

    /// Wants every neighbour not met before.
    fn expand_all(&self, node: u32, scratch: &mut SearchScratch) {
        let SearchScratch { visited, wanted, .. } = scratch;
        wanted
            .extend(self.graph.neighbours(node, 0).filter(|&neighbour| visited.insert(neighbour)));
    }

    /// Accepted itself, or through an equal vector that may be.
    #[inline]
    fn may_answer(&self, node: u32) -> bool {
        self.filter.accepts(node) || self.graph.has_twins() && self.graph.next_twin(node).is_some()
    }

    /// Wants what the head of this file says.
    fn expand(&self, node: u32, scratch: &mut SearchScratch, stats: &mut SearchStats) {
        scratch.rejected.clear();
        let (mut degree, mut accepted) = (0, 0);
        for neighbour in self.graph.neighbours(node, 0) {
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
            for second in self.graph.neighbours(step, 0) {
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
