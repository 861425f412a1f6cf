//! Nanoseconds per distance: every kernel of every table this processor runs, beside a plain loop and the `simsimd` crate.
//!
//! `cargo bench -p omen-kernels` prints a table; `-- --json FILE` writes the same as JSON; any other argument is a filter
//! on kernel names. Vectors stay in the first-level cache but for the last section, which reads rows at random out of 256
//! MB. A figure is the least of [`ROUNDS`] rounds: other work on the machine can only add to a round.

mod naive;
mod report;

use std::hint::black_box;
use std::time::Instant;

use omen_kernels::{Dense, F16, Kernel, Kernels, PLANES, Pool, Sparse, tables};
use omen_testing::Random;
use report::{Measurement, Report};
use simsimd::{BinarySimilarity, SpatialSimilarity};

const DIMS: [usize; 4] = [128, 384, 768, 1536];
const ROUNDS: usize = 15;
const ROUND_NANOSECONDS: f64 = 500_000.0;

/// Nanoseconds of one call.
fn time(mut call: impl FnMut()) -> f64 {
    let mut round = |calls: usize| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed().as_nanos() as f64 / calls as f64
    };
    let calls = (ROUND_NANOSECONDS / round(100).max(0.5)).ceil() as usize;
    (0..ROUNDS).map(|_| round(calls)).fold(f64::INFINITY, f64::min)
}

/// The end of a result that was computed for its time.
fn ignore<T>(_: T) {}

fn vector<T>(random: &mut Random, len: usize, of: impl Fn(u64) -> T) -> Vec<T> {
    (0..len).map(|_| of(random.next())).collect()
}

fn float(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1 << 23) as f32 - 1.0
}

fn half(bits: u64) -> F16 {
    F16::from_f32(float(bits))
}

fn main() {
    let mut report = Report::from_arguments();
    for dim in DIMS {
        floats(&mut report, dim);
        codes(&mut report, dim);
        bits(&mut report, dim);
        sparse(&mut report, dim);
    }
    for dim in DIMS {
        tiles(&mut report, dim);
    }
    for dim in DIMS {
        memory(&mut report, dim);
    }
    report.finish();
}

/// One kernel over all tables: `naive` and `simsimd` are calls that compute the same, `kernel` finds it in a table.
fn pairs<Q: 'static, R: 'static, S: 'static, const STRETCH: usize>(
    report: &mut Report,
    (name, dim): (&str, usize),
    (query, row): (&[Q], &[R]),
    kernel: impl Fn(&'static Kernels) -> &'static Kernel<Q, R, S, STRETCH>,
    naive: impl Fn(&[Q], &[R]),
    simsimd: Option<&dyn Fn()>,
) {
    if !report.wants(name) {
        return;
    }
    let tables = tables().into_iter().map(|table| {
        let kernel = kernel(table);
        let call = || ignore(black_box(kernel.pair(black_box(query), black_box(row))));
        (table.name, time(call))
    });
    report.add(Measurement {
        kernel: name.into(),
        dim,
        tables: tables.collect(),
        naive: Some(time(|| naive(black_box(query), black_box(row)))),
        simsimd: simsimd.map(time),
    });
}

