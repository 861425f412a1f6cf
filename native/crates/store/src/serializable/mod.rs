//! SERIALIZABLE: snapshot isolation that ends transactions which could have seen, or made others see, what no serial order
//! gives. `graph` judges conflicts, `marks` finds them; here they meet, and transactions call.
//!
//! Only serializable transactions take part; for all others this module costs nothing. Reads of the catalogue leave no
//! marks. What is marked: rows fetched by number, the runs of index entries a walk has passed over, and whole tables for
//! full scans and for kNN and BM25 searches, whose answers hang on every row. Marks outlive their transaction's commit as
//! long as somebody runs who began before it; when too many are kept, committed transactions are merged into one that has the
//! marks of all. Rolling back to a savepoint keeps marks: too many, never too few.
//!
//! Lock order: a transaction's state -> a table's data -> `inner` -> the list of snapshots. Tokens are delivered outside.

mod graph;
mod marks;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

pub use graph::Handle;
use graph::{Graph, NodeId, Safety};
use marks::Marks;

use crate::error::{Result, StoreError, sqlstate};
use crate::key::ByteRange;
use crate::lock::next_token;
use crate::session::Channel;
use crate::snapshot::{Snapshot, Snapshots};
use crate::sync::lock;

/// How a transaction came to be the one that must end: PostgreSQL's reason codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Doomed before, found out at a read; at a write; at the commit.
    Reading,
    ConflictIn,
    Committing,
    /// Became the pivot by this write.
    Writing,
    /// Met a pivot that cannot be ended any more.
    ReadingOf(NodeId),
    CommittingBeside,
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let pivot = "Canceled on identification as a pivot";
        let reason = match failure {
            Failure::Reading => format!("{pivot}, during conflict out checking."),
            Failure::ConflictIn => format!("{pivot}, during conflict in checking."),
            Failure::Committing => format!("{pivot}, during commit attempt."),
            Failure::Writing => format!("{pivot}, during write."),
            Failure::ReadingOf(id) => {
                format!("Canceled on conflict out to pivot {id}, during read.")
            }
            Failure::CommittingBeside => {
                "Canceled on commit attempt with conflict in from prepared pivot.".to_owned()
            }
        };
        let message =
            "could not serialize access due to read/write dependencies among transactions";
        Self::new(sqlstate::SERIALIZATION_FAILURE, message)
            .detail(format!("Reason code: {reason}"))
            .hint("The transaction might succeed if retried.")
    }
}

#[derive(Default)]
struct Inner {
    graph: Graph,
    marks: Marks,
}

impl Inner {
    fn forget(&mut self, gone: &[NodeId]) {
        for id in gone {
            self.marks.forget(*id);
        }
    }
}

/// Transactions kept before committed ones are made one: what a transaction that runs for long can cost.
const MAX_NODES: usize = 4096;

pub struct Serializable {
    inner: Mutex<Inner>,
    max_nodes: usize,
    next_token: Arc<AtomicU32>,
}

impl Serializable {
    pub fn new(next_token: Arc<AtomicU32>) -> Self {
        Self { inner: Mutex::default(), max_nodes: MAX_NODES, next_token }
    }

    /// Takes a snapshot and begins to follow the transaction.
    pub fn begin(
        &self,
        snapshots: &Arc<Snapshots>,
        read_only: bool,
    ) -> (Arc<Snapshot>, Arc<Handle>) {
        let mut inner = lock(&self.inner);
        let snapshot = snapshots.take();
        let handle = inner.graph.begin(snapshot.number, read_only);
        (snapshot, handle)
    }

    /// Whether the snapshot of a read-only transaction can show no anomaly. Unsafe: begin again with another one.
    pub fn is_safe(&self, handle: &Handle, channel: &Arc<Channel>) -> SafeSnapshot {
        let token = next_token(&self.next_token);
        let safety = lock(&self.inner).graph.safety(handle.id, Some((Arc::clone(channel), token)));
        match safety {
            Safety::Safe => SafeSnapshot::Safe,
            Safety::Unsafe => SafeSnapshot::Unsafe,
            Safety::Unknown => SafeSnapshot::Wait(token),
        }
    }

    /// Ends the wait for a safe snapshot from outside; the repeated call finds the interrupt.
    pub fn cancel_wait(&self, handle: &Handle) {
        let waiter = lock(&self.inner).graph.take_waiter(handle.id);
        if let Some((channel, token)) = waiter {
            channel.deliver(&[token]);
        }
    }

    /// Rows read by number, with a snapshot that is the transaction's own or, in a check of constraints, a newer one: what
    /// it sees is no conflict. Errors: 40001, as for all that follow.
    pub fn read_rows(
        &self,
        handle: &Handle,
        snapshot: &Snapshot,
        relation: u32,
        rids: &[u32],
    ) -> Result<()> {
        self.read(handle, snapshot, |marks, met| marks.read_rows(handle.id, relation, rids, met))
    }

    pub fn read_table(&self, handle: &Handle, snapshot: &Snapshot, relation: u32) -> Result<()> {
        self.read(handle, snapshot, |marks, met| marks.read_table(handle.id, relation, met))
    }

    pub fn read_range(
        &self,
        handle: &Handle,
        snapshot: &Snapshot,
        relation: u32,
        index: u32,
        range: &ByteRange,
    ) -> Result<()> {
        self.read(handle, snapshot, |marks, met| {
            marks.read_range(handle.id, relation, index, range, met);
        })
    }

    fn read(
        &self,
        handle: &Handle,
        snapshot: &Snapshot,
        mark: impl FnOnce(&mut Marks, &mut BTreeSet<NodeId>),
    ) -> Result<()> {
        if handle.is_safe.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut inner = lock(&self.inner);
        if !inner.graph.check(handle.id, Failure::Reading)? {
            return Ok(());
        }
        let mut met = BTreeSet::new();
        mark(&mut inner.marks, &mut met);
        for writer in met {
            inner.graph.conflict_out(handle.id, writer, snapshot.number)?;
        }
        Ok(())
    }

    /// A row about to be written: `entries` are the index entries that come and go by it. `rid` None: a new row.
    pub fn write(
        &self,
        handle: &Handle,
        relation: u32,
        rid: Option<u32>,
        entries: &[(u32, Vec<u8>)],
    ) -> Result<()> {
        // Only temporary tables can be written by a transaction that is followed no more.
        if handle.is_safe.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut inner = lock(&self.inner);
        if !inner.graph.check(handle.id, Failure::ConflictIn)? {
            return Ok(());
        }
        inner.graph.note_write(handle.id);
        let mut met = BTreeSet::new();
        inner.marks.write(handle.id, relation, rid, entries, &mut met);
        for reader in met {
            inner.graph.conflict_in(reader, handle.id)?;
        }
        Ok(())
    }

    /// The last check before a commit is numbered.
    pub fn prepare(&self, handle: &Handle) -> Result<()> {
        Ok(lock(&self.inner).graph.prepare(handle.id)?)
    }

    /// The transaction has ended.
    pub fn end(&self, handle: &Handle, committed: bool) {
        let wakeups = {
            let mut inner = lock(&self.inner);
            let (gone, wakeups) = inner.graph.end(handle.id, committed);
            inner.forget(&gone);
            while let Some((from, into)) = inner.graph.summarize(self.max_nodes) {
                inner.marks.absorb(from, into);
            }
            wakeups
        };
        for (channel, token) in wakeups {
            channel.deliver(&[token]);
        }
    }
}

/// Answer of `Serializable::is_safe`.
pub enum SafeSnapshot {
    Safe,
    Unsafe,
    /// Ask again when the token is delivered.
    Wait(u32),
}
