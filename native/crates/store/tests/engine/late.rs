//! Definitions whose COMMIT finds the disk full: nothing of them stays, and the same definitions succeed when there is room.

use std::sync::Arc;

use omen_disk::{Fault, FaultyDisk};
use omen_store::*;

use super::common::*;
use super::recovery::{GRAPH, PK, T, WORDS, check_indexes, contents, create, row, specs, try_open};

const UNIQUE: u32 = 20_010;
const GRAPH_2: u32 = 20_011;
const WORDS_2: u32 = 20_012;
const OTHER: u32 = 20_020;
const OTHER_PK: u32 = 20_021;
const SEQUENCE: u32 = 20_022;

type Statement = fn(&Tx);

/// A statement's definitions, and how its transaction ended.
fn define(db: &Db, statement: impl FnOnce(&Tx)) -> Result<()> {
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    statement(&tx);
    tx.try_commit()
}

fn create_indexes(tx: &Tx) {
    tx.create_index(btree(UNIQUE, T, 1, KeyKind::Bytes, true)).unwrap();
    tx.create_index(hnsw(GRAPH_2, T, 2, 4)).unwrap();
    tx.create_index(bm25(WORDS_2, T, 1)).unwrap();
}

fn create_table(tx: &Tx) {
    tx.handle.create_relation(OTHER, &[INT, INT], false).unwrap();
    tx.create_index(btree(OTHER_PK, OTHER, 0, KeyKind::Int, true)).unwrap();
    let spec = SequenceSpec {
        sequence_id: SEQUENCE,
        start: 1,
        increment: 1,
        min: 1,
        max: 100,
        cycle: false,
        temporary: false,
    };
    tx.handle.create_sequence(spec).unwrap();
    assert_eq!(tx.handle.sequence_next(SEQUENCE).unwrap(), 1);
    tx.insert(OTHER, &[INT, INT], &[vec![Cell::Int(1), Cell::Int(2)]]);
}

/// ALTER TABLE ADD COLUMN of a vector column with an index over it, and of one with values for the rows that there are.
fn alter_table(tx: &Tx) {
    for spec in [vector(4), INT] {
        let null = Columns::new(&[spec], &[vec![Cell::Null]]);
        tx.handle.add_column(T, spec, &null.refs()[0]).unwrap();
    }
    let rids: Vec<u32> = tx.scan(T, &specs()).iter().map(|(rid, _)| *rid).collect();
    let values = Columns::new(&[INT], &vec![vec![Cell::Int(7)]; rids.len()]);
    tx.handle.backfill(T, &rids, &[4], &values.refs()).unwrap();
    tx.create_index(hnsw(GRAPH_2, T, 3, 4)).unwrap();
}

/// TRUNCATE: other storage, indexes over it, and the old one goes.
fn truncate(tx: &Tx) {
    tx.handle.drop_index(PK).unwrap();
    tx.handle.create_relation(OTHER, &specs(), false).unwrap();
    tx.create_index(btree(OTHER_PK, OTHER, 0, KeyKind::Int, true)).unwrap();
    tx.handle.drop_relation(T).unwrap();
}

fn drop_indexes(tx: &Tx) {
    for index in [PK, GRAPH, WORDS] {
        tx.handle.drop_index(index).unwrap();
    }
}

#[test]
fn a_definition_that_meets_a_full_disk_leaves_nothing() {
    let statements: [(&str, Statement); 5] = [
        ("create index", create_indexes),
        ("create table", create_table),
        ("alter table", alter_table),
        ("truncate", truncate),
        ("drop index", drop_indexes),
    ];
    for (name, statement) in statements {
        let disk = FaultyDisk::new();
        let db = try_open(Arc::new(disk.clone())).unwrap();
        create(&db);
        db.run(|tx| tx.insert(T, &specs(), &[row(1), row(2)]));
        disk.inject(Fault::NoSpaceAfter { bytes: 0 });
        // First where the log itself has no room for it, then while the server is read-only.
        for round in 0..2 {
            let failed = define(&db, |tx| {
                statement(tx);
                let long = "z".repeat(600_000);
                tx.handle.catalog_put("long", Some(&long), false).unwrap();
            });
            assert_eq!(failed.unwrap_err().sqlstate, "53100", "{name}, round {round}");
            for index in [UNIQUE, GRAPH_2, WORDS_2, OTHER_PK] {
                assert!(db.engine.index_statistics(index).is_err(), "{name} left index {index}");
            }
            assert!(db.engine.relation_statistics(OTHER).is_err(), "{name} left a table");
            assert!(db.engine.build_progress().is_empty(), "{name} left a build");
            assert_eq!(contents(&db), [row(1), row(2)], "{name}");
            check_indexes(&db);
        }
        disk.heal();
        // A key that a unique index of nobody's would refuse.
        let mut same_text = row(3);
        same_text[1] = row(1)[1].clone();
        let rids = db.run(|tx| tx.insert(T, &specs(), &[same_text]));
        db.run(|tx| tx.delete(T, rids[0]));
        define(&db, statement).unwrap_or_else(|error| panic!("{name} with room: {error}"));
        db.kill();
        let db = try_open(Arc::new(disk)).unwrap();
        match name {
            "create index" => {
                assert_eq!(db.engine.index_statistics(UNIQUE).unwrap().entry_count, 2);
                assert!(db.engine.index_statistics(GRAPH_2).is_ok());
            }
            "create table" => db.run(|tx| {
                assert_eq!(tx.scan(OTHER, &[INT, INT]).len(), 1);
                assert!(tx.handle.sequence_next(SEQUENCE).unwrap() > 1);
            }),
            "truncate" => {
                assert!(db.engine.relation_statistics(T).is_err());
                db.run(|tx| assert!(tx.scan(OTHER, &specs()).is_empty()));
            }
            "drop index" => {
                assert!(db.engine.index_statistics(PK).is_err());
                assert_eq!(contents(&db), [row(1), row(2)]);
            }
            _ => {
                assert_eq!(contents(&db), [row(1), row(2)]);
                let wide = [&specs()[..], &[vector(4), INT]].concat();
                let rows = db.run(|tx| tx.scan(T, &wide));
                assert!(rows.iter().all(|(_, row)| row[4] == Cell::Int(7)));
            }
        }
        db.shutdown();
    }
}

/// Row ids of rows whose commit failed are given to other rows.
#[test]
fn row_ids_of_a_commit_that_failed_are_given_again() {
    let disk = FaultyDisk::new();
    let db = try_open(Arc::new(disk.clone())).unwrap();
    create(&db);
    db.run(|tx| tx.insert(T, &specs(), &[row(1)]));
    disk.inject(Fault::NoSpaceAfter { bytes: 0 });
    let mut lost = Vec::new();
    let failed = define(&db, |tx| {
        let long = vec![Cell::Int(2), text(&"z".repeat(600_000)), Cell::Null];
        lost = tx.insert(T, &specs(), &[long, row(3)]);
        tx.statement();
        tx.delete(T, lost[1]);
    });
    assert_eq!(failed.unwrap_err().sqlstate, "53100");
    disk.heal();
    let mut again = db.run(|tx| tx.insert(T, &specs(), &[row(4), row(5)]));
    again.sort_unstable();
    assert_eq!(again, lost);
    check_indexes(&db);
    db.shutdown();
}
