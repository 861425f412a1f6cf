//! Codes that stop telling neighbours apart are made anew or given up: whatever comes after they were trained, an index with codes
//! finds what one without finds.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use common::{Random, Rows, insert_all, params, recall, search};
use omen_hnsw::{AllNodes, BatchOptions, HnswGraph, HnswParams, Metric, Quantisation};

const DIM: usize = 32;
const BEAM: (usize, usize) = (10, 64);
/// What codes may cost of the recall.
const LOST: f64 = 0.01;

/// `count` rows around `centres`, each coordinate off by `spread`.
fn around(count: usize, centres: &[Vec<f32>], spread: f32, random: &mut Random) -> Rows {
    let mut floats = Vec::with_capacity(count * DIM);
    for at in 0..count {
        let centre = &centres[at % centres.len()];
        floats.extend(centre.iter().map(|x| x + spread * random.normal()));
    }
    Rows { dim: DIM, floats }
}

fn centres(count: usize, scale: f32, random: &mut Random) -> Vec<Vec<f32>> {
    (0..count).map(|_| (0..DIM).map(|_| scale * random.normal()).collect()).collect()
}

fn joined(parts: &[&Rows]) -> Rows {
    Rows { dim: DIM, floats: parts.iter().flat_map(|rows| rows.floats.clone()).collect() }
}

/// The graph of `rows`, the first `batch` of them built at once.
fn graph_of(rows: &Rows, batch: u32, quantisation: Quantisation) -> HnswGraph {
    let graph = HnswGraph::new(HnswParams { quantisation, ..params(Metric::L2) });
    let (progress, cancel) = (&AtomicU64::new(0), &AtomicBool::new(false));
    let options = BatchOptions { threads: 2, memory_bytes: u64::MAX, progress, cancel };
    graph.build_batches(0..batch, rows, |_| false, &options).expect("nobody cancels");
    insert_all(&graph, rows, batch..rows.len());
    graph
}

/// Recalls over floats and over codes.
fn recalls(rows: &Rows, batch: u32, queries: &Rows) -> (f64, f64, HnswGraph) {
    let codes = graph_of(rows, batch, Quantisation::Sq8);
    let floats = graph_of(rows, batch, Quantisation::None);
    let of = |graph: &HnswGraph| recall(graph, rows, queries, BEAM, &AllNodes);
    (of(&floats), of(&codes), codes)
}

#[test]
fn rows_from_far_outside_the_range_are_found_like_any_others() {
    let mut random = Random(91);
    let [old, new] = [centres(20, 1.0, &mut random), centres(20, 40.0, &mut random)];
    let first = around(3_000, &old, 0.5, &mut random);
    let second = around(1_500, &new, 20.0, &mut random);
    let rows = joined(&[&first, &second]);
    for (centres, spread) in [(&old, 0.5), (&new, 20.0)] {
        let queries = around(60, centres, spread, &mut random);
        let (floats, codes, _) = recalls(&rows, 3_000, &queries);
        assert!(codes >= floats - LOST, "spread {spread}: {codes} of {floats}");
    }
}

#[test]
fn a_cluster_finer_than_the_codes_is_found_by_its_vectors() {
    let mut random = Random(92);
    let wide = around(3_000, &centres(20, 1.0, &mut random), 0.5, &mut random);
    let one = centres(1, 0.5, &mut random);
    let fine = around(1_500, &one, 0.001, &mut random);
    let rows = joined(&[&wide, &fine]);
    let queries = around(60, &one, 0.001, &mut random);
    let (floats, codes, graph) = recalls(&rows, 3_000, &queries);
    assert!(codes >= floats - LOST, "{codes} of {floats}");
    assert_eq!(graph.code_bytes(), 0, "no one step fits both");
}

