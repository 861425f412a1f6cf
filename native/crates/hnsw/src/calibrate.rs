//! How much of the truth a graph finds, measured on itself, and where a search may stop for the recall somebody wants.
//!
//! A sample of the graph's vectors is asked for ten neighbours exactly and by searches that look ever further. Further by
//! a wider beam is one way; the other, which serves searches without a filter, is a beam that stops by itself:
//!
//! ```text
//!   nearest    o o o o o o o o o o | o o   o  o    o       o
//!                        the tenth ^             ^ slack: nothing farther than this is expanded
//! ```
//!
//! The slack is a share of the tenth one's distance, so a query with many near neighbours looks at many nodes and one
//! that lies apart at few, where a beam of fixed width does the same for both. The same recall between .95 and .99 takes 10
//! to 13 % fewer distances on sentence embeddings, 5 on SIFT. Distances under the inner product are counted from the
//! nearest that there could be.
//!
//! A question is the vector of a node, and the node counts as not there, which is how a new vector of the same kind would
//! find the graph. It is no answer, and each link to it leads where it would if the node had never taken its place: to the
//! nearest of its neighbours that pruning would have let in. In `tests/calibration.rs` what finds .81 of such neighbours
//! finds .79 to .84 of unseen vectors'. Without those links the hole makes questions too hard (what found .90 there found .95 to
//! .97), with any of the neighbours in their place too easy (.91 for .84), and so are points beside stored vectors (.90 for .84).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use omen_kernels::Metric;

use crate::aim::{Calibration, Point};
use crate::beam::{Hole, Stop, Terms};
use crate::graph::{HnswGraph, lock, split_mix};
use crate::scratch::{Candidate, SearchScratch};
use crate::space::{BLOCK, Space};
use crate::sync::Mutex;
use crate::threads::share;
use crate::{AllNodes, Cancelled, SearchRequest, VectorForm, VectorSource};

/// Neighbours asked for.
pub(crate) const NEIGHBOURS: usize = 10;
/// What is measured, unless the one before found everything.
const SLACKS: [f32; 16] = [
    0.015, 0.03, 0.045, 0.06, 0.08, 0.1, 0.125, 0.15, 0.18, 0.215, 0.26, 0.32, 0.4, 0.52, 0.72, 1.0,
];
/// The same for beams. The last is the widest that pgvector allows.
const WIDTHS: [u32; 13] = [10, 14, 20, 28, 40, 56, 80, 115, 160, 230, 340, 560, 1000];
/// Points that a stored calibration can have.
pub(crate) const MAX_POINTS: usize = SLACKS.len() + WIDTHS.len();
/// The widest beam that stops by itself.
pub(crate) const WIDEST: usize = WIDTHS[WIDTHS.len() - 1] as usize;
/// Everything, but for what two or three of the sample's neighbours are.
const ALL: f32 = 0.999;

/// Vectors asked; fewer where the exact answers would take more than so many distances, but never fewer than the least.
const SAMPLE: usize = 256;
const LEAST_SAMPLE: usize = 24;
const EXACT_DISTANCES: usize = 16_000_000;
/// Below this an exact scan costs no more than a search.
const LEAST_NODES: u32 = 512;
/// Share of the nodes after which a graph is measured again: what a recall takes grows with the logarithm of the nodes.
const DRIFT: f64 = 0.5;
/// Queries whose exact answers are looked for in one pass over the vectors.
const PASS: usize = 16;

/// A node to do without, and the farthest and the number of its true neighbours, ten at most.
struct Question {
    hole: Hole,
    farthest: f32,
    count: usize,
}

impl HnswGraph {
    /// What the graph was last measured at.
    pub fn calibration(&self) -> Option<Arc<Calibration>> {
        lock(&self.calibration).clone()
    }

    /// Forgets the measurement, after changes that it cannot know of.
    pub fn forget_calibration(&self) {
        *lock(&self.calibration) = None;
    }

    /// Whether a measurement is due: the graph is large enough, and has grown by half since the last.
    pub fn is_uncalibrated(&self) -> bool {
        let nodes = self.len();
        let known = self.calibration().map_or(0, |calibration| calibration.nodes);
        self.entry().is_some()
            && nodes >= LEAST_NODES
            && f64::from(nodes.abs_diff(known)) > DRIFT * f64::from(known.max(1))
    }

