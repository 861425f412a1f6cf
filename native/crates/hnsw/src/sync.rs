//! The atomics and locks that searches, insertions and removals meet at.
//!
//! They are the standard library's, unless the crate's own tests are compiled with the feature `model`: then they are
//! `loom`'s, which runs a test through every interleaving and every value that the memory model lets a load return (see
//! `model.rs`). The code is the same. [`planted`] is where a check of the checks goes wrong on purpose; in the product it
//! is a constant.
//!
//! Not modelled: codes and their codec (one `OnceLock`), threads of a build, memory that a graph was opened over.

#[cfg(not(all(test, feature = "model")))]
mod real {
    pub use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence};
    pub use std::sync::{Mutex, MutexGuard};
    pub use std::thread::yield_now;

    use super::Fault;

    /// Nothing goes wrong on purpose.
    #[inline(always)]
    pub const fn planted(_: Fault) -> bool {
        false
    }

    /// `count` null pointers, as untouched memory.
    pub fn null_pointers(count: usize) -> Box<[AtomicPtr<u8>]> {
        let zeros = Box::into_raw(vec![0usize; count].into_boxed_slice());
        // SAFETY: an atomic pointer has the size and alignment of an address, and zero is the null pointer.
        unsafe { Box::from_raw(zeros as *mut [AtomicPtr<u8>]) }
    }

    /// Makes words of zeroed bytes, which they are already.
    pub fn make_words(_: &mut [u8]) {}
}

#[cfg(all(test, feature = "model"))]
mod real {
    use std::cell::Cell;

    pub use loom::sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence};
    pub use loom::sync::{Mutex, MutexGuard};
    pub use loom::thread::yield_now;

    use super::Fault;

    thread_local! {
        /// `loom` runs all threads of a model on the thread of its test.
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    pub fn planted(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }

    /// Runs `work` with one thing wrong.
    pub fn plant<T>(fault: Option<Fault>, work: impl FnOnce() -> T) -> T {
        PLANTED.set(fault);
        let value = work();
        PLANTED.set(None);
        value
    }

    pub fn null_pointers(count: usize) -> Box<[AtomicPtr<u8>]> {
        (0..count).map(|_| AtomicPtr::new(std::ptr::null_mut())).collect()
    }

    /// Makes words of memory: a modelled atomic is more than its value.
    pub fn make_words(bytes: &mut [u8]) {
        for word in bytes.chunks_exact_mut(size_of::<AtomicU32>()) {
            #[expect(clippy::cast_ptr_alignment, reason = "a block starts on a cache line")]
            // SAFETY: the bytes are this caller's alone, and as many and as aligned as an atomic's.
            unsafe {
                word.as_mut_ptr().cast::<AtomicU32>().write(AtomicU32::new(0));
            }
        }
    }
}

pub(crate) use real::*;

/// What can be got wrong, each by one condition in the code it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A link is stored without release: who follows it may see neither links nor vector of the node.
    LinkUnreleased,
    /// Links to a new node are written before its own.
    LinksBackFirst,
    /// The entry node is looked at before its lock is had, and not again.
    EntryNotLookedAtAgain,
    /// A node's slots change without its lock.
    SlotsUnlocked,
    /// A reader does not look whether the epoch moved while it entered.
    EpochNotLookedAtAgain,
    /// Counting a reader and looking at the epoch may pass each other.
    EpochUnfenced,
    /// Readers are waited for before the links to removed nodes are gone: numbers are free too early.
    WaitBeforeDetach,
}

/// How a link becomes visible: with everything that its writer wrote before.
#[inline(always)]
pub(crate) fn publishing() -> Ordering {
    if planted(Fault::LinkUnreleased) { Ordering::Relaxed } else { Ordering::Release }
}
