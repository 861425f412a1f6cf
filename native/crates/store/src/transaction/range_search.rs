//! The nearest of the rows in a range of a btree index, without a bitmap of them: each row is compared where they are few;
//! the nearest rows of the table are asked for their keys where they are many. In between a bitmap is the way.
//!
//! The first answer is exact, the second as good as the graph's, and never fewer rows than were asked for: it is given up
//! where the nearest rows do not have enough that pass.

use omen_hnsw::{F16, SparseWords, VectorSource};

use super::search::{check_words, keep_nearest};
use super::{State, Transaction, VectorQuery};
use crate::column::KeyRange;
use crate::error::{Result, StoreError};
use crate::index::Index;
use crate::index::hnsw::HnswIndex;
use crate::key::{ByteRange, byte_range, is_absent};
use crate::sync::read;
use crate::table::Table;
use crate::table::form::{FormRows, InWords};
use crate::table::slot_value;
use crate::types::{Form, SearchMode, SearchStats};
use crate::value::Value;

/// What is asked of the rows in a range.
#[derive(Clone, Copy)]
pub struct RangeQuery<'a> {
    pub key_index_id: u32,
    pub range: KeyRange<'a>,
    /// As many as a row of the vector column has.
    pub words: &'a [f32],
    /// Of so many entries at most each is compared.
    pub most: usize,
    /// From so many entries on the nearest rows are asked for their keys; 0 = never.
    pub wide: usize,
    /// How many nearest rows are searched for then, and how many of them, the first ones, are near enough to be asked.
    pub ef: usize,
    pub sure: usize,
    /// The graph's budget before the exact finish, 0 = none.
    pub max_distances: u64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NearestInRange {
    Found {
        count: usize,
        stats: SearchStats,
    },
    /// The range has more than `most` entries and fewer than `wide`.
    TooMany,
    /// The range is wide, and too few of the nearest rows lie in it.
    TooFewPass,
    /// The transaction has rows of its own in the table, which are not looked for here.
    OwnRows,
}

/// The way a search went, as `SearchStats` names it.
const EXACT: u32 = 2;
const GRAPH_THEN_KEYS: u32 = 3;

/// A table with the index over its vectors.
struct Target<'a> {
    table: &'a Table,
    hnsw: &'a HnswIndex,
}

type Nearest = (Vec<(f64, u32)>, SearchStats);

impl Transaction {
    /// The nearest visible rows in the range, as many as `rids` takes, sorted by (distance, rid), NaN left out. Of an exact answer
    /// the stats say how many rows of the range the statement sees.
    pub fn nearest_in_range(
        &self,
        index_id: u32,
        query: &RangeQuery<'_>,
        rids: &mut [u32],
        distances: &mut [f64],
    ) -> Result<NearestInRange> {
        let state = self.open_state()?;
        let (table, index) = self.engine.readable_index(index_id)?;
        let hnsw = index.hnsw().ok_or_else(|| StoreError::internal("not an hnsw index"))?;
        check_words(query.words, hnsw.vectors.segments.dim())?;
        if state.tables.contains_key(&table.relation_id) {
            return Ok(NearestInRange::OwnRows);
        }
        let (_, keys) = self.btree(query.key_index_id)?;
        let range = byte_range(&keys.spec.columns, &query.range)?;
        let count = range.as_ref().map_or(0, |range| {
            keys.btree().map_or(0, |btree| btree.count(range, query.wide.max(query.most + 1)))
        });
        let target = Target { table: &table, hnsw };
        let k = rids.len().min(distances.len());
        let found = if count <= query.most {
            // The walk notes what was read of the index.
            let in_range = self.rows_in_range(&state, query.key_index_id, range, count)?;
            self.note_table_read(&state, &table)?;
            target.compare(&state, &in_range, query.words, k)?
        } else if query.wide > 0 && count >= query.wide {
            // Which rows are the nearest hangs on all of them.
            self.note_table_read(&state, &table)?;
            let range = range.ok_or_else(|| StoreError::internal("entries in an empty range"))?;
            let Some(found) = self.nearest_with_key(&state, &target, &keys, &range, query, k)?
            else {
                return Ok(NearestInRange::TooFewPass);
            };
            found
        } else {
            return Ok(NearestInRange::TooMany);
        };
        state.snapshot.check()?;
        hnsw.vectors.check().map_err(|error| error.relation(table.relation_id).index(index_id))?;
        let (found, stats) = found;
        for (i, (distance, rid)) in found.iter().enumerate() {
            (rids[i], distances[i]) = (*rid, *distance);
        }
        Ok(NearestInRange::Found { count: found.len(), stats })
    }

