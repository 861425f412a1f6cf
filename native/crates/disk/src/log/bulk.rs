//! Side files `bulk/NNNNNNNN.rows`: changes too large for the log. The file is written and synced first; the log
//! record that names it (number and length) is what makes it count. A file no record names is rubbish.
//!
//! Blocks of 64 KiB: `payload length u32 | CRC32C u32 | payload`; all but the last are full. The sum starts from
//! salt, file number and block number, so neither blocks nor files can be taken for one another.

use super::format::{read_u32, seed};
use crate::disk::{Disk, DiskFile, create_dir_durably};
use crate::error::{DiskError, DiskErrorKind, Result};
use crc32c::crc32c_append;
use std::sync::Arc;

const BULK_DIR: &str = "bulk";
const BLOCK_BYTES: usize = 64 * 1024;
const PREFIX_BYTES: usize = 8;
const BLOCK_PAYLOAD: usize = BLOCK_BYTES - PREFIX_BYTES;

fn bulk_path(number: u64) -> String {
    format!("{BULK_DIR}/{number:08}.rows")
}

fn block_sum(salt: u64, number: u64, block: u64, payload: &[u8]) -> u32 {
    let seed = crc32c_append(seed(salt, number), &block.to_le_bytes());
    crc32c_append(seed, payload)
}

/// Writes one side file from front to back.
pub struct BulkWriter {
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    salt: u64,
    number: u64,
    block: u64,
    payload_bytes: u64,
    buffer: Vec<u8>,
}

impl BulkWriter {
    /// Creates side file `number`, replacing a leftover of that number.
    pub fn create(disk: Arc<dyn Disk>, salt: u64, number: u64) -> Result<Self> {
        create_dir_durably(&*disk, BULK_DIR)?;
        remove(&*disk, number)?;
        let file = disk.create(&bulk_path(number))?;
        let mut buffer = Vec::with_capacity(BLOCK_BYTES);
        buffer.resize(PREFIX_BYTES, 0);
        Ok(Self { disk, file, salt, number, block: 0, payload_bytes: 0, buffer })
    }

    pub fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = BLOCK_BYTES - self.buffer.len();
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(piece);
            bytes = rest;
            if self.buffer.len() == BLOCK_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let payload_len = self.buffer.len() - PREFIX_BYTES;
        let sum = block_sum(self.salt, self.number, self.block, &self.buffer[PREFIX_BYTES..]);
        self.buffer[..4].copy_from_slice(&(payload_len as u32).to_le_bytes());
        self.buffer[4..8].copy_from_slice(&sum.to_le_bytes());
        self.file.write_at(self.block * BLOCK_BYTES as u64, &self.buffer)?;
        self.block += 1;
        self.payload_bytes += payload_len as u64;
        self.buffer.truncate(PREFIX_BYTES);
        Ok(())
    }

    /// Makes the file durable; returns its payload length, which the log record has to carry.
    pub fn finish(mut self) -> Result<u64> {
        if self.buffer.len() > PREFIX_BYTES {
            self.flush()?;
        }
        self.file.sync_data()?;
        self.disk.sync_dir(BULK_DIR)?;
        Ok(self.payload_bytes)
    }
}

/// Reads one side file from front to back.
pub struct BulkReader {
    file: Arc<dyn DiskFile>,
    salt: u64,
    number: u64,
    block: u64,
    left: u64,
    buffer: Vec<u8>,
}

impl BulkReader {
    /// `payload_bytes` is what `BulkWriter::finish` returned. Corrupt if the file is missing: a record names it.
    pub fn open(disk: &dyn Disk, salt: u64, number: u64, payload_bytes: u64) -> Result<Self> {
        let file = disk.open(&bulk_path(number)).map_err(|error| match error.kind {
            DiskErrorKind::NotFound => {
                DiskError::corrupt(format!("side file \"{}\" is missing", bulk_path(number)))
            }
            _ => error,
        })?;
        Ok(Self { file, salt, number, block: 0, left: payload_bytes, buffer: Vec::new() })
    }

    /// The next piece of the payload (up to 64 KiB less 8 bytes), `None` after the last. Corrupt if it is damaged.
    pub fn next_block(&mut self) -> Result<Option<&[u8]>> {
        if self.left == 0 {
            return Ok(None);
        }
        let payload_len = self.left.min(BLOCK_PAYLOAD as u64);
        let offset = self.block * BLOCK_BYTES as u64;
        let damaged = || {
            DiskError::corrupt(format!(
                "side file \"{}\": block {} is damaged",
                bulk_path(self.number),
                self.block
            ))
        };
        if self.file.len()? < offset + PREFIX_BYTES as u64 + payload_len {
            return Err(damaged());
        }
        self.buffer.resize(PREFIX_BYTES + payload_len as usize, 0);
        self.file.read_at(offset, &mut self.buffer)?;
        let (prefix, payload) = self.buffer.split_at(PREFIX_BYTES);
        let sum = block_sum(self.salt, self.number, self.block, payload);
        if read_u32(prefix, 0) != Some(payload_len as u32) || read_u32(prefix, 4) != Some(sum) {
            return Err(damaged());
        }
        self.block += 1;
        self.left -= payload_len;
        Ok(Some(payload))
    }
}

/// Removes side file `number` if it is there.
pub fn remove(disk: &dyn Disk, number: u64) -> Result<()> {
    match disk.remove(&bulk_path(number)) {
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Numbers of the side files present, ascending.
pub fn list(disk: &dyn Disk) -> Result<Vec<u64>> {
    match disk.list(BULK_DIR) {
        Ok(names) => {
            Ok(names.iter().filter_map(|name| name.strip_suffix(".rows")?.parse().ok()).collect())
        }
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
