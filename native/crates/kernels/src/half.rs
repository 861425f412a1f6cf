//! IEEE 754 half precision: the storage of SQL's `halfvec` and of quantised indexes.
//!
//! Conversion from `f32` rounds to nearest, ties to even, as pgvector's and every CPU's does; what exceeds the largest
//! half becomes infinite, and the caller decides whether that is an error.

use crate::kernels;

/// A half-precision number as its sixteen bits: one sign, five of exponent, ten of fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

const SIGN: u16 = 0x8000;
const INFINITY: u16 = 0x7c00;
/// The bit that makes a NaN quiet.
const QUIET: u16 = 0x0200;

impl F16 {
    /// The largest finite half, 65504.
    pub const MAX: Self = Self(0x7bff);

    /// The nearest half, ties to even; infinite from 65520 on. A NaN keeps its sign and the top of its payload.
    pub fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        let sign = (bits >> 16) as u16 & SIGN;
        let magnitude = bits & 0x7fff_ffff;
        if magnitude > 0x7f80_0000 {
            return Self(sign | INFINITY | QUIET | (magnitude >> 13) as u16 & 0x03ff);
        }
        // Above the halfway point between the largest half and the power of two after it, included: ties go to even.
        if magnitude >= 0x477f_f000 {
            return Self(sign | INFINITY);
        }
        let exponent = magnitude >> 23;
        // 113 is the exponent of 2^-14, the smallest normal half.
        let rounded = if exponent >= 113 {
            // The exponents differ by a constant, and a carry out of the fraction is the right next exponent.
            round_off(magnitude - (112 << 23), 13)
        } else if exponent >= 102 {
            // Subnormal: the fraction with its leading one, in units of 2^-24.
            round_off(magnitude & 0x007f_ffff | 0x0080_0000, 126 - exponent)
        } else {
            // Below half of the smallest subnormal.
            0
        };
        Self(sign | rounded as u16)
    }

    /// Exact.
    pub fn to_f32(self) -> f32 {
        let sign = (self.0 & SIGN) as u32 * 0x1_0000;
        let exponent = (self.0 >> 10 & 0x1f) as u32;
        let fraction = (self.0 & 0x03ff) as u32;
        let magnitude = match exponent {
            0 => (fraction as f32 * f32::from_bits(0x3380_0000)).to_bits(), // 2^-24
            31 if fraction == 0 => 0x7f80_0000,
            31 => 0x7fc0_0000 | fraction << 13,
            _ => (exponent + 112) << 23 | fraction << 13,
        };
        f32::from_bits(sign | magnitude)
    }

    /// The bits of many numbers as halves, without copying.
    pub fn cast(bits: &[u16]) -> &[Self] {
        // SAFETY: `F16` is `repr(transparent)` over `u16`, and every bit pattern is one.
        unsafe { std::slice::from_raw_parts(bits.as_ptr().cast(), bits.len()) }
    }

    /// The bits of halves, without copying.
    pub fn bits(halves: &[Self]) -> &[u16] {
        // SAFETY: as in `cast`.
        unsafe { std::slice::from_raw_parts(halves.as_ptr().cast(), halves.len()) }
    }
}

/// `bits / 2^count` rounded to nearest, ties to even; `count` in `1..=24`.
fn round_off(bits: u32, count: u32) -> u32 {
    let half = 1 << (count - 1);
    let odd = bits >> count & 1;
    (bits + half - 1 + odd) >> count
}

/// Converts a whole vector; see [`F16::from_f32`]. Panics when lengths differ.
pub fn to_f16(from: &[f32], into: &mut [F16]) {
    assert_eq!(from.len(), into.len(), "vectors of one dimension");
    // SAFETY: lengths agree; the CPU has the table's instructions (invariant of `table`).
    unsafe { (kernels().to_f16)(from, into) }
}

/// Converts a whole vector, exactly. Panics when lengths differ.
pub fn from_f16(from: &[F16], into: &mut [f32]) {
    assert_eq!(from.len(), into.len(), "vectors of one dimension");
    // SAFETY: as above.
    unsafe { (kernels().from_f16)(from, into) }
}
