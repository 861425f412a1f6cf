//! The index: a delta that grows, segments that do not, and statistics that count both exactly.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::bm25::{CollectionStatistics, TextQuery};
use crate::delta::Delta;
use crate::removed::Removed;
use crate::search::{matches_of_run, search_run};
use crate::segment::{Segment, SegmentError, SegmentWriter};
use crate::top_k::{ScoredDoc, TopK};
use crate::{AnalyzedDocument, DocFilter, TextIndexParams, TextSearchStats};

/// See the crate's documentation.
pub struct TextIndex {
    params: TextIndexParams,
    state: RwLock<State>,
    /// Held by whoever replaces segments; holds the next segment's number.
    pub(crate) maintenance: Mutex<u64>,
}

pub(crate) struct State {
    /// Ascending and disjoint in document numbers.
    pub segments: Vec<Arc<Segment>>,
    /// A delta that is being written as a segment; counts as one already.
    pub frozen: Option<Arc<Delta>>,
    pub delta: Delta,
    /// Removed documents of segments and `frozen`.
    pub removed: Removed,
    /// Documents below this are in segments, in `frozen`, or nowhere.
    pub sealed_up_to: u32,
}

/// What a checkpoint must keep: all segments' bytes, and the record of removals.
pub struct Manifest {
    pub segments: Vec<Arc<Segment>>,
    pub removals: Vec<u8>,
}

/// Sizes, for catalogues and costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextIndexStats {
    /// Documents added and not removed, with at least one token.
    pub docs: u64,
    /// Their tokens.
    pub total_length: u64,
    /// Distinct terms, those of each segment counted apart.
    pub terms: u64,
    /// About how much memory all of it takes.
    pub bytes: u64,
    pub segments: u64,
    /// Documents in the delta, removed ones included.
    pub delta_docs: u64,
}

impl TextIndex {
    pub fn new(params: TextIndexParams) -> Self {
        let state = State {
            segments: Vec::new(),
            frozen: None,
            delta: Delta::default(),
            removed: Removed::default(),
            sealed_up_to: 0,
        };
        Self::of_state(params, state, 1)
    }

    pub(crate) fn of_state(params: TextIndexParams, state: State, next_id: u64) -> Self {
        Self { params, state: RwLock::new(state), maintenance: Mutex::new(next_id) }
    }

    /// The index of a [`Manifest`]'s bytes, the segments in any order. Documents added after it was taken are added again.
    pub fn open(
        params: TextIndexParams,
        segments: impl IntoIterator<Item = Vec<u8>>,
        removals: &[u8],
    ) -> Result<Self, SegmentError> {
        let opened: Result<Vec<_>, _> = segments.into_iter().map(Segment::open).collect();
        Self::of_segments(params, opened?, removals)
    }

    /// As `open`, of segments that are open already.
    pub fn of_segments(
        params: TextIndexParams,
        segments: Vec<Segment>,
        removals: &[u8],
    ) -> Result<Self, SegmentError> {
        let mut segments: Vec<Arc<Segment>> = segments.into_iter().map(Arc::new).collect();
        segments.sort_by_key(|segment| segment.docs().start);
        let (removed, sealed_up_to) = Removed::from_bytes(removals)?;
        if segments.windows(2).any(|pair| pair[0].docs().end > pair[1].docs().start) {
            return Err(SegmentError::Corrupt("segments overlap"));
        }
        let end = segments.last().map_or(0, |segment| segment.docs().end);
        let next_id =
            segments.iter().map(|segment| segment.id()).max().unwrap_or(0).saturating_add(1);
        let state = State {
            segments,
            frozen: None,
            delta: Delta::default(),
            removed,
            sealed_up_to: sealed_up_to.max(end),
        };
        if !state.removed.docs().all(|doc| state.is_sealed(doc)) {
            return Err(SegmentError::Corrupt("a removed document was never there"));
        }
        Ok(Self::of_state(params, state, next_id))
    }

    pub fn params(&self) -> &TextIndexParams {
        &self.params
    }

    // Nothing done under these locks can leave a half-changed state behind but an assertion; publishing aborts then.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lock_maintenance(&self) -> MutexGuard<'_, u64> {
        self.maintenance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The terms of a text. Takes no lock.
    pub fn analyze(&self, text: &str) -> AnalyzedDocument {
        AnalyzedDocument::new(self.params.analyzer, text)
    }

