//! A private mapping of a saved index: pages come from the file as they are touched, and what is written to them stays in
//! this process.

use std::fs::File;
use std::sync::Arc;

use omen_hnsw::Memory;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::status::Failure;

/// The whole file.
pub(crate) struct Mapping {
    start: *mut u8,
    len: usize,
}

// SAFETY: the mapping stays where it is until it is dropped; who writes to which bytes is up to those who hold parts.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps a file that is not empty.
    pub fn of(file: &File) -> Result<Arc<Self>, Failure> {
        let io = |error: &std::io::Error| Failure::io("could not map the file", error);
        let len = file.metadata().map_err(|error| io(&error))?.len();
        let len = usize::try_from(len).map_err(|_| Failure::bad_file("larger than memory"))?;
        if len == 0 {
            return Err(Failure::bad_file("the file is empty"));
        }
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: the system chooses an address that nothing uses.
        let start = unsafe { mmap(std::ptr::null_mut(), len, protection, flags, file, 0) };
        let start = start.map_err(|error| io(&error.into()))?.cast();
        Ok(Arc::new(Self { start, len }))
    }

    pub fn start(&self) -> *mut u8 {
        self.start
    }

    /// The bytes as they are now. Only for parts that nobody writes to meanwhile.
    ///
    /// # Safety
    /// Nobody writes to the mapping as long as the slice lives.
    pub unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is this long and readable; the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and parts keep it alive. A failure would leave it mapped, no more.
        let _ = unsafe { munmap(self.start.cast(), self.len) };
    }
}

/// A stretch of a mapping for one owner.
pub(crate) struct Part {
    mapping: Arc<Mapping>,
    offset: usize,
    len: usize,
}

impl Part {
    /// Panics when the mapping is shorter.
    pub fn new(mapping: &Arc<Mapping>, offset: usize, len: usize) -> Self {
        assert!(offset.checked_add(len).is_some_and(|end| end <= mapping.len), "inside the file");
        Self { mapping: Arc::clone(mapping), offset, len }
    }
}

// SAFETY: the stretch lies inside a mapping that the part keeps alive, writable and private; the file's layout gives every
// stretch to one owner.
unsafe impl Memory for Part {
    fn start(&self) -> *mut u8 {
        // SAFETY: inside the mapping, checked by `new`.
        unsafe { self.mapping.start().add(self.offset) }
    }

    fn len(&self) -> usize {
        self.len
    }
}
