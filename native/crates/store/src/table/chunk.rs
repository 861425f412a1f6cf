//! A chunk: up to 4,096 row versions with their commit numbers.
//!
//! Everything but `xmax` is written before the chunk is shared or, in the open tail, under the table's write lock.
//! `xmax` is an atomic that goes from 0 to a commit number once, so sealed chunks are read without a lock: a reader at
//! snapshot S compares numbers, and every number stored while it looks is greater than S. The numbers exist only once
//! a version of the chunk has ended. A chunk with a place lies in a chunk file and its rows are windows into that.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::buffer::Buffer;
use super::chunk_file::Place;
use super::rows::{CHUNK_ROWS, Rows, StoredColumn};

#[derive(Debug)]
enum Xmin {
    /// All rows by one commit, or by commits nobody tells apart any more.
    Uniform(u64),
    Each(Vec<u64>),
}

#[derive(Debug)]
pub struct Chunk {
    pub rows: Rows,
    pub rids: Buffer<u32>,
    xmin: Xmin,
    max_xmin: u64,
    /// By slot; absent while no version has ended.
    xmax: OnceLock<Box<[AtomicU64]>>,
    /// Slots with an xmax.
    ended: AtomicU32,
    /// Slots there will ever be.
    slots: usize,
    /// Where it lies in a file of the relation, if it does.
    place: Option<Place>,
    /// Of its columns so many, from the first on, are as in that file.
    placed_columns: usize,
}

impl Chunk {
    /// An empty chunk to append to.
    pub fn open(rows: Rows) -> Self {
        Self::with(rows, Buffer::default(), Xmin::Each(Vec::new()), 0, CHUNK_ROWS)
    }

    /// A whole chunk by one commit.
    pub fn sealed(rows: Rows, rids: impl Into<Buffer<u32>>, xmin: u64) -> Self {
        let rids = rids.into();
        assert_eq!(rows.len(), rids.len(), "a rid for every row");
        let slots = rids.len();
        Self::with(rows, rids, Xmin::Uniform(xmin), xmin, slots)
    }

    fn with(rows: Rows, rids: Buffer<u32>, xmin: Xmin, max_xmin: u64, slots: usize) -> Self {
        let (xmax, ended) = (OnceLock::new(), AtomicU32::new(0));
        Self { rows, rids, xmin, max_xmin, xmax, ended, slots, place: None, placed_columns: 0 }
    }

    /// Its rows are the windows into a file that `place` is.
    pub fn placed(mut self, place: Place) -> Self {
        (self.place, self.placed_columns) = (Some(place), self.rows.columns.len());
        self
    }

    /// Where it lies in a file, with all of its columns or without some.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// Where its first `width` columns, as far as it has them, lie in a file.
    pub fn place_of(&self, width: usize) -> Option<Place> {
        self.place.filter(|_| self.placed_columns >= width.min(self.rows.columns.len()))
    }

    /// The same versions over the same rows in a file; columns that the file does not have stay. Under the table's write lock,
    /// so that none ends meanwhile. `oldest`: the oldest snapshot in use.
    pub fn in_file(&self, mut rows: Rows, rids: Buffer<u32>, place: Place, oldest: u64) -> Self {
        assert_eq!(
            (rows.len(), rids.len()),
            (self.len(), self.len()),
            "the file has the same rows"
        );
        let xmin = match &self.xmin {
            Xmin::Each(all) if self.max_xmin > oldest => Xmin::Each(all.clone()),
            _ => Xmin::Uniform(self.max_xmin),
        };
        let placed_columns = rows.columns.len();
        let beyond = self.rows.columns.iter().skip(placed_columns);
        rows.columns.extend(beyond.map(StoredColumn::duplicate));
        let mut chunk = self.versions_over(rows, rids, xmin);
        (chunk.place, chunk.placed_columns) = (Some(place), placed_columns);
        chunk
    }

