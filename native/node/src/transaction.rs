//! A transaction: the bulk of the contract. Positions, counts and lengths are checked here, meanings in the engine.

use crate::columns::{Range, read_column, read_columns, write_columns};
use crate::copy::CopyDecoder;
use crate::cursor::{IndexCursor, ScanCursor, TextQuery, filled};
use crate::error::{Result, guard, misuse};
use crate::lend::Lent;
use crate::session::{Closing, acquired, int8};
use crate::spec;
use napi::bindgen_prelude::BigInt;
use napi::{Env, Unknown};
use napi_derive::napi;
use omen_store::{
    LockPolicy, Pending, RowLockMode, SearchMode, SearchStats, Transaction, VectorQuery, WriteStop,
    Written,
};
use std::sync::Arc;

#[napi]
pub struct EngineTransaction {
    transaction: Arc<Transaction>,
    /// Keeps the session open while this object is reachable.
    session: Arc<Closing>,
}

impl EngineTransaction {
    pub(crate) fn new(transaction: Arc<Transaction>, session: Arc<Closing>) -> Self {
        Self { transaction, session }
    }
}

fn token(pending: Pending) -> u32 {
    match pending {
        Pending::Done => 0,
        Pending::Wait(token) => token,
    }
}

fn lock_policy(policy: u32) -> Result<LockPolicy> {
    Ok(match policy {
        0 => LockPolicy::Wait,
        1 => LockPolicy::NoWait,
        2 => LockPolicy::Skip,
        other => return Err(misuse(format!("lock policy {other}"))),
    })
}

fn row_lock_mode(mode: u32) -> Result<RowLockMode> {
    Ok(match mode {
        0 => RowLockMode::KeyShare,
        1 => RowLockMode::Share,
        2 => RowLockMode::NoKeyUpdate,
        3 => RowLockMode::Update,
        other => return Err(misuse(format!("row lock mode {other}"))),
    })
}

fn search_mode(mode: u32) -> Result<SearchMode> {
    Ok(match mode {
        0 => SearchMode::Auto,
        1 => SearchMode::Graph,
        2 => SearchMode::Exact,
        other => return Err(misuse(format!("search mode {other}"))),
    })
}

/// `values[from .. from + count]`.
fn part<'a, T>(values: &'a [T], from: u32, count: u32, what: &str) -> Result<&'a [T]> {
    let (from, count) = (from as usize, count as usize);
    values
        .get(from..from + count)
        .ok_or_else(|| misuse(format!("{what} is shorter than {from} + {count}")))
}

fn part_mut<'a, T>(values: &'a mut [T], from: u32, count: u32, what: &str) -> Result<&'a mut [T]> {
    let (from, count) = (from as usize, count as usize);
    let part = values.get_mut(from..from + count);
    part.ok_or_else(|| misuse(format!("{what} is shorter than {from} + {count}")))
}

/// Fills the `status` array (see `WriteStatus`) and gives the number of rows done.
fn written(written: Written, status: &mut [i32]) -> Result<u32> {
    let [reason, index_id, conflicting_rid, token, ..] = status else {
        return Err(misuse("status must have 4 elements"));
    };
    match written.stop {
        WriteStop::Done => *reason = 0,
        WriteStop::Conflict { index_id: index, rid } => {
            *reason = 1;
            *index_id = index as i32;
            *conflicting_rid = rid as i32;
        }
        WriteStop::Wait(wait) => {
            *reason = 2;
            *token = wait as i32;
        }
    }
    Ok(written.done as u32)
}

/// Fills the `stats` array (see `SearchStat`); slots it does not have are left out.
fn report(stats: &SearchStats, slots: &mut [f64]) {
    let values = [
        f64::from(stats.path),
        stats.visited as f64,
        stats.distances as f64,
        stats.tail as f64,
        stats.blocks_read as f64,
        stats.blocks_skipped as f64,
    ];
    slots.iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
}

#[napi]
impl EngineTransaction {
    /// The next transaction of the session under the handle of one that has ended: objects cost more than transactions.
    #[napi]
    pub fn renew(&mut self, env: Env, isolation: String, read_only: bool) -> napi::Result<()> {
        guard(env, || {
            self.transaction = self.session.begin(&isolation, read_only)?;
            Ok(())
        })
    }

