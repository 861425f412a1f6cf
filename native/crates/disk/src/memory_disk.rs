//! A folder in memory: databases started with `--memory`, tests, and the state a crash leaves behind.
//!
//! Nothing here survives the process, so both syncs are satisfied at once. A file's bytes lie in one page-aligned
//! heap block; mapping a file pins that block, and from then on the file keeps its length.

use crate::disk::{DirLock, Disk, DiskFile, Mapping, PrivateMapping};
use crate::error::{DiskError, DiskErrorKind, Result};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

const PAGE: usize = 4096;

/// A folder in memory. Clones are the same folder.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    names: Arc<Mutex<Names>>,
    locked: Arc<AtomicBool>,
}

#[derive(Default)]
struct Names {
    dirs: BTreeSet<String>,
    files: BTreeMap<String, Arc<MemoryFile>>,
}

fn not_found(action: &str, path: &str) -> DiskError {
    DiskError::new(
        DiskErrorKind::NotFound,
        format!("{action} \"{path}\": No such file or directory"),
    )
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

impl MemoryDisk {
    pub fn new() -> Self {
        Self::default()
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a file with these contents in place, with the folders above it; for building crash states.
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.create_dir(parent(path))?;
        let file = Arc::new(MemoryFile::new(path));
        file.write_at(0, bytes)?;
        self.names().files.insert(path.to_owned(), file);
        Ok(())
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let file = self.names().files.get(path).cloned();
        file.map(|file| file as Arc<dyn DiskFile>)
            .ok_or_else(|| not_found("could not open file", path))
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let mut names = self.names();
        if names.files.contains_key(path) || names.dirs.contains(path) {
            let context = format!("could not create file \"{path}\": File exists");
            return Err(DiskError::new(DiskErrorKind::AlreadyExists, context));
        }
        if !parent(path).is_empty() && !names.dirs.contains(parent(path)) {
            return Err(not_found("could not create file", path));
        }
        let file = Arc::new(MemoryFile::new(path));
        names.files.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn remove(&self, path: &str) -> Result<()> {
        let removed = self.names().files.remove(path);
        removed.map(|_| ()).ok_or_else(|| not_found("could not remove file", path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut names = self.names();
        let file =
            names.files.remove(from).ok_or_else(|| not_found("could not rename file", from))?;
        names.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn exists(&self, path: &str) -> Result<bool> {
        let names = self.names();
        Ok(names.files.contains_key(path) || names.dirs.contains(path))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        let names = self.names();
        if !dir.is_empty() && !names.dirs.contains(dir) {
            return Err(not_found("could not open directory", dir));
        }
        let below = |path: &&String| parent(path) == dir;
        let mut found: Vec<String> = (names.files.keys().filter(below))
            .chain(names.dirs.iter().filter(below))
            .map(|path| path.rsplit('/').next().unwrap_or(path).to_owned())
            .collect();
        found.sort();
        Ok(found)
    }

    fn create_dir(&self, dir: &str) -> Result<()> {
        let mut names = self.names();
        let mut above = dir;
        while !above.is_empty() {
            names.dirs.insert(above.to_owned());
            above = parent(above);
        }
        Ok(())
    }

    fn remove_dir(&self, dir: &str) -> Result<()> {
        let mut names = self.names();
        let prefix = format!("{dir}/");
        if names.files.keys().chain(names.dirs.iter()).any(|path| path.starts_with(&prefix)) {
            let context = format!("could not remove directory \"{dir}\": Directory not empty");
            return Err(DiskError::new(DiskErrorKind::Io, context));
        }
        let removed = names.dirs.remove(dir);
        removed.then_some(()).ok_or_else(|| not_found("could not remove directory", dir))
    }

    fn sync_dir(&self, _dir: &str) -> Result<()> {
        Ok(())
    }

    fn lock(&self) -> Result<DirLock> {
        struct Held(Arc<AtomicBool>);
        impl Drop for Held {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Release);
            }
        }
        if self.locked.swap(true, Ordering::Acquire) {
            let context = "the database in memory is already open".to_owned();
            return Err(DiskError::new(DiskErrorKind::Locked, context));
        }
        Ok(DirLock::new(Held(Arc::clone(&self.locked))))
    }

    fn os_path(&self) -> Option<&Path> {
        None
    }
}

/// A page-aligned zeroed heap block. Who may touch which bytes when is the file's and the mapping's business.
struct Block {
    pointer: NonNull<u8>,
    capacity: usize,
}

// SAFETY: a Block is plain memory; the file's lock and the contract of `Mapping::slice` order the accesses.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// `None` when the allocator refuses.
    fn new(capacity: usize) -> Option<Self> {
        let capacity = capacity.max(1).checked_next_multiple_of(PAGE)?;
        let layout = Layout::from_size_align(capacity, PAGE).ok()?;
        // SAFETY: the layout has a non-zero size.
        let pointer = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { pointer, capacity })
    }

    fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset <= self.capacity, "offset inside the block");
        // SAFETY: just checked; one past the end is allowed.
        unsafe { self.pointer.as_ptr().add(offset) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Ok(layout) = Layout::from_size_align(self.capacity, PAGE) {
            // SAFETY: allocated in `new` with this very layout.
            unsafe { dealloc(self.pointer.as_ptr(), layout) }
        }
    }
}

