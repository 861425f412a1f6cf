//! A growing array of rows of fixed width, readable without locks while it grows.
//!
//! Rows first come from memory the pool was opened over, if any (a stored graph, see `image`), held against sums at first
//! touch where it was given some (see `unseen`), then from blocks that double in size; a directory finds a row with one look. Nothing ever moves, so a reference to a row stays good for the
//! pool's life. Blocks come zeroed from the operating system page by page: the unused end of the newest one is address
//! space, not memory. Large ones ask for huge pages: a search touches rows at random, and most of what a miss then costs is the walk of the page tables.
//!
//! A row is read as atomic words, which may change at any time (links), or as plain bytes, which are written once,
//! before the row's number is published, and then rest (codes). No pool mixes the two.

use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::memory::{Block, Memory};
use crate::sync::{AtomicPtr, AtomicU32, Mutex, Ordering, make_words, null_pointers};
use crate::unseen::Unseen;

/// Rows that lie together for sure. The directory has one pointer for each so many.
const GRANULE_ROWS: usize = 1 << GRANULE_BITS;
const GRANULE_BITS: u32 = if cfg!(all(test, feature = "model")) { 1 } else { 12 };
/// Enough for every node number. Untouched, the directory is address space, not memory.
const GRANULES: usize =
    if cfg!(all(test, feature = "model")) { 8 } else { 1 << (31 - GRANULE_BITS) };
/// A block is as large as what is there already, up to this, and so blocks are few.
const MAX_BLOCK_BYTES: usize = 256 << 20;

pub(crate) struct Pool {
    /// In memory; the words are as wide as their values but where a model check takes note of each.
    row_bytes: usize,
    /// Rows below this are in `base`, the others in blocks.
    base_rows: u32,
    base: *mut u8,
    /// What of the base has not been looked at.
    unseen: Option<Unseen>,
    /// Some of it: a reader that finds this false need not look.
    is_unseen: AtomicBool,
    /// Keeps `base` alive.
    _owner: Option<Arc<dyn Memory>>,
    /// First bytes of the granules of rows, null where there is none yet.
    granules: Box<[AtomicPtr<u8>]>,
    /// The granules' owners; held while one is added.
    blocks: Mutex<Vec<Block>>,
}

// SAFETY: the pointers lead to memory that the pool owns or keeps alive; it is written through atomics, or by the one
// thread that is about to publish a row.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

/// The granule of a row that is not in the base, and its place there.
#[inline(always)]
fn locate(row: u32) -> (usize, usize) {
    (row as usize >> GRANULE_BITS, row as usize % GRANULE_ROWS)
}

