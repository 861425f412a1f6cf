//! Rows of one width at addresses that never change: the vectors, labels and marks of an index. Rows of a loaded file lie in
//! its mapping, those added later in blocks that double in size, so that no row ever moves and readers need no lock.
//!
//! Contract of access: one writer at a time makes room and writes; a row is read only after it was written and published
//! (the graph links a node with release, searches follow links with acquire).

use std::marker::PhantomData;
use std::sync::OnceLock;

use omen_hnsw::{Block, Memory};

use crate::mapping::Part;

/// Rows in the first block; block `i` has `2^i` times as many.
const FIRST_ROWS: usize = 1024;
/// Enough for every node number.
const BLOCKS: usize = 22;

/// A type that any bytes are a value of.
///
/// # Safety
/// No padding, no invalid values, an alignment of at most 8.
pub(crate) unsafe trait Plain: Copy + 'static {}
// SAFETY: numbers.
unsafe impl Plain for f32 {}
// SAFETY: numbers.
unsafe impl Plain for u64 {}
// SAFETY: a number in a transparent wrapper.
unsafe impl Plain for omen_kernels::F16 {}

pub(crate) struct Rows<T> {
    width: usize,
    /// The rows of a loaded file, and how many.
    loaded: Option<(Part, usize)>,
    blocks: [OnceLock<Block>; BLOCKS],
    of: PhantomData<T>,
}

impl<T: Plain> Rows<T> {
    pub fn new(width: usize) -> Self {
        Self { width, loaded: None, blocks: [const { OnceLock::new() }; BLOCKS], of: PhantomData }
    }

    /// Begins with the `rows` rows of a file.
    pub fn over(width: usize, part: Part, rows: usize) -> Self {
        assert_eq!(part.len(), rows * width * size_of::<T>(), "as long as its rows");
        assert!(part.start().cast::<T>().is_aligned(), "sections begin at a page");
        Self { loaded: Some((part, rows)), ..Self::new(width) }
    }

    fn row_bytes(&self) -> usize {
        self.width * size_of::<T>()
    }

    /// Where a row that there is room for lies.
    #[inline]
    fn address(&self, row: usize) -> *mut T {
        let mut at = row;
        if let Some((part, rows)) = &self.loaded {
            if row < *rows {
                // SAFETY: inside the part, whose length `over` checked.
                return unsafe { part.start().add(row * self.row_bytes()) }.cast();
            }
            at -= rows;
        }
        let (block, at) = place(at);
        let block = self.blocks[block].get().expect("room was made for the row");
        // SAFETY: the block has room for its rows, and `place` stays inside them.
        unsafe { block.start().add(at * self.row_bytes()) }.cast()
    }

    /// Makes room for rows below `rows`.
    pub fn reserve(&self, rows: usize) {
        let loaded = self.loaded.as_ref().map_or(0, |(_, rows)| *rows);
        let Some(last) = rows.checked_sub(loaded + 1) else { return };
        for block in 0..=place(last).0 {
            self.blocks[block]
                .get_or_init(|| Block::zeroed((FIRST_ROWS << block) * self.row_bytes()));
        }
    }

    /// A row that was written.
    #[inline]
    pub fn row(&self, row: usize) -> &[T] {
        // SAFETY: the address leads to a row, which is not written any more (contract of access).
        unsafe { std::slice::from_raw_parts(self.address(row), self.width) }
    }

    /// The first element of a row, for access through atomics.
    pub fn cell(&self, row: usize) -> *mut T {
        self.address(row)
    }

    /// Copies a row in. There is room for it, and nobody reads it yet.
    ///
    /// # Safety
    /// `from` holds a row, aligned for bytes at least.
    pub unsafe fn write(&self, row: usize, from: *const u8) {
        let to: *mut u8 = self.address(row).cast();
        // SAFETY: the row is in memory of our own, which the caller's does not overlap.
        unsafe { std::ptr::copy_nonoverlapping(from, to, self.row_bytes()) };
    }

    /// Bytes of the first `rows` rows.
    pub fn used_bytes(&self, rows: usize) -> usize {
        rows * self.row_bytes()
    }
}

/// The block of a row, and the row's place in it.
#[inline]
fn place(row: usize) -> (usize, usize) {
    let block = (row / FIRST_ROWS + 1).ilog2() as usize;
    (block, row - FIRST_ROWS * ((1 << block) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for row in 0..20_000 {
            assert_eq!(place(row), expected);
            expected.1 += 1;
            if expected.1 == FIRST_ROWS << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(place(omen_hnsw::MAX_NODE as usize).0 < BLOCKS);
    }

    #[test]
    fn rows_stay_where_they_are() {
        let rows = Rows::<u64>::new(3);
        rows.reserve(5);
        let words = [7u64, 8, 9];
        // SAFETY: three words are a row.
        unsafe { rows.write(4, words.as_ptr().cast()) };
        let before = rows.row(4).as_ptr();
        rows.reserve(100_000);
        assert_eq!((rows.row(4), rows.row(4).as_ptr()), (&words[..], before));
        assert_eq!(rows.row(99_999), [0; 3]);
    }
}
