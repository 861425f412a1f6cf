//! Definition: relations, columns, indexes, sequences and catalogue entries, all undone by abort and rollback.
//!
//! A relation, index or sequence is registered under its number when it is made: nobody else knows the number before the
//! catalogue entry is committed. Drops happen at commit.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use omen_hnsw::{BatchOptions, BuildMemory, Cancelled};

use super::{CatalogWrite, Definition, State, Transaction, Undo, drop_added};
use crate::column::ColumnRef;
use crate::engine::Engine;
use crate::error::{Result, StoreError, sqlstate};
use crate::index::{Index, IndexKind, collect_entries, fill_text};
use crate::key::set::KeySet;
use crate::key::{ByteRange, Entry, is_absent};
use crate::lock::next_token;
use crate::sequence::Sequence;
use crate::session::Session;
use crate::sync::{lock, read, write};
use crate::table::{ColumnInfo, Columns, Table};
use crate::types::{BuildProgress, ColumnSpec, IndexSpec, Pending, SequenceSpec, SequenceState};
use crate::value::OwnedValue;

/// Rows below which a btree is built in the caller's thread: a few milliseconds.
const INLINE_BUILD_ROWS: u64 = 10_000;

/// An index build: in the pool, or beside writers (`beside`) from its beginning to the end of its transaction.
pub struct Build {
    pub index: Arc<Index>,
    /// What the caller of the engine wants to be told of it.
    label: String,
    pub table: Arc<Table>,
    pub cancel: AtomicBool,
    pub done: AtomicU64,
    pub total: AtomicU64,
    /// What the build may take, see [`Transaction::create_index`].
    memory_bytes: u64,
    phase: Mutex<&'static str>,
    result: Mutex<Option<Result<()>>>,
    session: Arc<Session>,
    /// The relation's columns with those the transaction has added.
    pub(super) columns: Columns,
    /// Committed rows the transaction has changed itself.
    changed_rids: HashSet<u32>,
    /// Attached from the beginning, and filled while others write.
    is_beside_writers: bool,
}

impl Build {
    pub fn progress(&self) -> BuildProgress {
        BuildProgress {
            index_id: self.index.spec.index_id,
            relation_id: self.index.spec.relation_id,
            process_id: self.session.process_id(),
            label: self.label.clone(),
            phase: *lock(&self.phase),
            done: self.done.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
        }
    }

