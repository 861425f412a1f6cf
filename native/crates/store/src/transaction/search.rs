//! Nearest rows: own rows and the tail exactly, the rest by graph or exactly, whichever is right and cheaper.
//!
//! The answer never depends on the path: distances come from the one kernel, rows are the visible ones, and a graph that
//! cannot give `k` rows is followed by an exact scan. Only which of the near rows a graph finds is up to it.

use omen_hnsw::{Hit, SearchBudget, SearchRequest, VectorSource};
use omen_kernels::distance;

use super::fill::cell_vector;
use super::private::Newest;
use super::{PrivateTable, State, Transaction};
use crate::error::{Result, StoreError};
use crate::index::hnsw::HnswIndex;
use crate::sync::read;
use crate::table::Table;
use crate::table::entries::EntryView;
use crate::table::slot_value;
use crate::types::{Metric, SearchMode, SearchStats};
use crate::value::Value;

/// Exact distances between two looks at the interrupt flag.
const INTERRUPT_DISTANCES: u64 = 16_384;

/// A graph search with few accepted nodes visits about 1 / selectivity as many; beyond this it bridges instead.
const MAX_SELECTIVITY_FACTOR: f64 = 8.0;

/// One query over one index, as a statement sees it.
struct Search<'a> {
    table: &'a Table,
    hnsw: &'a HnswIndex,
    private: Option<&'a PrivateTable>,
    entries: EntryView,
    query: &'a [f32],
    filter: Option<&'a [u8]>,
    snapshot: u64,
    command: u32,
    found: Vec<(f64, u32)>,
    stats: SearchStats,
}

impl Transaction {
    /// The `k` nearest visible rows with a vector, optionally only rids of `filter`; never fewer than min(k, matches). Sorted by
    /// (distance, rid), NaN left out. `max_distances`: the graph's budget before the exact finish, 0 = none.
    #[expect(clippy::too_many_arguments, reason = "the call of the contract")]
    pub fn vector_search(
        &self,
        index_id: u32,
        query: &[f32],
        k: usize,
        ef: usize,
        filter: Option<&[u8]>,
        mode: SearchMode,
        max_distances: u64,
        rids: &mut [u32],
        distances: &mut [f64],
    ) -> Result<(usize, SearchStats)> {
        let state = self.open_state()?;
        let (table, index) = self.engine.index(index_id)?;
        let hnsw = index.hnsw().ok_or_else(|| StoreError::internal("not an hnsw index"))?;
        check_dim(query, hnsw.vectors.dim())?;
        let k = k.min(rids.len()).min(distances.len());
        // Which rows are the nearest hangs on all of them.
        self.note_table_read(&state, &table)?;
        let mut search = Search {
            private: state.tables.get(&table.relation_id),
            table: &table,
            hnsw,
            entries: hnsw.vectors.entries.view(),
            query,
            filter,
            snapshot: state.snapshot.number,
            command: state.command,
            found: Vec::new(),
            stats: SearchStats::default(),
        };
        search.own_rows();
        let allowed =
            filter.map(|bits| bits.iter().map(|b| u64::from(b.count_ones())).sum::<u64>());
        let linked = hnsw.graph.len();
        let exact = match mode {
            SearchMode::Exact => true,
            SearchMode::Graph => false,
            SearchMode::Auto => search.exact_is_cheaper(k, ef, allowed, linked),
        };
        if exact {
            search.stats.path = 2;
            search.exact(self, &state, allowed)?;
        } else {
            search.tail(self, linked)?;
            let before = search.found.clone();
            let budget = if max_distances == 0 { u64::MAX } else { max_distances };
            if !search.graph(k, ef, linked, allowed, budget) {
                // The graph ran dry or out of budget: only looking at everything tells what it missed.
                search.found = before;
                search.found.retain(|(_, rid)| {
                    search
                        .private
                        .is_some_and(|p| p.resolve(*rid, search.command) != Newest::Committed)
                });
                search.stats.path = 1;
                search.exact(self, &state, allowed)?;
            }
        }
        let mut found = search.found;
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found.truncate(k);
        for (i, (distance, rid)) in found.iter().enumerate() {
            (rids[i], distances[i]) = (*rid, *distance);
        }
        Ok((found.len(), search.stats))
    }

