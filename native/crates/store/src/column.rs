//! Columns at the border: what callers lend to the engine for the time of one call.
//!
//! `ColumnRef` is read (rows to insert, bounds, texts to score), `ColumnMut` is written (scans, fetches). Both are
//! views of memory the caller owns; the engine copies. An i64 column crosses as one word a row: by default the bits
//! of an f64 (every value within 53 bits), and as the integer itself when the column is wide.

/// The values of a borrowed column. The value under a NULL is unspecified and never read.
#[derive(Debug, Clone, Copy)]
pub enum ValuesRef<'a> {
    Bool(&'a [u8]),
    I32(&'a [i32]),
    /// Integers that all fit 53 bits, as JavaScript numbers.
    I64Numbers(&'a [f64]),
    I64(&'a [i64]),
    F64(&'a [f64]),
    /// Row i is `bytes[offsets[i]..offsets[i + 1]]`.
    Bytes {
        offsets: &'a [u32],
        bytes: &'a [u8],
    },
    /// Row-major, `dim` floats a row.
    Vector {
        dim: usize,
        values: &'a [f32],
    },
}

/// A borrowed column: one byte a row in `nulls`, 1 = NULL.
#[derive(Debug, Clone, Copy)]
pub struct ColumnRef<'a> {
    pub nulls: &'a [u8],
    pub values: ValuesRef<'a>,
}

/// Where the values of a column go.
#[derive(Debug)]
pub enum ValuesMut<'a> {
    Bool(&'a mut [u8]),
    I32(&'a mut [i32]),
    /// One word a row: f64 bits, or the integers themselves when `wide` was set to 1.
    I64 {
        words: &'a mut [i64],
        wide: &'a mut u8,
    },
    F64(&'a mut [f64]),
    /// `offsets` has room for one more entry than rows.
    Bytes {
        offsets: &'a mut [u32],
        bytes: &'a mut [u8],
    },
    Vector {
        dim: usize,
        values: &'a mut [f32],
    },
}

/// A column buffer to fill.
#[derive(Debug)]
pub struct ColumnMut<'a> {
    pub nulls: &'a mut [u8],
    pub values: ValuesMut<'a>,
}

impl ColumnMut<'_> {
    /// Rows this buffer can take.
    pub fn capacity(&self) -> usize {
        let values = match &self.values {
            ValuesMut::Bool(v) => v.len(),
            ValuesMut::I32(v) => v.len(),
            ValuesMut::I64 { words, .. } => words.len(),
            ValuesMut::F64(v) => v.len(),
            ValuesMut::Bytes { offsets, .. } => offsets.len().saturating_sub(1),
            ValuesMut::Vector { dim, values } => values.len() / (*dim).max(1),
        };
        values.min(self.nulls.len())
    }
}

/// A range of a btree index; bounds are one-row columns for a prefix of the index columns.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyRange<'a> {
    pub low: Option<&'a [ColumnRef<'a>]>,
    pub low_inclusive: bool,
    pub high: Option<&'a [ColumnRef<'a>]>,
    pub high_inclusive: bool,
    pub nulls: crate::types::NullEntries,
}
