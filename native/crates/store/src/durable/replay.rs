//! The log above the checkpoint, applied to one table when it is loaded.
//!
//! Opening reads the log once: definitions go into the KV at once, changes of rows are kept by relation (`Pending`).
//! Loading a table takes its records in commit order and does with them what publishing the commits did: the newest
//! version ends, the new one is appended, vectors go to their slots, texts enter and leave the bm25 indexes that came
//! from a file. Nobody sees the table yet and every replayed commit is visible to all, so ended versions are
//! forgotten at once. Indexes without a file are derived from the rows afterwards.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use omen_disk::{Disk, RowWords};
use omen_text::AnalyzedDocument;

use crate::commit::redo::{Operation, Reader, decode};
use crate::error::{Result, StoreError};
use crate::index::bm25::Bm25Index;
use crate::sync::lock;
use crate::table::chunk::Chunk;
use crate::table::chunk_file::{ChunkFile, Place};
use crate::table::data::{Ghost, TableData};
use crate::table::{ColumnInfo, StoredFile, Table, chunk_value, empty_rows, slot_value};
use crate::types::IndexSpec;
use crate::value::Value;

/// One commit's redo.
#[derive(Clone)]
pub struct Record {
    pub commit: u64,
    pub redo: Arc<[u8]>,
}

/// Records with changes of rows, by relation, in commit order.
pub type Pending = HashMap<u32, Vec<Record>>;

/// Notes a redo with every relation whose rows it changes.
pub fn note(pending: &mut Pending, commit: u64, redo: &[u8]) -> Result<()> {
    let mut relations = Vec::new();
    decode(redo, |operation| {
        if let Operation::Rows { relation, .. }
        | Operation::Deletes { relation, .. }
        | Operation::Vectors { relation, .. }
        | Operation::Chunk { relation, .. }
        | Operation::StoredVectors { relation, .. }
        | Operation::Backfill { relation, .. } = operation
            && !relations.contains(&relation)
        {
            relations.push(relation);
        }
        Ok(())
    })?;
    if !relations.is_empty() {
        let redo: Arc<[u8]> = redo.into();
        for relation in relations {
            let record = Record { commit, redo: Arc::clone(&redo) };
            pending.entry(relation).or_default().push(record);
        }
    }
    Ok(())
}

/// The number above all vectors of a column that the log says are in their segments.
pub fn stored_vectors(records: &[Record], relation: u32, column: u16) -> Result<u32> {
    let mut next = 0;
    for record in records {
        decode(&record.redo, |operation| {
            if let Operation::StoredVectors { relation: r, column: c, first_vid, count } = operation
                && (r, c) == (relation, column)
            {
                next = next.max(first_vid.saturating_add(count));
            }
            Ok(())
        })?;
    }
    Ok(next)
}

/// A text index that came from a file, right as of a commit.
pub struct StoredText {
    pub spec: IndexSpec,
    pub index: Bm25Index,
    pub commit: u64,
}

/// A table being loaded.
pub struct Replay<'a> {
    pub disk: &'a dyn Disk,
    pub table: &'a Table,
    pub data: &'a mut TableData,
    pub columns: &'a [ColumnInfo],
    pub texts: &'a [StoredText],
    /// The chunk file opened last.
    pub file: Option<Arc<ChunkFile>>,
}

