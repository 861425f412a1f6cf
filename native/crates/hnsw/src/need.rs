//! How much memory building a graph takes, before it is built.

use omen_kernels::Metric;

use crate::codes::code_bytes;
use crate::{HnswParams, Quantisation};

/// What a batch build takes, in bytes. The lists it sorts are counted in; vectors, which lie elsewhere, are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildMemory {
    /// What no build goes without: the graph with its own codes and what those are trained on, the lists.
    pub least: u64,
    /// Codes that live as long as the build and make it faster, with what they are trained on; 0 where it has no use for them.
    pub codes: u64,
}

/// Bytes a node takes in lists while it is built: candidates, the order of insertion, fingerprints.
const LIST_BYTES: u64 = 32;

impl BuildMemory {
    /// Of `nodes` vectors of `dim` dimensions, which are numbers or not.
    pub fn of(params: &HnswParams, dim: usize, numbers: bool, nodes: u64) -> Self {
        let word = size_of::<u32>() as u64;
        let m = u64::from(params.m);
        // Links of level 0, a block of upper links for one node in m and a little more, equals, upper blocks.
        let links = 2 * m * word + m * word / (m - 1) + 2 * word;
        let scale = if params.metric == Metric::Cosine { word } else { 0 };
        let codes = |kind| match kind {
            Quantisation::None => 0,
            kind => nodes * code_bytes(kind, dim) as u64 + training_bytes(dim, nodes),
        };
        let least = nodes * (links + scale + LIST_BYTES) + codes(params.quantisation);
        Self { least, codes: codes(guide(params, numbers)) }
    }

    pub fn total(&self) -> u64 {
        self.least + self.codes
    }
}

/// Numbers and vectors, at least and at most, that a codec is trained on.
const SAMPLE_NUMBERS: usize = 2 << 20;
const SAMPLE_ROWS: (usize, usize) = (1024, 16_384);

/// Vectors of `dim` dimensions that a codec is trained on, when there are so many.
pub(crate) fn sample_rows(dim: usize) -> usize {
    (SAMPLE_NUMBERS / dim.max(1)).clamp(SAMPLE_ROWS.0, SAMPLE_ROWS.1)
}

/// The sample as floats, and once more as what is gathered from it.
fn training_bytes(dim: usize, nodes: u64) -> u64 {
    let floats = nodes.min(sample_rows(dim) as u64) * dim as u64;
    2 * floats * size_of::<f32>() as u64
}

/// Codes worth making for a build alone: none where the graph's own will do, or where codes are no smaller than vectors.
pub(crate) fn guide(params: &HnswParams, numbers: bool) -> Quantisation {
    let has_own = params.quantisation.can_guide_building();
    if has_own || !numbers || !Quantisation::Sq8.fits(params.metric) {
        return Quantisation::None;
    }
    Quantisation::Sq8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_needs_follows_its_shape() {
        let plain = HnswParams::new(Metric::L2);
        // 2 x 16 links, a fifteenth of a block of 16, two words, the lists.
        let least = 100_000 * (128 + 4 + 8 + 32);
        let training = 2 * 4 * 16_384 * 128;
        let expected = BuildMemory { least, codes: 100_000 * 128 + training };
        assert_eq!(BuildMemory::of(&plain, 128, true, 100_000), expected);
        assert_eq!(BuildMemory::of(&plain, 128, false, 100_000).codes, 0);
        let own = HnswParams { quantisation: Quantisation::Sq8, ..plain };
        let expected = BuildMemory { least: least + 100_000 * 128 + training, codes: 0 };
        assert_eq!(BuildMemory::of(&own, 128, true, 100_000), expected);
        assert_eq!([8, 128, 1024, 2000].map(sample_rows), [16_384, 16_384, 2048, 1048]);
    }
}
