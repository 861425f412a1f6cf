//! What a backup copies: the files that the manifests and derived indexes lie in, and the entries of the store.

use std::sync::atomic::Ordering;

use omen_disk::{
    Disk, DiskErrorKind, DiskFile, Kv, KvBatch, KvRange, VectorSegments, create_dir_durably,
};

use super::Request;
use crate::durable::Durable;
use crate::durable::apply::key_id;
use crate::durable::derived::GRAPH_DIR;
use crate::durable::manifest::Manifest;
use crate::durable::open::list;
use crate::durable::texts::{TEXT_DIR, index_of};
use crate::engine::vector_name;
use crate::error::Result;
use crate::table::chunk_file;

/// Bytes copied at a time; between two pieces a cancel is looked for.
const PIECE: usize = 1 << 20;
/// Entries put into the target's store at a time.
const BATCH_ENTRIES: usize = 256;

/// Files of one folder.
struct Group {
    dir: String,
    names: Vec<String>,
}

impl Durable {
    /// Copies everything but `FORMAT`, and makes it durable. The checkpoint is written and none begins meanwhile.
    pub(super) fn copy(&self, target: &dyn Disk, kv: &dyn Kv, request: &Request) -> Result<()> {
        request.progress.enter("estimating backup size");
        let groups = self.groups()?;
        let mut total = self.kv.approximate_bytes()?;
        for group in &groups {
            for name in &group.names {
                if let Some(file) = open(&*self.disk, &group.path(name))? {
                    total += file.len()?;
                }
            }
        }
        request.progress.total.store(total, Ordering::Relaxed);
        request.progress.enter("streaming database files");
        for group in groups.iter().filter(|group| !group.names.is_empty()) {
            create_dir_durably(target, &group.dir)?;
            for name in &group.names {
                copy_file(&*self.disk, target, &group.path(name), request)?;
            }
            target.sync_dir(&group.dir)?;
        }
        copy_entries(&*self.kv, kv, request)?;
        Ok(kv.persist()?)
    }

    fn groups(&self) -> Result<Vec<Group>> {
        let mut groups = Vec::new();
        for entry in self.kv.scan(KvRange::prefix(b"f")) {
            let (key, value) = entry?;
            let relation = key_id(&key, 1)?;
            let manifest = Manifest::decode(&value).map_err(|error| error.relation(relation))?;
            let mut files: Vec<u32> = manifest.chunks.iter().map(|c| c.place.file).collect();
            files.sort_unstable();
            files.dedup();
            let names = files.into_iter().map(chunk_file::name).collect();
            groups.push(Group { dir: chunk_file::dir(relation), names });
            for (column, _) in manifest.vectors {
                let dir = format!("vec/{}", vector_name(relation, column));
                let mut names = list(&*self.disk, &dir)?;
                // Others belong to transactions under way.
                names.retain(|name| VectorSegments::is_segment(name));
                groups.push(Group { dir, names });
            }
        }
        for dir in [GRAPH_DIR, TEXT_DIR] {
            let mut names = list(&*self.disk, dir)?;
            // Others are being written or were left by a crash.
            names.retain(|name| index_of(name).is_some());
            groups.push(Group { dir: dir.to_owned(), names });
        }
        Ok(groups)
    }
}

impl Group {
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }
}

/// None for a file that went with its index since it was listed.
fn open(disk: &dyn Disk, path: &str) -> Result<Option<std::sync::Arc<dyn DiskFile>>> {
    match disk.open(path) {
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(None),
        file => Ok(Some(file?)),
    }
}

fn copy_file(source: &dyn Disk, target: &dyn Disk, path: &str, request: &Request) -> Result<()> {
    let Some(from) = open(source, path)? else { return Ok(()) };
    let to = target.create(path)?;
    let length = from.len()?;
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < length {
        request.check_interrupt()?;
        let piece = &mut buffer[..(length - at).min(PIECE as u64) as usize];
        from.read_at(at, piece)?;
        to.write_at(at, piece)?;
        at += piece.len() as u64;
        request.progress.done.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    Ok(to.sync_data()?)
}

fn copy_entries(from: &dyn Kv, to: &dyn Kv, request: &Request) -> Result<()> {
    let mut batch = KvBatch::new();
    let mut count = 0;
    for entry in from.scan(KvRange::prefix(b"")) {
        let (key, value) = entry?;
        let bytes = (key.len() + value.len()) as u64;
        batch.put(key, value);
        count += 1;
        request.progress.done.fetch_add(bytes, Ordering::Relaxed);
        if count % BATCH_ENTRIES == 0 {
            request.check_interrupt()?;
            to.apply(std::mem::take(&mut batch))?;
        }
    }
    Ok(to.apply(batch)?)
}
