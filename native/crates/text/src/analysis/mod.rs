//! Text to terms, token for token what Lucene's `StandardTokenizer` and `EnglishAnalyzer` give on plain text.

mod porter;

use unicode_segmentation::UnicodeSegmentation;

/// Longer words are cut into pieces of at most this many bytes, as Lucene cuts at 255 characters.
const MAX_TOKEN_BYTES: usize = 255;

/// Lucene's `EnglishAnalyzer.ENGLISH_STOP_WORDS_SET`, sorted.
const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it",
    "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these",
    "they", "this", "to", "was", "will", "with",
];

/// How text becomes terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnalyzerKind {
    /// Words, possessive 's dropped, lower case, stop words dropped, Porter's stemmer: Lucene's `EnglishAnalyzer`.
    English,
    /// Words in lower case.
    Simple,
}

/// An analyzer with its buffer; make one per thread and keep it.
pub struct Analyzer {
    kind: AnalyzerKind,
    token: String,
}

impl Analyzer {
    pub fn new(kind: AnalyzerKind) -> Self {
        Self { kind, token: String::new() }
    }

    /// Calls `f` with each term of `text`, in order, repeats included.
    ///
    /// Words are those of UAX #29 that hold a letter or a digit.
    pub fn tokens(&mut self, text: &str, mut f: impl FnMut(&str)) {
        for word in text.unicode_words() {
            let mut rest = word;
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(piece_length(rest));
                rest = after;
                if self.normalize(piece) {
                    f(&self.token);
                }
            }
        }
    }

    /// Puts the term for `word` into `self.token`; false when there is none.
    fn normalize(&mut self, word: &str) -> bool {
        let english = self.kind == AnalyzerKind::English;
        let word = if english { without_possessive(word) } else { word };
        self.token.clear();
        if word.is_ascii() {
            self.token.push_str(word);
            self.token.make_ascii_lowercase();
        } else {
            // Character by character, as Java does: one lower-case character for each, whatever stands around it.
            self.token.extend(word.chars().filter_map(|c| c.to_lowercase().next()));
        }
        if english {
            if STOP_WORDS.binary_search(&self.token.as_str()).is_ok() {
                return false;
            }
            porter::stem(&mut self.token);
        }
        !self.token.is_empty()
    }
}

/// The length of the longest beginning of `word` of at most [`MAX_TOKEN_BYTES`].
fn piece_length(word: &str) -> usize {
    if word.len() <= MAX_TOKEN_BYTES {
        return word.len();
    }
    let ends = word.char_indices().map(|(at, c)| at + c.len_utf8());
    ends.take_while(|&end| end <= MAX_TOKEN_BYTES).last().unwrap_or(word.len())
}

/// Drops a final 's, with any of the apostrophes Lucene's `EnglishPossessiveFilter` knows.
fn without_possessive(word: &str) -> &str {
    let Some(before) = word.strip_suffix(['s', 'S']) else { return word };
    before.strip_suffix(['\'', '\u{2019}', '\u{ff07}']).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(kind: AnalyzerKind, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        Analyzer::new(kind).tokens(text, |term| terms.push(term.to_owned()));
        terms
    }

    fn english(text: &str) -> String {
        terms(AnalyzerKind::English, text).join(" ")
    }

    fn simple(text: &str) -> String {
        terms(AnalyzerKind::Simple, text).join(" ")
    }

    #[test]
    fn words_are_those_of_uax_29() {
        assert_eq!(simple("Wi-Fi, can't stop (e.g. U.S.A.)!"), "wi fi can't stop e.g u.s.a");
        assert_eq!(simple("3.14 1,000 a_b foo.bar x@y.org"), "3.14 1,000 a_b foo.bar x y.org");
        assert_eq!(simple("C++ #tag $5 -- ..."), "c tag 5");
        assert_eq!(simple("naïve Straße ÉCOLE"), "naïve straße école");
        assert_eq!(simple("  \n\t"), "");
    }

    #[test]
    fn english_drops_possessives_and_stop_words_and_stems() {
        assert_eq!(english("The dog's bowls and the DOGS’ toys"), "dog bowl dog toi");
        assert_eq!(english("It is what it was, not running"), "what run");
        assert_eq!(english("Kate\u{2019}s IT'S \u{ff07}s"), "kate s");
    }

    #[test]
    fn lower_case_goes_character_by_character() {
        assert_eq!(simple("İstanbul ΟΔΟΣ"), "istanbul οδοσ");
    }

    #[test]
    fn long_words_are_cut() {
        let lengths = |text: &str| {
            terms(AnalyzerKind::Simple, text).iter().map(String::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&"x".repeat(600)), [255, 255, 90]);
        assert_eq!(lengths(&"é".repeat(200)), [254, 146]);
    }

    #[test]
    fn stop_words_are_sorted_for_the_search() {
        assert!(STOP_WORDS.is_sorted());
    }
}
