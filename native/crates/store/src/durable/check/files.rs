//! Every sum of every file, and that nothing is missing which something names. Reads alone.

use std::sync::Arc;

use omen_disk::{Disk, Kv, KvRange, LogReader, VectorOptions, VectorSegments};
use omen_hnsw::{Block, HnswGraph};

use super::CheckedPart;
use crate::commit::redo::Reader;
use crate::durable::apply::{KEY_CHECKPOINT, KEY_SALT, get_u64, key, key_id};
use crate::durable::derived::GRAPH_DIR;
use crate::durable::format;
use crate::durable::manifest::{Manifest, sealed};
use crate::durable::open::list;
use crate::durable::texts::open_text;
use crate::engine::vector_name;
use crate::error::{Result, StoreError};
use crate::index::bm25::params;
use crate::table::chunk_file::{self, ChunkFile};
use crate::types::IndexMethod;

/// Says by an error that the check is to stop; asked before each file.
type Tick<'a> = &'a dyn Fn() -> Result<()>;

/// Checks all files. Once `tick` fails the rest is passed over, with its error among the problems.
pub fn check_files(disk: &dyn Disk, kv: &dyn Kv, tick: Tick<'_>) -> Vec<CheckedPart> {
    let mut version = CheckedPart::new("format");
    version.note(format::verify(disk));
    let mut entries = CheckedPart::new("key-value entries");
    for entry in kv.scan(KvRange::prefix(b"")) {
        entries.note(entry.map(|_| ()).map_err(Into::into));
    }
    vec![
        version,
        entries,
        check_log(disk, kv),
        check_chunks(disk, kv, tick),
        check_vectors(disk, kv, tick),
        check_graphs(disk, tick),
        check_texts(disk, kv, tick),
    ]
}

fn check_log(disk: &dyn Disk, kv: &dyn Kv) -> CheckedPart {
    let mut part = CheckedPart::new("log records");
    let replay = || -> Result<u64> {
        let Some(salt) = get_u64(kv, KEY_SALT)? else { return Ok(0) };
        let checkpoint = get_u64(kv, KEY_CHECKPOINT)?.unwrap_or(0);
        let mut records = 0;
        LogReader::new(disk, salt).replay(checkpoint, |_| {
            records += 1;
            Ok(())
        })?;
        Ok(records)
    };
    match replay() {
        Ok(records) => part.count = records,
        Err(error) => part.problems.push(error.message),
    }
    part
}

/// The entries of a kind as (relation, value).
fn stored(kv: &dyn Kv, kind: &[u8]) -> Result<Vec<(u32, Vec<u8>)>> {
    kv.scan(KvRange::prefix(kind))
        .map(|entry| {
            let (key, value) = entry?;
            Ok((key_id(&key, 1)?, value.to_vec()))
        })
        .collect()
}

fn check_chunks(disk: &dyn Disk, kv: &dyn Kv, tick: Tick<'_>) -> CheckedPart {
    let mut part = CheckedPart::new("chunks of rows");
    for (relation, manifest) in part.items(stored(kv, b"f")) {
        let manifest = match Manifest::decode(&manifest) {
            Ok(manifest) => manifest,
            Err(error) => {
                part.problems.push(format!("relation {relation}: {}", error.message));
                continue;
            }
        };
        for chunk in &manifest.chunks {
            let look = || -> Result<()> {
                tick()?;
                let file = ChunkFile::open(disk, relation, chunk.place.file)?;
                let (rows, _) = file.chunk(chunk.place)?;
                if rows.len() != chunk.rows as usize {
                    let name = chunk_file::name(chunk.place.file);
                    let message =
                        format!("relation {relation}: a chunk of {name} has another length");
                    return Err(StoreError::corrupt(message));
                }
                (0..rows.columns.len()).try_for_each(|column| rows.check(column))
            };
            part.note(look());
        }
    }
    for (relation, tail) in part.items(stored(kv, b"l")) {
        let tail = sealed(&tail).map(|_| ());
        part.note(
            tail.map_err(|e| StoreError::corrupt(format!("relation {relation}: {}", e.message))),
        );
    }
    part
}

/// Headers and lengths of the segments that manifests count on. Sums of vectors are held against the rows that use them,
/// for a slot without a vector may be one that was never written.
fn check_vectors(disk: &dyn Disk, kv: &dyn Kv, tick: Tick<'_>) -> CheckedPart {
    let mut part = CheckedPart::new("vector segments");
    for (relation, manifest) in part.items(stored(kv, b"f")) {
        let look = || -> Result<u64> {
            tick()?;
            let Some(columns) = kv.get(&key(b't', relation))? else { return Ok(0) };
            let columns = Reader::new(&columns).columns()?;
            let manifest = Manifest::decode(&manifest)?;
            let mut count = 0;
            for (column, next) in manifest.vectors {
                let spec = columns.get(column as usize).map(|c| c.spec);
                let Some(spec) = spec.filter(|spec| spec.kind.is_vector()) else {
                    return Err(StoreError::corrupt(format!(
                        "relation {relation} has no vector column {column}"
                    )));
                };
                let name = vector_name(relation, column);
                count +=
                    VectorSegments::check(disk, &name, VectorOptions::new(spec.row_words()), next)?;
            }
            Ok(count)
        };
        match look() {
            Ok(count) => part.count += count,
            Err(error) => part.problems.push(error.message),
        }
    }
    part
}

fn check_graphs(disk: &dyn Disk, tick: Tick<'_>) -> CheckedPart {
    let mut part = CheckedPart::new("graph files");
    for name in part.items(list(disk, GRAPH_DIR)) {
        if name.parse::<u32>().is_err() {
            continue;
        }
        let look = || -> Result<()> {
            tick()?;
            let file = disk.open(&format!("{GRAPH_DIR}/{name}"))?;
            let mut block = Block::zeroed(file.len()? as usize);
            file.read_at(0, block.bytes_mut())?;
            let damaged = |_| StoreError::corrupt(format!("\"{GRAPH_DIR}/{name}\" is damaged"));
            HnswGraph::open(Arc::new(block)).and_then(|graph| graph.verify()).map_err(damaged)
        };
        part.note(look());
    }
    part
}

fn check_texts(disk: &dyn Disk, kv: &dyn Kv, tick: Tick<'_>) -> CheckedPart {
    let mut part = CheckedPart::new("text index files");
    for (index, stored) in part.items(stored(kv, b"x")) {
        let look = || -> Result<bool> {
            tick()?;
            let spec = Reader::new(&stored).index()?;
            let IndexMethod::Bm25 { config, k1, b } = spec.method else { return Ok(false) };
            Ok(open_text(disk, index, params(config, k1, b))?.is_some())
        };
        match look() {
            Ok(found) => part.count += u64::from(found),
            Err(error) => part.problems.push(error.message),
        }
    }
    part
}
