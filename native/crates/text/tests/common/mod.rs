//! Seeded texts and the exhaustive answer.
#![allow(dead_code, reason = "each test binary uses a part")]

use omen_text::{AnalyzedDocument, AnalyzerKind, ScoredDoc, TextIndex, TextIndexParams, TextQuery};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A word of a vocabulary of about 2,000 whose frequencies fall as real ones do: a few words are in most texts.
    pub fn word(&mut self) -> String {
        let uniform = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        format!("w{}", (2_000f64.powf(uniform) - 1.0) as u32)
    }

    pub fn text(&mut self, words: u64) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    /// Mostly short, some long, now and then empty.
    pub fn document(&mut self) -> String {
        let words = match self.below(20) {
            0 => 0,
            1 => self.below(400),
            _ => 1 + self.below(40),
        };
        self.text(words)
    }
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
