//! Sparse kernels against the dense scalar ones over the same vectors spelled out.

mod common;

use common::Random;
use omen_kernels::{Metric, Sparse, distance, distance_sparse, tables};

/// About `density` of a hundred dimensions are set; small whole numbers, so that every order of summation is exact.
fn vector(random: &mut Random, dim: u32, density: u64) -> (Vec<u32>, Vec<f32>) {
    let indices: Vec<u32> = (0..dim).filter(|_| random.next() % 100 < density).collect();
    let values = indices.iter().map(|_| (random.next() % 8) as f32 + 1.0).collect();
    (indices, values)
}

fn spelled_out(indices: &[u32], values: &[f32], dim: u32) -> Vec<f32> {
    let mut dense = vec![0.0; dim as usize];
    for (&index, &value) in indices.iter().zip(values) {
        dense[index as usize] = value;
    }
    dense
}

#[test]
fn distances_equal_those_of_dense_vectors() {
    let mut random = Random(1);
    let scalar = tables().pop().expect("the scalar table is last");
    for dim in (0..60).chain([500, 1000]) {
        for (density_a, density_b) in [(0, 50), (50, 0), (3, 3), (10, 90), (50, 50), (100, 100)] {
            let (index_a, value_a) = vector(&mut random, dim, density_a);
            let (index_b, value_b) = vector(&mut random, dim, density_b);
            let (a, b) = (Sparse::new(&index_a, &value_a), Sparse::new(&index_b, &value_b));
            let dense_a = spelled_out(&index_a, &value_a, dim);
            let dense_b = spelled_out(&index_b, &value_b, dim);
            assert_eq!(a.l2_squared(b), scalar.f32.l2_squared.pair(&dense_a, &dense_b));
            assert_eq!(a.l1(b), scalar.f32.l1.pair(&dense_a, &dense_b));
            assert_eq!(a.dot(b), scalar.f32.dot.pair(&dense_a, &dense_b));
            assert_eq!(a.dot_and_norms(b), scalar.dot_and_norms.pair(&dense_a, &dense_b));
            for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
                let (sparse, dense) =
                    (distance_sparse(metric, a, b), distance(metric, &dense_a, &dense_b));
                assert!(sparse == dense || sparse.is_nan() && dense.is_nan(), "{metric:?}");
            }
        }
    }
}

#[test]
fn infinity_meets_only_what_is_there() {
    let (a, b) = (Sparse::new(&[1, 2], &[f32::INFINITY, 1.0]), Sparse::new(&[2], &[3.0]));
    assert_eq!((a.dot(b), b.dot(a)), (3.0, 3.0));
    assert_eq!(a.l1(b), f32::INFINITY);
}

#[test]
#[should_panic(expected = "a value for each dimension")]
fn dimensions_without_values_are_a_bug_of_the_caller() {
    let _ = Sparse::new(&[1, 2], &[1.0]);
}
