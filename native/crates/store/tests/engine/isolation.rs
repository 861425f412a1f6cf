//! What concurrent transactions see of each other, at both levels, and how locks wait.
//!
//! The anomalies are those of Martin Kleppmann's hermitage, with PostgreSQL's outcomes. Transactions are interleaved in
//! one thread by the token protocol, so every schedule is exact.

use super::common::*;
use omen_store::*;

const T: u32 = 20_000;
const SPECS: [ColumnSpec; 2] = [INT, INT];
use Isolation::{ReadCommitted, RepeatableRead};

/// Rows (1, 10) and (2, 20); their row ids.
fn db() -> (Db, Vec<u32>) {
    let db = Db::memory();
    let rids = db.run(|tx| {
        tx.handle.create_relation(T, &SPECS, false).unwrap();
        tx.insert(
            T,
            &SPECS,
            &[vec![Cell::Int(1), Cell::Int(10)], vec![Cell::Int(2), Cell::Int(20)]],
        )
    });
    (db, rids)
}

fn values(tx: &Tx) -> Vec<i32> {
    let mut rows = tx.scan(T, &SPECS);
    rows.sort_by_key(|(rid, _)| *rid);
    rows.into_iter().map(|(_, r)| if let Cell::Int(v) = r[1] { v } else { -1 }).collect()
}

fn set(tx: &Tx, rid: u32, value: i32) {
    tx.update(T, rid, &SPECS, &[1], vec![Cell::Int(value)]);
}

fn lock_now(tx: &Tx, rid: u32, mode: RowLockMode) -> Result<(LockedRows, u8)> {
    let mut outcome = [9];
    let locked = tx.handle.lock_rows(T, &[rid], mode, LockPolicy::Wait, &mut outcome)?;
    Ok((locked, outcome[0]))
}

#[test]
fn read_committed_sees_each_commit_repeatable_read_none() {
    let (db, rids) = db();
    let (rc, rr) = (db.begin(ReadCommitted), db.begin(RepeatableRead));
    rc.statement();
    rr.statement();
    let writer = db.begin(ReadCommitted);
    writer.statement();
    set(&writer, rids[0], 11);
    assert_eq!(
        (values(&rc), values(&rr)),
        (vec![10, 20], vec![10, 20]),
        "no dirty read (G1a, G1b)"
    );
    writer.commit();
    assert_eq!(values(&rc), [10, 20], "not within the statement");
    rc.statement();
    rr.statement();
    assert_eq!(values(&rc), [11, 20]);
    assert_eq!(values(&rr), [10, 20], "no non-repeatable read (P4, G-single)");
}

#[test]
fn an_aborted_write_is_never_seen() {
    let (db, rids) = db();
    let writer = db.begin(ReadCommitted);
    writer.statement();
    set(&writer, rids[0], 101);
    writer.handle.abort();
    db.run(|tx| assert_eq!(values(tx), [10, 20]));
}

#[test]
fn the_second_writer_waits_and_goes_on_with_the_newest_version() {
    let (db, rids) = db();
    let (a, b) = (db.begin(ReadCommitted), db.begin(ReadCommitted));
    a.statement();
    b.statement();
    set(&a, rids[0], 11);
    let (locked, _) = lock_now(&b, rids[0], RowLockMode::NoKeyUpdate).unwrap();
    assert!(locked.token > 0, "no dirty write (G0)");
    a.commit();
    assert!(db.tokens.is_delivered(locked.token));
    let (locked, outcome) = lock_now(&b, rids[0], RowLockMode::NoKeyUpdate).unwrap();
    assert_eq!((locked.done, outcome), (1, RowOutcome::Changed as u8));
    assert_eq!(b.fetch(T, &SPECS, &rids[..1], true)[0].1[1], Cell::Int(11));
    assert_eq!(b.fetch(T, &SPECS, &rids[..1], false)[0].1[1], Cell::Int(10));
    b.try_update(T, rids[0], &SPECS, &[1], vec![Cell::Int(12)]).unwrap();
    b.commit();
    db.run(|tx| assert_eq!(values(tx), [12, 20]));
}

