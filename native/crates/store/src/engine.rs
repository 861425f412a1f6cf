//! The engine: one per process, shared by all threads.
//!
//! It owns the registries (sessions, tables, indexes, sequences, catalogue), the lock manager, the snapshots, the pool and,
//! for durable databases, the log side (`durable`). Everything here is behind its own small lock; the order between them
//! is in the header of the crate.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock, Weak};

use omen_disk::{Disk, MemoryDisk, VectorOptions, VectorSegments};

use crate::catalog::Catalog;
use crate::collect::Collector;
use crate::commit::CommitRequest;
use crate::commit::news::{News, Settled};
use crate::commit::publish::publish;
use crate::durable::Durable;
use crate::error::{Result, StoreError, sqlstate};
use crate::index::bm25::{Bm25Index, params};
use crate::index::btree::BtreeIndex;
use crate::index::hnsw::{HnswIndex, MAX_TAIL};
use crate::index::{Index, IndexKind};
use crate::lock::{LockManager, LockOwner, LockStatus, next_token};
use crate::pool::{AbortOnPanic, Pool};
use crate::reclaim::AwaitedRound;
use crate::sequence::Sequence;
use crate::serializable::Serializable;
use crate::session::{
    Channel, INTERRUPT_CANCEL, INTERRUPT_TERMINATE, Notifier, Session, Temporary,
};
use crate::snapshot::Snapshots;
use crate::sync::{lock, read, write};
use crate::table::vectors::VectorColumn;
use crate::table::{ColumnInfo, Table};
use crate::transaction::Build;
use crate::types::{
    BuildProgress, CatalogChange, IndexMethod, IndexSpec, IndexStatistics, Pending,
    RelationStatistics,
};
use crate::vacuum::{Progress, Vacuums};

/// Object ids below this are PostgreSQL's own.
const FIRST_OBJECT_ID: u32 = 16_384;
/// Object ids reserved in the log at a time.
const RESERVE_OBJECT_IDS: u32 = 1024;

/// Where the engine keeps what it must not lose.
pub enum Storage {
    /// Nothing survives.
    Memory,
    /// A folder (locked by the caller) and the ordered store inside it.
    Durable { disk: Arc<dyn Disk>, kv: Arc<dyn omen_disk::Kv> },
}

pub struct EngineOptions {
    pub storage: Storage,
    /// 0 = cores - 1, at least 1.
    pub pool_threads: usize,
    /// About how much memory rows that are in no chunk file yet may take, in bytes; 0 = 128 MB. Rows in files are
    /// mapped and belong to the page cache. A smaller value means more frequent checkpoints.
    pub buffer_bytes: u64,
}

/// Dead versions of a table that only old snapshots see may take this many times `buffer_bytes`; then the snapshots go.
const SNAPSHOT_BUFFERS: u64 = 8;

/// PostgreSQL's default of `shared_buffers`.
const DEFAULT_BUFFER_BYTES: u64 = 128 << 20;

/// A table that may still be on disk only.
pub(crate) struct TableSlot {
    loaded: OnceLock<Arc<Table>>,
    /// Held while loading, so that it happens once. Before `progress`.
    loading: Mutex<()>,
    progress: Mutex<LoadProgress>,
    /// `progress` has changed.
    progressed: Condvar,
}

#[derive(Default)]
struct LoadProgress {
    is_running: bool,
    /// The table being loaded, once its rows, vectors and graphs can be read: the btrees are still being made.
    readable: Option<Arc<Table>>,
}

impl TableSlot {
    fn new(loaded: OnceLock<Arc<Table>>) -> Self {
        let (loading, progress) = (Mutex::default(), Mutex::default());
        Self { loaded, loading, progress, progressed: Condvar::new() }
    }
}

/// Marks a load as running; dropped when it is over, however it ended.
struct Loading<'a>(&'a TableSlot);

impl<'a> Loading<'a> {
    fn begin(slot: &'a TableSlot) -> Self {
        lock(&slot.progress).is_running = true;
        Self(slot)
    }

