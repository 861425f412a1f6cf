//! The atomics and locks that threads meet at without a lock that would order them: who sees an entry, snapshots and the
//! number they are of, flags of queued work, keys locked one by one beside loads.
//!
//! They are the standard library's, unless the crate's own tests are compiled with the feature `model`: then they are
//! `loom`'s, which runs a test through its interleavings and through every value that the memory model lets a load return
//! (see `model.rs`). The code is the same. [`planted`] is where a check of the checks goes wrong on purpose; in the product
//! it is a constant.
//!
//! Not modelled: what is guarded by one lock alone, `OnceLock` (ends of versions in a chunk), counters for statistics.

#[cfg(not(all(test, feature = "model")))]
mod real {
    pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
    pub use std::sync::{Mutex, RwLock};

    pub use crate::sync::{lock, read, write};

    use super::Fault;

    /// Nothing goes wrong on purpose.
    #[inline(always)]
    pub const fn planted(_: Fault) -> bool {
        false
    }
}

#[cfg(all(test, feature = "model"))]
mod real {
    use std::cell::Cell;
    use std::sync::PoisonError;

    pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
    pub use loom::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

    use super::Fault;

    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
        lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
        lock.write().unwrap_or_else(PoisonError::into_inner)
    }

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
}

pub use real::*;

/// What can be got wrong, each by one condition in the code it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `Snapshots::advance` moves the number without releasing what the commit wrote.
    AdvanceUnreleased,
    /// `Snapshots::register` reads the number before it is registered under the lock: garbage collection may pass it.
    RegisteredLate,
    /// `EntryTable::set` fills an entry without releasing that its life before has ended.
    LifeUnreleased,
    /// `EntryView::visible` does not look whether another life began.
    LifeNotLookedAtAgain,
    /// `Queued::clear` does not acquire what those wrote who found the flag set.
    ClearedUnacquired,
    /// `Meeting`: what one side writes may pass what it reads of the other.
    Unfenced,
}
