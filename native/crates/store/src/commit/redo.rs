//! The redo of one commit: a list of operations, little-endian, in one log record (or in a side file it names).
//!
//! ```text
//!   redo = operation*          operation = tag u8, then
//!    1 rows            relation u32, count u32, (rid u32, length u32, image)*
//!    2 deletes         relation u32, count u32, rid u32 *
//!    3 vectors         relation u32, column u16, dim u32, first vid u32, count u32, f32 *
//!    4 create relation relation u32, columns          5 drop relation   relation u32
//!    6 add column      relation u32, position u16, column  7 create index    index
//!    8 drop index      index u32                      9 create sequence sequence
//!   10 drop sequence   sequence u32                  11 sequence state  sequence u32, value i64, is_called u8
//!   12 catalogue put   key, value                    13 catalogue drop  key
//!   14 object ids      first id not given out u32
//!   15 chunk           relation u32, place (file u32, offset u64, length u64), rows u32: new rows in a chunk file
//!   16 stored vectors  relation u32, column u16, first vid u32, count u32: synced in their segments
//!   17 backfill        relation u32, column u16, kind u8, as of u64, count u32, (rid u32, value)*: values of rows that exist,
//!                      where a row's version is no younger than the commit `as of`
//!   18 counted vectors relation u32, column u16, first vid u32, count u32, words u32, f32 *: rows that say how long they are
//!
//!   image  = column count u16, null bits, then per column not NULL: bool u8, i32, i64, f64 bits, bytes (length u32),
//!            vector (vid u32)
//!   value  = as in an image, not NULL
//!   string = length u32, bytes
//! ```
//!
//! Operations are idempotent: row images and definitions replace, vids are named, so replaying a log over a store that
//! has part of it already gives the same store.

use crate::error::{Result, StoreError};
use crate::table::ColumnInfo;
use crate::table::chunk_file::Place;
use crate::types::{
    ColumnSpec, Form, GraphSpec, IndexColumnSpec, IndexMethod, IndexSpec, KeyKind, Metric,
    Quantisation, SequenceSpec, SequenceState, StorageKind, TextConfig,
};
use crate::value::{OwnedValue, Value};

#[derive(Default)]
pub struct Writer {
    pub bytes: Vec<u8>,
}

impl Writer {
    pub fn u8(&mut self, v: u8) {
        self.bytes.push(v);
    }

    pub fn u16(&mut self, v: u16) {
        self.bytes.extend(v.to_le_bytes());
    }

    pub fn u32(&mut self, v: u32) {
        self.bytes.extend(v.to_le_bytes());
    }

    pub fn u64(&mut self, v: u64) {
        self.bytes.extend(v.to_le_bytes());
    }

    pub fn i64(&mut self, v: i64) {
        self.bytes.extend(v.to_le_bytes());
    }

    pub fn f32(&mut self, v: f32) {
        self.bytes.extend(v.to_le_bytes());
    }

    pub fn string(&mut self, v: &[u8]) {
        self.u32(v.len() as u32);
        self.bytes.extend_from_slice(v);
    }

    /// A place for a u32 written later by `patch`.
    pub fn reserve(&mut self) -> usize {
        self.u32(0);
        self.bytes.len() - 4
    }

    pub fn patch(&mut self, at: usize, v: u32) {
        self.bytes[at..at + 4].copy_from_slice(&v.to_le_bytes());
    }

