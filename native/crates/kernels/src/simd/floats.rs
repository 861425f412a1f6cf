//! Floating point sums over two vectors. Four accumulators: a fused multiplication has a latency of about four cycles and a
//! throughput of two per cycle, so fewer would wait.

use std::marker::PhantomData;

use crate::DotAndNorms;
use crate::forms::Pair;
use crate::simd::{Floats, Load};

/// What a kernel adds up.
pub(crate) trait Term: 'static {
    /// `sum + term(a, b)`, lane by lane; nothing where both are zero. Safety: see the module above.
    unsafe fn add<I: Floats>(sum: I::Floats, a: I::Floats, b: I::Floats) -> I::Floats;
}

pub(crate) struct SquaredDifference;
pub(crate) struct Product;
pub(crate) struct AbsoluteDifference;

impl Term for SquaredDifference {
    #[inline(always)]
    unsafe fn add<I: Floats>(sum: I::Floats, a: I::Floats, b: I::Floats) -> I::Floats {
        // SAFETY: contract of the trait.
        unsafe {
            let difference = I::subtract(a, b);
            I::multiply_add(sum, difference, difference)
        }
    }
}

impl Term for Product {
    #[inline(always)]
    unsafe fn add<I: Floats>(sum: I::Floats, a: I::Floats, b: I::Floats) -> I::Floats {
        // SAFETY: contract of the trait.
        unsafe { I::multiply_add(sum, a, b) }
    }
}

impl Term for AbsoluteDifference {
    #[inline(always)]
    unsafe fn add<I: Floats>(sum: I::Floats, a: I::Floats, b: I::Floats) -> I::Floats {
        // SAFETY: contract of the trait.
        unsafe { I::add(sum, I::magnitude(I::subtract(a, b))) }
    }
}

/// The sum of `T` over a query of `Q` and a row of `R`.
pub(crate) struct Sum<I, T, Q, R>(PhantomData<(I, T, Q, R)>);

impl<I: Load<Q> + Load<R>, T: Term, Q: 'static, R: 'static> Pair for Sum<I, T, Q, R> {
    type Query = Q;
    type Row = R;
    type Sum = f32;

    #[inline(always)]
    unsafe fn sum(query: &[Q], row: &[R]) -> f32 {
        let (length, q, r) = (row.len(), query.as_ptr(), row.as_ptr());
        let lanes = I::LANES;
        // SAFETY: query and row are equally long (contract of `Pair`); every load starts at `at` and covers at most
        // `length - at` elements.
        unsafe {
            let [mut s0, mut s1, mut s2, mut s3] = [I::zero(); 4];
            let mut at = 0;
            while at + 4 * lanes <= length {
                s0 = step::<I, T, Q, R>(s0, q, r, at);
                s1 = step::<I, T, Q, R>(s1, q, r, at + lanes);
                s2 = step::<I, T, Q, R>(s2, q, r, at + 2 * lanes);
                s3 = step::<I, T, Q, R>(s3, q, r, at + 3 * lanes);
                at += 4 * lanes;
            }
            // At most three more, each with an accumulator of its own, so that none waits for another.
            if at + lanes <= length {
                s0 = step::<I, T, Q, R>(s0, q, r, at);
                at += lanes;
            }
            if at + lanes <= length {
                s1 = step::<I, T, Q, R>(s1, q, r, at);
                at += lanes;
            }
            if at + lanes <= length {
                s2 = step::<I, T, Q, R>(s2, q, r, at);
                at += lanes;
            }
            if at < length {
                let (q, r) = (<I as Load<Q>>::load_tail(query), <I as Load<R>>::load_tail(row));
                s3 = T::add::<I>(s3, q, r);
            }
            I::total(I::add(I::add(s0, s1), I::add(s2, s3)))
        }
    }
}

/// `sum` and the terms of one register's worth of elements from `at` on.
#[inline(always)]
unsafe fn step<I: Load<Q> + Load<R>, T: Term, Q, R>(
    sum: I::Floats,
    q: *const Q,
    r: *const R,
    at: usize,
) -> I::Floats {
    // SAFETY: see the module above.
    unsafe { T::add::<I>(sum, <I as Load<Q>>::load(q.add(at)), <I as Load<R>>::load(r.add(at))) }
}

/// The dot product of two vectors and the squared norms of both.
pub(crate) struct Norms<I, E>(PhantomData<(I, E)>);

impl<I: Load<E>, E: 'static> Pair for Norms<I, E> {
    type Query = E;
    type Row = E;
    type Sum = DotAndNorms;

    #[inline(always)]
    unsafe fn sum(query: &[E], row: &[E]) -> DotAndNorms {
        let (length, q, r) = (row.len(), query.as_ptr(), row.as_ptr());
        let lanes = I::LANES;
        // SAFETY: as in `Sum`.
        unsafe {
            let (mut even, mut odd) = ([I::zero(); 3], [I::zero(); 3]);
            let mut at = 0;
            while at + 2 * lanes <= length {
                even = norms_step::<I>(even, I::load(q.add(at)), I::load(r.add(at)));
                odd = norms_step::<I>(odd, I::load(q.add(at + lanes)), I::load(r.add(at + lanes)));
                at += 2 * lanes;
            }
            if at + lanes <= length {
                even = norms_step::<I>(even, I::load(q.add(at)), I::load(r.add(at)));
                at += lanes;
            }
            if at < length {
                odd = norms_step::<I>(odd, I::load_tail(query), I::load_tail(row));
            }
            DotAndNorms {
                dot: I::total(I::add(even[0], odd[0])),
                norm_a: I::total(I::add(even[1], odd[1])),
                norm_b: I::total(I::add(even[2], odd[2])),
            }
        }
    }
}

#[inline(always)]
unsafe fn norms_step<I: Floats>(
    [dot, norm_x, norm_y]: [I::Floats; 3],
    x: I::Floats,
    y: I::Floats,
) -> [I::Floats; 3] {
    // SAFETY: see the module above.
    unsafe {
        [I::multiply_add(dot, x, y), I::multiply_add(norm_x, x, x), I::multiply_add(norm_y, y, y)]
    }
}
