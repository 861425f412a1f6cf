//! Scans, index look-ups and rows by number.

use super::{EngineTransaction, part, part_mut, written};
use crate::block::{read_block, write_block};
use crate::columns::{Range, read_columns, write_rows};
use crate::cursor::{IndexCursor, ScanCursor, filled};
use crate::error::{Result, guard, misuse};
use crate::lend::Lent;
use napi::{Env, Unknown};
use napi_derive::napi;
use omen_store::{ColumnMut, KeyRange, NullEntries};

/// As many buffers as columns, with room for `rows` rows.
fn check_buffers(columns: &[u16], buffers: &[ColumnMut<'_>], rows: usize) -> Result<()> {
    if columns.len() != buffers.len() {
        return Err(misuse("columns and buffers differ in number"));
    }
    if buffers.iter().any(|buffer| buffer.capacity() < rows) {
        return Err(misuse(format!("buffers hold fewer than {rows} rows")));
    }
    Ok(())
}

#[napi]
impl EngineTransaction {
    #[napi]
    pub fn open_scan(
        &self,
        env: Env,
        relation_id: u32,
        columns: Unknown<'_>,
        since: f64,
    ) -> napi::Result<ScanCursor> {
        guard(env, || {
            let lent = Lent::new(env);
            let columns = lent.read(columns, "columns")?;
            let cursor = self.transaction.open_scan_since(relation_id, columns, since as u64)?;
            Ok(ScanCursor::new(cursor))
        })
    }

    #[napi]
    pub fn snapshot_number(&self, env: Env) -> napi::Result<f64> {
        guard(env, || Ok(self.transaction.snapshot_number()? as f64))
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
        rows: Unknown<'_>,
        shape: Unknown<'_>,
        found: Unknown<'_>,
        needed: Unknown<'_>,
    ) -> napi::Result<i32> {
        guard(env, || {
            let lent = Lent::new(env);
            // Callers may have the found ids written over the wanted ones.
            let rids = lent.copy(rids, from, count, "rids")?;
            let columns = lent.read(columns, "columns")?;
            let mut buffers = write_rows(&lent, rows, shape)?;
            check_buffers(columns, &buffers, rids.len())?;
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

    /// `index_rids` of an equality and `fetch_rows` in one.
    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn fetch_by_key(
        &self,
        env: Env,
        index_id: u32,
        key: Unknown<'_>,
        key_shape: Unknown<'_>,
        backward: bool,
        relation_id: u32,
        columns: Unknown<'_>,
        rows: Unknown<'_>,
        shape: Unknown<'_>,
        found: Unknown<'_>,
        needed: Unknown<'_>,
    ) -> napi::Result<i32> {
        guard(env, || {
            let lent = Lent::new(env);
            let key = read_block(&lent, key, key_shape)?;
            let columns = lent.read(columns, "columns")?;
            let mut buffers = write_block(&lent, rows, shape)?;
            let found = lent.write(found, "found")?;
            check_buffers(columns, &buffers, found.len())?;
            let range = KeyRange {
                low: Some(&key),
                low_inclusive: true,
                high: Some(&key),
                high_inclusive: true,
                nulls: NullEntries::All,
            };
            let mut walk = self.transaction.open_index_scan(index_id, &range, backward)?;
            let count = walk.next(found)?;
            let rids = found[..count].to_vec();
            let rows = self.transaction.fetch_rows(
                relation_id,
                &rids,
                false,
                columns,
                &mut buffers,
                &mut found[..count],
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
}
