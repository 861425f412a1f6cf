//! Portable kernels: the fallback on CPUs without a faster table, and the oracle the SIMD kernels are tested against.
//!
//! Sums run in [`LANES`] independent accumulators, which the compiler may turn into vector instructions of the baseline
//! target; a single accumulator would force one addition after another, since `f32` addition may not be reordered.

use std::marker::PhantomData;

use crate::forms::{Pair, forms};
use crate::half::F16;
use crate::table::{Bits, Dense, Overlap, PLANES};
use crate::tile::{Block, Tile, each_block};
use crate::{DotAndNorms, Kernels};

const LANES: usize = 8;

forms!();

pub(crate) static KERNELS: Kernels = Kernels {
    name: "scalar",
    l2_squared,
    dot,
    f32: floats(),
    f16: floats(),
    dot_and_norms: kernel::<Norms<f32>, 1>(),
    f16_dot_and_norms: kernel::<Norms<F16>, 1>(),
    f32_f16: floats(),
    f32_i8: floats(),
    f32_u8: floats(),
    i8: integers(),
    u7: integers(),
    i8_u7_dot: kernel::<Integers<Product, i8, u8>, 1>(),
    bits: Bits {
        hamming: kernel::<Hamming, 1>(),
        jaccard: kernel::<Jaccard<Both>, 1>(),
        overlap: kernel::<Both, 1>(),
        planes: kernel::<Planes, PLANES>(),
    },
    tile: Tile { l2_squared: tile::<SquaredDifference>, dot: tile::<Product> },
    to_f16: |from, into| {
        into.iter_mut().zip(from).for_each(|(half, &value)| *half = F16::from_f32(value));
    },
    from_f16: |from, into| {
        into.iter_mut().zip(from).for_each(|(value, half)| *value = half.to_f32());
    },
};

const fn floats<Q: Number, R: Number>() -> Dense<Q, R, f32> {
    Dense {
        l2_squared: kernel::<Floats<SquaredDifference, Q, R>, 1>(),
        dot: kernel::<Floats<Product, Q, R>, 1>(),
        l1: kernel::<Floats<AbsoluteDifference, Q, R>, 1>(),
    }
}

const fn integers<Q: Code, R: Code>() -> Dense<Q, R, i32> {
    Dense {
        l2_squared: kernel::<Integers<SquaredDifference, Q, R>, 1>(),
        dot: kernel::<Integers<Product, Q, R>, 1>(),
        l1: kernel::<Integers<AbsoluteDifference, Q, R>, 1>(),
    }
}

/// What a kernel adds up.
trait Term: 'static {
    fn of_floats(a: f32, b: f32) -> f32;
    fn of_integers(a: i32, b: i32) -> i32;
}

struct SquaredDifference;
struct Product;
struct AbsoluteDifference;

impl Term for SquaredDifference {
    #[inline(always)]
    fn of_floats(a: f32, b: f32) -> f32 {
        (a - b) * (a - b)
    }

    #[inline(always)]
    fn of_integers(a: i32, b: i32) -> i32 {
        (a - b) * (a - b)
    }
}

impl Term for Product {
    #[inline(always)]
    fn of_floats(a: f32, b: f32) -> f32 {
        a * b
    }

    #[inline(always)]
    fn of_integers(a: i32, b: i32) -> i32 {
        a * b
    }
}

impl Term for AbsoluteDifference {
    #[inline(always)]
    fn of_floats(a: f32, b: f32) -> f32 {
        (a - b).abs()
    }

    #[inline(always)]
    fn of_integers(a: i32, b: i32) -> i32 {
        (a - b).abs()
    }
}

/// An element that becomes an `f32` exactly.
trait Number: Copy + 'static {
    fn number(self) -> f32;
}

impl Number for f32 {
    #[inline(always)]
    fn number(self) -> f32 {
        self
    }
}

impl Number for F16 {
    #[inline(always)]
    fn number(self) -> f32 {
        self.to_f32()
    }
}

impl Number for i8 {
    #[inline(always)]
    fn number(self) -> f32 {
        self as f32
    }
}

impl Number for u8 {
    #[inline(always)]
    fn number(self) -> f32 {
        self as f32
    }
}

/// A quantised element.
trait Code: Copy + Into<i32> + 'static {}
impl Code for i8 {}
impl Code for u8 {}

struct Floats<T, Q, R>(PhantomData<(T, Q, R)>);

impl<T: Term, Q: Number, R: Number> Pair for Floats<T, Q, R> {
    type Query = Q;
    type Row = R;
    type Sum = f32;

