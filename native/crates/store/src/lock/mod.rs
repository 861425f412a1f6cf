//! The lock manager: one table for rows, relations, unique keys in flight and advisory locks.
//!
//! A holder is a session (one transaction a session, and a session never waits for itself). No call blocks: a request
//! that cannot be granted is queued and answered with a wait token; whoever releases the last obstacle grants the lock
//! to the waiter and delivers the token, and the waiter's repeated call finds the lock already its own.
//!
//! Queues are FIFO: a request waits behind a conflicting waiter even when the holders would let it in, except that a
//! session which already holds a lock on the object goes first (otherwise every upgrade next to a waiter would be a
//! deadlock). This is PostgreSQL's `ProcSleep`. Deadlocks are looked for when a waiter asks (`check_deadlock`, after its
//! `deadlock_timeout`): whoever asks while the circle stands is the victim.
//!
//! Loads claim their keys without a lock each (`claims`).
//!
//! Lock order inside: `detect` -> `owners` -> one shard -> nothing; an owner's `wait` cell is never held while taking
//! another lock; the locks of `claims` are taken with none of these held.

pub mod claims;
mod modes;
mod status;
mod table;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::SystemTime;

use crate::error::{Result, StoreError, sqlstate};
use crate::session::Channel;
use crate::sync::{lock, read, write};
use crate::types::LockPolicy;

use claims::Claims;

pub use modes::{MODE_DEPARTURE, MODE_EXCLUSIVE, MODE_SHARE};
pub use status::LockStatus;
use table::{Grant, Shard};

