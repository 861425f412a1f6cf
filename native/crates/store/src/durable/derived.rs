//! Files of derived indexes, written at checkpoints.
//!
//! `graph/{index}` is a graph's own checkpoint; nodes are vids, so it stays right whatever was committed later: the rest
//! is linked after the start, with the vids whose numbers were given again since (`table::numbers`). `text/{index}` is a text index with its documents' rows as of the commit it names, which may
//! be above the checkpoint's: replay brings it the commits after its own.
//!
//! A file is written beside its place, synced and renamed. A file that is missing, damaged or of another definition only
//! costs the rebuild.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use omen_disk::{Disk, DiskErrorKind, LogWriter, checksum};
use omen_hnsw::{Block, HnswGraph};
use omen_text::{TextIndex, TextIndexParams};

use super::Durable;
use crate::commit::redo::{Reader, Writer};
use crate::engine::Engine;
use crate::error::Result;
use crate::index::bm25::{Bm25Index, Generation};
use crate::index::hnsw::HnswIndex;
use crate::sync::lock;

pub const GRAPH_DIR: &str = "graph";
pub const TEXT_DIR: &str = "text";
/// First bytes of a text file: format 2.
const TEXT_MAGIC: &[u8; 8] = b"OMENTXT2";

fn write_file(disk: &dyn Disk, dir: &str, name: &str, bytes: &[u8]) -> Result<()> {
    disk.create_dir(dir)?;
    disk.sync_dir("")?;
    let fresh = format!("{dir}/{name}.tmp");
    if disk.exists(&fresh)? {
        disk.remove(&fresh)?;
    }
    let file = disk.create(&fresh)?;
    file.write_at(0, bytes)?;
    file.sync_data()?;
    disk.rename(&fresh, &format!("{dir}/{name}"))?;
    disk.sync_dir(dir)?;
    Ok(())
}

fn read_file(disk: &dyn Disk, path: &str) -> Result<Option<Vec<u8>>> {
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = vec![0; file.len()? as usize];
    file.read_at(0, &mut bytes)?;
    Ok(Some(bytes))
}

impl Durable {
    /// Writes the graphs that have changed since `written`.
    pub(super) fn write_graphs(
        &self,
        engine: &Engine,
        written: &mut HashMap<u32, (u32, u64)>,
    ) -> Result<()> {
        for table in engine.loaded_tables().iter().filter(|t| !t.temporary) {
            for index in table.indexes().iter() {
                let Some(hnsw) = index.hnsw() else { continue };
                if written.get(&index.spec.index_id) == Some(&hnsw.image_version()) {
                    continue;
                }
                let (version, bytes) = hnsw.image();
                write_file(&*self.disk, GRAPH_DIR, &index.spec.index_id.to_string(), &bytes)?;
                written.insert(index.spec.index_id, version);
            }
        }
        Ok(())
    }

