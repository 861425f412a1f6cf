//! Full scans and fetches by row id.

use std::sync::Arc;

use super::fill::{Batch, Positions, RowRef, Source, fill, too_small};
use super::private::Newest;
use super::{State, Transaction};
use crate::column::ColumnMut;
use crate::error::{Result, StoreError};
use crate::snapshot::Snapshot;
use crate::sync::{lock, read};
use crate::table::chunk::Chunk;
use crate::table::rows::{CHUNK_ROWS, Rows};
use crate::table::{ColumnInfo, Columns, OpenScan};
use crate::types::Filled;

/// Where a scan stands: a chunk of the committed rows, or the transaction's own.
#[derive(Debug, Clone, Copy)]
enum Place {
    Chunk { number: usize, position: usize },
    Own { row: u32 },
    End,
}

/// A full scan in chunk order, own rows last. It keeps its snapshot and command, so a portal that is read later still
/// sees what its statement saw.
pub struct ScanCursor {
    transaction: Arc<Transaction>,
    open: OpenScan,
    relation_id: u32,
    table_columns: Columns,
    columns: Vec<u16>,
    snapshot: Arc<Snapshot>,
    command: u32,
    /// Versions of this commit or older are passed over.
    since: u64,
    /// Chunks and tail rows that were there when the scan began; later ones hold nothing its snapshot sees.
    chunk_count: usize,
    place: Place,
    positions: Vec<u32>,
}

impl Transaction {
    /// Opens a scan of the given columns (positions in the relation).
    pub fn open_scan(self: &Arc<Self>, relation_id: u32, columns: &[u16]) -> Result<ScanCursor> {
        self.open_scan_since(relation_id, columns, 0)
    }

    /// As `open_scan`, of the committed versions alone that are younger than the commit `since`.
    pub fn open_scan_since(
        self: &Arc<Self>,
        relation_id: u32,
        columns: &[u16],
        since: u64,
    ) -> Result<ScanCursor> {
        let state = self.open_state()?;
        let table = self.engine.readable_table(relation_id)?;
        let table_columns = match state.tables.get(&relation_id) {
            Some(private) => Arc::clone(&private.columns),
            None => table.columns(),
        };
        check_positions(&table_columns, columns)?;
        self.note_table_read(&state, &table)?;
        let open = table.scan_begins();
        let chunk_count = read(&table.data).chunks.len() + 1;
        Ok(ScanCursor {
            transaction: Arc::clone(self),
            open,
            relation_id,
            table_columns,
            columns: columns.to_vec(),
            snapshot: Arc::clone(&state.snapshot),
            command: state.command,
            since,
            chunk_count,
            place: Place::Chunk { number: 0, position: 0 },
            positions: Vec::new(),
        })
    }

