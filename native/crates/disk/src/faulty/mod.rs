//! The faulty twin: a folder in memory that remembers every change, fails on request, and can rebuild what a crash
//! at any moment could have left on disk.
//!
//! It keeps the POSIX rules of `disk.rs` to the letter: bytes count after `sync_data`, names after `sync_dir`, and
//! of everything else a crash keeps an arbitrary part. While it runs, reads see every write, as through the page
//! cache. Operations are numbered from 0 in the order they happen; a test notes `operations()` whenever it was
//! promised something and holds every crash state at or after that number to the promise.

mod crash;
mod file;
mod stall;

pub use crash::{CrashKind, CrashState, CrashStates};

use crate::disk::{DirLock, Disk, DiskFile};
use crate::error::{DiskError, DiskErrorKind, Result};
use crate::memory_disk::MemoryDisk;
use file::FaultyFile;
use stall::Stall;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A failure to produce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Change number `operation` fails with EIO and does nothing; a sync also poisons its file.
    IoAt { operation: usize },
    /// Write number `operation` stores only its first half and fails with EIO.
    ShortWriteAt { operation: usize },
    /// Files may grow by this many bytes in all; what needs more fails with ENOSPC.
    NoSpaceAfter { bytes: u64 },
    /// `sync_data` reports success and does nothing: the disk that crash tests must catch.
    SyncLies,
    /// As `SyncLies`, for the files of the log alone: group commit without its sync.
    LogSyncLies,
}

/// A change, as far as a crash can undo it.
#[derive(Debug, Clone)]
enum Operation {
    Create {
        path: String,
        file: usize,
    },
    Write {
        file: usize,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLen {
        file: usize,
        len: u64,
    },
    SyncData {
        file: usize,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    CreateDir {
        dir: String,
    },
    RemoveDir {
        dir: String,
    },
    SyncDir {
        dir: String,
    },
    /// A failed change: it counts, so that fault numbers stay put, and leaves nothing.
    Failed,
}

/// The twin. Clones are the same folder.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    live: MemoryDisk,
    record: Arc<Mutex<Record>>,
    stall: Arc<Stall>,
}

#[derive(Default)]
struct Record {
    /// What was durable before the first operation.
    base: Base,
    operations: Vec<Operation>,
    /// Live name -> file number.
    names: BTreeMap<String, usize>,
    files: usize,
    faults: Vec<Fault>,
}

#[derive(Default, Clone)]
struct Base {
    dirs: Vec<String>,
    /// Path and contents; the position is the file's number.
    files: Vec<(String, Vec<u8>)>,
}

impl FaultyDisk {
    pub fn new() -> Self {
        Self::default()
    }

    /// A twin that starts with what is on `disk`, all of it durable; for crashing again during recovery.
    pub fn over(disk: &MemoryDisk) -> Result<Self> {
        let twin = Self::new();
        let mut base = Base::default();
        collect(disk, "", &mut base)?;
        {
            let mut record = twin.record();
            for dir in &base.dirs {
                twin.live.create_dir(dir)?;
            }
            for (number, (path, bytes)) in base.files.iter().enumerate() {
                twin.live.put(path, bytes)?;
                record.names.insert(path.clone(), number);
            }
            record.files = base.files.len();
            record.base = base;
        }
        Ok(twin)
    }

    /// Adds a fault; operation numbers count from the twin's beginning.
    pub fn inject(&self, fault: Fault) {
        self.record().faults.push(fault);
    }

    /// Takes all faults away. Files that were poisoned stay so.
    pub fn heal(&self) {
        self.record().faults.clear();
    }

    /// From now on who creates or writes a file whose name begins with `prefix` waits until `go_on`.
    pub fn stall(&self, prefix: &str) {
        self.stall.set(Some(prefix.to_owned()));
    }

    /// Returns when somebody waits.
    pub fn wait_until_stalled(&self) {
        self.stall.until_one_waits();
    }

    pub fn go_on(&self) {
        self.stall.set(None);
    }

    /// Number of changes so far, failed ones included.
    pub fn operations(&self) -> usize {
        self.record().operations.len()
    }

