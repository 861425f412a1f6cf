//! The btree entries that a transaction has written to one index.
//!
//! A load mostly brings its keys in ascending order: those lie in a sorted run, which costs a comparison and a push a key;
//! the others are in a tree. No entry is in both.

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};

use super::{ByteRange, Entry};
use crate::index::btree::{bounds, is_empty};

/// Shared with the lock manager while a load claims its keys (`lock::claims`). A leaf among the locks.
pub type SharedKeys = Arc<RwLock<KeySet>>;

#[derive(Default)]
pub struct KeySet {
    /// Ascending.
    run: Vec<Entry>,
    rest: BTreeSet<Entry>,
}

impl KeySet {
    pub fn insert(&mut self, entry: Entry) {
        if self.run.last().is_none_or(|last| *last < entry) {
            self.run.push(entry);
        } else if self.run.binary_search(&entry).is_err() {
            self.rest.insert(entry);
        }
    }

    /// Cheap for the entries inserted last, which is what is taken back.
    pub fn remove(&mut self, entry: &Entry) {
        if self.run.last() == Some(entry) {
            self.run.pop();
        } else if let Ok(at) = self.run.binary_search(entry) {
            self.run.remove(at);
        } else {
            self.rest.remove(entry.bytes());
        }
    }

    /// No entry has this key or a larger one: what an ascending load finds, without a search.
    fn ends_before(&self, key: &[u8]) -> bool {
        let before = |last: Option<&Entry>| last.is_none_or(|last| last.bytes() < key);
        before(self.run.last()) && before(self.rest.last())
    }

    /// Entries with exactly this key, in no order.
    pub fn with_key(&self, key: &[u8]) -> impl Iterator<Item = &Entry> {
        let range = (!self.ends_before(key)).then(|| ByteRange::of_key(key));
        let parts = range.map(|range| {
            let (from, to) = self.run_part(&range);
            let rest: Vec<&Entry> = self.rest.range::<[u8], _>(bounds(&range)).collect();
            self.run[from..to].iter().chain(rest)
        });
        parts.into_iter().flatten().filter(move |entry| entry.key() == key)
    }

    pub fn has_key(&self, key: &[u8]) -> bool {
        self.with_key(key).next().is_some()
    }

    fn run_part(&self, range: &ByteRange) -> (usize, usize) {
        let below = |edge: &[u8]| self.run.partition_point(|entry| entry.bytes() < edge);
        let from = range.low.as_deref().map_or(0, below);
        (from, range.high.as_deref().map_or(self.run.len(), below))
    }

    /// The entries of a range in key order.
    pub fn range(&self, range: &ByteRange) -> Vec<Entry> {
        if is_empty(range) {
            return Vec::new();
        }
        let (from, to) = self.run_part(range);
        let mut found = self.run[from..to].to_vec();
        let from_run = found.len();
        found.extend(self.rest.range::<[u8], _>(bounds(range)).cloned());
        if from_run > 0 && found.len() > from_run {
            found.sort_unstable();
        }
        found
    }

    /// Entries in the range, at most `limit`.
    pub fn count(&self, range: &ByteRange, limit: usize) -> usize {
        if is_empty(range) {
            return 0;
        }
        let (from, to) = self.run_part(range);
        let rest = self.rest.range::<[u8], _>(bounds(range)).take(limit).count();
        (to - from + rest).min(limit)
    }

    /// Calls `each` for every entry in key order.
    pub fn for_each<E>(&self, mut each: impl FnMut(&Entry) -> Result<(), E>) -> Result<(), E> {
        let mut rest = self.rest.iter().peekable();
        for entry in &self.run {
            while let Some(first) = rest.next_if(|first| *first < entry) {
                each(first)?;
            }
            each(entry)?;
        }
        rest.try_for_each(each)
    }

    pub fn len(&self) -> usize {
        self.run.len() + self.rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u32, rid: u32) -> Entry {
        Entry::new(&key.to_be_bytes(), rid)
    }

    /// Against a tree: entries come ascending for a while, then anywhere, some twice, some taken back.
    #[test]
    fn a_set_of_keys_is_what_a_tree_is() {
        let (mut set, mut model) = (KeySet::default(), BTreeSet::new());
        for i in 0..4000u32 {
            let random = i.wrapping_mul(2_654_435_761) >> 16;
            let key = if i % 1000 < 700 { i * 16 } else { random };
            set.insert(entry(key, i % 3));
            model.insert(entry(key, i % 3));
            if i % 7 == 0 {
                let gone = if i % 2 == 0 { entry(key, i % 3) } else { entry(random, random % 3) };
                set.remove(&gone);
                model.remove(&gone);
            }
        }
        assert_eq!(set.len(), model.len());
        let mut all = Vec::new();
        let done: Result<(), ()> = set.for_each(|entry| {
            all.push(entry.clone());
            Ok(())
        });
        assert!(done.is_ok() && all.iter().eq(model.iter()));
        for i in 0..500u32 {
            let key = i.wrapping_mul(0x9E37_79B9) >> 16;
            let bytes = key.to_be_bytes();
            let range = ByteRange {
                low: Some(bytes.to_vec()),
                high: Some((key + 900).to_be_bytes().to_vec()),
            };
            let expected: Vec<Entry> = model.range::<[u8], _>(bounds(&range)).cloned().collect();
            assert_eq!(set.range(&range).len(), expected.len());
            assert!(set.range(&range).iter().eq(expected.iter()));
            assert_eq!(set.count(&range, 7), expected.len().min(7));
            assert_eq!(set.has_key(&bytes), model.iter().any(|entry| entry.key() == bytes));
        }
    }
}
