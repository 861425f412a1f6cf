//! Crash enumeration: a workload is recorded on the faulty twin, every state a crash could have left is opened, and each
//! must hold exactly the state after some commit that is not older than what had been acknowledged.

mod workloads;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::common::*;
use crate::recovery::{GRAPH, T, WORDS, check_btree, check_graph, check_text, try_open};
use omen_disk::{Disk, Fault, FaultyDisk, MemoryDisk};
use workloads::{History, State, TEXTS, builds_and_collections, rows_and_definitions};

type Workload = fn(&FaultyDisk, u64) -> History;

/// Opens a state; what is wrong with it.
fn recover(
    disk: MemoryDisk,
    history: &History,
    promised: Option<usize>,
) -> std::result::Result<(), String> {
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let db = try_open(disk).map_err(|e| format!("does not open: {e}"))?;
    let result = judge(&db, history, promised);
    db.kill();
    result
}

fn judge(db: &Db, history: &History, promised: Option<usize>) -> std::result::Result<(), String> {
    let Some(found) = State::of(db) else {
        return if promised.is_none() { Ok(()) } else { Err("the table is lost".into()) };
    };
    match history.commits.iter().position(|(_, state)| *state == found) {
        None => Err(format!("{} rows are the state after no commit", found.rows.len())),
        Some(position) if promised.is_some_and(|p| position < p) => {
            Err(format!("lost: commit {position} is there, {promised:?} was acknowledged"))
        }
        Some(_) => {
            check_btree(db);
            if found.has(TEXTS) {
                let entries = db.run(|tx| tx.range(TEXTS, TEXT, None, None).len());
                assert_eq!(entries, found.rows.len(), "btree of texts");
            }
            if found.has(GRAPH) {
                check_graph(db);
            }
            if found.has(WORDS) {
                check_text(db);
            }
            Ok(())
        }
    }
}

/// Opens every `step`th state; returns how many.
fn enumerate(workload: Workload, buffer_bytes: u64, seed: u64, step: usize) -> usize {
    let disk = FaultyDisk::new();
    let history = workload(&disk, buffer_bytes);
    let (mut states, mut unacknowledged) = (0, 0);
    for state in disk.crash_states(seed).map(std::result::Result::unwrap).step_by(step) {
        let promised = history.promised(state.operation);
        let (operation, kind) = (state.operation, state.kind);
        if let Err(wrong) = recover(state.disk, &history, promised) {
            panic!("seed {seed}, after {operation} operations, {kind:?}: {wrong}");
        }
        states += 1;
        unacknowledged += usize::from(promised.is_none_or(|p| p + 1 < history.commits.len()));
    }
    println!("{states} crash states of seed {seed} with {buffer_bytes} buffer bytes");
    assert!(states > 100 && unacknowledged > 0, "{states} states");
    states
}

#[test]
fn every_crash_state_holds_every_acknowledged_commit_whole() {
    enumerate(rows_and_definitions, 0, 11, 2);
}

#[test]
fn every_crash_state_of_rows_in_files_does_too() {
    enumerate(rows_and_definitions, 2000, 12, 2);
}

#[test]
fn every_crash_state_of_builds_and_collections_does_too() {
    enumerate(builds_and_collections, 0, 13, 7);
    enumerate(builds_and_collections, 2000, 14, 7);
}

/// All states, several times, each time torn and reordered another way.
#[test]
#[ignore = "minutes: more than 20,000 states"]
fn twenty_thousand_crash_states() {
    let mut counts = BTreeMap::new();
    for i in 0..24_u64 {
        let (name, workload): (_, Workload) = if i % 4 < 2 {
            ("rows and definitions", rows_and_definitions)
        } else {
            ("builds and collections", builds_and_collections)
        };
        let buffer_bytes = [0, 2000][i as usize % 2];
        *counts.entry((name, buffer_bytes)).or_insert(0) +=
            enumerate(workload, buffer_bytes, 100 + i, 1);
    }
    for ((name, buffer_bytes), states) in &counts {
        println!("{name}, {buffer_bytes} buffer bytes: {states} states");
    }
    let states: usize = counts.values().sum();
    println!("{states} crash states: 0 lost commits, 0 wrong rows, 0 indexes that disagree");
    assert!(states >= 20_000, "{states} states");
}

