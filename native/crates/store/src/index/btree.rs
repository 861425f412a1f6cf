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

use crate::error::Result;
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
    pub fn insert_all(&self, entries: Vec<Entry>) {
        if entries.len() <= INSERT_RUN || self.len() > 0 {
            return self.insert_runs(entries);
        }
        // The first load of a table: a tree is built from a sorted run faster than it grows, and readers do not wait.
        let built: BTreeSet<Entry> = entries.into_iter().collect();
        let bytes = built.iter().map(Entry::heap_bytes).sum();
        let mut set = write(&self.entries);
        if set.is_empty() {
            *set = built;
            self.heap_bytes.store(bytes, Ordering::Relaxed);
        } else {
            drop(set);
            self.insert_runs(built);
        }
    }

    /// No entry has this key or a larger one: what an ascending load finds, without a search.
    pub fn ends_before(&self, key: &[u8]) -> bool {
        read(&self.entries).last().is_none_or(|last| last.bytes() < key)
    }

    fn insert_runs(&self, entries: impl IntoIterator<Item = Entry>) {
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

    /// Shows up to `limit` entries of the range in key order, uncopied; gives the last one if there may be more behind it.
    pub fn visit(
        &self,
        range: &ByteRange,
        limit: usize,
        mut each: impl FnMut(&Entry) -> Result<()>,
    ) -> Result<Option<Entry>> {
        if is_empty(range) {
            return Ok(None);
        }
        let set = read(&self.entries);
        let (mut count, mut last) = (0, None);
        for entry in set.range::<[u8], _>(bounds(range)).take(limit) {
            each(entry)?;
            (count, last) = (count + 1, Some(entry));
        }
        Ok(last.filter(|_| count == limit).cloned())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u32) -> Entry {
        Entry::new(&key.to_be_bytes(), key)
    }

    #[test]
    fn a_large_run_is_the_same_index_as_its_rows_one_by_one() {
        let keys: Vec<u32> = (0..5000).map(|i| i * 7 % 5000).collect();
        let (loaded, grown) = (BtreeIndex::default(), BtreeIndex::default());
        loaded.insert_all(keys.iter().map(|&key| entry(key)).collect());
        for &key in &keys {
            grown.insert_all(vec![entry(key)]);
        }
        // Into an index that has entries, some of them the same.
        loaded.insert_all((4000..6000).map(entry).collect());
        grown.insert_all((4000..6000).map(entry).collect());
        let all = ByteRange { low: None, high: None };
        let (mut one, mut other) = (Vec::new(), Vec::new());
        loaded.read_run(&all, false, usize::MAX, &mut one);
        grown.read_run(&all, false, usize::MAX, &mut other);
        assert_eq!(one.len(), 6000);
        assert!(one.iter().zip(&other).all(|(a, b)| a.bytes() == b.bytes()));
        assert_eq!(loaded.size_bytes(), grown.size_bytes());
    }

    #[test]
    fn an_index_ends_before_keys_above_its_last() {
        let index = BtreeIndex::default();
        assert!(index.ends_before(&0u32.to_be_bytes()));
        index.insert_all(vec![entry(7)]);
        assert!(!index.ends_before(&6u32.to_be_bytes()));
        assert!(!index.ends_before(&7u32.to_be_bytes()));
        assert!(index.ends_before(&8u32.to_be_bytes()));
    }
}