    /// A row image, its length in front.
    pub fn image<'a>(&mut self, width: usize, value: impl Fn(usize) -> Value<'a>) {
        let length = self.reserve();
        let start = self.bytes.len();
        self.u16(width as u16);
        let nulls = self.bytes.len();
        self.bytes.resize(nulls + width.div_ceil(8), 0);
        for column in 0..width {
            match value(column) {
                Value::Null => self.bytes[nulls + column / 8] |= 1 << (column % 8),
                value => self.value(value),
            }
        }
        self.patch(length, (self.bytes.len() - start) as u32);
    }

    /// A value that is not NULL: nothing is written for one.
    pub fn value(&mut self, value: Value<'_>) {
        match value {
            Value::Null => {}
            Value::Bool(v) => self.u8(v),
            Value::I32(v) => self.bytes.extend(v.to_le_bytes()),
            Value::I64(v) => self.i64(v),
            Value::F64(v) => self.u64(v.to_bits()),
            Value::Bytes(v) => self.string(v),
            Value::Vector(vid) => self.u32(vid),
        }
    }

    pub fn kind(&mut self, kind: StorageKind) {
        self.u8(kind_code(kind));
    }

    pub fn place(&mut self, place: Place) {
        self.u32(place.file);
        self.u64(place.offset);
        self.u64(place.length);
    }

    pub fn columns(&mut self, columns: &[ColumnInfo]) {
        self.u16(columns.len() as u16);
        for column in columns {
            self.column(column);
        }
    }

    pub fn column(&mut self, column: &ColumnInfo) {
        self.u8(kind_code(column.spec.kind));
        self.u32(column.spec.dim);
        self.image(1, |_| column.initial.as_value());
    }

    pub fn index(&mut self, spec: &IndexSpec) {
        self.u32(spec.index_id);
        self.u32(spec.relation_id);
        match spec.method {
            IndexMethod::Btree { unique, nulls_not_distinct } => {
                self.u8(0);
                self.u8(u8::from(unique));
                self.u8(u8::from(nulls_not_distinct));
            }
            IndexMethod::Hnsw(spec) => {
                self.u8(1);
                self.graph(&spec);
            }
            IndexMethod::Bm25 { config, k1, b } => {
                self.u8(2);
                self.u8(match config {
                    TextConfig::English => 0,
                    TextConfig::Simple => 1,
                });
                self.f32(k1);
                self.f32(b);
            }
        }
        self.u16(spec.columns.len() as u16);
        for column in &spec.columns {
            self.u16(column.column);
            self.u8(match column.key_kind {
                KeyKind::Bool => 0,
                KeyKind::Int => 1,
                KeyKind::Float => 2,
                KeyKind::Bytes => 3,
                KeyKind::Numeric => 4,
                KeyKind::Interval => 5,
                KeyKind::Guard => 6,
                KeyKind::Bits => 7,
                KeyKind::Vector => 8,
                KeyKind::Halfvec => 9,
                KeyKind::Sparsevec => 10,
            });
            self.u8(u8::from(column.descending));
            self.u8(u8::from(column.nulls_first));
        }
    }

    fn graph(&mut self, spec: &GraphSpec) {
        self.u16(spec.m);
        self.u16(spec.ef_construction);
        self.u8(match spec.metric {
            Metric::L2 => 0,
            Metric::InnerProduct => 1,
            Metric::Cosine => 2,
            Metric::L1 => 3,
            Metric::Hamming => 4,
            Metric::Jaccard => 5,
        });
        self.u8(match spec.form {
            Form::F32 => 0,
            Form::F16 => 1,
            Form::Bits => 2,
            Form::Sparse => 3,
        });
        self.u32(spec.dim);
        self.u8(match spec.quantisation {
            Quantisation::None => 0,
            Quantisation::F16 => 1,
            Quantisation::Sq8 => 2,
            Quantisation::Rabitq => 3,
            Quantisation::Bq => 4,
            Quantisation::Pq => 5,
        });
        self.u16(spec.rerank);
    }

    pub fn sequence(&mut self, spec: &SequenceSpec) {
        self.u32(spec.sequence_id);
        for v in [spec.start, spec.increment, spec.min, spec.max] {
            self.i64(v);
        }
        self.u8(u8::from(spec.cycle));
    }

    pub fn sequence_state(&mut self, state: SequenceState) {
        self.i64(state.last_value);
        self.u8(u8::from(state.is_called));
    }
}

fn kind_code(kind: StorageKind) -> u8 {
    match kind {
        StorageKind::Bool => 0,
        StorageKind::I32 => 1,
        StorageKind::I64 => 2,
        StorageKind::F64 => 3,
        StorageKind::Bytes => 4,
        StorageKind::Vector => 5,
        StorageKind::Counted => 6,
    }
}

/// Reads what `Writer` wrote; every step is checked, for the bytes come from disk.
pub struct Reader<'a> {
    bytes: &'a [u8],
}

