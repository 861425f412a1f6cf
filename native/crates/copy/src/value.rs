//! One field's text or binary form into its column.

use crate::column::{Column, Values};
use crate::error::{CopyError, Result, check_utf8};
use crate::floats::plain_vector;

/// All fields of a batch must stay addressable by u32 offsets; one field cannot be larger than PostgreSQL's 1 GB.
pub const MAX_FIELD_BYTES: usize = 0x3FFF_FFFF;

fn syntax(type_name: &str, text: &str) -> CopyError {
    CopyError::new("22P02", format!("invalid input syntax for type {type_name}: \"{text}\""))
}

/// Appends the value that `field` spells. For bytes columns the text must have been checked as UTF-8 already.
pub fn push_text(column: &mut Column, field: &[u8]) -> Result<()> {
    if let Values::Bytes { offsets, bytes } = &mut column.values {
        push_bytes(offsets, bytes, field)?;
    } else {
        check_utf8(field)?;
        let text =
            std::str::from_utf8(field).map_err(|_| CopyError::new("22021", "invalid UTF-8"))?;
        match &mut column.values {
            Values::Bool(values) => values.push(u8::from(parse_bool(text)?)),
            Values::I32(values) => values.push(parse_integer(text, "integer")?),
            Values::I64(values) => values.push(parse_integer(text, "bigint")?),
            Values::F64(values) => values.push(parse_float(text)?),
            Values::Vector { dim, values } => parse_vector(text, *dim, values)?,
            Values::Bytes { .. } => unreachable!("handled above"),
        }
    }
    column.nulls.push(0);
    Ok(())
}

fn push_bytes(offsets: &mut Vec<u32>, bytes: &mut Vec<u8>, field: &[u8]) -> Result<()> {
    let end =
        u32::try_from(bytes.len() + field.len()).ok().filter(|_| field.len() <= MAX_FIELD_BYTES);
    let end = end.ok_or_else(|| CopyError::new("54000", "COPY data of one batch exceeds 4 GB"))?;
    bytes.extend_from_slice(field);
    offsets.push(end);
    Ok(())
}

/// C's isspace, which PostgreSQL's input functions skip.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0B', '\x0C'])
}

/// Any unambiguous beginning of true, false, yes, no, on, off, or 1 and 0 (`parse_bool_with_len`).
fn parse_bool(text: &str) -> Result<bool> {
    let word = trim(text).to_ascii_lowercase();
    let begins = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    if word == "1" || begins("true", 1) || begins("yes", 1) || word == "on" {
        Ok(true)
    } else if word == "0" || begins("false", 1) || begins("no", 1) || begins("off", 2) {
        Ok(false)
    } else {
        Err(syntax("boolean", text))
    }
}

fn parse_integer<T: std::str::FromStr>(text: &str, type_name: &str) -> Result<T> {
    let digits = trim(text);
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(syntax(type_name, text));
    }
    let out_of_range = |_| {
        CopyError::new("22003", format!("value \"{text}\" is out of range for type {type_name}"))
    };
    digits.parse().map_err(out_of_range)
}

fn parse_float(text: &str) -> Result<f64> {
    let number = trim(text);
    let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
    let value: f64 = number.parse().map_err(|_| syntax("double precision", text))?;
    let named = unsigned.starts_with(|first: char| first.is_ascii_alphabetic());
    let mantissa = unsigned.split(['e', 'E']).next().unwrap_or_default();
    let vanished = value == 0.0 && mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    if (value.is_infinite() && !named) || vanished {
        return Err(CopyError::new(
            "22003",
            format!("\"{number}\" is out of range for type double precision"),
        ));
    }
    Ok(value)
}

/// pgvector's `vector_in`: `[1,2,3]`, with its codes and words.
fn parse_vector(text: &str, dim: usize, values: &mut Vec<f32>) -> Result<()> {
    let start = values.len();
    let plain = plain_vector(text.as_bytes(), |value| {
        values.push(value);
        true
    });
    if plain == Some(dim) {
        return Ok(());
    }
    values.truncate(start);
    let parsed = parse_elements(text, dim, values);
    if parsed.is_err() {
        values.truncate(start);
    }
    parsed
}

