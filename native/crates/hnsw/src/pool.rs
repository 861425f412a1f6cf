//! A growing array of `u32` words in rows of fixed width, readable without locks while it grows.
//!
//! Chunks double in size and never move, so a reference to a row stays good for the pool's life. Memory comes zeroed from
//! the operating system page by page: the unused end of the newest chunk is address space, not memory.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;

/// The first chunk holds this many rows.
const FIRST_CHUNK_ROWS: u64 = 1 << FIRST_CHUNK_BITS;
const FIRST_CHUNK_BITS: u32 = 10;
/// Chunks of 2^10, 2^10, 2^11 ... rows: this many cover every `u32` row number.
const MAX_CHUNKS: usize = (u32::BITS - FIRST_CHUNK_BITS + 1) as usize;
const CACHE_LINE_BYTES: usize = 64;
const CACHE_LINE_WORDS: usize = CACHE_LINE_BYTES / size_of::<u32>();

pub(crate) struct Pool {
    row_words: usize,
    chunks: [OnceLock<Chunk>; MAX_CHUNKS],
}

struct Chunk {
    words: Box<[AtomicU32]>,
    /// Words skipped so that the first row starts on a cache line.
    skew: usize,
}

/// Row `r` lies in the chunk numbered by the highest bit of `r + FIRST_CHUNK_ROWS`.
fn locate(row: u32) -> (usize, usize) {
    let shifted = row as u64 + FIRST_CHUNK_ROWS;
    let high_bit = shifted.ilog2();
    ((high_bit - FIRST_CHUNK_BITS) as usize, (shifted - (1 << high_bit)) as usize)
}

fn chunk_rows(chunk: usize) -> usize {
    1 << (chunk + FIRST_CHUNK_BITS as usize)
}

impl Pool {
    /// A pool of rows `row_words` wide. With zero words it holds nothing and costs nothing.
    pub fn new(row_words: usize) -> Self {
        Self { row_words, chunks: [const { OnceLock::new() }; MAX_CHUNKS] }
    }

    /// The words of `row`, allocated (zeroed) if they were not yet. For writers.
    pub fn ensure(&self, row: u32) -> &[AtomicU32] {
        let (chunk, at) = locate(row);
        let chunk =
            self.chunks[chunk].get_or_init(|| Chunk::new(chunk_rows(chunk) * self.row_words));
        chunk.row(at, self.row_words)
    }

    /// The words of `row`, which some `ensure` allocated before its number was published.
    #[inline]
    pub fn row(&self, row: u32) -> &[AtomicU32] {
        let (chunk, at) = locate(row);
        let chunk = self.chunks[chunk]
            .get()
            .expect("the row was allocated before its number was published");
        chunk.row(at, self.row_words)
    }

    /// Bytes of the rows below `rows`: what the pool keeps in memory once they are written.
    pub fn used_bytes(&self, rows: u32) -> usize {
        rows as usize * self.row_words * size_of::<u32>()
    }
}

impl Chunk {
    fn new(words: usize) -> Self {
        // `vec!` of a zero integer asks for zeroed pages instead of writing zeros.
        let zeroed = vec![0u32; words + CACHE_LINE_WORDS].into_boxed_slice();
        let raw = Box::into_raw(zeroed);
        // SAFETY: AtomicU32 has the size, alignment and bit validity of u32 (its documentation), and the box is ours.
        let words = unsafe { Box::from_raw(raw as *mut [AtomicU32]) };
        let skew = words.as_ptr().align_offset(CACHE_LINE_BYTES).min(CACHE_LINE_WORDS);
        Self { words, skew }
    }

    #[inline]
    fn row(&self, at: usize, row_words: usize) -> &[AtomicU32] {
        let start = self.skew + at * row_words;
        &self.words[start..start + row_words]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn rows_are_numbered_without_gap_or_overlap() {
        let mut expected = (0, 0);
        for row in 0..100_000 {
            assert_eq!(locate(row), expected);
            expected.1 += 1;
            if expected.1 == chunk_rows(expected.0) {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(locate(u32::MAX).0, MAX_CHUNKS - 1);
        assert!(locate(u32::MAX).1 < chunk_rows(MAX_CHUNKS - 1));
    }

    #[test]
    fn rows_start_zeroed_and_keep_their_words() {
        let pool = Pool::new(3);
        for row in (0..5000).rev() {
            let words = pool.ensure(row);
            assert!(words.iter().all(|word| word.load(Relaxed) == 0));
            for word in words {
                word.store(row + 1, Relaxed);
            }
        }
        assert!((0..5000).all(|row| pool.row(row).iter().all(|w| w.load(Relaxed) == row + 1)));
    }
}
