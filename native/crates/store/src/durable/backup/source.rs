//! What a backup copies: handles of the files that a checkpoint names and a view of the key-value store, both as of the
//! moment when the checkpoint was written.
//!
//! A handle costs a file descriptor until its file is copied; when the process may have no more, the backup fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use omen_disk::{Disk, DiskErrorKind, DiskFile, KvRange, KvSnapshot, VectorSegments};

use super::hold::Hold;
use super::{Job, Order};
use crate::durable::Durable;
use crate::durable::apply::{KEY_CHECKPOINT, get_u64, key_id};
use crate::durable::checkpoint::Checkpointer;
use crate::durable::derived::GRAPH_DIR;
use crate::durable::manifest::Manifest;
use crate::durable::open::list;
use crate::durable::texts::{TEXT_DIR, index_of};
use crate::engine::{Engine, vector_name};
use crate::error::{Result, StoreError};
use crate::table::chunk_file;

pub struct Source {
    /// Of the checkpoint.
    pub commit: u64,
    /// Folders of vector segments.
    pub vectors: Vec<Folder>,
    /// Keeps these as they are.
    pub hold: Hold,
    /// All other files.
    pub others: Vec<Folder>,
    pub entries: Box<dyn KvSnapshot>,
}

/// Files of one folder.
pub struct Folder {
    pub path: String,
    pub files: Vec<(String, Arc<dyn DiskFile>)>,
}

impl Folder {
    fn open(disk: &dyn Disk, path: String, names: Vec<String>) -> Result<Self> {
        let open = |name: String| {
            let path = format!("{path}/{name}");
            match disk.open(&path) {
                Ok(file) => Ok((name, file)),
                Err(error) if error.kind == DiskErrorKind::NotFound => {
                    Err(StoreError::corrupt(format!("file \"{path}\" is missing")))
                }
                Err(error) => Err(error.into()),
            }
        };
        let files = names.into_iter().map(open).collect::<Result<_>>()?;
        Ok(Self { path, files })
    }

    fn bytes(&self) -> Result<u64> {
        self.files.iter().try_fold(0, |sum, (_, file)| Ok(sum + file.len()?))
    }
}

impl Durable {
    /// The applier's part of a backup.
    pub fn deliver_source(&self, engine: &Arc<Engine>, state: &mut Checkpointer, order: &Order) {
        // Whoever has given the backup up meanwhile has no use for it.
        let _ = order.reply.send(self.source(engine, state, &order.job));
    }

    fn source(&self, engine: &Arc<Engine>, state: &mut Checkpointer, job: &Job) -> Result<Source> {
        job.check_interrupt()?;
        if let Some(error) = self.failure() {
            return Err(error);
        }
        job.progress.enter("waiting for checkpoint to finish");
        self.checkpoint_or_fail(engine, state)?;
        if !self.pending_relations().is_empty() {
            let message = "a damaged table keeps the database from being backed up";
            return Err(StoreError::corrupt(message));
        }
        job.progress.enter("estimating backup size");
        let hold = Hold::begin(engine);
        let (vectors, others) = self.folders()?;
        let entries = self.kv.snapshot()?;
        let mut bytes = self.kv.approximate_bytes()?;
        for folder in vectors.iter().chain(&others) {
            bytes += folder.bytes()?;
        }
        job.progress.total.store(bytes, Ordering::Relaxed);
        let commit = get_u64(&*self.kv, KEY_CHECKPOINT)?.unwrap_or(0);
        Ok(Source { commit, vectors, hold, others, entries })
    }

    /// Vector segments, and all other files.
    fn folders(&self) -> Result<(Vec<Folder>, Vec<Folder>)> {
        let disk = &*self.disk;
        let (mut vectors, mut others) = (Vec::new(), Vec::new());
        for entry in self.kv.scan(KvRange::prefix(b"f")) {
            let (key, value) = entry?;
            let relation = key_id(&key, 1)?;
            let manifest = Manifest::decode(&value).map_err(|error| error.relation(relation))?;
            let mut files: Vec<u32> = manifest.chunks.iter().map(|c| c.place.file).collect();
            files.sort_unstable();
            files.dedup();
            let names = files.into_iter().map(chunk_file::name).collect();
            others.push(Folder::open(disk, chunk_file::dir(relation), names)?);
            for (column, _) in manifest.vectors {
                let path = format!("vec/{}", vector_name(relation, column));
                let mut names = list(disk, &path)?;
                // Others belong to transactions under way.
                names.retain(|name| VectorSegments::is_segment(name));
                vectors.push(Folder::open(disk, path, names)?);
            }
        }
        for path in [GRAPH_DIR, TEXT_DIR] {
            let mut names = list(disk, path)?;
            // Others were left by a crash.
            names.retain(|name| index_of(name).is_some());
            others.push(Folder::open(disk, path.to_owned(), names)?);
        }
        Ok((vectors, others))
    }
}