struct MemoryFile {
    name: String,
    state: RwLock<State>,
}

struct State {
    block: Option<Arc<Block>>,
    len: usize,
    /// Once mapped, the block may not be replaced, so the length is fixed.
    mapped: bool,
}

impl MemoryFile {
    fn new(path: &str) -> Self {
        Self {
            name: path.to_owned(),
            state: RwLock::new(State { block: None, len: 0, mapped: false }),
        }
    }

    fn error(&self, what: &str) -> DiskError {
        DiskError::new(DiskErrorKind::Io, format!("file \"{}\": {what}", self.name))
    }

    /// Ends with a block of at least `capacity` bytes; contents below `len` are kept, the rest is zero.
    fn reserve(&self, state: &mut State, capacity: usize) -> Result<Arc<Block>> {
        let present = state.block.as_ref().map_or(0, |block| block.capacity);
        if let Some(block) = state.block.as_ref().filter(|_| capacity <= present) {
            return Ok(Arc::clone(block));
        }
        if state.mapped {
            return Err(self.error("cannot grow while it is mapped"));
        }
        let wanted = capacity.max(present.saturating_mul(2));
        let block = Arc::new(Block::new(wanted).ok_or_else(|| self.no_space("extend"))?);
        if let Some(old) = &state.block {
            // SAFETY: both blocks hold at least `len` bytes and are distinct; the state lock is held for writing.
            unsafe { std::ptr::copy_nonoverlapping(old.at(0), block.at(0), state.len) }
        }
        state.block = Some(Arc::clone(&block));
        Ok(block)
    }

    fn no_space(&self, what: &str) -> DiskError {
        DiskError::new(
            DiskErrorKind::NoSpace,
            format!("could not {what} file \"{}\": out of memory", self.name),
        )
    }
}

/// `offset + len` as a position in memory.
fn end_of(offset: u64, len: usize) -> Option<usize> {
    usize::try_from(offset).ok()?.checked_add(len)
}

impl DiskFile for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let end = end_of(offset, buffer.len()).filter(|&end| end <= state.len);
        let end = end.ok_or_else(|| self.error("read past the end"))?;
        if let Some(block) = &state.block {
            // SAFETY: the range ends inside the block; writers wait for the state lock.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    block.at(end - buffer.len()),
                    buffer.as_mut_ptr(),
                    buffer.len(),
                );
            }
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let end = end_of(offset, bytes.len())
            .ok_or_else(|| self.error("write past the largest offset"))?;
        let block = self.reserve(&mut state, end)?;
        // SAFETY: the block holds `end` bytes; readers of the file wait for the lock, and those of a mapping have
        // promised not to hold slices over bytes being written.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), block.at(end - bytes.len()), bytes.len());
        }
        state.len = state.len.max(end);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let len = end_of(len, 0).ok_or_else(|| self.error("length over the address space"))?;
        if len < state.len {
            if state.mapped {
                return Err(self.error("cannot shrink while it is mapped"));
            }
            if let Some(block) = &state.block {
                // SAFETY: the range lies in the block and nobody maps it. Zeroed, so that growing again reads zeros.
                unsafe { std::ptr::write_bytes(block.at(len), 0, state.len - len) }
            }
        } else {
            self.reserve(&mut state, len)?;
        }
        state.len = len;
        Ok(())
    }

    fn allocate(&self, len: u64) -> Result<()> {
        if self.len()? < len { self.set_len(len) } else { Ok(()) }
    }

    fn len(&self) -> Result<u64> {
        Ok(self.state.read().unwrap_or_else(PoisonError::into_inner).len as u64)
    }

    fn map_read_only(&self) -> Result<Mapping> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let len = state.len;
        let block = self.reserve(&mut state, len)?;
        state.mapped = true;
        let pointer = block.at(0).cast_const();
        // SAFETY: the block has at least `len` bytes and is owned by the mapping from here on.
        Ok(unsafe { Mapping::new(pointer, len, block) })
    }

    fn map_private(&self) -> Result<PrivateMapping> {
        let len = self.len()? as usize;
        let copy = Block::new(len).ok_or_else(|| self.no_space("map"))?;
        let start = copy.at(0);
        // SAFETY: the block has at least `len` bytes, is fresh, and is owned by the mapping from here on.
        self.read_at(0, unsafe { std::slice::from_raw_parts_mut(start, len) })?;
        // SAFETY: as above.
        Ok(unsafe { PrivateMapping::new(start, len, copy) })
    }
}
