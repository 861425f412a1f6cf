//! Commits: what a transaction hands over, its numbers, its redo, and its publication.
//!
//! ```text
//!   session thread   CommitRequest ---> queue
//!   its own thread   a bulk commit first writes its chunks into chunk files, syncs its vectors and puts them where dead ones have left
//!                    room; a lone session's small one goes all the way
//!   committer        take the queue -> commit numbers, vids -> redo -> one log group (one write, one sync)
//!                    -> publish each in order -> visible = its number -> release locks, deliver token
//!   applier          redo -> KV, off the commit path; checkpoints
//! ```
//!
//! A snapshot never sees a commit that is not durable: `visible` moves only after the group's sync. The exception is
//! `synchronous_commit = off` (`durable::deferred`). Without a log
//! (in-memory databases) the same steps run in the caller's thread. A panic between numbering and the end of publishing
//! ends the process: shared structures may be half changed, and the log says what is true.

pub mod bulk;
pub mod news;
pub mod publish;
pub mod redo;
pub mod room;
mod vectors;

use std::ops::Range;
use std::sync::Arc;

use omen_disk::RowWords;
use omen_text::AnalyzedDocument;

use crate::engine::Engine;
use crate::index::Index;
use crate::key::Entry;
use crate::reclaim::AwaitedRound;
use crate::session::{Channel, Session};
use crate::sync::{lock, read};
use crate::table::buffer::Buffer;
use crate::table::chunk_file::Place;
use crate::table::rows::Rows;
use crate::table::{Columns, Table, chunk_value};
use crate::transaction::{
    CatalogWrite, CommitOutcome, Definition, PrivateVectors, take_back_definitions,
};
use crate::types::StorageKind;
use crate::value::Value;

use redo::{Writer, tag};
use vectors::NumberedVectors;

/// Tells a client that its commit stands: called once the commit is durable and visible and its locks are given back, before
/// the session's thread hears of it. Not called for a commit that fails. From any thread, under no lock; must neither
/// block nor ask the engine for anything.
pub type Acknowledgement = Box<dyn FnOnce() + Send>;

/// Everything a transaction changes, complete: the transaction itself is not needed any more.
pub struct CommitRequest {
    pub session: Arc<Session>,
    pub channel: Arc<Channel>,
    pub token: Option<u32>,
    /// May be acknowledged before it is durable.
    pub asynchronous: bool,
    pub outcome: Arc<CommitOutcome>,
    pub acknowledgement: Option<Acknowledgement>,
    pub locks: Vec<(crate::lock::LockTag, u8)>,
    /// SERIALIZABLE: has passed its last check.
    pub serializable: Option<Arc<crate::serializable::Handle>>,
    pub tables: Vec<TableChange>,
    pub definitions: Vec<Definition>,
    pub catalog: Vec<(String, CatalogWrite)>,
    /// The one round it waits for, or has waited for (`reclaim`).
    pub round: Option<AwaitedRound>,
}

/// The rows a transaction changed in one table.
pub struct TableChange {
    pub table: Arc<Table>,
    /// With columns the transaction adds.
    pub columns: Columns,
    pub chunks: Vec<ChunkChange>,
    /// Committed rows with a new version in `chunks`, ascending.
    pub replaced: Vec<u32>,
    /// Committed rows that go.
    pub deleted: Vec<u32>,
    /// Row ids of inserts that did not survive their own transaction.
    pub unused_rids: Vec<u32>,
    pub vectors: Vec<PrivateVectors>,
    pub keys: Vec<KeyChange>,
    pub documents: Vec<DocumentChange>,
    numbered: Vec<NumberedVectors>,
    /// Vids that nobody got, by column.
    passed_over: Vec<(u16, Range<u32>)>,
    /// Number and length of the chunk file written for it.
    file: Option<(u32, u64)>,
}

pub struct ChunkChange {
    pub rows: Rows,
    pub rids: Buffer<u32>,
    /// Positions that are committed; None = all.
    pub live: Option<Vec<u32>>,
    /// Every row is an insert: a full chunk can be shared as it is.
    pub all_new: bool,
    /// Where it lies in a chunk file already: the log names that instead of the rows.
    pub place: Option<Place>,
}

/// Entries for one btree index, of new rows and of replaced ones.
pub struct KeyChange {
    pub index: Arc<Index>,
    pub new: Vec<Entry>,
    pub replaced: Vec<Entry>,
}

