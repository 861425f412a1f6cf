//! A file of the twin: contents live in a `MemoryDisk` file, every change is recorded, faults strike here.

use super::{Fault, FaultyDisk, Operation};
use crate::disk::{DiskFile, Mapping, PrivateMapping};
use crate::error::{DiskError, DiskErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct FaultyFile {
    disk: FaultyDisk,
    live: Arc<dyn DiskFile>,
    number: usize,
    name: String,
    poisoned: AtomicBool,
}

impl FaultyFile {
    pub fn new(disk: FaultyDisk, live: Arc<dyn DiskFile>, number: usize, name: &str) -> Self {
        Self { disk, live, number, name: name.to_owned(), poisoned: AtomicBool::new(false) }
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.live.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.disk.stall.pass(&self.name);
        let operation = self.disk.operations();
        let short = self.disk.record().faults.contains(&Fault::ShortWriteAt { operation });
        let stored = if short { &bytes[..bytes.len() / 2] } else { bytes };
        let write = Operation::Write { file: self.number, offset, bytes: stored.to_vec() };
        self.disk.apply(write, |record| {
            let growth = (offset + stored.len() as u64).saturating_sub(self.live.len()?);
            record.charge(growth)?;
            self.live.write_at(offset, stored)
        })?;
        if short {
            return Err(DiskError::new(
                DiskErrorKind::Io,
                format!("injected short write to \"{}\"", self.name),
            ));
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(DiskError::poisoned(&self.name));
        }
        if self.disk.record().sync_lies(&self.name) {
            return Ok(());
        }
        let synced = self.disk.apply(Operation::SyncData { file: self.number }, |_| Ok(()));
        synced.inspect_err(|_| self.poisoned.store(true, Ordering::Release))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.disk.apply(Operation::SetLen { file: self.number, len }, |record| {
            record.charge(len.saturating_sub(self.live.len()?))?;
            self.live.set_len(len)
        })
    }

    fn allocate(&self, len: u64) -> Result<()> {
        if self.live.len()? < len { self.set_len(len) } else { Ok(()) }
    }

    fn len(&self) -> Result<u64> {
        self.live.len()
    }

    fn map_read_only(&self) -> Result<Mapping> {
        self.live.map_read_only()
    }

    fn map_private(&self) -> Result<PrivateMapping> {
        self.live.map_private()
    }
}
