//! One segment file with its mapping and the marks that say which slots are written.
//!
//! A segment that this process made knows its marks. One that was opened holds slots nobody has looked at yet: their bytes
//! are held against their sums a block at a time, when a slot of the block is first asked for, read or written. So opening
//! costs nothing by size, and nothing is given out unseen. Until every block was found sound, a reader looks at two bits.
//!
//! Whoever changes a slot has had its block looked at before; so a look, which holds `looking`, never meets a write.
//!
//! Of a column whose rows differ in length a slot holds a row's place in the column's `Heap`, and the sum covers both. A slot
//! whose row is there owns the units, until it is released; of those that were opened, the ones that `Segment::claim` says.

use super::format::{Layout, bytes_of, rows_of};
use super::heap::{Claims, Heap, Place};
use super::words::RowWords;
use crate::disk::{Disk, DiskFile, Mapping};
use crate::error::{DiskError, Result};
use crc32c::{crc32c, crc32c_append};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

// Rows are read as f32 straight from the file, which is little-endian.
#[cfg(target_endian = "big")]
compile_error!("vector segments are read in place, which needs a little-endian machine");

/// Bytes of rows that are looked at together. A search touches rows at random, each in a block of its own: of 64 KiB, those
/// that the first search over a million rows came by cost it 40 ms.
const BLOCK_BYTES: usize = 8 * 1024;
/// Rows of a heap that are looked at together.
const BLOCK_PLACES: usize = 8;
/// What a slot has that was never written.
const NO_ROW: &[f32] = &[0.0];

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
    /// Where the rows lie, if not here.
    elsewhere: Option<Elsewhere>,
}

/// Of rows that lie in a heap.
struct Elsewhere {
    heap: Arc<Heap>,
    /// Slots that claimed their units first, or wrote them since the heap was settled.
    owners: Bits,
}

impl Elsewhere {
    /// Whether the units are the slot's to give back.
    fn owns(&self, slot: usize) -> bool {
        self.heap.is_settled() && self.owners.get(slot)
    }