fn floats(report: &mut Report, dim: usize) {
    let mut random = Random(1);
    let (a, b) = (vector(&mut random, dim, float), vector(&mut random, dim, float));
    let (half_a, half_b) = (vector(&mut random, dim, half), vector(&mut random, dim, half));
    let (i8s, u8s) = (vector(&mut random, dim, |r| r as i8), vector(&mut random, dim, |r| r as u8));
    let simsimd_halves =
        |halves: &[F16]| -> Vec<_> { halves.iter().map(|half| simsimd::f16(half.0)).collect() };
    let (simsimd_a, simsimd_b) = (simsimd_halves(&half_a), simsimd_halves(&half_b));

    let l2 = || ignore(black_box(f32::sqeuclidean(black_box(&a), black_box(&b))));
    let dot = || ignore(black_box(f32::dot(black_box(&a), black_box(&b))));
    let cosine = || ignore(black_box(f32::cosine(black_box(&a), black_box(&b))));
    let half_l2 = || {
        ignore(black_box(simsimd::f16::sqeuclidean(black_box(&simsimd_a), black_box(&simsimd_b))));
    };
    let half_dot =
        || ignore(black_box(simsimd::f16::dot(black_box(&simsimd_a), black_box(&simsimd_b))));

    let own = (&a[..], &b[..]);
    pairs(report, ("f32 l2", dim), own, |t| &t.f32.l2_squared, naive::l2, Some(&l2));
    pairs(report, ("f32 dot", dim), own, |t| &t.f32.dot, naive::dot, Some(&dot));
    pairs(report, ("f32 l1", dim), own, |t| &t.f32.l1, naive::l1, None);
    pairs(report, ("f32 norms", dim), own, |t| &t.dot_and_norms, naive::norms, Some(&cosine));
    let halves = (&half_a[..], &half_b[..]);
    pairs(report, ("f16 l2", dim), halves, |t| &t.f16.l2_squared, naive::l2, Some(&half_l2));
    pairs(report, ("f16 dot", dim), halves, |t| &t.f16.dot, naive::dot, Some(&half_dot));
    let mixed = (&a[..], &half_b[..]);
    pairs(report, ("f32 x f16 l2", dim), mixed, |t| &t.f32_f16.l2_squared, naive::l2, None);
    pairs(report, ("f32 x f16 dot", dim), mixed, |t| &t.f32_f16.dot, naive::dot, None);
    let signed = (&a[..], &i8s[..]);
    pairs(report, ("f32 x i8 l2", dim), signed, |t| &t.f32_i8.l2_squared, naive::l2, None);
    pairs(report, ("f32 x i8 dot", dim), signed, |t| &t.f32_i8.dot, naive::dot, None);
    let unsigned = (&a[..], &u8s[..]);
    pairs(report, ("f32 x u8 l2", dim), unsigned, |t| &t.f32_u8.l2_squared, naive::l2, None);
    pairs(report, ("f32 x u8 dot", dim), unsigned, |t| &t.f32_u8.dot, naive::dot, None);
}

fn codes(report: &mut Report, dim: usize) {
    let mut random = Random(2);
    let signed = |random: &mut Random| vector(random, dim, |r| r as i8);
    let narrow = |random: &mut Random| vector(random, dim, |r| r as u8 & 127);
    let (a, b) = (signed(&mut random), signed(&mut random));
    let (narrow_a, narrow_b) = (narrow(&mut random), narrow(&mut random));

    let l2 = || ignore(black_box(i8::sqeuclidean(black_box(&a), black_box(&b))));
    let dot = || ignore(black_box(i8::dot(black_box(&a), black_box(&b))));
    let own = (&a[..], &b[..]);
    pairs(report, ("i8 l2", dim), own, |t| &t.i8.l2_squared, naive::code_l2, Some(&l2));
    pairs(report, ("i8 dot", dim), own, |t| &t.i8.dot, naive::code_dot, Some(&dot));
    let own = (&narrow_a[..], &narrow_b[..]);
    pairs(report, ("u7 l2", dim), own, |t| &t.u7.l2_squared, naive::code_l2, None);
    pairs(report, ("u7 dot", dim), own, |t| &t.u7.dot, naive::code_dot, None);
    let mixed = (&a[..], &narrow_b[..]);
    pairs(report, ("i8 x u7 dot", dim), mixed, |t| &t.i8_u7_dot, naive::code_dot, None);
}

fn bits(report: &mut Report, dim: usize) {
    let mut random = Random(3);
    let words = dim / 64;
    let (a, b) = (vector(&mut random, words, |r| r), vector(&mut random, words, |r| r));
    let planes = vector(&mut random, words * PLANES, |r| r);
    let bytes = |words: &[u64]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    let (bytes_a, bytes_b) = (bytes(&a), bytes(&b));

    let hamming = || ignore(black_box(u8::hamming(black_box(&bytes_a), black_box(&bytes_b))));
    let jaccard = || ignore(black_box(u8::jaccard(black_box(&bytes_a), black_box(&bytes_b))));
    let own = (&a[..], &b[..]);
    pairs(report, ("bit hamming", dim), own, |t| &t.bits.hamming, naive::hamming, Some(&hamming));
    pairs(report, ("bit jaccard", dim), own, |t| &t.bits.jaccard, naive::jaccard, Some(&jaccard));
    let own = (&planes[..], &b[..]);
    pairs(report, ("4 bit x 1 bit", dim), own, |t| &t.bits.planes, naive::planes, None);
}

