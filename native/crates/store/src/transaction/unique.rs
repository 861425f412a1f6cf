//! Keys looked up many at a time: the rows that foreign keys refer to, and duplicates of deferrable keys.
//!
//! An index behind a deferrable key is not unique for the engine: rows go in unchecked, and `check_duplicates` looks for
//! duplicates when the statement or the transaction ends. Whoever checks a key holds its lock until the end of the
//! transaction, so of two transactions that added the same key the second to check waits for the first.

use super::private::Newest;
use super::write::{committed_conflict, key_tag, own_conflict};
use super::{State, Transaction};
use crate::column::ColumnRef;
use crate::error::{Result, StoreError};
use crate::index::Index;
use crate::key::encode_key;
use crate::lock::{LockTag, MODE_EXCLUSIVE, Outcome};
use crate::sync::read;
use crate::types::{LockPolicy, RowLockMode, WriteStop, Written};
use crate::value::Value;

/// Keys looked at between two looks at the interrupt flag.
const INTERRUPT_KEYS: usize = 1024;

/// What `lookup_keys` gives for a key that no row has.
pub const NO_ROW: u32 = u32::MAX;

impl Transaction {
    /// The visible row for each of the first `rids.len()` keys; `columns` are the index's columns in its order. `NO_ROW`
    /// where no row has the key or a part of it is NULL. The index must be unique.
    pub fn lookup_keys(
        &self,
        index_id: u32,
        columns: &[ColumnRef<'_>],
        rids: &mut [u32],
    ) -> Result<()> {
        let state = self.open_state()?;
        let (_, index) = self.btree(index_id)?;
        let spec = &index.spec.columns;
        if columns.len() != spec.len() {
            return Err(StoreError::internal("a key has a value for each index column"));
        }
        let mut key = Vec::new();
        for (row, rid) in rids.iter_mut().enumerate() {
            if row.is_multiple_of(INTERRUPT_KEYS) {
                self.session.check_interrupt()?;
            }
            let mut failure = None;
            let has_null = encode_key(
                spec,
                |column| {
                    let at = spec.iter().position(|c| c.column as usize == column).unwrap_or(0);
                    columns[at].value(row).unwrap_or_else(|error| {
                        failure = Some(error);
                        Value::Null
                    })
                },
                &mut key,
            )?;
            if let Some(error) = failure {
                return Err(error);
            }
            *rid = if has_null { None } else { self.row_with_key(&state, index_id, &key)? }
                .unwrap_or(NO_ROW);
        }
        Ok(())
    }

    /// Looks for other rows with the keys that `rids` have now, whatever `unique` says of the index. Rows that are gone or
    /// have NULL in their key (unless NULLs are not distinct) pass. Stops at a duplicate, or to wait for a transaction that
    /// may remove or add one; the caller goes on from there.
    pub fn check_duplicates(&self, index_id: u32, rids: &[u32]) -> Result<Written> {
        let mut state = self.open_state()?;
        let (table, index) = self.btree(index_id)?;
        let relation_id = table.relation_id;
        self.private(&mut state, relation_id)?;
        for (i, &rid) in rids.iter().enumerate() {
            if i.is_multiple_of(INTERRUPT_KEYS) {
                self.session.check_interrupt()?;
            }
            if let Some(stop) = self.check_row(&mut state, relation_id, &index, rid)? {
                return Ok(Written { done: i, stop });
            }
        }
        Ok(Written { done: rids.len(), stop: WriteStop::Done })
    }

    fn check_row(
        &self,
        state: &mut State,
        relation_id: u32,
        index: &Index,
        rid: u32,
    ) -> Result<Option<WriteStop>> {
        let mut key = Vec::new();
        let Some(has_null) = newest_key(state, relation_id, index, rid, &mut key)? else {
            return Ok(None);
        };
        if has_null && !index.uniqueness().1 {
            return Ok(None);
        }
        let tag = key_tag(index, &key);
        if let Outcome::Wait(token) =
            self.take_lock(state, tag, MODE_EXCLUSIVE, LockPolicy::Wait)?
        {
            return Ok(Some(WriteStop::Wait(token)));
        }
        let private = state.private(relation_id);
        if let Some(other) = own_conflict(private, index, &key, Some(rid))? {
            return Ok(Some(WriteStop::Conflict { index_id: index.spec.index_id, rid: other }));
        }
        // Somebody may be about to remove the row in the way, and then holds its lock.
        while let Some(other) =
            committed_conflict(state.private(relation_id), index, &key, Some(rid))?
        {
            let tag = LockTag::Row { relation: relation_id, rid: other };
            match self.take_lock(state, tag, RowLockMode::KeyShare as u8, LockPolicy::Wait)? {
                Outcome::Wait(token) => return Ok(Some(WriteStop::Wait(token))),
                _ if committed_conflict(state.private(relation_id), index, &key, Some(rid))?
                    == Some(other) =>
                {
                    let index_id = index.spec.index_id;
                    return Ok(Some(WriteStop::Conflict { index_id, rid: other }));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// The key of the row's newest version, and whether a part of it is NULL; None when the row is gone.
fn newest_key(
    state: &mut State,
    relation_id: u32,
    index: &Index,
    rid: u32,
    key: &mut Vec<u8>,
) -> Result<Option<bool>> {
    let private = state.private(relation_id);
    match private.newest(rid) {
        Newest::Deleted => Ok(None),
        Newest::Own(row) => private.key(row, &index.spec.columns, key).map(Some),
        Newest::Committed => {
            let data = read(&private.table.data);
            let Some(slot) = data.live(rid) else { return Ok(None) };
            index.slot_key(&data, &private.columns, slot, key).map(Some)
        }
    }
}
