//! The numbers (vids) of dead vectors on their way to being given again.
//!
//! ```text
//!   dead      ended by a commit; a snapshot may see them, graphs lead through them
//!   unlinked  nobody sees them, no graph has them; the last checkpoint may name them, in its rows or in its graphs
//!   settling  the same, while the checkpoint that names them no more is being written
//!   free      a commit may write other vectors there
//! ```
//!
//! Each step asks for what would otherwise give a wrong answer: a dead vector leaves the graphs when no snapshot sees it,
//! a slot is written anew only when neither a search nor a crash can lead anybody there who expects the old vector. A
//! search holds a snapshot, or is counted by the graph it walks (`HnswGraph::remove` waits for those).
//!
//! While a graph is built that commits do not know of yet (`Building`), no number moves to `unlinked` and none is given
//! again: the build could have passed a vector it must find, or hold one that is gone.
//!
//! A number lost on the way (its commit failed after numbering, a crash) is found again when the table is loaded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::vectors::VectorColumn;
use crate::sync::lock;

/// Dead vectors that are worth a pass over the graphs: this many, and this share of all.
const WORTHWHILE: usize = 1024;
const WORTHWHILE_SHARE: usize = 5;

#[derive(Default)]
pub struct Numbers(Mutex<Stages>);

#[derive(Default)]
struct Stages {
    /// With the commits that ended them, in their order.
    dead: VecDeque<(u64, u32)>,
    unlinked: Vec<u32>,
    settling: Vec<u32>,
    /// Largest first: the smallest is given first, and neighbours in time are neighbours on disk.
    free: Vec<u32>,
    /// Graphs being built over the column.
    building: u32,
    /// Dead vectors are being taken out of graphs.
    removing: bool,
}

impl Stages {
    fn add_free(&mut self, numbers: Vec<u32>) {
        self.free.extend(numbers);
        self.free.sort_unstable_by(|a, b| b.cmp(a));
    }
}

impl Numbers {
    /// Notes that a commit has ended a vector. Commits come in their order.
    pub fn note_dead(&self, commit: u64, vid: u32) {
        lock(&self.0).dead.push_back((commit, vid));
    }

    /// Whether a pass over the graphs is worth its while. `all`: vectors of the column, dead ones included.
    pub fn removal_is_due(&self, oldest: u64, all: u32) -> bool {
        let stages = lock(&self.0);
        let enough = WORTHWHILE.max(all as usize / WORTHWHILE_SHARE);
        let due = stages.dead.get(enough - 1).is_some_and(|&(commit, _)| commit <= oldest);
        due && stages.building == 0 && !stages.removing
    }

    /// Takes the dead vectors below the limit that no snapshot from `oldest` on sees; `end_removal` must follow. None when
    /// there is nothing to do or it cannot be done now. `limit` is asked when no graph is being built: those that it finds
    /// are all there are.
    pub fn begin_removal(&self, oldest: u64, limit: impl FnOnce() -> u32) -> Option<Vec<u32>> {
        let mut stages = lock(&self.0);
        if stages.building > 0 || stages.removing {
            return None;
        }
        let limit = limit();
        let count = stages.dead.iter().take_while(|(commit, _)| *commit <= oldest).count();
        let (taken, later): (Vec<_>, Vec<_>) =
            stages.dead.drain(..count).partition(|&(_, vid)| vid < limit);
        later.into_iter().rev().for_each(|entry| stages.dead.push_front(entry));
        stages.removing = !taken.is_empty();
        (!taken.is_empty()).then(|| taken.into_iter().map(|(_, vid)| vid).collect())
    }

    /// No graph has these any more, or, when the removal was cancelled, they are as dead as before. `settled`: no
    /// checkpoint will ever name a vector of the column.
    pub fn end_removal(&self, numbers: Vec<u32>, cancelled: bool, settled: bool) {
        let mut stages = lock(&self.0);
        stages.removing = false;
        if cancelled {
            for vid in numbers {
                stages.dead.push_front((0, vid));
            }
        } else if settled {
            stages.add_free(numbers);
        } else {
            stages.unlinked.extend(numbers);
        }
    }

    /// Numbers that no row and no graph of a loaded table names.
    pub fn note_unlinked(&self, numbers: impl Iterator<Item = u32>) {
        lock(&self.0).unlinked.extend(numbers);
    }

    /// What is unlinked now the checkpoint that begins will not name.
    pub fn checkpoint_begins(&self) {
        let mut stages = lock(&self.0);
        let unlinked = std::mem::take(&mut stages.unlinked);
        stages.settling.extend(unlinked);
    }

    /// The checkpoint is durable, and the log before it will not be replayed.
    pub fn checkpoint_ends(&self) {
        let mut stages = lock(&self.0);
        let settled = std::mem::take(&mut stages.settling);
        if !settled.is_empty() {
            stages.add_free(settled);
        }
    }

    /// The smallest `count` numbers that may be given again, or as many as there are.
    pub fn take(&self, count: usize) -> Vec<u32> {
        let mut stages = lock(&self.0);
        if stages.building > 0 {
            return Vec::new();
        }
        let rest = stages.free.len() - count.min(stages.free.len());
        let mut taken = stages.free.split_off(rest);
        taken.reverse();
        taken
    }
}

/// A graph over the column is being built; dropped when commits know of it, or it is given up.
pub struct Building(Arc<VectorColumn>);

impl Building {
    pub fn begin(column: &Arc<VectorColumn>) -> Self {
        lock(&column.numbers.0).building += 1;
        Self(Arc::clone(column))
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        lock(&self.0.numbers.0).building -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_passes_every_stage() {
        let numbers = Numbers::default();
        for vid in 0..10 {
            numbers.note_dead(u64::from(vid) + 1, vid);
        }
        // Seen by a snapshot of commit 5, or beyond what a graph has linked.
        let taken = numbers.begin_removal(6, || 4).expect("some are dead");
        assert_eq!(taken, [0, 1, 2, 3]);
        assert!(numbers.begin_removal(10, || 10).is_none(), "one removal at a time");
        numbers.end_removal(taken, false, false);
        assert!(numbers.take(4).is_empty());
        numbers.checkpoint_begins();
        let more = numbers.begin_removal(10, || 10).expect("the others");
        assert_eq!(more, [4, 5, 6, 7, 8, 9]);
        numbers.end_removal(more, false, false);
        numbers.checkpoint_ends();
        assert_eq!(numbers.take(3), [0, 1, 2]);
        assert_eq!(numbers.take(3), [3], "what came after the checkpoint began waits for the next");
        numbers.checkpoint_begins();
        numbers.checkpoint_ends();
        assert_eq!(numbers.take(10), [4, 5, 6, 7, 8, 9]);
    }
}
