//! Nearest neighbours and text.

use super::{EngineTransaction, part, part_mut};
use crate::columns::{Range, read_column};
use crate::cursor::TextQuery;
use crate::error::{Result, guard, misuse};
use crate::lend::Lent;
use crate::spec;
use napi::{Env, Unknown};
use napi_derive::napi;
use omen_store::{NearestInRange, RangeQuery, SearchMode, SearchStats, VectorQuery};

fn search_mode(mode: u32) -> Result<SearchMode> {
    Ok(match mode {
        0 => SearchMode::Auto,
        1 => SearchMode::Graph,
        2 => SearchMode::Exact,
        other => return Err(misuse(format!("search mode {other}"))),
    })
}

/// Fills the `stats` array (see `SearchStat`); slots it does not have are left out.
fn report(stats: &SearchStats, slots: &mut [f64]) {
    let values = [
        f64::from(stats.path),
        stats.visited as f64,
        stats.distances as f64,
        stats.tail as f64,
        stats.blocks_read as f64,
        stats.blocks_skipped as f64,
        stats.matching as f64,
        stats.beam as f64,
        stats.slack,
        stats.recall,
    ];
    slots.iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
}

#[napi]
impl EngineTransaction {
    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn vector_search(
        &self,
        env: Env,
        index_id: u32,
        query: Unknown<'_>,
        k: u32,
        ef: u32,
        filter: Unknown<'_>,
        filter_count: f64,
        mode: u32,
        max_distances: f64,
        recall: f64,
        rids: Unknown<'_>,
        distances: Unknown<'_>,
        stats: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let query = lent.read(query, "query")?;
            let filter = lent.read_optional(filter, "filter")?;
            let rids = part_mut(lent.write(rids, "rids")?, 0, k, "rids")?;
            let distances = part_mut(lent.write(distances, "distances")?, 0, k, "distances")?;
            let stats = lent.write(stats, "stats")?;
            let query = VectorQuery {
                words: query,
                k: k as usize,
                ef: ef as usize,
                filter: filter.map(|bits| (bits, filter_count as u64)),
                mode: search_mode(mode)?,
                max_distances: max_distances as u64,
                recall: recall as f32,
            };
            let (count, found) =
                self.transaction.vector_search(index_id, &query, rids, distances)?;
            report(&found, stats);
            Ok(count as u32)
        })
    }

    /// -1 = the range has more than `most` entries and fewer than `wide`; -2 = the transaction has rows of its own in the
    /// table; -3 = the range is wide, and too few of the nearest rows lie in it.
    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn nearest_in_range(
        &self,
        env: Env,
        index_id: u32,
        key_index_id: u32,
        range: Unknown<'_>,
        most: u32,
        wide: u32,
        ef: u32,
        sure: u32,
        max_distances: f64,
        query: Unknown<'_>,
        k: u32,
        rids: Unknown<'_>,
        distances: Unknown<'_>,
        stats: Unknown<'_>,
    ) -> napi::Result<i32> {
        guard(env, || {
            let lent = Lent::new(env);
            let range = Range::read(&lent, range)?;
            let rids = part_mut(lent.write(rids, "rids")?, 0, k, "rids")?;
            let distances = part_mut(lent.write(distances, "distances")?, 0, k, "distances")?;
            let stats = lent.write(stats, "stats")?;
            let query = RangeQuery {
                key_index_id,
                range: range.view(),
                words: lent.read(query, "query")?,
                most: most as usize,
                wide: wide as usize,
                ef: ef as usize,
                sure: sure as usize,
                max_distances: max_distances as u64,
            };
            let found = self.transaction.nearest_in_range(index_id, &query, rids, distances)?;
            Ok(match found {
                NearestInRange::Found { count, stats: found } => {
                    report(&found, stats);
                    count as i32
                }
                NearestInRange::TooMany => -1,
                NearestInRange::OwnRows => -2,
                NearestInRange::TooFewPass => -3,
            })
        })
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn vector_distances(
        &self,
        env: Env,
        relation_id: u32,
        column: u32,
        form: String,
        dimensions: u32,
        metric: String,
        rids: Unknown<'_>,
        count: u32,
        query: Unknown<'_>,
        distances: Unknown<'_>,
    ) -> napi::Result<()> {
        guard(env, || {
            let lent = Lent::new(env);
            let rids = part(lent.read(rids, "rids")?, 0, count, "rids")?;
            let query = lent.read(query, "query")?;
            let distances = part_mut(lent.write(distances, "distances")?, 0, count, "distances")?;
            let column = u16::try_from(column).map_err(|_| misuse("column position over 65535"))?;
            let (form, metric) = (spec::form(&form)?, spec::metric(&metric)?);
            self.transaction.vector_distances(
                relation_id,
                column,
                form,
                dimensions,
                metric,
                rids,
                query,
                distances,
            )
        })
    }

    #[napi]
    pub fn text_query(&self, env: Env, index_id: u32, query: String) -> napi::Result<TextQuery> {
        guard(env, || Ok(TextQuery::new(self.transaction.text_query(index_id, &query)?)))
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn text_search(
        &self,
        env: Env,
        index_id: u32,
        query: &TextQuery,
        k: u32,
        filter: Unknown<'_>,
        mode: u32,
        rids: Unknown<'_>,
        scores: Unknown<'_>,
        stats: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let filter = lent.read_optional(filter, "filter")?;
            let rids = part_mut(lent.write(rids, "rids")?, 0, k, "rids")?;
            let scores = part_mut(lent.write(scores, "scores")?, 0, k, "scores")?;
            let stats = lent.write(stats, "stats")?;
            let (query, mode) = (query.get()?, search_mode(mode)?);
            let (count, found) = self
                .transaction
                .text_search(index_id, query, k as usize, filter, mode, rids, scores)?;
            report(&found, stats);
            Ok(count as u32)
        })
    }

    #[napi]
    pub fn text_bitmap(
        &self,
        env: Env,
        index_id: u32,
        query: &TextQuery,
        bitmap: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let bitmap = lent.write(bitmap, "bitmap")?;
            Ok(self.transaction.text_bitmap(index_id, query.get()?, bitmap)? as u32)
        })
    }

    #[napi]
    pub fn text_score(
        &self,
        env: Env,
        query: &TextQuery,
        texts: Unknown<'_>,
        count: u32,
        scores: Unknown<'_>,
    ) -> napi::Result<()> {
        guard(env, || {
            let lent = Lent::new(env);
            let texts = read_column(&lent, texts)?;
            let scores = part_mut(lent.write(scores, "scores")?, 0, count, "scores")?;
            self.transaction.text_score(query.get()?, &texts, count as usize, scores)
        })
    }
}
