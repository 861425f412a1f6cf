//! The values the `Kv` calls speak in: byte strings, batches and ranges.

use std::borrow::Borrow;
use std::fmt;
use std::ops::{Bound, Deref};

/// A byte string that is cheap to clone: short ones are held inline, longer ones shared. It is fjall's slice under
/// our name, so that reading from disk copies nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KvBytes(pub(crate) fjall::Slice);

impl Deref for KvBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

// `Borrow` needs equal order and hash on both sides: fjall's slice compares and hashes as its bytes do.
impl Borrow<[u8]> for KvBytes {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for KvBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for KvBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for KvBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for KvBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

/// Puts and deletes to apply together.
#[derive(Debug, Default, Clone)]
pub struct KvBatch {
    operations: Vec<(KvBytes, Option<KvBytes>)>,
    bytes: usize,
}

impl KvBatch {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn put(&mut self, key: impl Into<KvBytes>, value: impl Into<KvBytes>) {
        self.push(key.into(), Some(value.into()));
    }

    pub fn delete(&mut self, key: impl Into<KvBytes>) {
        self.push(key.into(), None);
    }

    fn push(&mut self, key: KvBytes, value: Option<KvBytes>) {
        self.bytes += key.len() + value.as_ref().map_or(0, |value| value.len());
        self.operations.push((key, value));
    }

    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Operations in the batch.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Bytes of keys and values in the batch.
    pub fn byte_len(&self) -> usize {
        self.bytes
    }

    /// One operation per key, ascending; of several on one key the last.
    pub(crate) fn into_sorted(self) -> Vec<(KvBytes, Option<KvBytes>)> {
        let mut operations = self.operations;
        operations.sort_by(|a, b| a.0.cmp(&b.0));
        // `dedup_by` drops the later of two equals; the later one is the one that counts, so swap it forward.
        operations.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(&mut later.1, &mut kept.1);
            }
            same
        });
        operations
    }
}

/// Which keys a scan visits.
#[derive(Debug, Clone)]
pub struct KvRange {
    pub low: Bound<KvBytes>,
    pub high: Bound<KvBytes>,
}

impl KvRange {
    pub fn all() -> Self {
        Self { low: Bound::Unbounded, high: Bound::Unbounded }
    }

    /// Every key that starts with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        let high = successor(prefix).map_or(Bound::Unbounded, |end| Bound::Excluded(end.into()));
        Self { low: Bound::Included(prefix.into()), high }
    }

    /// `low <= key < high`.
    pub fn between(low: &[u8], high: &[u8]) -> Self {
        Self { low: Bound::Included(low.into()), high: Bound::Excluded(high.into()) }
    }

    /// Whether no key can lie in it. `BTreeMap::range` panics on some of these, so it is asked first.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.low, &self.high) {
            (Bound::Included(low), Bound::Included(high)) => low > high,
            (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high))
            | (Bound::Excluded(low), Bound::Included(high)) => low >= high,
            _ => false,
        }
    }
}

/// The least key above every key that starts with `prefix`; none when the prefix is all 0xFF.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xFF)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
