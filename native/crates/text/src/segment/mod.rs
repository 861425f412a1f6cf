//! An immutable run of documents as one block of bytes, the same in memory and on disk. All numbers little-endian.
//!
//! ```text
//!   header      magic "OMENTEXT"  version u32  zero u32  id u64  total length u64  first doc u32  doc span u32
//!               docs u32  terms u32  term bytes u32  postings bytes u64  CRC32C of the above u32
//!   norms       one byte per document number from the first on; zero: no such document
//!   dictionary  per term, in byte order: end in the term bytes u32, docs u32, postings offset u64,
//!               bounds [u8; 12];   then the term bytes
//!   postings    per term: its block headers, then its blocks;  eight zero bytes at the very end
//!   bounds      largest tf u32, smallest norm for tf 1, 2, 3, -5, -8, -12, -19, more [u8; 8]
//!   block header  last doc u32, offset u32 (from the end of the term's headers), bounds [u8; 12],
//!               bits per doc u8, bits per tf u8, zero [u8; 2]
//!   block       up to 128 docs as gaps - 1 (the first from the previous block's last doc, or from first doc - 1),
//!               then their tf - 1, both packed to the header's bits
//!   CRC32C of everything after the header u32
//! ```
//!
//! [`Segment::open`] checks all of it once, every posting included; after that nothing read from a segment can be out of
//! range or out of order.

mod check;
mod cursor;
mod pack;
mod writer;

pub(crate) use cursor::SegmentCursor;
pub(crate) use writer::SegmentWriter;

use crate::bm25::CollectionStatistics;
use crate::postings::{BLOCK_DOCS, Bounds};

const MAGIC: [u8; 8] = *b"OMENTEXT";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
const ENTRY_BYTES: usize = 28;
const BLOCK_HEADER_BYTES: usize = 24;
const CRC_BYTES: usize = 4;

/// Why bytes are not a segment (or not an index's removal record).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentError {
    /// Not this kind of file at all.
    BadMagic,
    /// Written by a newer program.
    UnsupportedVersion(u32),
    /// Damaged; the text says where.
    Corrupt(&'static str),
}

impl SegmentError {
    /// The SQLSTATE to report: `feature_not_supported` or `data_corrupted`.
    pub fn sql_state(&self) -> &'static str {
        match self {
            Self::UnsupportedVersion(_) => "0A000",
            Self::BadMagic | Self::Corrupt(_) => "XX001",
        }
    }
}

impl std::fmt::Display for SegmentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadMagic => f.write_str("not a text index file"),
            Self::UnsupportedVersion(version) => {
                write!(f, "text index file of unknown version {version}")
            }
            Self::Corrupt(what) => write!(f, "text index file is damaged: {what}"),
        }
    }
}

impl std::error::Error for SegmentError {}

/// See the module's documentation.
pub struct Segment {
    bytes: Vec<u8>,
    header: Header,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    id: u64,
    total_length: u64,
    first_doc: u32,
    doc_span: u32,
    docs: u32,
    terms: u32,
    term_bytes: u32,
    postings_bytes: u64,
}

/// A term's entry in the dictionary.
#[derive(Clone, Copy, Debug)]
struct Entry {
    term_end: u32,
    docs: u32,
    postings_at: u64,
    bounds: Bounds,
}

#[derive(Clone, Copy, Debug)]
struct BlockHeader {
    last_doc: u32,
    offset: u32,
    bounds: Bounds,
    doc_bits: u8,
    tf_bits: u8,
}

/// The `N` bytes at `at`, which the caller knows to be there.
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(bytes, at))
}

fn bounds_at(bytes: &[u8], at: usize) -> Bounds {
    Bounds { largest_tf: u32_at(bytes, at), norms: bytes_at(bytes, at + 4) }
}

fn put_bounds(bounds: Bounds, bytes: &mut [u8]) {
    bytes[..4].copy_from_slice(&bounds.largest_tf.to_le_bytes());
    bytes[4..].copy_from_slice(&bounds.norms);
}

impl BlockHeader {
    fn read(headers: &[u8], block: usize) -> Self {
        let bytes: [u8; BLOCK_HEADER_BYTES] = bytes_at(headers, block * BLOCK_HEADER_BYTES);
        Self {
            last_doc: u32_at(&bytes, 0),
            offset: u32_at(&bytes, 4),
            bounds: bounds_at(&bytes, 8),
            doc_bits: bytes[20],
            tf_bits: bytes[21],
        }
    }

