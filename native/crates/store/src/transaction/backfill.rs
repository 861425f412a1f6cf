//! Values for the rows that a relation has, in columns that this transaction adds: what an index over an expression needs.
//!
//! They lie beside the versions that exist (`table::backfill`): no row gets a new version, and nobody sees the columns
//! before the commit. Vectors go straight to the segments of the added column, which is this transaction's alone, under the
//! numbers 0, 1, 2 ...; the commit has them synced and logs their numbers and, for each row, its value or number
//! (`commit::redo`). Whatever ends the transaction otherwise takes columns and segments away again.
//!
//! The caller holds SHARE ROW EXCLUSIVE on the table, or more, at the latest when it asks for the rows for the last time, and the
//! transaction has written none of them. So all rows are committed, and have values when the commit comes:
//!
//! ```text
//!   beside writers    SHARE UPDATE EXCLUSIVE    the rows of one snapshot get their values
//!                     SHARE ROW EXCLUSIVE       writers have ended, and those that come wait; the versions that are
//!                                               younger than that snapshot get theirs (`open_scan_since`)
//!   commit            writers who waited bind anew, and know the columns
//! ```
//!
//! A value belongs to a version that never changes, so a row that is replaced after it got its value has lost it with that
//! version, and the new one is younger. Nobody ends the vector of the version that went, for nobody knows it: whose
//! the vectors are is looked up when they are published (`commit::publish`), under the same lock.

use std::sync::Arc;

use super::write::check_sizes;
use super::{Definition, State, Transaction};
use crate::column::{ColumnRef, ValuesRef};
use crate::engine::{Engine, vector_name};
use crate::error::{Result, StoreError};
use crate::sync::{read, write};
use crate::table::rows::check_columns;
use crate::table::vectors::VectorColumn;
use crate::table::{Table, empty_rows};
use crate::value::{PRIVATE_VECTOR, Value};
use omen_disk::{RowWords, VectorSegments};

/// The values of one column of a batch: as the caller gave them, or as the numbers that its vectors got.
enum Given<'a> {
    Values(&'a ColumnRef<'a>),
    Vids(Vec<Option<u32>>),
}

impl Given<'_> {
    fn value(&self, row: usize) -> Value<'_> {
        match self {
            // Kinds were checked with the columns.
            Self::Values(column) => column.value(row).unwrap_or(Value::Null),
            Self::Vids(vids) => vids[row].map_or(Value::Null, Value::Vector),
        }
    }
}

impl Transaction {
    /// Whether `backfill` can give the rows of a relation their values: they are all others'.
    pub fn can_backfill(&self, relation_id: u32) -> Result<bool> {
        let mut state = self.open_state()?;
        Ok(!self.private(&mut state, relation_id)?.has_changes())
    }

