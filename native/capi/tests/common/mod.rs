//! The interface with types around it, and vectors to put in.

#![allow(dead_code, reason = "each test program uses its part")]

use std::ffi::{CStr, CString, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};

pub use omen_testing::Random;
use omendb::{
    Index, OMEN_FLOAT32, OMEN_L2, Options, Search, Status, omen_index_add, omen_index_close,
    omen_index_count, omen_index_create, omen_index_load, omen_index_remove, omen_index_save,
    omen_index_search, omen_last_error,
};

pub fn floats(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.unit()).collect()
}

pub fn options(dim: u32) -> Options {
    let (metric, element) = (OMEN_L2, OMEN_FLOAT32);
    Options { dim, metric, element, quantisation: 0, m: 0, ef_construction: 0, seed: 7 }
}

pub fn search(k: usize) -> Search {
    Search { k, ef: 0, rerank: 0, filter: null(), filter_bits: 0, filter_matches: 0 }
}

pub fn last_error() -> String {
    // SAFETY: the message is a string and lives until the next failure of this thread.
    unsafe { CStr::from_ptr(omen_last_error()) }.to_string_lossy().into_owned()
}

/// An open index, closed when dropped.
pub struct Opened(pub *mut Index);

// SAFETY: the interface may be called from any threads at once.
unsafe impl Send for Opened {}
// SAFETY: as above.
unsafe impl Sync for Opened {}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: the last use.
        unsafe { omen_index_close(self.0) }
    }
}

fn result<T>(status: Status, value: T) -> Result<T, Status> {
    if status == Status::OMEN_OK { Ok(value) } else { Err(status) }
}

impl Opened {
    pub fn create(options: &Options) -> Result<Self, Status> {
        let mut index = null_mut();
        // SAFETY: both pointers are valid.
        let status = unsafe { omen_index_create(options, &raw mut index) };
        result(status, ()).map(|()| Self(index))
    }

    pub fn load(path: &Path, verify: bool) -> Result<Self, Status> {
        let mut index = null_mut();
        let path = c_path(path);
        // SAFETY: the path is a string, the pointer valid.
        let status = unsafe { omen_index_load(path.as_ptr(), verify.into(), &raw mut index) };
        result(status, ()).map(|()| Self(index))
    }

    pub fn save(&self, path: &Path) -> Result<(), Status> {
        let path = c_path(path);
        // SAFETY: the index is open, the path a string.
        result(unsafe { omen_index_save(self.0, path.as_ptr()) }, ())
    }

    /// Adds rows of `width` elements.
    pub fn add<E>(
        &self,
        vectors: &[E],
        width: usize,
        labels: Option<&[u64]>,
    ) -> Result<(), Status> {
        self.add_on(2, vectors, width, labels)
    }

    /// With a number of threads.
    pub fn add_on<E>(
        &self,
        threads: u32,
        vectors: &[E],
        width: usize,
        labels: Option<&[u64]>,
    ) -> Result<(), Status> {
        assert!(labels.is_none_or(|labels| labels.len() == vectors.len() / width));
        let (from, labels) = (vectors.as_ptr().cast(), labels.map_or(null(), <[u64]>::as_ptr));
        // SAFETY: the rows and as many labels are there.
        result(unsafe { omen_index_add(self.0, from, labels, vectors.len() / width, threads) }, ())
    }

    pub fn remove(&self, labels: &[u64]) -> Result<usize, Status> {
        let mut removed = 0;
        // SAFETY: the labels and the number are there.
        let status =
            unsafe { omen_index_remove(self.0, labels.as_ptr(), labels.len(), &raw mut removed) };
        result(status, removed)
    }

    /// Labels and distances.
    pub fn search<E>(&self, query: &[E], search: &Search) -> Result<Vec<(u64, f32)>, Status> {
        let query: *const c_void = query.as_ptr().cast();
        let (mut labels, mut distances) = (vec![0; search.k], vec![0.0; search.k]);
        let mut found = 0;
        let (to, distance_to) = (labels.as_mut_ptr(), distances.as_mut_ptr());
        // SAFETY: the arrays have room for `k`, and tests pass whole queries and filters.
        let status =
            unsafe { omen_index_search(self.0, query, search, to, distance_to, &raw mut found) };
        result(status, labels.into_iter().zip(distances).take(found).collect())
    }

    pub fn count(&self) -> u64 {
        // SAFETY: the index is open.
        unsafe { omen_index_count(self.0) }
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().expect("a path in UTF-8")).expect("a path without NUL")
}

/// A file of this test's own, removed when dropped.
pub struct TempFile(pub std::path::PathBuf);

impl TempFile {
    pub fn new(name: &str) -> Self {
        let name = format!("omendb-capi-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