    /// Cancels the build if it is of this session.
    pub fn cancel_for(&self, process_id: u32) {
        if self.session.process_id() == process_id {
            self.cancel.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn phase(&self) -> &'static str {
        *lock(&self.phase)
    }

    pub(super) fn enter(&self, phase: &'static str) {
        self.done.store(0, Ordering::Relaxed);
        *lock(&self.phase) = phase;
    }

    pub(super) fn check_cancel(&self) -> Result<()> {
        self.session.check_interrupt()?;
        if self.cancel.load(Ordering::Relaxed) {
            return Err(StoreError::interrupted(1));
        }
        Ok(())
    }

    /// Fills the index from the committed rows. The caller's SHARE lock keeps writers away.
    fn run(&self, threads: usize, oldest: u64) -> Result<()> {
        let index = &self.index;
        *lock(&self.phase) = "building index";
        match &index.kind {
            IndexKind::Btree(btree) => {
                self.total.store(read(&self.table.data).live, Ordering::Relaxed);
                let tick = || {
                    self.done.fetch_add(4096, Ordering::Relaxed);
                    self.check_cancel()
                };
                let (entries, duplicate) =
                    collect_entries(index, &self.table, &self.columns, &self.changed_rids, tick)?;
                if let Some(duplicate) = duplicate {
                    return Err(duplicate_key(&index.spec, duplicate.rid));
                }
                btree.fill(entries);
                Ok(())
            }
            IndexKind::Hnsw(hnsw) => {
                *lock(&self.phase) = "building index: loading tuples";
                self.total.store(u64::from(hnsw.tail()), Ordering::Relaxed);
                let Build { memory_bytes, done: progress, cancel, .. } = self;
                let options =
                    BatchOptions { threads, memory_bytes: *memory_bytes, progress, cancel };
                // Why it was cancelled the session knows best.
                let built = hnsw.build(oldest, &options);
                self.check_cancel()?;
                built.map_err(|Cancelled| StoreError::interrupted(1))?;
                // Of a damaged vector the graph knows nothing.
                hnsw.vectors.check()
            }
            IndexKind::Bm25(bm25) => {
                self.total.store(read(&self.table.data).live, Ordering::Relaxed);
                fill_text(index, bm25, &self.table, &self.columns, || {
                    self.done.fetch_add(4096, Ordering::Relaxed);
                    self.check_cancel()
                })
            }
        }
    }
}

pub(super) fn duplicate_key(spec: &IndexSpec, rid: u32) -> StoreError {
    StoreError::new(sqlstate::UNIQUE_VIOLATION, "could not create unique index")
        .row(rid)
        .relation(spec.relation_id)
        .index(spec.index_id)
}

impl State {
    pub(super) fn drops(&self, relation_id: u32) -> bool {
        self.definitions
            .iter()
            .any(|d| matches!(d, Definition::DropRelation(id) if *id == relation_id))
    }
}

impl Transaction {
    pub fn create_relation(
        &self,
        relation_id: u32,
        columns: &[ColumnSpec],
        temporary: bool,
    ) -> Result<()> {
        let mut state = self.open_state()?;
        let info = |&spec| ColumnInfo { spec, initial: OwnedValue::Null };
        let columns: Vec<ColumnInfo> = columns.iter().map(info).collect();
        let table = Arc::new(self.engine.new_table(relation_id, columns, temporary)?);
        self.engine.add_table(Arc::clone(&table))?;
        state.definitions.push(Definition::CreateRelation(table));
        state.undo.push(Undo::CreateRelation(relation_id));
        Ok(())
    }

    /// Drops a relation at commit. It is not loaded for it: one that is damaged can be dropped.
    pub fn drop_relation(&self, relation_id: u32) -> Result<()> {
        let mut state = self.open_state()?;
        if !read(&self.engine.tables).contains_key(&relation_id) {
            return Err(StoreError::new("42P01", "relation does not exist").relation(relation_id));
        }
        state.definitions.push(Definition::DropRelation(relation_id));
        state.undo.push(Undo::Drop);
        Ok(())
    }

    /// Appends a column; existing rows read `initial` (one row, may be NULL).
    pub fn add_column(
        &self,
        relation_id: u32,
        column: ColumnSpec,
        initial: &ColumnRef<'_>,
    ) -> Result<()> {
        let mut state = self.open_state()?;
        let is_vector = column.kind.is_vector();
        let initial = if is_vector {
            if initial.vector(0)?.is_some() {
                return Err(StoreError::unsupported(
                    "adding a vector column with a default that is not NULL",
                ));
            }
            OwnedValue::Null
        } else {
            initial.value(0)?.to_owned_value()
        };
        let private = self.private(&mut state, relation_id)?;
        let position = private.columns.len() as u16;
        let table = Arc::clone(&private.table);
        let vectors =
            if is_vector { Some(self.engine.new_vectors(&table, position, column)?) } else { None };
        let column = ColumnInfo { spec: column, initial };
        let mut columns = Vec::clone(&private.columns);
        columns.push(column.clone());
        private.columns = Arc::new(columns);
        private.vectors.push(super::PrivateVectors::default());
        private.added.extend(vectors.iter().map(|v| (usize::from(position), Arc::clone(v))));
        state.definitions.push(Definition::AddColumn {
            relation: relation_id,
            position,
            column,
            table,
            vectors,
            is_filled: false,
        });
        state.undo.push(Undo::AddColumn(relation_id));
        Ok(())
    }

