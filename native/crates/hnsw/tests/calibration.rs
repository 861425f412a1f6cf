//! What a graph says of its own recall, against what it then finds for vectors it has never seen.

mod common;

use std::sync::atomic::AtomicBool;

use common::{Random, Rows, build, exact, insert_all, params};
use omen_hnsw::{
    AllNodes, Calibration, HnswGraph, HnswParams, Metric, NodeFilter, Quantisation, SearchScratch,
    VectorSource, Way,
};

const K: usize = 10;
const QUANTISATIONS: [Quantisation; 6] = [
    Quantisation::None,
    Quantisation::F16,
    Quantisation::Sq8,
    Quantisation::Rabitq,
    Quantisation::Bq,
    Quantisation::Pq,
];

fn calibrated(graph: &HnswGraph, rows: &Rows, threads: usize) -> Calibration {
    graph.calibrate(rows, 0, threads, &AtomicBool::new(false)).expect("nobody cancels");
    Calibration::clone(&graph.calibration().expect("a graph with links"))
}

/// Vectors that no graph has seen, each with the distance of its true `k`-th neighbour.
struct Unseen<'a> {
    rows: &'a Rows,
    queries: &'a Rows,
    k: usize,
    farthest: Vec<f64>,
}

impl<'a> Unseen<'a> {
    fn new(rows: &'a Rows, queries: &'a Rows, metric: Metric, k: usize) -> Self {
        let kth = |query| exact(rows, metric, query, k, |_| true)[k - 1];
        Self { rows, queries, k, farthest: queries.iter().map(kth).collect() }
    }

    /// Mean recall of such searches, and distances a search.
    fn measure(&self, graph: &HnswGraph, way: Way) -> (f64, f64) {
        self.measure_where(graph, way, &AllNodes)
    }

    fn measure_where<F: NodeFilter>(&self, graph: &HnswGraph, way: Way, all: &F) -> (f64, f64) {
        let &Self { rows, queries, k, ref farthest } = self;
        let (mut scratch, mut hits) = (SearchScratch::new(), Vec::new());
        let metric = graph.params().metric;
        let (mut found, mut distances) = (0, 0);
        for (query, &farthest) in queries.iter().zip(farthest) {
            let stats = graph.search(rows, query, &way.request(k), all, &mut scratch, &mut hits);
            assert!(hits.len() == k && !stats.exhausted);
            let of = |node| omen_kernels::distance(metric, query, rows.vector(node));
            found += hits.iter().filter(|hit| of(hit.node) <= farthest).count();
            distances += stats.distances;
        }
        let count = farthest.len();
        (found as f64 / (count * k) as f64, distances as f64 / count as f64)
    }
}

/// Points near a plane of 16 dimensions in 64: hard enough that a narrow beam finds four in five neighbours, and not so
/// hard that one bit a dimension tells nothing.
fn on_a_plane(count: usize, seed: u64) -> Rows {
    let mut random = Random(seed);
    let axes: Vec<f32> = (0..16 * 64).map(|_| random.normal()).collect();
    let mut floats = Vec::with_capacity(count * 64);
    for _ in 0..count {
        let point: Vec<f32> = (0..16).map(|_| random.normal()).collect();
        for axis in axes.chunks(16) {
            let at: f32 = axis.iter().zip(&point).map(|(a, b)| a * b).sum();
            floats.push(at + 0.3 * random.normal());
        }
    }
    Rows { dim: 64, floats }
}

const TARGETS: [f32; 4] = [0.8, 0.9, 0.95, 0.99];

/// Every recall is reached, of vectors that the graph has not seen, by either way, and less recall is less work.
fn promises_are_kept(metric: Metric) {
    let (rows, queries) = on_a_plane(4_400, 201).split(4_000);
    let unseen = Unseen::new(&rows, &queries, metric, K);
    // What a filter that says no to nobody costs is the beam's width too.
    let nobody_is_left_out = |_| true;
    for quantisation in QUANTISATIONS.into_iter().filter(|one| one.fits(metric)) {
        let graph = build(&rows, HnswParams { quantisation, m: 8, ..params(metric) });
        let known = calibrated(&graph, &rows, 1);
        let mut before = [0.0; 2];
        for target in TARGETS {
            let aim = known.aim(target, K);
            let found = [
                unseen.measure(&graph, aim.open),
                unseen.measure_where(&graph, aim.filtered, &nobody_is_left_out),
            ];
            for ((recall, work), before) in found.into_iter().zip(&mut before) {
                assert!(
                    recall >= f64::from(target) - 0.01,
                    "{metric:?} {quantisation:?}: {recall} for {target}"
                );
                assert!(work > *before, "{metric:?} {quantisation:?}: {target} is no more work");
                *before = work;
            }
        }
    }
}

#[test]
fn the_recall_that_is_asked_for_is_found_under_l2() {
    promises_are_kept(Metric::L2);
}

#[test]
fn the_recall_that_is_asked_for_is_found_under_the_inner_product() {
    promises_are_kept(Metric::InnerProduct);
}

#[test]
fn the_recall_that_is_asked_for_is_found_under_cosine() {
    promises_are_kept(Metric::Cosine);
}

#[test]
fn the_recall_that_is_asked_for_is_found_under_l1() {
    promises_are_kept(Metric::L1);
}

