//! Verification of a whole database: every sum of every file, then every table loaded and its indexes held against rows.
//!
//! `check_files` reads alone and changes nothing. `check` goes on to open the database as a server would, recovery
//! included, because what the log adds to the files is part of what a user sees. Damage of a derived index is a finding
//! although a server would rebuild it in silence.

use std::collections::BTreeSet;
use std::sync::Arc;

use omen_disk::{Disk, DiskErrorKind, Kv, KvRange, LogReader, VectorOptions, VectorSegments};
use omen_hnsw::{Block, HnswGraph};

use super::apply::{KEY_CHECKPOINT, KEY_SALT, get_u64, key_id};
use super::derived::{GRAPH_DIR, TEXT_DIR, decode_text};
use super::format;
use super::manifest::{Manifest, sealed};
use super::open::list;
use crate::commit::redo::Reader;
use crate::engine::{Engine, EngineOptions, Storage, vector_name};
use crate::error::{Result, StoreError};
use crate::index::bm25::{Bm25Index, params};
use crate::index::fill_text;
use crate::sync::read;
use crate::table::chunk_file::{self, ChunkFile};
use crate::types::{IndexMethod, StorageKind};

/// What was looked at under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPart {
    pub name: &'static str,
    /// Files, records, tables, ... as `name` says.
    pub count: u64,
    /// One line for each thing that is wrong.
    pub problems: Vec<String>,
}

impl CheckedPart {
    fn new(name: &'static str) -> Self {
        Self { name, count: 0, problems: Vec::new() }
    }

    fn note(&mut self, result: Result<()>) {
        self.count += 1;
        if let Err(error) = result {
            self.problems.push(error.message);
        }
    }

    /// For listings: what cannot be listed is one problem and no items.
    fn items<T>(&mut self, items: Result<Vec<T>>) -> Vec<T> {
        items.unwrap_or_else(|error| {
            self.problems.push(error.message);
            Vec::new()
        })
    }
}

/// Checks files, then opens the database and checks tables and indexes. The folder is locked by the caller; the engine
/// is gone when this returns.
pub fn check(disk: &Arc<dyn Disk>, kv: &Arc<dyn Kv>) -> Vec<CheckedPart> {
    let mut parts = check_files(&**disk, &**kv);
    let mut tables = CheckedPart::new("tables and their indexes against rows");
    let storage = Storage::Durable { disk: Arc::clone(disk), kv: Arc::clone(kv) };
    let options = EngineOptions { storage, pool_threads: 1, buffer_bytes: 0 };
    match Engine::open(options) {
        Err(error) => tables.note(Err(error)),
        Ok(engine) => {
            let relations: BTreeSet<u32> = read(&engine.tables).keys().copied().collect();
            for relation in relations {
                tables.note(check_table(&engine, relation));
            }
            engine.abandon();
        }
    }
    parts.push(tables);
    parts
}

/// Every sum of every file, and that nothing is missing which something names.
pub fn check_files(disk: &dyn Disk, kv: &dyn Kv) -> Vec<CheckedPart> {
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
        check_chunks(disk, kv),
        check_vectors(disk, kv),
        check_graphs(disk),
        check_texts(disk, kv),
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

fn check_chunks(disk: &dyn Disk, kv: &dyn Kv) -> CheckedPart {
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
fn check_vectors(disk: &dyn Disk, kv: &dyn Kv) -> CheckedPart {
    let mut part = CheckedPart::new("vector segments");
    for (relation, manifest) in part.items(stored(kv, b"f")) {
        let look = || -> Result<u64> {
            let Some(columns) = kv.get(&super::apply::key(b't', relation))? else { return Ok(0) };
            let columns = Reader::new(&columns).columns()?;
            let manifest = Manifest::decode(&manifest)?;
            let mut count = 0;
            for (column, next) in manifest.vectors {
                let spec = columns.get(column as usize).map(|c| c.spec);
                let Some(spec) = spec.filter(|spec| spec.kind == StorageKind::Vector) else {
                    return Err(StoreError::corrupt(format!(
                        "relation {relation} has no vector column {column}"
                    )));
                };
                let name = vector_name(relation, column);
                count += VectorSegments::check(
                    disk,
                    &name,
                    VectorOptions::new(spec.dim as usize),
                    next,
                )?;
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

fn check_graphs(disk: &dyn Disk) -> CheckedPart {
    let mut part = CheckedPart::new("graph files");
    for name in part.items(list(disk, GRAPH_DIR)) {
        if name.parse::<u32>().is_err() {
            continue;
        }
        let look = || -> Result<()> {
            let file = disk.open(&format!("{GRAPH_DIR}/{name}"))?;
            let mut block = Block::zeroed(file.len()? as usize);
            file.read_at(0, block.bytes_mut())?;
            let damaged = |_| StoreError::corrupt(format!("\"{GRAPH_DIR}/{name}\" is damaged"));
            HnswGraph::open(Arc::new(block)).map(|_| ()).map_err(damaged)
        };
        part.note(look());
    }
    part
}

fn check_texts(disk: &dyn Disk, kv: &dyn Kv) -> CheckedPart {
    let mut part = CheckedPart::new("text index files");
    for (index, stored) in part.items(stored(kv, b"x")) {
        let look = || -> Result<bool> {
            let spec = Reader::new(&stored).index()?;
            let IndexMethod::Bm25 { config, k1, b } = spec.method else { return Ok(false) };
            let path = format!("{TEXT_DIR}/{index}");
            let file = match disk.open(&path) {
                Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(false),
                file => file?,
            };
            let mut bytes = vec![0; file.len()? as usize];
            file.read_at(0, &mut bytes)?;
            match decode_text(&bytes, params(config, k1, b)) {
                Ok(Some(_)) => Ok(true),
                Ok(None) | Err(_) => Err(StoreError::corrupt(format!("\"{path}\" is damaged"))),
            }
        };
        match look() {
            Ok(found) => part.count += u64::from(found),
            Err(error) => part.problems.push(error.message),
        }
    }
    part
}

/// Loads a table (keys of unique indexes, vectors of rows), reads all of its rows and compares its text indexes with
/// ones made from the rows.
fn check_table(engine: &Engine, relation: u32) -> Result<()> {
    let named =
        |error: StoreError| StoreError::corrupt(format!("relation {relation}: {}", error.message));
    let table = engine.table(relation).map_err(named)?;
    let columns = table.columns();
    {
        let data = read(&table.data);
        for chunk in &data.chunks {
            let all = 0..chunk.rows.columns.len();
            all.into_iter().try_for_each(|column| chunk.rows.check(column)).map_err(named)?;
        }
    }
    for index in table.indexes().iter() {
        let (Some(present), IndexMethod::Bm25 { config, k1, b }) =
            (index.bm25(), &index.spec.method)
        else {
            continue;
        };
        let fresh = Bm25Index::new(params(*config, *k1, *b));
        fill_text(index, &fresh, &table, &columns, || Ok(())).map_err(named)?;
        let rows = |index: &Bm25Index| {
            index.owners().into_iter().map(|(_, rid)| rid).collect::<BTreeSet<u32>>()
        };
        let (found, wanted) = (present.text.stats(), fresh.text.stats());
        let same = (found.docs, found.total_length) == (wanted.docs, wanted.total_length);
        if !same || rows(present) != rows(&fresh) {
            let id = index.spec.index_id;
            let message = format!("relation {relation}: text index {id} disagrees with the rows");
            return Err(StoreError::corrupt(message));
        }
    }
    Ok(())
}
