//! Decoding of COPY data (text, CSV, binary) into columns, as PostgreSQL 15 does in `copyfromparse.c`: same rules, same
//! SQLSTATEs, same words.
//!
//! Bytes come in pieces cut anywhere; rows go out in batches of columns. Types that are plain numbers in storage are
//! parsed here; fields of any other type come out as bytes for the type's own input function. Defaults, checks and
//! target column lists are the caller's business.

mod binary;
mod column;
mod csv;
mod decoder;
mod error;
mod floats;
mod line;
mod row;
mod text;
mod value;

pub use column::{Column, Values};
pub use decoder::{Decoder, Rows};
pub use error::{CopyError, Result};
pub use floats::plain_vector;

/// COPY's FORMAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Csv,
    Binary,
}

/// How a field is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    Bool,
    /// integer; in binary also smallint.
    I32,
    /// bigint; in binary also oid.
    I64,
    /// double precision; in binary also real.
    F64,
    /// Text, checked to be valid UTF-8.
    Text,
    /// A vector of this many dimensions.
    Vector(usize),
    /// Bytes for another type's input function; in text and CSV checked as text is.
    Raw,
}

/// One column of the target list.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub kind: FieldKind,
    /// CSV: an unquoted null string stays a string.
    pub force_not_null: bool,
    /// CSV: a quoted null string is NULL too.
    pub force_null: bool,
}

/// The COPY options that matter for decoding. The single-byte characters must differ, as COPY's own checks ensure.
#[derive(Debug, Clone)]
pub struct Options {
    pub format: Format,
    pub fields: Vec<Field>,
    pub delimiter: u8,
    pub null: Vec<u8>,
    /// The first line is a heading to skip.
    pub header: bool,
    pub quote: u8,
    pub escape: u8,
}
