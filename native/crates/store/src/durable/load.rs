//! Loading a table at first touch: mapped chunks, the stored tail, then what the log has above the checkpoint.
//!
//! Nothing of the table has changed in memory since the engine was opened, for every change goes through the loaded
//! table.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use omen_disk::{DiskErrorKind, Kv, KvRange, VectorSegments};
use omen_hnsw::HnswGraph;

use super::Durable;
use super::apply::key;
use super::derived::fits;
use super::manifest::{Manifest, sealed};
use super::replay::{
    Record, Replay, StoredText, adopt_vectors, load_tail, restore_rids, stored_vectors,
};
use crate::commit::redo::Reader;
use crate::engine::{Engine, index_kind, open_vectors};
use crate::error::{Result, StoreError};
use crate::index::bm25::params;
use crate::index::hnsw::HnswIndex;
use crate::index::{Index, IndexKind, collect_entries, fill_text};
use crate::sync::{lock, write};
use crate::table::chunk::Chunk;
use crate::table::chunk_file::{self, ChunkFile};
use crate::table::data::TableData;
use crate::table::{ColumnInfo, StoredFile, Table};
use crate::types::{IndexMethod, IndexSpec};

/// Loads a table: rows, vectors, indexes. `readable` is told of it when all but btrees and unstored text indexes is there;
/// until then nobody sees it.
pub(crate) fn load_table(
    engine: &Engine,
    relation_id: u32,
    readable: impl FnOnce(&Arc<Table>),
) -> Result<Arc<Table>> {
    let durable = engine.durable_side();
    let kv = &*durable.kv;
    let stored = kv.get(&key(b't', relation_id))?;
    let stored = stored.ok_or_else(|| StoreError::corrupt("a relation without a definition"))?;
    let columns = Reader::new(&stored).columns()?;
    let manifest = kv.get(&key(b'f', relation_id))?;
    let manifest = manifest.map(|bytes| Manifest::decode(&bytes)).transpose();
    let manifest = manifest.map_err(|error| error.relation(relation_id))?;
    let records = durable.pending(relation_id);
    let table = empty_table(durable, relation_id, &columns, manifest.as_ref(), &records)?;
    let table = Arc::new(table);
    let specs = stored_indexes(kv, relation_id)?;
    let changed = manifest.as_ref().map_or(0, |m| m.changed);
    let texts = stored_texts(durable, &specs, changed)?;
    let rows = || load_rows(durable, &table, &columns, manifest.as_ref(), &records, &texts);
    let mut graphs = graphs_beside(durable, &specs, rows)?;
    remove_unknown_files(durable, &table)?;
    remove_unknown_vectors(durable, relation_id, columns.len())?;
    let attach = |index: Index| {
        let index = Arc::new(index);
        table.attach_index(&index);
        write(&engine.indexes).insert(index.spec.index_id, (relation_id, Some(Arc::clone(&index))));
    };
    let mut derived = Vec::new();
    for spec in specs {
        if matches!(spec.method, IndexMethod::Hnsw(_)) {
            let graph = graphs.remove(&spec.index_id);
            attach(graph_index(&table, spec, graph)?);
        } else if !texts.iter().any(|text| text.spec == spec) {
            derived.push(spec);
        }
    }
    for text in texts {
        attach(Index { spec: text.spec, kind: IndexKind::Bm25(Box::new(text.index)) });
    }
    readable(&table);
    for spec in derived {
        attach(derive_index(&table, spec)?);
    }
    for index in table.indexes().iter() {
        if let (Some(hnsw), Some(engine)) = (index.hnsw(), engine.shared()) {
            engine.schedule_linking(index, hnsw);
        }
    }
    find_numbers(&table);
    durable.forget_pending(relation_id);
    Ok(table)
}

/// Puts the rows of the manifest, of the stored tail and of the log into a table, with their vectors.
fn load_rows(
    durable: &Durable,
    table: &Table,
    columns: &[ColumnInfo],
    manifest: Option<&Manifest>,
    records: &[Record],
    texts: &[StoredText],
) -> Result<()> {
    let relation_id = table.relation_id;
    let mut data = write(&table.data);
    if let Some(manifest) = manifest {
        map_chunks(durable, table, &mut data, manifest)?;
    }
    if let Some(tail) = durable.kv.get(&key(b'l', relation_id))? {
        let rows = sealed(&tail).map_err(|error| error.relation(relation_id))?;
        load_tail(&mut data, columns, rows)?;
    }
    let disk = &*durable.disk;
    let mut replay = Replay { disk, table, data: &mut data, columns, texts, file: None };
    for record in records {
        replay.record(record)?;
    }
    adopt_vectors(table, &data, columns)?;
    restore_rids(table, &data);
    Ok(())
}

