//! The rows of one table as of one commit, put into chunk files and a manifest while commits go on.
//!
//! The checkpointer holds a snapshot of the commit, so no version visible at it is collected meanwhile; later commits
//! only add versions above it and end numbers above it, and neither is visible at it. The table's lock is held to take
//! the sealed chunks' `Arc`s and to copy the tail, and once more to put the mapped chunks in the place of those on the
//! heap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use omen_disk::Disk;

use super::manifest::{Manifest, ManifestChunk, seal};
use crate::commit::redo::Writer;
use crate::error::Result;
use crate::sync::{lock, write};
use crate::table::chunk::Chunk;
use crate::table::chunk_file::{ChunkFile, ChunkFileWriter, Place, remove};
use crate::table::{StoredFile, Table, chunk_value, empty_rows};

/// A table at the moment of a checkpoint, taken while no commit was under way.
pub struct Moment {
    pub table: Arc<Table>,
    pub changed: u64,
    /// Vector columns and the vids given out.
    pub vectors: Vec<(u16, u32)>,
}

/// What the checkpoint's batch has to say about the table.
pub struct Captured {
    pub manifest: Vec<u8>,
    pub tail: Option<Vec<u8>>,
    /// Files the manifest names.
    files: BTreeSet<u32>,
}

/// Writes what the table has on the heap as of `commit` and describes all of it. `oldest`: the oldest snapshot in use.
/// `tail_bytes`: a larger open tail is sealed, so that it goes to a file rather than into the manifest's store.
pub fn capture(
    disk: &dyn Disk,
    moment: &Moment,
    commit: u64,
    oldest: u64,
    tail_bytes: usize,
) -> Result<Captured> {
    let table = &*moment.table;
    let Taken { chunks, tail, width } = take(table, commit, tail_bytes);
    let rewritten = half_empty_files(table, &chunks);
    let mut places = Vec::with_capacity(chunks.len());
    let mut written: Vec<(usize, Place)> = Vec::new();
    let mut writer: Option<(u32, ChunkFileWriter<'_>)> = None;
    for (number, chunk) in chunks.iter().enumerate() {
        let dead = dead_bits(chunk, commit);
        if dead.as_ref().is_some_and(|(_, count)| *count == chunk.len()) {
            // Nothing of it is there at this commit: younger, or dead.
            continue;
        }
        let place = match chunk.place_of(width) {
            Some(place) if !rewritten.contains(&place.file) => place,
            _ => {
                // Mapped bytes are checked before they are written again under a new sum.
                (0..width).try_for_each(|column| chunk.rows.check(column))?;
                let (_, writer) = match &mut writer {
                    Some(writer) => writer,
                    none => {
                        let file = lock(&table.stored).take_file_number();
                        let fresh = ChunkFileWriter::create(disk, table.relation_id, file)?;
                        none.insert((file, fresh))
                    }
                };
                let place = writer.push(&chunk.rows, width, &chunk.rids)?;
                written.push((number, place));
                place
            }
        };
        let dead = dead.map_or_else(Vec::new, |(bits, _)| bits);
        places.push(ManifestChunk { place, rows: chunk.len() as u32, dead });
    }
    if let Some((number, writer)) = writer {
        let file = writer.finish()?;
        lock(&table.stored).add_file(number, StoredFile { born: commit, length: file.length() });
        map(table, &file, &chunks, &written, oldest)?;
    }
    let files = places.iter().map(|chunk| chunk.place.file).collect();
    let manifest = Manifest {
        commit,
        changed: moment.changed,
        vectors: moment.vectors.clone(),
        chunks: places,
    };
    Ok(Captured { manifest: manifest.encode(), tail, files })
}

/// What there is to write of a table.
struct Taken {
    chunks: Vec<Arc<Chunk>>,
    /// The tail's rows as of the commit, if it has any.
    tail: Option<Vec<u8>>,
    /// Columns of the relation: those that a chunk has beyond them are of a transaction under way (`table::backfill`).
    width: usize,
}

fn take(table: &Table, commit: u64, tail_bytes: usize) -> Taken {
    let mut data = write(&table.data);
    let columns = table.columns();
    if data.tail.rows.size_bytes() > tail_bytes {
        data.seal_tail(empty_rows(&columns));
    }
    let chunks = data.chunks.clone();
    let tail = &data.tail;
    let mut out = Writer::default();
    let count = out.reserve();
    let mut rows = 0;
    for position in (0..tail.len()).filter(|&position| tail.visible(position, commit)) {
        out.u32(tail.rids[position]);
        let value = |column| chunk_value(&tail.rows, &columns, column, position);
        out.image(tail.rows.columns.len(), value);
        rows += 1;
    }
    out.patch(count, rows);
    drop(data);
    Taken { chunks, tail: (rows > 0).then(|| seal(out)), width: columns.len() }
}

/// One bit a row that is not there at `commit`, and how many; None when all are.
fn dead_bits(chunk: &Chunk, commit: u64) -> Option<(Vec<u8>, usize)> {
    if chunk.all_visible(commit) && chunk.len() > 0 {
        return None;
    }
    let mut bits = vec![0; chunk.len().div_ceil(8)];
    let mut count = 0;
    for position in (0..chunk.len()).filter(|&position| !chunk.visible(position, commit)) {
        bits[position / 8] |= 1 << (position % 8);
        count += 1;
    }
    (count > 0 || chunk.len() == 0).then_some((bits, count))
}

/// Files less than half of which is still in use: their chunks move, so that the files can go.
fn half_empty_files(table: &Table, chunks: &[Arc<Chunk>]) -> BTreeSet<u32> {
    let mut used: BTreeMap<u32, u64> = BTreeMap::new();
    for place in chunks.iter().filter_map(|chunk| chunk.place()) {
        *used.entry(place.file).or_default() += place.length;
    }
    let stored = lock(&table.stored);
    let half_empty = |(file, used): (&u32, &u64)| {
        stored.files.get(file).is_some_and(|f| used * 2 < f.length).then_some(*file)
    };
    used.iter().filter_map(half_empty).collect()
}

/// Puts chunks in the file in the place of those on the heap, unless they have been rewritten meanwhile.
fn map(
    table: &Table,
    file: &Arc<ChunkFile>,
    chunks: &[Arc<Chunk>],
    written: &[(usize, Place)],
    oldest: u64,
) -> Result<()> {
    for &(number, place) in written {
        let (rows, rids) = file.chunk(place)?;
        let mut data = write(&table.data);
        let old = &chunks[number];
        if data.chunks.get(number).is_some_and(|present| Arc::ptr_eq(present, old)) {
            data.chunks[number] = Arc::new(old.in_file(rows, rids, place, oldest));
        }
    }
    Ok(())
}

impl Captured {
    /// The manifest is durable: files that neither it, nor a chunk, nor the log above `commit` names can go.
    pub fn settle(&self, disk: &dyn Disk, table: &Table, commit: u64) -> Result<()> {
        let in_use: BTreeSet<u32> = {
            let data = crate::sync::read(&table.data);
            data.chunks.iter().filter_map(|chunk| chunk.place()).map(|place| place.file).collect()
        };
        let mut stored = lock(&table.stored);
        stored.manifest = Some(commit);
        let gone: Vec<u32> = stored
            .files
            .iter()
            .filter(|(number, file)| {
                file.born <= commit && !self.files.contains(number) && !in_use.contains(number)
            })
            .map(|(number, _)| *number)
            .collect();
        for &number in &gone {
            stored.files.remove(&number);
        }
        drop(stored);
        gone.into_iter().try_for_each(|number| remove(disk, table.relation_id, number))
    }
}