#[test]
fn repeatable_read_refuses_a_lost_update() {
    let (db, rids) = db();
    let rr = db.begin(RepeatableRead);
    rr.statement();
    assert_eq!(values(&rr), [10, 20]);
    db.run(|tx| set(tx, rids[0], 11));
    db.run(|tx| tx.delete(T, rids[1]));
    let error = lock_now(&rr, rids[0], RowLockMode::NoKeyUpdate).unwrap_err();
    assert_eq!(error.sqlstate, "40001");
    assert_eq!(error.message, "could not serialize access due to concurrent update");
    let error = lock_now(&rr, rids[1], RowLockMode::Update).unwrap_err();
    assert_eq!(error.message, "could not serialize access due to concurrent delete");
}

#[test]
fn a_deleted_row_is_gone_for_a_waiting_writer() {
    let (db, rids) = db();
    let (a, b) = (db.begin(ReadCommitted), db.begin(ReadCommitted));
    a.statement();
    b.statement();
    a.delete(T, rids[0]);
    assert!(lock_now(&b, rids[0], RowLockMode::Update).unwrap().0.token > 0);
    a.commit();
    assert_eq!(lock_now(&b, rids[0], RowLockMode::Update).unwrap().1, RowOutcome::Gone as u8);
}

#[test]
fn write_skew_is_allowed_at_both_levels() {
    for isolation in [ReadCommitted, RepeatableRead] {
        let (db, rids) = db();
        let (a, b) = (db.begin(isolation), db.begin(isolation));
        a.statement();
        b.statement();
        set(&a, rids[0], 11);
        set(&b, rids[1], 21);
        a.commit();
        b.commit();
        db.run(|tx| assert_eq!(values(tx), [11, 21]));
    }
}

#[test]
fn row_lock_modes_conflict_as_in_postgresql() {
    use RowLockMode::*;
    // Documentation, table 13.3; rows held, columns wanted.
    let conflicts = [
        (KeyShare, [false, false, false, true]),
        (Share, [false, false, true, true]),
        (NoKeyUpdate, [false, true, true, true]),
        (Update, [true, true, true, true]),
    ];
    for (held, wanted) in conflicts {
        for (mode, conflict) in [KeyShare, Share, NoKeyUpdate, Update].into_iter().zip(wanted) {
            let (db, rids) = db();
            let (a, b) = (db.begin(ReadCommitted), db.begin(ReadCommitted));
            lock_now(&a, rids[0], held).unwrap();
            let waits = lock_now(&b, rids[0], mode).unwrap().0.token > 0;
            assert_eq!(waits, conflict, "{held:?} against {mode:?}");
        }
    }
}

#[test]
fn nowait_fails_and_skip_passes_over() {
    let (db, rids) = db();
    let (a, b) = (db.begin(ReadCommitted), db.begin(ReadCommitted));
    lock_now(&a, rids[0], RowLockMode::Update).unwrap();
    let mut outcomes = [9; 2];
    let error =
        b.handle.lock_rows(T, &rids, RowLockMode::Update, LockPolicy::NoWait, &mut outcomes);
    assert_eq!(error.unwrap_err().sqlstate, "55P03");
    b.handle.lock_rows(T, &rids, RowLockMode::Update, LockPolicy::Skip, &mut outcomes).unwrap();
    assert_eq!(outcomes, [RowOutcome::Skipped as u8, RowOutcome::Locked as u8]);
}

