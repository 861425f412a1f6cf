//! Search against exhaustive scoring, and every way of keeping the documents against an index rebuilt from them; equal to the
//! bit, order included.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{Random, document, exhaustive, params, search, text};
use omen_text::{AllDocs, AnalyzedDocument, TextIndex, TextSearchStats};

/// An index and what it must be equal to.
struct Model {
    index: Arc<TextIndex>,
    /// Every document ever added.
    documents: BTreeMap<u32, AnalyzedDocument>,
    removed: BTreeSet<u32>,
    next: u32,
}

impl Model {
    fn new() -> Self {
        Self {
            index: Arc::new(TextIndex::new(params())),
            documents: BTreeMap::new(),
            removed: BTreeSet::new(),
            next: 0,
        }
    }

    fn add(&mut self, random: &mut Random) {
        // Numbers ascend with gaps: some rows have no text.
        self.next += 1 + u32::from(random.below(10) == 0) * 7;
        let document = self.index.analyze(&document(random));
        assert_eq!(self.index.add(self.next, &document), document.length() > 0);
        assert!(!self.index.add(self.next, &document), "a replayed addition does nothing");
        self.documents.insert(self.next, document);
    }

    fn remove(&mut self, random: &mut Random) {
        let at = random.below(self.next as u64 + 1) as u32;
        let Some((&doc, document)) = self.documents.range(at..).next() else { return };
        let fresh = self.removed.insert(doc) && document.length() > 0;
        assert_eq!(self.index.remove(doc, document), fresh);
    }

    fn live(&self) -> impl Iterator<Item = (u32, &AnalyzedDocument)> {
        let live = self.documents.iter().filter(|(doc, _)| !self.removed.contains(doc));
        live.map(|(&doc, document)| (doc, document))
    }

    fn rebuilt(&self) -> TextIndex {
        let index = TextIndex::new(params());
        for (doc, document) in self.live() {
            index.add(doc, document);
        }
        index
    }

    fn reopen(&mut self) {
        self.index.seal(self.next + 1);
        let manifest = self.index.manifest();
        let bytes = manifest.segments.iter().rev().map(|segment| segment.bytes().to_vec());
        let index = TextIndex::open(params(), bytes, &manifest.removals).expect("as written");
        assert_eq!(index.stats(), self.index.stats());
        self.index = Arc::new(index);
    }

    /// Leaves out what no reader sees, while documents come and go.
    fn compact(&mut self, random: &mut Random, droppable: impl Fn(u32) -> bool) {
        let old = Arc::clone(&self.index);
        let mark = self.next + 1;
        let mut kept = 0;
        let number = |doc: u32| {
            let is_dropped = self.removed.contains(&doc) && droppable(doc);
            (self.documents.contains_key(&doc) && !is_dropped).then(|| {
                kept += 1;
                kept - 1
            })
        };
        let numbers: Vec<Option<u32>> = (0..mark).map(number).collect();
        let compaction = old.compact(&numbers);
        for _ in 0..random.below(30) {
            self.add(random);
            self.remove(random);
        }
        self.index = Arc::new(compaction.finish());
        let place = |doc: u32| match numbers.get(doc as usize) {
            Some(number) => *number,
            None => Some(kept + (doc - mark)),
        };
        let documents = std::mem::take(&mut self.documents).into_iter();
        self.documents = documents.filter_map(|(doc, d)| Some((place(doc)?, d))).collect();
        self.removed = self.removed.iter().filter_map(|&doc| place(doc)).collect();
        self.next = (self.next + kept).saturating_sub(mark);
    }

