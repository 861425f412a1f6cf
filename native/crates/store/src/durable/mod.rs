//! The durable side: the committer thread (log), the applier thread (KV, checkpoints), and opening.
//!
//! The log is the truth; what else is on disk follows it. Definitions go into the KV behind the commits. Rows stay in
//! memory until a checkpoint writes them into chunk files (`capture`), which are mapped from then on; it makes everything
//! up to a commit number durable and lets the log be recycled below it. Opening reads the log from there (`open`), and
//! each table takes its part of it when it is loaded (`load`, `replay`). See `apply` for the keys.

pub(crate) mod apply;
mod backup;
mod capture;
mod check;
mod checkpoint;
mod deferred;
mod derived;
mod format;
mod load;
mod manifest;
mod open;
mod replay;
mod space;
mod texts;

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use omen_disk::log::{BulkWriter, bulk};
use omen_disk::{Disk, DiskError, DiskErrorKind, Kv, LogRecord, LogWriter};

use crate::commit::CommitRequest;
use crate::commit::news::News;
use crate::commit::publish::publish;
use crate::commit::redo::{Writer, tag};
use crate::engine::{Engine, touched_tables};
use crate::error::{Result, StoreError};
use crate::pool::AbortOnPanic;
use crate::sync::lock;
use crate::sync::protocol::Queued;
use crate::transaction::Definition;

pub use backup::{BackupTarget, OpenTarget};
pub use check::{CheckedPart, check};
use checkpoint::Checkpointer;
use deferred::Deferred;
pub(crate) use load::load_table;
pub(crate) use open::open;
use replay::{Pending, Record};
use space::{DISK_FULL, Space};

/// Record kinds of the log.
const KIND_REDO: u8 = 1;
/// Payload: number of the side file u64, its length u64.
const KIND_BULK: u8 = 2;

/// Redo above this goes to a side file.
const BULK_BYTES: usize = omen_disk::log::MAX_PAYLOAD_BYTES;

/// Log that makes a checkpoint due: what a recovery has to read at most, about.
const CHECKPOINT_LOG_BYTES: u64 = 64 * 1024 * 1024;
/// An open chunk larger than this goes to a file at a checkpoint, a smaller one into the KV.
const TAIL_BYTES: usize = 512 * 1024;

/// What follows from the memory that rows without a file may take.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "units stand last in names")]
pub(crate) struct Limits {
    /// Log that makes a checkpoint due.
    pub checkpoint_bytes: u64,
    pub tail_bytes: usize,
    /// Rows of one commit above this go to chunk files before the log.
    pub bulk_bytes: usize,
}

impl Limits {
    /// Rows take about as much of the log as of the heap, and while a checkpoint maps one half of them the other grows.
    pub fn new(buffer_bytes: u64) -> Self {
        let half = buffer_bytes / 2;
        let tail_bytes = usize::try_from(half / 8).unwrap_or(TAIL_BYTES).min(TAIL_BYTES);
        let bulk_bytes = usize::try_from(half / 4).unwrap_or(BULK_BYTES).min(BULK_BYTES);
        Self { checkpoint_bytes: half.min(CHECKPOINT_LOG_BYTES), tail_bytes, bulk_bytes }
    }
}

/// Called when a checkpoint has ended, well or not.
pub(crate) type Waiter = Box<dyn FnOnce() + Send>;

pub(crate) enum Work {
    /// Definitions of a commit, for the KV.
    Apply {
        commit: u64,
        redo: Vec<u8>,
    },
    Checkpoint(Option<Waiter>),
    /// Behind the work that is under way and queued.
    Tell(Waiter),
    Backup(backup::Order),
    Stop,
}

struct Threads {
    committer: JoinHandle<()>,
    applier: JoinHandle<Checkpointer>,
}

/// A commit on its way into the log.
struct Numbered {
    commit: u64,
    request: CommitRequest,
    redo: Vec<u8>,
    /// The part of `redo` that the KV gets.
    definitions: Vec<u8>,
}

