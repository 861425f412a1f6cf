//! Signatures of the engine's public face, in the order of `native/engine.ts`.
//!
//! All handles are `Send + Sync` and take `&self`; one transaction is used by one thread at a time.

use std::sync::Arc;

use crate::column::{ColumnMut, ColumnRef, KeyRange};
use crate::error::Result;
use crate::types::*;

/// Where the engine keeps what it must not lose.
pub enum Storage {
    /// Nothing survives.
    Memory,
    /// A folder (locked by the caller) and the ordered store inside it.
    Durable { disk: Arc<dyn omen_disk::Disk>, kv: Arc<dyn omen_disk::Kv> },
}

pub struct EngineOptions {
    pub storage: Storage,
    /// 0 = cores - 1, at least 1.
    pub pool_threads: usize,
}

/// Delivers finished wait tokens to one worker thread; called from any thread, must not block.
pub trait Notifier: Send + Sync {
    fn notify(&self, tokens: &[u32]);
}

pub struct Engine(());
pub struct Channel(());
pub struct Session(());
pub struct Transaction(());
pub struct ScanCursor(());
pub struct IndexCursor(());
/// Query terms with the statistics captured when it was made.
pub struct TextQuery(());

impl Engine {
    pub fn open(_options: EngineOptions) -> Result<Arc<Engine>> { unimplemented!() }
    pub fn open_channel(&self, _notifier: Box<dyn Notifier>) -> Arc<Channel> { unimplemented!() }
    pub fn open_session(self: &Arc<Self>, _channel: &Arc<Channel>) -> Arc<Session> { unimplemented!() }
    pub fn cancel_session(&self, _process_id: u32, _secret_key: Option<u32>) -> bool { unimplemented!() }
    pub fn terminate_session(&self, _process_id: u32) -> bool { unimplemented!() }
    pub fn allocate_oid(&self) -> Result<u32> { unimplemented!() }
    pub fn catalog_version(&self) -> u64 { unimplemented!() }
    /// (version, changes) after `version`; from 0 one change per live key.
    pub fn catalog_changes(&self, _version: u64) -> (u64, Vec<CatalogChange>) { unimplemented!() }
    pub fn relation_statistics(&self, _relation_id: u32) -> Result<RelationStatistics> { unimplemented!() }
    pub fn index_statistics(&self, _index_id: u32) -> Result<IndexStatistics> { unimplemented!() }
    pub fn build_progress(&self) -> Vec<BuildProgress> { unimplemented!() }
    /// Wait token on `channel`; errors stop the process, as a failed sync does.
    pub fn checkpoint(self: &Arc<Self>, _channel: &Arc<Channel>) -> Pending { unimplemented!() }
    pub fn shutdown(self: &Arc<Self>, _channel: &Arc<Channel>) -> Result<Pending> { unimplemented!() }
}

impl Channel {
    pub fn close(&self) { unimplemented!() }
}

impl Session {
    pub fn process_id(&self) -> u32 { unimplemented!() }
    pub fn secret_key(&self) -> u32 { unimplemented!() }
    pub fn interrupt(&self) -> u8 { unimplemented!() }
    pub fn clear_cancel(&self) { unimplemented!() }
    /// `class_id` None = the one-key space.
    pub fn advisory_lock(&self, _key: i64, _class_id: Option<i32>, _shared: bool, _transaction_scope: bool, _try_only: bool) -> Result<Acquire> { unimplemented!() }
    pub fn advisory_unlock(&self, _key: i64, _class_id: Option<i32>, _shared: bool) -> bool { unimplemented!() }
    pub fn advisory_unlock_all(&self) { unimplemented!() }
    pub fn begin(self: &Arc<Self>, _isolation: Isolation, _read_only: bool) -> Result<Arc<Transaction>> { unimplemented!() }
    pub fn close(&self) { unimplemented!() }
}

impl Transaction {
    pub fn begin_statement(&self) -> Result<()> { unimplemented!() }
    pub fn savepoint(&self) -> Result<u32> { unimplemented!() }
    pub fn rollback_to(&self, _savepoint: u32) -> Result<()> { unimplemented!() }
    pub fn release(&self, _savepoint: u32) -> Result<()> { unimplemented!() }
    pub fn commit(&self) -> Result<Pending> { unimplemented!() }
    pub fn commit_result(&self) -> Result<()> { unimplemented!() }
    pub fn abort(&self) { unimplemented!() }
    pub fn has_writes(&self) -> bool { unimplemented!() }

    /// `mode` 1 (ACCESS SHARE) .. 8 (ACCESS EXCLUSIVE).
    pub fn lock_relation(&self, _object_id: u32, _mode: u8, _policy: LockPolicy) -> Result<Acquire> { unimplemented!() }
    /// Locks `rids` in order; `outcomes` (same length) receives `RowOutcome` numbers.
    pub fn lock_rows(&self, _relation_id: u32, _rids: &[u32], _mode: RowLockMode, _policy: LockPolicy, _outcomes: &mut [u8]) -> Result<LockedRows> { unimplemented!() }

