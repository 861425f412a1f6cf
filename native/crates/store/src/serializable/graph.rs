//! Who read what whom overwrote: serializable transactions and the rw-conflicts between them.
//!
//! A conflict `R -> W` says that R read a version which W replaced (or missed a row which W made) while both ran: in any
//! serial order R comes first. Snapshot isolation is serializable unless there is a chain `T0 -> T1 -> T2` of which T2
//! committed first (T0 and T2 may be one); T1 is the pivot. Whoever closes such a chain, or is found to be its pivot, must
//! end. Cahill, Röhm, Fekete: Serializable Isolation for Snapshot Databases, SIGMOD 2008; Ports, Grittner: Serializable
//! Snapshot Isolation in PostgreSQL, VLDB 2012, whose rules for commit order, read-only transactions and choice of the
//! victim these are.
//!
//! Time here is a counter of its own that moves at every prepare and every commit, all under one mutex, so "before" is never
//! in doubt. This file knows no marks: `marks` finds conflicts, this file judges them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Failure;
use crate::session::Channel;

pub type NodeId = u64;

/// A transaction's own hold on its node.
pub struct Handle {
    pub id: NodeId,
    /// The commit number its snapshot reads up to.
    pub snapshot: u64,
    /// Its own commit number, set before anybody can see its rows; 0 until then.
    pub commit: AtomicU64,
    /// A read-only transaction that can see no anomaly any more: it is not followed further.
    pub is_safe: AtomicBool,
}

/// What is known of the snapshot of a read-only transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    Unknown,
    Safe,
    Unsafe,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a transaction, not states of one machine"
)]
pub struct Node {
    pub handle: Arc<Handle>,
    /// The clock when its snapshot was taken.
    begin: u64,
    /// The clock when it passed its last check; 0 before.
    prepared: u64,
    /// The clock at its commit; 0 before.
    committed: u64,
    /// Must end: found to be a pivot by somebody who committed.
    doomed: bool,
    /// Declared so, or ended without having written.
    read_only: bool,
    did_write: bool,
    /// When the first of those it has a conflict out to was prepared; `u64::MAX` = none yet.
    earliest_out: u64,
    /// R of every R -> this.
    conflicts_in: BTreeSet<NodeId>,
    /// W of every this -> W.
    conflicts_out: BTreeSet<NodeId>,
    /// Read-only: writers that ran when the snapshot was taken and have not ended.
    unsafe_writers: BTreeSet<NodeId>,
    safety: Safety,
    /// Who waits to hear whether the snapshot is safe.
    waiter: Option<(Arc<Channel>, u32)>,
    /// Stands for several that have committed: every number is the one that makes a conflict likeliest.
    is_summary: bool,
}

impl Node {
    fn is_committed(&self) -> bool {
        self.committed != 0
    }

    fn is_prepared(&self) -> bool {
        self.prepared != 0
    }
}

/// Tokens to be delivered once the graph is unlocked.
pub type Wakeups = Vec<(Arc<Channel>, u32)>;

#[derive(Default)]
pub struct Graph {
    nodes: BTreeMap<NodeId, Node>,
    clock: u64,
    next_id: NodeId,
}

impl Graph {
    /// A new transaction whose snapshot was taken under the same lock.
    pub fn begin(&mut self, snapshot: u64, read_only: bool) -> Arc<Handle> {
        self.next_id += 1;
        let id = self.next_id;
        let writers = self.nodes.iter().filter(|(_, n)| !n.is_committed() && !n.read_only);
        let unsafe_writers: BTreeSet<NodeId> =
            if read_only { writers.map(|(id, _)| *id).collect() } else { BTreeSet::new() };
        let safe = read_only && unsafe_writers.is_empty();
        let handle = Arc::new(Handle {
            id,
            snapshot,
            commit: AtomicU64::new(0),
            is_safe: AtomicBool::new(safe),
        });
        let node = Node {
            handle: Arc::clone(&handle),
            begin: self.clock,
            prepared: 0,
            committed: 0,
            doomed: false,
            read_only,
            did_write: false,
            earliest_out: u64::MAX,
            conflicts_in: BTreeSet::new(),
            conflicts_out: BTreeSet::new(),
            unsafe_writers,
            safety: if safe { Safety::Safe } else { Safety::Unknown },
            waiter: None,
            is_summary: false,
        };
        // One that is safe from the start needs no node.
        if !safe {
            self.nodes.insert(id, node);
        }
        handle
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("an open transaction has a node")
    }

    /// Whether the transaction is followed (false: it is safe). An error when somebody has decided that it must end.
    pub fn check(&self, id: NodeId, failure: Failure) -> Result<bool, Failure> {
        match self.nodes.get(&id) {
            Some(node) if node.doomed => Err(failure),
            node => Ok(node.is_some()),
        }
    }

    pub fn note_write(&mut self, id: NodeId) {
        self.node_mut(id).did_write = true;
    }

