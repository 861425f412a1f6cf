//! The fields of a line in text format: separated by the delimiter, special bytes as backslash sequences.

use crate::Options;
use crate::column::Column;
use crate::error::{Result, check_utf8};
use crate::row::Row;
use crate::value::push_text;
use memchr::memchr2;

/// Appends one row. `scratch` is reused for fields with escapes.
pub fn push_row(
    options: &Options,
    line: &[u8],
    columns: &mut [Column],
    scratch: &mut Vec<u8>,
) -> Result<()> {
    let mut row = Row::new(options, line)?;
    for (field, column) in options.fields.iter().zip(columns) {
        let left = row.left(field)?;
        let (end, has_escapes) = field_end(left, options.delimiter);
        let raw = &left[..end];
        row.take(left, end);
        if raw == options.null {
            column.push_null();
            continue;
        }
        let value = if has_escapes {
            let made_bytes = unescape(raw, scratch);
            if made_bytes {
                check_utf8(scratch)?;
            }
            scratch.as_slice()
        } else {
            raw
        };
        push_text(column, value).map_err(|error| error.in_column(&field.name, Some(value)))?;
    }
    row.finish()
}

/// Where the first field of `line` ends, and whether a backslash is in it.
fn field_end(line: &[u8], delimiter: u8) -> (usize, bool) {
    let mut at = 0;
    let mut has_escapes = false;
    while let Some(found) = memchr2(delimiter, b'\\', &line[at..]) {
        at += found;
        if line[at] == delimiter {
            return (at, has_escapes);
        }
        has_escapes = true;
        // The byte after a backslash is never a delimiter.
        at = (at + 2).min(line.len());
    }
    (line.len(), has_escapes)
}

/// Resolves backslash sequences into `out`; says whether one of them named a byte by number.
fn unescape(raw: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let mut made_bytes = false;
    let mut rest = raw;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            out.push(first);
            continue;
        }
        let Some((&code, after)) = rest.split_first() else {
            // PostgreSQL takes a lone backslash at the end as itself.
            out.push(first);
            break;
        };
        rest = after;
        let byte = match code {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'0'..=b'7' => {
                made_bytes = true;
                let more =
                    rest.iter().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                let value = rest[..more].iter().fold(u32::from(code - b'0'), |value, digit| {
                    value * 8 + u32::from(digit - b'0')
                });
                rest = &rest[more..];
                value as u8
            }
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                made_bytes = true;
                let more = rest.iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0);
                let value = rest[..more].iter().fold(0, |value, byte| value * 16 + digit(byte));
                rest = &rest[more..];
                value as u8
            }
            other => other,
        };
        out.push(byte);
    }
    made_bytes
}
