//! Working memory of a traversal, kept by the caller between searches so that a search allocates nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A distance and a node as one integer that sorts by distance, then by node number: heaps compare one word, and ties
/// always break the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate(u64);

impl Candidate {
    #[inline]
    pub fn new(distance: f32, node: u32) -> Self {
        let bits = distance.to_bits();
        // Negative floats sort in reverse of their bits, positive ones after them.
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        Self((ordered as u64) << 32 | node as u64)
    }

    #[inline]
    pub fn node(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub fn distance(self) -> f32 {
        let ordered = (self.0 >> 32) as u32;
        f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
    }
}

/// Which nodes this search has met: one byte a node, holding the number of the search that met it last, so that starting a
/// search costs nothing but every 255th time.
#[derive(Default)]
pub(crate) struct Visited {
    epochs: Vec<u8>,
    epoch: u8,
}

impl Visited {
    /// Forgets everything.
    pub fn start(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.epochs.fill(0);
            self.epoch = 1;
        }
    }

    /// Marks `node`; true when it was not marked yet.
    #[inline]
    pub fn insert(&mut self, node: u32) -> bool {
        if node as usize >= self.epochs.len() {
            self.grow(node as usize);
        }
        let epoch = &mut self.epochs[node as usize];
        let fresh = *epoch != self.epoch;
        *epoch = self.epoch;
        fresh
    }

    /// Inserts go on during a search, so a node may be newer than the search.
    #[cold]
    fn grow(&mut self, node: usize) {
        const SPARE_NODES: usize = 4096;
        self.epochs.resize(node + 1 + SPARE_NODES + node / 8, 0);
    }
}

/// Reusable memory of one search at a time.
#[derive(Default)]
pub struct SearchScratch {
    pub(crate) visited: Visited,
    /// Nodes still to expand, nearest first.
    pub(crate) frontier: BinaryHeap<Reverse<Candidate>>,
    /// The best `ef` accepted nodes, farthest first.
    pub(crate) results: BinaryHeap<Candidate>,
    /// Nodes of one hop whose distances are wanted.
    pub(crate) wanted: Vec<u32>,
    /// Nodes of one hop that the filter rejected.
    pub(crate) rejected: Vec<u32>,
}

impl SearchScratch {
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn start(&mut self) {
        self.visited.start();
        self.frontier.clear();
        self.results.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_sort_as_their_distances() {
        let distances = [f32::NEG_INFINITY, -3.5, -1e-30, 0.0, 1e-40, 2.0, 3.0e38, f32::INFINITY];
        for pair in distances.windows(2) {
            assert!(Candidate::new(pair[0], 9) < Candidate::new(pair[1], 1));
        }
        for distance in distances {
            let candidate = Candidate::new(distance, 7);
            assert_eq!((candidate.distance().to_bits(), candidate.node()), (distance.to_bits(), 7));
            assert!(candidate < Candidate::new(distance, 8));
        }
    }

    #[test]
    fn marks_last_for_one_search_across_the_wrap_of_the_epoch() {
        let mut visited = Visited::default();
        for _ in 0..600 {
            visited.start();
            assert!(visited.insert(3) && visited.insert(9000));
            assert!(!visited.insert(3) && !visited.insert(9000));
        }
    }
}