    /// Measures the graph on `threads` threads (at least one), for [`Calibration::aim`]: searches that measure as much again as
    /// `rerank` says, see [`SearchRequest::rerank`]. Searches and insertions may run; removals may not. A graph without
    /// links is not measured. The same graph gives the same measurement.
    pub fn calibrate<S: VectorSource>(
        &self,
        source: &S,
        rerank: usize,
        threads: usize,
        cancel: &AtomicBool,
    ) -> Result<(), Cancelled> {
        let linked = self.linked_nodes();
        let nodes: Vec<u32> = (0..self.len())
            .filter(|&node| linked[node as usize / 64] >> (node % 64) & 1 == 1)
            .collect();
        if nodes.is_empty() {
            return Ok(());
        }
        let metric = self.params.metric;
        let norm = |&node: &u32| source.vector(node).squared_norm();
        let norms = if metric == Metric::InnerProduct { &nodes[..] } else { &[] };
        let reach = norms.iter().map(norm).fold(0.0, f32::max).sqrt();
        let questions = Vec::new();
        let mut measuring =
            Measuring { graph: self, source, reach, rerank, questions, threads, cancel };
        measuring.ask(&nodes)?;
        let mut points = Vec::with_capacity(MAX_POINTS);
        for slack in SLACKS {
            let point = measuring.point(slack, WIDEST as u32)?;
            points.push(point);
            if point.recall >= ALL {
                break;
            }
        }
        for ef in WIDTHS {
            let point = measuring.point(f32::INFINITY, ef)?;
            points.push(point);
            if point.recall >= ALL {
                break;
            }
        }
        let calibration = Calibration { nodes: self.len(), reach, points };
        *lock(&self.calibration) = Some(Arc::new(calibration));
        Ok(())
    }

    /// Where a search for `query` stops under a slack, if it is a finite one and the metric's distances have a zero.
    pub(crate) fn stop<V: VectorForm + ?Sized>(
        &self,
        query: &V,
        request: &SearchRequest,
        reach: impl FnOnce() -> f32,
    ) -> Option<Stop> {
        let zero = match self.params.metric {
            Metric::InnerProduct => -query.squared_norm().sqrt() * reach(),
            _ => 0.0,
        };
        let k = request.k.max(NEIGHBOURS);
        (request.slack.is_finite() && zero.is_finite()).then_some(Stop {
            k,
            slack: request.slack,
            zero,
        })
    }
}

struct Measuring<'a, S> {
    graph: &'a HnswGraph,
    source: &'a S,
    reach: f32,
    rerank: usize,
    questions: Vec<Question>,
    threads: usize,
    cancel: &'a AtomicBool,
}

