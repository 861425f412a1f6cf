//! The durable side: the committer thread (log), the applier thread (KV, checkpoints), and opening.
//!
//! The log is the truth; the KV and the vector segments follow it. A checkpoint makes them durable up to a commit number
//! and lets the log be recycled below it; opening replays the log from there. See `apply` for the keys.

pub(crate) mod apply;
mod checkpoint;
mod derived;
mod load;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use omen_disk::log::{BulkWriter, bulk};
use omen_disk::{Disk, DiskError, DiskErrorKind, Kv, LogRecord, LogWriter};

use crate::commit::CommitRequest;
use crate::commit::publish::publish;
use crate::commit::redo::{Writer, tag};
use crate::engine::{Engine, touched_tables};
use crate::error::{Result, StoreError};
use crate::pool::AbortOnPanic;
use crate::session::Channel;
use crate::sync::lock;

pub(crate) use load::{load_table, open};

/// Record kinds of the log.
const KIND_REDO: u8 = 1;
/// Payload: number of the side file u64, its length u64.
const KIND_BULK: u8 = 2;

/// Redo above this goes to a side file.
const BULK_BYTES: usize = omen_disk::log::MAX_PAYLOAD_BYTES;

/// Log that makes a checkpoint due: what a recovery has to read at most, about.
const CHECKPOINT_LOG_BYTES: u64 = 64 * 1024 * 1024;

/// Committed redo waiting for the KV; beyond it the committer waits, so memory stays bounded.
const APPLY_QUEUE: usize = 1024;

pub(crate) enum Work {
    Apply { commit: u64, redo: Vec<u8> },
    Checkpoint(Option<(Arc<Channel>, u32)>),
    Stop,
}

struct Threads {
    committer: JoinHandle<()>,
    applier: JoinHandle<()>,
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
    work: SyncSender<Work>,
    failure: Mutex<Option<StoreError>>,
    threads: Mutex<Option<Threads>>,
    /// The last commit the KV has.
    applied: AtomicU64,
    /// Relations the log had changes of when the engine was opened: what was derived from them before is stale.
    replayed: HashSet<u32>,
    /// The last commit when the engine was opened.
    opened_at: u64,
}

impl Durable {
    fn new(
        disk: Arc<dyn Disk>,
        kv: Arc<dyn Kv>,
        salt: u64,
        log: LogWriter,
        replayed: HashSet<u32>,
        opened_at: u64,
    ) -> (Self, Receiver<Work>) {
        let (work, receiver) = sync_channel(APPLY_QUEUE);
        let durable = Self {
            disk,
            kv,
            salt,
            log: Mutex::new(Some(log)),
            queue: Mutex::new(Queue { requests: Vec::new(), stopped: false }),
            changed: Condvar::new(),
            work,
            failure: Mutex::new(None),
            threads: Mutex::default(),
            applied: AtomicU64::new(opened_at),
            replayed,
            opened_at,
        };
        (durable, receiver)
    }

    fn start(&self, engine: &Arc<Engine>, receiver: Receiver<Work>, applied: u64) -> Result<()> {
        let failed = |error| StoreError::internal(format!("could not start a thread: {error}"));
        let committing = Arc::clone(engine);
        let committer = std::thread::Builder::new()
            .name("omen-commit".into())
            .spawn(move || committing.durable_side().run_commits(&committing))
            .map_err(failed)?;
        let applying = Arc::clone(engine);
        let applier = std::thread::Builder::new()
            .name("omen-apply".into())
            .spawn(move || applying.durable_side().run_applier(&applying, &receiver, applied))
            .map_err(failed)?;
        *lock(&self.threads) = Some(Threads { committer, applier });
        Ok(())
    }

    pub fn submit(&self, request: CommitRequest) {
        lock(&self.queue).requests.push(request);
        self.changed.notify_one();
    }

    /// What stopped commits, if something has.
    pub fn failure(&self) -> Option<StoreError> {
        lock(&self.failure).clone()
    }

    fn fail(&self, error: &StoreError) {
        lock(&self.failure).get_or_insert_with(|| error.clone());
    }

    pub fn request_checkpoint(&self, waiter: Option<(Arc<Channel>, u32)>) {
        // A closed queue means the engine has ended, and with it whoever waited.
        let _ = self.work.send(Work::Checkpoint(waiter));
    }

    fn run_commits(&self, engine: &Arc<Engine>) {
        let _guard = AbortOnPanic("the commit sequence");
        while let Some(group) = self.next_group() {
            self.commit_group(engine, group);
        }
    }

