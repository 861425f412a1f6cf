//! Scans, index look-ups and rows by number.

use super::{EngineTransaction, part, part_mut, written};
use crate::columns::{Range, read_columns, write_columns};
use crate::cursor::{IndexCursor, ScanCursor, filled};
use crate::error::{guard, misuse};
use crate::lend::Lent;
use napi::{Env, Unknown};
use napi_derive::napi;

#[napi]
impl EngineTransaction {
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
}
