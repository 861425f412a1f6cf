//! A growing array of rows of fixed width, readable without locks while it grows.
//!
//! Rows first come from memory the pool was opened over, if any (a stored graph, see `image`), then from chunks that
//! double in size. Nothing ever moves, so a reference to a row stays good for the pool's life. Chunks come zeroed from
//! the operating system page by page: the unused end of the newest one is address space, not memory. Large chunks ask
//! for huge pages: a search touches rows at random, and most of what a miss then costs is the walk of the page tables.
//!
//! A row is read as atomic words, which may change at any time (links), or as plain bytes, which are written once,
//! before the row's number is published, and then rest (codes). No pool mixes the two.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::memory::{Block, Memory};

/// The first chunk holds this many rows.
const FIRST_CHUNK_ROWS: u64 = 1 << FIRST_CHUNK_BITS;
const FIRST_CHUNK_BITS: u32 = 10;
/// Chunks of 2^10, 2^10, 2^11 ... rows: this many cover every `u32` row number.
const MAX_CHUNKS: usize = (u32::BITS - FIRST_CHUNK_BITS + 1) as usize;

pub(crate) struct Pool {
    row_bytes: usize,
    /// Rows below this are in `base`, the others in chunks.
    base_rows: u32,
    base: *mut u8,
    /// Keeps `base` alive.
    _owner: Option<Arc<dyn Memory>>,
    /// First bytes of the chunks, null where there is none yet.
    chunks: [AtomicPtr<u8>; MAX_CHUNKS],
    /// The chunks' owners; held while one is added.
    blocks: Mutex<Vec<Block>>,
}

// SAFETY: the pointers lead to memory that the pool owns or keeps alive; it is written through atomics, or by the one
// thread that is about to publish a row.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

/// Row `r` lies in the chunk numbered by the highest bit of `r + FIRST_CHUNK_ROWS`.
#[inline(always)]
fn locate(row: u32) -> (usize, usize) {
    let shifted = row as u64 + FIRST_CHUNK_ROWS;
    let high_bit = shifted.ilog2();
    ((high_bit - FIRST_CHUNK_BITS) as usize, (shifted - (1 << high_bit)) as usize)
}

fn chunk_rows(chunk: usize) -> usize {
    // Chunks 0 and 1 hold 2^10 and 2^11 rows counted from `FIRST_CHUNK_ROWS` on.
    1 << (chunk + FIRST_CHUNK_BITS as usize)
}

impl Pool {
    /// A pool of rows of `row_bytes`, a multiple of four. With zero bytes it holds nothing and costs nothing.
    pub fn new(row_bytes: usize) -> Self {
        assert!(row_bytes.is_multiple_of(size_of::<u32>()), "rows of whole words");
        Self {
            row_bytes,
            base_rows: 0,
            base: null_mut(),
            _owner: None,
            chunks: [const { AtomicPtr::new(null_mut()) }; MAX_CHUNKS],
            blocks: Mutex::default(),
        }
    }

    /// A pool whose first `rows` rows are the bytes of `memory` from `offset` on. Nobody else writes there.
    pub fn over(memory: Arc<dyn Memory>, offset: usize, rows: u32, row_bytes: usize) -> Self {
        let end = offset + rows as usize * row_bytes;
        assert!(end <= memory.len(), "the rows lie inside the memory");
        let base = memory.start();
        assert!((base as usize + offset).is_multiple_of(size_of::<u64>()), "rows of aligned words");
        // SAFETY: `offset` is inside the allocation, checked above.
        let base = unsafe { base.add(offset) };
        Self { base_rows: rows, base, _owner: Some(memory), ..Self::new(row_bytes) }
    }

    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Makes `row` exist, zeroed if it did not. For writers.
    pub fn ensure(&self, row: u32) {
        if row < self.base_rows || self.row_bytes == 0 {
            return;
        }
        let (chunk, _) = locate(row - self.base_rows);
        if !self.chunks[chunk].load(Ordering::Acquire).is_null() {
            return;
        }
        let mut blocks = self.blocks.lock().expect("nothing in here panics");
        if self.chunks[chunk].load(Ordering::Acquire).is_null() {
            let block = Block::zeroed(chunk_rows(chunk) * self.row_bytes);
            self.chunks[chunk].store(block.start(), Ordering::Release);
            blocks.push(block);
        }
    }

