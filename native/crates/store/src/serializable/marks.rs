//! What serializable transactions have read and written: rows, ranges of index entries, tables.
//!
//! Both sides leave marks, because rows that are not committed are private here: a writer finds readers by their marks, and
//! a reader finds writers by theirs. Each leaves its own first and looks second, in one step under the graph's mutex, so
//! of two that meet at least one sees the other.
//!
//! Bounds: per transaction at most `MAX_ROWS` rows of a table and `MAX_RANGES` ranges of an index; beyond it the whole
//! table, or the whole index, is marked. Coarser marks mean more conflicts, never fewer.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::graph::NodeId;
use crate::index::btree::{bounds, is_empty};
use crate::key::ByteRange;

const MAX_ROWS: usize = 2048;
const MAX_RANGES: usize = 64;

/// The ids of transactions with a mark on one thing; few.
type Owners = Vec<NodeId>;

#[derive(Default)]
struct Own {
    /// Relation -> rows read one by one.
    read_rows: HashMap<u32, HashSet<u32>>,
    read_tables: BTreeSet<u32>,
    /// Index -> number of ranges read.
    read_ranges: HashMap<u32, usize>,
    written_rows: HashMap<u32, HashSet<u32>>,
    written_tables: BTreeSet<u32>,
    /// Tables written too often to remember the rows.
    written_whole: BTreeSet<u32>,
    written_keys: HashMap<u32, BTreeSet<Vec<u8>>>,
}

#[derive(Default)]
pub struct Marks {
    own: HashMap<NodeId, Own>,
    row_readers: HashMap<(u32, u32), Owners>,
    table_readers: HashMap<u32, Owners>,
    /// Index -> ranges read.
    range_readers: HashMap<u32, Vec<(NodeId, ByteRange)>>,
    row_writers: HashMap<(u32, u32), Owners>,
    /// Whoever wrote anything in the table.
    table_writers: HashMap<u32, Owners>,
    /// Whoever may have written any row and any key of the table.
    whole_writers: HashMap<u32, Owners>,
    key_writers: HashMap<u32, BTreeMap<Vec<u8>, Owners>>,
    /// The tables of the indexes met.
    tables: HashMap<u32, u32>,
}

fn add(owners: &mut Owners, id: NodeId) {
    if !owners.contains(&id) {
        owners.push(id);
    }
}

fn remove<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Owners>, key: &K, id: NodeId) {
    if let Some(owners) = map.get_mut(key) {
        owners.retain(|o| *o != id);
        if owners.is_empty() {
            map.remove(key);
        }
    }
}

impl Marks {
    /// Marks rows as read; `met` receives who wrote them.
    pub fn read_rows(
        &mut self,
        id: NodeId,
        relation: u32,
        rids: &[u32],
        met: &mut BTreeSet<NodeId>,
    ) {
        met.extend(self.whole_writers.get(&relation).into_iter().flatten());
        for &rid in rids {
            met.extend(self.row_writers.get(&(relation, rid)).into_iter().flatten());
        }
        let own = self.own.entry(id).or_default();
        if own.read_tables.contains(&relation) {
            return;
        }
        let rows = own.read_rows.entry(relation).or_default();
        for &rid in rids {
            if rows.insert(rid) {
                add(self.row_readers.entry((relation, rid)).or_default(), id);
            }
        }
        if rows.len() > MAX_ROWS {
            self.mark_table_read(id, relation);
        }
    }

    /// Marks a whole table as read; `met` receives who wrote in it.
    pub fn read_table(&mut self, id: NodeId, relation: u32, met: &mut BTreeSet<NodeId>) {
        met.extend(self.table_writers.get(&relation).into_iter().flatten());
        self.mark_table_read(id, relation);
    }

    fn mark_table_read(&mut self, id: NodeId, relation: u32) {
        let own = self.own.entry(id).or_default();
        if own.read_tables.insert(relation) {
            self.table_readers.entry(relation).or_default().push(id);
        }
        for rid in own.read_rows.remove(&relation).into_iter().flatten() {
            remove(&mut self.row_readers, &(relation, rid), id);
        }
    }

    /// Marks a range of index entries as read; `met` receives who wrote keys in it.
    pub fn read_range(
        &mut self,
        id: NodeId,
        relation: u32,
        index: u32,
        range: &ByteRange,
        met: &mut BTreeSet<NodeId>,
    ) {
        if is_empty(range) {
            return;
        }
        met.extend(self.whole_writers.get(&relation).into_iter().flatten());
        if let Some(keys) = self.key_writers.get(&index) {
            met.extend(keys.range::<[u8], _>(bounds(range)).flat_map(|(_, owners)| owners));
        }
        self.tables.insert(index, relation);
        let own = self.own.entry(id).or_default();
        if own.read_tables.contains(&relation) {
            return;
        }
        let ranges = self.range_readers.entry(index).or_default();
        if ranges.iter().any(|(owner, known)| *owner == id && covers(known, range)) {
            return;
        }
        let count = own.read_ranges.entry(index).or_insert(0);
        *count += 1;
        if *count > MAX_RANGES {
            ranges.retain(|(owner, _)| *owner != id);
            ranges.push((id, ByteRange { low: None, high: None }));
        } else {
            ranges.push((id, range.clone()));
        }
    }

