//! Nodes taken out and numbers given again.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64};

use common::{Random, Rows, build, exact, insert_all, params, recall, search};
use omen_hnsw::{AllNodes, Cancelled, HnswGraph, HnswParams, Metric, Quantisation, VectorSource};

fn remove(graph: &HnswGraph, rows: &Rows, is_removed: impl Fn(u32) -> bool) {
    let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
    graph.remove(is_removed, rows, 2, &progress, &cancel).expect("nobody cancels");
    assert_eq!(progress.into_inner(), u64::from(graph.len()));
}

/// Half of all numbers, drawn.
fn half(node: u32) -> bool {
    Random(u64::from(node) ^ 0x5eed).next().is_multiple_of(2)
}

#[test]
fn half_removed_and_given_again_is_as_good_as_fresh() {
    for quantisation in [Quantisation::None, Quantisation::Sq8] {
        let shape = HnswParams { quantisation, ..params(Metric::L2) };
        let (old, rest) = Rows::clustered(12_100, 24, 81).split(6_000);
        let (fresh, queries) = rest.split(6_000);
        let mut new = Rows { dim: 24, floats: old.floats.clone() };
        let graph = build(&old, shape);
        remove(&graph, &old, half);
        let live = |node: u32| !half(node);
        let left = recall(&graph, &old, &queries, (10, 40), &live);
        // Without a filter nothing removed comes out.
        for query in queries.iter() {
            let (hits, _) = search(&graph, &old, query, (10, 40), &AllNodes);
            assert!(hits.len() == 10 && hits.iter().all(|hit| live(hit.node)));
        }
        assert!(left >= 0.98, "{quantisation:?}: {left} after removal");

        for node in (0..6_000).filter(|&node| half(node)) {
            let at = node as usize * 24;
            new.floats[at..at + 24].copy_from_slice(&fresh.floats[at..at + 24]);
        }
        for node in (0..6_000).filter(|&node| half(node)) {
            insert_all(&graph, &new, node..node + 1);
        }
        assert_eq!(graph.len(), 6_000);
        let again = recall(&graph, &new, &queries, (10, 40), &AllNodes);
        let built = recall(&build(&new, shape), &new, &queries, (10, 40), &AllNodes);
        assert!(again >= built - 0.01, "{quantisation:?}: {again} against {built} built anew");
    }
}

/// An equal vector under a lower number, given again, is linked by itself; the other, torn off, joins it with all its chain.
#[test]
fn a_chain_that_moves_loses_nobody() {
    let mut rows = Rows::clustered(600, 64, 87);
    for equal in [7, 13, 302] {
        rows.floats.copy_within(5 * 64..6 * 64, equal * 64);
    }
    let graph = HnswGraph::new(params(Metric::L2));
    for nodes in [0..5, 6..7, 8..302, 303..600, 302..303, 5..6, 7..8] {
        insert_all(&graph, &rows, nodes);
    }
    let equals = [5, 7, 13, 302];
    let (all, _) = search(&graph, &rows, rows.vector(5), (4, 60), &AllNodes);
    assert_eq!(all.iter().map(|hit| hit.node).collect::<Vec<_>>(), equals);
    for round in 0..3 {
        // What is around them goes, and once they are alone there is nothing more to take.
        remove(&graph, &rows, |node| node < 590 && !equals.contains(&node));
        let (all, _) = search(&graph, &rows, rows.vector(5), (4, 60), &AllNodes);
        assert_eq!(all.iter().map(|hit| hit.node).collect::<Vec<_>>(), equals, "round {round}");
        let mut image = Vec::new();
        graph.write_image(graph.len(), &mut image).expect("memory takes all");
        HnswGraph::read_image(&mut &image[..]).map(|_| ()).expect("chains have an end");
    }
}

#[test]
fn equal_vectors_outlive_the_first_of_them() {
    let mut rows = Rows::clustered(2_000, 12, 82);
    for node in 400..2_000 {
        // Four more of each of the first 400.
        rows.floats.copy_within(node % 400 * 12..(node % 400 + 1) * 12, node * 12);
    }
    let graph = build(&rows, params(Metric::L2));
    // The first two of each go, or the last two, or the middle ones, or all.
    let gone = |node: u32| match node % 400 % 4 {
        0 => node < 800,
        1 => node >= 1_200,
        2 => (400..1_600).contains(&node),
        _ => node % 8 == 3 || node < 400,
    };
    remove(&graph, &rows, gone);
    for point in 0..400 {
        let query = rows.vector(point);
        let expected: Vec<u32> =
            (0..5).map(|copy| point + copy * 400).filter(|&node| !gone(node)).collect();
        let (hits, _) = search(&graph, &rows, query, (5, 40), &AllNodes);
        let mut found: Vec<u32> =
            hits.iter().filter(|hit| hit.distance == 0.0).map(|hit| hit.node).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "point {point}");
    }
}

