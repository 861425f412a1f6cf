//! Kernels over quantised codes and bits: exact, so every table gives what plain arithmetic gives.

mod common;

use common::{Random, dims};
use omen_kernels::{Overlap, PLANES, Pool, pack_bits, pack_planes, tables, words};

/// Sums of squared differences, products and absolute differences.
fn sums(a: &[i32], b: &[i32]) -> [i32; 3] {
    let sum = |term: fn(i32, i32) -> i32| a.iter().zip(b).map(|(&x, &y)| term(x, y)).sum();
    [sum(|x, y| (x - y) * (x - y)), sum(|x, y| x * y), sum(|x, y| (x - y).abs())]
}

fn wide<T: Copy + Into<i32>>(codes: &[T]) -> Vec<i32> {
    codes.iter().map(|&code| code.into()).collect()
}

/// Codes of four kinds: all at one end of the range, all at the other, at both ends, and anything.
fn fill<T>(random: &mut Random, dim: usize, low: T, high: T, any: fn(u64) -> T) -> Vec<T>
where
    T: Copy,
{
    let kind = random.next() % 4;
    let mut code = || match kind {
        0 => low,
        2 if random.next() & 1 == 0 => low,
        1 | 2 => high,
        _ => any(random.next()),
    };
    (0..dim).map(|_| code()).collect()
}

#[test]
fn signed_codes_are_exact_at_every_dimension_and_extreme() {
    let mut random = Random(1);
    for dim in dims() {
        for _ in 0..4 {
            let mut codes = || fill(&mut random, dim, -128i8, 127, |bits| bits as i8);
            let (a, b) = (codes(), codes());
            let expected = sums(&wide(&a), &wide(&b));
            for table in tables() {
                let actual = [&table.i8.l2_squared, &table.i8.dot, &table.i8.l1]
                    .map(|kernel| kernel.pair(&a, &b));
                assert_eq!(actual, expected, "{} dim {dim}", table.name);
            }
        }
    }
}

#[test]
fn seven_bit_codes_are_exact_at_every_dimension_and_extreme() {
    let mut random = Random(2);
    for dim in dims() {
        for _ in 0..4 {
            let mut codes = || fill(&mut random, dim, 0u8, 127, |bits| bits as u8 & 127);
            let (a, b) = (codes(), codes());
            let signed = fill(&mut random, dim, -128i8, 127, |bits| bits as i8);
            let expected = sums(&wide(&a), &wide(&b));
            let [_, mixed, _] = sums(&wide(&signed), &wide(&b));
            for table in tables() {
                let actual = [&table.u7.l2_squared, &table.u7.dot, &table.u7.l1]
                    .map(|kernel| kernel.pair(&a, &b));
                assert_eq!(actual, expected, "{} dim {dim}", table.name);
                assert_eq!(table.i8_u7_dot.pair(&signed, &b), mixed, "{} dim {dim}", table.name);
            }
        }
    }
}

#[test]
fn the_largest_sums_fit() {
    let dim = omen_kernels::MAX_INTEGER_DIM;
    let (low, high) = (vec![-128i8; dim], vec![127i8; dim]);
    for table in tables() {
        assert_eq!(table.i8.l2_squared.pair(&low, &high), 255 * 255 * dim as i32);
        assert_eq!(table.i8.dot.pair(&low, &low), 128 * 128 * dim as i32);
        assert_eq!(table.i8.l1.pair(&low, &high), 255 * dim as i32);
    }
}