    /// Distances of given visible rows to `query`; NULL, NaN and rows the statement does not see come back as NaN.
    pub fn vector_distances(
        &self,
        relation_id: u32,
        column: u16,
        metric: Metric,
        rids: &[u32],
        query: &[f32],
        distances: &mut [f64],
    ) -> Result<()> {
        let state = self.open_state()?;
        let table = self.engine.table(relation_id)?;
        let private = state.tables.get(&relation_id);
        let columns =
            private.map_or_else(|| table.columns(), |p| std::sync::Arc::clone(&p.columns));
        let info =
            columns.get(column as usize).ok_or_else(|| StoreError::internal("no such column"))?;
        check_dim(query, info.spec.dim as usize)?;
        self.note_rows_read(&state, &table, rids)?;
        let column = column as usize;
        let shared = table.vectors(column);
        let data = read(&table.data);
        for (&rid, out) in rids.iter().zip(distances) {
            let value = match private.map_or(Newest::Committed, |p| p.resolve(rid, state.command)) {
                Newest::Own(row) => private.map_or(Value::Null, |p| p.value(row, column)),
                Newest::Deleted => Value::Null,
                Newest::Committed => data
                    .visible(rid, state.snapshot.number)
                    .map_or(Ok(Value::Null), |slot| slot_value(&data, &columns, column, slot))?,
            };
            *out = match value {
                Value::Vector(cell) => {
                    distance(metric, query, cell_vector(shared.as_deref(), private, column, cell))
                }
                _ => f64::NAN,
            };
        }
        Ok(())
    }
}

fn check_dim(query: &[f32], dim: usize) -> Result<()> {
    if query.len() == dim {
        return Ok(());
    }
    // pgvector's words (CheckDims in src/vector.c).
    Err(StoreError::new("22000", format!("different vector dimensions {dim} and {}", query.len())))
}

