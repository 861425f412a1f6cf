//! Where the rows of a column lie whose rows differ in length: files of units, and which units are free.
//!
//! `vec/{table}.{column}/{n}.heap`: a header page, then 2^18 units of 16 bytes. A row fills whole units of one file. The slot
//! of its number holds its place, and the sum over both (`segment`); nothing in a heap says whose a unit is. So what is free
//! is known in memory only, and found from the places (`Claims`). When a column is opened every slot below its mark claims
//! what it leads to: those that count at the checkpoint are among them, and rows of the log go where none does, however
//! often it is replayed. Once it is known which slots count, the claims of the others fall: the heap is settled. Until then
//! slots own nothing that they could give back.
//!
//! Free units are kept as runs, by where they begin and by length. A row takes the shortest run that has room for it, the
//! lowest of those; neighbours become one run again. So rows that take the places of dead ones of about their lengths
//! leave little behind, and rows written together lie together.
//!
//! Lock order: `free` is held while a file is made, and takes no lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crc32c::crc32c;

use super::format::bytes_of;
use super::table::SegmentTable;
use crate::disk::{Disk, DiskFile, Mapping};
use crate::error::{DiskError, DiskErrorKind, Result};

const MAGIC: &[u8; 8] = b"OMENHEAP";
const FORMAT_VERSION: u32 = 1;
const HEADER_BYTES: usize = 8 + 2 * 4 + 4;
const PAGE: usize = 4096;
const UNIT_BYTES: usize = 16;
/// Units of a file.
const FILE_UNITS: u32 = 1 << 18;
const FILE_BYTES: usize = PAGE + FILE_UNITS as usize * UNIT_BYTES;
/// So many files have a unit for every u32.
const MAX_FILES: u32 = u32::MAX / FILE_UNITS;
const SUFFIX: &str = ".heap";

/// Where a row lies: its first unit, counted over all files, and its words. No words: nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    pub unit: u32,
    pub words: u32,
}

impl Place {
    fn units(self) -> u32 {
        units_of(self.words as usize)
    }

    /// As it lies in a slot.
    pub fn encode(self) -> [u8; 8] {
        (u64::from(self.unit) | u64::from(self.words) << 32).to_le_bytes()
    }

    /// Whether it begins in the file of unit `start`, where `bytes` of padded rows from there on end.
    pub fn follows(self, start: u32, bytes: usize) -> bool {
        self.unit as usize == start as usize + bytes / UNIT_BYTES
            && self.unit / FILE_UNITS == start / FILE_UNITS
    }

    /// The file and the byte in it. None where the row would not lie in one file.
    fn locate(self) -> Option<(u32, usize)> {
        let first = self.unit % FILE_UNITS;
        let fits = self.words as usize <= FILE_UNITS as usize * UNIT_BYTES / size_of::<f32>()
            && self.units() <= FILE_UNITS - first;
        fits.then(|| (self.unit / FILE_UNITS, PAGE + first as usize * UNIT_BYTES))
    }
}

fn units_of(words: usize) -> u32 {
    (words * size_of::<f32>()).div_ceil(UNIT_BYTES) as u32
}

/// The number of a heap file by its name.
pub fn number_of(name: &str) -> Option<u32> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

struct HeapFile {
    mapping: Mapping,
    file: Arc<dyn DiskFile>,
    dirty: AtomicBool,
}

pub struct Heap {
    disk: Arc<dyn Disk>,
    dir: String,
    files: SegmentTable<HeapFile>,
    free: Mutex<Free>,
    /// Whether it is known which units are free.
    is_settled: AtomicBool,
}

#[derive(Default)]
struct Free {
    /// Length by first unit, and the other way round.
    by_unit: BTreeMap<u32, u32>,
    by_length: BTreeSet<(u32, u32)>,
    /// Units in all runs.
    units: u64,
    /// Of the next file.
    next_file: u32,
}

impl Free {
    fn insert(&mut self, unit: u32, units: u32) {
        self.by_unit.insert(unit, units);
        self.by_length.insert((units, unit));
        self.units += u64::from(units);
    }

    fn remove(&mut self, unit: u32, units: u32) {
        self.by_unit.remove(&unit);
        self.by_length.remove(&(units, unit));
        self.units -= u64::from(units);
    }

    /// The first of `units` units that were free and lie together.
    fn take(&mut self, units: u32) -> Option<u32> {
        let &(length, unit) = self.by_length.range((units, 0)..).next()?;
        self.remove(unit, length);
        if length > units {
            self.insert(unit + units, length - units);
        }
        Some(unit)
    }

    /// Runs do not reach from one file into the next.
    fn give(&mut self, mut unit: u32, mut units: u32) {
        if let Some((&before, &length)) = self.by_unit.range(..unit).next_back()
            && before + length == unit
            && !unit.is_multiple_of(FILE_UNITS)
        {
            self.remove(before, length);
            (unit, units) = (before, units + length);
        }
        let after = unit + units;
        if let Some(&length) = self.by_unit.get(&after)
            && !after.is_multiple_of(FILE_UNITS)
        {
            self.remove(after, length);
            units += length;
        }
        self.insert(unit, units);
    }
}

