//! The fields of a line in CSV format: quotes may open and close anywhere in a field, and only unquoted text is NULL.

use crate::Options;
use crate::column::Column;
use crate::error::{CopyError, Result};
use crate::row::Row;
use crate::value::push_text;
use memchr::memchr3;

/// Appends one row. `scratch` is reused for fields with quotes.
pub fn push_row(
    options: &Options,
    line: &[u8],
    columns: &mut [Column],
    scratch: &mut Vec<u8>,
) -> Result<()> {
    let mut row = Row::new(options, line)?;
    for (field, column) in options.fields.iter().zip(columns) {
        let left = row.left(field)?;
        let (end, quoted) = parse_field(options, left, scratch)?;
        row.take(left, end);
        let value = if quoted { scratch.as_slice() } else { &left[..end] };
        let is_null =
            value == options.null && if quoted { field.force_null } else { !field.force_not_null };
        if is_null {
            column.push_null();
            continue;
        }
        push_text(column, value).map_err(|error| error.in_column(&field.name, Some(value)))?;
    }
    row.finish()
}

/// Where the first field of `line` ends, and whether it has quotes; its value is then in `out`.
fn parse_field(options: &Options, line: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool)> {
    let Options { delimiter, quote, escape, .. } = *options;
    out.clear();
    let mut quoted = false;
    let mut at = 0;
    loop {
        // Outside quotes.
        let stop =
            memchr3(delimiter, quote, quote, &line[at..]).map_or(line.len(), |found| at + found);
        if line.get(stop) != Some(&quote) {
            if quoted {
                out.extend_from_slice(&line[at..stop]);
            }
            return Ok((stop, quoted));
        }
        out.extend_from_slice(&line[at..stop]);
        quoted = true;
        at = stop + 1;
        // Inside quotes, up to the one that closes.
        loop {
            let Some(found) = memchr3(quote, escape, escape, &line[at..]) else {
                return Err(CopyError::bad_format("unterminated CSV quoted field"));
            };
            let special = at + found;
            out.extend_from_slice(&line[at..special]);
            let following = line.get(special + 1).copied();
            if line[special] == escape
                && following.is_some_and(|next| next == quote || next == escape)
            {
                out.extend(following);
                at = special + 2;
            } else if line[special] == quote {
                at = special + 1;
                break;
            } else {
                out.push(line[special]);
                at = special + 1;
            }
        }
    }
}
