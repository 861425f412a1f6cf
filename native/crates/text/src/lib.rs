//! Full-text search: analysis, an inverted index, and BM25 exactly as Lucene computes it.
//!
//! ```text
//!   text --Analyzer--> terms --add--> Delta (in memory) --seal--> Segment (immutable bytes) --merge--> Segment
//!                                       \________________ search, ascending doc ids ________________/
//!   compact: another index of the same documents without the dead ones, numbered without gaps
//! ```
//!
//! Documents are dense `u32` numbers that the caller assigns in increasing order. Nothing here knows transactions: who may
//! see a document is a [`DocFilter`], tested inside the top-k loop.
//!
//! Invariants
//! - Statistics (documents, total length, documents per term) count exactly the documents added and not removed: scores
//!   equal those of an index rebuilt from them, to the bit, however they are spread over delta and segments.
//! - A removed document's postings stay, for readers of older snapshots, until a merge that the caller allows to drop it;
//!   its number stays taken until the index is compacted.
//! - A document's score is one sum over the query's terms in the query's order, wherever it is computed: `search` and
//!   `score` agree to the bit.
//! - `add` and `remove` are idempotent, so that a log may be replayed over a checkpoint newer than its first record.
//! - Documents without tokens do not exist here, as in Lucene: neither their number nor their length counts.
//!
//! Not here: positions and phrases, snippets, query syntax, files.

mod analysis;
mod bm25;
mod compact;
mod delta;
mod document;
mod index;
mod merge;
mod postings;
mod removed;
mod search;
mod segment;
mod top_k;

pub use analysis::{Analyzer, AnalyzerKind};
pub use bm25::TextQuery;
pub use compact::Compaction;
pub use document::AnalyzedDocument;
pub use index::{Manifest, TextIndex, TextIndexStats};
pub use merge::Merged;
pub use segment::{Segment, SegmentError};
pub use top_k::ScoredDoc;

/// What an index is made with; fixed for its life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextIndexParams {
    pub analyzer: AnalyzerKind,
    /// How soon repetitions of a term stop counting; zero or more.
    pub k1: f32,
    /// How much a long document is held against itself, 0 to 1.
    pub b: f32,
}

impl TextIndexParams {
    /// Lucene's defaults: k1 1.2, b 0.75.
    pub fn new(analyzer: AnalyzerKind) -> Self {
        Self { analyzer, k1: 1.2, b: 0.75 }
    }
}

/// Which documents may be answers. Called per candidate, so searches are compiled per filter type.
pub trait DocFilter {
    /// True for a filter that accepts everything.
    const ACCEPTS_ALL: bool = false;

    fn accepts(&self, doc: u32) -> bool;
}

/// The filter of an unfiltered search.
pub struct AllDocs;

impl DocFilter for AllDocs {
    const ACCEPTS_ALL: bool = true;

    fn accepts(&self, _doc: u32) -> bool {
        true
    }
}

impl<F: Fn(u32) -> bool> DocFilter for F {
    fn accepts(&self, doc: u32) -> bool {
        self(doc)
    }
}

/// What a search did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextSearchStats {
    /// Documents whose score was computed.
    pub scored: u64,
    /// Candidates the filter turned away.
    pub filtered: u64,
    /// Posting blocks unpacked.
    pub blocks_read: u64,
    /// Posting blocks of the query's terms that were never unpacked.
    pub blocks_skipped: u64,
}
