//! Values for a column that versions are older than, put beside them: the versions stay what they are.
//!
//! A chunk has as many columns as the relation had when its rows were written, and what reads it asks for no more than its
//! own list of columns has. So a transaction that adds a column may widen the chunks before it commits: nobody else looks at
//! what is beyond the columns he knows. A widened chunk takes the place of the old one, under the table's lock, with the same
//! versions at the same positions; whoever still holds the old one sees the same rows.
//!
//! Invariant: beyond the relation's committed columns a chunk has those of the one transaction that adds columns at the time
//! (its table lock conflicts with itself), or none. Whoever gives its columns up calls `narrow`; a checkpoint
//! writes the committed columns only (`durable::capture`), and a chunk that is rewritten keeps what it has (`collect`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::data::TableData;
use super::rows::{Rows, StoredColumn};
use super::{ColumnInfo, chunk_value};
use crate::error::Result;
use crate::value::Value;

impl TableData {
    /// Gives the live versions of `rids` that are no younger than `as_of` the values of the columns `positions`:
    /// `value(which, row)` is that of `positions[which]` for `rids[row]`. `columns`: the relation's with those added;
    /// `next_tail`: an empty set of those that rows to come have. Returns how many versions there were.
    ///
    /// Errors: XX001 when a column that is to be overwritten lies damaged in its file.
    pub fn backfill<'v>(
        &mut self,
        columns: &[ColumnInfo],
        next_tail: Rows,
        (positions, rids, as_of): (&[u16], &[u32], u64),
        value: impl Fn(usize, usize) -> Value<'v>,
    ) -> Result<usize> {
        // Chunk -> (position in it, row)
        let mut targets: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        let mut count = 0;
        for (row, &rid) in rids.iter().enumerate() {
            let Some(slot) = self.live(rid) else { continue };
            if self.chunk(slot.chunk()).xmin(slot.position()) <= as_of {
                targets.entry(slot.chunk()).or_default().push((slot.position(), row));
                count += 1;
            }
        }
        if targets.contains_key(&self.chunks.len()) {
            // It gets a number, and no more rows.
            self.seal_tail(next_tail);
        }
        for (number, targets) in targets {
            let old = &self.chunks[number];
            positions.iter().try_for_each(|&column| old.rows.check(column as usize))?;
            let mut given = vec![None; old.len()];
            for (position, row) in targets {
                given[position] = Some(row);
            }
            let added = |column: usize| {
                let which = positions.iter().position(|&p| p as usize == column)?;
                let mut added = StoredColumn::new(columns[column].spec.kind);
                for (position, row) in given.iter().enumerate() {
                    added.push(match row {
                        Some(row) => value(which, *row),
                        None => chunk_value(&old.rows, columns, column, position),
                    });
                }
                Some(added)
            };
            let rows = old.rows.widened(columns, positions, added);
            let unchanged = positions.iter().min().map_or(0, |&first| first as usize);
            self.chunks[number] = Arc::new(old.over(rows, unchanged));
        }
        Ok(count)
    }

    /// Takes the columns from `width` on away from chunks that have them.
    pub fn narrow(&mut self, width: usize) {
        for chunk in &mut self.chunks {
            if chunk.rows.columns.len() > width {
                *chunk = Arc::new(chunk.over(chunk.rows.narrowed(width), width));
            }
        }
    }
}