/// Documents for one bm25 index, by row.
pub struct DocumentChange {
    pub index: Arc<Index>,
    pub added: Vec<(u32, AnalyzedDocument)>,
    pub removed: Vec<(u32, AnalyzedDocument)>,
}

impl ChunkChange {
    pub fn live_positions(&self) -> impl Iterator<Item = usize> + '_ {
        let count = self.live.as_ref().map_or(self.rows.len(), Vec::len);
        (0..count).map(|i| self.live.as_ref().map_or(i, |l| l[i] as usize))
    }
}

impl TableChange {
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one change, each named by its field"
    )]
    pub fn new(
        table: Arc<Table>,
        columns: Columns,
        chunks: Vec<ChunkChange>,
        replaced: Vec<u32>,
        deleted: Vec<u32>,
        unused_rids: Vec<u32>,
        vectors: Vec<PrivateVectors>,
        keys: Vec<KeyChange>,
        documents: Vec<DocumentChange>,
    ) -> Self {
        let numbered = Vec::new();
        Self {
            table,
            columns,
            chunks,
            replaced,
            deleted,
            unused_rids,
            vectors,
            keys,
            documents,
            numbered,
            passed_over: Vec::new(),
            file: None,
        }
    }

    fn encode(&self, out: &mut Writer) {
        let relation = self.table.relation_id;
        for vectors in &self.numbered {
            if vectors.synced {
                out.u8(tag::STORED_VECTORS);
                out.u32(relation);
                out.u16(vectors.column);
                out.u32(vectors.first_vid);
                out.u32(vectors.owners.len() as u32);
                continue;
            }
            let row_words = self.columns[vectors.column as usize].spec.row_words();
            let is_fixed = matches!(row_words, RowWords::Fixed(_));
            out.u8(if is_fixed { tag::VECTORS } else { tag::COUNTED_VECTORS });
            out.u32(relation);
            out.u16(vectors.column);
            if is_fixed {
                out.u32(row_words.most() as u32);
            }
            out.u32(vectors.first_vid);
            out.u32(vectors.owners.len() as u32);
            if !is_fixed {
                out.u32(vectors.floats.len() as u32);
            }
            vectors.floats.iter().for_each(|&f| out.f32(f));
        }
        let placed = self.chunks.iter().filter_map(|chunk| chunk.place.zip(Some(chunk)));
        for (place, chunk) in placed {
            out.u8(tag::CHUNK);
            out.u32(relation);
            out.place(place);
            out.u32(chunk.rows.len() as u32);
        }
        if self.chunks.iter().any(|chunk| chunk.place.is_none()) {
            out.u8(tag::ROWS);
            out.u32(relation);
            let count = out.reserve();
            let mut rows = 0;
            for chunk in self.chunks.iter().filter(|chunk| chunk.place.is_none()) {
                for position in chunk.live_positions() {
                    out.u32(chunk.rids[position]);
                    let value = |column| self.value(chunk, column, position);
                    out.image(self.columns.len(), value);
                    rows += 1;
                }
            }
            out.patch(count, rows);
        }
        if !self.deleted.is_empty() {
            out.u8(tag::DELETES);
            out.u32(relation);
            out.u32(self.deleted.len() as u32);
            self.deleted.iter().for_each(|&rid| out.u32(rid));
        }
    }

    fn value<'a>(&'a self, chunk: &'a ChunkChange, column: usize, position: usize) -> Value<'a> {
        chunk_value(&chunk.rows, &self.columns, column, position)
    }
}

impl CommitRequest {
    /// True when something of it has to be in the log.
    pub fn is_durable(&self) -> bool {
        let definition = |d: &Definition| match d {
            Definition::CreateRelation(table) => !table.temporary,
            Definition::CreateSequence(spec) => !spec.temporary,
            Definition::DropRelation(id) => !self.session.engine.is_temporary(*id),
            _ => true,
        };
        self.tables.iter().any(|t| !t.table.temporary)
            || self.definitions.iter().any(definition)
            || self.catalog.iter().any(|(_, write)| !write.temporary)
    }

    /// The commit failed: its definitions and row ids are nobody's again.
    pub fn take_back(&self, engine: &Engine) {
        take_back_definitions(engine, &self.definitions);
        for change in &self.tables {
            let is_own = |rid: &u32| change.replaced.binary_search(rid).is_err();
            let written = change
                .chunks
                .iter()
                .flat_map(|chunk| chunk.live_positions().map(|position| chunk.rids[position]));
            let unused = change.unused_rids.iter().copied();
            change.table.free_rids(written.filter(is_own).chain(unused));
        }
    }

