//! Columns of up to 4,096 rows, written once and never changed: the storage of chunks, shared and private alike.

use crate::column::{ColumnMut, ColumnRef, ValuesMut, ValuesRef};
use crate::error::{Result, StoreError};
use crate::types::{ColumnSpec, StorageKind};
use crate::value::Value;

/// Rows of one chunk; also the size of a scan's batch.
pub const CHUNK_ROWS: usize = 4096;

/// A chunk is closed early when a bytes column reaches this, well below what u32 offsets can address.
pub const CHUNK_ARENA_BYTES: usize = 256 << 20;

/// Longest single value, PostgreSQL's own limit of a field.
pub const MAX_VALUE_BYTES: usize = (1 << 30) - 1;

#[derive(Debug)]
pub enum ColumnData {
    Bool(Vec<u8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F64(Vec<f64>),
    /// Row i is `arena[offsets[i]..offsets[i + 1]]`.
    Bytes {
        offsets: Vec<u32>,
        arena: Vec<u8>,
    },
    /// Vector cells, see `value::PRIVATE_VECTOR`.
    Vector(Vec<u32>),
}

#[derive(Debug)]
pub struct StoredColumn {
    nulls: Vec<u8>,
    data: ColumnData,
}

/// Rows column by column. Columns added to the relation later are absent.
#[derive(Debug)]
pub struct Rows {
    pub columns: Vec<StoredColumn>,
    len: usize,
}

impl StoredColumn {
    pub fn new(kind: StorageKind) -> Self {
        let data = match kind {
            StorageKind::Bool => ColumnData::Bool(Vec::new()),
            StorageKind::I32 => ColumnData::I32(Vec::new()),
            StorageKind::I64 => ColumnData::I64(Vec::new()),
            StorageKind::F64 => ColumnData::F64(Vec::new()),
            StorageKind::Bytes => ColumnData::Bytes { offsets: vec![0], arena: Vec::new() },
            StorageKind::Vector => ColumnData::Vector(Vec::new()),
        };
        Self { nulls: Vec::new(), data }
    }

    pub fn value(&self, row: usize) -> Value<'_> {
        if self.nulls[row] != 0 {
            return Value::Null;
        }
        match &self.data {
            ColumnData::Bool(v) => Value::Bool(v[row]),
            ColumnData::I32(v) => Value::I32(v[row]),
            ColumnData::I64(v) => Value::I64(v[row]),
            ColumnData::F64(v) => Value::F64(v[row]),
            ColumnData::Bytes { offsets, arena } => {
                Value::Bytes(&arena[offsets[row] as usize..offsets[row + 1] as usize])
            }
            ColumnData::Vector(v) => Value::Vector(v[row]),
        }
    }

    /// Panics on a value of another kind: kinds are checked where values enter.
    pub fn push(&mut self, value: Value<'_>) {
        self.nulls.push(u8::from(matches!(value, Value::Null)));
        match (&mut self.data, value) {
            (ColumnData::Bool(v), Value::Bool(x)) => v.push(x),
            (ColumnData::I32(v), Value::I32(x)) => v.push(x),
            (ColumnData::I64(v), Value::I64(x)) => v.push(x),
            (ColumnData::F64(v), Value::F64(x)) => v.push(x),
            (ColumnData::Bytes { offsets, arena }, Value::Bytes(x)) => {
                arena.extend_from_slice(x);
                offsets.push(arena.len() as u32);
            }
            (ColumnData::Vector(v), Value::Vector(x)) => v.push(x),
            (data, Value::Null) => match data {
                ColumnData::Bool(v) => v.push(0),
                ColumnData::I32(v) => v.push(0),
                ColumnData::I64(v) => v.push(0),
                ColumnData::F64(v) => v.push(0.0),
                ColumnData::Bytes { offsets, arena } => offsets.push(arena.len() as u32),
                ColumnData::Vector(v) => v.push(0),
            },
            _ => panic!("a value of another kind than its column"),
        }
    }

