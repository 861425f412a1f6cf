//! What one would write without thinking of the processor: one accumulator, one element at a time. Results go to
//! `black_box`, so that nothing is left out.

use std::hint::black_box;

use omen_kernels::{F16, PLANES, Sparse};

/// An element as the number it stands for.
pub trait Number: Copy {
    fn number(self) -> f32;
}

impl Number for f32 {
    fn number(self) -> f32 {
        self
    }
}

impl Number for F16 {
    fn number(self) -> f32 {
        self.to_f32()
    }
}

impl Number for i8 {
    fn number(self) -> f32 {
        self as f32
    }
}

impl Number for u8 {
    fn number(self) -> f32 {
        self as f32
    }
}

fn sum<A: Number, B: Number>(a: &[A], b: &[B], term: impl Fn(f32, f32) -> f32) -> f32 {
    a.iter().zip(b).map(|(x, y)| term(x.number(), y.number())).sum()
}

pub fn l2<A: Number, B: Number>(a: &[A], b: &[B]) {
    black_box(sum(a, b, |x, y| (x - y) * (x - y)));
}

pub fn dot<A: Number, B: Number>(a: &[A], b: &[B]) {
    black_box(sum(a, b, |x, y| x * y));
}

pub fn l1<A: Number, B: Number>(a: &[A], b: &[B]) {
    black_box(sum(a, b, |x, y| (x - y).abs()));
}

pub fn norms(a: &[f32], b: &[f32]) {
    let (mut dot, mut norm_a, mut norm_b) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        dot += x * y;
        norm_a += x * x;
        norm_b += y * y;
    }
    black_box((dot, norm_a, norm_b));
}

fn code_sum<A: Copy + Into<i32>, B: Copy + Into<i32>>(
    a: &[A],
    b: &[B],
    term: impl Fn(i32, i32) -> i32,
) {
    black_box(a.iter().zip(b).map(|(&x, &y)| term(x.into(), y.into())).sum::<i32>());
}

pub fn code_l2<A: Copy + Into<i32>, B: Copy + Into<i32>>(a: &[A], b: &[B]) {
    code_sum(a, b, |x, y| (x - y) * (x - y));
}

pub fn code_dot<A: Copy + Into<i32>, B: Copy + Into<i32>>(a: &[A], b: &[B]) {
    code_sum(a, b, |x, y| x * y);
}

fn count(a: &[u64], b: &[u64], join: impl Fn(u64, u64) -> u64) -> u32 {
    a.iter().zip(b).map(|(&x, &y)| join(x, y).count_ones()).sum()
}

pub fn hamming(a: &[u64], b: &[u64]) {
    black_box(count(a, b, |x, y| x ^ y));
}

pub fn jaccard(a: &[u64], b: &[u64]) {
    let (both, either) = (count(a, b, |x, y| x & y), count(a, b, |x, y| x | y));
    black_box(1.0 - both as f32 / either as f32);
}

pub fn planes(query: &[u64], row: &[u64]) {
    let of_plane = |plane| count(&query[plane * row.len()..], row, |x, y| x & y) << plane;
    black_box((0..PLANES).map(of_plane).sum::<u32>());
}

pub fn sparse_l2(a: Sparse<'_>, b: Sparse<'_>) {
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while i < a.indices().len() || j < b.indices().len() {
        let index = |v: Sparse<'_>, at: usize| v.indices().get(at).copied().unwrap_or(u32::MAX);
        let (x, y) = (index(a, i), index(b, j));
        let difference = match x.cmp(&y) {
            std::cmp::Ordering::Equal => a.values()[i] - b.values()[j],
            std::cmp::Ordering::Less => a.values()[i],
            std::cmp::Ordering::Greater => b.values()[j],
        };
        i += usize::from(x <= y);
        j += usize::from(y <= x);
        sum += difference * difference;
    }
    black_box(sum);
}
