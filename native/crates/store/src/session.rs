//! Channels and sessions: who is connected, how to interrupt them, and their advisory locks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::commit::CommitRequest;
use crate::engine::Engine;
use crate::error::{Result, StoreError, sqlstate};
use crate::lock::{LockOwner, LockTag, MODE_EXCLUSIVE, MODE_SHARE, Outcome};
use crate::serializable::Handle;
use crate::sync::lock;
use crate::transaction::Transaction;
use crate::types::{Acquire, Isolation, LockPolicy};

/// Delivers finished wait tokens to one worker thread; called from any thread, must not block.
pub trait Notifier: Send + Sync {
    fn notify(&self, tokens: &[u32]);
}

/// The way back to one worker. After `close` tokens for it are dropped.
pub struct Channel {
    notifier: Mutex<Option<Box<dyn Notifier>>>,
    /// Open sessions that have their tokens delivered here.
    sessions: AtomicU32,
    /// The thread may wait for the disk while it serves one session alone.
    syncs_alone: AtomicBool,
    /// Commits kept back; None while they go to the committer at once. A leaf among the locks.
    held: Mutex<Option<Vec<CommitRequest>>>,
}

impl Channel {
    pub(crate) fn new(notifier: Box<dyn Notifier>) -> Arc<Self> {
        Arc::new(Self {
            notifier: Mutex::new(Some(notifier)),
            sessions: AtomicU32::new(0),
            syncs_alone: AtomicBool::new(false),
            held: Mutex::new(None),
        })
    }

    /// Lets the thread's only session sync its small commits itself: nobody else waits for the thread, and the hand-over to
    /// the committer and back costs a lone client two wake-ups a commit.
    pub fn sync_alone(&self) {
        self.syncs_alone.store(true, Ordering::Relaxed);
    }

    /// Keeps the commits of this channel's sessions back until `release_commits`: a thread that is about to serve several
    /// sessions in a row has all their commits in one group, and the committer woken once.
    pub fn hold_commits(&self) {
        lock(&self.held).get_or_insert_default();
    }

    /// Hands over what was kept back.
    pub fn release_commits(&self) {
        let held = lock(&self.held).take().unwrap_or_default();
        if let Some(engine) = held.first().map(|request| Arc::clone(&request.session.engine)) {
            engine.durable_side().enqueue(held);
        }
    }

    /// Takes a commit to keep back, or gives it back to go at once.
    pub(crate) fn hold(&self, request: CommitRequest) -> Option<CommitRequest> {
        match lock(&self.held).as_mut() {
            Some(held) => {
                held.push(request);
                None
            }
            None => Some(request),
        }
    }

    /// Whether the calling session, one of this channel's, may wait for the disk.
    pub(crate) fn is_lone(&self) -> bool {
        self.syncs_alone.load(Ordering::Relaxed) && self.sessions.load(Ordering::Relaxed) == 1
    }