    /// The first byte of `row`, which some `ensure` allocated before its number was published.
    #[inline(always)]
    fn start(&self, row: u32) -> *mut u8 {
        if row < self.base_rows {
            // SAFETY: `over` checked that all base rows lie inside the memory.
            return unsafe { self.base.add(row as usize * self.row_bytes) };
        }
        let (chunk, at) = locate(row - self.base_rows);
        let first = self.chunks[chunk].load(Ordering::Acquire);
        assert!(!first.is_null(), "the row was allocated before its number was published");
        // SAFETY: a chunk holds `chunk_rows` rows, and `locate` numbers them from zero.
        unsafe { first.add(at * self.row_bytes) }
    }

    /// The words of a row that may change.
    #[inline(always)]
    pub fn words(&self, row: u32) -> &[AtomicU32] {
        if self.row_bytes == 0 {
            return &[];
        }
        // SAFETY: the row has `row_bytes` bytes, aligned to words (chunks and base are, and rows are whole words); it
        // is only ever accessed through atomics, this being a pool of words.
        unsafe {
            std::slice::from_raw_parts(self.start(row).cast(), self.row_bytes / size_of::<u32>())
        }
    }

    /// The bytes of a row that rests.
    #[inline(always)]
    pub fn bytes(&self, row: u32) -> &[u8] {
        if self.row_bytes == 0 {
            return &[];
        }
        // SAFETY: the row has `row_bytes` bytes, and whoever wrote them has published it since (`write`).
        unsafe { std::slice::from_raw_parts(self.start(row), self.row_bytes) }
    }

    /// The bytes of a row, if it was ever written or lies beside one that was.
    pub fn get_bytes(&self, row: u32) -> Option<&[u8]> {
        let exists = row < self.base_rows || {
            let (chunk, _) = locate(row - self.base_rows);
            !self.chunks[chunk].load(Ordering::Acquire).is_null()
        };
        exists.then(|| self.bytes(row))
    }

    /// The bytes of a row that nobody else can know of yet.
    ///
    /// # Safety
    /// No other thread reads or writes this row until the caller has published its number.
    #[expect(clippy::mut_from_ref, reason = "the row is the caller's alone")]
    pub unsafe fn write(&self, row: u32) -> &mut [u8] {
        self.ensure(row);
        if self.row_bytes == 0 {
            return &mut [];
        }
        // SAFETY: the row exists; exclusiveness is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start(row), self.row_bytes) }
    }

    /// Asks the CPU for the first two cache lines of a row.
    #[inline(always)]
    pub fn prefetch(&self, row: u32) {
        const LINES: usize = 2;
        // SAFETY: as in `bytes`, but nothing is read.
        let row =
            unsafe { std::slice::from_raw_parts(self.start(row), self.row_bytes.min(LINES * 64)) };
        crate::memory::prefetch(row);
    }

    /// Bytes of the rows below `rows`: what the pool keeps in memory once they are written.
    pub fn used_bytes(&self, rows: u32) -> usize {
        rows as usize * self.row_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn rows_are_numbered_without_gap_or_overlap() {
        let mut expected = (0, 0);
        for row in 0..100_000 {
            assert_eq!(locate(row), expected);
            expected.1 += 1;
            if expected.1 == chunk_rows(expected.0) {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(locate(u32::MAX).0, MAX_CHUNKS - 1);
        assert!(locate(u32::MAX).1 < chunk_rows(MAX_CHUNKS - 1));
    }

    #[test]
    fn rows_start_zeroed_and_keep_their_words() {
        let pool = Pool::new(12);
        for row in (0..5000).rev() {
            pool.ensure(row);
            let words = pool.words(row);
            assert!(words.iter().all(|word| word.load(Relaxed) == 0));
            for word in words {
                word.store(row + 1, Relaxed);
            }
        }
        assert!((0..5000).all(|row| pool.words(row).iter().all(|w| w.load(Relaxed) == row + 1)));
    }

    #[test]
    fn a_pool_over_memory_goes_on_in_chunks() {
        let block = Block::zeroed(64 + 100 * 8);
        let memory: Arc<dyn Memory> = Arc::new(block);
        let pool = Pool::over(memory, 64, 100, 8);
        for row in 0..3000 {
            pool.ensure(row);
            pool.words(row)[1].store(row, Relaxed);
        }
        assert!((0..3000).all(|row| pool.words(row)[1].load(Relaxed) == row));
    }
}
