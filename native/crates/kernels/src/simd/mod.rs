//! Kernels written once for every instruction set, over the few operations in which the sets differ.
//!
//! ```text
//!   avx2, avx512, neon      what a register is, loads, one step of each sum     (Floats, Load, Codes, Words)
//!   floats, codes, words,   the loops: accumulators, tails, reductions
//!   tile
//!   table!                  compiles them with the set's features, as one static table
//! ```
//!
//! Everything here and in the instruction sets is `#[inline(always)]`: an operation only becomes instructions of its set
//! inside the functions that `table!` compiles with the features, and a call in between would lose them. For the same
//! reason no operation is called from a closure, which has no features and is inlined only if the compiler thinks it worth.
//!
//! Safety, for every function of these traits and modules: the CPU has the features of the instruction set, and pointers
//! are readable for as many elements as the operation loads. `unsafe` blocks that rest on nothing else say "contract of the
//! trait".

pub(crate) mod codes;
pub(crate) mod floats;
pub(crate) mod tile;
pub(crate) mod words;

/// Registers of `f32`.
pub(crate) trait Floats: 'static {
    type Floats: Copy;
    /// Floats in a register.
    const LANES: usize;

    unsafe fn zero() -> Self::Floats;
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn subtract(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `sum + a * b`, rounded once.
    unsafe fn multiply_add(sum: Self::Floats, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn magnitude(a: Self::Floats) -> Self::Floats;
    /// The sum of all lanes.
    unsafe fn total(lanes: Self::Floats) -> f32;
    /// The totals of four registers.
    unsafe fn totals(lanes: [Self::Floats; 4]) -> [f32; 4];
}

/// An element of which a register's worth becomes floats.
pub(crate) trait Load<E>: Floats {
    unsafe fn load(from: *const E) -> Self::Floats;

    /// The last `vector.len() % LANES` elements, not none, with zeros in the other lanes. Which lanes they take depends on
    /// the length alone, so that two vectors of one length match.
    unsafe fn load_tail(vector: &[E]) -> Self::Floats;
}

/// Registers of one-byte codes, and sums of what is computed from them in lanes of 32 bits.
pub(crate) trait Codes: 'static {
    type Codes: Copy;
    type Sums: Copy;
    /// Codes in a register.
    const LANES: usize;

    unsafe fn zero() -> Self::Sums;
    unsafe fn load(from: *const u8) -> Self::Codes;
    /// As [`Load::load_tail`].
    unsafe fn load_tail(codes: &[u8]) -> Self::Codes;
    unsafe fn add(a: Self::Sums, b: Self::Sums) -> Self::Sums;
    unsafe fn total(sums: Self::Sums) -> i32;

    // One step of each kernel: `sums` and what `a` and `b` contribute.
    unsafe fn signed_product(sums: Self::Sums, a: Self::Codes, b: Self::Codes) -> Self::Sums;
    unsafe fn signed_square(sums: Self::Sums, a: Self::Codes, b: Self::Codes) -> Self::Sums;
    unsafe fn signed_magnitude(sums: Self::Sums, a: Self::Codes, b: Self::Codes) -> Self::Sums;
    /// Codes of seven bits from here on; in `mixed_product` those of `b` alone, `a` being signed.
    unsafe fn narrow_product(sums: Self::Sums, a: Self::Codes, b: Self::Codes) -> Self::Sums;
    unsafe fn narrow_square(sums: Self::Sums, a: Self::Codes, b: Self::Codes) -> Self::Sums;
    unsafe fn narrow_magnitude(sums: Self::Sums, a: Self::Codes, b: Self::Codes) -> Self::Sums;
    unsafe fn mixed_product(sums: Self::Sums, a: Self::Codes, b: Self::Codes) -> Self::Sums;
}

/// Registers of 64-bit words, and how many of their bits are set.
pub(crate) trait Words: 'static {
    type Words: Copy;
    /// Counts in small lanes: whatever counting gives, with room for the fifteen counts that four planes add up to.
    type Counts: Copy;
    /// Sums of counts in large lanes.
    type Sums: Copy;
    /// Words in a register.
    const LANES: usize;
    /// Words from which registers win over counting word by word (`cargo bench`).
    const LEAST: usize;

    unsafe fn zero() -> Self::Sums;
    unsafe fn load(from: *const u64) -> Self::Words;
    /// As [`Load::load_tail`].
    unsafe fn load_tail(words: &[u64]) -> Self::Words;
    unsafe fn and(a: Self::Words, b: Self::Words) -> Self::Words;
    unsafe fn or(a: Self::Words, b: Self::Words) -> Self::Words;
    unsafe fn xor(a: Self::Words, b: Self::Words) -> Self::Words;
    unsafe fn count(words: Self::Words) -> Self::Counts;
    /// `2 * counts + more`.
    unsafe fn double_and_add(counts: Self::Counts, more: Self::Counts) -> Self::Counts;
    unsafe fn add(sums: Self::Sums, counts: Self::Counts) -> Self::Sums;
    unsafe fn total(sums: Self::Sums) -> u32;
}

