//! When a removed node's number may be given again: not before every search that might still hold it has ended.
//!
//! Searches enter and leave one of two counters, the current epoch's. To wait for all searches that began before now, the
//! epoch moves on and the old counter runs empty; searches that begin meanwhile count in the other one.
//!
//! A search counts itself and then looks at the epoch; who waits moves the epoch and then looks at the counter. The fence
//! between the two steps, on both sides, is what keeps each from missing the other.

use crate::sync::{AtomicU32, Fault, Mutex, Ordering, fence, planted, yield_now};

/// One cache line each, so that readers of different epochs do not share one.
#[repr(align(64))]
#[derive(Default)]
struct Readers(AtomicU32);

#[derive(Default)]
pub(crate) struct Epochs {
    current: AtomicU32,
    readers: [Readers; 2],
    /// Held by whoever waits: one at a time, so that the other epoch is empty when it becomes the current one.
    waiting: Mutex<()>,
}

/// A search that is under way.
pub(crate) struct Reader<'a>(&'a AtomicU32);

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Epochs {
    pub fn enter(&self) -> Reader<'_> {
        loop {
            let epoch = self.current.load(Ordering::Relaxed);
            let readers = &self.readers[epoch as usize % 2].0;
            readers.fetch_add(1, Ordering::Relaxed);
            if !planted(Fault::EpochUnfenced) {
                fence(Ordering::SeqCst);
            }
            // The epoch may have moved between the two: then it is the other counter that the next wait looks at. Acquired, a
            // later epoch shows what was unlinked before it.
            let is_current = self.current.load(Ordering::Acquire) == epoch;
            if is_current || planted(Fault::EpochNotLookedAtAgain) {
                return Reader(readers);
            }
            readers.fetch_sub(1, Ordering::Release);
        }
    }

    /// Returns once no search is under way that began before the call.
    pub fn wait_for_readers(&self) {
        let _alone = self.waiting.lock().expect("nothing in here panics");
        let old = self.current.fetch_add(1, Ordering::Release);
        fence(Ordering::SeqCst);
        let readers = &self.readers[old as usize % 2].0;
        // Acquired, the last reader's leaving shows that its reads are over.
        while readers.load(Ordering::Acquire) != 0 {
            yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn waiting_ends_when_the_readers_before_have_left() {
        let epochs = Epochs::default();
        let reader = epochs.enter();
        let waited = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                epochs.wait_for_readers();
                waited.store(true, Ordering::SeqCst);
            });
            while epochs.current.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            // A reader of the new epoch does not hold the wait up, the old one does.
            let later = epochs.enter();
            assert!(!waited.load(Ordering::SeqCst));
            drop(reader);
            while !waited.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            drop(later);
        });
        epochs.wait_for_readers();
    }
}
