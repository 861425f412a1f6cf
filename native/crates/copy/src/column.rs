//! Columns under construction.

use crate::FieldKind;

/// The values of a column; the value under a NULL is zero or empty.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Bool(Vec<u8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F64(Vec<f64>),
    /// Value i is `bytes[offsets[i] .. offsets[i + 1]]`.
    Bytes {
        offsets: Vec<u32>,
        bytes: Vec<u8>,
    },
    Vector {
        dim: usize,
        values: Vec<f32>,
    },
}

/// A column of rows; `nulls` has one byte a row, 1 = NULL.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub nulls: Vec<u8>,
    pub values: Values,
}

impl Column {
    pub(crate) fn new(kind: FieldKind) -> Self {
        let values = match kind {
            FieldKind::Bool => Values::Bool(Vec::new()),
            FieldKind::I32 => Values::I32(Vec::new()),
            FieldKind::I64 => Values::I64(Vec::new()),
            FieldKind::F64 => Values::F64(Vec::new()),
            FieldKind::Text | FieldKind::Raw => {
                Values::Bytes { offsets: vec![0], bytes: Vec::new() }
            }
            FieldKind::Vector(dim) => Values::Vector { dim, values: Vec::new() },
        };
        Self { nulls: Vec::new(), values }
    }

    pub(crate) fn push_null(&mut self) {
        self.nulls.push(1);
        match &mut self.values {
            Values::Bool(values) => values.push(0),
            Values::I32(values) => values.push(0),
            Values::I64(values) => values.push(0),
            Values::F64(values) => values.push(0.0),
            Values::Bytes { offsets, bytes } => offsets.push(bytes.len() as u32),
            Values::Vector { dim, values } => values.resize(values.len() + *dim, 0.0),
        }
    }

    /// Forgets the rows, and keeps the memory for others.
    pub(crate) fn clear(&mut self) {
        self.nulls.clear();
        match &mut self.values {
            Values::Bool(values) => values.clear(),
            Values::I32(values) => values.clear(),
            Values::I64(values) => values.clear(),
            Values::F64(values) => values.clear(),
            Values::Vector { values, .. } => values.clear(),
            Values::Bytes { offsets, bytes } => {
                offsets.truncate(1);
                bytes.clear();
            }
        }
    }

    /// Bytes the values take, for the caller's decision when to take them.
    pub(crate) fn byte_len(&self) -> usize {
        match &self.values {
            Values::Bytes { bytes, .. } => bytes.len(),
            Values::Vector { values, .. } => values.len() * 4,
            _ => 0,
        }
    }

    /// Takes the first `count` rows away as a column of their own.
    pub(crate) fn split(&mut self, count: usize) -> Self {
        fn front<T>(values: &mut Vec<T>, count: usize) -> Vec<T> {
            let rest = values.split_off(count);
            std::mem::replace(values, rest)
        }
        let nulls = front(&mut self.nulls, count);
        let values = match &mut self.values {
            Values::Bool(values) => Values::Bool(front(values, count)),
            Values::I32(values) => Values::I32(front(values, count)),
            Values::I64(values) => Values::I64(front(values, count)),
            Values::F64(values) => Values::F64(front(values, count)),
            Values::Vector { dim, values } => {
                Values::Vector { dim: *dim, values: front(values, count * *dim) }
            }
            Values::Bytes { offsets, bytes } => {
                let end = offsets[count];
                let rest = offsets[count..].iter().map(|offset| offset - end).collect();
                let mut taken = std::mem::replace(offsets, rest);
                taken.truncate(count + 1);
                Values::Bytes { offsets: taken, bytes: front(bytes, end as usize) }
            }
        };
        Self { nulls, values }
    }
}
