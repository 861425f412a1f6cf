//! Opening a database, and loading a table at first touch.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use omen_disk::log::{BulkReader, bulk};
use omen_disk::{
    Disk, Kv, KvBatch, KvRange, LogOptions, LogReader, LogWriter, VectorOptions, VectorSegments,
};

use super::apply::{
    Applier, KEY_CHECKPOINT, KEY_OBJECT_IDS, KEY_SALT, column_key, get_u32, get_u64, key, key_id,
};
use super::checkpoint::Checkpointer;
use super::derived::{GRAPH_DIR, TEXT_DIR};
use super::{Durable, KIND_BULK, KIND_REDO};
use crate::commit::redo::{Operation, Reader, decode};
use crate::engine::{Engine, index_kind, open_vectors, vector_name};
use crate::error::{Result, StoreError};
use crate::index::bm25::params;
use crate::index::hnsw::HnswIndex;
use crate::index::{Index, IndexKind, collect_entries, fill_text};
use crate::pool::Pool;
use crate::sequence::Sequence;
use crate::sync::{lock, read, write};
use crate::table::chunk::Chunk;
use crate::table::{ColumnInfo, Table, empty_rows};
use crate::types::{IndexMethod, IndexSpec, StorageKind};
use crate::value::Value;

/// Opens the durable state: the KV at its checkpoint, and everything the log has above it.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    kv: &Arc<dyn Kv>,
    pool: Pool,
    segment_bytes: u64,
) -> Result<Arc<Engine>> {
    let salt = match get_u64(&**kv, KEY_SALT)? {
        Some(salt) => salt,
        None => new_salt(&**kv)?,
    };
    let checkpoint = get_u64(&**kv, KEY_CHECKPOINT)?.unwrap_or(0);
    let mut replay = Replay::new(Arc::clone(&disk), Arc::clone(kv), salt);
    let mut failure = None;
    let end = LogReader::new(&*disk, salt).replay(checkpoint, |record| {
        replay.record(record.commit, record.kind, record.payload).map_err(|error| {
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
    let log = LogWriter::start(Arc::clone(&disk), LogOptions { segment_bytes, salt }, &end)?;
    let Replay { applier, replayed, vectors, .. } = replay;
    let (durable, receiver) = Durable::new(disk, Arc::clone(kv), salt, log, replayed, last_commit);
    let engine = Engine::new(pool, Some(durable), last_commit);
    load_registries(&engine, &**kv)?;
    let durable = engine.durable_side();
    for segments in vectors.into_values().flatten() {
        segments.sync()?;
    }
    if last_commit > checkpoint {
        // What was replayed once need not be again; and the vector marks catch up before tables are loaded.
        durable.checkpoint(&engine, &mut Checkpointer::new(applier, last_commit))?;
    }
    remove_leftovers(durable, &engine, last_commit)?;
    durable.start(&engine, receiver, last_commit)?;
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

/// The log above the checkpoint, going into KV and vector segments.
struct Replay {
    disk: Arc<dyn Disk>,
    kv: Arc<dyn Kv>,
    salt: u64,
    applier: Applier,
    replayed: HashSet<u32>,
    vectors: HashMap<(u32, u16), Option<VectorSegments>>,
}

impl Replay {
    fn new(disk: Arc<dyn Disk>, kv: Arc<dyn Kv>, salt: u64) -> Self {
        let applier = Applier::new(Arc::clone(&kv));
        Self { disk, kv, salt, applier, replayed: HashSet::new(), vectors: HashMap::new() }
    }

    fn record(&mut self, commit: u64, kind: u8, payload: &[u8]) -> Result<()> {
        match kind {
            KIND_REDO => self.redo(commit, payload),
            KIND_BULK => {
                let mut name = Reader::new(payload);
                let (number, bytes) = (name.u64()?, name.u64()?);
                let mut file = BulkReader::open(&*self.disk, self.salt, number, bytes)?;
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
        decode(redo, |operation| {
            match operation {
                Operation::Rows { relation, .. } | Operation::Deletes { relation, .. } => {
                    self.replayed.insert(relation);
                }
                _ => {}
            }
            Ok(())
        })?;
        let Self { disk, kv, applier, vectors, .. } = self;
        applier.apply(commit, redo, &mut |relation, column, dim, first_vid, floats| {
            let segments = match vectors.entry((relation, column)) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    let mark = get_u32(&**kv, &column_key(b'w', relation, column))?.unwrap_or(0);
                    let options = VectorOptions::new(dim as usize);
                    let name = vector_name(relation, column);
                    entry.insert(Some(VectorSegments::open(
                        Arc::clone(disk),
                        &name,
                        options,
                        mark,
                    )?))
                }
            };
            // The KV may be ahead of the checkpoint and the segments with it: the same floats again are accepted.
            if let Some(segments) = segments {
                segments.write_run(first_vid, floats)?;
            }
            Ok(())
        })
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
    for entry in kv.scan(KvRange::prefix(b"t")) {
        engine.add_stored_table(key_id(&entry?.0, 1)?);
    }
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
    for number in bulk::list(&*durable.disk)? {
        if number > last_commit {
            bulk::remove(&*durable.disk, number)?;
        }
    }
    for dir in [GRAPH_DIR, TEXT_DIR] {
        for name in list(&*durable.disk, dir)? {
            let index = name.parse::<u32>().ok();
            if index.is_none_or(|index| !read(&engine.indexes).contains_key(&index)) {
                durable.disk.remove(&format!("{dir}/{name}"))?;
            }
        }
    }
    for name in list(&*durable.disk, "vec")? {
        let relation = name.split('.').next().and_then(|r| r.parse::<u32>().ok());
        if relation.is_some_and(|r| !read(&engine.tables).contains_key(&r)) {
            VectorSegments::remove(&*durable.disk, &name)?;
        }
    }
    Ok(())
}

/// Names in a folder; none if it does not exist.
fn list(disk: &dyn Disk, dir: &str) -> Result<Vec<String>> {
    match disk.list(dir) {
        Err(error) if error.kind == omen_disk::DiskErrorKind::NotFound => Ok(Vec::new()),
        names => Ok(names?),
    }
}

/// Loads a whole table from the KV: rows, vectors, indexes. Nothing of it has changed since the engine was opened, for
/// every change goes through the loaded table.
pub(crate) fn load_table(engine: &Engine, relation_id: u32) -> Result<Arc<Table>> {
    let durable = engine.durable_side();
    let kv = &*durable.kv;
    let stored = kv.get(&key(b't', relation_id))?;
    let stored = stored.ok_or_else(|| StoreError::corrupt("a relation without a definition"))?;
    let columns = Reader::new(&stored).columns()?;
    let mut vectors = Vec::new();
    for (position, column) in columns.iter().enumerate() {
        vectors.push(if column.spec.kind == StorageKind::Vector {
            let next = get_u32(kv, &column_key(b'v', relation_id, position as u16))?.unwrap_or(0);
            let disk = Arc::clone(&durable.disk);
            Some(open_vectors(disk, relation_id, position as u16, column.spec.dim, next)?)
        } else {
            None
        });
    }
    let table = Arc::new(Table::new(relation_id, false, columns, vectors));
    load_rows(kv, &table)?;
    for spec in stored_indexes(kv, relation_id)? {
        let index = Arc::new(load_index(durable, &table, spec)?);
        table.attach_index(Arc::clone(&index));
        write(&engine.indexes).insert(index.spec.index_id, (relation_id, Some(Arc::clone(&index))));
        if let (Some(hnsw), Some(engine)) = (index.hnsw(), engine.shared()) {
            engine.schedule_linking(&index, hnsw);
        }
    }
    Ok(table)
}

fn load_rows(kv: &dyn Kv, table: &Table) -> Result<()> {
    let columns = table.columns();
    let mut rows = empty_rows(&columns);
    let mut rids: Vec<u32> = Vec::new();
    let (mut next, mut free) = (0, Vec::new());
    let mut data = write(&table.data);
    for entry in kv.scan(KvRange::prefix(&key(b'r', table.relation_id))) {
        let (row_key, image) = entry?;
        let rid = key_id(&row_key, 5)?;
        let values =
            Reader::new(&image).image(|column| columns.get(column).map(|c| c.spec.kind))?;
        adopt_vectors(table, &columns, &values, rid)?;
        if rows.is_full() {
            let full = std::mem::replace(&mut rows, empty_rows(&columns));
            data.append_chunk(
                Chunk::sealed(full, std::mem::take(&mut rids), 0),
                empty_rows(&columns),
            );
        }
        let value = |column: usize| match values.get(column) {
            Some(value) => *value,
            None => columns[column].initial.as_value(),
        };
        rows.push_row(value);
        rids.push(rid);
        free.extend(next..rid);
        next = rid + 1;
    }
    if !rids.is_empty() {
        data.append_chunk(Chunk::sealed(rows, rids, 0), empty_rows(&columns));
    }
    drop(data);
    free.reverse();
    table.restore_rids(next, free);
    Ok(())
}

/// Gives the vectors a stored row names back to it.
fn adopt_vectors(
    table: &Table,
    columns: &[ColumnInfo],
    values: &[Value<'_>],
    rid: u32,
) -> Result<()> {
    for (position, value) in values.iter().enumerate().take(columns.len()) {
        if let Value::Vector(vid) = value {
            let column = table.vectors(position).filter(|c| *vid < c.len());
            let column = column
                .ok_or_else(|| StoreError::corrupt("a row names a vector that was never stored"))?;
            if column.segments.get(*vid).is_none() {
                return Err(StoreError::corrupt(format!(
                    "vector {vid} of relation {} is damaged",
                    table.relation_id
                )));
            }
            column.entries.set(*vid, rid, 0);
        }
    }
    Ok(())
}

fn stored_indexes(kv: &dyn Kv, relation_id: u32) -> Result<Vec<IndexSpec>> {
    let mut specs = Vec::new();
    for entry in kv.scan(KvRange::prefix(b"x")) {
        let spec = Reader::new(&entry?.1).index()?;
        if spec.relation_id == relation_id {
            specs.push(spec);
        }
    }
    Ok(specs)
}

fn load_index(durable: &Durable, table: &Table, spec: IndexSpec) -> Result<Index> {
    let column = spec.columns.first().map_or(0, |c| c.column);
    let mut kind = index_kind(&spec, table.vectors(column as usize))?;
    if let IndexKind::Hnsw(fresh) = &kind
        && let Some(graph) = durable.load_graph(spec.index_id, fresh)?
    {
        let index = HnswIndex::with_graph(column, Arc::clone(&fresh.vectors), graph);
        kind = IndexKind::Hnsw(Box::new(index));
    }
    if let IndexMethod::Bm25 { config, k1, b } = spec.method {
        // Right for the commit it names, and nothing of the table was replayed on top of that.
        let current = !durable.replayed.contains(&table.relation_id);
        let stored = if current {
            durable.load_text(spec.index_id, params(config, k1, b), durable.opened_at)?
        } else {
            None
        };
        if let Some(stored) = stored {
            return Ok(Index { spec, kind: IndexKind::Bm25(Box::new(stored)) });
        }
    }
    let index = Index { spec, kind };
    fill_index(&index, table)?;
    Ok(index)
}

/// Derives an index from the loaded rows; graphs are linked later, in the pool.
fn fill_index(index: &Index, table: &Table) -> Result<()> {
    let columns = table.columns();
    match &index.kind {
        IndexKind::Btree(btree) => {
            let (entries, duplicate) =
                collect_entries(index, table, &columns, &HashSet::new(), || Ok(()))?;
            if duplicate.is_some() {
                let error = StoreError::corrupt("a unique index has two rows with one key");
                return Err(error.index(index.spec.index_id));
            }
            btree.fill(entries);
            Ok(())
        }
        IndexKind::Hnsw(_) => Ok(()),
        IndexKind::Bm25(bm25) => fill_text(index, bm25, table, &columns, || Ok(())),
    }
}
