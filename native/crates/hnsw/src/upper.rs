//! The upper levels built anew, after a removal that tore them.
//!
//! What leads a search into the right region are links made when the levels were nearly empty: joining a node past its lost
//! neighbours brings near ones, never those. So where many nodes of the upper levels go, the others (one in M) are linked
//! again in the order of their numbers, as if they were inserted, in a graph of their own; its links then replace the old
//! ones node by node. A search sees old and new links side by side meanwhile, and every one leads to a node of its level.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::graph::HnswGraph;
use crate::insert::InsertScratch;
use crate::{Cancelled, HnswParams, Quantisation, VectorSource};

impl HnswGraph {
    /// Links `raised`, nodes with levels above 0, in rising order, on those levels anew, and enters by one of them.
    /// Nothing else changes the graph meanwhile. Cancelled, it has changed nothing.
    pub(crate) fn rebuild_upper<S: VectorSource>(
        &self,
        raised: &[u32],
        source: &S,
        cancel: &AtomicBool,
    ) -> Result<(), Cancelled> {
        let fresh = HnswGraph::new(HnswParams { quantisation: Quantisation::None, ..self.params });
        let mut scratch = InsertScratch::new();
        for &node in raised {
            if cancel.load(Ordering::Relaxed) {
                return Err(Cancelled);
            }
            fresh.scales.ensure(node);
            for (to, from) in fresh.scales.words(node).iter().zip(self.scales.words(node)) {
                to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            fresh.link_upper(node, source, &mut scratch);
        }
        for &node in raised {
            for level in 1..=self.level_of(node) {
                let _writer = self.lock_node(node);
                self.write_links(node, level, fresh.neighbours(node, level));
            }
        }
        let _alone = self.lock_entry();
        if let Some(entry) = fresh.entry() {
            self.set_entry(entry);
        }
        Ok(())
    }

    /// As `link_with` without level 0, on one thread.
    fn link_upper<S: VectorSource>(&self, node: u32, source: &S, scratch: &mut InsertScratch) {
        let level = self.level_of(node);
        self.prepare_upper_of(node, level);
        let Some(entry) = self.entry() else { return self.set_entry(node) };
        let top = self.level_of(entry);
        let highest = level.min(top);
        let exact = self.exact(source, node);
        self.choose_by(node, &exact, &exact, (entry, highest), 1, scratch);
        for (at, chosen) in (0..=highest).zip(&scratch.chosen).skip(1) {
            self.write_links(node, at, chosen.iter().map(|c| c.node()));
            for neighbour in chosen {
                self.link_back(neighbour.node(), node, &exact, at, &mut scratch.prune);
            }
        }
        if top < level {
            self.set_entry(node);
        }
    }
}
