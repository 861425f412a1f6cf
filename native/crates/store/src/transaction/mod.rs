//! A transaction: its snapshot, its private writes, what it must undo, and how it ends.
//!
//! Nothing a transaction writes is in shared structures before its commit is published, except locks, relations and
//! indexes it created (whose numbers nobody else knows yet), and values of columns that it adds (`backfill`). Each such step is on the undo list, so a savepoint is a
//! length of that list and of the lock list, and ROLLBACK TO is popping; an abort pops everything.
//!
//! The state is behind a mutex because cursors and index builds share it; one thread uses a transaction at a time, so the
//! mutex is never contended in earnest.

mod backfill;
mod beside;
mod claim;
mod define;
mod fill;
mod finish;
mod private;
mod range_search;
mod read;
mod rowlock;
mod search;
mod serialize;
mod stream;
mod text;
mod unique;
mod walk;
mod write;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use crate::engine::Engine;
use crate::error::{Result, StoreError, sqlstate};
use crate::index::Index;
use crate::lock::{LockTag, Outcome};
use crate::session::Session;
use crate::snapshot::Snapshot;
use crate::sync::lock;
use crate::table::Table;
use crate::types::{Acquire, IndexColumnSpec, Isolation, LockPolicy, SequenceSpec};

pub(crate) use backfill::drop_added;
pub(crate) use define::{Build, drop_temporary, take_back_definitions};
pub use finish::CommitOutcome;
pub use private::{Newest, PrivateTable, PrivateVectors};
pub use range_search::{NearestInRange, RangeQuery};
pub use read::ScanCursor;
pub use search::VectorQuery;
pub use stream::VectorStream;
pub use text::TextQuery;
pub use walk::IndexCursor;

/// Depth of savepoints a transaction may have; PostgreSQL stops at memory, we at a number.
const MAX_SAVEPOINTS: usize = 1 << 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Open,
    /// Handed to the committer; only `commit_result` is allowed.
    Committing,
    Ended,
}

/// How to take back one step.
pub(crate) enum Undo {
    Append {
        relation: u32,
        rows_before: u32,
    },
    Version {
        relation: u32,
        rid: u32,
        first: bool,
    },
    End {
        relation: u32,
        row: u32,
    },
    Hide {
        relation: u32,
        rid: u32,
    },
    Catalog {
        key: String,
        previous: Option<CatalogWrite>,
    },
    CreateRelation(u32),
    AddColumn(u32),
    CreateIndex(u32),
    CreateSequence(u32),
    /// A relation, index or sequence that is dropped at commit.
    Drop,
}

#[derive(Debug, Clone)]
pub(crate) struct CatalogWrite {
    pub value: Option<String>,
    pub temporary: bool,
}

/// Definition work to be made durable and public at commit, in the order it was done.
pub(crate) enum Definition {
    CreateRelation(Arc<Table>),
    DropRelation(u32),
    AddColumn {
        relation: u32,
        position: u16,
        column: crate::table::ColumnInfo,
        table: Arc<Table>,
        vectors: Option<Arc<crate::table::vectors::VectorColumn>>,
        /// Rows that exist have values in it (`backfill`).
        is_filled: bool,
    },
    CreateIndex(Arc<Index>),
    DropIndex(u32),
    CreateSequence(SequenceSpec),
    DropSequence(u32),
}

pub(crate) struct State {
    pub status: Status,
    pub snapshot: Arc<Snapshot>,
    /// REPEATABLE READ and SERIALIZABLE: the transaction's snapshot while a check looks at the newest rows.
    pub fixed_snapshot: Option<Arc<Snapshot>>,
    pub command: u32,
    pub tables: HashMap<u32, PrivateTable>,
    pub catalog: BTreeMap<String, CatalogWrite>,
    pub definitions: Vec<Definition>,
    pub undo: Vec<Undo>,
    pub locks: Vec<(LockTag, u8)>,
    savepoints: Vec<Savepoint>,
    pub build: Option<Arc<define::Build>>,
    /// SERIALIZABLE, from its first statement on.
    pub serializable: Option<Arc<crate::serializable::Handle>>,
}

#[derive(Clone, Copy)]
struct Savepoint {
    undo: usize,
    locks: usize,
}

pub struct Transaction {
    pub(crate) engine: Arc<Engine>,
    pub(crate) session: Arc<Session>,
    pub(crate) isolation: Isolation,
    /// May write temporary tables only; which statements that refuses is decided above.
    pub(crate) read_only: bool,
    pub(crate) state: Mutex<State>,
    pub(crate) outcome: Arc<finish::CommitOutcome>,
}

