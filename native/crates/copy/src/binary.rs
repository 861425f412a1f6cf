//! The binary format: a signature and header, then tuples of a field count and length-prefixed fields, then -1.

use crate::column::Column;
use crate::error::{CopyError, Result};
use crate::value::{MAX_FIELD_BYTES, push_binary};
use crate::{FieldKind, Options};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xFF\r\n\0";
const HEADER_BYTES: usize = SIGNATURE.len() + 8;
/// Set in the flags when rows carry OIDs, which no supported version writes.
const FLAG_OIDS: u32 = 1 << 16;

/// What the front of the data holds.
pub enum Step {
    /// Not enough yet.
    More,
    /// Done with this many bytes; a row was appended.
    Row(usize),
    /// The end marker, of this many bytes.
    End(usize),
}

fn unexpected_end() -> CopyError {
    CopyError::bad_format("unexpected EOF in COPY data")
}

/// The error for data that ends before the marker.
pub fn truncated(rows_begun: bool) -> CopyError {
    if rows_begun {
        unexpected_end()
    } else {
        CopyError::bad_format("COPY file signature not recognized")
    }
}

/// Length of the file header, `None` if it is not all there.
pub fn header(data: &[u8]) -> Result<Option<usize>> {
    let known = data.len().min(SIGNATURE.len());
    if data[..known] != SIGNATURE[..known] {
        return Err(CopyError::bad_format("COPY file signature not recognized"));
    }
    let (Some(flags), Some(extension)) =
        (word(data, SIGNATURE.len()), word(data, SIGNATURE.len() + 4))
    else {
        return Ok(None);
    };
    if flags & FLAG_OIDS != 0 {
        return Err(CopyError::bad_format("invalid COPY file header (WITH OIDS)"));
    }
    if flags >> 16 != 0 {
        return Err(CopyError::bad_format("unrecognized critical flags in COPY file header"));
    }
    if extension as usize > MAX_FIELD_BYTES {
        return Err(CopyError::bad_format("invalid COPY file header (wrong length)"));
    }
    let end = HEADER_BYTES + extension as usize;
    Ok((data.len() >= end).then_some(end))
}

/// Appends the row at the front of `data`, if all of it is there.
pub fn push_row(options: &Options, data: &[u8], columns: &mut [Column]) -> Result<Step> {
    let Some(count) = data.first_chunk::<2>().map(|bytes| i16::from_be_bytes(*bytes)) else {
        return Ok(Step::More);
    };
    if count == -1 {
        return Ok(Step::End(2));
    }
    if count < 0 || count as usize != options.fields.len() {
        let expected = options.fields.len();
        return Err(CopyError::bad_format(format!(
            "row field count is {count}, expected {expected}"
        )));
    }
    // First see that the row is whole, so that nothing is appended of a row that is not.
    let mut at = 2;
    for field in &options.fields {
        let Some(len) = word(data, at) else { return Ok(Step::More) };
        at += 4 + field_len(len).map_err(|error| error.in_column(&field.name, None))?.unwrap_or(0);
        if data.len() < at {
            return Ok(Step::More);
        }
    }
    let mut at = 2;
    for (field, column) in options.fields.iter().zip(columns) {
        let len = word(data, at).map_or(Ok(None), field_len)?;
        at += 4;
        let Some(len) = len else {
            column.push_null();
            continue;
        };
        push_binary(column, &data[at..at + len], field.kind == FieldKind::Text)
            .map_err(|error| error.in_column(&field.name, None))?;
        at += len;
    }
    Ok(Step::Row(at))
}

/// A field's length; `None` for NULL.
fn field_len(word: u32) -> Result<Option<usize>> {
    match word as i32 {
        -1 => Ok(None),
        len if len >= 0 && len as usize <= MAX_FIELD_BYTES => Ok(Some(len as usize)),
        _ => Err(CopyError::bad_format("invalid field size")),
    }
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*data.get(at..)?.first_chunk()?))
}
