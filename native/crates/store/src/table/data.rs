//! The committed versions of one table: sealed chunks, the open tail, and where the versions of a row id are.
//!
//! ```text
//!   chunks[0] chunks[1] ... sealed, behind Arc      tail: open, grows under the write lock
//!        ^                                            ^
//!   older[rid] = superseded slots, oldest first    loc[rid] = newest slot
//! ```
//!
//! A row version that some snapshot may still need after its successor was committed is in `older`; a deleted row stays
//! in `loc`. Both also stand in `ghosts` in commit order until no snapshot can see them and garbage collection drops
//! them. Most rows have one version and are in neither.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::chunk::Chunk;
use super::rows::Rows;

/// A slot as (chunk, position): chunk number times 4,096 plus position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u64);

const SLOT_BITS: u32 = 12;
/// `loc` of a row id without a committed version.
const NOWHERE: u64 = 0;

impl Slot {
    pub fn new(chunk: usize, position: usize) -> Self {
        Self((chunk as u64) << SLOT_BITS | position as u64)
    }

    pub fn chunk(self) -> usize {
        (self.0 >> SLOT_BITS) as usize
    }

    pub fn position(self) -> usize {
        (self.0 & ((1 << SLOT_BITS) - 1)) as usize
    }
}

/// A version that ended: by an update or delete committed as `xmax`.
#[derive(Debug, Clone, Copy)]
pub struct Ghost {
    pub xmax: u64,
    pub rid: u32,
}

#[derive(Debug)]
pub struct TableData {
    pub chunks: Vec<Arc<Chunk>>,
    pub tail: Chunk,
    loc: Vec<u64>,
    older: HashMap<u32, Vec<Slot>>,
    pub ghosts: VecDeque<Ghost>,
    /// Rows whose newest version is not deleted.
    pub live: u64,
}

impl TableData {
    pub fn new(tail: Rows) -> Self {
        Self {
            chunks: Vec::new(),
            tail: Chunk::open(tail),
            loc: Vec::new(),
            older: HashMap::new(),
            ghosts: VecDeque::new(),
            live: 0,
        }
    }

    pub fn chunk(&self, number: usize) -> &Chunk {
        self.chunks.get(number).map_or(&self.tail, |c| c)
    }

    pub fn newest(&self, rid: u32) -> Option<Slot> {
        match self.loc.get(rid as usize) {
            None | Some(&NOWHERE) => None,
            Some(&at) => Some(Slot(at - 1)),
        }
    }

    /// The newest version, unless it is deleted.
    pub fn live(&self, rid: u32) -> Option<Slot> {
        self.newest(rid).filter(|s| self.chunk(s.chunk()).xmax(s.position()) == 0)
    }

    /// The version of a row id that `snapshot` sees.
    pub fn visible(&self, rid: u32, snapshot: u64) -> Option<Slot> {
        let sees = |slot: &Slot| self.chunk(slot.chunk()).visible(slot.position(), snapshot);
        let newest = self.newest(rid)?;
        if sees(&newest) {
            return Some(newest);
        }
        self.older.get(&rid)?.iter().rev().copied().find(sees)
    }

    /// True when the row id has one version only, so that every index entry of it is that version's.
    pub fn single_version(&self, rid: u32) -> bool {
        self.older.is_empty() || !self.older.contains_key(&rid)
    }

    /// All versions still here, newest first.
    pub fn versions(&self, rid: u32) -> impl Iterator<Item = Slot> {
        let older = self.older.get(&rid).into_iter().flatten().rev().copied();
        self.newest(rid).into_iter().chain(older)
    }

    fn set_loc(&mut self, rid: u32, slot: Slot) {
        if self.loc.len() <= rid as usize {
            self.loc.resize(rid as usize + 1, NOWHERE);
        }
        self.loc[rid as usize] = slot.0 + 1;
    }

    /// Ends the newest version of a row id; `replaced`: a new version follows.
    pub fn end_newest(&mut self, rid: u32, commit: u64, replaced: bool) {
        let slot = self.newest(rid).expect("an ended row has a version");
        self.chunk(slot.chunk()).end(slot.position(), commit);
        self.ghosts.push_back(Ghost { xmax: commit, rid });
        if replaced {
            self.older.entry(rid).or_default().push(slot);
        } else {
            self.live -= 1;
        }
    }

