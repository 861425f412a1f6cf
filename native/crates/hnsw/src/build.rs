//! Bulk insertion on several threads.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::VectorSource;
use crate::graph::HnswGraph;
use crate::insert::InsertScratch;

/// A build stopped because its cancel flag was set; the graph holds an unspecified part of the nodes and is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl std::fmt::Display for Cancelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("index build cancelled")
    }
}

impl std::error::Error for Cancelled {}

impl HnswGraph {
    /// Inserts `nodes` on `threads` threads (at least one; the calling thread waits). With one thread the graph depends on
    /// seed and data alone.
    ///
    /// `progress` counts finished nodes. `cancel` is looked at before each node.
    pub fn build<S: VectorSource>(
        &self,
        nodes: Range<u32>,
        source: &S,
        threads: usize,
        progress: &AtomicU64,
        cancel: &AtomicBool,
    ) -> Result<(), Cancelled> {
        let next = AtomicU32::new(nodes.start);
        let work = || {
            let mut scratch = InsertScratch::new();
            while !cancel.load(Ordering::Relaxed) {
                let take = |node| (node < nodes.end).then_some(node + 1);
                let Ok(node) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) else {
                    return;
                };
                self.insert(node, source, &mut scratch);
                progress.fetch_add(1, Ordering::Relaxed);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        if cancel.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}
