//! Appending groups of commits. One writer, one group at a time; the caller is the store's commit leader.

use super::format::{
    GROUP_HEADER_BYTES, HEADER_PAGE, SegmentHeader, encode_group, group_bytes, seed, segment_path,
};
use super::reader::{LogEnd, encode_acknowledged};
use super::{LOG_DIR, LogOptions, LogRecord};
use crate::disk::{Disk, DiskFile, create_dir_durably};
use crate::error::{DiskError, DiskErrorKind, Result};
use std::collections::VecDeque;
use std::sync::Arc;

/// Retired segments kept for reuse. Between two checkpoints the log fills about four.
const MAX_SPARES: usize = 4;
/// A file on its way to become a segment.
const FRESH_PATH: &str = "wal/fresh.tmp";
const ACKNOWLEDGED_PATH: &str = "wal/acknowledged";

/// A full segment that recovery may still need.
struct Retired {
    number: u64,
    last_commit: u64,
}

/// The open end of the log.
pub struct LogWriter {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    file: Arc<dyn DiskFile>,
    acknowledged: Arc<dyn DiskFile>,
    /// The commit that `acknowledged` names, or that was the last when it was opened.
    marked: u64,
    segment: u64,
    position: u64,
    next_group: u64,
    last_commit: u64,
    retired: VecDeque<Retired>,
    /// Numbers of the spare files `wal/spare-NNNNNNNN`.
    spares: Vec<u64>,
    buffer: Vec<u8>,
    /// Set once a write or sync failed: what is on disk is unknown, so nothing more may be appended.
    poisoned: bool,
}

impl LogWriter {
    /// Starts a fresh segment behind `end`, the result of `LogReader::replay` (or `LogEnd::empty()` for a new
    /// database). What replay accepted is made durable first, because it may have come from the page cache.
    pub fn start(disk: Arc<dyn Disk>, options: LogOptions, end: &LogEnd) -> Result<Self> {
        let smallest = (HEADER_PAGE + GROUP_HEADER_BYTES * 2) as u64;
        assert!(options.segment_bytes >= smallest, "a segment holds its header and a group");
        create_dir_durably(&*disk, LOG_DIR)?;
        for segment in &end.segments {
            disk.open(&segment_path(segment.number))?.sync_data()?;
        }
        disk.sync_dir(LOG_DIR)?;
        let mut spares = Vec::new();
        for name in disk.list(LOG_DIR)? {
            if let Some(number) = name.strip_prefix("spare-").and_then(|number| number.parse().ok())
            {
                spares.push(number);
            }
        }
        let acknowledged = match disk.open(ACKNOWLEDGED_PATH) {
            Ok(file) => file,
            Err(error) if error.kind == DiskErrorKind::NotFound => {
                disk.create(ACKNOWLEDGED_PATH)?
            }
            Err(error) => return Err(error),
        };
        let segment = end.segments.last().map_or(0, |segment| segment.number) + 1;
        let file =
            activate(&*disk, &options, &mut spares, segment, end.next_group, end.last_commit)?;
        let retired = end.segments.iter();
        let retired = retired
            .map(|old| Retired { number: old.number, last_commit: old.last_commit })
            .collect();
        Ok(Self {
            disk,
            options,
            file,
            acknowledged,
            marked: end.last_commit,
            segment,
            position: HEADER_PAGE as u64,
            next_group: end.next_group,
            last_commit: end.last_commit,
            retired,
            spares,
            buffer: Vec::new(),
            poisoned: false,
        })
    }

    /// Writes `records` as one group and makes them durable. On success they will be found by every later replay,
    /// on any error the group may or may not be: the caller must treat it as not acknowledged.
    ///
    /// TooLarge (over `group_limit`) and NoSpace leave the log usable; after any other error it is poisoned.
    pub fn append_group(&mut self, records: &[LogRecord<'_>]) -> Result<()> {
        if self.poisoned {
            return Err(DiskError::poisoned("write-ahead log"));
        }
        let size = group_bytes(records);
        if size > self.group_limit() {
            let context = format!("log group of {size} bytes, the limit is {}", self.group_limit());
            return Err(DiskError::new(DiskErrorKind::TooLarge, context));
        }
        let mut last_commit = self.last_commit;
        for record in records {
            assert!(record.commit >= last_commit, "commit numbers never fall");
            last_commit = record.commit;
        }
        if self.position + size as u64 > self.options.segment_bytes {
            self.rotate()?;
        }
        self.buffer.clear();
        encode_group(
            &mut self.buffer,
            seed(self.options.salt, self.segment),
            self.next_group,
            records,
        )?;
        let written =
            self.file.write_at(self.position, &self.buffer).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.poisoned = true;
            return Err(error);
        }
        self.position += size as u64;
        self.next_group += 1;
        self.last_commit = last_commit;
        Ok(())
    }