    /// Everything queued, or None after `stop`.
    fn next_group(&self) -> Option<Vec<CommitRequest>> {
        let mut queue = lock(&self.queue);
        loop {
            if !queue.requests.is_empty() {
                return Some(std::mem::take(&mut queue.requests));
            }
            if queue.stopped {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn commit_group(&self, engine: &Arc<Engine>, group: Vec<CommitRequest>) {
        if let Some(error) = self.failure() {
            for request in group {
                engine.finish_commit(request, Err(error.clone()));
            }
            return;
        }
        let mut last = lock(&engine.sequencer);
        let mut numbered = Vec::new();
        let mut number = *last;
        for mut request in group {
            if let Err(error) = request.place_vectors() {
                engine.finish_commit(request, Err(error));
                continue;
            }
            number += 1;
            let mut redo = Writer::default();
            if numbered.is_empty() {
                Self::encode_counters(engine, &mut redo);
            }
            request.encode(&mut redo, engine);
            numbered.push((number, request, redo.bytes));
        }
        let (durable, result) = self.log_group(&numbered);
        for (i, (commit, mut request, redo)) in numbered.into_iter().enumerate() {
            if i >= durable {
                let error =
                    result.as_ref().err().map(|e| StoreError::new(e.sqlstate(), e.context.clone()));
                let error = error.unwrap_or_else(|| StoreError::internal("commit was not logged"));
                engine.finish_commit(request, Err(error));
                continue;
            }
            let touched = touched_tables(&request);
            publish(engine, &mut request, commit);
            *last = commit;
            engine.snapshots.advance(commit);
            engine.finish_commit(request, Ok(()));
            engine.after_publish(&touched);
            // The applier lives as long as this thread.
            let _ = self.work.send(Work::Apply { commit, redo });
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

    /// Logs the group, with one write and one sync unless it does not fit a segment. Returns how many commits from the
    /// front are durable, and why not all. Temporary commits have no redo and need no record.
    ///
    /// A full disk ends the commits that met it. Any other failure ends the process: what is on disk is unknown, and
    /// neither "committed" nor "rolled back" would be true.
    fn log_group(
        &self,
        numbered: &[(u64, CommitRequest, Vec<u8>)],
    ) -> (usize, std::result::Result<(), DiskError>) {
        let (durable, result) = self.try_log_group(numbered);
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
        numbered: &[(u64, CommitRequest, Vec<u8>)],
    ) -> (usize, std::result::Result<(), DiskError>) {
        let mut log = lock(&self.log);
        let log = log.as_mut().expect("the log is open while commits run");
        let limit = log.group_limit();
        // (position in the group, record)
        let mut payloads: Vec<(usize, u8, Cow<'_, [u8]>)> = Vec::new();
        for (i, (commit, _, redo)) in numbered.iter().enumerate() {
            if redo.len() > BULK_BYTES.min(limit / 2) {
                match self.write_side_file(*commit, redo) {
                    Ok(name) => payloads.push((i, KIND_BULK, name.into())),
                    Err(error) => return (0, Err(error)),
                }
            } else if !redo.is_empty() {
                payloads.push((i, KIND_REDO, redo.as_slice().into()));
            }
        }
        let records: Vec<LogRecord<'_>> = payloads
            .iter()
            .map(|(i, kind, payload)| LogRecord { commit: numbered[*i].0, kind: *kind, payload })
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
            done += take;
        }
        (numbered.len(), Ok(()))
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

    /// Ends both threads after what is queued. The committer first: what it has acknowledged it still hands to the applier.
    pub fn stop_threads(&self) {
        lock(&self.queue).stopped = true;
        self.changed.notify_all();
        let threads = lock(&self.threads).take();
        let Some(Threads { committer, applier }) = threads else { return };
        // A thread that panicked has ended the process already.
        let _ = committer.join();
        let _ = self.work.send(Work::Stop);
        let _ = applier.join();
    }

    /// The clean end: what is queued, then a checkpoint, then log and KV are closed.
    pub fn stop(&self, engine: &Engine) {
        self.stop_threads();
        if self.failure().is_some() {
            return;
        }
        let ended = self.finish(engine);
        if let Err(error) = ended {
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

impl Engine {
    pub(crate) fn durable_side(&self) -> &Durable {
        self.durable.as_ref().expect("only durable engines have these threads")
    }
}
