//! The key-value store on disk: one fjall keyspace.
//!
//! fjall does its own I/O, so it needs a real folder and is not part of crash enumeration. Two properties of it are
//! used on purpose: batches reach its journal in order and whole (a crash leaves a prefix of them), and a failed
//! sync poisons it. Its own sync per write is off, because the log is the commit point.

use super::{Kv, KvBatch, KvBytes, KvIter, KvRange, KvSnapshot, MAX_KEY_BYTES};
use crate::error::{DiskError, DiskErrorKind, Result};
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{PoisonError, RwLock};

/// Blocks and index cached in memory. The row cache above is the store's chunks, so this stays small.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Makes the names of a folder and of those below it durable. fjall makes a folder for each keyspace and syncs what is in it,
/// and not the folder that names it: after a loss of power the keyspace could be gone.
fn sync_folders(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}

/// Runs what reads fjall's files: some damage there ends in an assertion of fjall's, and is damage to us as well. Whatever
/// fjall had locked then is given up with the database, which refuses to open or to be read.
fn guarded<T>(action: &'static str, read: impl FnOnce() -> fjall::Result<T>) -> Result<T> {
    let damaged = |_| {
        let context = format!("could not {action} the key-value store: its files are damaged");
        DiskError::new(DiskErrorKind::Corrupt, context)
    };
    catch_unwind(AssertUnwindSafe(read)).map_err(damaged)?.map_err(failed(action))
}

/// A fjall database with one keyspace. After `close` every call fails: the folder is free for the next opening then,
/// however many handles of this value are still around.
pub struct FjallKv {
    open: RwLock<Option<Open>>,
}

#[derive(Clone)]
struct Open {
    database: Database,
    entries: Keyspace,
}

fn failed(action: &'static str) -> impl Fn(fjall::Error) -> DiskError {
    move |error| {
        let kind = match &error {
            fjall::Error::Locked => DiskErrorKind::Locked,
            fjall::Error::Poisoned => DiskErrorKind::Poisoned,
            fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io))
                if io.kind() == ErrorKind::StorageFull =>
            {
                DiskErrorKind::NoSpace
            }
            // What fjall wrote does not end so: a file that another one names is missing, or an offset in one leads nowhere.
            fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io))
                if matches!(
                    io.kind(),
                    ErrorKind::NotFound
                        | ErrorKind::UnexpectedEof
                        | ErrorKind::InvalidData
                        | ErrorKind::InvalidInput
                ) =>
            {
                DiskErrorKind::Corrupt
            }
            fjall::Error::Io(_) | fjall::Error::Storage(fjall::LsmError::Io(_)) => {
                DiskErrorKind::Io
            }
            _ => DiskErrorKind::Corrupt,
        };
        let context = format!("could not {action} the key-value store");
        DiskError { kind, context, source: Some(Box::new(error)) }
    }
}

impl FjallKv {
    /// Opens or creates the store in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let builder =
            Database::builder(folder).cache_size(CACHE_BYTES).manual_journal_persist(true);
        let database = guarded("open", || builder.open())?;
        let options = || KeyspaceCreateOptions::default().manual_journal_persist(true);
        let entries = match guarded("open", || database.keyspace("entries", options)) {
            Ok(entries) => entries,
            Err(error) => {
                // Its destructor panics over the locks that a panic poisoned.
                std::mem::forget(database);
                return Err(error);
            }
        };
        sync_folders(folder).map_err(|error| {
            DiskError::io("could not fsync directory", &folder.display().to_string(), error)
        })?;
        Ok(Self { open: RwLock::new(Some(Open { database, entries })) })
    }

    /// The handles, which are cheap to clone.
    fn open_handles(&self) -> Result<Open> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let closed = || DiskError::new(DiskErrorKind::Io, "the key-value store is closed");
        open.clone().ok_or_else(closed)
    }
}

fn entry(guard: Guard) -> Result<(KvBytes, KvBytes)> {
    let (key, value) = guarded("read", || guard.into_inner())?;
    Ok((KvBytes(key), KvBytes(value)))
}

fn scan(view: &impl Readable, entries: &Keyspace, range: KvRange) -> KvIter {
    if range.is_empty() {
        return Box::new(std::iter::empty());
    }
    let mut found = view.range(entries, (range.low, range.high));
    Box::new(std::iter::from_fn(move || match guarded("read", || Ok(found.next())) {
        Ok(next) => next.map(entry),
        Err(error) => Some(Err(error)),
    }))
}

impl Kv for FjallKv {
    fn get(&self, key: &[u8]) -> Result<Option<KvBytes>> {
        let entries = self.open_handles()?.entries;
        Ok(guarded("read", || entries.get(key))?.map(KvBytes))
    }

    fn scan(&self, range: KvRange) -> KvIter {
        match self.open_handles() {
            Ok(open) => scan(&open.database.snapshot(), &open.entries, range),
            Err(closed) => Box::new(std::iter::once(Err(closed))),
        }
    }

    fn snapshot(&self) -> Result<Box<dyn KvSnapshot>> {
        let Open { database, entries } = self.open_handles()?;
        Ok(Box::new(FjallSnapshot { view: database.snapshot(), entries }))
    }

    fn apply(&self, batch: KvBatch) -> Result<()> {
        let operations = batch.into_sorted();
        if let Some((key, _)) =
            operations.iter().find(|(key, _)| key.len() > MAX_KEY_BYTES || key.is_empty())
        {
            return Err(super::bad_key(key.len()));
        }
        let Open { database, entries } = self.open_handles()?;
        let mut write = fjall::OwnedWriteBatch::with_capacity(database, operations.len());
        for (key, value) in operations {
            match value {
                Some(value) => write.insert(&entries, key.0, value.0),
                None => write.remove(&entries, key.0),
            }
        }
        write.commit().map_err(failed("write to"))
    }

    fn ingest(&self, run: &mut dyn Iterator<Item = Result<(Vec<u8>, Vec<u8>)>>) -> Result<()> {
        let Open { entries, .. } = self.open_handles()?;
        let mut ingestion = entries.start_ingestion().map_err(failed("load into"))?;
        let mut last: Option<Vec<u8>> = None;
        for entry in run {
            let (key, value) = entry?;
            super::check_ascending(last.as_deref(), &key)?;
            ingestion.write(key.as_slice(), value).map_err(failed("load into"))?;
            last = Some(key);
        }
        // Leaving earlier drops the unfinished tables: nothing is loaded.
        ingestion.finish().map_err(failed("load into"))
    }

    fn persist(&self) -> Result<()> {
        self.open_handles()?.database.persist(PersistMode::SyncData).map_err(failed("sync"))
    }

    fn approximate_bytes(&self) -> Result<u64> {
        self.open_handles()?.database.disk_space().map_err(failed("measure"))
    }

    fn close(&self) -> Result<()> {
        // Opening replays what is not yet in tables, at about 6 MB a second; so put everything into tables.
        let open = self.open_handles()?;
        open.entries.rotate_memtable_and_wait().map_err(failed("flush"))?;
        self.persist()?;
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

struct FjallSnapshot {
    view: fjall::Snapshot,
    entries: Keyspace,
}

impl KvSnapshot for FjallSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<KvBytes>> {
        Ok(guarded("read", || self.view.get(&self.entries, key))?.map(KvBytes))
    }

    fn scan(&self, range: KvRange) -> KvIter {
        scan(&self.view, &self.entries, range)
    }
}
