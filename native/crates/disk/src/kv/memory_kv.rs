//! The key-value store in memory, for `--memory` databases and under crash enumeration.
//!
//! A map from key to its newest value and, while a snapshot needs them, older ones: versions[..] ascending by
//! number, a deletion being a version without a value. A version is dropped once a newer one is visible to the
//! oldest snapshot. Scans take the lock for a stretch of entries at a time, so a writer never waits for a reader.
//!
//! With a disk, `persist` writes an image of everything (docs/format.md, "kv/image") under a fresh name and renames
//! it: durable states are then exactly the persisted ones, as coarse as fjall's at checkpoints.

use super::{Kv, KvBatch, KvBytes, KvIter, KvRange, KvSnapshot, MAX_KEY_BYTES};
use crate::disk::{Disk, create_dir_durably};
use crate::error::{DiskError, DiskErrorKind, Result};
use crc32c::crc32c;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Entries fetched under one hold of the lock.
const STRETCH: usize = 256;
const KV_DIR: &str = "kv";
const IMAGE_PATH: &str = "kv/image";
const FRESH_PATH: &str = "kv/image.tmp";
const MAGIC: &[u8; 8] = b"OMENKV\0\x01";

/// An ordered map in memory.
pub struct MemoryKv {
    state: Arc<RwLock<State>>,
    disk: Option<Arc<dyn Disk>>,
    /// One image is written at a time.
    persisting: Mutex<()>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<KvBytes, Vec<Version>>,
    /// Number of the last batch.
    now: u64,
    /// Batch number -> snapshots open at it.
    snapshots: BTreeMap<u64, usize>,
    /// Keys to tidy once no snapshot is older than the number beside them, ascending by it.
    stale: VecDeque<(u64, KvBytes)>,
    bytes: u64,
}

struct Version {
    number: u64,
    value: Option<KvBytes>,
}

impl State {
    fn write(&mut self, key: KvBytes, value: Option<KvBytes>) {
        let number = self.now;
        self.bytes += (key.len() + value.as_ref().map_or(0, |value| value.len())) as u64;
        let versions = self.entries.entry(key.clone()).or_default();
        let needs_tidying = !versions.is_empty() || value.is_none();
        versions.push(Version { number, value });
        if needs_tidying {
            self.stale.push_back((number, key));
        }
    }

    /// Drops what no snapshot can see any more.
    fn tidy(&mut self) {
        let oldest = self.snapshots.keys().next().copied().unwrap_or(self.now);
        while self.stale.front().is_some_and(|(number, _)| *number <= oldest) {
            let Some((_, key)) = self.stale.pop_front() else { return };
            let Some(versions) = self.entries.get_mut(&key) else { continue };
            // The last version at or below `oldest` is what the oldest snapshot sees; those before it are dead.
            let seen = versions.iter().rposition(|version| version.number <= oldest).unwrap_or(0);
            for dead in versions.drain(..seen) {
                self.bytes -= (key.len() + dead.value.map_or(0, |value| value.len())) as u64;
            }
            if versions.len() == 1 && versions[0].value.is_none() && versions[0].number <= oldest {
                self.bytes -= key.len() as u64;
                self.entries.remove(&key);
            }
        }
    }

    fn get(&self, key: &[u8], at: u64) -> Option<KvBytes> {
        visible(self.entries.get(key)?, at)
    }
}

fn visible(versions: &[Version], at: u64) -> Option<KvBytes> {
    versions.iter().rev().find(|version| version.number <= at)?.value.clone()
}

fn read(state: &RwLock<State>) -> RwLockReadGuard<'_, State> {
    state.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(state: &RwLock<State>) -> RwLockWriteGuard<'_, State> {
    state.write().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryKv {
    /// An empty store that `persist` leaves alone: nothing outlives the process.
    pub fn volatile() -> Self {
        Self { state: Arc::default(), disk: None, persisting: Mutex::new(()) }
    }

    /// The store as last persisted on `disk`; empty if it never was.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self> {
        let mut state = State::default();
        match disk.open(IMAGE_PATH) {
            Ok(file) => {
                let mut image = vec![0; file.len()? as usize];
                file.read_at(0, &mut image)?;
                let damaged = || DiskError::corrupt(format!("\"{IMAGE_PATH}\" is damaged"));
                for (key, value) in decode_image(&image).ok_or_else(damaged)? {
                    state.write(key, Some(value));
                }
            }
            Err(error) if error.kind == DiskErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            state: Arc::new(RwLock::new(state)),
            disk: Some(disk),
            persisting: Mutex::new(()),
        })
    }

    fn freeze(&self) -> Arc<Frozen> {
        let mut state = write(&self.state);
        let at = state.now;
        *state.snapshots.entry(at).or_default() += 1;
        Arc::new(Frozen { state: Arc::clone(&self.state), at })
    }
}

/// `magic | entry count u64 | entries: key length u32, value length u32, key, value | CRC32C of all before u32`.
fn encode_image(entries: &mut dyn Iterator<Item = Result<(KvBytes, KvBytes)>>) -> Result<Vec<u8>> {
    let mut image = MAGIC.to_vec();
    image.extend_from_slice(&[0; 8]);
    let mut count = 0u64;
    for entry in entries {
        let (key, value) = entry?;
        let value_len = u32::try_from(value.len()).map_err(|_| {
            DiskError::new(DiskErrorKind::TooLarge, format!("value of {} bytes", value.len()))
        })?;
        image.extend_from_slice(&(key.len() as u32).to_le_bytes());
        image.extend_from_slice(&value_len.to_le_bytes());
        image.extend_from_slice(&key);
        image.extend_from_slice(&value);
        count += 1;
    }
    image[8..16].copy_from_slice(&count.to_le_bytes());
    let sum = crc32c(&image);
    image.extend_from_slice(&sum.to_le_bytes());
    Ok(image)
}