    /// What [`Self::create_index`] takes to build a graph over the rows committed by now; None for indexes that are built
    /// without regard to memory.
    pub fn index_memory(&self, spec: &IndexSpec) -> Result<Option<BuildMemory>> {
        let mut state = self.open_state()?;
        self.private(&mut state, spec.relation_id)?;
        Ok(match Self::empty_index(&state, spec)? {
            IndexKind::Hnsw(hnsw) => Some(hnsw.build_memory()),
            IndexKind::Btree(_) | IndexKind::Bm25(_) => None,
        })
    }

    /// Builds an index. `Wait`: in the pool; after the token `index_result` answers. A graph is built slower, by its
    /// vectors alone, where `memory_bytes` is less than [`Self::index_memory`]; what it takes at least it takes anyway.
    pub fn create_index(
        &self,
        spec: IndexSpec,
        memory_bytes: u64,
        label: String,
    ) -> Result<Pending> {
        let mut state = self.open_state()?;
        let build = self.new_build(&mut state, spec, memory_bytes, label, false)?;
        let Build { index, table, .. } = &*build;
        let inline = match &index.kind {
            IndexKind::Btree(_) => read(&table.data).live <= INLINE_BUILD_ROWS,
            IndexKind::Hnsw(hnsw) => hnsw.tail() == 0,
            IndexKind::Bm25(_) => read(&table.data).live <= INLINE_BUILD_ROWS / 100,
        };
        if inline {
            build.run(1, self.engine.snapshots.oldest())?;
            Self::finish_index(&mut state, &build)?;
            return Ok(Pending::Done);
        }
        lock(&self.engine.builds).push(Arc::clone(&build));
        state.build = Some(Arc::clone(&build));
        Ok(self.run_in_pool(build, |build, engine| {
            // Commits that took their numbers before the build was announced (`table::numbers`) are published after this.
            drop(lock(&engine.sequencer));
            let result = build.run(engine.pool.build_threads, engine.snapshots.oldest());
            engine.forget_build(build.index.spec.index_id);
            result
        }))
    }

    /// Registers an index without entries, to be taken back by abort, and what its build needs to know.
    pub(super) fn new_build(
        &self,
        state: &mut State,
        spec: IndexSpec,
        memory_bytes: u64,
        label: String,
        is_beside_writers: bool,
    ) -> Result<Arc<Build>> {
        if state.build.is_some() {
            return Err(StoreError::internal("an index build of this transaction is under way"));
        }
        let relation_id = spec.relation_id;
        self.private(state, relation_id)?;
        let kind = Self::empty_index(state, &spec)?;
        let index = Arc::new(Index { spec, kind });
        self.engine.add_index(&index)?;
        state.definitions.push(Definition::CreateIndex(Arc::clone(&index)));
        state.undo.push(Undo::CreateIndex(index.spec.index_id));
        let private = state.private(relation_id);
        Ok(Arc::new(Build {
            index,
            label,
            table: Arc::clone(&private.table),
            cancel: AtomicBool::new(false),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            memory_bytes,
            phase: Mutex::new("initializing"),
            result: Mutex::new(None),
            session: Arc::clone(&self.session),
            columns: Arc::clone(&private.columns),
            changed_rids: private.touched_rids().collect(),
            is_beside_writers,
        }))
    }

    /// Queues a step of a build; the token is delivered at the end, and `index_result` says how it went.
    pub(super) fn run_in_pool(
        &self,
        build: Arc<Build>,
        step: impl FnOnce(&Build, &Engine) -> Result<()> + Send + 'static,
    ) -> Pending {
        let token = next_token(&self.engine.next_token);
        let engine = Arc::clone(&self.engine);
        let pool = Arc::clone(&engine.pool);
        pool.submit(move || {
            let result = step(&build, &engine);
            *lock(&build.result) = Some(result);
            build.session.owner.channel.deliver(&[token]);
        });
        Pending::Wait(token)
    }

    /// An index without entries over a relation whose private table there is.
    fn empty_index(state: &State, spec: &IndexSpec) -> Result<IndexKind> {
        let private = &state.tables[&spec.relation_id];
        let width = private.columns.len();
        if spec.columns.is_empty() || spec.columns.iter().any(|c| c.column as usize >= width) {
            return Err(StoreError::internal("index column outside the relation"));
        }
        // A column this transaction has added has no segments in the table yet.
        let column = spec.columns[0].column as usize;
        let vectors = private.table.vectors(column).or_else(|| {
            crate::commit::publish::added_vectors(&state.definitions, spec.relation_id, column)
        });
        crate::engine::index_kind(spec, vectors)
    }

