//! Snapshots: the commit number up to which a reader sees, and which of them are in use.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// The newest commit everybody may see, and the snapshots taken of it.
pub struct Snapshots {
    visible: AtomicU64,
    active: Mutex<BTreeMap<u64, usize>>,
}

/// A snapshot in use; while it lives, garbage collection keeps what it sees.
pub struct Snapshot {
    pub number: u64,
    /// None: of a transaction that has ended; holds nothing back.
    owner: Option<Arc<Snapshots>>,
}

impl Snapshot {
    /// What an ended transaction has.
    pub fn ended() -> Arc<Self> {
        Arc::new(Self { number: 0, owner: None })
    }
}

impl Snapshots {
    pub fn new(visible: u64) -> Self {
        Self { visible: AtomicU64::new(visible), active: Mutex::new(BTreeMap::new()) }
    }

    pub fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// Publishes everything up to `commit`.
    pub fn advance(&self, commit: u64) {
        let before = self.visible.swap(commit, Ordering::AcqRel);
        assert!(before <= commit, "commit numbers rise");
    }

    pub fn take(self: &Arc<Self>) -> Arc<Snapshot> {
        // Read and registered in one step, so that `oldest` never passes a snapshot about to appear.
        let mut active = lock(&self.active);
        let number = self.visible();
        *active.entry(number).or_insert(0) += 1;
        Arc::new(Snapshot { number, owner: Some(Arc::clone(self)) })
    }

    /// Versions that ended at or before this number are seen by nobody.
    pub fn oldest(&self) -> u64 {
        let active = lock(&self.active);
        active.keys().next().copied().unwrap_or_else(|| self.visible())
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let Some(owner) = &self.owner else { return };
        let mut active = lock(&owner.active);
        if let Some(count) = active.get_mut(&self.number) {
            *count -= 1;
            if *count == 0 {
                active.remove(&self.number);
            }
        }
    }
}