    /// The stored graph of an index, if there is one that fits `fresh`'s definition and the column.
    pub(super) fn load_graph(&self, index_id: u32, fresh: &HnswIndex) -> Result<Option<HnswGraph>> {
        let file = match self.disk.open(&format!("{GRAPH_DIR}/{index_id}")) {
            Ok(file) => file,
            Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Read where it stays: the graph lives in the very bytes of its file.
        let mut block = Block::zeroed(file.len()? as usize);
        file.read_at(0, block.bytes_mut())?;
        let graph = HnswGraph::open(Arc::new(block)).ok();
        let fits = |g: &HnswGraph| {
            g.params() == fresh.graph.params()
                && g.len() <= fresh.vectors.len()
                && g.fits_dimension(fresh.spec.dim as usize)
        };
        Ok(graph.filter(fits))
    }

    /// Writes the text indexes whose tables have changed since their files.
    pub(super) fn write_texts(&self, engine: &Engine) -> Result<()> {
        for table in engine.loaded_tables().iter().filter(|t| !t.temporary) {
            for index in table.indexes().iter() {
                let Some(bm25) = index.bm25() else { continue };
                if bm25.stored_at.load(Ordering::Acquire) > table.changed_at.load(Ordering::Acquire)
                {
                    continue;
                }
                let turn = lock(&bm25.turn);
                let Generation { text, entries } = &*bm25.generation();
                let documents = {
                    let _no_commit = lock(&engine.sequencer);
                    entries.len()
                };
                // Most of the work, while commits go on; what they bring meanwhile is little.
                text.seal(documents);
                let oldest = engine.snapshots.oldest();
                let entries = entries.view();
                while text.merge(|document| entries.dead(document, oldest)).is_some() {}
                let (state, commit) = {
                    let _no_commit = lock(&engine.sequencer);
                    // Not the last number given: after a crash, one that has no record is given again.
                    let logged = lock(&self.log).as_ref().map_or(0, LogWriter::last_commit);
                    (TextState::take(bm25), logged)
                };
                drop(turn);
                let bytes = state.encode(commit);
                write_file(&*self.disk, TEXT_DIR, &index.spec.index_id.to_string(), &bytes)?;
                bm25.stored_at.store(commit + 1, Ordering::Release);
            }
        }
        Ok(())
    }

    /// The stored text index and its commit, if it is whole and of a commit in the range.
    pub(super) fn load_text(
        &self,
        index_id: u32,
        params: TextIndexParams,
        commits: RangeInclusive<u64>,
    ) -> Result<Option<(Bm25Index, u64)>> {
        let path = format!("{TEXT_DIR}/{index_id}");
        let Some(bytes) = read_file(&*self.disk, &path)? else { return Ok(None) };
        let stored = decode_text(&bytes, params).ok().flatten();
        let Some((index, commit)) = stored.filter(|(_, commit)| commits.contains(commit)) else {
            return Ok(None);
        };
        index.stored_at.store(commit + 1, Ordering::Release);
        Ok(Some((index, commit)))
    }
}

/// A text index of one moment, taken while no commit is under way.
struct TextState {
    documents: u32,
    manifest: omen_text::Manifest,
    owners: Vec<(u32, u32)>,
}

impl TextState {
    fn take(bm25: &Bm25Index) -> Self {
        let Generation { text, entries } = &*bm25.generation();
        let documents = entries.len();
        text.seal(documents);
        Self { documents, manifest: text.manifest(), owners: bm25.owners() }
    }

    fn encode(&self, commit: u64) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes.extend_from_slice(TEXT_MAGIC);
        out.u64(commit);
        out.u32(self.documents);
        out.u32(self.manifest.segments.len() as u32);
        self.manifest.segments.iter().for_each(|s| out.string(s.bytes()));
        out.string(&self.manifest.removals);
        out.u32(self.owners.len() as u32);
        for &(document, rid) in &self.owners {
            out.u32(document);
            out.u32(rid);
        }
        let sum = checksum(0, &out.bytes);
        out.u32(sum);
        out.bytes
    }
}

pub fn decode_text(bytes: &[u8], params: TextIndexParams) -> Result<Option<(Bm25Index, u64)>> {
    let Some((body, sum)) = bytes.split_last_chunk::<4>() else { return Ok(None) };
    if checksum(0, body) != u32::from_le_bytes(*sum) {
        return Ok(None);
    }
    let mut reader = Reader::new(body);
    if reader.take(TEXT_MAGIC.len())? != TEXT_MAGIC {
        return Ok(None);
    }
    let commit = reader.u64()?;
    let documents = reader.u32()?;
    let count = reader.u32()?;
    let segments = (0..count).map(|_| Ok(reader.string()?.to_vec())).collect::<Result<Vec<_>>>()?;
    let removals = reader.string()?;
    let Ok(text) = TextIndex::open(params, segments, removals) else { return Ok(None) };
    let count = reader.u32()?;
    let owners =
        (0..count).map(|_| Ok((reader.u32()?, reader.u32()?))).collect::<Result<Vec<_>>>()?;
    if owners.iter().any(|&(document, _)| document >= documents) {
        return Ok(None);
    }
    let index = Bm25Index::with_index(text);
    index.restore(documents, owners.into_iter());
    Ok(Some((index, commit)))
}

#[cfg(test)]
mod tests {
    use omen_text::{AnalyzedDocument, AnalyzerKind};

    use super::*;
    use crate::index::bm25::params;
    use crate::types::TextConfig;

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
        let bytes = TextState::take(&original).encode(9);
        let (again, commit) =
            decode_text(&bytes, *original.generation().text.params()).unwrap().unwrap();
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
    fn a_damaged_text_file_is_passed_over() {
        let original = index();
        let params = *original.generation().text.params();
        let bytes = TextState::take(&original).encode(9);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(matches!(decode_text(&damaged, params), Ok(None) | Err(_)), "byte {at}");
        }
    }
}