fn parse_elements(text: &str, dim: usize, values: &mut Vec<f32>) -> Result<()> {
    let bad = || syntax("vector", text);
    let whole = trim(text);
    let Some(inner) = whole.strip_prefix('[') else {
        return Err(bad());
    };
    let Some(inner) = inner.strip_suffix(']') else {
        return Err(bad());
    };
    if trim(inner).is_empty() {
        return Err(CopyError::new("22000", "vector must have at least 1 dimension"));
    }
    let mut count = 0;
    for element in inner.split(',') {
        let element = trim(element);
        // Names are accepted by the parser and refused by value, as pgvector does.
        let value: f32 = element.parse().map_err(|_| bad())?;
        if value.is_nan() {
            return Err(CopyError::new("22000", "NaN not allowed in vector"));
        }
        if value.is_infinite() {
            let named = element
                .trim_start_matches(['+', '-'])
                .starts_with(|c: char| c.is_ascii_alphabetic());
            return Err(if named {
                CopyError::new("22000", "infinite value not allowed in vector")
            } else {
                CopyError::new("22003", format!("\"{element}\" is out of range for type vector"))
            });
        }
        values.push(value);
        count += 1;
    }
    expect_dim(dim, count)
}

fn expect_dim(expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(CopyError::new("22000", format!("expected {expected} dimensions, not {found}")))
}

/// Appends the value in binary send/receive form.
pub fn push_binary(column: &mut Column, field: &[u8], is_text: bool) -> Result<()> {
    // PostgreSQL reads too little as an unexpected end and too much as bad data.
    let short = || CopyError::new("08P01", "insufficient data left in message");
    let long = || CopyError::new("22P03", "incorrect binary data format");
    let wrong = |least: usize| if field.len() < least { short() } else { long() };
    match &mut column.values {
        Values::Bool(values) => match field {
            [byte] => values.push(u8::from(*byte != 0)),
            _ => return Err(wrong(1)),
        },
        Values::I32(values) => match field.len() {
            2 => values.push(i32::from(i16::from_be_bytes([field[0], field[1]]))),
            4 => values.push(i32::from_be_bytes([field[0], field[1], field[2], field[3]])),
            _ => return Err(wrong(4)),
        },
        Values::I64(values) => match (field.first_chunk(), field.first_chunk()) {
            (Some(eight), _) if field.len() == 8 => values.push(i64::from_be_bytes(*eight)),
            (_, Some(four)) if field.len() == 4 => {
                values.push(i64::from(u32::from_be_bytes(*four)));
            }
            _ => return Err(wrong(8)),
        },
        Values::F64(values) => match (field.first_chunk(), field.first_chunk()) {
            (Some(eight), _) if field.len() == 8 => values.push(f64::from_be_bytes(*eight)),
            (_, Some(four)) if field.len() == 4 => {
                values.push(f64::from(f32::from_be_bytes(*four)));
            }
            _ => return Err(wrong(8)),
        },
        Values::Vector { dim, values } => {
            let Some((head, elements)) = field.split_first_chunk::<4>() else {
                return Err(short());
            };
            let found = usize::from(u16::from_be_bytes([head[0], head[1]]));
            expect_dim(*dim, found)?;
            if elements.len() != found * 4 {
                return Err(wrong(4 + found * 4));
            }
            let (elements, _) = elements.as_chunks::<4>();
            let start = values.len();
            values.extend(elements.iter().map(|bytes| f32::from_be_bytes(*bytes)));
            if let Some(bad) = values[start..].iter().find(|value| !value.is_finite()) {
                let what = if bad.is_nan() { "NaN" } else { "infinite value" };
                return Err(CopyError::new("22000", format!("{what} not allowed in vector")));
            }
        }
        Values::Bytes { offsets, bytes } => {
            if is_text {
                check_utf8(field)?;
            }
            push_bytes(offsets, bytes, field)?;
        }
    }
    column.nulls.push(0);
    Ok(())
}
