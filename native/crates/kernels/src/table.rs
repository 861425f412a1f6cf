//! The shape of a kernel table: what every implementation provides, and the checks in front of it.
//!
//! A kernel comes in three forms that agree to the bit: one pair, a list of rows that lie anywhere, and a list of row
//! numbers into one pool. The list forms run the whole list inside one `#[target_feature]` function, so dispatch is paid
//! per list, and ask for rows ahead of the one being summed.
//!
//! Invariant: a table's functions use instructions of its CPU family, and a table is given out only after those were
//! found on this CPU. That is what makes the safe methods here safe; the function pointers stay private to the crate.

use crate::half::F16;
use crate::tile::Tile;

/// One implementation of every kernel.
///
/// Results of floating point kernels are sums in `f32`, in an order of the table's own: tables agree within rounding,
/// never promised to the bit. Integer kernels are exact in every table.
pub struct Kernels {
    /// The instruction set, for diagnostics.
    pub name: &'static str,
    /// `sum((a - b)^2)`.
    pub l2_squared: fn(&[f32], &[f32]) -> f32,
    /// `sum(a * b)`.
    pub dot: fn(&[f32], &[f32]) -> f32,
    /// Vectors as users store them.
    pub f32: Dense<f32, f32, f32>,
    /// Half-precision vectors among themselves; products and sums in `f32`.
    pub f16: Dense<F16, F16, f32>,
    /// Dot product and both squared norms together: cosine of vectors nobody has normalised.
    pub dot_and_norms: Kernel<f32, f32, DotAndNorms>,
    /// The same of half-precision vectors.
    pub f16_dot_and_norms: Kernel<F16, F16, DotAndNorms>,
    /// A full-precision query against half-precision rows.
    pub f32_f16: Dense<f32, F16, f32>,
    /// A full-precision query, already moved to the codes' scale, against signed codes.
    pub f32_i8: Dense<f32, i8, f32>,
    /// A full-precision query, already moved to the codes' scale, against unsigned codes, all 256 of them.
    pub f32_u8: Dense<f32, u8, f32>,
    /// Signed codes among themselves. Exact for up to [`MAX_INTEGER_DIM`] dimensions.
    pub i8: Dense<i8, i8, i32>,
    /// Codes of seven bits, `0..=127`, among themselves: the narrow range lets one instruction multiply and add pairs
    /// without overflow. A code above 127 gives a wrong result, the same on no two tables. Exact for up to
    /// [`MAX_INTEGER_DIM`] dimensions.
    pub u7: Dense<u8, u8, i32>,
    /// `sum(query * row)` of a signed query and rows of seven bits. Limits as for `u7`.
    pub i8_u7_dot: Kernel<i8, u8, i32>,
    /// Bit strings.
    pub bits: Bits,
    /// Distance matrices.
    pub tile: Tile,
    /// Conversion of equally long slices.
    pub(crate) to_f16: unsafe fn(&[f32], &mut [F16]),
    pub(crate) from_f16: unsafe fn(&[F16], &mut [f32]),
}

/// The three sums every metric over numbers is made from.
pub struct Dense<Q: 'static, R: 'static, S: 'static> {
    /// `sum((q - r)^2)`.
    pub l2_squared: Kernel<Q, R, S>,
    /// `sum(q * r)`.
    pub dot: Kernel<Q, R, S>,
    /// `sum(|q - r|)`.
    pub l1: Kernel<Q, R, S>,
}

/// Kernels over bit strings in 64-bit words; bits past the end of a string are zero in both operands.
pub struct Bits {
    /// Bits that differ.
    pub hamming: Kernel<u64, u64, u32>,
    /// `1 - |a & b| / |a | b|` in `f32`; one when nothing is shared, two empty strings included.
    pub jaccard: Kernel<u64, u64, f32>,
    /// What [`Bits::jaccard`] is made of.
    pub overlap: Kernel<u64, u64, Overlap>,
    /// `sum over set bits of the row of level(bit)`, where levels of the query lie in [`PLANES`] bit planes, plane 0 the
    /// least significant: `query[plane * row.len() + word]`. The query is therefore [`PLANES`] times as long as a row;
    /// [`crate::pack_planes`] makes it.
    pub planes: Kernel<u64, u64, u32, PLANES>,
}

