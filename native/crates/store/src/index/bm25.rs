//! A full-text index over one text column: documents are text versions, numbered in commit order.
//!
//! A row keeps its document while its text stays the same. Statistics follow the newest commit; who sees a document is
//! the entry table, tested inside the search.

use std::sync::RwLock;
use std::sync::atomic::AtomicU64;

use omen_text::{AnalyzedDocument, AnalyzerKind, TextIndex, TextIndexParams};

use crate::sync::{read, write};
use crate::table::entries::EntryTable;
use crate::types::{IndexStatistics, TextConfig};
use crate::value::Value;

/// `document_of` of a row without a document.
const NONE: u32 = u32::MAX;

pub struct Bm25Index {
    pub text: TextIndex,
    pub entries: EntryTable,
    /// Row id -> its newest document.
    document_of: RwLock<Vec<u32>>,
    /// One above the commit its file is of; 0 = there is none.
    pub stored_at: AtomicU64,
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
            text,
            entries: EntryTable::new(),
            document_of: RwLock::new(Vec::new()),
            stored_at: AtomicU64::new(0),
        }
    }

    /// The terms of a stored text; None for NULL. Text columns hold UTF-8, other bytes are read as well as they can be.
    pub fn analyze(&self, value: Value<'_>) -> Option<AnalyzedDocument> {
        match value {
            Value::Bytes(bytes) => Some(self.text.analyze(&String::from_utf8_lossy(bytes))),
            _ => None,
        }
    }

    /// Takes the changes of a commit; invisible until its number is. One commit at a time.
    pub fn publish(
        &self,
        added: Vec<(u32, AnalyzedDocument)>,
        removed: Vec<(u32, AnalyzedDocument)>,
        commit: u64,
    ) {
        let mut document_of = write(&self.document_of);
        for (rid, document) in removed {
            let Some(number) = document_of.get_mut(rid as usize).filter(|n| **n != NONE) else {
                continue;
            };
            self.entries.delete(*number, commit);
            self.text.remove(*number, &document);
            *number = NONE;
        }
        for (rid, document) in added {
            let number = self.entries.len();
            self.entries.grow(number + 1);
            self.text.add(number, &document);
            self.entries.set(number, rid, commit);
            set_document(&mut document_of, rid, number);
        }
    }

    /// Restores which row has which document, as a checkpoint had it.
    pub fn restore(&self, documents: u32, owners: impl Iterator<Item = (u32, u32)>) {
        self.entries.grow(documents);
        let mut document_of = write(&self.document_of);
        for (number, rid) in owners {
            self.entries.set(number, rid, 0);
            set_document(&mut document_of, rid, number);
        }
    }

    /// (document, row) of the newest versions.
    pub fn owners(&self) -> Vec<(u32, u32)> {
        let document_of = read(&self.document_of);
        let some = |(rid, &number): (usize, &u32)| (number != NONE).then_some((number, rid as u32));
        document_of.iter().enumerate().filter_map(some).collect()
    }

    pub fn statistics(&self) -> IndexStatistics {
        let stats = self.text.stats();
        IndexStatistics {
            entry_count: stats.docs,
            size_bytes: stats.bytes + self.entries.size_bytes() as u64,
            linked_count: 0,
        }
    }
}

fn set_document(document_of: &mut Vec<u32>, rid: u32, number: u32) {
    if document_of.len() <= rid as usize {
        document_of.resize(rid as usize + 1, NONE);
    }
    document_of[rid as usize] = number;
}
