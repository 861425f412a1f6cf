//! Inputs that break naive graphs: equal vectors, vectors without direction, overflow, tiny graphs.

mod common;

use std::collections::HashSet;

use common::{Random, Rows, build, build_batches, insert_all, params, recall, search};
use omen_hnsw::{AllNodes, HnswGraph, HnswParams, Metric, VectorSource};

const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

#[test]
fn an_empty_graph_answers_nothing() {
    let rows = Rows { dim: 3, floats: vec![] };
    let graph = HnswGraph::new(params(Metric::L2));
    let (hits, stats) = search(&graph, &rows, &[1.0, 2.0, 3.0], (5, 10), &AllNodes);
    assert!(hits.is_empty() && stats.exhausted && graph.is_empty());
}

#[test]
fn a_graph_smaller_than_k_gives_all_of_it() {
    for metric in METRICS {
        let rows = Rows::clustered(7, 5, 1);
        let graph = build(&rows, params(metric));
        let (hits, stats) = search(&graph, &rows, rows.vector(3), (50, 50), &AllNodes);
        let nodes: HashSet<u32> = hits.iter().map(|hit| hit.node).collect();
        assert_eq!(nodes, (0..7).collect());
        assert!(stats.exhausted);
    }
}

#[test]
fn equal_vectors_are_all_found_and_cost_no_distances() {
    for metric in METRICS {
        let floats = [0.5, -1.0, 2.0, 0.25].repeat(3_000);
        let rows = Rows { dim: 4, floats };
        let graph = build(&rows, params(metric));
        let (hits, stats) = search(&graph, &rows, &[1.0, 0.0, 1.0, 0.0], (3_000, 10), &AllNodes);
        let nodes: HashSet<u32> = hits.iter().map(|hit| hit.node).collect();
        assert_eq!(nodes.len(), 3_000, "{metric:?}");
        assert!(stats.distances < 10, "{stats:?}");
        // One accepted among thousands of equals, and not the linked one.
        let (hits, _) = search(&graph, &rows, &[1.0; 4], (1, 10), &|node: u32| node == 1_234);
        assert_eq!(hits.len(), 1);
        assert_eq!(hits[0].node, 1_234);
    }
}

#[test]
fn many_copies_of_some_points_leave_the_others_reachable() {
    // Every other row is a copy of one of three points.
    for metric in [Metric::L2, Metric::Cosine] {
        let mut rows = Rows::clustered(3_000, 16, 31);
        let copied: Vec<f32> = rows.floats[..3 * 16].to_vec();
        for node in (3..3_000).step_by(2) {
            let point = node / 2 % 3;
            rows.floats[node * 16..][..16].copy_from_slice(&copied[point * 16..][..16]);
        }
        let (_, queries) = Rows::clustered(3_100, 16, 31).split(3_000);
        let graph = build(&rows, params(metric));
        let actual = recall(&graph, &rows, &queries, (10, 100), &AllNodes);
        assert!(actual >= 0.99, "{metric:?}: recall {actual}");
        // Around a copied point the answers are copies, and past them the neighbours.
        let (hits, _) = search(&graph, &rows, &copied[..16], (600, 600), &AllNodes);
        assert!(hits[..400].iter().all(|hit| hit.distance <= 1e-6), "{metric:?}");
        assert!(hits[599].distance > 1e-3, "{metric:?}");
        // A copy is found when the point it hangs off is filtered out, as after an update of the row's other columns.
        let live = |node: u32| node >= 1_000 && node % 2 == 1;
        let (hits, _) = search(&graph, &rows, &copied[16..32], (5, 40), &live);
        assert!(hits.len() == 5 && hits.iter().all(|hit| live(hit.node) && hit.distance <= 1e-6));
    }
}

#[test]
fn vectors_without_direction_are_counted_but_not_found() {
    let mut rows = Rows::clustered(600, 8, 32);
    for node in (0..600).step_by(3) {
        rows.floats[node * 8..][..8].fill(0.0);
    }
    let graph = build(&rows, params(Metric::Cosine));
    assert_eq!(graph.len(), 600);
    let (hits, _) = search(&graph, &rows, rows.vector(1), (600, 600), &AllNodes);
    assert_eq!(hits.len(), 400);
    assert!(hits.iter().all(|hit| hit.node % 3 != 0 && hit.distance.is_finite()));
    let (hits, stats) = search(&graph, &rows, &[0.0; 8], (10, 40), &AllNodes);
    assert!(hits.is_empty() && stats.exhausted, "a query without direction has no neighbours");
    // The same zeros are ordinary points elsewhere.
    let graph = build(&rows, params(Metric::L2));
    assert_eq!(search(&graph, &rows, &[0.0; 8], (200, 200), &AllNodes).0[199].distance, 0.0);
}

