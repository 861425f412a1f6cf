//! What runs while the twin records, and the state after each of its commits.

use std::sync::Arc;

use omen_disk::FaultyDisk;
use omen_store::KeyKind;

use crate::common::*;
use crate::recovery::{GRAPH, PK, T, WORDS, contents, create, row, specs, try_open_with};

/// A table that comes and goes.
const OTHER: u32 = 30_000;
/// A btree over the texts, which many rows share.
pub const TEXTS: u32 = 20_004;

/// All that commits can change, as a reader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What the commit wrote into the catalogue: its number.
    step: Option<String>,
    pub rows: Vec<Row>,
    /// Indexes of the table.
    pub indexes: Vec<u32>,
    /// Rows of the other table.
    other: Option<u64>,
}

impl State {
    /// None before the table exists.
    pub fn of(db: &Db) -> Option<Self> {
        db.engine.relation_statistics(T).ok()?;
        let (_, catalog) = db.engine.catalog_changes(0);
        let step = catalog.iter().rfind(|c| c.key == "step").and_then(|c| c.value.clone());
        let all = [PK, GRAPH, WORDS, TEXTS];
        let other = db.engine.relation_statistics(OTHER).ok().map(|s| s.row_count);
        if other.is_some_and(|rows| rows > 0) {
            db.run(|tx| assert_eq!(tx.range(OTHER + 1, INT, None, None).len(), 2));
        }
        Some(Self {
            step,
            rows: contents(db),
            indexes: all.into_iter().filter(|&i| db.engine.index_statistics(i).is_ok()).collect(),
            other,
        })
    }

    pub fn has(&self, index: u32) -> bool {
        self.indexes.contains(&index)
    }
}

/// States after each commit, and the number of disk operations when it was acknowledged.
#[derive(Default)]
pub struct History {
    pub commits: Vec<(usize, State)>,
}

impl History {
    fn note(&mut self, disk: &FaultyDisk, db: &Db) {
        self.commits.push((disk.operations(), State::of(db).expect("the table is there")));
    }

    /// The newest commit acknowledged within the first `operations`.
    pub fn promised(&self, operations: usize) -> Option<usize> {
        self.commits.iter().rposition(|(at, _)| *at <= operations)
    }
}

fn put_step(tx: &Tx, step: i32) {
    tx.handle.catalog_put("step", Some(&step.to_string()), false).unwrap();
}

/// Inserts, updates, deletes and a checkpoint in between, each acknowledged before the next begins, over indexes that are
/// there from the first. With few `buffer_bytes` more checkpoints happen by themselves, beside the commits, and rows are
/// in chunk files.
pub fn rows_and_definitions(disk: &FaultyDisk, buffer_bytes: u64) -> History {
    let db = try_open_with(Arc::new(disk.clone()), buffer_bytes).unwrap();
    let mut history = History::default();
    create(&db);
    history.note(disk, &db);
    let mut rids = Vec::new();
    for step in 0..9 {
        db.run(|tx| {
            let rows: Vec<Row> = (0..3).map(|i| row(step * 3 + i)).collect();
            rids.extend(tx.insert(T, &specs(), &rows));
            if step == 1 {
                tx.handle.create_relation(OTHER, &specs(), false).unwrap();
                tx.create_index(btree(OTHER + 1, OTHER, 0, KeyKind::Int, true)).unwrap();
                tx.insert(OTHER, &specs(), &[row(500), row(501)]);
            }
            // With few buffer bytes this commit's rows go into a chunk file of their own.
            if step == 5 {
                let rows: Vec<Row> = (200..270).map(row).collect();
                tx.insert(T, &specs(), &rows);
            }
            if step == 6 {
                tx.handle.drop_relation(OTHER).unwrap();
            }
            put_step(tx, step);
            if step % 2 == 1 {
                let at = step as usize;
                tx.update(T, rids[at], &specs(), &[1, 2], row(100 + step)[1..].to_vec());
                tx.delete(T, rids[at + 1]);
            }
        });
        history.note(disk, &db);
        if step == 4 {
            db.checkpoint();
        }
    }
    db.shutdown();
    history
}

/// Indexes built over rows that are there, dropped and built again; every row updated, dead versions collected, chunks
/// rewritten; checkpoints between all of it.
pub fn builds_and_collections(disk: &FaultyDisk, buffer_bytes: u64) -> History {
    let db = try_open_with(Arc::new(disk.clone()), buffer_bytes).unwrap();
    let mut history = History::default();
    let mut step = 0;
    let mut commit = |change: &mut dyn FnMut(&Tx)| {
        db.run(|tx| {
            change(tx);
            put_step(tx, step);
        });
        step += 1;
        history.note(disk, &db);
    };
    let mut rids = Vec::new();
    commit(&mut |tx| {
        tx.handle.create_relation(T, &specs(), false).unwrap();
        tx.create_index(btree(PK, T, 0, KeyKind::Int, true)).unwrap();
        rids = tx.insert(T, &specs(), &(0..40).map(row).collect::<Vec<_>>());
    });
    commit(&mut |tx| tx.create_index(hnsw(GRAPH, T, 2, 4)).unwrap());
    commit(&mut |tx| tx.create_index(bm25(WORDS, T, 1)).unwrap());
    db.checkpoint();
    commit(&mut |tx| {
        tx.create_index(btree(TEXTS, T, 1, KeyKind::Bytes, false)).unwrap();
        tx.insert(T, &specs(), &(300..370).map(row).collect::<Vec<_>>());
    });
    for round in 1..3 {
        commit(&mut |tx| {
            for (i, &rid) in rids.iter().enumerate() {
                let new = row(1000 * round + i as i32);
                tx.update(T, rid, &specs(), &[1, 2], new[1..].to_vec());
            }
        });
        assert!(db.engine.collect_garbage(T).unwrap() > 0);
        if round == 1 {
            db.checkpoint();
        }
    }
    commit(&mut |tx| rids[10..].iter().for_each(|&rid| tx.delete(T, rid)));
    db.engine.collect_garbage(T).unwrap();
    commit(&mut |tx| tx.handle.drop_index(GRAPH).unwrap());
    db.checkpoint();
    commit(&mut |tx| tx.create_index(hnsw(GRAPH, T, 2, 4)).unwrap());
    commit(&mut |tx| tx.handle.drop_index(WORDS).unwrap());
    commit(&mut |tx| {
        tx.create_index(bm25(WORDS, T, 1)).unwrap();
        // Row ids that the collection freed.
        tx.insert(T, &specs(), &[row(5000), row(5001)]);
    });
    db.shutdown();
    history
}