    pub(crate) fn session_opened(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn session_closed(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn deliver(&self, tokens: &[u32]) {
        if let Some(notifier) = lock(&self.notifier).as_ref() {
            notifier.notify(tokens);
        }
    }

    pub fn close(&self) {
        self.release_commits();
        lock(&self.notifier).take();
    }
}

/// Interrupt flag values.
pub(crate) const INTERRUPT_CANCEL: u8 = 1;
pub(crate) const INTERRUPT_TERMINATE: u8 = 2;

/// One client connection: at most one open transaction at a time.
pub struct Session {
    pub(crate) engine: Arc<Engine>,
    pub(crate) owner: Arc<LockOwner>,
    secret_key: u32,
    interrupt: AtomicU8,
    /// Session-scope advisory locks with their counts.
    advisory: Mutex<HashMap<(LockTag, u8), u32>>,
    current: Mutex<Weak<Transaction>>,
    /// The transaction that waits for a safe snapshot.
    safe_wait: Mutex<Option<Arc<Handle>>>,
    /// Relations and catalogue entries that end with the session.
    pub(crate) temporary: Mutex<Temporary>,
}

#[derive(Default)]
pub(crate) struct Temporary {
    pub relations: Vec<u32>,
    pub sequences: Vec<u32>,
    pub catalog_keys: Vec<String>,
}

impl Session {
    pub(crate) fn new(engine: Arc<Engine>, owner: Arc<LockOwner>, secret_key: u32) -> Self {
        Self {
            engine,
            owner,
            secret_key,
            interrupt: AtomicU8::new(0),
            advisory: Mutex::new(HashMap::new()),
            current: Mutex::new(Weak::new()),
            safe_wait: Mutex::default(),
            temporary: Mutex::new(Temporary::default()),
        }
    }

    pub fn process_id(&self) -> u32 {
        self.owner.process_id
    }

    pub fn secret_key(&self) -> u32 {
        self.secret_key
    }

    /// 0 none, 1 cancel requested, 2 terminate requested.
    pub fn interrupt(&self) -> u8 {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// Forgets a cancel that came too late; a termination stays.
    pub fn clear_cancel(&self) {
        let _ = self.interrupt.compare_exchange(
            INTERRUPT_CANCEL,
            0,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    pub(crate) fn set_interrupt(&self, interrupt: u8) {
        self.interrupt.fetch_max(interrupt, Ordering::Relaxed);
    }

    /// Says what the session waits for to be safe, so that an interrupt can end the wait.
    pub(crate) fn wait_for_safety(&self, handle: Option<Arc<Handle>>) {
        *lock(&self.safe_wait) = handle;
    }

    pub(crate) fn cancel_safe_snapshot(&self) {
        let waiting = lock(&self.safe_wait).take();
        if let Some(handle) = waiting {
            self.engine.serializable.cancel_wait(&handle);
        }
    }

    /// Tells the session's thread that what it waits for is there.
    pub(crate) fn deliver(&self, token: u32) {
        self.owner.channel.deliver(&[token]);
    }

    pub(crate) fn check_interrupt(&self) -> Result<()> {
        match self.interrupt() {
            0 => Ok(()),
            interrupt => Err(StoreError::interrupted(interrupt)),
        }
    }

    /// Asks for an advisory lock; `class_id` None is the one-key space. Session locks are counted.
    pub fn advisory_lock(
        &self,
        key: i64,
        class_id: Option<i32>,
        shared: bool,
        transaction_scope: bool,
        try_only: bool,
    ) -> Result<Acquire> {
        let tag = LockTag::Advisory { class: class_id, key };
        let mode = if shared { MODE_SHARE } else { MODE_EXCLUSIVE };
        let policy = if try_only { LockPolicy::NoWait } else { LockPolicy::Wait };
        let transaction = if transaction_scope {
            let current = lock(&self.current).upgrade();
            Some(current.filter(|t| t.is_open()).ok_or_else(|| {
                StoreError::new(
                    sqlstate::NO_ACTIVE_TRANSACTION,
                    "there is no transaction in progress",
                )
            })?)
        } else {
            None
        };
        let outcome = self.acquire(tag, mode, policy, !transaction_scope)?;
        if outcome == Outcome::Granted {
            match transaction {
                Some(transaction) => transaction.note_lock(tag, mode),
                None => *lock(&self.advisory).entry((tag, mode)).or_insert(0) += 1,
            }
        }
        Ok(match outcome {
            Outcome::Granted | Outcome::Held => Acquire::Granted,
            Outcome::Unavailable => Acquire::Unavailable,
            Outcome::Wait(token) => Acquire::Wait(token),
        })
    }

    /// A lock request of this session. Errors: 57014 or 57P01 once an interrupt is set, 40P01.
    pub(crate) fn acquire(
        &self,
        tag: LockTag,
        mode: u8,
        policy: LockPolicy,
        counted: bool,
    ) -> Result<Outcome> {
        if let Err(interrupted) = self.check_interrupt() {
            self.engine.locks.abandon_wait(&self.owner);
            return Err(interrupted);
        }
        let outcome = self.engine.locks.acquire(&self.owner, tag, mode, policy, counted)?;
        self.unless_interrupted(outcome)
    }

    /// Waits until the transactions that may write the relation now have ended. Errors as those of `acquire`.
    pub(crate) fn await_writers(&self, object_id: u32) -> Result<Outcome> {
        if let Err(interrupted) = self.check_interrupt() {
            self.engine.locks.abandon_wait(&self.owner);
            return Err(interrupted);
        }
        let tag = LockTag::Relation(object_id);
        let outcome = self.engine.locks.await_departure(&self.owner, tag)?;
        self.unless_interrupted(outcome)
    }

    fn unless_interrupted(&self, outcome: Outcome) -> Result<Outcome> {
        // An interrupt that came before the wait was there to be woken.
        if matches!(outcome, Outcome::Wait(_)) && self.interrupt() != 0 {
            self.engine.locks.abandon_wait(&self.owner);
            self.check_interrupt()?;
        }
        Ok(outcome)
    }

    /// False when the session does not hold the lock.
    pub fn advisory_unlock(&self, key: i64, class_id: Option<i32>, shared: bool) -> bool {
        let tag = LockTag::Advisory { class: class_id, key };
        let mode = if shared { MODE_SHARE } else { MODE_EXCLUSIVE };
        let mut held = lock(&self.advisory);
        let Some(count) = held.get_mut(&(tag, mode)) else { return false };
        *count -= 1;
        if *count == 0 {
            held.remove(&(tag, mode));
        }
        drop(held);
        self.engine.locks.release(self.process_id(), tag, mode);
        true
    }

    pub fn advisory_unlock_all(&self) {
        let held = std::mem::take(&mut *lock(&self.advisory));
        let counts =
            held.into_iter().flat_map(|(lock, count)| std::iter::repeat_n(lock, count as usize));
        self.engine.locks.release_all(self.process_id(), counts);
    }

    /// Looks for a circle of waits through this session's; if there is one its wait ends with 40P01.
    pub fn check_deadlock(&self) -> bool {
        self.engine.locks.check_deadlock(&self.owner)
    }

    /// Opens a transaction; the one before must have ended.
    pub fn begin(
        self: &Arc<Self>,
        isolation: Isolation,
        read_only: bool,
    ) -> Result<Arc<Transaction>> {
        let mut current = lock(&self.current);
        if current.upgrade().is_some_and(|t| t.is_open()) {
            return Err(StoreError::internal("the session has an open transaction"));
        }
        let transaction = Arc::new(Transaction::new(Arc::clone(self), isolation, read_only));
        *current = Arc::downgrade(&transaction);
        Ok(transaction)
    }

    /// Aborts what is open, releases all locks and drops what was temporary.
    pub fn close(&self) {
        let current = lock(&self.current).upgrade();
        if let Some(transaction) = current {
            transaction.abort();
        }
        self.engine.locks.abandon_wait(&self.owner);
        self.advisory_unlock_all();
        let temporary = std::mem::take(&mut *lock(&self.temporary));
        self.engine.drop_temporary(temporary);
        self.engine.forget_session(self.process_id());
    }
}
