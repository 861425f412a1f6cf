//! One segment file with its mapping and the marks that say which slots are written.
//!
//! A segment that this process made knows its marks. One that was opened holds slots nobody has looked at yet: their bytes
//! are held against their sums a block at a time, when a slot of the block is first asked for, read or written. So opening
//! costs nothing by size, and nothing is given out unseen. Until every block was found sound, a reader looks at two bits.
//!
//! Whoever changes a slot has had its block looked at before; so a look, which holds `looking`, never meets a write.

use super::format::{Layout, rows_of};
use crate::disk::{Disk, DiskFile, Mapping};
use crate::error::{DiskError, Result};
use crc32c::crc32c;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

// Rows are read as f32 straight from the file, which is little-endian.
#[cfg(target_endian = "big")]
compile_error!("vector segments are read in place, which needs a little-endian machine");

/// Bytes of rows that are looked at together. A search touches rows at random, each in a block of its own: of 64 KiB, those
/// that the first search over a million rows came by cost it 40 ms.
const BLOCK_BYTES: usize = 8 * 1024;

pub struct Segment {
    mapping: Mapping,
    layout: Layout,
    /// Every slot that anybody may have the number of can be read without a look at its marks: none is damaged, and all
    /// have been looked at.
    trusted: AtomicBool,
    dirty: AtomicBool,
    /// Slots a writer has taken; nobody else may write them.
    claimed: Bits,
    /// Slots whose bytes are in place; set after the write, with Release.
    written: Bits,
    unseen: Unseen,
    file: Arc<dyn DiskFile>,
    path: String,
}

/// What of an opened segment has not been looked at.
struct Unseen {
    /// Slots from here on are free, whatever their bytes are.
    end: usize,
    block_rows: usize,
    /// Blocks that have been looked at; set after the marks of their slots.
    seen: Bits,
    blocks_left: AtomicUsize,
    is_damaged: AtomicBool,
    looking: Mutex<()>,
}

impl Unseen {
    fn new(end: usize, stride: usize) -> Self {
        let block_rows = 1 << (BLOCK_BYTES / stride).max(1).ilog2();
        let blocks = end.div_ceil(block_rows);
        Self {
            end,
            block_rows,
            seen: Bits::new(blocks),
            blocks_left: AtomicUsize::new(blocks),
            is_damaged: AtomicBool::new(false),
            looking: Mutex::new(()),
        }
    }
}

impl Segment {
    /// Creates the file at its full length, so that the mapping never has to move, and without a header (`set_number`).
    pub fn create(disk: &dyn Disk, path: &str, layout: Layout) -> Result<Self> {
        if disk.exists(path)? {
            // Left by an attempt that failed half-way: were it in use, this process would have it open.
            disk.remove(path)?;
        }
        let file = disk.create(path)?;
        file.allocate(layout.file_bytes())?;
        Self::map(file, path, layout, None)
    }

    /// Writes the header: the file is segment `number` from now on.
    pub fn set_number(&self, number: u32) -> Result<()> {
        let written = self.file.write_at(0, &self.layout.encode_header(number));
        self.dirty.store(true, Ordering::Release);
        written
    }

    /// Gives the file another name in its folder, in place of a file that has it.
    pub fn rename(&mut self, disk: &dyn Disk, path: String) -> Result<()> {
        disk.rename(&self.path, &path)?;
        self.path = path;
        Ok(())
    }

    /// Opens a segment whose first `end` slots may hold vectors. Reads its header only.
    pub fn open(
        disk: &dyn Disk,
        path: &str,
        layout: Layout,
        number: u32,
        end: usize,
    ) -> Result<Self> {
        use crate::error::DiskErrorKind::NotFound;
        let file = disk.open(path).map_err(|error| match error.kind {
            NotFound => DiskError::corrupt(format!("vector segment \"{path}\" is missing")),
            _ => error,
        })?;
        if file.len()? != layout.file_bytes() {
            return Err(DiskError::corrupt(format!(
                "vector segment \"{path}\" has the wrong length"
            )));
        }
        let mut header = [0; Layout::header_bytes()];
        file.read_at(0, &mut header)?;
        layout.check_header(&header, path, number)?;
        Self::map(file, path, layout, Some(end))
    }

