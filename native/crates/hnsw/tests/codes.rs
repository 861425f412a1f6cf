//! Searching by each kind of code: as good as by vectors once the vectors decide, and no larger than it says.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64};

use common::{Rows, build, params, recall};
use omen_hnsw::{AllNodes, BatchOptions, HnswGraph, HnswParams, Metric, Quantisation};

const ALL: [(Quantisation, usize); 5] = [
    (Quantisation::F16, 2 * 96),
    (Quantisation::Sq8, 96),
    (Quantisation::Rabitq, 16 + 16),
    (Quantisation::Bq, 16),
    (Quantisation::Pq, 12),
];

/// Recall that a beam of 200 must reach. Signs alone tell little of 96 dimensions in tight clusters.
fn floor(quantisation: Quantisation) -> f64 {
    match quantisation {
        Quantisation::None | Quantisation::F16 => 0.98,
        Quantisation::Sq8 => 0.97,
        Quantisation::Rabitq | Quantisation::Pq => 0.95,
        Quantisation::Bq => 0.75,
    }
}

#[test]
fn every_code_finds_its_neighbours_however_the_graph_was_built() {
    let (rows, queries) = Rows::clustered(4_060, 96, 81).split(4_000);
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        for (quantisation, bytes) in ALL {
            let shape = HnswParams { quantisation, ..params(metric) };
            let batches = HnswGraph::new(shape);
            let (progress, cancel) = (&AtomicU64::new(0), &AtomicBool::new(false));
            let options = BatchOptions { threads: 2, memory_bytes: u64::MAX, progress, cancel };
            batches.build_batches(0..4_000, &rows, |_| false, &options).expect("nobody cancels");
            for (graph, how) in [(build(&rows, shape), "one by one"), (batches, "batches")] {
                assert_eq!(graph.code_bytes(), 4_000 * bytes, "{quantisation:?}");
                let actual = recall(&graph, &rows, &queries, (10, 200), &AllNodes);
                assert!(
                    actual >= floor(quantisation),
                    "{metric:?} {quantisation:?} {how}: recall {actual}"
                );
            }
        }
    }
}
