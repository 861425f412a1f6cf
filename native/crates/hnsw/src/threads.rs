//! Work over a list on several threads.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::Cancelled;

/// Items a thread takes at a time.
const CHUNK: u32 = 16;

/// Runs `work` on `threads` threads, the calling one among them, each with a way to take pieces of `0..len` until all are
/// taken or `cancel` is set.
pub(crate) fn share(
    len: usize,
    threads: usize,
    cancel: &AtomicBool,
    work: impl Fn(&mut dyn Iterator<Item = usize>) + Sync,
) -> Result<(), Cancelled> {
    let next = AtomicU32::new(0);
    let len = len as u32;
    let piece = || {
        if cancel.load(Ordering::Relaxed) {
            return None;
        }
        let take = |at| (at < len).then_some(at + CHUNK);
        let from = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(from as usize..(from + CHUNK).min(len) as usize)
    };
    let run = || work(&mut std::iter::from_fn(piece).flat_map(|piece: Range<usize>| piece));
    // A list that one thread takes in one piece is not worth another.
    let useful = (len.div_ceil(CHUNK) as usize).min(threads);
    std::thread::scope(|scope| {
        for _ in 1..useful {
            scope.spawn(run);
        }
        run();
    });
    if cancel.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
}
