//! Vectors written ahead of the commit that will bring them, in segments that have no number yet.
//!
//! A load fills segments of its own, `vec/{table}.{column}/load-N.tmp`, which have the layout of the column's but no
//! header: that says which segment it is, and is written when the column takes the segment over (`VectorSegments::adopt`).
//! So a file of a load cannot be mistaken for one of the column, a rollback only removes files, and what a crash leaves is
//! removed when the database is opened (`VectorSegments::remove_loads`).
//!
//! One thread appends; any thread reads what has been appended. Files go when the value is dropped, but for those adopted.

use super::format::Layout;
use super::segment::Segment;
use super::table::SegmentTable;
use super::words::RowWords;
use crate::disk::Disk;
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "load-";
const SUFFIX: &str = ".tmp";

/// Whether a file in the folder of a column belongs to a load.
pub fn is_load(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// The vectors of one load, numbered from 0.
pub struct VectorLoad {
    disk: Arc<dyn Disk>,
    dir: String,
    layout: Layout,
    /// Words of a vector.
    dim: usize,
    /// Of the column: the names its loads have had.
    names: Arc<AtomicU32>,
    segments: SegmentTable<Segment>,
    /// Vectors that can be read.
    len: AtomicU32,
}

impl VectorLoad {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: String,
        layout: Layout,
        names: Arc<AtomicU32>,
    ) -> Self {
        let RowWords::Fixed(dim) = layout.words else {
            panic!("a load is of vectors that are all as long")
        };
        let segments = SegmentTable::new();
        Self { disk, dir, layout, dim, names, segments, len: AtomicU32::new(0) }
    }

    /// Numbers in a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Vectors appended so far.
    pub fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends whole vectors, row-major. A segment that is full is synced at once: what is left to do at the commit is then
    /// little, however long the load was. One caller at a time. After an error the load is good for nothing but being
    /// dropped.
    pub fn append(&self, vectors: &[f32]) -> Result<()> {
        let (dim, rows) = (self.dim, self.layout.rows);
        assert!(vectors.len().is_multiple_of(dim), "whole vectors");
        let mut rest = vectors;
        while !rest.is_empty() {
            let len = self.len() as usize;
            let (number, slot) = ((len / rows) as u32, len % rows);
            let segment = match self.segments.get(number) {
                Some(segment) => segment,
                None => self.segments.insert(number, self.create()?),
            };
            let count = (rows - slot).min(rest.len() / dim);
            let (run, after) = rest.split_at(count * dim);
            segment.write_run(slot, run)?;
            self.len.store((len + count) as u32, Ordering::Release);
            if slot + count == rows {
                segment.sync()?;
            }
            rest = after;
        }
        Ok(())
    }

    fn create(&self) -> Result<Segment> {
        let name = self.names.fetch_add(1, Ordering::Relaxed);
        let path = format!("{}/{PREFIX}{name:08}{SUFFIX}", self.dir);
        Segment::create(&*self.disk, &path, self.layout, None).inspect_err(|_| {
            // Perhaps it came into being, and found no room.
            let _ = self.disk.remove(&path);
        })
    }

    /// Vector `number`, which has been appended; panics otherwise.
    pub fn vector(&self, number: u32) -> &[f32] {
        assert!(number < self.len(), "vector {number} of the load is written");
        let rows = self.layout.rows;
        let Some(segment) = self.segments.get((number as usize / rows) as u32) else {
            unreachable!("a segment that has vectors")
        };
        // SAFETY: written before the length said so, and never again.
        unsafe { segment.vector(number as usize % rows) }
    }

    /// Makes the vectors durable, though not the names of their files: nobody asks for those after a crash.
    pub fn sync(&self) -> Result<()> {
        self.segments.iter().try_for_each(|segment| segment.sync().map(|_| ()))
    }

    /// Vectors in the segments that are full.
    pub fn whole(&self) -> u32 {
        self.len() - self.len() % self.layout.rows as u32
    }

    /// The first `count` segments, for the column to take; the others and all later ones stay the load's. The load is over.
    pub(super) fn take_segments(&mut self, count: u32) -> Vec<Segment> {
        let all = std::mem::replace(&mut self.segments, SegmentTable::new());
        let mut taken: Vec<Segment> = all.into_segments().collect();
        let rest = taken.split_off(count as usize);
        self.remove(rest.iter());
        taken
    }

    fn remove<'a>(&self, segments: impl Iterator<Item = &'a Segment>) {
        for segment in segments {
            // One that stays is removed when the database is next opened.
            let _ = self.disk.remove(segment.path());
        }
    }
}

impl Drop for VectorLoad {
    fn drop(&mut self) {
        self.remove(self.segments.iter());
    }
}
