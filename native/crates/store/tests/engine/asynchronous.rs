//! `synchronous_commit = off`: what `commit` acknowledged survives every crash, what was committed asynchronously may be
//! lost from the end, and never from the middle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use omen_disk::{Disk, Fault, FaultyDisk};
use omen_store::{Isolation, Pending};

use super::common::*;
use super::recovery::{T, check_indexes, contents, create, row, specs, try_open};

/// What was acknowledged after so many disk operations, and whether it was promised to be durable.
struct Acknowledged {
    operations: usize,
    is_durable: bool,
    rows: Vec<Row>,
}

/// Commits of both kinds that change each other's rows, with checkpoints between them. `alone`: the session's thread syncs
/// those that wait itself.
fn workload(disk: &FaultyDisk, alone: bool) -> Vec<Acknowledged> {
    let db = try_open(Arc::new(disk.clone())).unwrap();
    if alone {
        db.channel.sync_alone();
    }
    create(&db);
    let mut history = Vec::new();
    let mut note = |operations, is_durable| {
        history.push(Acknowledged { operations, is_durable, rows: contents(&db) });
    };
    note(disk.operations(), true);
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
        // Its client counts on it from the moment it hears.
        let heard = tx.commit_acknowledging(!is_durable, {
            let disk = disk.clone();
            move || disk.operations()
        });
        drop(tx);
        note(heard.expect("a commit that succeeds is acknowledged"), is_durable);
        if step % 10 == 7 {
            db.checkpoint();
        }
    }
    db.shutdown();
    history
}

#[test]
fn a_crash_loses_asynchronous_commits_from_the_end_only() {
    loses_asynchronous_commits_from_the_end_only(false);
}

#[test]
fn a_crash_loses_no_commit_of_a_lone_session() {
    loses_asynchronous_commits_from_the_end_only(true);
}

fn loses_asynchronous_commits_from_the_end_only(alone: bool) {
    let disk = FaultyDisk::new();
    let history = workload(&disk, alone);
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
fn a_lone_session_commits_in_its_own_thread_and_two_do_not() {
    let disk = FaultyDisk::new();
    let db = try_open(Arc::new(disk.clone())).unwrap();
    create(&db);
    let insert = |key| {
        let tx = db.begin(Isolation::ReadCommitted);
        tx.statement();
        tx.insert(T, &specs(), &[row(key)]);
        tx
    };
    // Nobody has allowed it.
    let first = insert(1);
    let Ok(Pending::Wait(token)) = first.handle.commit() else { panic!("the committer does it") };
    db.tokens.wait(token);
    drop(first);
    db.channel.sync_alone();
    let alone = insert(2);
    assert!(matches!(alone.handle.commit(), Ok(Pending::Done)));
    let second = insert(3);
    assert!(matches!(second.handle.commit(), Ok(Pending::Wait(_))));
    drop(alone);
    drop(second);
    // A full disk refuses it there as the committer would.
    disk.inject(Fault::NoSpaceAfter { bytes: 0 });
    let long = insert(4);
    long.insert(T, &specs(), &[vec![Cell::Int(5), text(&"z".repeat(600_000)), Cell::Null]]);
    assert_eq!(long.commit_acknowledging(false, || ()), None);
    assert_eq!(long.handle.commit_result().unwrap_err().sqlstate, "53100");
    drop(long);
    db.kill();
}

#[test]
fn commits_that_are_held_go_together_when_they_are_released() {
    let disk = FaultyDisk::new();
    let db = try_open(Arc::new(disk.clone())).unwrap();
    create(&db);
    let commit = |key| {
        let tx = db.begin(Isolation::ReadCommitted);
        tx.statement();
        tx.insert(T, &specs(), &[row(key)]);
        let Ok(Pending::Wait(token)) = tx.handle.commit() else { panic!("a commit waits") };
        (tx, token)
    };
    let finish = |commits: Vec<(Tx, u32)>| {
        for (tx, token) in commits {
            db.tokens.wait(token);
            tx.handle.commit_result().unwrap();
        }
    };
    let before = disk.operations();
    for key in 1..4 {
        finish(vec![commit(key)]);
    }
    let apart = disk.operations() - before;
    db.channel.hold_commits();
    db.channel.hold_commits();
    let held = vec![commit(4), commit(5), commit(6)];
    assert_eq!(contents(&db).len(), 3, "none is published");
    let before = disk.operations();
    db.channel.release_commits();
    finish(held);
    let together = disk.operations() - before;
    assert_eq!(contents(&db).len(), 6);
    // One group has one write and one sync of the log, and one note of what it acknowledges.
    assert!(together + 2 * 3 <= apart, "{together} operations together, {apart} apart");
    // A thread that ends while it holds some leaves none behind.
    db.channel.hold_commits();
    let (tx, _) = commit(7);
    db.channel.close();
    while tx.handle.commit_result().is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(tx);
    db.kill();
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
