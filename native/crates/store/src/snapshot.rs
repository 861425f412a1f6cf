//! Snapshots: the commit number up to which a reader sees, and which of them are in use.
//!
//! Readers' snapshots keep dead versions in memory, so the oldest can be given up (`expire`): garbage collection goes on as
//! if they were not there. Whoever reads with a snapshot asks `check` after it has read: what was collected meanwhile was
//! collected after the snapshot had been given up.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Result, StoreError, sqlstate};
use crate::sync::shared::{AtomicU64, Fault, Mutex, Ordering, lock, planted};

/// The newest commit everybody may see, and the snapshots taken of it.
pub struct Snapshots {
    visible: AtomicU64,
    active: Mutex<Active>,
    /// Readers of older snapshots have lost them.
    cutoff: AtomicU64,
}

/// Snapshots in use by number, and how many of each.
#[derive(Default)]
struct Active {
    readers: BTreeMap<u64, usize>,
    /// Not to be given up.
    kept: BTreeMap<u64, usize>,
}

/// A snapshot in use; while it lives, garbage collection keeps what it sees.
pub struct Snapshot {
    pub number: u64,
    is_kept: bool,
    /// None: of a transaction that has ended; holds nothing back.
    owner: Option<Arc<Snapshots>>,
}

impl Snapshot {
    /// What an ended transaction has.
    pub fn ended() -> Arc<Self> {
        Arc::new(Self { number: 0, is_kept: false, owner: None })
    }

    /// 72000 when the snapshot was given up: what has just been read with it may lack rows.
    pub fn check(&self) -> Result<()> {
        match &self.owner {
            Some(owner) if !self.is_kept && self.number < owner.cutoff.load(Ordering::Acquire) => {
                Err(StoreError::new(sqlstate::SNAPSHOT_TOO_OLD, "snapshot too old"))
            }
            _ => Ok(()),
        }
    }
}

impl Snapshots {
    pub fn new(visible: u64) -> Self {
        Self {
            visible: AtomicU64::new(visible),
            active: Mutex::new(Active::default()),
            cutoff: AtomicU64::new(0),
        }
    }

    pub fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// Publishes everything up to `commit`.
    pub fn advance(&self, commit: u64) {
        let order =
            if planted(Fault::AdvanceUnreleased) { Ordering::Relaxed } else { Ordering::AcqRel };
        let before = self.visible.swap(commit, order);
        assert!(before <= commit, "commit numbers rise");
    }

    /// A reader's snapshot of now.
    pub fn take(self: &Arc<Self>) -> Arc<Snapshot> {
        self.register(false)
    }

    /// A snapshot of now that is not given up, for work of the engine that asks nobody.
    pub fn keep(self: &Arc<Self>) -> Arc<Snapshot> {
        self.register(true)
    }

    fn register(self: &Arc<Self>, is_kept: bool) -> Arc<Snapshot> {
        // Read and registered in one step, so that `oldest` never passes a snapshot about to appear.
        let early = planted(Fault::RegisteredLate).then(|| self.visible());
        let mut active = lock(&self.active);
        let number = early.unwrap_or_else(|| self.visible());
        *active.of(is_kept).entry(number).or_insert(0) += 1;
        Arc::new(Snapshot { number, is_kept, owner: Some(Arc::clone(self)) })
    }

    /// Versions that ended at or before this number are seen by nobody.
    pub fn oldest(&self) -> u64 {
        let active = lock(&self.active);
        let cutoff = self.cutoff.load(Ordering::Acquire);
        let reader = active.readers.range(cutoff..).next();
        let oldest = [reader, active.kept.first_key_value()];
        oldest
            .into_iter()
            .flatten()
            .map(|(&number, _)| number)
            .min()
            .unwrap_or_else(|| self.visible())
    }

    /// As `oldest`, less what kept snapshots see: they end by themselves, soon.
    pub fn oldest_reader(&self) -> u64 {
        let active = lock(&self.active);
        let cutoff = self.cutoff.load(Ordering::Acquire);
        let reader = active.readers.range(cutoff..).next();
        reader.map_or_else(|| self.visible(), |(&number, _)| number)
    }

    /// Gives up every reader's snapshot that is older than now, as far as kept ones let garbage go.
    pub fn expire(&self) {
        let active = lock(&self.active);
        let kept = active.kept.keys().next().copied();
        let now = self.visible();
        self.cutoff.fetch_max(kept.map_or(now, |kept| kept.min(now)), Ordering::AcqRel);
    }
}

impl Active {
    fn of(&mut self, is_kept: bool) -> &mut BTreeMap<u64, usize> {
        if is_kept { &mut self.kept } else { &mut self.readers }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let Some(owner) = &self.owner else { return };
        let mut active = lock(&owner.active);
        let all = active.of(self.is_kept);
        if let Some(count) = all.get_mut(&self.number) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.number);
            }
        }
    }
}