    /// `end`: of the slots that may hold vectors, for a file that was there.
    fn map(
        file: Arc<dyn DiskFile>,
        path: &str,
        layout: Layout,
        end: Option<usize>,
    ) -> Result<Self> {
        let mapping = file.map_read_only()?;
        assert!(mapping.len() as u64 >= layout.file_bytes(), "the whole segment is mapped");
        assert!((mapping.as_ptr() as usize).is_multiple_of(64), "rows are aligned to cache lines");
        let end_of_unseen = end.unwrap_or(0);
        Ok(Self {
            mapping,
            layout,
            trusted: AtomicBool::new(end_of_unseen == 0),
            dirty: AtomicBool::new(end.is_none()),
            claimed: Bits::new(layout.rows),
            written: Bits::new(layout.rows),
            unseen: Unseen::new(end_of_unseen, layout.stride),
            file,
            path: path.to_owned(),
        })
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Sees to it that the marks of a slot say what its bytes do.
    #[inline]
    fn look_at(&self, slot: usize) {
        if !self.trusted.load(Ordering::Acquire) && slot < self.unseen.end {
            self.look_at_block(slot / self.unseen.block_rows);
        }
    }

    /// Takes those slots of a block as written whose row matches its sum, unless that has been done. The others were never
    /// written, or only in part before a crash, or are damaged: they may be written now.
    fn look_at_block(&self, block: usize) {
        let Unseen { end, block_rows, seen, blocks_left, is_damaged, looking } = &self.unseen;
        if seen.get(block) {
            return;
        }
        let _alone = looking.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(block) {
            return;
        }
        let first = block * block_rows;
        for (slot, state) in (first..).zip(self.states(first, (*block_rows).min(end - first))) {
            match state {
                SlotState::Sound => {
                    self.claimed.set(slot);
                    self.written.set(slot);
                }
                SlotState::Unwritten => {}
                SlotState::Damaged => is_damaged.store(true, Ordering::Relaxed),
            }
        }
        seen.set(block);
        let left = blocks_left.fetch_sub(1, Ordering::AcqRel) - 1;
        if left == 0 && !is_damaged.load(Ordering::Relaxed) {
            self.trusted.store(true, Ordering::Release);
        }
    }

    /// What the bytes of `count` slots from `first` on say. Nobody may be writing them.
    fn states(&self, first: usize, count: usize) -> impl Iterator<Item = SlotState> {
        // SAFETY: no write to these slots is under way, says the caller; that goes for their sums too.
        let sums = unsafe { self.mapping.slice(Layout::sum_at(first), count * 4) };
        sums.as_chunks::<4>().0.iter().enumerate().map(move |(index, sum)| {
            // SAFETY: as above.
            let row = unsafe {
                self.mapping.slice(self.layout.row_at(first + index), self.layout.stride)
            };
            match u32::from_le_bytes(*sum) {
                sum if sum == row_sum(row) => SlotState::Sound,
                0 if row.iter().all(|&byte| byte == 0) => SlotState::Unwritten,
                _ => SlotState::Damaged,
            }
        })
    }

    /// Gives a slot back that nobody reads.
    pub fn release(&self, slot: usize) {
        self.look_at(slot);
        self.written.clear(slot);
        self.claimed.clear(slot);
    }

    pub fn is_written(&self, slot: usize) -> bool {
        self.look_at(slot);
        self.written.get(slot)
    }

    /// Every slot that was ever written can be read without asking `is_written`.
    #[inline]
    pub fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Acquire)
    }

    /// Writes whole vectors into the slots from `first` on: sums and rows in one `write_at` each.
    pub fn write_run(&self, first: usize, vectors: &[f32]) -> Result<()> {
        let dim = self.layout.dim;
        let count = vectors.len() / dim;
        (first..first + count).step_by(self.unseen.block_rows).for_each(|slot| self.look_at(slot));
        self.look_at(first + count - 1);
        let fresh = (first..first + count).take_while(|&slot| self.claimed.set(slot)).count();
        if fresh < count {
            // Taken: let go of what was just claimed and go one by one, each fresh or a repetition.
            (first..first + fresh).for_each(|slot| self.claimed.clear(slot));
            for (slot, vector) in (first..).zip(vectors.chunks_exact(dim)) {
                if self.claimed.set(slot) {
                    self.store(slot, vector)?;
                } else {
                    self.expect_same(slot, vector)?;
                }
            }
            return Ok(());
        }
        self.store(first, vectors)
    }

    /// Writes claimed slots and marks them. A failed write gives the claim back: the slot is still unwritten.
    fn store(&self, first: usize, vectors: &[f32]) -> Result<()> {
        let Layout { dim, stride, .. } = self.layout;
        let count = vectors.len() / dim;
        let rows = rows_of(vectors, dim, stride);
        let sums: Vec<u8> =
            rows.chunks_exact(stride).flat_map(|row| row_sum(row).to_le_bytes()).collect();
        let written = (self.file.write_at(self.layout.row_at(first) as u64, &rows))
            .and_then(|()| self.file.write_at(Layout::sum_at(first) as u64, &sums));
        // After the write, so that a sync which starts once this call is over has to see it.
        self.dirty.store(true, Ordering::Release);
        for slot in first..first + count {
            if written.is_ok() {
                self.written.set(slot);
            } else {
                self.claimed.clear(slot);
            }
        }
        written
    }

    fn expect_same(&self, slot: usize, vector: &[f32]) -> Result<()> {
        let same = self.is_written(slot) && {
            // SAFETY: just checked.
            let present = unsafe { self.vector(slot) };
            present
                .iter()
                .map(|number| number.to_bits())
                .eq(vector.iter().map(|number| number.to_bits()))
        };
        if same {
            return Ok(());
        }
        Err(DiskError::corrupt(format!(
            "slot {slot} of vector segment \"{}\" is already taken",
            self.path
        )))
    }

    /// # Safety
    /// The slot must be written, and the write must have happened before this call.
    #[allow(clippy::cast_ptr_alignment)] // rows start at multiples of 64, asserted in `map`
    pub unsafe fn vector(&self, slot: usize) -> &[f32] {
        assert!(slot < self.layout.rows, "slot inside the segment");
        // SAFETY: rows lie inside the mapping (asserted in `map` for all slots) and are 64-byte aligned; any bits are
        // an f32; a written slot is not written again before nobody reads it (`release`), so nothing changes under
        // the slice.
        unsafe {
            let row = self.mapping.as_ptr().add(self.layout.row_at(slot)).cast::<f32>();
            std::slice::from_raw_parts(row, self.layout.dim)
        }
    }

    /// The first of `count` slots from `first` on whose bytes are neither a vector with its sum nor all zero.
    pub fn first_damaged(&self, first: usize, count: usize) -> Option<usize> {
        let mut states = self.states(first, count);
        states.position(|state| state == SlotState::Damaged).map(|index| first + index)
    }

    /// Makes the segment durable if anything was written since the last time; says whether it had to.
    pub fn sync(&self) -> Result<bool> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(false);
        }
        self.file.sync_data().inspect_err(|_| self.dirty.store(true, Ordering::Release))?;
        Ok(true)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotState {
    Sound,
    Unwritten,
    Damaged,
}

/// The sum stored for a row. Zero is kept for slots that were never written.
fn row_sum(row: &[u8]) -> u32 {
    match crc32c(row) {
        0 => u32::MAX,
        sum => sum,
    }
}

/// One bit per slot.
struct Bits(Box<[AtomicU64]>);

impl Bits {
    fn new(count: usize) -> Self {
        Self((0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Sets the bit; says whether it was clear.
    fn set(&self, index: usize) -> bool {
        let bit = 1 << (index % 64);
        self.0[index / 64].fetch_or(bit, Ordering::AcqRel) & bit == 0
    }

    fn clear(&self, index: usize) {
        self.0[index / 64].fetch_and(!(1 << (index % 64)), Ordering::AcqRel);
    }

    fn get(&self, index: usize) -> bool {
        self.0[index / 64].load(Ordering::Acquire) & (1 << (index % 64)) != 0
    }
}
