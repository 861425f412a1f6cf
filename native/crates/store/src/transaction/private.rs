//! What a transaction has written to one table and nobody else sees.
//!
//! Rows are numbered in the order they were written; each has the command that wrote it and the command that replaced
//! or deleted it. A row is visible to command k when it was written before k and not ended before k, so a statement does
//! not see its own writes. Committed rows that the transaction changed are in `touched`, hidden from every command after
//! the first that touched them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use omen_disk::RowWords;
use omen_text::AnalyzedDocument;

use super::stream::{BLOCK_BYTES, VectorStream};
use crate::commit::room::Reserved;
use crate::error::Result;
use crate::key::set::SharedKeys;
use crate::key::{Entry, encode_key};
use crate::sync::write;
use crate::table::rows::Rows;
use crate::table::vectors::VectorColumn;
use crate::table::{Columns, Table, chunk_value, empty_rows};
use crate::types::IndexColumnSpec;
use crate::value::{PRIVATE_VECTOR, Value};

/// `ended` of a row nothing has ended.
pub const LIVE: u32 = u32::MAX;

/// Vectors of one column that have no vid yet, numbered as they came. Many of them go to files (`stream`), those with the
/// lowest numbers first.
#[derive(Default)]
pub struct PrivateVectors {
    /// Of those that are not in the stream.
    pub floats: Vec<f32>,
    /// Where each begins, where they are not all as long.
    starts: Vec<usize>,
    pub count: u32,
    pub stream: Option<VectorStream>,
    /// The numbers of those that live rows have, once they lie in the room of dead ones.
    pub reserved: Option<Reserved>,
}

impl PrivateVectors {
    /// Adds the vector that `floats` begin with (`check_columns` saw to it that there is one); returns its cell.
    pub fn push(&mut self, floats: &[f32], row_words: RowWords) -> u32 {
        let vector = row_words.first(floats).expect("rows were checked");
        if let RowWords::Counted { .. } = row_words {
            self.starts.push(self.floats.len());
        }
        self.floats.extend_from_slice(vector);
        self.count += 1;
        (self.count - 1) | PRIVATE_VECTOR
    }

    /// Vector `number`.
    pub fn vector(&self, number: u32, row_words: RowWords) -> &[f32] {
        let streamed = self.stream.as_ref().map_or(0, VectorStream::len);
        let dim = match (&self.stream, row_words) {
            (Some(stream), _) if number < streamed => return stream.vector(number),
            (_, RowWords::Fixed(dim)) => dim,
            (_, RowWords::Counted { .. }) => {
                let start = self.starts[number as usize];
                let next = self.starts.get(number as usize + 1);
                return &self.floats[start..next.copied().unwrap_or(self.floats.len())];
            }
        };
        &self.floats[(number - streamed) as usize * dim..][..dim]
    }

    /// Hands the vectors to a stream once they take more than `limit` bytes, and from then on by blocks. Vectors that differ
    /// in length stay in memory: they have no segments of their own that a column could adopt.
    pub fn spill(&mut self, column: &VectorColumn, limit: usize) {
        if let RowWords::Counted { .. } = column.segments.row_words() {
            return;
        }
        let bytes = self.floats.len() * size_of::<f32>();
        let stream = match &mut self.stream {
            Some(stream) if bytes > BLOCK_BYTES.min(limit) => stream,
            None if bytes > limit => match VectorStream::start(column.segments.begin_load()) {
                Some(stream) => self.stream.insert(stream),
                None => return,
            },
            _ => return,
        };
        stream.hand_over(&mut self.floats);
    }

    /// Ends the stream with the rest of the vectors: what it has is durable then.
    pub fn finish(&mut self) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        stream.hand_over(&mut self.floats);
        stream.finish()
    }
}

/// A committed row this transaction updated or deleted, or an own row it updated.
struct Touched {
    /// The first command that did; the committed version is hidden from later ones.
    first_command: u32,
    /// Own versions, oldest first.
    versions: Vec<u32>,
}

/// Where the newest version of a row is, from the transaction's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest {
    /// The transaction has not touched the row.
    Committed,
    Own(u32),
    Deleted,
}

