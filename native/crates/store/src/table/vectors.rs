//! The vectors of one column: rows of 32-bit words in segments (what they mean: `form`), each numbered by a vid, and who may
//! see which vid.
//!
//! A vid is given by the commit that brings the vector, and stands in the log with it. It is also the node id of every
//! graph over the column. Vids of dead versions are given again, with their slots: `numbers` says when.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use omen_disk::{VectorLoad, VectorSegments};

use super::entries::EntryTable;
use super::numbers::Numbers;
use crate::error::{Result, StoreError};
use crate::value::PRIVATE_VECTOR;

pub struct VectorColumn {
    pub segments: VectorSegments,
    pub entries: EntryTable,
    /// Of dead vectors.
    pub numbers: Numbers,
    /// Held by the one removal under way. Before every other lock but those of VACUUM.
    pub removal: Mutex<()>,
    /// The next vid to give; ahead of `entries` between numbering and publishing. Moved by the commit sequence only.
    pub next_vid: AtomicU32,
    /// Vids below this came before the column was its table's.
    filled: AtomicU32,
    /// Vids below this belong to published commits (or to nobody, for good): graphs may link them.
    pub published: AtomicU32,
    /// The first vid of a row's that was found damaged, plus 1.
    damaged: AtomicU64,
    /// Stands in for a damaged vector. Aligned like a row.
    zero: Vec<u64>,
}

impl VectorColumn {
    pub fn new(segments: VectorSegments) -> Self {
        let zero = vec![0; segments.dim().div_ceil(2)];
        Self {
            segments,
            entries: EntryTable::new(),
            numbers: Numbers::default(),
            removal: Mutex::default(),
            next_vid: AtomicU32::new(0),
            filled: AtomicU32::new(0),
            published: AtomicU32::new(0),
            damaged: AtomicU64::new(0),
            zero,
        }
    }

    /// Vectors numbered so far.
    pub fn len(&self) -> u32 {
        self.entries.len()
    }

    /// Bytes of the vectors numbered so far.
    pub fn size_bytes(&self) -> u64 {
        self.segments.row_bytes(self.len())
    }

    /// Takes the vids below `high_water` from disk, all of them invisible until `entries.set`.
    pub fn adopt(&self, high_water: u32) {
        self.entries.grow(high_water);
        self.next_vid.store(high_water, Ordering::Release);
        self.published.store(high_water, Ordering::Release);
    }

    /// Gives `count` numbers: in order those of dead vectors as far as there are any, then fresh ones. Under the sequencer.
    pub fn take_numbers(&self, count: usize) -> (Vec<u32>, Range<u32>) {
        let given_again = self.numbers.take(count);
        for &vid in &given_again {
            // SAFETY: nobody sees the vector and no graph has it, or `numbers` would not have given it.
            unsafe { self.segments.release(vid) };
        }
        let first = self.next_vid.load(Ordering::Acquire);
        let end = first + (count - given_again.len()) as u32;
        self.next_vid.store(end, Ordering::Release);
        (given_again, first..end)
    }

    /// Takes `count` numbers of dead vectors for a commit that is still to come, whose slots may be written from now on; None
    /// unless there are so many.
    pub fn reserve_numbers(&self, count: usize) -> Option<Vec<u32>> {
        let vids = self.numbers.reserve(count)?;
        for &vid in &vids {
            // SAFETY: as in `take_numbers`.
            unsafe { self.segments.release(vid) };
        }
        Some(vids)
    }

    /// The next fresh vid is the first of a segment.
    pub fn is_aligned(&self) -> bool {
        self.next_vid.load(Ordering::Acquire).is_multiple_of(self.segments.segment_rows())
    }

    /// Takes the segments that hold the first `count` vectors of a load; they are invisible until `entries.set`. Returns
    /// the vids in front of them that nobody gets, and the first of theirs. Under the sequencer.
    pub fn adopt_load(&self, load: &mut VectorLoad, count: u32) -> Result<(Range<u32>, u32)> {
        let rows = self.segments.segment_rows();
        let next = self.next_vid.load(Ordering::Acquire);
        let first = next.next_multiple_of(rows);
        assert!(first + count < PRIVATE_VECTOR, "a column numbers fewer than 2^31 vectors");
        self.next_vid.store(first + count, Ordering::Release);
        self.numbers.note_fresh((first + count - next) as usize);
        self.segments.adopt(first / rows, load, count.div_ceil(rows))?;
        self.entries.grow(first + count);
        Ok((next..first, first))
    }

