//! Full-text search: committed documents through the index, own rows scored with the same statistics and merged.

use std::sync::Arc;

use omen_text::ScoredDoc;

use super::private::Newest;
use super::search::bit;
use super::{PrivateTable, State, Transaction};
use crate::column::{ColumnRef, ValuesRef};
use crate::error::{Result, StoreError};
use crate::index::Index;
use crate::index::bm25::{Bm25Index, Generation};
use crate::table::Table;
use crate::table::entries::EntryView;
use crate::types::{SearchMode, SearchStats};
use crate::value::Value;

/// Query terms with the statistics (documents, average length, frequencies) captured when it was made: every score of a
/// statement comes from one of these.
pub struct TextQuery {
    query: omen_text::TextQuery,
    index: Arc<Index>,
}

impl TextQuery {
    pub fn term_count(&self) -> usize {
        self.query.document_frequencies().count()
    }

    /// Sum of document frequencies: an upper bound of the matches.
    pub fn match_bound(&self) -> u64 {
        self.query.document_frequencies().map(|(_, docs)| u64::from(docs)).sum()
    }

    fn bm25(&self) -> &Bm25Index {
        self.index.bm25().expect("made from a bm25 index")
    }
}

/// Who may be an answer, as a statement sees it.
struct Reader<'a> {
    generation: Arc<Generation>,
    entries: EntryView,
    private: Option<&'a PrivateTable>,
    filter: Option<&'a [u8]>,
    snapshot: u64,
    command: u32,
}

impl Reader<'_> {
    fn accept(&self, document: u32) -> Option<u32> {
        // Documents newer than the view belong to commits newer than the snapshot.
        let rid = (document < self.entries.len)
            .then(|| self.entries.visible(document, self.snapshot))??;
        let untouched = |p: &PrivateTable| {
            !p.has_touched() || p.resolve(rid, self.command) == Newest::Committed
        };
        let allowed = self.filter.is_none_or(|bits| bit(bits, rid));
        (allowed && self.private.is_none_or(untouched)).then_some(rid)
    }
}

impl Transaction {
    pub fn text_query(&self, index_id: u32, query: &str) -> Result<TextQuery> {
        let state = self.open_state()?;
        let (table, index) = self.engine.index(index_id)?;
        let bm25 = index.bm25().ok_or_else(|| StoreError::internal("not a bm25 index"))?;
        // Every text of the table has its part in the statistics, and so in every score.
        self.note_table_read(&state, &table)?;
        Ok(TextQuery { query: bm25.generation().text.query(query), index })
    }

