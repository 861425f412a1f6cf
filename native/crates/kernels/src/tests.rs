//! Every table against sums in `f64`, and against the scalar table where rounding plays no part.

use super::*;

/// SplitMix64: the same seed gives the same vectors.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in -1..1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn vector(&mut self, dim: usize) -> Vec<f32> {
        (0..dim).map(|_| self.unit()).collect()
    }
}

fn tables() -> Vec<&'static Kernels> {
    let mut all = vec![&scalar::KERNELS];
    #[cfg(target_arch = "x86_64")]
    all.extend(avx2::kernels());
    all
}

/// Sum of `term` in `f64`, and a bound on what `f32` may lose: the sum of magnitudes times a few units in the last place.
fn reference(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> (f64, f64) {
    let terms = || a.iter().zip(b).map(|(&x, &y)| term(x as f64, y as f64));
    let magnitude: f64 = terms().map(f64::abs).sum();
    let roundings = 2.0 + (a.len() as f64) / 8.0;
    (terms().sum(), magnitude * f32::EPSILON as f64 * roundings)
}

fn assert_near(actual: f32, (expected, bound): (f64, f64), what: &str) {
    assert!((actual as f64 - expected).abs() <= bound, "{what}: {actual} against {expected}");
}

#[test]
fn every_dimension_agrees_with_the_sum_in_f64() {
    let mut random = Random(1);
    for dim in 1..=1100 {
        let (a, b) = (random.vector(dim), random.vector(dim));
        for table in tables() {
            let what = format!("{} dim {dim}", table.name);
            let l2 = reference(&a, &b, |x, y| (x - y) * (x - y));
            assert_near((table.l2_squared)(&a, &b), l2, &what);
            assert_near((table.dot)(&a, &b), reference(&a, &b, |x, y| x * y), &what);
            let sums = (table.dot_and_norms)(&a, &b);
            assert_near(sums.dot, reference(&a, &b, |x, y| x * y), &what);
            assert_near(sums.norm_a, reference(&a, &a, |x, y| x * y), &what);
            assert_near(sums.norm_b, reference(&b, &b, |x, y| x * y), &what);
        }
    }
}

#[test]
fn small_integers_are_exact_so_all_tables_agree_to_the_bit() {
    let mut random = Random(2);
    for dim in 1..=300 {
        let mut whole = || (0..dim).map(|_| (random.next() % 17) as f32 - 8.0).collect::<Vec<_>>();
        let (a, b) = (whole(), whole());
        for table in tables() {
            assert_eq!((table.l2_squared)(&a, &b), scalar::l2_squared(&a, &b));
            assert_eq!((table.dot)(&a, &b), scalar::dot(&a, &b));
            assert_eq!((table.dot_and_norms)(&a, &b), scalar::dot_and_norms(&a, &b));
        }
    }
}

#[test]
fn slices_at_every_offset_give_the_same_bits() {
    let mut random = Random(3);
    let (pool_a, pool_b) = (random.vector(200), random.vector(200));
    for table in tables() {
        for dim in [1, 7, 8, 31, 33, 100] {
            let expected = (table.l2_squared)(&pool_a[..dim], &pool_b[..dim]);
            for offset in 0..16 {
                let mut shifted = vec![0.0; offset];
                shifted.extend_from_slice(&pool_a[..dim]);
                let actual = (table.l2_squared)(&shifted[offset..], &pool_b[..dim]);
                assert_eq!(actual.to_bits(), expected.to_bits());
            }
        }
    }
}

#[test]
fn nothing_past_the_slice_is_read_into_the_sum() {
    for table in tables() {
        for dim in 0..40 {
            let mut padded = vec![1.0; dim];
            padded.extend_from_slice(&[f32::NAN; 16]);
            assert_eq!((table.dot)(&padded[..dim], &padded[..dim]), dim as f32);
            assert_eq!((table.l2_squared)(&padded[..dim], &padded[..dim]), 0.0);
            assert_eq!((table.dot_and_norms)(&padded[..dim], &padded[..dim]).norm_b, dim as f32);
        }
    }
}

#[test]
fn lists_equal_single_pairs_to_the_bit() {
    let mut random = Random(4);
    for table in tables() {
        for (dim, count) in [(1, 1), (3, 5), (16, 32), (129, 7), (384, 33), (64, 0)] {
            let query = random.vector(dim);
            let data: Vec<_> = (0..count).map(|_| random.vector(dim)).collect();
            let rows: Vec<&[f32]> = data.iter().map(Vec::as_slice).collect();
            let mut out = vec![f32::NAN; count];
            (table.l2_squared_many)(&query, &rows, &mut out);
            for (row, actual) in rows.iter().zip(&out) {
                assert_eq!(actual.to_bits(), (table.l2_squared)(&query, row).to_bits());
            }
            (table.dot_many)(&query, &rows, &mut out);
            for (row, actual) in rows.iter().zip(&out) {
                assert_eq!(actual.to_bits(), (table.dot)(&query, row).to_bits());
            }
        }
    }
}

#[test]
fn overflow_and_nan_come_out_as_in_plain_arithmetic() {
    for table in tables() {
        for at in [0, 7, 8, 20, 32, 36] {
            let mut a = vec![0.5; 37];
            let b = vec![0.25; 37];
            a[at] = f32::NAN;
            assert!((table.l2_squared)(&a, &b).is_nan());
            assert!((table.dot)(&a, &b).is_nan());
            a[at] = 3e38;
            assert_eq!((table.l2_squared)(&a, &b), f32::INFINITY);
            assert_eq!((table.dot_and_norms)(&a, &b).norm_a, f32::INFINITY);
            a[at] = f32::NEG_INFINITY;
            assert_eq!((table.dot)(&a, &b), f32::NEG_INFINITY);
        }
    }
}

#[test]
fn user_distances_follow_pgvector() {
    // The cases of pgvector's own regression test (test/sql/vector_type.sql).
    let (a, b) = ([1.0, 2.0, 3.0], [4.0, 6.0, 3.0]);
    assert_eq!(distance(Metric::L2, &a, &b), 5.0);
    assert_eq!(distance(Metric::InnerProduct, &a, &b), -25.0);
    assert_eq!(distance(Metric::L2, &[0.0, 0.0], &[1.0, 1.0]), std::f64::consts::SQRT_2);
    assert_eq!(distance(Metric::Cosine, &[1.0, 2.0], &[2.0, 4.0]), 0.0);
    assert_eq!(distance(Metric::Cosine, &[1.0, 0.0], &[0.0, 2.0]), 1.0);
    assert_eq!(distance(Metric::Cosine, &[1.0, 1.0], &[-1.0, -1.0]), 2.0);
    assert!(distance(Metric::Cosine, &[0.0, 0.0], &[1.0, 1.0]).is_nan());
    // Sums overflow and underflow in f32, as there.
    assert_eq!(distance(Metric::L2, &[3e38], &[-3e38]), f64::INFINITY);
    assert!(distance(Metric::Cosine, &[3e38, 1.0], &[3e38, 1.0]).is_nan());
    assert_eq!(distance(Metric::Cosine, &[1e-30, 0.0], &[1.0, 0.0]), 0.0);
    // Rounding may carry the quotient past one; the distance must not become negative.
    let mut random = Random(5);
    for dim in 1..200 {
        let a = random.vector(dim);
        let scaled: Vec<f32> = a.iter().map(|x| x * 3.0).collect();
        let actual = distance(Metric::Cosine, &a, &scaled);
        assert!((0.0..1e-5).contains(&actual), "dim {dim}: {actual}");
    }
}

#[test]
#[should_panic(expected = "one dimension")]
fn different_lengths_are_a_bug_of_the_caller() {
    (kernels().dot)(&[1.0, 2.0], &[1.0]);
}