impl<S: VectorSource> Measuring<'_, S> {
    /// Chooses the questions and answers them exactly.
    fn ask(&mut self, nodes: &[u32]) -> Result<(), Cancelled> {
        let graph = self.graph;
        let affordable = EXACT_DISTANCES / nodes.len();
        let count = affordable.clamp(LEAST_SAMPLE, SAMPLE);
        // Those that others hang off, or that lead down from above, are more than one node to do without.
        let is_alone = |node: u32| {
            !graph.has_upper(node)
                && graph.next_twin(node).is_none()
                && graph.neighbours(node, 0).next().is_some()
        };
        let mut drawn: Vec<u32> = nodes.iter().copied().filter(|&node| is_alone(node)).collect();
        let seed = graph.params.seed;
        drawn.sort_by_cached_key(|&node| (split_mix(seed ^ !u64::from(node)), node));
        drawn.truncate(count);
        let from = self.linking_to(&drawn, nodes);
        let questions = Mutex::new(Vec::with_capacity(count));
        self.share(drawn.len(), |share| {
            loop {
                let mut pass: Vec<Question> =
                    share.take(PASS).map(|at| self.question(drawn[at], &from[at])).collect();
                if pass.is_empty() {
                    return;
                }
                self.answer(&mut pass, nodes);
                lock(&questions).append(&mut pass);
            }
        })?;
        self.questions = questions.into_inner().expect("no thread panicked");
        // What threads finished first must not show in a mean.
        self.questions.sort_unstable_by_key(|question| question.hole.node);
        self.questions.retain(|question| question.count > 0);
        Ok(())
    }

    /// Which nodes link to each of some.
    fn linking_to(&self, drawn: &[u32], nodes: &[u32]) -> Vec<Vec<u32>> {
        let places: HashMap<u32, usize> =
            drawn.iter().enumerate().map(|(at, &node)| (node, at)).collect();
        let mut from = vec![Vec::new(); drawn.len()];
        for &node in nodes {
            for link in self.graph.neighbours(node, 0) {
                if let Some(&at) = places.get(&link) {
                    from[at].push(node);
                }
            }
        }
        from
    }

    /// A question about `node`, without answer. What nodes that link to it would link to instead is chosen among its neighbours as
    /// insertion chooses: the nearest that is not nearer to another link.
    fn question(&self, node: u32, from: &[u32]) -> Question {
        let graph = self.graph;
        let instead = |&from: &u32| {
            let space = graph.exact(self.source, from);
            let links: Vec<Candidate> = graph
                .neighbours(from, 0)
                .filter(|&link| link != node)
                .map(|link| Candidate::new(space.distance(link), link))
                .collect();
            let mut others: Vec<Candidate> = graph
                .neighbours(node, 0)
                .filter(|&other| other != from && links.iter().all(|link| link.node() != other))
                .map(|other| Candidate::new(space.distance(other), other))
                .collect();
            others.sort_unstable();
            let is_free = |other: &Candidate| {
                let view = space.seen_from(other.node());
                let crowded = |link: &Candidate| {
                    link < other
                        && graph.params.alpha * view.distance(link.node()) < other.distance()
                };
                !links.iter().any(crowded)
            };
            others.into_iter().find(is_free).map(|other| (from, other.node()))
        };
        let hole = Hole { node, around: from.iter().filter_map(instead).collect() };
        Question { hole, farthest: 0.0, count: 0 }
    }

    /// Finds the tenth neighbours of some nodes in one pass over all vectors.
    fn answer(&self, pass: &mut [Question], nodes: &[u32]) {
        let spaces: Vec<_> =
            pass.iter().map(|question| self.graph.exact(self.source, question.hole.node)).collect();
        let mut best: Vec<Vec<Candidate>> = pass.iter().map(|_| Vec::new()).collect();
        let mut distances = [0.0; BLOCK];
        for block in nodes.chunks(BLOCK) {
            for ((question, space), best) in pass.iter().zip(&spaces).zip(&mut best) {
                space.distances(block, &mut distances);
                let others =
                    block.iter().zip(&distances).filter(|(node, _)| **node != question.hole.node);
                best.extend(others.map(|(&node, &distance)| Candidate::new(distance, node)));
                if best.len() > NEIGHBOURS {
                    best.select_nth_unstable(NEIGHBOURS - 1);
                    best.truncate(NEIGHBOURS);
                }
            }
        }
        for (question, best) in pass.iter_mut().zip(best) {
            question.count = best.len();
            question.farthest = best.iter().max().map_or(0.0, |last| last.distance());
        }
    }

    /// Asks all questions one way.
    fn point(&self, slack: f32, ef: u32) -> Result<Point, Cancelled> {
        // Of each question the recall and the distances.
        let answers = Mutex::new(vec![(0.0, 0); self.questions.len()]);
        let usual = SearchRequest::new(NEIGHBOURS, ef as usize);
        let request = SearchRequest { slack, rerank: self.rerank, ..usual };
        self.share(self.questions.len(), |share| {
            let (mut scratch, mut hits) = (SearchScratch::new(), Vec::new());
            for at in share {
                let question = &self.questions[at];
                let query = self.source.vector(question.hole.node);
                let stop = self.graph.stop(query, &request, || self.reach);
                let terms = Terms { stop, without: Some(&question.hole) };
                let (scratch, hits) = (&mut scratch, &mut hits);
                let stats = self.graph.search_until(
                    self.source,
                    query,
                    &request,
                    terms,
                    &AllNodes,
                    scratch,
                    hits,
                );
                // Of several at the same distance any will do.
                let found = hits.iter().filter(|hit| hit.distance <= question.farthest).count();
                let recall = found.min(question.count) as f64 / question.count as f64;
                lock(&answers)[at] = (recall, stats.distances);
            }
        })?;
        let answers = answers.into_inner().expect("no thread panicked");
        if answers.is_empty() {
            return Ok(Point { slack, ef, recall: 1.0, error: 0.0, work: 0.0 });
        }
        let count = answers.len() as f64;
        let mean = answers.iter().map(|(recall, _)| recall).sum::<f64>() / count;
        let variance = answers.iter().map(|(recall, _)| (recall - mean).powi(2)).sum::<f64>();
        let error = (variance / count / count).sqrt() as f32;
        let work = answers.iter().map(|(_, distances)| *distances as f64).sum::<f64>() / count;
        Ok(Point { slack, ef, recall: mean as f32, error, work: work as f32 })
    }

    fn share(
        &self,
        len: usize,
        work: impl Fn(&mut dyn Iterator<Item = usize>) + Sync,
    ) -> Result<(), Cancelled> {
        share(len, self.threads, self.cancel, work)
    }
}
