//! Three small agreements between threads that share no lock, each a type of its own so that `model.rs` can run it.

use super::shared::{AtomicBool, AtomicUsize, Fault, Ordering, fence, planted};

/// Work that many ask for and one job at a time does. Whoever brings work asks after it is there; the job clears the flag
/// before it looks for work. So what it does not find has somebody who queues the next job.
#[derive(Default)]
pub struct Queued(AtomicBool);

impl Queued {
    /// True for the one who has to queue the job.
    pub fn ask(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// What is asked for from now on gets another job; what was asked for before is seen from now on. A read and a write in
    /// one: it must meet the last of those who found the flag set, to see what they brought.
    pub fn clear(&self) {
        if planted(Fault::ClearedUnacquired) {
            self.0.store(false, Ordering::Release);
        } else {
            self.0.swap(false, Ordering::AcqRel);
        }
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Scans that walk a table's chunks by number and position. While there are any, none is rewritten: a scan counts itself
/// before it takes the table's lock for the first time, who rewrites looks while holding that lock for writing.
#[derive(Default)]
pub struct OpenScans(AtomicUsize);

impl OpenScans {
    pub fn begin(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    pub fn end(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    pub fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }
}

/// Two kinds of comers, each of which says that it is there and then looks for the other: of two that come at once at least
/// one sees the other. The fence keeps the look behind the word.
#[derive(Default)]
pub struct Meeting {
    singles: AtomicUsize,
    loads: AtomicUsize,
}

impl Meeting {
    pub fn single_comes(&self) {
        Self::come(&self.singles);
    }

    pub fn single_goes(&self) {
        self.singles.fetch_sub(1, Ordering::Release);
    }

    pub fn load_comes(&self) {
        Self::come(&self.loads);
    }

    pub fn loads_go(&self, count: usize) {
        self.loads.fetch_sub(count, Ordering::Release);
    }

    /// For a load that has come.
    pub fn has_singles(&self) -> bool {
        self.singles.load(Ordering::Acquire) > 0
    }

    /// For a single that has come.
    pub fn has_loads(&self) -> bool {
        self.loads.load(Ordering::Acquire) > 0
    }

    fn come(side: &AtomicUsize) {
        side.fetch_add(1, Ordering::AcqRel);
        if !planted(Fault::Unfenced) {
            fence(Ordering::SeqCst);
        }
    }
}