pub struct PrivateTable {
    pub table: Arc<Table>,
    /// The relation's columns with those this transaction added.
    pub columns: Columns,
    chunks: Vec<Rows>,
    chunk_starts: Vec<u32>,
    pub rids: Vec<u32>,
    created: Vec<u32>,
    ended: Vec<u32>,
    /// Inserted rows: first rid of a run of consecutive rids -> (first row, length).
    runs: BTreeMap<u32, (u32, u32)>,
    touched: HashMap<u32, Touched>,
    pub vectors: Vec<PrivateVectors>,
    /// Vector columns that this transaction adds, by position.
    pub added: HashMap<usize, Arc<VectorColumn>>,
    /// Own entries of btree indexes, of all versions.
    pub keys: HashMap<u32, SharedKeys>,
    /// Own documents of bm25 indexes by row, tokenised when written; None where the text is NULL.
    pub documents: HashMap<u32, Vec<Option<AnalyzedDocument>>>,
}

impl PrivateTable {
    pub fn new(table: Arc<Table>) -> Self {
        let columns = table.columns();
        let vectors = columns.iter().map(|_| PrivateVectors::default()).collect();
        Self {
            table,
            columns,
            chunks: Vec::new(),
            chunk_starts: Vec::new(),
            rids: Vec::new(),
            created: Vec::new(),
            ended: Vec::new(),
            runs: BTreeMap::new(),
            touched: HashMap::new(),
            vectors,
            added: HashMap::new(),
            keys: HashMap::new(),
            documents: HashMap::new(),
        }
    }

    pub fn row_count(&self) -> u32 {
        self.rids.len() as u32
    }

    /// The own entries of an index.
    pub fn keys_of(&mut self, index_id: u32) -> &SharedKeys {
        self.keys.entry(index_id).or_default()
    }

    /// Notes the entry of a row that this transaction writes.
    pub fn add_key(&mut self, index_id: u32, entry: Entry) {
        write(self.keys_of(index_id)).insert(entry);
    }

    pub fn has_changes(&self) -> bool {
        !self.rids.is_empty() || !self.touched.is_empty()
    }

    pub fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Every row is an insert that stands as it was written.
    pub fn is_all_new(&self) -> bool {
        self.touched.is_empty() && self.ended.iter().all(|&command| command == LIVE)
    }

    fn locate(&self, row: u32) -> (&Rows, usize) {
        let chunk = self.chunk_starts.partition_point(|&start| start <= row) - 1;
        (&self.chunks[chunk], (row - self.chunk_starts[chunk]) as usize)
    }

