//! Memcomparable keys: byte strings that compare as the SQL values they were made from.
//!
//! ```text
//!   key    = column*            one after the other; no column encoding is a prefix of another of the same kind
//!   column = tag payload        tag 0x01 = value; NULL is 0x00 (nulls first) or 0x02 (nulls last), without payload
//!   entry  = key rid            rid big-endian, so that equal keys lie in row-id order
//! ```
//!
//! Payloads: integers of both widths as sign-flipped i64; floats in total order with -0 = 0 and NaN greatest, as
//! PostgreSQL sorts them; bytes with 0x00 written 0x00FF and 0x0000 at the end; numeric as the stored bytes without the
//! two bytes of display scale, so that 1.0 and 1.00 are one key; intervals as the 128-bit span PostgreSQL compares by
//! (a month is 30 days, a day 24 hours); bit strings and vectors in `elements`. A descending column has its payload inverted; the NULL tag is not.

mod elements;
pub mod set;

use std::cmp::Ordering;

use crate::column::{ColumnRef, KeyRange};
use crate::error::{Result, StoreError};
use crate::types::{IndexColumnSpec, KeyKind, NullEntries};
use crate::value::Value;

const TAG_NULL_FIRST: u8 = 0x00;
const TAG_VALUE: u8 = 0x01;
const TAG_NULL_LAST: u8 = 0x02;

/// Bytes of display scale at the end of a stored numeric.
const NUMERIC_SCALE_BYTES: usize = 2;
/// A stored interval: i64 microseconds, i32 days, i32 months, little-endian.
const INTERVAL_BYTES: usize = 16;
const MICROS_PER_DAY: i128 = 86_400_000_000;
const DAYS_PER_MONTH: i128 = 30;

/// Longest key an index takes. PostgreSQL's own limit (2,704 bytes) comes from its page; this one only keeps a key from
/// being a document.
pub const MAX_KEY_BYTES: usize = 64 * 1024;

/// Appends one column of a key.
pub fn encode_value(spec: IndexColumnSpec, value: Value<'_>, out: &mut Vec<u8>) -> Result<()> {
    if matches!(value, Value::Null) {
        out.push(if spec.nulls_first { TAG_NULL_FIRST } else { TAG_NULL_LAST });
        return Ok(());
    }
    out.push(TAG_VALUE);
    let start = out.len();
    match (spec.key_kind, value) {
        (KeyKind::Bool, Value::Bool(v)) => out.push(v),
        (KeyKind::Int, Value::I32(v)) => out.extend(flip_sign(i64::from(v))),
        (KeyKind::Int, Value::I64(v)) => out.extend(flip_sign(v)),
        (KeyKind::Float, Value::F64(v)) => out.extend(ordered_float(v)),
        (KeyKind::Bytes, Value::Bytes(v)) => escape(v, out),
        (KeyKind::Numeric, Value::Bytes(v)) if v.len() >= NUMERIC_SCALE_BYTES => {
            escape(&v[..v.len() - NUMERIC_SCALE_BYTES], out);
        }
        (KeyKind::Interval, Value::Bytes(v)) if v.len() == INTERVAL_BYTES => {
            out.extend(interval_span(v));
        }
        (KeyKind::Bits, Value::Bytes(v)) => elements::bits(v, out)?,
        (KeyKind::Halfvec, Value::Bytes(v)) => elements::halves(v, out)?,
        (KeyKind::Vector, Value::Bytes(v)) => elements::floats(v, out)?,
        (KeyKind::Sparsevec, Value::Bytes(v)) => elements::sparse(v, out)?,
        _ => return Err(StoreError::internal("index column of a kind its values do not have")),
    }
    if spec.descending {
        out[start..].iter_mut().for_each(|b| *b = !*b);
    }
    Ok(())
}

fn flip_sign(v: i64) -> [u8; 8] {
    (v as u64 ^ (1 << 63)).to_be_bytes()
}

fn ordered_float(v: f64) -> [u8; 8] {
    let v = if v.is_nan() {
        f64::NAN.abs()
    } else if v == 0.0 {
        0.0
    } else {
        v
    };
    let bits = v.to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
    ordered.to_be_bytes()
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &b in bytes {
        out.push(b);
        if b == 0 {
            out.push(0xFF);
        }
    }
    out.extend([0, 0]);
}

