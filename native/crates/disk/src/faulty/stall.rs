//! Creations and writes of files that wait until a test lets them go: a disk as slow as it has to be.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub struct Stall {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Who creates or writes a file whose name begins so waits.
    prefix: Option<String>,
    waiting: usize,
}

impl Stall {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, prefix: Option<String>) {
        self.state().prefix = prefix;
        self.changed.notify_all();
    }

    /// Waits as long as changes of the file `name` have to.
    pub fn pass(&self, name: &str) {
        let mut state = self.state();
        while state.prefix.as_ref().is_some_and(|prefix| name.starts_with(prefix)) {
            state.waiting += 1;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    pub fn until_one_waits(&self) {
        let mut state = self.state();
        while state.waiting == 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
