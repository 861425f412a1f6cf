//! Dead vectors leave the graphs over their column, dead documents the text indexes, and their numbers become free.
//!
//! A pass over a graph costs about as much as inserting the removed nodes did, so it waits until a fifth of a column is
//! dead; VACUUM does not wait. Until then dead vectors are nodes that no search accepts. Runs in the pool; the links of
//! fresh vectors wait for it, searches do not. Documents wait until a third is dead: the index is then written anew without
//! them (`index::bm25`). VACUUM asks for a tenth, VACUUM FULL for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::collect::Collector;
use crate::engine::Engine;
use crate::error::Result;
use crate::index::Index;
use crate::index::bm25::Bm25Index;
use crate::sync::lock;
use crate::table::Table;
use crate::table::vectors::VectorColumn;

/// The share of dead documents that VACUUM finds worth writing an index anew: one in so many.
const VACUUM_SHARE: u32 = 10;

impl Engine {
    /// Takes the vectors that nobody can see out of the graphs of a table, now and in this thread, which must not be one
    /// that serves sessions: seconds for a graph of 100,000. Returns how many went. What is being built is
    /// left to the next call.
    pub fn remove_dead_vectors(&self, relation_id: u32) -> Result<usize> {
        Ok(self.remove_dead_of(&*self.table(relation_id)?, self.pool.size))
    }

    pub(crate) fn remove_dead_of(&self, table: &Table, threads: usize) -> usize {
        let columns = table.vector_columns();
        columns.iter().map(|(_, column)| self.remove_dead(table, column, threads)).sum()
    }

    /// Does so in the pool for columns with enough of them.
    pub(crate) fn schedule_removal(self: &Arc<Self>, table: &Arc<Table>) {
        let oldest = self.snapshots.oldest();
        for (_, column) in table.vector_columns() {
            if !column.numbers.removal_is_due(oldest, column.len()) {
                continue;
            }
            let (engine, table) = (Arc::clone(self), Arc::clone(table));
            self.pool.submit(move || {
                engine.remove_dead(&table, &column, 1);
            });
        }
    }

    pub(crate) fn remove_dead(
        &self,
        table: &Table,
        column: &Arc<VectorColumn>,
        threads: usize,
    ) -> usize {
        let _turn = lock(&column.removal);
        let mut graphs: Vec<Arc<Index>> = Vec::new();
        let limit = || {
            let over = |index: &&Arc<Index>| index.hnsw().is_some_and(|hnsw| hnsw.is_over(column));
            graphs.extend(table.indexes().iter().filter(over).cloned());
            graphs.iter().filter_map(|i| i.hnsw()).map(|h| h.graph.len()).min().unwrap_or(u32::MAX)
        };
        let Some(vids) = column.numbers.begin_removal(self.snapshots.oldest(), limit) else {
            return 0;
        };
        let cancel: &AtomicBool = &self.closing;
        let mut hnsw = graphs.iter().filter_map(|index| index.hnsw());
        let cancelled = !hnsw.all(|hnsw| hnsw.remove(&vids, threads, cancel));
        let count = vids.len();
        if !cancelled {
            for &vid in &vids {
                column.entries.clear(vid);
            }
        }
        let settled = self.durable.is_none() || table.temporary;
        column.numbers.end_removal(vids, cancelled, settled);
        if cancelled { 0 } else { count }
    }

    /// Rewrites text indexes with enough dead documents in the pool.
    pub(crate) fn schedule_compaction(self: &Arc<Self>, table: &Table) {
        let oldest = self.snapshots.oldest();
        for index in table.indexes().iter() {
            let Some(bm25) = index.bm25().filter(|bm25| bm25.compaction_is_due(oldest)) else {
                continue;
            };
            if !bm25.queued.ask() {
                continue;
            }
            let (engine, index) = (Arc::clone(self), Arc::clone(index));
            self.pool.submit(move || {
                let Some(bm25) = index.bm25() else { return };
                // What ends from now on asks again.
                bm25.queued.clear();
                engine.compact_text(bm25);
            });
        }
    }

    /// Rewrites the text indexes of a table that VACUUM finds worth it, in this thread.
    pub(crate) fn compact_texts_of(&self, table: &Table, collector: Collector) {
        let oldest = self.snapshots.oldest();
        for index in table.indexes().iter() {
            if let Some(bm25) = index.bm25().filter(|bm25| {
                let (dead, all) = bm25.dead(oldest);
                dead > 0 && (collector == Collector::Full || dead >= all / VACUUM_SHARE)
            }) {
                self.compact_text(bm25);
            }
        }
    }

    fn compact_text(&self, bm25: &Bm25Index) {
        if !self.closing.load(Ordering::Acquire) {
            bm25.compact(self.snapshots.oldest(), || lock(&self.sequencer));
        }
    }
}
