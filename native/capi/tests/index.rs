//! The index through its C interface: what it finds against measuring everything, and what it refuses.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{Opened, Random, TempFile, floats, last_error, options, search};
use omen_kernels::{F16, Metric, distance, distance_bits, distance_f16};
use omendb::{
    OMEN_BIT, OMEN_COSINE, OMEN_FLOAT16, OMEN_FLOAT32, OMEN_HAMMING, OMEN_INNER_PRODUCT,
    OMEN_JACCARD, OMEN_L1, OMEN_L2, Options, Search, Status,
};

const METRICS: [(u32, Metric); 6] = [
    (OMEN_L2, Metric::L2),
    (OMEN_INNER_PRODUCT, Metric::InnerProduct),
    (OMEN_COSINE, Metric::Cosine),
    (OMEN_L1, Metric::L1),
    (OMEN_HAMMING, Metric::Hamming),
    (OMEN_JACCARD, Metric::Jaccard),
];

/// What the interface promises for a user's distance.
fn comparable(metric: Metric, distance: f64) -> f64 {
    if metric == Metric::L2 { distance * distance } else { distance }
}

/// Distances of all rows, nearest first, with their positions.
fn ranked(distances: impl Iterator<Item = f64>) -> Vec<(u64, f64)> {
    let mut all: Vec<(u64, f64)> = (0..).zip(distances).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    all
}

/// The share of the true `k` nearest among the hits, which must have their distances in order. Ties count as found.
fn recall(hits: &[(u64, f32)], truth: &[(u64, f64)], k: usize) -> f64 {
    let worst = truth[k - 1].1;
    let slack = 1e-4 * worst.abs().max(1.0);
    for &(label, distance) in hits {
        let (_, exact) = truth.iter().find(|(other, _)| *other == label).expect("a label we gave");
        assert!((f64::from(distance) - exact).abs() <= slack, "{distance} against {exact}");
    }
    assert!(hits.is_sorted_by(|a, b| a.1 <= b.1));
    hits.iter().filter(|hit| f64::from(hit.1) <= worst + slack).count() as f64 / k as f64
}

#[test]
fn every_element_type_metric_and_quantisation_finds_the_nearest() {
    const COUNT: usize = 1200;
    const DIM: usize = 40;
    let mut random = Random(1);
    let rows = floats(&mut random, COUNT * DIM);
    let halves: Vec<F16> = rows.iter().map(|&value| F16::from_f32(value)).collect();
    let bits: Vec<u64> = (0..COUNT).map(|_| random.next() >> (64 - DIM)).collect();
    for (code, metric) in METRICS {
        for element in [OMEN_FLOAT32, OMEN_FLOAT16, OMEN_BIT] {
            for quantisation in 0..6 {
                let options =
                    Options { metric: code, element, quantisation, ..options(DIM as u32) };
                let is_bits = matches!(metric, Metric::Hamming | Metric::Jaccard);
                let possible = is_bits == (element == OMEN_BIT)
                    && (quantisation == 0 || !is_bits)
                    && (![3, 4].contains(&quantisation) || metric != Metric::L1);
                let Ok(index) = Opened::create(&options) else {
                    assert!(!possible, "{options:?}: {}", last_error());
                    continue;
                };
                assert!(possible, "{options:?}");
                let mut found = 0.0;
                for query in 0..20 {
                    // One bit a dimension tells little of forty.
                    let ef = if quantisation == 4 { 600 } else { 120 };
                    let search = Search { ef, ..search(10) };
                    let at = |row: usize| row * DIM..(row + 1) * DIM;
                    let (hits, truth) = match element {
                        OMEN_FLOAT32 => {
                            if query == 0 {
                                index.add(&rows, DIM, None).unwrap();
                            }
                            let query: Vec<f32> = floats(&mut random, DIM);
                            let of = |row| distance(metric, &query, &rows[at(row)]);
                            (index.search(&query, &search), ranked((0..COUNT).map(of)))
                        }
                        OMEN_FLOAT16 => {
                            if query == 0 {
                                index.add(&halves, DIM, None).unwrap();
                            }
                            let query = floats(&mut random, DIM);
                            let query: Vec<F16> = query.into_iter().map(F16::from_f32).collect();
                            let of = |row| distance_f16(metric, &query, &halves[at(row)]);
                            (index.search(&query, &search), ranked((0..COUNT).map(of)))
                        }
                        _ => {
                            if query == 0 {
                                index.add(&bits, 1, None).unwrap();
                            }
                            let query = [random.next() >> (64 - DIM)];
                            let of = |row| distance_bits(metric, &query, &bits[row..=row]);
                            (index.search(&query, &search), ranked((0..COUNT).map(of)))
                        }
                    };
                    let truth: Vec<(u64, f64)> = truth
                        .into_iter()
                        .map(|(label, distance)| (label, comparable(metric, distance)))
                        .collect();
                    found += recall(&hits.unwrap(), &truth, 10) / 20.0;
                }
                assert!(found >= 0.85, "{options:?}: recall {found}");
            }
        }
    }
}

