//! Row blocks: the columns of a few rows in one piece of memory, with numbers that say how it is divided. Two loans serve
//! any number of columns, where each `ColumnBuffer` object costs half a dozen property reads.
//!
//! `shape` is `[capacity, kind, room, kind, room, ...]`, a pair for each column: `room` is the words of a vector's row, the
//! bytes of a bytes column, 0 for other kinds. The memory holds, column after column, each part rounded up to 8 bytes:
//!
//! ```text
//! 8 bytes, the first of which is isWide | capacity bytes of nulls | values
//! values   bool: capacity bytes · i32: 4 each · i64, f64: 8 each · vector: 4 * room each
//!          bytes: capacity + 1 offsets of 4 bytes, then room bytes
//! ```
//!
//! Parts are cut off the front of the memory one after the other, so they never overlap; memory that is too short for its
//! shape is refused.

use crate::error::{Result, misuse};
use crate::lend::{Element, Lent};
use napi::Unknown;
use omen_store::{ColumnMut, ColumnRef, ValuesMut, ValuesRef};

const PART_ALIGN: usize = 8;
/// Capacity times the widest row stays far below what a usize holds.
const MAX_CAPACITY: usize = 1 << 16;

/// The kinds of columns by number.
mod kind {
    pub const BOOL: u32 = 0;
    pub const I32: u32 = 1;
    pub const I64: u32 = 2;
    pub const F64: u32 = 3;
    pub const BYTES: u32 = 4;
    pub const VECTOR: u32 = 5;
}

/// Capacity, and kind and room of each column.
fn columns_of(shape: &[u32]) -> Result<(usize, impl Iterator<Item = (u32, usize)>)> {
    let [capacity, columns @ ..] = shape else {
        return Err(misuse("a row block's shape begins with its capacity"));
    };
    let capacity = *capacity as usize;
    if capacity > MAX_CAPACITY || !columns.len().is_multiple_of(2) {
        return Err(misuse("bad shape of a row block"));
    }
    Ok((capacity, columns.chunks_exact(2).map(|pair| (pair[0], pair[1] as usize))))
}

fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(PART_ALIGN)
}

fn too_short() -> omen_store::StoreError {
    misuse("a row block's memory is shorter than its shape says")
}

fn unknown(kind: u32) -> omen_store::StoreError {
    misuse(format!("column kind {kind}"))
}

/// What is left of a block to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<T: Element>(&mut self, count: usize) -> Result<&'a [T]> {
        let size = count * size_of::<T>();
        let (part, rest) = self.0.split_at_checked(padded(size)).ok_or_else(too_short)?;
        self.0 = rest;
        // SAFETY: an Element is a plain number, any bits of which are a value; `align_to` gives no more than is aligned.
        let (before, values, _) = unsafe { part[..size].align_to::<T>() };
        if before.is_empty() && values.len() == count { Ok(values) } else { Err(unaligned()) }
    }
}

/// What is left of a block to write.
struct RestMut<'a>(&'a mut [u8]);

impl<'a> RestMut<'a> {
    fn take<T: Element>(&mut self, count: usize) -> Result<&'a mut [T]> {
        let size = count * size_of::<T>();
        let whole = std::mem::take(&mut self.0);
        let (part, rest) = whole.split_at_mut_checked(padded(size)).ok_or_else(too_short)?;
        self.0 = rest;
        // SAFETY: as in `Rest`; whatever is written as a number is bytes too.
        let (before, values, _) = unsafe { part[..size].align_to_mut::<T>() };
        if before.is_empty() && values.len() == count { Ok(values) } else { Err(unaligned()) }
    }
}

fn unaligned() -> omen_store::StoreError {
    misuse("a row block begins at a multiple of 8 bytes")
}

/// The columns of a block to read.
pub fn read_block<'a>(
    lent: &'a Lent,
    memory: Unknown<'_>,
    shape: Unknown<'_>,
) -> Result<Vec<ColumnRef<'a>>> {
    let (capacity, columns) = columns_of(lent.read(shape, "shape")?)?;
    let mut rest = Rest(lent.read(memory, "rows")?);
    columns
        .map(|(kind, room)| {
            let is_wide = rest.take::<u8>(PART_ALIGN)?[0] == 1;
            let nulls = rest.take(capacity)?;
            let values = match kind {
                kind::BOOL => ValuesRef::Bool(rest.take(capacity)?),
                kind::I32 => ValuesRef::I32(rest.take(capacity)?),
                kind::I64 if is_wide => ValuesRef::I64(rest.take(capacity)?),
                kind::I64 => ValuesRef::I64Numbers(rest.take(capacity)?),
                kind::F64 => ValuesRef::F64(rest.take(capacity)?),
                kind::BYTES => {
                    let offsets = rest.take(capacity + 1)?;
                    ValuesRef::Bytes { offsets, bytes: rest.take(room)? }
                }
                kind::VECTOR => {
                    ValuesRef::Vector { dim: room, values: rest.take(capacity * room)? }
                }
                other => return Err(unknown(other)),
            };
            Ok(ColumnRef { nulls, values })
        })
        .collect()
}

/// The columns of a block to fill.
pub fn write_block<'a>(
    lent: &'a Lent,
    memory: Unknown<'_>,
    shape: Unknown<'_>,
) -> Result<Vec<ColumnMut<'a>>> {
    let (capacity, columns) = columns_of(lent.read(shape, "shape")?)?;
    let mut rest = RestMut(lent.write(memory, "rows")?);
    columns
        .map(|(kind, room)| {
            let [wide, ..] = rest.take::<u8>(PART_ALIGN)? else { return Err(too_short()) };
            let nulls = rest.take(capacity)?;
            let values = match kind {
                kind::BOOL => ValuesMut::Bool(rest.take(capacity)?),
                kind::I32 => ValuesMut::I32(rest.take(capacity)?),
                kind::I64 => ValuesMut::I64 { words: rest.take(capacity)?, wide },
                kind::F64 => ValuesMut::F64(rest.take(capacity)?),
                kind::BYTES => {
                    let offsets = rest.take(capacity + 1)?;
                    ValuesMut::Bytes { offsets, bytes: rest.take(room)? }
                }
                kind::VECTOR => {
                    ValuesMut::Vector { dim: room, values: rest.take(capacity * room)? }
                }
                other => return Err(unknown(other)),
            };
            Ok(ColumnMut { nulls, values })
        })
        .collect()
}
