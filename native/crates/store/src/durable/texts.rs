//! Files of text indexes.
//!
//! ```text
//!   text/{index}            which segments make the index, and what of them is removed:
//!                 "OMENTXT3", commit u64, documents u32, segments u32, (number u64, its bytes u64, sum of the file u32)*,
//!                 removals (length u32, bytes: `omen_text::Manifest`), sum u32
//!   text/{index}.{number}   a segment's bytes, then the row of each of its documents u32*
//! ```
//!
//! An index is as of the commit it names, which may be above the checkpoint's: replay brings it the commits after its own.
//! Segments never change, so a checkpoint writes those that are new, a delta's worth and what was merged, and then the
//! file that names them; segments it does not name are removed after that. Missing or damaged files only cost the rebuild.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use omen_disk::{Disk, LogWriter, checksum};
use omen_text::{Segment, TextIndex, TextIndexParams};

use super::Durable;
use super::derived::{read_file, write_file};
use super::open::list;
use crate::commit::redo::{Reader, Writer};
use crate::engine::Engine;
use crate::error::{Result, StoreError, sqlstate};
use crate::index::bm25::{Bm25Index, Generation, SegmentFile};
use crate::sync::lock;

pub const TEXT_DIR: &str = "text";
/// First bytes of the file that names the segments: format 3.
const MAGIC: &[u8; 8] = b"OMENTXT3";

fn segment_name(index_id: u32, number: u64) -> String {
    format!("{index_id}.{number}")
}

/// The index that a file of the folder belongs to; None for one that is being written, or unknown.
pub fn index_of(name: &str) -> Option<u32> {
    let (index, segment) = name.split_once('.').unwrap_or((name, "0"));
    segment.parse::<u64>().ok().and(index.parse().ok())
}

