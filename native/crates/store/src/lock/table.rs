//! One shard of the lock table: per object its holders and its queue.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::LockTag;
use super::claims::Claims;
use super::modes::{MODE_DEPARTURE, MODE_SHARE, conflicts, covers};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    Granted,
    Held,
    Blocked,
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    process_id: u32,
    mode: u8,
    count: u16,
}

#[derive(Debug)]
struct Waiter {
    process_id: u32,
    mode: u8,
    /// `MODE_DEPARTURE`: the sessions that have to let go.
    leaving: Vec<u32>,
}

#[derive(Debug, Default)]
struct Lock {
    holders: Vec<Holder>,
    /// Most locks never have a waiter: no allocation, eight bytes.
    queue: VecDeque<Waiter>,
}

pub struct Shard {
    locks: HashMap<LockTag, Lock>,
    /// Hears of locks on keys.
    claims: Arc<Claims>,
}

impl Lock {
    fn blocked_by_holder(&self, process_id: u32, tag: LockTag, mode: u8) -> bool {
        self.holders.iter().any(|h| h.process_id != process_id && conflicts(tag, h.mode, mode))
    }

    fn holds_any(&self, process_id: u32) -> bool {
        self.holders.iter().any(|h| h.process_id == process_id)
    }

    fn add(&mut self, process_id: u32, mode: u8) {
        match self.holders.iter_mut().find(|h| h.process_id == process_id && h.mode == mode) {
            Some(holder) => holder.count = holder.count.saturating_add(1),
            None => self.holders.push(Holder { process_id, mode, count: 1 }),
        }
    }

    fn try_grant(&mut self, process_id: u32, tag: LockTag, mode: u8, counted: bool) -> Grant {
        let covered = |h: &Holder| {
            h.process_id == process_id && (h.mode == mode || covers(tag, h.mode, mode))
        };
        if !counted && self.holders.iter().any(covered) {
            return Grant::Held;
        }
        let behind = |w: &Waiter| w.process_id != process_id && conflicts(tag, w.mode, mode);
        if self.blocked_by_holder(process_id, tag, mode)
            || (!self.holds_any(process_id) && self.queue.iter().any(behind))
        {
            return Grant::Blocked;
        }
        self.add(process_id, mode);
        Grant::Granted
    }

    /// Sessions other than `process_id` whose locks conflict with `mode`.
    fn conflicting(&self, process_id: u32, tag: LockTag, mode: u8) -> Vec<u32> {
        let conflicting = |h: &&Holder| h.process_id != process_id && conflicts(tag, h.mode, mode);
        self.holders.iter().filter(conflicting).map(|h| h.process_id).collect()
    }

    /// Grants every waiter that conflicts neither with a holder nor with a waiter before it.
    fn grant_waiters(&mut self, tag: LockTag) -> Vec<u32> {
        let mut granted = Vec::new();
        let mut still: VecDeque<Waiter> = VecDeque::new();
        while let Some(mut waiter) = self.queue.pop_front() {
            let Waiter { process_id, mode, .. } = waiter;
            if mode == MODE_DEPARTURE {
                // Who comes back comes as somebody new.
                let present = self.conflicting(process_id, tag, MODE_SHARE);
                waiter.leaving.retain(|other| present.contains(other));
                if waiter.leaving.is_empty() {
                    granted.push(process_id);
                } else {
                    still.push_back(waiter);
                }
                continue;
            }
            let behind = still.iter().any(|w| conflicts(tag, w.mode, mode));
            if behind || self.blocked_by_holder(process_id, tag, mode) {
                still.push_back(waiter);
            } else {
                self.add(process_id, mode);
                granted.push(process_id);
            }
        }
        self.queue = still;
        granted
    }
}

impl Shard {
    pub fn new(claims: Arc<Claims>) -> Self {
        Self { locks: HashMap::new(), claims }
    }

    pub fn try_grant(&mut self, process_id: u32, tag: LockTag, mode: u8, counted: bool) -> Grant {
        if let Some(lock) = self.locks.get_mut(&tag) {
            lock.try_grant(process_id, tag, mode, counted)
        } else {
            let holders = vec![Holder { process_id, mode, count: 1 }];
            self.locks.insert(tag, Lock { holders, queue: VecDeque::new() });
            if let LockTag::Key { index, .. } = tag {
                self.claims.key_locked(index);
            }
            Grant::Granted
        }
    }