/// Graphs below this are read before a thread for them would run.
const LARGE_GRAPH_BYTES: u64 = 1 << 20;

/// Stored graphs by index.
type Graphs = HashMap<u32, HnswGraph>;

/// Does `work`, and reads the stored graphs of a table: in a thread beside it when they are large.
fn graphs_beside(
    durable: &Durable,
    specs: &[IndexSpec],
    work: impl FnOnce() -> Result<()>,
) -> Result<Graphs> {
    let of_graphs = || specs.iter().filter(|spec| matches!(spec.method, IndexMethod::Hnsw(_)));
    let read = || -> Result<Graphs> {
        let graph = |spec: &IndexSpec| {
            let id = spec.index_id;
            durable.read_graph(id).map(|graph| graph.map(|graph| (id, graph))).transpose()
        };
        of_graphs().filter_map(graph).collect()
    };
    let is_large = of_graphs().any(|spec| durable.graph_bytes(spec.index_id) >= LARGE_GRAPH_BYTES);
    std::thread::scope(|scope| {
        let beside = std::thread::Builder::new().name("omen-graph".into());
        let beside = is_large.then(|| beside.spawn_scoped(scope, read).ok()).flatten();
        work()?;
        match beside {
            Some(beside) => beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            None => read(),
        }
    })
}

/// Vids without a row: graphs lose those they have, and a checkpoint must pass before any is given again.
fn find_numbers(table: &Table) {
    for (_, column) in table.vector_columns() {
        let indexes = table.indexes();
        let entries = column.entries.view();
        let nobodys: Vec<u32> = (0..column.len()).filter(|&vid| entries.is_empty(vid)).collect();
        if nobodys.is_empty() {
            column.segments.settle(column.len(), |_| false);
            continue;
        }
        let graphs: Vec<(u32, Vec<u64>)> = indexes
            .iter()
            .filter_map(|index| index.hnsw().filter(|hnsw| hnsw.is_over(&column)))
            .map(|hnsw| (hnsw.graph.len(), hnsw.graph.linked_nodes()))
            .collect();
        let is_linked = |vid: u32| {
            // What a graph has not come to yet it still has to pass over.
            graphs.iter().any(|(len, linked)| {
                vid >= *len || linked[vid as usize / 64] >> (vid % 64) & 1 == 1
            })
        };
        let (linked, unlinked): (Vec<u32>, Vec<u32>) =
            nobodys.into_iter().partition(|&vid| is_linked(vid));
        for vid in linked {
            column.numbers.note_dead(0, vid);
        }
        // Rows that are nobody's leave their room at once: neither rows nor graphs can lead there again, even if this log is
        // replayed once more.
        column.segments.settle(column.len(), |vid| unlinked.binary_search(&vid).is_ok());
        column.numbers.note_unlinked(unlinked.into_iter());
    }
}

/// The table with the vectors that are in segments, and no rows.
fn empty_table(
    durable: &Durable,
    relation: u32,
    columns: &[ColumnInfo],
    manifest: Option<&Manifest>,
    records: &[Record],
) -> Result<Table> {
    let mut vectors = Vec::new();
    for (position, column) in columns.iter().enumerate() {
        vectors.push(if column.spec.kind.is_vector() {
            let position = position as u16;
            let next = manifest.and_then(|m| m.vectors.iter().find(|(c, _)| *c == position));
            let next = next.map_or(0, |(_, next)| *next);
            let next = next.max(stored_vectors(records, relation, position)?);
            let disk = Arc::clone(&durable.disk);
            Some(open_vectors(disk, relation, position, column.spec, next)?)
        } else {
            None
        });
    }
    let table = Table::new(relation, false, columns.to_vec(), vectors);
    table.changed_at.store(manifest.map_or(0, |m| m.changed), Ordering::Release);
    lock(&table.stored).manifest = manifest.map(|m| m.commit);
    Ok(table)
}

