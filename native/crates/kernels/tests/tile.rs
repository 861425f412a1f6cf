//! Distance matrices against pair kernels: every shape of edge.

mod common;

use common::{Random, TERMS, assert_near, dims, reference, vector};
use omen_kernels::tables;

#[test]
fn every_shape_holds_the_distance_of_its_pair() {
    let mut random = Random(1);
    for (i, dim) in dims().into_iter().filter(|dim| *dim <= 1999).enumerate() {
        let shapes = [(1, 1), (2, 4), (3, 4), (4, 3), (5, 9), (i % 7, 11), (7, i % 5)];
        for (query_count, row_count) in shapes {
            let mut vectors = |count: usize| -> Vec<Vec<f32>> {
                (0..count).map(|_| vector(&mut random, dim)).collect()
            };
            let (queries, rows) = (vectors(query_count), vectors(row_count));
            let queries: Vec<&[f32]> = queries.iter().map(Vec::as_slice).collect();
            let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            for table in tables() {
                let mut out = [(); 2].map(|()| vec![f32::NAN; query_count * row_count]);
                table.tile.l2_squared(&queries, &rows, &mut out[0]);
                table.tile.dot(&queries, &rows, &mut out[1]);
                for (out, (name, term)) in out.iter().zip(TERMS) {
                    for (q, query) in queries.iter().enumerate() {
                        for (r, row) in rows.iter().enumerate() {
                            let what = format!("{} {name} dim {dim} at {q}, {r}", table.name);
                            let mut near = reference(query, row, term);
                            // One accumulator for eight lanes instead of four.
                            near.1 *= 4.0;
                            assert_near(out[q * row_count + r] as f64, near, &what);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_vector_has_no_distance_from_itself() {
    let mut random = Random(2);
    let vectors: Vec<Vec<f32>> =
        (0..50).map(|_| vector(&mut random, if cfg!(miri) { 20 } else { 700 })).collect();
    let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    for table in tables() {
        let mut out = vec![f32::NAN; 2500];
        table.tile.l2_squared(&vectors, &vectors, &mut out);
        for i in 0..50 {
            assert_eq!(out[i * 51], 0.0);
            for j in 0..50 {
                assert_eq!(out[i * 50 + j].to_bits(), out[j * 50 + i].to_bits(), "symmetric");
            }
        }
    }
}

#[test]
#[should_panic(expected = "one dimension")]
fn a_short_row_is_a_bug_of_the_caller() {
    omen_kernels::kernels().tile.dot(&[&[1.0, 2.0]], &[&[1.0, 2.0], &[1.0]], &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "one result per pair")]
fn so_is_a_small_matrix() {
    omen_kernels::kernels().tile.dot(&[&[1.0]], &[&[1.0], &[1.0]], &mut [0.0; 1]);
}