    /// Appends rows `from .. from + count` of a caller's column; vector columns go through `push`.
    fn extend(&mut self, source: &ColumnRef<'_>, from: usize, count: usize) {
        let to = from + count;
        self.nulls.extend(source.nulls[from..to].iter().map(|&n| u8::from(n != 0)));
        match (&mut self.data, source.values) {
            (ColumnData::Bool(v), ValuesRef::Bool(x)) => {
                v.extend(x[from..to].iter().map(|&b| u8::from(b != 0)));
            }
            (ColumnData::I32(v), ValuesRef::I32(x)) => v.extend_from_slice(&x[from..to]),
            (ColumnData::I64(v), ValuesRef::I64(x)) => v.extend_from_slice(&x[from..to]),
            (ColumnData::I64(v), ValuesRef::I64Numbers(x)) => {
                v.extend(x[from..to].iter().map(|&n| n as i64));
            }
            (ColumnData::F64(v), ValuesRef::F64(x)) => v.extend_from_slice(&x[from..to]),
            (ColumnData::Bytes { offsets, arena }, ValuesRef::Bytes { offsets: x, bytes }) => {
                for row in from..to {
                    // What lies under a NULL is unspecified and not worth keeping.
                    if source.nulls[row] == 0 {
                        arena.extend_from_slice(&bytes[x[row] as usize..x[row + 1] as usize]);
                    }
                    offsets.push(arena.len() as u32);
                }
            }
            _ => panic!("a column of another kind than its relation's"),
        }
    }

    fn truncate(&mut self, len: usize) {
        self.nulls.truncate(len);
        match &mut self.data {
            ColumnData::Bool(v) => v.truncate(len),
            ColumnData::I32(v) => v.truncate(len),
            ColumnData::I64(v) => v.truncate(len),
            ColumnData::F64(v) => v.truncate(len),
            ColumnData::Bytes { offsets, arena } => {
                offsets.truncate(len + 1);
                arena.truncate(offsets[len] as usize);
            }
            ColumnData::Vector(v) => v.truncate(len),
        }
    }

    pub fn vector_cells_mut(&mut self) -> Option<(&[u8], &mut [u32])> {
        match &mut self.data {
            ColumnData::Vector(cells) => Some((&self.nulls, cells)),
            _ => None,
        }
    }

    fn arena_bytes(&self) -> usize {
        match &self.data {
            ColumnData::Bytes { arena, .. } => arena.len(),
            _ => 0,
        }
    }

    fn size_bytes(&self) -> usize {
        self.nulls.len()
            + match &self.data {
                ColumnData::Bool(v) => v.len(),
                ColumnData::I32(v) => v.len() * 4,
                ColumnData::I64(v) => v.len() * 8,
                ColumnData::F64(v) => v.len() * 8,
                ColumnData::Bytes { offsets, arena } => offsets.len() * 4 + arena.len(),
                ColumnData::Vector(v) => v.len() * 4,
            }
    }

    /// Copies consecutive rows into a caller's buffer at `at`; false when the kind needs the value-by-value way.
    pub fn copy_run(
        &self,
        from: usize,
        count: usize,
        buffer: &mut ColumnMut<'_>,
        at: usize,
    ) -> bool {
        let to = from + count;
        match (&self.data, &mut buffer.values) {
            (ColumnData::Bool(v), ValuesMut::Bool(out)) => {
                out[at..at + count].copy_from_slice(&v[from..to]);
            }
            (ColumnData::I32(v), ValuesMut::I32(out)) => {
                out[at..at + count].copy_from_slice(&v[from..to]);
            }
            (ColumnData::I64(v), ValuesMut::I64 { words, .. }) => {
                words[at..at + count].copy_from_slice(&v[from..to]);
            }
            (ColumnData::F64(v), ValuesMut::F64(out)) => {
                out[at..at + count].copy_from_slice(&v[from..to]);
            }
            _ => return false,
        }
        buffer.nulls[at..at + count].copy_from_slice(&self.nulls[from..to]);
        true
    }
}

