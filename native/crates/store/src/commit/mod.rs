//! Commits: what a transaction hands over, its numbers, its redo, and its publication.
//!
//! ```text
//!   session thread   CommitRequest ---> queue
//!   its own thread   a bulk commit first writes its chunks into chunk files; a lone session's small one goes all the way
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
pub mod publish;
pub mod redo;

use std::sync::Arc;

use omen_text::AnalyzedDocument;

use crate::engine::Engine;
use crate::error::Result;
use crate::index::Index;
use crate::key::Entry;
use crate::session::{Channel, Session};
use crate::sync::lock;
use crate::table::buffer::Buffer;
use crate::table::chunk_file::Place;
use crate::table::rows::Rows;
use crate::table::vectors::VectorColumn;
use crate::table::{Columns, Table, chunk_value};
use crate::transaction::{CatalogWrite, CommitOutcome, Definition, PrivateVectors};
use crate::value::{PRIVATE_VECTOR, Value};

use redo::{Writer, tag};

/// Everything a transaction changes, complete: the transaction itself is not needed any more.
pub struct CommitRequest {
    pub session: Arc<Session>,
    pub channel: Arc<Channel>,
    pub token: Option<u32>,
    /// May be acknowledged before it is durable.
    pub asynchronous: bool,
    pub outcome: Arc<CommitOutcome>,
    pub locks: Vec<(crate::lock::LockTag, u8)>,
    /// SERIALIZABLE: has passed its last check.
    pub serializable: Option<Arc<crate::serializable::Handle>>,
    pub tables: Vec<TableChange>,
    pub definitions: Vec<Definition>,
    pub catalog: Vec<(String, CatalogWrite)>,
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

struct NumberedVectors {
    column: u16,
    first_vid: u32,
    /// The numbers had other vectors before.
    given_again: bool,
    floats: Vec<f32>,
    owners: Vec<u32>,
    /// Synced in their segments already: the log need not carry them.
    synced: bool,
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
            file: None,
        }
    }

    /// Gives the change's new vectors their vids, in row order. Runs of consecutive ones belong together.
    fn number_vectors(&mut self, vectors_of: impl Fn(usize) -> Option<Arc<VectorColumn>>) {
        for (position, own) in self.vectors.iter_mut().enumerate() {
            if own.count == 0 {
                continue;
            }
            let column = vectors_of(position).expect("a vector column has segments");
            let own = std::mem::take(own);
            let dim = own.floats.len() / own.count as usize;
            let is_new = |null: Option<&u8>, cell: u32| {
                null.is_none_or(|&null| null == 0) && cell & PRIVATE_VECTOR != 0
            };
            // Where the new vectors stand, to know how many.
            let mut places = Vec::new();
            for (number, chunk) in self.chunks.iter_mut().enumerate() {
                let live: Vec<usize> = chunk.live_positions().collect();
                let Some(stored) = chunk.rows.columns.get_mut(position) else { continue };
                let Some((nulls, cells)) = stored.vector_cells_mut() else { continue };
                let new = live.into_iter().filter(|&at| is_new(nulls.get(at), cells[at]));
                places.extend(new.map(|at| (number, at)));
            }
            let (given_again, fresh) = column.take_numbers(places.len());
            assert!(fresh.end < PRIVATE_VECTOR, "a column numbers fewer than 2^31 vectors");
            let (mut order, mut owners) = (Vec::new(), Vec::with_capacity(places.len()));
            let vids = given_again.iter().copied().chain(fresh.clone());
            for (vid, (number, at)) in vids.zip(places) {
                let ChunkChange { rows, rids, .. } = &mut self.chunks[number];
                let (_, cells) =
                    rows.columns[position].vector_cells_mut().expect("found among vector cells");
                order.push(cells[at] & !PRIVATE_VECTOR);
                cells[at] = vid;
                owners.push(rids[at]);
            }
            let mut floats = arranged(own.floats, dim, &order);
            let column = position as u16;
            let fresh_floats = if given_again.is_empty() {
                std::mem::take(&mut floats)
            } else {
                floats.split_off(given_again.len() * dim)
            };
            let fresh_owners = owners.split_off(given_again.len());
            let mut at = 0;
            for run in given_again.chunk_by(|a, b| a + 1 == *b) {
                let part = at..at + run.len();
                self.numbered.push(NumberedVectors {
                    column,
                    first_vid: run[0],
                    given_again: true,
                    floats: floats[part.start * dim..part.end * dim].to_vec(),
                    owners: owners[part.clone()].to_vec(),
                    synced: false,
                });
                at = part.end;
            }
            if !fresh.is_empty() {
                self.numbered.push(NumberedVectors {
                    column,
                    first_vid: fresh.start,
                    given_again: false,
                    floats: fresh_floats,
                    owners: fresh_owners,
                    synced: false,
                });
            }
        }
    }

    /// Writes the numbered vectors to their segments, still invisible. Before the log, so that a full disk is this commit's
    /// error; vids of a commit that fails afterwards are nobody's for good.
    fn store_vectors(&self, vectors_of: impl Fn(usize) -> Option<Arc<VectorColumn>>) -> Result<()> {
        for vectors in &self.numbered {
            let column = vectors_of(vectors.column as usize).expect("a vector column has segments");
            column.append(vectors.first_vid, &vectors.floats)?;
        }
        Ok(())
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
            out.u8(tag::VECTORS);
            out.u32(relation);
            out.u16(vectors.column);
            out.u32(self.columns[vectors.column as usize].spec.dim);
            out.u32(vectors.first_vid);
            out.u32(vectors.owners.len() as u32);
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

/// The vectors at the numbers of `order`. A load's lie as they came, and stay where they are.
fn arranged(floats: Vec<f32>, dim: usize, order: &[u32]) -> Vec<f32> {
    if order.len() * dim == floats.len() && order.iter().zip(0..).all(|(&number, at)| number == at)
    {
        return floats;
    }
    let mut arranged = Vec::with_capacity(order.len() * dim);
    for &number in order {
        arranged.extend_from_slice(&floats[number as usize * dim..][..dim]);
    }
    arranged
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

    /// Numbers and stores the vectors of all its tables. Under the sequencer. An error means the commit cannot be.
    pub fn place_vectors(&mut self) -> Result<()> {
        for change in &mut self.tables {
            let (table, definitions) = (Arc::clone(&change.table), &self.definitions);
            let vectors_of = |column: usize| {
                let added = || publish::added_vectors(definitions, table.relation_id, column);
                table.vectors(column).or_else(added)
            };
            change.number_vectors(vectors_of);
            change.store_vectors(vectors_of)?;
        }
        Ok(())
    }

    /// The redo of rows and vectors of tables that are not temporary.
    pub fn encode_rows(&self, out: &mut Writer) {
        for change in self.tables.iter().filter(|t| !t.table.temporary) {
            change.encode(out);
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
