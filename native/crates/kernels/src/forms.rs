//! The three forms of a kernel out of one: instruction sets write how a pair is summed, and [`forms!`] compiles the pair
//! and the loops over rows with their instructions.

use crate::prefetch;
use crate::prefetch::AHEAD;
use crate::table::Pool;

/// How one query and one row are summed.
pub(crate) trait Pair {
    type Query: 'static;
    type Row: 'static;
    type Sum: 'static;

    /// Must be `#[inline(always)]`: it is compiled as part of a function that enables the instructions it uses.
    ///
    /// # Safety
    /// The CPU has the instructions of the implementation, and the query is as long as the row asks for.
    unsafe fn sum(query: &[Self::Query], row: &[Self::Row]) -> Self::Sum;
}

/// `out[i] = sum(rows[i])`, asking for rows ahead. The slices are equally long.
#[inline(always)]
pub(crate) fn each_row<R, S>(rows: &[&[R]], out: &mut [S], sum: impl Fn(&[R]) -> S) {
    for row in rows.iter().take(AHEAD) {
        prefetch(row);
    }
    for (i, (slot, row)) in out.iter_mut().zip(rows).enumerate() {
        if let Some(next) = rows.get(i + AHEAD) {
            prefetch(next);
        }
        *slot = sum(row);
    }
}

/// `out[i] = sum(pool.row(numbers[i]))`, asking for rows ahead. The slices are equally long.
#[inline(always)]
pub(crate) fn each_number<R, S>(
    pool: &Pool<'_, R>,
    numbers: &[u32],
    out: &mut [S],
    sum: impl Fn(&[R]) -> S,
) {
    for &number in numbers.iter().take(AHEAD) {
        prefetch(pool.row(number));
    }
    for (i, (slot, &number)) in out.iter_mut().zip(numbers).enumerate() {
        if let Some(&next) = numbers.get(i + AHEAD) {
            prefetch(pool.row(next));
        }
        *slot = sum(pool.row(number));
    }
}

/// Defines `pair`, `list` and `pool` for any [`Pair`], and `kernel`, which puts them together, compiled with the
/// instruction sets named. A macro, because a `#[target_feature]` attribute takes no parameters.
macro_rules! forms {
    ($($features:literal)?) => {
        $(#[target_feature(enable = $features)])?
        unsafe fn pair<K: $crate::forms::Pair>(query: &[K::Query], row: &[K::Row]) -> K::Sum {
            // SAFETY: the contract is the caller's.
            unsafe { K::sum(query, row) }
        }

        $(#[target_feature(enable = $features)])?
        unsafe fn list<K: $crate::forms::Pair>(
            query: &[K::Query],
            rows: &[&[K::Row]],
            out: &mut [K::Sum],
        ) {
            // SAFETY: the contract is the caller's.
            $crate::forms::each_row(rows, out, |row| unsafe { K::sum(query, row) });
        }

        $(#[target_feature(enable = $features)])?
        unsafe fn pool<K: $crate::forms::Pair>(
            query: &[K::Query],
            pool: $crate::table::Pool<'_, K::Row>,
            numbers: &[u32],
            out: &mut [K::Sum],
        ) {
            // SAFETY: the contract is the caller's.
            $crate::forms::each_number(&pool, numbers, out, |row| unsafe { K::sum(query, row) });
        }

        const fn kernel<K: $crate::forms::Pair, const STRETCH: usize>()
        -> $crate::table::Kernel<K::Query, K::Row, K::Sum, STRETCH> {
            $crate::table::Kernel { pair: pair::<K>, list: list::<K>, pool: pool::<K> }
        }
    };
}
pub(crate) use forms;