/// Defines `KERNELS`, the table of the instruction set `$set`, compiled with the features named. `$dot` and `$l2` are how
/// many queries a tile of each kind takes: as many as registers hold the sums of.
macro_rules! table {
    ($set:ty, $name:literal, $features:literal, tiles of $dot:literal and $l2:literal) => {
        $crate::forms::forms!($features);

        pub(crate) static KERNELS: $crate::Kernels = $crate::Kernels {
            name: $name,
            l2_squared: |a, b| F32.l2_squared.pair(a, b),
            dot: |a, b| F32.dot.pair(a, b),
            f32: floats(),
            f16: floats(),
            dot_and_norms: kernel::<$crate::simd::floats::Norms<$set, f32>, 1>(),
            f16_dot_and_norms: kernel::<$crate::simd::floats::Norms<$set, $crate::F16>, 1>(),
            f32_f16: floats(),
            f32_i8: floats(),
            f32_u8: floats(),
            i8: $crate::Dense {
                l2_squared: kernel::<$crate::simd::codes::SignedSquare<$set>, 1>(),
                dot: kernel::<$crate::simd::codes::SignedProduct<$set>, 1>(),
                l1: kernel::<$crate::simd::codes::SignedMagnitude<$set>, 1>(),
            },
            u7: $crate::Dense {
                l2_squared: kernel::<$crate::simd::codes::NarrowSquare<$set>, 1>(),
                dot: kernel::<$crate::simd::codes::NarrowProduct<$set>, 1>(),
                l1: kernel::<$crate::simd::codes::NarrowMagnitude<$set>, 1>(),
            },
            i8_u7_dot: kernel::<$crate::simd::codes::MixedProduct<$set>, 1>(),
            bits: $crate::Bits {
                hamming: kernel::<$crate::simd::words::Hamming<$set>, 1>(),
                jaccard: kernel::<$crate::scalar::Jaccard<$crate::simd::words::Both<$set>>, 1>(),
                overlap: kernel::<$crate::simd::words::Both<$set>, 1>(),
                planes: kernel::<$crate::simd::words::Planes<$set>, { $crate::PLANES }>(),
            },
            tile: $crate::Tile { l2_squared: tile_l2_squared, dot: tile_dot },
            to_f16,
            from_f16,
        };

        static F32: $crate::Dense<f32, f32, f32> = floats();

        const fn floats<Q: 'static, R: 'static>() -> $crate::Dense<Q, R, f32>
        where
            $set: $crate::simd::Load<Q> + $crate::simd::Load<R>,
        {
            use $crate::simd::floats::{AbsoluteDifference, Product, SquaredDifference, Sum};
            $crate::Dense {
                l2_squared: kernel::<Sum<$set, SquaredDifference, Q, R>, 1>(),
                dot: kernel::<Sum<$set, Product, Q, R>, 1>(),
                l1: kernel::<Sum<$set, AbsoluteDifference, Q, R>, 1>(),
            }
        }

        /// # Safety
        /// As for [`crate::Tile::l2_squared`], its checks done; the CPU has the features.
        #[target_feature(enable = $features)]
        unsafe fn tile_l2_squared(queries: &[&[f32]], rows: &[&[f32]], out: &mut [f32]) {
            use $crate::simd::{floats::SquaredDifference, tile::fill};
            // SAFETY: the contract is the caller's.
            unsafe { fill::<$set, SquaredDifference, $l2>(queries, rows, out) }
        }

        /// # Safety
        /// As for [`crate::Tile::dot`], its checks done; the CPU has the features.
        #[target_feature(enable = $features)]
        unsafe fn tile_dot(queries: &[&[f32]], rows: &[&[f32]], out: &mut [f32]) {
            use $crate::simd::{floats::Product, tile::fill};
            // SAFETY: the contract is the caller's.
            unsafe { fill::<$set, Product, $dot>(queries, rows, out) }
        }
    };
}
pub(crate) use table;
