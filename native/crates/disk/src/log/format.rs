//! The bytes of the log (docs/format.md, "wal"): encoding and checking of segment headers, groups and records.

use super::{KIND_GROUP, LOG_DIR, LogRecord, MAX_PAYLOAD_BYTES};
use crate::error::{DiskError, DiskErrorKind, Result};
use crc32c::{crc32c, crc32c_append};

/// Bytes before the first group. A page, so that a torn first group cannot touch the header's sector.
pub const HEADER_PAGE: usize = 4096;
/// Bytes of a record besides its payload.
pub const RECORD_OVERHEAD: usize = 4 + 8 + 1 + 4;
const RECORD_PREFIX: usize = 4 + 8 + 1;
/// Payload of a group header: body bytes u32, record count u32.
const GROUP_PAYLOAD: usize = 8;
pub const GROUP_HEADER_BYTES: usize = RECORD_OVERHEAD + GROUP_PAYLOAD;

const MAGIC: &[u8; 8] = b"OMENWAL\0";
const FORMAT_VERSION: u32 = 1;
const HEADER_BYTES: usize = 8 + 4 + 8 + 8 + 8 + 8 + 4;

pub fn segment_path(number: u64) -> String {
    format!("{LOG_DIR}/{number:08}.log")
}

/// The number in a segment's file name; `None` for anything else in the folder.
pub fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() >= 8)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The first page of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    pub segment: u64,
    pub salt: u64,
    /// Number of the first group that may be in this segment.
    pub first_group: u64,
    /// Every record here belongs to a commit above or equal to this one, the last in the log before it.
    pub after_commit: u64,
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let fields = [self.segment, self.salt, self.first_group, self.after_commit];
        for (slot, field) in bytes[12..44].chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        let sum = crc32c(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Checks the page at the start of segment `number` of the database with `salt`.
    pub fn decode(page: &[u8], number: u64, salt: u64) -> Result<Self> {
        let path = segment_path(number);
        let bad = |what: &str| Err(DiskError::corrupt(format!("log segment \"{path}\": {what}")));
        let Some(bytes) = page.get(..HEADER_BYTES) else {
            return bad("file is too short for its header");
        };
        if &bytes[..8] != MAGIC {
            return bad("no log segment header");
        }
        if read_u32(bytes, HEADER_BYTES - 4) != Some(crc32c(&bytes[..HEADER_BYTES - 4])) {
            return bad("header checksum does not match");
        }
        let version = read_u32(bytes, 8);
        if version != Some(FORMAT_VERSION) {
            return bad(&format!("format version {version:?} is not {FORMAT_VERSION}"));
        }
        let field = |index: usize| read_u64(bytes, 12 + 8 * index).unwrap_or(0);
        let header = Self {
            segment: field(0),
            salt: field(1),
            first_group: field(2),
            after_commit: field(3),
        };
        if header.segment != number {
            return bad(&format!("header says segment {}", header.segment));
        }
        if header.salt != salt {
            return bad("it belongs to another database");
        }
        Ok(header)
    }
}

/// What every checksum of a segment starts from, so that bytes of another segment never pass in this one.
pub fn seed(salt: u64, segment: u64) -> u32 {
    crc32c_append(crc32c(&salt.to_le_bytes()), &segment.to_le_bytes())
}

pub fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

pub fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(field.try_into().ok()?))
}

/// Bytes of a group with these records in the log.
pub fn group_bytes(records: &[LogRecord<'_>]) -> usize {
    GROUP_HEADER_BYTES
        + records.iter().map(|record| RECORD_OVERHEAD + record.payload.len()).sum::<usize>()
}

/// Appends the bytes of group `number` to `out`. TooLarge for a payload over the limit.
pub fn encode_group(
    out: &mut Vec<u8>,
    seed: u32,
    number: u64,
    records: &[LogRecord<'_>],
) -> Result<()> {
    let body = group_bytes(records) - GROUP_HEADER_BYTES;
    let mut payload = [0; GROUP_PAYLOAD];
    let too_large = |what: String| DiskError::new(DiskErrorKind::TooLarge, what);
    let body = u32::try_from(body).map_err(|_| too_large(format!("log group of {body} bytes")))?;
    payload[..4].copy_from_slice(&body.to_le_bytes());
    payload[4..].copy_from_slice(&(records.len() as u32).to_le_bytes());
    encode_record(out, seed, &LogRecord { commit: number, kind: KIND_GROUP, payload: &payload });
    for record in records {
        assert!(record.kind != KIND_GROUP, "kind 0 is the log's own");
        if record.payload.len() > MAX_PAYLOAD_BYTES {
            let len = record.payload.len();
            return Err(too_large(format!(
                "log record of {len} bytes, the limit is {MAX_PAYLOAD_BYTES}"
            )));
        }
        encode_record(out, seed, record);
    }
    Ok(())
}

fn encode_record(out: &mut Vec<u8>, seed: u32, record: &LogRecord<'_>) {
    let start = out.len();
    out.extend_from_slice(&(record.payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&record.commit.to_le_bytes());
    out.push(record.kind);
    out.extend_from_slice(record.payload);
    let sum = crc32c_append(seed, &out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The record at `at` and where the next one starts; `None` if the bytes there are not a whole, sound record.
pub fn decode_record(bytes: &[u8], at: usize, seed: u32) -> Option<(LogRecord<'_>, usize)> {
    let payload_len = read_u32(bytes, at)? as usize;
    if payload_len > MAX_PAYLOAD_BYTES {
        return None;
    }
    let end = at.checked_add(RECORD_OVERHEAD)?.checked_add(payload_len)?;
    let record = bytes.get(at..end)?;
    let (summed, _) = record.split_at(record.len() - 4);
    if read_u32(record, record.len() - 4)? != crc32c_append(seed, summed) {
        return None;
    }
    let payload = &summed[RECORD_PREFIX..];
    Some((LogRecord { commit: read_u64(record, 4)?, kind: record[12], payload }, end))
}

/// A group header at `at`: the group's number, its record count, and where its records start and end.
pub struct GroupHeader {
    pub number: u64,
    pub records: u32,
    pub body: usize,
    pub end: usize,
}

pub fn decode_group_header(bytes: &[u8], at: usize, seed: u32) -> Option<GroupHeader> {
    // Asked first because the search for later groups comes here for every offset of a segment.
    if *bytes.get(at)? as usize != GROUP_PAYLOAD || *bytes.get(at + 12)? != KIND_GROUP {
        return None;
    }
    let (record, body) = decode_record(bytes, at, seed)?;
    if record.kind != KIND_GROUP || record.payload.len() != GROUP_PAYLOAD {
        return None;
    }
    let end = body.checked_add(read_u32(record.payload, 0)? as usize)?;
    Some(GroupHeader { number: record.commit, records: read_u32(record.payload, 4)?, body, end })
}

/// The records of a group, or `None` if one of them is broken or they do not fill it exactly.
pub fn decode_group<'a>(
    bytes: &'a [u8],
    group: &GroupHeader,
    seed: u32,
) -> Option<Vec<LogRecord<'a>>> {
    let body = bytes.get(..group.end)?;
    let mut at = group.body;
    // The count is checked by filling the body, never trusted for an allocation.
    let mut records = Vec::new();
    while at < group.end {
        let (record, next) = decode_record(body, at, seed)?;
        if record.kind == KIND_GROUP {
            return None;
        }
        records.push(record);
        at = next;
    }
    (records.len() == group.records as usize).then_some(records)
}