#[test]
fn locks_are_granted_first_come_first_served() {
    let (db, rids) = db();
    let txs: Vec<Tx> = (0..4).map(|_| db.begin(ReadCommitted)).collect();
    let wanted = [RowLockMode::Update, RowLockMode::Update, RowLockMode::Share, RowLockMode::Share];
    let tokens: Vec<u32> = txs
        .iter()
        .zip(wanted)
        .map(|(tx, mode)| lock_now(tx, rids[0], mode).unwrap().0.token)
        .collect();
    let delivered = || tokens[1..].iter().map(|t| db.tokens.is_delivered(*t)).collect::<Vec<_>>();
    assert_eq!(tokens[0], 0);
    txs[0].handle.abort();
    assert_eq!(delivered(), [true, false, false]);
    txs[1].handle.abort();
    assert_eq!(delivered(), [true, true, true], "both shared locks at once");
}

#[test]
fn a_circle_of_waits_ends_with_40p01() {
    let (db, rids) = db();
    let (a, b) = (db.begin(ReadCommitted), db.begin(ReadCommitted));
    lock_now(&a, rids[0], RowLockMode::Update).unwrap();
    lock_now(&b, rids[1], RowLockMode::Update).unwrap();
    let waiting = lock_now(&a, rids[1], RowLockMode::Update).unwrap().0.token;
    let circle = lock_now(&b, rids[0], RowLockMode::Update).unwrap().0.token;
    assert!(!db.tokens.is_delivered(circle), "nobody has looked yet");
    assert!(b.session.check_deadlock() && db.tokens.is_delivered(circle));
    let error = lock_now(&b, rids[0], RowLockMode::Update).unwrap_err();
    assert_eq!((&*error.sqlstate, &*error.message), ("40P01", "deadlock detected"));
    let (pa, pb) = (a.session.process_id(), b.session.process_id());
    assert_eq!(
        error.detail.as_deref(),
        Some(&*format!(
            "Process {pb} waits for ShareLock on transaction {pa}; blocked by process {pa}.\n\
             Process {pa} waits for ShareLock on transaction {pb}; blocked by process {pb}."
        ))
    );
    b.handle.abort();
    assert!(db.tokens.is_delivered(waiting));
    assert_eq!(lock_now(&a, rids[1], RowLockMode::Update).unwrap().0.done, 1);
}

#[test]
fn table_locks_follow_the_matrix_and_queue() {
    let (db, _) = db();
    let (a, b, c) = (db.begin(ReadCommitted), db.begin(ReadCommitted), db.begin(ReadCommitted));
    assert_eq!(a.handle.lock_relation(T, 1, LockPolicy::Wait).unwrap(), Acquire::Granted);
    assert_eq!(b.handle.lock_relation(T, 8, LockPolicy::NoWait).unwrap(), Acquire::Unavailable);
    let Acquire::Wait(exclusive) = b.handle.lock_relation(T, 8, LockPolicy::Wait).unwrap() else {
        panic!()
    };
    // Behind the waiting ACCESS EXCLUSIVE, although ACCESS SHARE would go with what is held.
    let Acquire::Wait(shared) = c.handle.lock_relation(T, 1, LockPolicy::Wait).unwrap() else {
        panic!()
    };
    a.handle.abort();
    assert!(db.tokens.is_delivered(exclusive) && !db.tokens.is_delivered(shared));
    assert_eq!(b.handle.lock_relation(T, 8, LockPolicy::Wait).unwrap(), Acquire::Granted);
    b.handle.abort();
    assert!(db.tokens.is_delivered(shared));
}

#[test]
fn cancel_and_terminate_end_a_wait() {
    let (db, rids) = db();
    let (a, b) = (db.begin(ReadCommitted), db.begin(ReadCommitted));
    lock_now(&a, rids[0], RowLockMode::Update).unwrap();
    let token = lock_now(&b, rids[0], RowLockMode::Update).unwrap().0.token;
    let pid = b.session.process_id();
    assert!(!db.engine.cancel_session(pid, Some(b.session.secret_key().wrapping_add(1))));
    assert!(db.engine.cancel_session(pid, Some(b.session.secret_key())));
    assert!(db.tokens.is_delivered(token));
    assert_eq!(lock_now(&b, rids[0], RowLockMode::Update).unwrap_err().sqlstate, "57014");
    b.session.clear_cancel();
    assert!(lock_now(&b, rids[0], RowLockMode::Update).unwrap().0.token > 0);
    assert!(db.engine.terminate_session(pid));
    assert_eq!(lock_now(&b, rids[0], RowLockMode::Update).unwrap_err().sqlstate, "57P01");
}

