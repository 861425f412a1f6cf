//! Definitions: relations, indexes, sequences and the catalogue's entries.

use super::{EngineTransaction, part, token};
use crate::columns::{read_column, read_rows};
use crate::error::{Result, guard, misuse};
use crate::lend::Lent;
use crate::session::{acquired, int8};
use crate::spec;
use napi::bindgen_prelude::BigInt;
use napi::{Env, Unknown};
use napi_derive::napi;

#[napi(object)]
pub struct IndexMemory {
    pub least_bytes: f64,
    pub code_bytes: f64,
}

#[napi]
impl EngineTransaction {
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
    pub fn can_backfill(&self, env: Env, relation_id: u32) -> napi::Result<bool> {
        guard(env, || self.transaction.can_backfill(relation_id))
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn backfill(
        &self,
        env: Env,
        relation_id: u32,
        rids: Unknown<'_>,
        positions: Unknown<'_>,
        rows: Unknown<'_>,
        shape: Unknown<'_>,
        count: u32,
    ) -> napi::Result<()> {
        guard(env, || {
            let lent = Lent::new(env);
            let rids = part(lent.read(rids, "rids")?, 0, count, "rids")?;
            let positions = lent.read(positions, "positions")?;
            let columns = read_rows(&lent, rows, shape)?;
            if positions.len() != columns.len() {
                return Err(misuse("positions and columns differ in number"));
            }
            self.transaction.backfill(relation_id, rids, positions, &columns)
        })
    }

    #[napi]
    pub fn index_memory(&self, env: Env, spec: spec::IndexSpec) -> napi::Result<IndexMemory> {
        guard(env, || {
            let needed = self.transaction.index_memory(&spec::index(&spec)?)?;
            Ok(needed.map_or(IndexMemory { least_bytes: 0.0, code_bytes: 0.0 }, |needed| {
                IndexMemory { least_bytes: needed.least as f64, code_bytes: needed.codes as f64 }
            }))
        })
    }

    #[napi]
    pub fn create_index(
        &self,
        env: Env,
        spec: spec::IndexSpec,
        memory_bytes: f64,
        label: String,
    ) -> napi::Result<u32> {
        guard(env, || {
            let spec = spec::index(&spec)?;
            Ok(token(self.transaction.create_index(spec, memory_bytes as u64, label)?))
        })
    }

    #[napi]
    pub fn begin_index(&self, env: Env, spec: spec::IndexSpec, label: String) -> napi::Result<()> {
        guard(env, || self.transaction.begin_index(spec::index(&spec)?, label))
    }

    #[napi]
    pub fn await_writers(&self, env: Env, object_id: u32) -> napi::Result<i32> {
        guard(env, || Ok(acquired(self.transaction.await_writers(object_id)?)))
    }

    #[napi]
    pub fn fill_index(&self, env: Env) -> napi::Result<u32> {
        guard(env, || Ok(token(self.transaction.fill_index()?)))
    }

    #[napi]
    pub fn validate_index(&self, env: Env) -> napi::Result<u32> {
        guard(env, || Ok(token(self.transaction.validate_index()?)))
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