    #[napi]
    pub fn begin_statement(&self, env: Env) -> napi::Result<()> {
        guard(env, || self.transaction.begin_statement())
    }

    #[napi]
    pub fn begin_check(&self, env: Env) -> napi::Result<()> {
        guard(env, || self.transaction.begin_check())
    }

    #[napi]
    pub fn savepoint(&self, env: Env) -> napi::Result<u32> {
        guard(env, || self.transaction.savepoint())
    }

    #[napi]
    pub fn rollback_to(&self, env: Env, savepoint: u32) -> napi::Result<()> {
        guard(env, || self.transaction.rollback_to(savepoint))
    }

    #[napi]
    pub fn release(&self, env: Env, savepoint: u32) -> napi::Result<()> {
        guard(env, || self.transaction.release(savepoint))
    }

    #[napi]
    pub fn commit(&self, env: Env, asynchronous: bool) -> napi::Result<u32> {
        guard(env, || {
            let transaction = &self.transaction;
            let pending = if asynchronous {
                transaction.commit_asynchronously()
            } else {
                transaction.commit()
            };
            Ok(token(pending?))
        })
    }

    #[napi]
    pub fn commit_result(&self, env: Env) -> napi::Result<()> {
        guard(env, || self.transaction.commit_result())
    }

    #[napi]
    pub fn abort(&self, env: Env) -> napi::Result<()> {
        guard(env, || {
            self.transaction.abort();
            Ok(())
        })
    }

    #[napi]
    pub fn has_writes(&self, env: Env) -> napi::Result<bool> {
        guard(env, || Ok(self.transaction.has_writes()))
    }

    #[napi]
    pub fn safe_snapshot(&self, env: Env) -> napi::Result<i32> {
        guard(env, || Ok(acquired(self.transaction.safe_snapshot()?)))
    }

