//! Whether codes still tell neighbours apart, and what becomes of them when they do not.
//!
//! A codec is trained on the vectors that are there. Later ones may lie where its steps are too coarse or its range has ended,
//! and some sets no codec of one step fits: clusters far narrower than the space between them. So every so many insertions
//! somebody looks: do the codes of nodes inserted lately rank the nearest of their own region where the stored vectors will
//! decide among them? If not, the codec is trained anew on all there is; and if that does not help either, codes are given
//! up and traversals read the vectors, until the graph has grown by half and it is tried again. A batch build looks once,
//! at its end. Neither changes what comes out of a search but in which of the near nodes it finds.
//!
//! Other codes than those of a byte a dimension are coarse by choice: they are trained once and kept.
//!
//! An insertion is a look of its own, for it ranks what its beam found both ways: when a few dozen in a row disagree badly, the codec
//! is looked at at once, before many links are chosen by codes that say nothing.
//!
//! While codes are made insertions wait, so that every linked node has the code that traversals read; searches go on by
//! the old ones, and nobody inserts by the new ones before those have ended. Lock order: `coding`, then all others.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use crate::codes::{Codes, QueryScratch};
use crate::graph::HnswGraph;
use crate::need::sample_rows;
use crate::scratch::Candidate;
use crate::search::measure;
use crate::{HnswParams, Quantisation, VectorSource};

/// Linked vectors that a codec is trained on when they come one by one. Until then traversals read the vectors themselves.
pub(crate) const TRAIN_AT: usize = 1024;
/// Insertions between two looks: one in so many of the nodes, and at least.
const GROWN: u32 = 16;
const LEAST_GROWN: u32 = 512;
/// The same where codes were given up: trying again costs a code for every node.
const GROWN_WITHOUT: u32 = 2;
/// Nodes whose neighbours are ranked in one look, and nodes around each that are.
const PROBES: usize = 128;
const REGION: usize = 256;
/// Neighbours that must be found, as recall@10 is commonly given.
const NEIGHBOURS: usize = 10;
/// Of so many that the codes rank first the vectors decide: a search's [`HnswGraph::default_rerank`] for ten.
const DECIDED: usize = 28;
/// The share of them that is enough, which bounds the recall of ten. Embeddings, photographs' descriptors and generated sets
/// have .999 and more, clusters as narrow as recall bears .985, ones too narrow .93 at most; so many probes tell it within .01.
const FAITHFUL: f64 = 0.97;
/// Insertions looked at together, and the share below which nobody waits for the next look.
const WINDOW: u32 = 32;
const ALARMING: f64 = 0.9;

/// What is known since the last look. Of a graph without codes nobody asks it anything.
pub(crate) struct Review {
    /// Shared by insertions, which give their node a code of the codec there is; alone is who makes codes.
    coding: RwLock<()>,
    /// Insertions since the last look.
    since: AtomicU32,
    /// Insertions until the next one.
    due: AtomicU32,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    /// Some of the nodes inserted since the last look, evenly spread.
    nodes: Vec<u32>,
    /// Insertions of the window, and the neighbours that their codes ranked high enough.
    looked_at: u32,
    agreed: u32,
    /// The codes were kept in spite of an alarm: no other one before the next look.
    is_calm: bool,
}

impl Review {
    /// Of a graph that begins with so many nodes, with codes of them or without.
    pub fn new(quantisation: Quantisation, nodes: u32, has_codes: bool) -> Self {
        let has_all = quantisation == Quantisation::None || has_codes;
        let missing = (TRAIN_AT as u32).saturating_sub(nodes);
        let due = if has_all || missing == 0 { grown(nodes, has_codes) } else { missing };
        Self {
            coding: RwLock::default(),
            since: AtomicU32::new(0),
            due: AtomicU32::new(due),
            recent: Mutex::default(),
        }
    }

    /// While it lives the codes are not replaced.
    pub fn insertion(&self) -> RwLockReadGuard<'_, ()> {
        self.coding.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an insertion with its [`agreement`]; true when codes are to be looked at.
    pub fn note(&self, node: u32, agreement: Option<u32>) -> bool {
        let count = self.since.fetch_add(1, Ordering::Relaxed) + 1;
        let due = self.due.load(Ordering::Relaxed);
        let mut recent = self.recent();
        if count.is_multiple_of((due / PROBES as u32).max(1)) {
            recent.nodes.push(node);
        }
        let Some(agreed) = agreement else { return count >= due };
        recent.looked_at += 1;
        recent.agreed += agreed;
        if recent.looked_at == WINDOW {
            let all = f64::from(WINDOW) * NEIGHBOURS as f64;
            if f64::from(recent.agreed) < all * ALARMING && !recent.is_calm {
                recent.nodes.push(node);
                self.due.store(0, Ordering::Relaxed);
            }
            (recent.looked_at, recent.agreed) = (0, 0);
        }
        count >= self.due.load(Ordering::Relaxed)
    }

    /// Whether the window of insertions made a look due.
    fn is_alarm(&self) -> bool {
        self.due.load(Ordering::Relaxed) == 0
    }

    fn is_due(&self) -> bool {
        self.since.load(Ordering::Relaxed) >= self.due.load(Ordering::Relaxed)
    }