/// What a lock is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockTag {
    Relation(u32),
    Row {
        relation: u32,
        rid: u32,
    },
    /// A unique key that a running transaction adds or removes; a hash, so a collision costs a wait, never an answer.
    Key {
        index: u32,
        hash: u64,
    },
    /// Every key of an index that the load of a session claims (`claims`).
    Keys {
        index: u32,
        process_id: u32,
    },
    /// `class` None: the one-key space.
    Advisory {
        class: Option<i32>,
        key: i64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Granted,
    /// Covered by a lock the session has; nothing was counted, so nothing is to be released.
    Held,
    Unavailable,
    Wait(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitState {
    Waiting,
    Granted,
    Cancelled,
    Deadlocked,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    tag: LockTag,
    mode: u8,
    token: u32,
    state: WaitState,
    since: SystemTime,
}

/// A session as the lock manager knows it.
pub struct LockOwner {
    pub process_id: u32,
    pub channel: Arc<Channel>,
    wait: Mutex<Option<Wait>>,
    /// The circle that ended the wait, told to the call that asks next.
    deadlock: Mutex<Option<String>>,
}

impl LockOwner {
    pub fn new(process_id: u32, channel: Arc<Channel>) -> Self {
        Self { process_id, channel, wait: Mutex::default(), deadlock: Mutex::default() }
    }
}

/// Shards of the table; a power of two, enough that a handful of threads rarely meet.
const SHARDS: usize = 64;

pub struct LockManager {
    shards: Vec<Mutex<Shard>>,
    owners: RwLock<HashMap<u32, Arc<LockOwner>>>,
    /// One search for a circle at a time; held also where a wait begins, so that the search sees whole waits.
    detect: Mutex<()>,
    next_token: Arc<AtomicU32>,
    pub claims: Arc<Claims>,
}

impl LockManager {
    pub fn new(next_token: Arc<AtomicU32>) -> Self {
        let claims = Arc::new(Claims::default());
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(Arc::clone(&claims)))).collect(),
            owners: RwLock::new(HashMap::new()),
            detect: Mutex::new(()),
            next_token,
            claims,
        }
    }

    pub fn register(&self, owner: Arc<LockOwner>) {
        write(&self.owners).insert(owner.process_id, owner);
    }

    pub fn unregister(&self, process_id: u32) {
        write(&self.owners).remove(&process_id);
    }

    fn shard(&self, tag: LockTag) -> &Mutex<Shard> {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(tag);
        &self.shards[hash as usize % SHARDS]
    }

    /// Asks for a lock. `counted`: take it again even when the session is covered (advisory locks are counted).
    ///
    /// Errors: 40P01 when a search has ended the wait.
    pub fn acquire(
        &self,
        owner: &Arc<LockOwner>,
        tag: LockTag,
        mode: u8,
        policy: LockPolicy,
        counted: bool,
    ) -> Result<Outcome> {
        if let Some(outcome) = self.resume(owner, tag, mode)? {
            return Ok(outcome);
        }
        match lock(self.shard(tag)).try_grant(owner.process_id, tag, mode, counted) {
            Grant::Granted => return Ok(Outcome::Granted),
            Grant::Held => return Ok(Outcome::Held),
            Grant::Blocked if policy != LockPolicy::Wait => return Ok(Outcome::Unavailable),
            Grant::Blocked => {}
        }
        Ok(self.begin_wait(owner, tag, mode, counted))
    }

    /// Waits until those who now hold a lock on the object that conflicts with SHARE have let go of it, without keeping
    /// anybody who comes later: PostgreSQL's `WaitForLockers`. `Granted`: they have; nothing is held by it.
    ///
    /// Errors: 40P01 when a search has ended the wait.
    pub fn await_departure(&self, owner: &Arc<LockOwner>, tag: LockTag) -> Result<Outcome> {
        if let Some(outcome) = self.resume(owner, tag, MODE_DEPARTURE)? {
            return Ok(outcome);
        }
        let _one_at_a_time = lock(&self.detect);
        let token = next_token(&self.next_token);
        let (mode, state, since) = (MODE_DEPARTURE, WaitState::Waiting, SystemTime::now());
        *lock(&owner.wait) = Some(Wait { tag, mode, token, state, since });
        if lock(self.shard(tag)).await_departure(owner.process_id, tag) {
            return Ok(Outcome::Wait(token));
        }
        *lock(&owner.wait) = None;
        Ok(Outcome::Granted)
    }

    /// The state of a wait that an earlier call of this session began; a wait for something else is given up.
    fn resume(&self, owner: &LockOwner, tag: LockTag, mode: u8) -> Result<Option<Outcome>> {
        let mut cell = lock(&owner.wait);
        let Some(wait) = *cell else { return Ok(None) };
        if wait.tag != tag || wait.mode != mode {
            drop(cell);
            self.abandon_wait(owner);
            return Ok(None);
        }
        if wait.state != WaitState::Waiting {
            *cell = None;
        }
        match wait.state {
            WaitState::Waiting => Ok(Some(Outcome::Wait(wait.token))),
            WaitState::Granted => Ok(Some(Outcome::Granted)),
            // The session has raised its interrupt by now, and asks again: a new wait.
            WaitState::Cancelled => Ok(None),
            WaitState::Deadlocked => {
                let detail = lock(&owner.deadlock).take().unwrap_or_default();
                Err(StoreError::new(sqlstate::DEADLOCK_DETECTED, "deadlock detected")
                    .detail(detail)
                    .hint("See server log for query details."))
            }
        }
    }

    fn begin_wait(&self, owner: &Arc<LockOwner>, tag: LockTag, mode: u8, counted: bool) -> Outcome {
        let _one_at_a_time = lock(&self.detect);
        let token = next_token(&self.next_token);
        // Before the queue knows of us, so that a grant that comes at once finds where to write.
        let since = SystemTime::now();
        *lock(&owner.wait) = Some(Wait { tag, mode, token, state: WaitState::Waiting, since });
        let grant = lock(self.shard(tag)).grant_or_queue(owner.process_id, tag, mode, counted);
        match grant {
            Grant::Granted | Grant::Held => {
                *lock(&owner.wait) = None;
                if grant == Grant::Held { Outcome::Held } else { Outcome::Granted }
            }
            Grant::Blocked => Outcome::Wait(token),
        }
    }

    /// Looks for a circle of waits through this session. If there is one its wait ends: the token is delivered, and the
    /// repeated call throws 40P01.
    pub fn check_deadlock(&self, owner: &Arc<LockOwner>) -> bool {
        let _one_at_a_time = lock(&self.detect);
        let Some(detail) = self.find_deadlock(owner.process_id) else { return false };
        *lock(&owner.deadlock) = Some(detail);
        self.end_wait(owner, WaitState::Deadlocked)
    }

    /// Gives up the session's wait, if any; a lock granted but never asked for again is released.
    pub fn abandon_wait(&self, owner: &LockOwner) {
        let Some(wait) = lock(&owner.wait).take() else { return };
        let granted = {
            let mut shard = lock(self.shard(wait.tag));
            let queued = shard.dequeue(owner.process_id, wait.tag);
            if !queued && matches!(wait.state, WaitState::Waiting | WaitState::Granted) {
                shard.release(owner.process_id, wait.tag, wait.mode)
            } else {
                shard.grant_waiters(wait.tag)
            }
        };
        self.deliver(granted);
    }

    /// Ends the session's wait from outside: its token is delivered, and the repeated call finds the interrupt.
    pub fn cancel_wait(&self, process_id: u32) {
        let owner = read(&self.owners).get(&process_id).cloned();
        if let Some(owner) = owner {
            self.end_wait(&owner, WaitState::Cancelled);
        }
    }

    /// Takes a waiting session out of its queue; false when it does not wait, or was granted its lock in this moment.
    fn end_wait(&self, owner: &LockOwner, state: WaitState) -> bool {
        let wait = match *lock(&owner.wait) {
            Some(wait) if wait.state == WaitState::Waiting => wait,
            _ => return false,
        };
        let granted = {
            let mut shard = lock(self.shard(wait.tag));
            if !shard.dequeue(owner.process_id, wait.tag) {
                return false;
            }
            shard.grant_waiters(wait.tag)
        };
        if let Some(w) = lock(&owner.wait).as_mut().filter(|w| w.token == wait.token) {
            w.state = state;
        }
        owner.channel.deliver(&[wait.token]);
        self.deliver(granted);
        true
    }

    /// Releases one count of a lock; false when the session does not hold it.
    pub fn release(&self, process_id: u32, tag: LockTag, mode: u8) {
        let granted = lock(self.shard(tag)).release(process_id, tag, mode);
        self.deliver(granted);
    }

    /// Releases many locks and delivers the tokens of everybody who goes on, one delivery per channel.
    pub fn release_all(&self, process_id: u32, locks: impl IntoIterator<Item = (LockTag, u8)>) {
        let mut granted = Vec::new();
        for (tag, mode) in locks {
            if let LockTag::Keys { index, .. } = tag {
                self.claims.release(process_id, index);
            }
            granted.extend(lock(self.shard(tag)).release(process_id, tag, mode));
        }
        self.deliver(granted);
    }

    fn deliver(&self, granted: Vec<u32>) {
        if granted.is_empty() {
            return;
        }
        let mut by_channel: Vec<(Arc<Channel>, Vec<u32>)> = Vec::new();
        for process_id in granted {
            let Some(owner) = read(&self.owners).get(&process_id).cloned() else { continue };
            let token = {
                let mut cell = lock(&owner.wait);
                let Some(wait) = cell.as_mut().filter(|w| w.state == WaitState::Waiting) else {
                    continue;
                };
                wait.state = WaitState::Granted;
                wait.token
            };
            match by_channel.iter_mut().find(|(c, _)| Arc::ptr_eq(c, &owner.channel)) {
                Some((_, tokens)) => tokens.push(token),
                None => by_channel.push((Arc::clone(&owner.channel), vec![token])),
            }
        }
        for (channel, tokens) in by_channel {
            channel.deliver(&tokens);
        }
    }

    /// A circle of waits through `start`, as PostgreSQL's DETAIL tells it.
    ///
    /// New waits cannot begin meanwhile (`detect`), and a session that waits releases nothing, so edges seen at
    /// different moments still belong together.
    fn find_deadlock(&self, start: u32) -> Option<String> {
        let owners = read(&self.owners);
        let mut path: Vec<(u32, LockTag, u8, Vec<u32>)> = Vec::new();
        let mut visited = std::collections::HashSet::from([start]);
        let mut next = Some(start);
        loop {
            if let Some(process_id) = next {
                let wait = owners
                    .get(&process_id)
                    .and_then(|o| *lock(&o.wait))
                    .filter(|w| w.state == WaitState::Waiting);
                if let Some(wait) = wait {
                    let blockers =
                        lock(self.shard(wait.tag)).blockers(process_id, wait.tag, wait.mode);
                    path.push((process_id, wait.tag, wait.mode, blockers));
                }
            }
            let (_, _, _, blockers) = path.last_mut()?;
            match blockers.pop() {
                Some(blocker) if blocker == start => return Some(describe(&path, start)),
                Some(blocker) => next = visited.insert(blocker).then_some(blocker),
                None => {
                    path.pop();
                    next = None;
                }
            }
        }
    }
}

