//! `ColumnBuffer` objects, or a row block in their place, as the engine's borrowed columns.

use crate::block::{read_block, write_block};
use crate::error::{Result, misuse};
use crate::lend::Lent;
use napi::{JsValue, Unknown, sys};
use omen_store::{ColumnMut, ColumnRef, KeyRange, NullEntries, StorageKind, ValuesMut, ValuesRef};

pub fn storage_kind(word: Option<&str>) -> Result<StorageKind> {
    Ok(match word {
        Some("bool") => StorageKind::Bool,
        Some("i32") => StorageKind::I32,
        Some("i64") => StorageKind::I64,
        Some("f64") => StorageKind::F64,
        Some("bytes") => StorageKind::Bytes,
        Some("vector") => StorageKind::Vector,
        other => return Err(misuse(format!("storage kind {other:?}"))),
    })
}

/// Columns to read: a row block where `shape` is given, else an array of `ColumnBuffer`s.
pub fn read_rows<'a>(
    lent: &'a Lent,
    rows: Unknown<'_>,
    shape: Unknown<'_>,
) -> Result<Vec<ColumnRef<'a>>> {
    if lent.is_nothing(shape.raw()) {
        read_columns(lent, rows)
    } else {
        read_block(lent, rows, shape)
    }
}

/// Columns to fill, as `read_rows`.
pub fn write_rows<'a>(
    lent: &'a Lent,
    rows: Unknown<'_>,
    shape: Unknown<'_>,
) -> Result<Vec<ColumnMut<'a>>> {
    if lent.is_nothing(shape.raw()) {
        write_columns(lent, rows)
    } else {
        write_block(lent, rows, shape)
    }
}

/// An array of columns to read.
pub fn read_columns<'a>(lent: &'a Lent, columns: Unknown<'_>) -> Result<Vec<ColumnRef<'a>>> {
    read_columns_raw(lent, columns.raw())
}

fn read_columns_raw(lent: &Lent, columns: sys::napi_value) -> Result<Vec<ColumnRef<'_>>> {
    lent.elements(columns, "columns")?
        .into_iter()
        .map(|column| read_column_raw(lent, column))
        .collect()
}

/// One column to read.
pub fn read_column<'a>(lent: &'a Lent, column: Unknown<'_>) -> Result<ColumnRef<'a>> {
    read_column_raw(lent, column.raw())
}

fn read_column_raw(lent: &Lent, column: sys::napi_value) -> Result<ColumnRef<'_>> {
    let property = |name| lent.property(column, name);
    let mut word = [0; 16];
    let kind = storage_kind(lent.word(property(c"kind")?, &mut word))?;
    let values = property(c"values")?;
    let values = match kind {
        StorageKind::Bool => ValuesRef::Bool(lent.read_raw(values, "values")?),
        StorageKind::I32 => ValuesRef::I32(lent.read_raw(values, "values")?),
        StorageKind::I64 => {
            let wide = lent.read_raw::<u8>(property(c"isWide")?, "isWide")?;
            if wide.first() == Some(&1) {
                ValuesRef::I64(lent.read_words(values, "values")?)
            } else {
                ValuesRef::I64Numbers(lent.read_raw(values, "values")?)
            }
        }
        StorageKind::F64 => ValuesRef::F64(lent.read_raw(values, "values")?),
        StorageKind::Bytes => ValuesRef::Bytes {
            offsets: lent.read_raw(property(c"offsets")?, "offsets")?,
            bytes: lent.read_raw(property(c"bytes")?, "bytes")?,
        },
        StorageKind::Vector | StorageKind::Counted => ValuesRef::Vector {
            dim: lent.number(property(c"dim")?, "dim")? as usize,
            values: lent.read_raw(values, "values")?,
        },
    };
    Ok(ColumnRef { nulls: lent.read_raw(property(c"nulls")?, "nulls")?, values })
}

/// An array of column buffers to fill.
pub fn write_columns<'a>(lent: &'a Lent, columns: Unknown<'_>) -> Result<Vec<ColumnMut<'a>>> {
    lent.elements(columns.raw(), "buffers")?
        .into_iter()
        .map(|column| write_column(lent, column))
        .collect()
}

fn write_column(lent: &Lent, column: sys::napi_value) -> Result<ColumnMut<'_>> {
    let property = |name| lent.property(column, name);
    let mut word = [0; 16];
    let kind = storage_kind(lent.word(property(c"kind")?, &mut word))?;
    let values = property(c"values")?;
    let values = match kind {
        StorageKind::Bool => ValuesMut::Bool(lent.write_raw(values, "values")?),
        StorageKind::I32 => ValuesMut::I32(lent.write_raw(values, "values")?),
        StorageKind::I64 => {
            let wide = lent.write_raw::<u8>(property(c"isWide")?, "isWide")?;
            let wide = wide.first_mut().ok_or_else(|| misuse("isWide must have an element"))?;
            ValuesMut::I64 { words: lent.write_words(values, "values")?, wide }
        }
        StorageKind::F64 => ValuesMut::F64(lent.write_raw(values, "values")?),
        StorageKind::Bytes => ValuesMut::Bytes {
            offsets: lent.write_raw(property(c"offsets")?, "offsets")?,
            bytes: lent.write_raw(property(c"bytes")?, "bytes")?,
        },
        StorageKind::Vector | StorageKind::Counted => ValuesMut::Vector {
            dim: lent.number(property(c"dim")?, "dim")? as usize,
            values: lent.write_raw(values, "values")?,
        },
    };
    Ok(ColumnMut { nulls: lent.write_raw(property(c"nulls")?, "nulls")?, values })
}

/// An `IndexRange`, its bounds held here so that the engine's view can borrow them.
pub struct Range<'a> {
    low: Option<Vec<ColumnRef<'a>>>,
    high: Option<Vec<ColumnRef<'a>>>,
    /// `high` is `low`: an equality, whose values are read once.
    is_point: bool,
    low_inclusive: bool,
    high_inclusive: bool,
    nulls: NullEntries,
}

impl<'a> Range<'a> {
    pub fn read(lent: &'a Lent, range: Unknown<'_>) -> Result<Self> {
        let property = |name| lent.property(range.raw(), name);
        let bound = |value| {
            if lent.is_nothing(value) { Ok(None) } else { read_columns_raw(lent, value).map(Some) }
        };
        let flag = |name| -> Result<bool> {
            let mut set = false;
            // SAFETY: the property is a handle of the call; anything but a boolean leaves `false`.
            unsafe { sys::napi_get_value_bool(lent.env(), property(name)?, &raw mut set) };
            Ok(set)
        };
        let mut word = [0; 16];
        let nulls = match lent.word(property(c"nulls")?, &mut word) {
            None | Some("all") => NullEntries::All,
            Some("only") => NullEntries::Only,
            Some("none") => NullEntries::None,
            Some(other) => return Err(misuse(format!("nulls: {other}"))),
        };
        let (low, high) = (property(c"low")?, property(c"high")?);
        let is_point = lent.is_same(low, high);
        Ok(Self {
            low: bound(low)?,
            high: if is_point { None } else { bound(high)? },
            is_point,
            low_inclusive: flag(c"lowInclusive")?,
            high_inclusive: flag(c"highInclusive")?,
            nulls,
        })
    }

    pub fn view(&self) -> KeyRange<'_> {
        KeyRange {
            low: self.low.as_deref(),
            low_inclusive: self.low_inclusive,
            high: if self.is_point { self.low.as_deref() } else { self.high.as_deref() },
            high_inclusive: self.high_inclusive,
            nulls: self.nulls,
        }
    }
}
