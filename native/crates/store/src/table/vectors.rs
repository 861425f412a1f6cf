//! The vectors of one column: rows of 32-bit words in segments (what they mean: `form`), each numbered by a vid, and who may see which vid.
//!
//! A vid is given once, by the commit that brings the vector, in log order; replay gives the same numbers. The vid is
//! also the node id of every graph over the column. Vids of dead versions are not given again: their slots stay until
//! the table is rewritten.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use omen_disk::VectorSegments;

use super::entries::EntryTable;
use crate::error::Result;

pub struct VectorColumn {
    pub segments: VectorSegments,
    pub entries: EntryTable,
    /// The next vid to give; ahead of `entries` between numbering and publishing. Moved by the commit sequence only.
    pub next_vid: AtomicU32,
    /// Vids below this belong to published commits (or to nobody, for good): graphs may link them.
    pub published: AtomicU32,
    /// Every slot below the length of `entries` is written, as it is unless a dead vector was damaged on disk.
    sound: AtomicBool,
    /// Stands in for a damaged vector that no row uses but a graph may pass through. Aligned like a row.
    zero: Vec<u64>,
}

impl VectorColumn {
    pub fn new(segments: VectorSegments) -> Self {
        let zero = vec![0; segments.dim().div_ceil(2)];
        Self {
            segments,
            entries: EntryTable::new(),
            next_vid: AtomicU32::new(0),
            published: AtomicU32::new(0),
            sound: AtomicBool::new(true),
            zero,
        }
    }

    /// Vectors numbered so far.
    pub fn len(&self) -> u32 {
        self.entries.len()
    }

    /// Bytes of one vector.
    pub fn vector_bytes(&self) -> u64 {
        (self.segments.dim() * size_of::<f32>()) as u64
    }

    /// Takes the vids below `high_water` from disk, all of them invisible until `entries.set`.
    pub fn adopt(&self, high_water: u32) {
        self.entries.grow(high_water);
        let sound = (0..high_water).all(|vid| self.segments.get(vid).is_some());
        self.sound.store(sound, Ordering::Relaxed);
        self.next_vid.store(high_water, Ordering::Release);
        self.published.store(high_water, Ordering::Release);
    }

    /// Stores consecutive vectors from the next vid on, invisible until `entries.set`.
    pub fn append(&self, first_vid: u32, floats: &[f32]) -> Result<()> {
        let count = (floats.len() / self.segments.dim()) as u32;
        self.segments.write_run(first_vid, floats)?;
        self.entries.grow(first_vid + count);
        Ok(())
    }
}

impl VectorColumn {
    /// The words of a row. `vid` has been given to somebody: it came from a graph, or from `entries`.
    #[inline]
    pub fn words(&self, vid: u32) -> &[f32] {
        if self.sound.load(Ordering::Relaxed) {
            // SAFETY: vids reach a graph or a search only through `entries`, whose length grows after the write
            // (`append`) or after every slot was looked at (`adopt`, which says so in `sound`).
            unsafe { self.segments.vector_unchecked(vid) }
        } else {
            self.segments.get(vid).unwrap_or_else(|| self.zero())
        }
    }

    fn zero(&self) -> &[f32] {
        // SAFETY: any bits are an f32, and a u64 is aligned for two of them.
        let (_, words, _) = unsafe { self.zero.align_to::<f32>() };
        &words[..self.segments.dim()]
    }
}
