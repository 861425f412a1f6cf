//! `synchronous_commit = off`: what `commit` acknowledged survives every crash, what was committed asynchronously may be
//! lost from the end, and never from the middle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use omen_disk::{Disk, FaultyDisk};
use omen_store::Isolation;

use super::common::*;
use super::recovery::{T, check_indexes, contents, create, row, specs, try_open};

/// What was acknowledged after so many disk operations, and whether it was promised to be durable.
struct Acknowledged {
    operations: usize,
    is_durable: bool,
    rows: Vec<Row>,
}

/// Commits of both kinds that change each other's rows, with checkpoints between them.
fn workload(disk: &FaultyDisk) -> Vec<Acknowledged> {
    let db = try_open(Arc::new(disk.clone())).unwrap();
    create(&db);
    let mut history = Vec::new();
    let mut note = |is_durable| {
        let (operations, rows) = (disk.operations(), contents(&db));
        history.push(Acknowledged { operations, is_durable, rows });
    };
    note(true);
    let mut rids = Vec::new();
    for step in 0..24 {
        let is_durable = step % 5 == 4;
        let tx = db.begin(Isolation::ReadCommitted);
        tx.statement();
        rids.extend(tx.insert(T, &specs(), &[row(2 * step), row(2 * step + 1)]));
        if step > 0 {
            let before = 2 * (step as usize - 1);
            tx.update(T, rids[before], &specs(), &[1, 2], row(100 + step)[1..].to_vec());
            tx.delete(T, rids[before + 1]);
        }
        if is_durable {
            tx.commit();
        } else {
            tx.commit_asynchronously();
        }
        drop(tx);
        note(is_durable);
        if step % 10 == 7 {
            db.checkpoint();
        }
    }
    db.shutdown();
    history
}

#[test]
fn a_crash_loses_asynchronous_commits_from_the_end_only() {
    let disk = FaultyDisk::new();
    let history = workload(&disk);
    let (mut states, mut lost) = (0, 0);
    for state in disk.crash_states(31).map(std::result::Result::unwrap) {
        let within = |a: &Acknowledged| a.operations <= state.operation;
        let Some(promised) = history.iter().rposition(|a| a.is_durable && within(a)) else {
            continue;
        };
        let acknowledged = history.iter().rposition(within);
        let db = try_open(Arc::new(state.disk)).unwrap();
        let found = contents(&db);
        let position = history.iter().position(|a| a.rows == found);
        let position = position.expect("a state after some commit");
        assert!(position >= promised, "{position} is there, {promised} was promised");
        lost += usize::from(Some(position) < acknowledged);
        check_indexes(&db);
        db.kill();
        states += 1;
    }
    assert!(states > 100 && lost > 0, "{states} states, {lost} of them lost something");
}

#[test]
fn an_asynchronous_commit_becomes_durable_by_itself() {
    let disk = FaultyDisk::new();
    let db = try_open(Arc::new(disk.clone())).unwrap();
    create(&db);
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    tx.insert(T, &specs(), &[row(1)]);
    tx.commit_asynchronously();
    drop(tx);
    let is_durable = || {
        let last = disk.crash_states(1).map(std::result::Result::unwrap).last().unwrap();
        let copy: Arc<dyn Disk> = Arc::new(last.disk);
        let after = try_open(copy).unwrap();
        let count = contents(&after).len();
        after.kill();
        count == 1
    };
    let limit = Instant::now() + Duration::from_secs(60);
    while !is_durable() {
        assert!(Instant::now() < limit, "it never became durable");
        std::thread::sleep(Duration::from_millis(100));
    }
    db.kill();
}
