//! Dead vectors leave the graphs over their column, and their numbers become free.
//!
//! A pass over a graph costs about as much as inserting the removed nodes did, so it waits until a fifth of a column is
//! dead; VACUUM does not wait. Until then dead vectors are nodes that no search accepts. Runs in the pool; the links of
//! fresh vectors wait for it, searches do not.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::engine::Engine;
use crate::error::Result;
use crate::index::Index;
use crate::table::Table;
use crate::table::vectors::VectorColumn;

impl Engine {
    /// Takes the vectors that nobody can see out of the graphs of a table, now and in this thread, which must not be one
    /// that serves sessions: seconds for a graph of 100,000. Returns how many went. What is being built, or removed by
    /// another thread, is left to the next call.
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

    fn remove_dead(&self, table: &Table, column: &Arc<VectorColumn>, threads: usize) -> usize {
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
}
