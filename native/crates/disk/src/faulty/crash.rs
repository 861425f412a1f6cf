//! What a crash can leave behind.
//!
//! A model of the disk is led through the recorded operations. It holds, for every file, the synced contents and the
//! changes since, and for every folder the durable names and the name changes since. A crash state keeps the durable
//! part and some of the rest:
//! - contents: each unsynced change whole, dropped, or sector by sector (512 B or 4 KiB), independent of the others,
//!   so that later writes may survive earlier ones;
//! - names: any leading part of a folder's unsynced changes (file systems journal names in order), independent of
//!   other folders and of contents.

use super::{Base, Operation};
use crate::Disk;
use crate::error::Result;
use crate::memory_disk::MemoryDisk;
use std::collections::{BTreeMap, BTreeSet};

/// How much of the unsynced survives in a crash state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashKind {
    /// Nothing: the harshest reading of the rules.
    Dropped,
    /// Everything: the process was killed, the machine went on.
    Kept,
    /// Each change at random, whole.
    Reordered,
    /// Each sector of this many bytes of each write at random.
    Torn { sector: usize },
}

const KINDS: [CrashKind; 5] = [
    CrashKind::Dropped,
    CrashKind::Kept,
    CrashKind::Reordered,
    CrashKind::Torn { sector: 512 },
    CrashKind::Torn { sector: 4096 },
];

/// One state a crash could leave.
pub struct CrashState {
    /// Operations completed before the crash.
    pub operation: usize,
    pub kind: CrashKind,
    pub disk: MemoryDisk,
}

/// All crash states of a recorded run: every operation count with every kind. Where nothing is unsynced all kinds
/// agree, and one state stands for them.
pub struct CrashStates {
    operations: Vec<Operation>,
    model: Model,
    at: usize,
    kind: usize,
    random: Random,
}

impl CrashStates {
    pub(super) fn new(base: Base, operations: Vec<Operation>, seed: u64) -> Self {
        Self { operations, model: Model::new(base), at: 0, kind: 0, random: Random(seed) }
    }
}

impl Iterator for CrashStates {
    type Item = Result<CrashState>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.kind == KINDS.len() || (self.kind > 0 && self.model.is_settled()) {
            let operation = self.operations.get(self.at)?;
            self.model.apply(operation);
            self.at += 1;
            self.kind = 0;
        }
        let kind = KINDS[self.kind];
        self.kind += 1;
        let state = self.model.crash(kind, &mut self.random);
        Some(state.map(|disk| CrashState { operation: self.at, kind, disk }))
    }
}

/// splitmix64 (Steele, Lea, Flood 2014): small, seeded, good enough for coin flips.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[derive(Default)]
struct Model {
    files: Vec<ModelFile>,
    names: BTreeMap<String, usize>,
    dirs: BTreeSet<String>,
    /// Folder -> name changes since its last sync.
    pending_names: BTreeMap<String, Vec<NameChange>>,
}

#[derive(Default)]
struct ModelFile {
    synced: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone)]
enum NameChange {
    Add { path: String, file: usize },
    Rename { from: String, to: String },
    Remove { path: String },
    AddDir { dir: String },
    RemoveDir { dir: String },
}

pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

impl Model {
    fn new(base: Base) -> Self {
        let mut model = Self::default();
        for (number, (path, synced)) in base.files.into_iter().enumerate() {
            model.files.push(ModelFile { synced, pending: Vec::new() });
            model.names.insert(path, number);
        }
        model.dirs.extend(base.dirs);
        model
    }

    fn is_settled(&self) -> bool {
        self.pending_names.is_empty() && self.files.iter().all(|file| file.pending.is_empty())
    }