    /// `reader` (who asks) reads what `writer` has changed. Whether that is a conflict depends on whether the snapshot it
    /// reads with sees the change.
    pub fn conflict_out(
        &mut self,
        reader: NodeId,
        writer: NodeId,
        snapshot: u64,
    ) -> Result<(), Failure> {
        let (Some(r), Some(w)) = (self.nodes.get(&reader), self.nodes.get(&writer)) else {
            return Ok(());
        };
        let commit = w.handle.commit.load(Ordering::Acquire);
        let is_visible = commit != 0 && commit <= snapshot;
        // A committed writer endangers a reader that only reads if somebody committed before the reader began.
        let harmless = r.read_only && w.is_committed() && w.earliest_out > r.begin;
        if reader == writer || w.doomed || is_visible || harmless {
            return Ok(());
        }
        self.add_conflict(reader, writer, reader)
    }

    /// `writer` (who asks) changes what `reader` has read.
    pub fn conflict_in(&mut self, reader: NodeId, writer: NodeId) -> Result<(), Failure> {
        let (Some(r), Some(w)) = (self.nodes.get(&reader), self.nodes.get(&writer)) else {
            return Ok(());
        };
        let commit = r.handle.commit.load(Ordering::Acquire);
        let is_visible = !r.is_summary && commit != 0 && commit <= w.handle.snapshot;
        let ended_before = is_visible || (r.is_committed() && r.committed <= w.begin);
        if reader == writer || r.doomed || ended_before {
            return Ok(());
        }
        self.add_conflict(reader, writer, writer)
    }

    fn add_conflict(&mut self, reader: NodeId, writer: NodeId, me: NodeId) -> Result<(), Failure> {
        let is_known = !self.node_mut(reader).conflicts_out.insert(writer);
        // With a summary it may be a conflict with another of those it stands for.
        if is_known && !self.nodes[&reader].is_summary && !self.nodes[&writer].is_summary {
            return Ok(());
        }
        self.node_mut(writer).conflicts_in.insert(reader);
        let prepared = self.nodes[&writer].prepared;
        if prepared != 0 {
            let r = self.node_mut(reader);
            r.earliest_out = r.earliest_out.min(prepared);
        }
        if !self.is_dangerous(reader, writer) {
            return Ok(());
        }
        if me == writer {
            return Err(Failure::Writing);
        }
        if self.nodes[&writer].is_prepared() {
            return Err(Failure::ReadingOf(writer));
        }
        self.node_mut(writer).doomed = true;
        Ok(())
    }

    /// Whether `reader -> writer` is part of a chain that was not there before and whose end committed first.
    fn is_dangerous(&self, reader: NodeId, writer: NodeId) -> bool {
        let (r, w) = (&self.nodes[&reader], &self.nodes[&writer]);
        // reader -> writer -> T2: the writer is the pivot. Of all T2 the first to commit says it for all.
        let t2 = w.earliest_out;
        let writer_is_pivot = t2 != u64::MAX
            && (!r.is_committed() || t2 <= r.committed)
            && (!w.is_committed() || t2 <= w.committed)
            && (!r.read_only || t2 <= r.begin);
        // T0 -> reader -> writer: the reader is the pivot, if the writer commits first of the three.
        let reader_is_pivot = || {
            r.conflicts_in.iter().filter_map(|t0| self.nodes.get(t0)).any(|t0| {
                !t0.doomed
                    && (!t0.is_committed() || t0.committed >= w.prepared)
                    && (!t0.read_only || t0.begin >= w.prepared)
            })
        };
        writer_is_pivot || (w.is_prepared() && !r.read_only && reader_is_pivot())
    }

    /// The last check before a commit. From here on the transaction cannot be chosen as victim any more.
    pub fn prepare(&mut self, id: NodeId) -> Result<(), Failure> {
        if !self.check(id, Failure::Committing)? {
            return Ok(());
        }
        let mut pivots = Vec::new();
        for near_id in &self.nodes[&id].conflicts_in {
            let Some(near) = self.nodes.get(near_id) else { continue };
            if near.is_committed() || near.doomed {
                continue;
            }
            let closes = near.conflicts_in.iter().any(|far_id| {
                let open = |far: &Node| !far.is_committed() && !far.read_only && !far.doomed;
                *far_id == id || self.nodes.get(far_id).is_some_and(open)
            });
            if closes && near.is_prepared() {
                return Err(Failure::CommittingBeside);
            }
            if closes {
                pivots.push(*near_id);
            }
        }
        for pivot in pivots {
            self.node_mut(pivot).doomed = true;
        }
        self.clock += 1;
        let now = self.clock;
        let me = self.node_mut(id);
        me.prepared = now;
        for reader in me.conflicts_in.clone() {
            if let Some(reader) = self.nodes.get_mut(&reader) {
                reader.earliest_out = reader.earliest_out.min(now);
            }
        }
        Ok(())
    }

