//! Vectors of a large write on their way into files while the transaction is open.
//!
//! ```text
//!   session thread   vectors -> block -> queue
//!   writer thread                        queue -> segments of the load (`omen_disk::VectorLoad`); full ones are synced
//!   bulk commit      the rest, sync, end of the writer
//!   committer        the column adopts the segments (`commit::vectors`)
//! ```
//!
//! So reception, writing and syncing go on beside each other, memory stays at a few blocks, and a commit finds nearly all
//! of it on disk. What the transaction itself reads comes from the segments, or from the blocks that are not written yet.
//! A rollback drops the stream, which ends the writer after the block it is at; the files go with it.
//!
//! An error of the writer is the transaction's: nothing that others see is in doubt. It is reported by the next write, or
//! by the commit.
//!
//! Lock order: the queue's lock is a leaf.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use omen_disk::VectorLoad;

use crate::error::{Result, StoreError};
use crate::session::Channel;
use crate::sync::lock;

/// Bytes that make a block: some rows, and little enough for the processor's cache.
pub const BLOCK_BYTES: usize = 1 << 20;
/// Blocks waiting beyond this make the transaction wait: the disk is slower than the client.
const MAX_QUEUED_BYTES: usize = 16 << 20;
/// Below this it goes on.
const RESUME_BYTES: usize = 8 << 20;

type Block = Arc<Vec<f32>>;

pub struct VectorStream {
    load: Arc<VectorLoad>,
    queue: Arc<Queue>,
    /// None once the writer has ended.
    writer: Option<JoinHandle<()>>,
    /// Handed over, and perhaps not written yet; each with the number of its first vector.
    blocks: VecDeque<(u32, Block)>,
    /// Vectors handed over.
    len: u32,
    /// Memory of written blocks, used again.
    idle: Vec<Vec<f32>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    blocks: VecDeque<Block>,
    /// Of the blocks in the queue and of the one being written.
    bytes: usize,
    end: Option<End>,
    error: Option<StoreError>,
    /// To be told when there is room.
    waiting: Vec<(Arc<Channel>, u32)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// After what is queued, and synced.
    Finish,
    /// At once.
    Discard,
}

impl VectorStream {
    /// A stream into `load`; None when no thread can be had: then the vectors have to stay in memory.
    pub fn start(load: VectorLoad) -> Option<Self> {
        let (load, queue) = (Arc::new(load), Arc::new(Queue::default()));
        let (into, from) = (Arc::clone(&load), Arc::clone(&queue));
        let writer = std::thread::Builder::new().name("omen-load".into());
        let writer = writer.spawn(move || from.write_to(&into)).ok()?;
        let (blocks, idle) = (VecDeque::new(), Vec::new());
        Some(Self { load, queue, writer: Some(writer), blocks, len: 0, idle })
    }

    /// Vectors handed over so far: those with lower numbers are here.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Hands the vectors of `floats` to the writer; leaves it empty, with room for more.
    pub fn hand_over(&mut self, floats: &mut Vec<f32>) {
        self.forget_written();
        let next = self.idle.pop().unwrap_or_default();
        let block = Arc::new(std::mem::replace(floats, next));
        let first = self.len;
        self.len += (block.len() / self.load.dim()) as u32;
        self.blocks.push_back((first, Arc::clone(&block)));
        let mut state = lock(&self.queue.state);
        state.bytes += block.len() * size_of::<f32>();
        state.blocks.push_back(block);
        drop(state);
        self.queue.changed.notify_one();
    }

    fn forget_written(&mut self) {
        let written = self.load.len();
        while let Some((first, block)) = self.blocks.front() {
            if first + (block.len() / self.load.dim()) as u32 > written {
                return;
            }
            // The writer lets go of a block a moment after it is written; one it still holds is not worth waiting for.
            if let Some((_, block)) = self.blocks.pop_front()
                && let Ok(mut block) = Arc::try_unwrap(block)
                && block.capacity() * size_of::<f32>() <= 2 * BLOCK_BYTES
            {
                block.clear();
                self.idle.push(block);
            }
        }
    }

    /// Vector `number`, one of those handed over.
    pub fn vector(&self, number: u32) -> &[f32] {
        let at = self.blocks.partition_point(|&(first, _)| first <= number);
        if let Some((first, block)) = at.checked_sub(1).map(|at| &self.blocks[at]) {
            let dim = self.load.dim();
            return &block[(number - first) as usize * dim..][..dim];
        }
        self.load.vector(number)
    }

    /// What went wrong, or whether there is room for more. If not, `channel` gets `token` when there is.
    pub fn has_room(
        &self,
        channel: &Arc<Channel>,
        token: impl FnOnce() -> u32,
    ) -> Result<Option<u32>> {
        let mut state = lock(&self.queue.state);
        if let Some(error) = &state.error {
            return Err(error.clone());
        }
        if state.bytes <= MAX_QUEUED_BYTES {
            return Ok(None);
        }
        let token = token();
        state.waiting.push((Arc::clone(channel), token));
        Ok(Some(token))
    }

    /// Writes and syncs what is left. Takes as long as the disk does.
    pub fn finish(&mut self) -> Result<()> {
        self.end(End::Finish);
        if let Some(writer) = self.writer.take() {
            // A panic of the writer is in the queue as an error.
            let _ = writer.join();
        }
        self.blocks.clear();
        match lock(&self.queue.state).error.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The load behind a stream that is finished.
    pub fn into_load(self) -> VectorLoad {
        assert!(self.writer.is_none(), "the stream is finished");
        let load = Arc::clone(&self.load);
        drop(self);
        Arc::into_inner(load).expect("nobody else holds the load of a finished stream")
    }

    fn end(&self, end: End) {
        lock(&self.queue.state).end = Some(end);
        self.queue.changed.notify_one();
    }
}

impl Drop for VectorStream {
    fn drop(&mut self) {
        // The writer sees it after the block it is at, and the files go with the last who holds the load.
        self.end(End::Discard);
    }
}

impl Queue {
    fn write_to(&self, load: &VectorLoad) {
        let written =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.write_all(load)));
        let error = match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => StoreError::internal("the writer of a load panicked"),
        };
        let mut state = lock(&self.state);
        state.error = Some(error);
        state.blocks.clear();
        state.bytes = 0;
        Self::resume(state);
    }

    fn write_all(&self, load: &VectorLoad) -> Result<()> {
        loop {
            let mut state = lock(&self.state);
            let block = loop {
                if state.end == Some(End::Discard) {
                    return Ok(());
                }
                if let Some(block) = state.blocks.pop_front() {
                    break block;
                }
                if state.end == Some(End::Finish) {
                    drop(state);
                    return Ok(load.sync()?);
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            drop(state);
            load.append(&block)?;
            let mut state = lock(&self.state);
            state.bytes = state.bytes.saturating_sub(block.len() * size_of::<f32>());
            if state.bytes <= RESUME_BYTES {
                Self::resume(state);
            }
        }
    }

    fn resume(mut state: std::sync::MutexGuard<'_, QueueState>) {
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for (channel, token) in waiting {
            channel.deliver(&[token]);
        }
    }
}