struct Queue {
    requests: Vec<CommitRequest>,
    stopped: bool,
}

pub(crate) struct Durable {
    pub disk: Arc<dyn Disk>,
    pub kv: Arc<dyn Kv>,
    salt: u64,
    /// None after the clean end.
    log: Mutex<Option<LogWriter>>,
    queue: Mutex<Queue>,
    changed: Condvar,
    work: Sender<Work>,
    failure: Mutex<Option<StoreError>>,
    space: Space,
    deferred: Deferred,
    threads: Mutex<Option<Threads>>,
    /// Bytes logged since the engine was opened, and what they were at the last checkpoint.
    logged_bytes: AtomicU64,
    logged_at_checkpoint: AtomicU64,
    limits: Limits,
    checkpoint_queued: Queued,
    /// A checkpoint is under way; `checkpointed` tells of its end. A leaf among the locks.
    checkpointing: Mutex<bool>,
    checkpointed: Condvar,
    /// What the log had of tables that are not loaded yet.
    pending: Mutex<Pending>,
    /// The last commit when the engine was opened.
    opened_at: u64,
    backups: backup::Backups,
}

impl Durable {
    fn new(
        disk: Arc<dyn Disk>,
        kv: Arc<dyn Kv>,
        salt: u64,
        log: LogWriter,
        pending: Pending,
        opened_at: u64,
        limits: Limits,
    ) -> (Self, Receiver<Work>) {
        let (work, receiver) = channel();
        // What recovery had to read counts: a database that crashes again and again still gets its checkpoint.
        let logged_bytes = AtomicU64::new(log.replay_bytes());
        let durable = Self {
            disk,
            kv,
            salt,
            log: Mutex::new(Some(log)),
            queue: Mutex::new(Queue { requests: Vec::new(), stopped: false }),
            changed: Condvar::new(),
            work,
            failure: Mutex::new(None),
            space: Space::default(),
            deferred: Deferred::default(),
            threads: Mutex::default(),
            logged_bytes,
            logged_at_checkpoint: AtomicU64::new(0),
            limits,
            checkpoint_queued: Queued::default(),
            checkpointing: Mutex::new(false),
            checkpointed: Condvar::new(),
            pending: Mutex::new(pending),
            opened_at,
            backups: backup::Backups::default(),
        };
        (durable, receiver)
    }

    fn start(&self, engine: &Arc<Engine>, state: Checkpointer) -> Result<()> {
        let failed = |error| StoreError::internal(format!("could not start a thread: {error}"));
        let committing = Arc::clone(engine);
        let committer = std::thread::Builder::new()
            .name("omen-commit".into())
            .spawn(move || committing.durable_side().run_commits(&committing))
            .map_err(failed)?;
        let applying = Arc::clone(engine);
        let applier = std::thread::Builder::new()
            .name("omen-apply".into())
            .spawn(move || applying.durable_side().run_applier(&applying, state))
            .map_err(failed)?;
        *lock(&self.threads) = Some(Threads { committer, applier });
        Ok(())
    }

    /// What the log has of a relation, in commit order.
    fn pending(&self, relation: u32) -> Vec<Record> {
        lock(&self.pending).get(&relation).cloned().unwrap_or_default()
    }

    /// The relation is loaded, and its changes with it.
    fn forget_pending(&self, relation: u32) {
        lock(&self.pending).remove(&relation);
    }

    fn pending_relations(&self) -> Vec<u32> {
        lock(&self.pending).keys().copied().collect()
    }

    /// Hands a commit to the committer, by way of its channel, which may keep it back; a bulk commit first writes its chunk files, in a thread of its own so that other
    /// commits do not wait for it.
    pub fn submit(&self, engine: &Arc<Engine>, request: CommitRequest) {
        if !request.is_bulk(self.limits.bulk_bytes) {
            let channel = Arc::clone(&request.channel);
            if let Some(request) = channel.hold(request) {
                self.enqueue([request]);
            }
            return;
        }
        let request = Arc::new(Mutex::new(Some(request)));
        let (of_thread, handed) = (Arc::clone(engine), Arc::clone(&request));
        let write = move || {
            if let Some(request) = lock(&handed).take() {
                of_thread.durable_side().write_bulk(&of_thread, request);
            }
        };
        if std::thread::Builder::new().name("omen-bulk".into()).spawn(write).is_err()
            && let Some(request) = lock(&request).take()
        {
            // Without a thread the caller waits for the disk.
            self.write_bulk(engine, request);
        }
    }

