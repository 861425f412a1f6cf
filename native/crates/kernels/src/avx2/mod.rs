//! Kernels for x86-64 CPUs with AVX2, FMA, F16C and POPCNT: every one since 2013 (Intel) or 2015 (AMD).

mod bits;
mod dense;
mod half;
mod integers;
mod tile;

use crate::Kernels;
use crate::forms::forms;
use crate::half::F16;
use crate::scalar::Jaccard;
use crate::table::{Bits, Dense, PLANES};
use crate::tile::Tile;
use dense::{AbsoluteDifference, Floats, Product, SquaredDifference};

forms!("avx2,fma,f16c,popcnt");

static KERNELS: Kernels = Kernels {
    name: "avx2+fma",
    l2_squared: |a, b| F32.l2_squared.pair(a, b),
    dot: |a, b| F32.dot.pair(a, b),
    l2_squared_many: |query, rows, out| F32.l2_squared.list(query, rows, out),
    dot_many: |query, rows, out| F32.dot.list(query, rows, out),
    f32: floats(),
    f16: floats(),
    dot_and_norms: kernel::<dense::Norms<f32>, 1>(),
    f16_dot_and_norms: kernel::<dense::Norms<F16>, 1>(),
    f32_f16: floats(),
    f32_i8: floats(),
    f32_u8: floats(),
    i8: Dense {
        l2_squared: kernel::<integers::SignedSquaredDifference, 1>(),
        dot: kernel::<integers::SignedProduct, 1>(),
        l1: kernel::<integers::SignedAbsoluteDifference, 1>(),
    },
    u7: Dense {
        l2_squared: kernel::<integers::NarrowSquaredDifference, 1>(),
        dot: kernel::<integers::NarrowProduct, 1>(),
        l1: kernel::<integers::NarrowAbsoluteDifference, 1>(),
    },
    i8_u7_dot: kernel::<integers::MixedProduct, 1>(),
    bits: Bits {
        hamming: kernel::<bits::Hamming, 1>(),
        jaccard: kernel::<Jaccard<bits::Both>, 1>(),
        overlap: kernel::<bits::Both, 1>(),
        planes: kernel::<bits::Planes, PLANES>(),
    },
    tile: Tile { l2_squared: tile::l2_squared, dot: tile::dot },
    to_f16: half::to_f16,
    from_f16: half::from_f16,
};

static F32: Dense<f32, f32, f32> = floats();

/// The table, when this CPU can run it. Nothing else leads to the functions of this module.
pub(crate) fn kernels() -> Option<&'static Kernels> {
    (is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("popcnt"))
    .then_some(&KERNELS)
}

const fn floats<Q: dense::Lanes, R: dense::Lanes>() -> Dense<Q, R, f32> {
    Dense {
        l2_squared: kernel::<Floats<SquaredDifference, Q, R>, 1>(),
        dot: kernel::<Floats<Product, Q, R>, 1>(),
        l1: kernel::<Floats<AbsoluteDifference, Q, R>, 1>(),
    }
}
