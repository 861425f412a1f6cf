//! Everything durable stands on this crate: files, the write-ahead log, the ordered key-value store and the
//! vector segments. It knows bytes and commit numbers, no SQL and no transactions.
//!
//! ```text
//!   log        kv              vectors        what the store builds on
//!     \         |  \             /
//!      \        |   fjall       /             (fjall does its own I/O, below any trait of ours)
//!       trait Disk / DiskFile                 os_disk | memory_disk | faulty_disk
//! ```
//!
//! The commit point is the log: one `write_at` and one `sync_data` per group of commits. The key-value store and
//! the vector segments are behind it and become durable at checkpoints; what lies between is replayed. Every file
//! is described byte by byte in `docs/format.md`; numbers are little-endian.

mod disk;
mod error;
pub mod faulty;
pub mod kv;
pub mod log;
mod memory_disk;
mod os_disk;
pub mod vectors;

/// CRC32C of bytes, going on from the sum of what is before them (0 at the start).
pub fn checksum(before: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(before, bytes)
}

pub use disk::{DirLock, Disk, DiskFile, Mapping, PrivateMapping, create_dir_durably};
pub use error::{DiskError, DiskErrorKind, Result};
pub use faulty::{CrashKind, CrashState, Fault, FaultyDisk};
pub use kv::{FjallKv, Kv, KvBatch, KvBytes, KvIter, KvRange, KvSnapshot, MemoryKv};
pub use log::{BulkReader, BulkWriter, LogEnd, LogOptions, LogReader, LogRecord, LogWriter};
pub use memory_disk::MemoryDisk;
pub use os_disk::OsDisk;
pub use vectors::{RowWords, VectorLoad, VectorOptions, VectorSegments};