    fn readable(&self, table: &Arc<Table>) {
        lock(&self.0.progress).readable = Some(Arc::clone(table));
        self.0.progressed.notify_all();
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        // Of a load that failed nothing is to be read; one that did not is in `loaded`.
        *lock(&self.0.progress) = LoadProgress::default();
        self.0.progressed.notify_all();
    }
}

/// The relation of an index, and the index itself once that is loaded.
pub(crate) type IndexSlot = (u32, Option<Arc<Index>>);

pub(crate) struct ObjectIds {
    next: u32,
    /// The log has ids below this as given out.
    pub reserved: u32,
    pub pending: Option<u32>,
}

pub struct Engine {
    pub(crate) locks: LockManager,
    pub(crate) serializable: Serializable,
    pub(crate) snapshots: Arc<Snapshots>,
    /// What dead versions of a table may take because old snapshots see them.
    pub(crate) snapshot_bytes: AtomicU64,
    pub(crate) pool: Arc<Pool>,
    pub(crate) next_token: Arc<AtomicU32>,
    pub(crate) catalog: RwLock<Catalog>,
    pub(crate) sequences: Mutex<HashMap<u32, Sequence>>,
    pub(crate) object_ids: Mutex<ObjectIds>,
    pub(crate) builds: Mutex<Vec<Arc<Build>>>,
    pub(crate) vacuums: Vacuums,
    pub(crate) tables: RwLock<HashMap<u32, Arc<TableSlot>>>,
    /// Index -> relation, and the index itself once its table is loaded.
    pub(crate) indexes: RwLock<HashMap<u32, IndexSlot>>,
    pub(crate) durable: Option<Durable>,
    /// The last commit number given. Held from numbering to the end of publishing.
    pub(crate) sequencer: Mutex<u64>,
    sessions: RwLock<HashMap<u32, Arc<Session>>>,
    next_process: AtomicU32,
    secrets: std::hash::RandomState,
    /// Vectors of temporary tables and of databases in memory.
    memory: Arc<MemoryDisk>,
    /// Commits that wait for a graph to catch up, or for a round. Before the other locks, and not under the sequencer.
    pub(crate) parked: Mutex<Vec<CommitRequest>>,
    pub(crate) closing: AtomicBool,
    /// This engine, for background work that a borrowed call sets off.
    me: OnceLock<Weak<Engine>>,
}

impl Engine {
    /// Opens the engine: an empty one in memory, or the durable state with everything the log has.
    pub fn open(options: EngineOptions) -> Result<Arc<Engine>> {
        Self::open_with_log_segments(options, omen_disk::log::SEGMENT_BYTES)
    }

    /// As `open`, with log segments of another length: crash tests copy them thousands of times.
    pub fn open_with_log_segments(
        options: EngineOptions,
        segment_bytes: u64,
    ) -> Result<Arc<Engine>> {
        let pool = Pool::new(options.pool_threads)
            .map_err(|error| StoreError::internal(format!("could not start a thread: {error}")))?;
        let buffer_bytes = match options.buffer_bytes {
            0 => DEFAULT_BUFFER_BYTES,
            bytes => bytes,
        };
        let engine = match options.storage {
            Storage::Memory => Self::new(pool, None, 0),
            Storage::Durable { disk, kv } => {
                let limits = crate::durable::Limits::new(buffer_bytes);
                crate::durable::open(disk, &kv, pool, segment_bytes, limits)?
            }
        };
        engine.snapshot_bytes.store(SNAPSHOT_BUFFERS * buffer_bytes, Ordering::Relaxed);
        Ok(engine)
    }

    /// Drops the dead versions of a table that nobody can see, now and in this thread. Returns how many row versions were
    /// dropped.
    pub fn collect_garbage(&self, relation_id: u32) -> Result<usize> {
        let table = self.table(relation_id)?;
        Ok(self.collect_now(&table, Collector::Background, &Progress::default()))
    }

