//! One document's terms, as the index needs them.

use crate::{Analyzer, AnalyzerKind};

/// The distinct terms of a text with their counts, sorted by term. Made by the statement that inserts or deletes the row,
/// outside every lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnalyzedDocument {
    /// All distinct terms, one after another.
    text: String,
    /// End of each term in `text`, and how often it occurs.
    terms: Vec<(u32, u32)>,
    length: u32,
}

impl AnalyzedDocument {
    pub fn new(analyzer: AnalyzerKind, text: &str) -> Self {
        let mut all = String::new();
        let mut tokens: Vec<(u32, u32)> = Vec::new();
        Analyzer::new(analyzer).tokens(text, |token| {
            let start = all.len() as u32;
            all.push_str(token);
            tokens.push((start, all.len() as u32));
        });
        let term = |&(start, end): &(u32, u32)| &all[start as usize..end as usize];
        tokens.sort_unstable_by(|a, b| term(a).cmp(term(b)));
        let mut document = Self { length: tokens.len() as u32, ..Self::default() };
        for equal in tokens.chunk_by(|a, b| term(a) == term(b)) {
            document.text.push_str(term(&equal[0]));
            document.terms.push((document.text.len() as u32, equal.len() as u32));
        }
        document
    }

    /// The document that is this one term, as analysis gives it.
    pub(crate) fn of_term(term: &str) -> Self {
        Self { text: term.to_owned(), terms: vec![(term.len() as u32, 1)], length: 1 }
    }

    /// Number of tokens, repeats included.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// The distinct terms in byte order, each with its count.
    pub fn terms(&self) -> impl Iterator<Item = (&str, u32)> {
        let mut start = 0;
        self.terms.iter().map(move |&(end, count)| {
            let term = &self.text[start..end as usize];
            start = end as usize;
            (term, count)
        })
    }

    /// How often `term` occurs.
    pub fn count(&self, term: &str) -> u32 {
        let start = |at: usize| if at == 0 { 0 } else { self.terms[at - 1].0 as usize };
        let of = |at: usize| &self.text[start(at)..self.terms[at].0 as usize];
        let (mut low, mut high) = (0, self.terms.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match of(middle).cmp(term) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.terms[middle].1,
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_sorted_and_counted() {
        let document = AnalyzedDocument::new(AnalyzerKind::Simple, "b a c b B a");
        assert_eq!(document.terms().collect::<Vec<_>>(), [("a", 2), ("b", 3), ("c", 1)]);
        assert_eq!(document.length(), 6);
        assert_eq!(["a", "b", "c", "d", ""].map(|term| document.count(term)), [2, 3, 1, 0, 0]);
        assert_eq!(AnalyzedDocument::new(AnalyzerKind::English, "the of").length(), 0);
    }
}
