//! What an index is made with, and the types of elements it may have.

use omen_hnsw::{EF_CONSTRUCTION_RANGE, F16, HnswParams, M_RANGE, Quantisation, VectorForm};
use omen_kernels::{Metric, words};

use crate::rows::Plain;
use crate::status::Failure;
use crate::{OMEN_BIT, OMEN_FLOAT16, OMEN_FLOAT32};

/// Beyond it the integer sums of quantised codes could overflow.
const MAX_DIM: u32 = omen_kernels::MAX_INTEGER_DIM as u32;
const MAX_BITS: u32 = 1 << 18;

/// What vectors are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    F16,
    Bit,
}

impl Element {
    /// As in the interface and in files.
    pub fn code(self) -> u32 {
        match self {
            Self::F32 => OMEN_FLOAT32,
            Self::F16 => OMEN_FLOAT16,
            Self::Bit => OMEN_BIT,
        }
    }

    pub fn of(code: u32) -> Option<Self> {
        [Self::F32, Self::F16, Self::Bit].into_iter().find(|element| element.code() == code)
    }
}

/// What an index is made with, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub dim: usize,
    pub element: Element,
    pub params: HnswParams,
}

impl Settings {
    pub fn new(
        dim: u32,
        metric: Metric,
        element: u32,
        quantisation: Quantisation,
        m: u16,
        ef_construction: u16,
        seed: u64,
    ) -> Result<Self, Failure> {
        let element =
            Element::of(element).ok_or_else(|| Failure::argument("unknown element type"))?;
        let max = if element == Element::Bit { MAX_BITS } else { MAX_DIM };
        if !(1..=max).contains(&dim) {
            return Err(Failure::argument(format!("dim must be from 1 to {max}")));
        }
        if !M_RANGE.contains(&m) {
            return Err(Failure::argument("m must be from 2 to 100"));
        }
        if !EF_CONSTRUCTION_RANGE.contains(&ef_construction) {
            return Err(Failure::argument("ef_construction must be from 4 to 1000"));
        }
        let has_metric = match element {
            Element::F32 => <[f32]>::has(metric),
            Element::F16 => <[F16]>::has(metric),
            Element::Bit => <[u64]>::has(metric),
        };
        if !has_metric {
            return Err(Failure::argument("vectors of this element type lack the metric"));
        }
        if !quantisation.fits(metric)
            || element == Element::Bit && quantisation != Quantisation::None
        {
            return Err(Failure::argument("no such quantisation under this metric"));
        }
        let params =
            HnswParams { m, ef_construction, seed, quantisation, ..HnswParams::new(metric) };
        Ok(Self { dim: dim as usize, element, params })
    }
}

/// An element type of [`Typed`](crate::index::Typed).
pub(crate) trait Component: Plain + PartialEq + Send + Sync
where
    [Self]: VectorForm,
{
    /// Elements that hold `dim` dimensions.
    fn width(dim: usize) -> usize;

    /// Whether a row is a vector of `dim` dimensions.
    fn is_sound(row: &[Self], dim: usize) -> bool;
}

impl Component for f32 {
    fn width(dim: usize) -> usize {
        dim
    }

    fn is_sound(row: &[Self], _: usize) -> bool {
        row.iter().all(|value| value.is_finite())
    }
}

impl Component for F16 {
    fn width(dim: usize) -> usize {
        dim
    }

    fn is_sound(row: &[Self], _: usize) -> bool {
        row.iter().all(|value| value.to_f32().is_finite())
    }
}

impl Component for u64 {
    fn width(dim: usize) -> usize {
        words(dim)
    }

    fn is_sound(row: &[Self], dim: usize) -> bool {
        dim.is_multiple_of(64) || row.last().is_none_or(|last| last >> (dim % 64) == 0)
    }
}
