//! Nearest rows: own rows and the tail exactly, the rest by graph or exactly, whichever is right and cheaper.
//!
//! The answer never depends on the path: distances come from the one kernel, rows are the visible ones, and a graph that
//! cannot give `k` rows is followed by an exact scan. Only which of the near rows a graph finds is up to it.

use omen_hnsw::{
    Aim, AllNodes, F16, Hit, NodeFilter, SearchBudget, SearchRequest, SparseWords, VectorSource,
    Way,
};

use super::fill::{cell_vector, vectors_of};
use super::private::Newest;
use super::{PrivateTable, State, Transaction};
use crate::error::{Result, StoreError};
use crate::index::hnsw::HnswIndex;
use crate::sync::read;
use crate::table::Table;
use crate::table::entries::EntryView;
use crate::table::form::{FormRows, InWords, has_metric, words};
use crate::table::slot_value;
use crate::types::{Form, Metric, SearchMode, SearchStats};
use crate::value::Value;

/// Exact distances between two looks at the interrupt flag.
const INTERRUPT_DISTANCES: u64 = 16_384;

/// A graph search with few accepted nodes visits about 1 / selectivity as many; beyond this it bridges instead.
const MAX_SELECTIVITY_FACTOR: f64 = 8.0;

/// Width of the beam where a recall is wanted and none was measured yet: the graph is small, or nobody has asked before.
const UNMEASURED_BEAM: usize = 400;

/// One invisible vector in this many: of ten hits, one search in a hundred meets one and is done again.
const UNSEEN_SHARE: u64 = 1000;

/// What a vector search is asked for.
#[derive(Clone, Copy)]
pub struct VectorQuery<'a> {
    /// As many as a row of the column has.
    pub words: &'a [f32],
    pub k: usize,
    pub ef: usize,
    /// Only these row ids, and how many bits are set.
    pub filter: Option<(&'a [u8], u64)>,
    pub mode: SearchMode,
    /// The graph's budget before the exact finish, 0 = none.
    pub max_distances: u64,
    /// The mean recall wanted, of which the graph then makes its beam instead of `ef`; 0 = none. The first such search has
    /// the graph measured, in the background.
    pub recall: f32,
}

/// One query over one index, as a statement sees it.
struct Search<'a, V: ?Sized> {
    table: &'a Table,
    hnsw: &'a HnswIndex,
    private: Option<&'a PrivateTable>,
    rows: FormRows<'a, V>,
    entries: EntryView,
    query: &'a V,
    filter: Option<&'a [u8]>,
    snapshot: u64,
    command: u32,
    /// Vids given again that the graph may not have yet, in order: looked at exactly.
    again: Vec<u32>,
    found: Vec<(f64, u32)>,
    stats: SearchStats,
}

impl Transaction {
    /// The `k` nearest visible rows with a vector, optionally only rids of the filter; never fewer than min(k, matches).
    /// Sorted by (distance, rid), NaN left out.
    pub fn vector_search(
        &self,
        index_id: u32,
        query: &VectorQuery<'_>,
        rids: &mut [u32],
        distances: &mut [f64],
    ) -> Result<(usize, SearchStats)> {
        let state = self.open_state()?;
        let (table, index) = self.engine.readable_index(index_id)?;
        let hnsw = index.hnsw().ok_or_else(|| StoreError::internal("not an hnsw index"))?;
        check_words(query.words, hnsw.vectors.segments.dim())?;
        // Which rows are the nearest hangs on all of them.
        self.note_table_read(&state, &table)?;
        let query = VectorQuery { k: query.k.min(rids.len()).min(distances.len()), ..*query };
        if query.recall > 0.0 {
            hnsw.want_recall();
            self.engine.schedule_linking(&index, hnsw);
        }
        let (found, stats) = self.search_any(&state, &table, hnsw, &query)?;
        state.snapshot.check()?;
        hnsw.vectors.check().map_err(|error| error.relation(table.relation_id).index(index_id))?;
        for (i, (distance, rid)) in found.iter().enumerate() {
            (rids[i], distances[i]) = (*rid, *distance);
        }
        Ok((found.len(), stats))
    }

