//! The memory of a column: a vector of our own, or a window into a mapped chunk file.
//!
//! Both read as a slice. Only an own vector grows, and only while its chunk is private or the open tail; a mapped one
//! is never written again by anybody, which is what makes the slice sound.

use std::ops::Deref;
use std::sync::Arc;

use super::chunk_file::ChunkFile;

#[derive(Debug)]
pub enum Buffer<T: Plain> {
    Owned(Vec<T>),
    Mapped(View<T>),
}

/// Types for which any bytes are a value.
///
/// # Safety
/// No padding, no invalid bit patterns.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}
// SAFETY: integers and floats take any bits.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for i64 {}
// SAFETY: as above.
unsafe impl Plain for f64 {}

/// `len` values inside a mapped file, which it keeps alive.
#[derive(Debug)]
pub struct View<T: Plain> {
    pointer: *const T,
    len: usize,
    file: Arc<ChunkFile>,
}

// SAFETY: a view is only read, and the file behind it is Send + Sync and outlives it.
unsafe impl<T: Plain> Send for View<T> {}
// SAFETY: as above; chunk files are not written after they are mapped.
unsafe impl<T: Plain> Sync for View<T> {}

impl<T: Plain> View<T> {
    /// The `len` values from byte `at` of the file on. None when they are not inside it or not aligned.
    pub fn new(file: &Arc<ChunkFile>, at: usize, len: usize) -> Option<Self> {
        let bytes = file.bytes(at, len.checked_mul(size_of::<T>())?)?;
        let pointer = bytes.as_ptr().cast::<T>();
        pointer.is_aligned().then(|| Self { pointer, len, file: Arc::clone(file) })
    }

    fn duplicate(&self) -> Self {
        Self { pointer: self.pointer, len: self.len, file: Arc::clone(&self.file) }
    }
}

impl<T: Plain> Buffer<T> {
    /// The vector to append to. Panics on a mapped buffer: chunks with a file are sealed.
    pub fn vec_mut(&mut self) -> &mut Vec<T> {
        match self {
            Self::Owned(values) => values,
            Self::Mapped(_) => panic!("a mapped chunk does not grow"),
        }
    }

    /// The same values: the same window, or a copy of what is on the heap.
    pub fn duplicate(&self) -> Self {
        match self {
            Self::Owned(values) => Self::Owned(values.clone()),
            Self::Mapped(view) => Self::Mapped(view.duplicate()),
        }
    }

    /// Bytes of memory of our own; what is mapped belongs to the page cache.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Owned(values) => values.len() * size_of::<T>(),
            Self::Mapped(_) => 0,
        }
    }
}

impl<T: Plain> Default for Buffer<T> {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl<T: Plain> From<Vec<T>> for Buffer<T> {
    fn from(values: Vec<T>) -> Self {
        Self::Owned(values)
    }
}

impl<T: Plain> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Owned(values) => values,
            // SAFETY: `View::new` found `len` aligned values of a plain type inside the file, which lives as long.
            Self::Mapped(view) => unsafe { std::slice::from_raw_parts(view.pointer, view.len) },
        }
    }
}
