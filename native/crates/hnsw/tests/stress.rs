//! One writer that removes, gives numbers again and inserts, beside readers that check what they find.

mod common;

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use common::{Rows, params};
use omen_hnsw::{
    HnswGraph, HnswParams, InsertScratch, Metric, Quantisation, SearchRequest, SearchScratch,
    VectorSource,
};

const DIM: usize = 16;
const NODES: u32 = 3_000;

/// Vectors that change when a number is given again, as words: a reader that came too late to a number would see torn
/// floats, not undefined behaviour.
struct Slots(Vec<RwLock<&'static [f32]>>);

impl VectorSource for Slots {
    type Vector = [f32];

    fn dim(&self) -> usize {
        DIM
    }

    fn vector(&self, node: u32) -> &[f32] {
        *self.0[node as usize].read().expect("no panic")
    }
}

/// Every round a tenth of the nodes is removed and their numbers are given to new vectors.
#[test]
fn readers_find_what_stays_while_a_writer_removes_and_inserts() {
    for quantisation in [Quantisation::None, Quantisation::Sq8] {
        const ROUNDS: u32 = 12;
        let all = Rows::clustered((NODES + ROUNDS * NODES / 10) as usize, DIM, 91);
        let all: &'static Rows = Box::leak(Box::new(all));
        let mut fresh = all.iter();
        let slots = (0..NODES).map(|_| RwLock::new(fresh.next().expect("enough rows")));
        let source = Slots(slots.collect());
        let graph = HnswGraph::new(HnswParams { quantisation, ..params(Metric::L2) });
        let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
        graph.build(0..NODES, &source, 2, &progress, &cancel).expect("nobody cancels");
        // Nodes of residue 0 stay for good; readers look for those.
        let gone: Vec<AtomicBool> = (0..NODES).map(|_| AtomicBool::new(false)).collect();
        let (writing, searches, missed) =
            (AtomicBool::new(true), AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for reader in 0..3 {
                let (graph, source, gone) = (&graph, &source, &gone);
                let (writing, searches, missed) = (&writing, &searches, &missed);
                scope.spawn(move || {
                    let (mut scratch, mut hits) = (SearchScratch::new(), Vec::new());
                    let mut at = reader;
                    while writing.load(Ordering::Relaxed) {
                        at = (at + 37) % (NODES / 10);
                        let query = source.vector(at * 10).to_vec();
                        let live = |node: u32| !gone[node as usize].load(Ordering::Relaxed);
                        let request = SearchRequest::new(10, 60);
                        graph.search(source, &query, &request, &live, &mut scratch, &mut hits);
                        assert_eq!(hits.len(), 10);
                        assert!(hits.windows(2).all(|p| p[0].distance <= p[1].distance));
                        searches.fetch_add(1, Ordering::Relaxed);
                        missed.fetch_add(u32::from(hits[0].distance != 0.0), Ordering::Relaxed);
                    }
                });
            }
            let mut scratch = InsertScratch::new();
            for round in 0..ROUNDS {
                let removed = |node: u32| node % 10 == 1 + round % 9;
                for node in (0..NODES).filter(|&node| removed(node)) {
                    gone[node as usize].store(true, Ordering::Relaxed);
                }
                graph.remove(removed, &source, 1, &progress, &cancel).expect("nobody cancels");
                for node in (0..NODES).filter(|&node| removed(node)) {
                    let vector = fresh.next().expect("enough rows");
                    *source.0[node as usize].write().expect("no panic") = vector;
                    graph.insert(node, &source, &mut scratch);
                    gone[node as usize].store(false, Ordering::Relaxed);
                }
            }
            writing.store(false, Ordering::Relaxed);
        });
        let (searches, missed) = (searches.into_inner(), missed.into_inner());
        assert!(missed * 20 <= searches, "{missed} of {searches} searches missed an exact match");
    }
}
