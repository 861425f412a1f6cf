//! Verification of a whole database: every sum of every file, then every table loaded and its indexes held against rows.
//!
//! `check_files` reads alone and changes nothing. `check` goes on to open the database as a server would, recovery
//! included, because what the log adds to the files is part of what a user sees. Damage of a derived index is a finding
//! although a server would rebuild it in silence.

mod files;
mod tables;

use std::collections::BTreeSet;
use std::sync::Arc;

use omen_disk::{Disk, Kv};

pub use files::check_files;

use crate::engine::{Engine, EngineOptions, Storage};
use crate::error::Result;
use crate::sync::read;

/// What was looked at under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPart {
    pub name: &'static str,
    /// Files, records, tables, ... as `name` says.
    pub count: u64,
    /// One line for each thing that is wrong.
    pub problems: Vec<String>,
}

impl CheckedPart {
    fn new(name: &'static str) -> Self {
        Self { name, count: 0, problems: Vec::new() }
    }

    fn note(&mut self, result: Result<()>) {
        self.count += 1;
        if let Err(error) = result {
            self.problems.push(error.message);
        }
    }

    /// For listings: what cannot be listed is one problem and no items.
    fn items<T>(&mut self, items: Result<Vec<T>>) -> Vec<T> {
        items.unwrap_or_else(|error| {
            self.problems.push(error.message);
            Vec::new()
        })
    }
}

/// Checks files, then opens the database and checks tables and indexes. The folder is locked by the caller; the engine
/// is gone when this returns.
pub fn check(disk: &Arc<dyn Disk>, kv: &Arc<dyn Kv>) -> Vec<CheckedPart> {
    let mut parts = check_files(&**disk, &**kv, &|| Ok(()));
    let mut loaded = CheckedPart::new("tables");
    let mut indexes = CheckedPart::new("indexes against rows");
    let storage = Storage::Durable { disk: Arc::clone(disk), kv: Arc::clone(kv) };
    let options = EngineOptions { storage, pool_threads: 1, buffer_bytes: 0 };
    match Engine::open(options) {
        Err(error) => loaded.note(Err(error)),
        Ok(engine) => {
            let relations: BTreeSet<u32> = read(&engine.tables).keys().copied().collect();
            for relation in relations {
                tables::check_table(&engine, relation, &mut loaded, &mut indexes);
            }
            engine.abandon();
        }
    }
    parts.extend([loaded, indexes]);
    parts
}
