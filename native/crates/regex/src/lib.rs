//! PostgreSQL's regular expressions (`~`, `regexp_match`, ...) in time linear in the text.
//!
//! The pattern, an advanced regular expression of PostgreSQL's manual 9.7.3, is translated (`translate`) for an automaton
//! that never backtracks. What an automaton cannot do - back-references, look-around - is refused by name with 0A000.
//!
//! Which match: PostgreSQL takes the longest of those that start first, or the shortest if the expression begins with a
//! non-greedy quantifier; a Perl-like engine takes the first alternative that fits. So the end of a match comes from a
//! search for the longest one, and groups are then matched to that end. Expressions with a non-greedy quantifier follow
//! Perl's rule, which agrees except where greedy and non-greedy parts are mixed. Groups within a match follow Perl's rule
//! too: in `(?:a|ab)(b?)` on "ab" PostgreSQL gives the group nothing, this gives it the b.

mod translate;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta::Regex;
use regex_automata::nfa::thompson;
use regex_automata::util::captures::Captures;
use regex_automata::util::pool::Pool;
use regex_automata::{Anchored, Input, MatchKind};
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Memory of one compiled expression; `x{255}{255}` and the like end here.
const MAX_COMPILED_BYTES: usize = 8 * 1024 * 1024;

/// Why a pattern cannot be used: 2201B in PostgreSQL's words, or 0A000.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegexError {
    pub sqlstate: &'static str,
    pub message: String,
}

impl RegexError {
    fn invalid(reason: &str) -> Self {
        Self { sqlstate: "2201B", message: format!("invalid regular expression: {reason}") }
    }

    fn unsupported(feature: &str) -> Self {
        Self {
            sqlstate: "0A000",
            message: format!("{feature} in regular expressions is not supported"),
        }
    }
}

type MakeCache = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// Finds the end of the longest match that starts at a given place.
struct Longest {
    dfa: DFA,
    caches: Pool<Cache, MakeCache>,
}

/// A compiled expression; usable from many threads.
pub struct CompiledRegex {
    /// Existence, start and groups.
    regex: Regex,
    /// The same expression ending at the end of the text, for the groups of a longer match than `regex` finds.
    to_end: Option<Regex>,
    longest: Option<Longest>,
}

/// Byte range of a match or group.
pub type Span = (usize, usize);

fn build(pattern: &str) -> Result<Regex, RegexError> {
    let config = Regex::config().nfa_size_limit(Some(MAX_COMPILED_BYTES));
    Regex::builder().configure(config).build(pattern).map_err(|error| {
        RegexError::invalid(match error.size_limit() {
            Some(_) => "regular expression is too complex",
            None => "invalid character range",
        })
    })
}

impl Longest {
    /// `None` where the automaton cannot be built; the first match is then used as it is.
    fn build(pattern: &str) -> Option<Self> {
        let config = DFA::config().match_kind(MatchKind::All).unicode_word_boundary(true);
        let nfa = thompson::Config::new().nfa_size_limit(Some(MAX_COMPILED_BYTES));
        let dfa = DFA::builder().configure(config).thompson(nfa).build(pattern).ok()?;
        let copy = dfa.clone();
        let make: MakeCache = Box::new(move || copy.create_cache());
        Some(Self { dfa, caches: Pool::new(make) })
    }

    fn end(&self, text: &str, start: usize) -> Option<usize> {
        let mut cache = self.caches.get();
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        // It gives up at a word boundary beside a letter outside ASCII.
        self.dfa.try_search_fwd(&mut cache, &input).ok().flatten().map(|half| half.offset())
    }
}

impl CompiledRegex {
    /// Compiles PostgreSQL's `pattern`; `case_insensitive` is what `~*` and the flag `i` ask for.
    pub fn new(pattern: &str, case_insensitive: bool) -> Result<Self, RegexError> {
        let translated = translate::translate(pattern, case_insensitive)?;
        let regex = build(&translated.pattern)?;
        let mut compiled = Self { regex, to_end: None, longest: None };
        if translated.needs_longest {
            compiled.longest = Longest::build(&translated.pattern);
            compiled.to_end = Some(build(&format!("(?:{})\\z", translated.pattern))?);
        }
        Ok(compiled)
    }

    /// Whether `text` contains a match.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The first match at or after byte `from` and its groups, in order; `None` where a group did not take part.
    pub fn exec(&self, text: &str, from: usize) -> Option<Vec<Option<Span>>> {
        let mut captures = self.regex.create_captures();
        self.regex.captures(Input::new(text).range(from..), &mut captures);
        let found = captures.get_match()?;
        let longer = self.longest.as_ref().and_then(|longest| longest.end(text, found.start()));
        if let (Some(end), Some(to_end)) = (longer.filter(|&end| end > found.end()), &self.to_end) {
            // The text is cut at the end of the match, so what looks behind that end sees the end of the text.
            let input = Input::new(&text[..end]).range(found.start()..).anchored(Anchored::Yes);
            let mut groups = to_end.create_captures();
            to_end.captures(input, &mut groups);
            if groups.is_match() {
                return Some(spans(&groups));
            }
        }
        Some(spans(&captures))
    }

    /// Number of groups, the whole match not counted.
    pub fn group_count(&self) -> usize {
        self.regex.captures_len() - 1
    }
}

fn spans(captures: &Captures) -> Vec<Option<Span>> {
    captures.iter().map(|span| span.map(|span| (span.start, span.end))).collect()
}