    pub fn value(&self, row: u32, column: usize) -> Value<'_> {
        let (rows, position) = self.locate(row);
        chunk_value(rows, &self.columns, column, position)
    }

    pub fn key(&self, row: u32, columns: &[IndexColumnSpec], out: &mut Vec<u8>) -> Result<bool> {
        encode_key(columns, |column| self.value(row, column), out)
    }

    /// The vector behind a cell: an own one, or one of the column.
    pub fn private_vector(&self, column: usize, cell: u32) -> &[f32] {
        let row_words = self.columns[column].spec.row_words();
        self.vectors[column].vector(cell & !PRIVATE_VECTOR, row_words)
    }

    /// Row numbers in the chunk that holds `row`, and the chunk: for scans.
    pub fn chunk_of(&self, row: u32) -> (&Rows, usize, usize) {
        let (rows, position) = self.locate(row);
        (rows, position, rows.len() - position)
    }

    pub fn visible(&self, row: u32, command: u32) -> bool {
        self.created[row as usize] < command && self.ended[row as usize] >= command
    }

    pub fn is_live(&self, row: u32) -> bool {
        self.ended[row as usize] == LIVE
    }

    pub fn created_by(&self, row: u32) -> u32 {
        self.created[row as usize]
    }

    fn inserted_row(&self, rid: u32) -> Option<u32> {
        let (&first, &(row, len)) = self.runs.range(..=rid).next_back()?;
        (rid - first < len).then(|| row + (rid - first))
    }

    /// True for a row id given to an INSERT of this transaction.
    pub fn is_own(&self, rid: u32) -> bool {
        self.inserted_row(rid).is_some()
    }

    pub fn newest(&self, rid: u32) -> Newest {
        let row = match self.touched.get(&rid) {
            Some(touched) => match touched.versions.last() {
                Some(&row) => Some(row),
                None if touched.first_command != LIVE => return Newest::Deleted,
                None => self.inserted_row(rid),
            },
            None => self.inserted_row(rid),
        };
        match row {
            None => Newest::Committed,
            Some(row) if self.is_live(row) => Newest::Own(row),
            Some(_) => Newest::Deleted,
        }
    }

    /// The version of a row that a command sees.
    pub fn resolve(&self, rid: u32, command: u32) -> Newest {
        let touched = self.touched.get(&rid);
        let versions = touched.map_or(&[][..], |t| &t.versions);
        if let Some(&row) = versions.iter().rev().find(|&&row| self.visible(row, command)) {
            return Newest::Own(row);
        }
        match self.inserted_row(rid) {
            Some(row) if self.visible(row, command) => Newest::Own(row),
            Some(_) => Newest::Deleted,
            None if touched.is_some_and(|t| t.first_command < command) => Newest::Deleted,
            None => Newest::Committed,
        }
    }

    /// The chunk to append to, and how many rows it takes.
    pub fn open_chunk(&mut self) -> (&mut Rows, usize) {
        let width = self.columns.len();
        let start = self.row_count();
        // A chunk from before a column was added keeps its width; new rows need one with all columns.
        if self.chunks.last().is_none_or(|c| c.is_full() || c.columns.len() != width) {
            self.chunks.push(empty_rows(&self.columns));
            self.chunk_starts.push(start);
        }
        let chunk = self.chunks.last_mut().expect("a chunk was pushed");
        let room = crate::table::rows::CHUNK_ROWS - chunk.len();
        (chunk, room)
    }

    /// As `open_chunk`, with the vectors beside it.
    pub fn open_chunk_and_vectors(&mut self) -> (&mut Rows, usize, &mut Vec<PrivateVectors>) {
        self.open_chunk();
        let chunk = self.chunks.last_mut().expect("open_chunk leaves one");
        let room = crate::table::rows::CHUNK_ROWS - chunk.len();
        (chunk, room, &mut self.vectors)
    }

    /// Hands vectors over to files where a column has many (`PrivateVectors::spill`). Those of a column that this transaction
    /// adds stay: the table does not have it yet.
    pub fn spill_vectors(&mut self, limit: usize) {
        for (position, own) in self.vectors.iter_mut().enumerate().filter(|(_, v)| v.count > 0) {
            if let Some(column) = self.table.vectors(position) {
                own.spill(&column, limit);
            }
        }
    }

    /// Accounts for inserted rows just appended to the open chunk.
    pub fn note_inserted(&mut self, rids: &[u32], command: u32) {
        for &rid in rids {
            let row = self.row_count();
            match self.runs.range_mut(..=rid).next_back() {
                Some((&first, run)) if first + run.1 == rid && run.0 + run.1 == row => run.1 += 1,
                _ => {
                    self.runs.insert(rid, (row, 1));
                }
            }
            self.rids.push(rid);
            self.created.push(command);
            self.ended.push(LIVE);
        }
    }

    /// Accounts for a new version of a row just appended. True when the row was not touched before.
    pub fn note_version(&mut self, rid: u32, command: u32) -> bool {
        let row = self.row_count();
        let own = self.is_own(rid);
        self.rids.push(rid);
        self.created.push(command);
        self.ended.push(LIVE);
        let first = !self.touched.contains_key(&rid);
        let first_command = if own { LIVE } else { command };
        let touched =
            self.touched.entry(rid).or_insert(Touched { first_command, versions: Vec::new() });
        touched.versions.push(row);
        first
    }

    /// Ends an own row.
    pub fn end(&mut self, row: u32, command: u32) {
        self.ended[row as usize] = command;
    }

    pub fn revive(&mut self, row: u32) {
        self.ended[row as usize] = LIVE;
    }

    /// Hides a committed row: it is deleted. False when it was hidden already.
    pub fn hide(&mut self, rid: u32, command: u32) -> bool {
        let hidden = self.touched.contains_key(&rid);
        if !hidden {
            self.touched.insert(rid, Touched { first_command: command, versions: Vec::new() });
        }
        !hidden
    }

    pub fn unhide(&mut self, rid: u32) {
        self.touched.remove(&rid);
    }

    /// Takes back the newest version of a row; `first`: the row was untouched before it.
    pub fn drop_version(&mut self, rid: u32, first: bool) {
        if first {
            self.touched.remove(&rid);
        } else if let Some(touched) = self.touched.get_mut(&rid) {
            touched.versions.pop();
        }
    }

    /// Takes back the rows from `len` on, their keys and documents; the row ids of inserted ones are free again.
    pub fn truncate(
        &mut self,
        len: u32,
        indexes: &HashMap<u32, Vec<IndexColumnSpec>>,
    ) -> Result<()> {
        let mut key = Vec::new();
        let mut other = Vec::new();
        for (index_id, columns) in indexes {
            // Backward: what came last goes first, which is cheap.
            for row in (len..self.row_count()).rev() {
                self.key(row, columns, &mut key)?;
                let rid = self.rids[row as usize];
                let mut still = false;
                for earlier in self.versions_before(rid, len) {
                    self.key(earlier, columns, &mut other)?;
                    still |= other == key;
                }
                if !still && let Some(keys) = self.keys.get(index_id) {
                    write(keys).remove(&Entry::new(&key, rid));
                }
            }
        }
        let mut freed = Vec::new();
        while let Some((&first, &(row, count))) = self.runs.iter().find(|(_, (r, c))| r + c > len) {
            let keep = len.saturating_sub(row);
            freed.extend(first + keep..first + count);
            if keep == 0 {
                self.runs.remove(&first);
            } else {
                self.runs.insert(first, (row, keep));
            }
        }
        self.table.free_rids(freed);
        while self.chunk_starts.last().is_some_and(|&start| start >= len) {
            self.chunk_starts.pop();
            self.chunks.pop();
        }
        if let (Some(chunk), Some(&start)) = (self.chunks.last_mut(), self.chunk_starts.last()) {
            chunk.truncate((len - start) as usize);
        }
        self.rids.truncate(len as usize);
        self.created.truncate(len as usize);
        self.ended.truncate(len as usize);
        self.documents.values_mut().for_each(|d| d.truncate(len as usize));
        Ok(())
    }

    fn versions_before(&self, rid: u32, len: u32) -> Vec<u32> {
        let versions = self.touched.get(&rid).into_iter().flat_map(|t| t.versions.iter().copied());
        versions.chain(self.inserted_row(rid)).filter(|&row| row < len).collect()
    }

    /// Committed rows changed here, and own rows updated.
    pub fn touched_rids(&self) -> impl Iterator<Item = u32> {
        self.touched.keys().copied()
    }

    /// Row ids given to inserts of this transaction.
    pub fn own_rids(&self) -> impl Iterator<Item = u32> {
        self.runs.iter().flat_map(|(&first, &(_, len))| first..first + len)
    }

    /// Committed rows with a new version, and those without any: (replaced, deleted).
    pub fn committed_changes(&self) -> (Vec<u32>, Vec<u32>) {
        let (mut replaced, mut deleted) = (Vec::new(), Vec::new());
        for &rid in self.touched.keys() {
            if !self.is_own(rid) {
                match self.newest(rid) {
                    Newest::Own(_) => replaced.push(rid),
                    _ => deleted.push(rid),
                }
            }
        }
        // Hash order would make two runs of the same workload differ.
        replaced.sort_unstable();
        deleted.sort_unstable();
        (replaced, deleted)
    }

    /// Gives the chunks away, with the first row number of each.
    pub fn take_chunks(&mut self) -> Vec<(u32, Rows)> {
        std::mem::take(&mut self.chunk_starts)
            .into_iter()
            .zip(std::mem::take(&mut self.chunks))
            .collect()
    }
}