    pub fn open_scan(&self, _relation_id: u32, _columns: &[u16]) -> Result<ScanCursor> { unimplemented!() }
    pub fn open_index_scan(&self, _index_id: u32, _range: &KeyRange<'_>, _backward: bool) -> Result<IndexCursor> { unimplemented!() }
    pub fn index_bitmap(&self, _index_id: u32, _range: &KeyRange<'_>, _bitmap: &mut [u8]) -> Result<usize> { unimplemented!() }
    pub fn index_count(&self, _index_id: u32, _range: &KeyRange<'_>, _limit: usize) -> Result<usize> { unimplemented!() }
    /// `found` at least as long as `rids`. All `rids` are done in one call, so they and the buffers hold at most 4,096 rows.
    pub fn fetch_rows(&self, _relation_id: u32, _rids: &[u32], _newest: bool, _columns: &[u16], _buffers: &mut [ColumnMut<'_>], _found: &mut [u32]) -> Result<Filled> { unimplemented!() }
    pub fn rid_limit(&self, _relation_id: u32) -> Result<u32> { unimplemented!() }

    /// Rows `from .. from + count` of `columns`; `rids` has `count` slots.
    pub fn insert_rows(&self, _relation_id: u32, _columns: &[ColumnRef<'_>], _from: usize, _count: usize, _rids: &mut [u32]) -> Result<Written> { unimplemented!() }
    /// `rids[i]` takes row `from + i` of `columns`.
    pub fn update_rows(&self, _relation_id: u32, _rids: &[u32], _changed: &[u16], _columns: &[ColumnRef<'_>], _from: usize) -> Result<Written> { unimplemented!() }
    pub fn delete_rows(&self, _relation_id: u32, _rids: &[u32]) -> Result<()> { unimplemented!() }

    #[allow(clippy::too_many_arguments)]
    pub fn vector_search(&self, _index_id: u32, _query: &[f32], _k: usize, _ef: usize, _filter: Option<&[u8]>, _mode: SearchMode, _max_distances: u64, _rids: &mut [u32], _distances: &mut [f64]) -> Result<(usize, SearchStats)> { unimplemented!() }
    pub fn vector_distances(&self, _relation_id: u32, _column: u16, _metric: Metric, _rids: &[u32], _query: &[f32], _distances: &mut [f64]) -> Result<()> { unimplemented!() }
    pub fn text_query(&self, _index_id: u32, _query: &str) -> Result<TextQuery> { unimplemented!() }
    #[allow(clippy::too_many_arguments)]
    pub fn text_search(&self, _index_id: u32, _query: &TextQuery, _k: usize, _filter: Option<&[u8]>, _mode: SearchMode, _rids: &mut [u32], _scores: &mut [f64]) -> Result<(usize, SearchStats)> { unimplemented!() }
    pub fn text_bitmap(&self, _index_id: u32, _query: &TextQuery, _bitmap: &mut [u8]) -> Result<usize> { unimplemented!() }
    pub fn text_score(&self, _query: &TextQuery, _texts: &ColumnRef<'_>, _count: usize, _scores: &mut [f64]) -> Result<()> { unimplemented!() }

    pub fn create_relation(&self, _relation_id: u32, _columns: &[ColumnSpec], _temporary: bool) -> Result<()> { unimplemented!() }
    pub fn drop_relation(&self, _relation_id: u32) -> Result<()> { unimplemented!() }
    /// `initial`: one row, may be NULL.
    pub fn add_column(&self, _relation_id: u32, _column: ColumnSpec, _initial: &ColumnRef<'_>) -> Result<()> { unimplemented!() }
    pub fn create_index(&self, _spec: IndexSpec) -> Result<Pending> { unimplemented!() }
    pub fn index_result(&self) -> Result<()> { unimplemented!() }
    pub fn drop_index(&self, _index_id: u32) -> Result<()> { unimplemented!() }
    pub fn create_sequence(&self, _spec: SequenceSpec) -> Result<()> { unimplemented!() }
    pub fn drop_sequence(&self, _sequence_id: u32) -> Result<()> { unimplemented!() }
    pub fn sequence_next(&self, _sequence_id: u32) -> Result<i64> { unimplemented!() }
    pub fn sequence_set(&self, _sequence_id: u32, _value: i64, _is_called: bool) -> Result<()> { unimplemented!() }
    pub fn sequence_state(&self, _sequence_id: u32) -> Result<SequenceState> { unimplemented!() }
    pub fn catalog_put(&self, _key: &str, _value: Option<&str>, _temporary: bool) -> Result<()> { unimplemented!() }
}

impl ScanCursor {
    /// At most 4,096 rows and at most what `rids` and the buffers hold; 0 rows at the end.
    pub fn next(&mut self, _buffers: &mut [ColumnMut<'_>], _rids: &mut [u32]) -> Result<Filled> { unimplemented!() }
}

impl IndexCursor {
    pub fn next(&mut self, _rids: &mut [u32]) -> Result<usize> { unimplemented!() }
}

impl TextQuery {
    pub fn term_count(&self) -> usize { unimplemented!() }
    pub fn match_bound(&self) -> u64 { unimplemented!() }
}
