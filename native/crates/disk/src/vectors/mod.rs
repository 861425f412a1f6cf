//! Vector segments: the rows of one vector column, 32-bit words held as floats, stored once and read in place.
//!
//! `vec/{table}.{column}/{n}.seg`: a header page, an array of CRC32C sums, then rows of a fixed stride (a multiple
//! of 64 bytes), a power-of-two number of them. Vector number (vid) v lies in segment v / rows, slot v % rows. Rows
//! are written with `write_at` into the preallocated file and show through the mapping at once; the row store, the
//! index and `SELECT` all read those same bytes.
//!
//! Rows of a column that is opened are checked at first touch (`segment`): a damaged one is like one that was never written.
//!
//! Invariant: a slot is written at most once until `release` gives it back, and `vector` gives out only written slots;
//! that is what makes the returned slices sound. Writing a slot again with the same numbers is allowed, because
//! replaying the log does so.
//!
//! Rows that differ in length (`RowWords::Counted`) lie in files beside the segments (`heap`); their slots say where.
//!
//! A load that is not committed yet has segments of its own (`load`), which the column adopts as they are.
//!
//! Durability is the caller's plan: `sync` at checkpoints, and before that the log carries the vectors. On open only
//! slots below the caller's high-water mark count; the file may hold more, which is ignored and overwritten.

mod format;
mod heap;
mod load;
mod segment;
mod table;
mod words;

use crate::disk::{Disk, create_dir_durably};
use crate::error::{DiskError, DiskErrorKind, Result};
use format::{Layout, bytes_of};
use heap::{Claims, Heap};
use segment::Segment;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use table::SegmentTable;

pub use load::VectorLoad;
pub use words::RowWords;

/// pgvector's limit for the type `vector`.
pub const MAX_DIM: usize = 16_000;
/// A segment's rows take about this much.
const SEGMENT_BYTES: usize = 32 * 1024 * 1024;
/// Short rows stop here, so that a small table does not reserve a large file.
const MAX_SEGMENT_ROWS: usize = 16_384;

/// How a column's segments are laid out.
#[derive(Debug, Clone, Copy)]
pub struct VectorOptions {
    /// 1 to `MAX_DIM` at most.
    pub words: RowWords,
    /// Rows in a segment, a power of two; fixed for the life of the column.
    pub segment_rows: usize,
}

impl VectorOptions {
    /// The usual layout: segments of about 32 MB and at most 16,384 rows.
    pub fn new(words: RowWords) -> Self {
        let fitting = match words {
            RowWords::Fixed(dim) => (SEGMENT_BYTES / format::stride(dim).max(1)).max(1),
            RowWords::Counted { .. } => MAX_SEGMENT_ROWS,
        };
        Self { words, segment_rows: (1 << fitting.ilog2()).min(MAX_SEGMENT_ROWS) }
    }
}

/// The number of a segment by the name of its file.
fn number_of(name: &str) -> Option<u32> {
    name.strip_suffix(".seg")?.parse().ok()
}

/// The vectors of one (table, column).
pub struct VectorSegments {
    disk: Arc<dyn Disk>,
    dir: String,
    layout: Layout,
    segments: SegmentTable<Segment>,
    /// Of rows that differ in length.
    heap: Option<Arc<Heap>>,
    /// Held while a segment is added, so that two writers do not create the same file.
    growing: Mutex<()>,
    /// Names that files of loads have had.
    load_names: Arc<AtomicU32>,
}

impl VectorSegments {
    /// Opens the column `name` (`{table}.{column}`), creating it if it is new. Slots below `high_water` whose sum is
    /// right count as written; the others may be written again, as replaying the log does, and `get` has nothing
    /// for them until then. Rows are held against their sums when they are first asked for. Corrupt if a file for them is
    /// missing or has another layout. Segments wholly above are removed.
    pub fn open(
        disk: Arc<dyn Disk>,
        name: &str,
        options: VectorOptions,
        high_water: u32,
    ) -> Result<Self> {
        let most = options.words.most();
        if most == 0 || most > MAX_DIM {
            let context = format!("vector dimension {most}, allowed are 1 to {MAX_DIM}");
            return Err(DiskError::new(DiskErrorKind::TooLarge, context));
        }
        assert!(options.segment_rows.is_power_of_two(), "segment_rows is a power of two");
        let dir = format!("vec/{name}");
        create_dir_durably(&*disk, &dir)?;
        let heap = match options.words {
            RowWords::Fixed(_) => None,
            RowWords::Counted { .. } => {
                Some(Arc::new(Heap::open(Arc::clone(&disk), &dir, high_water == 0)?))
            }
        };
        let column = Self {
            layout: Layout::new(options.words, options.segment_rows),
            segments: SegmentTable::new(),
            heap,
            growing: Mutex::new(()),
            load_names: Arc::default(),
            disk,
            dir,
        };
        column.load(high_water)?;
        Ok(column)
    }

