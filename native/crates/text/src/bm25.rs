//! BM25 as Lucene's `BM25Similarity` computes it (Lucene 8 and later, without the constant factor k1 + 1):
//!
//! ```text
//!   idf(t)      = ln(1 + (N - df + 0.5) / (df + 0.5))
//!   score(t, d) = idf - idf / (1 + tf * 1 / (k1 * (1 - b + b * length / average length)))
//! ```
//!
//! Lengths are those a norm byte can hold: exact up to 40, then four significant bits (Lucene's `SmallFloat.intToByte4`).
//! A repeated query term counts each time. Contributions are `f32` as in Lucene, summed in `f64` in the query's order.

use crate::postings::Bounds;
use crate::{AnalyzedDocument, TextIndexParams};

/// The norm byte of a document length; zero for a document without tokens only.
pub(crate) fn norm_of(length: u32) -> u8 {
    if length < EXACT_LENGTHS {
        return length as u8;
    }
    let above = (length.min(i32::MAX as u32) - EXACT_LENGTHS) as u64;
    let bits = u64::BITS - above.leading_zeros();
    let encoded = if bits < 4 {
        above as u32
    } else {
        let shift = bits - 4;
        (above >> shift) as u32 & 7 | (shift + 1) << 3
    };
    (EXACT_LENGTHS + encoded) as u8
}

/// Lengths below this are their own norm byte; 255 minus the code of the largest `int`.
const EXACT_LENGTHS: u32 = 24;

/// The length a norm byte stands for.
pub(crate) fn length_of(norm: u8) -> u32 {
    let norm = norm as u32;
    if norm < EXACT_LENGTHS {
        return norm;
    }
    let encoded = norm - EXACT_LENGTHS;
    let decoded = match encoded >> 3 {
        0 => encoded,
        shift => (encoded & 7 | 8) << (shift - 1),
    };
    EXACT_LENGTHS + decoded
}

/// The statistics of the whole index at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CollectionStatistics {
    /// Documents with at least one token.
    pub docs: u64,
    /// Their tokens.
    pub total_length: u64,
}

/// One distinct term of a query.
#[derive(Clone, Debug)]
pub(crate) struct QueryTerm {
    pub term: Box<str>,
    /// Inverse document frequency times how often the query names the term.
    pub weight: f32,
    /// Documents that hold the term.
    pub docs: u32,
}

/// A query with the statistics of the moment it was made: every branch of a statement scores with the same numbers.
#[derive(Clone, Debug)]
pub struct TextQuery {
    terms: Vec<QueryTerm>,
    /// `1 / (k1 * (1 - b + b * length / average))` for each norm byte.
    inverse_norms: Box<[f32; 256]>,
}

impl TextQuery {
    /// `terms` are the query's distinct terms with their counts, `docs_with` says how many documents hold a term.
    pub(crate) fn new(
        params: &TextIndexParams,
        collection: CollectionStatistics,
        query: &AnalyzedDocument,
        mut docs_with: impl FnMut(&str) -> u32,
    ) -> Self {
        let docs = collection.docs.max(1) as f64;
        let average = (collection.total_length as f64 / docs).max(1.0) as f32;
        let TextIndexParams { k1, b, .. } = *params;
        let inverse_norm =
            |norm| 1.0 / (k1 * ((1.0 - b) + b * length_of(norm as u8) as f32 / average));
        let terms = query.terms().map(|(term, count)| {
            let with = docs_with(term);
            let rarity = (collection.docs as f64 - with as f64 + 0.5) / (with as f64 + 0.5);
            let idf = (1.0 + rarity).ln() as f32;
            QueryTerm { term: term.into(), weight: count as f32 * idf, docs: with }
        });
        Self { terms: terms.collect(), inverse_norms: Box::new(std::array::from_fn(inverse_norm)) }
    }

    /// Distinct terms of the query with the number of documents holding each, for plans and costs.
    pub fn document_frequencies(&self) -> impl Iterator<Item = (&str, u32)> {
        self.terms.iter().map(|term| (&*term.term, term.docs))
    }

