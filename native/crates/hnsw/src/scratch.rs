//! Working memory of a traversal, kept by the caller between searches so that a search allocates nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::beam::Stop;
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
    stop: Option<Stop>,
    /// Entries from here on are not kept: the worst of a full beam, or what the stop rule says is too far.
    bound: u64,
    /// The stop rule's part of it.
    limit: u64,
}

impl Nearest {
    const EXPANDED: u64 = 1;
    const DISTANCE: u64 = !(u32::MAX as u64);

    pub fn start(&mut self, capacity: usize, stop: Option<Stop>) {
        self.entries.clear();
        self.entries.reserve(capacity + 1);
        (self.capacity, self.next, self.stop) = (capacity, 0, stop);
        (self.bound, self.limit) = (u64::MAX, u64::MAX);
    }

    fn pack(candidate: Candidate) -> u64 {
        // Node numbers stay below 2^31, see `graph::MAX_NODE`.
        candidate.0 & Self::DISTANCE | (candidate.node() as u64) << 1
    }

    fn unpack(entry: u64) -> Candidate {
        Candidate(entry & Self::DISTANCE | (entry as u32 >> 1) as u64)
    }

    pub fn is_full(&self) -> bool {
        self.entries.len() == self.capacity
    }

    /// Whether something was, or would have been, left out as too far.
    pub fn has_stopped(&self) -> bool {
        self.limit != u64::MAX
    }

    /// Keeps a candidate that is near enough, in place of the worst if need be.
    #[inline(always)]
    pub fn offer(&mut self, candidate: Candidate) {
        let entry = Self::pack(candidate);
        if entry < self.bound {
            self.insert(entry);
        }
    }

    #[inline]
    fn insert(&mut self, entry: u64) {
        let at = self.entries.partition_point(|&other| other < entry);
        if self.is_full() {
            self.entries.pop();
        }
        self.entries.insert(at, entry);
        self.next = self.next.min(at);
        if let Some(stop) = self.stop
            && at < stop.k
            && self.entries.len() >= stop.k
        {
            let farthest = Self::unpack(self.entries[stop.k - 1]).distance();
            // Everything at that distance itself is kept, whatever its number.
            self.limit =
                Self::pack(Candidate::new(stop.bound(farthest), u32::MAX)) | u64::from(u32::MAX);
            let kept = self.entries.partition_point(|&other| other < self.limit);
            self.entries.truncate(kept);
            self.bound = self.limit;
        }
        if self.is_full()
            && let Some(&worst) = self.entries.last()
        {
            self.bound = self.limit.min(worst & !Self::EXPANDED);
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

    pub fn len(&self) -> usize {
        self.entries.len()
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

    /// Offers distances, numbering nodes as they come; those left, and what waits of them, in order.
    fn offered(nearest: &mut Nearest, distances: &[f32]) -> (Vec<f32>, Vec<f32>) {
        for (node, &distance) in distances.iter().enumerate() {
            nearest.offer(Candidate::new(distance, node as u32));
        }
        let left = nearest.iter().map(Candidate::distance).collect();
        (left, std::iter::from_fn(|| nearest.take()).map(Candidate::distance).collect())
    }

    #[test]
    fn the_nearest_are_kept_in_order_and_taken_once() {
        let mut nearest = Nearest::default();
        nearest.start(4, None);
        nearest.offer(Candidate::new(3.0, 7));
        assert_eq!(nearest.take().map(Candidate::node), Some(7));
        let (left, waiting) = offered(&mut nearest, &[5.0, 4.0, 9.0, 1.0, 2.0]);
        assert_eq!((left, waiting), (vec![1.0, 2.0, 3.0, 4.0], vec![1.0, 2.0, 4.0]));
        let (left, waiting) = offered(&mut nearest, &[4.5, 3.5]);
        assert_eq!((left, waiting), (vec![1.0, 2.0, 3.0, 3.5], vec![3.5]));
        assert!(nearest.is_full() && !nearest.has_stopped());
    }

    #[test]
    fn what_is_too_far_beyond_the_kth_is_neither_kept_nor_taken() {
        let mut nearest = Nearest::default();
        nearest.start(8, Some(Stop { k: 2, slack: 0.5, zero: -1.0 }));
        let (left, waiting) = offered(&mut nearest, &[9.0, 3.0, 5.1, 5.0, 20.0]);
        // Once there are two, 3.0 and 5.0 at last: up to 5.0 and half of its distance from -1.0.
        assert_eq!((left, waiting), (vec![3.0, 5.0, 5.1], vec![3.0, 5.0, 5.1]));
        assert!(nearest.has_stopped());
        let (left, _) = offered(&mut nearest, &[8.0, 1.0, 4.0, 4.1, 5.0]);
        // Now 1.0 and 3.0: up to 5.0, which is still near enough.
        assert_eq!(left, [1.0, 3.0, 4.0, 4.1, 5.0, 5.0]);
    }
}