    /// The result of a build, or of a step of one, whose token was delivered. Errors: 23505 with the row id of a duplicate,
    /// 57014.
    pub fn index_result(&self) -> Result<()> {
        let mut state = self.open_state()?;
        let build = state.build.clone().ok_or_else(|| StoreError::internal("no index build"))?;
        let result = lock(&build.result).take();
        let result =
            result.ok_or_else(|| StoreError::internal("the index build is still under way"))?;
        if build.is_beside_writers {
            if build.is_over() {
                state.build = None;
            }
            return result;
        }
        state.build = None;
        result?;
        Self::finish_index(&mut state, &build)
    }

    /// Attaches a built index, and brings in the rows this transaction itself has written.
    fn finish_index(state: &mut State, build: &Build) -> Result<()> {
        let index = &build.index;
        let private = state.private(index.spec.relation_id);
        if index.btree().is_some() {
            let (unique, nulls_not_distinct) = index.uniqueness();
            let mut own = KeySet::default();
            let mut key = Vec::new();
            for row in (0..private.row_count()).filter(|&row| private.is_live(row)) {
                let has_null = private.key(row, &index.spec.columns, &mut key)?;
                if is_absent(&key) {
                    continue;
                }
                let rid = private.rids[row as usize];
                let checked = unique && (!has_null || nulls_not_distinct);
                if checked && own_or_committed(private, index, &own, &key, rid) {
                    return Err(duplicate_key(&index.spec, rid));
                }
                own.insert(Entry::new(&key, rid));
            }
            private.keys.insert(index.spec.index_id, Arc::new(RwLock::new(own)));
        }
        build.table.attach_index(index);
        Ok(())
    }

    pub(super) fn stop_build(state: &mut State) {
        if let Some(build) = state.build.take() {
            build.cancel.store(true, Ordering::Relaxed);
        }
    }

    pub fn drop_index(&self, index_id: u32) -> Result<()> {
        let mut state = self.open_state()?;
        self.engine.index(index_id)?;
        state.definitions.push(Definition::DropIndex(index_id));
        state.undo.push(Undo::Drop);
        Ok(())
    }

    pub fn create_sequence(&self, spec: SequenceSpec) -> Result<()> {
        let mut state = self.open_state()?;
        lock(&self.engine.sequences).insert(spec.sequence_id, Sequence::initial(spec));
        state.definitions.push(Definition::CreateSequence(spec));
        state.undo.push(Undo::CreateSequence(spec.sequence_id));
        Ok(())
    }

    pub fn drop_sequence(&self, sequence_id: u32) -> Result<()> {
        let mut state = self.open_state()?;
        self.sequence_state(sequence_id)?;
        state.definitions.push(Definition::DropSequence(sequence_id));
        state.undo.push(Undo::Drop);
        Ok(())
    }

    /// The next value; a sequence's counter moves outside transactions.
    pub fn sequence_next(&self, sequence_id: u32) -> Result<i64> {
        self.with_sequence(sequence_id, Sequence::next)
    }

    pub fn sequence_set(&self, sequence_id: u32, value: i64, is_called: bool) -> Result<()> {
        self.with_sequence(sequence_id, |s| s.set(value, is_called))
    }

    pub fn sequence_state(&self, sequence_id: u32) -> Result<SequenceState> {
        self.with_sequence(sequence_id, |s| Ok(s.state))
    }

    fn with_sequence<R>(&self, id: u32, f: impl FnOnce(&mut Sequence) -> Result<R>) -> Result<R> {
        let mut sequences = lock(&self.engine.sequences);
        let missing =
            || StoreError::new(sqlstate::UNDEFINED_OBJECT, "sequence does not exist").relation(id);
        f(sequences.get_mut(&id).ok_or_else(missing)?)
    }

