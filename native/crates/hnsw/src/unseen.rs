//! What of a stored graph nobody has looked at yet: rows in blocks, each with a sum.
//!
//! A graph of a million nodes is hundreds of megabytes, of which a first search touches a few. So the links of level 0 and
//! the codes are held against their sums a block at a time, when a row of the block is first asked for, read or written;
//! opening costs nothing by their size. A block that is damaged is emptied in place, the mapping being private: its
//! nodes have no links, its codes are zero, nothing can lead outside the graph, and the graph's mark says that it is no
//! longer to be trusted.
//!
//! Whoever changes a row has had its block looked at before, so a look, which holds `looking`, never meets a write.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of rows that are looked at together, at most, if a row is not larger.
const BLOCK_BYTES: usize = 4096;

/// Rows of a block, a power of two, for rows of so many bytes.
pub(crate) fn block_rows(row_bytes: usize) -> usize {
    1 << (BLOCK_BYTES / row_bytes.max(1)).max(1).ilog2()
}

/// Blocks of so many rows.
pub(crate) fn block_count(rows: usize, row_bytes: usize) -> usize {
    if row_bytes == 0 { 0 } else { rows.div_ceil(block_rows(row_bytes)) }
}

pub(crate) struct Unseen {
    rows: usize,
    row_bytes: usize,
    block_rows: usize,
    sums: Box<[u32]>,
    /// No word of a row is larger.
    largest: u32,
    /// One bit a block, set once it was looked at and is as it will be.
    seen: Box<[AtomicU64]>,
    blocks_left: AtomicUsize,
    looking: Mutex<()>,
    damaged: Arc<AtomicBool>,
}

impl Unseen {
    /// Of `rows` rows with the sums of their blocks; `damaged` is set where a block does not match.
    pub fn new(
        rows: usize,
        row_bytes: usize,
        sums: Box<[u32]>,
        largest: u32,
        damaged: Arc<AtomicBool>,
    ) -> Self {
        assert_eq!(sums.len(), block_count(rows, row_bytes), "a sum for each block");
        Self {
            rows,
            row_bytes,
            block_rows: block_rows(row_bytes),
            seen: (0..sums.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            blocks_left: AtomicUsize::new(sums.len()),
            sums,
            largest,
            looking: Mutex::default(),
            damaged,
        }
    }

    /// Sees to it that the block of `row` has been looked at; true once all have.
    ///
    /// # Safety
    /// `base` leads to the rows, which nobody accesses but through this look.
    #[inline]
    pub unsafe fn look_at(&self, row: u32, base: *mut u8) -> bool {
        let block = row as usize / self.block_rows;
        if !self.is_seen(block) {
            // SAFETY: as the caller promises.
            unsafe { self.look_at_block(block, base) };
        }
        self.blocks_left.load(Ordering::Acquire) == 0
    }

    fn is_seen(&self, block: usize) -> bool {
        self.seen[block / 64].load(Ordering::Acquire) >> (block % 64) & 1 == 1
    }

    /// # Safety
    /// As of `look_at`.
    #[cold]
    unsafe fn look_at_block(&self, block: usize, base: *mut u8) {
        let _alone = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_seen(block) {
            return;
        }
        let first = block * self.block_rows;
        let count = self.block_rows.min(self.rows - first);
        // SAFETY: `count` rows from `first` on are there, and nobody accesses them before their block is marked as seen.
        let bytes = unsafe {
            let start = base.add(first * self.row_bytes);
            std::slice::from_raw_parts_mut(start, count * self.row_bytes)
        };
        let (words, _) = bytes.as_chunks::<4>();
        let is_sound = crc32c::crc32c(bytes) == self.sums[block]
            && words.iter().fold(0, |largest, &word| largest.max(u32::from_le_bytes(word)))
                <= self.largest;
        if !is_sound {
            bytes.fill(0);
            self.damaged.store(true, Ordering::Release);
        }
        self.seen[block / 64].fetch_or(1 << (block % 64), Ordering::Release);
        self.blocks_left.fetch_sub(1, Ordering::AcqRel);
    }
}
