//! Quantised vectors beside the graph: a traversal reads these, small and in huge pages, and the stored vectors decide
//! among the best it found.
//!
//! ```text
//!   f16      2d bytes         half precision                          the query in f32
//!   sq8      d bytes          7 bits a dimension around the mean      the query in 7 or 8 bits: integer kernels
//!   rabitq   d/8 + 16 bytes   signs after a rotation, three factors   the query in 4 bits: bit planes
//!   bq       d/8 bytes        signs around the mean                   the query as signs: bits that differ
//!   pq       d/8 bytes        the nearest centroid of 8 dimensions    the query as tables of its distances to centroids
//! ```
//!
//! A code is written once, before its node is published. A [`Codec`] is made from a sample and then rests: codes of later
//! vectors of another distribution get coarser, which costs traversal steps and shows in recall, never in the distances
//! that come out. Those of a byte a dimension are looked at while the graph grows, and all made anew where they no longer do
//! (`review`); for the others that is what rebuilding the index does.

mod bq;
mod half;
mod pq;
mod rabitq;
mod sq8;

use omen_kernels::Metric;

use crate::pool::Pool;
use crate::space::{BLOCK, Space, inverse_norm};
use crate::{VectorForm, VectorSource};
pub(crate) use bq::{Bq, BqQuery, BqSpace};
pub(crate) use half::HalfSpace;
pub(crate) use pq::{CENTROIDS, Pq, PqQuery, PqSpace};
pub(crate) use rabitq::{Rabitq, RabitqQuery, RabitqSpace};
pub(crate) use sq8::{Sq8, Sq8Query, Sq8Space};

/// What an index keeps of each vector for its traversals; SQL's `WITH (quantization = ...)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quantisation {
    /// Nothing: traversals read the stored vectors.
    #[default]
    None,
    /// Half precision.
    F16,
    /// One byte a dimension.
    Sq8,
    /// One bit a dimension and three factors (RaBitQ, arXiv 2405.12497).
    Rabitq,
    /// One bit a dimension.
    Bq,
    /// One byte for eight dimensions (product quantisation).
    Pq,
}

impl Quantisation {
    /// Whether distances under `metric` can be told from such codes, of vectors that are numbers.
    pub fn fits(self, metric: Metric) -> bool {
        match self {
            Self::None => true,
            Self::F16 | Self::Sq8 | Self::Pq => {
                !matches!(metric, Metric::Hamming | Metric::Jaccard)
            }
            Self::Rabitq | Self::Bq => {
                matches!(metric, Metric::L2 | Metric::InnerProduct | Metric::Cosine)
            }
        }
    }

    /// Whether such codes are near enough to the vectors to build a graph by.
    pub(crate) fn can_guide_building(self) -> bool {
        matches!(self, Self::F16 | Self::Sq8)
    }
}

/// Bytes of one code of `dim` dimensions; whole words.
pub(crate) fn code_bytes(quantisation: Quantisation, dim: usize) -> usize {
    match quantisation {
        Quantisation::None => 0,
        Quantisation::F16 => (2 * dim).next_multiple_of(4),
        Quantisation::Sq8 => dim.next_multiple_of(4),
        Quantisation::Rabitq => rabitq::row_bytes(dim),
        Quantisation::Bq => bq::row_bytes(dim),
        Quantisation::Pq => pq::row_bytes(dim),
    }
}

/// How vectors become codes.
pub(crate) enum Codec {
    Half,
    Sq8(Sq8),
    Rabitq(Rabitq),
    Bq(Bq),
    Pq(Pq),
}

/// Codes of one graph's nodes.
pub(crate) struct Codes {
    pub codec: Codec,
    pub dim: usize,
    metric: Metric,
    pub pool: Pool,
}

impl Codes {
    /// Trains a codec on the vectors of `sample`, which is not empty. `quantisation` is some, and fits the metric.
    ///
    /// Panics on vectors of a form that is not numbers: no index is declared so.
    pub fn train<S: VectorSource>(
        quantisation: Quantisation,
        metric: Metric,
        seed: u64,
        source: &S,
        sample: &[u32],
    ) -> Self {
        let dim = source.dim();
        let mut floats = vec![0.0; sample.len() * dim];
        for (&node, row) in sample.iter().zip(floats.chunks_mut(dim)) {
            floats_of(metric, source.vector(node), row);
        }
        let codec = match quantisation {
            Quantisation::None => panic!("codes of some kind"),
            Quantisation::F16 => Codec::Half,
            Quantisation::Sq8 => Codec::Sq8(Sq8::train(dim, &floats)),
            Quantisation::Rabitq => Codec::Rabitq(Rabitq::train(dim, seed, &floats)),
            Quantisation::Bq => Codec::Bq(Bq::train(dim, &floats)),
            Quantisation::Pq => Codec::Pq(Pq::train(dim, seed, &floats)),
        };
        Self::new(codec, metric, dim, Pool::new)
    }

    /// Codes of `dim` dimensions in the pool that `pool` makes for rows of so many bytes.
    pub fn new(codec: Codec, metric: Metric, dim: usize, pool: impl FnOnce(usize) -> Pool) -> Self {
        let bytes = code_bytes(codec.quantisation(), dim);
        Self { codec, dim, metric, pool: pool(bytes) }
    }

