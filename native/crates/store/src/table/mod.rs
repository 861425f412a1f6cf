//! A table: its columns, its committed versions, its vectors and its indexes.
//!
//! `data` is the only lock of the row path. Readers hold it for one batch, the publishing commit for its own rows; the
//! sealed chunks inside are read without it. Indexes are only touched with `data` held (read to look up, write to
//! change the entries of rows that exist), so that an index entry and the versions behind it are seen together.

pub mod backfill;
pub mod buffer;
pub mod chunk;
pub mod chunk_file;
pub mod data;
pub mod entries;
pub mod form;
pub mod numbers;
pub mod rows;
pub mod upkeep;
pub mod vectors;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use crate::error::Result;
use crate::index::Index;
use crate::sync::protocol::{OpenScans, Queued};
use crate::sync::{lock, read, write};
use crate::types::ColumnSpec;
use crate::value::{OwnedValue, Value};

use chunk::Chunk;
use data::{Slot, TableData};
use rows::Rows;
use upkeep::Upkeep;
use vectors::VectorColumn;

/// A column and what rows older than it read.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnInfo {
    pub spec: ColumnSpec,
    pub initial: OwnedValue,
}

pub type Columns = Arc<Vec<ColumnInfo>>;

pub struct Table {
    pub relation_id: u32,
    pub temporary: bool,
    pub data: RwLock<TableData>,
    columns: RwLock<Columns>,
    vectors: RwLock<Vec<Option<Arc<VectorColumn>>>>,
    indexes: RwLock<Arc<Vec<Arc<Index>>>>,
    rids: Mutex<RidAllocator>,
    /// Scans that walk the chunks by number: while there are any, no chunk is rewritten.
    pub open_scans: OpenScans,
    /// A collection is queued or running.
    pub collecting: Queued,
    pub upkeep: Upkeep,
    /// The last commit that changed rows.
    pub changed_at: AtomicU64,
    pub stored: Mutex<StoredTable>,
}

/// What of a table lies in files. Kept by loading, by the checkpointer and by bulk commits.
#[derive(Default)]
pub struct StoredTable {
    /// Commit of the newest manifest that is durable.
    pub manifest: Option<u64>,
    /// Chunk files by number.
    pub files: BTreeMap<u32, StoredFile>,
    next_file: u32,
}

#[derive(Debug, Clone, Copy)]
pub struct StoredFile {
    /// The commit it came with; the log may name the file until a manifest has that commit.
    pub born: u64,
    pub length: u64,
}

impl StoredTable {
    /// A number no file of the relation has had since it was loaded.
    pub fn take_file_number(&mut self) -> u32 {
        self.next_file += 1;
        self.next_file
    }

    pub fn add_file(&mut self, number: u32, file: StoredFile) {
        self.next_file = self.next_file.max(number);
        self.files.insert(number, file);
    }
}

#[derive(Default)]
struct RidAllocator {
    next: u32,
    free: Vec<u32>,
}

pub fn empty_rows(columns: &[ColumnInfo]) -> Rows {
    Rows::new(columns.iter().map(|c| c.spec.kind))
}

impl Table {
    pub fn new(
        relation_id: u32,
        temporary: bool,
        columns: Vec<ColumnInfo>,
        vectors: Vec<Option<Arc<VectorColumn>>>,
    ) -> Self {
        Self {
            relation_id,
            temporary,
            data: RwLock::new(TableData::new(empty_rows(&columns))),
            columns: RwLock::new(Arc::new(columns)),
            vectors: RwLock::new(vectors),
            indexes: RwLock::new(Arc::new(Vec::new())),
            rids: Mutex::new(RidAllocator::default()),
            open_scans: OpenScans::default(),
            collecting: Queued::default(),
            upkeep: Upkeep::default(),
            changed_at: AtomicU64::new(0),
            stored: Mutex::default(),
        }
    }

    pub fn columns(&self) -> Columns {
        Arc::clone(&read(&self.columns))
    }

    /// Columns of the relation.
    pub fn width(&self) -> usize {
        read(&self.columns).len()
    }