#[test]
fn a_build_gives_codes_up_that_tell_nothing_apart() {
    let mut random = Random(93);
    let far_apart = centres(12, 10.0, &mut random);
    let rows = around(4_000, &far_apart, 0.002, &mut random);
    let graph = graph_of(&rows, 4_000, Quantisation::Sq8);
    assert_eq!(graph.code_bytes(), 0);
    let usual = around(4_000, &far_apart, 2.0, &mut random);
    let graph = graph_of(&usual, 4_000, Quantisation::Sq8);
    assert_eq!(graph.code_bytes(), 4_000 * DIM);
}

#[test]
fn codes_given_up_come_back_when_they_tell_neighbours_apart_again() {
    let mut random = Random(94);
    let fine = around(1_500, &centres(12, 10.0, &mut random), 0.002, &mut random);
    let usual = around(6_000, &centres(12, 10.0, &mut random), 4.0, &mut random);
    let rows = joined(&[&fine, &usual]);
    let graph =
        HnswGraph::new(HnswParams { quantisation: Quantisation::Sq8, ..params(Metric::L2) });
    insert_all(&graph, &rows, 0..1_500);
    assert_eq!(graph.code_bytes(), 0);
    let mut image = Vec::new();
    graph.write_image(1_500, &mut image).expect("memory takes all");
    let again = HnswGraph::read_image(&mut &image[..]).expect("as written");
    assert_eq!(again.code_bytes(), 0);
    // The fine ones leave.
    let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
    for graph in [&graph, &again] {
        insert_all(graph, &rows, 1_500..2_000);
        graph.remove(|node| node < 1_500, &rows, 1, &progress, &cancel).expect("nobody cancels");
        insert_all(graph, &rows, 2_000..7_500);
        assert!(graph.code_bytes() > 0);
        let queries = Rows { dim: DIM, floats: usual.floats[..60 * DIM].to_vec() };
        let filter = |node: u32| node >= 1_500;
        let actual = recall(graph, &rows, &queries, BEAM, &filter);
        assert!(actual >= 0.95, "recall {actual}");
    }
}

/// Three writers insert `rows` while somebody searches.
fn insert_beside_searches(graph: &HnswGraph, rows: &Rows) {
    let next = AtomicU32::new(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let write = || {
            loop {
                let node = next.fetch_add(1, Ordering::Relaxed);
                if node >= rows.len() {
                    return;
                }
                insert_all(graph, rows, node..node + 1);
            }
        };
        let writers: Vec<_> = (0..3).map(|_| scope.spawn(write)).collect();
        scope.spawn(|| {
            let mut at = 0;
            while !done.load(Ordering::Relaxed) {
                let query = &rows.floats[at * DIM..][..DIM];
                let (hits, _) = search(graph, rows, query, BEAM, &AllNodes);
                assert!(hits.is_sorted_by(|a, b| a.distance <= b.distance));
                at = (at + 977) % rows.len() as usize;
            }
        });
        for writer in writers {
            writer.join().expect("no writer panicked");
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(graph.len(), rows.len());
}

/// Each thousand lies elsewhere: codes change time and again, until no one step fits all.
#[test]
fn searches_and_insertions_go_on_while_codes_are_made_anew() {
    let mut random = Random(95);
    let parts: Vec<Rows> = (0..6)
        .map(|at| {
            let mut part = around(1_000, &centres(8, 1.0, &mut random), 0.5, &mut random);
            part.floats.iter_mut().for_each(|x| *x += 12.0 * at as f32);
            part
        })
        .collect();
    let rows = joined(&parts.iter().collect::<Vec<_>>());
    let near = |at: usize| rows.floats[at * DIM..][..DIM].iter().map(|x| x + 0.01);
    let queries =
        Rows { dim: DIM, floats: (0..rows.len() as usize).step_by(60).flat_map(near).collect() };
    let [floats, codes] = [Quantisation::None, Quantisation::Sq8].map(|quantisation| {
        let graph = HnswGraph::new(HnswParams { quantisation, ..params(Metric::L2) });
        insert_beside_searches(&graph, &rows);
        recall(&graph, &rows, &queries, BEAM, &AllNodes)
    });
    assert!(codes >= floats - LOST, "{codes} of {floats}");
}