    /// Writes what of a bulk commit needs no number.
    fn write_bulk(&self, engine: &Arc<Engine>, mut request: CommitRequest) {
        let _guard = AbortOnPanic("a bulk commit");
        // Files of a load are nobody's yet: whatever went wrong with them is this commit's error and no more.
        if let Err(error) = request.finish_streams() {
            self.note_full(&error);
            engine.finish_commit(request, Err(error));
            return;
        }
        let stored = request
            .use_room()
            .and_then(|()| request.store_chunks(&*self.disk, self.limits.bulk_bytes));
        match stored {
            Ok(()) => self.enqueue([request]),
            Err(error) => {
                self.abort_unless_full(&error);
                request.discard_files(&*self.disk);
                engine.finish_commit(request, Err(error));
            }
        }
    }

    /// Bytes above which rows and vectors of a transaction go to files.
    pub fn bulk_bytes(&self) -> usize {
        self.limits.bulk_bytes
    }

    pub(crate) fn enqueue(&self, requests: impl IntoIterator<Item = CommitRequest>) {
        lock(&self.queue).requests.extend(requests);
        self.changed.notify_one();
    }

    /// Commits in the calling thread, unless the commit is large, may be acknowledged early, or another one is under way:
    /// then it comes back, for the committer.
    pub fn commit_alone(
        &self,
        engine: &Arc<Engine>,
        request: CommitRequest,
    ) -> Option<CommitRequest> {
        let is_bulk = request.is_bulk(self.limits.bulk_bytes);
        if request.may_be_deferred() || is_bulk || self.is_behind(*lock(&self.checkpointing)) {
            return Some(request);
        }
        let last = match engine.sequencer.try_lock() {
            Ok(last) => last,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Some(request),
        };
        // Those in the queue would wait for our sync and then for theirs: with them it is one.
        if !lock(&self.queue).requests.is_empty() {
            return Some(request);
        }
        let _guard = AbortOnPanic("the commit sequence");
        self.commit_group(engine, last, vec![request]);
        None
    }

    /// What stopped commits, if something has.
    pub fn failure(&self) -> Option<StoreError> {
        lock(&self.failure).clone()
    }

    /// Commits are refused until there is room again, if that is what an error is about.
    fn note_full(&self, error: &StoreError) -> bool {
        let is_full = error.sqlstate == DISK_FULL;
        if is_full {
            self.space.note(error);
        }
        is_full
    }

    fn fail(&self, error: &StoreError) {
        lock(&self.failure).get_or_insert_with(|| error.clone());
    }

    pub fn request_checkpoint(&self, waiter: Option<Waiter>) {
        self.send(Work::Checkpoint(waiter));
    }

    /// Tells when a checkpoint that is under way has ended; soon if there is none.
    pub fn after_checkpoint(&self, waiter: Waiter) {
        self.send(Work::Tell(waiter));
    }

    fn send(&self, work: Work) {
        // A closed queue means the engine has ended, and with it whoever waited.
        let _ = self.work.send(work);
    }

    fn run_commits(&self, engine: &Arc<Engine>) {
        let _guard = AbortOnPanic("the commit sequence");
        while let Some(group) = self.next_group() {
            self.hold_back();
            // Concurrent commits do not depend on each other: those that need not wait for the log go first.
            let (deferred, waiting): (Vec<_>, Vec<_>) =
                group.into_iter().partition(CommitRequest::may_be_deferred);
            if !deferred.is_empty() {
                self.commit_deferred(engine, deferred);
            }
            if !waiting.is_empty() {
                self.commit_group(engine, lock(&engine.sequencer), waiting);
            }
            self.log_deferred_if_due(engine);
        }
        let _last = lock(&engine.sequencer);
        if let Err(error) = self.log_deferred(engine) {
            eprintln!("commits with synchronous_commit = off could not be logged: {error}");
        }
    }