fn map_chunks(
    durable: &Durable,
    table: &Table,
    data: &mut TableData,
    manifest: &Manifest,
) -> Result<()> {
    let relation = table.relation_id;
    let mut files: Vec<Arc<ChunkFile>> = Vec::new();
    for stored in &manifest.chunks {
        let open = files.iter().find(|file| file.number == stored.place.file);
        let file = if let Some(file) = open {
            Arc::clone(file)
        } else {
            let file = ChunkFile::open(&*durable.disk, relation, stored.place.file)?;
            let known = StoredFile { born: manifest.commit, length: file.length() };
            lock(&table.stored).add_file(file.number, known);
            files.push(Arc::clone(&file));
            file
        };
        let (rows, rids) = file.chunk(stored.place)?;
        if rows.len() != stored.rows as usize {
            let message = format!("relation {relation} has a chunk of another length");
            return Err(StoreError::corrupt(message).relation(relation));
        }
        let chunk = Chunk::sealed(rows, rids, 0).placed(stored.place);
        data.append_stored(chunk, |row| stored.is_dead(row));
    }
    Ok(())
}

/// Chunk files that neither the manifest nor the log names: of a checkpoint or a commit that a crash cut off.
fn remove_unknown_files(durable: &Durable, table: &Table) -> Result<()> {
    let known: BTreeSet<u32> = lock(&table.stored).files.keys().copied().collect();
    for number in chunk_file::list(&*durable.disk, table.relation_id)? {
        if !known.contains(&number) {
            chunk_file::remove(&*durable.disk, table.relation_id, number)?;
        }
    }
    Ok(())
}

/// Vectors of columns that a transaction was adding when the process ended.
fn remove_unknown_vectors(durable: &Durable, relation: u32, columns: usize) -> Result<()> {
    let names = match durable.disk.list("vec") {
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    for name in names {
        let column = name.strip_prefix(&format!("{relation}.")).and_then(|c| c.parse().ok());
        if column.is_some_and(|column: usize| column >= columns) {
            VectorSegments::remove(&*durable.disk, &name)?;
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

/// The bm25 indexes with a file that has every change up to the manifest's last one: replay brings them the rest.
fn stored_texts(durable: &Durable, specs: &[IndexSpec], changed: u64) -> Result<Vec<StoredText>> {
    let mut texts = Vec::new();
    for spec in specs {
        let IndexMethod::Bm25 { config, k1, b } = spec.method else { continue };
        let params = params(config, k1, b);
        let range = changed..=durable.opened_at;
        if let Some((index, commit)) = durable.load_text(spec.index_id, params, range)? {
            texts.push(StoredText { spec: spec.clone(), index, commit });
        }
    }
    Ok(texts)
}

/// An hnsw index with its stored graph, if that fits; what it lacks is linked later, in the pool.
fn graph_index(table: &Table, spec: IndexSpec, graph: Option<HnswGraph>) -> Result<Index> {
    let column = spec.columns.first().map_or(0, |c| c.column);
    let mut kind = index_kind(&spec, table.vectors(column as usize))?;
    if let IndexKind::Hnsw(fresh) = &kind
        && let Some(graph) = graph.filter(|graph| fits(graph, fresh))
    {
        let index = HnswIndex::with_graph(column, Arc::clone(&fresh.vectors), fresh.spec, graph);
        index.note_opened();
        index.find_unlinked();
        kind = IndexKind::Hnsw(Box::new(index));
    }
    Ok(Index { spec, kind })
}

/// An index made from the rows.
fn derive_index(table: &Table, spec: IndexSpec) -> Result<Index> {
    let column = spec.columns.first().map_or(0, |c| c.column);
    let kind = index_kind(&spec, table.vectors(column as usize))?;
    let index = Index { spec, kind };
    let columns = table.columns();
    match &index.kind {
        IndexKind::Btree(btree) => {
            let (entries, duplicate) =
                collect_entries(&index, table, &columns, &HashSet::new(), || Ok(()))?;
            if duplicate.is_some() {
                let error = StoreError::corrupt("a unique index has two rows with one key");
                return Err(error.index(index.spec.index_id));
            }
            btree.fill(entries);
        }
        IndexKind::Hnsw(_) => {}
        IndexKind::Bm25(bm25) => fill_text(&index, bm25, table, &columns, || Ok(()))?,
    }
    Ok(index)
}
