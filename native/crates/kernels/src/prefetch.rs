//! Asking for memory before it is needed.

/// Rows asked for ahead of the one being summed. Two took a third off random reads of 128-dimensional rows.
pub(crate) const AHEAD: usize = 2;

/// Asks the CPU to load the first cache lines of `row`. A hint: no effect on results, none at all off x86-64.
#[inline(always)]
pub fn prefetch<T>(row: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // Hardware prefetchers follow a sequential read after its first lines; asking for many more would only fill the
        // load queue.
        const MAX_LINES: usize = 8;
        const LINE_BYTES: usize = 64;
        let bytes = std::mem::size_of_val(row);
        let start: *const i8 = row.as_ptr().cast();
        for line in 0..bytes.div_ceil(LINE_BYTES).min(MAX_LINES) {
            // SAFETY: the address is inside a live slice, and prefetch cannot fault on any address anyway.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(line * LINE_BYTES)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}
