//! Making a commit visible: the order in which shared structures change.
//!
//! 0. before the log: vectors are numbered and written to their segments
//! 1. vectors and documents get their entries, not seen by any snapshot yet
//! 2. index entries of new rows: a reader that meets one finds no row behind it yet and passes over it
//! 3. under the table's write lock: versions end, new ones are appended, index entries of replaced rows appear
//! 4. definitions and catalogue
//! 5. the caller moves `visible`: only now does any snapshot see the commit's number
//!
//! Readers of older snapshots see the same rows before, during and after.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::vectors::NOBODY;
use super::{ChunkChange, CommitRequest, TableChange};
use crate::engine::Engine;
use crate::key::Entry;
use crate::sync::{lock, read, write};
use crate::table::chunk::Chunk;
use crate::table::data::TableData;
use crate::table::rows::CHUNK_ROWS;
use crate::table::vectors::VectorColumn;
use crate::table::{Table, chunk_value, empty_rows, slot_value};
use crate::transaction::Definition;
use crate::value::Value;

/// The vectors of a column that the same transaction adds.
pub fn added_vectors(
    definitions: &[Definition],
    relation: u32,
    column: usize,
) -> Option<Arc<VectorColumn>> {
    definitions.iter().find_map(|d| match d {
        Definition::AddColumn { relation: r, position, vectors, .. }
            if *r == relation && *position as usize == column =>
        {
            vectors.clone()
        }
        _ => None,
    })
}

/// Publishes a commit under its number. The caller holds the sequencer and aborts the process on a panic.
pub fn publish(engine: &Arc<Engine>, request: &mut CommitRequest, commit: u64) {
    if let Some(handle) = &request.serializable {
        handle.commit.store(commit, Ordering::Release);
    }
    for definition in &request.definitions {
        publish_before_rows(definition, commit);
    }
    for change in request.tables.drain(..) {
        publish_table(change, commit);
    }
    let mut built = Vec::new();
    for definition in request.definitions.drain(..) {
        if let Definition::CreateIndex(index) = &definition {
            built.push(index.spec.index_id);
        }
        publish_definition(engine, &request.session, definition);
    }
    let mut temporary = lock(&request.session.temporary);
    let mut catalog = write(&engine.catalog);
    for (key, change) in request.catalog.drain(..) {
        if change.temporary {
            match &change.value {
                Some(_) if temporary.catalog_keys.contains(&key) => {}
                Some(_) => temporary.catalog_keys.push(key.clone()),
                None => temporary.catalog_keys.retain(|k| *k != key),
            }
        }
        catalog.put(key, change.value);
    }
    // Last: a writer in whose way an index is that it does not know finds it here or in the catalogue.
    for index_id in built {
        engine.forget_build(index_id);
    }
}

fn publish_before_rows(definition: &Definition, commit: u64) {
    if let Definition::AddColumn { table, position, column, vectors, is_filled, .. } = definition {
        if let Some(vectors) = vectors.as_ref().filter(|_| *is_filled) {
            let owned = filled_vectors(&read(&table.data), *position as usize, vectors.filled());
            vectors.publish_filled(owned, commit);
        }
        table.add_column(column.clone(), vectors.clone());
        if *is_filled {
            table.changed_at.store(commit, Ordering::Release);
        }
    }
}

/// The vectors below `end` that live rows have in an added column.
fn filled_vectors(data: &TableData, column: usize, end: u32) -> Vec<u32> {
    let chunks = data.chunks.iter().filter(|chunk| chunk.rows.columns.len() > column);
    let vid = |chunk: &Chunk, position: usize| match chunk.rows.value(column, position) {
        Value::Vector(vid) if vid < end && chunk.xmax(position) == 0 => Some(vid),
        _ => None,
    };
    chunks.flat_map(|chunk| (0..chunk.len()).filter_map(|at| vid(chunk, at))).collect()
}

fn publish_definition(
    engine: &Arc<Engine>,
    session: &crate::session::Session,
    definition: Definition,
) {
    match definition {
        Definition::CreateRelation(table) if table.temporary => {
            lock(&session.temporary).relations.push(table.relation_id);
        }
        Definition::CreateSequence(spec) if spec.temporary => {
            lock(&session.temporary).sequences.push(spec.sequence_id);
        }
        Definition::DropRelation(id) => {
            lock(&session.temporary).relations.retain(|r| *r != id);
            engine.remove_table(id);
        }
        Definition::DropIndex(id) => engine.remove_index(id),
        Definition::DropSequence(id) => {
            lock(&session.temporary).sequences.retain(|s| *s != id);
            lock(&engine.sequences).remove(&id);
        }
        Definition::CreateIndex(index) => {
            if let Some(hnsw) = index.hnsw() {
                engine.schedule_linking(&index, hnsw);
            }
        }
        // Registered when created, or published before the rows.
        Definition::CreateRelation(_)
        | Definition::CreateSequence(_)
        | Definition::AddColumn { .. } => {}
    }
}