    /// Stops the threads where they are, without a checkpoint: the disk stays as a crash of the process would leave it.
    pub fn abandon(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.pool.close();
        if let Some(durable) = &self.durable {
            // What it had still to do, the log has.
            let _ = durable.stop_threads();
        }
    }

    /// Loads stored tables in the pool, one after the other, so that nobody has to wait for them later.
    pub(crate) fn schedule_loading(self: &Arc<Self>, relations: &[u32]) {
        for &relation in relations {
            let engine = Arc::clone(self);
            self.pool.submit(move || {
                if !engine.closing.load(Ordering::Relaxed) {
                    // Whoever touches the table is told what is wrong with it.
                    let _ = engine.table(relation);
                }
            });
        }
    }

    pub(crate) fn new(pool: Pool, durable: Option<Durable>, last_commit: u64) -> Arc<Self> {
        let next_token = Arc::new(AtomicU32::new(0));
        let object_ids =
            ObjectIds { next: FIRST_OBJECT_ID, reserved: FIRST_OBJECT_ID, pending: None };
        let engine = Arc::new(Self {
            locks: LockManager::new(Arc::clone(&next_token)),
            serializable: Serializable::new(Arc::clone(&next_token)),
            snapshots: Arc::new(Snapshots::new(last_commit)),
            snapshot_bytes: AtomicU64::new(SNAPSHOT_BUFFERS * DEFAULT_BUFFER_BYTES),
            pool: Arc::new(pool),
            next_token,
            catalog: RwLock::default(),
            sequences: Mutex::default(),
            object_ids: Mutex::new(object_ids),
            builds: Mutex::default(),
            vacuums: Vacuums::default(),
            tables: RwLock::default(),
            indexes: RwLock::default(),
            durable,
            sequencer: Mutex::new(last_commit),
            sessions: RwLock::default(),
            next_process: AtomicU32::new(1),
            secrets: std::hash::RandomState::new(),
            memory: Arc::new(MemoryDisk::new()),
            parked: Mutex::default(),
            closing: AtomicBool::new(false),
            me: OnceLock::new(),
        });
        engine.me.get_or_init(|| Arc::downgrade(&engine));
        engine
    }

    pub(crate) fn shared(&self) -> Option<Arc<Self>> {
        self.me.get().and_then(Weak::upgrade)
    }

    pub fn open_channel(&self, notifier: Box<dyn Notifier>) -> Arc<Channel> {
        Channel::new(notifier)
    }

    /// Registers a session under a fresh process id and a secret for CancelRequest.
    pub fn open_session(self: &Arc<Self>, channel: &Arc<Channel>) -> Arc<Session> {
        use std::hash::BuildHasher;
        let process_id = self.next_process.fetch_add(1, Ordering::Relaxed);
        let secret = self.secrets.hash_one((process_id, std::time::Instant::now())) as u32;
        let owner = Arc::new(LockOwner::new(process_id, Arc::clone(channel)));
        self.locks.register(Arc::clone(&owner));
        let session = Arc::new(Session::new(Arc::clone(self), owner, secret));
        write(&self.sessions).insert(process_id, Arc::clone(&session));
        channel.session_opened();
        session
    }

    pub(crate) fn forget_session(&self, process_id: u32) {
        if let Some(session) = write(&self.sessions).remove(&process_id) {
            session.owner.channel.session_closed();
        }
        self.locks.unregister(process_id);
    }

    /// Sets the cancel flag of a session and wakes its wait; false when there is none or the secret is wrong.
    pub fn cancel_session(&self, process_id: u32, secret_key: Option<u32>) -> bool {
        let session = read(&self.sessions).get(&process_id).cloned();
        let Some(session) = session.filter(|s| secret_key.is_none_or(|k| k == s.secret_key()))
        else {
            return false;
        };
        self.interrupt(&session, INTERRUPT_CANCEL);
        true
    }

    /// As cancel, but the session ends.
    pub fn terminate_session(&self, process_id: u32) -> bool {
        let session = read(&self.sessions).get(&process_id).cloned();
        let Some(session) = session else { return false };
        self.interrupt(&session, INTERRUPT_TERMINATE);
        true
    }

