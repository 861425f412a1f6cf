//! Filling an index that writers maintain already: CREATE INDEX CONCURRENTLY over rows (`transaction::beside`).
//!
//! The index is attached, and no transaction is left that wrote rows before it was. So every version that is committed
//! from now on brings its own entries and documents, and collection takes away those of versions it drops. What is missing
//! are the newest versions of the rows as they are now; older versions are not needed, for no snapshot that sees them may read
//! by an index younger than itself (session/planning.ts). It must never have an entry without a version, because readers
//! do not recheck the key of a row with a single version, nor a document that its row has lost:
//!
//! - btree: entries are gathered and sorted first, a run of rows at a time, and put in in runs, each entry only if its row has
//!   a version with the key still, and under the table's lock, which collection takes to drop a version and its entry together.
//! - bm25: texts are analysed first, some rows at a time, and put in while no commit is published, each only if it is still
//!   its row's and the row has no document: who changed the row since has brought the right one.

use std::sync::atomic::Ordering;

use super::bm25::Bm25Index;
use super::btree::BtreeIndex;
use super::{BUILD_RUN, Duplicate, Index, for_each_live};
use crate::error::Result;
use crate::key::{ByteRange, Entry, is_absent};
use crate::sync::read;
use crate::table::data::TableData;
use crate::table::{ColumnInfo, Table, slot_value};

/// Entries put in, or looked at, under one hold of the table's lock.
const ENTRY_RUN: usize = 1024;
/// Rows whose texts are put in while no commit is published: one or two milliseconds.
const TEXT_RUN: u32 = 64;

/// Brings the rows into an attached btree; `tick` is told how many rows are done.
pub fn fill_keys(
    index: &Index,
    btree: &BtreeIndex,
    table: &Table,
    columns: &[ColumnInfo],
    tick: impl Fn(u32) -> Result<()>,
) -> Result<()> {
    let mut key = Vec::new();
    let mut entries = Vec::new();
    for_each_live(
        table,
        || tick(BUILD_RUN),
        |data, rid, slot| {
            index.slot_key(data, columns, slot, &mut key)?;
            if !is_absent(&key) {
                entries.push(Entry::new(&key, rid));
            }
            Ok(())
        },
    )?;
    entries.sort_unstable();
    let mut rest = entries.into_iter();
    while !rest.as_slice().is_empty() {
        tick(0)?;
        let data = read(&table.data);
        let mut sound = Vec::with_capacity(ENTRY_RUN);
        for entry in rest.by_ref().take(ENTRY_RUN) {
            if has_version(index, &data, columns, &entry, &mut key)? {
                sound.push(entry);
            }
        }
        btree.insert_all(sound);
    }
    Ok(())
}

/// Whether a version of the entry's row has its key.
fn has_version(
    index: &Index,
    data: &TableData,
    columns: &[ColumnInfo],
    entry: &Entry,
    key: &mut Vec<u8>,
) -> Result<bool> {
    for slot in data.versions(entry.rid()) {
        index.slot_key(data, columns, slot, key)?;
        if key == entry.key() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Two live rows with one key in an index that holds all rows and that every writer looks into.
pub fn find_duplicate(
    index: &Index,
    btree: &BtreeIndex,
    table: &Table,
    columns: &[ColumnInfo],
    tick: impl Fn(u32) -> Result<()>,
) -> Result<Option<Duplicate>> {
    let mut range = ByteRange { low: None, high: None };
    let mut run = Vec::new();
    let mut before: Option<Entry> = None;
    let mut looked_at: Option<Entry> = None;
    loop {
        tick(ENTRY_RUN as u32)?;
        run.clear();
        btree.read_run(&range, false, ENTRY_RUN, &mut run);
        for entry in &run {
            let again = before.as_ref().is_some_and(|before| before.key() == entry.key());
            let known = looked_at.as_ref().is_some_and(|known| known.key() == entry.key());
            if again && !known {
                let second = second_live(index, btree, table, columns, entry.key())?;
                if second.is_some() {
                    return Ok(second);
                }
                looked_at = Some(entry.clone());
            }
            before = Some(entry.clone());
        }
        let Some(last) = run.last().filter(|_| run.len() == ENTRY_RUN) else { return Ok(None) };
        // The next larger string of bytes.
        range.low = Some([last.bytes(), &[0]].concat());
    }
}

/// The second live row with the key, under one hold of the table's lock: a commit that moves a key from row to row is seen
/// whole or not at all.
fn second_live(
    index: &Index,
    btree: &BtreeIndex,
    table: &Table,
    columns: &[ColumnInfo],
    wanted: &[u8],
) -> Result<Option<Duplicate>> {
    let (_, nulls_not_distinct) = index.uniqueness();
    let data = read(&table.data);
    let mut entries = Vec::new();
    btree.read_run(&ByteRange::of_key(wanted), false, usize::MAX, &mut entries);
    let mut key = Vec::new();
    let mut live = 0;
    for entry in entries.iter().filter(|entry| entry.key() == wanted) {
        let Some(slot) = data.live(entry.rid()) else { continue };
        let has_null = index.slot_key(&data, columns, slot, &mut key)?;
        if key != wanted {
            continue;
        }
        if has_null && !nulls_not_distinct {
            return Ok(None);
        }
        live += 1;
        if live == 2 {
            return Ok(Some(Duplicate { rid: entry.rid() }));
        }
    }
    Ok(None)
}

/// Brings the texts of the rows into an attached text index. While what `sequencer` gives is held, no commit is published.
pub fn fill_texts<G>(
    index: &Index,
    bm25: &Bm25Index,
    table: &Table,
    columns: &[ColumnInfo],
    sequencer: impl Fn() -> G,
    tick: impl Fn(u32) -> Result<()>,
) -> Result<()> {
    let column = index.spec.columns[0].column as usize;
    let mut from = 0;
    loop {
        tick(TEXT_RUN)?;
        let mut texts = Vec::new();
        let to = {
            let data = read(&table.data);
            let to = data.rid_limit().min(from + TEXT_RUN);
            for rid in from..to {
                if let Some(slot) = data.live(rid) {
                    texts.push((rid, slot_value(&data, columns, column, slot)?.to_owned_value()));
                }
            }
            if from == to {
                break;
            }
            to
        };
        let analysed: Vec<_> =
            texts.iter().map(|(_, text)| bm25.analyze(text.as_value())).collect();
        let mut documents = Vec::new();
        let no_commit = sequencer();
        let data = read(&table.data);
        for ((rid, text), document) in texts.iter().zip(analysed) {
            let Some((slot, document)) = data.live(*rid).zip(document) else { continue };
            let is_its = slot_value(&data, columns, column, slot)? == text.as_value();
            if is_its && !bm25.has_document(*rid) {
                documents.push((*rid, document));
            }
        }
        drop(data);
        bm25.publish(documents, Vec::new(), 0);
        drop(no_commit);
        from = to;
    }
    bm25.filling.store(false, Ordering::Release);
    Ok(())
}