impl Durable {
    /// Writes the text indexes whose tables have changed since their files.
    pub(super) fn write_texts(&self, engine: &Engine) -> Result<()> {
        for table in engine.loaded_tables().iter().filter(|t| !t.temporary) {
            for index in table.indexes().iter() {
                let Some(bm25) = index.bm25() else { continue };
                if bm25.filling.load(Ordering::Acquire) {
                    continue;
                }
                if bm25.stored_at.load(Ordering::Acquire) > table.changed_at.load(Ordering::Acquire)
                {
                    continue;
                }
                let moment = self.take_text(engine, bm25);
                moment.write(&*self.disk, index.spec.index_id, bm25)?;
                bm25.stored_at.store(moment.commit + 1, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Seals and merges, which is most of the work, while commits go on; what they bring meanwhile is little.
    fn take_text(&self, engine: &Engine, bm25: &Bm25Index) -> TextMoment {
        let _turn = lock(&bm25.turn);
        let generation = bm25.generation();
        let Generation { text, entries } = &*generation;
        let documents = {
            let _no_commit = lock(&engine.sequencer);
            entries.len()
        };
        text.seal(documents);
        let oldest = engine.snapshots.oldest();
        let entries = entries.view();
        while text.merge(|document| entries.dead(document, oldest)).is_some() {}
        let _no_commit = lock(&engine.sequencer);
        // Not the last number given: after a crash, one that has no record is given again.
        let commit = lock(&self.log).as_ref().map_or(0, LogWriter::last_commit);
        TextMoment::take(generation, commit)
    }

    /// The stored text index and its commit, if it is whole and of a commit in the range.
    pub(super) fn load_text(
        &self,
        index_id: u32,
        params: TextIndexParams,
        commits: RangeInclusive<u64>,
    ) -> Result<Option<(Bm25Index, u64)>> {
        let stored = match open_text(&*self.disk, index_id, params) {
            Err(error) if error.sqlstate == sqlstate::DATA_CORRUPTED => return Ok(None),
            stored => stored?,
        };
        let Some((index, commit)) = stored.filter(|(_, commit)| commits.contains(commit)) else {
            return Ok(None);
        };
        index.stored_at.store(commit + 1, Ordering::Release);
        Ok(Some((index, commit)))
    }
}

/// A text index of one moment, taken while no commit is under way.
struct TextMoment {
    commit: u64,
    documents: u32,
    manifest: omen_text::Manifest,
    generation: Arc<Generation>,
}

impl TextMoment {
    fn take(generation: Arc<Generation>, commit: u64) -> Self {
        let documents = generation.entries.len();
        generation.text.seal(documents);
        Self { commit, documents, manifest: generation.text.manifest(), generation }
    }

    /// Writes what the folder lacks, then the file that names it all.
    fn write(&self, disk: &dyn Disk, index_id: u32, bm25: &Bm25Index) -> Result<()> {
        let mut present = lock(&bm25.files);
        let files = self.manifest.segments.iter().map(|segment| {
            match present.iter().find(|file| file.number == segment.id()) {
                Some(known) => Ok(*known),
                None => self.write_segment(disk, index_id, segment),
            }
        });
        let files = files.collect::<Result<Vec<_>>>()?;
        let mut out = Writer::default();
        out.bytes.extend_from_slice(MAGIC);
        out.u64(self.commit);
        out.u32(self.documents);
        out.u32(files.len() as u32);
        for file in &files {
            out.u64(file.number);
            out.u64(file.bytes);
            out.u32(file.sum);
        }
        out.string(&self.manifest.removals);
        let sum = checksum(0, &out.bytes);
        out.u32(sum);
        write_file(disk, TEXT_DIR, &index_id.to_string(), &out.bytes)?;
        for name in list(disk, TEXT_DIR)?.iter().filter(|name| name.contains('.')) {
            let is_named = || files.iter().any(|f| segment_name(index_id, f.number) == *name);
            if index_of(name) == Some(index_id) && !is_named() {
                disk.remove(&format!("{TEXT_DIR}/{name}"))?;
            }
        }
        *present = files;
        Ok(())
    }

    fn write_segment(
        &self,
        disk: &dyn Disk,
        index_id: u32,
        segment: &Segment,
    ) -> Result<SegmentFile> {
        let mut bytes = segment.bytes().to_vec();
        let entries = self.generation.entries.view();
        for document in segment.documents() {
            bytes.extend(entries.rid(document).to_le_bytes());
        }
        let number = segment.id();
        write_file(disk, TEXT_DIR, &segment_name(index_id, number), &bytes)?;
        let sum = checksum(0, &bytes);
        Ok(SegmentFile { number, bytes: segment.bytes().len() as u64, sum })
    }
}

/// The text index of the files and the commit it is of; None if it has none. XX001 where they are damaged.
pub fn open_text(
    disk: &dyn Disk,
    index_id: u32,
    params: TextIndexParams,
) -> Result<Option<(Bm25Index, u64)>> {
    let damaged = |name: &str| StoreError::corrupt(format!("\"{TEXT_DIR}/{name}\" is damaged"));
    let name = index_id.to_string();
    let Some(bytes) = read_file(disk, &format!("{TEXT_DIR}/{name}"))? else { return Ok(None) };
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or_else(|| damaged(&name))?;
    if checksum(0, body) != u32::from_le_bytes(*sum) {
        return Err(damaged(&name));
    }
    let mut reader = Reader::new(body);
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(damaged(&name));
    }
    let (commit, documents) = (reader.u64()?, reader.u32()?);
    let mut files = Vec::new();
    for _ in 0..reader.u32()? {
        files.push(SegmentFile { number: reader.u64()?, bytes: reader.u64()?, sum: reader.u32()? });
    }
    let (mut segments, mut rows) = (Vec::new(), Vec::new());
    for file in &files {
        let name = segment_name(index_id, file.number);
        let bytes = read_file(disk, &format!("{TEXT_DIR}/{name}"))?.unwrap_or_default();
        let (segment, rids) = usize::try_from(file.bytes)
            .ok()
            .filter(|_| checksum(0, &bytes) == file.sum)
            .and_then(|length| bytes.split_at_checked(length))
            .ok_or_else(|| damaged(&name))?;
        let segment = Segment::open(segment.to_vec()).map_err(|_| damaged(&name))?;
        let rids = rids.as_chunks::<4>().0.iter().map(|rid| u32::from_le_bytes(*rid));
        rows.extend(segment.documents().zip(rids));
        segments.push(segment);
    }
    let text = TextIndex::of_segments(params, segments, reader.string()?);
    let text = text.map_err(|_| damaged(&name))?;
    if rows.iter().any(|&(document, _)| document >= documents) {
        return Err(damaged(&name));
    }
    let removed = text.removed();
    let index = Bm25Index::with_index(text);
    index.restore(documents, rows.into_iter().filter(|(document, _)| !removed.contains(document)));
    *lock(&index.files) = files;
    Ok(Some((index, commit)))
}

#[cfg(test)]
mod tests {
    use omen_disk::MemoryDisk;
    use omen_text::{AnalyzedDocument, AnalyzerKind};

    use super::*;
    use crate::index::bm25::params;
    use crate::types::TextConfig;

    const INDEX: u32 = 7;

    fn store(index: &Bm25Index) -> MemoryDisk {
        let disk = MemoryDisk::new();
        TextMoment::take(index.generation(), 9).write(&disk, INDEX, index).unwrap();
        disk
    }

    fn index() -> Bm25Index {
        let index = Bm25Index::new(params(TextConfig::Simple, 1.2, 0.75));
        let document = |text: &str| AnalyzedDocument::new(AnalyzerKind::Simple, text);
        let rows = ["red fish", "blue fish", "red red wine"];
        index.publish((0..).zip(rows.map(document)).collect(), Vec::new(), 1);
        index.publish(vec![(1, document("green fish"))], vec![(1, document("blue fish"))], 2);
        index
    }

    #[test]
    fn a_text_index_comes_back_with_its_rows_and_statistics() {
        let original = index();
        let disk = store(&original);
        let params = *original.generation().text.params();
        let (again, commit) = open_text(&disk, INDEX, params).unwrap().unwrap();
        assert_eq!(commit, 9);
        assert_eq!(again.owners(), original.owners());
        let found = |index: &Bm25Index, text: &str| {
            let Generation { text: index, entries } = &*index.generation();
            let query = index.query(text);
            let mut hits = Vec::new();
            index.search(&query, 9, &omen_text::AllDocs, &mut hits);
            let visible = |doc| entries.view().visible(doc, 9);
            hits.iter()
                .filter_map(|h| Some((visible(h.doc)?, h.score.to_bits())))
                .collect::<Vec<_>>()
        };
        for text in ["red", "fish", "blue", "green wine"] {
            assert_eq!(found(&again, text), found(&original, text), "{text}");
        }
    }

    #[test]
    fn damaged_text_files_are_told() {
        let original = index();
        let params = *original.generation().text.params();
        let disk = store(&original);
        let names = list(&disk, TEXT_DIR).unwrap();
        assert_eq!(names.len(), 2, "{names:?}");
        for name in names {
            let path = format!("{TEXT_DIR}/{name}");
            let bytes = read_file(&disk, &path).unwrap().unwrap();
            let file = disk.open(&path).unwrap();
            for (at, byte) in bytes.iter().enumerate() {
                file.write_at(at as u64, &[byte ^ 0x10]).unwrap();
                let error = open_text(&disk, INDEX, params).map(|_| ()).unwrap_err();
                assert_eq!(error.sqlstate, "XX001", "{name}, byte {at}");
                file.write_at(at as u64, &[*byte]).unwrap();
            }
        }
        assert!(open_text(&disk, INDEX, params).unwrap().is_some());
    }

    /// Only what is new is written, what is not named goes.
    #[test]
    fn segments_are_written_once() {
        let (original, disk) = (index(), MemoryDisk::new());
        let write = |commit| {
            TextMoment::take(original.generation(), commit).write(&disk, INDEX, &original).unwrap();
            let mut names = list(&disk, TEXT_DIR).unwrap();
            names.sort();
            names
        };
        assert_eq!(write(9), ["7", "7.1"]);
        // Whoever writes it again would put the right bytes here.
        let path = format!("{TEXT_DIR}/7.1");
        let file = disk.open(&path).unwrap();
        file.write_at(0, b"untouched").unwrap();
        let document = AnalyzedDocument::new(AnalyzerKind::Simple, "more fish");
        original.publish(vec![(9, document)], Vec::new(), 3);
        assert_eq!(write(10), ["7", "7.1", "7.2"]);
        assert!(read_file(&disk, &path).unwrap().unwrap().starts_with(b"untouched"));
        original.compact(10, || ());
        assert_eq!(write(11), ["7", "7.3"]);
        let params = *original.generation().text.params();
        let (again, _) = open_text(&disk, INDEX, params).unwrap().unwrap();
        assert_eq!(again.owners(), original.owners());
    }
}