impl Transaction {
    pub(crate) fn new(session: Arc<Session>, isolation: Isolation, read_only: bool) -> Self {
        let engine = Arc::clone(&session.engine);
        let state = State {
            status: Status::Open,
            snapshot: engine.snapshots.take(),
            fixed_snapshot: None,
            command: 0,
            tables: HashMap::new(),
            catalog: BTreeMap::new(),
            definitions: Vec::new(),
            undo: Vec::new(),
            locks: Vec::new(),
            savepoints: Vec::new(),
            build: None,
            serializable: None,
        };
        Self {
            engine,
            session,
            isolation,
            read_only,
            state: Mutex::new(state),
            outcome: Arc::default(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        lock(&self.state).status == Status::Open
    }

    /// The state of an open transaction.
    pub(crate) fn open_state(&self) -> Result<std::sync::MutexGuard<'_, State>> {
        let state = lock(&self.state);
        if state.status == Status::Open {
            Ok(state)
        } else {
            Err(StoreError::internal("the transaction has ended"))
        }
    }

    /// Starts a statement: later commands see what earlier ones wrote, READ COMMITTED sees newly committed rows. The
    /// stricter levels take their snapshot with the first statement, not with BEGIN, as PostgreSQL does.
    pub fn begin_statement(&self) -> Result<()> {
        let mut state = self.open_state()?;
        state.command += 1;
        if let Some(fixed) = state.fixed_snapshot.take() {
            state.snapshot = fixed;
            return Ok(());
        }
        match self.isolation {
            Isolation::ReadCommitted => state.snapshot = self.engine.snapshots.take(),
            Isolation::RepeatableRead if state.command == 1 => {
                state.snapshot = self.engine.snapshots.take();
            }
            Isolation::Serializable if state.command == 1 => self.begin_serializable(&mut state),
            Isolation::RepeatableRead | Isolation::Serializable => {}
        }
        Ok(())
    }

    /// The engine's committed catalogue version: what a statement's plan has to be right for.
    pub fn catalog_version(&self) -> u64 {
        self.engine.catalog_version()
    }

    /// As `begin_statement`, but REPEATABLE READ and SERIALIZABLE see the newest committed rows too, until the next statement
    /// begins: what a foreign key asks about rows that refer to a key must not miss rows that the snapshot does not hold.
    pub fn begin_check(&self) -> Result<()> {
        let mut state = self.open_state()?;
        state.command += 1;
        let newest = self.engine.snapshots.take();
        let own = std::mem::replace(&mut state.snapshot, newest);
        if self.isolation != Isolation::ReadCommitted && state.fixed_snapshot.is_none() {
            state.fixed_snapshot = Some(own);
        }
        Ok(())
    }

    /// Marks a point to roll back to; savepoints nest, the number is their depth.
    pub fn savepoint(&self) -> Result<u32> {
        let mut state = self.open_state()?;
        if state.savepoints.len() >= MAX_SAVEPOINTS {
            return Err(StoreError::new(
                sqlstate::PROGRAM_LIMIT_EXCEEDED,
                "too many savepoints in one transaction",
            ));
        }
        let point = Savepoint { undo: state.undo.len(), locks: state.locks.len() };
        state.savepoints.push(point);
        Ok(state.savepoints.len() as u32 - 1)
    }

    /// Undoes everything since the savepoint, which stays; later savepoints are gone.
    pub fn rollback_to(&self, savepoint: u32) -> Result<()> {
        let mut state = self.open_state()?;
        let point = *state.savepoints.get(savepoint as usize).ok_or_else(no_savepoint)?;
        state.savepoints.truncate(savepoint as usize + 1);
        Self::stop_build(&mut state);
        self.unwind(&mut state, point.undo)?;
        // What is left untouched may lose its table lock here, and others may then change its columns and indexes.
        let State { tables, definitions, .. } = &mut *state;
        tables.retain(|id, private| {
            let widened = |d: &Definition| matches!(d, Definition::AddColumn { relation, .. } if relation == id);
            private.has_changes() || definitions.iter().any(widened)
        });
        let released = state.locks.split_off(point.locks);
        drop(state);
        self.engine.locks.abandon_wait(&self.session.owner);
        self.engine.locks.release_all(self.session.process_id(), released);
        Ok(())
    }

    /// Forgets a savepoint and those after it.
    pub fn release(&self, savepoint: u32) -> Result<()> {
        let mut state = self.open_state()?;
        if savepoint as usize >= state.savepoints.len() {
            return Err(no_savepoint());
        }
        state.savepoints.truncate(savepoint as usize);
        Ok(())
    }

    /// True once something was written or defined, unless that was rolled back.
    pub fn has_changes(&self) -> bool {
        !lock(&self.state).undo.is_empty()
    }

    /// True once something was written or locked.
    pub fn has_writes(&self) -> bool {
        let state = lock(&self.state);
        !state.undo.is_empty() || !state.locks.is_empty()
    }

    pub(crate) fn note_lock(&self, tag: LockTag, mode: u8) {
        lock(&self.state).locks.push((tag, mode));
    }

    /// Takes a transaction-scope lock; `mode` 1 (ACCESS SHARE) .. 8 (ACCESS EXCLUSIVE).
    pub fn lock_relation(&self, object_id: u32, mode: u8, policy: LockPolicy) -> Result<Acquire> {
        if !(1..=8).contains(&mode) {
            return Err(StoreError::internal(format!("no table lock mode {mode}")));
        }
        let mut state = self.open_state()?;
        let outcome = self.take_lock(&mut state, LockTag::Relation(object_id), mode, policy)?;
        Ok(match outcome {
            Outcome::Granted | Outcome::Held => Acquire::Granted,
            Outcome::Unavailable => Acquire::Unavailable,
            Outcome::Wait(token) => Acquire::Wait(token),
        })
    }

    /// A transaction-scope lock, noted for release.
    pub(crate) fn take_lock(
        &self,
        state: &mut State,
        tag: LockTag,
        mode: u8,
        policy: LockPolicy,
    ) -> Result<Outcome> {
        let outcome = self.session.acquire(tag, mode, policy, false)?;
        if outcome == Outcome::Granted {
            state.locks.push((tag, mode));
        }
        Ok(outcome)
    }

    /// Pops undo steps down to `len`.
    pub(crate) fn unwind(&self, state: &mut State, len: usize) -> Result<()> {
        while state.undo.len() > len {
            let step = state.undo.pop().expect("longer than len");
            self.take_back(state, step)?;
        }
        Ok(())
    }

    fn take_back(&self, state: &mut State, step: Undo) -> Result<()> {
        match step {
            Undo::Append { relation, rows_before } => {
                let private = state.private(relation);
                let indexes = btree_columns(&private.table);
                private.truncate(rows_before, &indexes)?;
            }
            Undo::Version { relation, rid, first } => {
                state.private(relation).drop_version(rid, first);
            }
            Undo::End { relation, row } => state.private(relation).revive(row),
            Undo::Hide { relation, rid } => state.private(relation).unhide(rid),
            Undo::Catalog { key, previous: Some(write) } => {
                state.catalog.insert(key, write);
            }
            Undo::Catalog { key, previous: None } => {
                state.catalog.remove(&key);
            }
            definition => self.take_back_definition(state, &definition),
        }
        Ok(())
    }

    /// The table, loaded, and its private part made if missing, or if it is older than a column of the table: locks of rows let
    /// others add the columns of an index.
    pub(crate) fn private<'s>(
        &self,
        state: &'s mut State,
        relation_id: u32,
    ) -> Result<&'s mut PrivateTable> {
        match state.tables.entry(relation_id) {
            Entry::Vacant(entry) => {
                entry.insert(PrivateTable::new(self.engine.table(relation_id)?));
            }
            Entry::Occupied(mut entry) => {
                let private = entry.get();
                if !private.has_changes() && private.columns.len() < private.table.width() {
                    let table = Arc::clone(&private.table);
                    entry.insert(PrivateTable::new(table));
                }
            }
        }
        Ok(state.private(relation_id))
    }
}

impl State {
    pub(crate) fn private(&mut self, relation_id: u32) -> &mut PrivateTable {
        self.tables.get_mut(&relation_id).expect("a written table has a private part")
    }
}

impl Drop for Transaction {
    /// A handle dropped while open is a caller's oversight; its locks must not outlive it.
    fn drop(&mut self) {
        self.abort();
    }
}

/// Key columns of the btree indexes of a table.
pub(crate) fn btree_columns(table: &Table) -> HashMap<u32, Vec<IndexColumnSpec>> {
    let indexes = table.indexes();
    let btrees = indexes.iter().filter(|i| i.btree().is_some());
    btrees.map(|i| (i.spec.index_id, i.spec.columns.clone())).collect()
}

fn no_savepoint() -> StoreError {
    StoreError::new(sqlstate::SAVEPOINT, "savepoint does not exist")
}