fn damaged() -> StoreError {
    StoreError::corrupt("a stored record has an impossible form")
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(len).ok_or_else(damaged)?;
        self.bytes = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| damaged())
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.u8()? != 0)
    }

    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>> {
        let bytes = self.take(count.checked_mul(4).ok_or_else(damaged)?)?;
        let (floats, _) = bytes.as_chunks::<4>();
        Ok(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    pub fn string(&mut self) -> Result<&'a [u8]> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.string()?).map_err(|_| damaged())
    }

    /// The values of a row image (without its length), as `columns` types them; columns the image is older than are
    /// absent.
    pub fn image(
        &mut self,
        kinds: impl Fn(usize) -> Option<StorageKind>,
    ) -> Result<Vec<Value<'a>>> {
        let width = self.u16()? as usize;
        let nulls = self.take(width.div_ceil(8))?;
        let mut values = Vec::with_capacity(width);
        for column in 0..width {
            if nulls[column / 8] & (1 << (column % 8)) != 0 {
                values.push(Value::Null);
                continue;
            }
            values.push(self.value(kinds(column).ok_or_else(damaged)?)?);
        }
        Ok(values)
    }

    fn value(&mut self, kind: StorageKind) -> Result<Value<'a>> {
        Ok(match kind {
            StorageKind::Bool => Value::Bool(self.u8()?),
            StorageKind::I32 => Value::I32(i32::from_le_bytes(self.array()?)),
            StorageKind::I64 => Value::I64(self.i64()?),
            StorageKind::F64 => Value::F64(f64::from_bits(self.u64()?)),
            StorageKind::Bytes => Value::Bytes(self.string()?),
            StorageKind::Vector | StorageKind::Counted => Value::Vector(self.u32()?),
        })
    }

    pub fn place(&mut self) -> Result<Place> {
        Ok(Place { file: self.u32()?, offset: self.u64()?, length: self.u64()? })
    }

    pub fn columns(&mut self) -> Result<Vec<ColumnInfo>> {
        let count = self.u16()?;
        (0..count).map(|_| self.column()).collect()
    }

    fn kind(&mut self) -> Result<StorageKind> {
        Ok(match self.u8()? {
            0 => StorageKind::Bool,
            1 => StorageKind::I32,
            2 => StorageKind::I64,
            3 => StorageKind::F64,
            4 => StorageKind::Bytes,
            5 => StorageKind::Vector,
            6 => StorageKind::Counted,
            _ => return Err(damaged()),
        })
    }

    pub fn column(&mut self) -> Result<ColumnInfo> {
        let kind = self.kind()?;
        let dim = self.u32()?;
        let image = self.string()?;
        let initial = Reader::new(image).image(|_| Some(kind))?.first().map(|v| v.to_owned_value());
        let initial = initial.ok_or_else(damaged)?;
        if matches!(initial, OwnedValue::Vector(_)) {
            return Err(damaged());
        }
        Ok(ColumnInfo { spec: ColumnSpec { kind, dim }, initial })
    }

    pub fn index(&mut self) -> Result<IndexSpec> {
        let (index_id, relation_id) = (self.u32()?, self.u32()?);
        let method = match self.u8()? {
            0 => IndexMethod::Btree { unique: self.bool()?, nulls_not_distinct: self.bool()? },
            1 => IndexMethod::Hnsw(self.graph()?),
            2 => IndexMethod::Bm25 {
                config: if self.u8()? == 0 { TextConfig::English } else { TextConfig::Simple },
                k1: self.f32()?,
                b: self.f32()?,
            },
            _ => return Err(damaged()),
        };
        let count = self.u16()?;
        let column = |_| {
            Ok(IndexColumnSpec {
                column: self.u16()?,
                key_kind: match self.u8()? {
                    0 => KeyKind::Bool,
                    1 => KeyKind::Int,
                    2 => KeyKind::Float,
                    3 => KeyKind::Bytes,
                    4 => KeyKind::Numeric,
                    5 => KeyKind::Interval,
                    6 => KeyKind::Guard,
                    7 => KeyKind::Bits,
                    8 => KeyKind::Vector,
                    9 => KeyKind::Halfvec,
                    10 => KeyKind::Sparsevec,
                    _ => return Err(damaged()),
                },
                descending: self.bool()?,
                nulls_first: self.bool()?,
            })
        };
        let columns = (0..count).map(column).collect::<Result<_>>()?;
        Ok(IndexSpec { index_id, relation_id, method, columns })
    }

    fn graph(&mut self) -> Result<GraphSpec> {
        Ok(GraphSpec {
            m: self.u16()?,
            ef_construction: self.u16()?,
            metric: match self.u8()? {
                0 => Metric::L2,
                1 => Metric::InnerProduct,
                2 => Metric::Cosine,
                3 => Metric::L1,
                4 => Metric::Hamming,
                5 => Metric::Jaccard,
                _ => return Err(damaged()),
            },
            form: match self.u8()? {
                0 => Form::F32,
                1 => Form::F16,
                2 => Form::Bits,
                3 => Form::Sparse,
                _ => return Err(damaged()),
            },
            dim: self.u32()?,
            quantisation: match self.u8()? {
                0 => Quantisation::None,
                1 => Quantisation::F16,
                2 => Quantisation::Sq8,
                3 => Quantisation::Rabitq,
                4 => Quantisation::Bq,
                5 => Quantisation::Pq,
                _ => return Err(damaged()),
            },
            rerank: self.u16()?,
        })
    }

    pub fn sequence(&mut self) -> Result<SequenceSpec> {
        Ok(SequenceSpec {
            sequence_id: self.u32()?,
            start: self.i64()?,
            increment: self.i64()?,
            min: self.i64()?,
            max: self.i64()?,
            cycle: self.bool()?,
            temporary: false,
        })
    }

    pub fn sequence_state(&mut self) -> Result<SequenceState> {
        Ok(SequenceState { last_value: self.i64()?, is_called: self.bool()? })
    }
}