    fn text_reader<'a>(
        state: &'a State,
        table: &Table,
        query: &TextQuery,
        filter: Option<&'a [u8]>,
    ) -> Reader<'a> {
        let generation = query.bm25().generation();
        Reader {
            entries: generation.entries.view(),
            generation,
            private: state.tables.get(&table.relation_id),
            filter,
            snapshot: state.snapshot.number,
            command: state.command,
        }
    }

    /// The `k` best visible matching rows, best first, ties by rid.
    #[expect(clippy::too_many_arguments, reason = "the call of the contract")]
    pub fn text_search(
        &self,
        index_id: u32,
        query: &TextQuery,
        k: usize,
        filter: Option<&[u8]>,
        mode: SearchMode,
        rids: &mut [u32],
        scores: &mut [f64],
    ) -> Result<(usize, SearchStats)> {
        let state = self.open_state()?;
        let (table, _) = self.engine.index(index_id)?;
        let reader = Self::text_reader(&state, &table, query, filter);
        let k = k.min(rids.len()).min(scores.len());
        let mut stats = SearchStats::default();
        let mut found = own_scores(&reader, query);
        stats.tail = found.len() as u64;
        let (committed, searched) = best_documents(&reader, query, k, mode == SearchMode::Exact);
        stats.blocks_read = searched.blocks_read;
        stats.blocks_skipped = searched.blocks_skipped;
        stats.visited = searched.scored;
        stats.path = if mode == SearchMode::Exact { 2 } else { 0 };
        found.extend(committed);
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(k);
        state.snapshot.check()?;
        for (i, (score, rid)) in found.iter().enumerate() {
            (rids[i], scores[i]) = (*rid, f64::from(*score));
        }
        Ok((found.len(), stats))
    }

    /// Sets the bits of all visible rows that contain a term of the query; returns how many were set.
    pub fn text_bitmap(
        &self,
        index_id: u32,
        query: &TextQuery,
        bitmap: &mut [u8],
    ) -> Result<usize> {
        let state = self.open_state()?;
        let (table, _) = self.engine.index(index_id)?;
        let reader = Self::text_reader(&state, &table, query, None);
        let (mut count, mut outside) = (0, false);
        let mut set = |rid: u32| match bitmap.get_mut(rid as usize / 8) {
            Some(byte) => {
                count += usize::from(*byte & (1 << (rid % 8)) == 0);
                *byte |= 1 << (rid % 8);
            }
            None => outside = true,
        };
        for (_, rid) in own_scores(&reader, query) {
            set(rid);
        }
        reader.generation.text.matches(&query.query, |document| {
            if let Some(rid) = reader.accept(document) {
                set(rid);
            }
        });
        state.snapshot.check()?;
        if outside { Err(StoreError::internal("bitmap smaller than ridLimit")) } else { Ok(count) }
    }

    /// Scores texts with the query's statistics; 0 where no term matches or NULL.
    pub fn text_score(
        &self,
        query: &TextQuery,
        texts: &ColumnRef<'_>,
        count: usize,
        scores: &mut [f64],
    ) -> Result<()> {
        if !matches!(texts.values, ValuesRef::Bytes { .. }) {
            return Err(StoreError::internal("texts come as a bytes column"));
        }
        let bm25 = query.bm25();
        for (row, score) in scores.iter_mut().enumerate().take(count) {
            let document = bm25.analyze(texts.value(row)?);
            *score = document.map_or(0.0, |d| f64::from(query.query.score(&d)));
        }
        Ok(())
    }
}

/// The transaction's own visible rows that match, with their scores.
fn own_scores(reader: &Reader<'_>, query: &TextQuery) -> Vec<(f32, u32)> {
    let Some(private) = reader.private else { return Vec::new() };
    let column = query.index.spec.columns[0].column as usize;
    let known = private.documents.get(&query.index.spec.index_id);
    let mut found = Vec::new();
    for row in 0..private.row_count() {
        let rid = private.rids[row as usize];
        let allowed = reader.filter.is_none_or(|bits| bit(bits, rid));
        if !private.visible(row, reader.command) || !allowed {
            continue;
        }
        let score = match known.and_then(|d| d.get(row as usize)) {
            Some(document) => document.as_ref().map(|d| query.query.score(d)),
            None => match private.value(row, column) {
                Value::Null => None,
                text => query.bm25().analyze(text).map(|d| query.query.score(&d)),
            },
        };
        if let Some(score) = score.filter(|s| *s > 0.0) {
            found.push((score, rid));
        }
    }
    found
}

/// The `k` best committed rows. The index breaks ties by document, rows by rid: when the cut falls among equal scores,
/// all of them are fetched before rows are compared.
fn best_documents(
    reader: &Reader<'_>,
    query: &TextQuery,
    k: usize,
    exhaustive: bool,
) -> (Vec<(f32, u32)>, omen_text::TextSearchStats) {
    let text = &reader.generation.text;
    let accepts = |document: u32| reader.accept(document).is_some();
    let mut hits: Vec<ScoredDoc> = Vec::new();
    let mut wanted = if exhaustive { usize::MAX } else { k.saturating_add(1) };
    let everything = reader.entries.len as usize + 1;
    loop {
        wanted = wanted.min(everything);
        let stats = text.search(&query.query, wanted, &accepts, &mut hits);
        let cut_among_equals = hits.len() == wanted
            && k > 0
            && hits.last().map(|h| h.score) == hits.get(k - 1).map(|h| h.score);
        if !cut_among_equals || wanted == everything {
            let rows = hits.iter().filter_map(|hit| Some((hit.score, reader.accept(hit.doc)?)));
            return (rows.collect(), stats);
        }
        wanted = wanted.saturating_mul(4);
    }
}