    /// Writes the code of a node that nobody can reach yet.
    pub fn encode<V: VectorForm + ?Sized>(&self, node: u32, vector: &V, floats: &mut Vec<f32>) {
        floats.resize(self.dim, 0.0);
        floats_of(self.metric, vector, floats);
        // SAFETY: the node is not published, so its row is this thread's alone.
        let row = unsafe { self.pool.write(node) };
        match &self.codec {
            Codec::Half => half::encode(floats, row),
            Codec::Sq8(codec) => codec.encode(floats, row),
            Codec::Rabitq(codec) => codec.encode(floats, row),
            Codec::Bq(codec) => codec.encode(floats, row),
            Codec::Pq(codec) => codec.encode(floats, row),
        }
    }

    /// What a query looks like in these codes, in memory of `scratch`.
    pub fn query<'a, V: VectorForm + ?Sized>(
        &'a self,
        vector: &V,
        scratch: &'a mut QueryScratch,
    ) -> CodeSpace<'a> {
        self.query_under(self.metric, vector, scratch)
    }

    /// Under a metric that the codes were not made for: L2 instead of the inner product.
    pub fn query_under<'a, V: VectorForm + ?Sized>(
        &'a self,
        metric: Metric,
        vector: &V,
        scratch: &'a mut QueryScratch,
    ) -> CodeSpace<'a> {
        let QueryScratch { floats, sq8, rabitq, bq, pq } = scratch;
        floats.resize(self.dim, 0.0);
        floats_of(metric, vector, floats);
        let pool = &self.pool;
        match &self.codec {
            Codec::Half => CodeSpace::Half(HalfSpace { query: floats, metric, pool }),
            Codec::Sq8(codec) => {
                codec.query(metric, floats, sq8);
                CodeSpace::Sq8(Sq8Space { query: sq8, dim: self.dim, pool })
            }
            Codec::Rabitq(codec) => {
                codec.query(metric, floats, rabitq);
                CodeSpace::Rabitq(RabitqSpace { query: rabitq, dim: self.dim, pool })
            }
            Codec::Bq(codec) => {
                codec.query(floats, bq);
                CodeSpace::Bq(BqSpace { query: bq, pool })
            }
            Codec::Pq(codec) => {
                codec.query(metric, floats, pq);
                CodeSpace::Pq(PqSpace { query: pq, pool })
            }
        }
    }

    /// Whether these codes are near enough to the vectors to build a graph by.
    pub fn can_guide_building(&self) -> bool {
        self.codec.quantisation().can_guide_building()
    }
}

impl Codec {
    fn quantisation(&self) -> Quantisation {
        match self {
            Self::Half => Quantisation::F16,
            Self::Sq8(_) => Quantisation::Sq8,
            Self::Rabitq(_) => Quantisation::Rabitq,
            Self::Bq(_) => Quantisation::Bq,
            Self::Pq(_) => Quantisation::Pq,
        }
    }
}

/// The vector as floats; under cosine of length one, so that a dot product is all a distance needs.
fn floats_of<V: VectorForm + ?Sized>(metric: Metric, vector: &V, out: &mut [f32]) {
    vector.to_floats(out);
    if metric == Metric::Cosine {
        let scale = inverse_norm(vector);
        for value in out {
            *value *= scale;
        }
    }
}

/// The mean of rows of `dim` numbers, at least one; zero where it is no number.
fn mean_of(dim: usize, rows: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0f64; dim];
    for row in rows.chunks(dim) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value as f64);
    }
    let count = (rows.len() / dim) as f64;
    sums.iter().map(|sum| finite((sum / count) as f32)).collect()
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

/// Memory of one query at a time.
#[derive(Default)]
pub(crate) struct QueryScratch {
    pub floats: Vec<f32>,
    sq8: Sq8Query,
    rabitq: RabitqQuery,
    bq: BqQuery,
    pq: PqQuery,
}

/// One query among codes.
pub(crate) enum CodeSpace<'a> {
    Half(HalfSpace<'a>),
    Sq8(Sq8Space<'a>),
    Rabitq(RabitqSpace<'a>),
    Bq(BqSpace<'a>),
    Pq(PqSpace<'a>),
}

/// `which` kind of code it is is the same all through a graph: the branch costs nothing beside a block of distances.
impl Space for CodeSpace<'_> {
    const EXACT: bool = false;

    #[inline]
    fn distance(&self, node: u32) -> f32 {
        let mut out = [0.0; BLOCK];
        self.distances(&[node], &mut out);
        out[0]
    }

    #[inline]
    fn distances(&self, nodes: &[u32], out: &mut [f32; BLOCK]) {
        match self {
            Self::Half(space) => space.distances(nodes, out),
            Self::Sq8(space) => space.distances(nodes, out),
            Self::Rabitq(space) => space.distances(nodes, out),
            Self::Bq(space) => space.distances(nodes, out),
            Self::Pq(space) => space.distances(nodes, out),
        }
    }

    #[inline(always)]
    fn prefetch(&self, node: u32) {
        match self {
            Self::Half(HalfSpace { pool, .. })
            | Self::Sq8(Sq8Space { pool, .. })
            | Self::Rabitq(RabitqSpace { pool, .. })
            | Self::Bq(BqSpace { pool, .. })
            | Self::Pq(PqSpace { pool, .. }) => pool.prefetch(node),
        }
    }
}