/// One operation of a redo, borrowed from its bytes.
pub enum Operation<'a> {
    /// (rid, image) in the order written.
    Rows {
        relation: u32,
        rows: Vec<(u32, &'a [u8])>,
    },
    Deletes {
        relation: u32,
        rids: Vec<u32>,
    },
    Vectors {
        relation: u32,
        column: u16,
        /// Words of each; None where the rows say it.
        dim: Option<u32>,
        first_vid: u32,
        count: u32,
        floats: Vec<f32>,
    },
    Chunk {
        relation: u32,
        place: Place,
        rows: u32,
    },
    StoredVectors {
        relation: u32,
        column: u16,
        first_vid: u32,
        count: u32,
    },
    Backfill {
        relation: u32,
        column: u16,
        as_of: u64,
        rids: Vec<u32>,
        /// By row.
        values: Vec<Value<'a>>,
    },
    CreateRelation {
        relation: u32,
        columns: Vec<ColumnInfo>,
    },
    DropRelation(u32),
    AddColumn {
        relation: u32,
        position: u16,
        column: ColumnInfo,
    },
    CreateIndex(IndexSpec),
    DropIndex(u32),
    CreateSequence(SequenceSpec),
    DropSequence(u32),
    SequenceState {
        sequence: u32,
        state: SequenceState,
    },
    CatalogPut {
        key: &'a str,
        value: &'a str,
    },
    CatalogDrop(&'a str),
    ObjectIds(u32),
}

pub mod tag {
    pub const ROWS: u8 = 1;
    pub const DELETES: u8 = 2;
    pub const VECTORS: u8 = 3;
    pub const CREATE_RELATION: u8 = 4;
    pub const DROP_RELATION: u8 = 5;
    pub const ADD_COLUMN: u8 = 6;
    pub const CREATE_INDEX: u8 = 7;
    pub const DROP_INDEX: u8 = 8;
    pub const CREATE_SEQUENCE: u8 = 9;
    pub const DROP_SEQUENCE: u8 = 10;
    pub const SEQUENCE_STATE: u8 = 11;
    pub const CATALOG_PUT: u8 = 12;
    pub const CATALOG_DROP: u8 = 13;
    pub const OBJECT_IDS: u8 = 14;
    pub const CHUNK: u8 = 15;
    pub const STORED_VECTORS: u8 = 16;
    pub const BACKFILL: u8 = 17;
    pub const COUNTED_VECTORS: u8 = 18;
}

/// Calls `each` for every operation of a redo, in order.
pub fn decode(redo: &[u8], mut each: impl FnMut(Operation<'_>) -> Result<()>) -> Result<()> {
    let mut reader = Reader::new(redo);
    while !reader.is_empty() {
        each(operation(&mut reader)?)?;
    }
    Ok(())
}

fn operation<'a>(reader: &mut Reader<'a>) -> Result<Operation<'a>> {
    Ok(match reader.u8()? {
        tag::ROWS => {
            let (relation, count) = (reader.u32()?, reader.u32()?);
            let rows = (0..count).map(|_| Ok((reader.u32()?, reader.string()?)));
            Operation::Rows { relation, rows: rows.collect::<Result<_>>()? }
        }
        tag::DELETES => {
            let (relation, count) = (reader.u32()?, reader.u32()?);
            let rids = (0..count).map(|_| reader.u32()).collect::<Result<_>>()?;
            Operation::Deletes { relation, rids }
        }
        tag::VECTORS => {
            let (relation, column, dim) = (reader.u32()?, reader.u16()?, reader.u32()?);
            let (first_vid, count) = (reader.u32()?, reader.u32()?);
            let words = (count as usize).checked_mul(dim as usize).ok_or_else(damaged)?;
            let floats = reader.floats(words)?;
            Operation::Vectors { relation, column, dim: Some(dim), first_vid, count, floats }
        }
        tag::COUNTED_VECTORS => {
            let (relation, column) = (reader.u32()?, reader.u16()?);
            let (first_vid, count, words) = (reader.u32()?, reader.u32()?, reader.u32()?);
            let floats = reader.floats(words as usize)?;
            Operation::Vectors { relation, column, dim: None, first_vid, count, floats }
        }
        tag::CHUNK => Operation::Chunk {
            relation: reader.u32()?,
            place: reader.place()?,
            rows: reader.u32()?,
        },
        tag::STORED_VECTORS => Operation::StoredVectors {
            relation: reader.u32()?,
            column: reader.u16()?,
            first_vid: reader.u32()?,
            count: reader.u32()?,
        },
        tag::BACKFILL => {
            let (relation, column, kind) = (reader.u32()?, reader.u16()?, reader.kind()?);
            let (as_of, count) = (reader.u64()?, reader.u32()?);
            let rows = (0..count).map(|_| Ok((reader.u32()?, reader.value(kind)?)));
            let (rids, values) = rows.collect::<Result<_>>()?;
            Operation::Backfill { relation, column, as_of, rids, values }
        }
        tag::CREATE_RELATION => {
            Operation::CreateRelation { relation: reader.u32()?, columns: reader.columns()? }
        }
        tag::DROP_RELATION => Operation::DropRelation(reader.u32()?),
        tag::ADD_COLUMN => {
            let (relation, position) = (reader.u32()?, reader.u16()?);
            Operation::AddColumn { relation, position, column: reader.column()? }
        }
        tag::CREATE_INDEX => Operation::CreateIndex(reader.index()?),
        tag::DROP_INDEX => Operation::DropIndex(reader.u32()?),
        tag::CREATE_SEQUENCE => Operation::CreateSequence(reader.sequence()?),
        tag::DROP_SEQUENCE => Operation::DropSequence(reader.u32()?),
        tag::SEQUENCE_STATE => {
            Operation::SequenceState { sequence: reader.u32()?, state: reader.sequence_state()? }
        }
        tag::CATALOG_PUT => Operation::CatalogPut { key: reader.text()?, value: reader.text()? },
        tag::CATALOG_DROP => Operation::CatalogDrop(reader.text()?),
        tag::OBJECT_IDS => Operation::ObjectIds(reader.u32()?),
        _ => return Err(damaged()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Damaged bytes give an error or a list of operations, never a panic or an enormous allocation.
    #[test]
    fn hostile_bytes_are_refused_quietly() {
        let mut out = Writer::default();
        out.u8(tag::CREATE_RELATION);
        out.u32(7);
        let initial = OwnedValue::Bytes(Box::from(*b"x"));
        let spec = ColumnSpec { kind: StorageKind::Bytes, dim: 0 };
        out.columns(&[ColumnInfo { spec, initial }]);
        out.u8(tag::ROWS);
        out.u32(7);
        out.u32(1);
        out.u32(3);
        out.image(1, |_| Value::Bytes(b"abc"));
        out.u8(tag::CHUNK);
        out.u32(7);
        out.place(Place { file: 1, offset: 64, length: 128 });
        out.u32(3);
        out.u8(tag::STORED_VECTORS);
        out.u32(7);
        out.u16(0);
        out.u32(5);
        out.u32(2);
        out.u8(tag::BACKFILL);
        out.u32(7);
        out.u16(0);
        out.kind(StorageKind::Bytes);
        out.u64(9);
        out.u32(2);
        for rid in [3, 4] {
            out.u32(rid);
            out.value(Value::Bytes(b"de"));
        }
        out.u8(tag::VECTORS);
        out.u32(7);
        out.u16(0);
        out.u32(2);
        out.u32(0);
        out.u32(1);
        out.f32(1.0);
        out.f32(2.0);
        out.u8(tag::COUNTED_VECTORS);
        out.u32(7);
        out.u16(1);
        out.u32(0);
        out.u32(1);
        out.u32(1);
        out.f32(0.0);
        let whole = out.bytes;
        let read = |bytes: &[u8]| {
            let mut count = 0;
            decode(bytes, |_| {
                count += 1;
                Ok(())
            })
            .map(|()| count)
        };
        assert_eq!(read(&whole).unwrap(), 7);
        for cut in 0..whole.len() {
            let _ = read(&whole[..cut]);
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = read(&bytes);
            }
        }
    }
}
