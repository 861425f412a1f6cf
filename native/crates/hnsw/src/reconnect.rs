//! Joining what a removal tore apart.
//!
//! Clusters far from one another are held together by few links, and the nodes that had them may be the removed ones. What
//! cannot be reached from the entry on level 0 is found by walking, and one node of each torn part is linked with the
//! nearest nodes on this side, in both directions and whatever pruning would say.

use omen_kernels::Metric;

use crate::SearchBudget;
use crate::beam::{Beam, Terms};
use crate::graph::HnswGraph;
use crate::scratch::SearchScratch;
use crate::sync::{Ordering, publishing};
use crate::{SearchStats, VectorSource};

/// Links made from and to each torn part.
const LINKS: usize = 3;

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

    /// Makes every linked node below `nodes` that is not removed one that level 0 leads to. Nothing else changes the graph meanwhile.
    pub(crate) fn reconnect<S: VectorSource>(
        &self,
        nodes: u32,
        source: &S,
        is_removed: impl Fn(u32) -> bool,
    ) {
        let Some(entry) = self.entry() else { return };
        let mut reached = Reached { marks: vec![false; nodes as usize], open: Vec::new() };
        reached.walk(self, entry);
        let mut scratch = SearchScratch::new();
        for node in 0..nodes {
            let is_torn_off = !reached.marks[node as usize]
                && !is_removed(node)
                && self.neighbours(node, 0).next().is_some();
            if !is_torn_off {
                continue;
            }
            let mut exact = self.exact(source, node);
            if self.has_both_links() {
                exact = exact.under(Metric::L2);
            }
            let mut stats = SearchStats::default();
            // From the entry itself: the way down from upper levels may end in the torn part.
            let start = self.descend(&exact, entry, 0, 0, &mut stats);
            let beam = Beam {
                graph: self,
                space: &exact,
                level: 0,
                budget: SearchBudget::UNLIMITED,
                terms: Terms::default(),
            };
            beam.run(&[start], self.params.ef_construction as usize, &mut scratch, &mut stats);
            for near in scratch.nearest.iter().take(LINKS) {
                self.force_link(near.node(), node);
                self.force_link(node, near.node());
            }
            reached.walk(self, node);
        }
    }

    /// Makes `to` a neighbour of `from` on level 0, in place of the last, which is the farthest or the newest.
    fn force_link(&self, from: u32, to: u32) {
        let _writer = self.lock_node(from);
        let slots = self.slots(from, 0);
        let place = slots.iter().find(|slot| {
            let link = slot.load(Ordering::Relaxed);
            link == 0 || link == to + 1
        });
        place.unwrap_or(&slots[slots.len() - 1]).store(to + 1, publishing());
    }
}
