//! Exact sums over quantised codes. Two accumulators: a step of integers has a latency of a few cycles and is made of
//! several instructions already.

use std::marker::PhantomData;

use crate::forms::Pair;
use crate::simd::Codes;

/// Which step of [`Codes`] a kernel is made of.
trait Step<I: Codes> {
    unsafe fn step(sums: I::Sums, a: I::Codes, b: I::Codes) -> I::Sums;
}

/// # Safety
/// See the module above; query and row are equally long, and codes are single bytes.
#[inline(always)]
unsafe fn sum<I: Codes, S: Step<I>, Q, R>(query: &[Q], row: &[R]) -> i32 {
    const { assert!(size_of::<Q>() == 1 && size_of::<R>() == 1) }
    let (length, lanes) = (row.len(), I::LANES);
    // SAFETY: a code is one byte, of which every pattern is a `u8`; every load starts at `at` and covers at most
    // `length - at` codes of equally long slices.
    unsafe {
        let query: &[u8] = std::slice::from_raw_parts(query.as_ptr().cast(), length);
        let row: &[u8] = std::slice::from_raw_parts(row.as_ptr().cast(), length);
        let (q, r) = (query.as_ptr(), row.as_ptr());
        let (mut even, mut odd) = (I::zero(), I::zero());
        let mut at = 0;
        while at + 2 * lanes <= length {
            even = S::step(even, I::load(q.add(at)), I::load(r.add(at)));
            odd = S::step(odd, I::load(q.add(at + lanes)), I::load(r.add(at + lanes)));
            at += 2 * lanes;
        }
        if at + lanes <= length {
            even = S::step(even, I::load(q.add(at)), I::load(r.add(at)));
            at += lanes;
        }
        if at < length {
            odd = S::step(odd, I::load_tail(query), I::load_tail(row));
        }
        I::total(I::add(even, odd))
    }
}

/// Defines a kernel out of a step.
macro_rules! kernel {
    ($name:ident($query:ty, $row:ty): $step:ident) => {
        pub(crate) struct $name<I>(PhantomData<I>);

        impl<I: Codes> Step<I> for $name<I> {
            #[inline(always)]
            unsafe fn step(sums: I::Sums, a: I::Codes, b: I::Codes) -> I::Sums {
                // SAFETY: contract of the trait.
                unsafe { I::$step(sums, a, b) }
            }
        }

        impl<I: Codes> Pair for $name<I> {
            type Query = $query;
            type Row = $row;
            type Sum = i32;

            #[inline(always)]
            unsafe fn sum(query: &[$query], row: &[$row]) -> i32 {
                // SAFETY: contract of `Pair`.
                unsafe { sum::<I, Self, $query, $row>(query, row) }
            }
        }
    };
}

kernel!(SignedProduct(i8, i8): signed_product);
kernel!(SignedSquare(i8, i8): signed_square);
kernel!(SignedMagnitude(i8, i8): signed_magnitude);
kernel!(NarrowProduct(u8, u8): narrow_product);
kernel!(NarrowSquare(u8, u8): narrow_square);
kernel!(NarrowMagnitude(u8, u8): narrow_magnitude);
kernel!(MixedProduct(i8, u8): mixed_product);