    #[inline(always)]
    unsafe fn sum(query: &[Q], row: &[R]) -> f32 {
        sum(query, row, |q, r| T::of_floats(q.number(), r.number()))
    }
}

struct Norms<E>(PhantomData<E>);

impl<E: Number> Pair for Norms<E> {
    type Query = E;
    type Row = E;
    type Sum = DotAndNorms;

    #[inline(always)]
    unsafe fn sum(query: &[E], row: &[E]) -> DotAndNorms {
        let dot = |a: &[E], b: &[E]| sum(a, b, |x, y| x.number() * y.number());
        DotAndNorms { dot: dot(query, row), norm_a: dot(query, query), norm_b: dot(row, row) }
    }
}

unsafe fn tile<T: Term>(queries: &[&[f32]], rows: &[&[f32]], out: &mut [f32]) {
    // SAFETY: the contract is the caller's, and these instructions are everywhere.
    unsafe { each_block::<Floats<T, f32, f32>, 1, 1>(queries, rows, out) }
}

impl<T: Term> Block<1, 1> for Floats<T, f32, f32> {
    #[inline(always)]
    unsafe fn sums([query]: [&[f32]; 1], [row]: [&[f32]; 1]) -> [[f32; 1]; 1] {
        [[sum(query, row, T::of_floats)]]
    }
}

struct Integers<T, Q, R>(PhantomData<(T, Q, R)>);

impl<T: Term, Q: Code, R: Code> Pair for Integers<T, Q, R> {
    type Query = Q;
    type Row = R;
    type Sum = i32;

    #[inline(always)]
    unsafe fn sum(query: &[Q], row: &[R]) -> i32 {
        query.iter().zip(row).map(|(&q, &r)| T::of_integers(q.into(), r.into())).sum()
    }
}

/// Adds `term(a[i], b[i])` over both slices, lane by lane.
#[inline(always)]
fn sum<A: Copy, B: Copy>(a: &[A], b: &[B], term: impl Fn(A, B) -> f32) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one dimension");
    let mut lanes = [0f32; LANES];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (rest_a, rest_b) = (chunks_a.remainder(), chunks_b.remainder());
    for (chunk_a, chunk_b) in chunks_a.zip(chunks_b) {
        for (lane, (&x, &y)) in lanes.iter_mut().zip(chunk_a.iter().zip(chunk_b)) {
            *lane += term(x, y);
        }
    }
    for (lane, (&x, &y)) in lanes.iter_mut().zip(rest_a.iter().zip(rest_b)) {
        *lane += term(x, y);
    }
    lanes.iter().sum()
}

struct Hamming;

impl Pair for Hamming {
    type Query = u64;
    type Row = u64;
    type Sum = u32;

    #[inline(always)]
    unsafe fn sum(query: &[u64], row: &[u64]) -> u32 {
        query.iter().zip(row).map(|(q, r)| (q ^ r).count_ones()).sum()
    }
}

struct Both;

impl Pair for Both {
    type Query = u64;
    type Row = u64;
    type Sum = Overlap;

    #[inline(always)]
    unsafe fn sum(query: &[u64], row: &[u64]) -> Overlap {
        let count = |of: fn(u64, u64) -> u64| -> u32 {
            query.iter().zip(row).map(|(&q, &r)| of(q, r).count_ones()).sum()
        };
        Overlap { both: count(|q, r| q & r), either: count(|q, r| q | r) }
    }
}

/// The Jaccard distance, given how an instruction set counts the overlap.
pub(crate) struct Jaccard<P>(PhantomData<P>);

impl<P: Pair<Query = u64, Row = u64, Sum = Overlap>> Pair for Jaccard<P> {
    type Query = u64;
    type Row = u64;
    type Sum = f32;

    #[inline(always)]
    unsafe fn sum(query: &[u64], row: &[u64]) -> f32 {
        // SAFETY: the contract is the same.
        unsafe { P::sum(query, row) }.jaccard()
    }
}

struct Planes;

impl Pair for Planes {
    type Query = u64;
    type Row = u64;
    type Sum = u32;

    #[inline(always)]
    unsafe fn sum(query: &[u64], row: &[u64]) -> u32 {
        let of_plane = |plane: usize| -> u32 {
            let query = &query[plane * row.len()..][..row.len()];
            query.iter().zip(row).map(|(q, r)| (q & r).count_ones()).sum()
        };
        (0..PLANES).map(|plane| of_plane(plane) << plane).sum()
    }
}

fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |x, y| (x - y) * (x - y))
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |x, y| x * y)
}
