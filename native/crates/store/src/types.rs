//! Plain data of the engine's public face: the Rust words of `native/engine.ts`.

use omen_disk::RowWords;
pub use omen_hnsw::Quantisation;
pub use omen_kernels::Metric;

pub use crate::table::upkeep::Runs;

/// How a column is stored; several SQL types share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    Bool,
    I32,
    I64,
    F64,
    Bytes,
    /// Rows of `dim` words, in vector segments.
    Vector,
    /// As Vector, but a row has 1 + 2n words, at most `dim`, and begins with n: what lies behind them in a caller's buffer is
    /// not kept (`Form::Sparse`).
    Counted,
}

impl StorageKind {
    /// Whether values lie in vector segments, and cells name them.
    pub fn is_vector(self) -> bool {
        matches!(self, Self::Vector | Self::Counted)
    }
}

/// Kind of one column; `dim` is the words of a vector, or the most of them, and 0 for other kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnSpec {
    pub kind: StorageKind,
    pub dim: u32,
}

impl ColumnSpec {
    /// The words of a vector column's rows.
    pub fn row_words(self) -> RowWords {
        let most = self.dim as usize;
        if self.kind == StorageKind::Counted {
            RowWords::Counted { most }
        } else {
            RowWords::Fixed(most)
        }
    }
}

/// How an index column is ordered, where the storage kind alone does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Bool,
    Int,
    Float,
    Bytes,
    Numeric,
    Interval,
    Bits,
    Vector,
    Halfvec,
    Sparsevec,
    /// No part of the key: a boolean column that says which rows have an entry at all (the predicate of a partial index).
    /// Stands after the key columns.
    Guard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexColumnSpec {
    /// Position of the column in the relation, from 0.
    pub column: u16,
    pub key_kind: KeyKind,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextConfig {
    English,
    Simple,
}

/// What the 32-bit words of a vector column's rows are. Columns move words; indexes and distances know the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    F32,
    F16,
    Bits,
    Sparse,
}

/// What an hnsw index is built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphSpec {
    pub m: u16,
    pub ef_construction: u16,
    pub metric: Metric,
    pub form: Form,
    /// Elements of a vector.
    pub dim: u32,
    pub quantisation: Quantisation,
    /// How many times k of the best codes the stored vectors decide among; 0 = as the kind of code needs.
    pub rerank: u16,
}

impl GraphSpec {
    /// Over floats, as pgvector builds unless told otherwise.
    pub fn new(dim: u32, metric: Metric) -> Self {
        Self {
            m: 16,
            ef_construction: 64,
            metric,
            form: Form::F32,
            dim,
            quantisation: Quantisation::None,
            rerank: 0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IndexMethod {
    Btree { unique: bool, nulls_not_distinct: bool },
    Hnsw(GraphSpec),
    Bm25 { config: TextConfig, k1: f32, b: f32 },
}

#[derive(Debug, Clone, PartialEq)]
pub struct IndexSpec {
    pub index_id: u32,
    pub relation_id: u32,
    pub method: IndexMethod,
    pub columns: Vec<IndexColumnSpec>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceSpec {
    pub sequence_id: u32,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cycle: bool,
    pub temporary: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceState {
    pub last_value: i64,
    pub is_called: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// What to do when a lock is held by somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockPolicy {
    Wait,
    /// 55P03 for rows; `Acquire::Unavailable` for relations.
    NoWait,
    Skip,
}

/// Row lock strengths in PostgreSQL's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowLockMode {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

/// Answer of a lock call. A token is always greater than 0 and fits an i32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acquire {
    Granted,
    Unavailable,
    /// Repeat the call when the session's channel has delivered the token.
    Wait(u32),
}

/// What `lock_rows` found per row; the numbers are those of `RowLockOutcome` in `native/engine.ts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RowOutcome {
    Locked = 0,
    Changed = 1,
    Gone = 2,
    Skipped = 3,
}

/// How far `lock_rows` came: `token` > 0 when it stopped to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedRows {
    pub done: usize,
    pub token: u32,
}

/// Why a write call did fewer rows than asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteStop {
    Done,
    /// A unique index has the key already, in a committed row or one of this transaction.
    Conflict {
        index_id: u32,
        rid: u32,
    },
    Wait(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub done: usize,
    pub stop: WriteStop,
}

/// Answer of a call that fills column buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    Rows(usize),
    /// Nothing was consumed: the bytes buffer at position `column` must hold `needed` bytes.
    TooSmall {
        column: usize,
        needed: usize,
    },
}

/// Which entries of an index a range without bounds takes, by NULL in the first column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NullEntries {
    #[default]
    All,
    Only,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchMode {
    Auto,
    Graph,
    Exact,
}

/// Why and how a search ran; the fields are the slots of `SearchStat`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SearchStats {
    /// 0 graph, 1 graph then exact, 2 exact; text: 0 pruned, 2 exhaustive.
    pub path: u32,
    pub visited: u64,
    pub distances: u64,
    pub tail: u64,
    pub blocks_read: u64,
    pub blocks_skipped: u64,
    /// Rows of the range that was searched, where the engine found them itself.
    pub matching: u64,
    /// Width of the graph's beam; what it had got to where it stopped by itself; zero without a graph.
    pub beam: u64,
    /// The slack after which it stopped; zero where it did not.
    pub slack: f64,
    /// Under a wanted recall, what such searches were measured to find; zero where none was measured.
    pub recall: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RelationStatistics {
    pub row_count: u64,
    /// Versions that have ended and are still here.
    pub dead_count: u64,
    /// Versions dropped since the table was loaded.
    pub reclaimed_count: u64,
    pub size_bytes: u64,
    pub chunk_count: u64,
    pub runs: Runs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexStatistics {
    pub entry_count: u64,
    pub size_bytes: u64,
    pub linked_count: u64,
    /// Dead vectors or documents given back since the index was loaded.
    pub reclaimed_count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildProgress {
    pub index_id: u32,
    pub relation_id: u32,
    /// The session that builds.
    pub process_id: u32,
    /// The caller's own words about it.
    pub label: String,
    pub phase: &'static str,
    pub done: u64,
    pub total: u64,
}

/// A backup that is asked for or being written; `done` and `total` in bytes of the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupProgress {
    pub process_id: u32,
    pub phase: &'static str,
    pub done: u64,
    pub total: u64,
}

/// A VACUUM that is asked for or under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VacuumProgress {
    pub process_id: u32,
    pub relation_id: u32,
    pub phase: &'static str,
    /// Chunks of the table, those that were looked at, and those rewritten.
    pub chunks: u64,
    pub scanned: u64,
    pub rewritten: u64,
    /// Dead versions there were when it began, and those taken out of the indexes.
    pub dead: u64,
    pub dropped: u64,
}

/// One committed catalogue change; `value` None = removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogChange {
    pub key: String,
    pub value: Option<String>,
}

/// Result of `commit`: either done or a token after which `commit_result` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    Done,
    Wait(u32),
}
