//! What a graph is over: vectors of one form that live elsewhere, and how near two of them are.
//!
//! The graph itself deals in node numbers and comparable distances. [`VectorSource`] leads from a number to a vector,
//! [`VectorForm`] from two vectors to a number under each metric the form has: `[f32]`, `[F16]`, bit strings as `[u64]`
//! and [`SparseWords`](crate::SparseWords) in this crate, others wherever they are defined.

use omen_kernels::{Dense, F16, Metric, kernels};

/// Where vectors live.
pub trait VectorSource: Send + Sync {
    type Vector: VectorForm + ?Sized;

    /// Number of dimensions.
    fn dim(&self) -> usize;

    /// The vector of a node that was inserted, or is being inserted. It stays as it is until the node's number is given
    /// again, see [`HnswGraph::remove`](crate::HnswGraph::remove).
    fn vector(&self, node: u32) -> &Self::Vector;
}

/// One form of vector.
pub trait VectorForm: Send + Sync {
    /// Whether distances of this form exist under `metric`; the functions below panic where they do not.
    fn has(metric: Metric) -> bool;

    /// The comparable value of a pair, smaller being nearer: squared L2, negative dot product, and so on. Under cosine
    /// it is the plain dot product instead, which the graph scales by the two inverse norms.
    fn raw(metric: Metric, query: &Self, row: &Self) -> f32;

    /// `out[i] = raw(metric, query, rows[i])` to the bit; `out` is as long as `rows`.
    fn raw_many(metric: Metric, query: &Self, rows: &[&Self], out: &mut [f32]);

    /// The squared Euclidean length.
    fn squared_norm(&self) -> f32;

    /// Whether two vectors are the same point (`-0.0` equals `0.0`).
    fn equals(&self, other: &Self) -> bool;

    /// A number that is the same for equal vectors and seldom for others. None where nobody has written it: a batch
    /// build then does not notice equal vectors that come close together, and links each of them.
    fn fingerprint(&self) -> Option<u64> {
        None
    }

    /// Asks the CPU for what a distance reads.
    fn prefetch(&self);

    /// Whether such vectors are dense numbers, which can be quantised.
    const NUMBERS: bool;

    /// The vector as numbers, where it is: [`VectorForm::NUMBERS`]; panics otherwise, or when `out` is not of the
    /// vector's dimension.
    fn to_floats(&self, out: &mut [f32]);
}

/// Mixes words into one.
pub(crate) fn fold(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, |hash, word| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

/// The three kernels of dense numbers under a metric, and what turns a sum into a comparable value.
macro_rules! dense_raw {
    ($metric:expr, $kernels:expr, $form:ident, $query:expr, $row:expr $(, $out:expr)?) => {{
        let kernels: &Dense<_, _, f32> = $kernels;
        match $metric {
            Metric::L2 => kernels.l2_squared.$form($query, $row $(, $out)?),
            Metric::InnerProduct | Metric::Cosine => kernels.dot.$form($query, $row $(, $out)?),
            Metric::L1 => kernels.l1.$form($query, $row $(, $out)?),
            Metric::Hamming | Metric::Jaccard => panic!("a metric of numbers"),
        }
    }};
}

/// A dense form whose elements have kernels in `omen_kernels`.
macro_rules! dense_form {
    ($element:ty, $kernels:ident, $to_float:expr) => {
        impl VectorForm for [$element] {
            fn has(metric: Metric) -> bool {
                !matches!(metric, Metric::Hamming | Metric::Jaccard)
            }

            #[inline]
            fn raw(metric: Metric, query: &Self, row: &Self) -> f32 {
                let sum = dense_raw!(metric, &kernels().$kernels, pair, query, row);
                // Subtracted, not negated: no negative zero.
                if metric == Metric::InnerProduct { 0.0 - sum } else { sum }
            }

            #[inline]
            fn raw_many(metric: Metric, query: &Self, rows: &[&Self], out: &mut [f32]) {
                dense_raw!(metric, &kernels().$kernels, list, query, rows, out);
                if metric == Metric::InnerProduct {
                    for value in out {
                        *value = 0.0 - *value;
                    }
                }
            }

            fn squared_norm(&self) -> f32 {
                kernels().$kernels.dot.pair(self, self)
            }

            fn equals(&self, other: &Self) -> bool {
                let float = $to_float;
                self.iter().zip(other).all(|(&a, &b)| float(a) == float(b))
            }

            fn fingerprint(&self) -> Option<u64> {
                let float = $to_float;
                // Adding zero makes a negative zero positive.
                Some(fold(self.iter().map(|&element| (float(element) + 0.0).to_bits() as u64)))
            }

            #[inline(always)]
            fn prefetch(&self) {
                omen_kernels::prefetch(self);
            }

            const NUMBERS: bool = true;

            fn to_floats(&self, out: &mut [f32]) {
                assert_eq!(self.len(), out.len(), "vectors of one dimension");
                let float = $to_float;
                out.iter_mut().zip(self).for_each(|(out, &element)| *out = float(element));
            }
        }
    };
}

dense_form!(f32, f32, |element: f32| element);
dense_form!(F16, f16, |element: F16| element.to_f32());

/// Bit strings in words, as `omen_kernels` packs them: the bits past the end are zero.
impl VectorForm for [u64] {
    fn has(metric: Metric) -> bool {
        matches!(metric, Metric::Hamming | Metric::Jaccard)
    }

    #[inline]
    fn raw(metric: Metric, query: &Self, row: &Self) -> f32 {
        match metric {
            Metric::Hamming => kernels().bits.hamming.pair(query, row) as f32,
            Metric::Jaccard => kernels().bits.overlap.pair(query, row).jaccard(),
            _ => panic!("a metric of bit strings"),
        }
    }

    fn raw_many(metric: Metric, query: &Self, rows: &[&Self], out: &mut [f32]) {
        for (slot, row) in out.iter_mut().zip(rows) {
            *slot = Self::raw(metric, query, row);
        }
    }

    fn squared_norm(&self) -> f32 {
        self.iter().map(|word| word.count_ones()).sum::<u32>() as f32
    }

    fn equals(&self, other: &Self) -> bool {
        self == other
    }

    fn fingerprint(&self) -> Option<u64> {
        Some(fold(self.iter().copied()))
    }

    #[inline(always)]
    fn prefetch(&self) {
        omen_kernels::prefetch(self);
    }

    const NUMBERS: bool = false;

    fn to_floats(&self, _: &mut [f32]) {
        panic!("dense vectors")
    }
}
