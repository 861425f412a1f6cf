//! 64-bit Arm CPUs with the dot product extension: Apple's, and servers since Graviton 2 and Ampere Altra. Those without
//! (Cortex-A72 and older) run the scalar table, whose loops the compiler vectorises for them.
//!
//! Two instructions have no stable intrinsics yet and are written out: `fcvtl`, which widens halves, and `sdot`.

#![allow(clippy::wildcard_imports, reason = "intrinsics carry their set in their names")]

use std::arch::aarch64::*;
use std::arch::asm;

use crate::half::F16;
use crate::simd::{Codes, Floats, Load, Words, table};

pub(crate) struct Neon;

// Thirty-two registers, of which a sum takes two.
table!(Neon, "neon+dotprod", "neon,dotprod", tiles of 2 and 2);

pub(crate) fn is_supported() -> bool {
    std::arch::is_aarch64_feature_detected!("neon")
        && std::arch::is_aarch64_feature_detected!("dotprod")
}

/// Eight floats: a pair of registers, since one is too short to hide the latency of four sums.
#[derive(Clone, Copy)]
pub(crate) struct Eight(float32x4_t, float32x4_t);

impl Floats for Neon {
    type Floats = Eight;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Eight {
        // SAFETY: contract of the trait.
        unsafe { Eight(vdupq_n_f32(0.0), vdupq_n_f32(0.0)) }
    }

    #[inline(always)]
    unsafe fn add(a: Eight, b: Eight) -> Eight {
        // SAFETY: contract of the trait.
        unsafe { Eight(vaddq_f32(a.0, b.0), vaddq_f32(a.1, b.1)) }
    }

    #[inline(always)]
    unsafe fn subtract(a: Eight, b: Eight) -> Eight {
        // SAFETY: contract of the trait.
        unsafe { Eight(vsubq_f32(a.0, b.0), vsubq_f32(a.1, b.1)) }
    }

    #[inline(always)]
    unsafe fn multiply_add(sum: Eight, a: Eight, b: Eight) -> Eight {
        // SAFETY: contract of the trait.
        unsafe { Eight(vfmaq_f32(sum.0, a.0, b.0), vfmaq_f32(sum.1, a.1, b.1)) }
    }

    #[inline(always)]
    unsafe fn magnitude(a: Eight) -> Eight {
        // SAFETY: contract of the trait.
        unsafe { Eight(vabsq_f32(a.0), vabsq_f32(a.1)) }
    }

    #[inline(always)]
    unsafe fn total(lanes: Eight) -> f32 {
        // SAFETY: contract of the trait.
        unsafe { vaddvq_f32(vaddq_f32(lanes.0, lanes.1)) }
    }

    #[inline(always)]
    unsafe fn totals([a, b, c, d]: [Eight; 4]) -> [f32; 4] {
        // SAFETY: contract of the trait.
        unsafe {
            [
                <Self as Floats>::total(a),
                <Self as Floats>::total(b),
                <Self as Floats>::total(c),
                <Self as Floats>::total(d),
            ]
        }
    }
}

/// Implements [`Load`] by an expression over the pointer. Tails go through a padded copy.
macro_rules! load {
    ($element:ty, |$from:ident| $load:expr) => {
        impl Load<$element> for Neon {
            #[inline(always)]
            unsafe fn load($from: *const $element) -> Eight {
                // SAFETY: contract of the trait; no load here needs alignment.
                unsafe { $load }
            }

            #[inline(always)]
            unsafe fn load_tail(vector: &[$element]) -> Eight {
                const LANES: usize = <Neon as Floats>::LANES;
                let count = vector.len() % LANES;
                let mut padded = [<$element>::default(); LANES];
                padded[..count].copy_from_slice(&vector[vector.len() - count..]);
                // SAFETY: eight elements; contract of the trait.
                unsafe { <Self as Load<$element>>::load(padded.as_ptr()) }
            }
        }
    };
}

load!(f32, |from| Eight(vld1q_f32(from), vld1q_f32(from.add(4))));
load!(F16, |from| {
    let halves = vld1q_u16(from.cast());
    Eight(widen_halves(vget_low_u16(halves)), widen_halves(vget_high_u16(halves)))
});
load!(i8, |from| {
    let codes = vmovl_s8(vld1_s8(from));
    let (low, high) = (vmovl_s16(vget_low_s16(codes)), vmovl_s16(vget_high_s16(codes)));
    Eight(vcvtq_f32_s32(low), vcvtq_f32_s32(high))
});
load!(u8, |from| {
    let codes = vmovl_u8(vld1_u8(from));
    let (low, high) = (vmovl_u16(vget_low_u16(codes)), vmovl_u16(vget_high_u16(codes)));
    Eight(vcvtq_f32_u32(low), vcvtq_f32_u32(high))
});

/// Four halves as floats, exactly.
#[inline(always)]
unsafe fn widen_halves(halves: uint16x4_t) -> float32x4_t {
    let floats;
    // SAFETY: the instruction is part of every 64-bit Arm CPU and touches its operands alone.
    unsafe {
        asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) floats, in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags));
    }
    floats
}