    /// Appends a whole chunk of new rows; `next_tail` is an empty set of the relation's columns.
    pub fn append_chunk(&mut self, chunk: Chunk, next_tail: Rows) {
        self.seal_tail(next_tail);
        let number = self.chunks.len();
        for (position, &rid) in chunk.rids.iter().enumerate() {
            // The rows of a whole private chunk are new: a replaced row goes the other way.
            self.set_loc(rid, Slot::new(number, position));
        }
        self.live += chunk.len() as u64;
        self.chunks.push(Arc::new(chunk));
    }

    /// Appends a chunk from a file, of which the rows that are not `dead` are there.
    pub fn append_stored(&mut self, chunk: Chunk, dead: impl Fn(usize) -> bool) {
        let number = self.chunks.len();
        for (position, &rid) in chunk.rids.iter().enumerate() {
            if dead(position) {
                // Before every snapshot: commit numbers start at 1.
                chunk.end(position, 1);
            } else {
                self.set_loc(rid, Slot::new(number, position));
                self.live += 1;
            }
        }
        self.chunks.push(Arc::new(chunk));
    }

    /// Closes the open chunk, unless it is empty, and opens one with the columns of `next_tail`.
    pub fn seal_tail(&mut self, next_tail: Rows) {
        let tail = std::mem::replace(&mut self.tail, Chunk::open(next_tail));
        if tail.len() > 0 {
            self.chunks.push(Arc::new(tail));
        }
    }

    /// Accounts for a row pushed to `tail.rows`. `replaced`: it follows a version ended by `end_newest`.
    pub fn stamp_tail(&mut self, rid: u32, xmin: u64, replaced: bool) {
        let slot = Slot::new(self.chunks.len(), self.tail.len());
        self.tail.push_stamp(rid, xmin, 0);
        self.set_loc(rid, slot);
        if !replaced {
            self.live += 1;
        }
    }

    /// One above the largest row id that was ever committed.
    pub fn rid_limit(&self) -> u32 {
        self.loc.len() as u32
    }

    /// Forgets the version of `rid` that ended at `xmax`; the row id itself when it was the last. Returns its slot and
    /// whether the row id is free now.
    pub fn forget(&mut self, ghost: Ghost) -> Option<(Slot, bool)> {
        let ended =
            |data: &Self, slot: Slot| data.chunk(slot.chunk()).xmax(slot.position()) == ghost.xmax;
        if let Some(slots) = self.older.get(&ghost.rid)
            && let Some(at) = slots.iter().position(|&s| ended(self, s))
        {
            let slots = self.older.get_mut(&ghost.rid).expect("just found");
            let slot = slots.remove(at);
            if slots.is_empty() {
                self.older.remove(&ghost.rid);
            }
            return Some((slot, false));
        }
        let slot = self.newest(ghost.rid).filter(|&s| ended(self, s))?;
        self.loc[ghost.rid as usize] = NOWHERE;
        Some((slot, true))
    }

    /// Puts a smaller chunk in the place of a sealed one: `kept[i]` was at `old_positions[i]`.
    pub fn replace_chunk(&mut self, number: usize, kept: Chunk, old_positions: &[usize]) {
        for (position, &old) in old_positions.iter().enumerate() {
            let rid = kept.rids[position];
            let (from, to) = (Slot::new(number, old), Slot::new(number, position));
            if self.newest(rid) == Some(from) {
                self.set_loc(rid, to);
            } else if let Some(slot) =
                self.older.get_mut(&rid).and_then(|s| s.iter_mut().find(|s| **s == from))
            {
                *slot = to;
            }
        }
        self.chunks[number] = Arc::new(kept);
    }

    /// What the ended versions take that are still here, by the size of the newest ones.
    pub fn ended_bytes(&self) -> u64 {
        let like =
            if self.tail.len() > 0 { Some(&self.tail) } else { self.chunks.last().map(|c| &**c) };
        let Some(like) = like.filter(|chunk| chunk.len() > 0) else { return 0 };
        self.ghosts.len() as u64 * (like.size_bytes() / like.len()) as u64
    }

    /// Bytes of chunks that are not in mapped files.
    pub fn heap_bytes(&self) -> usize {
        self.chunks.iter().map(|c| c.heap_bytes()).sum::<usize>() + self.tail.heap_bytes()
    }

    pub fn size_bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|c| c.size_bytes()).sum();
        chunks + self.tail.size_bytes() + self.loc.len() * 8
    }
}
