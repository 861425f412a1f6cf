//! Building in batches: the same graph on any number of threads, as good as one built node by node.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64};

use common::{Rows, build, build_batches, insert_all, params, recall, search};
use omen_hnsw::{
    AllNodes, BatchOptions, Cancelled, HnswGraph, HnswParams, Metric, Quantisation, VectorSource,
};

fn bytes_of(graph: &HnswGraph) -> Vec<u8> {
    let mut bytes = Vec::new();
    graph.write_image(graph.len(), &mut bytes).expect("memory takes all");
    bytes
}

#[test]
fn batches_are_as_good_as_single_insertions() {
    for (metric, quantisation, room) in [
        (Metric::L2, Quantisation::None, u64::MAX),
        (Metric::L2, Quantisation::None, 0),
        (Metric::Cosine, Quantisation::Sq8, 0),
        (Metric::InnerProduct, Quantisation::None, u64::MAX),
        (Metric::L2, Quantisation::F16, 0),
        (Metric::L1, Quantisation::None, u64::MAX),
    ] {
        let (rows, queries) = Rows::clustered(4_060, 24, 71).split(4_000);
        let shape = HnswParams { quantisation, ..params(metric) };
        let single = recall(&build(&rows, shape), &rows, &queries, (10, 40), &AllNodes);
        let graph = build_batches(&rows, shape, 2, room);
        let batches = recall(&graph, &rows, &queries, (10, 40), &AllNodes);
        assert!(
            batches >= single - 0.02,
            "{metric:?} {quantisation:?}: single {single}, batches {batches}"
        );
    }
}

#[test]
fn any_number_of_threads_gives_the_same_graph() {
    let mut rows = Rows::clustered(3_000, 16, 72);
    for node in (30..3_000).step_by(3) {
        rows.floats.copy_within((node - 30) * 16..(node - 29) * 16, node * 16);
    }
    let bytes = |threads| {
        let shape = HnswParams { quantisation: Quantisation::Sq8, ..params(Metric::Cosine) };
        bytes_of(&build_batches(&rows, shape, threads, u64::MAX))
    };
    let one = bytes(1);
    assert!(one == bytes(2) && one == bytes(5));
}

#[test]
fn sorted_rows_and_copies_are_found() {
    // Sorted by their first number: rows that come together are near one another.
    let sorted = Rows::clustered(4_000, 12, 73);
    let mut order: Vec<&[f32]> = sorted.iter().collect();
    order.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut rows = Rows { dim: 12, floats: order.concat() };
    for node in 0..600 {
        rows.floats.copy_within(0..12, (3_000 + node) * 12);
    }
    let graph = build_batches(&rows, params(Metric::L2), 2, u64::MAX);
    let (_, queries) = Rows::clustered(4_060, 12, 73).split(4_000);
    let actual = recall(&graph, &rows, &queries, (10, 60), &AllNodes);
    assert!(actual >= 0.97, "recall {actual}");
    let (hits, _) = search(&graph, &rows, rows.vector(0), (601, 601), &AllNodes);
    assert!(hits.iter().all(|hit| hit.distance == 0.0));
    // More nodes one by one.
    let more = Rows { dim: 12, floats: [&rows.floats[..], &queries.floats].concat() };
    insert_all(&graph, &more, 4_000..4_060);
    let actual = recall(&graph, &more, &queries, (1, 20), &AllNodes);
    assert!(actual >= 0.97, "recall {actual}");
}

#[test]
fn small_empty_and_undefined_inputs_build() {
    for count in [0, 1, 2, 20] {
        let mut rows = Rows::clustered(count, 8, 74);
        if count == 20 {
            rows.floats[..80].fill(0.0);
        }
        let shape = HnswParams { quantisation: Quantisation::Rabitq, ..params(Metric::Cosine) };
        let graph = build_batches(&rows, shape, 3, u64::MAX);
        let (hits, _) = search(&graph, &rows, &[1.0; 8], (50, 50), &AllNodes);
        assert_eq!(hits.len(), if count == 20 { 10 } else { count });
    }
    let rows = Rows { dim: 4, floats: vec![0.0; 400] };
    let graph = build_batches(&rows, params(Metric::Cosine), 2, u64::MAX);
    assert!(search(&graph, &rows, &[1.0; 4], (5, 5), &AllNodes).0.is_empty());
}

#[test]
fn skipped_nodes_are_left_out_and_cancelling_stops() {
    let rows = Rows::clustered(2_000, 12, 75);
    let graph = HnswGraph::new(params(Metric::L2));
    let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut options =
        BatchOptions { threads: 2, memory_bytes: 0, progress: &progress, cancel: &cancel };
    let odd = |node: u32| node % 2 == 1;
    graph.build_batches(0..2_000, &rows, odd, &options).expect("nobody cancels");
    let (hits, _) = search(&graph, &rows, rows.vector(3), (1_500, 1_500), &AllNodes);
    assert!(hits.len() == 1_000 && hits.iter().all(|hit| hit.node % 2 == 0));
    let cancelled = AtomicBool::new(true);
    options.cancel = &cancelled;
    let graph = HnswGraph::new(params(Metric::L2));
    assert_eq!(graph.build_batches(0..2_000, &rows, odd, &options), Err(Cancelled));
}