#[test]
fn overflowing_distances_sort_last() {
    let mut rows = Rows::clustered(500, 8, 33);
    for node in (0..500).step_by(5) {
        let big = if node % 2 == 0 { 3e38 } else { -3e38 };
        rows.floats[node * 8..][..8].fill(big);
    }
    for metric in METRICS {
        let graph = build(&rows, params(metric));
        let (hits, _) = search(&graph, &rows, rows.vector(1), (500, 500), &AllNodes);
        assert!(hits.iter().all(|hit| !hit.distance.is_nan()), "{metric:?}");
        assert!(hits.windows(2).all(|pair| pair[0].distance <= pair[1].distance), "{metric:?}");
        if metric == Metric::L2 {
            assert!(hits[..400].iter().all(|hit| hit.node % 5 != 0));
        }
    }
}

#[test]
fn distances_that_underflow_to_zero_do_not_tear_the_graph() {
    // All differences vanish in f32 squares, yet no two vectors are equal.
    let floats = (0..2_000).map(|i| 1e-30 * (i + 1) as f32).collect();
    let rows = Rows { dim: 1, floats };
    let graph = build(&rows, params(Metric::L2));
    let (hits, _) = search(&graph, &rows, &[0.0], (10, 40), &AllNodes);
    assert_eq!(hits.len(), 10);
}

#[test]
fn the_smallest_and_the_largest_parameters_work() {
    for (m, ef_construction, floor) in [(2, 4, 0.2), (100, 1_000, 1.0)] {
        let rows = Rows::clustered(400, 8, 34);
        let graph = build(&rows, HnswParams { m, ef_construction, ..params(Metric::L2) });
        let actual = recall(&graph, &rows, &rows, (5, 100), &AllNodes);
        assert!(actual >= floor, "m {m}: recall {actual}");
    }
}

#[test]
fn skipped_numbers_are_never_answers() {
    let rows = Rows::clustered(100, 8, 35);
    let graph = HnswGraph::new(params(Metric::L2));
    insert_all(&graph, &rows, 0..40);
    graph.skip(40);
    insert_all(&graph, &rows, 41..100);
    assert_eq!(graph.len(), 100);
    let (hits, _) = search(&graph, &rows, rows.vector(40), (100, 100), &AllNodes);
    assert!(hits.len() == 99 && hits.iter().all(|hit| hit.node != 40));
}

#[test]
fn sparse_vectors_stay_within_reach_of_one_another() {
    // Two in a hundred elements are not zero: hardly any two vectors have one in common, and the shortest are all others'
    // nearest.
    let (dim, mut random) = (1_000, Random(35));
    let mut rows = Rows { dim, floats: vec![0.0; 1_200 * dim] };
    for _ in 0..rows.floats.len() / 50 {
        let at = random.below(rows.floats.len() as u64) as usize;
        rows.floats[at] = random.normal().abs() + 0.1;
    }
    let queries = Rows { dim, floats: rows.floats[..100 * dim].to_vec() };
    let single = build(&rows, params(Metric::L2));
    single.join_parts(&rows);
    let batches = build_batches(&rows, params(Metric::L2), 2, u64::MAX);
    for graph in [single, batches] {
        assert!(graph.reachable().iter().all(|reached| *reached));
        let actual = recall(&graph, &rows, &queries, (10, 100), &AllNodes);
        assert!(actual > 0.9, "recall {actual}");
    }
}

/// Rays at right angles, and zero among them: nearer to each than they are to one another.
fn star(rays: usize, zero_at: usize) -> Rows {
    let mut random = Random(34);
    let mut floats = vec![0.0; (rays + 1) * rays];
    for ray in 0..rays {
        let row = if ray < zero_at { ray } else { ray + 1 };
        floats[row * rays + ray] = 1.0 + 0.1 * random.normal();
    }
    Rows { dim: rays, floats }
}

#[test]
fn a_vector_nearer_to_all_than_they_to_each_other_takes_nobody_away() {
    let lost = |graph: &HnswGraph| graph.reachable().iter().filter(|reached| !**reached).count();
    for zero_at in [0, 200, 600] {
        let rows = star(600, zero_at);
        let single = build(&rows, params(Metric::L2));
        single.join_parts(&rows);
        let batches = build_batches(&rows, params(Metric::L2), 2, u64::MAX);
        assert_eq!((lost(&single), lost(&batches)), (0, 0), "zero at {zero_at}");
    }
}
