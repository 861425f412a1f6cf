//! From what a graph was measured at to how it is searched for a recall that somebody wants.
//!
//! Two ways of looking further were measured ([`crate::calibrate`]): a wider beam, and a beam that stops by itself. Which of them
//! reaches a recall with less work is up to the graph: by slack it is where traversals read the vectors, and a beam of fixed
//! width where they read codes so coarse that the estimate of the tenth says little.

use crate::SearchRequest;
use crate::calibrate::{NEIGHBOURS, WIDEST};

/// What a graph was measured at.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Nodes of the graph then.
    pub nodes: u32,
    /// The largest norm of a vector under the inner product, zero otherwise.
    pub(crate) reach: f32,
    /// Rising: first those with a slack, then those without.
    pub(crate) points: Vec<Point>,
}

/// One way to search, and what it found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Infinite for a beam of fixed width.
    pub slack: f32,
    pub ef: u32,
    /// Mean recall of ten.
    pub recall: f32,
    /// Its standard error.
    pub error: f32,
    /// Mean distances of a search.
    pub work: f32,
}

/// How to search for a recall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    /// Without a filter.
    pub open: Way,
    /// Under a filter: a beam of fixed width.
    pub filtered: Way,
}

/// Where a search stops, and what such searches were measured to find.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// For [`SearchRequest::slack`].
    pub slack: f32,
    /// Width of the beam; with a slack the widest it may get.
    pub ef: usize,
    /// Mean recall measured; zero where nothing was.
    pub recall: f32,
    /// Its standard error.
    pub error: f32,
}

impl Way {
    /// A beam of fixed width of which nothing is known.
    pub fn fixed(ef: usize) -> Self {
        Self { slack: f32::INFINITY, ef, recall: 0.0, error: 0.0 }
    }

    /// The request of a search for `k` on this way.
    pub fn request(&self, k: usize) -> SearchRequest {
        SearchRequest { slack: self.slack, ..SearchRequest::new(k, self.ef) }
    }
}

impl Calibration {
    /// How to reach a mean recall of `target`, which is at most one, when `k` are asked for. Measured recalls count less
    /// twice their standard error, for they are means of a sample; between two measured searches it goes in a straight
    /// line, which errs on the safe side. Where no search reached it, the best one measured.
    pub fn aim(&self, target: f32, k: usize) -> Aim {
        let (stopping, fixed): (Vec<Point>, Vec<Point>) =
            self.points.iter().partition(|point| point.slack.is_finite());
        let stopping = Reached::on(&stopping, target);
        let fixed = Reached::on(&fixed, target);
        let times = (k as f32 / NEIGHBOURS as f32).max(1.0);
        let filtered =
            Way { ef: ((fixed.ef * times).ceil() as usize).max(k), ..fixed.way(f32::INFINITY) };
        let open = if stopping.is_better_than(&fixed) {
            Way { ef: WIDEST.max(2 * k), ..stopping.way(stopping.slack) }
        } else {
            filtered
        };
        Aim { open, filtered }
    }
}

/// Where on a list of points a recall is reached.
struct Reached {
    /// Whether it is at all; otherwise the last of the list, the best.
    is_there: bool,
    slack: f32,
    ef: f32,
    recall: f32,
    error: f32,
    work: f32,
}

impl Reached {
    /// `points` are rising, and one at least.
    fn on(points: &[Point], target: f32) -> Self {
        let sure = |point: &Point| point.recall - 2.0 * point.error;
        let there = points.iter().position(|point| sure(point) >= target);
        let at = there.unwrap_or(points.len() - 1);
        let (point, below) = (&points[at], &points[at.saturating_sub(1)]);
        let rise = sure(point) - sure(below);
        let part = if rise > 0.0 { ((target - sure(below)) / rise).clamp(0.0, 1.0) } else { 1.0 };
        // An infinite slack is on both ends.
        let between = |a: f32, b: f32| if a == b { a } else { a + part * (b - a) };
        Self {
            is_there: there.is_some(),
            slack: between(below.slack, point.slack),
            ef: between(below.ef as f32, point.ef as f32),
            recall: between(below.recall, point.recall),
            error: between(below.error, point.error),
            work: between(below.work, point.work),
        }
    }

    fn is_better_than(&self, other: &Self) -> bool {
        match (self.is_there, other.is_there) {
            (true, true) => self.work < other.work,
            (false, false) => self.recall > other.recall,
            (is_there, _) => is_there,
        }
    }

    fn way(&self, slack: f32) -> Way {
        Way { slack, ef: self.ef.ceil() as usize, recall: self.recall, error: self.error }
    }
}
