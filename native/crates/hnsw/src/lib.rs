//! A hierarchical navigable small world graph (Malkov and Yashunin, arXiv 1603.09320) over vectors that live elsewhere.
//!
//! ```text
//!   level 2        o-----------------o            greedy descent from the entry node
//!   level 1     o--o-----o-----------o---o        upper levels: M slots a node
//!   level 0   o-oo-o-o-o-oo-o-oo-o-o-oo--oo-o     beam search of width ef; 2M slots a node
//!                     |
//!                     t - t - t                   nodes with an equal vector hang off the first one
//! ```
//!
//! The graph knows node numbers, dense `u32`s that the caller assigns, and reads vectors through [`VectorSource`]. It
//! knows nothing of rows, transactions or SQL: who may see a node is a [`NodeFilter`], tested inside the traversal, and
//! removed rows are simply nodes that no filter accepts, which go on carrying paths.
//!
//! Invariants
//! - Readers take no lock. A link slot holds a node number plus one, zero is empty; slots are stored with release and
//!   loaded with acquire, so whoever sees a number also sees that node's own links and its vector.
//! - A node's own links at every level are written before the first link to it.
//! - Writers change one node's slots under that node's lock stripe, one stripe at a time.
//! - Equal vectors are linked once: a second node with the same floats joins the first one's chain, so any number of
//!   duplicates neither costs distance computations nor crowds real neighbours out of the slots.
//! - A node whose distance to itself is undefined (a zero vector under cosine) is counted but not linked, as in pgvector;
//!   distances that come out as NaN otherwise (overflow) count as infinite.
//! - Levels are a function of (seed, node), and an insertion is a function of the graph before it: one thread, one seed,
//!   one graph.
//!
//! Not here: where vectors are stored, and the choice between graph and exact scan. [`SearchStats`] tells the caller
//! when a traversal gave up, and the caller finishes exactly.

mod aim;
mod batch;
mod beam;
mod build;
mod calibrate;
mod codes;
mod epochs;
mod filtered;
mod graph;
mod image;
mod insert;
mod memory;
#[cfg(all(test, feature = "model"))]
mod model;
mod need;
mod pool;
mod product;
mod reconnect;
mod repair;
mod review;
mod scratch;
mod search;
mod source;
mod space;
mod sparse;
mod sync;
mod threads;
mod unseen;

pub use aim::{Aim, Calibration, Way};
pub use batch::BatchOptions;
pub use build::Cancelled;
pub use codes::Quantisation;
pub use graph::{HnswGraph, MAX_NODE};
pub use image::ImageError;
pub use insert::InsertScratch;
pub use memory::{Block, Memory};
pub use need::BuildMemory;
pub use omen_kernels::{F16, Metric};
pub use scratch::SearchScratch;
pub use source::{VectorForm, VectorSource};
pub use sparse::SparseWords;

/// Limits of `WITH (m = ...)`, those of pgvector.
pub const M_RANGE: std::ops::RangeInclusive<u16> = 2..=100;
/// Limits of `WITH (ef_construction = ...)`, those of pgvector.
pub const EF_CONSTRUCTION_RANGE: std::ops::RangeInclusive<u16> = 4..=1000;

/// Which nodes may be answers. Called once per node met, so searches are compiled per filter type.
pub trait NodeFilter {
    /// True for a filter that accepts everything: the traversal then drops all filter code.
    const ACCEPTS_ALL: bool = false;

    fn accepts(&self, node: u32) -> bool;
}

/// The filter of an unfiltered search.
pub struct AllNodes;

impl NodeFilter for AllNodes {
    const ACCEPTS_ALL: bool = true;

    fn accepts(&self, _node: u32) -> bool {
        true
    }
}

impl<F: Fn(u32) -> bool> NodeFilter for F {
    fn accepts(&self, node: u32) -> bool {
        self(node)
    }
}

/// What a graph is built with; fixed for its life and kept with it in storage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HnswParams {
    /// Links per node on upper levels; level 0 has twice as many. Within [`M_RANGE`].
    pub m: u16,
    /// Beam width while inserting. Within [`EF_CONSTRUCTION_RANGE`].
    pub ef_construction: u16,
    pub metric: Metric,
    /// Draws the levels.
    pub seed: u64,
    /// Slack of the diversity rule: a candidate is dropped when a chosen neighbour is more than `alpha` times nearer to
    /// it than the node is. 1.0 is the HNSW paper's rule; more keeps longer links. The factor applies to the comparable
    /// distance ([`Hit::distance`]), and has a meaning only where that is not negative.
    pub alpha: f32,
    /// What traversals read instead of the stored vectors; one that [`Quantisation::fits`] the metric.
    pub quantisation: Quantisation,
}

impl HnswParams {
    /// pgvector's defaults: M 16, `ef_construction` 64.
    pub fn new(metric: Metric) -> Self {
        let quantisation = Quantisation::None;
        Self { m: 16, ef_construction: 64, metric, seed: 0, alpha: 1.0, quantisation }
    }
}

/// When a search must stop and leave the rest to an exact scan.
#[derive(Clone, Copy, Debug)]
pub struct SearchBudget {
    /// Distances a search may compute before it gives up; checked once per hop, so it may run over by one hop.
    pub max_distance_computations: u64,
}

impl SearchBudget {
    pub const UNLIMITED: Self = Self { max_distance_computations: u64::MAX };
}

/// What a search is asked for.
#[derive(Clone, Copy, Debug)]
pub struct SearchRequest {
    /// Hits wanted.
    pub k: usize,
    /// Width of the beam; at least `k` is used.
    pub ef: usize,
    pub budget: SearchBudget,
    /// How many nodes the filter accepts, where the caller has counted them. A filter that rejects the query's own
    /// neighbourhood is then noticed, and the beam goes on wider.
    pub matches: Option<u64>,
    /// In a quantised index, how many times `k` of the traversal's best the stored vectors decide among; 0 leaves it to
    /// the kind of code.
    pub rerank: usize,
    /// Without a filter: stop at what is this share farther than the `k`-th nearest (the tenth, for fewer), see
    /// [`Calibration::aim`]. Infinite: as far as the beam goes.
    pub slack: f32,
}

impl SearchRequest {
    /// `k` hits by a beam of `ef`, everything else as usual.
    pub fn new(k: usize, ef: usize) -> Self {
        let budget = SearchBudget::UNLIMITED;
        Self { k, ef, budget, matches: None, rerank: 0, slack: f32::INFINITY }
    }
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    pub node: u32,
    /// Comparable, smaller is nearer: squared L2, negative dot product, or cosine distance (the latter within rounding
    /// of the user's value, which comes from `omen_kernels::distance`). Infinite where arithmetic gave NaN.
    pub distance: f32,
}

/// What a search did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchStats {
    /// Nodes met for the first time on level 0, bridges and duplicates included.
    pub visited: u64,
    /// Distances computed, descent included; in a quantised index those of codes and of vectors together.
    pub distances: u64,
    /// Nodes of level 0 whose neighbours were met.
    pub hops: u64,
    /// Nodes in the beam at the end: its width, unless it stopped or ran dry before that.
    pub kept: u64,
    /// Nodes met on level 0 that the filter accepted.
    pub accepted_seen: u64,
    /// The budget ran out: `out` holds the best so far and may lack nearer ones.
    pub budget_exceeded: bool,
    /// Nothing reachable was left before `ef` accepted nodes were found: when fewer than `k` hits came out, only an exact
    /// scan can tell whether more match.
    pub exhausted: bool,
}