    fn to_bytes(self) -> [u8; BLOCK_HEADER_BYTES] {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.last_doc.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.offset.to_le_bytes());
        put_bounds(self.bounds, &mut bytes[8..20]);
        bytes[20..22].copy_from_slice(&[self.doc_bits, self.tf_bits]);
        bytes
    }
}

impl Entry {
    fn read(entries: &[u8], term: usize) -> Self {
        let bytes: [u8; ENTRY_BYTES] = bytes_at(entries, term * ENTRY_BYTES);
        Self {
            term_end: u32_at(&bytes, 0),
            docs: u32_at(&bytes, 4),
            postings_at: u64_at(&bytes, 8),
            bounds: bounds_at(&bytes, 16),
        }
    }

    fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[0..4].copy_from_slice(&self.term_end.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.docs.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.postings_at.to_le_bytes());
        put_bounds(self.bounds, &mut bytes[16..28]);
        bytes
    }

    fn blocks(&self) -> usize {
        (self.docs as usize).div_ceil(BLOCK_DOCS)
    }
}

impl Segment {
    /// The number this segment was made with, unique in its index.
    pub fn id(&self) -> u64 {
        self.header.id
    }

    /// What a file of this segment holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Document numbers in this segment lie in this range.
    pub fn docs(&self) -> std::ops::Range<u32> {
        self.header.first_doc..self.header.first_doc + self.header.doc_span
    }

    /// The documents here, removed ones included, in their order.
    pub fn documents(&self) -> impl Iterator<Item = u32> {
        self.docs().zip(self.norms()).filter(|(_, norm)| **norm != 0).map(|(doc, _)| doc)
    }

    pub(crate) fn statistics(&self) -> CollectionStatistics {
        CollectionStatistics {
            docs: self.header.docs as u64,
            total_length: self.header.total_length,
        }
    }

    pub(crate) fn term_count(&self) -> usize {
        self.header.terms as usize
    }

    fn section(&self, from: usize, length: usize) -> &[u8] {
        &self.bytes[HEADER_BYTES + from..][..length]
    }

    pub(crate) fn norms(&self) -> &[u8] {
        self.section(0, self.header.doc_span as usize)
    }

    /// The norm byte of a document; zero when it is not here.
    #[inline]
    pub(crate) fn norm(&self, doc: u32) -> u8 {
        let at = doc.checked_sub(self.header.first_doc);
        at.and_then(|at| self.norms().get(at as usize)).copied().unwrap_or(0)
    }

    fn entries(&self) -> &[u8] {
        self.section(self.header.doc_span as usize, self.term_count() * ENTRY_BYTES)
    }

    fn term_bytes(&self) -> &[u8] {
        let from = self.header.doc_span as usize + self.term_count() * ENTRY_BYTES;
        self.section(from, self.header.term_bytes as usize)
    }

    fn postings(&self) -> &[u8] {
        let from = self.header.doc_span as usize
            + self.term_count() * ENTRY_BYTES
            + self.header.term_bytes as usize;
        self.section(from, self.header.postings_bytes as usize)
    }

    fn entry(&self, at: usize) -> Entry {
        Entry::read(self.entries(), at)
    }

    pub(crate) fn term(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.entry(at - 1).term_end };
        &self.term_bytes()[start as usize..self.entry(at).term_end as usize]
    }

    /// The dictionary position of a term.
    pub(crate) fn find(&self, term: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.term_count());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.term(middle).cmp(term.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// Documents here that hold the term, removed ones included.
    pub(crate) fn docs_with(&self, term: &str) -> u32 {
        self.find(term).map_or(0, |at| self.entry(at).docs)
    }

    pub(crate) fn cursor(&self, term: &str) -> Option<SegmentCursor<'_>> {
        self.find(term).map(|at| self.cursor_at(at))
    }

    pub(crate) fn cursor_at(&self, at: usize) -> SegmentCursor<'_> {
        let entry = self.entry(at);
        let list = &self.postings()[entry.postings_at as usize..];
        let (headers, blocks) = list.split_at(entry.blocks() * BLOCK_HEADER_BYTES);
        SegmentCursor::new(self.header.first_doc, entry, headers, blocks)
    }
}