    /// Whether a slot's place is what somebody left who is gone: other rows may be written there.
    fn is_stale(&self, slot: usize) -> bool {
        self.heap.is_settled() && !self.owners.get(slot)
    }
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
    fn new(end: usize, layout: Layout) -> Self {
        let block_rows = match layout.words {
            RowWords::Fixed(_) => 1 << (BLOCK_BYTES / layout.stride).max(1).ilog2(),
            RowWords::Counted { .. } => BLOCK_PLACES,
        };
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
    /// `heap`: where its rows will lie, of a column whose rows differ in length.
    pub fn create(
        disk: &dyn Disk,
        path: &str,
        layout: Layout,
        heap: Option<Arc<Heap>>,
    ) -> Result<Self> {
        if disk.exists(path)? {
            // Left by an attempt that failed half-way: were it in use, this process would have it open.
            disk.remove(path)?;
        }
        let file = disk.create(path)?;
        file.allocate(layout.file_bytes())?;
        Self::map(file, path, layout, None, heap)
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
        heap: Option<Arc<Heap>>,
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
        Self::map(file, path, layout, Some(end), heap)
    }

    /// `end`: of the slots that may hold vectors, for a file that was there.
    fn map(
        file: Arc<dyn DiskFile>,
        path: &str,
        layout: Layout,
        end: Option<usize>,
        heap: Option<Arc<Heap>>,
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
            unseen: Unseen::new(end_of_unseen, layout),
            file,
            path: path.to_owned(),
            elsewhere: heap.map(|heap| Elsewhere { heap, owners: Bits::new(layout.rows) }),
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
            if self.elsewhere.as_ref().is_some_and(|e| e.is_stale(first + index)) {
                return SlotState::Unwritten;
            }
            match u32::from_le_bytes(*sum) {
                sum if Some(sum) == self.sum_of(first + index, row) => SlotState::Sound,
                0 if row.iter().all(|&byte| byte == 0) => SlotState::Unwritten,
                _ => SlotState::Damaged,
            }
        })
    }

    /// The sum of a slot whose bytes are `stored`. None when they lead to no row.
    fn sum_of(&self, slot: usize, stored: &[u8]) -> Option<u32> {
        let Some(Elsewhere { heap, .. }) = &self.elsewhere else { return Some(row_sum(stored)) };
        let place = self.place(slot);
        // SAFETY: no write to the slot is under way, says the caller of `states`, and nobody else writes the units of a slot
        // that is not stale.
        let row = unsafe { heap.words(place) }.filter(|row| !row.is_empty())?;
        Some(place_sum(stored, row))
    }

    /// Gives a slot back that nobody reads.
    pub fn release(&self, slot: usize) {
        self.look_at(slot);
        if let Some(elsewhere) = &self.elsewhere {
            // Only what is sound: units that a damaged place names may be another row's.
            if self.written.get(slot) && elsewhere.owns(slot) {
                elsewhere.heap.give_back(self.place(slot));
            }
            elsewhere.owners.clear(slot);
        }
        self.written.clear(slot);
        self.claimed.clear(slot);
    }

    /// Adds what those of the first `end` slots lead to that are `claimed`: the owners from now on.
    pub fn claim(&self, end: usize, claims: &mut Claims<'_>, claimed: impl Fn(usize) -> bool) {
        let Some(Elsewhere { owners, .. }) = &self.elsewhere else { return };
        for slot in 0..end {
            if claimed(slot) && claims.add(self.place(slot)) {
                owners.set(slot);
            } else {
                owners.clear(slot);
            }
        }
    }

    /// What a slot of a column with a heap holds; nothing if it was never written.
    #[inline]
    fn place(&self, slot: usize) -> Place {
        assert!(slot < self.layout.rows, "slot inside the segment");
        // SAFETY: slots lie inside the mapping (asserted in `map`); nobody writes this one while it is read.
        let bytes = unsafe { self.mapping.slice(self.layout.row_at(slot), size_of::<Place>()) };
        let (unit, words) = bytes.split_at(size_of::<u32>());
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
        Place { unit: number(unit), words: number(words) }
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
        let rows = self.layout.words.rows(vectors);
        let count = match self.layout.words {
            RowWords::Fixed(dim) => vectors.len() / dim,
            RowWords::Counted { .. } => rows.clone().count(),
        };
        (first..first + count).step_by(self.unseen.block_rows).for_each(|slot| self.look_at(slot));
        self.look_at(first + count - 1);
        let fresh = (first..first + count).take_while(|&slot| self.claimed.set(slot)).count();
        if fresh < count {
            // Taken: let go of what was just claimed and go one by one, each fresh or a repetition.
            (first..first + fresh).for_each(|slot| self.claimed.clear(slot));
            for (slot, vector) in (first..).zip(rows) {
                if self.claimed.set(slot) {
                    self.store(slot, 1, vector)?;
                } else {
                    self.expect_same(slot, vector)?;
                }
            }
            return Ok(());
        }
        self.store(first, count, vectors)
    }

    /// Writes claimed slots and marks them. A failed write gives the claim back: the slot is still unwritten.
    fn store(&self, first: usize, count: usize, vectors: &[f32]) -> Result<()> {
        let Layout { words, stride, .. } = self.layout;
        let written = if let Some(elsewhere) = &self.elsewhere {
            self.store_in_heap(elsewhere, first, words.rows(vectors))
        } else {
            let rows = rows_of(vectors, words.most(), stride);
            let sums = rows.chunks_exact(stride).flat_map(|row| row_sum(row).to_le_bytes());
            self.write_slots(first, &rows, &sums.collect::<Vec<u8>>())
        };
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

    fn write_slots(&self, first: usize, rows: &[u8], sums: &[u8]) -> Result<()> {
        self.file.write_at(self.layout.row_at(first) as u64, rows)?;
        self.file.write_at(Layout::sum_at(first) as u64, sums)
    }

    /// Writes rows into the heap, those that come to lie one behind the other at once, and their places into the slots from
    /// `first` on.
    fn store_in_heap<'a>(
        &self,
        Elsewhere { heap, owners, .. }: &Elsewhere,
        first: usize,
        rows: impl Iterator<Item = &'a [f32]>,
    ) -> Result<()> {
        let (mut places, mut stored, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        let (mut start, mut pending) = (0, Vec::new());
        let write_all = || -> Result<()> {
            for row in rows {
                let place = heap.allocate(row.len())?;
                places.push(place);
                if !place.follows(start, pending.len()) {
                    heap.write(start, &std::mem::take(&mut pending))?;
                    start = place.unit;
                }
                Heap::padded(row, &mut pending);
                let bytes = place.encode();
                sums.extend(place_sum(&bytes, row).to_le_bytes());
                stored.extend(bytes);
            }
            heap.write(start, &pending)?;
            self.write_slots(first, &stored, &sums)
        };
        let written = write_all();
        if written.is_err() {
            for place in places {
                heap.give_back(place);
            }
        } else if heap.is_settled() {
            (first..first + places.len()).for_each(|slot| _ = owners.set(slot));
        }
        written
    }

    fn expect_same(&self, slot: usize, vector: &[f32]) -> Result<()> {
        let same = self.is_written(slot) && {
            // SAFETY: just checked.
            let present = unsafe { self.vector(slot) };
            bytes_of(present) == bytes_of(vector)
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
        if let Some(Elsewhere { heap, .. }) = &self.elsewhere {
            // SAFETY: a written slot is not written again before nobody reads it (`release`), and until then nobody else
            // gets its units.
            return unsafe { heap.words(self.place(slot)) }.unwrap_or(NO_ROW);
        }
        // SAFETY: rows lie inside the mapping (asserted in `map` for all slots) and are 64-byte aligned; any bits are
        // an f32; a written slot is not written again before nobody reads it (`release`), so nothing changes under
        // the slice.
        unsafe {
            let row = self.mapping.as_ptr().add(self.layout.row_at(slot)).cast::<f32>();
            std::slice::from_raw_parts(row, self.layout.words.most())
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

/// As `row_sum`, of a place as it is stored and the row that lies there.
fn place_sum(stored: &[u8], row: &[f32]) -> u32 {
    match crc32c_append(crc32c(stored), bytes_of(row)) {
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
