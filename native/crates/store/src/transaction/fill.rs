//! Copying rows into callers' column buffers.
//!
//! A batch is a list of row references; columns are filled one after the other, in runs where neighbouring rows of a
//! chunk are wanted and value by value elsewhere. Sizes of bytes columns are checked before anything is written, so a
//! buffer that is too small consumes nothing.

use std::sync::Arc;

use super::PrivateTable;
use crate::column::{ColumnMut, ValuesMut};
use crate::error::{Result, StoreError};
use crate::table::data::{Slot, TableData};
use crate::table::rows::Rows;
use crate::table::vectors::VectorColumn;
use crate::table::{ColumnInfo, Table, chunk_value};
use crate::value::{PRIVATE_VECTOR, Value};

/// Integers beyond this do not fit a JavaScript number exactly.
const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// One row of a batch.
#[derive(Debug, Clone, Copy)]
pub enum RowRef {
    Committed(Slot),
    Own(u32),
}

/// The rows of a batch: positions in one chunk, or references anywhere.
pub enum Batch<'a> {
    /// Positions in a chunk; `None` = all of `from .. from + count`.
    Chunk {
        rows: &'a Rows,
        positions: Positions<'a>,
    },
    Any {
        data: &'a TableData,
        refs: &'a [RowRef],
    },
}

pub enum Positions<'a> {
    Run { from: usize, count: usize },
    List(&'a [u32]),
}

pub struct Source<'a> {
    pub table: &'a Table,
    pub columns: &'a [ColumnInfo],
    pub private: Option<&'a PrivateTable>,
}

impl Batch<'_> {
    pub fn len(&self) -> usize {
        match self {
            Self::Chunk { positions: Positions::Run { count, .. }, .. } => *count,
            Self::Chunk { positions: Positions::List(list), .. } => list.len(),
            Self::Any { refs, .. } => refs.len(),
        }
    }

    fn value<'v>(&'v self, source: &Source<'v>, column: usize, i: usize) -> Value<'v> {
        match self {
            Self::Chunk { rows, positions } => {
                let position = match positions {
                    Positions::Run { from, .. } => from + i,
                    Positions::List(list) => list[i] as usize,
                };
                chunk_value(rows, source.columns, column, position)
            }
            Self::Any { data, refs } => match refs[i] {
                RowRef::Committed(slot) => {
                    let rows = &data.chunk(slot.chunk()).rows;
                    chunk_value(rows, source.columns, column, slot.position())
                }
                RowRef::Own(row) => {
                    source.private.expect("own rows have a private table").value(row, column)
                }
            },
        }
    }

    /// XX001 when a chunk of the batch lies damaged in its file. Before anything is read.
    fn check(&self, columns: &[u16]) -> Result<()> {
        let check = |rows: &Rows| columns.iter().try_for_each(|&c| rows.check(c as usize));
        match self {
            Self::Chunk { rows, .. } => check(rows),
            Self::Any { data, refs } => refs.iter().try_for_each(|row| match row {
                RowRef::Committed(slot) => check(&data.chunk(slot.chunk()).rows),
                RowRef::Own(_) => Ok(()),
            }),
        }
    }

    fn bytes_needed(&self, source: &Source<'_>, column: usize) -> usize {
        let len = |i| match self.value(source, column, i) {
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        (0..self.len()).map(len).sum()
    }
}