    /// The transaction has ended. Gives the transactions whose marks mean nothing to anybody any more, and whom to wake.
    pub fn end(&mut self, id: NodeId, committed: bool) -> (Vec<NodeId>, Wakeups) {
        let Some(node) = self.nodes.get_mut(&id) else { return (Vec::new(), Vec::new()) };
        if committed {
            self.clock += 1;
            node.committed = self.clock;
            node.read_only |= !node.did_write;
        }
        let (wrote, earliest_out) = (committed && node.did_write, node.earliest_out);
        let (mut gone, wakeups) = self.tell_readers(id, wrote, earliest_out);
        if !committed {
            gone.push(id);
        }
        for id in &gone {
            self.remove(*id);
        }
        let open = self.nodes.values().filter(|n| !n.is_committed());
        let oldest = open.map(|n| n.begin).min().unwrap_or(u64::MAX);
        let ended = |n: &Node| n.is_committed() && n.committed <= oldest;
        let ended: Vec<NodeId> =
            self.nodes.iter().filter(|(_, n)| ended(n)).map(|(id, _)| *id).collect();
        for id in &ended {
            self.remove(*id);
        }
        gone.extend(ended);
        (gone, wakeups)
    }

    /// Read-only transactions learn from the end of every writer they began beside. Gives those that are safe by now.
    fn tell_readers(
        &mut self,
        id: NodeId,
        wrote: bool,
        earliest_out: u64,
    ) -> (Vec<NodeId>, Wakeups) {
        let (mut safe, mut wakeups) = (Vec::new(), Vec::new());
        for (reader, node) in &mut self.nodes {
            if !node.unsafe_writers.remove(&id) {
                continue;
            }
            if wrote && earliest_out <= node.begin {
                node.safety = Safety::Unsafe;
            } else if node.unsafe_writers.is_empty() && node.safety == Safety::Unknown {
                node.safety = Safety::Safe;
                node.handle.is_safe.store(true, Ordering::Release);
                safe.push(*reader);
            }
            if node.safety != Safety::Unknown {
                wakeups.extend(node.waiter.take());
            }
        }
        (safe, wakeups)
    }

    /// When more than `limit` transactions are kept, makes one of two committed ones: (the one that goes, the one it becomes).
    /// A single transaction that runs for long would keep all that commit meanwhile.
    pub fn summarize(&mut self, limit: usize) -> Option<(NodeId, NodeId)> {
        if self.nodes.len() <= limit {
            return None;
        }
        let mut committed = self.nodes.iter().filter(|(_, n)| n.is_committed()).map(|(id, _)| *id);
        let (into, from) = (committed.next()?, committed.next()?);
        let gone = self.nodes.remove(&from)?;
        for reader in &gone.conflicts_in {
            if let Some(reader) = self.nodes.get_mut(reader) {
                reader.conflicts_out.remove(&from);
                reader.conflicts_out.insert(into);
            }
        }
        for writer in &gone.conflicts_out {
            if let Some(writer) = self.nodes.get_mut(writer) {
                writer.conflicts_in.remove(&from);
                writer.conflicts_in.insert(into);
            }
        }
        let summary = self.node_mut(into);
        summary.is_summary = true;
        // That one of those it stands for is safe says nothing of the others.
        summary.unsafe_writers.clear();
        summary.begin = summary.begin.max(gone.begin);
        summary.prepared = summary.prepared.min(gone.prepared);
        summary.committed = summary.committed.max(gone.committed);
        summary.read_only &= gone.read_only;
        summary.earliest_out = summary.earliest_out.min(gone.earliest_out);
        summary
            .handle
            .commit
            .fetch_max(gone.handle.commit.load(Ordering::Acquire), Ordering::AcqRel);
        summary.conflicts_in.extend(gone.conflicts_in);
        summary.conflicts_out.extend(gone.conflicts_out);
        for own in [from, into] {
            summary.conflicts_in.remove(&own);
            summary.conflicts_out.remove(&own);
        }
        let (prepared, readers) = (summary.prepared, summary.conflicts_in.clone());
        for reader in readers {
            if let Some(reader) = self.nodes.get_mut(&reader) {
                reader.earliest_out = reader.earliest_out.min(prepared);
            }
        }
        Some((from, into))
    }

    fn remove(&mut self, id: NodeId) {
        let Some(node) = self.nodes.remove(&id) else { return };
        for reader in node.conflicts_in {
            if let Some(reader) = self.nodes.get_mut(&reader) {
                reader.conflicts_out.remove(&id);
            }
        }
        for writer in node.conflicts_out {
            if let Some(writer) = self.nodes.get_mut(&writer) {
                writer.conflicts_in.remove(&id);
            }
        }
    }

    /// What is known of a read-only transaction's snapshot; `waiter` is told when that changes.
    pub fn safety(&mut self, id: NodeId, waiter: Option<(Arc<Channel>, u32)>) -> Safety {
        let Some(node) = self.nodes.get_mut(&id) else { return Safety::Safe };
        node.waiter = if node.safety == Safety::Unknown { waiter } else { None };
        node.safety
    }

    /// Gives up the wait for a safe snapshot.
    pub fn take_waiter(&mut self, id: NodeId) -> Option<(Arc<Channel>, u32)> {
        self.nodes.get_mut(&id).and_then(|n| n.waiter.take())
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }
}