    /// Publishes an added column: chunks from now on have it, older ones read its initial value.
    pub fn add_column(&self, column: ColumnInfo, vectors: Option<Arc<VectorColumn>>) {
        let mut data = write(&self.data);
        let mut columns = Vec::clone(&read(&self.columns));
        columns.push(column);
        data.seal_tail(empty_rows(&columns));
        write(&self.vectors).push(vectors);
        *write(&self.columns) = Arc::new(columns);
    }

    pub fn vectors(&self, column: usize) -> Option<Arc<VectorColumn>> {
        read(&self.vectors).get(column).cloned().flatten()
    }

    pub fn vector_columns(&self) -> Vec<(u16, Arc<VectorColumn>)> {
        let vectors = read(&self.vectors);
        let some =
            |(i, v): (usize, &Option<Arc<VectorColumn>>)| Some((i as u16, Arc::clone(v.as_ref()?)));
        vectors.iter().enumerate().filter_map(some).collect()
    }

    /// Bytes of all vectors numbered so far.
    pub fn vectors_bytes(&self) -> u64 {
        self.vector_columns().iter().map(|(_, v)| v.size_bytes()).sum()
    }

    pub fn indexes(&self) -> Arc<Vec<Arc<Index>>> {
        Arc::clone(&read(&self.indexes))
    }

    pub fn attach_index(&self, index: &Arc<Index>) {
        let mut indexes = write(&self.indexes);
        let mut all = Vec::clone(&indexes);
        // In the order in which they were made: of two keys in the way the first is reported.
        let at = all.partition_point(|other| other.spec.index_id < index.spec.index_id);
        all.insert(at, Arc::clone(index));
        *indexes = Arc::new(all);
        drop(indexes);
        if let Some(hnsw) = index.hnsw() {
            hnsw.attached();
        }
    }

    pub fn detach_index(&self, index_id: u32) {
        let mut indexes = write(&self.indexes);
        let rest = indexes.iter().filter(|i| i.spec.index_id != index_id).cloned().collect();
        *indexes = Arc::new(rest);
    }

    /// Fresh row ids; those of dropped rows first.
    pub fn allocate_rids(&self, out: &mut [u32]) -> Result<()> {
        let mut rids = lock(&self.rids);
        for rid in out {
            *rid = match rids.free.pop() {
                Some(free) => free,
                None if rids.next == u32::MAX => {
                    return Err(crate::error::StoreError::new(
                        crate::error::sqlstate::PROGRAM_LIMIT_EXCEEDED,
                        "relation is full",
                    )
                    .relation(self.relation_id));
                }
                None => {
                    rids.next += 1;
                    rids.next - 1
                }
            };
        }
        Ok(())
    }

    /// Row ids nobody can see any more.
    pub fn free_rids(&self, freed: impl IntoIterator<Item = u32>) {
        lock(&self.rids).free.extend(freed);
    }

    pub fn rid_limit(&self) -> u32 {
        lock(&self.rids).next
    }

    /// After a load: row ids go on at `next`, the gaps below it are free.
    pub fn restore_rids(&self, next: u32, free: Vec<u32>) {
        *lock(&self.rids) = RidAllocator { next, free };
    }

    pub fn scan_begins(self: &Arc<Self>) -> OpenScan {
        self.open_scans.begin();
        OpenScan(Arc::clone(self))
    }
}

/// Keeps the chunk numbers of a table still.
pub struct OpenScan(pub Arc<Table>);

impl Drop for OpenScan {
    fn drop(&mut self) {
        self.0.open_scans.end();
    }
}

/// The value of a column in a chunk, which may be older than the column. `rows` is private or was checked.
pub fn chunk_value<'a>(
    rows: &'a Rows,
    columns: &'a [ColumnInfo],
    column: usize,
    row: usize,
) -> Value<'a> {
    if column < rows.columns.len() {
        rows.value(column, row)
    } else {
        columns[column].initial.as_value()
    }
}

/// The value of a column at a slot. XX001 when the chunk lies damaged in its file.
pub fn slot_value<'a>(
    data: &'a TableData,
    columns: &'a [ColumnInfo],
    column: usize,
    slot: Slot,
) -> Result<Value<'a>> {
    let chunk: &Chunk = data.chunk(slot.chunk());
    chunk.rows.check(column)?;
    Ok(chunk_value(&chunk.rows, columns, column, slot.position()))
}