#[test]
fn bit_strings_are_counted_exactly() {
    let mut random = Random(3);
    for words in dims().into_iter().filter(|words| *words <= 1000) {
        for _ in 0..4 {
            let mut string = || fill(&mut random, words, 0u64, u64::MAX, |bits| bits);
            let (a, b) = (string(), string());
            let count = |join: fn(u64, u64) -> u64| -> u32 {
                a.iter().zip(&b).map(|(&x, &y)| join(x, y).count_ones()).sum()
            };
            let (both, either) = (count(|x, y| x & y), count(|x, y| x | y));
            let jaccard = if both == 0 { 1.0 } else { 1.0 - both as f32 / either as f32 };
            for table in tables() {
                let what = format!("{} {words} words", table.name);
                assert_eq!(table.bits.hamming.pair(&a, &b), count(|x, y| x ^ y), "{what}");
                assert_eq!(table.bits.jaccard.pair(&a, &b), jaccard, "{what}");
                assert_eq!(table.bits.overlap.pair(&a, &b), Overlap { both, either }, "{what}");
            }
        }
    }
}

#[test]
fn planes_weigh_the_set_bits_of_a_row() {
    let mut random = Random(4);
    for dim in dims().into_iter().flat_map(|dim| [dim, 4 * dim]) {
        for _ in 0..2 {
            let levels = fill(&mut random, dim, 0u8, 15, |bits| bits as u8 & 15);
            let is_set = fill(&mut random, dim, false, true, |bits| bits % 2 == 0);
            let expected: u32 =
                levels.iter().zip(&is_set).map(|(&l, &s)| l as u32 * s as u32).sum();
            let mut query = vec![0; PLANES * words(dim)];
            pack_planes(&levels, &mut query);
            let mut row = vec![0; words(dim)];
            pack_bits(&is_set, |bit| bit, &mut row);
            for table in tables() {
                let actual = table.bits.planes.pair(&query, &row);
                assert_eq!(actual, expected, "{} dim {dim}", table.name);
            }
        }
    }
}

#[test]
fn lists_and_pools_equal_single_pairs() {
    let mut random = Random(5);
    for (len, count) in [(1, 1), (2, 32), (12, 33), (40, 5), (12, 0)] {
        let elements: Vec<u64> = (0..len * 50).map(|_| random.next()).collect();
        let pool = Pool::new(&elements, len, len);
        let numbers: Vec<u32> = (0..count).map(|_| (random.next() % 50) as u32).collect();
        let rows: Vec<&[u64]> = numbers.iter().map(|&number| pool.row(number)).collect();
        let query: Vec<u64> = (0..len * PLANES).map(|_| random.next()).collect();
        for table in tables() {
            let (mut listed, mut pooled) = (vec![0; count], vec![0; count]);
            table.bits.planes.list(&query, &rows, &mut listed);
            table.bits.planes.pool(&query, pool, &numbers, &mut pooled);
            let expected: Vec<u32> =
                rows.iter().map(|row| table.bits.planes.pair(&query, row)).collect();
            assert_eq!(listed, expected);
            assert_eq!(pooled, expected);
            table.bits.hamming.list(&query[..len], &rows, &mut listed);
            let expected: Vec<u32> =
                rows.iter().map(|row| table.bits.hamming.pair(&query[..len], row)).collect();
            assert_eq!(listed, expected);
        }
    }
}

#[test]
fn codes_beside_the_slice_do_not_count() {
    for table in tables() {
        for len in 0..70 {
            let around = |inside: u8| [vec![127u8; 64], vec![inside; len], vec![127; 64]].concat();
            let (ones, threes) = (around(1), around(3));
            let (a, b) = (&ones[64..64 + len], &threes[64..64 + len]);
            assert_eq!(table.u7.dot.pair(a, b), 3 * len as i32);
            assert_eq!(table.u7.l2_squared.pair(a, b), 4 * len as i32);
            assert_eq!(table.u7.l1.pair(a, b), 2 * len as i32);
        }
    }
}

#[test]
#[should_panic(expected = "one dimension")]
fn a_query_without_all_its_planes_is_a_bug_of_the_caller() {
    omen_kernels::kernels().bits.planes.pair(&[1, 2, 3], &[1]);
}

#[test]
#[should_panic(expected = "fits its planes")]
fn a_level_over_fifteen_is_a_bug_of_the_caller() {
    pack_planes(&[16], &mut [0; PLANES]);
}