/// Bits in a level of a query that is compared with one-bit rows.
pub const PLANES: usize = 4;

/// Most dimensions for which integer sums cannot overflow: `255^2 * 32768 < 2^31`.
pub const MAX_INTEGER_DIM: usize = 32_768;

/// `sum(a * b)`, `sum(a * a)` and `sum(b * b)` of one pass over both vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DotAndNorms {
    pub dot: f32,
    pub norm_a: f32,
    pub norm_b: f32,
}

/// Bits set in both strings, and in either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    pub both: u32,
    pub either: u32,
}

impl Overlap {
    /// The Jaccard distance in `f32`.
    #[inline(always)]
    pub fn jaccard(self) -> f32 {
        if self.both == 0 { 1.0 } else { 1.0 - self.both as f32 / self.either as f32 }
    }
}

/// One kernel in its three forms. `STRETCH` is how many elements of the query belong to one of a row.
pub struct Kernel<Q: 'static, R: 'static, S: 'static, const STRETCH: usize = 1> {
    pub(crate) pair: unsafe fn(&[Q], &[R]) -> S,
    pub(crate) list: unsafe fn(&[Q], &[&[R]], &mut [S]),
    pub(crate) pool: PoolForm<Q, R, S>,
}

type PoolForm<Q, R, S> = unsafe fn(&[Q], Pool<'_, R>, &[u32], &mut [S]);

/// Rows of equal length that lie one after the other, `stride` elements from each start to the next.
#[derive(Clone, Copy)]
pub struct Pool<'a, R> {
    elements: &'a [R],
    stride: usize,
    len: usize,
}

impl<'a, R> Pool<'a, R> {
    /// Row `i` is `elements[i * stride .. i * stride + len]`. Panics when rows would overlap.
    pub fn new(elements: &'a [R], stride: usize, len: usize) -> Self {
        assert!(len <= stride, "rows do not overlap");
        Self { elements, stride, len }
    }

    /// Elements in a row.
    pub fn row_len(&self) -> usize {
        self.len
    }

    /// Panics when the pool has no such row.
    #[inline(always)]
    pub fn row(&self, number: u32) -> &'a [R] {
        let start = number as usize * self.stride;
        &self.elements[start..start + self.len]
    }
}

impl<Q, R, S, const STRETCH: usize> Kernel<Q, R, S, STRETCH> {
    /// The kernel of one query and one row. Panics when their dimensions differ.
    #[inline]
    pub fn pair(&self, query: &[Q], row: &[R]) -> S {
        assert_eq!(query.len(), STRETCH * row.len(), "vectors of one dimension");
        // SAFETY: lengths agree; the CPU has the table's instructions (invariant of the module).
        unsafe { (self.pair)(query, row) }
    }

    /// `out[i] = pair(query, rows[i])`. Panics when lengths or dimensions differ.
    #[inline]
    pub fn list(&self, query: &[Q], rows: &[&[R]], out: &mut [S]) {
        assert_eq!(rows.len(), out.len(), "one result per row");
        for row in rows {
            assert_eq!(query.len(), STRETCH * row.len(), "vectors of one dimension");
        }
        // SAFETY: lengths agree; the CPU has the table's instructions (invariant of the module).
        unsafe { (self.list)(query, rows, out) }
    }

    /// `out[i] = pair(query, pool.row(numbers[i]))`. Panics when lengths or dimensions differ and when the pool lacks a
    /// row.
    #[inline]
    pub fn pool(&self, query: &[Q], pool: Pool<'_, R>, numbers: &[u32], out: &mut [S]) {
        assert_eq!(numbers.len(), out.len(), "one result per row");
        assert_eq!(query.len(), STRETCH * pool.len, "vectors of one dimension");
        // SAFETY: lengths agree, and rows are sliced with a bounds check; the CPU has the table's instructions
        // (invariant of the module).
        unsafe { (self.pool)(query, pool, numbers, out) }
    }
}
