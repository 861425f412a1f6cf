//! The decoder: pieces of COPY data in, batches of rows out.

use crate::binary::{self, Step};
use crate::column::Column;
use crate::error::{CopyError, Result};
use crate::line::LineScanner;
use crate::{Format, Options, csv, text};

/// The text that ends the data early, kept from protocol version 2.
const END_MARK: &[u8] = b"\\.";

/// A batch of decoded rows.
pub struct Rows {
    pub count: usize,
    /// Line the first row ended on (row number in binary), from 1.
    pub line: u64,
    pub columns: Vec<Column>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the heading line or the binary header.
    Heading,
    Rows,
    /// Behind the end marker: what still comes is ignored, except in binary.
    Ended,
    /// After an error nothing is decoded any more.
    Failed,
}

/// An incremental decoder of one COPY.
pub struct Decoder {
    options: Options,
    state: State,
    scanner: LineScanner,
    /// Data behind the last whole row.
    pending: Vec<u8>,
    columns: Vec<Column>,
    /// Of each row not yet taken, the line it ended on.
    row_lines: Vec<u64>,
    /// Lines (rows in binary) finished so far.
    line: u64,
    scratch: Vec<u8>,
}

impl Decoder {
    pub fn new(options: Options) -> Self {
        let heading = options.header || options.format == Format::Binary;
        Self {
            state: if heading { State::Heading } else { State::Rows },
            scanner: LineScanner::new(&options),
            pending: Vec::new(),
            columns: options.fields.iter().map(|field| Column::new(field.kind)).collect(),
            row_lines: Vec::new(),
            line: 0,
            scratch: Vec::new(),
            options,
        }
    }

    /// Decodes the rows that `chunk` completes. After an error the rows before it can still be taken.
    pub fn push(&mut self, chunk: &[u8]) -> Result<()> {
        // Rows mostly lie within one chunk: decode from it in place and keep only the cut-off rest.
        let consumed = if self.pending.is_empty() {
            self.consume(chunk)
        } else {
            self.pending.extend_from_slice(chunk);
            let pending = std::mem::take(&mut self.pending);
            let consumed = self.consume(&pending);
            self.pending = pending;
            match consumed {
                Ok(consumed) => {
                    self.pending.drain(..consumed);
                    return Ok(());
                }
                failed => failed,
            }
        };
        match consumed {
            Ok(consumed) => {
                self.pending.extend_from_slice(&chunk[consumed..]);
                Ok(())
            }
            Err(error) => self.fail(error),
        }
    }

    /// The data is complete: a last line without an ending becomes a row.
    pub fn finish(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let finished = match (self.options.format, self.state) {
            (_, State::Ended | State::Failed) => Ok(()),
            (Format::Binary, State::Rows) if pending.is_empty() => Ok(()),
            (Format::Binary, state) => {
                Err(self.place(binary::truncated(state == State::Rows), &[]))
            }
            _ if pending.is_empty() => Ok(()),
            _ => self.last_line(&pending),
        };
        match finished {
            Ok(()) => {
                self.state = State::Ended;
                Ok(())
            }
            Err(error) => self.fail(error),
        }
    }

    fn last_line(&mut self, line: &[u8]) -> Result<()> {
        let embedded = self.scanner.embedded;
        let checked = self.scanner.check_last(line);
        self.line += embedded;
        if let Err(error) = checked {
            self.line += 1;
            return Err(self.place(error, line));
        }
        self.row_of_line(line)
    }

    /// Rows ready to be taken.
    pub fn row_count(&self) -> usize {
        self.row_lines.len()
    }

    /// Bytes of the values ready to be taken, fixed-width ones not counted.
    pub fn byte_len(&self) -> usize {
        self.columns.iter().map(Column::byte_len).sum()
    }