    fn interrupt(&self, session: &Session, interrupt: u8) {
        session.set_interrupt(interrupt);
        for build in lock(&self.builds).iter() {
            build.cancel_for(session.process_id());
        }
        self.locks.cancel_wait(session.process_id());
        session.cancel_safe_snapshot();
        self.cancel_parked(session);
    }

    /// Process ids of the sessions that are open.
    pub fn session_ids(&self) -> Vec<u32> {
        read(&self.sessions).keys().copied().collect()
    }

    /// Every lock that is held or waited for.
    pub fn lock_statuses(&self) -> Vec<LockStatus> {
        self.locks.statuses()
    }

    /// Whom a session waits for.
    pub fn blocking_sessions(&self, process_id: u32) -> Vec<u32> {
        self.locks.blocking(process_id)
    }

    /// Next object id, never given twice, also after a crash.
    pub fn allocate_oid(&self) -> Result<u32> {
        let mut ids = lock(&self.object_ids);
        if ids.next == u32::MAX {
            return Err(StoreError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, "out of object ids"));
        }
        let id = ids.next;
        ids.next += 1;
        if ids.next > ids.reserved {
            ids.reserved = ids.next.saturating_add(RESERVE_OBJECT_IDS);
            ids.pending = Some(ids.reserved);
        }
        Ok(id)
    }

    pub(crate) fn restore_object_ids(&self, next: u32) {
        let mut ids = lock(&self.object_ids);
        ids.next = ids.next.max(next);
        ids.reserved = ids.next;
    }

    /// Ids below this are given out or reserved; at a clean end, only given out.
    pub(crate) fn next_object_id(&self) -> u32 {
        lock(&self.object_ids).next
    }

    pub fn catalog_version(&self) -> u64 {
        read(&self.catalog).version()
    }

    /// (version, changes after `version` in commit order); from 0 one change per live key.
    pub fn catalog_changes(&self, version: u64) -> (u64, Vec<CatalogChange>) {
        read(&self.catalog).changes(version)
    }

    /// Bytes of the rows and vectors of a relation that is loaded and not temporary; 0 for others.
    pub(crate) fn loaded_bytes(&self, relation_id: u32) -> u64 {
        let slot = read(&self.tables).get(&relation_id).cloned();
        let table = slot.and_then(|slot| slot.loaded.get().cloned());
        table.filter(|t| !t.temporary).map_or(0, |table| {
            let rows = read(&table.data).size_bytes() as u64;
            rows + table.vectors_bytes()
        })
    }

    pub fn relation_statistics(&self, relation_id: u32) -> Result<RelationStatistics> {
        let table = self.readable_table(relation_id)?;
        let vectors = table.vectors_bytes();
        let data = read(&table.data);
        Ok(RelationStatistics {
            row_count: data.live,
            dead_count: data.ghosts.len() as u64,
            reclaimed_count: table.upkeep.reclaimed.load(Ordering::Relaxed),
            size_bytes: data.size_bytes() as u64 + vectors,
            chunk_count: data.chunks.len() as u64 + u64::from(data.tail.len() > 0),
            runs: table.upkeep.runs(),
        })
    }

    /// Memory that the rows of a relation take outside of mapped chunk files, in bytes.
    pub fn heap_bytes(&self, relation_id: u32) -> Result<u64> {
        let table = self.table(relation_id)?;
        let bytes = read(&table.data).heap_bytes();
        Ok(bytes as u64)
    }

    pub fn index_statistics(&self, index_id: u32) -> Result<IndexStatistics> {
        Ok(self.readable_index(index_id)?.1.statistics())
    }

    pub fn build_progress(&self) -> Vec<BuildProgress> {
        lock(&self.builds).iter().map(|b| b.progress()).collect()
    }

    /// The build of an index has ended, one way or the other.
    pub(crate) fn forget_build(&self, index_id: u32) {
        lock(&self.builds).retain(|build| build.index.spec.index_id != index_id);
    }

    // Registries

    fn slot(&self, relation_id: u32) -> Result<Arc<TableSlot>> {
        read(&self.tables).get(&relation_id).cloned().ok_or_else(|| {
            StoreError::new("42P01", "relation does not exist").relation(relation_id)
        })
    }

    /// A table for reading its rows, vectors and graphs, as soon as a load has got so far. Its btrees and new text indexes may
    /// not be there yet, so it is not for who looks up keys or writes.
    pub(crate) fn readable_table(&self, relation_id: u32) -> Result<Arc<Table>> {
        let slot = self.slot(relation_id)?;
        let mut progress = lock(&slot.progress);
        loop {
            if let Some(table) = slot.loaded.get().or(progress.readable.as_ref()) {
                return Ok(Arc::clone(table));
            }
            if !progress.is_running {
                break;
            }
            progress = slot.progressed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        drop(progress);
        self.table(relation_id)
    }

    /// A table by number, loaded from disk at first touch.
    pub(crate) fn table(&self, relation_id: u32) -> Result<Arc<Table>> {
        let slot = self.slot(relation_id)?;
        if let Some(table) = slot.loaded.get() {
            return Ok(Arc::clone(table));
        }
        let _once = lock(&slot.loading);
        if let Some(table) = slot.loaded.get() {
            return Ok(Arc::clone(table));
        }
        let loading = Loading::begin(&slot);
        let table = crate::durable::load_table(self, relation_id, |table| loading.readable(table))?;
        Ok(Arc::clone(slot.loaded.get_or_init(|| table)))
    }

    /// A table that is in memory already.
    pub(crate) fn loaded_tables(&self) -> Vec<Arc<Table>> {
        read(&self.tables).values().filter_map(|s| s.loaded.get().cloned()).collect()
    }

    pub(crate) fn is_temporary(&self, relation_id: u32) -> bool {
        let tables = read(&self.tables);
        tables.get(&relation_id).and_then(|s| s.loaded.get()).is_some_and(|t| t.temporary)
    }

    pub(crate) fn add_table(&self, table: Arc<Table>) -> Result<()> {
        let mut tables = write(&self.tables);
        if tables.contains_key(&table.relation_id) {
            return Err(StoreError::internal("relation id in use").relation(table.relation_id));
        }
        let relation_id = table.relation_id;
        let slot = TableSlot::new(OnceLock::from(table));
        tables.insert(relation_id, Arc::new(slot));
        Ok(())
    }

    /// Makes a stored table known without loading it.
    pub(crate) fn add_stored_table(&self, relation_id: u32) {
        let slot = TableSlot::new(OnceLock::new());
        write(&self.tables).insert(relation_id, Arc::new(slot));
    }

    pub(crate) fn remove_table(&self, relation_id: u32) {
        write(&self.tables).remove(&relation_id);
        write(&self.indexes).retain(|_, (relation, _)| *relation != relation_id);
    }

    /// An index with its table, which can be read (`readable_table`); for graphs.
    pub(crate) fn readable_index(&self, index_id: u32) -> Result<(Arc<Table>, Arc<Index>)> {
        // No guard lives into the load, which writes here.
        let slot = read(&self.indexes).get(&index_id).cloned();
        if let Some((relation, _)) = slot {
            let table = self.readable_table(relation)?;
            let slot = read(&self.indexes).get(&index_id).cloned();
            if let Some((_, Some(index))) = slot {
                return Ok((table, index));
            }
        }
        self.index(index_id)
    }

    pub(crate) fn index(&self, index_id: u32) -> Result<(Arc<Table>, Arc<Index>)> {
        let missing =
            || StoreError::new(sqlstate::UNDEFINED_OBJECT, "index does not exist").index(index_id);
        let (relation, _) = read(&self.indexes).get(&index_id).cloned().ok_or_else(missing)?;
        // Loading the table attaches its indexes.
        let table = self.table(relation)?;
        let index = read(&self.indexes).get(&index_id).and_then(|(_, i)| i.clone());
        Ok((table, index.ok_or_else(missing)?))
    }

    pub(crate) fn add_index(&self, index: &Arc<Index>) -> Result<()> {
        let spec = &index.spec;
        let mut indexes = write(&self.indexes);
        if indexes.get(&spec.index_id).is_some_and(|(_, i)| i.is_some()) {
            return Err(StoreError::internal("index id in use").index(spec.index_id));
        }
        indexes.insert(spec.index_id, (spec.relation_id, Some(Arc::clone(index))));
        Ok(())
    }

    pub(crate) fn remove_index(&self, index_id: u32) {
        let removed = write(&self.indexes).remove(&index_id);
        let Some((relation, _)) = removed else { return };
        let slot = read(&self.tables).get(&relation).cloned();
        if let Some(table) = slot.as_ref().and_then(|s| s.loaded.get()) {
            table.detach_index(index_id);
        }
    }

    pub(crate) fn drop_temporary(&self, temporary: Temporary) {
        crate::transaction::drop_temporary(self, temporary);
    }

    /// A new table with empty vector columns.
    pub(crate) fn new_table(
        &self,
        relation_id: u32,
        columns: Vec<ColumnInfo>,
        temporary: bool,
    ) -> Result<Table> {
        let mut vectors = Vec::new();
        for (position, column) in columns.iter().enumerate() {
            vectors.push(if column.spec.kind == crate::types::StorageKind::Vector {
                let disk = self.vector_disk(temporary);
                Some(open_vectors(disk, relation_id, position as u16, column.spec.dim, 0)?)
            } else {
                None
            });
        }
        Ok(Table::new(relation_id, temporary, columns, vectors))
    }

    pub(crate) fn new_vectors(
        &self,
        table: &Table,
        column: u16,
        dim: u32,
    ) -> Result<Arc<VectorColumn>> {
        open_vectors(self.vector_disk(table.temporary), table.relation_id, column, dim, 0)
    }

    pub(crate) fn vector_disk(&self, temporary: bool) -> Arc<dyn Disk> {
        match &self.durable {
            Some(durable) if !temporary => Arc::clone(&durable.disk),
            _ => Arc::clone(&self.memory) as Arc<dyn Disk>,
        }
    }

    // Commits

    /// Why nothing can be committed any more; None as long as all is well.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.durable.as_ref().and_then(Durable::failure)
    }

    /// Whether the calling thread does the commit itself: without a log, and with nothing to wait for.
    pub(crate) fn commits_inline(self: &Arc<Self>, request: &CommitRequest) -> bool {
        self.durable.is_none() && !self.has_to_wait(request)
    }

    /// Commits in the calling thread. The result is also where `commit_result` looks for it.
    pub(crate) fn commit_inline(self: &Arc<Self>, mut request: CommitRequest) -> Result<()> {
        let _guard = AbortOnPanic("a commit");
        let mut last = lock(&self.sequencer);
        if let Err(error) = request.place_vectors() {
            drop(last);
            self.finish_commit(request, Err(error.clone()));
            return Err(error);
        }
        *last += 1;
        let touched = touched_tables(&request);
        publish(self, &mut request, *last);
        self.snapshots.advance(*last);
        drop(last);
        self.finish_commit(request, Ok(()));
        self.after_publish(&touched);
        Ok(())
    }

    /// Logs, syncs and publishes a small commit in the calling thread, if its session is the thread's only one and nobody
    /// else commits now, and leaves the result in its outcome; else gives it back.
    pub(crate) fn commit_alone(self: &Arc<Self>, request: CommitRequest) -> Option<CommitRequest> {
        match &self.durable {
            Some(durable) if request.channel.is_lone() && !self.has_to_wait(&request) => {
                durable.commit_alone(self, request)
            }
            _ => Some(request),
        }
    }

    /// Hands a commit over; its token is delivered when it is done.
    pub(crate) fn submit_commit(self: &Arc<Self>, mut request: CommitRequest) {
        if request.round.is_none() {
            request.round = self.round_to_wait_for(&request);
        }
        if Self::must_park(&request) {
            self.park(request);
            // The graph may have caught up in between, the round be over.
            self.unpark();
            return;
        }
        match &self.durable {
            Some(durable) => durable.submit(self, request),
            None => {
                // Whoever waits for the token learns the result from `commit_result`.
                let _ = self.commit_inline(request);
            }
        }
    }

    /// The result is known: locks go, the waiting session is told.
    pub(crate) fn finish_commit(&self, request: CommitRequest, result: Result<()>) {
        let mut news = News::default();
        news.add(self.settle_commit(request, result));
        news.tell();
    }

    /// As `finish_commit`, but whom to tell is the caller's to do: outside its locks, and each thread once for a group.
    pub(crate) fn settle_commit(&self, request: CommitRequest, result: Result<()>) -> Settled {
        if result.is_err() {
            // While its locks are held: whoever gets them finds the tables as they were.
            request.take_back(self);
        }
        if let Some(handle) = &request.serializable {
            self.serializable.end(handle, result.is_ok());
        }
        let acknowledgement = request.acknowledgement.filter(|_| result.is_ok());
        request.outcome.set(result);
        self.locks.release_all(request.session.process_id(), request.locks);
        Settled { acknowledgement, token: request.token.map(|token| (request.channel, token)) }
    }

    /// Background work a commit calls for.
    pub(crate) fn after_publish(self: &Arc<Self>, tables: &[Arc<Table>]) {
        for table in tables {
            for index in table.indexes().iter() {
                if let Some(hnsw) = index.hnsw() {
                    self.schedule_linking(index, hnsw);
                }
            }
            self.schedule_collection(table);
            self.schedule_removal(table);
            self.schedule_rounds(table);
            self.schedule_compaction(table);
        }
    }

    /// For a commit that has not been submitted yet.
    fn has_to_wait(self: &Arc<Self>, request: &CommitRequest) -> bool {
        Self::must_park(request) || self.round_to_wait_for(request).is_some()
    }

    /// Whether what a submitted commit waits for is not over. It begins nothing: a round that one waits for is its only one.
    fn must_park(request: &CommitRequest) -> bool {
        if request.round.as_ref().is_some_and(AwaitedRound::is_under_way) {
            return true;
        }
        let far_behind = |index: &Arc<Index>| {
            index.hnsw().is_some_and(|h| h.tail() > MAX_TAIL && h.linking.is_set())
        };
        request.tables.iter().any(|change| {
            change.vectors.iter().any(|v| v.count > 0)
                && change.table.indexes().iter().any(far_behind)
        })
    }

    fn park(&self, request: CommitRequest) {
        let session = Arc::clone(&request.session);
        lock(&self.parked).push(request);
        // An interrupt that came before has not found it.
        if session.interrupt() != 0 {
            self.cancel_parked(&session);
        }
    }

    /// Ends the commits of a session that wait: nothing of them has happened, so an interrupt undoes them.
    fn cancel_parked(&self, session: &Session) {
        let is_its =
            |request: &mut CommitRequest| std::ptr::eq(&raw const *request.session, session);
        let cancelled: Vec<_> = lock(&self.parked).extract_if(.., is_its).collect();
        for request in cancelled {
            let interrupt = session.interrupt().max(INTERRUPT_CANCEL);
            self.finish_commit(request, Err(StoreError::interrupted(interrupt)));
        }
    }

    pub(crate) fn unpark(self: &Arc<Self>) {
        // Looked at while they stay in the list: who ends a wait beside this comes behind it, and looks again.
        let ready: Vec<_> =
            lock(&self.parked).extract_if(.., |request| !Self::must_park(request)).collect();
        for request in ready {
            self.submit_commit(request);
        }
    }

    /// Links an index's published vids in the pool, and measures the graph where that is due, one job per index at a time.
    pub(crate) fn schedule_linking(self: &Arc<Self>, index: &Arc<Index>, hnsw: &HnswIndex) {
        let has_work = hnsw.tail() > 0 || hnsw.measurement_is_due();
        if !has_work || !hnsw.linking.ask() {
            return;
        }
        let (engine, index) = (Arc::clone(self), Arc::clone(index));
        self.pool.submit(move || {
            let hnsw = index.hnsw().expect("scheduled for an hnsw index");
            let threads = if hnsw.tail() > MAX_TAIL { engine.pool.size } else { 1 };
            hnsw.link(threads, engine.snapshots.oldest(), &AtomicU64::new(0), &engine.closing);
            // What was published beside the last look is seen by the next one below.
            hnsw.linking.clear();
            if !engine.closing.load(Ordering::Relaxed) {
                engine.schedule_linking(&index, hnsw);
            }
            engine.unpark();
        });
    }

    // Checkpoint and end

    /// Writes a checkpoint now; the channel delivers the token when it is durable. Errors stop later commits.
    pub fn checkpoint(self: &Arc<Self>, channel: &Arc<Channel>) -> Pending {
        let Some(durable) = &self.durable else { return Pending::Done };
        let token = next_token(&self.next_token);
        let channel = Arc::clone(channel);
        durable.request_checkpoint(Some(Box::new(move || channel.deliver(&[token]))));
        Pending::Wait(token)
    }

    /// Flushes, writes a clean checkpoint and stops the threads. Every session must be closed.
    pub fn shutdown(self: &Arc<Self>, channel: &Arc<Channel>) -> Result<Pending> {
        if !read(&self.sessions).is_empty() {
            return Err(StoreError::new(sqlstate::OBJECT_IN_USE, "sessions are still open"));
        }
        let token = next_token(&self.next_token);
        let (engine, channel) = (Arc::clone(self), Arc::clone(channel));
        let end = move || {
            engine.closing.store(true, Ordering::Relaxed);
            engine.pool.close();
            if let Some(durable) = &engine.durable {
                durable.stop(&engine);
            }
            channel.deliver(&[token]);
        };
        std::thread::Builder::new()
            .name("omen-shutdown".into())
            .spawn(end)
            .map_err(|error| StoreError::internal(format!("could not start a thread: {error}")))?;
        Ok(Pending::Wait(token))
    }
}

