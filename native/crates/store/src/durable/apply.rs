//! Definitions into the KV: the latest committed state, by key. Rows are not there, see `manifest`.
//!
//! ```text
//!   t relation            columns                     f relation             manifest of its chunks
//!   x index               index definition            l relation             rows of its open tail
//!   q sequence            definition, state           o                      first object id not given out
//!   m key                 catalogue text              k                      checkpoint: replay starts above it
//!   c                     commit applied last         s                      salt of the log
//! ```
//!
//! Numbers in keys are big-endian u32, in values little-endian. One batch per commit, its number in it; a checkpoint is
//! one batch with all its manifests.

use std::collections::HashMap;
use std::sync::Arc;

use omen_disk::{Kv, KvBatch, KvRange};

use crate::commit::redo::{Operation, Reader, Writer, decode};
use crate::error::{Result, StoreError};
use crate::sequence::Sequence;
use crate::table::ColumnInfo;
use crate::types::{SequenceSpec, SequenceState};

pub const KEY_COMMIT: &[u8] = b"c";
pub const KEY_CHECKPOINT: &[u8] = b"k";
pub const KEY_OBJECT_IDS: &[u8] = b"o";
pub const KEY_SALT: &[u8] = b"s";

pub fn key(kind: u8, id: u32) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend(id.to_be_bytes());
    key
}

pub fn catalog_key(name: &str) -> Vec<u8> {
    let mut key = vec![b'm'];
    key.extend_from_slice(name.as_bytes());
    key
}

/// The u32 behind the prefix of a key.
pub fn key_id(key: &[u8], at: usize) -> Result<u32> {
    let bytes = key.get(at..at + 4).and_then(|b| b.try_into().ok());
    Ok(u32::from_be_bytes(bytes.ok_or_else(|| StoreError::corrupt("a stored key is too short"))?))
}

pub fn get_u64(kv: &dyn Kv, key: &[u8]) -> Result<Option<u64>> {
    kv.get(key)?.map(|v| Reader::new(&v).u64()).transpose()
}

pub fn get_u32(kv: &dyn Kv, key: &[u8]) -> Result<Option<u32>> {
    kv.get(key)?.map(|v| Reader::new(&v).u32()).transpose()
}

pub fn encode_sequence(spec: &SequenceSpec, state: SequenceState) -> Vec<u8> {
    let mut out = Writer::default();
    out.sequence(spec);
    out.sequence_state(state);
    out.bytes
}

/// Applies redo to a KV, remembering the definitions it changes.
pub struct Applier {
    kv: Arc<dyn Kv>,
    columns: HashMap<u32, Vec<ColumnInfo>>,
    sequences: HashMap<u32, SequenceSpec>,
    /// Relations dropped since the last checkpoint, whose vector files can go after it.
    pub dropped: Vec<u32>,
}

impl Applier {
    pub fn new(kv: Arc<dyn Kv>) -> Self {
        Self { kv, columns: HashMap::new(), sequences: HashMap::new(), dropped: Vec::new() }
    }

    /// Applies the definitions of one commit; what it says about rows is passed over.
    pub fn apply(&mut self, commit: u64, redo: &[u8]) -> Result<()> {
        let mut batch = KvBatch::new();
        decode(redo, |operation| self.operation(operation, &mut batch))?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut number = Writer::default();
        number.u64(commit);
        batch.put(KEY_COMMIT, number.bytes);
        self.kv.apply(batch)?;
        Ok(())
    }

    fn operation(&mut self, operation: Operation<'_>, batch: &mut KvBatch) -> Result<()> {
        match operation {
            Operation::Rows { .. }
            | Operation::Deletes { .. }
            | Operation::Vectors { .. }
            | Operation::Chunk { .. }
            | Operation::StoredVectors { .. }
            | Operation::Backfill { .. } => {}
            Operation::CreateRelation { relation, columns } => {
                self.put_columns(batch, relation, columns);
            }
            Operation::AddColumn { relation, position, column } => {
                let mut columns = match self.columns.remove(&relation) {
                    Some(columns) => columns,
                    None => self.stored_columns(relation)?,
                };
                // Replayed over a store that has the column already, it takes its own place.
                columns.truncate(position as usize);
                columns.push(column);
                self.put_columns(batch, relation, columns);
            }
            Operation::DropRelation(relation) => self.drop_relation(relation, batch)?,
            Operation::CreateIndex(spec) => {
                let mut out = Writer::default();
                out.index(&spec);
                batch.put(key(b'x', spec.index_id), out.bytes);
            }
            Operation::DropIndex(index) => batch.delete(key(b'x', index)),
            Operation::CreateSequence(spec) => {
                let state = Sequence::initial(spec).state;
                batch.put(key(b'q', spec.sequence_id), encode_sequence(&spec, state));
                self.sequences.insert(spec.sequence_id, spec);
            }
            Operation::DropSequence(sequence) => {
                self.sequences.remove(&sequence);
                batch.delete(key(b'q', sequence));
            }
            Operation::SequenceState { sequence, state } => {
                let spec = match self.sequences.get(&sequence) {
                    Some(spec) => Some(*spec),
                    None => self
                        .kv
                        .get(&key(b'q', sequence))?
                        .map(|v| Reader::new(&v).sequence())
                        .transpose()?,
                };
                // A reservation made before the sequence's own commit failed, or after its drop, is for nobody.
                if let Some(spec) = spec {
                    batch.put(key(b'q', sequence), encode_sequence(&spec, state));
                }
            }
            Operation::CatalogPut { key, value } => batch.put(catalog_key(key), value.as_bytes()),
            Operation::CatalogDrop(key) => batch.delete(catalog_key(key)),
            Operation::ObjectIds(next) => batch.put(KEY_OBJECT_IDS, next.to_le_bytes().to_vec()),
        }
        Ok(())
    }

    fn put_columns(&mut self, batch: &mut KvBatch, relation: u32, columns: Vec<ColumnInfo>) {
        let mut out = Writer::default();
        out.columns(&columns);
        batch.put(key(b't', relation), out.bytes);
        self.columns.insert(relation, columns);
    }

    fn stored_columns(&self, relation: u32) -> Result<Vec<ColumnInfo>> {
        let stored = self.kv.get(&key(b't', relation))?;
        let stored = stored
            .ok_or_else(|| StoreError::corrupt("a column added to a relation nobody created"))?;
        Reader::new(&stored).columns()
    }

    fn drop_relation(&mut self, relation: u32, batch: &mut KvBatch) -> Result<()> {
        self.columns.remove(&relation);
        self.dropped.push(relation);
        for kind in [b't', b'f', b'l'] {
            batch.delete(key(kind, relation));
        }
        for entry in self.kv.scan(KvRange::prefix(b"x")) {
            let (index, spec) = entry?;
            if Reader::new(&spec).index()?.relation_id == relation {
                batch.delete(index);
            }
        }
        Ok(())
    }
}
