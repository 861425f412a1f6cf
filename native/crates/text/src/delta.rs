//! The newest documents, in memory, with the same block structure as a segment so that the same search runs over both.

use std::collections::HashMap;

use crate::AnalyzedDocument;
use crate::bm25::{CollectionStatistics, norm_of};
use crate::postings::{BLOCK_DOCS, Bounds, NO_MORE_DOCS, PostingCursor};

#[derive(Default)]
pub(crate) struct Delta {
    lists: HashMap<Box<str>, PostingList>,
    /// Norm bytes from `first_doc` on; zero where there is no document.
    norms: Vec<u8>,
    first_doc: u32,
    /// Documents and lengths here, removed ones included.
    pub all: CollectionStatistics,
    /// Removed documents with their lengths.
    pub removed: HashMap<u32, u32>,
    bytes: usize,
}

#[derive(Default)]
pub(crate) struct PostingList {
    pub docs: Vec<u32>,
    pub tfs: Vec<u32>,
    blocks: Vec<Bounds>,
    bounds: Option<Bounds>,
    /// How many of the documents were removed.
    pub removed: u32,
}

/// What a posting and a list without postings take.
const POSTING_BYTES: usize = 2 * size_of::<u32>();

fn list_bytes(term: &str) -> usize {
    term.len() + size_of::<PostingList>() + size_of::<Box<str>>()
}

impl Delta {
    pub fn is_empty(&self) -> bool {
        self.all.docs == 0
    }

    /// About how many bytes this keeps in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn term_count(&self) -> usize {
        self.lists.len()
    }

    pub fn lists(&self) -> impl Iterator<Item = (&str, &PostingList)> {
        self.lists.iter().map(|(term, list)| (&**term, list))
    }

    pub fn list(&self, term: &str) -> Option<&PostingList> {
        self.lists.get(term)
    }

    /// The norm byte of a document; zero when it is not here.
    #[inline]
    pub fn norm(&self, doc: u32) -> u8 {
        let at = doc.checked_sub(self.first_doc);
        at.and_then(|at| self.norms.get(at as usize)).copied().unwrap_or(0)
    }

    /// First document number and the norms from there on.
    pub fn norms(&self) -> (u32, &[u8]) {
        (self.first_doc, &self.norms)
    }

    /// The number after the last document.
    pub fn end(&self) -> u32 {
        self.first_doc + self.norms.len() as u32
    }

    /// Adds a document with at least one token; false when it is here already. Documents come in about increasing order: one
    /// that comes late costs a rebuild of its terms' block bounds.
    pub fn add(&mut self, doc: u32, document: &AnalyzedDocument) -> bool {
        if self.norm(doc) != 0 {
            return false;
        }
        let norm = norm_of(document.length());
        self.set_norm(doc, norm);
        self.all.docs += 1;
        self.all.total_length += document.length() as u64;
        for (term, tf) in document.terms() {
            self.bytes += POSTING_BYTES;
            let list = if let Some(list) = self.lists.get_mut(term) {
                list
            } else {
                self.bytes += list_bytes(term);
                self.lists.entry(term.into()).or_default()
            };
            if list.docs.last().is_none_or(|&last| last < doc) {
                list.push(doc, tf, norm);
            } else {
                let (first_doc, norms) = (self.first_doc, &self.norms);
                list.insert(doc, tf, |doc| norms[(doc - first_doc) as usize]);
            }
        }
        true
    }

    fn set_norm(&mut self, doc: u32, norm: u8) {
        if self.norms.is_empty() {
            self.first_doc = doc;
        } else if doc < self.first_doc {
            let before = (self.first_doc - doc) as usize;
            self.norms.splice(..0, std::iter::repeat_n(0, before));
            self.first_doc = doc;
        }
        let at = (doc - self.first_doc) as usize;
        if at >= self.norms.len() {
            self.norms.resize(at + 1, 0);
        }
        self.norms[at] = norm;
    }

    /// Marks a document of this delta removed; false when it is not here or was removed before.
    pub fn remove(&mut self, doc: u32, document: &AnalyzedDocument) -> bool {
        if self.norm(doc) == 0 || self.removed.insert(doc, document.length()).is_some() {
            return false;
        }
        for (term, _) in document.terms() {
            self.lists
                .get_mut(term)
                .expect("a document is removed with the text it was added with")
                .removed += 1;
        }
        true
    }

    /// Cuts off the documents from `doc` on, into a delta of their own.
    pub fn split_off(&mut self, doc: u32) -> Self {
        let mut later = Self::default();
        if doc >= self.end() {
            return later;
        }
        let keep = doc.saturating_sub(self.first_doc) as usize;
        later.first_doc = self.first_doc + keep as u32;
        later.norms = self.norms.split_off(keep);
        // Lengths are kept per document in their rounded form only, so sums are carried by term counts.
        let removed = std::mem::take(&mut self.removed);
        (later.removed, self.removed) = removed.into_iter().partition(|&(d, _)| d >= doc);
        let whole = std::mem::take(&mut self.all);
        let lists = std::mem::take(&mut self.lists);
        self.bytes = 0;
        let mut moved = 0;
        for (term, list) in lists {
            let (low, high) = list.split(doc, |d| later.norm(d).max(self.norm(d)), &later.removed);
            moved += high.tfs.iter().map(|&tf| tf as u64).sum::<u64>();
            for (part, into) in [(low, &mut *self), (high, &mut later)] {
                if !part.docs.is_empty() {
                    into.bytes += list_bytes(&term) + part.docs.len() * POSTING_BYTES;
                    into.lists.insert(term.clone(), part);
                }
            }
        }
        let count = |norms: &[u8]| norms.iter().filter(|&&norm| norm != 0).count() as u64;
        later.all = CollectionStatistics { docs: count(&later.norms), total_length: moved };
        self.all = CollectionStatistics {
            docs: whole.docs - later.all.docs,
            total_length: whole.total_length - moved,
        };
        later
    }

    /// The same documents, each numbered `by` less.
    pub fn moved_down(&self, by: u32) -> Self {
        let lists = self.lists.iter().map(|(term, list)| (term.clone(), list.moved_down(by)));
        Self {
            lists: lists.collect(),
            norms: self.norms.clone(),
            first_doc: if self.norms.is_empty() { 0 } else { self.first_doc - by },
            all: self.all,
            removed: self.removed.iter().map(|(&doc, &length)| (doc - by, length)).collect(),
            bytes: self.bytes,
        }
    }

    pub fn cursor(&self, term: &str) -> Option<DeltaCursor<'_>> {
        self.lists.get(term).map(DeltaCursor::new)
    }
}

