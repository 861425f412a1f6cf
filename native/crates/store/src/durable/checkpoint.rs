//! The applier thread: redo into the KV in commit order, and checkpoints between two commits.
//!
//! A checkpoint at commit c: vectors synced; graph files written; then one KV batch with c and the vector marks; KV
//! synced; log recycled up to c. Each step only promises what those before it made durable, so a crash anywhere leaves
//! either the old checkpoint or the new one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use omen_disk::{KvBatch, KvRange, VectorSegments};

use super::apply::{Applier, KEY_CHECKPOINT, KEY_OBJECT_IDS, encode_sequence, key};
use super::{CHECKPOINT_LOG_BYTES, Durable, Work};
use crate::engine::{Engine, vector_name};
use crate::error::Result;
use crate::pool::AbortOnPanic;
use crate::session::Channel;
use crate::sync::lock;

/// What the applier knows beyond the KV.
pub struct Checkpointer {
    pub applier: Applier,
    pub applied: u64,
    /// Nodes in the graph file of each index, as last written.
    graphs: HashMap<u32, u32>,
}

impl Checkpointer {
    pub fn new(applier: Applier, applied: u64) -> Self {
        Self { applier, applied, graphs: HashMap::new() }
    }
}

impl Durable {
    pub(super) fn run_applier(&self, engine: &Arc<Engine>, work: &Receiver<Work>, applied: u64) {
        let _guard = AbortOnPanic("applying commits to the store");
        let mut state = Checkpointer::new(Applier::new(Arc::clone(&self.kv)), applied);
        // Stop comes after the last commit: nothing is behind it.
        while let Ok(next) = work.recv() {
            match next {
                Work::Apply { commit, redo } => self.apply_one(engine, &mut state, commit, &redo),
                Work::Checkpoint(waiter) => self.checkpoint_for(engine, &mut state, waiter),
                Work::Stop => return,
            }
        }
    }

    fn apply_one(&self, engine: &Engine, state: &mut Checkpointer, commit: u64, redo: &[u8]) {
        // Once the KV is in doubt nothing may follow: the log keeps it all for the next start.
        if self.failure().is_some() {
            return;
        }
        let applied = state.applier.apply(commit, redo, &mut |_, _, _, _, _| Ok(()));
        match applied {
            Ok(()) => {
                state.applied = commit;
                self.applied.store(commit, Ordering::Release);
            }
            Err(error) => return self.fail(&error),
        }
        let due = lock(&self.log).as_ref().is_some_and(|l| l.replay_bytes() > CHECKPOINT_LOG_BYTES);
        if due {
            self.checkpoint_for(engine, state, None);
        }
    }

    fn checkpoint_for(
        &self,
        engine: &Engine,
        state: &mut Checkpointer,
        waiter: Option<(Arc<Channel>, u32)>,
    ) {
        if self.failure().is_none()
            && let Err(error) = self.checkpoint(engine, state)
        {
            self.fail(&error);
        }
        if let Some((channel, token)) = waiter {
            channel.deliver(&[token]);
        }
    }

    /// Makes everything up to `state.applied` durable outside the log.
    pub(super) fn checkpoint(&self, engine: &Engine, state: &mut Checkpointer) -> Result<()> {
        let commit = state.applied;
        for table in engine.loaded_tables().iter().filter(|t| !t.temporary) {
            for (_, vectors) in table.vector_columns() {
                vectors.segments.sync()?;
            }
        }
        self.write_graphs(engine, &mut state.graphs)?;
        let mut batch = KvBatch::new();
        batch.put(KEY_CHECKPOINT, commit.to_le_bytes().to_vec());
        // Every vid numbered by a commit up to here is written and synced: the marks catch up with the counters.
        for entry in self.kv.scan(KvRange::prefix(b"v")) {
            let (counter, next) = entry?;
            let mut mark = counter.to_vec();
            mark[0] = b'w';
            batch.put(mark, next);
        }
        self.kv.apply(batch)?;
        self.kv.persist()?;
        if let Some(log) = lock(&self.log).as_mut() {
            log.recycle(commit)?;
        }
        self.remove_side_files(commit)?;
        for relation in state.applier.dropped.drain(..) {
            self.remove_vectors(relation)?;
        }
        Ok(())
    }

    fn remove_vectors(&self, relation: u32) -> Result<()> {
        let prefix = format!("{relation}.");
        let names = match self.disk.list("vec") {
            Ok(names) => names,
            Err(error) if error.kind == omen_disk::DiskErrorKind::NotFound => return Ok(()),
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

    /// The clean end, with both threads gone: exact counters, derived files, a checkpoint, log and KV closed.
    pub(super) fn finish(&self, engine: &Engine) -> Result<()> {
        let commit = *lock(&engine.sequencer);
        let applied = self.applied.load(Ordering::Acquire);
        assert_eq!(applied, commit, "the KV has every commit before a checkpoint says so");
        let mut batch = KvBatch::new();
        for (id, sequence) in lock(&engine.sequences).iter().filter(|(_, s)| !s.spec.temporary) {
            if self.kv.get(&key(b'q', *id))?.is_some() {
                batch.put(key(b'q', *id), encode_sequence(&sequence.spec, sequence.state));
            }
        }
        batch.put(KEY_OBJECT_IDS, engine.next_object_id().to_le_bytes().to_vec());
        self.kv.apply(batch)?;
        self.write_texts(engine, commit)?;
        let mut state = Checkpointer::new(Applier::new(Arc::clone(&self.kv)), commit);
        self.checkpoint(engine, &mut state)?;
        if let Some(log) = lock(&self.log).take() {
            log.close()?;
        }
        Ok(self.kv.close()?)
    }
}
