//! Distance kernels, chosen once per process for the CPU at hand.
//!
//! Every distance the engine computes, in an index or in an exact scan, goes through the one table that [`kernels`]
//! returns: the same pair of vectors gives the same bits whatever plan asked.
//!
//! ```text
//!   rows      queries    metrics             results
//!   f32       f32        L2^2, dot, L1       f32
//!   f16       f16, f32   L2^2, dot, L1       f32        sums in f32
//!   i8, u8    f32        L2^2, dot, L1       f32        quantised rows, exact query
//!   i8, 7-bit the same   L2^2, dot, L1       i32        exact
//!   1 bit     1 bit      Hamming, Jaccard    u32, f32
//!   1 bit     4 bits     dot                 u32        the query in bit planes
//!   f32       f32        L2^2, dot           f32        matrices
//! ```
//!
//! Beside the table stand [`Sparse`] vectors, whose kernels are the same on every CPU, and [`distance`] with its siblings,
//! which give the values a user sees, computed as pgvector computes them: sums in `f32`, the last step in `f64`.
//!
//! Not here: storage, ids, how codes are made. Adding an instruction set means adding a module with one [`Kernels`]
//! constant and a line in `tables`; `scalar` stays as the fallback and as the oracle of the tests.
//!
//! Tests run every table the processor has. Without AVX-512, Miri checks that table but for halves, on a few dimensions:
//! `RUSTFLAGS="-C target-feature=+fma,+f16c,+popcnt,+avx512f,+avx512bw,+avx512vl,+avx512vnni,+avx512vpopcntdq"
//! cargo +nightly miri test -p omen-kernels`; qemu-aarch64 runs NEON's.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bits;
mod distance;
mod forms;
mod half;
#[cfg(target_arch = "aarch64")]
mod neon;
mod prefetch;
mod scalar;
mod simd;
mod sparse;
mod table;
mod tile;

use std::sync::OnceLock;

pub use bits::{pack_bits, pack_planes, words};
pub use distance::{Metric, distance, distance_bits, distance_f16, distance_sparse};
pub use half::{F16, from_f16, to_f16};
pub use prefetch::prefetch;
pub use sparse::Sparse;
pub use table::{
    Bits, Dense, DotAndNorms, Kernel, Kernels, MAX_INTEGER_DIM, Overlap, PLANES, Pool,
};
pub use tile::Tile;

/// The kernels for this CPU. Detection runs on the first call only.
pub fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| tables()[0])
}

/// Every table this CPU can run, the fastest first and the scalar one last. For tests and benchmarks; the engine takes
/// [`kernels`].
pub fn tables() -> Vec<&'static Kernels> {
    let mut tables: Vec<&'static Kernels> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if avx512::is_supported() {
            tables.push(&avx512::KERNELS);
        }
        if avx2::is_supported() {
            tables.push(&avx2::KERNELS);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if neon::is_supported() {
        tables.push(&neon::KERNELS);
    }
    tables.push(&scalar::KERNELS);
    tables
}
