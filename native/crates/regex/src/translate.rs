//! From PostgreSQL's advanced regular expressions to the syntax of the automaton's parser.
//!
//! The two look alike and differ in detail: what is special inside brackets, what a brace means that is no bound, which
//! letters are escapes, whether a dot matches a newline. Everything is rewritten, nothing passed through unseen.

use crate::RegexError;
use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

/// PostgreSQL's DUPMAX.
const MAX_REPETITION: u32 = 255;
/// Nesting of groups; the parser below us recurses.
const MAX_DEPTH: usize = 200;

pub struct Translated {
    pub pattern: String,
    /// Whether the longest match can differ from the first one found.
    pub needs_longest: bool,
}

#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // they are flags, independent of each other
struct Options {
    case_insensitive: bool,
    /// `.` and negated brackets stop at newlines.
    newline_stops: bool,
    /// `^` and `$` match at lines.
    newline_anchors: bool,
    /// White space and comments are ignored.
    expanded: bool,
    literal: bool,
}

struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    options: Options,
    out: String,
    depth: usize,
    has_alternation: bool,
    has_lazy: bool,
}

/// The pattern for the automaton, or PostgreSQL's complaint about it.
pub fn translate(pattern: &str, case_insensitive: bool) -> Result<Translated, RegexError> {
    let mut options = Options { case_insensitive, ..Options::default() };
    let body = read_directors(pattern, &mut options)?;
    let literal = options.literal;
    let mut translator = Translator {
        rest: body.chars().peekable(),
        options,
        out: String::new(),
        depth: 0,
        has_alternation: false,
        has_lazy: false,
    };
    let i = if translator.options.case_insensitive { "i" } else { "" };
    let m = if translator.options.newline_anchors { "m" } else { "" };
    let s = if translator.options.newline_stops { "" } else { "s" };
    if i.len() + m.len() + s.len() > 0 {
        let _ = write!(translator.out, "(?{i}{m}{s})");
    }
    if literal {
        body.chars().for_each(|char| translator.literal(char));
    } else {
        translator.expression()?;
    }
    // Greedy repetition alone prefers the longest; it takes a choice between ways to make the first shorter.
    let needs_longest = translator.has_alternation && !translator.has_lazy;
    Ok(Translated { pattern: translator.out, needs_longest })
}

/// Reads `***:`, `***=` and `(?flags)` at the start; returns what is behind them.
fn read_directors<'a>(pattern: &'a str, options: &mut Options) -> Result<&'a str, RegexError> {
    let mut body = pattern;
    if let Some(rest) = body.strip_prefix("***=") {
        options.literal = true;
        return Ok(rest);
    }
    if let Some(rest) = body.strip_prefix("***:") {
        body = rest;
    }
    let Some(flags) = body.strip_prefix("(?") else { return Ok(body) };
    if !flags.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Ok(body);
    }
    let Some((flags, rest)) = flags.split_once(')') else {
        return Err(RegexError::invalid("invalid embedded option"));
    };
    for flag in flags.chars() {
        match flag {
            'c' => options.case_insensitive = false,
            'i' => options.case_insensitive = true,
            'm' | 'n' => (options.newline_stops, options.newline_anchors) = (true, true),
            'p' => (options.newline_stops, options.newline_anchors) = (true, false),
            'w' => (options.newline_stops, options.newline_anchors) = (false, true),
            's' => (options.newline_stops, options.newline_anchors) = (false, false),
            'x' => options.expanded = true,
            't' => options.expanded = false,
            'q' => options.literal = true,
            'e' | 'b' => {
                return Err(RegexError::unsupported("the POSIX syntax (embedded option b or e)"));
            }
            _ => return Err(RegexError::invalid("invalid embedded option")),
        }
    }
    Ok(rest)
}

