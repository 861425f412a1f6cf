//! The write-ahead log: the commit point of the database.
//!
//! Segments `wal/NNNNNNNN.log` of a fixed length, filled with groups; one group is one `write_at` and one
//! `sync_data`, and recovery sees all of it or nothing. A group is a header record and then its records:
//!
//! ```text
//!   segment  | header page 4096 B | group | group | ... | zeros or an older life of the file |
//!   group    | record kind 0: number, bytes, count | record | record | ...
//!   record   | payload length u32 | commit u64 | kind u8 | payload | CRC32C u32 |
//! ```
//!
//! Invariants:
//! - A group is written only after the one before is synced, so a group found behind a broken one proves that the
//!   broken one was durable: that is damage, and an error, never a torn tail to cut off.
//! - Groups are numbered without gaps over all segments, and a segment's header states the number it starts with,
//!   so damage at the end of a segment that has a successor is seen too. `wal/acknowledged`, written behind the
//!   acknowledgements and never synced, and the empty group of a clean close show it for the last segment.
//! - A segment gets its name only once its header is durable. Records are summed together with the segment number
//!   and the database's salt, so bytes of a recycled file's former life never pass.
//! - Recovery syncs what it accepted and goes on in a fresh segment: it never writes behind a torn tail.
//!
//! Not here: what records mean, and when a checkpoint is due.

pub mod bulk;
mod format;
mod reader;
mod writer;

pub use bulk::{BulkReader, BulkWriter};
pub use reader::{LogEnd, LogReader};
pub use writer::LogWriter;

/// Folder of the log.
pub const LOG_DIR: &str = "wal";

/// Length of a segment unless a test asks otherwise; four of them fill between two checkpoints.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// The largest payload of one record. Larger changes go to a side file that a record names.
pub const MAX_PAYLOAD_BYTES: usize = 8 * 1024 * 1024;

/// Kinds the log keeps for itself; the store may use 1 to 255.
pub(crate) const KIND_GROUP: u8 = 0;

/// One entry of the log. What `kind` (1 to 255) and `payload` mean is the store's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// Number of the commit it belongs to; never falls from record to record.
    pub commit: u64,
    pub kind: u8,
    pub payload: &'a [u8],
}

/// Where and how to log. The same values must be used for every opening of a database.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    /// Length of new segments, bytes. Existing ones keep theirs.
    pub segment_bytes: u64,
    /// A random number of the database, mixed into every checksum: log files of another database, or bytes a user
    /// stored that look like a record, do not pass.
    pub salt: u64,
}

impl LogOptions {
    pub fn new(salt: u64) -> Self {
        Self { segment_bytes: SEGMENT_BYTES, salt }
    }
}