    /// The same versions over their rows with other columns from `unchanged` on. Under the table's write lock.
    pub fn over(&self, rows: Rows, unchanged: usize) -> Self {
        let xmin = match &self.xmin {
            Xmin::Uniform(xmin) => Xmin::Uniform(*xmin),
            Xmin::Each(all) => Xmin::Each(all.clone()),
        };
        let mut chunk = self.versions_over(rows, self.rids.duplicate(), xmin);
        (chunk.place, chunk.placed_columns) = (self.place, self.placed_columns.min(unchanged));
        chunk
    }

    fn versions_over(&self, rows: Rows, rids: Buffer<u32>, xmin: Xmin) -> Self {
        let slots = self.len();
        let mut chunk = Self::with(rows, rids, xmin, self.max_xmin, slots);
        if let Some(xmax) = self.xmax.get() {
            let copy = xmax.iter().take(slots).map(|x| AtomicU64::new(x.load(Ordering::Acquire)));
            chunk.xmax = OnceLock::from(copy.collect::<Box<[_]>>());
            chunk.ended = AtomicU32::new(self.ended.load(Ordering::Acquire));
        }
        chunk
    }

    /// An open chunk that gets no more rows. `oldest`: the oldest snapshot in use, which tells no older commits apart.
    pub fn sealed_again(mut self, oldest: u64) -> Self {
        if self.max_xmin <= oldest {
            self.xmin = Xmin::Uniform(self.max_xmin);
        }
        if self.xmax.get().is_none() {
            self.slots = self.len();
        }
        self
    }

    pub fn len(&self) -> usize {
        self.rids.len()
    }

    /// Accounts for a row just pushed to `rows`.
    pub fn push_stamp(&mut self, rid: u32, xmin: u64, xmax: u64) {
        self.rids.vec_mut().push(rid);
        match &mut self.xmin {
            Xmin::Each(all) => all.push(xmin),
            Xmin::Uniform(_) => panic!("append to a sealed chunk"),
        }
        self.max_xmin = self.max_xmin.max(xmin);
        if xmax != 0 {
            self.end(self.len() - 1, xmax);
        }
    }

    pub fn xmin(&self, slot: usize) -> u64 {
        match &self.xmin {
            Xmin::Uniform(xmin) => *xmin,
            Xmin::Each(all) => all[slot],
        }
    }

    pub fn xmax(&self, slot: usize) -> u64 {
        self.xmax.get().map_or(0, |all| all[slot].load(Ordering::Acquire))
    }

    pub fn end(&self, slot: usize, commit: u64) {
        let none = || std::iter::repeat_with(|| AtomicU64::new(0)).take(self.slots).collect();
        let all = self.xmax.get_or_init(none);
        let before = all[slot].swap(commit, Ordering::AcqRel);
        assert_eq!(before, 0, "a version ends once");
        self.ended.fetch_add(1, Ordering::Release);
    }

    pub fn visible(&self, slot: usize, snapshot: u64) -> bool {
        let xmax = self.xmax(slot);
        self.xmin(slot) <= snapshot && (xmax == 0 || xmax > snapshot)
    }

    /// Every slot is visible at `snapshot`, without looking at them.
    pub fn all_visible(&self, snapshot: u64) -> bool {
        self.max_xmin <= snapshot && self.ended.load(Ordering::Acquire) == 0
    }

    /// Some version of it may be younger than a commit.
    pub fn is_younger(&self, commit: u64) -> bool {
        self.max_xmin > commit
    }

    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::Acquire) as usize
    }

    pub fn size_bytes(&self) -> usize {
        self.rows.size_bytes() + self.len() * 4 + self.stamp_bytes()
    }

    /// Bytes of memory of its own.
    pub fn heap_bytes(&self) -> usize {
        self.rows.heap_bytes() + self.rids.heap_bytes() + self.stamp_bytes()
    }

    fn stamp_bytes(&self) -> usize {
        let xmin = if let Xmin::Each(all) = &self.xmin { all.len() * 8 } else { 0 };
        xmin + self.xmax.get().map_or(0, |all| all.len() * 8)
    }
}
