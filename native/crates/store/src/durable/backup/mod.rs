//! A copy of a running database as of one commit.
//!
//! The applier thread writes a checkpoint and copies what it names while it does nothing else: the key-value store has
//! then exactly the definitions up to the checkpoint's commit, chunk files are never written again and none is removed,
//! and slots of vector segments that the manifests count are written and synced. Commits go on meanwhile; what they add
//! lies above the marks of the manifests and is not part of the copy, so the copy needs no log. Until it ends there is
//! no other checkpoint: log and heap grow by what is committed meanwhile.
//!
//! Graph and text files are copied as they are; a text file of a later commit than the checkpoint is rebuilt from rows
//! when the copy is opened. `FORMAT` is written last: a folder without it is no finished backup, and is refused. At the
//! end every sum of the copy is looked at. A copy that fails or is cancelled is taken away again.

mod copy;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use omen_disk::{Disk, Kv};

use super::apply::{KEY_CHECKPOINT, get_u64};
use super::check::check_files;
use super::checkpoint::Checkpointer;
use super::{Durable, Waiter, Work, format};
use crate::engine::Engine;
use crate::error::{Result, StoreError, sqlstate};
use crate::lock::next_token;
use crate::session::Session;
use crate::sync::lock;
use crate::types::{BackupProgress, Pending};

/// The folder a backup goes to.
pub struct BackupTarget {
    pub disk: Arc<dyn Disk>,
    /// An empty store inside the folder.
    pub kv: Arc<dyn Kv>,
    /// Takes away what was written, after a failure; `disk` and `kv` are closed then.
    pub discard: Box<dyn FnOnce() + Send>,
}

/// Opens the target of a backup. Called in the engine's thread: it may do I/O.
pub type OpenTarget = Box<dyn FnOnce() -> Result<BackupTarget> + Send>;

/// The backups of an engine.
#[derive(Default)]
pub struct Backups {
    /// Outcomes that nobody has asked for yet, by token.
    outcomes: Mutex<HashMap<u32, Result<u64>>>,
    /// Asked for and not at their end.
    running: Mutex<Vec<Arc<Progress>>>,
}

struct Progress {
    process_id: u32,
    phase: Mutex<&'static str>,
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    fn enter(&self, phase: &'static str) {
        *lock(&self.phase) = phase;
    }
}

pub struct Request {
    session: Arc<Session>,
    token: u32,
    progress: Arc<Progress>,
}

impl Request {
    /// 57014 or 57P01 once the session was told to stop.
    fn check_interrupt(&self) -> Result<()> {
        self.session.check_interrupt()
    }
}

impl Durable {
    pub(super) fn backup_for(
        &self,
        engine: &Arc<Engine>,
        state: &mut Checkpointer,
        open: OpenTarget,
        request: &Request,
    ) {
        let outcome = match self.failure() {
            Some(error) => Err(error),
            None => self.backup(engine, state, open, request),
        };
        lock(&self.backups.running).retain(|other| !Arc::ptr_eq(other, &request.progress));
        lock(&self.backups.outcomes).insert(request.token, outcome);
        request.session.deliver(request.token);
    }

    /// Returns the commit number the copy is of.
    fn backup(
        &self,
        engine: &Engine,
        state: &mut Checkpointer,
        open: OpenTarget,
        request: &Request,
    ) -> Result<u64> {
        request.check_interrupt()?;
        let BackupTarget { disk, kv, discard } = open()?;
        let outcome = self.fill(engine, state, &*disk, &*kv, request);
        // A store that cannot be closed has not everything on disk.
        let closed = kv.close().map_err(StoreError::from);
        drop((disk, kv));
        let outcome = outcome.and_then(|commit| closed.map(|()| commit));
        if outcome.is_err() {
            discard();
        }
        outcome
    }

    fn fill(
        &self,
        engine: &Engine,
        state: &mut Checkpointer,
        target: &dyn Disk,
        kv: &dyn Kv,
        request: &Request,
    ) -> Result<u64> {
        request.progress.enter("waiting for checkpoint to finish");
        if let Err(error) = self.checkpoint(engine, state, false) {
            if !self.note_full(&error) {
                self.fail(&error);
            }
            return Err(error);
        }
        if !self.pending_relations().is_empty() {
            let message = "a damaged table keeps the database from being backed up";
            return Err(StoreError::corrupt(message));
        }
        let commit = get_u64(&*self.kv, KEY_CHECKPOINT)?.unwrap_or(0);
        self.copy(target, kv, request)?;
        format::check(target, false)?;
        request.progress.enter("verifying the copy");
        let damage = check_files(target, kv, &|| request.check_interrupt());
        request.check_interrupt()?;
        match damage.into_iter().flat_map(|part| part.problems).next() {
            Some(problem) => Err(StoreError::corrupt(format!("the backup is damaged: {problem}"))),
            None => Ok(commit),
        }
    }
}

impl Durable {
    /// As `request_checkpoint`, unless a backup would have it wait: then the waiter comes back.
    pub fn request_checkpoint_soon(&self, waiter: Waiter) -> Option<Waiter> {
        // A backup is on the list before it is in the queue: one that is not comes behind the checkpoint.
        let running = lock(&self.backups.running);
        if !running.is_empty() {
            return Some(waiter);
        }
        self.request_checkpoint(Some(waiter));
        None
    }
}

impl Session {
    /// Copies the database, as of one commit, to the folder that `open` gives. Once the token is delivered,
    /// `backup_result` says how it went; an interrupt of the session ends it. 0A000 for a database in memory.
    pub fn backup(self: &Arc<Self>, open: OpenTarget) -> Result<Pending> {
        let engine = &self.engine;
        let Some(durable) = &engine.durable else {
            return Err(StoreError::unsupported("backup of a database in memory"));
        };
        let token = next_token(&engine.next_token);
        let progress = Arc::new(Progress {
            process_id: self.process_id(),
            phase: Mutex::new("initializing"),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
        });
        lock(&durable.backups.running).push(Arc::clone(&progress));
        let session = Arc::clone(self);
        durable.send(Work::Backup(open, Request { session, token, progress }));
        Ok(Pending::Wait(token))
    }

    /// The commit number of the backup that `token` was waited for, once; or why there is none.
    pub fn backup_result(&self, token: u32) -> Result<u64> {
        let durable = self.engine.durable.as_ref();
        let outcome = durable.and_then(|durable| lock(&durable.backups.outcomes).remove(&token));
        outcome.unwrap_or_else(|| {
            Err(StoreError::new(sqlstate::ADMIN_SHUTDOWN, "the server ended before the backup did"))
        })
    }
}

impl Engine {
    /// The backups that are asked for or being written.
    pub fn backup_progress(&self) -> Vec<BackupProgress> {
        let Some(durable) = &self.durable else { return Vec::new() };
        let running = lock(&durable.backups.running);
        let seen = |progress: &Arc<Progress>| BackupProgress {
            process_id: progress.process_id,
            phase: *lock(&progress.phase),
            done: progress.done.load(Ordering::Relaxed),
            total: progress.total.load(Ordering::Relaxed),
        };
        running.iter().map(seen).collect()
    }
}