impl Translator<'_> {
    fn expression(&mut self) -> Result<(), RegexError> {
        // Whether the last thing written can be repeated.
        let mut repeatable = false;
        while let Some(char) = self.rest.next() {
            repeatable = match char {
                '(' => {
                    self.open_group()?;
                    false
                }
                ')' => {
                    self.depth = self.depth.checked_sub(1).ok_or_else(unbalanced_parentheses)?;
                    self.out.push(')');
                    true
                }
                '|' => {
                    self.has_alternation = true;
                    self.out.push('|');
                    false
                }
                '*' | '+' | '?' => {
                    self.quantifier(&char.to_string(), repeatable)?;
                    false
                }
                '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => {
                    let bound = self.bound()?;
                    self.quantifier(&bound, repeatable)?;
                    false
                }
                '[' => self.bracket()?,
                '\\' => self.escape()?,
                '^' | '$' => {
                    self.out.push(char);
                    false
                }
                '.' => {
                    self.out.push('.');
                    true
                }
                _ if self.options.expanded && char.is_whitespace() => repeatable,
                '#' if self.options.expanded => {
                    let _ = self.rest.by_ref().find(|&char| char == '\n');
                    repeatable
                }
                other => {
                    self.literal(other);
                    true
                }
            };
        }
        if self.depth == 0 { Ok(()) } else { Err(unbalanced_parentheses()) }
    }

    fn literal(&mut self, char: char) {
        if char.is_ascii_punctuation() || char.is_whitespace() {
            let _ = write!(self.out, "\\x{{{:x}}}", u32::from(char));
        } else {
            self.out.push(char);
        }
    }

    fn open_group(&mut self) -> Result<(), RegexError> {
        if self.depth == MAX_DEPTH {
            return Err(RegexError::invalid("regular expression is too complex"));
        }
        if self.rest.next_if_eq(&'?').is_none() {
            self.depth += 1;
            self.out.push('(');
            return Ok(());
        }
        match self.rest.next() {
            Some(':') => {
                self.depth += 1;
                self.out.push_str("(?:");
                Ok(())
            }
            Some('#') => match self.rest.by_ref().find(|&char| char == ')') {
                Some(_) => Ok(()),
                None => Err(unbalanced_parentheses()),
            },
            Some('=' | '!') => Err(RegexError::unsupported("look-ahead")),
            Some('<') => Err(RegexError::unsupported("look-behind")),
            _ => Err(RegexError::invalid("quantifier operand invalid")),
        }
    }

    fn quantifier(&mut self, quantifier: &str, repeatable: bool) -> Result<(), RegexError> {
        if !repeatable {
            return Err(RegexError::invalid("quantifier operand invalid"));
        }
        self.out.push_str(quantifier);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
            self.has_lazy = true;
        }
        Ok(())
    }

    /// `{m}`, `{m,}` or `{m,n}`; the opening brace is read.
    fn bound(&mut self) -> Result<String, RegexError> {
        let unbalanced = || RegexError::invalid("braces {} not balanced");
        let low = self.number().ok_or_else(unbalanced)?;
        let mut high = Some(low);
        if self.rest.next_if_eq(&',').is_some() {
            high = self.number();
        }
        if self.rest.next() != Some('}') {
            return Err(unbalanced());
        }
        if low > MAX_REPETITION || high.is_some_and(|high| high > MAX_REPETITION || high < low) {
            return Err(RegexError::invalid("invalid repetition count(s)"));
        }
        Ok(match high {
            Some(high) => format!("{{{low},{high}}}"),
            None => format!("{{{low},}}"),
        })
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.rest.peek().and_then(|char| char.to_digit(10)) {
            self.rest.next();
            number = Some(number.unwrap_or(0u32).saturating_mul(10).saturating_add(digit));
        }
        number
    }

    /// A backslash outside brackets was read. Says whether what it stands for can be repeated.
    fn escape(&mut self) -> Result<bool, RegexError> {
        let invalid = || RegexError::invalid("invalid escape \\ sequence");
        let char = self.rest.next().ok_or_else(invalid)?;
        let constraint = match char {
            'A' => "\\A",
            'Z' => "\\z",
            'm' => "\\b{start}",
            'M' => "\\b{end}",
            'y' => "\\b",
            'Y' => "\\B",
            _ => "",
        };
        if !constraint.is_empty() {
            self.out.push_str(constraint);
            return Ok(false);
        }
        if let Some(class) = class_escape(char) {
            self.out.push_str(class);
        } else if char.is_ascii_digit() && char != '0' {
            return Err(RegexError::unsupported("a back-reference"));
        } else {
            let value = self.char_escape(char).ok_or_else(invalid)?;
            self.literal(value);
        }
        Ok(true)
    }

    /// The character an escape other than a class stands for.
    fn char_escape(&mut self, char: char) -> Option<char> {
        Some(match char {
            'a' => '\x07',
            'b' => '\x08',
            'B' => '\\',
            'e' => '\x1B',
            'f' => '\x0C',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0B',
            'c' => char::from_u32(u32::from(self.rest.next()?) & 0x1F)?,
            'u' => self.hex(4, 4)?,
            'U' => self.hex(8, 8)?,
            'x' => self.hex(1, 255)?,
            '0' => {
                let mut value = 0;
                for _ in 0..2 {
                    let Some(digit) = self.rest.peek().and_then(|char| char.to_digit(8)) else {
                        break;
                    };
                    self.rest.next();
                    value = value * 8 + digit;
                }
                char::from_u32(value)?
            }
            other if !other.is_alphanumeric() => other,
            _ => return None,
        })
    }

    fn hex(&mut self, least: usize, most: usize) -> Option<char> {
        let mut value = 0u32;
        let mut count = 0;
        while count < most {
            let Some(digit) = self.rest.peek().and_then(|char| char.to_digit(16)) else { break };
            self.rest.next();
            value = value.checked_mul(16)?.checked_add(digit)?;
            count += 1;
        }
        (count >= least).then(|| char::from_u32(value))?
    }

    /// A bracket expression; `[` was read. Says whether it can be repeated (a word boundary cannot).
    fn bracket(&mut self) -> Result<bool, RegexError> {
        let unbalanced = || RegexError::invalid("brackets [] not balanced");
        for (word, boundary) in [("[:<:]]", "\\b{start}"), ("[:>:]]", "\\b{end}")] {
            let ahead = self.rest.clone().take(word.len());
            if ahead.eq(word.chars()) {
                self.rest.by_ref().nth(word.len() - 1);
                self.out.push_str(boundary);
                return Ok(false);
            }
        }
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
            if self.options.newline_stops {
                self.out.push_str("\\n");
            }
        }
        let mut first = true;
        loop {
            let char = self.rest.next().ok_or_else(unbalanced)?;
            if char == ']' && !first {
                break;
            }
            first = false;
            let Some(low) = self.bracket_item(char)? else { continue };
            if self.rest.peek() != Some(&'-') || self.rest.clone().nth(1) == Some(']') {
                self.literal(low);
                continue;
            }
            self.rest.next();
            let high = self.rest.next().ok_or_else(unbalanced)?;
            let high = self.bracket_item(high)?.filter(|&high| low <= high);
            let high = high.ok_or_else(|| RegexError::invalid("invalid character range"))?;
            self.literal(low);
            self.out.push('-');
            self.literal(high);
        }
        self.out.push(']');
        Ok(true)
    }

    /// One item inside brackets that starts with `char`: a character, or `None` for a class, which is written.
    fn bracket_item(&mut self, char: char) -> Result<Option<char>, RegexError> {
        if char == '\\' {
            let invalid = || RegexError::invalid("invalid escape \\ sequence");
            let escaped = self.rest.next().ok_or_else(invalid)?;
            if let Some(class) = class_escape(escaped) {
                // A range cannot end in a class: whoever asked for a character reports it.
                self.out.push_str(class);
                return Ok(None);
            }
            return self.char_escape(escaped).map(Some).ok_or_else(invalid);
        }
        let Some(&kind @ (':' | '.' | '=')) = self.rest.peek().filter(|_| char == '[') else {
            return Ok(Some(char));
        };
        self.rest.next();
        let mut name = String::new();
        loop {
            let next =
                self.rest.next().ok_or_else(|| RegexError::invalid("brackets [] not balanced"))?;
            if next == kind && self.rest.next_if_eq(&']').is_some() {
                break;
            }
            name.push(next);
        }
        if kind == ':' {
            let class =
                class_name(&name).ok_or_else(|| RegexError::invalid("invalid character class"))?;
            self.out.push_str(class);
            return Ok(None);
        }
        let mut chars = name.chars();
        match (chars.next(), chars.next()) {
            (Some(only), None) => Ok(Some(only)),
            _ => Err(RegexError::invalid("invalid collating element")),
        }
    }
}

fn unbalanced_parentheses() -> RegexError {
    RegexError::invalid("parentheses () not balanced")
}

fn class_escape(char: char) -> Option<&'static str> {
    Some(match char {
        'd' => "\\d",
        'D' => "\\D",
        's' => "\\s",
        'S' => "\\S",
        'w' => "[\\p{Alphabetic}\\p{Nd}_]",
        'W' => "[^\\p{Alphabetic}\\p{Nd}_]",
        _ => return None,
    })
}

fn class_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "alnum" => "\\p{Alphabetic}\\p{Nd}",
        "alpha" => "\\p{Alphabetic}",
        "ascii" => "\\x00-\\x7F",
        "blank" => "\\x20\\t",
        "cntrl" => "\\p{Cc}",
        "digit" => "\\d",
        "graph" => "[^\\s\\p{Cc}]",
        "lower" => "\\p{Lowercase}",
        "print" => "[^\\p{Cc}]",
        "punct" => "\\p{P}\\p{S}",
        "space" => "\\s",
        "upper" => "\\p{Uppercase}",
        "word" => "\\p{Alphabetic}\\p{Nd}_",
        "xdigit" => "0-9A-Fa-f",
        _ => return None,
    })
}