    /// Puts (or removes, with None) a catalogue entry. Temporary entries are never logged and end with the session.
    pub fn catalog_put(&self, key: &str, value: Option<&str>, temporary: bool) -> Result<()> {
        let mut state = self.open_state()?;
        let write = CatalogWrite { value: value.map(str::to_owned), temporary };
        let previous = state.catalog.insert(key.to_owned(), write);
        state.undo.push(Undo::Catalog { key: key.to_owned(), previous });
        Ok(())
    }

    /// Undoes a definition step; steps on rows are nothing here.
    pub(super) fn take_back_definition(&self, state: &mut State, step: &Undo) {
        match *step {
            Undo::CreateRelation(id) => {
                state.tables.remove(&id);
                self.engine.remove_table(id);
            }
            Undo::CreateIndex(id) => {
                if let Some(build) = state.build.take_if(|b| b.index.spec.index_id == id) {
                    build.cancel.store(true, Ordering::Relaxed);
                }
                self.engine.forget_build(id);
                for private in state.tables.values_mut() {
                    private.keys.remove(&id);
                    private.documents.remove(&id);
                }
                self.engine.remove_index(id);
            }
            Undo::CreateSequence(id) => {
                lock(&self.engine.sequences).remove(&id);
            }
            Undo::AddColumn(relation) => {
                // At an abort the private tables are gone already.
                if let Some(private) = state.tables.get_mut(&relation) {
                    let mut columns = Vec::clone(&private.columns);
                    columns.pop();
                    private.columns = Arc::new(columns);
                    private.vectors.pop();
                    private.added.remove(&private.columns.len());
                }
                if let Some(Definition::AddColumn { table, position, vectors, .. }) =
                    state.definitions.last()
                {
                    drop_added(&self.engine, table, usize::from(*position), vectors.as_deref());
                }
            }
            Undo::Drop => {}
            Undo::Append { .. }
            | Undo::Version { .. }
            | Undo::End { .. }
            | Undo::Hide { .. }
            | Undo::Catalog { .. } => return,
        }
        state.definitions.pop();
    }
}

/// Takes back what a commit that failed has registered and nobody else knows of; drops have not happened yet.
pub(crate) fn take_back_definitions(engine: &Engine, definitions: &[Definition]) {
    for definition in definitions.iter().rev() {
        match definition {
            Definition::CreateRelation(table) => engine.remove_table(table.relation_id),
            Definition::CreateIndex(index) => {
                engine.forget_build(index.spec.index_id);
                engine.remove_index(index.spec.index_id);
            }
            Definition::CreateSequence(spec) => {
                lock(&engine.sequences).remove(&spec.sequence_id);
            }
            Definition::AddColumn { table, position, vectors, .. } => {
                drop_added(engine, table, usize::from(*position), vectors.as_deref());
            }
            Definition::DropRelation(_)
            | Definition::DropIndex(_)
            | Definition::DropSequence(_) => {}
        }
    }
}

/// Whether another live row has the key: an own one noted before, or a committed one this transaction left alone.
fn own_or_committed(
    private: &super::PrivateTable,
    index: &Index,
    own: &KeySet,
    key: &[u8],
    rid: u32,
) -> bool {
    if own.with_key(key).any(|e| e.rid() != rid) {
        return true;
    }
    let range = ByteRange::of_key(key);
    let mut entries = Vec::new();
    index.btree().expect("a btree index").read_run(&range, false, usize::MAX, &mut entries);
    let left_alone = |e: &Entry| private.newest(e.rid()) == super::Newest::Committed;
    entries.iter().any(|e| e.rid() != rid && left_alone(e))
}

/// Drops what a session leaves behind.
pub(crate) fn drop_temporary(engine: &Engine, temporary: crate::session::Temporary) {
    for id in temporary.relations {
        engine.remove_table(id);
    }
    for id in temporary.sequences {
        lock(&engine.sequences).remove(&id);
    }
    let mut catalog = write(&engine.catalog);
    for key in temporary.catalog_keys {
        catalog.put(key, None);
    }
}
