//! What pg_locks and pg_blocking_pids show of the lock table.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{LockManager, LockTag, WaitState};
use crate::sync::{lock, read};

/// One lock held or waited for.
#[derive(Debug, Clone, Copy)]
pub struct LockStatus {
    pub tag: LockTag,
    pub process_id: u32,
    pub mode: u8,
    pub granted: bool,
    /// Milliseconds since 1970 at which the wait began; None when granted.
    pub wait_start: Option<f64>,
}

impl LockManager {
    /// Locks on relations and advisory ones, waits of all kinds, and of the rows and keys that a session holds (there may be
    /// millions) one: it stands for the transaction others wait for. Shard by shard: a picture of no single moment, as
    /// pg_locks is none.
    pub fn statuses(&self) -> Vec<LockStatus> {
        let mut found = Vec::new();
        let mut with_rows = HashSet::new();
        for shard in &self.shards {
            for (tag, process_id, mode, granted) in lock(shard).entries() {
                use LockTag::{Key, Keys, Row};
                let is_row = matches!(tag, Row { .. } | Key { .. } | Keys { .. });
                if !is_row || !granted || with_rows.insert(process_id) {
                    found.push(LockStatus { tag, process_id, mode, granted, wait_start: None });
                }
            }
        }
        for status in found.iter_mut().filter(|s| !s.granted) {
            let owner = read(&self.owners).get(&status.process_id).cloned();
            let since = owner.and_then(|o| lock(&o.wait).map(|w| w.since));
            status.wait_start = since.map(milliseconds);
        }
        found
    }

    /// Whom a session waits for: conflicting holders, and conflicting waiters before it. Empty when it does not wait.
    pub fn blocking(&self, process_id: u32) -> Vec<u32> {
        let owner = read(&self.owners).get(&process_id).cloned();
        let wait = owner.and_then(|o| *lock(&o.wait)).filter(|w| w.state == WaitState::Waiting);
        let Some(wait) = wait else { return Vec::new() };
        lock(self.shard(wait.tag)).blockers(process_id, wait.tag, wait.mode)
    }
}

fn milliseconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64() * 1000.0)
}