fn decode_image(image: &[u8]) -> Option<Vec<(KvBytes, KvBytes)>> {
    let (body, sum) = image.split_last_chunk::<4>()?;
    if crc32c(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let body = body.strip_prefix(MAGIC)?;
    let (count, mut rest) = body.split_first_chunk::<8>()?;
    let mut entries = Vec::new();
    for _ in 0..u64::from_le_bytes(*count) {
        let (key_len, after) = rest.split_first_chunk::<4>()?;
        let (value_len, after) = after.split_first_chunk::<4>()?;
        let (key, after) = after.split_at_checked(u32::from_le_bytes(*key_len) as usize)?;
        let (value, after) = after.split_at_checked(u32::from_le_bytes(*value_len) as usize)?;
        entries.push((key.into(), value.into()));
        rest = after;
    }
    rest.is_empty().then_some(entries)
}

impl Kv for MemoryKv {
    fn get(&self, key: &[u8]) -> Result<Option<KvBytes>> {
        Ok(read(&self.state).get(key, u64::MAX))
    }

    fn scan(&self, range: KvRange) -> KvIter {
        Frozen::scan(self.freeze(), range)
    }

    fn snapshot(&self) -> Result<Box<dyn KvSnapshot>> {
        Ok(Box::new(MemorySnapshot(self.freeze())))
    }

    fn apply(&self, batch: KvBatch) -> Result<()> {
        let operations = batch.into_sorted();
        if let Some((key, _)) =
            operations.iter().find(|(key, _)| key.len() > MAX_KEY_BYTES || key.is_empty())
        {
            return Err(super::bad_key(key.len()));
        }
        let mut state = write(&self.state);
        state.now += 1;
        for (key, value) in operations {
            state.write(key, value);
        }
        state.tidy();
        Ok(())
    }

    fn ingest(&self, run: &mut dyn Iterator<Item = Result<(Vec<u8>, Vec<u8>)>>) -> Result<()> {
        let mut batch = KvBatch::new();
        let mut last: Option<Vec<u8>> = None;
        for entry in run {
            let (key, value) = entry?;
            super::check_ascending(last.as_deref(), &key)?;
            batch.put(key.as_slice(), value);
            last = Some(key);
        }
        self.apply(batch)
    }

    fn persist(&self) -> Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let _one = self.persisting.lock().unwrap_or_else(PoisonError::into_inner);
        let image = encode_image(&mut self.scan(KvRange::all()))?;
        create_dir_durably(&**disk, KV_DIR)?;
        if disk.exists(FRESH_PATH)? {
            disk.remove(FRESH_PATH)?;
        }
        let file = disk.create(FRESH_PATH)?;
        file.write_at(0, &image)?;
        file.sync_data()?;
        disk.rename(FRESH_PATH, IMAGE_PATH)?;
        disk.sync_dir(KV_DIR)
    }

    fn approximate_bytes(&self) -> Result<u64> {
        Ok(read(&self.state).bytes)
    }

    fn close(&self) -> Result<()> {
        self.persist()
    }
}

/// A registered moment; letting go of it lets versions die.
struct Frozen {
    state: Arc<RwLock<State>>,
    at: u64,
}

impl Frozen {
    fn scan(view: Arc<Self>, range: KvRange) -> KvIter {
        Box::new(MemoryIter {
            done: range.is_empty(),
            low: range.low,
            high: range.high,
            fetched: VecDeque::new(),
            view,
        })
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let mut state = write(&self.state);
        if let Some(open) = state.snapshots.get_mut(&self.at) {
            *open -= 1;
            if *open == 0 {
                state.snapshots.remove(&self.at);
                state.tidy();
            }
        }
    }
}

struct MemorySnapshot(Arc<Frozen>);

impl KvSnapshot for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<KvBytes>> {
        Ok(read(&self.0.state).get(key, self.0.at))
    }

    fn scan(&self, range: KvRange) -> KvIter {
        Frozen::scan(Arc::clone(&self.0), range)
    }
}

struct MemoryIter {
    view: Arc<Frozen>,
    low: Bound<KvBytes>,
    high: Bound<KvBytes>,
    fetched: VecDeque<(KvBytes, KvBytes)>,
    done: bool,
}

impl MemoryIter {
    fn fetch(&mut self) {
        let state = read(&self.view.state);
        let range = KvRange { low: self.low.clone(), high: self.high.clone() };
        let mut last = None;
        let mut visited = 0;
        if !range.is_empty() {
            for (key, versions) in
                state.entries.range::<KvBytes, _>((range.low, range.high)).take(STRETCH)
            {
                visited += 1;
                last = Some(key);
                if let Some(value) = visible(versions, self.view.at) {
                    self.fetched.push_back((key.clone(), value));
                }
            }
        }
        self.done = visited < STRETCH;
        if let Some(last) = last {
            self.low = Bound::Excluded(last.clone());
        }
    }
}

impl Iterator for MemoryIter {
    type Item = Result<(KvBytes, KvBytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.fetched.is_empty() && !self.done {
            self.fetch();
        }
        self.fetched.pop_front().map(Ok)
    }
}