impl Heap {
    /// Opens the files in the folder of a column, and removes them all where no slot counts (`is_new`). Corrupt if a header
    /// is damaged or a file has another length; a file that a crash cut off before it had a header is removed when units
    /// are claimed.
    pub fn open(disk: Arc<dyn Disk>, dir: &str, is_new: bool) -> Result<Self> {
        let heap = Self {
            disk,
            dir: dir.to_owned(),
            files: SegmentTable::new(),
            free: Mutex::default(),
            is_settled: AtomicBool::new(is_new),
        };
        for number in heap.disk.list(dir)?.iter().filter_map(|name| number_of(name)) {
            let path = heap.path(number);
            if is_new {
                heap.disk.remove(&path)?;
                continue;
            }
            let mut free = heap.free();
            free.next_file = free.next_file.max(number + 1);
            drop(free);
            if let Some(file) = HeapFile::open(&*heap.disk, &path, number)? {
                heap.files.insert(number, file);
            }
        }
        Ok(heap)
    }

    /// Opens the files in the folder of a column and lets go of them: Corrupt names the first bad one.
    pub fn check(disk: &dyn Disk, dir: &str) -> Result<u64> {
        let mut count = 0;
        for name in disk.list(dir)? {
            if let Some(number) = number_of(&name) {
                let file = HeapFile::open(disk, &format!("{dir}/{name}"), number)?;
                count += u64::from(file.is_some());
            }
        }
        Ok(count)
    }

    fn path(&self, number: u32) -> String {
        format!("{}/{number:08}{SUFFIX}", self.dir)
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a row; a file more where there is none.
    pub fn allocate(&self, words: usize) -> Result<Place> {
        let units = units_of(words);
        assert!(0 < units && units <= FILE_UNITS, "a row fits into a file");
        let mut free = self.free();
        if let Some(unit) = free.take(units) {
            return Ok(Place { unit, words: words as u32 });
        }
        let number = free.next_file;
        if number >= MAX_FILES {
            return Err(DiskError::new(
                DiskErrorKind::TooLarge,
                format!("\"{}\" is full", self.dir),
            ));
        }
        let file = HeapFile::create(&*self.disk, &self.path(number), number)?;
        self.files.insert(number, file);
        free.next_file += 1;
        let unit = number * FILE_UNITS;
        if units < FILE_UNITS {
            free.insert(unit + units, FILE_UNITS - units);
        }
        Ok(Place { unit, words: words as u32 })
    }

    /// Takes back a place that was allocated and that nobody reads.
    pub fn give_back(&self, place: Place) {
        self.free().give(place.unit, place.units());
    }

    /// Writes `bytes` into allocated units that nobody reads, from `unit` on.
    pub fn write(&self, unit: u32, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let Some(file) = self.files.get(unit / FILE_UNITS) else {
            unreachable!("the units were allocated")
        };
        let at = PAGE + (unit % FILE_UNITS) as usize * UNIT_BYTES;
        let written = file.file.write_at(at as u64, bytes);
        file.dirty.store(true, Ordering::Release);
        written
    }

    /// The bytes of a row as the file has them, with the zeros up to a whole unit.
    pub fn padded(row: &[f32], out: &mut Vec<u8>) {
        out.extend_from_slice(bytes_of(row));
        out.resize(out.len().next_multiple_of(UNIT_BYTES), 0);
    }

    /// The words at a place; None where it leads nowhere.
    ///
    /// # Safety
    /// Nobody writes there while the slice lives.
    #[inline]
    #[allow(clippy::cast_ptr_alignment)] // units begin at multiples of 16 from the start of a mapping
    pub unsafe fn words(&self, place: Place) -> Option<&[f32]> {
        let (number, at) = place.locate()?;
        let file = self.files.get(number)?;
        // SAFETY: `locate` looked that the row ends inside the file, all of which is mapped (`HeapFile::map`); any bits are an
        // f32; the caller excludes writes.
        unsafe {
            let start = file.mapping.as_ptr().add(at).cast::<f32>();
            Some(std::slice::from_raw_parts(start, place.words as usize))
        }
    }

    /// Makes every row written so far durable, though not the names of new files. Returns how many files had to be synced.
    pub fn sync(&self) -> Result<usize> {
        let mut synced = 0;
        for file in self.files.iter() {
            if file.dirty.swap(false, Ordering::AcqRel) {
                let failed = |_: &DiskError| file.dirty.store(true, Ordering::Release);
                file.file.sync_data().inspect_err(failed)?;
                synced += 1;
            }
        }
        Ok(synced)
    }

    /// Bytes of the files.
    pub fn disk_bytes(&self) -> u64 {
        self.files.iter().count() as u64 * FILE_BYTES as u64
    }

    /// Bytes of the units in use, or claimed.
    pub fn used_bytes(&self) -> u64 {
        let free = self.free();
        (self.files.iter().count() as u64 * u64::from(FILE_UNITS) - free.units) * UNIT_BYTES as u64
    }

    #[inline]
    pub fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Acquire)
    }

    /// Begins to find out what is free: `Claims::add` is told every place that is not, then one of the others is called. Nobody
    /// allocates meanwhile.
    pub fn claims(&self) -> Claims<'_> {
        let files = self.free().next_file;
        let taken = vec![0; files as usize * FILE_UNITS as usize / 64];
        Claims { heap: self, taken }
    }
}