    fn load(&self, high_water: u32) -> Result<()> {
        let rows = self.layout.rows as u32;
        let needed = high_water.div_ceil(rows);
        for number in 0..needed {
            let end = (high_water - number * rows).min(rows) as usize;
            let path = self.path(number);
            let heap = self.heap.clone();
            let segment = Segment::open(&*self.disk, &path, self.layout, number, end, heap)?;
            self.segments.insert(number, segment);
        }
        for name in self.disk.list(&self.dir)? {
            let is_heaps = self.heap.is_some() && heap::number_of(&name).is_some();
            if !is_heaps && number_of(&name).is_none_or(|number| number >= needed) {
                self.disk.remove(&format!("{}/{name}", self.dir))?;
            }
        }
        if let Some(heap) = self.heap.as_ref().filter(|heap| !heap.is_settled()) {
            self.claims(heap, high_water, |_| true).reserve();
        }
        Ok(())
    }

    /// Whether a file in the folder of a column is one of its segments, or of its heap.
    pub fn is_segment(name: &str) -> bool {
        number_of(name).is_some() || heap::number_of(name).is_some()
    }

    fn path(&self, number: u32) -> String {
        format!("{}/{number:08}.seg", self.dir)
    }

    /// The words of a row.
    pub fn row_words(&self) -> RowWords {
        self.layout.words
    }

    /// The words of the longest row.
    pub fn dim(&self) -> usize {
        self.layout.words.most()
    }

    /// Stores `vector` as number `vid`, visible to `vector(vid)` on return and durable after the next `sync`.
    /// The same numbers again are accepted; other numbers in a written slot are Corrupt, for then two rows claim it.
    pub fn write(&self, vid: u32, vector: &[f32]) -> Result<()> {
        self.write_run(vid, vector)
    }

    /// Stores consecutive vectors, one behind the other, from number `first_vid` on.
    pub fn write_run(&self, first_vid: u32, vectors: &[f32]) -> Result<()> {
        let (rows, words) = (self.layout.rows, self.layout.words);
        let mut left = words.count(vectors);
        let mut vid = first_vid as usize;
        let mut rest = vectors;
        while left > 0 {
            let slot = vid % rows;
            let count = (rows - slot).min(left);
            let Some((run, after)) = words.split(rest, count) else {
                unreachable!("rows that were counted")
            };
            left -= count;
            let number = u32::try_from(vid / rows).ok().filter(|_| vid + count <= 1 << 32);
            let number = number.ok_or_else(|| {
                DiskError::new(DiskErrorKind::TooLarge, format!("\"{}\" is full", self.dir))
            })?;
            self.segment_for_write(number)?.write_run(slot, run)?;
            vid += count;
            rest = after;
        }
        Ok(())
    }

    /// As `write_run` for vectors that the log has: a slot may hold what it held at the checkpoint, when its number was
    /// another's.
    ///
    /// # Safety
    /// Nobody reads the column yet.
    pub unsafe fn restore_run(&self, first_vid: u32, vectors: &[f32]) -> Result<()> {
        for (vid, vector) in (first_vid..).zip(self.layout.words.rows(vectors)) {
            // A slot that leads to equal words may be one that was not written any more before a crash: then they are in
            // units that have become another's, whose row is equal too.
            let stays = |present| self.heap.is_none() && bytes_of(present) == bytes_of(vector);
            if self.get(vid).is_some_and(|present| !stays(present)) {
                // SAFETY: nobody reads the column, says the caller.
                unsafe { self.release(vid) };
            }
        }
        self.write_run(first_vid, vectors)
    }

    fn create(&self, number: u32) -> Result<Segment> {
        Segment::create(&*self.disk, &self.path(number), self.layout, self.heap.clone())
    }