impl PostingList {
    fn push(&mut self, doc: u32, tf: u32, norm: u8) {
        if self.docs.len().is_multiple_of(BLOCK_DOCS) {
            self.blocks.push(Bounds::NONE);
        }
        if let Some(block) = self.blocks.last_mut() {
            block.add(tf, norm);
        }
        self.bounds.get_or_insert(Bounds::NONE).add(tf, norm);
        self.docs.push(doc);
        self.tfs.push(tf);
    }

    /// Puts a document between the others.
    fn insert(&mut self, doc: u32, tf: u32, norm: impl Fn(u32) -> u8) {
        let (docs, tfs) = (std::mem::take(&mut self.docs), std::mem::take(&mut self.tfs));
        let at = docs.partition_point(|&d| d < doc);
        let removed = self.removed;
        *self = Self { removed, ..Self::default() };
        for (&d, &t) in docs[..at].iter().zip(&tfs[..at]) {
            self.push(d, t, norm(d));
        }
        self.push(doc, tf, norm(doc));
        for (&d, &t) in docs[at..].iter().zip(&tfs[at..]) {
            self.push(d, t, norm(d));
        }
    }

    fn moved_down(&self, by: u32) -> Self {
        Self {
            docs: self.docs.iter().map(|doc| doc - by).collect(),
            tfs: self.tfs.clone(),
            blocks: self.blocks.clone(),
            bounds: self.bounds,
            removed: self.removed,
        }
    }

    fn split(
        self,
        doc: u32,
        norm: impl Fn(u32) -> u8,
        removed_later: &HashMap<u32, u32>,
    ) -> (Self, Self) {
        let mut parts = (Self::default(), Self::default());
        for (&d, &tf) in self.docs.iter().zip(&self.tfs) {
            if d < doc {
                parts.0.push(d, tf, norm(d));
            } else {
                parts.1.push(d, tf, norm(d));
                parts.1.removed += u32::from(removed_later.contains_key(&d));
            }
        }
        parts.0.removed = self.removed - parts.1.removed;
        parts
    }
}

/// A cursor over a list in memory; a block is "opened" when a document in it is looked for.
pub(crate) struct DeltaCursor<'a> {
    list: &'a PostingList,
    block: usize,
    at: usize,
    opened_block: Option<usize>,
    opened: u64,
}

impl<'a> DeltaCursor<'a> {
    fn new(list: &'a PostingList) -> Self {
        Self { list, block: 0, at: 0, opened_block: None, opened: 0 }
    }
}

impl PostingCursor for DeltaCursor<'_> {
    fn seek_block(&mut self, target: u32) {
        while self.block_last() < target {
            self.block += 1;
        }
    }

    fn block_last(&self) -> u32 {
        if self.block >= self.list.blocks.len() {
            return NO_MORE_DOCS;
        }
        let end = ((self.block + 1) * BLOCK_DOCS).min(self.list.docs.len());
        self.list.docs[end - 1]
    }

    fn block_bounds(&self) -> Bounds {
        self.list.blocks.get(self.block).copied().unwrap_or(Bounds::NONE)
    }

    fn list_bounds(&self) -> Bounds {
        self.list.bounds.unwrap_or(Bounds::NONE)
    }

    fn seek(&mut self, target: u32) -> u32 {
        self.seek_block(target);
        self.at = self.at.max(self.block * BLOCK_DOCS);
        let end = ((self.block + 1) * BLOCK_DOCS).min(self.list.docs.len());
        if self.at < end {
            self.at += self.list.docs[self.at..end].partition_point(|&doc| doc < target);
            if self.opened_block.replace(self.block) != Some(self.block) {
                self.opened += 1;
            }
        }
        self.doc()
    }

    fn doc(&self) -> u32 {
        self.list.docs.get(self.at).copied().unwrap_or(NO_MORE_DOCS)
    }

    fn tf(&mut self) -> u32 {
        self.list.tfs[self.at]
    }

    fn blocks(&self) -> (u64, u64) {
        (self.list.blocks.len() as u64, self.opened)
    }
}
