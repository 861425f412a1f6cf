//! What garbage collection and VACUUM have done for a table since it was loaded.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::sync::lock;

#[derive(Default)]
pub struct Upkeep {
    /// Held by the one collection under way.
    pub turn: Mutex<()>,
    /// Chunks worth rewriting were left because a scan was open: the next collection looks at all.
    pub left_chunks: AtomicBool,
    /// Row versions dropped.
    pub reclaimed: AtomicU64,
    runs: Mutex<Runs>,
}

/// How often, and when last in milliseconds since 1970 (0 = never).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Runs {
    pub vacuums: u64,
    pub last_vacuum_ms: f64,
    /// By the engine itself, those that found something.
    pub collections: u64,
    pub last_collection_ms: f64,
}

impl Upkeep {
    pub fn runs(&self) -> Runs {
        *lock(&self.runs)
    }

    /// A run is over that dropped `versions`.
    pub fn note(&self, versions: usize, by_vacuum: bool) {
        self.reclaimed.fetch_add(versions as u64, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0.0, |since| since.as_secs_f64() * 1000.0);
        let mut runs = lock(&self.runs);
        if by_vacuum {
            (runs.vacuums, runs.last_vacuum_ms) = (runs.vacuums + 1, now);
        } else if versions > 0 {
            (runs.collections, runs.last_collection_ms) = (runs.collections + 1, now);
        }
    }
}