impl Search<'_> {
    fn allows(&self, rid: u32) -> bool {
        self.filter.is_none_or(|bits| bit(bits, rid))
    }

    /// The row behind a vid, if the statement sees that version and the filter lets it through.
    fn accept(&self, vid: u32) -> Option<u32> {
        let rid = self.entries.visible(vid, self.snapshot)?;
        let untouched = |p: &PrivateTable| {
            !p.has_touched() || p.resolve(rid, self.command) == Newest::Committed
        };
        (self.allows(rid) && self.private.is_none_or(untouched)).then_some(rid)
    }

    fn add(&mut self, rid: u32, vector: &[f32]) {
        self.stats.distances += 1;
        let distance = distance(self.hnsw.metric, self.query, vector);
        if !distance.is_nan() {
            self.found.push((distance, rid));
        }
    }

    /// The transaction's own rows, always exactly.
    fn own_rows(&mut self) {
        let Some(private) = self.private else { return };
        let column = self.hnsw.column as usize;
        for row in 0..private.row_count() {
            let rid = private.rids[row as usize];
            if !private.visible(row, self.command) || !self.allows(rid) {
                continue;
            }
            if let Value::Vector(cell) = private.value(row, column) {
                self.stats.tail += 1;
                let vectors = self.hnsw.vectors.as_ref();
                self.add(rid, cell_vector(Some(vectors), Some(private), column, cell));
            }
        }
    }

    /// Compares about how many distances either way costs.
    fn exact_is_cheaper(&self, k: usize, ef: usize, allowed: Option<u64>, linked: u32) -> bool {
        let total = u64::from(self.entries.len);
        let candidates = allowed.unwrap_or(total).min(total);
        let selectivity = candidates as f64 / (total.max(1)) as f64;
        let factor = (1.0 / selectivity.max(1e-9)).min(MAX_SELECTIVITY_FACTOR);
        let beam = ef.max(k) as f64 * (f64::from(self.hnsw.m) + 8.0);
        let graph = beam * factor + f64::from(self.entries.len.saturating_sub(linked));
        candidates as f64 <= graph
    }

    /// Every accepted row.
    fn exact(
        &mut self,
        transaction: &Transaction,
        state: &State,
        allowed: Option<u64>,
    ) -> Result<()> {
        let few = allowed.is_some_and(|n| n < u64::from(self.entries.len) / 4);
        if let (true, Some(bits)) = (few, self.filter) {
            return self.exact_rows(transaction, state, bits);
        }
        self.exact_range(transaction, 0, self.entries.len)
    }

    fn exact_range(&mut self, transaction: &Transaction, from: u32, to: u32) -> Result<()> {
        let hnsw = self.hnsw;
        for vid in from..to {
            if self.stats.distances.is_multiple_of(INTERRUPT_DISTANCES) {
                transaction.session.check_interrupt()?;
            }
            if let Some(rid) = self.accept(vid) {
                self.add(rid, hnsw.vectors.vector(vid));
            }
        }
        Ok(())
    }

    /// The rows of a small filter, by row id.
    fn exact_rows(&mut self, transaction: &Transaction, state: &State, bits: &[u8]) -> Result<()> {
        let (table, hnsw) = (self.table, self.hnsw);
        let columns = table.columns();
        let column = hnsw.column as usize;
        for (byte, &mask) in bits.iter().enumerate().filter(|(_, mask)| **mask != 0) {
            let data = read(&table.data);
            for rid in (0..8).filter(|b| mask & (1 << b) != 0).map(|b| byte as u32 * 8 + b) {
                if self.stats.distances.is_multiple_of(INTERRUPT_DISTANCES) {
                    transaction.session.check_interrupt()?;
                }
                let own = self.private.map_or(Newest::Committed, |p| p.resolve(rid, state.command));
                if own != Newest::Committed {
                    continue;
                }
                let Some(slot) = data.visible(rid, self.snapshot) else { continue };
                if let Value::Vector(vid) = slot_value(&data, &columns, column, slot)? {
                    self.add(rid, hnsw.vectors.vector(vid));
                }
            }
        }
        Ok(())
    }

    /// Vids the graph does not have yet.
    fn tail(&mut self, transaction: &Transaction, linked: u32) -> Result<()> {
        let end = self.entries.len;
        self.stats.tail += u64::from(end.saturating_sub(linked));
        self.exact_range(transaction, linked.min(end), end)
    }

    /// Searches the graph; false when it gave fewer rows than there may be. `allowed`: rows the filter lets through.
    fn graph(
        &mut self,
        k: usize,
        ef: usize,
        linked: u32,
        allowed: Option<u64>,
        budget: u64,
    ) -> bool {
        let hnsw = self.hnsw;
        let accepts = |vid: u32| vid < linked && self.accept(vid).is_some();
        let budget = SearchBudget { max_distance_computations: budget };
        let request = SearchRequest { budget, matches: allowed, ..SearchRequest::new(k, ef) };
        let mut hits: Vec<Hit> = Vec::new();
        let stats = hnsw.with_scratch(|scratch| {
            let (graph, vectors) = (&hnsw.graph, &*hnsw.vectors);
            graph.search(vectors, self.query, &request, &accepts, scratch, &mut hits)
        });
        self.stats.visited += stats.visited;
        self.stats.distances += stats.distances;
        let complete = hits.len() >= k && !stats.budget_exceeded;
        for hit in hits {
            if let Some(rid) = self.accept(hit.node) {
                self.stats.distances -= 1;
                self.add(rid, self.hnsw.vectors.vector(hit.node));
            }
        }
        complete
    }
}

pub(super) fn bit(bits: &[u8], rid: u32) -> bool {
    bits.get(rid as usize / 8).is_some_and(|byte| byte & (1 << (rid % 8)) != 0)
}
