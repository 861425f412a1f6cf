//! Predicates inside the traversal: random, correlated with the query's neighbourhood, and against it.

mod common;

use common::{Random, Rows, build, exact, params, recall, search};
use omen_hnsw::{HnswGraph, Metric, SearchBudget, SearchRequest, SearchScratch, VectorSource};

fn setting() -> (Rows, Rows, HnswGraph) {
    let (rows, queries) = Rows::clustered(6_060, 32, 21).split(6_000);
    let graph = build(&rows, params(Metric::L2));
    (rows, queries, graph)
}

/// A random predicate that keeps about one row in `one_in`.
fn random_filter(one_in: u64) -> impl Fn(u32) -> bool {
    move |node| Random(node as u64).next().is_multiple_of(one_in)
}

#[test]
fn random_predicates_keep_recall() {
    let (rows, queries, graph) = setting();
    for one_in in [2, 4, 10, 30, 100] {
        let actual = recall(&graph, &rows, &queries, (10, 100), &random_filter(one_in));
        assert!(actual >= 0.95, "one in {one_in}: recall {actual}");
    }
}

/// Rows nearer to the query than all but one in five.
fn near(rows: &Rows, query: &[f32]) -> impl Fn(u32) -> bool + use<> {
    let distances = exact(rows, Metric::L2, query, rows.len() as usize, |_| true);
    let limit = distances[distances.len() / 5];
    let near: Vec<bool> = (0..rows.len())
        .map(|node| omen_kernels::distance(Metric::L2, query, rows.vector(node)) < limit)
        .collect();
    move |node| near[node as usize]
}

/// Runs `filter_of(query)` for every query; returns mean recall@10 over the answers that did not give up, and the share
/// that did.
fn per_query<F: Fn(u32) -> bool>(filter_of: impl Fn(&Rows, &[f32]) -> F) -> (f64, f64) {
    let (rows, queries, graph) = setting();
    let (mut sum, mut answered, mut gave_up) = (0.0, 0.0, 0.0);
    let (mut scratch, mut hits) = (SearchScratch::new(), Vec::new());
    for query in queries.iter() {
        let filter = filter_of(&rows, query);
        // What an exact scan over the matches would cost.
        let matches = (0..rows.len()).filter(|&node| filter(node)).count() as u64;
        let budget = SearchBudget { max_distance_computations: matches };
        let request = SearchRequest { budget, ..SearchRequest::new(10, 100) };
        let stats = graph.search(&rows, query, &request, &filter, &mut scratch, &mut hits);
        if stats.budget_exceeded || stats.exhausted && hits.len() < 10 {
            gave_up += 1.0;
            continue;
        }
        let truth = exact(&rows, Metric::L2, query, 10, &filter);
        let within = |node| {
            let distance = omen_kernels::distance(Metric::L2, query, rows.vector(node));
            truth.last().is_some_and(|&farthest| distance <= farthest)
        };
        sum += hits.iter().filter(|hit| within(hit.node)).count() as f64 / 10.0;
        answered += 1.0;
    }
    (sum / answered, gave_up / (answered + gave_up))
}

#[test]
fn a_predicate_true_around_the_query_keeps_recall() {
    let (recall, gave_up) = per_query(near);
    assert!(recall >= 0.97, "recall {recall}");
    assert!(gave_up <= 0.1, "gave up on {gave_up}");
}

#[test]
fn a_predicate_false_around_the_query_is_right_or_gives_up() {
    let (recall, gave_up) = per_query(|rows, query| {
        let near = near(rows, query);
        move |node| !near(node)
    });
    assert!(gave_up == 1.0 || recall >= 0.9, "recall {recall}, gave up on {gave_up}");
}

#[test]
fn too_few_matches_are_told_as_exhausted() {
    let (rows, queries, graph) = setting();
    let query = rows.vector(0);
    let (hits, stats) = search(&graph, &rows, query, (10, 50), &|node: u32| node < 3);
    assert!(hits.len() <= 3);
    assert!(stats.exhausted, "{stats:?}");
    let (hits, stats) = search(&graph, &rows, &queries.floats[..32], (10, 50), &|_: u32| false);
    assert!(hits.is_empty() && stats.exhausted && stats.accepted_seen == 0, "{stats:?}");
}

#[test]
fn rejected_nodes_cost_fewer_distances_than_meeting_them_all() {
    let (rows, queries, graph) = setting();
    let filter = random_filter(20);
    let total: u64 = queries
        .iter()
        .map(|query| search(&graph, &rows, query, (10, 40), &filter).1.distances)
        .sum();
    // Forty accepted nodes are one in twenty of 800: meeting rejected ones would cost more than that.
    let mean = total / queries.len() as u64;
    assert!(mean < 800, "{mean} distances a query");
}
