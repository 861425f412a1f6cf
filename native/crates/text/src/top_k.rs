//! The best `k` documents seen so far.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One answer; scores are positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredDoc {
    pub doc: u32,
    pub score: f32,
}

/// A score and a document as one integer that grows with the score and, at equal scores, falls with the document: positive
/// floats sort as their bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u64);

impl Rank {
    fn new(score: f32, doc: u32) -> Self {
        Self((score.to_bits() as u64) << 32 | !doc as u64)
    }
}

pub(crate) struct TopK {
    k: usize,
    ranks: BinaryHeap<Reverse<Rank>>,
}

impl TopK {
    pub fn new(k: usize) -> Self {
        Self { k, ranks: BinaryHeap::new() }
    }

    /// Whether a document at or after `doc` whose score is at most `bound` could be among the best.
    #[inline]
    pub fn admits(&self, bound: f64, doc: u32) -> bool {
        // Bounds are summed in another order than scores: allow for the last bits of the sum before rounding.
        const SLACK: f64 = 1.0 + 1e-12;
        let full = self.ranks.len() >= self.k;
        !full
            || self
                .ranks
                .peek()
                .is_some_and(|worst| Rank::new((bound * SLACK) as f32, doc) > worst.0)
    }

    /// Takes a document; true when it is among the best now.
    pub fn add(&mut self, score: f32, doc: u32) -> bool {
        let rank = Rank::new(score, doc);
        if self.ranks.len() < self.k {
            self.ranks.push(Reverse(rank));
            return true;
        }
        let better = self.ranks.peek().is_some_and(|worst| rank > worst.0);
        if better {
            self.ranks.pop();
            self.ranks.push(Reverse(rank));
        }
        better
    }

    /// The documents, best first, ties by number.
    pub fn into_sorted(self) -> impl Iterator<Item = ScoredDoc> {
        let ranks = self.ranks.into_sorted_vec();
        ranks.into_iter().map(|Reverse(Rank(rank))| ScoredDoc {
            doc: !(rank as u32),
            score: f32::from_bits((rank >> 32) as u32),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_smaller_number_whatever_the_order() {
        let mut top = TopK::new(3);
        for (score, doc) in [(1.0, 9), (2.0, 8), (1.0, 3), (1.0, 5), (0.5, 1)] {
            top.add(score, doc);
        }
        assert!(!top.admits(1.0, 6) && top.admits(1.0, 4) && top.admits(1.1, 99));
        let docs: Vec<_> = top.into_sorted().map(|hit| (hit.doc, hit.score)).collect();
        assert_eq!(docs, [(8, 2.0), (3, 1.0), (5, 1.0)]);
    }

    #[test]
    fn no_room_admits_nothing() {
        let mut top = TopK::new(0);
        assert!(!top.admits(9.0, 0) && !top.add(9.0, 0));
    }
}