    /// Takes the first `max` rows, or all if there are fewer.
    pub fn take(&mut self, max: usize) -> Rows {
        let count = self.row_lines.len().min(max);
        let line = self.row_lines.first().copied().unwrap_or(self.line + 1);
        self.row_lines.drain(..count);
        let columns = self.columns.iter_mut().map(|column| column.split(count)).collect();
        Rows { count, line, columns }
    }

    /// As `take` for all rows. Their memory is exchanged for that of `rows`, whose own rows are forgotten: a load works with
    /// two sets of buffers.
    pub fn exchange(&mut self, rows: &mut Rows) {
        if rows.columns.len() != self.columns.len() {
            rows.columns = self.options.fields.iter().map(|f| Column::new(f.kind)).collect();
        }
        rows.columns.iter_mut().for_each(Column::clear);
        std::mem::swap(&mut rows.columns, &mut self.columns);
        rows.count = self.row_lines.len();
        rows.line = self.row_lines.first().copied().unwrap_or(self.line + 1);
        self.row_lines.clear();
    }

    fn fail(&mut self, error: CopyError) -> Result<()> {
        self.state = State::Failed;
        self.pending = Vec::new();
        Err(error)
    }

    /// Adds the present line to an error.
    fn place(&self, error: CopyError, line: &[u8]) -> CopyError {
        if self.options.format == Format::Binary {
            let mut error = error;
            error.line = self.line + 1;
            return error;
        }
        error.in_line(self.line, line)
    }

    /// Decodes whole rows from the front of `data`; returns how many bytes they took.
    fn consume(&mut self, data: &[u8]) -> Result<usize> {
        match (self.options.format, self.state) {
            (_, State::Failed) | (Format::Text | Format::Csv, State::Ended) => Ok(data.len()),
            (Format::Binary, _) => self.consume_binary(data),
            _ => self.consume_lines(data),
        }
    }

    fn consume_lines(&mut self, data: &[u8]) -> Result<usize> {
        let mut start = 0;
        while self.state != State::Ended {
            let found = self.scanner.next_line(&data[start..]);
            let found = found.map_err(|error| {
                let shown =
                    memchr::memchr(b'\n', &data[start..]).map_or(data.len(), |end| start + end);
                error.in_line(self.line + 1, &data[start..shown])
            });
            let Some(line) = found? else { break };
            self.line += self.scanner.embedded;
            self.scanner.reset();
            self.row_of_line(&data[start..start + line.end])?;
            start += line.next;
        }
        Ok(if self.state == State::Ended { data.len() } else { start })
    }

    fn row_of_line(&mut self, line: &[u8]) -> Result<()> {
        self.line += 1;
        if self.state == State::Heading {
            self.state = State::Rows;
            return Ok(());
        }
        if line == END_MARK {
            self.state = State::Ended;
            return Ok(());
        }
        let Self { options, columns, scratch, .. } = self;
        let pushed = match options.format {
            Format::Csv => csv::push_row(options, line, columns, scratch),
            _ => text::push_row(options, line, columns, scratch),
        };
        pushed.map_err(|error| self.place(error, line))?;
        self.row_lines.push(self.line);
        Ok(())
    }

    fn consume_binary(&mut self, data: &[u8]) -> Result<usize> {
        let mut start = 0;
        if self.state == State::Heading {
            match binary::header(data).map_err(|error| self.place(error, &[]))? {
                Some(end) => start = end,
                None => return Ok(0),
            }
            self.state = State::Rows;
        }
        loop {
            if self.state == State::Ended {
                if start < data.len() {
                    let error = CopyError::bad_format("received copy data after EOF marker");
                    return Err(self.place(error, &[]));
                }
                return Ok(start);
            }
            let step = binary::push_row(&self.options, &data[start..], &mut self.columns);
            match step.map_err(|error| self.place(error, &[]))? {
                Step::More => return Ok(start),
                Step::Row(len) => {
                    start += len;
                    self.line += 1;
                    self.row_lines.push(self.line);
                }
                Step::End(len) => {
                    start += len;
                    self.state = State::Ended;
                }
            }
        }
    }
}
