//! Memory that graphs live in: zeroed blocks of our own, or what a stored graph was opened from.

/// The huge page of x86-64 and of most arm64 kernels.
const HUGE_PAGE_BYTES: usize = 2 << 20;
const CACHE_LINE_BYTES: usize = 64;

/// Bytes of a stored graph: a block it was read into, or a private (copy-on-write) mapping of its file.
///
/// # Safety
/// `start` leads to `len` bytes that stay where they are for the value's life, that this process may write, and that
/// nothing but the graph opened over them reads or writes. What is written need not reach any file.
pub unsafe trait Memory: Send + Sync {
    /// Aligned to 64 bytes.
    fn start(&self) -> *mut u8;
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Zeroed memory that starts on a cache line, in huge pages where it is large and the system has them.
pub struct Block {
    /// What the allocator gave, from a box.
    allocation: *mut [u8],
    /// The first cache line inside it.
    start: *mut u8,
    len: usize,
}

// SAFETY: the pointers lead to memory that the block owns.
unsafe impl Send for Block {}
// SAFETY: the block itself gives out shared access to nothing; see `Memory`.
unsafe impl Sync for Block {}

impl Block {
    /// `len` zero bytes. Takes address space now and memory as pages are touched.
    pub fn zeroed(len: usize) -> Self {
        // `vec!` of zero asks for zeroed pages instead of writing zeros.
        let mut bytes = vec![0u8; len + CACHE_LINE_BYTES].into_boxed_slice();
        let skew = bytes.as_ptr().align_offset(CACHE_LINE_BYTES).min(CACHE_LINE_BYTES);
        ask_for_huge_pages(&mut bytes);
        let allocation = Box::into_raw(bytes);
        // SAFETY: `skew` is at most the spare bytes at the end.
        let start = unsafe { allocation.cast::<u8>().add(skew) };
        Self { allocation, start, len }
    }

    /// The bytes, to be filled before the block is given to a graph.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` bytes from `start` on are the block's, and the block is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: it came from a box, and nothing outlives the block (`Pool` keeps its blocks and its memory).
        drop(unsafe { Box::from_raw(self.allocation) });
    }
}

// SAFETY: the bytes are on the heap, owned by the block and given out by `bytes_mut` to its only owner.
unsafe impl Memory for Block {
    fn start(&self) -> *mut u8 {
        self.start
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// A hint; memory that is too small or a system without huge pages stays as it is.
fn ask_for_huge_pages(bytes: &mut [u8]) {
    #[cfg(target_os = "linux")]
    if bytes.len() >= 2 * HUGE_PAGE_BYTES {
        let skip = bytes.as_ptr().align_offset(HUGE_PAGE_BYTES);
        let whole = (bytes.len() - skip) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
        let inside = &mut bytes[skip..skip + whole];
        // SAFETY: the advice does not change what the memory holds.
        let _ = unsafe {
            rustix::mm::madvise(
                inside.as_mut_ptr().cast(),
                inside.len(),
                rustix::mm::Advice::LinuxHugepage,
            )
        };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (bytes, HUGE_PAGE_BYTES);
}

/// Asks the CPU to load `bytes`. A hint: no effect on results, none at all off x86-64.
#[inline(always)]
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        for line in bytes.chunks(CACHE_LINE_BYTES) {
            // SAFETY: the address comes from a live slice, and prefetch cannot fault on any address anyway.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}
