//! Rows inserted, updated and deleted.

use super::{EngineTransaction, part, part_mut, written};
use crate::columns::read_rows;
use crate::copy::CopyDecoder;
use crate::error::{guard, misuse};
use crate::lend::Lent;
use napi::{Env, Unknown};
use napi_derive::napi;

#[napi]
impl EngineTransaction {
    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn insert_rows(
        &self,
        env: Env,
        relation_id: u32,
        rows: Unknown<'_>,
        shape: Unknown<'_>,
        from: u32,
        count: u32,
        rids: Unknown<'_>,
        status: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let columns = read_rows(&lent, rows, shape)?;
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
        rows: Unknown<'_>,
        shape: Unknown<'_>,
        from: u32,
        count: u32,
        status: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let rids = part(lent.read(rids, "rids")?, from, count, "rids")?;
            let changed = lent.read(changed, "changed")?;
            let columns = read_rows(&lent, rows, shape)?;
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
}
