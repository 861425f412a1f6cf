//! The applier thread: definitions into the KV in commit order, and checkpoints between two of them.
//!
//! A checkpoint at commit c: the KV has the definitions up to c and none after; vectors synced; graph and text files
//! written; chunk files written and synced; then one KV batch with c and the manifests; KV synced; log recycled up to
//! c; files nobody names removed. Each step only promises what those before it made durable, so a crash anywhere
//! leaves either the old checkpoint or the new one. Commits go on meanwhile: the sequence is held only to read c.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use omen_disk::{DiskErrorKind, KvBatch, VectorSegments};

use super::apply::{Applier, KEY_CHECKPOINT, KEY_OBJECT_IDS, encode_sequence, key};
use super::capture::{Captured, Moment, capture};
use super::{Durable, Waiter, Work};
use crate::engine::{Engine, vector_name};
use crate::error::{Result, sqlstate};
use crate::pool::AbortOnPanic;
use crate::snapshot::Snapshot;
use crate::sync::lock;
use crate::table::chunk_file;

/// What the applier knows beyond the KV.
pub struct Checkpointer {
    pub applier: Applier,
    work: Receiver<Work>,
    /// Taken from `work`, in order.
    queue: VecDeque<Work>,
}

impl Checkpointer {
    pub fn new(applier: Applier, work: Receiver<Work>) -> Self {
        Self { applier, work, queue: VecDeque::new() }
    }

    /// The next piece of work; None when the engine is gone.
    fn next(&mut self) -> Option<Work> {
        self.queue.pop_front().or_else(|| self.work.recv().ok())
    }

    /// Applies what is queued up to `commit`, leaving the rest in order.
    fn apply_up_to(&mut self, commit: u64) -> Result<()> {
        self.queue.extend(self.work.try_iter());
        for work in std::mem::take(&mut self.queue) {
            match work {
                Work::Apply { commit: number, redo } if number <= commit => {
                    self.applier.apply(number, &redo)?;
                }
                later => self.queue.push_back(later),
            }
        }
        Ok(())
    }
}

/// All durable tables while no commit is under way.
struct Now {
    snapshot: Arc<Snapshot>,
    tables: Vec<Moment>,
}

/// The log has every commit up to that moment.
fn now(engine: &Engine, durable: &Durable) -> Result<Now> {
    let _no_commit = lock(&engine.sequencer);
    durable.log_deferred(engine)?;
    let snapshot = engine.snapshots.keep();
    let tables = engine.loaded_tables().into_iter().filter(|table| !table.temporary);
    let moment = |table: Arc<crate::table::Table>| {
        let next = |(column, vectors): (u16, Arc<crate::table::vectors::VectorColumn>)| {
            vectors.numbers.checkpoint_begins();
            (column, vectors.next_vid.load(Ordering::Acquire))
        };
        let vectors = table.vector_columns().into_iter().map(next).collect();
        let changed = table.changed_at.load(Ordering::Acquire);
        Moment { table, changed, vectors }
    };
    Ok(Now { snapshot, tables: tables.map(moment).collect() })
}

impl Durable {
    pub(super) fn run_applier(
        &self,
        engine: &Arc<Engine>,
        mut state: Checkpointer,
    ) -> Checkpointer {
        let _guard = AbortOnPanic("applying commits to the store");
        // Stop comes after the last commit: nothing is behind it.
        while let Some(next) = state.next() {
            match next {
                Work::Apply { commit, redo } => {
                    // Once the KV is in doubt nothing may follow: the log keeps it all for the next start.
                    if self.failure().is_none()
                        && let Err(error) = state.applier.apply(commit, &redo)
                    {
                        self.fail(&error);
                    }
                }
                Work::Tell(waiter) => waiter(),
                Work::Checkpoint(waiter) => self.checkpoint_for(engine, &mut state, waiter),
                Work::Backup(order) => self.deliver_source(engine, &mut state, &order),
                Work::Stop => break,
            }
        }
        state
    }

    fn checkpoint_for(&self, engine: &Engine, state: &mut Checkpointer, waiter: Option<Waiter>) {
        self.checkpoint_queued.clear();
        if self.failure().is_none() {
            // Whoever commits next hears of it.
            let _ = self.checkpoint_or_fail(engine, state);
        }
        if let Some(ended) = waiter {
            ended();
        }
    }

