//! A table as a server would load it, and its indexes held against its rows.
//!
//! Loading already proves some of it: stored sums, keys of unique indexes, a vector behind every row that has one. A
//! btree is not stored; it is made from the rows then. What is stored beside the rows is compared here: who owns which
//! vector, the graphs as their files have them, and text indexes with ones made from the rows.

use std::collections::{BTreeSet, HashMap};

use crate::engine::Engine;
use crate::error::{Result, StoreError};
use crate::index::bm25::{Bm25Index, params};
use crate::index::hnsw::HnswIndex;
use crate::index::{Index, IndexKind, fill_text, for_each_live};
use crate::sync::read;
use crate::table::{Columns, Table, slot_value};
use crate::types::IndexMethod;
use crate::value::Value;

use super::CheckedPart;

/// Above every commit: what is live now.
const NOW: u64 = u64::MAX - 1;
/// Of this many linked vectors one may be out of reach: insertions on several threads and pruning can lose a node, which
/// costs a hit and shows no wrong row. With few links a node (`m = 8`) one in three hundred was seen; damage takes whole parts.
const LOST_ONE_IN: usize = 100;

/// Loads a table, reads all of it and compares its indexes with the rows.
pub fn check_table(
    engine: &Engine,
    relation: u32,
    loaded: &mut CheckedPart,
    indexes: &mut CheckedPart,
) {
    let table = match engine.table(relation) {
        Ok(table) => table,
        Err(error) => return loaded.note(Err(named(relation, &error))),
    };
    let columns = table.columns();
    let rows = check_rows(&table).and_then(|()| check_vectors(&table, &columns));
    let is_sound = rows.is_ok();
    loaded.note(rows.map_err(|error| named(relation, &error)));
    if !is_sound {
        return;
    }
    for index in table.indexes().iter() {
        let result = match &index.kind {
            IndexKind::Btree(_) => Ok(()),
            IndexKind::Hnsw(hnsw) => check_graph(engine, index, hnsw, &table, &columns),
            IndexKind::Bm25(bm25) => check_text(index, bm25, &table, &columns),
        };
        indexes.note(result.map_err(|error| named(relation, &error)));
    }
}

fn named(relation: u32, error: &StoreError) -> StoreError {
    StoreError::corrupt(format!("relation {relation}: {}", error.message))
}

fn disagrees(index: &Index, how: &str) -> StoreError {
    StoreError::corrupt(format!("index {} disagrees with the rows: {how}", index.spec.index_id))
}

fn check_rows(table: &Table) -> Result<()> {
    let data = read(&table.data);
    data.chunks.iter().try_for_each(|chunk| {
        (0..chunk.rows.columns.len()).try_for_each(|column| chunk.rows.check(column))
    })
}

/// The vids of the live rows in a column.
fn live_vids(table: &Table, columns: &Columns, column: usize) -> Result<Vec<(u32, u32)>> {
    let mut vids = Vec::new();
    for_each_live(
        table,
        || Ok(()),
        |data, rid, slot| {
            if let Value::Vector(vid) = slot_value(data, columns, column, slot)? {
                vids.push((vid, rid));
            }
            Ok(())
        },
    )?;
    Ok(vids)
}

/// Every vector of a row is sound, and that row's alone.
fn check_vectors(table: &Table, columns: &Columns) -> Result<()> {
    for (column, vectors) in table.vector_columns() {
        let entries = vectors.entries.view();
        for (vid, rid) in live_vids(table, columns, column as usize)? {
            if entries.visible(vid, NOW) != Some(rid) {
                let message = format!("vector {vid} of column {column} is of two rows");
                return Err(StoreError::corrupt(message));
            }
            vectors.vector(vid)?;
        }
    }
    Ok(())
}

/// The graph as its file has it leads to the vectors of the rows. Vectors behind its end, and those whose numbers were given
/// again since a removal, are linked after the start.
fn check_graph(
    engine: &Engine,
    index: &Index,
    hnsw: &HnswIndex,
    table: &Table,
    columns: &Columns,
) -> Result<()> {
    let stored = engine.durable_side().load_graph(index.spec.index_id, hnsw)?;
    let Some(graph) = stored else { return Ok(()) };
    let (reached, nodes) = (graph.reachable(), graph.linked_nodes());
    let is_linked = |vid: u32| nodes[vid as usize / 64] >> (vid % 64) & 1 == 1;
    let linked: Vec<u32> = live_vids(table, columns, hnsw.column as usize)?
        .into_iter()
        .map(|(vid, _)| vid)
        .filter(|&vid| (vid as usize) < reached.len() && is_linked(vid))
        .collect();
    let lost = linked.iter().filter(|&&vid| !reached[vid as usize]).count();
    if lost > linked.len() / LOST_ONE_IN {
        let how = format!("{lost} of {} linked vectors are out of reach", linked.len());
        return Err(disagrees(index, &how));
    }
    Ok(())
}

/// Documents, statistics, and for every term the same rows with the same scores, to the bit.
fn check_text(index: &Index, present: &Bm25Index, table: &Table, columns: &Columns) -> Result<()> {
    let IndexMethod::Bm25 { config, k1, b } = index.spec.method else { return Ok(()) };
    let fresh = Bm25Index::new(params(config, k1, b));
    fill_text(index, &fresh, table, columns, || Ok(()))?;
    let (found, wanted) = (present.generation().text.stats(), fresh.generation().text.stats());
    if (found.docs, found.total_length) != (wanted.docs, wanted.total_length) {
        return Err(disagrees(index, "statistics"));
    }
    let owners = |index: &Bm25Index| index.owners().into_iter().collect::<HashMap<u32, u32>>();
    let (present_rows, fresh_rows) = (owners(present), owners(&fresh));
    let rows = |owners: &HashMap<u32, u32>| owners.values().copied().collect::<BTreeSet<u32>>();
    if rows(&present_rows) != rows(&fresh_rows) {
        return Err(disagrees(index, "rows without a document, or documents without a row"));
    }
    for term in terms(index, &fresh, table, columns)? {
        let found = scores(present, &present_rows, &term);
        if found != scores(&fresh, &fresh_rows, &term) {
            return Err(disagrees(index, &format!("postings of the term \"{term}\"")));
        }
    }
    Ok(())
}

/// The terms of the rows' texts.
fn terms(
    index: &Index,
    text: &Bm25Index,
    table: &Table,
    columns: &Columns,
) -> Result<BTreeSet<String>> {
    let column = index.spec.columns[0].column as usize;
    let mut terms = BTreeSet::new();
    for_each_live(
        table,
        || Ok(()),
        |data, _, slot| {
            if let Some(document) = text.analyze(slot_value(data, columns, column, slot)?) {
                for (term, _) in document.terms() {
                    if !terms.contains(term) {
                        terms.insert(term.to_owned());
                    }
                }
            }
            Ok(())
        },
    )?;
    Ok(terms)
}

/// (row, bits of the score) of the live documents that hold a term, by row.
fn scores(index: &Bm25Index, owners: &HashMap<u32, u32>, term: &str) -> Vec<(u32, u32)> {
    let text = &index.generation().text;
    let query = text.query_term(term);
    let mut hits = Vec::new();
    let is_live = |document: u32| owners.contains_key(&document);
    text.search(&query, owners.len(), &is_live, &mut hits);
    let mut scores: Vec<(u32, u32)> =
        hits.iter().map(|hit| (owners[&hit.doc], hit.score.to_bits())).collect();
    scores.sort_unstable();
    scores
}
