//! Garbage collection: versions no snapshot can see leave the indexes, their row ids, and at last their chunks.
//!
//! Runs in the pool, some hundred versions at a time, whenever a table has enough of them. What it does not collect:
//! vectors and text documents of dead versions (their numbers are not reused, so a vector column that is updated for ever
//! grows until the table is rewritten), and chunks while a scan of the table is open.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::Engine;
use crate::key::Entry;
use crate::sync::{lock, read, write};
use crate::table::chunk::Chunk;
use crate::table::data::{Ghost, Slot, TableData};
use crate::table::{ColumnInfo, Table, chunk_value, empty_rows};

/// Dead versions that make a run worth its while.
const WORTHWHILE: usize = 512;
/// Versions handled under one hold of the table's lock.
const RUN: usize = 512;

impl Engine {
    /// Collects a table in this thread and lets go of the mark that says so. Returns how many versions went.
    pub(crate) fn collect_now(&self, table: &Table) -> usize {
        let (dropped, rewritten) = collect(table, self.snapshots.oldest());
        table.collecting.store(false, Ordering::Release);
        if let Some(durable) = self.durable.as_ref().filter(|_| rewritten > 0 && !table.temporary) {
            // What was shrunk lies on the heap: the next checkpoint has to write it, changed or not.
            lock(&table.stored).manifest = None;
            durable.note_rewritten(rewritten as u64);
        }
        dropped
    }

    /// Collects a table in the pool, if it has enough to collect.
    pub(crate) fn schedule_collection(self: &Arc<Self>, table: &Arc<Table>) {
        if read(&table.data).ghosts.len() < WORTHWHILE
            || table.collecting.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let (engine, table) = (Arc::clone(self), Arc::clone(table));
        let pool = Arc::clone(&self.pool);
        pool.submit(move || {
            engine.collect_now(&table);
        });
    }
}

/// Drops what ended at or before `oldest`. Returns how many versions, and the bytes of chunks rewritten for it.
fn collect(table: &Table, oldest: u64) -> (usize, usize) {
    let mut chunks = HashSet::new();
    let mut dropped = 0;
    loop {
        let mut freed = Vec::new();
        let mut data = write(&table.data);
        let mut count = 0;
        while count < RUN && data.ghosts.front().is_some_and(|g| g.xmax <= oldest) {
            let ghost = data.ghosts.pop_front().expect("looked at");
            forget(table, &mut data, ghost, &mut freed, &mut chunks);
            count += 1;
        }
        drop(data);
        table.free_rids(freed);
        dropped += count;
        if count < RUN {
            break;
        }
    }
    let rewritten = chunks.into_iter().map(|number| shrink(table, number)).sum();
    (dropped, rewritten)
}

/// Takes a dead version out of the indexes and the row id's versions.
fn forget(
    table: &Table,
    data: &mut TableData,
    ghost: Ghost,
    freed: &mut Vec<u32>,
    chunks: &mut HashSet<usize>,
) {
    let Some((slot, is_last)) = data.forget(ghost) else { return };
    chunks.insert(slot.chunk());
    let columns = table.columns();
    let (mut key, mut other) = (Vec::new(), Vec::new());
    for index in table.indexes().iter() {
        let Some(btree) = index.btree() else { continue };
        // Where a chunk is damaged the entry stays: readers recheck keys, and say what is wrong with the row.
        if index.slot_key(data, &columns, slot, &mut key).is_err() {
            continue;
        }
        let kept: Vec<Slot> = data.versions(ghost.rid).collect();
        let still = kept.into_iter().any(|version| {
            index.slot_key(data, &columns, version, &mut other).is_err() || other == key
        });
        if !still {
            btree.remove(&Entry::new(&key, ghost.rid));
        }
    }
    if is_last {
        freed.push(ghost.rid);
    }
}

/// Rewrites a sealed chunk of which half or more has ended, in its place. Returns the bytes it takes on the heap.
fn shrink(table: &Table, number: usize) -> usize {
    let columns = table.columns();
    let mut data = write(&table.data);
    // Scans walk chunks by position: while one is open positions stand still.
    if table.open_scans.load(Ordering::Acquire) > 0 {
        return 0;
    }
    let Some(old) = data.chunks.get(number).cloned() else { return 0 };
    let sound = (0..old.rows.columns.len()).all(|column| old.rows.check(column).is_ok());
    if old.ended() * 2 < old.len() || !sound {
        return 0;
    }
    let (kept, positions) = live_rows(&data, &old, number, &columns);
    if kept.len() == old.len() {
        return 0;
    }
    let bytes = kept.heap_bytes();
    data.replace_chunk(number, kept, &positions);
    bytes
}

fn live_rows(
    data: &TableData,
    old: &Chunk,
    number: usize,
    columns: &[ColumnInfo],
) -> (Chunk, Vec<usize>) {
    let mut kept = Chunk::open(empty_rows(columns));
    let mut positions = Vec::new();
    for position in 0..old.len() {
        let slot = Slot::new(number, position);
        let rid = old.rids[position];
        if data.versions(rid).any(|s| s == slot) {
            kept.rows.push_row(|column| chunk_value(&old.rows, columns, column, position));
            kept.push_stamp(rid, old.xmin(position), old.xmax(position));
            positions.push(position);
        }
    }
    (kept, positions)
}
