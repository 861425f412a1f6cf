//! Packing into the words that the bit kernels read. Element `i` is bit `i % 64` of word `i / 64`; the rest of the last
//! word is zero.

use crate::PLANES;

/// Words that hold `count` bits.
pub const fn words(count: usize) -> usize {
    count.div_ceil(64)
}

/// One bit per element, set where `is_set` says so. `out` holds [`words`]`(elements.len())` words.
pub fn pack_bits<T: Copy>(elements: &[T], is_set: impl Fn(T) -> bool, out: &mut [u64]) {
    assert_eq!(out.len(), words(elements.len()), "as many words as the bits need");
    for (word, elements) in out.iter_mut().zip(elements.chunks(64)) {
        *word =
            elements.iter().enumerate().fold(0, |word, (at, &e)| word | (is_set(e) as u64) << at);
    }
}

/// Levels `0..16`, one a dimension, as the bit planes that [`crate::Bits::planes`] takes for its query. `out` holds
/// [`PLANES`] times [`words`]`(levels.len())` words. Panics on a level that needs more bits.
pub fn pack_planes(levels: &[u8], out: &mut [u64]) {
    let words = words(levels.len());
    assert_eq!(out.len(), PLANES * words, "as many words as the planes need");
    assert!(levels.iter().all(|&level| level < 1 << PLANES), "a level fits its planes");
    for plane in 0..PLANES {
        let out = &mut out[plane * words..][..words];
        pack_bits(levels, |level| level >> plane & 1 == 1, out);
    }
}