fn publish_table(mut change: TableChange, commit: u64) {
    let table = Arc::clone(&change.table);
    publish_vectors(&table, &mut change, commit);
    for documents in std::mem::take(&mut change.documents) {
        let bm25 = documents.index.bm25().expect("documents belong to a bm25 index");
        bm25.publish(documents.added, documents.removed, commit);
    }
    let mut replaced_entries: Vec<(Arc<crate::index::Index>, Vec<Entry>)> = Vec::new();
    for keys in std::mem::take(&mut change.keys) {
        keys.index.btree().expect("keys belong to a btree index").insert_all(keys.new);
        replaced_entries.push((keys.index, keys.replaced));
    }
    let mut data = write(&table.data);
    let vector_columns = table.vector_columns();
    end_versions(&mut data, &change, &vector_columns, commit);
    let replaced: HashSet<u32> = change.replaced.iter().copied().collect();
    let columns = table.columns();
    change.adopt_file(commit);
    for chunk in change.chunks {
        append(&mut data, &columns, chunk, &replaced, commit);
    }
    for (index, entries) in replaced_entries {
        index.btree().expect("keys belong to a btree index").insert_all(entries);
    }
    table.changed_at.store(commit, Ordering::Release);
    drop(data);
    table.free_rids(change.unused_rids);
}

fn publish_vectors(table: &Table, change: &mut TableChange, commit: u64) {
    for numbered in change.numbered.drain(..) {
        let column = table.vectors(numbered.column as usize).expect("a vector column has segments");
        let owned = (numbered.first_vid..).zip(numbered.owners.iter().copied());
        let (nobodys, somebodys): (Vec<_>, Vec<_>) = owned.partition(|&(_, rid)| rid == NOBODY);
        for (vid, _) in nobodys {
            column.numbers.note_dead(commit, vid);
        }
        column.entries.set_all(somebodys, commit);
        let end = numbered.first_vid + numbered.owners.len() as u32;
        if numbered.given_again {
            for index in table.indexes().iter() {
                if let Some(hnsw) = index.hnsw().filter(|h| h.is_over(&column)) {
                    hnsw.link_again(numbered.first_vid..end);
                }
            }
        } else {
            column.published.store(end, Ordering::Release);
        }
    }
    for (column, vids) in change.passed_over.drain(..) {
        let column = table.vectors(column as usize).expect("a vector column has segments");
        vids.for_each(|vid| column.numbers.note_dead(commit, vid));
    }
}

/// Ends the newest versions of replaced and deleted rows, and the vectors that go with them.
fn end_versions(
    data: &mut TableData,
    change: &TableChange,
    vector_columns: &[(u16, Arc<VectorColumn>)],
    commit: u64,
) {
    let columns = &change.columns;
    let old_cell = |data: &TableData, rid: u32, column: u16| {
        let slot = data.newest(rid).expect("an ended row has a version");
        // The transaction has read the row it ends, so the column was found sound.
        match slot_value(data, columns, column as usize, slot).expect("an ended row was read") {
            Value::Vector(vid) => Some(vid),
            _ => None,
        }
    };
    for (column, vectors) in vector_columns {
        for &rid in &change.deleted {
            if let Some(vid) = old_cell(data, rid, *column) {
                vectors.delete(vid, commit);
            }
        }
        if change.replaced.is_empty() {
            continue;
        }
        for chunk in &change.chunks {
            for position in chunk.live_positions() {
                let rid = chunk.rids[position];
                if change.replaced.binary_search(&rid).is_err() {
                    continue;
                }
                let new = chunk_value(&chunk.rows, columns, *column as usize, position);
                if let Some(vid) = old_cell(data, rid, *column)
                    && new != Value::Vector(vid)
                {
                    vectors.delete(vid, commit);
                }
            }
        }
    }
    for &rid in &change.deleted {
        data.end_newest(rid, commit, false);
    }
    for &rid in &change.replaced {
        data.end_newest(rid, commit, true);
    }
}

fn append(
    data: &mut TableData,
    columns: &[crate::table::ColumnInfo],
    change: ChunkChange,
    replaced: &HashSet<u32>,
    commit: u64,
) {
    if let Some(place) = change.place {
        let chunk = Chunk::sealed(change.rows, change.rids, commit).placed(place);
        data.append_chunk(chunk, empty_rows(columns));
        return;
    }
    let whole = change.live.is_none()
        && change.all_new
        && change.rows.len() == CHUNK_ROWS
        && change.rows.columns.len() == columns.len();
    if whole {
        let chunk = Chunk::sealed(change.rows, change.rids, commit);
        data.append_chunk(chunk, empty_rows(columns));
        return;
    }
    for position in change.live_positions() {
        if data.tail.rows.is_full() {
            data.seal_tail(empty_rows(columns));
        }
        let rid = change.rids[position];
        data.tail.rows.push_row(|column| chunk_value(&change.rows, columns, column, position));
        data.stamp_tail(rid, commit, replaced.contains(&rid));
    }
}
