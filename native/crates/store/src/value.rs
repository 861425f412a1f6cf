//! One datum in the engine's own terms, for the paths that go value by value (keys, row images, copies of single rows).

use crate::column::{ColumnRef, ValuesRef};
use crate::error::{Result, StoreError};
use crate::types::StorageKind;

/// A vector cell with this bit names a vector of the transaction's own store, without it a vid of the column.
pub const PRIVATE_VECTOR: u32 = 1 << 31;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(u8),
    I32(i32),
    I64(i64),
    F64(f64),
    Bytes(&'a [u8]),
    /// Where the vector is, see `PRIVATE_VECTOR`.
    Vector(u32),
}

/// A datum that owns its bytes: one cell of a row being rewritten, or what old rows have in an added column.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnedValue {
    Null,
    Bool(u8),
    I32(i32),
    I64(i64),
    F64(f64),
    Bytes(Box<[u8]>),
    Vector(u32),
}

impl OwnedValue {
    pub fn as_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(v) => Value::Bool(*v),
            Self::I32(v) => Value::I32(*v),
            Self::I64(v) => Value::I64(*v),
            Self::F64(v) => Value::F64(*v),
            Self::Bytes(v) => Value::Bytes(v),
            Self::Vector(v) => Value::Vector(*v),
        }
    }
}

impl Value<'_> {
    /// Whether a column of that kind may hold it.
    pub fn is_of(self, kind: StorageKind) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(_) => kind == StorageKind::Bool,
            Self::I32(_) => kind == StorageKind::I32,
            Self::I64(_) => kind == StorageKind::I64,
            Self::F64(_) => kind == StorageKind::F64,
            Self::Bytes(_) => kind == StorageKind::Bytes,
            Self::Vector(_) => kind.is_vector(),
        }
    }

    pub fn to_owned_value(self) -> OwnedValue {
        match self {
            Self::Null => OwnedValue::Null,
            Self::Bool(v) => OwnedValue::Bool(v),
            Self::I32(v) => OwnedValue::I32(v),
            Self::I64(v) => OwnedValue::I64(v),
            Self::F64(v) => OwnedValue::F64(v),
            Self::Bytes(v) => OwnedValue::Bytes(v.into()),
            Self::Vector(v) => OwnedValue::Vector(v),
        }
    }
}

impl<'a> ColumnRef<'a> {
    /// The value at `row`. Vectors have no value before they are stored: asking for one is a caller's error.
    pub fn value(&self, row: usize) -> Result<Value<'a>> {
        let null = *self.nulls.get(row).ok_or_else(too_short)?;
        if null != 0 {
            return Ok(Value::Null);
        }
        Ok(match self.values {
            ValuesRef::Bool(v) => Value::Bool(u8::from(*v.get(row).ok_or_else(too_short)? != 0)),
            ValuesRef::I32(v) => Value::I32(*v.get(row).ok_or_else(too_short)?),
            ValuesRef::I64Numbers(v) => Value::I64(*v.get(row).ok_or_else(too_short)? as i64),
            ValuesRef::I64(v) => Value::I64(*v.get(row).ok_or_else(too_short)?),
            ValuesRef::F64(v) => Value::F64(*v.get(row).ok_or_else(too_short)?),
            ValuesRef::Bytes { offsets, bytes } => {
                let end = *offsets.get(row + 1).ok_or_else(too_short)? as usize;
                Value::Bytes(bytes.get(offsets[row] as usize..end).ok_or_else(too_short)?)
            }
            ValuesRef::Vector { .. } => {
                return Err(StoreError::unsupported("a vector in this place"));
            }
        })
    }

    /// The floats at `row` of a vector column, None for NULL.
    pub fn vector(&self, row: usize) -> Result<Option<&'a [f32]>> {
        if *self.nulls.get(row).ok_or_else(too_short)? != 0 {
            return Ok(None);
        }
        match self.values {
            ValuesRef::Vector { dim, values } => {
                Ok(Some(values.get(row * dim..(row + 1) * dim).ok_or_else(too_short)?))
            }
            _ => Err(StoreError::internal("expected a vector column")),
        }
    }
}

fn too_short() -> StoreError {
    StoreError::internal("column shorter than its row count")
}