    fn segment_for_write(&self, number: u32) -> Result<&Segment> {
        if let Some(segment) = self.segments.get(number) {
            return Ok(segment);
        }
        let _one = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = self.segments.get(number) {
            return Ok(segment);
        }
        // Those below too, should a transaction that had numbers in them never have written: files have no gaps.
        let mut created = None;
        for number in 0..=number {
            if self.segments.get(number).is_none() {
                let segment = self.create(number)?;
                segment.set_number(number)?;
                created = Some(self.segments.insert(number, segment));
            }
        }
        let Some(segment) = created else { unreachable!("segment {number} was missing") };
        Ok(segment)
    }

    /// Vectors in a segment.
    pub fn segment_rows(&self) -> u32 {
        self.layout.rows as u32
    }

    /// A place for vectors that a commit may bring later.
    pub fn begin_load(&self) -> VectorLoad {
        let (disk, dir) = (Arc::clone(&self.disk), self.dir.clone());
        VectorLoad::new(disk, dir, self.layout, Arc::clone(&self.load_names))
    }

    /// Takes the first `count` segments of a load as segments `first` and following, none of which may exist; those below
    /// are made where they are missing. The load's other vectors are gone. Durable after the next `sync`.
    pub fn adopt(&self, first: u32, load: &mut VectorLoad, count: u32) -> Result<()> {
        if first > 0 {
            self.segment_for_write(first - 1)?;
        }
        let _one = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, mut segment) in (first..).zip(load.take_segments(count)) {
            segment.set_number(number)?;
            segment.rename(&*self.disk, self.path(number))?;
            self.segments.insert(number, segment);
        }
        Ok(())
    }

    /// Lets a slot be written anew, with other numbers. One that was never written may be released too.
    ///
    /// # Safety
    /// No slice of the slot is alive or will be asked for until it has been written again.
    pub unsafe fn release(&self, vid: u32) {
        if let Some(segment) = self.segments.get(vid >> self.layout.rows.trailing_zeros()) {
            segment.release(vid as usize & (self.layout.rows - 1));
        }
    }

    /// After opening, once it is known which numbers below `end` are nobody's (`is_free`): what these left in the heap, and what
    /// a crash did, is room for others from now on. Nobody writes meanwhile. Does nothing where all rows are as long.
    pub fn settle(&self, end: u32, is_free: impl Fn(u32) -> bool) {
        if let Some(heap) = self.heap.as_ref().filter(|heap| !heap.is_settled()) {
            self.claims(heap, end, |vid| !is_free(vid)).settle();
        }
    }

    /// What the slots of those numbers below `end` lead to that are `claimed`.
    fn claims<'a>(&self, heap: &'a Heap, end: u32, claimed: impl Fn(u32) -> bool) -> Claims<'a> {
        let mut claims = heap.claims();
        for (number, segment) in (0..).zip(self.segments.iter()) {
            let first = number * self.layout.rows as u32;
            let count = end.saturating_sub(first).min(self.layout.rows as u32);
            segment.claim(count as usize, &mut claims, |slot| claimed(first + slot as u32));
        }
        claims
    }

    /// The vector with number `vid`, in place; `None` if it was never written or is damaged.
    pub fn get(&self, vid: u32) -> Option<&[f32]> {
        let segment = self.segments.get(vid >> self.layout.rows.trailing_zeros())?;
        let slot = vid as usize & (self.layout.rows - 1);
        // SAFETY: asked right before.
        segment.is_written(slot).then(|| unsafe { segment.vector(slot) })
    }

    /// `get` for a number that is known to be written; panics otherwise.
    pub fn vector(&self, vid: u32) -> &[f32] {
        let Some(vector) = self.get(vid) else { panic!("vector {vid} is written") };
        vector
    }

    /// `get` without a look at the marks, which costs a cache line per call in a graph search, where the segment is known to
    /// be sound as a whole.
    ///
    /// # Safety
    /// `vid` must have been written, or have been below the mark when the column was opened, and that before this call;
    /// nobody has released it.
    #[inline]
    pub unsafe fn read(&self, vid: u32) -> Option<&[f32]> {
        let (segment, slot) = self.locate(vid);
        // SAFETY: the caller's promise, and the segment's: what is not a vector there is zeros.
        (segment.is_trusted() || segment.is_written(slot)).then(|| unsafe { segment.vector(slot) })
    }

    fn locate(&self, vid: u32) -> (&Segment, usize) {
        // A shift and a mask: the number of rows is a power of two.
        let number = vid >> self.layout.rows.trailing_zeros();
        let Some(segment) = self.segments.get(number) else {
            panic!("vector {vid} is in a segment that exists")
        };
        (segment, vid as usize & (self.layout.rows - 1))
    }

    /// Checks the sums of the vectors from `first` up to but not including `end`, which must not be written meanwhile;
    /// Corrupt names the first bad one. Slots that were never written pass.
    pub fn verify(&self, first: u32, end: u32) -> Result<()> {
        let rows = self.layout.rows as u32;
        let mut vid = first;
        while vid < end {
            let (segment, slot) = self.locate(vid);
            let count = (rows - slot as u32).min(end - vid);
            if let Some(bad) = segment.first_damaged(slot, count as usize) {
                let bad = vid - slot as u32 + bad as u32;
                let context =
                    format!("vector {bad} in \"{}\" does not match its checksum", segment.path());
                return Err(DiskError::corrupt(context));
            }
            vid += count;
        }
        Ok(())
    }

    /// Makes every vector written so far durable; returns how many files had to be synced.
    pub fn sync(&self) -> Result<usize> {
        let mut synced = self.heap.as_ref().map_or(Ok(0), |heap| heap.sync())?;
        for segment in self.segments.iter() {
            synced += usize::from(segment.sync()?);
        }
        if synced > 0 {
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(synced)
    }

    /// Checks headers and lengths of the segments that hold the vectors below `high_water` of the column `name`, and
    /// changes nothing. Returns how many there are; Corrupt names the first bad one.
    pub fn check(
        disk: &dyn Disk,
        name: &str,
        options: VectorOptions,
        high_water: u32,
    ) -> Result<u64> {
        let layout = Layout::new(options.words, options.segment_rows);
        let needed = high_water.div_ceil(layout.rows as u32);
        let dir = format!("vec/{name}");
        for number in 0..needed {
            Segment::open(disk, &format!("{dir}/{number:08}.seg"), layout, number, 0, None)?;
        }
        let files = match options.words {
            RowWords::Counted { .. } if needed > 0 => Heap::check(disk, &dir)?,
            _ => 0,
        };
        Ok(u64::from(needed) + files)
    }

    /// Bytes of the files.
    pub fn disk_bytes(&self) -> u64 {
        let segments = self.segments.iter().count() as u64 * self.layout.file_bytes();
        segments + self.heap.as_ref().map_or(0, |heap| heap.disk_bytes())
    }

    /// Bytes of the rows of `count` vectors numbered so far, dead ones included.
    pub fn row_bytes(&self, count: u32) -> u64 {
        match (self.layout.words, &self.heap) {
            (_, Some(heap)) => u64::from(count) * self.layout.stride as u64 + heap.used_bytes(),
            (words, None) => u64::from(count) * (words.most() * size_of::<f32>()) as u64,
        }
    }

    /// Removes the files that loads of the column `name` left when the process ended. Nobody may have it open.
    pub fn remove_loads(disk: &dyn Disk, name: &str) -> Result<()> {
        let dir = format!("vec/{name}");
        for name in disk.list(&dir)?.iter().filter(|name| load::is_load(name)) {
            disk.remove(&format!("{dir}/{name}"))?;
        }
        Ok(())
    }

    /// Removes the column's files from `disk`. Values still open stay readable. A load that was given up removes its own
    /// at the same time: whoever comes second finds them gone, and a folder it has just put one into is left to the next
    /// start.
    pub fn remove(disk: &dyn Disk, name: &str) -> Result<()> {
        let dir = format!("vec/{name}");
        let names = match disk.list(&dir) {
            Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for name in names {
            match disk.remove(&format!("{dir}/{name}")) {
                Err(error) if error.kind == DiskErrorKind::NotFound && load::is_load(&name) => {}
                other => other?,
            }
        }
        match disk.remove_dir(&dir) {
            Err(_) if disk.list(&dir)?.iter().any(|name| load::is_load(name)) => Ok(()),
            other => other,
        }
    }
}
