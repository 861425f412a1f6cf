//! How much memory building a graph takes, before it is built.

use omen_kernels::Metric;

use crate::codes::code_bytes;
use crate::{HnswParams, Quantisation};

/// What a batch build takes, in bytes. The lists it sorts are counted in; vectors, which lie elsewhere, are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildMemory {
    /// What no build goes without: the graph with its own codes, the lists.
    pub least: u64,
    /// Codes that live as long as the build and make it faster; 0 where it has no use for them.
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
        let own = code_bytes(params.quantisation, dim) as u64;
        let codes = match guide(params, numbers) {
            Quantisation::None => 0,
            kind => nodes * code_bytes(kind, dim) as u64,
        };
        Self { least: nodes * (links + scale + own + LIST_BYTES), codes }
    }

    pub fn total(&self) -> u64 {
        self.least + self.codes
    }
}

/// Codes worth making for a build alone: none where the graph's own will do, or where codes are no smaller than vectors.
pub(crate) fn guide(params: &HnswParams, numbers: bool) -> Quantisation {
    let has_own = params.quantisation.can_guide_building();
    if has_own || !numbers || !Quantisation::Sq8.fits(params.metric) {
        return Quantisation::None;
    }
    Quantisation::Sq8
}
