//! Walks of btree indexes: committed entries and own ones merged in key order, visibility and keys rechecked.

use std::cmp::Ordering;
use std::sync::Arc;

use super::private::Newest;
use super::{PrivateTable, State, Transaction};
use crate::column::KeyRange;
use crate::error::{Result, StoreError};
use crate::index::Index;
use crate::index::btree::is_empty;
use crate::key::{ByteRange, Entry, byte_range};
use crate::snapshot::Snapshot;
use crate::sync::{lock, read};
use crate::table::data::TableData;
use crate::table::{Columns, Table};

/// Committed entries read under one hold of the locks.
const RUN: usize = 256;
/// Where nothing is copied: some 100 microseconds.
const LONG_RUN: usize = 4096;

/// A walk in key order; gives rids the statement sees, each once.
pub struct IndexCursor {
    transaction: Arc<Transaction>,
    walk: Walk,
}

/// The state of a walk, apart from the transaction it belongs to.
struct Walk {
    index: Arc<Index>,
    table: Arc<Table>,
    columns: Columns,
    snapshot: Arc<Snapshot>,
    command: u32,
    /// What is left, shrinking from the side the walk comes from; None at the end.
    rest: Option<ByteRange>,
    backward: bool,
    run: Vec<Entry>,
    found: Vec<u32>,
    given: usize,
}

impl Transaction {
    pub(super) fn btree(&self, index_id: u32) -> Result<(Arc<Table>, Arc<Index>)> {
        let (table, index) = self.engine.index(index_id)?;
        if index.btree().is_none() {
            return Err(StoreError::internal("not a btree index").index(index_id));
        }
        Ok((table, index))
    }

    fn walk(
        &self,
        state: &State,
        index_id: u32,
        range: &KeyRange<'_>,
        backward: bool,
    ) -> Result<Walk> {
        let (table, index) = self.btree(index_id)?;
        let rest = byte_range(&index.spec.columns, range)?;
        Ok(Self::walk_over(state, table, index, rest, backward))
    }

    fn walk_over(
        state: &State,
        table: Arc<Table>,
        index: Arc<Index>,
        rest: Option<ByteRange>,
        backward: bool,
    ) -> Walk {
        let columns = match state.tables.get(&table.relation_id) {
            Some(private) => Arc::clone(&private.columns),
            None => table.columns(),
        };
        Walk {
            index,
            table,
            columns,
            snapshot: Arc::clone(&state.snapshot),
            command: state.command,
            rest,
            backward,
            run: Vec::new(),
            found: Vec::new(),
            given: 0,
        }
    }

    /// Opens a walk. `low` and `high` bound values; a backward walk starts at the end of the key order.
    pub fn open_index_scan(
        self: &Arc<Self>,
        index_id: u32,
        range: &KeyRange<'_>,
        backward: bool,
    ) -> Result<IndexCursor> {
        let state = self.open_state()?;
        let walk = self.walk(&state, index_id, range, backward)?;
        Ok(IndexCursor { transaction: Arc::clone(self), walk })
    }

    /// The first row with this key that the statement sees.
    pub(super) fn row_with_key(
        &self,
        state: &State,
        index_id: u32,
        key: &[u8],
    ) -> Result<Option<u32>> {
        let (table, index) = self.btree(index_id)?;
        let mut walk = Self::walk_over(state, table, index, Some(ByteRange::of_key(key)), false);
        while walk.advance(self, state)? {
            if let Some(&rid) = walk.found.first() {
                return Ok(Some(rid));
            }
        }
        Ok(None)
    }

    /// Sets the bits of the rows in the range that the statement sees; returns how many.
    pub fn index_bitmap(
        &self,
        index_id: u32,
        range: &KeyRange<'_>,
        bitmap: &mut [u8],
    ) -> Result<usize> {
        let state = self.open_state()?;
        let mut walk = self.walk(&state, index_id, range, false)?;
        let mut count = 0;
        let mut mark = |rid: u32| {
            let byte = bitmap.get_mut(rid as usize / 8);
            let byte = byte.ok_or_else(|| StoreError::internal("bitmap smaller than ridLimit"))?;
            count += usize::from(*byte & (1 << (rid % 8)) == 0);
            *byte |= 1 << (rid % 8);
            Ok(())
        };
        if state.tables.contains_key(&walk.table.relation_id) {
            while walk.advance(self, &state)? {
                walk.found.iter().try_for_each(|&rid| mark(rid))?;
            }
        } else {
            while walk.visit(self, &state, &mut mark)? {
                self.session.check_interrupt()?;
            }
        }
        Ok(count)
    }

    /// The rows in the range that the statement sees, for a transaction without rows of its own in the table. There are about
    /// `count` entries.
    pub(super) fn rows_in_range(
        &self,
        state: &State,
        index_id: u32,
        range: Option<ByteRange>,
        count: usize,
    ) -> Result<Vec<u32>> {
        let (table, index) = self.btree(index_id)?;
        let mut walk = Self::walk_over(state, table, index, range, false);
        let mut rids = Vec::with_capacity(count);
        let mut give = |rid| {
            rids.push(rid);
            Ok(())
        };
        while walk.visit(self, state, &mut give)? {
            self.session.check_interrupt()?;
        }
        Ok(rids)
    }

    /// Entries in the range up to `limit`, visibility unchecked: an estimate.
    pub fn index_count(&self, index_id: u32, range: &KeyRange<'_>, limit: usize) -> Result<usize> {
        let state = self.open_state()?;
        let (table, index) = self.btree(index_id)?;
        let Some(range) = byte_range(&index.spec.columns, range)? else { return Ok(0) };
        let committed = index.btree().map_or(0, |b| b.count(&range, limit));
        let own = state.tables.get(&table.relation_id).and_then(|p| p.keys.get(&index_id));
        let own = own.map_or(0, |keys| read(keys).count(&range, limit));
        Ok((committed + own).min(limit))
    }
}