fn describe(path: &[(u32, LockTag, u8, Vec<u32>)], start: u32) -> String {
    let line = |i: usize| {
        let (waiter, tag, mode, _) = &path[i];
        let blocker = path.get(i + 1).map_or(start, |p| p.0);
        let object = match tag {
            LockTag::Relation(id) if *mode != MODE_DEPARTURE => format!("relation {id}"),
            // These are waits for the end of the holder's transaction.
            LockTag::Relation(_)
            | LockTag::Row { .. }
            | LockTag::Key { .. }
            | LockTag::Keys { .. } => {
                format!("transaction {blocker}")
            }
            LockTag::Advisory { class: None, key } => {
                format!("advisory lock [{},{}]", (*key as u64) >> 32, *key as u32)
            }
            LockTag::Advisory { class: Some(class), key } => {
                format!("advisory lock [{class},{key}]")
            }
        };
        let mode = modes::mode_name(*tag, *mode);
        format!("Process {waiter} waits for {mode} on {object}; blocked by process {blocker}.")
    };
    (0..path.len()).map(line).collect::<Vec<_>>().join("\n")
}

/// Wait tokens: greater than 0 and within an i32, shared by all waits of an engine.
pub fn next_token(counter: &AtomicU32) -> u32 {
    (counter.fetch_add(1, Ordering::Relaxed) & (i32::MAX as u32 >> 1)) + 1
}
