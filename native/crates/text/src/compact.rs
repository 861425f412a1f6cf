//! Compacting: another index of the same documents without those that nobody can see any more, numbered without gaps.
//!
//! The work is done beside searches, additions and removals; what came meanwhile is carried over when the caller, who keeps
//! additions and removals away for that moment, takes the new index. The old one goes on answering those who hold it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, MutexGuard};

use crate::index::{State, TextIndex};
use crate::merge::Merge;
use crate::segment::Segment;

/// A compaction under way. Nothing seals or merges the index, and no manifest is taken of it, while one is.
pub struct Compaction<'a> {
    index: &'a TextIndex,
    next_id: MutexGuard<'a, u64>,
    /// New numbers of the documents below the mark; None = left out.
    numbers: &'a [Option<u32>],
    kept: u32,
    segment: Option<Arc<Segment>>,
    dropped_terms: HashMap<String, u32>,
}

impl TextIndex {
    /// Rewrites the documents below `numbers.len()` under their new numbers, which ascend from zero without gaps; None = left
    /// out, which only removed documents may be. Every document below that will ever be added has been.
    pub fn compact<'a>(&'a self, numbers: &'a [Option<u32>]) -> Compaction<'a> {
        let mark = u32::try_from(numbers.len()).expect("documents are numbered in 32 bits");
        self.seal(mark);
        let next_id = self.lock_maintenance();
        let (inputs, dropped) = {
            let state = self.read();
            assert!(state.sealed_up_to <= mark, "nothing above the mark is sealed");
            let dropped = state.removed.docs().filter(|&doc| numbers[doc as usize].is_none());
            (state.segments.clone(), dropped.collect::<HashSet<u32>>())
        };
        let kept = numbers.iter().flatten().count() as u32;
        let statistics = self.kept_statistics(&inputs, &dropped);
        let place = |doc: u32| numbers[doc as usize];
        let mut merge = Merge { inputs: &inputs, place, dropped_terms: HashMap::new() };
        let segment = if statistics.docs > 0 {
            Some(Arc::new(merge.write(*next_id, statistics, 0..kept)))
        } else {
            merge.count_all_dropped();
            None
        };
        let dropped_terms = merge.dropped_terms;
        Compaction { index: self, next_id, numbers, kept, segment, dropped_terms }
    }
}

impl Compaction<'_> {
    /// The new index, with what was added and removed since: documents from the mark on follow the others. Nobody adds or
    /// removes meanwhile.
    pub fn finish(self) -> TextIndex {
        let state = self.index.read();
        let moved = self.numbers.len() as u32 - self.kept;
        let place = |doc: u32| self.numbers[doc as usize];
        let state = State {
            segments: self.segment.into_iter().collect(),
            frozen: None,
            delta: state.delta.moved_down(moved),
            removed: state.removed.renumbered(place, &self.dropped_terms),
            sealed_up_to: self.kept,
        };
        // Numbers of segments go on: files carry them.
        TextIndex::of_state(*self.index.params(), state, *self.next_id + 1)
    }
}
