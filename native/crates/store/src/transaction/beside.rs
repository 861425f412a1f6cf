//! CREATE INDEX CONCURRENTLY over rows (btree, bm25): the index is made while others write. Graphs need none of this, they
//! take their vectors from the column (`create_index`).
//!
//! ```text
//!   begin_index      the empty index is attached: whoever writes from now on maintains it, and keeps to it if it is unique
//!   await_writers    those who wrote before that end: they may hold rows without its entries
//!   fill_index       the rows that are committed come in, beside what writers bring (`index::beside`)
//!   commit           the catalogue gets its entry; only snapshots from here on read by it
//! ```
//!
//! and for a unique one, between the last two:
//!
//! ```text
//!   await_writers    those end who may have looked for a key before all keys were there
//!   validate_index   no key has two live rows: 23505
//! ```
//!
//! After the second wait every running transaction began when the index was complete. Of two rows with one key, either both
//! were committed by the wait's end, and validation finds them, or one comes from a later transaction: that one found the
//! other in the index, or its lock on the key.
//!
//! PostgreSQL does this in three transactions, because its catalogue has to say "maintain" before "read", and waits a third
//! time, for old snapshots. Here the attached index is seen by who writes without being in the catalogue, and a
//! snapshot older than a catalogue entry does not use it, so one transaction is enough: whatever ends it
//! (23505, a cancel, a deadlock, a crash) takes the index back, and there is none that is invalid.
//!
//! The caller holds SHARE UPDATE EXCLUSIVE on the table: no second build, no change of its columns. Waiting for writers
//! keeps none of them out (`LockManager::await_departure`); a circle with one of them is a deadlock like any other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Transaction;
use super::define::{Build, duplicate_key};
use crate::error::{Result, StoreError};
use crate::index::IndexKind;
use crate::index::beside::{fill_keys, fill_texts, find_duplicate};
use crate::lock::Outcome;
use crate::sync::{lock, read};
use crate::types::{Acquire, IndexSpec, Pending};

/// Phases, in PostgreSQL's words.
const BUILDING: &str = "building index";
const BEFORE_VALIDATION: &str = "waiting for writers before validation";
const VALIDATING: &str = "index validation: scanning index";

impl Transaction {
    /// Attaches an empty index, for this transaction to fill. `label`: what `build_progress` says of it.
    pub fn begin_index(&self, spec: IndexSpec, label: String) -> Result<()> {
        let mut state = self.open_state()?;
        let build = self.new_build(&mut state, spec, 0, label, true)?;
        match &build.index.kind {
            IndexKind::Btree(_) => {}
            IndexKind::Bm25(bm25) => bm25.filling.store(true, Ordering::Release),
            IndexKind::Hnsw(_) => {
                return Err(StoreError::internal("a graph is not filled from rows"));
            }
        }
        lock(&self.engine.builds).push(Arc::clone(&build));
        build.table.attach_index(&build.index);
        state.build = Some(build);
        Ok(())
    }

    /// Waits for the end of the transactions that hold a lock to write the table now. `Wait`: to be called again after the
    /// token, until `Granted`.
    pub fn await_writers(&self, object_id: u32) -> Result<Acquire> {
        let state = self.open_state()?;
        if let Some(build) = &state.build {
            build.enter(match build.phase() {
                BUILDING | BEFORE_VALIDATION => BEFORE_VALIDATION,
                _ => "waiting for writers before build",
            });
        }
        Ok(match self.session.await_writers(object_id)? {
            Outcome::Wait(token) => Acquire::Wait(token),
            _ => Acquire::Granted,
        })
    }

    /// Brings the committed rows in. After the token `index_result` answers.
    pub fn fill_index(&self) -> Result<Pending> {
        let build = self.build_beside()?;
        Ok(self.run_in_pool(build, |build, engine| {
            build.enter(BUILDING);
            build.total.store(read(&build.table.data).live, Ordering::Relaxed);
            let Build { index, table, columns, .. } = build;
            match &index.kind {
                IndexKind::Btree(btree) => {
                    fill_keys(index, btree, table, columns, |rows| build.tick(rows))
                }
                IndexKind::Bm25(bm25) => {
                    let sequencer = || lock(&engine.sequencer);
                    fill_texts(index, bm25, table, columns, sequencer, |rows| build.tick(rows))
                }
                IndexKind::Hnsw(_) => Ok(()),
            }
        }))
    }

    /// Looks for two rows with one key in a filled unique index. After the token `index_result` answers: 23505 with the row
    /// id of a duplicate.
    pub fn validate_index(&self) -> Result<Pending> {
        let build = self.build_beside()?;
        Ok(self.run_in_pool(build, |build, _| {
            build.enter(VALIDATING);
            let Build { index, table, columns, .. } = build;
            let Some(btree) = index.btree() else { return Ok(()) };
            build.total.store(btree.len() as u64, Ordering::Relaxed);
            match find_duplicate(index, btree, table, columns, |keys| build.tick(keys))? {
                Some(duplicate) => Err(duplicate_key(&index.spec, duplicate.rid)),
                None => Ok(()),
            }
        }))
    }

    fn build_beside(&self) -> Result<Arc<Build>> {
        let build = self.open_state()?.build.clone();
        build.ok_or_else(|| StoreError::internal("no index build"))
    }
}

impl Build {
    /// The step that has ended was the last.
    pub(super) fn is_over(&self) -> bool {
        let is_filled = self.phase() == BUILDING;
        self.phase() == VALIDATING || (is_filled && !self.index.uniqueness().0)
    }

    fn tick(&self, done: u32) -> Result<()> {
        self.done.fetch_add(u64::from(done), Ordering::Relaxed);
        self.check_cancel()
    }
}
