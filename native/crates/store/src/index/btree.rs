//! An ordered index in memory: entries (key bytes, rid), without versions.
//!
//! Derived from the rows and rebuilt when a table is loaded, as in Hekaton: the log and the KV hold rows only. That
//! costs a pass over the rows at first touch and gives commits without index writes. An entry says "some version of
//! this row had this key"; readers recheck the key on the version they see. The type hides the map, so that a denser
//! tree can take its place.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::key::{ByteRange, Entry};
use crate::sync::{read, write};

/// Entries inserted under one hold of the write lock, so that readers get in between.
const INSERT_RUN: usize = 1024;

#[derive(Default)]
pub struct BtreeIndex {
    entries: RwLock<BTreeSet<Entry>>,
    heap_bytes: AtomicUsize,
}

pub fn bounds(range: &ByteRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (
        range.low.as_deref().map_or(Bound::Unbounded, Bound::Included),
        range.high.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
    )
}

/// True for bounds no entry lies between; `BTreeSet::range` panics on them.
pub fn is_empty(range: &ByteRange) -> bool {
    matches!((&range.low, &range.high), (Some(low), Some(high)) if low >= high)
}

impl BtreeIndex {
    pub fn insert_all(&self, entries: impl IntoIterator<Item = Entry>) {
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let mut set = write(&self.entries);
            for entry in entries.by_ref().take(INSERT_RUN) {
                let bytes = entry.heap_bytes();
                if set.insert(entry) {
                    self.heap_bytes.fetch_add(bytes, Ordering::Relaxed);
                }
            }
        }
    }

    /// Takes a sorted run into an index nobody reads yet.
    pub fn fill(&self, entries: Vec<Entry>) {
        let bytes = entries.iter().map(Entry::heap_bytes).sum();
        *write(&self.entries) = entries.into_iter().collect();
        self.heap_bytes.store(bytes, Ordering::Relaxed);
    }

    pub fn remove(&self, entry: &Entry) {
        if write(&self.entries).remove(entry.bytes()) {
            self.heap_bytes.fetch_sub(entry.heap_bytes(), Ordering::Relaxed);
        }
    }

    /// Appends up to `limit` entries of the range to `out`, in key order or backward. The caller goes on from the last.
    pub fn read_run(&self, range: &ByteRange, backward: bool, limit: usize, out: &mut Vec<Entry>) {
        if is_empty(range) {
            return;
        }
        let set = read(&self.entries);
        let run = set.range::<[u8], _>(bounds(range));
        if backward {
            out.extend(run.rev().take(limit).cloned());
        } else {
            out.extend(run.take(limit).cloned());
        }
    }

    pub fn count(&self, range: &ByteRange, limit: usize) -> usize {
        if is_empty(range) {
            return 0;
        }
        read(&self.entries).range::<[u8], _>(bounds(range)).take(limit).count()
    }

    pub fn len(&self) -> usize {
        read(&self.entries).len()
    }

    pub fn size_bytes(&self) -> usize {
        // B-tree nodes are on average two thirds full.
        self.len() * size_of::<Entry>() * 3 / 2 + self.heap_bytes.load(Ordering::Relaxed)
    }
}
