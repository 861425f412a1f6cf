//! Seeded texts and the exhaustive answer.
#![allow(dead_code, reason = "each test binary uses a part")]

pub use omen_testing::Random;
use omen_text::{AnalyzedDocument, AnalyzerKind, ScoredDoc, TextIndex, TextIndexParams, TextQuery};

/// A word of a vocabulary of about 2,000 whose frequencies fall as real ones do: a few words are in most texts.
pub fn word(random: &mut Random) -> String {
    let uniform = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
    format!("w{}", (2_000f64.powf(uniform) - 1.0) as u32)
}

pub fn text(random: &mut Random, words: u64) -> String {
    (0..words).map(|_| word(random)).collect::<Vec<_>>().join(" ")
}

/// Mostly short, some long, now and then empty.
pub fn document(random: &mut Random) -> String {
    let words = match random.below(20) {
        0 => 0,
        1 => random.below(400),
        _ => 1 + random.below(40),
    };
    text(random, words)
}

pub fn params() -> TextIndexParams {
    TextIndexParams::new(AnalyzerKind::Simple)
}

/// Scores every given document and sorts.
pub fn exhaustive<'a>(
    index: &TextIndex,
    query: &TextQuery,
    k: usize,
    documents: impl Iterator<Item = (u32, &'a AnalyzedDocument)>,
) -> Vec<ScoredDoc> {
    let mut all: Vec<ScoredDoc> = documents
        .map(|(doc, document)| ScoredDoc { doc, score: index.score(query, document) })
        .filter(|hit| hit.score > 0.0)
        .collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.doc.cmp(&b.doc)));
    all.truncate(k);
    all
}

pub fn search(
    index: &TextIndex,
    query: &TextQuery,
    k: usize,
    filter: &impl Fn(u32) -> bool,
) -> Vec<ScoredDoc> {
    let mut hits = Vec::new();
    index.search(query, k, filter, &mut hits);
    hits
}
