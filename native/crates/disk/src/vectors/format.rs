//! The layout of a vector segment (docs/format.md, "vec") and its header page.

use super::words::RowWords;
use crate::error::{DiskError, Result};
use crc32c::crc32c;
use std::borrow::Cow;

const PAGE: usize = 4096;
const ROW_ALIGN: usize = 64;
const MAGIC: &[u8; 8] = b"OMENVEC\0";
const FORMAT_VERSION: u32 = 1;
/// Row types: the words themselves, or where they lie in the column's heap.
const ROWS_IN_PLACE: u32 = 1;
const ROWS_IN_HEAP: u32 = 2;
/// Bytes of a place (`heap::Place`).
const PLACE_BYTES: usize = 8;
const HEADER_BYTES: usize = 8 + 6 * 4 + 4;

/// Bytes from one row to the next.
pub fn stride(dim: usize) -> usize {
    (dim * 4).next_multiple_of(ROW_ALIGN)
}

/// Where things lie in every segment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub words: RowWords,
    /// Slots.
    pub rows: usize,
    /// Bytes from one slot to the next.
    pub stride: usize,
    rows_at: usize,
}

impl Layout {
    pub fn new(words: RowWords, rows: usize) -> Self {
        let stride = match words {
            RowWords::Fixed(dim) => stride(dim),
            RowWords::Counted { .. } => PLACE_BYTES,
        };
        Self { words, rows, stride, rows_at: PAGE + (rows * 4).next_multiple_of(PAGE) }
    }

    pub fn sum_at(slot: usize) -> usize {
        PAGE + slot * 4
    }

    pub fn row_at(&self, slot: usize) -> usize {
        self.rows_at + slot * self.stride
    }

    pub fn file_bytes(&self) -> u64 {
        self.row_at(self.rows) as u64
    }

    /// The first bytes of segment `number`.
    pub fn encode_header(&self, number: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        let row_type = match self.words {
            RowWords::Fixed(_) => ROWS_IN_PLACE,
            RowWords::Counted { .. } => ROWS_IN_HEAP,
        };
        let fields = [
            FORMAT_VERSION,
            row_type,
            self.words.most() as u32,
            self.stride as u32,
            self.rows as u32,
            number,
        ];
        for (slot, field) in bytes[8..32].chunks_exact_mut(4).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        let sum = crc32c(&bytes[..32]);
        bytes[32..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Corrupt unless `header` is exactly what `encode_header` gives: nothing in it may differ.
    pub fn check_header(&self, header: &[u8; HEADER_BYTES], path: &str, number: u32) -> Result<()> {
        if *header == self.encode_header(number) {
            return Ok(());
        }
        Err(DiskError::corrupt(format!(
            "vector segment \"{path}\" has not the header of segment {number} with {} words a row",
            self.words.most()
        )))
    }

    pub const fn header_bytes() -> usize {
        HEADER_BYTES
    }
}

/// Vectors as they lie in the file: the numbers little-endian, as in memory, then zeros up to the stride. Vectors that
/// fill their stride are not copied.
pub fn rows_of(vectors: &[f32], dim: usize, stride: usize) -> Cow<'_, [u8]> {
    if dim * 4 == stride {
        return Cow::Borrowed(bytes_of(vectors));
    }
    let mut rows = Vec::with_capacity(vectors.len() / dim * stride);
    for vector in vectors.chunks_exact(dim) {
        rows.extend_from_slice(bytes_of(vector));
        rows.resize(rows.len().next_multiple_of(stride), 0);
    }
    Cow::Owned(rows)
}

pub fn bytes_of(numbers: &[f32]) -> &[u8] {
    // SAFETY: an f32 has no padding and any of its bytes is a u8; segments are for little-endian machines (`segment`).
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}
