//! The plain beam: algorithm 2 of the HNSW paper on one level, everything accepted.

use crate::graph::HnswGraph;
use crate::scratch::{Candidate, SearchScratch};
use crate::space::{BLOCK, Space};
use crate::{SearchBudget, SearchStats};

/// One beam search on one level. Its candidates are in the scratch's `nearest`.
pub(crate) struct Beam<'a, P> {
    pub graph: &'a HnswGraph,
    pub space: &'a P,
    pub level: u8,
    /// Whether nodes that hang off a linked node with an equal vector are answers too; insertions want linked ones only.
    pub twins: bool,
    pub budget: SearchBudget,
}

impl<P: Space> Beam<'_, P> {
    /// Finds the `ef` nearest nodes it can from `starts`, whose distances are known.
    pub fn run(
        &self,
        starts: &[Candidate],
        ef: usize,
        scratch: &mut SearchScratch,
        stats: &mut SearchStats,
    ) {
        scratch.start();
        scratch.nearest.start(ef);
        for &start in starts {
            if scratch.visited.insert(start.node()) {
                stats.visited += 1;
                self.meet(start, scratch, stats);
            }
        }
        let mut wanted = [0; BLOCK];
        while let Some(nearest) = scratch.nearest.take() {
            if stats.distances >= self.budget.max_distance_computations {
                stats.budget_exceeded = true;
                break;
            }
            stats.hops += 1;
            let mut count = 0;
            for neighbour in self.graph.neighbours(nearest.node(), self.level) {
                if scratch.visited.insert(neighbour) {
                    // Asked for here, a vector is on its way while the rest of the links are read.
                    self.space.prefetch(neighbour);
                    wanted[count] = neighbour;
                    count += 1;
                    if count == BLOCK {
                        self.look_at(&wanted, scratch, stats);
                        count = 0;
                    }
                }
            }
            if let Some(next) = scratch.nearest.peek() {
                self.graph.prefetch_links(next.node(), self.level);
            }
            self.look_at(&wanted[..count], scratch, stats);
        }
        stats.accepted_seen += stats.visited;
        let ran_dry = scratch.nearest.peek().is_none() && !stats.budget_exceeded;
        stats.exhausted = ran_dry && !scratch.nearest.is_full();
    }

    #[inline]
    fn look_at(&self, nodes: &[u32], scratch: &mut SearchScratch, stats: &mut SearchStats) {
        let mut distances = [0.0; BLOCK];
        self.space.distances(nodes, &mut distances);
        stats.visited += nodes.len() as u64;
        stats.distances += nodes.len() as u64;
        for (&node, &distance) in nodes.iter().zip(&distances) {
            self.meet(Candidate::new(distance, node), scratch, stats);
        }
    }

    #[inline]
    fn meet(&self, candidate: Candidate, scratch: &mut SearchScratch, stats: &mut SearchStats) {
        if !scratch.nearest.admits(candidate) {
            return;
        }
        scratch.nearest.insert(candidate, true);
        if self.twins && self.graph.has_twins() {
            self.meet_twins(candidate, scratch, stats);
        }
    }

    /// Takes the nodes whose vector equals `candidate`'s. They have no links of their own, so there is nothing to expand.
    #[cold]
    fn meet_twins(&self, of: Candidate, scratch: &mut SearchScratch, stats: &mut SearchStats) {
        let mut next = self.graph.next_twin(of.node());
        while let Some(node) = next {
            let twin = Candidate::new(of.distance(), node);
            // Met before: chains may share their end, after a removal that was cut short.
            if !scratch.nearest.admits(twin) || !scratch.visited.insert(node) {
                return;
            }
            stats.visited += 1;
            scratch.nearest.insert(twin, false);
            next = self.graph.next_twin(node);
        }
    }
}