    /// Gives the committed rows `rids`, of the statement's snapshot, their values of the columns `positions`, which this
    /// transaction has added: `rids[i]` takes row `i` of `columns`. A row that has a younger version by now is passed over.
    pub fn backfill(
        &self,
        relation_id: u32,
        rids: &[u32],
        positions: &[u16],
        columns: &[ColumnRef<'_>],
    ) -> Result<()> {
        let mut state = self.open_state()?;
        self.session.check_interrupt()?;
        let private = self.private(&mut state, relation_id)?;
        if private.has_changes() {
            return Err(StoreError::internal("own rows are not filled beside their versions"));
        }
        let (table, all) = (Arc::clone(&private.table), Arc::clone(&private.columns));
        let specs: Option<Vec<_>> =
            positions.iter().map(|&p| all.get(p as usize).map(|c| c.spec)).collect();
        let specs = specs.ok_or_else(|| StoreError::internal("column outside the relation"))?;
        check_columns(specs.into_iter(), columns, rids.len())?;
        (0..rids.len()).try_for_each(|row| check_sizes(columns, row))?;
        let mut given = Vec::with_capacity(columns.len());
        for (&position, column) in positions.iter().zip(columns) {
            let (vectors, filled) = added_column(&mut state, relation_id, position)?;
            given.push(match vectors {
                Some(vectors) => Given::Vids(store_vectors(&vectors, column, rids)?),
                None => Given::Values(column),
            });
            *filled = true;
        }
        let next_tail = empty_rows(&table.columns());
        let of = (positions, rids, state.snapshot.number);
        let value = |which: usize, row: usize| given[which].value(row);
        write(&table.data).backfill(&all, next_tail, of, value)?;
        Ok(())
    }

    /// The commit that the statement's snapshot is of: what `open_scan_since` takes.
    pub fn snapshot_number(&self) -> Result<u64> {
        Ok(self.open_state()?.snapshot.number)
    }
}

/// The vectors of a column this transaction has added, and where it is noted that rows have values in it.
fn added_column(
    state: &mut State,
    relation_id: u32,
    wanted: u16,
) -> Result<(Option<Arc<VectorColumn>>, &mut bool)> {
    let found = state.definitions.iter_mut().find_map(|definition| match definition {
        Definition::AddColumn { relation, position, vectors, is_filled, .. }
            if (*relation, *position) == (relation_id, wanted) =>
        {
            Some((vectors.clone(), is_filled))
        }
        _ => None,
    });
    found.ok_or_else(|| StoreError::internal("only added columns are filled"))
}

/// Writes the vectors of a batch to their segments; returns their numbers. Nobody sees them before the commit.
fn store_vectors(
    vectors: &VectorColumn,
    column: &ColumnRef<'_>,
    rids: &[u32],
) -> Result<Vec<Option<u32>>> {
    let ValuesRef::Vector { dim, values } = column.values else {
        return Err(StoreError::internal("vectors for a vector column"));
    };
    let is_null = |row: usize| column.nulls[row] != 0;
    let first = vectors.filled();
    let mut vids = Vec::with_capacity(rids.len());
    let mut next = first;
    for row in 0..rids.len() {
        vids.push((!is_null(row)).then_some(next));
        next += u32::from(!is_null(row));
    }
    if next >= PRIVATE_VECTOR {
        return Err(StoreError::internal("a column numbers fewer than 2^31 vectors"));
    }
    // Runs of rows with vectors lie in one piece.
    let mut row = 0;
    while row < rids.len() {
        let end = (row..rids.len()).find(|&at| is_null(at) != is_null(row)).unwrap_or(rids.len());
        if let Some(vid) = vids[row] {
            let rows = &values[row * dim..end * dim];
            match vectors.segments.row_words() {
                RowWords::Fixed(_) => vectors.append(vid, rows)?,
                // Without what the caller's rows have room for.
                words @ RowWords::Counted { .. } => {
                    let kept = rows.chunks_exact(dim).filter_map(|row| words.first(row));
                    vectors.append(vid, &kept.collect::<Vec<_>>().concat())?;
                }
            }
        }
        row = end;
    }
    let owned = vids.iter().zip(rids).filter_map(|(vid, &rid)| vid.map(|vid| (vid, rid)));
    vectors.fill(next, owned);
    Ok(vids)
}

/// Forgets an added column that will not be the table's, with what has been put into it.
pub(crate) fn drop_added(
    engine: &Engine,
    table: &Table,
    width: usize,
    vectors: Option<&VectorColumn>,
) {
    let has_more = |table: &Table| {
        read(&table.data).chunks.iter().any(|chunk| chunk.rows.columns.len() > width)
    };
    if has_more(table) {
        write(&table.data).narrow(width);
    }
    if vectors.is_some_and(|vectors| vectors.filled() > 0) {
        let name = vector_name(table.relation_id, width as u16);
        // What stays goes when the number is given to another column, or the table is dropped.
        let _ = VectorSegments::remove(&*engine.vector_disk(table.temporary), &name);
    }
}
