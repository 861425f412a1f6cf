//! A copy of a running database as of one commit.
//!
//! ```text
//!   backup's thread   opens the target, orders a source
//!   applier           writes a checkpoint, opens all that it names (`source`), goes on to other checkpoints
//!   backup's thread   copies, looks at every sum of the copy, says how it went
//! ```
//!
//! The copy is what a crash right behind that checkpoint would leave, less the log: what is committed later lies above the
//! marks of the manifests and is not part of it. Files that later checkpoints replace or remove stay readable through the
//! handles of the source, and go with these, however the process ends. No file that a checkpoint names is written again,
//! but for slots of vector segments: `hold` keeps them as they are until they are copied.
//!
//! Graph and text files are copied as they are; a text file of a later commit than the checkpoint is rebuilt from rows
//! when the copy is opened. `FORMAT` is written last: a folder without it is no finished backup, and is refused. At the
//! end every sum of the copy is looked at. A copy that fails or is cancelled is taken away again.

mod copy;
mod hold;
mod source;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use omen_disk::{Disk, Kv};

use super::check::check_files;
use super::{Durable, Work, format};
use crate::engine::Engine;
use crate::error::{Result, StoreError, sqlstate};
use crate::lock::next_token;
use crate::session::{INTERRUPT_TERMINATE, Session};
use crate::sync::lock;
use crate::types::{BackupProgress, Pending};

use hold::Holds;
use source::Source;

/// The folder a backup goes to.
pub struct BackupTarget {
    pub disk: Arc<dyn Disk>,
    /// An empty store inside the folder.
    pub kv: Arc<dyn Kv>,
    /// Takes away what was written, after a failure; `disk` and `kv` are closed then.
    pub discard: Box<dyn FnOnce() + Send>,
}

/// Opens the target of a backup. Called in the backup's thread: it may do I/O.
pub type OpenTarget = Box<dyn FnOnce() -> Result<BackupTarget> + Send>;

/// The backups of an engine.
#[derive(Default)]
pub struct Backups {
    /// Outcomes that nobody has asked for yet, by token.
    outcomes: Mutex<HashMap<u32, Result<u64>>>,
    /// Asked for and not at their end.
    running: Mutex<Vec<Arc<Progress>>>,
    pub holds: Holds,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    /// No other begins.
    closed: bool,
    handles: Vec<JoinHandle<()>>,
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

/// One backup, from the call to its outcome.
struct Job {
    engine: Arc<Engine>,
    session: Arc<Session>,
    token: u32,
    progress: Arc<Progress>,
}

/// What a backup asks the applier for.
pub struct Order {
    job: Arc<Job>,
    reply: Sender<Result<Source>>,
}

impl Backups {
    fn start(&self, job: Job, open: OpenTarget) -> Result<()> {
        let mut threads = lock(&self.threads);
        if threads.closed {
            return Err(ended());
        }
        threads.handles.retain(|thread| !thread.is_finished());
        let progress = Arc::clone(&job.progress);
        lock(&self.running).push(Arc::clone(&progress));
        let thread = std::thread::Builder::new().name("omen-backup".into());
        match thread.spawn(move || job.run(open)) {
            Ok(thread) => {
                threads.handles.push(thread);
                Ok(())
            }
            Err(error) => {
                self.forget(&progress);
                Err(StoreError::internal(format!("could not start a thread: {error}")))
            }
        }
    }

    fn forget(&self, progress: &Arc<Progress>) {
        lock(&self.running).retain(|other| !Arc::ptr_eq(other, progress));
    }

    /// Waits for the backups under way, which see that the engine is closing; none begins from now on. The applier must
    /// still be there: they may wait for it.
    pub fn stop(&self) {
        let mut threads = lock(&self.threads);
        threads.closed = true;
        let handles = std::mem::take(&mut threads.handles);
        drop(threads);
        for thread in handles {
            // What panicked in it is the backup's outcome.
            let _ = thread.join();
        }
    }
}

fn ended() -> StoreError {
    StoreError::new(sqlstate::ADMIN_SHUTDOWN, "the server ended before the backup did")
}

/// A panic is the backup's own: it changes nothing that others see.
fn caught<T>(step: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = |_| Err(StoreError::internal("a backup panicked"));
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(panicked)
}

impl Job {
    /// 57014 or 57P01 once the session was told to stop, or the engine ends.
    fn check_interrupt(&self) -> Result<()> {
        if self.engine.closing.load(Ordering::Relaxed) {
            return Err(StoreError::interrupted(INTERRUPT_TERMINATE));
        }
        self.session.check_interrupt()
    }

    fn run(self, open: OpenTarget) {
        let job = Arc::new(self);
        let outcome = caught(|| job.check_interrupt().and_then(|()| open()));
        let outcome = outcome.and_then(|target| Self::fill(&job, target));
        let backups = &job.engine.durable_side().backups;
        backups.forget(&job.progress);
        lock(&backups.outcomes).insert(job.token, outcome);
        job.session.deliver(job.token);
    }

    /// Returns the commit number the copy is of.
    fn fill(job: &Arc<Self>, target: BackupTarget) -> Result<u64> {
        let BackupTarget { disk, kv, discard } = target;
        let outcome = caught(|| Self::write(job, &*disk, &*kv));
        // A store that cannot be closed has not everything on disk.
        let closed = kv.close().map_err(StoreError::from);
        drop((disk, kv));
        let outcome = outcome.and_then(|commit| closed.map(|()| commit));
        if outcome.is_err() {
            discard();
        }
        outcome
    }

    fn write(job: &Arc<Self>, target: &dyn Disk, kv: &dyn Kv) -> Result<u64> {
        let (reply, source) = channel();
        let order = Order { job: Arc::clone(job), reply };
        job.engine.durable_side().send(Work::Backup(order));
        let source = source.recv().map_err(|_| ended())??;
        let commit = source.commit;
        copy::copy(source, target, kv, job)?;
        format::check(target, false)?;
        job.progress.enter("verifying the copy");
        let damage = check_files(target, kv, &|| job.check_interrupt());
        job.check_interrupt()?;
        match damage.into_iter().flat_map(|part| part.problems).next() {
            Some(problem) => Err(StoreError::corrupt(format!("the backup is damaged: {problem}"))),
            None => Ok(commit),
        }
    }
}

impl Durable {
    /// Whether a checkpoint would make no number of a dead vector free: a backup has yet to copy vectors.
    pub fn holds_numbers(&self) -> bool {
        self.backups.holds.any()
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
        let (engine, session) = (Arc::clone(engine), Arc::clone(self));
        durable.backups.start(Job { engine, session, token, progress }, open)?;
        Ok(Pending::Wait(token))
    }

    /// The commit number of the backup that `token` was waited for, once; or why there is none.
    pub fn backup_result(&self, token: u32) -> Result<u64> {
        let durable = self.engine.durable.as_ref();
        let outcome = durable.and_then(|durable| lock(&durable.backups.outcomes).remove(&token));
        outcome.unwrap_or_else(|| Err(ended()))
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
