//! One segment file with its mapping and the marks that say which slots are written.

use super::format::{Layout, rows_of};
use crate::disk::{Disk, DiskFile, Mapping};
use crate::error::{DiskError, Result};
use crc32c::crc32c;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

// Rows are read as f32 straight from the file, which is little-endian.
#[cfg(target_endian = "big")]
compile_error!("vector segments are read in place, which needs a little-endian machine");

pub struct Segment {
    file: Arc<dyn DiskFile>,
    mapping: Mapping,
    layout: Layout,
    path: String,
    /// Slots a writer has taken; nobody else may write them.
    claimed: Bits,
    /// Slots whose bytes are in place; set after the write, with Release.
    written: Bits,
    dirty: AtomicBool,
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
        Self::map(file, path, layout, true)
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

    pub fn open(disk: &dyn Disk, path: &str, layout: Layout, number: u32) -> Result<Self> {
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
        Self::map(file, path, layout, false)
    }

    fn map(file: Arc<dyn DiskFile>, path: &str, layout: Layout, dirty: bool) -> Result<Self> {
        let mapping = file.map_read_only()?;
        assert!(mapping.len() as u64 >= layout.file_bytes(), "the whole segment is mapped");
        assert!((mapping.as_ptr() as usize).is_multiple_of(64), "rows are aligned to cache lines");
        let bits = || Bits::new(layout.rows);
        let path = path.to_owned();
        Ok(Self {
            file,
            mapping,
            layout,
            path,
            claimed: bits(),
            written: bits(),
            dirty: AtomicBool::new(dirty),
        })
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Takes those of the first `count` slots as written whose row matches its sum; for opening. The others were
    /// never written, or only in part before a crash, and may be written now.
    pub fn mark_sound(&self, count: usize) -> Result<()> {
        for (slot, state) in self.states(0, count)?.enumerate() {
            if state == SlotState::Sound {
                self.claimed.set(slot);
                self.written.set(slot);
            }
        }
        Ok(())
    }

    /// What the bytes of `count` slots from `first` on say. Nobody may be writing them.
    fn states(&self, first: usize, count: usize) -> Result<impl Iterator<Item = SlotState>> {
        let mut sums = vec![0; count * 4];
        self.file.read_at(Layout::sum_at(first) as u64, &mut sums)?;
        Ok((0..count).map(move |index| {
            // SAFETY: no write to these slots is under way, says the caller.
            let row = unsafe {
                self.mapping.slice(self.layout.row_at(first + index), self.layout.stride)
            };
            let sum = sums.as_chunks::<4>().0[index];
            match u32::from_le_bytes(sum) {
                sum if sum == row_sum(row) => SlotState::Sound,
                0 if row.iter().all(|&byte| byte == 0) => SlotState::Unwritten,
                _ => SlotState::Damaged,
            }
        }))
    }

    /// Gives a slot back that nobody reads.
    pub fn release(&self, slot: usize) {
        self.written.clear(slot);
        self.claimed.clear(slot);
    }

    pub fn is_written(&self, slot: usize) -> bool {
        self.written.get(slot)
    }

    /// Writes whole vectors into the slots from `first` on: sums and rows in one `write_at` each.
    pub fn write_run(&self, first: usize, vectors: &[f32]) -> Result<()> {
        let dim = self.layout.dim;
        let count = vectors.len() / dim;
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
    pub fn first_damaged(&self, first: usize, count: usize) -> Result<Option<usize>> {
        let mut states = self.states(first, count)?;
        Ok(states.position(|state| state == SlotState::Damaged).map(|index| first + index))
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