impl Pool {
    /// A pool of rows of `row_bytes`, a multiple of four. With zero bytes it holds nothing and costs nothing.
    pub fn new(row_bytes: usize) -> Self {
        assert!(row_bytes.is_multiple_of(size_of::<u32>()), "rows of whole words");
        Self {
            row_bytes: row_bytes / size_of::<u32>() * size_of::<AtomicU32>(),
            base_rows: 0,
            base: null_mut(),
            unseen: None,
            is_unseen: AtomicBool::new(false),
            _owner: None,
            granules: null_pointers(if row_bytes == 0 { 0 } else { GRANULES }),
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

    /// A pool as [`Pool::over`] makes it, whose base is looked at as it is touched.
    pub fn with_unseen(self, unseen: Unseen) -> Self {
        Self { unseen: Some(unseen), is_unseen: AtomicBool::new(true), ..self }
    }

    /// Looks at every row of the base.
    pub fn look_at_all(&self) {
        (0..self.base_rows).for_each(|row| self.look_at(row));
    }

    #[inline(always)]
    fn look_at(&self, row: u32) {
        if self.is_unseen.load(Ordering::Acquire)
            && let Some(unseen) = &self.unseen
        {
            // SAFETY: the base has the rows that `unseen` is of, and every access to one comes by here.
            if unsafe { unseen.look_at(row, self.base) } {
                self.is_unseen.store(false, Ordering::Release);
            }
        }
    }

    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Makes `row` exist, zeroed if it did not. For writers.
    pub fn ensure(&self, row: u32) {
        if row < self.base_rows || self.row_bytes == 0 {
            return;
        }
        let (granule, _) = locate(row - self.base_rows);
        if self.granules[granule].load(Ordering::Acquire).is_null() {
            self.grow(granule);
        }
    }

    /// Adds a block that begins with `granule`.
    #[cold]
    fn grow(&self, granule: usize) {
        let mut blocks = self.blocks.lock().expect("nothing in here panics");
        let granule_bytes = GRANULE_ROWS * self.row_bytes;
        let there: usize = blocks.iter().map(Memory::len).sum();
        let wanted = there.min(MAX_BLOCK_BYTES) / granule_bytes;
        // Up to where another block begins, for rows need not come in order.
        let free = self.granules[granule..]
            .iter()
            .take(wanted.max(1))
            .take_while(|first| first.load(Ordering::Relaxed).is_null());
        let count = free.count();
        if count == 0 {
            // Somebody was quicker.
            return;
        }
        let mut block = Block::zeroed(count * granule_bytes);
        make_words(block.bytes_mut());
        for (at, first) in self.granules[granule..granule + count].iter().enumerate() {
            // SAFETY: the block has `count` granules.
            first.store(unsafe { block.start().add(at * granule_bytes) }, Ordering::Release);
        }
        blocks.push(block);
    }

    /// The first byte of `row`, which some `ensure` allocated before its number was published; looked at.
    #[inline(always)]
    fn start(&self, row: u32) -> *mut u8 {
        if row < self.base_rows {
            self.look_at(row);
        }
        self.place(row)
    }

    /// The same, of a row that will not be read.
    #[inline(always)]
    fn place(&self, row: u32) -> *mut u8 {
        if row < self.base_rows {
            // SAFETY: `over` checked that all base rows lie inside the memory.
            return unsafe { self.base.add(row as usize * self.row_bytes) };
        }
        let (granule, at) = locate(row - self.base_rows);
        let first = self.granules[granule].load(Ordering::Acquire);
        assert!(!first.is_null(), "the row was allocated before its number was published");
        // SAFETY: a granule holds `GRANULE_ROWS` rows, and `locate` numbers them from zero.
        unsafe { first.add(at * self.row_bytes) }
    }

    /// The words of a row that may change.
    #[inline(always)]
    pub fn words(&self, row: u32) -> &[AtomicU32] {
        if self.row_bytes == 0 {
            return &[];
        }
        // SAFETY: the row has `row_bytes` bytes, aligned to words (blocks and base are, and rows are whole words); it
        // is only ever accessed through atomics, this being a pool of words.
        unsafe {
            std::slice::from_raw_parts(
                self.start(row).cast(),
                self.row_bytes / size_of::<AtomicU32>(),
            )
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
            let (granule, _) = locate(row - self.base_rows);
            !self.granules[granule].load(Ordering::Acquire).is_null()
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
            unsafe { std::slice::from_raw_parts(self.place(row), self.row_bytes.min(LINES * 64)) };
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
    fn rows_start_zeroed_and_keep_their_words() {
        let pool = Pool::new(12);
        for row in (0..50_000).rev() {
            pool.ensure(row);
            let words = pool.words(row);
            assert!(words.iter().all(|word| word.load(Relaxed) == 0));
            for word in words {
                word.store(row + 1, Relaxed);
            }
        }
        assert!((0..50_000).all(|row| pool.words(row).iter().all(|w| w.load(Relaxed) == row + 1)));
    }

    #[test]
    fn a_pool_over_memory_goes_on_in_blocks() {
        let block = Block::zeroed(64 + 100 * 8);
        let memory: Arc<dyn Memory> = Arc::new(block);
        let pool = Pool::over(memory, 64, 100, 8);
        for row in 0..30_000 {
            pool.ensure(row);
            pool.words(row)[1].store(row, Relaxed);
        }
        assert!((0..30_000).all(|row| pool.words(row)[1].load(Relaxed) == row));
    }
}
