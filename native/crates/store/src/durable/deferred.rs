//! `synchronous_commit = off`: commits that are acknowledged once they are published, and logged a moment later.
//!
//! Their records wait here, in memory, and go into the log in front of whatever is logged next: with the next commit that
//! waits, after `DELAY`, when there are `MAX_BYTES` of them, before a checkpoint reads its number, and at the clean end. So
//! the log holds commits in their order, and a crash loses a suffix of these and never one from the middle. Nothing is
//! written without its sync: to recovery a group that lies behind a torn one is proof of damage.
//!
//! Commits with definitions always wait, because the KV, which is ahead of the log otherwise, would have what the log has
//! not. On a full disk the records stay until there is room; no other commit is taken meanwhile.
//!
//! The lock here is a leaf, taken under the sequencer.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use omen_disk::DiskError;

use super::{Durable, Numbered, Work};
use crate::commit::CommitRequest;
use crate::commit::news::News;
use crate::commit::publish::publish;
use crate::commit::redo::Writer;
use crate::engine::{Engine, touched_tables};
use crate::error::{Result, StoreError};
use crate::sync::lock;

/// How long an acknowledged commit may stay out of the log, less what the sync itself takes.
const DELAY: Duration = Duration::from_millis(150);
/// Waiting bytes that are logged at once.
const MAX_BYTES: usize = 1 << 20;

/// A published commit that is not in the log yet.
struct Waiting {
    commit: u64,
    redo: Vec<u8>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    /// Redo that came since the last attempt.
    bytes: usize,
    /// Since when the first of them waits, or was last tried in vain.
    since: Option<Instant>,
}

#[derive(Default)]
pub struct Deferred {
    state: Mutex<State>,
}

impl Deferred {
    fn push(&self, commit: u64, redo: Vec<u8>) {
        let mut state = lock(&self.state);
        state.bytes += redo.len();
        state.since.get_or_insert_with(Instant::now);
        state.waiting.push(Waiting { commit, redo });
    }

    fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut *lock(&self.state)).waiting
    }

    /// Those that could not be logged stand in front again.
    fn put_back(&self, waiting: Vec<Waiting>) {
        let mut state = lock(&self.state);
        debug_assert!(state.waiting.is_empty(), "taken and put back under the sequencer");
        // Not at once again, however many there are.
        state.bytes = 0;
        state.since = (!waiting.is_empty()).then(Instant::now);
        state.waiting = waiting;
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.state).waiting.is_empty()
    }

    /// Time until they have to be logged; None when there are none.
    pub fn due_in(&self) -> Option<Duration> {
        let state = lock(&self.state);
        let elapsed = state.since?.elapsed();
        Some(if state.bytes > MAX_BYTES { Duration::ZERO } else { DELAY.saturating_sub(elapsed) })
    }
}

impl CommitRequest {
    /// Whether it may be acknowledged before it is logged.
    pub(super) fn may_be_deferred(&self) -> bool {
        let has_files = || self.tables.iter().flat_map(|t| &t.chunks).any(|c| c.place.is_some());
        self.asynchronous && self.definitions.is_empty() && self.catalog.is_empty() && !has_files()
    }
}

impl Durable {
    /// Publishes commits whose log record can wait.
    pub(super) fn commit_deferred(&self, engine: &Arc<Engine>, group: Vec<CommitRequest>) {
        if let Some(error) = self.refusal() {
            Self::refuse(engine, group, &error);
            return;
        }
        let mut last = lock(&engine.sequencer);
        let mut news = News::default();
        for mut request in group {
            if let Err(error) = request.place_vectors() {
                self.note_full(&error);
                engine.finish_commit(request, Err(error));
                continue;
            }
            let commit = *last + 1;
            let mut redo = Writer::default();
            request.encode_rows(&mut redo);
            if !redo.bytes.is_empty() {
                self.deferred.push(commit, redo.bytes);
            }
            let touched = touched_tables(&request);
            publish(engine, &mut request, commit);
            *last = commit;
            engine.snapshots.advance(commit);
            news.add(engine.settle_commit(request, Ok(())));
            engine.after_publish(&touched);
        }
        drop(last);
        news.tell();
    }

    /// Logs what waits, if its time has come.
    pub(super) fn log_deferred_if_due(&self, engine: &Engine) {
        if self.deferred.due_in().is_some_and(|due| due.is_zero()) {
            let last = lock(&engine.sequencer);
            // A full disk is noted; the records wait for the next turn.
            let _ = self.log_deferred(engine);
            drop(last);
            self.mark_acknowledged();
            self.checkpoint_if_due();
        }
    }

    /// Logs all that waits. Under the sequencer. Error: 53100; other failures end the process.
    pub(super) fn log_deferred(&self, engine: &Engine) -> Result<()> {
        let (_, result) = self.log_behind_deferred(engine, &[]);
        result.map_err(|e| StoreError::new(e.sqlstate(), e.context))
    }

    /// Logs what waits and then `numbered`, together where they fit. Under the sequencer. Returns how many of `numbered`
    /// are durable, from the front, and why not all.
    pub(super) fn log_behind_deferred(
        &self,
        engine: &Engine,
        numbered: &[Numbered],
    ) -> (usize, std::result::Result<(), DiskError>) {
        let mut waiting = self.deferred.take();
        // Reservations stand in front of the first commit that may use them.
        let mut counters = Writer::default();
        if let Some(first) = waiting.first_mut() {
            Self::encode_counters(engine, &mut counters);
            first.redo.splice(0..0, counters.bytes.iter().copied());
        }
        let mut records: Vec<(u64, &[u8])> =
            waiting.iter().map(|w| (w.commit, w.redo.as_slice())).collect();
        records.extend(numbered.iter().map(|n| (n.commit, n.redo.as_slice())));
        let (durable, result) = self.log_group(&records);
        if result.is_err() {
            Self::reserve_again(engine);
        }
        if durable > 0 && !counters.bytes.is_empty() {
            // The applier lives as long as the engine's threads.
            let redo = counters.bytes;
            let _ = self.work.send(Work::Apply { commit: waiting[0].commit, redo });
        }
        let before = waiting.len();
        if durable < before {
            self.deferred.put_back(waiting.split_off(durable));
        }
        (durable.saturating_sub(before), result)
    }
}
