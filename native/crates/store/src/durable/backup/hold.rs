//! Slots of vector segments that a copy has yet to read.
//!
//! A dead vector's number is given again, and its slot written anew, once a checkpoint is durable that does not name it. The
//! copy is of an earlier checkpoint, which may: while there is a hold, what checkpoints settle stays `held`
//! (`table::numbers`) and vectors that are new take fresh numbers. The last hold to end lets it all go.
//!
//! Lock order: the count, then the engine's tables and the numbers of a column.

use std::sync::{Arc, Mutex};

use crate::engine::Engine;
use crate::sync::lock;
use crate::table::vectors::VectorColumn;

/// How many copies have vectors to read.
#[derive(Default)]
pub struct Holds(Mutex<usize>);

impl Holds {
    /// A checkpoint that the columns were part of is durable, and the log before it will not be replayed.
    pub fn checkpoint_ends(&self, columns: impl Iterator<Item = Arc<VectorColumn>>) {
        let count = lock(&self.0);
        for vectors in columns {
            vectors.numbers.checkpoint_ends(*count > 0);
        }
    }

    pub fn any(&self) -> bool {
        *lock(&self.0) > 0
    }
}

/// Dropped when the copy has all vectors, or is given up.
pub struct Hold(Arc<Engine>);

impl Hold {
    /// By the applier, which has just written the checkpoint and begins no other meanwhile.
    pub fn begin(engine: &Arc<Engine>) -> Self {
        *lock(&engine.durable_side().backups.holds.0) += 1;
        Self(Arc::clone(engine))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut count = lock(&self.0.durable_side().backups.holds.0);
        *count -= 1;
        if *count == 0 {
            for table in self.0.loaded_tables() {
                table.vector_columns().iter().for_each(|(_, column)| column.numbers.let_go());
            }
        }
    }
}
