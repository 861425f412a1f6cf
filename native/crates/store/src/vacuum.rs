//! VACUUM: what garbage collection does by itself, now and more of it, and how far it is.
//!
//! The phases have the names of PostgreSQL's that come nearest: "vacuuming indexes" takes dead versions out of btrees and out
//! of the lists of versions, "vacuuming heap" rewrites chunks, "cleaning up indexes" takes dead vectors out of graphs and
//! writes text indexes anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::collect::Collector;
use crate::engine::Engine;
use crate::error::Result;
use crate::lock::next_token;
use crate::session::Session;
use crate::sync::lock;
use crate::types::{Pending, VacuumProgress};

/// The VACUUMs of an engine that are not at their end.
#[derive(Default)]
pub struct Vacuums(Mutex<Vec<Arc<Progress>>>);

/// How far one is. A background collection has one too, which nobody sees.
#[derive(Default)]
pub struct Progress {
    process_id: u32,
    relation_id: u32,
    phase: Mutex<Phase>,
    pub chunks: AtomicU64,
    pub scanned: AtomicU64,
    pub rewritten: AtomicU64,
    pub dead: AtomicU64,
    pub dropped: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// In the pool's queue.
    #[default]
    Initializing,
    Versions,
    Chunks,
    Indexes,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Versions => "vacuuming indexes",
            Self::Chunks => "vacuuming heap",
            Self::Indexes => "cleaning up indexes",
        }
    }
}

impl Progress {
    pub fn enter(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }

    fn seen(&self) -> VacuumProgress {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        VacuumProgress {
            process_id: self.process_id,
            relation_id: self.relation_id,
            phase: lock(&self.phase).name(),
            chunks: count(&self.chunks),
            scanned: count(&self.scanned),
            rewritten: count(&self.rewritten),
            dead: count(&self.dead),
            dropped: count(&self.dropped),
        }
    }
}

impl Session {
    /// VACUUM: collects a table in the pool, and rewrites more of it than the engine does by itself; `full`: all that has a
    /// dead row. The session's channel delivers the token at the end.
    pub fn vacuum(&self, relation_id: u32, full: bool) -> Result<Pending> {
        let engine = &self.engine;
        let table = engine.table(relation_id)?;
        let token = next_token(&engine.next_token);
        let process_id = self.process_id();
        let progress = Arc::new(Progress { process_id, relation_id, ..Progress::default() });
        lock(&engine.vacuums.0).push(Arc::clone(&progress));
        let (of_pool, channel) = (Arc::clone(engine), Arc::clone(&self.owner.channel));
        engine.pool.submit(move || {
            let collector = if full { Collector::Full } else { Collector::Vacuum };
            of_pool.collect_now(&table, collector, &progress);
            progress.enter(Phase::Indexes);
            of_pool.remove_dead_of(&table, of_pool.pool.size);
            of_pool.compact_texts_of(&table, collector);
            lock(&of_pool.vacuums.0).retain(|other| !Arc::ptr_eq(other, &progress));
            channel.deliver(&[token]);
        });
        Ok(Pending::Wait(token))
    }
}

impl Engine {
    /// The VACUUMs that are asked for or under way.
    pub fn vacuum_progress(&self) -> Vec<VacuumProgress> {
        lock(&self.vacuums.0).iter().map(|progress| progress.seen()).collect()
    }
}
