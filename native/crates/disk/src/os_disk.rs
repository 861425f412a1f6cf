//! A folder of the operating system.

use crate::disk::{DirLock, Disk, DiskFile, Mapping, PrivateMapping};
use crate::error::{DiskError, DiskErrorKind, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The lock file: its advisory lock is what counts, the process id in it is for the error message.
const LOCK_FILE: &str = "LOCK";

/// A folder on a file system.
#[derive(Debug, Clone)]
pub struct OsDisk {
    root: PathBuf,
}

impl OsDisk {
    /// Opens the folder at `root`, creating it if it is missing.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let failed =
            |error| DiskError::io("could not create directory", &root.display().to_string(), error);
        fs::create_dir_all(&root).map_err(failed)?;
        Ok(Self { root })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn file(&self, path: &str, action: &str, options: &OpenOptions) -> Result<Arc<dyn DiskFile>> {
        let file =
            options.open(self.path(path)).map_err(|error| DiskError::io(action, path, error))?;
        Ok(Arc::new(OsFile { file, name: path.to_owned(), poisoned: AtomicBool::new(false) }))
    }
}

impl Disk for OsDisk {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        self.file(path, "could not open file", OpenOptions::new().read(true).write(true))
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        self.file(path, "could not create file", options.read(true).write(true).create_new(true))
    }

    fn remove(&self, path: &str) -> Result<()> {
        fs::remove_file(self.path(path))
            .map_err(|error| DiskError::io("could not remove file", path, error))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        fs::rename(self.path(from), self.path(to))
            .map_err(|error| DiskError::io("could not rename file", from, error))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        fs::exists(self.path(path))
            .map_err(|error| DiskError::io("could not stat file", path, error))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        let failed = |error| DiskError::io("could not open directory", dir, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(dir)).map_err(failed)? {
            // A name that is not UTF-8 is not one of ours.
            names.extend(entry.map_err(failed)?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    fn create_dir(&self, dir: &str) -> Result<()> {
        fs::create_dir_all(self.path(dir))
            .map_err(|error| DiskError::io("could not create directory", dir, error))
    }

    fn remove_dir(&self, dir: &str) -> Result<()> {
        fs::remove_dir(self.path(dir))
            .map_err(|error| DiskError::io("could not remove directory", dir, error))
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        let opened = File::open(self.path(dir));
        opened
            .and_then(|dir| dir.sync_all())
            .map_err(|error| DiskError::io("could not fsync directory", dir, error))
    }

    fn lock(&self) -> Result<DirLock> {
        let failed = |error| DiskError::io("could not lock file", LOCK_FILE, error);
        let mut options = OpenOptions::new();
        let opened =
            options.read(true).write(true).create(true).truncate(false).open(self.path(LOCK_FILE));
        let mut file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed)?;
                let folder = self.root.display();
                let context =
                    format!("data directory \"{folder}\" is in use by process {}", holder.trim());
                return Err(DiskError::new(DiskErrorKind::Locked, context));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(DirLock::new(file))
    }

    fn os_path(&self) -> Option<&Path> {
        Some(&self.root)
    }
}

struct OsFile {
    file: File,
    name: String,
    poisoned: AtomicBool,
}

impl OsFile {
    fn failed(&self, action: &str, error: std::io::Error) -> DiskError {
        DiskError::io(action, &self.name, error)
    }
}

impl DiskFile for OsFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|error| self.failed("could not read file", error))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| self.failed("could not write to file", error))
    }

    fn sync_data(&self) -> Result<()> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(DiskError::poisoned(&self.name));
        }
        self.file.sync_data().map_err(|error| {
            self.poisoned.store(true, Ordering::Release);
            self.failed("could not fsync file", error)
        })
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(|error| self.failed("could not truncate file", error))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let present = self.len()?;
        if present >= len {
            return Ok(());
        }
        let reserved =
            rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, len);
        match reserved {
            Ok(()) => Ok(()),
            // File systems without it get the length alone; space can then run out at a write.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.set_len(len),
            Err(error) => Err(self.failed("could not allocate space for file", error.into())),
        }
    }

    fn len(&self) -> Result<u64> {
        let stat =
            self.file.metadata().map_err(|error| self.failed("could not stat file", error))?;
        Ok(stat.len())
    }

    fn map_read_only(&self) -> Result<Mapping> {
        use rustix::mm::{MapFlags, ProtFlags, mmap};
        let len = self.len()? as usize;
        // SAFETY: a fresh address chosen by the kernel, read-only, unmapped when `OsMapping` is dropped.
        let mapped = unsafe {
            mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, &self.file, 0)
        };
        let pointer = mapped.map_err(|error| self.failed("could not map file", error.into()))?;
        let owner = Arc::new(OsMapping { address: pointer as usize, len });
        // SAFETY: `len` bytes were mapped and stay so while `owner` lives.
        Ok(unsafe { Mapping::new(pointer.cast::<u8>(), len, owner) })
    }

    fn map_private(&self) -> Result<PrivateMapping> {
        use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap};
        let len = self.len()? as usize;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh address chosen by the kernel, unmapped when `OsMapping` is dropped.
        let mapped =
            unsafe { mmap(std::ptr::null_mut(), len, access, MapFlags::PRIVATE, &self.file, 0) };
        let pointer = mapped.map_err(|error| self.failed("could not map file", error.into()))?;
        // SAFETY: the advice, to read all of it soon, does not change what the memory holds.
        let _ = unsafe { madvise(pointer, len, Advice::WillNeed) };
        let owner = OsMapping { address: pointer as usize, len };
        // SAFETY: `len` bytes were mapped for nobody else and stay so while `owner` lives.
        Ok(unsafe { PrivateMapping::new(pointer.cast::<u8>(), len, owner) })
    }
}

/// An address range of ours; the address is kept as a number so that the value is Send and Sync.
struct OsMapping {
    address: usize,
    len: usize,
}

impl Drop for OsMapping {
    fn drop(&mut self) {
        // SAFETY: exactly the range a call of `mmap` gave; every mapping over it holds this value, so none is left.
        // The result only reports a bad range, which this is not.
        let _ = unsafe { rustix::mm::munmap(self.address as *mut _, self.len) };
    }
}
