//! Opening a database: the definitions of the KV, and everything the log has above the checkpoint.

use std::sync::Arc;

use omen_disk::log::{BulkReader, bulk};
use omen_disk::{
    Disk, DiskErrorKind, Kv, KvBatch, KvRange, LogOptions, LogReader, LogWriter, VectorSegments,
};

use super::apply::{Applier, KEY_CHECKPOINT, KEY_OBJECT_IDS, KEY_SALT, get_u32, get_u64, key_id};
use super::checkpoint::Checkpointer;
use super::derived::GRAPH_DIR;
use super::replay::{self, Pending};
use super::texts::{self, TEXT_DIR};
use super::{Durable, KIND_BULK, KIND_REDO, Limits};
use crate::commit::redo::Reader;
use crate::engine::Engine;
use crate::error::{Result, StoreError};
use crate::pool::Pool;
use crate::sequence::Sequence;
use crate::sync::{lock, read, write};
use crate::table::chunk_file::{self, ROWS_DIR};

/// Opens the durable state. Tables are loaded at first touch, or by the pool, which starts on them at once.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    kv: &Arc<dyn Kv>,
    pool: Pool,
    segment_bytes: u64,
    limits: Limits,
) -> Result<Arc<Engine>> {
    let known_salt = get_u64(&**kv, KEY_SALT)?;
    super::format::check(&*disk, known_salt.is_some())?;
    let salt = match known_salt {
        Some(salt) => salt,
        None => new_salt(&**kv)?,
    };
    let checkpoint = get_u64(&**kv, KEY_CHECKPOINT)?.unwrap_or(0);
    let applier = Applier::new(Arc::clone(kv));
    let mut log = Log { disk: &*disk, salt, applier, pending: Pending::new() };
    let mut failure = None;
    let end = LogReader::new(&*disk, salt).replay(checkpoint, |record| {
        log.record(record.commit, record.kind, record.payload).map_err(|error| {
            // The reader speaks disk errors; ours is kept aside and reported instead.
            let context = error.message.clone();
            failure = Some(error);
            omen_disk::DiskError::corrupt(context)
        })
    });
    let end = match (end, failure) {
        (_, Some(error)) => return Err(error),
        (end, None) => end?,
    };
    let last_commit = end.last_commit.max(checkpoint);
    let Log { applier, mut pending, .. } = log;
    let log = LogWriter::start(Arc::clone(&disk), LogOptions { segment_bytes, salt }, &end)?;
    let mut relations = Vec::new();
    for entry in kv.scan(KvRange::prefix(b"t")) {
        relations.push(key_id(&entry?.0, 1)?);
    }
    pending.retain(|relation, _| relations.contains(relation));
    let (durable, receiver) =
        Durable::new(disk, Arc::clone(kv), salt, log, pending, last_commit, limits);
    let engine = Engine::new(pool, Some(durable), last_commit);
    for &relation in &relations {
        engine.add_stored_table(relation);
    }
    load_registries(&engine, &**kv)?;
    let durable = engine.durable_side();
    remove_leftovers(durable, &engine, last_commit)?;
    durable.start(&engine, Checkpointer::new(applier, receiver))?;
    engine.schedule_loading(&relations);
    Ok(engine)
}

fn new_salt(kv: &dyn Kv) -> Result<u64> {
    use std::hash::BuildHasher;
    let salt = std::hash::RandomState::new().hash_one(std::process::id());
    let mut batch = KvBatch::new();
    batch.put(KEY_SALT, salt.to_le_bytes().to_vec());
    kv.apply(batch)?;
    // Before the first log record: a log nobody has the salt of is lost.
    kv.persist()?;
    Ok(salt)
}

/// The log above the checkpoint: definitions go into the KV, changes of rows are kept for their tables.
struct Log<'a> {
    disk: &'a dyn Disk,
    salt: u64,
    applier: Applier,
    pending: Pending,
}

impl Log<'_> {
    fn record(&mut self, commit: u64, kind: u8, payload: &[u8]) -> Result<()> {
        match kind {
            KIND_REDO => self.redo(commit, payload),
            KIND_BULK => {
                let mut name = Reader::new(payload);
                let (number, bytes) = (name.u64()?, name.u64()?);
                let mut file = BulkReader::open(self.disk, self.salt, number, bytes)?;
                let mut redo = Vec::new();
                while let Some(block) = file.next_block()? {
                    redo.extend_from_slice(block);
                }
                self.redo(commit, &redo)
            }
            kind => Err(StoreError::corrupt(format!("log record of unknown kind {kind}"))),
        }
    }

    fn redo(&mut self, commit: u64, redo: &[u8]) -> Result<()> {
        self.applier.apply(commit, redo)?;
        replay::note(&mut self.pending, commit, redo)
    }
}

fn load_registries(engine: &Engine, kv: &dyn Kv) -> Result<()> {
    if let Some(next) = get_u32(kv, KEY_OBJECT_IDS)? {
        engine.restore_object_ids(next);
    }
    let mut catalog = write(&engine.catalog);
    for entry in kv.scan(KvRange::prefix(b"m")) {
        let (name, value) = entry?;
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec())
                .map_err(|_| StoreError::corrupt("catalogue entry is not UTF-8"))
        };
        catalog.put(text(&name[1..])?, Some(text(&value)?));
    }
    drop(catalog);
    for entry in kv.scan(KvRange::prefix(b"x")) {
        let spec = Reader::new(&entry?.1).index()?;
        write(&engine.indexes).insert(spec.index_id, (spec.relation_id, None));
    }
    for entry in kv.scan(KvRange::prefix(b"q")) {
        let (_, stored) = entry?;
        let mut reader = Reader::new(&stored);
        let (spec, state) = (reader.sequence()?, reader.sequence_state()?);
        lock(&engine.sequences).insert(spec.sequence_id, Sequence::new(spec, state));
    }
    Ok(())
}

/// Files of relations that no longer exist or never were committed, and side files nothing names any more.
fn remove_leftovers(durable: &Durable, engine: &Engine, last_commit: u64) -> Result<()> {
    let disk = &*durable.disk;
    for number in bulk::list(disk)? {
        if number > last_commit {
            bulk::remove(disk, number)?;
        }
    }
    for dir in [GRAPH_DIR, TEXT_DIR] {
        for name in list(disk, dir)? {
            let index = if dir == TEXT_DIR { texts::index_of(&name) } else { name.parse().ok() };
            if index.is_none_or(|index| !read(&engine.indexes).contains_key(&index)) {
                disk.remove(&format!("{dir}/{name}"))?;
            }
        }
    }
    let is_gone = |relation: u32| !read(&engine.tables).contains_key(&relation);
    for name in list(disk, "vec")? {
        let relation = name.split('.').next().and_then(|r| r.parse::<u32>().ok());
        if relation.is_some_and(is_gone) {
            VectorSegments::remove(disk, &name)?;
        } else if relation.is_some() {
            VectorSegments::remove_loads(disk, &name)?;
        }
    }
    for name in list(disk, ROWS_DIR)? {
        if let Some(relation) = name.parse::<u32>().ok().filter(|&relation| is_gone(relation)) {
            chunk_file::remove_all(disk, relation)?;
        }
    }
    Ok(())
}

/// Names in a folder; none if it does not exist.
pub fn list(disk: &dyn Disk, dir: &str) -> Result<Vec<String>> {
    match disk.list(dir) {
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(Vec::new()),
        names => Ok(names?),
    }
}