    fn check(&self, random: &mut Random) {
        let rebuilt = self.rebuilt();
        let (ours, theirs) = (self.index.stats(), rebuilt.stats());
        assert_eq!((ours.docs, ours.total_length), (theirs.docs, theirs.total_length));
        for _ in 0..12 {
            let words = 1 + random.below(6);
            let text = text(random, words);
            let k = [1, 3, 10, 1_000][random.below(4) as usize];
            let (query, again) = (self.index.query(&text), rebuilt.query(&text));
            let frequencies = |q: &omen_text::TextQuery| {
                q.document_frequencies().map(|(t, n)| (t.to_owned(), n)).collect::<Vec<_>>()
            };
            assert_eq!(frequencies(&query), frequencies(&again), "{text}");

            let actual = search(&self.index, &query, k, &|doc| !self.removed.contains(&doc));
            assert_eq!(actual, exhaustive(&self.index, &query, k, self.live()), "{text}, k {k}");
            assert_eq!(actual, search(&rebuilt, &again, k, &|_| true), "{text}, k {k}, rebuilt");

            let one_in = 1 + random.below(60) as u32;
            let filter = |doc: u32| doc.is_multiple_of(one_in) && !self.removed.contains(&doc);
            let accepted = self.live().filter(|&(doc, _)| filter(doc));
            let expected = exhaustive(&self.index, &query, k, accepted);
            assert_eq!(
                search(&self.index, &query, k, &filter),
                expected,
                "{text}, one in {one_in}"
            );

            let mut matching = BTreeSet::new();
            self.index.matches(&query, |doc| {
                matching.insert(doc);
            });
            let live: BTreeSet<u32> = matching.difference(&self.removed).copied().collect();
            let all = exhaustive(&self.index, &query, usize::MAX, self.live());
            assert_eq!(live, all.iter().map(|hit| hit.doc).collect(), "{text}");
        }
    }
}

#[test]
fn any_history_equals_the_rebuilt_index() {
    for seed in 0..6 {
        let (mut random, mut model) = (Random(seed), Model::new());
        for round in 0..30 {
            for _ in 0..random.below(120) {
                model.add(&mut random);
            }
            for _ in 0..random.below(30) {
                model.remove(&mut random);
            }
            match random.below(6) {
                0..3 => {
                    // Sometimes short of the end: the rest stays in the delta.
                    let back = random.below(40) as u32;
                    model.index.seal((model.next + 1).saturating_sub(back));
                }
                3 => model.reopen(),
                4 => model.compact(&mut random, |doc| !doc.is_multiple_of(5)),
                _ => {}
            }
            // A reader may still see every third removed document.
            model.index.merge(|doc| model.removed.contains(&doc) && !doc.is_multiple_of(3));
            if round % 5 == 4 {
                model.check(&mut random);
            }
        }
        model.check(&mut random);
    }
}

#[test]
fn a_compacted_index_has_nothing_of_what_is_gone() {
    let (mut random, mut model) = (Random(12), Model::new());
    for _ in 0..400 {
        model.add(&mut random);
    }
    model.index.seal(model.next + 1);
    let of_one = model.index.stats();
    // Twenty generations of the same documents, in segments and in the delta.
    for round in 0..20 {
        let first = model.next + 1;
        let live: Vec<(u32, AnalyzedDocument)> =
            model.live().map(|(doc, document)| (doc, document.clone())).collect();
        for (at, (old, document)) in live.into_iter().enumerate() {
            model.next = first + at as u32;
            model.index.add(model.next, &document);
            model.removed.insert(old);
            model.index.remove(old, &document);
            model.documents.insert(model.next, document);
        }
        if round % 3 == 0 {
            model.index.seal(model.next + 1);
        }
    }
    let before = model.index.stats();
    model.compact(&mut random, |_| true);
    model.check(&mut random);
    let after = model.index.stats();
    assert!(
        before.bytes > 9 * of_one.bytes && after.bytes < 2 * of_one.bytes,
        "{of_one:?} {before:?} {after:?}"
    );
    model.reopen();
    model.check(&mut random);
    // Nothing is left when everything is gone.
    for doc in model.live().map(|(doc, _)| doc).collect::<Vec<_>>() {
        model.removed.insert(doc);
        model.index.remove(doc, &model.documents[&doc]);
    }
    let numbers = vec![None; model.next as usize + 1];
    let empty = model.index.compact(&numbers).finish();
    assert_eq!(empty.stats(), TextIndex::new(params()).stats());
}

