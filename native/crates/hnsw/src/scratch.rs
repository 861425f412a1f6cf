//! Working memory of a traversal, kept by the caller between searches so that a search allocates nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::codes::QueryScratch;

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

/// The best candidates of an unfiltered beam, nearest first, each marked once its neighbours were met. One sorted array is
/// both the frontier and the results: for beams of the usual width a move of a few hundred bytes is cheaper than two heaps.
#[derive(Default)]
pub(crate) struct Nearest {
    /// `Candidate`s with the node shifted up by one and, as the lowest bit, [`Nearest::EXPANDED`].
    entries: Vec<u64>,
    capacity: usize,
    /// No entry before this one waits to be expanded.
    next: usize,
}

impl Nearest {
    const EXPANDED: u64 = 1;
    const DISTANCE: u64 = !(u32::MAX as u64);

    pub fn start(&mut self, capacity: usize) {
        self.entries.clear();
        self.entries.reserve(capacity + 1);
        (self.capacity, self.next) = (capacity, 0);
    }

    fn pack(candidate: Candidate, mark: u64) -> u64 {
        // Node numbers stay below 2^31, see `graph::MAX_NODE`.
        candidate.0 & Self::DISTANCE | (candidate.node() as u64) << 1 | mark
    }

    fn unpack(entry: u64) -> Candidate {
        Candidate(entry & Self::DISTANCE | (entry as u32 >> 1) as u64)
    }

    pub fn is_full(&self) -> bool {
        self.entries.len() == self.capacity
    }

    /// Whether a candidate at this distance would be kept.
    #[inline(always)]
    pub fn admits(&self, candidate: Candidate) -> bool {
        match self.entries.last() {
            Some(&worst) if self.is_full() => Self::pack(candidate, 0) < worst & !Self::EXPANDED,
            _ => true,
        }
    }

    /// Keeps a candidate that is admitted, in place of the worst if need be. `waits`: it is to be expanded.
    #[inline]
    pub fn insert(&mut self, candidate: Candidate, waits: bool) {
        let entry = Self::pack(candidate, u64::from(!waits));
        let at = self.entries.partition_point(|&other| other < entry);
        if self.is_full() {
            self.entries.pop();
        }
        self.entries.insert(at, entry);
        if waits {
            self.next = self.next.min(at);
        } else if at <= self.next {
            // The waiting entry moved up by one; entries before it still do not wait.
            self.next += 1;
        }
    }

    /// The nearest candidate that waits, without taking it.
    #[inline]
    pub fn peek(&self) -> Option<Candidate> {
        self.entries.get(self.next).map(|&entry| Self::unpack(entry))
    }

    /// Takes the nearest candidate that waits; it stays among the results.
    #[inline]
    pub fn take(&mut self) -> Option<Candidate> {
        let entry = self.entries.get_mut(self.next)?;
        *entry |= Self::EXPANDED;
        let taken = Self::unpack(*entry);
        let waits = |entry: &u64| entry & Self::EXPANDED == 0;
        self.next += 1;
        while self.entries.get(self.next).is_some_and(|entry| !waits(entry)) {
            self.next += 1;
        }
        Some(taken)
    }

    /// All candidates, nearest first.
    pub fn iter(&self) -> impl Iterator<Item = Candidate> {
        self.entries.iter().map(|&entry| Self::unpack(entry))
    }
}

/// Which nodes this search has met: one bit a node, small enough for the caches near the core, and a list of the words to
/// wipe before the next search.
#[derive(Default)]
pub(crate) struct Visited {
    words: Vec<u64>,
    touched: Vec<u32>,
}

impl Visited {
    /// Forgets everything.
    pub fn start(&mut self) {
        for &word in &self.touched {
            self.words[word as usize] = 0;
        }
        self.touched.clear();
    }

    /// Marks `node`; true when it was not marked yet.
    #[inline]
    pub fn insert(&mut self, node: u32) -> bool {
        let at = node as usize / 64;
        if at >= self.words.len() {
            self.grow(at);
        }
        let word = &mut self.words[at];
        let bit = 1 << (node % 64);
        if *word == 0 {
            self.touched.push(at as u32);
        }
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    /// Inserts go on during a search, so a node may be newer than the search.
    #[cold]
    fn grow(&mut self, at: usize) {
        const SPARE_WORDS: usize = 64;
        self.words.resize(at + 1 + SPARE_WORDS + at / 8, 0);
    }
}

/// Reusable memory of one search at a time.
#[derive(Default)]
pub struct SearchScratch {
    pub(crate) visited: Visited,
    /// Of a beam without filter: everything.
    pub(crate) nearest: Nearest,
    /// Of a filtered beam: nodes still to expand, nearest first.
    pub(crate) frontier: BinaryHeap<Reverse<Candidate>>,
    /// Of a filtered beam: the best `ef` accepted nodes, farthest first.
    pub(crate) results: BinaryHeap<Candidate>,
    /// Of a filtered beam: what was met and was too far then, for a beam that goes on wider.
    pub(crate) spare: Spare,
    /// Nodes of one hop whose distances are wanted.
    pub(crate) wanted: Vec<u32>,
    /// Nodes of one hop that the filter rejected.
    pub(crate) rejected: Vec<u32>,
    /// The query as the index's codes see it.
    pub(crate) query: QueryScratch,
    /// What the stored vectors decide among.
    pub(crate) shortlist: Vec<Candidate>,
}

/// What a filtered beam left aside.
#[derive(Default)]
pub(crate) struct Spare {
    pub frontier: Vec<Candidate>,
    pub results: Vec<Candidate>,
}

impl SearchScratch {
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn start(&mut self) {
        self.visited.start();
        self.frontier.clear();
        self.results.clear();
        self.spare.frontier.clear();
        self.spare.results.clear();
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
    fn marks_last_for_one_search() {
        let mut visited = Visited::default();
        for _ in 0..600 {
            visited.start();
            assert!(visited.insert(3) && visited.insert(9000) && visited.insert(2));
            assert!(!visited.insert(3) && !visited.insert(9000));
        }
    }

    #[test]
    fn the_nearest_are_kept_in_order_and_taken_once() {
        let mut nearest = Nearest::default();
        nearest.start(4);
        let mut taken = Vec::new();
        // Each step: a distance, and whether it waits.
        for (node, (distance, waits)) in
            [(5.0, true), (3.0, true), (4.0, false), (9.0, true), (1.0, false), (2.0, true)]
                .into_iter()
                .enumerate()
        {
            let candidate = Candidate::new(distance, node as u32);
            if nearest.admits(candidate) {
                nearest.insert(candidate, waits);
            }
            if node == 1 {
                taken.extend(nearest.take());
            }
        }
        taken.extend(std::iter::from_fn(|| nearest.take()));
        let distances = |list: &[Candidate]| list.iter().map(|c| c.distance()).collect::<Vec<_>>();
        assert_eq!(distances(&taken), [3.0, 2.0]);
        assert_eq!(distances(&nearest.iter().collect::<Vec<_>>()), [1.0, 2.0, 3.0, 4.0]);
        assert!(!nearest.admits(Candidate::new(4.0, 7)) && nearest.admits(Candidate::new(3.5, 7)));
    }
}
