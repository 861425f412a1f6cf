//! Reading the log back: every record above a commit number, in order, up to the honest end of the log.

use super::format::{
    HEADER_PAGE, SegmentHeader, decode_group, decode_group_header, read_u32, read_u64, seed,
    segment_number, segment_path,
};
use super::{LOG_DIR, LogRecord};
use crate::disk::{Disk, Mapping};
use crate::error::{DiskError, DiskErrorKind, Result};
use crc32c::crc32c_append;
use std::ops::Range;

/// Bytes looked at together.
const PAGE: usize = 4096;

/// What replay found: where the next group goes and which segments hold the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEnd {
    /// Number of the last commit in the log; the number asked for when it holds none above.
    pub last_commit: u64,
    pub(super) next_group: u64,
    pub(super) segments: Vec<SegmentEnd>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentEnd {
    pub number: u64,
    pub last_commit: u64,
}

impl LogEnd {
    /// The end of a log that does not exist yet. Groups are numbered from 1.
    pub fn empty() -> Self {
        Self { last_commit: 0, next_group: 1, segments: Vec::new() }
    }
}

/// The salt makes a mark of another database fail; 12 bytes lie in one sector, so it is never half written.
pub(super) fn encode_acknowledged(salt: u64, commit: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&commit.to_le_bytes());
    let sum = crc32c_append(seed(salt, 0), &bytes[..8]);
    bytes[8..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The log of one database, for reading.
pub struct LogReader<'a> {
    disk: &'a dyn Disk,
    salt: u64,
}

impl<'a> LogReader<'a> {
    pub fn new(disk: &'a dyn Disk, salt: u64) -> Self {
        Self { disk, salt }
    }

