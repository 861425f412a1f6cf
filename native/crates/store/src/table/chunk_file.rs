//! Chunk files `rows/{relation}/{number}.chunks`: sealed chunks, written once, synced, then only mapped.
//!
//! ```text
//!   0    "OMENROW\0", version u32, relation u32, number u32, sum u32; zeros up to 64
//!   64.. blobs, each at a multiple of 64:
//!        rows u32, columns u32
//!        per column: kind u32, NULL bytes u32 (rows or 0), offset u64, length u64, arena u64, sum u32, 0 u32
//!        offset of the row ids u64, their sum u32, sum of this head u32 (seeded with relation, number, blob offset)
//!        row ids, then the columns, each at a multiple of 64:
//!          NULL bytes (one a row), zeros up to 64, values (bytes: rows + 1 offsets u32, then the arena)
//! ```
//!
//! Offsets in a blob count from its start. Where blobs lie is not in the file but with whoever names it: the manifest of
//! the relation or a log record. Head and row ids are checked when a chunk is opened, a column when it is first read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use omen_disk::{Disk, DiskErrorKind, Mapping, checksum, create_dir_durably};

use super::buffer::{Buffer, View};
use super::rows::{CHUNK_ROWS, ColumnData, Rows, StoredColumn};
use crate::error::{Result, StoreError};

pub const ROWS_DIR: &str = "rows";

const MAGIC: &[u8; 8] = b"OMENROW\0";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
const ALIGN: usize = 64;
const COLUMN_HEAD_BYTES: usize = 40;
const MAX_COLUMNS: usize = 1 << 16;

/// Where a chunk lies: bytes of a file of its relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub file: u32,
    pub offset: u64,
    pub length: u64,
}

/// A mapped chunk file.
pub struct ChunkFile {
    pub relation: u32,
    pub number: u32,
    mapping: Mapping,
}

impl fmt::Debug for ChunkFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&path(self.relation, self.number))
    }
}

/// Folder of a relation's chunk files.
pub fn dir(relation: u32) -> String {
    format!("{ROWS_DIR}/{relation}")
}

/// A chunk file's name in that folder.
pub fn name(number: u32) -> String {
    format!("{number:08}.chunks")
}

fn path(relation: u32, number: u32) -> String {
    format!("{}/{}", dir(relation), name(number))
}

fn header(relation: u32, number: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&relation.to_le_bytes());
    bytes[16..20].copy_from_slice(&number.to_le_bytes());
    let sum = checksum(0, &bytes[..20]);
    bytes[20..24].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Ties a blob's head to its place, so that no blob can be taken for another.
fn seed(relation: u32, number: u32, offset: u64) -> u32 {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&relation.to_le_bytes());
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..].copy_from_slice(&offset.to_le_bytes());
    checksum(0, &bytes)
}

impl ChunkFile {
    /// Maps file `number`. XX001 when it is missing or not what its name says.
    pub fn open(disk: &dyn Disk, relation: u32, number: u32) -> Result<Arc<Self>> {
        let file = disk.open(&path(relation, number)).map_err(|error| match error.kind {
            DiskErrorKind::NotFound => damaged(relation, number, "is missing"),
            _ => error.into(),
        })?;
        if file.len()? < HEADER_BYTES as u64 {
            return Err(damaged(relation, number, "is too short"));
        }
        let opened = Self { relation, number, mapping: file.map_read_only()? };
        if opened.bytes(0, HEADER_BYTES) != Some(&header(relation, number)) {
            return Err(damaged(relation, number, "has a damaged header"));
        }
        Ok(Arc::new(opened))
    }

    pub fn length(&self) -> u64 {
        self.mapping.len() as u64
    }

