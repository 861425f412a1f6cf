//! Floating point kernels of every table against sums in `f64`, and against each other where rounding plays no part.

mod common;

use common::{Element, Random, TERMS, assert_near, dims, reference, vector};
use omen_kernels::{Dense, DotAndNorms, F16, Kernel, Kernels, Pool, tables};

/// The kernels of one pair of formats, in the order of [`TERMS`].
fn kernels_of<Q, R, S>(dense: &Dense<Q, R, S>) -> [&Kernel<Q, R, S>; 3] {
    [&dense.l2_squared, &dense.dot, &dense.l1]
}

/// Runs a generic check on every table and every pair of floating point formats. Miri lacks the conversion of halves.
macro_rules! for_every_format {
    ($check:ident) => {
        for table in tables() {
            $check::<f32, f32>(table, &table.f32);
            if !cfg!(miri) {
                $check::<F16, F16>(table, &table.f16);
                $check::<f32, F16>(table, &table.f32_f16);
            }
            $check::<f32, i8>(table, &table.f32_i8);
            $check::<f32, u8>(table, &table.f32_u8);
        }
    };
}

#[test]
fn says_which_tables_this_processor_runs() {
    let names: Vec<_> = tables().iter().map(|table| table.name).collect();
    println!("kernel tables under test: {}", names.join(", "));
    assert_eq!(names.last(), Some(&"scalar"));
}

#[test]
fn every_dimension_agrees_with_the_sum_in_f64() {
    fn check<Q: Element, R: Element>(table: &Kernels, dense: &Dense<Q, R, f32>) {
        let mut random = Random(1);
        for dim in dims() {
            let (q, r): (Vec<Q>, Vec<R>) = (vector(&mut random, dim), vector(&mut random, dim));
            for (kernel, (name, term)) in kernels_of(dense).into_iter().zip(TERMS) {
                let what = format!("{} {name} dim {dim}", table.name);
                assert_near(kernel.pair(&q, &r) as f64, reference(&q, &r, term), &what);
            }
        }
    }
    for_every_format!(check);
}

#[test]
fn dot_and_norms_agree_with_the_sums_in_f64() {
    fn check<E: Element>(name: &str, kernel: &Kernel<E, E, DotAndNorms>) {
        let mut random = Random(2);
        for dim in dims() {
            let (a, b): (Vec<E>, Vec<E>) = (vector(&mut random, dim), vector(&mut random, dim));
            let what = format!("{name} dim {dim}");
            let sums = kernel.pair(&a, &b);
            assert_near(sums.dot as f64, reference(&a, &b, |x, y| x * y), &what);
            assert_near(sums.norm_a as f64, reference(&a, &a, |x, y| x * y), &what);
            assert_near(sums.norm_b as f64, reference(&b, &b, |x, y| x * y), &what);
        }
    }
    for table in tables() {
        check(table.name, &table.dot_and_norms);
        if !cfg!(miri) {
            check(table.name, &table.f16_dot_and_norms);
        }
    }
}

#[test]
fn small_integers_are_exact_in_every_table() {
    fn check<Q: Element, R: Element>(table: &Kernels, dense: &Dense<Q, R, f32>) {
        let mut random = Random(3);
        for dim in dims() {
            let q: Vec<Q> = (0..dim).map(|_| Q::whole(&mut random)).collect();
            let r: Vec<R> = (0..dim).map(|_| R::whole(&mut random)).collect();
            for (kernel, (name, term)) in kernels_of(dense).into_iter().zip(TERMS) {
                let (expected, _) = reference(&q, &r, term);
                assert_eq!(kernel.pair(&q, &r) as f64, expected, "{} {name} {dim}", table.name);
            }
        }
    }
    for_every_format!(check);
}

#[test]
fn slices_at_every_offset_give_the_same_bits() {
    fn check<Q: Element, R: Element>(_: &Kernels, dense: &Dense<Q, R, f32>) {
        let mut random = Random(4);
        let (pool_q, pool_r): (Vec<Q>, Vec<R>) =
            (vector(&mut random, 200), vector(&mut random, 200));
        for kernel in kernels_of(dense) {
            for dim in [1, 7, 8, 9, 31, 33, 100] {
                let (q, r) = (&pool_q[..dim], &pool_r[..dim]);
                let expected = kernel.pair(q, r).to_bits();
                for offset in 0..16 {
                    let mut shifted = vec![Q::LOUD; offset];
                    shifted.extend_from_slice(q);
                    assert_eq!(kernel.pair(&shifted[offset..], r).to_bits(), expected);
                    let mut shifted = vec![R::LOUD; offset];
                    shifted.extend_from_slice(r);
                    assert_eq!(kernel.pair(q, &shifted[offset..]).to_bits(), expected);
                }
            }
        }
    }
    for_every_format!(check);
}