    /// The first `k` of the nearest rows whose key lies in the range; None where there are fewer of them.
    fn nearest_with_key(
        &self,
        state: &State,
        target: &Target<'_>,
        keys: &Index,
        range: &ByteRange,
        query: &RangeQuery<'_>,
        k: usize,
    ) -> Result<Option<Nearest>> {
        let nearest = VectorQuery {
            words: query.words,
            k: query.ef,
            ef: query.ef,
            filter: None,
            mode: SearchMode::Graph,
            max_distances: query.max_distances,
            recall: 0.0,
        };
        let (mut found, stats) = self.search_any(state, target.table, target.hnsw, &nearest)?;
        // A search that found fewer has seen all there are: the first of them say nothing about a good half.
        if found.len() < query.ef {
            return Ok(None);
        }
        found.truncate(query.sure);
        let columns = target.table.columns();
        let data = read(&target.table.data);
        let (mut key, mut passing) = (Vec::new(), Vec::with_capacity(k));
        for (distance, rid) in found {
            if passing.len() == k {
                break;
            }
            let Some(slot) = data.visible(rid, state.snapshot.number) else { continue };
            keys.slot_key(&data, &columns, slot, &mut key)?;
            if !is_absent(&key) && range.has_row(&mut key, rid) {
                passing.push((distance, rid));
            }
        }
        let stats = SearchStats { path: GRAPH_THEN_KEYS, ..stats };
        Ok((passing.len() == k).then_some((passing, stats)))
    }
}

impl Target<'_> {
    /// The `k` nearest of the rows.
    fn compare(&self, state: &State, rids: &[u32], words: &[f32], k: usize) -> Result<Nearest> {
        match self.hnsw.spec.form {
            Form::F32 => self.compare_as::<[f32]>(state, rids, words, k),
            Form::F16 => self.compare_as::<[F16]>(state, rids, words, k),
            Form::Bits => self.compare_as::<[u64]>(state, rids, words, k),
            Form::Sparse => self.compare_as::<SparseWords>(state, rids, words, k),
        }
    }

    fn compare_as<V: InWords + ?Sized>(
        &self,
        state: &State,
        rids: &[u32],
        words: &[f32],
        k: usize,
    ) -> Result<Nearest> {
        let (dim, metric) = (self.hnsw.spec.dim as usize, self.hnsw.spec.metric);
        V::with(words, dim, |vector| {
            let vids = self.vectors_of(state, rids)?;
            let rows = FormRows::<V>::new(&self.hnsw.vectors, dim);
            let mut found = Vec::with_capacity(vids.len());
            for (i, &(vid, rid)) in vids.iter().enumerate() {
                // Rows of a predicate lie anywhere: the next one is fetched while this one is compared.
                if let Some(&(next, _)) = vids.get(i + 1) {
                    rows.vector(next).prefetch();
                }
                let distance = V::distance(metric, vector, rows.vector(vid));
                if !distance.is_nan() {
                    found.push((distance, rid));
                }
            }
            let stats = SearchStats {
                path: EXACT,
                distances: found.len() as u64,
                matching: rids.len() as u64,
                ..SearchStats::default()
            };
            keep_nearest(&mut found, k);
            Ok((found, stats))
        })
    }

    /// The vectors of rows in the version that the statement sees, with their rows; those without one are left out.
    fn vectors_of(&self, state: &State, rids: &[u32]) -> Result<Vec<(u32, u32)>> {
        let columns = self.table.columns();
        let data = read(&self.table.data);
        let mut vids = Vec::with_capacity(rids.len());
        for &rid in rids {
            let Some(slot) = data.visible(rid, state.snapshot.number) else { continue };
            let value = slot_value(&data, &columns, self.hnsw.column as usize, slot)?;
            if let Value::Vector(vid) = value {
                vids.push((vid, rid));
            }
        }
        Ok(vids)
    }
}
