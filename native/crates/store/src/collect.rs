//! Garbage collection: versions no snapshot can see leave the indexes, their row ids, and at last their chunks.
//!
//! Runs in the pool, some hundred versions at a time, whenever a table has enough of them, and when VACUUM asks. A snapshot
//! that keeps more than its share of memory from being freed is given up: its readers get 72000. What it does not collect:
//! vectors and documents of dead versions (`removal`), and chunks while a scan of the table is open.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::Engine;
use crate::key::Entry;
use crate::sync::{lock, read, write};
use crate::table::chunk::Chunk;
use crate::table::data::{Ghost, Slot, TableData};
use crate::table::{ColumnInfo, Table, chunk_value, empty_rows};
use crate::vacuum::{Phase, Progress};

/// Dead versions that make a run worth its while.
const WORTHWHILE: usize = 512;
/// Versions handled under one hold of the table's lock.
const RUN: usize = 512;

/// Who collects decides what is worth rewriting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collector {
    /// The engine by itself: chunks it has just made half empty.
    Background,
    /// VACUUM: any chunk of which a quarter is dead.
    Vacuum,
    /// VACUUM FULL: any chunk with a dead row.
    Full,
}

impl Collector {
    fn is_worth(self, ended: usize, rows: usize) -> bool {
        match self {
            Self::Background => ended * 2 >= rows,
            Self::Vacuum => ended > 0 && ended * 4 >= rows,
            Self::Full => ended > 0,
        }
    }
}

impl Engine {
    /// Collects a table in this thread. Returns how many versions went.
    pub(crate) fn collect_now(
        &self,
        table: &Table,
        collector: Collector,
        progress: &Progress,
    ) -> usize {
        let turn = lock(&table.upkeep.turn);
        // Before the look at the snapshots: what ends from now on makes a run of its own.
        table.collecting.clear();
        let (dropped, rewritten) = collect(table, self.snapshots.oldest(), collector, progress);
        drop(turn);
        table.upkeep.note(dropped, collector != Collector::Background);
        if let Some(durable) = self.durable.as_ref().filter(|_| rewritten > 0 && !table.temporary) {
            // What was shrunk lies on the heap: the next checkpoint has to write it, changed or not.
            lock(&table.stored).manifest = None;
            durable.note_rewritten(rewritten as u64);
        }
        dropped
    }

    /// Collects a table in the pool, if it has enough to collect.
    pub(crate) fn schedule_collection(self: &Arc<Self>, table: &Arc<Table>) {
        let data = read(&table.data);
        let Some(first) = data.ghosts.front().filter(|_| data.ghosts.len() >= WORTHWHILE) else {
            return;
        };
        if first.xmax > self.snapshots.oldest() {
            if data.ended_bytes() <= self.snapshot_bytes.load(Ordering::Relaxed) {
                return;
            }
            self.snapshots.expire();
        }
        drop(data);
        if !table.collecting.ask() {
            return;
        }
        let (engine, table) = (Arc::clone(self), Arc::clone(table));
        let pool = Arc::clone(&self.pool);
        pool.submit(move || {
            engine.collect_now(&table, Collector::Background, &Progress::default());
        });
    }
}

/// Drops what ended at or before `oldest`. Returns how many versions, and the bytes of chunks rewritten for it.
fn collect(
    table: &Table,
    oldest: u64,
    collector: Collector,
    progress: &Progress,
) -> (usize, usize) {
    progress.enter(Phase::Versions);
    progress.dead.store(read(&table.data).ghosts.len() as u64, Ordering::Relaxed);
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
        progress.dropped.store(dropped as u64, Ordering::Relaxed);
        if count < RUN {
            break;
        }
    }
    let all = table.upkeep.left_chunks.swap(false, Ordering::AcqRel);
    if all || collector != Collector::Background {
        chunks.extend(0..read(&table.data).chunks.len());
    }
    if collector != Collector::Background {
        chunks.extend(seal_tail(table, collector));
    }
    let mut numbers: Vec<usize> = chunks.into_iter().collect();
    numbers.sort_unstable();
    progress.enter(Phase::Chunks);
    progress.chunks.store(numbers.len() as u64, Ordering::Relaxed);
    let mut rewritten = 0;
    for number in numbers {
        let bytes = shrink(table, number, collector, oldest);
        progress.scanned.fetch_add(1, Ordering::Relaxed);
        progress.rewritten.fetch_add(u64::from(bytes > 0), Ordering::Relaxed);
        rewritten += bytes;
    }
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

/// Seals the open chunk if it is worth rewriting; its number then.
fn seal_tail(table: &Table, collector: Collector) -> Option<usize> {
    let columns = table.columns();
    let mut data = write(&table.data);
    let number = data.chunks.len();
    let is_worth = collector.is_worth(data.tail.ended(), data.tail.len());
    is_worth.then(|| data.seal_tail(empty_rows(&columns))).map(|()| number)
}

/// Rewrites a sealed chunk of which enough has ended, in its place. Returns the bytes it takes on the heap.
fn shrink(table: &Table, number: usize, collector: Collector, oldest: u64) -> usize {
    let columns = table.columns();
    // Most chunks are not worth it, which is seen without keeping anybody out.
    let is_worth = |chunk: &Chunk| collector.is_worth(chunk.ended(), chunk.len());
    if !read(&table.data).chunks.get(number).is_some_and(|chunk| is_worth(chunk)) {
        return 0;
    }
    let mut data = write(&table.data);
    // Scans walk chunks by position: while one is open positions stand still.
    if table.open_scans.any() {
        table.upkeep.left_chunks.store(true, Ordering::Release);
        return 0;
    }
    let Some(old) = data.chunks.get(number).cloned() else { return 0 };
    let sound = (0..old.rows.columns.len()).all(|column| old.rows.check(column).is_ok());
    if !is_worth(&old) || !sound {
        return 0;
    }
    let (kept, positions) = live_rows(&data, &old, number, &columns);
    if kept.len() == old.len() {
        return 0;
    }
    let kept = kept.sealed_again(oldest);
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
    let mut kept = Chunk::open(old.rows.emptied(columns));
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