    /// The search in the form of the index's vectors.
    pub(super) fn search_any(
        &self,
        state: &State,
        table: &Table,
        hnsw: &HnswIndex,
        query: &VectorQuery<'_>,
    ) -> Result<(Vec<(f64, u32)>, SearchStats)> {
        match hnsw.spec.form {
            Form::F32 => self.search_as::<[f32]>(state, table, hnsw, query),
            Form::F16 => self.search_as::<[F16]>(state, table, hnsw, query),
            Form::Bits => self.search_as::<[u64]>(state, table, hnsw, query),
            Form::Sparse => self.search_as::<SparseWords>(state, table, hnsw, query),
        }
    }

    fn search_as<V: InWords + ?Sized>(
        &self,
        state: &State,
        table: &Table,
        hnsw: &HnswIndex,
        query: &VectorQuery<'_>,
    ) -> Result<(Vec<(f64, u32)>, SearchStats)> {
        V::with(query.words, hnsw.spec.dim as usize, |vector| {
            let search = Search {
                private: state.tables.get(&table.relation_id),
                table,
                hnsw,
                rows: hnsw.rows::<V>(),
                entries: hnsw.vectors.entries.view(),
                query: vector,
                filter: query.filter.map(|(bits, _)| bits),
                snapshot: state.snapshot.number,
                command: state.command,
                again: Vec::new(),
                found: Vec::new(),
                stats: SearchStats::default(),
            };
            search.run(self, state, query)
        })
    }

    /// Distances of given visible rows to `query`; NULL, NaN and rows the statement does not see come back as NaN.
    #[expect(clippy::too_many_arguments, reason = "the call of the contract")]
    pub fn vector_distances(
        &self,
        relation_id: u32,
        column: u16,
        form: Form,
        dim: u32,
        metric: Metric,
        rids: &[u32],
        query: &[f32],
        distances: &mut [f64],
    ) -> Result<()> {
        let state = self.open_state()?;
        let table = self.engine.readable_table(relation_id)?;
        let private = state.tables.get(&relation_id);
        let columns =
            private.map_or_else(|| table.columns(), |p| std::sync::Arc::clone(&p.columns));
        let info =
            columns.get(column as usize).ok_or_else(|| StoreError::internal("no such column"))?;
        if words(form, dim) != info.spec.dim || !has_metric(form, metric) {
            return Err(StoreError::internal("a form or metric that the column does not have"));
        }
        check_words(query, info.spec.dim as usize)?;
        self.note_rows_read(&state, &table, rids)?;
        let column = column as usize;
        let shared = vectors_of(&table, private, column);
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
                    let row = cell_vector(shared.as_deref(), private, column, cell)?;
                    match form {
                        Form::F32 => pair::<[f32]>(metric, query, row, dim),
                        Form::F16 => pair::<[F16]>(metric, query, row, dim),
                        Form::Bits => pair::<[u64]>(metric, query, row, dim),
                        Form::Sparse => pair::<SparseWords>(metric, query, row, dim),
                    }
                }
                _ => f64::NAN,
            };
        }
        state.snapshot.check()
    }
}