    /// The redo of rows and vectors of tables that are not temporary.
    pub fn encode_rows(&self, out: &mut Writer) {
        for change in self.tables.iter().filter(|t| !t.table.temporary) {
            change.encode(out);
        }
    }

    /// The redo of values that rows of the commit `as_of` or older got beside their versions. Between those of the definitions
    /// and of the rows.
    pub fn encode_backfills(&self, out: &mut Writer, as_of: u64) {
        for definition in &self.definitions {
            if let Definition::AddColumn {
                table, position, column, vectors, is_filled: true, ..
            } = definition
                && !table.temporary
            {
                if let Some(vectors) = vectors {
                    out.u8(tag::STORED_VECTORS);
                    out.u32(table.relation_id);
                    out.u16(*position);
                    out.u32(0);
                    out.u32(vectors.filled());
                }
                encode_backfill(table, *position, column.spec.kind, as_of, out);
            }
        }
    }

    /// The redo of definitions and catalogue entries that are not temporary. It stands before that of the rows.
    pub fn encode_definitions(&self, out: &mut Writer, engine: &Engine) {
        for definition in &self.definitions {
            encode_definition(definition, out, engine);
        }
        for (key, write) in self.catalog.iter().filter(|(_, w)| !w.temporary) {
            if let Some(value) = &write.value {
                out.u8(tag::CATALOG_PUT);
                out.string(key.as_bytes());
                out.string(value.as_bytes());
            } else {
                out.u8(tag::CATALOG_DROP);
                out.string(key.as_bytes());
            }
        }
    }
}

fn encode_backfill(table: &Table, column: u16, kind: StorageKind, as_of: u64, out: &mut Writer) {
    out.u8(tag::BACKFILL);
    out.u32(table.relation_id);
    out.u16(column);
    out.kind(kind);
    out.u64(as_of);
    let count = out.reserve();
    let mut rows = 0;
    let column = column as usize;
    let data = read(&table.data);
    for chunk in data.chunks.iter().filter(|chunk| chunk.rows.columns.len() > column) {
        // On the heap: no checkpoint has written the column yet.
        for position in (0..chunk.len()).filter(|&position| chunk.xmax(position) == 0) {
            match chunk.rows.value(column, position) {
                Value::Null => {}
                value => {
                    out.u32(chunk.rids[position]);
                    out.value(value);
                    rows += 1;
                }
            }
        }
    }
    out.patch(count, rows);
}

fn encode_definition(definition: &Definition, out: &mut Writer, engine: &Engine) {
    match definition {
        Definition::CreateRelation(table) if !table.temporary => {
            out.u8(tag::CREATE_RELATION);
            out.u32(table.relation_id);
            out.columns(&table.columns());
        }
        Definition::DropRelation(id) if !engine.is_temporary(*id) => {
            out.u8(tag::DROP_RELATION);
            out.u32(*id);
        }
        Definition::AddColumn { relation, position, column, .. }
            if !engine.is_temporary(*relation) =>
        {
            out.u8(tag::ADD_COLUMN);
            out.u32(*relation);
            out.u16(*position);
            out.column(column);
        }
        Definition::CreateIndex(index) if !engine.is_temporary(index.spec.relation_id) => {
            out.u8(tag::CREATE_INDEX);
            out.index(&index.spec);
        }
        Definition::DropIndex(id) => {
            out.u8(tag::DROP_INDEX);
            out.u32(*id);
        }
        Definition::CreateSequence(spec) if !spec.temporary => {
            out.u8(tag::CREATE_SEQUENCE);
            out.sequence(spec);
            if let Some(sequence) = lock(&engine.sequences).get(&spec.sequence_id) {
                out.u8(tag::SEQUENCE_STATE);
                out.u32(spec.sequence_id);
                out.sequence_state(sequence.reserved());
            }
        }
        Definition::DropSequence(id) => {
            out.u8(tag::DROP_SEQUENCE);
            out.u32(*id);
        }
        // Temporary: the log never hears of them.
        Definition::CreateRelation(_)
        | Definition::DropRelation(_)
        | Definition::AddColumn { .. }
        | Definition::CreateIndex(_)
        | Definition::CreateSequence(_) => {}
    }
}