/// `sums` and, in each lane, the products of four codes.
#[inline(always)]
unsafe fn add_dot(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the CPU has the dot product extension (contract of the traits); operands alone are touched.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sums, in(vreg) a, in(vreg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    sums
}

impl Codes for Neon {
    type Codes = int8x16_t;
    type Sums = int32x4_t;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> int32x4_t {
        // SAFETY: contract of the trait.
        unsafe { vdupq_n_s32(0) }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> int8x16_t {
        // SAFETY: contract of the trait.
        unsafe { vld1q_s8(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_tail(codes: &[u8]) -> int8x16_t {
        const LANES: usize = <Neon as Codes>::LANES;
        let count = codes.len() % LANES;
        let mut padded = [0u8; LANES];
        padded[..count].copy_from_slice(&codes[codes.len() - count..]);
        // SAFETY: sixteen codes; contract of the trait.
        unsafe { vld1q_s8(padded.as_ptr().cast()) }
    }

    #[inline(always)]
    unsafe fn add(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: contract of the trait.
        unsafe { vaddq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn total(sums: int32x4_t) -> i32 {
        // SAFETY: contract of the trait.
        unsafe { vaddvq_s32(sums) }
    }

    #[inline(always)]
    unsafe fn signed_product(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: contract of the trait.
        unsafe { add_dot(sums, a, b) }
    }

    /// The magnitude of a difference takes eight bits without a sign, its square sixteen.
    #[inline(always)]
    unsafe fn signed_square(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: contract of the trait.
        unsafe {
            let difference = vreinterpretq_u8_s8(vabdq_s8(a, b));
            let (low, high) = (vget_low_u8(difference), vget_high_u8(difference));
            let sums = vreinterpretq_u32_s32(sums);
            let sums = vpadalq_u16(vpadalq_u16(sums, vmull_u8(low, low)), vmull_u8(high, high));
            vreinterpretq_s32_u32(sums)
        }
    }

    #[inline(always)]
    unsafe fn signed_magnitude(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: contract of the trait.
        unsafe {
            let difference = vreinterpretq_u8_s8(vabdq_s8(a, b));
            let sums = vpadalq_u16(vreinterpretq_u32_s32(sums), vpaddlq_u8(difference));
            vreinterpretq_s32_u32(sums)
        }
    }

    // Codes of seven bits are signed ones that happen not to be negative.

    #[inline(always)]
    unsafe fn narrow_product(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: contract of the trait.
        unsafe { add_dot(sums, a, b) }
    }

    /// Their differences fit a signed byte.
    #[inline(always)]
    unsafe fn narrow_square(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: contract of the trait.
        unsafe {
            let difference = vsubq_s8(a, b);
            add_dot(sums, difference, difference)
        }
    }

    #[inline(always)]
    unsafe fn narrow_magnitude(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: contract of the trait.
        unsafe { Self::signed_magnitude(sums, a, b) }
    }

    #[inline(always)]
    unsafe fn mixed_product(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: contract of the trait.
        unsafe { add_dot(sums, a, b) }
    }
}

impl Words for Neon {
    type Words = uint8x16_t;
    /// Bytes.
    type Counts = uint8x16_t;
    type Sums = uint32x4_t;
    const LANES: usize = 2;
    const LEAST: usize = 2;

    #[inline(always)]
    unsafe fn zero() -> uint32x4_t {
        // SAFETY: contract of the trait.
        unsafe { vdupq_n_u32(0) }
    }

    #[inline(always)]
    unsafe fn load(from: *const u64) -> uint8x16_t {
        // SAFETY: contract of the trait.
        unsafe { vld1q_u8(from.cast()) }
    }

    /// There is one word, since registers hold two.
    #[inline(always)]
    unsafe fn load_tail(words: &[u64]) -> uint8x16_t {
        let last = words[words.len() - 1];
        // SAFETY: contract of the trait.
        unsafe { vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(last), vcreate_u64(0))) }
    }

    #[inline(always)]
    unsafe fn and(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: contract of the trait.
        unsafe { vandq_u8(a, b) }
    }

    #[inline(always)]
    unsafe fn or(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: contract of the trait.
        unsafe { vorrq_u8(a, b) }
    }

    #[inline(always)]
    unsafe fn xor(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: contract of the trait.
        unsafe { veorq_u8(a, b) }
    }

    #[inline(always)]
    unsafe fn count(words: uint8x16_t) -> uint8x16_t {
        // SAFETY: contract of the trait.
        unsafe { vcntq_u8(words) }
    }

    #[inline(always)]
    unsafe fn double_and_add(counts: uint8x16_t, more: uint8x16_t) -> uint8x16_t {
        // SAFETY: contract of the trait.
        unsafe { vaddq_u8(vaddq_u8(counts, counts), more) }
    }

    #[inline(always)]
    unsafe fn add(sums: uint32x4_t, counts: uint8x16_t) -> uint32x4_t {
        // SAFETY: contract of the trait.
        unsafe { vpadalq_u16(sums, vpaddlq_u8(counts)) }
    }

    #[inline(always)]
    unsafe fn total(sums: uint32x4_t) -> u32 {
        // SAFETY: contract of the trait.
        unsafe { vaddvq_u32(sums) }
    }
}

/// # Safety
/// The slices are equally long.
unsafe fn to_f16(from: &[f32], into: &mut [F16]) {
    into.iter_mut().zip(from).for_each(|(half, &value)| *half = F16::from_f32(value));
}

/// # Safety
/// The slices are equally long; the CPU has NEON.
#[target_feature(enable = "neon")]
unsafe fn from_f16(from: &[F16], into: &mut [f32]) {
    let (from, rest) = from.as_chunks::<4>();
    let (into, into_rest) = into.as_chunks_mut::<4>();
    for (from, into) in from.iter().zip(into) {
        // SAFETY: four halves are read and four floats written.
        unsafe { vst1q_f32(into.as_mut_ptr(), widen_halves(vld1_u16(from.as_ptr().cast()))) }
    }
    into_rest.iter_mut().zip(rest).for_each(|(value, half)| *value = half.to_f32());
}