#[test]
fn advisory_locks_count_per_session_and_end_with_a_transaction() {
    let (db, _) = db();
    let (a, b) = (db.begin(ReadCommitted), db.begin(ReadCommitted));
    let take =
        |tx: &Tx, scope: bool| tx.session.advisory_lock(7, None, false, scope, true).unwrap();
    assert_eq!(take(&a, false), Acquire::Granted);
    assert_eq!(take(&a, false), Acquire::Granted);
    assert_eq!(take(&b, false), Acquire::Unavailable);
    assert_eq!(
        b.session.advisory_lock(7, Some(0), false, false, true).unwrap(),
        Acquire::Granted,
        "another space"
    );
    assert!(a.session.advisory_unlock(7, None, false));
    assert_eq!(take(&b, false), Acquire::Unavailable);
    assert!(a.session.advisory_unlock(7, None, false));
    assert!(!a.session.advisory_unlock(7, None, false));
    assert_eq!(take(&b, true), Acquire::Granted);
    assert_eq!(take(&a, false), Acquire::Unavailable);
    b.commit();
    assert_eq!(take(&a, false), Acquire::Granted);
}

#[test]
fn concurrent_transfers_keep_the_sum() {
    const ACCOUNTS: usize = 8;
    let db = Db::memory();
    let rids = db.run(|tx| {
        tx.handle.create_relation(T, &SPECS, false).unwrap();
        let rows: Vec<Row> =
            (0..ACCOUNTS as i32).map(|i| vec![Cell::Int(i), Cell::Int(100)]).collect();
        tx.insert(T, &SPECS, &rows)
    });
    let transfer = |seed: u64| {
        let mut random = Random(seed);
        let (mut done, mut deadlocks) = (0, 0);
        while done < 150 {
            let tx = db.begin(ReadCommitted);
            tx.statement();
            let from = rids[random.below(ACCOUNTS as u64) as usize];
            let to = rids[random.below(ACCOUNTS as u64) as usize];
            if from == to {
                continue;
            }
            let moved = [(from, -1), (to, 1)].into_iter().try_for_each(|(rid, by)| {
                tx.statement();
                tx.try_lock(T, &[rid], RowLockMode::NoKeyUpdate)?;
                let Cell::Int(old) = tx.fetch(T, &SPECS, &[rid], true)[0].1[1] else { panic!() };
                tx.try_update(T, rid, &SPECS, &[1], vec![Cell::Int(old + by)])
            });
            match moved {
                Ok(()) => {
                    tx.commit();
                    done += 1;
                }
                Err(error) => {
                    assert_eq!(error.sqlstate, "40P01", "{error}");
                    deadlocks += 1;
                    tx.handle.abort();
                }
            }
        }
        deadlocks
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|i| {
                let transfer = &transfer;
                scope.spawn(move || transfer(i + 1))
            })
            .collect();
        for _ in 0..200 {
            db.run(|tx| assert_eq!(values(tx).iter().sum::<i32>(), 100 * ACCOUNTS as i32));
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
    db.run(|tx| assert_eq!(values(tx).iter().sum::<i32>(), 100 * ACCOUNTS as i32));
}

#[test]
fn repeatable_read_takes_its_snapshot_with_the_first_statement() {
    let (db, rids) = db();
    let rr = db.begin(RepeatableRead);
    db.run(|tx| set(tx, rids[0], 11));
    rr.statement();
    assert_eq!(values(&rr), [11, 20]);
    db.run(|tx| set(tx, rids[0], 12));
    rr.statement();
    assert_eq!(values(&rr), [11, 20]);
}