pub(crate) fn touched_tables(request: &CommitRequest) -> Vec<Arc<Table>> {
    request.tables.iter().map(|c| Arc::clone(&c.table)).collect()
}

/// Opens the segments of a vector column whose vids below `high_water` count.
pub(crate) fn open_vectors(
    disk: Arc<dyn Disk>,
    relation_id: u32,
    column: u16,
    dim: u32,
    high_water: u32,
) -> Result<Arc<VectorColumn>> {
    let options = VectorOptions::new(dim as usize);
    let segments =
        VectorSegments::open(disk, &vector_name(relation_id, column), options, high_water)?;
    let column = VectorColumn::new(segments);
    column.adopt(high_water);
    Ok(Arc::new(column))
}

pub(crate) fn vector_name(relation_id: u32, column: u16) -> String {
    format!("{relation_id}.{column}")
}

/// An empty index of a spec; `vectors` is the column of an hnsw index.
pub(crate) fn index_kind(
    spec: &IndexSpec,
    vectors: Option<Arc<VectorColumn>>,
) -> Result<IndexKind> {
    Ok(match spec.method {
        IndexMethod::Btree { .. } => IndexKind::Btree(BtreeIndex::default()),
        IndexMethod::Hnsw(graph) => {
            let vectors = vectors
                .ok_or_else(|| StoreError::internal("hnsw over a column without vectors"))?;
            IndexKind::Hnsw(Box::new(HnswIndex::new(spec.columns[0].column, vectors, graph)?))
        }
        IndexMethod::Bm25 { config, k1, b } => {
            IndexKind::Bm25(Box::new(Bm25Index::new(params(config, k1, b))))
        }
    })
}