impl IndexCursor {
    /// Fills `rids`; returns the count, 0 at the end.
    pub fn next(&mut self, rids: &mut [u32]) -> Result<usize> {
        let state = lock(&self.transaction.state);
        if state.status != super::Status::Open {
            return Err(StoreError::internal("the transaction has ended"));
        }
        let walk = &mut self.walk;
        let mut count = 0;
        while count < rids.len() {
            if walk.given == walk.found.len() && !walk.advance(&self.transaction, &state)? {
                break;
            }
            let take = (walk.found.len() - walk.given).min(rids.len() - count);
            rids[count..count + take].copy_from_slice(&walk.found[walk.given..walk.given + take]);
            walk.given += take;
            count += take;
        }
        Ok(count)
    }
}

impl Walk {
    /// Reads the next run into `found`, which may come out empty; false at the end.
    fn advance(&mut self, transaction: &Transaction, state: &State) -> Result<bool> {
        self.found.clear();
        self.given = 0;
        let Some(range) = self.rest.take() else { return Ok(false) };
        if is_empty(&range) {
            return Ok(false);
        }
        let private = state.tables.get(&self.table.relation_id);
        let btree = self.index.btree().expect("checked when opened");
        // Versions and entries are seen together: publishing and garbage collection change them under this lock.
        let table = Arc::clone(&self.table);
        let data = read(&table.data);
        self.run.clear();
        btree.read_run(&range, self.backward, RUN, &mut self.run);
        // The run covers the keys up to its last entry, or the whole rest when it is short.
        let complete = self.run.len() < RUN;
        let (covered, rest) = if complete {
            (range, None)
        } else {
            split(range, self.run.last().expect("a full run has a last entry"), self.backward)
        };
        transaction.note_range_read(state, &table, &self.index, &covered)?;
        let own = private.and_then(|p| p.keys.get(&self.index.spec.index_id));
        let mut own = own.map_or_else(Vec::new, |keys| read(keys).range(&covered));
        if self.backward {
            own.reverse();
        }
        let run = std::mem::take(&mut self.run);
        let mut key = Vec::new();
        for entry in merge(&run, &own, self.backward) {
            if self.sees(&data, private, entry, &mut key)? {
                self.found.push(entry.rid());
            }
        }
        self.run = run;
        self.rest = rest;
        self.snapshot.check()?;
        Ok(true)
    }

    /// As `advance` for a transaction without rows of its own in the table, in longer runs and without copies of the
    /// entries: a predicate that keeps half of a table is walked for each search. True when there may be more.
    fn visit(
        &mut self,
        transaction: &Transaction,
        state: &State,
        give: &mut impl FnMut(u32) -> Result<()>,
    ) -> Result<bool> {
        let Some(range) = self.rest.take() else { return Ok(false) };
        if is_empty(&range) {
            return Ok(false);
        }
        let btree = self.index.btree().expect("checked when opened");
        let data = read(&self.table.data);
        let mut key = Vec::new();
        let last = btree.visit(&range, LONG_RUN, |entry| {
            if self.sees(&data, None, entry, &mut key)? { give(entry.rid()) } else { Ok(()) }
        })?;
        let (covered, rest) = match last {
            Some(last) => split(range, &last, false),
            None => (range, None),
        };
        transaction.note_range_read(state, &self.table, &self.index, &covered)?;
        self.rest = rest;
        Ok(self.rest.is_some())
    }

    /// Whether the version the statement sees of the entry's row has the entry's key.
    fn sees(
        &self,
        data: &TableData,
        private: Option<&PrivateTable>,
        entry: &Entry,
        key: &mut Vec<u8>,
    ) -> Result<bool> {
        let rid = entry.rid();
        let spec = &self.index.spec.columns;
        match private.map_or(Newest::Committed, |p| p.resolve(rid, self.command)) {
            Newest::Deleted => return Ok(false),
            Newest::Own(row) => {
                private.expect("an own row has a private table").key(row, spec, key)?;
            }
            Newest::Committed => {
                let Some(slot) = data.visible(rid, self.snapshot.number) else { return Ok(false) };
                if data.single_version(rid) {
                    return Ok(true);
                }
                self.index.slot_key(data, &self.columns, slot, key)?;
            }
        }
        Ok(key == entry.key())
    }
}

/// The part of a range a run has covered, and what is left behind its last entry.
fn split(range: ByteRange, last: &Entry, backward: bool) -> (ByteRange, Option<ByteRange>) {
    let at = last.bytes().to_vec();
    if backward {
        let covered = ByteRange { low: Some(at.clone()), high: range.high };
        (covered, Some(ByteRange { low: range.low, high: Some(at) }))
    } else {
        // The next possible byte string after an entry is the entry followed by a zero.
        let mut after = at;
        after.push(0);
        let covered = ByteRange { low: range.low, high: Some(after.clone()) };
        (covered, Some(ByteRange { low: Some(after), high: range.high }))
    }
}

/// Both lists in key order (or backward), an entry in both given once.
fn merge<'a>(a: &'a [Entry], b: &'a [Entry], backward: bool) -> impl Iterator<Item = &'a Entry> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if backward => y.cmp(x),
            (Some(x), Some(y)) => x.cmp(y),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        match order {
            Ordering::Less => a.next(),
            Ordering::Greater => b.next(),
            Ordering::Equal => {
                b.next();
                a.next()
            }
        }
    })
}
