//! Tables and indexes by number, loaded from disk at first touch.
//!
//! A slot is there as soon as its table is known; who asks for a table that is still on disk loads it, once, while others wait
//! or read what a load has ready. Guards of the registries do not live into a load, which writes there.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use omen_disk::{Disk, VectorOptions, VectorSegments};

use super::Engine;
use crate::error::{Result, StoreError, sqlstate};
use crate::index::bm25::{Bm25Index, params};
use crate::index::btree::BtreeIndex;
use crate::index::hnsw::HnswIndex;
use crate::index::{Index, IndexKind};
use crate::session::Temporary;
use crate::sync::{lock, read, write};
use crate::table::vectors::VectorColumn;
use crate::table::{ColumnInfo, Table};
use crate::types::{ColumnSpec, IndexMethod, IndexSpec};

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

impl Engine {
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
            vectors.push(if column.spec.kind.is_vector() {
                let disk = self.vector_disk(temporary);
                Some(open_vectors(disk, relation_id, position as u16, column.spec, 0)?)
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
        spec: ColumnSpec,
    ) -> Result<Arc<VectorColumn>> {
        open_vectors(self.vector_disk(table.temporary), table.relation_id, column, spec, 0)
    }

    pub(crate) fn vector_disk(&self, temporary: bool) -> Arc<dyn Disk> {
        match &self.durable {
            Some(durable) if !temporary => Arc::clone(&durable.disk),
            _ => Arc::clone(&self.memory) as Arc<dyn Disk>,
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

    /// Bytes of the rows and vectors of a relation that is loaded and not temporary; 0 for others.
    pub(crate) fn loaded_bytes(&self, relation_id: u32) -> u64 {
        let slot = read(&self.tables).get(&relation_id).cloned();
        let table = slot.and_then(|slot| slot.loaded.get().cloned());
        table.filter(|t| !t.temporary).map_or(0, |table| {
            let rows = read(&table.data).size_bytes() as u64;
            rows + table.vectors_bytes()
        })
    }
}

/// Opens the segments of a vector column whose vids below `high_water` count.
pub(crate) fn open_vectors(
    disk: Arc<dyn Disk>,
    relation_id: u32,
    column: u16,
    spec: ColumnSpec,
    high_water: u32,
) -> Result<Arc<VectorColumn>> {
    let options = VectorOptions::new(spec.row_words());
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
