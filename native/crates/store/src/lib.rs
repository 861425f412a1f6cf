//! The transactional engine: tables with versions, indexes, locks, snapshots, the commit log and recovery.
//!
//! ```text
//!   Engine ── Session ── Transaction ── private rows, locks, undo            (transaction/)
//!     │                      │ commit
//!     │                      ▼
//!     │                  CommitRequest ── numbers, redo ── log group ── publish (commit/, durable/)
//!     ▼                                                          │
//!   Table ── chunks of row versions (xmin, xmax)                 ▼
//!     ├── VectorColumn: segments + who sees which vid        checkpoints: chunk files, KV, segments, graphs, texts
//!     └── Index: btree | hnsw | bm25, derived from the rows
//! ```
//!
//! Visibility is two numbers: a version is seen at snapshot S when `xmin <= S` and (`xmax == 0` or `xmax > S`).
//! Uncommitted rows are never in shared chunks. A commit's number becomes visible after its log group is synced.
//!
//! btree indexes are not stored: they are rebuilt from the rows when a table is loaded, so commits write no index pages
//! and the log carries rows only. A table is loaded at first touch or by the pool after the start: its chunk files are
//! mapped, its part of the log is applied to it.
//!
//! Lock order (take from left to right, never back):
//!
//! ```text
//!   Session.current → Transaction.state → Bm25Index.turn → Engine.sequencer → Backups.holds
//!     → Engine registries (tables, indexes, sequences, ...) → Table.data → index and vector structures → Table.rids, Table.stored, log → lock shards, snapshots, channels
//! ```
//!
//! `Transaction.state` and `Engine.sequencer` are never waited for by the pool or the durable threads while they hold a
//! lock to their right. The lock manager's own order is in `lock`.
//!
//! Not here: SQL, types beyond their storage, names. Levels other than READ COMMITTED and REPEATABLE READ are refused
//! above.

mod catalog;
mod collect;
mod column;
mod commit;
mod durable;
mod engine;
mod error;
mod index;
mod key;
mod lock;
#[cfg(all(test, feature = "model"))]
mod model;
mod pool;
mod reclaim;
mod removal;
mod sequence;
mod serializable;
mod session;
mod snapshot;
mod sync;
mod table;
mod transaction;
mod types;
mod vacuum;
mod value;

pub use column::{ColumnMut, ColumnRef, KeyRange, ValuesMut, ValuesRef};
pub use commit::Acknowledgement;
pub use durable::{BackupTarget, CheckedPart, OpenTarget, check};
pub use engine::{Engine, EngineOptions, Storage};
pub use error::{Result, StoreError, sqlstate};
pub use lock::{LockStatus, LockTag, MODE_DEPARTURE};
pub use session::{Channel, Notifier, Session};
pub use transaction::{
    IndexCursor, NearestInRange, RangeQuery, ScanCursor, TextQuery, Transaction, VectorQuery,
};
pub use types::*;
