//! The keys of many new rows at once: claimed as a load's (`lock::claims`), checked together where they lie behind all
//! others, as keys that ascend do. The rows from the first on that need more than that go key by key (`write`).

use std::sync::Arc;

use super::write::{check_sizes, committed_conflict, row_key};
use super::{State, Transaction};
use crate::column::ColumnRef;
use crate::error::Result;
use crate::index::Index;
use crate::key::{Entry, is_absent};
use crate::lock::{LockTag, MODE_EXCLUSIVE, Outcome};
use crate::sync::write;
use crate::types::LockPolicy;

/// Rows that come together below which each key is locked.
const MIN_ROWS: usize = 64;

/// The entries of rows for one btree index, and whether each must be the only one with its key; None = no entry.
type RowKeys = Vec<Option<(Entry, bool)>>;

impl Transaction {
    /// Notes the keys of rows `from..` for `rids`, as many from the front as are free. The rest, if any, begins with a row
    /// to be looked at by itself: it may be in conflict, have to wait, or be an error.
    pub(super) fn claim_keys(
        &self,
        state: &mut State,
        relation_id: u32,
        indexes: &[Arc<Index>],
        columns: &[ColumnRef<'_>],
        from: usize,
        rids: &[u32],
    ) -> Result<usize> {
        // What a SERIALIZABLE transaction writes is told to the others row by row.
        if rids.len() < MIN_ROWS || state.serializable.is_some() {
            return Ok(0);
        }
        self.session.check_interrupt()?;
        let sound = |row: &usize| check_sizes(columns, *row).is_ok();
        let mut free = (from..from + rids.len()).take_while(sound).count();
        let mut others = Vec::new();
        let mut claimed = Vec::new();
        for index in indexes.iter().filter(|i| i.btree().is_some()) {
            let keys = row_keys(index, columns, from, &rids[..free]);
            free = keys.len();
            if index.uniqueness().0 {
                let done = self.claim_index(state, relation_id, index, &keys)?;
                free = Self::first_conflict(state, relation_id, index, &keys[..done]);
                claimed.push((index.spec.index_id, keys, done));
            } else {
                others.push((index.spec.index_id, keys));
            }
        }
        let private = state.private(relation_id);
        for (index_id, keys, done) in claimed {
            let mut own = write(private.keys_of(index_id));
            for (entry, _) in keys[free.min(done)..done].iter().rev().flatten() {
                own.remove(entry);
            }
        }
        for (index_id, keys) in others {
            let mut own = write(private.keys_of(index_id));
            for (entry, _) in keys.into_iter().take(free).flatten() {
                own.insert(entry);
            }
        }
        Ok(free)
    }

    /// Adds and claims the keys for a unique index; how many rows from the front.
    fn claim_index(
        &self,
        state: &mut State,
        relation_id: u32,
        index: &Index,
        keys: &RowKeys,
    ) -> Result<usize> {
        let (index_id, process_id) = (index.spec.index_id, self.session.process_id());
        let tag = LockTag::Keys { index: index_id, process_id };
        let outcome = self.take_lock(state, tag, MODE_EXCLUSIVE, LockPolicy::NoWait)?;
        if !matches!(outcome, Outcome::Granted | Outcome::Held) {
            return Ok(0);
        }
        let own = state.private(relation_id).keys_of(index_id);
        Ok(self.engine.locks.claims.claim(process_id, index_id, own, keys))
    }

    /// The first of the claimed rows whose key a committed row has, or cannot be looked up. After the claim: who comes now finds it, and who came
    /// before has published its keys or holds a lock.
    fn first_conflict(
        state: &mut State,
        relation_id: u32,
        index: &Index,
        keys: &[Option<(Entry, bool)>],
    ) -> usize {
        let private = state.private(relation_id);
        let unique = || keys.iter().flatten().filter(|(_, is_unique)| *is_unique);
        let lowest = unique().map(|(entry, _)| entry).min();
        let btree = index.btree().expect("only btree indexes are unique");
        if lowest.is_none_or(|lowest| btree.ends_before(lowest.key())) {
            return keys.len();
        }
        for (row, key) in keys.iter().enumerate() {
            if let Some((entry, true)) = key
                && !matches!(committed_conflict(private, index, entry.key(), None), Ok(None))
            {
                return row;
            }
        }
        keys.len()
    }
}

/// The keys of rows, up to the first whose key cannot be made.
fn row_keys(index: &Index, columns: &[ColumnRef<'_>], from: usize, rids: &[u32]) -> RowKeys {
    let (unique, nulls_not_distinct) = index.uniqueness();
    let mut bytes = Vec::new();
    let key = |(row, &rid): (usize, &u32)| {
        let has_null = row_key(index, columns, row, &mut bytes).ok()?;
        let entry = || (Entry::new(&bytes, rid), unique && (!has_null || nulls_not_distinct));
        Some((!is_absent(&bytes)).then(entry))
    };
    (from..).zip(rids).map_while(key).collect()
}