    /// What a crash could leave: for each number of completed operations several states, seeded.
    pub fn crash_states(&self, seed: u64) -> CrashStates {
        let record = self.record();
        CrashStates::new(record.base.clone(), record.operations.clone(), seed)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `change` and records `operation`, unless a fault says otherwise.
    fn apply<T>(
        &self,
        operation: Operation,
        change: impl FnOnce(&mut Record) -> Result<T>,
    ) -> Result<T> {
        let mut record = self.record();
        let result = match record.io_fault() {
            Some(error) => Err(error),
            None => change(&mut record),
        };
        record.operations.push(if result.is_ok() { operation } else { Operation::Failed });
        result
    }
}

impl Record {
    /// Whether a sync of the file `name` is one that does nothing.
    fn sync_lies(&self, name: &str) -> bool {
        self.faults.contains(&Fault::SyncLies)
            || (self.faults.contains(&Fault::LogSyncLies) && name.starts_with("wal/"))
    }

    fn io_fault(&self) -> Option<DiskError> {
        let operation = self.operations.len();
        let hit = self.faults.contains(&Fault::IoAt { operation });
        hit.then(|| {
            DiskError::new(
                DiskErrorKind::Io,
                format!("injected I/O error at operation {operation}"),
            )
        })
    }

    /// Takes `growth` bytes from the budget, if there is one.
    fn charge(&mut self, growth: u64) -> Result<()> {
        for fault in &mut self.faults {
            if let Fault::NoSpaceAfter { bytes } = fault {
                let left = bytes.checked_sub(growth);
                *bytes = left.ok_or_else(|| {
                    DiskError::new(DiskErrorKind::NoSpace, "injected: no space left")
                })?;
            }
        }
        Ok(())
    }
}

fn collect(disk: &MemoryDisk, dir: &str, base: &mut Base) -> Result<()> {
    for name in disk.list(dir)? {
        let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
        if let Ok(file) = disk.open(&path) {
            let mut bytes = vec![0; file.len()? as usize];
            file.read_at(0, &mut bytes)?;
            base.files.push((path, bytes));
        } else {
            base.dirs.push(path.clone());
            collect(disk, &path, base)?;
        }
    }
    Ok(())
}

impl Disk for FaultyDisk {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let live = self.live.open(path)?;
        let number = self.record().names.get(path).copied();
        let Some(number) = number else { unreachable!("\"{path}\" was created through the twin") };
        Ok(Arc::new(FaultyFile::new(self.clone(), live, number, path)))
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        self.stall.pass(path);
        let mut record = self.record();
        let number = record.files;
        let created = record.io_fault().map_or_else(|| self.live.create(path), Err);
        let operation = Operation::Create { path: path.to_owned(), file: number };
        record.operations.push(if created.is_ok() { operation } else { Operation::Failed });
        let live = created?;
        record.files += 1;
        record.names.insert(path.to_owned(), number);
        Ok(Arc::new(FaultyFile::new(self.clone(), live, number, path)))
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.apply(Operation::Remove { path: path.to_owned() }, |record| {
            self.live.remove(path)?;
            record.names.remove(path);
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let operation = Operation::Rename { from: from.to_owned(), to: to.to_owned() };
        self.apply(operation, |record| {
            assert_eq!(crash::parent(from), crash::parent(to), "renames stay in their folder");
            self.live.rename(from, to)?;
            if let Some(number) = record.names.remove(from) {
                record.names.insert(to.to_owned(), number);
            }
            Ok(())
        })
    }

    fn exists(&self, path: &str) -> Result<bool> {
        self.live.exists(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.live.list(dir)
    }

    fn create_dir(&self, dir: &str) -> Result<()> {
        self.apply(Operation::CreateDir { dir: dir.to_owned() }, |_| self.live.create_dir(dir))
    }

    fn remove_dir(&self, dir: &str) -> Result<()> {
        self.apply(Operation::RemoveDir { dir: dir.to_owned() }, |_| self.live.remove_dir(dir))
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        self.apply(Operation::SyncDir { dir: dir.to_owned() }, |_| Ok(()))
    }

    fn lock(&self) -> Result<DirLock> {
        self.live.lock()
    }

    fn os_path(&self) -> Option<&Path> {
        None
    }
}