#[test]
fn removing_a_region_or_all_but_a_few_leaves_the_rest_reachable() {
    let rows = Rows::clustered(4_000, 16, 83);
    let graph = build(&rows, params(Metric::L2));
    // Everything near one point.
    let distances = exact(&rows, Metric::L2, rows.vector(0), 4_000, |_| true);
    let limit = distances[2_000];
    let near = |node| omen_kernels::distance(Metric::L2, rows.vector(0), rows.vector(node)) < limit;
    remove(&graph, &rows, near);
    let (_, queries) = Rows::clustered(4_060, 16, 83).split(4_000);
    let kept = |node: u32| !near(node);
    let actual = recall(&graph, &rows, &queries, (10, 60), &kept);
    // Half of all clusters are gone, and with them the long links through them.
    let fresh = HnswGraph::new(params(Metric::L2));
    for node in 0..4_000 {
        if near(node) {
            fresh.skip(node);
        } else {
            insert_all(&fresh, &rows, node..node + 1);
        }
    }
    let built = recall(&fresh, &rows, &queries, (10, 60), &kept);
    assert!(actual >= built - 0.01, "{actual} against {built} built anew");
    // Then nearly all of the rest.
    let kept = |node: u32| !near(node) && node.is_multiple_of(97);
    remove(&graph, &rows, |node| !kept(node));
    let count = (0..4_000).filter(|&node| kept(node)).count();
    let (hits, _) = search(&graph, &rows, rows.vector(5), (100, 100), &AllNodes);
    assert_eq!(hits.len(), count);
    // Then everything; the graph is as good as new.
    remove(&graph, &rows, |_| true);
    assert!(search(&graph, &rows, rows.vector(5), (10, 10), &AllNodes).0.is_empty());
    insert_all(&graph, &rows, 0..4_000);
    let actual = recall(&graph, &rows, &queries, (10, 60), &AllNodes);
    let built = recall(&build(&rows, params(Metric::L2)), &rows, &queries, (10, 60), &AllNodes);
    assert_eq!(actual, built);
}

#[test]
fn a_cancelled_removal_leaves_a_graph_to_search_and_to_go_on_with() {
    let (rows, queries) = Rows::clustered(2_050, 16, 84).split(2_000);
    let graph = build(&rows, params(Metric::L2));
    let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(true));
    assert_eq!(graph.remove(half, &rows, 1, &progress, &cancel), Err(Cancelled));
    let live = |node: u32| !half(node);
    assert!(recall(&graph, &rows, &queries, (10, 60), &live) >= 0.97);
    remove(&graph, &rows, half);
    assert!(recall(&graph, &rows, &queries, (10, 60), &live) >= 0.97);
}

/// Twelve clusters in a row, far from each other for their size: what holds them together is few links.
#[test]
fn clusters_far_apart_are_still_found_after_rounds_of_removal() {
    for seed in [0, 5, 7] {
        let mut random = Random(seed + 1);
        let mut make = |count: usize| {
            let mut floats = Vec::with_capacity(count * 8);
            for _ in 0..count {
                let centre = random.below(12) as f32;
                floats.extend((0..8).map(|_| centre + random.below(1000) as f32 / 1000.0));
            }
            Rows { dim: 8, floats }
        };
        let (mut rows, queries) = (make(2_000), make(60));
        let graph = build(&rows, params(Metric::L2));
        for round in 0..4 {
            let gone = |node: u32| {
                Random(u64::from(node) ^ (round * 7_777 + seed * 99)).next().is_multiple_of(2)
            };
            remove(&graph, &rows, gone);
            let left = recall(&graph, &rows, &queries, (10, 60), &|node: u32| !gone(node));
            assert!(left >= 0.99, "seed {seed}, round {round}: {left} after removal");
            let fresh = make(2_000);
            for node in (0..2_000).filter(|&node| gone(node)) {
                let at = node as usize * 8..node as usize * 8 + 8;
                rows.floats[at.clone()].copy_from_slice(&fresh.floats[at]);
            }
            for node in (0..2_000).filter(|&node| gone(node)) {
                insert_all(&graph, &rows, node..node + 1);
            }
            let again = recall(&graph, &rows, &queries, (10, 60), &AllNodes);
            assert!(again >= 0.99, "seed {seed}, round {round}: {again} after insertion");
        }
    }
}

/// All rows are written anew, again and again, as UPDATE of a whole table does: every row finds itself as in a fresh graph.
#[test]
fn rows_replaced_over_and_over_find_themselves() {
    const COUNT: u32 = 1_200;
    const DIM: usize = 16;
    let vector = |row: u32, round: u32| {
        let row = row as f32;
        (0..DIM).map(move |i| (row * (0.7 + (i + 1) as f32 * 0.11) + round as f32).sin())
    };
    let shape = HnswParams { m: 8, ef_construction: 32, ..params(Metric::L2) };
    let graph = HnswGraph::new(shape);
    let mut rows = Rows { dim: DIM, floats: vec![0.0; 2 * COUNT as usize * DIM] };
    let mut all_lost = 0;
    for round in 0..20 {
        let first = round % 2 * COUNT;
        rows.floats.splice(
            first as usize * DIM..(first + COUNT) as usize * DIM,
            (0..COUNT).flat_map(|row| vector(row, round)),
        );
        insert_all(&graph, &rows, first..first + COUNT);
        if round > 0 {
            remove(&graph, &rows, |node| !(first..first + COUNT).contains(&node));
        }
        let finds_itself = |node: u32| {
            let (hits, _) = search(&graph, &rows, rows.vector(node), (1, 40), &AllNodes);
            hits.first().is_some_and(|hit| hit.node == node)
        };
        all_lost += (first..first + COUNT).filter(|&node| !finds_itself(node)).count();
    }
    assert!(all_lost <= 400, "{all_lost} of 24,000 do not find themselves");
}