/// The `k` first by (distance, rid), in that order.
pub(super) fn keep_nearest(found: &mut Vec<(f64, u32)>, k: usize) {
    let nearer = |a: &(f64, u32), b: &(f64, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if k > 0 && k < found.len() {
        found.select_nth_unstable_by(k - 1, nearer);
    }
    found.truncate(k);
    found.sort_unstable_by(nearer);
}

/// The distance of two vectors in words.
fn pair<V: InWords + ?Sized>(metric: Metric, a: &[f32], b: &[f32], dim: u32) -> f64 {
    let dim = dim as usize;
    V::with(a, dim, |a| V::with(b, dim, |b| V::distance(metric, a, b)))
}

/// The caller has compared dimensions, in the words of the type.
pub(super) fn check_words(query: &[f32], words: usize) -> Result<()> {
    if query.len() == words {
        return Ok(());
    }
    Err(StoreError::internal(format!("a query of {} words over rows of {words}", query.len())))
}

impl<V: InWords + ?Sized> Search<'_, V> {
    fn run(
        mut self,
        transaction: &Transaction,
        state: &State,
        query: &VectorQuery<'_>,
    ) -> Result<(Vec<(f64, u32)>, SearchStats)> {
        let &VectorQuery { k, mode, max_distances, .. } = query;
        let aim = self.aim(query);
        let allowed = query.filter.map(|(_, count)| count);
        self.own_rows()?;
        // Before the length and the graph are looked at: what is linked meanwhile is then on the list.
        self.again = self.hnsw.given_again();
        self.again.sort_unstable();
        let linked = self.hnsw.graph.len();
        let exact = match mode {
            // What a damaged graph finds is not to be trusted.
            _ if !self.hnsw.graph.is_sound() => true,
            SearchMode::Exact => true,
            SearchMode::Graph => false,
            SearchMode::Auto => self.exact_is_cheaper(k, aim.filtered.ef, allowed, linked),
        };
        if exact {
            self.stats.path = 2;
            self.exact(transaction, state, allowed)?;
        } else {
            self.tail(transaction, linked)?;
            let before = self.found.clone();
            let budget = if max_distances == 0 { u64::MAX } else { max_distances };
            if !self.graph(k, &aim, linked, allowed, budget) {
                // The graph ran dry, out of budget or into damage: only looking at everything tells what it missed.
                self.found = before;
                let (private, command) = (self.private, self.command);
                self.found.retain(|(_, rid)| {
                    private.is_some_and(|p| p.resolve(*rid, command) != Newest::Committed)
                });
                self.stats.path = 1;
                self.exact(transaction, state, allowed)?;
            }
        }
        let mut found = self.found;
        keep_nearest(&mut found, k);
        Ok((found, self.stats))
    }

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

    fn add(&mut self, rid: u32, vector: &V) {
        self.stats.distances += 1;
        let distance = V::distance(self.hnsw.spec.metric, self.query, vector);
        if !distance.is_nan() {
            self.found.push((distance, rid));
        }
    }

    /// The transaction's own rows, always exactly.
    fn own_rows(&mut self) -> Result<()> {
        let Some(private) = self.private else { return Ok(()) };
        let column = self.hnsw.column as usize;
        for row in 0..private.row_count() {
            let rid = private.rids[row as usize];
            if !private.visible(row, self.command) || !self.allows(rid) {
                continue;
            }
            if let Value::Vector(cell) = private.value(row, column) {
                self.stats.tail += 1;
                let vectors = self.hnsw.vectors.as_ref();
                let row = cell_vector(Some(vectors), Some(private), column, cell)?;
                V::with(row, self.hnsw.spec.dim as usize, |vector| self.add(rid, vector));
            }
        }
        Ok(())
    }

    /// Compares about how many distances either way costs.
    fn exact_is_cheaper(&self, k: usize, ef: usize, allowed: Option<u64>, linked: u32) -> bool {
        let total = u64::from(self.entries.len);
        let candidates = allowed.unwrap_or(total).min(total);
        let selectivity = candidates as f64 / (total.max(1)) as f64;
        let factor = (1.0 / selectivity.max(1e-9)).min(MAX_SELECTIVITY_FACTOR);
        let beam = ef.max(k) as f64 * (f64::from(self.hnsw.spec.m) + 8.0);
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
                let vector = FormRows::<V>::new(&hnsw.vectors, hnsw.spec.dim as usize);
                self.add(rid, vector.vector(vid));
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
                    let rows = FormRows::<V>::new(&hnsw.vectors, hnsw.spec.dim as usize);
                    self.add(rid, rows.vector(vid));
                }
            }
        }
        Ok(())
    }

    /// Vids the graph does not have yet.
    fn tail(&mut self, transaction: &Transaction, linked: u32) -> Result<()> {
        let end = self.entries.len;
        self.stats.tail += u64::from(end.saturating_sub(linked));
        self.exact_range(transaction, linked.min(end), end)?;
        let again = std::mem::take(&mut self.again);
        self.stats.tail += again.len() as u64;
        for &vid in again.iter().filter(|&&vid| vid < linked) {
            if let Some(rid) = self.accept(vid) {
                let rows = FormRows::<V>::new(&self.hnsw.vectors, self.hnsw.spec.dim as usize);
                self.add(rid, rows.vector(vid));
            }
        }
        self.again = again;
        Ok(())
    }

    /// How the graph is searched: by the beam that was said, or for the recall that is wanted.
    fn aim(&self, query: &VectorQuery<'_>) -> Aim {
        let &VectorQuery { k, ef, recall, .. } = query;
        let fixed = |ef: usize| Aim { open: Way::fixed(ef), filtered: Way::fixed(ef) };
        if recall <= 0.0 {
            return fixed(ef);
        }
        let known = self.hnsw.graph.calibration();
        known.map_or_else(|| fixed(ef.max(UNMEASURED_BEAM)), |known| known.aim(recall, k))
    }

    /// Searches the graph; false when it gave fewer rows than there may be. `allowed`: rows the filter lets through.
    fn graph(
        &mut self,
        k: usize,
        aim: &Aim,
        linked: u32,
        allowed: Option<u64>,
        budget: u64,
    ) -> bool {
        let budget = SearchBudget { max_distance_computations: budget };
        let rerank = self.hnsw.rerank();
        let request =
            |way: Way| SearchRequest { budget, matches: allowed, rerank, ..way.request(k) };
        let in_tail = |vid: u32| vid >= linked || self.again.binary_search(&vid).is_ok();
        let accepts = |vid: u32| !in_tail(vid) && self.accept(vid).is_some();
        let mut stats = omen_hnsw::SearchStats::default();
        let mut hits: Vec<Hit> = Vec::new();
        let mut way = aim.open;
        if self.filter.is_none() && self.sees_nearly_all() {
            stats = self.search_graph(&request(way), &AllNodes, &mut hits);
        }
        if hits.is_empty() || !hits.iter().all(|hit| accepts(hit.node)) {
            hits.clear();
            way = aim.filtered;
            stats = self.search_graph(&request(way), &accepts, &mut hits);
        }
        let stops = way.slack.is_finite();
        self.stats.beam = if stops { stats.kept } else { way.ef as u64 };
        self.stats.slack = if stops { f64::from(way.slack) } else { 0.0 };
        self.stats.recall = f64::from(way.recall);
        self.stats.visited += stats.visited;
        self.stats.distances += stats.distances;
        let is_sound = self.hnsw.graph.is_sound();
        let complete = hits.len() >= k && !stats.budget_exceeded && is_sound;
        for hit in hits {
            if let Some(rid) = self.accept(hit.node) {
                self.stats.distances -= 1;
                let rows = self.hnsw.rows::<V>();
                self.add(rid, rows.vector(hit.node));
            }
        }
        complete
    }
}

impl<V: InWords + ?Sized> Search<'_, V> {
    fn search_graph<F: NodeFilter>(
        &self,
        request: &SearchRequest,
        filter: &F,
        hits: &mut Vec<Hit>,
    ) -> omen_hnsw::SearchStats {
        let hnsw = self.hnsw;
        hnsw.with_scratch(|scratch| {
            hnsw.graph.search(&self.rows, self.query, request, filter, scratch, hits)
        })
    }

    /// Whether the hits of a search that asks nobody are likely all visible, which is then looked at: a third of the time
    /// of an unfiltered search goes into asking for each node it meets.
    fn sees_nearly_all(&self) -> bool {
        u64::from(self.entries.len - self.entries.live.min(self.entries.len)) * UNSEEN_SHARE
            <= u64::from(self.entries.len)
    }
}

pub(super) fn bit(bits: &[u8], rid: u32) -> bool {
    bits.get(rid as usize / 8).is_some_and(|byte| byte & (1 << (rid % 8)) != 0)
}
