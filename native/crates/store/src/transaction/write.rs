//! INSERT, UPDATE and DELETE into the transaction's private rows, unique keys checked row by row.
//!
//! A unique key being added or removed is locked (by hash) until the transaction ends, so whoever wants it waits for the
//! outcome, as PostgreSQL's insertion waits for the other transaction; when the lock is ours, a committed live row with
//! the key is a conflict, and the lock goes back at once. Rows that come in numbers claim their keys together (`claim`).

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use super::private::Newest;
use super::{PrivateTable, State, Transaction, Undo};
use crate::column::ColumnRef;
use crate::error::{Result, StoreError};
use crate::index::Index;
use crate::key::{ByteRange, Entry, MAX_KEY_BYTES, encode_key, is_absent};
use crate::lock::{LockTag, MODE_EXCLUSIVE, MODE_SHARE, Outcome, next_token};
use crate::sync::read;
use crate::table::rows::{MAX_VALUE_BYTES, check_columns};
use crate::table::slot_value;
use crate::types::{LockPolicy, WriteStop, Written};
use crate::value::{OwnedValue, Value};

/// Rows checked between two looks at the interrupt flag.
const INTERRUPT_ROWS: usize = 1024;

/// Outcome of a unique check.
enum Unique {
    Free,
    Conflict(u32),
    Wait(u32),
}