#[test]
fn nothing_beside_the_slice_is_read_into_the_sum() {
    fn check<Q: Element, R: Element>(_: &Kernels, dense: &Dense<Q, R, f32>) {
        fn surrounded<E: Element>(dim: usize) -> Vec<E> {
            let (edge, inside) = (vec![E::LOUD; 40], vec![E::ONE; dim]);
            [edge.clone(), inside, edge].concat()
        }
        for dim in 0..40 {
            let (q, r) = (surrounded::<Q>(dim), surrounded::<R>(dim));
            let (q, r) = (&q[40..40 + dim], &r[40..40 + dim]);
            assert_eq!(dense.dot.pair(q, r), dim as f32);
            assert_eq!(dense.l2_squared.pair(q, r), 0.0);
            assert_eq!(dense.l1.pair(q, r), 0.0);
        }
    }
    for_every_format!(check);
}

#[test]
fn lists_and_pools_equal_single_pairs_to_the_bit() {
    fn check<Q: Element, R: Element>(table: &Kernels, dense: &Dense<Q, R, f32>) {
        let mut random = Random(5);
        for (dim, count) in [(1, 1), (3, 5), (16, 32), (129, 7), (384, 33), (64, 0)] {
            let stride = dim + (random.next() % 3) as usize;
            let query: Vec<Q> = vector(&mut random, dim);
            let elements: Vec<R> = vector(&mut random, stride * 40);
            let pool = Pool::new(&elements, stride, dim);
            let numbers: Vec<u32> = (0..count).map(|_| (random.next() % 40) as u32).collect();
            let rows: Vec<&[R]> = numbers.iter().map(|&number| pool.row(number)).collect();
            for kernel in kernels_of(dense) {
                let (mut listed, mut pooled) = (vec![f32::NAN; count], vec![f32::NAN; count]);
                kernel.list(&query, &rows, &mut listed);
                kernel.pool(&query, pool, &numbers, &mut pooled);
                for (i, row) in rows.iter().enumerate() {
                    let expected = kernel.pair(&query, row).to_bits();
                    assert_eq!(listed[i].to_bits(), expected, "{} dim {dim}", table.name);
                    assert_eq!(pooled[i].to_bits(), expected, "{} dim {dim}", table.name);
                }
            }
        }
    }
    for_every_format!(check);
}

#[test]
fn overflow_and_nan_come_out_as_in_plain_arithmetic() {
    for table in tables() {
        for at in [0, 7, 8, 20, 32, 36] {
            let mut a = vec![0.5; 37];
            let b = vec![0.25; 37];
            a[at] = f32::NAN;
            for kernel in kernels_of(&table.f32) {
                assert!(kernel.pair(&a, &b).is_nan());
                assert!(kernel.pair(&b, &a).is_nan());
            }
            a[at] = 3e38;
            assert_eq!(table.f32.l2_squared.pair(&a, &b), f32::INFINITY);
            assert_eq!(table.dot_and_norms.pair(&a, &b).norm_a, f32::INFINITY);
            a[at] = f32::NEG_INFINITY;
            assert_eq!(table.f32.dot.pair(&a, &b), f32::NEG_INFINITY);
            assert_eq!(table.f32.l1.pair(&a, &b), f32::INFINITY);
            assert!(table.f32.l2_squared.pair(&a, &a).is_nan(), "infinity minus infinity");
            let mut half = vec![F16::from_f32(0.5); 37];
            half[at] = F16(0x7c00);
            assert_eq!(table.f32_f16.dot.pair(&b, &half), f32::INFINITY);
            half[at] = F16(0x7e00);
            assert!(table.f16.l2_squared.pair(&half, &half).is_nan());
        }
        // The largest halves stay far from overflow in `f32`.
        let large = vec![F16::MAX; 4000];
        let dot = table.f16.dot.pair(&large, &large) as f64;
        assert_near(dot, reference(&large, &large, |x, y| x * y), table.name);
    }
}

#[test]
#[should_panic(expected = "one dimension")]
fn different_lengths_are_a_bug_of_the_caller() {
    omen_kernels::kernels().f32.dot.pair(&[1.0, 2.0], &[1.0]);
}

#[test]
#[should_panic(expected = "one dimension")]
fn so_are_they_in_a_list() {
    let row: &[F16] = &[F16::default(); 3];
    omen_kernels::kernels().f32_f16.l1.list(&[1.0, 2.0], &[row], &mut [0.0]);
}

#[test]
#[should_panic(expected = "out of range")]
fn a_row_the_pool_lacks_is_a_bug_of_the_caller() {
    let pool = Pool::new(&[1.0; 10], 5, 5);
    omen_kernels::kernels().f32.dot.pool(&[1.0; 5], pool, &[2], &mut [0.0]);
}