    pub fn grant_or_queue(
        &mut self,
        process_id: u32,
        tag: LockTag,
        mode: u8,
        counted: bool,
    ) -> Grant {
        let grant = self.try_grant(process_id, tag, mode, counted);
        if grant == Grant::Blocked {
            let lock = self.locks.get_mut(&tag).expect("a lock that blocks exists");
            let waiter = Waiter { process_id, mode, leaving: Vec::new() };
            if lock.holds_any(process_id) {
                lock.queue.push_front(waiter);
            } else {
                lock.queue.push_back(waiter);
            }
        }
        grant
    }

    /// Queues the session until those who hold a lock that conflicts with SHARE now have let go of theirs; false when there
    /// is nobody to wait for.
    pub fn await_departure(&mut self, process_id: u32, tag: LockTag) -> bool {
        let Some(lock) = self.locks.get_mut(&tag) else { return false };
        let leaving = lock.conflicting(process_id, tag, MODE_SHARE);
        if leaving.is_empty() {
            return false;
        }
        lock.queue.push_back(Waiter { process_id, mode: MODE_DEPARTURE, leaving });
        true
    }

    /// Takes the session out of the queue; false when it does not wait there.
    pub fn dequeue(&mut self, process_id: u32, tag: LockTag) -> bool {
        let Some(lock) = self.locks.get_mut(&tag) else { return false };
        let before = lock.queue.len();
        lock.queue.retain(|w| w.process_id != process_id);
        lock.queue.len() < before
    }

    /// Releases one count; returns the sessions that got the lock by it.
    pub fn release(&mut self, process_id: u32, tag: LockTag, mode: u8) -> Vec<u32> {
        let Some(lock) = self.locks.get_mut(&tag) else { return Vec::new() };
        let held = lock.holders.iter().position(|h| h.process_id == process_id && h.mode == mode);
        if let Some(at) = held {
            lock.holders[at].count -= 1;
            if lock.holders[at].count == 0 {
                lock.holders.swap_remove(at);
            }
        }
        self.grant_waiters(tag)
    }

    pub fn grant_waiters(&mut self, tag: LockTag) -> Vec<u32> {
        let Some(lock) = self.locks.get_mut(&tag) else { return Vec::new() };
        let granted = if lock.queue.is_empty() { Vec::new() } else { lock.grant_waiters(tag) };
        if lock.holders.is_empty() && lock.queue.is_empty() {
            self.locks.remove(&tag);
            if let LockTag::Key { index, .. } = tag {
                self.claims.key_unlocked(index);
            }
        }
        granted
    }

    /// Every holder and waiter: (object, session, mode, granted).
    pub fn entries(&self) -> impl Iterator<Item = (LockTag, u32, u8, bool)> + '_ {
        self.locks.iter().flat_map(|(tag, lock)| {
            let held = lock.holders.iter().map(|h| (*tag, h.process_id, h.mode, true));
            let waiting = lock.queue.iter().map(|w| (*tag, w.process_id, w.mode, false));
            held.chain(waiting)
        })
    }

    /// Whom a waiting session waits for: conflicting holders and conflicting waiters before it.
    pub fn blockers(&self, process_id: u32, tag: LockTag, mode: u8) -> Vec<u32> {
        let Some(lock) = self.locks.get(&tag) else { return Vec::new() };
        let Some(at) = lock.queue.iter().position(|w| w.process_id == process_id) else {
            return Vec::new();
        };
        if mode == MODE_DEPARTURE {
            return lock.queue[at].leaving.clone();
        }
        let holders = lock.holders.iter().map(|h| (h.process_id, h.mode));
        let ahead = lock.queue.iter().take(at).map(|w| (w.process_id, w.mode));
        holders
            .chain(ahead)
            .filter(|&(other, held)| other != process_id && conflicts(tag, held, mode))
            .map(|(other, _)| other)
            .collect()
    }
}
