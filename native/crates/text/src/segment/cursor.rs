//! Walking a term's postings in a segment. Moving between blocks reads headers only; a block's documents are unpacked when
//! one is looked for, its counts when one is asked for.

use super::pack::{packed_bytes, unpack};
use super::{BlockHeader, Entry};
use crate::postings::{BLOCK_DOCS, Bounds, NO_MORE_DOCS, PostingCursor};

/// Documents a seek steps over before it starts halving.
const STEPS: usize = 4;

pub(crate) struct SegmentCursor<'a> {
    headers: &'a [u8],
    blocks: &'a [u8],
    /// The document before the segment's first, from which the first gap counts.
    origin: u32,
    docs: u32,
    bounds: Bounds,
    /// The current block and its header; past the end when `block` is the number of blocks.
    block: usize,
    header: BlockHeader,
    /// The block whose documents are in `unpacked`, if any, and whether its counts are in `tfs`.
    open: Option<usize>,
    tfs_unpacked: bool,
    opened: u64,
    /// The current document, once there was a `seek`; its place in the block and the block's number of documents.
    current: u32,
    at: usize,
    count: usize,
    unpacked: [u32; BLOCK_DOCS],
    tfs: [u32; BLOCK_DOCS],
}

impl<'a> SegmentCursor<'a> {
    pub(super) fn new(first_doc: u32, entry: Entry, headers: &'a [u8], blocks: &'a [u8]) -> Self {
        Self {
            headers,
            blocks,
            origin: first_doc.wrapping_sub(1),
            docs: entry.docs,
            bounds: entry.bounds,
            block: 0,
            header: BlockHeader::read(headers, 0),
            open: None,
            tfs_unpacked: false,
            opened: 0,
            current: NO_MORE_DOCS,
            at: 0,
            count: 0,
            unpacked: [0; BLOCK_DOCS],
            tfs: [0; BLOCK_DOCS],
        }
    }

    fn block_count(&self) -> usize {
        (self.docs as usize).div_ceil(BLOCK_DOCS)
    }

    fn unpack_docs(&mut self) {
        self.count = BLOCK_DOCS.min(self.docs as usize - self.block * BLOCK_DOCS);
        let bytes = &self.blocks[self.header.offset as usize..];
        unpack(bytes, self.header.doc_bits, &mut self.unpacked[..self.count]);
        let mut previous = match self.block {
            0 => self.origin,
            block => BlockHeader::read(self.headers, block - 1).last_doc,
        };
        for doc in &mut self.unpacked[..self.count] {
            // Wrapping: the first gap of document 0 counts from the number before it, and checking reads any bytes.
            previous = previous.wrapping_add(*doc).wrapping_add(1);
            *doc = previous;
        }
        self.at = 0;
        self.open = Some(self.block);
        self.tfs_unpacked = false;
        self.opened += 1;
    }

    fn unpack_tfs(&mut self) {
        let from = self.header.offset as usize + packed_bytes(self.count, self.header.doc_bits);
        unpack(&self.blocks[from..], self.header.tf_bits, &mut self.tfs[..self.count]);
        for tf in &mut self.tfs[..self.count] {
            *tf = tf.wrapping_add(1);
        }
        self.tfs_unpacked = true;
    }

    fn move_to(&mut self, target: u32) {
        self.seek_block(target);
        if self.block == self.block_count() {
            self.current = NO_MORE_DOCS;
            return;
        }
        if self.open != Some(self.block) {
            self.unpack_docs();
        }
        // The next document is mostly near: a few steps, then halving.
        let rest = &self.unpacked[self.at..self.count];
        self.at += match rest.iter().take(STEPS).position(|&doc| doc >= target) {
            Some(near) => near,
            None => rest.partition_point(|&doc| doc < target),
        };
        self.current = self.unpacked[self.at];
    }

    /// The next whole block: its documents, their counts, and the bounds its header claims.
    pub fn next_block(&mut self) -> Option<(&[u32], &[u32], Bounds, u32)> {
        if self.block == self.block_count() {
            return None;
        }
        self.unpack_docs();
        self.unpack_tfs();
        let (bounds, last) = (self.header.bounds, self.header.last_doc);
        self.next_header();
        Some((&self.unpacked[..self.count], &self.tfs[..self.count], bounds, last))
    }

    fn next_header(&mut self) {
        self.block += 1;
        if self.block < self.block_count() {
            self.header = BlockHeader::read(self.headers, self.block);
        }
    }
}

impl PostingCursor for SegmentCursor<'_> {
    fn seek_block(&mut self, target: u32) {
        while self.block_last() < target {
            self.next_header();
        }
    }

    fn block_last(&self) -> u32 {
        if self.block < self.block_count() { self.header.last_doc } else { NO_MORE_DOCS }
    }

    fn block_bounds(&self) -> Bounds {
        if self.block < self.block_count() { self.header.bounds } else { Bounds::NONE }
    }

    fn list_bounds(&self) -> Bounds {
        self.bounds
    }

    #[inline]
    fn seek(&mut self, target: u32) -> u32 {
        // Most calls ask lists that are ahead already.
        if self.open.is_none() || self.current < target {
            self.move_to(target);
        }
        self.current
    }

    #[inline]
    fn doc(&self) -> u32 {
        self.current
    }

    fn tf(&mut self) -> u32 {
        // `open` may lag behind `block`, which `seek_block` moves alone; counts are asked for right after a `seek`.
        debug_assert_eq!(self.open, Some(self.block));
        if !self.tfs_unpacked {
            self.unpack_tfs();
        }
        self.tfs[self.at]
    }

    fn blocks(&self) -> (u64, u64) {
        (self.block_count() as u64, self.opened)
    }
}
