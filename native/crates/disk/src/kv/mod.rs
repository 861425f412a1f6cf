//! An ordered map from byte strings to byte strings: the store's place for rows, index entries and the catalogue.
//!
//! Invariants both implementations keep: a batch is applied as one, in order, and a snapshot never sees part of
//! one; after a crash the contents are those of `persist` at the earliest and of some later batch boundary at the
//! latest (never a later batch without an earlier one). It is not the commit point: nothing is durable before
//! `persist`, and whoever calls it replays the log over what is found on open.

mod batch;
mod fjall_kv;
mod memory_kv;

pub use batch::{KvBatch, KvBytes, KvRange};
pub use fjall_kv::FjallKv;
pub use memory_kv::MemoryKv;

use crate::error::{DiskError, DiskErrorKind, Result};

/// Keys longer than this are refused (fjall stores the key length in 16 bits). Values: 2^32 - 1 bytes.
pub const MAX_KEY_BYTES: usize = 65_535;

/// Entries in ascending key order. A yielded error ends the iteration.
pub type KvIter = Box<dyn Iterator<Item = Result<(KvBytes, KvBytes)>> + Send>;

/// The ordered store. All calls are safe from any thread; `apply`, `ingest` and `persist` are meant for one writer.
pub trait Kv: Send + Sync {
    /// The newest value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<KvBytes>>;
    /// Entries of `range` as of this call, whatever is applied while the iterator is in use.
    fn scan(&self, range: KvRange) -> KvIter;
    /// A view that later batches do not change. Cheap; holding it keeps old values in memory or on disk.
    fn snapshot(&self) -> Result<Box<dyn KvSnapshot>>;
    /// Puts and deletes, all or nothing, visible at once. For one key the last operation counts.
    fn apply(&self, batch: KvBatch) -> Result<()>;
    /// Bulk load: keys strictly ascending (TooLarge or Corrupt otherwise, and then nothing is loaded).
    /// Not bound to one moment for concurrent readers; load into key ranges nobody reads yet.
    fn ingest(&self, run: &mut dyn Iterator<Item = Result<(Vec<u8>, Vec<u8>)>>) -> Result<()>;
    /// Makes everything applied so far durable.
    fn persist(&self) -> Result<()>;
    /// About how many bytes the contents take.
    fn approximate_bytes(&self) -> Result<u64>;
    /// Persists, brings the files into the state that opens fastest and lets go of them. Later calls fail.
    fn close(&self) -> Result<()>;
}

/// A frozen view of a `Kv`.
pub trait KvSnapshot: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<KvBytes>>;
    fn scan(&self, range: KvRange) -> KvIter;
}

fn bad_key(len: usize) -> DiskError {
    DiskError::new(
        DiskErrorKind::TooLarge,
        format!("key of {len} bytes, allowed are 1 to {MAX_KEY_BYTES}"),
    )
}

/// The check of `ingest`: `key` is allowed and above the one before.
fn check_ascending(last: Option<&[u8]>, key: &[u8]) -> Result<()> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(bad_key(key.len()));
    }
    if last.is_some_and(|last| last >= key) {
        return Err(DiskError::corrupt("a sorted run has keys out of order"));
    }
    Ok(())
}