    pub(crate) fn terms(&self) -> &[QueryTerm] {
        &self.terms
    }

    /// What `tf` occurrences of a term of this weight add to the score of a document with this norm. Grows with `tf`, falls
    /// with the length: rounding keeps both orders, so larger counts and smaller norms bound a document's part.
    #[inline]
    pub(crate) fn contribution(&self, weight: f32, tf: u32, norm: u8) -> f32 {
        let part = weight - weight / (1.0 + tf as f32 * self.inverse_norms[norm as usize]);
        // A match scores above zero however rounding falls: SQL asks `body <@> 'query' < 0`.
        part.max(f32::MIN_POSITIVE)
    }

    /// The most that any document within `bounds` gets for a term of this weight.
    pub(crate) fn most(&self, weight: f32, bounds: Bounds) -> f64 {
        let parts = bounds.corners().map(|(tf, norm)| self.contribution(weight, tf, norm));
        parts.fold(0.0, f32::max) as f64
    }

    /// The score of any text: what [`crate::TextIndex::search`] gives for a document with these terms, and zero exactly
    /// when no term matches.
    pub fn score(&self, document: &AnalyzedDocument) -> f32 {
        let norm = norm_of(document.length());
        let of = |term: &QueryTerm| match document.count(&term.term) {
            0 => 0.0,
            tf => self.contribution(term.weight, tf, norm) as f64,
        };
        self.terms.iter().map(of).sum::<f64>() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AnalyzerKind;

    #[test]
    fn norms_are_lucene_s() {
        // SmallFloat.byte4ToInt at some bytes, by hand from its definition: 24 + (8 | low bits) << shift.
        let expected = [
            (0, 0),
            (23, 23),
            (24, 24),
            (39, 39),
            (40, 40),
            (41, 42),
            (48, 56),
            (49, 60),
            (56, 88),
            (64, 152),
        ];
        for (norm, length) in expected {
            assert_eq!(length_of(norm), length, "byte {norm}");
        }
        for norm in 0..=255u8 {
            assert_eq!(norm_of(length_of(norm)), norm);
        }
        assert_eq!(norm_of(u32::MAX), 255);
        assert!((0..5_000).all(|length| length_of(norm_of(length)) <= length));
        assert!((0..5_000).all(|length| norm_of(length) <= norm_of(length + 1)));
    }

    #[test]
    fn a_score_worked_by_hand() {
        let params = TextIndexParams::new(AnalyzerKind::Simple);
        let analyze = |text| AnalyzedDocument::new(AnalyzerKind::Simple, text);
        let collection = CollectionStatistics { docs: 4, total_length: 20 };
        let query = TextQuery::new(&params, collection, &analyze("cat dog cat"), |term| {
            if term == "cat" { 1 } else { 3 }
        });
        let score = query.score(&analyze("cat cat bird tree sky dog fish hill"));
        let part = |df: f64, tf: f64| {
            let idf = (1.0 + (4.0 - df + 0.5) / (df + 0.5)).ln();
            idf * tf / (tf + 1.2 * (0.25 + 0.75 * 8.0 / 5.0))
        };
        let expected = 2.0 * part(1.0, 2.0) + part(3.0, 1.0);
        assert!((score as f64 - expected).abs() < 1e-6, "{score} against {expected}");
        assert_eq!(query.score(&analyze("bird")), 0.0);
        assert_eq!(query.score(&analyze("")), 0.0);
    }

    #[test]
    fn contributions_rise_with_tf_and_fall_with_length() {
        let params = TextIndexParams::new(AnalyzerKind::Simple);
        let collection = CollectionStatistics { docs: 1000, total_length: 60_000 };
        let one = AnalyzedDocument::new(AnalyzerKind::Simple, "x");
        let query = TextQuery::new(&params, collection, &one, |_| 17);
        let weight = query.terms()[0].weight;
        for norm in 1..=255 {
            for tf in 1..200 {
                let score = query.contribution(weight, tf, norm);
                assert!(score > 0.0 && score <= query.contribution(weight, tf + 1, norm));
                assert!(score <= query.contribution(weight, tf, norm - 1));
            }
        }
    }
}
