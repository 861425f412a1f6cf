//! Loads that claim their keys a batch at a time, beside single inserts, each other, savepoints and rollbacks.

use std::collections::HashSet;
use std::sync::Arc;

use super::common::*;
use omen_store::*;

const T: u32 = 20_000;
const PK: u32 = 20_001;
const SPECS: [ColumnSpec; 1] = [INT];

fn db() -> Db {
    let db = Db::memory();
    db.run(|tx| {
        tx.handle.create_relation(T, &SPECS, false).unwrap();
        tx.create_index(btree(PK, T, 0, KeyKind::Int, true)).unwrap();
    });
    db
}

fn keys(keys: impl IntoIterator<Item = i32>) -> Vec<Row> {
    keys.into_iter().map(|key| vec![Cell::Int(key)]).collect()
}

/// One call; rows done and why it stopped.
fn offer(tx: &Tx, rows: &[Row]) -> Written {
    let columns = Columns::new(&SPECS, rows);
    let mut rids = vec![0; rows.len()];
    tx.handle.insert_rows(T, &columns.refs(), 0, rows.len(), &mut rids).unwrap()
}

fn begin(db: &Db) -> Tx {
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    tx
}

fn end(tx: &Tx, commits: bool) {
    if commits {
        tx.commit();
    } else {
        tx.handle.abort();
    }
}

fn must_wait(written: Written) -> u32 {
    let WriteStop::Wait(token) = written.stop else { panic!("waits, not {written:?}") };
    token
}

#[test]
fn a_single_insert_waits_for_the_load_that_claims_its_key() {
    for commits in [true, false] {
        let db = db();
        let (load, single, other) = (begin(&db), begin(&db), begin(&db));
        assert_eq!(offer(&load, &keys(0..500)).done, 500);
        assert_eq!(offer(&other, &keys([500])).done, 1, "another key is nobody's");
        let token = must_wait(offer(&single, &keys([77])));
        assert!(!db.tokens.is_delivered(token));
        end(&load, commits);
        assert!(db.tokens.is_delivered(token));
        assert_eq!(offer(&single, &keys([77])).done, usize::from(!commits));
        single.commit();
        other.commit();
        db.run(|tx| assert_eq!(tx.scan(T, &SPECS).len(), if commits { 501 } else { 2 }));
    }
}

#[test]
fn a_load_waits_for_single_inserts_and_other_loads() {
    for (first, commits) in [(1, true), (1, false), (100, true), (100, false)] {
        let db = db();
        let (holder, load) = (begin(&db), begin(&db));
        assert_eq!(offer(&holder, &keys(200..200 + first)).done, first as usize);
        let written = offer(&load, &keys(0..300));
        assert_eq!(written.done, 200, "the rows before the key in question are in");
        let token = must_wait(written);
        // The other way round there is no circle: nobody waits for what the load did not get.
        assert_eq!(offer(&holder, &keys([200 + first])).done, 1);
        end(&holder, commits);
        assert!(db.tokens.is_delivered(token));
        let again = offer(&load, &keys(200..300));
        assert_eq!(again.done, if commits { 0 } else { 100 });
        assert_eq!(matches!(again.stop, WriteStop::Conflict { .. }), commits);
        end(&load, !commits);
    }
}

#[test]
fn a_load_stops_at_a_key_that_is_there_and_gives_the_rest_back() {
    let db = db();
    db.run(|tx| tx.insert(T, &SPECS, &keys([1300])));
    let (load, other) = (begin(&db), begin(&db));
    let written = offer(&load, &keys((1000..1500).rev()));
    assert_eq!(written.done, 199);
    assert!(matches!(written.stop, WriteStop::Conflict { index_id: PK, .. }));
    assert_eq!(offer(&other, &keys([1299])).done, 1, "no key behind the conflict is claimed");
    // A key twice within a load is its own conflict, wherever the first one is.
    let twice = offer(&load, &keys((2000..2100).chain([2050]).chain(2100..2200)));
    assert_eq!((twice.done, matches!(twice.stop, WriteStop::Conflict { .. })), (100, true));
    load.commit();
    other.commit();
    db.run(|tx| {
        let found = tx.range(PK, INT, None, None).len();
        assert_eq!((found, tx.scan(T, &SPECS).len()), (301, 301));
    });
}

#[test]
fn what_a_savepoint_takes_back_is_free_again() {
    let db = db();
    let load = begin(&db);
    assert_eq!(offer(&load, &keys(0..100)).done, 100);
    let point = load.handle.savepoint().unwrap();
    load.statement();
    assert_eq!(offer(&load, &keys(100..300)).done, 200);
    load.handle.rollback_to(point).unwrap();
    let other = begin(&db);
    assert_eq!(offer(&other, &keys([150])).done, 1);
    must_wait(offer(&other, &keys([50])));
    other.handle.abort();
    load.statement();
    assert_eq!(offer(&load, &keys(100..200)).done, 100);
    let other = begin(&db);
    must_wait(offer(&other, &keys([150])));
    other.handle.abort();
    load.commit();
    db.run(|tx| assert_eq!(tx.scan(T, &SPECS).len(), 200));
}

/// Everything taken back, table and claim: the next batch of the same transaction claims anew.
#[test]
fn a_load_taken_back_as_a_whole_can_begin_again() {
    let db = db();
    let load = begin(&db);
    let point = load.handle.savepoint().unwrap();
    for _ in 0..3 {
        load.statement();
        assert_eq!(offer(&load, &keys(0..100)).done, 100);
        let other = begin(&db);
        must_wait(offer(&other, &keys([50])));
        other.handle.abort();
        load.handle.rollback_to(point).unwrap();
    }
    let other = begin(&db);
    assert_eq!(offer(&other, &keys([50])).done, 1);
    other.commit();
    load.commit();
    db.run(|tx| assert_eq!(tx.scan(T, &SPECS).len(), 1));
}

/// Threads that load and insert over the same keys, some taking it back: each key ends up with one row at most, and the
/// rows of each commit are all there.
#[test]
fn no_key_comes_twice_whoever_brings_it() {
    let db = Arc::new(db());
    let writer = |seed: u64| {
        let db = Arc::clone(&db);
        std::thread::spawn(move || {
            let mut random = Random(seed);
            let mut committed = Vec::new();
            for _ in 0..60 {
                let tx = begin(&db);
                let start = random.below(4000) as i32;
                let count = if random.below(2) == 0 { 1 } else { 64 + random.below(100) as i32 };
                let mine: Vec<i32> = (0..count).map(|i| start + i * (1 + seed as i32)).collect();
                let written = tx.try_insert(T, &SPECS, &keys(mine.iter().copied()));
                match written {
                    Ok(_) if random.below(3) > 0 => {
                        tx.commit();
                        committed.extend(mine);
                    }
                    Ok(_) => tx.handle.abort(),
                    Err(error) => {
                        let code = &*error.sqlstate;
                        assert!(code == "23505" || code == "40P01", "{error}");
                        tx.handle.abort();
                    }
                }
            }
            committed
        })
    };
    let threads: Vec<_> = (0..4).map(writer).collect();
    let mut expected: Vec<i32> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    expected.sort_unstable();
    let distinct: HashSet<i32> = expected.iter().copied().collect();
    assert_eq!(distinct.len(), expected.len(), "no key was acknowledged twice");
    db.run(|tx| {
        let rows = tx.scan(T, &SPECS);
        let mut found: Vec<i32> = rows
            .iter()
            .map(|(_, row)| if let Cell::Int(key) = row[0] { key } else { panic!("{row:?}") })
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(tx.range(PK, INT, None, None).len(), expected.len());
    });
}