    /// Counting begins again; `is_calm`: and nothing but the count tells when to look.
    fn start(&self, due: u32, is_calm: bool) {
        self.since.store(0, Ordering::Relaxed);
        self.due.store(due, Ordering::Relaxed);
        *self.recent() = Recent { is_calm, ..Recent::default() };
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of the nearest by their vectors, how many the codes ranked high enough; None where too few are ranked to tell.
pub(crate) fn agreement(by_code: &[Candidate], by_vector: &[Candidate]) -> Option<u32> {
    let last = by_vector.get(NEIGHBOURS - 1).filter(|_| by_code.len() > DECIDED)?;
    // Of several at the same distance any will do.
    let end = by_vector.partition_point(|near| near.distance() <= last.distance());
    let nearest = &by_vector[..end];
    let is_near = |c: &&Candidate| nearest.iter().any(|near| near.node() == c.node());
    Some(by_code.iter().take(DECIDED).filter(is_near).count().min(NEIGHBOURS) as u32)
}

/// Insertions after which a graph of `nodes` is looked at again.
fn grown(nodes: u32, has_codes: bool) -> u32 {
    (nodes / if has_codes { GROWN } else { GROWN_WITHOUT }).max(LEAST_GROWN)
}

/// At most [`PROBES`] of them, evenly spread.
fn spread(nodes: &[u32]) -> impl Iterator<Item = u32> {
    nodes.iter().copied().step_by(nodes.len().div_ceil(PROBES).max(1))
}

impl HnswGraph {
    /// Looks at the codes, if nobody else just did: keeps them, makes new ones or gives them up.
    pub(crate) fn review_codes<S: VectorSource>(&self, source: &S) {
        let _alone = self.review.coding.write().unwrap_or_else(PoisonError::into_inner);
        if !self.review.is_due() {
            return;
        }
        let recent = std::mem::take(&mut self.review.recent().nodes);
        let is_alarm = self.review.is_alarm();
        let old = self.codes();
        if old.as_ref().is_some_and(|codes| self.is_faithful(codes, source, recent.iter().copied()))
        {
            return self.review.start(grown(self.len(), true), is_alarm);
        }
        let nodes = self.coded_nodes();
        let missing = TRAIN_AT.saturating_sub(nodes.len()) as u32;
        let fresh = (missing == 0).then(|| self.train_anew(source, &nodes, &recent)).flatten();
        let due = if missing > 0 { missing } else { grown(nodes.len() as u32, fresh.is_some()) };
        self.review.start(due, false);
        self.publish_codes(fresh.map(Arc::new));
        if old.is_some() {
            // They go by the old codes, which new nodes will not have.
            self.epochs.wait_for_readers();
        }
    }

    /// After a batch build of these nodes, duplicates left out: gives codes up that do not tell them apart.
    pub(crate) fn review_build<S: VectorSource>(&self, source: &S, linked: &[u32]) {
        let Some(codes) = self.codes() else { return };
        let is_faithful = self.is_faithful(&codes, source, spread(linked));
        if !is_faithful {
            self.publish_codes(None);
        }
        self.review.start(grown(self.len(), is_faithful), false);
    }

    /// Codes of all of `nodes`, by a codec trained on a sample of them and on `recent` ones; if they tell neighbours apart.
    fn train_anew<S: VectorSource>(
        &self,
        source: &S,
        nodes: &[u32],
        recent: &[u32],
    ) -> Option<Codes> {
        let HnswParams { quantisation, metric, seed, .. } = self.params;
        let step = nodes.len().div_ceil(sample_rows(source.dim())).max(1);
        let mut sample: Vec<u32> = nodes.iter().copied().step_by(step).collect();
        sample.extend(recent);
        let codes = Codes::train(quantisation, metric, seed, source, &sample);
        let mut floats = Vec::new();
        for &node in nodes {
            codes.encode(node, source.vector(node), &mut floats);
        }
        let probes = spread(nodes).chain(recent.iter().copied());
        self.is_faithful(&codes, source, probes).then_some(codes)
    }

    /// Whether the codes rank neighbours well enough; of a kind that is coarse by choice, always.
    fn is_faithful<S: VectorSource>(
        &self,
        codes: &Codes,
        source: &S,
        probes: impl Iterator<Item = u32>,
    ) -> bool {
        if self.params.quantisation != Quantisation::Sq8 {
            return true;
        }
        let mut memory = QueryScratch::default();
        let (mut found, mut wanted) = (0, 0);
        for probe in probes {
            let exact = self.exact(source, probe);
            let mut by_vector = self.region(probe);
            let mut by_code = by_vector.clone();
            measure(&exact, &mut by_vector);
            measure(&codes.query(exact.query, &mut memory), &mut by_code);
            if let Some(agreed) = agreement(&by_code, &by_vector) {
                found += agreed;
                wanted += NEIGHBOURS;
            }
        }
        f64::from(found) >= wanted as f64 * FAITHFUL
    }

    /// What few links lead to from `node`, without distances: nodes whose codes say nothing may have few links.
    fn region(&self, node: u32) -> Vec<Candidate> {
        let mut nodes = vec![node];
        let mut met = HashSet::from([node]);
        let mut at = 0;
        while at < nodes.len() && nodes.len() < REGION {
            nodes.extend(self.neighbours(nodes[at], 0).filter(|&near| met.insert(near)));
            at += 1;
        }
        nodes.into_iter().skip(1).map(|node| Candidate::new(0.0, node)).collect()
    }
}