/// Units found to be in use, a bit each.
pub struct Claims<'a> {
    heap: &'a Heap,
    taken: Vec<u64>,
}

impl Claims<'_> {
    /// Notes a place. False when it leads nowhere or another row's is in it: then it is damaged or stale, and must not be given
    /// back.
    pub fn add(&mut self, place: Place) -> bool {
        let there = place.locate().is_some_and(|(number, _)| self.heap.files.get(number).is_some());
        if !there || place.words == 0 {
            return false;
        }
        let (mut unit, end) = (place.unit as usize, (place.unit + place.units()) as usize);
        let mut is_alone = true;
        while unit < end {
            let (bit, count) = (unit % 64, (64 - unit % 64).min(end - unit));
            let mask = (u64::MAX >> (64 - count)) << bit;
            let word = &mut self.taken[unit / 64];
            is_alone &= *word & mask == 0;
            *word |= mask;
            unit += count;
        }
        is_alone
    }

    /// Units from `unit` on that are all taken, or all not, as `taken` says; at most up to `end`.
    fn run(&self, unit: u32, end: u32, taken: bool) -> u32 {
        let mut at = unit;
        while at < end {
            let word = self.taken[at as usize / 64];
            let same = (if taken { !word } else { word } >> (at % 64)).trailing_zeros();
            // Zeros that the shift brought in are not of this word.
            let left = 64 - at % 64;
            at += same.min(left);
            if same < left {
                break;
            }
        }
        at.min(end) - unit
    }

    /// What nobody has is free from now on, and slots whose places were added own them.
    pub fn settle(self) {
        // Before anything is free: who looks at a stale slot from here on leaves alone what it leads to.
        self.heap.is_settled.store(true, Ordering::Release);
        self.reserve();
    }

    /// What nobody has is free from now on.
    pub fn reserve(self) {
        let mut free = self.heap.free();
        free.by_unit.clear();
        free.by_length.clear();
        free.units = 0;
        for number in 0..free.next_file {
            if self.heap.files.get(number).is_none() {
                // Cut off by a crash: without a header no row was ever synced there. One that stays is tried again next time.
                let _ = self.heap.disk.remove(&self.heap.path(number));
                continue;
            }
            let (first, end) = (number * FILE_UNITS, (number + 1) * FILE_UNITS);
            let mut unit = first;
            while unit < end {
                let run = self.run(unit, end, false);
                if run > 0 {
                    free.insert(unit, run);
                }
                unit += run;
                unit += self.run(unit, end, true);
            }
        }
    }
}

impl HeapFile {
    /// Makes a file at its full length, in place of one that an attempt left.
    fn create(disk: &dyn Disk, path: &str, number: u32) -> Result<Self> {
        if disk.exists(path)? {
            disk.remove(path)?;
        }
        let file = disk.create(path)?;
        file.allocate(FILE_BYTES as u64)?;
        file.write_at(0, &header(number))?;
        Self::map(file, true)
    }

    /// None for a file without a header.
    fn open(disk: &dyn Disk, path: &str, number: u32) -> Result<Option<Self>> {
        let file = disk.open(path)?;
        let mut found = [0; HEADER_BYTES];
        if file.len()? >= HEADER_BYTES as u64 {
            file.read_at(0, &mut found)?;
        }
        if found == [0; HEADER_BYTES] {
            return Ok(None);
        }
        if found != header(number) || file.len()? != FILE_BYTES as u64 {
            return Err(DiskError::corrupt(format!(
                "\"{path}\" has not the header or the length of file {number} of sparse vectors"
            )));
        }
        Self::map(file, false).map(Some)
    }

    fn map(file: Arc<dyn DiskFile>, dirty: bool) -> Result<Self> {
        let mapping = file.map_read_only()?;
        assert!(mapping.len() >= FILE_BYTES, "the whole file is mapped");
        assert!((mapping.as_ptr() as usize).is_multiple_of(UNIT_BYTES), "units are aligned");
        Ok(Self { mapping, file, dirty: AtomicBool::new(dirty) })
    }
}

fn header(number: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&number.to_le_bytes());
    let sum = crc32c(&bytes[..16]);
    bytes[16..].copy_from_slice(&sum.to_le_bytes());
    bytes
}