    /// Adds a document. False, and nothing done, when it has no tokens, is here already, or is numbered below what was
    /// sealed: the last two happen when a log is replayed.
    pub fn add(&self, doc: u32, document: &AnalyzedDocument) -> bool {
        assert!(doc < u32::MAX, "a document number below the mark for none");
        if document.length() == 0 {
            return false;
        }
        let mut state = self.write();
        doc >= state.sealed_up_to && state.delta.add(doc, document)
    }

    /// Takes a document out of the statistics at once. Its postings stay until a merge may drop them, for readers whose filter
    /// still accepts it. `document` is what it was added with. False when it is not here or was removed before.
    pub fn remove(&self, doc: u32, document: &AnalyzedDocument) -> bool {
        let mut state = self.write();
        if !state.is_sealed(doc) {
            return state.delta.remove(doc, document);
        }
        if !state.removed.add_doc(doc, document.length()) {
            return false;
        }
        for (term, _) in document.terms() {
            state.removed.add_term(term, 1);
        }
        true
    }

    /// Analyses a query and captures the statistics it is scored with, here and in [`TextQuery::score`].
    pub fn query(&self, text: &str) -> TextQuery {
        self.query_of(&self.analyze(text))
    }

    /// The query for one term as it stands in the index: analysing it again could give another.
    pub fn query_term(&self, term: &str) -> TextQuery {
        self.query_of(&AnalyzedDocument::of_term(term))
    }

    fn query_of(&self, query: &AnalyzedDocument) -> TextQuery {
        let state = self.read();
        TextQuery::new(&self.params, state.statistics(), query, |term| state.docs_with(term))
    }

    /// The score of any text under a query: to the bit what [`TextIndex::search`] gives a document of that text.
    pub fn score(&self, query: &TextQuery, document: &AnalyzedDocument) -> f32 {
        query.score(document)
    }

    /// The `k` best accepted documents that hold a term of the query, best first, ties by number, into `out` (cleared first).
    ///
    /// Removed documents count as any other: the filter turns away what its reader must not see.
    pub fn search<F: DocFilter>(
        &self,
        query: &TextQuery,
        k: usize,
        filter: &F,
        out: &mut Vec<ScoredDoc>,
    ) -> TextSearchStats {
        let mut top = TopK::new(k);
        let mut stats = TextSearchStats::default();
        out.clear();
        let run_delta = |delta: &Delta, top: &mut TopK, stats: &mut TextSearchStats| {
            search_run(query, |term| delta.cursor(term), |doc| delta.norm(doc), filter, top, stats);
        };
        // The delta first, since only it needs the lock: what it holds cannot reach a segment in between unseen.
        let (frozen, segments) = {
            let state = self.read();
            run_delta(&state.delta, &mut top, &mut stats);
            (state.frozen.clone(), state.segments.clone())
        };
        for segment in &segments {
            let (norms, first_doc) = (segment.norms(), segment.docs().start);
            // Only documents of the segment's own lists are asked for.
            let norm = |doc: u32| norms[(doc - first_doc) as usize];
            search_run(query, |term| segment.cursor(term), norm, filter, &mut top, &mut stats);
        }
        if let Some(frozen) = frozen {
            run_delta(&frozen, &mut top, &mut stats);
        }
        out.extend(top.into_sorted());
        stats
    }

    /// Calls `f` with every document that holds a term of the query, removed ones included, some more than once.
    pub fn matches(&self, query: &TextQuery, mut f: impl FnMut(u32)) {
        let (frozen, segments) = {
            let state = self.read();
            matches_of_run(query, |term| state.delta.cursor(term), &mut f);
            (state.frozen.clone(), state.segments.clone())
        };
        for segment in &segments {
            matches_of_run(query, |term| segment.cursor(term), &mut f);
        }
        if let Some(frozen) = frozen {
            matches_of_run(query, |term| frozen.cursor(term), &mut f);
        }
    }

    /// Turns the documents below `up_to` into a segment, if there are any. Every document below `up_to` that will ever be added
    /// has been. Readers and writers wait for the two exchanges only, not for the writing.
    pub fn seal(&self, up_to: u32) -> Option<Arc<Segment>> {
        let mut next_id = self.lock_maintenance();
        let frozen = self.write().freeze(up_to)?;
        let segment = Arc::new(segment_of(&frozen, *next_id));
        *next_id += 1;
        let mut state = self.write();
        state.frozen = None;
        state.segments.push(Arc::clone(&segment));
        Some(segment)
    }

