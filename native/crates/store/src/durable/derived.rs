//! Files of derived indexes: graphs at every checkpoint, text indexes at the clean end.
//!
//! `graph/{index}` is a graph's own checkpoint; nodes are vids, so it stays right whatever was committed later: the rest
//! is linked after the start. `text/{index}` is a text index with its documents' rows, right only for the very commit it
//! names; after a crash text indexes are rebuilt from the rows.
//!
//! A file is written beside its place, synced and renamed. A file that is missing, damaged or of another definition only
//! costs the rebuild.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use omen_disk::{Disk, DiskErrorKind};
use omen_hnsw::{Block, HnswGraph, VectorSource};
use omen_text::{TextIndex, TextIndexParams};

use super::Durable;
use crate::commit::redo::{Reader, Writer};
use crate::engine::Engine;
use crate::error::Result;
use crate::index::bm25::Bm25Index;
use crate::index::hnsw::HnswIndex;

pub const GRAPH_DIR: &str = "graph";
pub const TEXT_DIR: &str = "text";
/// First bytes of a text file: format 1.
const TEXT_MAGIC: &[u8; 8] = b"OMENTXT1";

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
    /// Writes the graphs that have grown since `written`.
    pub(super) fn write_graphs(
        &self,
        engine: &Engine,
        written: &mut HashMap<u32, u32>,
    ) -> Result<()> {
        for table in engine.loaded_tables().iter().filter(|t| !t.temporary) {
            for index in table.indexes().iter() {
                let Some(hnsw) = index.hnsw() else { continue };
                let len = hnsw.graph.len().min(hnsw.vectors.published.load(Ordering::Acquire));
                if written.get(&index.spec.index_id) == Some(&len) {
                    continue;
                }
                let mut bytes = Vec::new();
                hnsw.graph.write_image(len, &mut bytes).expect("writing to memory does not fail");
                write_file(&*self.disk, GRAPH_DIR, &index.spec.index_id.to_string(), &bytes)?;
                written.insert(index.spec.index_id, len);
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
                && g.fits_dimension(fresh.vectors.dim())
        };
        Ok(graph.filter(fits))
    }

    /// Writes the text indexes as of `commit`, with nothing running.
    pub(super) fn write_texts(&self, engine: &Engine, commit: u64) -> Result<()> {
        for table in engine.loaded_tables().iter().filter(|t| !t.temporary) {
            for index in table.indexes().iter() {
                let Some(bm25) = index.bm25() else { continue };
                let bytes = encode_text(bm25, commit);
                write_file(&*self.disk, TEXT_DIR, &index.spec.index_id.to_string(), &bytes)?;
            }
        }
        Ok(())
    }

    /// The stored text index, if it is of `commit` and whole.
    pub(super) fn load_text(
        &self,
        index_id: u32,
        params: TextIndexParams,
        commit: u64,
    ) -> Result<Option<Bm25Index>> {
        let path = format!("{TEXT_DIR}/{index_id}");
        let Some(bytes) = read_file(&*self.disk, &path)? else { return Ok(None) };
        Ok(decode_text(&bytes, params, commit).ok().flatten())
    }
}

fn encode_text(bm25: &Bm25Index, commit: u64) -> Vec<u8> {
    let documents = bm25.entries.len();
    bm25.text.seal(documents);
    // Nobody reads any more: what is dead is dead for all.
    let entries = bm25.entries.view();
    while bm25.text.merge(|document| entries.dead(document, commit)).is_some() {}
    let manifest = bm25.text.manifest();
    let owners = bm25.owners();
    let mut out = Writer::default();
    out.bytes.extend_from_slice(TEXT_MAGIC);
    out.u64(commit);
    out.u32(documents);
    out.u32(manifest.segments.len() as u32);
    manifest.segments.iter().for_each(|s| out.string(s.bytes()));
    out.string(&manifest.removals);
    out.u32(owners.len() as u32);
    for (document, rid) in owners {
        out.u32(document);
        out.u32(rid);
    }
    let sum = checksum(&out.bytes);
    out.u64(sum);
    out.bytes
}

fn decode_text(bytes: &[u8], params: TextIndexParams, commit: u64) -> Result<Option<Bm25Index>> {
    let Some((body, sum)) = bytes.split_last_chunk::<8>() else { return Ok(None) };
    if checksum(body) != u64::from_le_bytes(*sum) {
        return Ok(None);
    }
    let mut reader = Reader::new(body);
    if reader.take(TEXT_MAGIC.len())? != TEXT_MAGIC || reader.u64()? != commit {
        return Ok(None);
    }
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
    Ok(Some(index))
}

/// FNV-1a, 64 bits: the segments inside carry CRCs of their own, this one guards the frame around them.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::bm25::params;
    use crate::types::TextConfig;

    fn index() -> Bm25Index {
        let index = Bm25Index::new(params(TextConfig::Simple, 1.2, 0.75));
        let document = |text: &str| index.text.analyze(text);
        let rows = ["red fish", "blue fish", "red red wine"];
        index.publish((0..).zip(rows.map(document)).collect(), Vec::new(), 1);
        index.publish(vec![(1, document("green fish"))], vec![(1, document("blue fish"))], 2);
        index
    }

    #[test]
    fn a_text_index_comes_back_with_its_rows_and_statistics() {
        let original = index();
        let bytes = encode_text(&original, 9);
        let again = decode_text(&bytes, *original.text.params(), 9).unwrap().unwrap();
        assert_eq!(again.owners(), original.owners());
        let found = |index: &Bm25Index, text: &str| {
            let query = index.text.query(text);
            let mut hits = Vec::new();
            index.text.search(&query, 9, &omen_text::AllDocs, &mut hits);
            let visible = |doc| index.entries.view().visible(doc, 9);
            hits.iter()
                .filter_map(|h| Some((visible(h.doc)?, h.score.to_bits())))
                .collect::<Vec<_>>()
        };
        for text in ["red", "fish", "blue", "green wine"] {
            assert_eq!(found(&again, text), found(&original, text), "{text}");
        }
    }

    #[test]
    fn a_text_file_of_another_commit_or_a_damaged_one_is_passed_over() {
        let original = index();
        let params = *original.text.params();
        let bytes = encode_text(&original, 9);
        assert!(decode_text(&bytes, params, 10).unwrap().is_none());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(matches!(decode_text(&damaged, params, 9), Ok(None) | Err(_)), "byte {at}");
        }
    }
}