impl Transaction {
    /// Inserts rows `from .. from + count` of `columns` (all columns of the relation, in order). `rids` has `count` slots and
    /// receives the new row ids. Stops before a row that conflicts or must wait; the caller goes on from there.
    pub fn insert_rows(
        &self,
        relation_id: u32,
        columns: &[ColumnRef<'_>],
        from: usize,
        count: usize,
        rids: &mut [u32],
    ) -> Result<Written> {
        let mut state = self.open_state()?;
        let private = self.private(&mut state, relation_id)?;
        let specs: Vec<_> = private.columns.iter().map(|c| c.spec).collect();
        check_columns(specs.into_iter(), columns, from + count)?;
        if rids.len() < count {
            return Err(StoreError::internal("fewer row id slots than rows"));
        }
        if let Some(token) = self.wait_for_files(private)? {
            return Ok(Written { done: 0, stop: WriteStop::Wait(token) });
        }
        let rids = &mut rids[..count];
        private.table.allocate_rids(rids)?;
        let table = Arc::clone(&private.table);
        let indexes = table.indexes();
        let claimed = self.claim_keys(&mut state, relation_id, &indexes, columns, from, rids);
        let claimed = claimed.inspect_err(|_| table.free_rids(rids.iter().rev().copied()))?;
        let (mut done, mut stop, mut failure) = (claimed, WriteStop::Done, None);
        for (i, &rid) in rids.iter().enumerate().skip(claimed) {
            match self.insert_keys(&mut state, relation_id, &indexes, columns, from + i, rid, i) {
                Ok(None) => done += 1,
                Ok(Some(why)) => {
                    stop = why;
                    break;
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        table.free_rids(rids[done..].iter().rev().copied());
        let command = state.command;
        let rows_before = state.private(relation_id).row_count();
        state.undo.push(Undo::Append { relation: relation_id, rows_before });
        let private = state.private(relation_id);
        append_rows(private, columns, from, &rids[..done], command)?;
        self.spill_vectors(private);
        analyze_rows(private, &indexes, rows_before);
        match failure {
            Some(error) => Err(error),
            None => Ok(Written { done, stop }),
        }
    }

    /// A token to wait for while files take vectors more slowly than they come, or what went wrong with the files.
    fn wait_for_files(&self, private: &PrivateTable) -> Result<Option<u32>> {
        let channel = &self.session.owner.channel;
        let token = || next_token(&self.engine.next_token);
        for stream in private.vectors.iter().filter_map(|own| own.stream.as_ref()) {
            if let Some(token) = stream.has_room(channel, token)? {
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    /// Lets files have the vectors of a write that has become large.
    fn spill_vectors(&self, private: &mut PrivateTable) {
        if let Some(durable) = self.engine.durable.as_ref().filter(|_| !private.table.temporary) {
            private.spill_vectors(durable.bulk_bytes());
        }
    }

    /// Checks the unique keys of a new row and notes all its keys. Some = the row cannot be done now.
    #[expect(clippy::too_many_arguments, reason = "one row of a batch, in the words of the batch")]
    fn insert_keys(
        &self,
        state: &mut State,
        relation_id: u32,
        indexes: &[Arc<Index>],
        columns: &[ColumnRef<'_>],
        row: usize,
        rid: u32,
        at: usize,
    ) -> Result<Option<WriteStop>> {
        if at.is_multiple_of(INTERRUPT_ROWS) {
            self.session.check_interrupt()?;
        }
        check_sizes(columns, row)?;
        let table = Arc::clone(&state.private(relation_id).table);
        // Before the unique keys are looked at: a key that another took because of what we read is 40001, not 23505.
        self.note_write(state, &table, None, || row_entries(indexes, columns, row, rid))?;
        let mut keys = Vec::new();
        for index in indexes.iter().filter(|i| i.btree().is_some()) {
            let mut key = Vec::new();
            let has_null = row_key(index, columns, row, &mut key)?;
            if is_absent(&key) {
                continue;
            }
            match self.check_unique(state, relation_id, index, &key, has_null, None)? {
                Unique::Free => keys.push((index.spec.index_id, key)),
                Unique::Conflict(rid) => {
                    return Ok(Some(WriteStop::Conflict { index_id: index.spec.index_id, rid }));
                }
                Unique::Wait(token) => return Ok(Some(WriteStop::Wait(token))),
            }
        }
        let private = state.private(relation_id);
        for (index_id, key) in keys {
            private.add_key(index_id, Entry::new(&key, rid));
        }
        Ok(None)
    }

    /// Whether `key` may be added for the row `own_rid` (None: a new row).
    fn check_unique(
        &self,
        state: &mut State,
        relation_id: u32,
        index: &Index,
        key: &[u8],
        has_null: bool,
        own_rid: Option<u32>,
    ) -> Result<Unique> {
        let (unique, nulls_not_distinct) = index.uniqueness();
        if !unique || is_absent(key) || (has_null && !nulls_not_distinct) {
            return Ok(Unique::Free);
        }
        let tag = key_tag(index, key);
        let outcome = loop {
            let outcome = self.take_lock(state, tag, MODE_EXCLUSIVE, LockPolicy::Wait)?;
            if let Outcome::Wait(token) = outcome {
                return Ok(Unique::Wait(token));
            }
            let (index_id, own_id) = (index.spec.index_id, self.session.process_id());
            let Some(load) = self.engine.locks.claims.claimant(own_id, index_id, key) else {
                break outcome;
            };
            if outcome == Outcome::Granted {
                // The load may want this key again before it ends, and must not find us in its way.
                state.locks.pop();
                self.engine.locks.release(own_id, tag, MODE_EXCLUSIVE);
            }
            let claim = LockTag::Keys { index: index_id, process_id: load };
            match self.session.acquire(claim, MODE_SHARE, LockPolicy::Wait, false)? {
                Outcome::Wait(token) => return Ok(Unique::Wait(token)),
                // It has ended meanwhile: a lock to wait by, not to keep.
                _ => self.engine.locks.release(own_id, claim, MODE_SHARE),
            }
        };
        let private = state.private(relation_id);
        let taken = match own_conflict(private, index, key, own_rid)? {
            Some(rid) => Some(rid),
            None => committed_conflict(private, index, key, own_rid)?,
        };
        let Some(rid) = taken else { return Ok(Unique::Free) };
        if outcome == Outcome::Granted {
            // Nothing is added under this key, so nobody needs to wait for this transaction's end.
            state.locks.pop();
            self.engine.locks.release(self.session.process_id(), tag, MODE_EXCLUSIVE);
        }
        Ok(Unique::Conflict(rid))
    }

    /// Replaces the columns `changed` of rows this transaction has locked: `rids[i]` takes row `from + i`. The base is the
    /// newest version, an own one or the newest committed.
    pub fn update_rows(
        &self,
        relation_id: u32,
        rids: &[u32],
        changed: &[u16],
        columns: &[ColumnRef<'_>],
        from: usize,
    ) -> Result<Written> {
        let mut state = self.open_state()?;
        let private = self.private(&mut state, relation_id)?;
        let specs = changed.iter().map(|&c| private.columns.get(c as usize).map(|c| c.spec));
        let specs: Option<Vec<_>> = specs.collect();
        let specs = specs.ok_or_else(|| StoreError::internal("column outside the relation"))?;
        check_columns(specs.into_iter(), columns, from + rids.len())?;
        if let Some(token) = self.wait_for_files(private)? {
            return Ok(Written { done: 0, stop: WriteStop::Wait(token) });
        }
        let indexes = private.table.indexes();
        let affected: Vec<_> = indexes.iter().filter(|i| i.uses_any(changed)).cloned().collect();
        for (i, &rid) in rids.iter().enumerate() {
            if i.is_multiple_of(INTERRUPT_ROWS) {
                self.session.check_interrupt()?;
            }
            let stop = self.update_row(
                &mut state,
                relation_id,
                rid,
                changed,
                columns,
                from + i,
                &affected,
            )?;
            if let Some(stop) = stop {
                return Ok(Written { done: i, stop });
            }
            self.spill_vectors(state.private(relation_id));
        }
        Ok(Written { done: rids.len(), stop: WriteStop::Done })
    }

    #[expect(clippy::too_many_arguments, reason = "one row of a batch, in the words of the batch")]
    fn update_row(
        &self,
        state: &mut State,
        relation_id: u32,
        rid: u32,
        changed: &[u16],
        columns: &[ColumnRef<'_>],
        row: usize,
        affected: &[Arc<Index>],
    ) -> Result<Option<WriteStop>> {
        check_sizes(columns, row)?;
        let command = state.command;
        let private = state.private(relation_id);
        let (base, cells) = newest_row(private, rid)?;
        let new_cells = changed_row(private, cells.clone(), changed, columns, row)?;
        let table = Arc::clone(&private.table);
        self.note_write(state, &table, Some(rid), || {
            let mut entries = cell_entries(affected, &cells, rid)?;
            entries.extend(cell_entries(affected, &new_cells, rid)?);
            Ok(entries)
        })?;
        let mut keys = Vec::new();
        for index in affected.iter().filter(|i| i.btree().is_some()) {
            let (mut old, mut new) = (Vec::new(), Vec::new());
            let old_null = encode_key(&index.spec.columns, |c| cells[c].as_value(), &mut old)?;
            let has_null = encode_key(&index.spec.columns, |c| new_cells[c].as_value(), &mut new)?;
            if old == new {
                continue;
            }
            match self.check_unique(state, relation_id, index, &new, has_null, Some(rid))? {
                Unique::Free => {}
                Unique::Conflict(rid) => {
                    return Ok(Some(WriteStop::Conflict { index_id: index.spec.index_id, rid }));
                }
                Unique::Wait(token) => return Ok(Some(WriteStop::Wait(token))),
            }
            self.lock_old_key(state, index, &old, old_null)?;
            if !is_absent(&new) {
                keys.push((index.spec.index_id, new));
            }
        }
        let rows_before = state.private(relation_id).row_count();
        state.undo.push(Undo::Append { relation: relation_id, rows_before });
        let private = state.private(relation_id);
        let (chunk, _) = private.open_chunk();
        chunk.push_row(|c| new_cells[c].as_value());
        let first = private.note_version(rid, command);
        state.undo.push(Undo::Version { relation: relation_id, rid, first });
        let private = state.private(relation_id);
        if let Newest::Own(old) = base {
            private.end(old, command);
            state.undo.push(Undo::End { relation: relation_id, row: old });
        }
        let private = state.private(relation_id);
        for (index_id, key) in keys {
            private.add_key(index_id, Entry::new(&key, rid));
        }
        let indexes = private.table.indexes();
        analyze_rows(private, &indexes, rows_before);
        Ok(None)
    }

    /// Deletes rows this transaction has locked.
    pub fn delete_rows(&self, relation_id: u32, rids: &[u32]) -> Result<()> {
        let mut state = self.open_state()?;
        let command = state.command;
        let private = self.private(&mut state, relation_id)?;
        let table = Arc::clone(&private.table);
        let indexes = table.indexes();
        let unique: Vec<_> = indexes.iter().filter(|i| i.uniqueness().0).cloned().collect();
        let mut key = Vec::new();
        for (i, &rid) in rids.iter().enumerate() {
            if i.is_multiple_of(INTERRUPT_ROWS) {
                self.session.check_interrupt()?;
            }
            let (base, cells) = newest_row(state.private(relation_id), rid)?;
            self.note_write(&state, &table, Some(rid), || cell_entries(&indexes, &cells, rid))?;
            for index in &unique {
                let has_null = encode_key(&index.spec.columns, |c| cells[c].as_value(), &mut key)?;
                self.lock_old_key(&mut state, index, &key, has_null)?;
            }
            let private = state.private(relation_id);
            match base {
                Newest::Own(row) => {
                    private.end(row, command);
                    state.undo.push(Undo::End { relation: relation_id, row });
                }
                _ => {
                    if private.hide(rid, command) {
                        state.undo.push(Undo::Hide { relation: relation_id, rid });
                    }
                }
            }
        }
        Ok(())
    }

    /// Locks a key this transaction removes, so that who wants to add it waits for our end. The lock can only be busy for
    /// the moment in which somebody finds our row in the way; then that answer stands and the lock is not needed.
    fn lock_old_key(
        &self,
        state: &mut State,
        index: &Index,
        key: &[u8],
        has_null: bool,
    ) -> Result<()> {
        let (unique, nulls_not_distinct) = index.uniqueness();
        if unique && !is_absent(key) && (!has_null || nulls_not_distinct) {
            self.take_lock(state, key_tag(index, key), MODE_EXCLUSIVE, LockPolicy::NoWait)?;
        }
        Ok(())
    }
}

pub(super) fn key_tag(index: &Index, key: &[u8]) -> LockTag {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
    LockTag::Key { index: index.spec.index_id, hash }
}

/// The btree entries of a row the caller gave.
fn row_entries(
    indexes: &[Arc<Index>],
    columns: &[ColumnRef<'_>],
    row: usize,
    rid: u32,
) -> Result<Vec<(u32, Entry)>> {
    let mut entries = Vec::new();
    for index in indexes.iter().filter(|i| i.btree().is_some()) {
        let mut key = Vec::new();
        row_key(index, columns, row, &mut key)?;
        entries.push((index.spec.index_id, Entry::new(&key, rid)));
    }
    Ok(entries)
}

/// The btree entries of a version by its cells.
fn cell_entries(
    indexes: &[Arc<Index>],
    cells: &[OwnedValue],
    rid: u32,
) -> Result<Vec<(u32, Entry)>> {
    let mut entries = Vec::new();
    for index in indexes.iter().filter(|i| i.btree().is_some()) {
        let mut key = Vec::new();
        encode_key(&index.spec.columns, |c| cells[c].as_value(), &mut key)?;
        entries.push((index.spec.index_id, Entry::new(&key, rid)));
    }
    Ok(entries)
}

/// The key of a row the caller gave.
pub(super) fn row_key(
    index: &Index,
    columns: &[ColumnRef<'_>],
    row: usize,
    key: &mut Vec<u8>,
) -> Result<bool> {
    let mut failure = None;
    let has_null = encode_key(
        &index.spec.columns,
        |column| {
            columns[column].value(row).unwrap_or_else(|error| {
                failure = Some(error);
                Value::Null
            })
        },
        key,
    )?;
    debug_assert!(key.len() <= MAX_KEY_BYTES, "encode_key checks the length");
    failure.map_or(Ok(has_null), Err)
}

/// Refuses values a chunk cannot hold.
pub(super) fn check_sizes(columns: &[ColumnRef<'_>], row: usize) -> Result<()> {
    for column in columns {
        if let crate::column::ValuesRef::Bytes { offsets, .. } = column.values
            && (offsets[row + 1] - offsets[row]) as usize > MAX_VALUE_BYTES
        {
            return Err(StoreError::new(
                crate::error::sqlstate::PROGRAM_LIMIT_EXCEEDED,
                "value exceeds the maximum of 1 GB",
            ));
        }
    }
    Ok(())
}

fn append_rows(
    private: &mut PrivateTable,
    columns: &[ColumnRef<'_>],
    from: usize,
    rids: &[u32],
    command: u32,
) -> Result<()> {
    let specs = Arc::clone(&private.columns);
    let mut done = 0;
    while done < rids.len() {
        let has_bytes =
            columns.iter().any(|c| matches!(c.values, crate::column::ValuesRef::Bytes { .. }));
        let (chunk, room, vectors) = private.open_chunk_and_vectors();
        // Rows with bytes go in smaller runs, so that a chunk notices that its arena is full.
        let run = room.min(rids.len() - done).min(if has_bytes { 256 } else { usize::MAX });
        chunk.extend(columns, from + done, run, |column, floats| {
            vectors[column].push(floats, specs[column].spec.row_words())
        })?;
        private.note_inserted(&rids[done..done + run], command);
        done += run;
    }
    Ok(())
}

/// Tokenises the texts of new rows for the bm25 indexes, outside the commit sequence.
fn analyze_rows(private: &mut PrivateTable, indexes: &[Arc<Index>], rows_before: u32) {
    for index in indexes {
        let Some(bm25) = index.bm25() else { continue };
        let column = index.spec.columns[0].column as usize;
        let mut documents = private.documents.remove(&index.spec.index_id).unwrap_or_default();
        // An index made after rows were written starts with those.
        let start = (documents.len() as u32).min(rows_before);
        for row in start..private.row_count() {
            documents.push(bm25.analyze(private.value(row, column)));
        }
        private.documents.insert(index.spec.index_id, documents);
    }
}

/// The newest version of a locked row: where it is and its cells.
fn newest_row(private: &PrivateTable, rid: u32) -> Result<(Newest, Vec<OwnedValue>)> {
    let width = private.columns.len();
    let newest = private.newest(rid);
    let cells = match newest {
        Newest::Own(row) => (0..width).map(|c| private.value(row, c).to_owned_value()).collect(),
        Newest::Deleted => {
            return Err(StoreError::internal("write to a row this transaction deleted"));
        }
        Newest::Committed => {
            let data = read(&private.table.data);
            let slot = data
                .live(rid)
                .ok_or_else(|| StoreError::internal("write to a row that is gone"))?;
            let value = |c| Ok(slot_value(&data, &private.columns, c, slot)?.to_owned_value());
            (0..width).map(value).collect::<Result<_>>()?
        }
    };
    Ok((newest, cells))
}

fn changed_row(
    private: &mut PrivateTable,
    mut cells: Vec<OwnedValue>,
    changed: &[u16],
    columns: &[ColumnRef<'_>],
    row: usize,
) -> Result<Vec<OwnedValue>> {
    for (&position, column) in changed.iter().zip(columns) {
        let position = position as usize;
        cells[position] = if matches!(column.values, crate::column::ValuesRef::Vector { .. }) {
            match column.vector(row)? {
                None => OwnedValue::Null,
                Some(floats) => {
                    let row_words = private.columns[position].spec.row_words();
                    OwnedValue::Vector(private.vectors[position].push(floats, row_words))
                }
            }
        } else {
            column.value(row)?.to_owned_value()
        };
    }
    Ok(cells)
}

pub(super) fn own_conflict(
    private: &PrivateTable,
    index: &Index,
    key: &[u8],
    own_rid: Option<u32>,
) -> Result<Option<u32>> {
    let Some(keys) = private.keys.get(&index.spec.index_id) else { return Ok(None) };
    let keys = read(keys);
    let mut other = Vec::new();
    for entry in keys.with_key(key) {
        if own_rid == Some(entry.rid()) {
            continue;
        }
        match private.newest(entry.rid()) {
            // An earlier row of this batch: its key is noted, the row itself follows with the batch.
            Newest::Committed => return Ok(Some(entry.rid())),
            Newest::Own(row) => {
                private.key(row, &index.spec.columns, &mut other)?;
                if other == key {
                    return Ok(Some(entry.rid()));
                }
            }
            Newest::Deleted => {}
        }
    }
    Ok(None)
}

pub(super) fn committed_conflict(
    private: &PrivateTable,
    index: &Index,
    key: &[u8],
    own_rid: Option<u32>,
) -> Result<Option<u32>> {
    let btree = index.btree().expect("only btree indexes are unique");
    if btree.ends_before(key) {
        return Ok(None);
    }
    let data = read(&private.table.data);
    let mut entries = Vec::new();
    btree.read_run(&ByteRange::of_key(key), false, usize::MAX, &mut entries);
    let mut other = Vec::new();
    for entry in entries.iter().filter(|e| e.key() == key) {
        let rid = entry.rid();
        if own_rid == Some(rid) {
            continue;
        }
        let slot = match private.newest(rid) {
            // Own versions are in the transaction's entries, unless the update left this key alone.
            Newest::Own(row) => {
                private.key(row, &index.spec.columns, &mut other)?;
                if other == key {
                    return Ok(Some(rid));
                }
                continue;
            }
            Newest::Deleted => continue,
            Newest::Committed => data.live(rid),
        };
        if let Some(slot) = slot {
            index.slot_key(&data, &private.columns, slot, &mut other)?;
            if other == key {
                return Ok(Some(rid));
            }
        }
    }
    Ok(None)
}