    /// Marks what is in the log as acknowledged, for recovery to miss if it is gone. Behind the acknowledgements, which need not
    /// wait for it: until it is written, damage to the last group alone passes for a torn tail.
    pub fn mark_acknowledged(&mut self) {
        if self.marked != self.last_commit {
            let mark = encode_acknowledged(self.options.salt, self.last_commit);
            // A hint, so its failure loses nothing that was promised; the sync did the promising.
            let _ = self.acknowledged.write_at(0, &mark);
            self.marked = self.last_commit;
        }
    }

    /// The largest group, in `group_size` bytes, that `append_group` takes. The caller cuts groups accordingly.
    pub fn group_limit(&self) -> usize {
        self.options.segment_bytes as usize - HEADER_PAGE
    }

    /// What a group of these records takes in the log.
    pub fn group_size(records: &[LogRecord<'_>]) -> usize {
        group_bytes(records)
    }

    /// Number of the last commit appended or replayed.
    pub fn last_commit(&self) -> u64 {
        self.last_commit
    }

    /// Bytes of log a recovery would read now; what decides when a checkpoint is due.
    pub fn replay_bytes(&self) -> u64 {
        self.retired.len() as u64 * self.options.segment_bytes + self.position
    }

    /// Gives up the segments whose commits are all at or below `checkpoint`, which must be durable elsewhere.
    /// A few are kept as spares, the others removed.
    pub fn recycle(&mut self, checkpoint: u64) -> Result<()> {
        let mut spares = Vec::new();
        while let Some(old) = self.retired.front().filter(|old| old.last_commit <= checkpoint) {
            let path = segment_path(old.number);
            if self.spares.len() + spares.len() < MAX_SPARES {
                self.disk.rename(&path, &spare_path(old.number))?;
                spares.push(old.number);
            } else {
                self.disk.remove(&path)?;
            }
            self.retired.pop_front();
        }
        // Spares come into use only now: were one overwritten before its old name is durably gone, a crash could
        // bring that name back over foreign contents.
        self.disk.sync_dir(LOG_DIR)?;
        self.spares.extend(spares);
        Ok(())
    }

    /// Marks a clean end: an empty group behind the last one, so that damage to that one is not taken for a crash.
    pub fn close(mut self) -> Result<()> {
        self.append_group(&[])
    }

    fn rotate(&mut self) -> Result<()> {
        let next = self.segment + 1;
        let Self { disk, options, spares, .. } = self;
        let file = activate(&**disk, options, spares, next, self.next_group, self.last_commit)?;
        self.retired.push_back(Retired { number: self.segment, last_commit: self.last_commit });
        self.file = file;
        self.segment = next;
        self.position = HEADER_PAGE as u64;
        Ok(())
    }
}

fn spare_path(number: u64) -> String {
    format!("{LOG_DIR}/spare-{number:08}")
}

/// Brings segment `number` into being, durably: header first, then the name. A spare is reused if there is one;
/// otherwise the file is filled with zeros, because a sync of a write into merely reserved space also has to make
/// the file system's own records durable, which costs a second wait on every commit.
fn activate(
    disk: &dyn Disk,
    options: &LogOptions,
    spares: &mut Vec<u64>,
    number: u64,
    first_group: u64,
    after_commit: u64,
) -> Result<Arc<dyn DiskFile>> {
    let (path, file) = match spares.pop() {
        Some(spare) => {
            let path = spare_path(spare);
            let file = disk.open(&path)?;
            if file.len()? != options.segment_bytes {
                file.set_len(options.segment_bytes)?;
            }
            (path, file)
        }
        None => (FRESH_PATH.to_owned(), create_zeroed(disk, options.segment_bytes)?),
    };
    let header = SegmentHeader { segment: number, salt: options.salt, first_group, after_commit };
    file.write_at(0, &header.encode())?;
    file.sync_data()?;
    disk.rename(&path, &segment_path(number))?;
    disk.sync_dir(LOG_DIR)?;
    Ok(file)
}

fn create_zeroed(disk: &dyn Disk, len: u64) -> Result<Arc<dyn DiskFile>> {
    // As large as the writes that make it are the pieces in which Linux keeps a file in its cache, and a small write into a large
    // one looks at all of its blocks: over pieces of 1 MiB a commit's write and sync cost 10 us of CPU more.
    const PIECE: u64 = 64 << 10;
    if disk.exists(FRESH_PATH)? {
        disk.remove(FRESH_PATH)?;
    }
    let file = disk.create(FRESH_PATH)?;
    file.allocate(len)?;
    let zeros = vec![0; PIECE.min(len) as usize];
    let mut at = 0;
    while at < len {
        let piece = PIECE.min(len - at);
        file.write_at(at, &zeros[..piece as usize])?;
        at += piece;
    }
    Ok(file)
}