/// Losses that the enumeration finds on a disk with a fault: states that open and hold less than was acknowledged, and
/// others that are wrong or do not open.
fn losses(fault: Fault) -> (usize, usize) {
    let disk = FaultyDisk::new();
    disk.inject(fault);
    let history = rows_and_definitions(&disk, 0);
    let (mut lost, mut other) = (0, 0);
    for state in disk.crash_states(11).map(std::result::Result::unwrap) {
        let promised = history.promised(state.operation);
        // Where what a sync promised is missing even an assertion may fail.
        let result = catch_unwind(AssertUnwindSafe(|| recover(state.disk, &history, promised)));
        match result {
            Ok(Ok(())) => {}
            Ok(Err(wrong)) if wrong.starts_with("lost") || wrong.ends_with("lost") => lost += 1,
            Ok(Err(_)) | Err(_) => other += 1,
        }
    }
    println!("{fault:?}: {lost} states lost acknowledged commits, {other} were wrong otherwise");
    (lost, other)
}

/// The enumeration must be able to fail: on a disk that only pretends to sync it finds lost commits.
#[test]
fn a_disk_that_lies_about_syncing_is_found_out() {
    let (lost, other) = losses(Fault::SyncLies);
    assert!(lost + other > 0);
}

/// The negative control of group commit: with the sync of the log switched off, and nothing else, acknowledged commits are
/// lost and the enumeration says so.
#[test]
fn group_commit_without_its_sync_is_found_out() {
    let (lost, _) = losses(Fault::LogSyncLies);
    assert!(lost > 0);
}

/// A commit of more than 8 MB goes through a side file: it is there whole or not at all.
#[test]
fn a_crash_in_a_bulk_commit_leaves_all_of_it_or_nothing() {
    let disk = FaultyDisk::new();
    let specs = [INT, TEXT];
    let db = try_open(Arc::new(disk.clone())).unwrap();
    db.run(|tx| tx.handle.create_relation(T, &specs, false).unwrap());
    let created = disk.operations();
    let big = "y".repeat(1_000_000);
    let rows: Vec<Row> = (0..9).map(|k| vec![Cell::Int(k), text(&big)]).collect();
    db.run(|tx| tx.insert(T, &specs, &rows));
    let acknowledged = disk.operations();
    db.kill();
    let mut seen = [0; 2];
    let states = disk.crash_states(3).map(std::result::Result::unwrap);
    for state in states.filter(|s| s.operation >= created).step_by(13) {
        let promised = state.operation >= acknowledged;
        let db = try_open(Arc::new(state.disk)).unwrap();
        let count = db.run(|tx| tx.scan(T, &specs).len());
        assert!(count == 9 || (count == 0 && !promised), "{count} rows, promised: {promised}");
        seen[usize::from(count == 9)] += 1;
        db.kill();
    }
    assert!(seen[0] > 0, "{seen:?}");
}

/// Recovery may be cut off as well: what the second crash leaves still holds what the first left.
#[test]
fn a_crash_during_recovery_loses_nothing_either() {
    for workload in [rows_and_definitions, builds_and_collections] {
        let disk = FaultyDisk::new();
        let history = workload(&disk, 0);
        let firsts = disk.crash_states(23).map(std::result::Result::unwrap);
        let mut states = 0;
        for first in firsts.step_by(97) {
            let Some(promised) = history.promised(first.operation) else { continue };
            let twin = FaultyDisk::over(&first.disk).unwrap();
            try_open(Arc::new(twin.clone())).unwrap().shutdown();
            for second in twin.crash_states(5).map(std::result::Result::unwrap).step_by(7) {
                let kind = second.kind;
                if let Err(wrong) = recover(second.disk, &history, Some(promised)) {
                    let (first, second) = (first.operation, second.operation);
                    panic!("crash at {first} then at {second}, {kind:?}: {wrong}");
                }
                states += 1;
            }
        }
        assert!(states > 20, "{states} states");
    }
}