fn interval_span(stored: &[u8]) -> [u8; 16] {
    let micros = i64::from_le_bytes(stored[0..8].try_into().expect("8 of 16 bytes"));
    let days = i32::from_le_bytes(stored[8..12].try_into().expect("4 of 16 bytes"));
    let months = i32::from_le_bytes(stored[12..16].try_into().expect("4 of 16 bytes"));
    let days = i128::from(days) + i128::from(months) * DAYS_PER_MONTH;
    let span = i128::from(micros) + days * MICROS_PER_DAY;
    (span as u128 ^ (1 << 127)).to_be_bytes()
}

/// The key of a row, column values given by position in the relation. True when a column of it is NULL.
///
/// A row that a guard column keeps out of the index has the empty key, which no row of the index has: it equals no
/// entry, and whoever adds entries leaves it out (`is_absent`).
pub fn encode_key<'a>(
    columns: &[IndexColumnSpec],
    mut value: impl FnMut(usize) -> Value<'a>,
    out: &mut Vec<u8>,
) -> Result<bool> {
    out.clear();
    let mut has_null = false;
    for &spec in columns {
        let value = value(spec.column as usize);
        if spec.key_kind == KeyKind::Guard {
            if !matches!(value, Value::Bool(1)) {
                out.clear();
                return Ok(true);
            }
            continue;
        }
        has_null |= matches!(value, Value::Null);
        encode_value(spec, value, out)?;
    }
    if out.len() > MAX_KEY_BYTES {
        return Err(StoreError::new(
            crate::error::sqlstate::PROGRAM_LIMIT_EXCEEDED,
            format!("index row size {} exceeds maximum {MAX_KEY_BYTES}", out.len()),
        ));
    }
    Ok(has_null)
}

/// Whether `encode_key` made this of a row without an entry: every key column writes at least its tag.
pub fn is_absent(key: &[u8]) -> bool {
    key.is_empty()
}

/// The smallest byte string greater than every string that starts with `prefix`; None when there is none.
fn successor(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.last_mut() {
        if *last < 0xFF {
            *last += 1;
            return Some(prefix);
        }
        prefix.pop();
    }
    None
}

/// A half-open range of entries: `low <= entry < high`, None = no bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRange {
    pub low: Option<Vec<u8>>,
    pub high: Option<Vec<u8>>,
}

impl ByteRange {
    /// Where the entries with exactly this key lie, and those of longer keys that begin with it.
    pub fn of_key(key: &[u8]) -> Self {
        let mut high = key.to_vec();
        high.extend([0xFF; 5]);
        Self { low: Some(key.to_vec()), high: Some(high) }
    }

    /// Whether the entry of a row with this key lies in the range. The key grows by the row id.
    pub fn has_row(&self, key: &mut Vec<u8>, rid: u32) -> bool {
        key.extend(rid.to_be_bytes());
        self.low.as_ref().is_none_or(|low| low <= key)
            && self.high.as_ref().is_none_or(|high| &*key < high)
    }
}

/// One side of a range in bytes: the encoded bound, and where its last column begins.
struct Bound {
    bytes: Vec<u8>,
    last_column: usize,
    columns: usize,
}

