//! The way of a commit through the engine: done by the calling thread, handed to the committer, or parked first until a graph has
//! caught up or a round is over; then its end, and the work in the background that it calls for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Engine;
use crate::commit::CommitRequest;
use crate::commit::news::{News, Settled};
use crate::commit::publish::publish;
use crate::durable::Durable;
use crate::error::{Result, StoreError};
use crate::index::Index;
use crate::index::hnsw::{HnswIndex, MAX_TAIL};
use crate::pool::AbortOnPanic;
use crate::reclaim::AwaitedRound;
use crate::session::{INTERRUPT_CANCEL, Session};
use crate::sync::lock;
use crate::table::Table;

impl Engine {
    /// Why nothing can be committed any more; None as long as all is well.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.durable.as_ref().and_then(Durable::failure)
    }

    /// Whether the calling thread does the commit itself: without a log, and with nothing to wait for.
    pub(crate) fn commits_inline(self: &Arc<Self>, request: &CommitRequest) -> bool {
        self.durable.is_none() && !self.has_to_wait(request)
    }

    /// Commits in the calling thread. The result is also where `commit_result` looks for it.
    pub(crate) fn commit_inline(self: &Arc<Self>, mut request: CommitRequest) -> Result<()> {
        let _guard = AbortOnPanic("a commit");
        let mut last = lock(&self.sequencer);
        if let Err(error) = request.place_vectors() {
            drop(last);
            self.finish_commit(request, Err(error.clone()));
            return Err(error);
        }
        *last += 1;
        let touched = touched_tables(&request);
        publish(self, &mut request, *last);
        self.snapshots.advance(*last);
        drop(last);
        self.finish_commit(request, Ok(()));
        self.after_publish(&touched);
        Ok(())
    }

    /// Logs, syncs and publishes a small commit in the calling thread, if its session is the thread's only one and nobody
    /// else commits now, and leaves the result in its outcome; else gives it back.
    pub(crate) fn commit_alone(self: &Arc<Self>, request: CommitRequest) -> Option<CommitRequest> {
        match &self.durable {
            Some(durable) if request.channel.is_lone() && !self.has_to_wait(&request) => {
                durable.commit_alone(self, request)
            }
            _ => Some(request),
        }
    }

    /// Hands a commit over; its token is delivered when it is done.
    pub(crate) fn submit_commit(self: &Arc<Self>, mut request: CommitRequest) {
        if request.round.is_none() {
            request.round = self.round_to_wait_for(&request);
        }
        if Self::must_park(&request) {
            self.park(request);
            // The graph may have caught up in between, the round be over.
            self.unpark();
            return;
        }
        match &self.durable {
            Some(durable) => durable.submit(self, request),
            None => {
                // Whoever waits for the token learns the result from `commit_result`.
                let _ = self.commit_inline(request);
            }
        }
    }

    /// The result is known: locks go, the waiting session is told.
    pub(crate) fn finish_commit(&self, request: CommitRequest, result: Result<()>) {
        let mut news = News::default();
        news.add(self.settle_commit(request, result));
        news.tell();
    }

    /// As `finish_commit`, but whom to tell is the caller's to do: outside its locks, and each thread once for a group.
    pub(crate) fn settle_commit(&self, request: CommitRequest, result: Result<()>) -> Settled {
        if result.is_err() {
            // While its locks are held: whoever gets them finds the tables as they were.
            request.take_back(self);
        }
        if let Some(handle) = &request.serializable {
            self.serializable.end(handle, result.is_ok());
        }
        let acknowledgement = request.acknowledgement.filter(|_| result.is_ok());
        request.outcome.set(result);
        self.locks.release_all(request.session.process_id(), request.locks);
        Settled { acknowledgement, token: request.token.map(|token| (request.channel, token)) }
    }

    /// Background work a commit calls for.
    pub(crate) fn after_publish(self: &Arc<Self>, tables: &[Arc<Table>]) {
        for table in tables {
            for index in table.indexes().iter() {
                if let Some(hnsw) = index.hnsw() {
                    self.schedule_linking(index, hnsw);
                }
            }
            self.schedule_collection(table);
            self.schedule_removal(table);
            self.schedule_rounds(table);
            self.schedule_compaction(table);
        }
    }

    /// For a commit that has not been submitted yet.
    fn has_to_wait(self: &Arc<Self>, request: &CommitRequest) -> bool {
        Self::must_park(request) || self.round_to_wait_for(request).is_some()
    }

    /// Whether what a submitted commit waits for is not over. It begins nothing: a round that one waits for is its only one.
    fn must_park(request: &CommitRequest) -> bool {
        if request.round.as_ref().is_some_and(AwaitedRound::is_under_way) {
            return true;
        }
        let far_behind = |index: &Arc<Index>| {
            index.hnsw().is_some_and(|h| h.tail() > MAX_TAIL && h.linking.is_set())
        };
        request.tables.iter().any(|change| {
            change.vectors.iter().any(|v| v.count > 0)
                && change.table.indexes().iter().any(far_behind)
        })
    }

    fn park(&self, request: CommitRequest) {
        let session = Arc::clone(&request.session);
        lock(&self.parked).push(request);
        // An interrupt that came before has not found it.
        if session.interrupt() != 0 {
            self.cancel_parked(&session);
        }
    }

    /// Ends the commits of a session that wait: nothing of them has happened, so an interrupt undoes them.
    pub(super) fn cancel_parked(&self, session: &Session) {
        let is_its =
            |request: &mut CommitRequest| std::ptr::eq(&raw const *request.session, session);
        let cancelled: Vec<_> = lock(&self.parked).extract_if(.., is_its).collect();
        for request in cancelled {
            let interrupt = session.interrupt().max(INTERRUPT_CANCEL);
            self.finish_commit(request, Err(StoreError::interrupted(interrupt)));
        }
    }

    pub(crate) fn unpark(self: &Arc<Self>) {
        // Looked at while they stay in the list: who ends a wait beside this comes behind it, and looks again.
        let ready: Vec<_> =
            lock(&self.parked).extract_if(.., |request| !Self::must_park(request)).collect();
        for request in ready {
            self.submit_commit(request);
        }
    }

    /// Links an index's published vids in the pool, and measures the graph where that is due, one job per index at a time.
    pub(crate) fn schedule_linking(self: &Arc<Self>, index: &Arc<Index>, hnsw: &HnswIndex) {
        let has_work = hnsw.tail() > 0 || hnsw.measurement_is_due();
        if !has_work || !hnsw.linking.ask() {
            return;
        }
        let (engine, index) = (Arc::clone(self), Arc::clone(index));
        self.pool.submit(move || {
            let hnsw = index.hnsw().expect("scheduled for an hnsw index");
            let threads = if hnsw.tail() > MAX_TAIL { engine.pool.size } else { 1 };
            hnsw.link(threads, engine.snapshots.oldest(), &AtomicU64::new(0), &engine.closing);
            // What was published beside the last look is seen by the next one below.
            hnsw.linking.clear();
            if !engine.closing.load(Ordering::Relaxed) {
                engine.schedule_linking(&index, hnsw);
            }
            engine.unpark();
        });
    }
}

pub(crate) fn touched_tables(request: &CommitRequest) -> Vec<Arc<Table>> {
    request.tables.iter().map(|c| Arc::clone(&c.table)).collect()
}