#[test]
fn other_numbers_of_neighbours_are_found_as_well() {
    let (rows, queries) = Rows::clustered(6_200, 24, 202).split(6_000);
    let graph = build(&rows, params(Metric::L2));
    let known = calibrated(&graph, &rows, 1);
    for k in [1, 3, 40] {
        let unseen = Unseen::new(&rows, &queries, Metric::L2, k);
        let (recall, _) = unseen.measure(&graph, known.aim(0.95, k).open);
        assert!(recall >= 0.94, "{k} neighbours: {recall}");
    }
}

/// A beam that stops by itself does as much where it is hard as where it is easy; one of fixed width must be wide for the hard.
#[test]
fn stopping_takes_less_work_than_a_beam_of_the_same_recall() {
    let (rows, queries) = on_a_plane(4_400, 203).split(4_000);
    let graph = build(&rows, params(Metric::L2));
    let unseen = Unseen::new(&rows, &queries, Metric::L2, K);
    let way = calibrated(&graph, &rows, 1).aim(0.99, K).open;
    assert!(way.slack.is_finite());
    let (recall, distances) = unseen.measure(&graph, way);
    let mut beams = (K..).step_by(2).map(|ef| unseen.measure(&graph, Way::fixed(ef)));
    let (_, fixed) = beams.find(|point| point.0 >= recall).expect("a wide beam finds everything");
    assert!(distances < fixed, "{distances} against {fixed} distances at recall {recall}");
}

/// The estimates of one bit a dimension say too little of how far the tenth is.
#[test]
fn a_beam_over_coarse_codes_does_not_stop_by_itself() {
    let rows = on_a_plane(4_000, 204);
    let coarse = HnswParams { quantisation: Quantisation::Bq, ..params(Metric::Cosine) };
    let way = calibrated(&build(&rows, coarse), &rows, 1).aim(0.9, K).open;
    assert!(way.slack.is_infinite() && way.ef > K);
}

#[test]
fn what_is_measured_again_by_the_vectors_counts() {
    let rows = on_a_plane(3_000, 207);
    let coarse = HnswParams { quantisation: Quantisation::Bq, ..params(Metric::Cosine) };
    let graph = build(&rows, coarse);
    let usual = calibrated(&graph, &rows, 1).aim(0.95, K).open;
    assert!(usual.recall >= 0.95);
    graph.calibrate(&rows, 1, 1, &AtomicBool::new(false)).expect("nobody cancels");
    let once = graph.calibration().expect("measured").aim(0.95, K).open;
    assert!(once.recall < 0.9, "{} with nothing to choose from", once.recall);
}

#[test]
fn a_measurement_is_stored_with_the_graph_and_is_the_same_on_any_number_of_threads() {
    let rows = Rows::clustered(3_000, 16, 204);
    let graph = build(&rows, params(Metric::InnerProduct));
    assert!(graph.calibration().is_none() && graph.is_uncalibrated());
    let one = calibrated(&graph, &rows, 1);
    assert_eq!(calibrated(&graph, &rows, 3), one);
    assert!(!graph.is_uncalibrated());
    let mut image = Vec::new();
    graph.write_image(graph.len(), &mut image).expect("memory takes all");
    let again = HnswGraph::read_image(&mut &image[..]).expect("as written");
    assert_eq!(again.calibration().as_deref(), Some(&one));
}

#[test]
fn a_graph_that_has_grown_by_half_is_due() {
    let rows = Rows::clustered(2_000, 8, 205);
    let graph = HnswGraph::new(params(Metric::L2));
    insert_all(&graph, &rows, 0..400);
    assert!(!graph.is_uncalibrated(), "too small to be worth it");
    insert_all(&graph, &rows, 400..1_000);
    assert!(graph.is_uncalibrated());
    calibrated(&graph, &rows, 1);
    insert_all(&graph, &rows, 1_000..1_500);
    assert!(!graph.is_uncalibrated());
    insert_all(&graph, &rows, 1_500..1_600);
    assert!(graph.is_uncalibrated());
}

#[test]
fn equal_undefined_and_no_vectors_are_measured_without_harm() {
    let none = Rows { dim: 4, floats: Vec::new() };
    let graph = HnswGraph::new(params(Metric::L2));
    graph.calibrate(&none, 0, 1, &AtomicBool::new(false)).expect("nobody cancels");
    assert!(graph.calibration().is_none());
    for (rows, metric) in [
        (Rows { dim: 4, floats: vec![1.0; 4 * 600] }, Metric::L2),
        (Rows { dim: 4, floats: vec![0.0; 4 * 600] }, Metric::Cosine),
        (Rows { dim: 4, floats: vec![f32::MAX; 4 * 600] }, Metric::InnerProduct),
    ] {
        let graph = build(&rows, params(metric));
        graph.calibrate(&rows, 0, 2, &AtomicBool::new(false)).expect("nobody cancels");
        if let Some(known) = graph.calibration() {
            let request = known.aim(0.95, K).open.request(K);
            let (mut scratch, mut hits) = (SearchScratch::new(), Vec::new());
            graph.search(&rows, rows.vector(0), &request, &AllNodes, &mut scratch, &mut hits);
            assert_eq!(hits.len(), K, "{metric:?}");
        }
    }
    let cancelled = build(&Rows::clustered(600, 4, 206), params(Metric::L2));
    let rows = Rows::clustered(600, 4, 206);
    assert!(cancelled.calibrate(&rows, 0, 1, &AtomicBool::new(true)).is_err());
    assert!(cancelled.calibration().is_none());
}
