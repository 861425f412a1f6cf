//! Insertions beside searches and beside each other.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{Rows, build, insert_all, params, recall, search};
use omen_hnsw::{AllNodes, Cancelled, HnswGraph, Metric, VectorSource};

#[test]
fn a_parallel_build_is_as_good_as_a_serial_one() {
    for metric in [Metric::L2, Metric::Cosine] {
        let (rows, queries) = Rows::clustered(4_060, 24, 61).split(4_000);
        let serial = recall(&build(&rows, params(metric)), &rows, &queries, (10, 40), &AllNodes);
        let graph = HnswGraph::new(params(metric));
        let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
        graph.build(0..4_000, &rows, 4, &progress, &cancel).expect("nobody cancels");
        assert_eq!((graph.len(), progress.into_inner()), (4_000, 4_000));
        let parallel = recall(&graph, &rows, &queries, (10, 40), &AllNodes);
        assert!(parallel >= serial - 0.02, "{metric:?}: serial {serial}, parallel {parallel}");
    }
}

#[test]
fn searches_beside_insertions_find_what_was_there() {
    let rows = Rows::clustered(5_000, 24, 62);
    let graph = HnswGraph::new(params(Metric::L2));
    insert_all(&graph, &rows, 0..1_000);
    let inserting = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let searchers: Vec<_> = (0..2)
            .map(|thread| {
                let (graph, rows, inserting) = (&graph, &rows, &inserting);
                scope.spawn(move || {
                    let (mut searches, mut missed) = (0u32, 0u32);
                    while inserting.load(Ordering::Relaxed) || searches < 100 {
                        let known = graph.len();
                        let node = (searches * 37 + thread) % known;
                        let query = rows.vector(node);
                        let (hits, _) = search(graph, rows, query, (10, 60), &AllNodes);
                        assert_eq!(hits.len(), 10);
                        assert!(hits.windows(2).all(|p| p[0].distance <= p[1].distance));
                        missed += u32::from(hits[0].distance != 0.0);
                        searches += 1;
                    }
                    (searches, missed)
                })
            })
            .collect();
        // Two writers on alternating numbers: neighbours in time land in each other's neighbourhoods.
        std::thread::scope(|writers| {
            for first in 0..2 {
                let (graph, rows) = (&graph, &rows);
                writers.spawn(move || {
                    for node in (1_000 + first..5_000).step_by(2) {
                        insert_all(graph, rows, node..node + 1);
                    }
                });
            }
        });
        inserting.store(false, Ordering::Relaxed);
        for searcher in searchers {
            let (searches, missed) = searcher.join().expect("no panic");
            assert!(missed * 50 <= searches, "{missed} of {searches} rows did not find themselves");
        }
    });
    assert_eq!(graph.len(), 5_000);
    let queries = Rows::clustered(5_060, 24, 62).split(5_000).1;
    let actual = recall(&graph, &rows, &queries, (10, 60), &AllNodes);
    assert!(actual >= 0.97, "recall {actual}");
}

#[test]
fn equal_vectors_inserted_at_once_are_all_found() {
    let rows = Rows { dim: 2, floats: [1.0, 2.0].repeat(2_000) };
    let graph = HnswGraph::new(params(Metric::L2));
    let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
    graph.build(0..2_000, &rows, 4, &progress, &cancel).expect("nobody cancels");
    let (hits, _) = search(&graph, &rows, &[1.0, 2.0], (2_000, 40), &AllNodes);
    assert_eq!(hits.len(), 2_000);
}

#[test]
fn a_cancelled_build_says_so() {
    let rows = Rows::clustered(100, 4, 63);
    let graph = HnswGraph::new(params(Metric::L2));
    let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(true));
    assert_eq!(graph.build(0..100, &rows, 2, &progress, &cancel), Err(Cancelled));
    assert_eq!(progress.into_inner(), 0);
}