fn encode_bound(columns: &[IndexColumnSpec], bound: &[ColumnRef<'_>]) -> Result<Option<Bound>> {
    if bound.is_empty() || bound.len() > columns.len() {
        return Err(StoreError::internal("index bound with a wrong number of columns"));
    }
    let mut bytes = Vec::new();
    let mut last_column = 0;
    for (&spec, column) in columns.iter().zip(bound) {
        last_column = bytes.len();
        let value = column.value(0)?;
        if matches!(value, Value::Null) {
            return Ok(None);
        }
        encode_value(spec, value, &mut bytes)?;
    }
    Ok(Some(Bound { bytes, last_column, columns: bound.len() }))
}

/// The entries of a range, None when a NULL bound makes it empty.
///
/// `low` and `high` are bounds of the *values*: over a descending last column they change places here. A range that is
/// bounded on one side only leaves out the NULLs of the column it bounds, as `x > 5` does not take them.
pub fn byte_range(columns: &[IndexColumnSpec], range: &KeyRange<'_>) -> Result<Option<ByteRange>> {
    let (Some(low), Some(high)) = (
        range
            .low
            .map(|b| encode_bound(columns, b))
            .transpose()?
            .map_or(Some(None), |b| b.map(Some)),
        range
            .high
            .map(|b| encode_bound(columns, b))
            .transpose()?
            .map_or(Some(None), |b| b.map(Some)),
    ) else {
        return Ok(None);
    };
    let bounded = low.as_ref().map_or(0, |b| b.columns).max(high.as_ref().map_or(0, |b| b.columns));
    if bounded == 0 {
        return Ok(Some(null_range(columns[0], range.nulls)));
    }
    // Only the last bounded column can be a real range; those before it are equal on both sides or make a row
    // comparison, which needs one direction throughout.
    let (low, low_inclusive, high, high_inclusive) = if columns[bounded - 1].descending {
        (high, range.high_inclusive, low, range.low_inclusive)
    } else {
        (low, range.low_inclusive, high, range.high_inclusive)
    };
    // Where the NULLs of the last bounded column are: beside the values under their common prefix.
    let value_side = |with: &Bound, other: Option<&Bound>, tag: u8| -> Option<Vec<u8>> {
        match other {
            None => Some(vec![tag]),
            Some(o)
                if o.columns + 1 == with.columns
                    && with.bytes[..with.last_column] == o.bytes[..] =>
            {
                let mut bytes = o.bytes.clone();
                bytes.push(tag);
                Some(bytes)
            }
            Some(_) => None,
        }
    };
    let low_bytes = match (&low, &high) {
        (Some(l), Some(h)) if l.columns < h.columns => {
            value_side(h, Some(l), TAG_VALUE).or_else(|| lower_edge(l, low_inclusive))
        }
        (Some(l), _) => lower_edge(l, low_inclusive),
        (None, Some(h)) => value_side(h, None, TAG_VALUE),
        (None, None) => None,
    };
    let high_bytes = match (&low, &high) {
        (Some(l), Some(h)) if h.columns < l.columns => {
            value_side(l, Some(h), TAG_VALUE + 1).or_else(|| upper_edge(h, high_inclusive))
        }
        (_, Some(h)) => upper_edge(h, high_inclusive),
        (Some(l), None) => value_side(l, None, TAG_VALUE + 1),
        (None, None) => None,
    };
    Ok(Some(ByteRange { low: low_bytes, high: high_bytes }))
}

fn lower_edge(bound: &Bound, inclusive: bool) -> Option<Vec<u8>> {
    if inclusive { Some(bound.bytes.clone()) } else { successor(bound.bytes.clone()) }
}

fn upper_edge(bound: &Bound, inclusive: bool) -> Option<Vec<u8>> {
    if inclusive { successor(bound.bytes.clone()) } else { Some(bound.bytes.clone()) }
}

fn null_range(first: IndexColumnSpec, nulls: NullEntries) -> ByteRange {
    let null_tag = if first.nulls_first { TAG_NULL_FIRST } else { TAG_NULL_LAST };
    match nulls {
        NullEntries::All => ByteRange { low: None, high: None },
        NullEntries::Only => {
            ByteRange { low: Some(vec![null_tag]), high: Some(vec![null_tag + 1]) }
        }
        NullEntries::None => {
            ByteRange { low: Some(vec![TAG_VALUE]), high: Some(vec![TAG_VALUE + 1]) }
        }
    }
}

/// Bytes an entry keeps inside itself; longer ones go to the heap.
const INLINE_BYTES: usize = 22;

/// An index entry (key bytes and rid) in 24 bytes: a one-column integer key and its rid need no allocation.
#[derive(Clone)]
pub enum Entry {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Box<[u8]>),
}

impl Entry {
    pub fn new(key: &[u8], rid: u32) -> Self {
        let rid = rid.to_be_bytes();
        let len = key.len() + rid.len();
        if len <= INLINE_BYTES {
            let mut bytes = [0; INLINE_BYTES];
            bytes[..key.len()].copy_from_slice(key);
            bytes[key.len()..len].copy_from_slice(&rid);
            Self::Inline { len: len as u8, bytes }
        } else {
            let mut bytes = Vec::with_capacity(len);
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&rid);
            Self::Heap(bytes.into_boxed_slice())
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..*len as usize],
            Self::Heap(bytes) => bytes,
        }
    }

    pub fn key(&self) -> &[u8] {
        let bytes = self.bytes();
        &bytes[..bytes.len() - 4]
    }

    pub fn rid(&self) -> u32 {
        let bytes = self.bytes();
        let rid =
            bytes[bytes.len() - 4..].try_into().expect("an entry ends with four bytes of rid");
        u32::from_be_bytes(rid)
    }

    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap(bytes) => bytes.len(),
        }
    }
}

impl std::borrow::Borrow<[u8]> for Entry {
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

#[cfg(test)]
mod tests;
