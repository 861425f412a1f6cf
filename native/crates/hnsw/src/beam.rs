//! The plain beam: algorithm 2 of the HNSW paper on one level, everything accepted. It knows linked nodes only: those that
//! hang off one with an equal vector have nothing to expand, and whoever wants them adds them to what was found.

use crate::graph::HnswGraph;
use crate::scratch::{Candidate, SearchScratch};
use crate::space::{BLOCK, Space};
use crate::{SearchBudget, SearchStats};

/// One beam search on one level. Its candidates are in the scratch's `nearest`.
pub(crate) struct Beam<'a, P> {
    pub graph: &'a HnswGraph,
    pub space: &'a P,
    pub level: u8,
    pub budget: SearchBudget,
    pub terms: Terms<'a>,
}

/// What else a beam is told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms<'a> {
    /// Where it ends before the beam is full or dry.
    pub stop: Option<Stop>,
    /// A node that counts as not there.
    pub without: Option<&'a Hole>,
}

/// A node of level 0, and where links to it lead if it is not there.
#[derive(Debug)]
pub(crate) struct Hole {
    pub node: u32,
    /// Nodes that link to it, in order, and the nodes they would link to instead.
    pub around: Vec<(u32, u32)>,
}

impl Hole {
    fn instead(&self, from: u32) -> Option<u32> {
        let at = self.around.binary_search_by_key(&from, |&(from, _)| from).ok()?;
        Some(self.around[at].1)
    }
}

/// Nothing farther than a slack beyond the `k`-th nearest is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub k: usize,
    pub slack: f32,
    /// The nearest that anything could be, from which distances are counted here.
    pub zero: f32,
}

impl Stop {
    /// What is too far when the `k`-th is at `distance`.
    pub fn bound(&self, distance: f32) -> f32 {
        distance + self.slack * (distance - self.zero).max(0.0)
    }
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
        scratch.nearest.start(ef, self.terms.stop);
        if let Some(hole) = self.terms.without {
            scratch.visited.insert(hole.node);
        }
        for &start in starts {
            if scratch.visited.insert(start.node()) {
                stats.visited += 1;
                scratch.nearest.offer(start);
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
            for mut neighbour in self.graph.neighbours(nearest.node(), self.level) {
                if !scratch.visited.insert(neighbour) {
                    let hole = self.terms.without.filter(|hole| hole.node == neighbour);
                    let instead = hole.and_then(|hole| hole.instead(nearest.node()));
                    match instead.filter(|&other| scratch.visited.insert(other)) {
                        Some(other) => neighbour = other,
                        None => continue,
                    }
                }
                // Asked for here, a vector is on its way while the rest of the links are read.
                self.space.prefetch(neighbour);
                wanted[count] = neighbour;
                count += 1;
                if count == BLOCK {
                    self.look_at(&wanted, scratch, stats);
                    count = 0;
                }
            }
            if let Some(next) = scratch.nearest.peek() {
                self.graph.prefetch_links(next.node(), self.level);
            }
            self.look_at(&wanted[..count], scratch, stats);
        }
        stats.accepted_seen += stats.visited;
        let ran_dry = scratch.nearest.peek().is_none() && !stats.budget_exceeded;
        stats.exhausted = ran_dry && !scratch.nearest.is_full() && !scratch.nearest.has_stopped();
    }

    #[inline]
    fn look_at(&self, nodes: &[u32], scratch: &mut SearchScratch, stats: &mut SearchStats) {
        let mut distances = [0.0; BLOCK];
        self.space.distances(nodes, &mut distances);
        stats.visited += nodes.len() as u64;
        stats.distances += nodes.len() as u64;
        for (&node, &distance) in nodes.iter().zip(&distances) {
            scratch.nearest.offer(Candidate::new(distance, node));
        }
    }
}