#[test]
fn long_lists_are_pruned_without_changing_the_answer() {
    let mut random = Random(99);
    let index = TextIndex::new(params());
    let documents: Vec<_> = (0..20_000).map(|_| index.analyze(&document(&mut random))).collect();
    for (doc, document) in documents.iter().enumerate() {
        index.add(doc as u32, document);
        if doc == 14_999 {
            index.seal(15_000).expect("there are documents");
        }
    }
    let all = || documents.iter().enumerate().map(|(doc, document)| (doc as u32, document));
    let mut total = TextSearchStats::default();
    for words in [1, 2, 3, 5, 8] {
        for _ in 0..4 {
            let query = index.query(&text(&mut random, words));
            let mut hits = Vec::new();
            let stats = index.search(&query, 10, &AllDocs, &mut hits);
            assert_eq!(hits, exhaustive(&index, &query, 10, all()));
            total.blocks_read += stats.blocks_read;
            total.blocks_skipped += stats.blocks_skipped;
        }
    }
    assert!(total.blocks_skipped > total.blocks_read / 4, "{total:?}");
}

#[test]
fn among_equals_the_first_are_enough() {
    let index = TextIndex::new(params());
    for doc in 0..10_000 {
        index.add(doc, &index.analyze(&format!("same other{}", doc % 50)));
    }
    index.seal(8_000).expect("there are documents");
    let mut hits = Vec::new();
    let stats = index.search(&index.query("same"), 10, &AllDocs, &mut hits);
    assert!(hits.iter().map(|hit| hit.doc).eq(0..10), "{hits:?}");
    assert!(stats.blocks_read < 20 && stats.blocks_skipped > 60, "{stats:?}");
}

#[test]
fn statistics_are_captured_once_per_query() {
    let index = TextIndex::new(params());
    for (doc, text) in ["red green", "red blue", "blue"].into_iter().enumerate() {
        index.add(doc as u32, &index.analyze(text));
    }
    let query = index.query("red");
    let before = search(&index, &query, 5, &|_| true);
    for doc in 3..50 {
        index.add(doc, &index.analyze("red"));
    }
    assert_eq!(search(&index, &query, 5, &|doc| doc < 3), before);
    assert_eq!(index.score(&query, &index.analyze("red green")), before[0].score);
    assert_ne!(search(&index, &index.query("red"), 5, &|doc| doc < 3), before);
}

#[test]
fn late_numbers_find_their_place() {
    let (mut random, index) = (Random(5), TextIndex::new(params()));
    let documents: Vec<_> = (0..600).map(|_| index.analyze(&document(&mut random))).collect();
    // Runs of nine, each backwards: commits that finish out of order.
    for run in (0..600).collect::<Vec<usize>>().chunks(9) {
        for &doc in run.iter().rev() {
            index.add(1_000 + doc as u32, &documents[doc]);
        }
    }
    let all = || documents.iter().enumerate().map(|(doc, document)| (1_000 + doc as u32, document));
    for sealed in [false, true] {
        if sealed {
            index.seal(1_300);
        }
        for words in 1..6 {
            let query = index.query(&text(&mut random, words));
            assert_eq!(
                search(&index, &query, 20, &|_| true),
                exhaustive(&index, &query, 20, all())
            );
        }
    }
}

#[test]
fn odd_queries_are_answered() {
    let index = TextIndex::new(params());
    assert!(search(&index, &index.query("anything"), 10, &|_| true).is_empty());
    index.add(7, &index.analyze("cat cat dog"));
    index.add(8, &index.analyze("cat"));
    assert!(search(&index, &index.query(""), 10, &|_| true).is_empty());
    assert!(search(&index, &index.query("bird"), 10, &|_| true).is_empty());
    assert!(search(&index, &index.query("cat"), 0, &|_| true).is_empty());
    let once = search(&index, &index.query("cat dog"), 10, &|_| true);
    let twice = search(&index, &index.query("cat dog cat dog"), 10, &|_| true);
    assert_eq!(once.len(), 2);
    assert!((twice[0].score - 2.0 * once[0].score).abs() < 1e-6, "repeated terms count each time");
}