    /// Waits while a checkpoint is under way and the log has grown by its bound again since it began: commits that are faster
    /// than checkpoints would let the log, and with it recovery, grow without end.
    fn hold_back(&self) {
        let mut running = lock(&self.checkpointing);
        while self.is_behind(*running) {
            running = self.checkpointed.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the log has grown by its bound since the checkpoint under way began.
    fn is_behind(&self, running: bool) -> bool {
        running && self.logged_since_checkpoint() > self.limits.checkpoint_bytes
    }

    fn logged_since_checkpoint(&self) -> u64 {
        let logged = self.logged_bytes.load(Ordering::Acquire);
        logged.saturating_sub(self.logged_at_checkpoint.load(Ordering::Acquire))
    }

    /// Everything queued, nothing when deferred commits have to be logged, or None after `stop`.
    fn next_group(&self) -> Option<Vec<CommitRequest>> {
        let mut queue = lock(&self.queue);
        loop {
            if !queue.requests.is_empty() {
                return Some(std::mem::take(&mut queue.requests));
            }
            if queue.stopped {
                return None;
            }
            let Some(due) = self.deferred.due_in() else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if due.is_zero() {
                return Some(Vec::new());
            }
            let waited = self.changed.wait_timeout(queue, due);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Why no commit can be taken now.
    fn refusal(&self) -> Option<StoreError> {
        self.failure().or_else(|| self.space.refusal(&*self.disk))
    }

    fn refuse(engine: &Engine, group: Vec<CommitRequest>, error: &StoreError) {
        for request in group {
            engine.finish_commit(request, Err(error.clone()));
        }
    }

    /// Numbers, logs and publishes a group; `last` is the sequencer, held.
    fn commit_group(
        &self,
        engine: &Arc<Engine>,
        mut last: MutexGuard<'_, u64>,
        group: Vec<CommitRequest>,
    ) {
        if let Some(error) = self.refusal() {
            drop(last);
            Self::refuse(engine, group, &error);
            return;
        }
        let wants_checkpoint = group.iter().any(|r| has_long_build(r) || drops_much(r, engine));
        let mut numbered = Vec::new();
        let mut number = *last;
        for mut request in group {
            if let Err(error) = request.place_vectors() {
                self.note_full(&error);
                engine.finish_commit(request, Err(error));
                continue;
            }
            if let Err(error) = request.store_numbered(&*self.disk, self.limits.bulk_bytes) {
                self.abort_unless_full(&error);
                request.discard_files(&*self.disk);
                engine.finish_commit(request, Err(error));
                continue;
            }
            number += 1;
            let mut redo = Writer::default();
            if numbered.is_empty() && self.deferred.is_empty() {
                Self::encode_counters(engine, &mut redo);
            }
            request.encode_definitions(&mut redo, engine);
            let definitions = redo.bytes.clone();
            request.encode_backfills(&mut redo, *last);
            request.encode_rows(&mut redo);
            numbered.push(Numbered { commit: number, request, redo: redo.bytes, definitions });
        }
        let (durable, result) = self.log_behind_deferred(engine, &numbered);
        let mut news = News::default();
        for (i, numbered) in numbered.into_iter().enumerate() {
            let Numbered { commit, mut request, definitions, .. } = numbered;
            if i >= durable {
                let error =
                    result.as_ref().err().map(|e| StoreError::new(e.sqlstate(), e.context.clone()));
                let error = error.unwrap_or_else(|| StoreError::internal("commit was not logged"));
                request.discard_files(&*self.disk);
                engine.finish_commit(request, Err(error));
                continue;
            }
            let touched = touched_tables(&request);
            publish(engine, &mut request, commit);
            *last = commit;
            engine.snapshots.advance(commit);
            news.add(engine.settle_commit(request, Ok(())));
            engine.after_publish(&touched);
            if !definitions.is_empty() {
                // The applier lives as long as this thread. Still under the sequencer: a checkpoint that reads the
                // number finds the definitions in the queue.
                let _ = self.work.send(Work::Apply { commit, redo: definitions });
            }
        }
        drop(last);
        news.tell();
        self.mark_acknowledged();
        if wants_checkpoint && self.checkpoint_queued.ask() {
            self.request_checkpoint(None);
        }
        self.checkpoint_if_due();
    }

    /// Behind the acknowledgements, whose clients have nothing to wait for in it.
    fn mark_acknowledged(&self) {
        // Who holds the log writes to it, and marks it then.
        if let Ok(mut log) = self.log.try_lock()
            && let Some(log) = log.as_mut()
        {
            log.mark_acknowledged();
        }
    }

    /// Counts rows that came back from a file onto the heap as if they had just been committed.
    pub fn note_rewritten(&self, bytes: u64) {
        self.logged_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.checkpoint_if_due();
    }

    fn checkpoint_if_due(&self) {
        if self.logged_since_checkpoint() > self.limits.checkpoint_bytes
            && self.checkpoint_queued.ask()
        {
            self.request_checkpoint(None);
        }
    }

    /// Reservations of sequences and object ids made since the last group: logged before the commits that use them.
    fn encode_counters(engine: &Engine, out: &mut Writer) {
        if let Some(ids) = lock(&engine.object_ids).pending.take() {
            out.u8(tag::OBJECT_IDS);
            out.u32(ids);
        }
        for (id, sequence) in lock(&engine.sequences).iter_mut() {
            if let Some(state) = sequence.pending.take().filter(|_| !sequence.spec.temporary) {
                out.u8(tag::SEQUENCE_STATE);
                out.u32(*id);
                out.sequence_state(state);
            }
        }
    }

    /// Reservations that were taken for a group and did not reach the log have to go with the next one.
    fn reserve_again(engine: &Engine) {
        let mut ids = lock(&engine.object_ids);
        ids.pending = Some(ids.reserved);
        drop(ids);
        for sequence in lock(&engine.sequences).values_mut() {
            sequence.pending = Some(sequence.reserved());
        }
    }

    /// Logs commits with their redo, with one write and one sync unless they do not fit a segment. Returns how many from the
    /// front are durable, and why not all. Temporary commits have no redo and need no record.
    ///
    /// A full disk ends the commits that met it. Any other failure ends the process: what is on disk is unknown, and
    /// neither "committed" nor "rolled back" would be true.
    fn log_group(&self, commits: &[(u64, &[u8])]) -> (usize, std::result::Result<(), DiskError>) {
        let (durable, result) = self.try_log_group(commits);
        if let Err(error) = &result {
            self.note_full(&StoreError::new(error.sqlstate(), error.context.clone()));
        }
        if let Err(error) = &result
            && !matches!(error.kind, DiskErrorKind::NoSpace | DiskErrorKind::TooLarge)
        {
            eprintln!("the write-ahead log failed, the process ends: {error}");
            std::process::abort();
        }
        (durable, result)
    }

    fn try_log_group(
        &self,
        commits: &[(u64, &[u8])],
    ) -> (usize, std::result::Result<(), DiskError>) {
        let mut log = lock(&self.log);
        let log = log.as_mut().expect("the log is open while commits run");
        let limit = log.group_limit();
        // (position in the group, record)
        let mut payloads: Vec<(usize, u8, Cow<'_, [u8]>)> = Vec::new();
        for (i, &(commit, redo)) in commits.iter().enumerate() {
            if redo.len() > BULK_BYTES.min(limit / 2) {
                match self.write_side_file(commit, redo) {
                    Ok(name) => payloads.push((i, KIND_BULK, name.into())),
                    Err(error) => return (0, Err(error)),
                }
            } else if !redo.is_empty() {
                payloads.push((i, KIND_REDO, redo.into()));
            }
        }
        let records: Vec<LogRecord<'_>> = payloads
            .iter()
            .map(|(i, kind, payload)| LogRecord { commit: commits[*i].0, kind: *kind, payload })
            .collect();
        let mut done = 0;
        while done < records.len() {
            let rest = &records[done..];
            let mut take = rest.len();
            while take > 1 && LogWriter::group_size(&rest[..take]) > limit {
                take = take.div_ceil(2);
            }
            if let Err(error) = log.append_group(&rest[..take]) {
                return (payloads[done].0, Err(error));
            }
            let bytes = LogWriter::group_size(&rest[..take]) as u64;
            self.logged_bytes.fetch_add(bytes, Ordering::AcqRel);
            done += take;
        }
        (commits.len(), Ok(()))
    }

    /// Writes redo too large for the log; returns the record that names it.
    fn write_side_file(&self, commit: u64, redo: &[u8]) -> std::result::Result<Vec<u8>, DiskError> {
        let mut file = BulkWriter::create(Arc::clone(&self.disk), self.salt, commit)?;
        file.append(redo)?;
        let bytes = file.finish()?;
        let mut name = Writer::default();
        name.u64(commit);
        name.u64(bytes);
        Ok(name.bytes)
    }

    /// A full disk ends one commit and makes the server read-only. After any other failure it is unknown what is on disk:
    /// the process ends, recovery decides.
    fn abort_unless_full(&self, error: &StoreError) {
        if !self.note_full(error) {
            eprintln!("a bulk commit could not be written, the process ends: {error}");
            std::process::abort();
        }
    }

    /// Ends the threads after what is queued; the engine is closing. The committer first: what it has acknowledged it still hands
    /// to the applier. Then backups, which may wait for the applier.
    pub fn stop_threads(&self) -> Option<Checkpointer> {
        lock(&self.queue).stopped = true;
        self.changed.notify_all();
        let Threads { committer, applier } = lock(&self.threads).take()?;
        // A thread that panicked has ended the process already.
        let _ = committer.join();
        self.backups.stop();
        let _ = self.work.send(Work::Stop);
        applier.join().ok()
    }

    /// The clean end: what is queued, then a checkpoint, then log and KV are closed.
    pub fn stop(&self, engine: &Engine) {
        let Some(state) = self.stop_threads() else { return };
        if self.failure().is_some() {
            return;
        }
        if let Err(error) = self.finish(engine, state) {
            // Nothing acknowledged is lost: the next start replays the log.
            eprintln!("could not write the last checkpoint: {error}");
        }
    }

    /// Removes side files that no record above `checkpoint` names.
    fn remove_side_files(&self, checkpoint: u64) -> Result<()> {
        for number in bulk::list(&*self.disk)? {
            if number <= checkpoint {
                bulk::remove(&*self.disk, number)?;
            }
        }
        Ok(())
    }
}

/// Entries of a new graph or text index from which on it gets its file at once: until a checkpoint writes that, a start
/// after a crash has to build the index again.
const LONG_BUILD: u64 = 10_000;

fn has_long_build(request: &CommitRequest) -> bool {
    request.definitions.iter().any(|definition| match definition {
        Definition::CreateIndex(index) => {
            index.btree().is_none() && index.statistics().entry_count >= LONG_BUILD
        }
        _ => false,
    })
}

/// Bytes of a dropped relation that are given back at once: its files go with the next checkpoint.
const LARGE_DROP_BYTES: u64 = 16 << 20;

fn drops_much(request: &CommitRequest, engine: &Engine) -> bool {
    request.definitions.iter().any(|definition| match definition {
        Definition::DropRelation(id) => engine.loaded_bytes(*id) >= LARGE_DROP_BYTES,
        _ => false,
    })
}

impl Engine {
    pub(crate) fn durable_side(&self) -> &Durable {
        self.durable.as_ref().expect("only durable engines have these threads")
    }
}
