//! Bit strings. Short ones are counted word by word with POPCNT. From [`VECTOR_WORDS`] words on, 256 bits at a time are
//! counted with a table of sixteen counts and a byte shuffle (W. Mula, N. Kurz, D. Lemire, "Faster population counts
//! using AVX2 instructions", 2016), which costs less than four POPCNTs a register.

use std::arch::x86_64::{
    __m256i, _mm_add_epi64, _mm_cvtsi128_si64, _mm_unpackhi_epi64, _mm256_add_epi8,
    _mm256_add_epi64, _mm256_and_si256, _mm256_castsi256_si128, _mm256_extracti128_si256,
    _mm256_loadu_si256, _mm256_or_si256, _mm256_sad_epu8, _mm256_set1_epi8, _mm256_setr_epi8,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_xor_si256,
};

use crate::forms::Pair;
use crate::table::{Overlap, PLANES};

/// Words in a register.
const LANES: usize = 4;
/// Words from which the vector form wins; below it POPCNT does (`cargo bench`).
const VECTOR_WORDS: usize = 8;

/// # Safety
/// `from` is readable for four words; the CPU has AVX2.
#[inline(always)]
unsafe fn load(from: *const u64) -> __m256i {
    // SAFETY: contract of the function; the load needs no alignment.
    unsafe { _mm256_loadu_si256(from.cast()) }
}

/// The number of set bits of every byte.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn count_bytes(bits: __m256i) -> __m256i {
    // SAFETY: contract of the function.
    unsafe {
        let counts = _mm256_setr_epi8(
            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, //
            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
        );
        let nibble = _mm256_set1_epi8(0x0f);
        let low = _mm256_and_si256(bits, nibble);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bits), nibble);
        _mm256_add_epi8(_mm256_shuffle_epi8(counts, low), _mm256_shuffle_epi8(counts, high))
    }
}

/// Bytes summed into four 64-bit lanes.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn widen(bytes: __m256i) -> __m256i {
    // SAFETY: contract of the function.
    unsafe { _mm256_sad_epu8(bytes, _mm256_setzero_si256()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn horizontal_sum(lanes: __m256i) -> u32 {
    let two = _mm_add_epi64(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256::<1>(lanes));
    _mm_cvtsi128_si64(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two))) as u32
}

/// Counts the bits of `join(query, row)`; `join` and `join_words` are the same function of registers and of words.
///
/// # Safety
/// Query and row are equally long; the CPU has AVX2 and POPCNT.
#[inline(always)]
unsafe fn count(
    query: &[u64],
    row: &[u64],
    join: impl Fn(__m256i, __m256i) -> __m256i,
    join_words: impl Fn(u64, u64) -> u64,
) -> u32 {
    let mut at = 0;
    let mut total = 0;
    if row.len() >= VECTOR_WORDS {
        // SAFETY: loads cover `at .. at + 4` of equally long slices.
        unsafe {
            let mut sums = _mm256_setzero_si256();
            while at + LANES <= row.len() {
                let joined = join(load(query.as_ptr().add(at)), load(row.as_ptr().add(at)));
                sums = _mm256_add_epi64(sums, widen(count_bytes(joined)));
                at += LANES;
            }
            total = horizontal_sum(sums);
        }
    }
    for (&q, &r) in query[at..].iter().zip(&row[at..]) {
        total += join_words(q, r).count_ones();
    }
    total
}

pub(super) struct Hamming;

impl Pair for Hamming {
    type Query = u64;
    type Row = u64;
    type Sum = u32;

    #[inline(always)]
    unsafe fn sum(query: &[u64], row: &[u64]) -> u32 {
        // SAFETY: contract of the trait.
        unsafe { count(query, row, |q, r| _mm256_xor_si256(q, r), |q, r| q ^ r) }
    }
}

pub(super) struct Both;

impl Pair for Both {
    type Query = u64;
    type Row = u64;
    type Sum = Overlap;

    #[inline(always)]
    unsafe fn sum(query: &[u64], row: &[u64]) -> Overlap {
        // SAFETY: contract of the trait.
        unsafe {
            let both = count(query, row, |q, r| _mm256_and_si256(q, r), |q, r| q & r);
            let either = count(query, row, |q, r| _mm256_or_si256(q, r), |q, r| q | r);
            Overlap { both, either }
        }
    }
}

pub(super) struct Planes;

impl Pair for Planes {
    type Query = u64;
    type Row = u64;
    type Sum = u32;

    #[inline(always)]
    unsafe fn sum(query: &[u64], row: &[u64]) -> u32 {
        let words = row.len();
        let mut at = 0;
        let mut total = 0;
        // SAFETY: the query holds a plane of `words` words for each of the planes (contract of the trait), and loads
        // cover `at .. at + 4` of a plane and of the row.
        unsafe {
            let mut sums = _mm256_setzero_si256();
            while at + LANES <= words {
                let row = load(row.as_ptr().add(at));
                // A byte of all planes together is at most 8 * 15, so it is widened once.
                let mut bytes = _mm256_setzero_si256();
                for plane in (0..PLANES).rev() {
                    let query = load(query.as_ptr().add(plane * words + at));
                    let counts = count_bytes(_mm256_and_si256(query, row));
                    bytes = _mm256_add_epi8(_mm256_add_epi8(bytes, bytes), counts);
                }
                sums = _mm256_add_epi64(sums, widen(bytes));
                at += LANES;
            }
            if at > 0 {
                total = horizontal_sum(sums);
            }
        }
        while at < words {
            for plane in 0..PLANES {
                total += (query[plane * words + at] & row[at]).count_ones() << plane;
            }
            at += 1;
        }
        total
    }
}