    /// Vectors that were written before the column is anybody's (`transaction::backfill`), the first of the column's.
    pub fn filled(&self) -> u32 {
        self.filled.load(Ordering::Acquire)
    }

    /// Says whose the vectors up to `next` are that were just appended; a graph may link them, and nobody sees them yet.
    pub fn fill(&self, next: u32, owned: impl IntoIterator<Item = (u32, u32)>) {
        self.entries.set_pending(owned);
        self.filled.store(next, Ordering::Release);
        self.next_vid.store(next, Ordering::Release);
        self.published.store(next, Ordering::Release);
    }

    /// The column is the table's from `commit` on. Of the vectors that were filled in `owned` are those of rows that are
    /// there; graphs lose the others in time.
    pub fn publish_filled(&self, owned: impl IntoIterator<Item = u32>, commit: u64) {
        for vid in self.entries.publish_pending(owned, self.filled(), commit) {
            self.numbers.note_dead(commit, vid);
        }
    }

    /// Notes that `commit` has ended a vector.
    pub fn delete(&self, vid: u32, commit: u64) {
        self.entries.delete(vid, commit);
        self.numbers.note_dead(commit, vid);
    }

    /// As `append` for vectors that the log has, of a table that nobody reads yet: slots may hold what they held at the
    /// checkpoint, when their numbers belonged to others.
    pub fn restore(&self, first_vid: u32, floats: &[f32]) -> Result<()> {
        // SAFETY: nobody reads the table yet.
        unsafe { self.segments.restore_run(first_vid, floats)? };
        self.entries.grow(first_vid + self.segments.row_words().count(floats) as u32);
        Ok(())
    }

    /// Stores consecutive vectors from the next vid on, invisible until `entries.set`.
    pub fn append(&self, first_vid: u32, floats: &[f32]) -> Result<()> {
        let count = self.segments.row_words().count(floats) as u32;
        self.segments.write_run(first_vid, floats)?;
        self.entries.grow(first_vid + count);
        Ok(())
    }
}

impl VectorColumn {
    /// The words of a row, zeros if it is damaged: whoever gives out what was computed with them asks `check` first. `vid`
    /// has been given to somebody: it came from a graph, or from `entries`.
    #[inline]
    pub fn words(&self, vid: u32) -> &[f32] {
        // SAFETY: vids reach a graph or a search only through `entries`, whose length grows after the write (`append`), or
        // were below the mark at opening (`adopt`); one that is released is in no graph, and nobody sees it (`numbers`).
        let words = unsafe { self.segments.read(vid) };
        words.unwrap_or_else(|| self.damaged_words(vid))
    }

    #[cold]
    fn damaged_words(&self, vid: u32) -> &[f32] {
        // A dead vector that a graph leads through may be anything. The number may have been given again in between, to a
        // reader whose snapshot was given up: then the vector is there by now.
        if !self.entries.view().is_empty(vid) && self.segments.get(vid).is_none() {
            let none_before = |before| (before == 0).then_some(u64::from(vid) + 1);
            let _ = self.damaged.fetch_update(Ordering::AcqRel, Ordering::Acquire, none_before);
        }
        self.zero()
    }

    /// XX001 once a row's vector was found damaged: no search over the column can be trusted then.
    pub fn check(&self) -> Result<()> {
        match self.damaged.load(Ordering::Acquire) {
            0 => Ok(()),
            found => Err(Self::damage(found as u32 - 1)),
        }
    }

    /// The vector of a row. XX001 if it is damaged.
    pub fn vector(&self, vid: u32) -> Result<&[f32]> {
        self.segments.get(vid).ok_or_else(|| Self::damage(vid))
    }

    fn damage(vid: u32) -> StoreError {
        StoreError::corrupt(format!("vector {vid} does not match its checksum"))
    }

    fn zero(&self) -> &[f32] {
        // SAFETY: any bits are an f32, and a u64 is aligned for two of them.
        let (_, words, _) = unsafe { self.zero.align_to::<f32>() };
        &words[..self.segments.dim()]
    }
}
