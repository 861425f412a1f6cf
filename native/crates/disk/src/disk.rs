//! The seam under all durable state: a folder (`Disk`) and its files (`DiskFile`).
//!
//! Paths are relative to the folder and use `/`. The rules are POSIX's, spelled out so that a twin can imitate
//! them: bytes are durable after `sync_data` of their file, names (created, renamed, removed) after `sync_dir` of
//! their folder, and nothing in between is promised, in part or in order. After a failed sync a file is poisoned:
//! the kernel may have dropped the dirty pages, so a later sync that succeeds would prove nothing.

use crate::error::Result;
use std::any::Any;
use std::path::Path;
use std::sync::Arc;

/// One folder with everything durable in it.
pub trait Disk: Send + Sync {
    /// Opens a file that exists, for reading and writing. NotFound otherwise.
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>>;
    /// Creates an empty file. AlreadyExists if the name is taken.
    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>>;
    /// Removes a file; handles and mappings of it stay usable.
    fn remove(&self, path: &str) -> Result<()>;
    /// Gives a file a new name, atomically replacing a file that has it.
    fn rename(&self, from: &str, to: &str) -> Result<()>;
    fn exists(&self, path: &str) -> Result<bool>;
    /// Names of files and folders directly in `dir`, sorted; `""` is the root. NotFound if `dir` is missing.
    fn list(&self, dir: &str) -> Result<Vec<String>>;
    /// Creates a folder and those above it; no error if it exists.
    fn create_dir(&self, dir: &str) -> Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, dir: &str) -> Result<()>;
    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &str) -> Result<()>;
    /// Takes the folder for this process until the value is dropped. Locked names the process that holds it.
    fn lock(&self) -> Result<DirLock>;
    /// Where the folder lies for code that does its own I/O (fjall); `None` for folders in memory.
    fn os_path(&self) -> Option<&Path>;
}

/// One open file. All offsets and lengths are bytes.
pub trait DiskFile: Send + Sync {
    /// Fills `buffer` from `offset`; reading past the end is an Io error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;
    /// Writes all of `bytes` at `offset`, growing the file if needed. Durable only after `sync_data`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;
    /// Writes at the current end; returns where. For files with a single writer.
    fn append(&self, bytes: &[u8]) -> Result<u64> {
        let end = self.len()?;
        self.write_at(end, bytes)?;
        Ok(end)
    }
    /// Makes every byte written so far durable, and the length needed to read it.
    fn sync_data(&self) -> Result<()>;
    /// Cuts or extends (with zeros) to `len`. A mapped file keeps its length.
    fn set_len(&self, len: u64) -> Result<()>;
    /// Reserves space so that the file is at least `len` long and writes below it cannot fail for lack of space.
    fn allocate(&self, len: u64) -> Result<()>;
    fn len(&self) -> Result<u64>;
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Maps the file's present length for reading. Later `write_at`s below that length show through.
    fn map_read_only(&self) -> Result<Mapping>;
    /// Maps the file's present length, which is not zero, as memory of the caller's own: what is written there reaches no file.
    /// The file is not written from then on; it may be removed.
    fn map_private(&self) -> Result<PrivateMapping>;
}

/// A folder held by this process; dropping it lets go.
pub struct DirLock {
    _held: Box<dyn Any + Send + Sync>,
}

impl DirLock {
    pub(crate) fn new(held: impl Any + Send + Sync) -> Self {
        Self { _held: Box::new(held) }
    }
}

/// A read-only window onto a file, stable for its life: `write_at` through the file changes bytes under it, the
/// address never moves. The owner (an OS mapping or a heap block) lives as long as the value.
#[derive(Clone)]
pub struct Mapping {
    pointer: *const u8,
    len: usize,
    _owner: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the window is only read, and its owner is Send + Sync and keeps the memory alive.
unsafe impl Send for Mapping {}
// SAFETY: as above; a data race with `write_at` is excluded by the contract of `slice`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// # Safety
    /// `pointer` must be readable for `len` bytes for as long as `owner` lives.
    pub(crate) unsafe fn new(
        pointer: *const u8,
        len: usize,
        owner: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self { pointer, len, _owner: owner }
    }

    pub fn as_ptr(&self) -> *const u8 {
        self.pointer
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes `offset .. offset + len`. Panics if they are not inside the mapping.
    ///
    /// # Safety
    /// Nobody may write this range through the file while the slice lives.
    pub unsafe fn slice(&self, offset: usize, len: usize) -> &[u8] {
        assert!(
            offset.checked_add(len).is_some_and(|end| end <= self.len),
            "range inside the mapping"
        );
        // SAFETY: the range was just checked against the length `new` was promised; the caller excludes writes.
        unsafe { std::slice::from_raw_parts(self.pointer.add(offset), len) }
    }
}

/// Memory that began as the bytes of a file, at a page's beginning. The owner lives as long as the value, and nothing but the
/// holder reads or writes what it leads to.
pub struct PrivateMapping {
    start: *mut u8,
    len: usize,
    _owner: Box<dyn Any + Send + Sync>,
}

// SAFETY: the value itself reads and writes nothing, and its owner is Send + Sync and keeps the memory alive.
unsafe impl Send for PrivateMapping {}
// SAFETY: as above.
unsafe impl Sync for PrivateMapping {}

impl PrivateMapping {
    /// # Safety
    /// `start` must lead to `len` bytes that nobody else reads or writes for as long as `owner` lives.
    pub(crate) unsafe fn new(start: *mut u8, len: usize, owner: impl Any + Send + Sync) -> Self {
        Self { start, len, _owner: Box::new(owner) }
    }

    pub fn start(&self) -> *mut u8 {
        self.start
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Creates `dir` and the folders above it, and makes their names durable.
pub fn create_dir_durably(disk: &dyn Disk, dir: &str) -> Result<()> {
    disk.create_dir(dir)?;
    let mut above = dir;
    while let Some((parent, _)) = above.rsplit_once('/') {
        disk.sync_dir(parent)?;
        above = parent;
    }
    disk.sync_dir("")
}