impl Rows {
    pub fn new(kinds: impl IntoIterator<Item = StorageKind>) -> Self {
        Self { columns: kinds.into_iter().map(StoredColumn::new).collect(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_full(&self) -> bool {
        self.len >= CHUNK_ROWS || self.columns.iter().any(|c| c.arena_bytes() >= CHUNK_ARENA_BYTES)
    }

    /// The value of a column this chunk has.
    pub fn value(&self, column: usize, row: usize) -> Value<'_> {
        self.columns[column].value(row)
    }

    /// Appends a row, all columns in order.
    pub fn push_row<'a>(&mut self, mut value: impl FnMut(usize) -> Value<'a>) {
        for (position, column) in self.columns.iter_mut().enumerate() {
            column.push(value(position));
        }
        self.len += 1;
    }

    /// Appends rows of callers' columns. `vector` stores a vector and names its cell.
    pub fn extend(
        &mut self,
        columns: &[ColumnRef<'_>],
        from: usize,
        count: usize,
        mut vector: impl FnMut(usize, &[f32]) -> u32,
    ) -> Result<()> {
        for (position, (column, source)) in self.columns.iter_mut().zip(columns).enumerate() {
            if matches!(column.data, ColumnData::Vector(_)) {
                for row in from..from + count {
                    column.push(match source.vector(row)? {
                        Some(floats) => Value::Vector(vector(position, floats)),
                        None => Value::Null,
                    });
                }
            } else {
                column.extend(source, from, count);
            }
        }
        self.len += count;
        Ok(())
    }

    pub fn truncate(&mut self, len: usize) {
        self.columns.iter_mut().for_each(|c| c.truncate(len));
        self.len = len;
    }

    pub fn size_bytes(&self) -> usize {
        self.columns.iter().map(StoredColumn::size_bytes).sum()
    }
}

/// Checks callers' columns against a relation before anything is touched: kinds, dimensions, lengths, sizes.
pub fn check_columns(
    specs: impl ExactSizeIterator<Item = ColumnSpec>,
    columns: &[ColumnRef<'_>],
    rows: usize,
) -> Result<()> {
    if specs.len() != columns.len() {
        return Err(StoreError::internal(format!(
            "{} columns given, the relation has {}",
            columns.len(),
            specs.len()
        )));
    }
    for (spec, column) in specs.zip(columns) {
        let (kind, len) = match column.values {
            ValuesRef::Bool(v) => (StorageKind::Bool, v.len()),
            ValuesRef::I32(v) => (StorageKind::I32, v.len()),
            ValuesRef::I64(v) => (StorageKind::I64, v.len()),
            ValuesRef::I64Numbers(v) => (StorageKind::I64, v.len()),
            ValuesRef::F64(v) => (StorageKind::F64, v.len()),
            ValuesRef::Bytes { offsets, bytes } => {
                let ordered = offsets.windows(2).take(rows).all(|w| w[0] <= w[1])
                    && offsets.get(rows).is_none_or(|&end| end as usize <= bytes.len());
                if !ordered {
                    return Err(StoreError::internal("offsets outside their bytes"));
                }
                (StorageKind::Bytes, offsets.len().saturating_sub(1))
            }
            ValuesRef::Vector { dim, values } => {
                if dim != spec.dim as usize {
                    return Err(StoreError::new(
                        "22000",
                        format!("expected {} dimensions, not {dim}", spec.dim),
                    ));
                }
                (StorageKind::Vector, values.len() / dim.max(1))
            }
        };
        if kind != spec.kind {
            return Err(StoreError::internal(format!(
                "{kind:?} given for a {:?} column",
                spec.kind
            )));
        }
        if len < rows || column.nulls.len() < rows {
            return Err(StoreError::internal("column shorter than its row count"));
        }
    }
    Ok(())
}
