//! A full-text index over one text column: documents are text versions, numbered in commit order.
//!
//! A row keeps its document while its text stays the same. Statistics follow the newest commit; who sees a document is
//! the entry table, tested inside the search. A text without terms has no document.
//!
//! Numbers of dead documents are given back by compaction: in the pool when a third of all is dead, and by VACUUM, the
//! documents that some snapshot may see go into a new generation without gaps, which takes the place of the old one between
//! two commits. A search holds the generation it began with; what that lacks is younger than its snapshot.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use omen_text::{AnalyzedDocument, AnalyzerKind, TextIndex, TextIndexParams};

use crate::sync::protocol::Queued;
use crate::sync::{lock, read, write};
use crate::table::entries::EntryTable;
use crate::types::{IndexStatistics, TextConfig};
use crate::value::Value;

/// `document_of` of a row without a document.
const NONE: u32 = u32::MAX;
/// Dead documents that make a compaction worth its while, and their share of all.
const WORTHWHILE: u32 = 512;
const WORTHWHILE_SHARE: u32 = 3;

pub struct Bm25Index {
    params: TextIndexParams,
    generation: RwLock<Arc<Generation>>,
    owners: Mutex<Owners>,
    /// Held by a compaction, and by a checkpoint from sealing to the moment it stores. Before the sequencer.
    pub turn: Mutex<()>,
    /// A compaction is queued.
    pub queued: Queued,
    /// Dead documents whose numbers were given back since the index was loaded.
    reclaimed: AtomicU64,
    /// One above the commit its file is of; 0 = there is none.
    pub stored_at: AtomicU64,
    /// The segments that its file names.
    pub files: Mutex<Vec<SegmentFile>>,
    /// Being filled beside writers (`index::beside`): it lacks rows, and gets no file.
    pub filling: AtomicBool,
}

/// A segment's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFile {
    pub number: u64,
    /// Of the segment; what follows says whose its documents are.
    pub bytes: u64,
    /// Of the whole file.
    pub sum: u32,
}

/// Documents under one numbering.
pub struct Generation {
    pub text: TextIndex,
    pub entries: EntryTable,
}

#[derive(Default)]
struct Owners {
    /// Row id -> its newest document.
    document_of: Vec<u32>,
    /// Documents that a commit ended, in commit order.
    ended: VecDeque<(u64, u32)>,
    /// Those that no snapshot sees any more.
    dead: u32,
}

impl Owners {
    fn set(&mut self, rid: u32, number: u32) {
        if self.document_of.len() <= rid as usize {
            self.document_of.resize(rid as usize + 1, NONE);
        }
        self.document_of[rid as usize] = number;
    }

    /// Counts as dead what ended at or before `oldest`.
    fn settle(&mut self, oldest: u64) {
        while let Some(&(_, count)) = self.ended.front().filter(|(commit, _)| *commit <= oldest) {
            self.dead += count;
            self.ended.pop_front();
        }
    }
}

pub fn params(config: TextConfig, k1: f32, b: f32) -> TextIndexParams {
    let analyzer = match config {
        TextConfig::English => AnalyzerKind::English,
        TextConfig::Simple => AnalyzerKind::Simple,
    };
    TextIndexParams { analyzer, k1, b }
}

impl Bm25Index {
    pub fn new(params: TextIndexParams) -> Self {
        Self::with_index(TextIndex::new(params))
    }

    pub fn with_index(text: TextIndex) -> Self {
        Self {
            params: *text.params(),
            generation: RwLock::new(Arc::new(Generation { text, entries: EntryTable::new() })),
            owners: Mutex::default(),
            turn: Mutex::default(),
            queued: Queued::default(),
            reclaimed: AtomicU64::new(0),
            stored_at: AtomicU64::new(0),
            files: Mutex::default(),
            filling: AtomicBool::new(false),
        }
    }

    /// The documents as they are numbered now. Taken after a snapshot it has all that the snapshot sees.
    pub fn generation(&self) -> Arc<Generation> {
        Arc::clone(&read(&self.generation))
    }

    /// The terms of a stored text; None for NULL. Text columns hold UTF-8, other bytes are read as well as they can be.
    pub fn analyze(&self, value: Value<'_>) -> Option<AnalyzedDocument> {
        match value {
            Value::Bytes(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                Some(AnalyzedDocument::new(self.params.analyzer, &text))
            }
            _ => None,
        }
    }

    /// Whether the newest version of a row has a document.
    pub fn has_document(&self, rid: u32) -> bool {
        lock(&self.owners).document_of.get(rid as usize).is_some_and(|number| *number != NONE)
    }