    /// Marks a row as written, with the index entries that come and go by it; `met` receives who read any of it. `rid` None:
    /// a new row, which nobody can have read by its number.
    pub fn write(
        &mut self,
        id: NodeId,
        relation: u32,
        rid: Option<u32>,
        entries: &[(u32, Vec<u8>)],
        met: &mut BTreeSet<NodeId>,
    ) {
        met.extend(self.table_readers.get(&relation).into_iter().flatten());
        if let Some(rid) = rid {
            met.extend(self.row_readers.get(&(relation, rid)).into_iter().flatten());
        }
        for (index, entry) in entries {
            let ranges = self.range_readers.get(index).into_iter().flatten();
            met.extend(ranges.filter(|(_, r)| contains(r, entry)).map(|(owner, _)| *owner));
        }
        let own = self.own.entry(id).or_default();
        if own.written_tables.insert(relation) {
            self.table_writers.entry(relation).or_default().push(id);
        }
        if own.written_whole.contains(&relation) {
            return;
        }
        if let Some(rid) = rid
            && own.written_rows.entry(relation).or_default().insert(rid)
        {
            add(self.row_writers.entry((relation, rid)).or_default(), id);
        }
        for (index, entry) in entries {
            self.tables.insert(*index, relation);
            if own.written_keys.entry(*index).or_default().insert(entry.clone()) {
                let keys = self.key_writers.entry(*index).or_default();
                add(keys.entry(entry.clone()).or_default(), id);
            }
        }
        let rows = own.written_rows.get(&relation).map_or(0, HashSet::len);
        let keys = entries.iter().filter_map(|(index, _)| own.written_keys.get(index));
        if rows.max(keys.map(BTreeSet::len).max().unwrap_or(0)) > MAX_ROWS {
            own.written_whole.insert(relation);
            self.whole_writers.entry(relation).or_default().push(id);
        }
    }

    /// The marks of `from` become marks of `into`, as coarse as if `into` had left them all.
    pub fn absorb(&mut self, from: NodeId, into: NodeId) {
        let Some(own) = self.own.get(&from) else { return };
        let (read_rows, read_tables) = (own.read_rows.clone(), own.read_tables.clone());
        let indexes: Vec<u32> = own.read_ranges.keys().copied().collect();
        let (written_rows, written_keys) = (own.written_rows.clone(), own.written_keys.clone());
        let (written_tables, written_whole) =
            (own.written_tables.clone(), own.written_whole.clone());
        let mut nobody = BTreeSet::new();
        for (relation, rids) in read_rows {
            let rids: Vec<u32> = rids.into_iter().collect();
            self.read_rows(into, relation, &rids, &mut nobody);
        }
        for relation in read_tables {
            self.mark_table_read(into, relation);
        }
        for index in indexes {
            let relation = self.tables[&index];
            let ranges = self.range_readers.get(&index).into_iter().flatten();
            let ranges: Vec<ByteRange> =
                ranges.filter(|(owner, _)| *owner == from).map(|(_, r)| r.clone()).collect();
            for range in ranges {
                self.read_range(into, relation, index, &range, &mut nobody);
            }
        }
        for relation in written_tables {
            self.write(into, relation, None, &[], &mut nobody);
        }
        for relation in written_whole {
            if self.own.entry(into).or_default().written_whole.insert(relation) {
                self.whole_writers.entry(relation).or_default().push(into);
            }
        }
        for (relation, rids) in written_rows {
            for rid in rids {
                self.write(into, relation, Some(rid), &[], &mut nobody);
            }
        }
        for (index, entries) in written_keys {
            let relation = self.tables[&index];
            for entry in entries {
                self.write(into, relation, None, &[(index, entry)], &mut nobody);
            }
        }
        self.forget(from);
    }

    /// Forgets all marks of a transaction.
    pub fn forget(&mut self, id: NodeId) {
        let Some(own) = self.own.remove(&id) else { return };
        for (relation, rids) in own.read_rows {
            for rid in rids {
                remove(&mut self.row_readers, &(relation, rid), id);
            }
        }
        for relation in own.read_tables {
            remove(&mut self.table_readers, &relation, id);
        }
        for index in own.read_ranges.into_keys() {
            if let Some(ranges) = self.range_readers.get_mut(&index) {
                ranges.retain(|(owner, _)| *owner != id);
                if ranges.is_empty() {
                    self.range_readers.remove(&index);
                }
            }
        }
        for (relation, rids) in own.written_rows {
            for rid in rids {
                remove(&mut self.row_writers, &(relation, rid), id);
            }
        }
        for relation in own.written_tables {
            remove(&mut self.table_writers, &relation, id);
        }
        for relation in own.written_whole {
            remove(&mut self.whole_writers, &relation, id);
        }
        for (index, entries) in own.written_keys {
            self.forget_keys(id, index, entries);
        }
    }

    fn forget_keys(&mut self, id: NodeId, index: u32, entries: BTreeSet<Vec<u8>>) {
        let Some(keys) = self.key_writers.get_mut(&index) else { return };
        for entry in entries {
            if let Some(owners) = keys.get_mut(&entry) {
                owners.retain(|o| *o != id);
                if owners.is_empty() {
                    keys.remove(&entry);
                }
            }
        }
        if keys.is_empty() {
            self.key_writers.remove(&index);
        }
    }

    /// Marks in use.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
            && self.row_readers.is_empty()
            && self.table_readers.is_empty()
            && self.range_readers.is_empty()
            && self.row_writers.is_empty()
            && self.table_writers.is_empty()
            && self.whole_writers.is_empty()
            && self.key_writers.is_empty()
    }
}

fn contains(range: &ByteRange, entry: &[u8]) -> bool {
    range.low.as_deref().is_none_or(|low| low <= entry)
        && range.high.as_deref().is_none_or(|high| entry < high)
}

/// Every entry of `inner` lies in `outer`.
fn covers(outer: &ByteRange, inner: &ByteRange) -> bool {
    let low = match (&outer.low, &inner.low) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(outer), Some(inner)) => outer <= inner,
    };
    let high = match (&outer.high, &inner.high) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(outer), Some(inner)) => inner <= outer,
    };
    low && high
}
