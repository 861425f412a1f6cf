//! Indexes of a table. Each is derived from rows: a commit publishes into them, a load rebuilds them.

pub mod beside;
pub mod bm25;
pub mod btree;
pub mod hnsw;

use std::collections::HashSet;

use crate::error::Result;
use crate::key::{Entry, encode_key, is_absent};
use crate::sync::read;
use crate::table::data::{Slot, TableData};
use crate::table::{ColumnInfo, Table, chunk_value, slot_value};
use crate::types::{IndexMethod, IndexSpec, IndexStatistics};

use bm25::Bm25Index;
use btree::BtreeIndex;
use hnsw::HnswIndex;

pub enum IndexKind {
    Btree(BtreeIndex),
    // Boxed: a graph's header is kilobytes of lock stripes, a text index has its statistics.
    Hnsw(Box<HnswIndex>),
    Bm25(Box<Bm25Index>),
}

pub struct Index {
    pub spec: IndexSpec,
    pub kind: IndexKind,
}

impl Index {
    pub fn btree(&self) -> Option<&BtreeIndex> {
        match &self.kind {
            IndexKind::Btree(index) => Some(index),
            _ => None,
        }
    }

    pub fn hnsw(&self) -> Option<&HnswIndex> {
        match &self.kind {
            IndexKind::Hnsw(index) => Some(index),
            _ => None,
        }
    }

    pub fn bm25(&self) -> Option<&Bm25Index> {
        match &self.kind {
            IndexKind::Bm25(index) => Some(index),
            _ => None,
        }
    }

    /// (unique, nulls not distinct)
    pub fn uniqueness(&self) -> (bool, bool) {
        match self.spec.method {
            IndexMethod::Btree { unique, nulls_not_distinct } => (unique, nulls_not_distinct),
            _ => (false, false),
        }
    }

    pub fn uses_any(&self, columns: &[u16]) -> bool {
        self.spec.columns.iter().any(|c| columns.contains(&c.column))
    }

    /// The key of a committed version in `out`; true when it has a NULL.
    pub fn slot_key(
        &self,
        data: &TableData,
        columns: &[ColumnInfo],
        slot: Slot,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let chunk = data.chunk(slot.chunk());
        for column in &self.spec.columns {
            chunk.rows.check(column.column as usize)?;
        }
        let value = |column| chunk_value(&chunk.rows, columns, column, slot.position());
        encode_key(&self.spec.columns, value, out)
    }

    pub fn statistics(&self) -> IndexStatistics {
        match &self.kind {
            IndexKind::Btree(index) => IndexStatistics {
                entry_count: index.len() as u64,
                size_bytes: index.size_bytes() as u64,
                ..IndexStatistics::default()
            },
            IndexKind::Hnsw(index) => index.statistics(),
            IndexKind::Bm25(index) => index.statistics(),
        }
    }
}

/// Two live rows with the same key, found while an index was built.
#[derive(Debug)]
pub struct Duplicate {
    pub rid: u32,
}

/// Rows looked at under one hold of the table's lock: a build must not keep a waiting writer, and behind it every
/// reader, for longer than a moment.
const BUILD_RUN: u32 = 4096;

/// Calls `each` for the newest version of every live row, in row-id order; `tick` before each run. Rows written meanwhile are
/// seen as they are when their turn comes.
pub fn for_each_live(
    table: &Table,
    mut tick: impl FnMut() -> Result<()>,
    mut each: impl FnMut(&TableData, u32, Slot) -> Result<()>,
) -> Result<()> {
    let mut from = 0;
    loop {
        tick()?;
        let data = read(&table.data);
        let to = data.rid_limit().min(from + BUILD_RUN);
        for rid in from..to {
            if let Some(slot) = data.live(rid) {
                each(&data, rid, slot)?;
            }
        }
        if to == data.rid_limit() {
            return Ok(());
        }
        from = to;
    }
}

/// Entries of all live rows, sorted, and the first pair that a unique index would not allow. `passed_over` are rows the
/// building transaction has changed itself: they get entries for readers of older snapshots, but are in nobody's way.
/// `columns` are the relation's with those the transaction has added.
pub fn collect_entries(
    index: &Index,
    table: &Table,
    columns: &[ColumnInfo],
    passed_over: &HashSet<u32>,
    tick: impl FnMut() -> Result<()>,
) -> Result<(Vec<Entry>, Option<Duplicate>)> {
    let (unique, nulls_not_distinct) = index.uniqueness();
    let mut key = Vec::new();
    let mut entries = Vec::new();
    let mut unchecked = passed_over.clone();
    for_each_live(table, tick, |data, rid, slot| {
        let has_null = index.slot_key(data, columns, slot, &mut key)?;
        if is_absent(&key) {
            return Ok(());
        }
        if has_null && unique && !nulls_not_distinct {
            unchecked.insert(rid);
        }
        entries.push(Entry::new(&key, rid));
        Ok(())
    })?;
    entries.sort_unstable();
    if !unique {
        return Ok((entries, None));
    }
    let mut checked = entries.iter().filter(|e| !unchecked.contains(&e.rid())).peekable();
    let mut duplicate = None;
    while let (Some(entry), None) = (checked.next(), &duplicate) {
        let again = checked.peek().filter(|next| next.key() == entry.key());
        duplicate = again.map(|next| Duplicate { rid: next.rid() });
    }
    Ok((entries, duplicate))
}

/// Adds the texts of all live rows to an empty index.
pub fn fill_text(
    index: &Index,
    bm25: &Bm25Index,
    table: &Table,
    columns: &[ColumnInfo],
    tick: impl FnMut() -> Result<()>,
) -> Result<()> {
    let column = index.spec.columns[0].column as usize;
    for_each_live(table, tick, |data, rid, slot| {
        if let Some(document) = bm25.analyze(slot_value(data, columns, column, slot)?) {
            bm25.publish(vec![(rid, document)], Vec::new(), 0);
        }
        Ok(())
    })
}
