//! The key-value store on disk: one fjall keyspace.
//!
//! fjall does its own I/O, so it needs a real folder and is not part of crash enumeration. Two properties of it are
//! used on purpose: batches reach its journal in order and whole (a crash leaves a prefix of them), and a failed
//! sync poisons it. Its own sync per write is off, because the log is the commit point.

use super::{Kv, KvBatch, KvBytes, KvIter, KvRange, KvSnapshot, MAX_KEY_BYTES};
use crate::error::{DiskError, DiskErrorKind, Result};
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use std::path::Path;
use std::sync::{PoisonError, RwLock};

/// Blocks and index cached in memory. The row cache above is the store's chunks, so this stays small.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

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
                if io.kind() == std::io::ErrorKind::StorageFull =>
            {
                DiskErrorKind::NoSpace
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
        let database = builder.open().map_err(failed("open"))?;
        let options = || KeyspaceCreateOptions::default().manual_journal_persist(true);
        let entries = database.keyspace("entries", options).map_err(failed("open"))?;
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
    let (key, value) = guard.into_inner().map_err(failed("read"))?;
    Ok((KvBytes(key), KvBytes(value)))
}

fn scan(view: &impl Readable, entries: &Keyspace, range: KvRange) -> KvIter {
    if range.is_empty() {
        return Box::new(std::iter::empty());
    }
    Box::new(view.range(entries, (range.low, range.high)).map(entry))
}

impl Kv for FjallKv {
    fn get(&self, key: &[u8]) -> Result<Option<KvBytes>> {
        Ok(self.open_handles()?.entries.get(key).map_err(failed("read"))?.map(KvBytes))
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
        Ok(self.view.get(&self.entries, key).map_err(failed("read"))?.map(KvBytes))
    }

    fn scan(&self, range: KvRange) -> KvIter {
        scan(&self.view, &self.entries, range)
    }
}