impl Replay<'_> {
    /// Applies what a record says about the table.
    pub fn record(&mut self, record: &Record) -> Result<()> {
        let mine = self.table.relation_id;
        decode(&record.redo, |operation| {
            match operation {
                Operation::Vectors { relation, column, dim, first_vid, count, floats }
                    if relation == mine =>
                {
                    self.vectors(column, dim, first_vid, count, &floats)?;
                }
                Operation::Chunk { relation, place, rows } if relation == mine => {
                    self.chunk(record.commit, place, rows as usize)?;
                }
                Operation::Backfill { relation, column, as_of, rids, values }
                    if relation == mine =>
                {
                    self.backfill(column, as_of, &rids, &values)?;
                }
                Operation::Rows { relation, rows } if relation == mine => {
                    for (rid, image) in rows {
                        self.row(record.commit, rid, image)?;
                    }
                }
                Operation::Deletes { relation, rids } if relation == mine => {
                    for rid in rids {
                        self.delete(record.commit, rid)?;
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        self.table.changed_at.store(record.commit, Ordering::Release);
        Ok(())
    }

    /// Adopts a chunk that a bulk commit wrote.
    fn chunk(&mut self, commit: u64, place: Place, count: usize) -> Result<()> {
        let file = match &self.file {
            Some(file) if file.number == place.file => Arc::clone(file),
            _ => ChunkFile::open(self.disk, self.table.relation_id, place.file)?,
        };
        let known = StoredFile { born: commit, length: file.length() };
        lock(&self.table.stored).add_file(file.number, known);
        let (rows, rids) = file.chunk(place)?;
        self.file = Some(file);
        if rows.len() != count {
            return Err(damaged());
        }
        for text in self.texts.iter().filter(|text| text.commit < commit) {
            let column = text.spec.columns[0].column as usize;
            rows.check(column)?;
            let document = |(position, &rid): (usize, &u32)| {
                let value = chunk_value(&rows, self.columns, column, position);
                text.index.analyze(value).map(|document| (rid, document))
            };
            let added = rids.iter().enumerate().filter_map(document).collect();
            text.index.publish(added, Vec::new(), commit);
        }
        let chunk = Chunk::sealed(rows, rids, commit).placed(place);
        self.data.append_chunk(chunk, empty_rows(self.columns));
        Ok(())
    }

    /// `dim`: the words of each vector, None where they say it.
    fn vectors(
        &self,
        column: u16,
        dim: Option<u32>,
        first_vid: u32,
        count: u32,
        floats: &[f32],
    ) -> Result<()> {
        let vectors = self.table.vectors(column as usize).ok_or_else(damaged)?;
        let row_words = vectors.segments.row_words();
        let is_fitting = match (row_words, dim) {
            (RowWords::Fixed(words), Some(dim)) => words == dim as usize,
            (RowWords::Counted { .. }, None) => true,
            _ => false,
        };
        let (rows, rest) = row_words.split(floats, count as usize).ok_or_else(damaged)?;
        if !is_fitting || !rest.is_empty() {
            return Err(damaged());
        }
        vectors.restore(first_vid, rows)?;
        vectors.next_vid.store(vectors.len(), Ordering::Release);
        Ok(())
    }

    fn backfill(
        &mut self,
        column: u16,
        as_of: u64,
        rids: &[u32],
        values: &[Value<'_>],
    ) -> Result<()> {
        let columns = self.columns;
        let info = columns.get(column as usize).ok_or_else(damaged)?;
        if values.first().is_some_and(|value| !value.is_of(info.spec.kind)) {
            return Err(damaged());
        }
        let of = (&[column][..], rids, as_of);
        self.data.backfill(columns, empty_rows(columns), of, |_, row| values[row])?;
        Ok(())
    }

    fn row(&mut self, commit: u64, rid: u32, image: &[u8]) -> Result<()> {
        let columns = self.columns;
        let kinds = |column: usize| columns.get(column).map(|c| c.spec.kind);
        let values = Reader::new(image).image(kinds)?;
        let value = |column: usize| match values.get(column) {
            Some(value) => *value,
            None => columns[column].initial.as_value(),
        };
        let old = self.end(commit, rid, |column, old| old != value(column))?;
        for (text, document) in self.texts.iter().zip(old.documents) {
            let Document::Goes(removed) = document else { continue };
            if text.commit < commit {
                let added = text.index.analyze(value(text.spec.columns[0].column as usize));
                let added = added.map(|document| (rid, document)).into_iter().collect();
                let removed = removed.map(|document| (rid, document)).into_iter().collect();
                text.index.publish(added, removed, commit);
            }
        }
        if self.data.tail.rows.is_full() {
            self.data.seal_tail(empty_rows(columns));
        }
        self.data.tail.rows.push_row(value);
        self.data.stamp_tail(rid, commit, false);
        Ok(())
    }

    fn delete(&mut self, commit: u64, rid: u32) -> Result<()> {
        let old = self.end(commit, rid, |_, _| true)?;
        if !old.existed {
            return Err(damaged());
        }
        for (text, document) in self.texts.iter().zip(old.documents) {
            if let Document::Goes(Some(document)) = document
                && text.commit < commit
            {
                text.index.publish(Vec::new(), vec![(rid, document)], commit);
            }
        }
        Ok(())
    }

    /// Ends and forgets the version of a row, if it has one. `changes`: whether a text column gets another value.
    fn end(
        &mut self,
        commit: u64,
        rid: u32,
        changes: impl Fn(usize, Value<'_>) -> bool,
    ) -> Result<Ended> {
        let Some(slot) = self.data.live(rid) else {
            let documents = self.texts.iter().map(|_| Document::Goes(None)).collect();
            return Ok(Ended { existed: false, documents });
        };
        let mut documents = Vec::with_capacity(self.texts.len());
        for text in self.texts {
            let column = text.spec.columns[0].column as usize;
            let old = slot_value(self.data, self.columns, column, slot)?;
            documents.push(if changes(column, old) {
                Document::Goes(text.index.analyze(old))
            } else {
                Document::Stays
            });
        }
        self.data.end_newest(rid, commit, false);
        self.data.ghosts.clear();
        self.data.forget(Ghost { xmax: commit, rid });
        Ok(Ended { existed: true, documents })
    }
}

/// What a row was before, with what becomes of its document in each text index.
struct Ended {
    existed: bool,
    documents: Vec<Document>,
}

enum Document {
    Stays,
    /// None: it had no text.
    Goes(Option<AnalyzedDocument>),
}

/// Puts the rows of a stored tail into the open chunk.
pub fn load_tail(data: &mut TableData, columns: &[ColumnInfo], bytes: &[u8]) -> Result<()> {
    let mut reader = Reader::new(bytes);
    for _ in 0..reader.u32()? {
        let (rid, image) = (reader.u32()?, reader.string()?);
        let values = Reader::new(image).image(|c| columns.get(c).map(|c| c.spec.kind))?;
        let initial = |column: usize| columns[column].initial.as_value();
        data.tail.rows.push_row(|column| values.get(column).copied().unwrap_or(initial(column)));
        data.stamp_tail(rid, 0, false);
    }
    Ok(())
}

/// Gives the vectors that live rows name back to them.
pub fn adopt_vectors(table: &Table, data: &TableData, columns: &[ColumnInfo]) -> Result<()> {
    let relation = table.relation_id;
    for (column, vectors) in table.vector_columns() {
        let column = column as usize;
        let mut owned = Vec::new();
        for chunk in data.chunks.iter().map(|c| &**c).chain([&data.tail]) {
            chunk.rows.check(column)?;
            for (position, &rid) in chunk.rids.iter().enumerate() {
                if chunk.xmax(position) != 0 {
                    continue;
                }
                let value = chunk_value(&chunk.rows, columns, column, position);
                let Value::Vector(vid) = value else { continue };
                // Whether its bytes are sound shows when somebody reads them.
                if vid >= vectors.len() {
                    let message = format!("relation {relation} has no vector {vid}");
                    return Err(StoreError::corrupt(message).relation(relation));
                }
                owned.push((vid, rid));
            }
            vectors.entries.set_all(owned.drain(..), 0);
        }
        vectors.published.store(vectors.len(), Ordering::Release);
    }
    Ok(())
}

/// Row ids that are free below the largest in use, and the next one.
pub fn restore_rids(table: &Table, data: &TableData) {
    let next = (0..data.rid_limit()).rev().find(|&rid| data.newest(rid).is_some());
    let next = next.map_or(0, |rid| rid + 1);
    let free = (0..next).rev().filter(|&rid| data.newest(rid).is_none()).collect();
    table.restore_rids(next, free);
}

fn damaged() -> StoreError {
    StoreError::corrupt("the log has changes of rows or columns that are not there")
}
