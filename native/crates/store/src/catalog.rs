//! The committed catalogue: keys with JSON texts, and which change came when.
//!
//! The engine neither reads nor interprets the texts. Every change has a version; `changes` answers "what is new since",
//! so that readers refresh by difference. Removed keys are remembered for that; a reader that starts from 0 is not told
//! of them.

use std::collections::{BTreeMap, HashMap};

use crate::types::CatalogChange;

#[derive(Default)]
pub struct Catalog {
    entries: HashMap<String, (u64, Option<String>)>,
    by_version: BTreeMap<u64, String>,
    version: u64,
}

impl Catalog {
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn put(&mut self, key: String, value: Option<String>) {
        self.version += 1;
        if let Some((old, _)) = self.entries.insert(key.clone(), (self.version, value)) {
            self.by_version.remove(&old);
        }
        self.by_version.insert(self.version, key);
    }

    /// The present version, and for each key that changed after `version` its present value, in the order of change.
    pub fn changes(&self, version: u64) -> (u64, Vec<CatalogChange>) {
        let after = self.by_version.range(version + 1..).map(|(_, key)| {
            let (_, value) = &self.entries[key];
            CatalogChange { key: key.clone(), value: value.clone() }
        });
        let changes = after.filter(|c| version > 0 || c.value.is_some()).collect();
        (self.version, changes)
    }
}
