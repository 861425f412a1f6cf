//! Counting bits of strings that are joined word by word.

use std::marker::PhantomData;

use crate::forms::Pair;
use crate::simd::Words;
use crate::table::{Overlap, PLANES};

/// How words are joined before their bits are counted: one function, of registers and of single words.
trait Join {
    unsafe fn registers<I: Words>(a: I::Words, b: I::Words) -> I::Words;
    fn words(a: u64, b: u64) -> u64;
}

/// Defines a way to join.
macro_rules! join {
    ($name:ident, $operation:ident, |$a:ident, $b:ident| $words:expr) => {
        struct $name;

        impl Join for $name {
            #[inline(always)]
            unsafe fn registers<I: Words>(a: I::Words, b: I::Words) -> I::Words {
                // SAFETY: contract of the trait.
                unsafe { I::$operation(a, b) }
            }

            #[inline(always)]
            fn words($a: u64, $b: u64) -> u64 {
                $words
            }
        }
    };
}

join!(And, and, |a, b| a & b);
join!(Or, or, |a, b| a | b);
join!(Xor, xor, |a, b| a ^ b);

/// Counts the bits of the joined strings.
///
/// # Safety
/// See the module above; query and row are equally long.
#[inline(always)]
unsafe fn count<I: Words, J: Join>(query: &[u64], row: &[u64]) -> u32 {
    let (length, q, r) = (row.len(), query.as_ptr(), row.as_ptr());
    if length < I::LEAST {
        return query.iter().zip(row).map(|(&q, &r)| J::words(q, r).count_ones()).sum();
    }
    // SAFETY: every load starts at `at` and covers at most `length - at` words of equally long slices.
    unsafe {
        let mut sums = I::zero();
        let mut at = 0;
        while at + I::LANES <= length {
            let joined = J::registers::<I>(I::load(q.add(at)), I::load(r.add(at)));
            sums = I::add(sums, I::count(joined));
            at += I::LANES;
        }
        if at < length {
            let joined = J::registers::<I>(I::load_tail(query), I::load_tail(row));
            sums = I::add(sums, I::count(joined));
        }
        I::total(sums)
    }
}

/// Bits that differ.
pub(crate) struct Hamming<I>(PhantomData<I>);

impl<I: Words> Pair for Hamming<I> {
    type Query = u64;
    type Row = u64;
    type Sum = u32;

    #[inline(always)]
    unsafe fn sum(query: &[u64], row: &[u64]) -> u32 {
        // SAFETY: contract of `Pair`.
        unsafe { count::<I, Xor>(query, row) }
    }
}

/// Bits set in both strings and in either.
pub(crate) struct Both<I>(PhantomData<I>);

impl<I: Words> Pair for Both<I> {
    type Query = u64;
    type Row = u64;
    type Sum = Overlap;

    #[inline(always)]
    unsafe fn sum(query: &[u64], row: &[u64]) -> Overlap {
        // SAFETY: contract of `Pair`.
        unsafe { Overlap { both: count::<I, And>(query, row), either: count::<I, Or>(query, row) } }
    }
}

/// Weighs the set bits of a row by a query in bit planes, see [`crate::Bits::planes`].
pub(crate) struct Planes<I>(PhantomData<I>);

impl<I: Words> Pair for Planes<I> {
    type Query = u64;
    type Row = u64;
    type Sum = u32;

    #[inline(always)]
    unsafe fn sum(query: &[u64], row: &[u64]) -> u32 {
        let (length, q, r) = (row.len(), query.as_ptr(), row.as_ptr());
        if length < I::LANES {
            let mut total = 0;
            for plane in 0..PLANES {
                for (q, r) in query[plane * length..].iter().zip(row) {
                    total += (q & r).count_ones() << plane;
                }
            }
            return total;
        }
        // SAFETY: the query holds `length` words for each plane (contract of `Pair`); every load starts at `at` and covers
        // at most `length - at` words of a plane or of the row.
        unsafe {
            let mut sums = I::zero();
            let mut at = 0;
            while at + I::LANES <= length {
                let row = I::load(r.add(at));
                let mut planes = [row; PLANES];
                for (number, plane) in planes.iter_mut().enumerate() {
                    *plane = I::load(q.add(number * length + at));
                }
                sums = I::add(sums, weigh::<I>(row, planes));
                at += I::LANES;
            }
            if at < length {
                let row = I::load_tail(row);
                let mut planes = [row; PLANES];
                for (number, plane) in planes.iter_mut().enumerate() {
                    *plane = I::load_tail(&query[number * length..][..length]);
                }
                sums = I::add(sums, weigh::<I>(row, planes));
            }
            I::total(sums)
        }
    }
}

/// The bits of `row` counted with the weights of the planes, from the most significant one down, so that the counts of all
/// planes are widened and added once.
///
/// # Safety
/// See the module above.
#[inline(always)]
unsafe fn weigh<I: Words>(row: I::Words, planes: [I::Words; PLANES]) -> I::Counts {
    // SAFETY: the contract is the caller's.
    unsafe {
        let mut counts = I::count(I::and(row, planes[PLANES - 1]));
        for number in (0..PLANES - 1).rev() {
            counts = I::double_and_add(counts, I::count(I::and(row, planes[number])));
        }
        counts
    }
}
