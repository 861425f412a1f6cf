//! A chunk: up to 4,096 row versions with their commit numbers.
//!
//! Everything but `xmax` is written before the chunk is shared or, in the open tail, under the table's write lock.
//! `xmax` is an atomic that goes from 0 to a commit number once, so sealed chunks are read without a lock: a reader at
//! snapshot S compares numbers, and every number stored while it looks is greater than S.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::rows::Rows;

#[derive(Debug)]
enum Xmin {
    /// All rows by one commit: stamped once.
    Uniform(u64),
    Each(Vec<u64>),
}

#[derive(Debug)]
pub struct Chunk {
    pub rows: Rows,
    pub rids: Vec<u32>,
    xmin: Xmin,
    max_xmin: u64,
    xmax: Vec<AtomicU64>,
    /// Slots with an xmax.
    ended: AtomicU32,
}

impl Chunk {
    /// An empty chunk to append to.
    pub fn open(rows: Rows) -> Self {
        Self {
            rows,
            rids: Vec::new(),
            xmin: Xmin::Each(Vec::new()),
            max_xmin: 0,
            xmax: Vec::new(),
            ended: AtomicU32::new(0),
        }
    }

    /// A whole chunk by one commit.
    pub fn sealed(rows: Rows, rids: Vec<u32>, xmin: u64) -> Self {
        assert_eq!(rows.len(), rids.len(), "a rid for every row");
        let xmax = std::iter::repeat_with(|| AtomicU64::new(0)).take(rids.len()).collect();
        Self {
            rows,
            rids,
            xmin: Xmin::Uniform(xmin),
            max_xmin: xmin,
            xmax,
            ended: AtomicU32::new(0),
        }
    }

    pub fn len(&self) -> usize {
        self.rids.len()
    }

    /// Accounts for a row just pushed to `rows`.
    pub fn push_stamp(&mut self, rid: u32, xmin: u64, xmax: u64) {
        self.rids.push(rid);
        match &mut self.xmin {
            Xmin::Each(all) => all.push(xmin),
            Xmin::Uniform(_) => panic!("append to a sealed chunk"),
        }
        self.max_xmin = self.max_xmin.max(xmin);
        self.xmax.push(AtomicU64::new(xmax));
        if xmax != 0 {
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn xmin(&self, slot: usize) -> u64 {
        match &self.xmin {
            Xmin::Uniform(xmin) => *xmin,
            Xmin::Each(all) => all[slot],
        }
    }

    pub fn xmax(&self, slot: usize) -> u64 {
        self.xmax[slot].load(Ordering::Acquire)
    }

    pub fn end(&self, slot: usize, commit: u64) {
        let before = self.xmax[slot].swap(commit, Ordering::AcqRel);
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

    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::Acquire) as usize
    }

    pub fn size_bytes(&self) -> usize {
        self.rows.size_bytes() + self.len() * 20
    }
}
