//! The engine's own threads for work that must not hold an event loop: index builds, graph linking, garbage collection.
//!
//! Jobs run in the order they came, as many at a time as there are threads. A job that panics ends the process: it may
//! have been linking a graph others read.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::sync::lock;

type Job = Box<dyn FnOnce() + Send>;

struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

pub struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    pub size: usize,
    /// Threads for a build that a client waits for: all cores.
    pub build_threads: usize,
}

/// Ends the process if the code it guards unwinds.
pub struct AbortOnPanic(pub &'static str);

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("panic in {}: the process ends, recovery decides", self.0);
            std::process::abort();
        }
    }
}

impl Pool {
    /// `threads` 0: one less than the cores, at least one.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let size = if threads == 0 { cores.saturating_sub(1).max(1) } else { threads };
        let queue = Queue { jobs: VecDeque::new(), closed: false };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new() });
        let spawn = |i| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("omen-pool-{i}")).spawn(move || work(&shared))
        };
        let threads = (0..size).map(spawn).collect::<std::io::Result<_>>()?;
        let build_threads = size.max(cores);
        Ok(Self { shared, threads: Mutex::new(threads), size, build_threads })
    }

    /// Queues a job; after `close` it is dropped.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) {
        let mut queue = lock(&self.shared.queue);
        if !queue.closed {
            queue.jobs.push_back(Box::new(job));
            drop(queue);
            self.shared.changed.notify_all();
        }
    }

    /// Finishes the running jobs, drops the queued ones and joins the threads (unless called from one of them).
    pub fn close(&self) {
        {
            let mut queue = lock(&self.shared.queue);
            queue.closed = true;
            queue.jobs.clear();
        }
        self.shared.changed.notify_all();
        let me = std::thread::current().id();
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            if thread.thread().id() != me {
                // A thread that panicked has ended the process already.
                let _ = thread.join();
            }
        }
    }
}

fn work(shared: &Shared) {
    loop {
        let job = {
            let mut queue = lock(&shared.queue);
            loop {
                if let Some(job) = queue.jobs.pop_front() {
                    break job;
                }
                if queue.closed {
                    return;
                }
                queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let _guard = AbortOnPanic("a background job");
        job();
    }
}