#[test]
fn filters_find_as_many_as_match_and_nothing_else() {
    const COUNT: u64 = 6000;
    const DIM: usize = 16;
    let mut random = Random(2);
    let vectors = floats(&mut random, COUNT as usize * DIM);
    // Labels that are positions, and labels far apart.
    for stride in [1, 9] {
        let labels: Vec<u64> = (0..COUNT).map(|position| position * stride).collect();
        let index = Opened::create(&options(DIM as u32)).unwrap();
        index.add(&vectors, DIM, (stride > 1).then_some(&labels[..])).unwrap();
        index.remove(&labels[100..200]).unwrap();
        for one_in in [1, 2, 10, 100, 1000, 100_000] {
            let bits = COUNT * stride - 70;
            let mut filter = vec![u64::MAX; bits.div_ceil(64) as usize];
            for (i, word) in filter.iter_mut().enumerate() {
                for bit in 0..64 {
                    if !(i as u64 * 64 + bit).is_multiple_of(stride * one_in) {
                        *word &= !(1 << bit);
                    }
                }
            }
            let accepts = |label: u64| label < bits && label.is_multiple_of(stride * one_in);
            let live = |position: usize| !(100..200).contains(&position);
            let matches = (0..COUNT as usize)
                .filter(|&position| live(position) && accepts(labels[position]))
                .count();
            for known in [false, true] {
                let mut found = 0.0;
                for _ in 0..10 {
                    let query = floats(&mut random, DIM);
                    let search = Search {
                        filter: filter.as_ptr(),
                        filter_bits: bits,
                        filter_matches: if known { matches as u64 } else { 0 },
                        ..search(10)
                    };
                    let hits = index.search(&query, &search).unwrap();
                    assert_eq!(hits.len(), matches.min(10), "1 in {one_in}");
                    let truth: Vec<(u64, f64)> = ranked((0..COUNT as usize).map(|row| {
                        let far = distance(Metric::L2, &query, &vectors[row * DIM..][..DIM]);
                        if live(row) && accepts(labels[row]) { far * far } else { f64::INFINITY }
                    }))
                    .into_iter()
                    .map(|(row, far)| (labels[row as usize], far))
                    .collect();
                    assert!(hits.iter().all(|hit| hit.1.is_finite()));
                    let k = matches.min(10);
                    found += if k == 0 { 0.1 } else { recall(&hits, &truth, k) / 10.0 };
                }
                assert!(found >= 0.95, "1 in {one_in}, labels by {stride}: recall {found}");
            }
        }
    }
}

#[test]
fn removed_vectors_are_gone_and_their_labels_free() {
    let mut random = Random(3);
    let vectors = floats(&mut random, 500 * 8);
    let labels: Vec<u64> = (1000..1500).collect();
    let index = Opened::create(&options(8)).unwrap();
    index.add(&vectors, 8, Some(&labels)).unwrap();
    assert_eq!(index.remove(&[1003, 1003, 4, 1499]), Ok(2));
    assert_eq!(index.count(), 498);
    let hits = index.search(&vectors[3 * 8..4 * 8], &search(498)).unwrap();
    assert_eq!(hits.len(), 498);
    assert!(hits.iter().all(|&(label, _)| label != 1003 && label != 1499));
    index.add(&vectors[..8], 8, Some(&[1003])).unwrap();
    let hits = index.search(&vectors[..8], &search(2)).unwrap();
    let mut both: Vec<u64> = hits.iter().map(|hit| hit.0).collect();
    both.sort_unstable();
    assert_eq!(both, [1000, 1003], "two vectors that are equal");
    assert_eq!(index.remove(&labels), Ok(499));
    assert_eq!((index.count(), index.search(&vectors[..8], &search(5))), (0, Ok(Vec::new())));
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let refused = |options: Options, message: &str| {
        assert_eq!(Opened::create(&options).err(), Some(Status::OMEN_INVALID_ARGUMENT));
        assert!(last_error().contains(message), "{}", last_error());
    };
    refused(Options { dim: 0, ..options(4) }, "dim must be");
    refused(Options { dim: 1 << 20, ..options(4) }, "dim must be");
    refused(Options { metric: 6, ..options(4) }, "unknown metric");
    refused(Options { element: 3, ..options(4) }, "unknown element type");
    refused(Options { quantisation: 6, ..options(4) }, "unknown quantisation");
    refused(Options { quantisation: 3, metric: OMEN_L1, ..options(4) }, "no such quantisation");
    refused(Options { metric: OMEN_HAMMING, ..options(4) }, "lack the metric");
    refused(Options { m: 1, ..options(4) }, "m must be");
    refused(Options { m: 70_000, ..options(4) }, "m is too large");
    refused(Options { ef_construction: 2, ..options(4) }, "ef_construction must be");

    let index = Opened::create(&options(2)).unwrap();
    let bad = index.add(&[1.0, 2.0, f32::NAN, 0.0], 2, None);
    assert_eq!(bad, Err(Status::OMEN_INVALID_ARGUMENT));
    assert!(last_error().contains("vector 1"), "{}", last_error());
    assert_eq!(index.count(), 0);
    index.add(&[1.0f32, 2.0, 3.0, 4.0], 2, Some(&[5, 6])).unwrap();
    let mixed = index.add(&[1.0f32, 2.0], 2, None);
    assert_eq!(mixed, Err(Status::OMEN_INVALID_ARGUMENT));
    for labels in [[7, 5], [7, 7]] {
        let twice = index.add(&[0.0f32; 4], 2, Some(&labels));
        assert_eq!(twice, Err(Status::OMEN_DUPLICATE_LABEL));
    }
    assert_eq!(index.count(), 2);
    index.add(&[9.0f32, 9.0], 2, Some(&[7])).unwrap();
    let bad = index.search(&[f32::INFINITY, 0.0], &search(1));
    assert_eq!(bad, Err(Status::OMEN_INVALID_ARGUMENT));
    assert_eq!(index.search(&[0.0f32, 0.0], &search(0)), Ok(Vec::new()));
    let hits = index.search(&[0.0f32, 0.0], &Search { ef: u32::MAX, ..search(1 << 20) }).unwrap();
    assert_eq!(hits, [(5, 5.0), (6, 25.0), (7, 162.0)]);

    let bits = Opened::create(&Options { element: OMEN_BIT, metric: OMEN_HAMMING, ..options(3) });
    assert_eq!(bits.unwrap().add(&[0b1000u64], 1, None), Err(Status::OMEN_INVALID_ARGUMENT));
}