    /// Reads rows by rid in the given order, skipping those the statement does not see; `found` receives the rids read.
    /// `newest`: the newest version of rows this transaction has locked. At most as many rids as the buffers hold.
    pub fn fetch_rows(
        &self,
        relation_id: u32,
        rids: &[u32],
        newest: bool,
        columns: &[u16],
        buffers: &mut [ColumnMut<'_>],
        found: &mut [u32],
    ) -> Result<Filled> {
        let state = self.open_state()?;
        let table = self.engine.readable_table(relation_id)?;
        let private = state.tables.get(&relation_id);
        let table_columns =
            private.map_or_else(|| table.columns(), |private| Arc::clone(&private.columns));
        check_positions(&table_columns, columns)?;
        check_buffers(columns, buffers, rids.len().min(found.len()))?;
        if found.len() < rids.len() {
            return Err(StoreError::internal("fewer found slots than row ids"));
        }
        if !newest {
            self.note_rows_read(&state, &table, rids)?;
        }
        let data = read(&table.data);
        let mut refs = Vec::with_capacity(rids.len());
        for &rid in rids {
            let row = match private.map_or(Newest::Committed, |p| {
                if newest { p.newest(rid) } else { p.resolve(rid, state.command) }
            }) {
                Newest::Own(row) => Some(RowRef::Own(row)),
                Newest::Deleted => None,
                Newest::Committed if newest => data.live(rid).map(RowRef::Committed),
                Newest::Committed => {
                    data.visible(rid, state.snapshot.number).map(RowRef::Committed)
                }
            };
            if let Some(row) = row {
                found[refs.len()] = rid;
                refs.push(row);
            }
        }
        let source = Source { table: &table, columns: &table_columns, private };
        let batch = Batch::Any { data: &data, refs: &refs };
        if let Some((column, needed)) = too_small(&batch, &source, columns, buffers)? {
            return Ok(Filled::TooSmall { column, needed });
        }
        fill(&batch, &source, columns, buffers)?;
        if !newest {
            state.snapshot.check()?;
        }
        Ok(Filled::Rows(refs.len()))
    }

    /// One above the largest row id in use, own rows included.
    pub fn rid_limit(&self, relation_id: u32) -> Result<u32> {
        Ok(self.engine.readable_table(relation_id)?.rid_limit())
    }
}

impl ScanCursor {
    /// The next batch: at most 4,096 rows and at most what `rids` and the buffers hold; 0 rows at the end.
    pub fn next(&mut self, buffers: &mut [ColumnMut<'_>], rids: &mut [u32]) -> Result<Filled> {
        let filled = self.next_batch(buffers, rids)?;
        self.snapshot.check()?;
        Ok(filled)
    }

    fn next_batch(&mut self, buffers: &mut [ColumnMut<'_>], rids: &mut [u32]) -> Result<Filled> {
        let transaction = Arc::clone(&self.transaction);
        let state = lock(&transaction.state);
        if state.status != super::Status::Open {
            return Err(StoreError::internal("the transaction has ended"));
        }
        let capacity = buffers.iter().map(ColumnMut::capacity).fold(rids.len(), usize::min);
        let capacity = capacity.min(CHUNK_ROWS);
        if capacity == 0 {
            return Err(StoreError::internal("a scan needs room for a row"));
        }
        check_buffers(&self.columns, buffers, capacity)?;
        loop {
            match self.place {
                Place::Chunk { number, .. } if number >= self.chunk_count => {
                    self.place = Place::Own { row: 0 };
                }
                Place::Chunk { number, position } => {
                    let table = Arc::clone(&self.open.0);
                    let data = read(&table.data);
                    let sealed = data.chunks.get(number).cloned();
                    if let Some(chunk) = sealed {
                        drop(data);
                        if let Some(filled) = self.chunk_batch(
                            &state, &chunk, number, position, capacity, buffers, rids,
                        )? {
                            return Ok(filled);
                        }
                    } else if number == data.chunks.len() {
                        let tail = &data.tail;
                        if let Some(filled) = self
                            .chunk_batch(&state, tail, number, position, capacity, buffers, rids)?
                        {
                            return Ok(filled);
                        }
                    } else {
                        self.place = Place::Own { row: 0 };
                    }
                }
                Place::Own { row } => return self.own_batch(&state, row, capacity, buffers, rids),
                Place::End => return Ok(Filled::Rows(0)),
            }
        }
    }

    /// Up to `capacity` visible rows of a chunk from `position` on; None when it has no more.
    #[expect(clippy::too_many_arguments, reason = "the pieces of one batch")]
    fn chunk_batch(
        &mut self,
        state: &State,
        chunk: &Chunk,
        number: usize,
        position: usize,
        capacity: usize,
        buffers: &mut [ColumnMut<'_>],
        rids: &mut [u32],
    ) -> Result<Option<Filled>> {
        let private = state.tables.get(&self.relation_id).filter(|p| p.has_touched());
        let snapshot = self.snapshot.number;
        let end = chunk.len();
        self.positions.clear();
        let mut next = position;
        let plain = private.is_none() && chunk.all_visible(snapshot) && self.since == 0;
        if self.since > 0 && !chunk.is_younger(self.since) {
            self.place = Place::Chunk { number: number + 1, position: 0 };
            return Ok(None);
        }
        if plain {
            next = end.min(position + capacity);
        } else {
            while next < end && self.positions.len() < capacity {
                let hidden = || {
                    let resolve =
                        |p: &super::PrivateTable| p.resolve(chunk.rids[next], self.command);
                    private.is_some_and(|p| resolve(p) != Newest::Committed)
                };
                let is_younger = chunk.xmin(next) > self.since || self.since == 0;
                if is_younger && chunk.visible(next, snapshot) && !hidden() {
                    self.positions.push(next as u32);
                }
                next += 1;
            }
        }
        let after = if next < end {
            Place::Chunk { number, position: next }
        } else {
            Place::Chunk { number: number + 1, position: 0 }
        };
        let positions = if plain {
            Positions::Run { from: position, count: next - position }
        } else {
            Positions::List(&self.positions)
        };
        let batch = Batch::Chunk { rows: &chunk.rows, positions };
        if batch.len() == 0 {
            self.place = after;
            return Ok(None);
        }
        let source = Source {
            table: &self.open.0,
            columns: &self.table_columns,
            private: state.tables.get(&self.relation_id),
        };
        if let Some((column, needed)) = too_small(&batch, &source, &self.columns, buffers)? {
            return Ok(Some(Filled::TooSmall { column, needed }));
        }
        fill(&batch, &source, &self.columns, buffers)?;
        let count = batch.len();
        if plain {
            rids[..count].copy_from_slice(&chunk.rids[position..next]);
        } else {
            let ids = self.positions.iter().map(|&p| chunk.rids[p as usize]);
            rids.iter_mut().zip(ids).for_each(|(out, rid)| *out = rid);
        }
        self.place = after;
        Ok(Some(Filled::Rows(count)))
    }

    fn own_batch(
        &mut self,
        state: &State,
        from: u32,
        capacity: usize,
        buffers: &mut [ColumnMut<'_>],
        rids: &mut [u32],
    ) -> Result<Filled> {
        let Some(private) = state.tables.get(&self.relation_id) else {
            self.place = Place::End;
            return Ok(Filled::Rows(0));
        };
        let mut row = from;
        // Rows of one private chunk at a time, so that columns are copied from one place.
        while row < private.row_count() {
            let (rows, start, left): (&Rows, usize, usize) = private.chunk_of(row);
            let first = row;
            self.positions.clear();
            while (row - first) < left as u32 && self.positions.len() < capacity {
                if private.visible(row, self.command) {
                    self.positions.push(start as u32 + (row - first));
                }
                row += 1;
            }
            if self.positions.is_empty() {
                continue;
            }
            let source = Source {
                table: &self.open.0,
                columns: &self.table_columns,
                private: Some(private),
            };
            let batch = Batch::Chunk { rows, positions: Positions::List(&self.positions) };
            if let Some((column, needed)) = too_small(&batch, &source, &self.columns, buffers)? {
                return Ok(Filled::TooSmall { column, needed });
            }
            fill(&batch, &source, &self.columns, buffers)?;
            for (out, &position) in rids.iter_mut().zip(&self.positions) {
                *out = private.rids[(first + (position - start as u32)) as usize];
            }
            self.place = Place::Own { row };
            return Ok(Filled::Rows(self.positions.len()));
        }
        self.place = Place::End;
        Ok(Filled::Rows(0))
    }
}

pub(super) fn check_positions(table_columns: &[ColumnInfo], columns: &[u16]) -> Result<()> {
    if columns.iter().all(|&c| (c as usize) < table_columns.len()) {
        Ok(())
    } else {
        Err(StoreError::internal("column outside the relation"))
    }
}

fn check_buffers(columns: &[u16], buffers: &[ColumnMut<'_>], rows: usize) -> Result<()> {
    if columns.len() != buffers.len() {
        return Err(StoreError::internal("as many buffers as columns"));
    }
    if buffers.iter().any(|b| b.capacity() < rows) {
        return Err(StoreError::internal("buffer too short for the rows asked for"));
    }
    Ok(())
}
