//! Bulk commits: whole private chunks go into a chunk file before the log, which then names the file.
//!
//! The file is the one the table goes on to use: the rows are written once, mapped, and a later checkpoint only lists
//! them. Vectors of a bulk commit are synced in their segments, and the log names their numbers. Both happen before the
//! log record; a file or a vector no record names belongs to nobody and is removed or written again after a crash.

use omen_disk::Disk;

use super::{CommitRequest, TableChange};
use crate::error::Result;
use crate::sync::lock;
use crate::table::StoredFile;
use crate::table::chunk_file::{ChunkFileWriter, remove};

/// Rows below which a chunk is better put into the log.
const MIN_ROWS: usize = 64;

impl TableChange {
    /// Bytes of rows that a chunk file could take.
    fn chunk_bytes(&self) -> usize {
        if self.table.temporary {
            return 0;
        }
        self.chunks.iter().filter(|c| c.is_whole()).map(|c| c.rows.size_bytes()).sum()
    }

    /// Writes whole chunks into a file of the table and maps them.
    fn store_chunks(&mut self, disk: &dyn Disk) -> Result<()> {
        let relation = self.table.relation_id;
        let number = lock(&self.table.stored).take_file_number();
        let mut writer = ChunkFileWriter::create(disk, relation, number)?;
        let mut places = Vec::new();
        for (at, chunk) in self.chunks.iter().enumerate().filter(|(_, chunk)| chunk.is_whole()) {
            places.push((at, writer.push(&chunk.rows, chunk.rows.columns.len(), &chunk.rids)?));
        }
        let file = writer.finish()?;
        for (at, place) in places {
            let (rows, rids) = file.chunk(place)?;
            let chunk = &mut self.chunks[at];
            // What lies in the page cache need not lie on the heap as well.
            (chunk.rows, chunk.rids, chunk.place) = (rows, rids, Some(place));
        }
        self.file = Some((number, file.length()));
        Ok(())
    }
}

impl super::ChunkChange {
    fn is_whole(&self) -> bool {
        self.place.is_none() && self.live.is_none() && self.all_new && self.rows.len() >= MIN_ROWS
    }
}

impl CommitRequest {
    /// Whether vectors, or rows worth `limit` bytes, can go to files before the commit has a number.
    pub fn is_bulk(&self, limit: usize) -> bool {
        self.has_streams() || self.has_chunks(limit)
    }

    fn has_chunks(&self, limit: usize) -> bool {
        self.tables
            .iter()
            .filter(|t| !t.has_new_vectors())
            .map(TableChange::chunk_bytes)
            .sum::<usize>()
            > limit
    }

    /// Writes whole chunks of tables without new vectors, if they are worth `limit` bytes. Needs no lock of the engine.
    pub fn store_chunks(&mut self, disk: &dyn Disk, limit: usize) -> Result<()> {
        if self.has_chunks(limit) {
            for change in &mut self.tables {
                if !change.has_new_vectors() && change.chunk_bytes() > 0 {
                    change.store_chunks(disk)?;
                }
            }
        }
        Ok(())
    }

    /// As `store_chunks` for tables whose vectors have just got their numbers, and syncs these vectors.
    pub fn store_numbered(&mut self, disk: &dyn Disk, limit: usize) -> Result<()> {
        for change in self.tables.iter_mut().filter(|t| !t.table.temporary) {
            let floats: usize = change.numbered.iter().map(|v| v.floats.len() * 4).sum();
            // Those that are in segments already have to be synced there: nothing else has them.
            let adopted = change.numbered.iter().any(|v| v.floats.is_empty());
            let bytes = floats + change.chunk_bytes();
            if change.numbered.is_empty() || (!adopted && bytes <= limit) {
                continue;
            }
            for vectors in &mut change.numbered {
                // A column added by this very commit is not the table's yet: its vectors go into the log.
                if let Some(column) = change.table.vectors(vectors.column as usize) {
                    column.segments.sync()?;
                    vectors.synced = true;
                }
            }
            if change.chunk_bytes() > 0 {
                change.store_chunks(disk)?;
            }
        }
        Ok(())
    }

    /// The commit failed: its files are nobody's. One that cannot be removed now is when the table is next loaded.
    pub fn discard_files(&self, disk: &dyn Disk) {
        for change in &self.tables {
            if let Some((number, _)) = change.file {
                let _ = remove(disk, change.table.relation_id, number);
            }
        }
    }
}

impl TableChange {
    fn has_new_vectors(&self) -> bool {
        self.vectors.iter().any(|vectors| vectors.count > 0)
    }

    /// The file is the table's from this commit on.
    pub fn adopt_file(&self, commit: u64) {
        if let Some((number, length)) = self.file {
            lock(&self.table.stored).add_file(number, StoredFile { born: commit, length });
        }
    }
}
