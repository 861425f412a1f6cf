//! The graph against an exact scan: a floor per metric, dimension and beam width.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64};

use common::{Rows, build, params, recall, search};
use omen_hnsw::{
    AllNodes, BatchOptions, HnswGraph, HnswParams, Metric, Quantisation, SearchBudget,
    SearchRequest, SearchScratch,
};

fn check(metric: Metric, dim: usize, floors: &[(usize, f64)]) {
    let (rows, queries) = Rows::clustered(4_100, dim, 7).split(4_000);
    let graph = build(&rows, params(metric));
    assert_eq!(graph.len(), 4_000);
    for &(ef, floor) in floors {
        let actual = recall(&graph, &rows, &queries, (10, ef), &AllNodes);
        assert!(actual >= floor, "{metric:?} dim {dim} ef {ef}: recall {actual}");
    }
}

#[test]
fn l2_reaches_its_floors() {
    check(Metric::L2, 16, &[(20, 0.95), (40, 0.98), (100, 0.995)]);
    check(Metric::L2, 128, &[(20, 0.85), (40, 0.93), (100, 0.98)]);
}

#[test]
fn cosine_of_unnormalised_vectors_reaches_its_floors() {
    check(Metric::Cosine, 16, &[(20, 0.95), (40, 0.98), (100, 0.995)]);
    check(Metric::Cosine, 128, &[(20, 0.85), (40, 0.93), (100, 0.98)]);
}

#[test]
fn inner_product_reaches_its_floors() {
    check(Metric::InnerProduct, 16, &[(20, 0.85), (40, 0.92), (100, 0.97)]);
    check(Metric::InnerProduct, 128, &[(20, 0.80), (40, 0.90), (100, 0.95)]);
}

#[test]
fn more_links_and_a_wider_build_give_better_graphs() {
    let (rows, queries) = Rows::clustered(3_100, 64, 8).split(3_000);
    let small = HnswParams { m: 4, ef_construction: 10, ..params(Metric::L2) };
    let poor = recall(&build(&rows, small), &rows, &queries, (10, 10), &AllNodes);
    let large = HnswParams { m: 48, ef_construction: 200, ..params(Metric::L2) };
    let good = recall(&build(&rows, large), &rows, &queries, (10, 10), &AllNodes);
    assert!(good > 0.95 && poor < good - 0.1, "poor {poor}, good {good}");
}

#[test]
fn hits_come_nearest_first_with_their_distances() {
    let (rows, queries) = Rows::clustered(1_010, 24, 9).split(1_000);
    let graph = build(&rows, params(Metric::L2));
    for query in queries.iter() {
        let (hits, stats) = search(&graph, &rows, query, (25, 1), &AllNodes);
        assert_eq!(hits.len(), 25, "ef below k counts as k");
        assert!(hits.windows(2).all(|pair| pair[0].distance <= pair[1].distance));
        for hit in &hits {
            let row = &rows.floats[hit.node as usize * 24..][..24];
            assert_eq!(hit.distance, (omen_kernels::kernels().l2_squared)(query, row));
        }
        assert!(stats.distances >= stats.visited && stats.visited == stats.accepted_seen);
        assert!(!stats.budget_exceeded && !stats.exhausted);
    }
}

#[test]
fn a_spent_budget_is_told() {
    let (rows, queries) = Rows::clustered(2_001, 24, 10).split(2_000);
    let graph = build(&rows, params(Metric::L2));
    let budget = SearchBudget { max_distance_computations: 100 };
    let request = SearchRequest { budget, ..SearchRequest::new(10, 200) };
    let (mut scratch, mut hits) = (SearchScratch::new(), Vec::new());
    let query = &queries.floats;
    let stats = graph.search(&rows, query, &request, &AllNodes, &mut scratch, &mut hits);
    assert!(stats.budget_exceeded && !stats.exhausted);
    assert!((100..140).contains(&stats.distances), "{}", stats.distances);
}

#[test]
fn one_thread_and_one_seed_give_one_graph() {
    let rows = Rows::clustered(1_500, 16, 11);
    let bytes = |seed| {
        let graph = build(&rows, HnswParams { seed, ..params(Metric::L2) });
        let mut bytes = Vec::new();
        graph.write_image(graph.len(), &mut bytes).expect("memory takes all");
        bytes
    };
    assert!(bytes(1) == bytes(1));
    assert!(bytes(1) != bytes(2));
}

/// Long vectors have the largest product with nearly everything. By links that only it chose, a half of these rows would be
/// out of reach, and of ten answers seven would be found.
#[test]
fn inner_products_of_vectors_of_many_lengths() {
    let (mut rows, mut queries) = Rows::clustered(6_060, 12, 31).split(6_000);
    for (offset, rows) in [(1.0, &mut rows), (0.0, &mut queries)] {
        for (node, row) in rows.floats.chunks_mut(12).enumerate() {
            let centre = node % 8;
            for (at, value) in row.iter_mut().enumerate() {
                *value += offset + if at % 3 == centre % 3 { centre as f32 } else { 0.0 };
            }
        }
    }
    for quantisation in [Quantisation::None, Quantisation::Sq8, Quantisation::F16] {
        let shape = HnswParams { quantisation, ..params(Metric::InnerProduct) };
        let single = build(&rows, shape);
        let batches = HnswGraph::new(shape);
        let (progress, cancel) = (&AtomicU64::new(0), &AtomicBool::new(false));
        let options = BatchOptions { threads: 2, memory_bytes: u64::MAX, progress, cancel };
        batches.build_batches(0..rows.len(), &rows, |_| false, &options).expect("nobody cancels");
        for (how, graph) in [("one by one", single), ("in batches", batches)] {
            let lost = graph.reachable().iter().filter(|is_reached| !**is_reached).count();
            let found = recall(&graph, &rows, &queries, (10, 40), &AllNodes);
            assert!(lost <= 6 && found >= 0.95, "{quantisation:?} {how}: {lost} lost, {found}");
        }
    }
}
