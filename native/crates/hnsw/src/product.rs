//! Links under the inner product, where vectors are of unequal lengths.
//!
//! The product is no measure of nearness: the longest vectors have the largest with everybody. A node whose links are chosen
//! by it keeps one or two of those, and most nodes are nobody's link. A graph whose links are chosen by Euclidean distance
//! leads everywhere, but between the long vectors, which are the answers, it has few ways. So each node has both: half its
//! slots are open to what the product would choose, the others take what distance does (as the graphs with edges of both
//! kinds in arXiv 2504.14861). Searches go by the product alone.
//!
//! On 6,000 vectors of 12 dimensions around centres away from the origin, `m = 16`, the ten largest products at a beam of 40:
//! links by the product .75, by distance .85, by both .98. Of vectors of one length all three are the same graph, and
//! nothing is done twice.

use std::sync::atomic::Ordering;

use omen_kernels::Metric;

use crate::codes::Codes;
use crate::graph::HnswGraph;
use crate::insert::{InsertScratch, PruneScratch};
use crate::scratch::Candidate;
use crate::search::measure;
use crate::space::ExactSpace;
use crate::{VectorForm, VectorSource};

/// Squared lengths that differ by less than this share are of vectors that were meant to be of one length.
const UNEVEN: f32 = 0.02;
/// Live nodes whose lengths tell enough of a graph that was opened.
const LOOKED_AT: usize = 64;

impl HnswGraph {
    /// Whether links are chosen both ways.
    pub(crate) fn has_both_links(&self) -> bool {
        self.is_uneven.load(Ordering::Relaxed)
    }

    /// Compares the lengths of nodes with the first one's, where lengths matter.
    pub(crate) fn note_lengths<S: VectorSource>(
        &self,
        mut nodes: impl Iterator<Item = u32>,
        source: &S,
    ) {
        if self.params.metric != Metric::InnerProduct || self.has_both_links() {
            return;
        }
        let length = |node| source.vector(node).squared_norm();
        let Some(first) = nodes.next().map(length) else { return };
        if nodes.map(length).any(|other| (other - first).abs() > UNEVEN * first.max(other)) {
            self.is_uneven.store(true, Ordering::Relaxed);
        }
    }

    /// The same of a graph whose nodes were never looked at.
    pub(crate) fn note_live_lengths<S: VectorSource>(
        &self,
        is_live: impl Fn(u32) -> bool,
        source: &S,
    ) {
        self.note_lengths((0..self.len()).filter(|&node| is_live(node)).take(LOOKED_AT), source);
    }

    /// [`HnswGraph::choose`], once by the product and once by distance.
    pub(crate) fn choose_both<S: VectorSource>(
        &self,
        node: u32,
        source: &S,
        codes: Option<&Codes>,
        from: (u32, u8),
        scratch: &mut InsertScratch,
    ) -> Option<u32> {
        let by_product = self.exact(source, node);
        if let Some(twin) = self.choose_as(node, &by_product, codes, from, scratch) {
            return Some(twin);
        }
        let levels = usize::from(from.1) + 1;
        let products: Vec<Vec<Candidate>> = scratch.chosen[..levels].to_vec();
        let by_distance = by_product.under(Metric::L2);
        if let Some(twin) = self.choose_as(node, &by_distance, codes, from, scratch) {
            return Some(twin);
        }
        for (products, chosen) in products.into_iter().zip(&mut scratch.chosen) {
            join(products, chosen, usize::from(self.params.m));
        }
        None
    }

    /// Measures `scratch.sorted` from a node and keeps at most `limit` of them as its links, in `scratch.kept`.
    pub(crate) fn thin<S: VectorSource>(
        &self,
        view: &ExactSpace<'_, S>,
        limit: usize,
        scratch: &mut PruneScratch,
    ) {
        measure(view, &mut scratch.sorted);
        self.prune(view, &scratch.sorted, limit, &mut scratch.kept);
        if self.has_both_links() {
            let products = std::mem::take(&mut scratch.kept);
            let by_distance = view.under(Metric::L2);
            measure(&by_distance, &mut scratch.sorted);
            self.prune(&by_distance, &scratch.sorted, limit, &mut scratch.kept);
            join(products, &mut scratch.kept, limit);
        }
    }
}

/// Puts the first of `products`, half of `limit` at most, in front of what was chosen by distance.
fn join(mut products: Vec<Candidate>, chosen: &mut Vec<Candidate>, limit: usize) {
    products.truncate(limit / 2);
    chosen.retain(|near| products.iter().all(|best| best.node() != near.node()));
    chosen.splice(0..0, products);
    chosen.truncate(limit);
}
