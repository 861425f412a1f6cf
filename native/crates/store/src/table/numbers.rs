//! The numbers (vids) of dead vectors on their way to being given again.
//!
//! ```text
//!   dead      ended by a commit; a snapshot may see them, graphs lead through them
//!   unlinked  nobody sees them, no graph has them; the last checkpoint may name them, in its rows or in its graphs
//!   settling  the same, while the checkpoint that names them no more is being written
//!   held      that is durable, but a backup copies an earlier one
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
//!
//! Rounds take all that no reader sees from `dead` to `free`: one begins when as many wait as are in use (`reclaim`). While
//! one is under way a commit may have to wait for its end (`round_to_wait_for`), or commits that are faster than rounds
//! would take fresh numbers, and with them room, without end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::vectors::VectorColumn;
use crate::sync::lock;

/// Dead vectors that are worth a pass over the graphs: this many, and this share of all.
const WORTHWHILE: usize = 1024;
const WORTHWHILE_SHARE: usize = 5;
/// Numbers that wait for a round, for each one in use, from which on commits wait too. Updating every row of a table once
/// takes two numbers a row, so it is short of twice that with an update of every row still to come.
const WAITING_MOST: usize = 2;
/// Fresh numbers that commits may take during a round all the same: one in so many of those in use.
const FRESH_SHARE: usize = 32;

#[derive(Default)]
pub struct Numbers(Mutex<Stages>);

#[derive(Default)]
struct Stages {
    /// With the commits that ended them, in their order.
    dead: VecDeque<(u64, u32)>,
    unlinked: Vec<u32>,
    settling: Vec<u32>,
    held: Vec<u32>,
    /// Largest first: the smallest is given first, and neighbours in time are neighbours on disk.
    free: Vec<u32>,
    /// Graphs being built over the column.
    building: u32,
    /// Dead vectors that are being taken out of graphs.
    removing: usize,
    /// Rounds begun.
    rounds: u64,
    /// The last one of them is under way.
    in_round: bool,
    /// Fresh numbers given since it began.
    fresh: usize,
}