    #[napi]
    pub fn lock_relation(
        &self,
        env: Env,
        object_id: u32,
        mode: u32,
        policy: u32,
    ) -> napi::Result<i32> {
        guard(env, || {
            let mode = u8::try_from(mode).ok().filter(|mode| (1..=8).contains(mode));
            let mode = mode.ok_or_else(|| misuse("table lock modes are 1 to 8"))?;
            Ok(acquired(self.transaction.lock_relation(object_id, mode, lock_policy(policy)?)?))
        })
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn lock_rows(
        &self,
        env: Env,
        relation_id: u32,
        rids: Unknown<'_>,
        from: u32,
        count: u32,
        mode: u32,
        policy: u32,
        outcomes: Unknown<'_>,
        status: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let rids = part(lent.read(rids, "rids")?, from, count, "rids")?;
            let outcomes = part_mut(lent.write(outcomes, "outcomes")?, from, count, "outcomes")?;
            let (mode, policy) = (row_lock_mode(mode)?, lock_policy(policy)?);
            let locked = self.transaction.lock_rows(relation_id, rids, mode, policy, outcomes)?;
            let stop =
                if locked.token == 0 { WriteStop::Done } else { WriteStop::Wait(locked.token) };
            written(Written { done: locked.done, stop }, lent.write(status, "status")?)
        })
    }

    #[napi]
    pub fn open_scan(
        &self,
        env: Env,
        relation_id: u32,
        columns: Unknown<'_>,
    ) -> napi::Result<ScanCursor> {
        guard(env, || {
            let lent = Lent::new(env);
            let cursor = self.transaction.open_scan(relation_id, lent.read(columns, "columns")?)?;
            Ok(ScanCursor::new(cursor))
        })
    }

    #[napi]
    pub fn open_index_scan(
        &self,
        env: Env,
        index_id: u32,
        range: Unknown<'_>,
        backward: bool,
    ) -> napi::Result<IndexCursor> {
        guard(env, || {
            let lent = Lent::new(env);
            let range = Range::read(&lent, range)?;
            Ok(IndexCursor::new(self.transaction.open_index_scan(
                index_id,
                &range.view(),
                backward,
            )?))
        })
    }

    /// The first rids of a walk without a cursor object, which costs more than a look-up of one row.
    #[napi]
    pub fn index_rids(
        &self,
        env: Env,
        index_id: u32,
        range: Unknown<'_>,
        backward: bool,
        rids: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let range = Range::read(&lent, range)?;
            let mut walk = self.transaction.open_index_scan(index_id, &range.view(), backward)?;
            Ok(walk.next(lent.write(rids, "rids")?)? as u32)
        })
    }

    #[napi]
    pub fn index_bitmap(
        &self,
        env: Env,
        index_id: u32,
        range: Unknown<'_>,
        bitmap: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let range = Range::read(&lent, range)?;
            let bitmap = lent.write(bitmap, "bitmap")?;
            Ok(self.transaction.index_bitmap(index_id, &range.view(), bitmap)? as u32)
        })
    }

    #[napi]
    pub fn index_count(
        &self,
        env: Env,
        index_id: u32,
        range: Unknown<'_>,
        limit: f64,
    ) -> napi::Result<f64> {
        guard(env, || {
            let lent = Lent::new(env);
            let range = Range::read(&lent, range)?;
            Ok(self.transaction.index_count(index_id, &range.view(), limit as usize)? as f64)
        })
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn fetch_rows(
        &self,
        env: Env,
        relation_id: u32,
        rids: Unknown<'_>,
        from: u32,
        count: u32,
        newest: bool,
        columns: Unknown<'_>,
        buffers: Unknown<'_>,
        found: Unknown<'_>,
        needed: Unknown<'_>,
    ) -> napi::Result<i32> {
        guard(env, || {
            let lent = Lent::new(env);
            // Callers may have the found ids written over the wanted ones.
            let rids = lent.copy(rids, from, count, "rids")?;
            let columns = lent.read(columns, "columns")?;
            let mut buffers = write_columns(&lent, buffers)?;
            if columns.len() != buffers.len() {
                return Err(misuse("columns and buffers differ in number"));
            }
            if buffers.iter().any(|buffer| buffer.capacity() < rids.len()) {
                return Err(misuse(format!("buffers hold fewer than {} rows", rids.len())));
            }
            let found = part_mut(lent.write(found, "found")?, 0, count, "found")?;
            let rows = self.transaction.fetch_rows(
                relation_id,
                &rids,
                newest,
                columns,
                &mut buffers,
                found,
            )?;
            filled(rows, lent.write(needed, "needed")?)
        })
    }

    #[napi]
    pub fn rid_limit(&self, env: Env, relation_id: u32) -> napi::Result<u32> {
        guard(env, || self.transaction.rid_limit(relation_id))
    }

    #[napi]
    pub fn lookup_keys(
        &self,
        env: Env,
        index_id: u32,
        columns: Unknown<'_>,
        count: u32,
        rids: Unknown<'_>,
    ) -> napi::Result<()> {
        guard(env, || {
            let lent = Lent::new(env);
            let columns = read_columns(&lent, columns)?;
            let rids = part_mut(lent.write(rids, "rids")?, 0, count, "rids")?;
            self.transaction.lookup_keys(index_id, &columns, rids)
        })
    }

    #[napi]
    pub fn check_duplicates(
        &self,
        env: Env,
        index_id: u32,
        rids: Unknown<'_>,
        from: u32,
        count: u32,
        status: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let rids = part(lent.read(rids, "rids")?, from, count, "rids")?;
            let done = self.transaction.check_duplicates(index_id, rids)?;
            written(done, lent.write(status, "status")?)
        })
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn insert_rows(
        &self,
        env: Env,
        relation_id: u32,
        columns: Unknown<'_>,
        from: u32,
        count: u32,
        rids: Unknown<'_>,
        status: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let columns = read_columns(&lent, columns)?;
            let rids = part_mut(lent.write(rids, "rids")?, from, count, "rids")?;
            let (from, count) = (from as usize, count as usize);
            let done = self.transaction.insert_rows(relation_id, &columns, from, count, rids)?;
            written(done, lent.write(status, "status")?)
        })
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn insert_decoded(
        &self,
        env: Env,
        relation_id: u32,
        decoder: &CopyDecoder,
        fields: Unknown<'_>,
        from: u32,
        count: u32,
        rids: Unknown<'_>,
        status: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let columns = decoder.staged_columns(lent.read(fields, "fields")?)?;
            let rids = part_mut(lent.write(rids, "rids")?, from, count, "rids")?;
            let (from, count) = (from as usize, count as usize);
            let done = self.transaction.insert_rows(relation_id, &columns, from, count, rids)?;
            written(done, lent.write(status, "status")?)
        })
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn update_rows(
        &self,
        env: Env,
        relation_id: u32,
        rids: Unknown<'_>,
        changed: Unknown<'_>,
        columns: Unknown<'_>,
        from: u32,
        count: u32,
        status: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let rids = part(lent.read(rids, "rids")?, from, count, "rids")?;
            let changed = lent.read(changed, "changed")?;
            let columns = read_columns(&lent, columns)?;
            if changed.len() != columns.len() {
                return Err(misuse("changed and columns differ in number"));
            }
            let done = self.transaction.update_rows(
                relation_id,
                rids,
                changed,
                &columns,
                from as usize,
            )?;
            written(done, lent.write(status, "status")?)
        })
    }

    #[napi]
    pub fn delete_rows(
        &self,
        env: Env,
        relation_id: u32,
        rids: Unknown<'_>,
        from: u32,
        count: u32,
    ) -> napi::Result<()> {
        guard(env, || {
            let lent = Lent::new(env);
            let rids = part(lent.read(rids, "rids")?, from, count, "rids")?;
            self.transaction.delete_rows(relation_id, rids)
        })
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn vector_search(
        &self,
        env: Env,
        index_id: u32,
        query: Unknown<'_>,
        k: u32,
        ef: u32,
        filter: Unknown<'_>,
        filter_count: f64,
        mode: u32,
        max_distances: f64,
        rids: Unknown<'_>,
        distances: Unknown<'_>,
        stats: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let query = lent.read(query, "query")?;
            let filter = lent.read_optional(filter, "filter")?;
            let rids = part_mut(lent.write(rids, "rids")?, 0, k, "rids")?;
            let distances = part_mut(lent.write(distances, "distances")?, 0, k, "distances")?;
            let stats = lent.write(stats, "stats")?;
            let query = VectorQuery {
                words: query,
                k: k as usize,
                ef: ef as usize,
                filter: filter.map(|bits| (bits, filter_count as u64)),
                mode: search_mode(mode)?,
                max_distances: max_distances as u64,
            };
            let (count, found) =
                self.transaction.vector_search(index_id, &query, rids, distances)?;
            report(&found, stats);
            Ok(count as u32)
        })
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn vector_distances(
        &self,
        env: Env,
        relation_id: u32,
        column: u32,
        form: String,
        dimensions: u32,
        metric: String,
        rids: Unknown<'_>,
        count: u32,
        query: Unknown<'_>,
        distances: Unknown<'_>,
    ) -> napi::Result<()> {
        guard(env, || {
            let lent = Lent::new(env);
            let rids = part(lent.read(rids, "rids")?, 0, count, "rids")?;
            let query = lent.read(query, "query")?;
            let distances = part_mut(lent.write(distances, "distances")?, 0, count, "distances")?;
            let column = u16::try_from(column).map_err(|_| misuse("column position over 65535"))?;
            let (form, metric) = (spec::form(&form)?, spec::metric(&metric)?);
            self.transaction.vector_distances(
                relation_id,
                column,
                form,
                dimensions,
                metric,
                rids,
                query,
                distances,
            )
        })
    }

    #[napi]
    pub fn text_query(&self, env: Env, index_id: u32, query: String) -> napi::Result<TextQuery> {
        guard(env, || Ok(TextQuery::new(self.transaction.text_query(index_id, &query)?)))
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn text_search(
        &self,
        env: Env,
        index_id: u32,
        query: &TextQuery,
        k: u32,
        filter: Unknown<'_>,
        mode: u32,
        rids: Unknown<'_>,
        scores: Unknown<'_>,
        stats: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let filter = lent.read_optional(filter, "filter")?;
            let rids = part_mut(lent.write(rids, "rids")?, 0, k, "rids")?;
            let scores = part_mut(lent.write(scores, "scores")?, 0, k, "scores")?;
            let stats = lent.write(stats, "stats")?;
            let (query, mode) = (query.get()?, search_mode(mode)?);
            let (count, found) = self
                .transaction
                .text_search(index_id, query, k as usize, filter, mode, rids, scores)?;
            report(&found, stats);
            Ok(count as u32)
        })
    }

    #[napi]
    pub fn text_bitmap(
        &self,
        env: Env,
        index_id: u32,
        query: &TextQuery,
        bitmap: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let bitmap = lent.write(bitmap, "bitmap")?;
            Ok(self.transaction.text_bitmap(index_id, query.get()?, bitmap)? as u32)
        })
    }

    #[napi]
    pub fn text_score(
        &self,
        env: Env,
        query: &TextQuery,
        texts: Unknown<'_>,
        count: u32,
        scores: Unknown<'_>,
    ) -> napi::Result<()> {
        guard(env, || {
            let lent = Lent::new(env);
            let texts = read_column(&lent, texts)?;
            let scores = part_mut(lent.write(scores, "scores")?, 0, count, "scores")?;
            self.transaction.text_score(query.get()?, &texts, count as usize, scores)
        })
    }

    #[napi]
    pub fn create_relation(
        &self,
        env: Env,
        relation_id: u32,
        columns: Vec<spec::ColumnSpec>,
        temporary: bool,
    ) -> napi::Result<()> {
        guard(env, || {
            let columns = columns.iter().map(spec::column).collect::<Result<Vec<_>>>()?;
            self.transaction.create_relation(relation_id, &columns, temporary)
        })
    }

    #[napi]
    pub fn drop_relation(&self, env: Env, relation_id: u32) -> napi::Result<()> {
        guard(env, || self.transaction.drop_relation(relation_id))
    }

    #[napi]
    pub fn add_column(
        &self,
        env: Env,
        relation_id: u32,
        column: spec::ColumnSpec,
        initial: Unknown<'_>,
    ) -> napi::Result<()> {
        guard(env, || {
            let lent = Lent::new(env);
            let initial = read_column(&lent, initial)?;
            self.transaction.add_column(relation_id, spec::column(&column)?, &initial)
        })
    }

    #[napi]
    pub fn create_index(&self, env: Env, spec: spec::IndexSpec) -> napi::Result<u32> {
        guard(env, || Ok(token(self.transaction.create_index(spec::index(&spec)?)?)))
    }

    #[napi]
    pub fn index_result(&self, env: Env) -> napi::Result<()> {
        guard(env, || self.transaction.index_result())
    }

    #[napi]
    pub fn drop_index(&self, env: Env, index_id: u32) -> napi::Result<()> {
        guard(env, || self.transaction.drop_index(index_id))
    }

    #[napi]
    pub fn create_sequence(&self, env: Env, spec: spec::SequenceSpec) -> napi::Result<()> {
        guard(env, || self.transaction.create_sequence(spec::sequence(&spec)?))
    }

    #[napi]
    pub fn drop_sequence(&self, env: Env, sequence_id: u32) -> napi::Result<()> {
        guard(env, || self.transaction.drop_sequence(sequence_id))
    }

    #[napi]
    pub fn sequence_next(&self, env: Env, sequence_id: u32) -> napi::Result<BigInt> {
        guard(env, || Ok(BigInt::from(self.transaction.sequence_next(sequence_id)?)))
    }

    #[napi]
    pub fn sequence_set(
        &self,
        env: Env,
        sequence_id: u32,
        value: BigInt,
        is_called: bool,
    ) -> napi::Result<()> {
        guard(env, || self.transaction.sequence_set(sequence_id, int8(&value, "value")?, is_called))
    }

    #[napi]
    pub fn sequence_state(&self, env: Env, sequence_id: u32) -> napi::Result<spec::SequenceState> {
        guard(env, || {
            let state = self.transaction.sequence_state(sequence_id)?;
            Ok(spec::SequenceState {
                last_value: BigInt::from(state.last_value),
                is_called: state.is_called,
            })
        })
    }

    #[napi]
    pub fn catalog_put(
        &self,
        env: Env,
        key: String,
        value: Option<String>,
        temporary: bool,
    ) -> napi::Result<()> {
        guard(env, || self.transaction.catalog_put(&key, value.as_deref(), temporary))
    }
}