    /// Takes the changes of a commit; invisible until its number is. One commit at a time.
    pub fn publish(
        &self,
        added: Vec<(u32, AnalyzedDocument)>,
        removed: Vec<(u32, AnalyzedDocument)>,
        commit: u64,
    ) {
        let generation = self.generation();
        let Generation { text, entries } = &*generation;
        let mut owners = lock(&self.owners);
        let mut ended = 0;
        for (rid, document) in removed {
            let number = owners.document_of.get_mut(rid as usize).filter(|n| **n != NONE);
            let Some(number) = number.map(|number| std::mem::replace(number, NONE)) else {
                continue;
            };
            entries.delete(number, commit);
            text.remove(number, &document);
            ended += 1;
        }
        if ended > 0 {
            owners.ended.push_back((commit, ended));
        }
        for (rid, document) in added.into_iter().filter(|(_, document)| document.length() > 0) {
            let number = entries.len();
            entries.grow(number + 1);
            text.add(number, &document);
            entries.set(number, rid, commit);
            owners.set(rid, number);
        }
    }

    /// Restores which row has which document, as a checkpoint had it.
    pub fn restore(&self, documents: u32, live: impl Iterator<Item = (u32, u32)>) {
        let generation = self.generation();
        generation.entries.grow(documents);
        let mut owners = lock(&self.owners);
        owners.dead = documents;
        for (number, rid) in live {
            generation.entries.set(number, rid, 0);
            owners.set(rid, number);
            owners.dead = owners.dead.saturating_sub(1);
        }
    }

    /// (document, row) of the newest versions.
    pub fn owners(&self) -> Vec<(u32, u32)> {
        let owners = lock(&self.owners);
        let some = |(rid, &number): (usize, &u32)| (number != NONE).then_some((number, rid as u32));
        owners.document_of.iter().enumerate().filter_map(some).collect()
    }

    /// Whether enough is dead for every snapshot from `oldest` on that the engine compacts by itself.
    pub fn compaction_is_due(&self, oldest: u64) -> bool {
        let (dead, all) = self.dead(oldest);
        dead >= WORTHWHILE.max(all / WORTHWHILE_SHARE)
    }

    /// Documents that no snapshot from `oldest` on sees, and all that have numbers.
    pub fn dead(&self, oldest: u64) -> (u32, u32) {
        let mut owners = lock(&self.owners);
        owners.settle(oldest);
        (owners.dead, read(&self.generation).entries.len())
    }

    /// Leaves out the documents that no snapshot from `oldest` on sees; returns how many. `sequencer`: while what it gives is
    /// held, no commit is published.
    pub fn compact<G>(&self, oldest: u64, sequencer: impl Fn() -> G) -> u32 {
        let _turn = lock(&self.turn);
        let old = self.generation();
        let mark = {
            let _no_commit = sequencer();
            old.entries.len()
        };
        let view = old.entries.view();
        let mut kept = 0;
        let number = |document: u32| {
            (!view.dead(document, oldest)).then(|| {
                kept += 1;
                kept - 1
            })
        };
        let numbers: Vec<Option<u32>> = (0..mark).map(number).collect();
        let dropped = mark - kept;
        if dropped == 0 {
            return 0;
        }
        let compaction = old.text.compact(&numbers);
        let entries = EntryTable::new();
        let place = |document: u32| match numbers.get(document as usize) {
            Some(number) => *number,
            None => Some(document - dropped),
        };
        {
            let _no_commit = sequencer();
            let text = compaction.finish();
            // A view of now: the one above ends at the mark.
            let view = old.entries.view();
            entries.grow(view.len - dropped);
            entries.take_over(&view, place);
            let mut owners = lock(&self.owners);
            for number in owners.document_of.iter_mut().filter(|number| **number != NONE) {
                *number = place(*number).expect("a row's newest document is not dead");
            }
            owners.settle(oldest);
            owners.dead = owners.dead.saturating_sub(dropped);
            *write(&self.generation) = Arc::new(Generation { text, entries });
        }
        self.reclaimed.fetch_add(u64::from(dropped), Ordering::Relaxed);
        // The file, if there is one, still has what is gone.
        self.stored_at.store(0, Ordering::Release);
        dropped
    }

    pub fn statistics(&self) -> IndexStatistics {
        let generation = self.generation();
        let stats = generation.text.stats();
        let owners = lock(&self.owners).document_of.len() * size_of::<u32>();
        IndexStatistics {
            entry_count: stats.docs,
            size_bytes: stats.bytes + (generation.entries.size_bytes() + owners) as u64,
            linked_count: 0,
            reclaimed_count: self.reclaimed.load(Ordering::Relaxed),
        }
    }
}