#[test]
fn vectors_without_direction_are_kept_but_never_found() {
    let index = Opened::create(&Options { metric: OMEN_COSINE, ..options(2) }).unwrap();
    index.add(&[0.0f32, 0.0, 1.0, 0.0, 0.0, 1.0], 2, None).unwrap();
    assert_eq!(index.count(), 3);
    let hits = index.search(&[2.0f32, 0.0], &search(3)).unwrap();
    assert_eq!(hits, [(1, 0.0), (2, 1.0)]);
    assert_eq!(index.search(&[0.0f32, 0.0], &search(3)), Ok(Vec::new()));
}

#[test]
fn searches_run_beside_a_writer() {
    const DIM: usize = 12;
    let mut random = Random(4);
    let vectors = floats(&mut random, 2000 * DIM);
    let index = Opened::create(&options(DIM as u32)).unwrap();
    index.add(&vectors[..1000 * DIM], DIM, None).unwrap();
    let written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (index, vectors, written) = (&index, &vectors, &written);
        scope.spawn(move || {
            for (label, batch) in (500..).zip(vectors[1000 * DIM..].chunks(100 * DIM)) {
                index.add(batch, DIM, None).unwrap();
                assert_eq!(index.remove(&[label]), Ok(1));
            }
            written.store(true, Ordering::Release);
        });
        for reader in 0..2 {
            scope.spawn(move || {
                let mut row = reader;
                while !written.load(Ordering::Acquire) || row < 500 {
                    // The first vectors are never removed.
                    let query = &vectors[row % 500 * DIM..][..DIM];
                    let hits = index.search(query, &search(5)).unwrap();
                    assert_eq!((hits[0], hits.len()), ((row as u64 % 500, 0.0), 5));
                    row += 1;
                }
            });
        }
    });
    assert_eq!(index.count(), 2000 - 10);
}

#[test]
fn the_first_block_makes_the_same_index_on_any_number_of_threads() {
    const DIM: usize = 24;
    let rows = floats(&mut Random(6), 3000 * DIM);
    for quantisation in [0, 2] {
        let files = [1, 3].map(|threads| {
            let index = Opened::create(&Options { quantisation, ..options(DIM as u32) }).unwrap();
            index.add_on(threads, &rows, DIM, None).unwrap();
            let file = TempFile::new(&format!("first-{quantisation}-{threads}"));
            index.save(&file.0).unwrap();
            std::fs::read(&file.0).unwrap()
        });
        assert!(files[0] == files[1], "quantisation {quantisation}");
    }
}

#[test]
fn searches_beside_the_first_block_find_nothing_or_the_truth() {
    const DIM: usize = 12;
    let vectors = floats(&mut Random(7), 3000 * DIM);
    let index = Opened::create(&options(DIM as u32)).unwrap();
    let written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (index, vectors, written) = (&index, &vectors, &written);
        scope.spawn(move || {
            index.add(vectors, DIM, None).unwrap();
            written.store(true, Ordering::Release);
        });
        scope.spawn(move || {
            for row in 0..3000 {
                let is_complete = written.load(Ordering::Acquire);
                let hits = index.search(&vectors[row * DIM..][..DIM], &search(5)).unwrap();
                if is_complete || hits.len() == 5 {
                    assert_eq!((hits[0], hits.len()), ((row as u64, 0.0), 5));
                }
            }
        });
    });
}