impl Stages {
    fn add_free(&mut self, numbers: Vec<u32>) {
        self.free.extend(numbers);
        self.free.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// How many numbers a round would make free, and how many are in use of `numbered`: what a reader's snapshot from before
    /// `oldest` sees is.
    fn waiting(&self, oldest: u64, numbered: u32) -> (usize, usize) {
        let unseen = self.dead.partition_point(|&(commit, _)| commit <= oldest);
        let unlinked = self.unlinked.len() + self.settling.len() + self.held.len();
        let waiting = unseen + self.removing + unlinked;
        (waiting, (numbered as usize).saturating_sub(waiting + self.free.len()))
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
        due && stages.building == 0 && stages.removing == 0
    }

    /// Takes the dead vectors below the limit that no snapshot from `oldest` on sees; `end_removal` must follow. None when
    /// there is nothing to do or it cannot be done now. `limit` is asked when no graph is being built: those that it finds
    /// are all there are.
    pub fn begin_removal(&self, oldest: u64, limit: impl FnOnce() -> u32) -> Option<Vec<u32>> {
        let mut stages = lock(&self.0);
        if stages.building > 0 || stages.removing > 0 {
            return None;
        }
        let limit = limit();
        let count = stages.dead.iter().take_while(|(commit, _)| *commit <= oldest).count();
        let (taken, later): (Vec<_>, Vec<_>) =
            stages.dead.drain(..count).partition(|&(_, vid)| vid < limit);
        later.into_iter().rev().for_each(|entry| stages.dead.push_front(entry));
        stages.removing = taken.len();
        (!taken.is_empty()).then(|| taken.into_iter().map(|(_, vid)| vid).collect())
    }

    /// No graph has these any more, or, when the removal was cancelled, they are as dead as before. `settled`: no
    /// checkpoint will ever name a vector of the column.
    pub fn end_removal(&self, numbers: Vec<u32>, cancelled: bool, settled: bool) {
        let mut stages = lock(&self.0);
        stages.removing = 0;
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

    /// The checkpoint is durable, and the log before it will not be replayed. `hold`: what it settles stays as it is until
    /// `let_go`.
    pub fn checkpoint_ends(&self, hold: bool) {
        let mut stages = lock(&self.0);
        let settled = std::mem::take(&mut stages.settling);
        if hold {
            stages.held.extend(settled);
        } else if !settled.is_empty() {
            stages.add_free(settled);
        }
    }

    /// What earlier checkpoints settled is free.
    pub fn let_go(&self) {
        let mut stages = lock(&self.0);
        let held = std::mem::take(&mut stages.held);
        if !held.is_empty() {
            stages.add_free(held);
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
        stages.fresh += count - taken.len();
        taken
    }

    /// Notes that a load has brought fresh numbers.
    pub fn note_fresh(&self, count: usize) {
        lock(&self.0).fresh += count;
    }

    /// The smallest `count` numbers that may be given again, for a commit that is still to come; None unless there are so many.
    pub fn reserve(&self, count: usize) -> Option<Vec<u32>> {
        let mut stages = lock(&self.0);
        if stages.building > 0 || count == 0 {
            return None;
        }
        let rest = stages.free.len().checked_sub(count)?;
        let mut taken = stages.free.split_off(rest);
        taken.reverse();
        Some(taken)
    }

    /// Numbers that were reserved and not given are free.
    pub fn give_back(&self, numbers: Vec<u32>) {
        if !numbers.is_empty() {
            lock(&self.0).add_free(numbers);
        }
    }

    /// Whether a graph is being built that commits do not know of.
    pub fn is_building(&self) -> bool {
        lock(&self.0).building > 0
    }

    /// Whether some wait that only a checkpoint makes free.
    pub fn wait_for_checkpoint(&self) -> bool {
        !lock(&self.0).unlinked.is_empty()
    }

    /// Begins a round if one is due: true for the one who has to do it, and to call `end_round`. `oldest`: of readers'
    /// snapshots. `numbered`: numbers given so far.
    pub fn begin_round(&self, oldest: u64, numbered: u32) -> bool {
        let mut stages = lock(&self.0);
        if stages.in_round || stages.building > 0 {
            return false;
        }
        let (waiting, used) = stages.waiting(oldest, numbered);
        stages.in_round = waiting >= WORTHWHILE.max(used);
        if stages.in_round {
            (stages.rounds, stages.fresh) = (stages.rounds + 1, 0);
        }
        stages.in_round
    }

    pub fn end_round(&self) {
        lock(&self.0).in_round = false;
    }

    /// The round that a commit with `count` new vectors has to wait for, if it has to.
    pub fn round_to_wait_for(&self, oldest: u64, numbered: u32, count: usize) -> Option<u64> {
        let stages = lock(&self.0);
        if !stages.in_round || stages.building > 0 {
            return None;
        }
        let (waiting, used) = stages.waiting(oldest, numbered);
        let is_much = waiting >= WORTHWHILE.max(WAITING_MOST * used);
        let fresh = count.saturating_sub(stages.free.len());
        let takes_many = fresh > 0 && stages.fresh + fresh > used / FRESH_SHARE;
        (is_much && takes_many).then_some(stages.rounds)
    }

    pub fn is_in_round(&self, round: u64) -> bool {
        let stages = lock(&self.0);
        stages.in_round && stages.rounds == round
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
        numbers.checkpoint_ends(false);
        assert_eq!(numbers.take(3), [0, 1, 2]);
        assert_eq!(numbers.take(3), [3], "what came after the checkpoint began waits for the next");
        numbers.checkpoint_begins();
        numbers.checkpoint_ends(true);
        assert!(numbers.take(10).is_empty(), "held");
        numbers.let_go();
        assert_eq!(numbers.take(10), [4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn who_takes_many_fresh_numbers_waits_for_the_round() {
        const ROWS: u32 = 2000;
        let numbers = Numbers::default();
        let end = |commit, vids: std::ops::Range<u32>| {
            vids.for_each(|vid| numbers.note_dead(commit, vid));
        };
        assert!(numbers.take(ROWS as usize).is_empty());
        numbers.take(ROWS as usize);
        end(2, 0..ROWS);
        assert!(!numbers.begin_round(1, 2 * ROWS), "a snapshot sees them");
        assert!(numbers.begin_round(2, 2 * ROWS));
        assert!(!numbers.begin_round(2, 2 * ROWS), "one at a time");
        assert_eq!(numbers.round_to_wait_for(2, 2 * ROWS, 2000), None, "as many wait as are used");
        numbers.take(ROWS as usize);
        end(3, ROWS..2 * ROWS);
        assert_eq!(numbers.round_to_wait_for(3, 3 * ROWS, 2000), Some(1));
        assert_eq!(numbers.round_to_wait_for(2, 3 * ROWS, 2000), None, "a snapshot sees half");
        numbers.end_round();
        assert!(!numbers.is_in_round(1));
        assert!(numbers.begin_round(3, 3 * ROWS));
        assert_eq!(numbers.round_to_wait_for(3, 3 * ROWS, 60), None, "a few are given");
        numbers.take(60);
        assert_eq!(numbers.round_to_wait_for(3, 3 * ROWS, 100), Some(2), "but not again and again");
        let taken = numbers.begin_removal(3, || ROWS).expect("some are dead");
        numbers.end_removal(taken, false, true);
        let reserved = numbers.reserve(100).expect("so many are free");
        assert_eq!(reserved[..3], [0, 1, 2]);
        numbers.give_back(reserved);
        assert_eq!(numbers.round_to_wait_for(3, 3 * ROWS, 100), None, "there are free ones");
    }
}