    /// Calls `visit` for every record of a commit above `checkpoint`, in log order, group by whole group.
    ///
    /// Corrupt when something that was once durable cannot be read any more: a damaged group with a later one
    /// behind it, a missing segment, a log that starts after `checkpoint` or ends before the last acknowledged
    /// commit. An unfinished group at the very end is dropped in silence: nobody was told it had happened.
    pub fn replay(
        &self,
        checkpoint: u64,
        mut visit: impl FnMut(LogRecord<'_>) -> Result<()>,
    ) -> Result<LogEnd> {
        let numbers = self.segments()?;
        let mut end = LogEnd { last_commit: checkpoint, next_group: 1, segments: Vec::new() };
        let mut last_commit = 0;
        for (index, &number) in numbers.iter().enumerate() {
            let is_last = index + 1 == numbers.len();
            let mapping = self.map(number)?;
            // SAFETY: nobody writes the log before it has been read to its end.
            let bytes = unsafe { mapping.slice(0, mapping.len()) };
            let header = SegmentHeader::decode(bytes, number, self.salt)?;
            if index == 0 {
                if header.after_commit > checkpoint {
                    let (first, path) = (header.after_commit, segment_path(number));
                    let what = format!(
                        "write-ahead log starts after commit {first} in \"{path}\", {checkpoint} is needed"
                    );
                    return Err(DiskError::corrupt(what));
                }
                end.next_group = header.first_group;
            } else if header.first_group != end.next_group || header.after_commit < last_commit {
                let path = segment_path(number - 1);
                let what = format!(
                    "log segment \"{path}\" ends before group {} of its successor",
                    header.first_group
                );
                return Err(DiskError::corrupt(what));
            }
            // A segment begun by an opening counts on from the checkpoint, which may be of a commit without a record.
            last_commit = header.after_commit;
            self.replay_segment(
                bytes,
                number,
                is_last,
                &mut end.next_group,
                &mut last_commit,
                &mut |record| {
                    if record.commit > checkpoint { visit(record) } else { Ok(()) }
                },
            )?;
            end.segments.push(SegmentEnd { number, last_commit });
        }
        end.last_commit = end.last_commit.max(last_commit);
        self.check_acknowledged(end.last_commit)?;
        Ok(end)
    }

    /// Walks one segment; moves `next_group` and `last_commit` on. A break in a segment with a successor is judged
    /// by the successor's header, in the last segment by what lies behind it.
    fn replay_segment(
        &self,
        bytes: &[u8],
        number: u64,
        is_last: bool,
        next_group: &mut u64,
        last_commit: &mut u64,
        visit: &mut dyn FnMut(LogRecord<'_>) -> Result<()>,
    ) -> Result<()> {
        let seed = seed(self.salt, number);
        let mut at = HEADER_PAGE;
        loop {
            let group =
                decode_group_header(bytes, at, seed).filter(|group| group.number == *next_group);
            let records = group.as_ref().and_then(|group| decode_group(bytes, group, seed));
            let (Some(group), Some(records)) = (group, records) else {
                break;
            };
            for record in records {
                if record.commit < *last_commit {
                    let path = segment_path(number);
                    let what = format!(
                        "log segment \"{path}\": commit {} after {last_commit}",
                        record.commit
                    );
                    return Err(DiskError::corrupt(what));
                }
                *last_commit = record.commit;
                visit(record)?;
            }
            *next_group += 1;
            at = group.end;
        }
        if is_last {
            self.require_torn_tail(bytes, number, at, *next_group)?;
        }
        Ok(())
    }

    /// Corrupt if a group numbered above `broken` lies behind `at`: it was written after `broken` had been synced.
    fn require_torn_tail(&self, bytes: &[u8], number: u64, at: usize, broken: u64) -> Result<()> {
        let seed = seed(self.salt, number);
        // A header does not begin with a zero: room that was never written is passed over by the page.
        let pages =
            (at..bytes.len()).step_by(PAGE).map(|page| page..(page + PAGE).min(bytes.len()));
        let is_written =
            |page: &Range<usize>| bytes[page.clone()].iter().fold(0, |a, b| a | b) != 0;
        for later in pages.filter(is_written).flatten() {
            if let Some(group) = decode_group_header(bytes, later, seed)
                && group.number > broken
            {
                let path = segment_path(number);
                let what = format!(
                    "log segment \"{path}\": group {broken} at offset {at} is damaged, group {} follows",
                    group.number
                );
                return Err(DiskError::corrupt(what));
            }
        }
        Ok(())
    }

    /// Corrupt if the unsynced mark names a commit the log does not reach. A missing or broken mark says nothing.
    fn check_acknowledged(&self, last_commit: u64) -> Result<()> {
        let file = match self.disk.open(&format!("{LOG_DIR}/acknowledged")) {
            Ok(file) => file,
            Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut mark = [0; 12];
        if file.len()? < mark.len() as u64 {
            return Ok(());
        }
        file.read_at(0, &mut mark)?;
        let commit = read_u64(&mark, 0).unwrap_or(0);
        if read_u32(&mark, 8) == Some(crc32c_append(seed(self.salt, 0), &mark[..8]))
            && commit > last_commit
        {
            let what =
                format!("write-ahead log ends at commit {last_commit}, {commit} was acknowledged");
            return Err(DiskError::corrupt(what));
        }
        Ok(())
    }

    /// Numbers of the segments present, ascending; Corrupt if one is missing between them.
    fn segments(&self) -> Result<Vec<u64>> {
        let names = match self.disk.list(LOG_DIR) {
            Ok(names) => names,
            Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
        numbers.sort_unstable();
        if let Some(gap) = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1) {
            let path = segment_path(gap[0] + 1);
            return Err(DiskError::corrupt(format!("log segment \"{path}\" is missing")));
        }
        Ok(numbers)
    }

    /// The bytes of a segment. Mapped, because most of the last one is room that was never written.
    fn map(&self, number: u64) -> Result<Mapping> {
        let path = segment_path(number);
        let file = self.disk.open(&path)?;
        if file.is_empty()? {
            return Err(DiskError::corrupt(format!("log segment \"{path}\": file is empty")));
        }
        file.map_read_only()
    }
}