    /// The segments and removals of one moment. What [`TextIndex::open`] makes of them is this index without its delta.
    pub fn manifest(&self) -> Manifest {
        let _no_exchange_meanwhile = self.lock_maintenance();
        let state = self.read();
        let removals = state.removed.to_bytes(state.sealed_up_to);
        Manifest { segments: state.segments.clone(), removals }
    }

    /// Removed documents whose postings are still in segments.
    pub fn removed(&self) -> HashSet<u32> {
        self.read().removed.docs().collect()
    }

    pub fn stats(&self) -> TextIndexStats {
        let state = self.read();
        let CollectionStatistics { docs, total_length } = state.statistics();
        let deltas = || [Some(&state.delta), state.frozen.as_deref()].into_iter().flatten();
        let segments = || state.segments.iter();
        TextIndexStats {
            docs,
            total_length,
            terms: (deltas().map(Delta::term_count).sum::<usize>()
                + segments().map(|segment| segment.term_count()).sum::<usize>())
                as u64,
            bytes: (deltas().map(Delta::bytes).sum::<usize>()
                + segments().map(|segment| segment.bytes().len()).sum::<usize>()
                + state.removed.bytes()) as u64,
            segments: state.segments.len() as u64,
            delta_docs: deltas().map(|delta| delta.all.docs).sum(),
        }
    }
}

impl State {
    /// Whether a document is in a segment or in `frozen`.
    fn is_sealed(&self, doc: u32) -> bool {
        let at = self.segments.partition_point(|segment| segment.docs().end <= doc);
        self.segments.get(at).is_some_and(|segment| segment.norm(doc) != 0)
            || self.frozen.as_ref().is_some_and(|frozen| frozen.norm(doc) != 0)
    }

    fn statistics(&self) -> CollectionStatistics {
        let mut sum = CollectionStatistics::default();
        let segments = self.segments.iter().map(|segment| segment.statistics());
        let deltas = [Some(&self.delta), self.frozen.as_deref()].into_iter().flatten();
        for part in segments.chain(deltas.map(|delta| delta.all)) {
            sum.docs += part.docs;
            sum.total_length += part.total_length;
        }
        let lengths = self.delta.removed.values().map(|&length| length as u64);
        let removed = self.removed.statistics();
        sum.docs -= removed.docs + self.delta.removed.len() as u64;
        sum.total_length =
            sum.total_length.saturating_sub(removed.total_length + lengths.sum::<u64>());
        sum
    }

    fn docs_with(&self, term: &str) -> u32 {
        let segments: u32 = self.segments.iter().map(|segment| segment.docs_with(term)).sum();
        let frozen = self.frozen.as_ref().and_then(|frozen| frozen.list(term));
        let delta = self.delta.list(term).map_or(0, |list| list.docs.len() as u32 - list.removed);
        let sealed = segments + frozen.map_or(0, |list| list.docs.len() as u32);
        sealed.saturating_sub(self.removed.docs_with(term)) + delta
    }

    /// Moves the documents below `up_to` from the delta to `frozen`, their removals to those of segments.
    fn freeze(&mut self, up_to: u32) -> Option<Arc<Delta>> {
        let later = self.delta.split_off(up_to);
        let sealed = std::mem::replace(&mut self.delta, later);
        self.sealed_up_to = self.sealed_up_to.max(up_to);
        if sealed.is_empty() {
            return None;
        }
        for (&doc, &length) in &sealed.removed {
            self.removed.add_doc(doc, length);
        }
        for (term, list) in sealed.lists().filter(|(_, list)| list.removed > 0) {
            self.removed.add_term(term, list.removed);
        }
        let sealed = Arc::new(sealed);
        self.frozen = Some(Arc::clone(&sealed));
        Some(sealed)
    }
}

fn segment_of(delta: &Delta, id: u64) -> Segment {
    let (first_doc, norms) = delta.norms();
    let mut writer = SegmentWriter::new(id, delta.all, first_doc, norms);
    let mut lists: Vec<_> = delta.lists().collect();
    lists.sort_unstable_by_key(|(term, _)| *term);
    for (term, list) in lists {
        writer.add(term.as_bytes(), &list.docs, &list.tfs);
    }
    writer.finish()
}
