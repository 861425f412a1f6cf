//! Top-k over one run of documents: MaxScore (Turtle and Flood, 1995) with block bounds, the filter inside.
//!
//! Terms are sorted by the most they can add. Those whose sum cannot beat the k-th best score are not essential: a document
//! that holds only such terms need not be looked at, so candidates come from the essential lists alone. Before candidates
//! are taken from a stretch of documents, the block bounds of the essential lists are summed over it; a stretch that cannot
//! win is stepped over without unpacking a block.

use crate::bm25::TextQuery;
use crate::postings::{NO_MORE_DOCS, PostingCursor};
use crate::top_k::TopK;
use crate::{DocFilter, TextSearchStats};

/// One query term in one run of documents.
struct Scorer<C> {
    cursor: C,
    weight: f32,
    /// The term's position in the query: scores are summed in that order.
    order: usize,
    /// The most this term adds to any document of the run.
    most: f64,
}

/// Offers every accepted document of one run that may be among the best to `top`.
///
/// `cursor_of` finds a term's postings in the run, `norm_of` a document's norm.
pub(crate) fn search_run<C: PostingCursor, F: DocFilter>(
    query: &TextQuery,
    cursor_of: impl Fn(&str) -> Option<C>,
    norm_of: impl Fn(u32) -> u8,
    filter: &F,
    top: &mut TopK,
    stats: &mut TextSearchStats,
) {
    let mut scorers: Vec<Scorer<C>> = Vec::new();
    for (order, term) in query.terms().iter().enumerate() {
        if let Some(cursor) = cursor_of(&term.term) {
            let most = query.most(term.weight, cursor.list_bounds());
            scorers.push(Scorer { cursor, weight: term.weight, order, most });
        }
    }
    scorers.sort_by(|a, b| a.most.total_cmp(&b.most));
    let mut sum = 0.0;
    let sums = scorers.iter().map(|scorer| {
        sum += scorer.most;
        sum
    });
    let sums = sums.collect();
    let parts = vec![0.0; query.terms().len()];
    let mut run = Run { query, scorers, sums, essential: 0, parts, norm_of, filter, top, stats };
    run.search();
    for scorer in &run.scorers {
        let (blocks, opened) = scorer.cursor.blocks();
        run.stats.blocks_read += opened;
        run.stats.blocks_skipped += blocks - opened;
    }
}

struct Run<'a, C, N, F> {
    query: &'a TextQuery,
    /// By `most`, ascending.
    scorers: Vec<Scorer<C>>,
    /// `sums[i]` is the most that scorers `0..=i` add together.
    sums: Vec<f64>,
    /// Scorers from here on are essential.
    essential: usize,
    /// What each query term adds to the current document.
    parts: Vec<f32>,
    norm_of: N,
    filter: &'a F,
    top: &'a mut TopK,
    stats: &'a mut TextSearchStats,
}

impl<C: PostingCursor, N: Fn(u32) -> u8, F: DocFilter> Run<'_, C, N, F> {
    fn search(&mut self) {
        let mut from = 0;
        loop {
            while self.sums.get(self.essential).is_some_and(|&sum| !self.top.admits(sum, from)) {
                self.essential += 1;
            }
            let Some((start, end)) = self.next_stretch(from) else { return };
            from = start;
            // The best may change with every document, and with it what is essential and which stretches are worth it.
            let mut changed = false;
            while !changed {
                let doc = self.next_candidate(from);
                if doc == NO_MORE_DOCS {
                    return;
                }
                if doc > end {
                    from = doc;
                    break;
                }
                changed = self.consider(doc);
                from = doc + 1;
            }
        }
    }

    /// The next stretch of documents, at or after `from`, whose block bounds leave a chance; both ends inclusive.
    fn next_stretch(&mut self, mut from: u32) -> Option<(u32, u32)> {
        let others = self.essential.checked_sub(1).map_or(0.0, |last| self.sums[last]);
        loop {
            let (mut end, mut bound) = (NO_MORE_DOCS, others);
            for scorer in &mut self.scorers[self.essential..] {
                scorer.cursor.seek_block(from);
                let last = scorer.cursor.block_last();
                if last != NO_MORE_DOCS {
                    bound += self.query.most(scorer.weight, scorer.cursor.block_bounds());
                    end = end.min(last);
                }
            }
            if end == NO_MORE_DOCS {
                return None;
            }
            if self.top.admits(bound, from) {
                return Some((from, end));
            }
            from = end + 1;
        }
    }

    /// The first document at or after `from` that holds an essential term.
    fn next_candidate(&mut self, from: u32) -> u32 {
        let essential = &mut self.scorers[self.essential..];
        essential.iter_mut().map(|s| s.cursor.seek(from)).min().unwrap_or(NO_MORE_DOCS)
    }

    /// Scores `doc` unless it cannot win; true when it is among the best now.
    fn consider(&mut self, doc: u32) -> bool {
        if !F::ACCEPTS_ALL && !self.filter.accepts(doc) {
            self.stats.filtered += 1;
            return false;
        }
        let norm = (self.norm_of)(doc);
        self.parts.fill(0.0);
        let mut known = 0.0;
        for (at, scorer) in self.scorers.iter_mut().enumerate().rev() {
            if at < self.essential {
                if !self.top.admits(known + self.sums[at], doc) {
                    return false;
                }
                scorer.cursor.seek(doc);
            }
            if scorer.cursor.doc() == doc {
                let part = self.query.contribution(scorer.weight, scorer.cursor.tf(), norm);
                self.parts[scorer.order] = part;
                known += part as f64;
            }
        }
        self.stats.scored += 1;
        self.top.add(self.parts.iter().map(|&part| part as f64).sum::<f64>() as f32, doc)
    }
}

/// Calls `f` with every document of one run that holds any of the query's terms, possibly more than once.
pub(crate) fn matches_of_run<C: PostingCursor>(
    query: &TextQuery,
    cursor_of: impl Fn(&str) -> Option<C>,
    f: &mut impl FnMut(u32),
) {
    for mut cursor in query.terms().iter().filter_map(|term| cursor_of(&term.term)) {
        let mut doc = cursor.seek(0);
        while doc != NO_MORE_DOCS {
            f(doc);
            doc = cursor.seek(doc + 1);
        }
    }
}
