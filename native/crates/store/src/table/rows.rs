//! Columns of up to 4,096 rows, written once and never changed: the storage of chunks, shared and private alike.
//!
//! A column lies in memory of its own or in a mapped chunk file (`Buffer`). Bytes from a file are trusted only after
//! `Rows::check` of their column: whoever reads committed rows calls it first, once a column it is a flag.

use super::ColumnInfo;
use super::buffer::Buffer;
use super::chunk_file::StoredSum;
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
    Bool(Buffer<u8>),
    I32(Buffer<i32>),
    I64(Buffer<i64>),
    F64(Buffer<f64>),
    /// Row i is `arena[offsets[i]..offsets[i + 1]]`.
    Bytes {
        offsets: Buffer<u32>,
        arena: Buffer<u8>,
    },
    /// Vector cells, see `value::PRIVATE_VECTOR`.
    Vector(Buffer<u32>),
}

#[derive(Debug)]
pub struct StoredColumn {
    /// One byte a row, 1 = NULL; empty when there is none.
    nulls: Buffer<u8>,
    data: ColumnData,
    /// The checksum of a column in a file.
    sum: Option<StoredSum>,
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
            StorageKind::Bool => ColumnData::Bool(Buffer::default()),
            StorageKind::I32 => ColumnData::I32(Buffer::default()),
            StorageKind::I64 => ColumnData::I64(Buffer::default()),
            StorageKind::F64 => ColumnData::F64(Buffer::default()),
            StorageKind::Bytes => {
                ColumnData::Bytes { offsets: vec![0].into(), arena: Buffer::default() }
            }
            StorageKind::Vector | StorageKind::Counted => ColumnData::Vector(Buffer::default()),
        };
        Self { nulls: Buffer::default(), data, sum: None }
    }

    /// A column in a chunk file; `nulls` has a byte a row or none.
    pub fn stored(nulls: Buffer<u8>, data: ColumnData, sum: StoredSum) -> Self {
        Self { nulls, data, sum: Some(sum) }
    }

    pub fn nulls(&self) -> &[u8] {
        &self.nulls
    }

    pub fn data(&self) -> &ColumnData {
        &self.data
    }

    /// The same values: windows into the same file, or copies of what is on the heap.
    pub fn duplicate(&self) -> Self {
        let data = match &self.data {
            ColumnData::Bool(v) => ColumnData::Bool(v.duplicate()),
            ColumnData::I32(v) => ColumnData::I32(v.duplicate()),
            ColumnData::I64(v) => ColumnData::I64(v.duplicate()),
            ColumnData::F64(v) => ColumnData::F64(v.duplicate()),
            ColumnData::Bytes { offsets, arena } => {
                ColumnData::Bytes { offsets: offsets.duplicate(), arena: arena.duplicate() }
            }
            ColumnData::Vector(v) => ColumnData::Vector(v.duplicate()),
        };
        let sum = self.sum.as_ref().map(StoredSum::duplicate);
        Self { nulls: self.nulls.duplicate(), data, sum }
    }

    fn kind(&self) -> StorageKind {
        match self.data {
            ColumnData::Bool(_) => StorageKind::Bool,
            ColumnData::I32(_) => StorageKind::I32,
            ColumnData::I64(_) => StorageKind::I64,
            ColumnData::F64(_) => StorageKind::F64,
            ColumnData::Bytes { .. } => StorageKind::Bytes,
            ColumnData::Vector(_) => StorageKind::Vector,
        }
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.get(row).is_some_and(|&null| null != 0)
    }

    fn len(&self) -> usize {
        match &self.data {
            ColumnData::Bool(v) => v.len(),
            ColumnData::I32(v) => v.len(),
            ColumnData::I64(v) => v.len(),
            ColumnData::F64(v) => v.len(),
            ColumnData::Bytes { offsets, .. } => offsets.len() - 1,
            ColumnData::Vector(v) => v.len(),
        }
    }

    /// XX001 if the column lies in a file and does not match its sum. Looked at once.
    pub fn check(&self) -> Result<()> {
        match &self.sum {
            None => Ok(()),
            Some(sum) => sum.check(|| match &self.data {
                ColumnData::Bytes { offsets, arena } => {
                    offsets.first() == Some(&0)
                        && offsets.is_sorted()
                        && offsets.last().is_some_and(|&end| end as usize == arena.len())
                }
                _ => true,
            }),
        }
    }

    pub fn value(&self, row: usize) -> Value<'_> {
        if self.is_null(row) {
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
        let is_null = matches!(value, Value::Null);
        if is_null {
            let len = self.len();
            self.nulls.vec_mut().resize(len, 0);
        }
        if is_null || !self.nulls.is_empty() {
            self.nulls.vec_mut().push(u8::from(is_null));
        }
        match (&mut self.data, value) {
            (ColumnData::Bool(v), Value::Bool(x)) => v.vec_mut().push(x),
            (ColumnData::I32(v), Value::I32(x)) => v.vec_mut().push(x),
            (ColumnData::I64(v), Value::I64(x)) => v.vec_mut().push(x),
            (ColumnData::F64(v), Value::F64(x)) => v.vec_mut().push(x),
            (ColumnData::Bytes { offsets, arena }, Value::Bytes(x)) => {
                arena.vec_mut().extend_from_slice(x);
                offsets.vec_mut().push(arena.len() as u32);
            }
            (ColumnData::Vector(v), Value::Vector(x)) => v.vec_mut().push(x),
            (data, Value::Null) => match data {
                ColumnData::Bool(v) => v.vec_mut().push(0),
                ColumnData::I32(v) => v.vec_mut().push(0),
                ColumnData::I64(v) => v.vec_mut().push(0),
                ColumnData::F64(v) => v.vec_mut().push(0.0),
                ColumnData::Bytes { offsets, arena } => offsets.vec_mut().push(arena.len() as u32),
                ColumnData::Vector(v) => v.vec_mut().push(0),
            },
            _ => panic!("a value of another kind than its column"),
        }
    }

    /// Appends rows `from .. from + count` of a caller's column; vector columns go through `push`.
    fn extend(&mut self, source: &ColumnRef<'_>, from: usize, count: usize) {
        let to = from + count;
        let nulls = &source.nulls[from..to];
        if !self.nulls.is_empty() || nulls.iter().any(|&n| n != 0) {
            let len = self.len();
            let own = self.nulls.vec_mut();
            own.resize(len, 0);
            own.extend(nulls.iter().map(|&n| u8::from(n != 0)));
        }
        match (&mut self.data, source.values) {
            (ColumnData::Bool(v), ValuesRef::Bool(x)) => {
                v.vec_mut().extend(x[from..to].iter().map(|&b| u8::from(b != 0)));
            }
            (ColumnData::I32(v), ValuesRef::I32(x)) => v.vec_mut().extend_from_slice(&x[from..to]),
            (ColumnData::I64(v), ValuesRef::I64(x)) => v.vec_mut().extend_from_slice(&x[from..to]),
            (ColumnData::I64(v), ValuesRef::I64Numbers(x)) => {
                v.vec_mut().extend(x[from..to].iter().map(|&n| n as i64));
            }
            (ColumnData::F64(v), ValuesRef::F64(x)) => v.vec_mut().extend_from_slice(&x[from..to]),
            (ColumnData::Bytes { offsets, arena }, ValuesRef::Bytes { offsets: x, bytes }) => {
                let (offsets, arena) = (offsets.vec_mut(), arena.vec_mut());
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
        self.nulls.vec_mut().truncate(len);
        match &mut self.data {
            ColumnData::Bool(v) => v.vec_mut().truncate(len),
            ColumnData::I32(v) => v.vec_mut().truncate(len),
            ColumnData::I64(v) => v.vec_mut().truncate(len),
            ColumnData::F64(v) => v.vec_mut().truncate(len),
            ColumnData::Bytes { offsets, arena } => {
                offsets.vec_mut().truncate(len + 1);
                arena.vec_mut().truncate(offsets[len] as usize);
            }
            ColumnData::Vector(v) => v.vec_mut().truncate(len),
        }
    }

    /// (NULL bytes, none when there are no NULLs; cells) of a vector column that is still private.
    pub fn vector_cells_mut(&mut self) -> Option<(&[u8], &mut [u32])> {
        match &mut self.data {
            ColumnData::Vector(cells) => Some((&self.nulls, cells.vec_mut())),
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

    fn heap_bytes(&self) -> usize {
        self.nulls.heap_bytes()
            + match &self.data {
                ColumnData::Bool(v) => v.heap_bytes(),
                ColumnData::I32(v) => v.heap_bytes(),
                ColumnData::I64(v) => v.heap_bytes(),
                ColumnData::F64(v) => v.heap_bytes(),
                ColumnData::Bytes { offsets, arena } => offsets.heap_bytes() + arena.heap_bytes(),
                ColumnData::Vector(v) => v.heap_bytes(),
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
        match self.nulls.get(from..to) {
            Some(nulls) => buffer.nulls[at..at + count].copy_from_slice(nulls),
            None => buffer.nulls[at..at + count].fill(0),
        }
        true
    }
}

impl Rows {
    pub fn new(kinds: impl IntoIterator<Item = StorageKind>) -> Self {
        Self { columns: kinds.into_iter().map(StoredColumn::new).collect(), len: 0 }
    }

    /// Columns in a chunk file, `len` rows each.
    pub fn stored(columns: Vec<StoredColumn>, len: usize) -> Self {
        Self { columns, len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// An empty set for rows with the columns of the relation and those that these have beyond them.
    pub fn emptied(&self, columns: &[ColumnInfo]) -> Self {
        let beyond = self.columns.iter().skip(columns.len()).map(StoredColumn::kind);
        Self::new(columns.iter().map(|c| c.spec.kind).chain(beyond))
    }

    /// The same rows with at least the columns up to the last of `positions`, of which `added` has the values. Others that
    /// the rows are older than have their initial values.
    pub fn widened(
        &self,
        columns: &[ColumnInfo],
        positions: &[u16],
        added: impl Fn(usize) -> Option<StoredColumn>,
    ) -> Self {
        let needed = positions.iter().max().map_or(0, |&last| last as usize + 1);
        let column = |position: usize| {
            let present = || self.columns.get(position).map(StoredColumn::duplicate);
            added(position).or_else(present).unwrap_or_else(|| {
                let mut initial = StoredColumn::new(columns[position].spec.kind);
                (0..self.len).for_each(|_| initial.push(columns[position].initial.as_value()));
                initial
            })
        };
        let width = needed.max(self.columns.len());
        Self { columns: (0..width).map(column).collect(), len: self.len }
    }

    /// The same rows with their first `width` columns.
    pub fn narrowed(&self, width: usize) -> Self {
        let columns = self.columns.iter().take(width).map(StoredColumn::duplicate).collect();
        Self { columns, len: self.len }
    }

    /// XX001 if a column of this chunk lies damaged in its file. Columns the chunk does not have pass.
    pub fn check(&self, column: usize) -> Result<()> {
        self.columns.get(column).map_or(Ok(()), StoredColumn::check)
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

    /// Bytes of it that are not in a mapped file.
    pub fn heap_bytes(&self) -> usize {
        self.columns.iter().map(StoredColumn::heap_bytes).sum()
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
                let row_words = spec.row_words();
                let held = values.chunks_exact(dim.max(1)).zip(column.nulls).take(rows);
                if held
                    .filter(|(_, null)| **null == 0)
                    .any(|(row, _)| row_words.first(row).is_none())
                {
                    return Err(StoreError::internal("a row that says more than it holds"));
                }
                let kind = if spec.kind.is_vector() { spec.kind } else { StorageKind::Vector };
                (kind, values.len() / dim.max(1))
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
