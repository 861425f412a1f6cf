//! Rounds over a vector column: what keeps the numbers of dead vectors from being given again is done at once.
//!
//! ```text
//!   commit --> begins a round when as many numbers wait as are in use
//!   pool       links what is published (removal takes linked vids only)
//!   applier    if a checkpoint is under way whose snapshot sees the dead, its end
//!   pool       removes the dead
//!   applier    a checkpoint, after which they are free; not for what no checkpoint names
//!   end        commits that waited for it go on; the next round, if one is due already
//! ```
//!
//! Without rounds a table whose every row is updated again and again would take fresh numbers for each update: removal
//! follows linking, and the next checkpoint may be 64 MB of log away. Commits that are faster than rounds wait (`parked`,
//! by their tokens: no thread does), each for one round at most, however little came of it, and never for numbers that a
//! snapshot holds: no round makes those free. A round ends: each of its steps is one job that ends. While a
//! backup reads vectors no number becomes free: no round begins, and one under way ends without a checkpoint.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::commit::CommitRequest;
use crate::durable::Durable;
use crate::engine::Engine;
use crate::table::Table;
use crate::table::vectors::VectorColumn;

/// A round that a commit waits for.
pub struct AwaitedRound {
    column: Arc<VectorColumn>,
    number: u64,
}

impl AwaitedRound {
    pub fn is_under_way(&self) -> bool {
        self.column.numbers.is_in_round(self.number)
    }
}

/// Which numbers have been given by now.
fn numbered(column: &VectorColumn) -> u32 {
    column.next_vid.load(Ordering::Acquire)
}

struct Round {
    engine: Arc<Engine>,
    table: Arc<Table>,
    column: Arc<VectorColumn>,
}

impl Engine {
    /// Begins the rounds that are due in a table.
    pub(crate) fn schedule_rounds(self: &Arc<Self>, table: &Arc<Table>) {
        for (_, column) in table.vector_columns() {
            self.begin_round_if_due(table, &column);
        }
    }

    fn begin_round_if_due(self: &Arc<Self>, table: &Arc<Table>, column: &Arc<VectorColumn>) {
        if self.rounds_are_vain() {
            return;
        }
        if column.numbers.begin_round(self.snapshots.oldest_reader(), numbered(column)) {
            let (engine, table, column) = (Arc::clone(self), Arc::clone(table), Arc::clone(column));
            Round { engine, table, column }.link(LINKING_JOBS);
        }
    }

    /// No number becomes free while a backup reads vectors.
    fn rounds_are_vain(&self) -> bool {
        self.durable.as_ref().is_some_and(Durable::holds_numbers)
    }

    /// The round that a commit has to wait for, if it has to: one under way, or one that begins now because the readers have
    /// gone that kept it from beginning behind the commit before.
    pub(crate) fn round_to_wait_for(
        self: &Arc<Self>,
        request: &CommitRequest,
    ) -> Option<AwaitedRound> {
        if self.rounds_are_vain() {
            return None;
        }
        let changes = request.tables.iter();
        let mut new = changes.flat_map(|change| {
            let counts = change.vectors.iter().enumerate().filter(|(_, own)| own.count > 0);
            counts.filter_map(|(at, own)| {
                Some((&change.table, change.table.vectors(at)?, own.count as usize))
            })
        });
        new.find_map(|(table, column, count)| {
            self.begin_round_if_due(table, &column);
            let oldest = self.snapshots.oldest_reader();
            let number = column.numbers.round_to_wait_for(oldest, numbered(&column), count)?;
            Some(AwaitedRound { column, number })
        })
    }
}

/// A linking job may have begun before the round and queue the next one when it ends: behind both all is linked that was
/// published when the round began.
const LINKING_JOBS: u32 = 2;

impl Round {
    /// Goes on behind the linking jobs that are in the queue.
    fn link(self, jobs: u32) {
        for index in self.table.indexes().iter() {
            if let Some(hnsw) = index.hnsw().filter(|hnsw| hnsw.is_over(&self.column)) {
                self.engine.schedule_linking(index, hnsw);
            }
        }
        let pool = Arc::clone(&self.engine.pool);
        pool.submit(move || match jobs {
            0 => self.await_checkpoint(),
            jobs => self.link(jobs - 1),
        });
    }

    /// A checkpoint under way keeps a snapshot: behind it more can be removed.
    fn await_checkpoint(self) {
        let engine = Arc::clone(&self.engine);
        match &engine.durable {
            Some(durable) if engine.snapshots.oldest() < engine.snapshots.oldest_reader() => {
                let pool = Arc::clone(&engine.pool);
                durable.after_checkpoint(Box::new(move || pool.submit(move || self.remove())));
            }
            _ => self.remove(),
        }
    }

    fn remove(self) {
        for index in self.table.indexes().iter() {
            if let Some(hnsw) = index.hnsw().filter(|hnsw| hnsw.is_over(&self.column)) {
                hnsw.await_links();
            }
        }
        let removed = self.engine.remove_dead(&self.table, &self.column, 1);
        let engine = Arc::clone(&self.engine);
        match &engine.durable {
            Some(durable)
                if self.column.numbers.wait_for_checkpoint() && !durable.holds_numbers() =>
            {
                durable.request_checkpoint(Some(Box::new(move || self.end(removed))));
            }
            _ => self.end(removed),
        }
    }

    fn end(self, removed: usize) {
        self.column.numbers.end_round();
        // One that removed nothing would be followed by others without end.
        if removed > 0 {
            self.engine.begin_round_if_due(&self.table, &self.column);
        }
        self.engine.unpark();
    }
}