    /// Some of the file's bytes; None outside of it.
    pub fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        if at.checked_add(len)? > self.mapping.len() {
            return None;
        }
        // SAFETY: chunk files are complete and synced before anybody opens them, and never written again.
        Some(unsafe { self.mapping.slice(at, len) })
    }

    fn damaged(&self, what: &str) -> StoreError {
        damaged(self.relation, self.number, what)
    }

    /// The chunk at a place: its rows, as views, and their ids.
    pub fn chunk(self: &Arc<Self>, place: Place) -> Result<(Rows, Buffer<u32>)> {
        let bad_head = || self.damaged("has a damaged chunk head");
        let start = usize::try_from(place.offset).map_err(|_| bad_head())?;
        let fixed = self.bytes(start, 8).ok_or_else(bad_head)?;
        let (rows, width) = (u32_at(fixed, 0) as usize, u32_at(fixed, 4) as usize);
        if rows > CHUNK_ROWS || width > MAX_COLUMNS {
            return Err(bad_head());
        }
        let columns_end = 8 + width * COLUMN_HEAD_BYTES;
        let head = self.bytes(start, columns_end + 16).ok_or_else(bad_head)?;
        let sum =
            checksum(seed(self.relation, self.number, place.offset), &head[..columns_end + 12]);
        if sum != u32_at(head, columns_end + 12) {
            return Err(bad_head());
        }
        let rids_at = start + u64_at(head, columns_end) as usize;
        let rid_bytes = self.bytes(rids_at, rows * 4).ok_or_else(bad_head)?;
        if checksum(0, rid_bytes) != u32_at(head, columns_end + 8) {
            return Err(self.damaged("has damaged row ids"));
        }
        let rids = View::new(self, rids_at, rows).ok_or_else(bad_head)?;
        let columns = (0..width)
            .map(|i| {
                let at = 8 + i * COLUMN_HEAD_BYTES;
                self.column(start, &head[at..at + COLUMN_HEAD_BYTES], rows).ok_or_else(bad_head)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok((Rows::stored(columns, rows), Buffer::Mapped(rids)))
    }

    fn column(self: &Arc<Self>, start: usize, head: &[u8], rows: usize) -> Option<StoredColumn> {
        let kind = u32_at(head, 0);
        let null_bytes = u32_at(head, 4) as usize;
        let at = start.checked_add(usize::try_from(u64_at(head, 8)).ok()?)?;
        let length = usize::try_from(u64_at(head, 16)).ok()?;
        let arena_bytes = usize::try_from(u64_at(head, 24)).ok()?;
        let sum = StoredSum::new(self, at, length, u32_at(head, 32));
        self.bytes(at, length)?;
        let nulls = Buffer::Mapped(View::new(self, at, null_bytes)?);
        let values = at + null_bytes.next_multiple_of(ALIGN);
        let data = match kind {
            0 => ColumnData::Bool(Buffer::Mapped(View::new(self, values, rows)?)),
            1 => ColumnData::I32(Buffer::Mapped(View::new(self, values, rows)?)),
            2 => ColumnData::I64(Buffer::Mapped(View::new(self, values, rows)?)),
            3 => ColumnData::F64(Buffer::Mapped(View::new(self, values, rows)?)),
            4 => ColumnData::Bytes {
                offsets: Buffer::Mapped(View::new(self, values, rows + 1)?),
                arena: Buffer::Mapped(View::new(self, values + (rows + 1) * 4, arena_bytes)?),
            },
            5 => ColumnData::Vector(Buffer::Mapped(View::new(self, values, rows)?)),
            _ => return None,
        };
        Some(StoredColumn::stored(nulls, data, sum))
    }
}

fn damaged(relation: u32, number: u32, what: &str) -> StoreError {
    let path = path(relation, number);
    StoreError::corrupt(format!("chunk file \"{path}\" of relation {relation} {what}"))
        .relation(relation)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The sum of a column in a file, and whether it has been looked at.
#[derive(Debug)]
pub struct StoredSum {
    file: Arc<ChunkFile>,
    at: usize,
    length: usize,
    sum: u32,
    state: AtomicU8,
}

const UNCHECKED: u8 = 0;
const SOUND: u8 = 1;
const DAMAGED: u8 = 2;

impl StoredSum {
    fn new(file: &Arc<ChunkFile>, at: usize, length: usize, sum: u32) -> Self {
        Self { file: Arc::clone(file), at, length, sum, state: AtomicU8::new(UNCHECKED) }
    }

    /// For another column over the same bytes.
    pub fn duplicate(&self) -> Self {
        let state = AtomicU8::new(self.state.load(Ordering::Acquire));
        Self { file: Arc::clone(&self.file), state, ..*self }
    }

    /// XX001 unless the bytes have their sum and are `well_formed`. Two threads may both look; they find the same.
    #[inline]
    pub fn check(&self, well_formed: impl FnOnce() -> bool) -> Result<()> {
        if self.state.load(Ordering::Acquire) == SOUND {
            return Ok(());
        }
        self.look(well_formed)
    }

    #[cold]
    fn look(&self, well_formed: impl FnOnce() -> bool) -> Result<()> {
        if self.state.load(Ordering::Acquire) == UNCHECKED {
            let bytes = self.file.bytes(self.at, self.length);
            let sound = bytes.is_some_and(|b| checksum(0, b) == self.sum) && well_formed();
            self.state.store(if sound { SOUND } else { DAMAGED }, Ordering::Release);
        }
        match self.state.load(Ordering::Acquire) {
            SOUND => Ok(()),
            _ => Err(self.file.damaged("has a damaged column")),
        }
    }
}

/// Writes one chunk file from front to back.
pub struct ChunkFileWriter<'a> {
    disk: &'a dyn Disk,
    file: Arc<dyn omen_disk::DiskFile>,
    relation: u32,
    number: u32,
    end: u64,
    buffer: Vec<u8>,
}

impl<'a> ChunkFileWriter<'a> {
    /// Creates file `number` of a relation, replacing a leftover of that name.
    pub fn create(disk: &'a dyn Disk, relation: u32, number: u32) -> Result<Self> {
        create_dir_durably(disk, &dir(relation))?;
        remove(disk, relation, number)?;
        let file = disk.create(&path(relation, number))?;
        let buffer = header(relation, number).to_vec();
        Ok(Self { disk, file, relation, number, end: 0, buffer })
    }

    /// Appends a chunk with the first `columns` of its columns, as far as it has them; says where it will lie.
    pub fn push(&mut self, rows: &Rows, columns: usize, rids: &[u32]) -> Result<Place> {
        const WRITE_BYTES: usize = 4 << 20;
        self.buffer.resize(self.buffer.len().next_multiple_of(ALIGN), 0);
        let offset = self.end + self.buffer.len() as u64;
        let start = self.buffer.len();
        let columns = &rows.columns[..columns.min(rows.columns.len())];
        let seed = seed(self.relation, self.number, offset);
        encode(&mut self.buffer, rows.len(), columns, rids, seed);
        let length = (self.buffer.len() - start) as u64;
        if self.buffer.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(Place { file: self.number, offset, length })
    }

    fn flush(&mut self) -> Result<()> {
        // What follows starts at a multiple of 64 wherever it is put, so whole blocks are written.
        self.buffer.resize(self.buffer.len().next_multiple_of(ALIGN), 0);
        self.file.write_at(self.end, &self.buffer)?;
        self.end += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes the file durable and maps it.
    pub fn finish(mut self) -> Result<Arc<ChunkFile>> {
        self.flush()?;
        self.file.sync_data()?;
        self.disk.sync_dir(&dir(self.relation))?;
        let mapping = self.file.map_read_only()?;
        Ok(Arc::new(ChunkFile { relation: self.relation, number: self.number, mapping }))
    }
}

fn encode(out: &mut Vec<u8>, rows: usize, columns: &[StoredColumn], rids: &[u32], seed: u32) {
    let start = out.len();
    let width = columns.len();
    let head_bytes = 8 + width * COLUMN_HEAD_BYTES + 16;
    let mut head = Vec::with_capacity(head_bytes);
    head.extend((rows as u32).to_le_bytes());
    head.extend((width as u32).to_le_bytes());
    let align = |out: &mut Vec<u8>| {
        let end = start + (out.len() - start).next_multiple_of(ALIGN);
        out.resize(end, 0);
    };
    out.resize(start + head_bytes, 0);
    align(out);
    let rids_at = out.len();
    for rid in rids {
        out.extend_from_slice(&rid.to_le_bytes());
    }
    let rid_sum = checksum(0, &out[rids_at..]);
    for column in columns {
        align(out);
        let at = out.len();
        out.extend_from_slice(column.nulls());
        align(out);
        let mut arena_bytes = 0;
        let kind: u32 = match column.data() {
            ColumnData::Bool(v) => {
                out.extend_from_slice(v);
                0
            }
            ColumnData::I32(v) => {
                v.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
                1
            }
            ColumnData::I64(v) => {
                v.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
                2
            }
            ColumnData::F64(v) => {
                v.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
                3
            }
            ColumnData::Bytes { offsets, arena } => {
                offsets.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
                out.extend_from_slice(arena);
                arena_bytes = arena.len() as u64;
                4
            }
            ColumnData::Vector(v) => {
                v.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
                5
            }
        };
        head.extend(kind.to_le_bytes());
        head.extend((column.nulls().len() as u32).to_le_bytes());
        head.extend(((at - start) as u64).to_le_bytes());
        head.extend(((out.len() - at) as u64).to_le_bytes());
        head.extend(arena_bytes.to_le_bytes());
        head.extend(checksum(0, &out[at..]).to_le_bytes());
        head.extend(0u32.to_le_bytes());
    }
    head.extend(((rids_at - start) as u64).to_le_bytes());
    head.extend(rid_sum.to_le_bytes());
    let sum = checksum(seed, &head);
    head.extend(sum.to_le_bytes());
    out[start..start + head_bytes].copy_from_slice(&head);
}

/// Removes a file if it is there. Mappings of it stay readable.
pub fn remove(disk: &dyn Disk, relation: u32, number: u32) -> Result<()> {
    match disk.remove(&path(relation, number)) {
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(()),
        other => Ok(other?),
    }
}

/// Numbers of a relation's chunk files, ascending; none if it has no folder.
pub fn list(disk: &dyn Disk, relation: u32) -> Result<Vec<u32>> {
    match disk.list(&dir(relation)) {
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
        Ok(names) => {
            Ok(names.iter().filter_map(|n| n.strip_suffix(".chunks")?.parse().ok()).collect())
        }
    }
}

/// Removes a relation's chunk files and their folder.
pub fn remove_all(disk: &dyn Disk, relation: u32) -> Result<()> {
    let dir = dir(relation);
    let names = match disk.list(&dir) {
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    for name in names {
        disk.remove(&format!("{dir}/{name}"))?;
    }
    Ok(disk.remove_dir(&dir)?)
}

#[cfg(test)]
mod tests {
    use omen_disk::MemoryDisk;

    use super::*;
    use crate::types::StorageKind;
    use crate::value::Value;

    const KINDS: [StorageKind; 6] = [
        StorageKind::Bool,
        StorageKind::I32,
        StorageKind::I64,
        StorageKind::F64,
        StorageKind::Bytes,
        StorageKind::Vector,
    ];

    fn cell(column: usize, row: usize, text: &str) -> Value<'_> {
        if (row + column).is_multiple_of(5) && column != 1 {
            return Value::Null;
        }
        match column {
            0 => Value::Bool((row % 2) as u8),
            1 => Value::I32(row as i32 - 3),
            2 => Value::I64(row as i64 * -7_000_000_000),
            3 => Value::F64(row as f64 / 3.0),
            4 => Value::Bytes(&text.as_bytes()[..row % text.len()]),
            _ => Value::Vector(row as u32),
        }
    }

    fn rows(count: usize) -> Rows {
        let mut rows = Rows::new(KINDS);
        (0..count).for_each(|row| rows.push_row(|column| cell(column, row, "some text")));
        rows
    }

    fn write(disk: &MemoryDisk, counts: &[usize]) -> (Arc<ChunkFile>, Vec<Place>) {
        let mut writer = ChunkFileWriter::create(disk, 7, 3).unwrap();
        let place = |&count: &usize| {
            let rids: Vec<u32> = (0..count as u32).map(|r| r * 2).collect();
            writer.push(&rows(count), KINDS.len(), &rids).unwrap()
        };
        let places = counts.iter().map(place).collect();
        (writer.finish().unwrap(), places)
    }

    /// Every value of a chunk, or the first error.
    fn read(disk: &MemoryDisk, place: Place, count: usize) -> Result<bool> {
        let (rows, rids) = ChunkFile::open(disk, 7, 3)?.chunk(place)?;
        (0..KINDS.len()).try_for_each(|column| rows.check(column))?;
        let right = |row: usize| {
            let value = |column| rows.value(column, row) == cell(column, row, "some text");
            rids[row] == row as u32 * 2 && (0..KINDS.len()).all(value)
        };
        Ok(rows.len() == count && (0..count).all(right))
    }

    #[test]
    fn chunks_come_back_value_by_value() {
        let disk = MemoryDisk::new();
        let counts = [1, 100, 4096, 0];
        let (file, places) = write(&disk, &counts);
        for (place, count) in places.iter().zip(counts) {
            assert!(read(&disk, *place, count).unwrap());
            assert!(place.offset + place.length <= file.length());
        }
    }

    /// A flipped byte is an error where it matters and nothing where it does not: never another value.
    #[test]
    fn every_flipped_byte_is_found_or_harmless() {
        let disk = MemoryDisk::new();
        let (file, places) = write(&disk, &[9]);
        let length = file.length();
        drop(file);
        let raw = disk.open("rows/7/00000003.chunks").unwrap();
        let mut refused = 0;
        for at in 0..length {
            let mut byte = [0];
            raw.read_at(at, &mut byte).unwrap();
            raw.write_at(at, &[byte[0] ^ 0x40]).unwrap();
            match read(&disk, places[0], 9) {
                Err(error) => {
                    assert_eq!((&*error.sqlstate, error.relation_id), ("XX001", Some(7)));
                    refused += 1;
                }
                Ok(right) => assert!(right, "byte {at} changed a value"),
            }
            raw.write_at(at, &byte).unwrap();
        }
        assert!(refused > 300, "{refused}");
    }
}
