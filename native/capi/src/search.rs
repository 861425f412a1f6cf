//! Searches of an index: by the graph, or by measuring every vector that may be found, whichever is cheaper, so that fewer than
//! `k` hits always mean that there are no more.

use std::borrow::Cow;

use omen_hnsw::{AllNodes, Hit, NodeFilter, SearchBudget, SearchRequest, VectorForm};
use omen_kernels::words;

use crate::exact::nearest;
use crate::index::Typed;
use crate::settings::Component;
use crate::status::Failure;

/// A filter that accepts at most this many vectors for each unit of `ef` is answered by measuring them all: a traversal
/// measures as many before it has found its way.
const SCAN_PER_EF: u64 = 40;
/// Search memory kept between searches: about as many as threads search at once.
const MAX_IDLE_SCRATCHES: usize = 16;

/// Which labels may be found.
#[derive(Clone, Copy)]
pub(crate) struct Filter<'a> {
    pub words: &'a [u64],
    pub bits: u64,
    /// Vectors of the index it accepts, if known.
    pub matches: Option<u64>,
}

impl Filter<'_> {
    #[inline]
    fn accepts(&self, label: u64) -> bool {
        label < self.bits && self.words[(label / 64) as usize] >> (label % 64) & 1 == 1
    }

    /// The word's bits that belong to the filter.
    fn word(&self, at: usize) -> u64 {
        match self.bits - at as u64 * 64 {
            rest @ 0..64 => self.words[at] & ((1 << rest) - 1),
            _ => self.words[at],
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub k: usize,
    pub ef: usize,
    pub rerank: usize,
    pub filter: Option<Filter<'a>>,
}

impl<E: Component> Typed<E>
where
    [E]: VectorForm,
{
    /// Labels and distances, nearest first.
    ///
    /// # Safety
    /// `query` leads to a row.
    pub unsafe fn search(
        &self,
        query: *const u8,
        request: &Request<'_>,
    ) -> Result<Vec<(u64, f32)>, Failure> {
        // SAFETY: the contract is the caller's.
        let query = unsafe { self.query(query) };
        if !E::is_sound(&query, self.settings.dim) {
            return Err(Failure::argument(
                "the query has components that are not finite, or bits past its dimension",
            ));
        }
        // Wider than the index is no better, and sizes memory.
        let count = self.graph.len() as usize;
        let request = &Request { k: request.k.min(count), ef: request.ef.min(count), ..*request };
        if request.k == 0 {
            return Ok(Vec::new());
        }
        let live = self.len();
        let hits = match &request.filter {
            None if live == u64::from(self.graph.len()) => self.unfiltered(&query, request),
            None => self.filtered(&query, request, live, |node| !self.is_removed(node)),
            Some(filter) => {
                let matches = filter.matches.unwrap_or_else(|| self.count(filter)).min(live);
                let accepts = |node| !self.is_removed(node) && filter.accepts(self.label(node));
                self.filtered(&query, request, matches, accepts)
            }
        };
        Ok(hits.into_iter().map(|hit| (self.label(hit.node), hit.distance)).collect())
    }

    /// The query in place where it is aligned, else a copy.
    ///
    /// # Safety
    /// `query` leads to a row that outlives the result.
    unsafe fn query<'a>(&self, query: *const u8) -> Cow<'a, [E]> {
        let width = E::width(self.settings.dim);
        let elements: *const E = query.cast();
        // SAFETY: `query` leads to a row (contract of the function); unaligned ones are read as such.
        unsafe {
            if elements.is_aligned() {
                return Cow::Borrowed(std::slice::from_raw_parts(elements, width));
            }
            Cow::Owned((0..width).map(|at| elements.add(at).read_unaligned()).collect())
        }
    }

    /// How many vectors a filter accepts: exactly where labels are positions, else at most.
    fn count(&self, filter: &Filter<'_>) -> u64 {
        if self.is_labelled() {
            return (0..filter.words.len()).map(|at| u64::from(filter.word(at).count_ones())).sum();
        }
        let count = self.graph.len() as usize;
        let accepted = |at: usize| filter.word(at) & !self.removed_word(at) & present(count, at);
        let shared = words(count).min(filter.words.len());
        (0..shared).map(|at| u64::from(accepted(at).count_ones())).sum()
    }

    fn unfiltered(&self, query: &[E], request: &Request<'_>) -> Vec<Hit> {
        let (hits, _) = self.traverse(query, request, SearchBudget::UNLIMITED, None, &AllNodes);
        if hits.len() < request.k && hits.len() < self.graph.len() as usize {
            return self.scan(query, request.k, |_| true);
        }
        hits
    }

    fn filtered(
        &self,
        query: &[E],
        request: &Request<'_>,
        matches: u64,
        accepts: impl Fn(u32) -> bool,
    ) -> Vec<Hit> {
        let traversal = SCAN_PER_EF * request.ef.max(request.k) as u64;
        if matches <= traversal {
            return self.scan(query, request.k, accepts);
        }
        // Past as many distances as there are matches a scan would have been done.
        let budget = SearchBudget { max_distance_computations: matches + traversal };
        let (hits, gave_up) = self.traverse(query, request, budget, Some(matches), &accepts);
        if gave_up || hits.len() < request.k {
            return self.scan(query, request.k, accepts);
        }
        hits
    }

    /// What the graph finds, and whether it gave up.
    fn traverse<F: NodeFilter>(
        &self,
        query: &[E],
        request: &Request<'_>,
        budget: SearchBudget,
        matches: Option<u64>,
        filter: &F,
    ) -> (Vec<Hit>, bool) {
        let request = SearchRequest {
            budget,
            matches,
            rerank: request.rerank,
            ..SearchRequest::new(request.k, request.ef)
        };
        // A lock that a panic left behind guards nothing but memory to reuse.
        let idle = self.scratches.lock().ok().and_then(|mut idle| idle.pop());
        let mut scratch = idle.unwrap_or_default();
        let mut hits = Vec::with_capacity(request.k.min(1 << 16));
        let (graph, vectors) = (&self.graph, &self.vectors);
        let stats = graph.search(vectors, query, &request, filter, &mut scratch, &mut hits);
        if let Ok(mut idle) = self.scratches.lock()
            && idle.len() < MAX_IDLE_SCRATCHES
        {
            idle.push(scratch);
        }
        (hits, stats.budget_exceeded)
    }

    fn scan(&self, query: &[E], k: usize, accepts: impl Fn(u32) -> bool) -> Vec<Hit> {
        let nodes = (0..self.graph.len()).filter(|&node| accepts(node));
        nearest(&self.vectors, self.settings.params.metric, query, nodes, k)
    }
}

/// The bits of word `at` that stand for one of `count` nodes.
fn present(count: usize, at: usize) -> u64 {
    match count - at * 64 {
        rest @ 0..64 => (1 << rest) - 1,
        _ => u64::MAX,
    }
}
