//! A full disk: the database is read-only until there is room again.
//!
//! Whoever meets ENOSPC notes it. From then on commits are refused with 53100 before they touch anything, except that
//! each group of them first tries whether a file of some length can be written; when it can, all is well again. Reads
//! go on throughout.

use std::sync::Mutex;

use omen_disk::Disk;

use crate::error::StoreError;
use crate::sync::lock;

pub const DISK_FULL: &str = "53100";

/// What has to fit before commits are taken again: a log segment, with something to spare.
const PROBE_BYTES: usize = 1 << 20;
const PROBES: u64 = 20;
const PATH: &str = "space.tmp";

#[derive(Default)]
pub struct Space {
    /// The error that said so.
    full: Mutex<Option<StoreError>>,
}

impl Space {
    pub fn note(&self, error: &StoreError) {
        lock(&self.full).get_or_insert_with(|| error.clone());
    }

    /// The error to refuse commits with, unless the disk has room (again).
    pub fn refusal(&self, disk: &dyn Disk) -> Option<StoreError> {
        let mut full = lock(&self.full);
        let error = full.as_ref()?;
        if has_room(disk) {
            *full = None;
            return None;
        }
        let hint = "The database is read-only until there is space on the disk.";
        Some(error.clone().hint(hint))
    }
}

/// Writes a file and removes it.
fn has_room(disk: &dyn Disk) -> bool {
    let write = || -> omen_disk::Result<()> {
        if disk.exists(PATH)? {
            disk.remove(PATH)?;
        }
        let file = disk.create(PATH)?;
        // Reserved and not written: where that is not known to the file system, the next commit finds out.
        file.allocate(PROBE_BYTES as u64 * PROBES)
    };
    let written = write();
    // A leftover is removed by the next probe.
    let _ = disk.remove(PATH);
    written.is_ok()
}