    fn pend(&mut self, path: &str, change: NameChange) {
        self.pending_names.entry(parent(path).to_owned()).or_default().push(change);
    }

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create { path, file } => {
                assert_eq!(*file, self.files.len(), "files are numbered as they are created");
                self.files.push(ModelFile::default());
                self.pend(path, NameChange::Add { path: path.clone(), file: *file });
            }
            Operation::Write { file, offset, bytes } => {
                let change = Change::Write { offset: *offset as usize, bytes: bytes.clone() };
                self.files[*file].pending.push(change);
            }
            Operation::SetLen { file, len } => {
                self.files[*file].pending.push(Change::SetLen(*len as usize));
            }
            Operation::SyncData { file } => {
                let file = &mut self.files[*file];
                for change in std::mem::take(&mut file.pending) {
                    change.apply(&mut file.synced, |_| true);
                }
            }
            Operation::Rename { from, to } => {
                self.pend(from, NameChange::Rename { from: from.clone(), to: to.clone() });
            }
            Operation::Remove { path } => {
                self.pend(path, NameChange::Remove { path: path.clone() });
            }
            Operation::CreateDir { dir } => {
                // The folders above come into being first, each a name in its own parent.
                let ends = dir.match_indices('/').map(|(end, _)| end).chain([dir.len()]);
                for dir in ends.map(|end| &dir[..end]) {
                    self.pend(dir, NameChange::AddDir { dir: dir.to_owned() });
                }
            }
            Operation::RemoveDir { dir } => {
                self.pend(dir, NameChange::RemoveDir { dir: dir.clone() });
            }
            Operation::SyncDir { dir } => {
                for change in self.pending_names.remove(dir).unwrap_or_default() {
                    change.apply(&mut self.names, &mut self.dirs);
                }
            }
            Operation::Failed => {}
        }
    }

    fn crash(&self, kind: CrashKind, random: &mut Random) -> Result<MemoryDisk> {
        let (mut names, mut dirs) = (self.names.clone(), self.dirs.clone());
        for changes in self.pending_names.values() {
            let kept = match kind {
                CrashKind::Dropped => 0,
                CrashKind::Kept => changes.len(),
                CrashKind::Reordered | CrashKind::Torn { .. } => random.below(changes.len() + 1),
            };
            changes[..kept].iter().for_each(|change| change.clone().apply(&mut names, &mut dirs));
        }
        let reachable = |path: &str| {
            let mut above = parent(path);
            while !above.is_empty() {
                if !dirs.contains(above) {
                    return false;
                }
                above = parent(above);
            }
            true
        };
        let disk = MemoryDisk::new();
        for dir in dirs.iter().filter(|dir| reachable(dir)) {
            disk.create_dir(dir)?;
        }
        for (path, &number) in names.iter().filter(|(path, _)| reachable(path)) {
            disk.put(path, &self.files[number].crash(kind, random))?;
        }
        Ok(disk)
    }
}

impl ModelFile {
    fn crash(&self, kind: CrashKind, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in &self.pending {
            let change = change.clone();
            match kind {
                CrashKind::Dropped => {}
                CrashKind::Kept => change.apply(&mut bytes, |_| true),
                CrashKind::Reordered => {
                    if random.coin() {
                        change.apply(&mut bytes, |_| true);
                    }
                }
                CrashKind::Torn { sector } => {
                    let mut coins = BTreeMap::new();
                    change.apply(&mut bytes, |at| {
                        *coins.entry(at / sector).or_insert_with(|| random.coin())
                    });
                }
            }
        }
        bytes
    }
}

impl Change {
    /// Applies the change to `bytes`, of a write only what lies at offsets that `keep` accepts.
    fn apply(self, bytes: &mut Vec<u8>, mut keep: impl FnMut(usize) -> bool) {
        const STEP: usize = 512;
        match self {
            Change::SetLen(len) => {
                if keep(0) {
                    bytes.resize(len, 0);
                }
            }
            Change::Write { offset, bytes: written } => {
                let mut at = offset;
                while at < offset + written.len() {
                    // In pieces that do not cross a sector border, so that asking for the first byte is enough.
                    let end = ((at / STEP + 1) * STEP).min(offset + written.len());
                    if keep(at) {
                        if bytes.len() < end {
                            bytes.resize(end, 0);
                        }
                        bytes[at..end].copy_from_slice(&written[at - offset..end - offset]);
                    }
                    at = end;
                }
            }
        }
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>, dirs: &mut BTreeSet<String>) {
        match self {
            NameChange::Add { path, file } => {
                names.insert(path, file);
            }
            NameChange::Rename { from, to } => {
                if let Some(file) = names.remove(&from) {
                    names.insert(to, file);
                }
            }
            NameChange::Remove { path } => {
                names.remove(&path);
            }
            NameChange::AddDir { dir } => {
                dirs.insert(dir);
            }
            NameChange::RemoveDir { dir } => {
                dirs.remove(&dir);
            }
        }
    }
}