    /// A checkpoint whose failure is the database's: it is full, or stops.
    pub(super) fn checkpoint_or_fail(
        &self,
        engine: &Engine,
        state: &mut Checkpointer,
    ) -> Result<()> {
        let outcome = self.checkpoint(engine, state, false);
        if let Err(error) = &outcome
            && !self.note_full(error)
        {
            self.fail(error);
        }
        *lock(&self.checkpointing) = false;
        self.checkpointed.notify_all();
        outcome
    }

    /// Makes everything committed so far durable outside the log. `is_last`: what the next start would have to catch up with
    /// is written as well.
    pub(super) fn checkpoint(
        &self,
        engine: &Engine,
        state: &mut Checkpointer,
        is_last: bool,
    ) -> Result<()> {
        // What was replayed and not loaded yet exists in the log only.
        for relation in self.pending_relations() {
            match engine.table(relation) {
                Ok(_) => {}
                // Dropped before anybody looked at it.
                Err(error) if error.sqlstate == "42P01" => self.forget_pending(relation),
                // The log keeps what it has of a damaged table, and grows, until the table is dropped.
                Err(error) if error.sqlstate == sqlstate::DATA_CORRUPTED => {
                    eprintln!("the checkpoint is put off: {error}");
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        let now = now(engine, self)?;
        let commit = now.snapshot.number;
        self.logged_at_checkpoint
            .store(self.logged_bytes.load(Ordering::Acquire), Ordering::Release);
        *lock(&self.checkpointing) = true;
        state.apply_up_to(commit)?;
        for moment in &now.tables {
            for (_, vectors) in moment.table.vector_columns() {
                vectors.segments.sync()?;
            }
        }
        self.write_graphs(engine, is_last)?;
        self.write_texts(engine)?;
        let mut batch = KvBatch::new();
        let mut captured: Vec<(&Moment, Captured)> = Vec::new();
        for moment in now.tables.iter().filter(|m| has_changed(m)) {
            let relation = moment.table.relation_id;
            let (oldest, tail) = (engine.snapshots.oldest(), self.limits.tail_bytes);
            let capture = capture(&*self.disk, moment, commit, oldest, tail)?;
            batch.put(key(b'f', relation), capture.manifest.clone());
            match &capture.tail {
                Some(tail) => batch.put(key(b'l', relation), tail.clone()),
                None => batch.delete(key(b'l', relation)),
            }
            captured.push((moment, capture));
        }
        batch.put(KEY_CHECKPOINT, commit.to_le_bytes().to_vec());
        self.kv.apply(batch)?;
        self.kv.persist()?;
        if let Some(log) = lock(&self.log).as_mut() {
            log.recycle(commit)?;
        }
        let columns = now.tables.iter().flat_map(|moment| moment.table.vector_columns());
        self.backups.holds.checkpoint_ends(columns.map(|(_, column)| column));
        for (moment, captured) in captured {
            captured.settle(&*self.disk, &moment.table, commit)?;
        }
        self.remove_side_files(commit)?;
        for relation in state.applier.dropped.drain(..) {
            self.remove_vectors(relation)?;
            chunk_file::remove_all(&*self.disk, relation)?;
        }
        Ok(())
    }

    fn remove_vectors(&self, relation: u32) -> Result<()> {
        let prefix = format!("{relation}.");
        let names = match self.disk.list("vec") {
            Ok(names) => names,
            Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for name in names {
            let column = name.strip_prefix(&prefix).and_then(|c| c.parse::<u16>().ok());
            if let Some(column) = column {
                VectorSegments::remove(&*self.disk, &vector_name(relation, column))?;
            }
        }
        Ok(())
    }

    /// The clean end, with both threads gone: exact counters, a checkpoint, log and KV closed.
    pub(super) fn finish(&self, engine: &Engine, mut state: Checkpointer) -> Result<()> {
        state.apply_up_to(u64::MAX)?;
        let mut batch = KvBatch::new();
        for (id, sequence) in lock(&engine.sequences).iter().filter(|(_, s)| !s.spec.temporary) {
            if self.kv.get(&key(b'q', *id))?.is_some() {
                batch.put(key(b'q', *id), encode_sequence(&sequence.spec, sequence.state));
            }
        }
        batch.put(KEY_OBJECT_IDS, engine.next_object_id().to_le_bytes().to_vec());
        self.kv.apply(batch)?;
        self.checkpoint(engine, &mut state, true)?;
        if let Some(log) = lock(&self.log).take() {
            log.close()?;
        }
        Ok(self.kv.close()?)
    }
}

/// Whether rows have changed since the table's manifest.
fn has_changed(moment: &Moment) -> bool {
    moment.changed > lock(&moment.table.stored).manifest.unwrap_or(0)
}
