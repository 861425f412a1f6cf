//! Finding the ends of lines in text and CSV data that comes in pieces.
//!
//! A line ends at a newline that is not escaped (text) or inside quotes (CSV). How lines end, LF or CR LF, is settled by the
//! first one. The scan remembers where it was, so a long line is looked at once however many pieces it comes in.

use crate::error::{CopyError, Result};
use crate::{Format, Options};
use memchr::{memchr, memchr3};

/// A line longer than this is refused before more of it is buffered (PostgreSQL's limit of a string buffer).
pub const MAX_LINE_BYTES: usize = 0x3FFF_FFFF;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Unknown,
    Lf,
    CrLf,
}

/// The state of a scan over the line that starts at the front of the unconsumed data.
pub struct LineScanner {
    csv: bool,
    quote: u8,
    /// 0 when it is the quote itself: two quotes then close and open again, which needs no state.
    escape: u8,
    ending: Ending,
    /// Offset up to which the line was looked at.
    at: usize,
    in_quote: bool,
    after_escape: bool,
    /// Newlines inside quotes of this line.
    pub embedded: u64,
}

/// A line without its ending, and where the next one starts.
pub struct Line {
    pub end: usize,
    pub next: usize,
}

impl LineScanner {
    pub fn new(options: &Options) -> Self {
        Self {
            csv: options.format == Format::Csv,
            quote: options.quote,
            escape: if options.escape == options.quote { 0 } else { options.escape },
            ending: Ending::Unknown,
            at: 0,
            in_quote: false,
            after_escape: false,
            embedded: 0,
        }
    }

    /// The first line of `data`, or `None` if it does not end in it. `data` starts with the same bytes until a line
    /// was found; `reset` is called then.
    pub fn next_line(&mut self, data: &[u8]) -> Result<Option<Line>> {
        let newline = if self.csv { self.csv_newline(data) } else { self.text_newline(data) };
        let Some(newline) = newline else {
            if data.len() > MAX_LINE_BYTES {
                return Err(CopyError::new("54000", "COPY line is longer than 1 GB"));
            }
            return Ok(None);
        };
        let has_return = newline > 0 && data[newline - 1] == b'\r';
        if self.ending == Ending::Unknown {
            self.ending = if has_return { Ending::CrLf } else { Ending::Lf };
        }
        let end = match (self.ending, has_return) {
            (Ending::CrLf, true) => newline - 1,
            (Ending::CrLf, false) => {
                return Err(self.literal("newline", r#"Use "\n" to represent newline."#));
            }
            _ => newline,
        };
        self.check_returns(&data[..end])?;
        Ok(Some(Line { end, next: newline + 1 }))
    }

    /// Starts over for the line behind the one found.
    pub fn reset(&mut self) {
        self.at = 0;
        self.in_quote = false;
        self.after_escape = false;
        self.embedded = 0;
    }

    /// The rest of the data as a last line without an ending.
    pub fn check_last(&self, line: &[u8]) -> Result<()> {
        self.check_returns(line)
    }

    fn text_newline(&mut self, data: &[u8]) -> Option<usize> {
        while let Some(found) = memchr(b'\n', &data[self.at..]) {
            let newline = self.at + found;
            let escapes = data[..newline].iter().rev().take_while(|&&byte| byte == b'\\').count();
            self.at = newline + 1;
            if escapes.is_multiple_of(2) {
                return Some(newline);
            }
        }
        self.at = data.len();
        None
    }

    fn csv_newline(&mut self, data: &[u8]) -> Option<usize> {
        while self.at < data.len() {
            if self.after_escape {
                // Whatever follows an escape inside quotes is data; a newline among it still counts as a line.
                self.after_escape = false;
                self.embedded += u64::from(data[self.at] == b'\n');
                self.at += 1;
                continue;
            }
            let escape = if self.escape == 0 { self.quote } else { self.escape };
            let Some(found) = memchr3(b'\n', self.quote, escape, &data[self.at..]) else {
                self.at = data.len();
                return None;
            };
            let at = self.at + found;
            self.at = at + 1;
            let byte = data[at];
            if byte == self.quote {
                self.in_quote = !self.in_quote;
            } else if byte == b'\n' {
                if !self.in_quote {
                    return Some(at);
                }
                self.embedded += 1;
            } else if self.in_quote {
                self.after_escape = true;
            }
        }
        None
    }

    /// A carriage return that is data must be escaped (text) or quoted (CSV).
    fn check_returns(&self, line: &[u8]) -> Result<()> {
        if memchr(b'\r', line).is_none() {
            return Ok(());
        }
        let mut in_quote = false;
        for (at, &byte) in line.iter().enumerate() {
            if self.csv && byte == self.quote {
                in_quote = !in_quote;
            }
            let escaped = !self.csv && at > 0 && line[at - 1] == b'\\';
            if byte == b'\r' && !in_quote && !escaped {
                return Err(
                    self.literal("carriage return", r#"Use "\r" to represent carriage return."#)
                );
            }
        }
        Ok(())
    }

    fn literal(&self, what: &str, hint: &'static str) -> CopyError {
        if !self.csv {
            return CopyError::bad_format(format!("literal {what} found in data")).hint(hint);
        }
        CopyError::bad_format(format!("unquoted {what} found in data")).hint(if what == "newline" {
            "Use quoted CSV field to represent newline."
        } else {
            "Use quoted CSV field to represent carriage return."
        })
    }
}