/// An eighth of the dimensions set in each vector, drawn apart. Many rows, since a branch predictor learns one pair.
fn sparse(report: &mut Report, dim: usize) {
    const ROWS: usize = 64;
    if !report.wants("sparse l2") {
        return;
    }
    let mut random = Random(4);
    let values = vector(&mut random, dim, float);
    let mut draw =
        || -> Vec<u32> { (0..dim as u32).filter(|_| random.next().is_multiple_of(8)).collect() };
    let indices: Vec<Vec<u32>> = (0..=ROWS).map(|_| draw()).collect();
    let vectors: Vec<Sparse<'_>> =
        indices.iter().map(|indices| Sparse::new(indices, &values[..indices.len()])).collect();
    let (query, rows) = (vectors[ROWS], &vectors[..ROWS]);
    let of_rows = |sum: &dyn Fn(Sparse<'_>)| time(|| rows.iter().for_each(|row| sum(*row)));
    let merged = of_rows(&|row| ignore(black_box(query.l2_squared(row))));
    report.add(Measurement {
        kernel: "sparse l2".into(),
        dim,
        tables: vec![("all", merged / ROWS as f64)],
        naive: Some(of_rows(&|row| naive::sparse_l2(query, row)) / ROWS as f64),
        simsimd: None,
    });
}

/// Nanoseconds per pair of a matrix of 48 queries by 256 rows; the naive loop and simsimd go pair by pair.
fn tiles(report: &mut Report, dim: usize) {
    const QUERIES: usize = 48;
    const ROWS: usize = 256;
    const PAIRS: f64 = (QUERIES * ROWS) as f64;
    let mut random = Random(5);
    let data = vector(&mut random, dim * (QUERIES + ROWS), float);
    let vectors: Vec<&[f32]> = data.chunks(dim).collect();
    let (queries, rows) = vectors.split_at(QUERIES);
    let mut out = vec![0.0; QUERIES * ROWS];
    for name in ["tile l2", "tile dot"] {
        if !report.wants(name) {
            continue;
        }
        let is_dot = name == "tile dot";
        let every_pair = |of: &dyn Fn(&[f32], &[f32])| {
            time(|| queries.iter().for_each(|q| rows.iter().for_each(|r| of(q, r)))) / PAIRS
        };
        let tables = tables().into_iter().map(|table| {
            let fill: &dyn Fn(&mut [f32]) = if is_dot {
                &|out| table.tile.dot(queries, rows, out)
            } else {
                &|out| table.tile.l2_squared(queries, rows, out)
            };
            (table.name, time(|| fill(black_box(&mut out))) / PAIRS)
        });
        report.add(Measurement {
            kernel: name.into(),
            dim,
            tables: tables.collect(),
            naive: Some(every_pair(if is_dot { &naive::dot } else { &naive::l2 })),
            simsimd: Some(every_pair(if is_dot {
                &|q, r| ignore(black_box(f32::dot(q, r)))
            } else {
                &|q, r| ignore(black_box(f32::sqeuclidean(q, r)))
            })),
        });
    }
}

/// Nanoseconds per row of lists of 32, drawn out of 256 MB: what a traversal pays.
fn memory(report: &mut Report, dim: usize) {
    const BYTES: usize = 256 << 20;
    fn rows_of<Q: 'static, R: Copy + 'static, S: Default + Copy + 'static>(
        report: &mut Report,
        (name, dim): (&str, usize),
        (query, pattern): (&[Q], &[R]),
        dense: impl Fn(&'static Kernels) -> &'static Dense<Q, R, S>,
    ) {
        if !report.wants(name) {
            return;
        }
        let count = BYTES / size_of_val(pattern);
        let elements = pattern.repeat(count);
        let pool = Pool::new(&elements, dim, dim);
        let mut random = Random(6);
        let mut out = [S::default(); 32];
        let tables = tables().into_iter().map(|table| {
            let call = || {
                let numbers: [u32; 32] =
                    std::array::from_fn(|_| (random.next() % count as u64) as u32);
                dense(table).l2_squared.pool(query, pool, &numbers, black_box(&mut out));
            };
            (table.name, time(call) / 32.0)
        });
        let (name, tables) = (name.into(), tables.collect());
        report.add(Measurement { kernel: name, dim, tables, naive: None, simsimd: None });
    }
    let mut random = Random(7);
    let query = vector(&mut random, dim, float);
    let halves = vector(&mut random, dim, half);
    let narrow = vector(&mut random, dim, |r| r as u8 & 127);
    rows_of(report, ("memory f32 l2", dim), (&query, &query), |t| &t.f32);
    rows_of(report, ("memory f32 x f16 l2", dim), (&query, &halves), |t| &t.f32_f16);
    rows_of(report, ("memory u7 l2", dim), (&narrow, &narrow), |t| &t.u7);
}
