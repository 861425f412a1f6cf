//! The engine: one per process, shared by all threads.
//!
//! It owns the registries (sessions, tables, indexes, sequences, catalogue), the lock manager, the snapshots, the pool and,
//! for durable databases, the log side (`durable`). Everything here is behind its own small lock; the order between them
//! is in the header of the crate. Its sessions, its tables and the way of its commits have files of their own here.

mod commits;
mod sessions;
mod tables;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};

use omen_disk::{Disk, MemoryDisk};

pub(crate) use commits::touched_tables;
pub(crate) use tables::{index_kind, open_vectors, vector_name};

use crate::catalog::Catalog;
use crate::collect::Collector;
use crate::commit::CommitRequest;
use crate::durable::Durable;
use crate::error::{Result, StoreError, sqlstate};
use crate::lock::{LockManager, next_token};
use crate::pool::Pool;
use crate::sequence::Sequence;
use crate::serializable::Serializable;
use crate::session::{Channel, Session};
use crate::snapshot::Snapshots;
use crate::sync::{lock, read};
use crate::transaction::Build;
use crate::types::{BuildProgress, CatalogChange, IndexStatistics, Pending, RelationStatistics};
use crate::vacuum::{Progress, Vacuums};
use tables::{IndexSlot, TableSlot};

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
