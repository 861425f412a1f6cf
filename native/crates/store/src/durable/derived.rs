//! Files of graphs, and how files of derived indexes are written.
//!
//! `graph/{index}` is a graph's own checkpoint; nodes are vids, so it stays right whatever was committed later: the rest
//! is linked after the start, with the vids whose numbers were given again since (`table::numbers`). So a checkpoint writes
//! it only when enough has been linked since (`HnswIndex::image_is_due`), or when vids have left the graph: those numbers are
//! not given again before a file without them is in its place.
//!
//! A file is written beside its place, synced and renamed. A file that is missing, damaged or of another definition only
//! costs the rebuild. Damage that shows only when its links or codes are touched turns the index's searches into exact ones, until
//! the next start: the file is removed by the next checkpoint that comes by.

use std::sync::Arc;

use omen_disk::{Disk, DiskErrorKind, PrivateMapping};
use omen_hnsw::{HnswGraph, Memory};

use super::Durable;
use crate::engine::Engine;
use crate::error::Result;
use crate::index::hnsw::HnswIndex;

pub const GRAPH_DIR: &str = "graph";

/// Puts a file in its place, whole and durable.
pub fn write_file(disk: &dyn Disk, dir: &str, name: &str, bytes: &[u8]) -> Result<()> {
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

/// A file's bytes; None if there is none.
pub fn read_file(disk: &dyn Disk, path: &str) -> Result<Option<Vec<u8>>> {
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = vec![0; file.len()? as usize];
    file.read_at(0, &mut bytes)?;
    Ok(Some(bytes))
}

/// Whether a stored graph can be that of `fresh`: its definition, and no more vectors than the column has.
pub(super) fn fits(graph: &HnswGraph, fresh: &HnswIndex) -> bool {
    graph.params() == fresh.graph.params()
        && graph.len() <= fresh.vectors.len()
        && graph.fits_dimension(fresh.spec.dim as usize)
}

impl Durable {
    /// Writes the graphs that have changed enough since their files; `all`: that have changed at all.
    pub(super) fn write_graphs(&self, engine: &Engine, all: bool) -> Result<()> {
        for table in engine.loaded_tables().iter().filter(|t| !t.temporary) {
            for index in table.indexes().iter() {
                // What was linked since a vector was found damaged is not worth keeping.
                let is_due =
                    |hnsw: &&HnswIndex| hnsw.image_is_due(all) && hnsw.vectors.check().is_ok();
                let Some(hnsw) = index.hnsw().filter(is_due) else { continue };
                let name = index.spec.index_id.to_string();
                let (version, bytes) = hnsw.image();
                // Asked last: writing it looks at all of it.
                if hnsw.graph.is_sound() {
                    write_file(&*self.disk, GRAPH_DIR, &name, &bytes)?;
                    hnsw.note_stored(version);
                } else {
                    self.remove_graph(&name)?;
                }
            }
        }
        Ok(())
    }

    /// Removes the file of a graph that turned out damaged: a start without one builds the graph from its rows.
    fn remove_graph(&self, name: &str) -> Result<()> {
        match self.disk.remove(&format!("{GRAPH_DIR}/{name}")) {
            Err(error) if error.kind != DiskErrorKind::NotFound => Err(error.into()),
            _ => Ok(self.disk.sync_dir(GRAPH_DIR)?),
        }
    }

    /// The stored graph of an index, if there is one that fits `fresh`'s definition and the column.
    pub(super) fn load_graph(&self, index_id: u32, fresh: &HnswIndex) -> Result<Option<HnswGraph>> {
        Ok(self.read_graph(index_id)?.filter(|graph| fits(graph, fresh)))
    }

    /// Bytes of an index's graph file; 0 if there is none.
    pub(super) fn graph_bytes(&self, index_id: u32) -> u64 {
        let file = self.disk.open(&format!("{GRAPH_DIR}/{index_id}"));
        file.and_then(|file| file.len()).unwrap_or(0)
    }

    /// The graph in the file of an index, whatever it belongs to; None if there is none, or a damaged one.
    pub(super) fn read_graph(&self, index_id: u32) -> Result<Option<HnswGraph>> {
        let file = match self.disk.open(&format!("{GRAPH_DIR}/{index_id}")) {
            Ok(file) => file,
            Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if file.is_empty()? {
            return Ok(None);
        }
        // The graph lives in the very bytes of its file, as the system has them: reading them into memory of our own took twice
        // the time of everything else that opening it does, most of it in zeroing that memory.
        Ok(HnswGraph::open(Arc::new(GraphFile(file.map_private()?))).ok())
    }
}

/// The file of a graph, which is replaced by another one and never written again.
struct GraphFile(PrivateMapping);

// SAFETY: the mapping leads to as many bytes as it says, at a page's beginning, for its life; they are the holder's alone.
unsafe impl Memory for GraphFile {
    fn start(&self) -> *mut u8 {
        self.0.start()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}