/// Checks what is about to be read. Some((position, bytes)): the bytes buffer at that position is too small.
pub fn too_small(
    batch: &Batch<'_>,
    source: &Source<'_>,
    columns: &[u16],
    buffers: &[ColumnMut<'_>],
) -> Result<Option<(usize, usize)>> {
    batch.check(columns)?;
    Ok(columns.iter().zip(buffers).enumerate().find_map(|(i, (&column, buffer))| {
        let ValuesMut::Bytes { bytes, .. } = &buffer.values else { return None };
        let needed = batch.bytes_needed(source, column as usize);
        (needed > bytes.len()).then_some((i, needed))
    }))
}

/// Fills the buffers with the batch, which `too_small` has passed, from row `at` of the buffers on; bytes offsets go on from `offsets[at]`.
pub fn fill(
    batch: &Batch<'_>,
    source: &Source<'_>,
    columns: &[u16],
    buffers: &mut [ColumnMut<'_>],
) -> Result<()> {
    for (&column, buffer) in columns.iter().zip(buffers) {
        fill_column(batch, source, column as usize, buffer)?;
    }
    Ok(())
}

fn fill_column(
    batch: &Batch<'_>,
    source: &Source<'_>,
    column: usize,
    buffer: &mut ColumnMut<'_>,
) -> Result<()> {
    let run = match batch {
        Batch::Chunk { rows, positions: Positions::Run { from, count } } => {
            rows.columns.get(column).is_some_and(|c| c.copy_run(*from, *count, buffer, 0))
        }
        _ => false,
    };
    if !run {
        if let ValuesMut::Vector { .. } = buffer.values {
            return fill_vectors(batch, source, column, buffer);
        }
        fill_values(batch, source, column, buffer)?;
    }
    if let ValuesMut::I64 { words, wide } = &mut buffer.values {
        narrow(&mut words[..batch.len()], buffer.nulls, wide);
    }
    Ok(())
}

fn fill_values(
    batch: &Batch<'_>,
    source: &Source<'_>,
    column: usize,
    buffer: &mut ColumnMut<'_>,
) -> Result<()> {
    let mut end = 0;
    if let ValuesMut::Bytes { offsets, .. } = &mut buffer.values {
        offsets[0] = 0;
    }
    for i in 0..batch.len() {
        let value = batch.value(source, column, i);
        buffer.nulls[i] = u8::from(matches!(value, Value::Null));
        match (&mut buffer.values, value) {
            (ValuesMut::Bool(out), Value::Bool(v)) => out[i] = v,
            (ValuesMut::I32(out), Value::I32(v)) => out[i] = v,
            (ValuesMut::I64 { words, .. }, Value::I64(v)) => words[i] = v,
            (ValuesMut::F64(out), Value::F64(v)) => out[i] = v,
            (ValuesMut::Bytes { bytes, offsets }, Value::Bytes(v)) => {
                bytes[end..end + v.len()].copy_from_slice(v);
                end += v.len();
                offsets[i + 1] = end as u32;
            }
            (ValuesMut::Bytes { offsets, .. }, Value::Null) => offsets[i + 1] = end as u32,
            (_, Value::Null) => {}
            _ => return Err(StoreError::internal("buffer of another kind than its column")),
        }
    }
    Ok(())
}

fn fill_vectors(
    batch: &Batch<'_>,
    source: &Source<'_>,
    column: usize,
    buffer: &mut ColumnMut<'_>,
) -> Result<()> {
    let ValuesMut::Vector { dim, values } = &mut buffer.values else { return Ok(()) };
    let dim = *dim;
    if source.columns[column].spec.dim as usize != dim {
        return Err(StoreError::internal("buffer of another dimension than its column"));
    }
    let shared = vectors_of(source.table, source.private, column);
    for i in 0..batch.len() {
        let value = batch.value(source, column, i);
        buffer.nulls[i] = u8::from(matches!(value, Value::Null));
        if let Value::Vector(cell) = value {
            let floats = cell_vector(shared.as_deref(), source.private, column, cell)?;
            let (row, rest) = values[i * dim..(i + 1) * dim].split_at_mut(floats.len());
            row.copy_from_slice(floats);
            // Of a row that is shorter than others can be.
            rest.fill(0.0);
        }
    }
    Ok(())
}

/// The vectors of a column, which may be one that the transaction adds.
pub fn vectors_of(
    table: &Table,
    private: Option<&PrivateTable>,
    column: usize,
) -> Option<Arc<VectorColumn>> {
    let added = || private.and_then(|private| private.added.get(&column).cloned());
    table.vectors(column).or_else(added)
}

/// The floats a vector cell names. XX001 if they lie damaged in their file.
pub fn cell_vector<'a>(
    shared: Option<&'a VectorColumn>,
    private: Option<&'a PrivateTable>,
    column: usize,
    cell: u32,
) -> Result<&'a [f32]> {
    if cell & PRIVATE_VECTOR != 0 {
        let private = private.expect("a private vector has a private table");
        Ok(private.private_vector(column, cell))
    } else {
        shared.expect("a vid has a vector column").vector(cell)
    }
}

/// Turns integers into JavaScript numbers in place, unless one does not fit.
fn narrow(words: &mut [i64], nulls: &[u8], wide: &mut u8) {
    let fits = |(word, &null): (&i64, &u8)| {
        null != 0 || (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(word)
    };
    let all_fit = words.iter().zip(nulls).all(fits);
    *wide = u8::from(!all_fit);
    if all_fit {
        for word in words {
            *word = (*word as f64).to_bits() as i64;
        }
    }
}
