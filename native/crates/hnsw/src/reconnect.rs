//! Joining what pruning or a removal tore apart.
//!
//! Clusters far from one another are held together by few links, and the nodes that had them may be the removed ones. Where
//! vectors are about as far from one another as from anything, as sparse ones often are, a few of them are everybody's
//! nearest, have room for few links, and the others are nobody's. What cannot be reached from the entry on level 0 is found
//! by walking, and one node of each torn part is linked with near nodes on this side that have room, in both directions and
//! whatever pruning would say (NSG grows its spanning tree so, arXiv 1707.00143).

use omen_kernels::Metric;

use crate::SearchBudget;
use crate::beam::{Beam, Terms};
use crate::graph::HnswGraph;
use crate::scratch::{Candidate, SearchScratch};
use crate::sync::{Ordering, publishing};
use crate::{SearchStats, VectorSource};

/// Links made from and to each torn part.
const LINKS: usize = 3;

/// Where no near node has room a link takes another's place, which may lead to another torn part: so often all is walked.
const ROUNDS: usize = 3;

/// Nodes that can be reached on level 0.
struct Reached {
    marks: Vec<bool>,
    /// Marked, and not walked on from yet.
    open: Vec<u32>,
}

impl Reached {
    fn walk(&mut self, graph: &HnswGraph, from: u32) {
        self.mark(from);
        while let Some(node) = self.open.pop() {
            for link in graph.neighbours(node, 0) {
                self.mark(link);
            }
        }
    }

    fn mark(&mut self, node: u32) {
        let mark = &mut self.marks[node as usize];
        if !*mark {
            *mark = true;
            self.open.push(node);
        }
    }
}

impl HnswGraph {
    /// Which nodes below [`HnswGraph::len`] level 0 leads to from the entry, those with equal vectors included; for checks of
    /// a graph that nobody changes meanwhile.
    pub fn reachable(&self) -> Vec<bool> {
        let nodes = self.len() as usize;
        let mut reached = Reached { marks: vec![false; nodes], open: Vec::new() };
        let Some(entry) = self.entry() else { return reached.marks };
        reached.walk(self, entry);
        for node in 0..nodes as u32 {
            // A node that hangs in a chain has no links of its own.
            let mut next = if reached.marks[node as usize] { self.next_twin(node) } else { None };
            while let Some(twin) = next.filter(|&twin| !reached.marks[twin as usize]) {
                reached.marks[twin as usize] = true;
                next = self.next_twin(twin);
            }
        }
        reached.marks
    }

    /// Makes every linked node below [`HnswGraph::len`] one that level 0 leads to, as far as a few rounds of joining do; a
    /// walk over the whole graph where nothing is torn. Searches may run; nothing else changes the graph meanwhile.
    pub fn join_parts<S: VectorSource>(&self, source: &S) {
        self.reconnect(self.len(), source, |_| false);
    }

    /// The same for those below `nodes` that are not removed.
    pub(crate) fn reconnect<S: VectorSource>(
        &self,
        nodes: u32,
        source: &S,
        is_removed: impl Fn(u32) -> bool,
    ) {
        let Some(entry) = self.entry() else { return };
        let mut scratch = SearchScratch::new();
        for _ in 0..ROUNDS {
            let mut reached = Reached { marks: vec![false; nodes as usize], open: Vec::new() };
            reached.walk(self, entry);
            let mut was_whole = true;
            for node in 0..nodes {
                let is_torn_off = !reached.marks[node as usize]
                    && !is_removed(node)
                    && self.neighbours(node, 0).next().is_some();
                if is_torn_off {
                    was_whole &= self.tie(entry, node, source, &mut scratch);
                    reached.walk(self, node);
                }
            }
            if was_whole {
                return;
            }
        }
    }

    /// Links `node` with near ones that `entry` leads to; false when a link had to make place.
    fn tie<S: VectorSource>(
        &self,
        entry: u32,
        node: u32,
        source: &S,
        scratch: &mut SearchScratch,
    ) -> bool {
        let mut exact = self.exact(source, node);
        if self.has_both_links() {
            exact = exact.under(Metric::L2);
        }
        let mut stats = SearchStats::default();
        // From the entry itself: the way down from upper levels may end in the torn part.
        let start = self.descend(&exact, entry, 0, 0, &mut stats);
        let budget = SearchBudget::UNLIMITED;
        let beam = Beam { graph: self, space: &exact, level: 0, budget, terms: Terms::default() };
        beam.run(&[start], self.params.ef_construction as usize, scratch, &mut stats);
        let mut links = 0;
        for near in scratch.nearest.iter().map(Candidate::node) {
            if links < LINKS && self.put_link(near, node, false) {
                self.put_link(node, near, false);
                links += 1;
            }
        }
        let has_room = links > 0;
        for near in scratch.nearest.iter().take(if has_room { 0 } else { LINKS }) {
            self.put_link(near.node(), node, true);
        }
        has_room
    }

    /// Makes `to` a neighbour of `from` on level 0 if there is room, or `by_force` in place of the last, which is the farthest
    /// or the newest. Whether it is one now.
    fn put_link(&self, from: u32, to: u32, by_force: bool) -> bool {
        let _writer = self.lock_node(from);
        let slots = self.slots(from, 0);
        let free = slots.iter().find(|slot| {
            let link = slot.load(Ordering::Relaxed);
            link == 0 || link == to + 1
        });
        let Some(place) = free.or(slots.last().filter(|_| by_force)) else { return false };
        place.store(to + 1, publishing());
        true
    }
}
