//! Rows, statements, savepoints and btree indexes of an in-memory engine.

use super::common::*;
use omen_store::*;

const T: u32 = 20_000;
const PK: u32 = 20_001;
const SPECS: [ColumnSpec; 3] = [INT, TEXT, BIG];

fn row(k: i32, s: &str, n: i64) -> Row {
    vec![Cell::Int(k), text(s), Cell::Big(n)]
}

fn db() -> Db {
    let db = Db::memory();
    db.run(|tx| {
        tx.handle.create_relation(T, &SPECS, false).unwrap();
        tx.create_index(btree(PK, T, 0, KeyKind::Int, true)).unwrap();
    });
    db
}

fn rows(tx: &Tx) -> Vec<Row> {
    tx.scan(T, &SPECS).into_iter().map(|(_, r)| r).collect()
}

#[test]
fn a_statement_does_not_see_its_own_writes_but_the_next_one_does() {
    let db = db();
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    let rids = tx.insert(T, &SPECS, &[row(1, "one", 1), row(2, "two", i64::MAX)]);
    assert_eq!(rows(&tx), Vec::<Row>::new());
    assert!(tx.range(PK, INT, None, None).is_empty());
    tx.statement();
    assert_eq!(rows(&tx), [row(1, "one", 1), row(2, "two", i64::MAX)]);
    assert_eq!(tx.range(PK, INT, None, None), rids);
    let other = db.begin(Isolation::ReadCommitted);
    other.statement();
    assert!(rows(&other).is_empty(), "uncommitted rows are private");
    tx.commit();
    assert!(rows(&other).is_empty(), "not within the running statement");
    other.statement();
    assert_eq!(rows(&other).len(), 2);
}

#[test]
fn a_cursor_keeps_what_its_statement_saw() {
    let db = db();
    let many: Vec<Row> = (0..10_000).map(|i| row(i, &format!("value {i}"), 0)).collect();
    let rids = db.run(|tx| tx.insert(T, &SPECS, &many));
    let reader = db.begin(Isolation::ReadCommitted);
    reader.statement();
    let mut cursor = reader.handle.open_scan(T, &[0, 1, 2]).unwrap();
    db.run(|tx| {
        for &rid in rids.iter().step_by(3) {
            tx.delete(T, rid);
        }
        tx.insert(T, &SPECS, &[row(20_000, "late", 0)]);
    });
    reader.statement();
    let seen = Tx::drain(&mut cursor, &SPECS);
    assert_eq!(seen.into_iter().map(|(_, r)| r).collect::<Vec<_>>(), many);
    assert_eq!(rows(&reader).len(), 10_000 - 3_334 + 1);
}

#[test]
fn updates_keep_the_row_id_and_move_index_entries() {
    let db = db();
    let rids = db.run(|tx| tx.insert(T, &SPECS, &[row(1, "a", 0), row(2, "b", 0)]));
    let old = db.begin(Isolation::RepeatableRead);
    old.statement();
    db.run(|tx| tx.update(T, rids[0], &SPECS, &[0], vec![Cell::Int(9)]));
    db.run(|tx| {
        assert_eq!(tx.range(PK, INT, None, None), [rids[1], rids[0]]);
        assert_eq!(tx.fetch(T, &SPECS, &rids, false)[0], (rids[0], row(9, "a", 0)));
    });
    assert_eq!(old.range(PK, INT, None, None), rids, "the old snapshot sees the old key");
    assert_eq!(old.range(PK, INT, Some(Cell::Int(9)), None), [] as [u32; 0]);
}

#[test]
fn rollback_to_takes_back_rows_keys_and_locks() {
    let db = db();
    let rids = db.run(|tx| tx.insert(T, &SPECS, &[row(1, "a", 0), row(2, "b", 0)]));
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    tx.update(T, rids[0], &SPECS, &[1], vec![text("before")]);
    let point = tx.handle.savepoint().unwrap();
    tx.statement();
    tx.update(T, rids[0], &SPECS, &[0, 1], vec![Cell::Int(7), text("after")]);
    tx.delete(T, rids[1]);
    tx.insert(T, &SPECS, &[row(2, "again", 0), row(3, "c", 0)]);
    tx.statement();
    assert_eq!(rows(&tx).len(), 3);
    tx.handle.rollback_to(point).unwrap();
    tx.statement();
    assert_eq!(rows(&tx), [row(2, "b", 0), row(1, "before", 0)]);
    assert_eq!(tx.range(PK, INT, None, None), rids);
    // The lock on the second row and the key 3 are free again for others.
    let other = db.begin(Isolation::ReadCommitted);
    other.statement();
    other.insert(T, &SPECS, &[row(3, "mine", 0)]);
    other.delete(T, rids[1]);
    other.commit();
    tx.commit();
    db.run(|tx| assert_eq!(rows(tx), [row(3, "mine", 0), row(1, "before", 0)]));
}

#[test]
fn unique_keys_conflict_within_and_across_transactions() {
    let db = db();
    let rids = db.run(|tx| tx.insert(T, &SPECS, &[row(1, "a", 0)]));
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    let columns = Columns::new(&SPECS, &[row(5, "x", 0), row(5, "y", 0), row(6, "z", 0)]);
    let mut out = [0; 3];
    let written = tx.handle.insert_rows(T, &columns.refs(), 0, 3, &mut out).unwrap();
    assert_eq!(written.done, 1);
    assert_eq!(written.stop, WriteStop::Conflict { index_id: PK, rid: out[0] });
    let columns = Columns::new(&SPECS, &[row(1, "x", 0)]);
    let written = tx.handle.insert_rows(T, &columns.refs(), 0, 1, &mut out).unwrap();
    assert_eq!(
        (written.done, written.stop),
        (0, WriteStop::Conflict { index_id: PK, rid: rids[0] })
    );
    // A key freed by this transaction can be taken by it.
    tx.delete(T, rids[0]);
    assert!(tx.try_insert(T, &SPECS, &[row(1, "new", 0)]).is_ok());
    tx.commit();
    db.run(|tx| assert_eq!(rows(tx), [row(5, "x", 0), row(1, "new", 0)]));
}

#[test]
fn an_insert_waits_for_the_transaction_that_holds_its_key() {
    let db = db();
    for commits in [true, false] {
        let key = i32::from(commits) + 10;
        let first = db.begin(Isolation::ReadCommitted);
        first.statement();
        first.insert(T, &SPECS, &[row(key, "first", 0)]);
        let second = db.begin(Isolation::ReadCommitted);
        second.statement();
        let columns = Columns::new(&SPECS, &[row(key, "second", 0)]);
        let mut rids = [0];
        let try_insert =
            |rids: &mut [u32]| second.handle.insert_rows(T, &columns.refs(), 0, 1, rids).unwrap();
        let WriteStop::Wait(token) = try_insert(&mut rids).stop else { panic!("must wait") };
        assert!(!db.tokens.is_delivered(token));
        if commits {
            first.commit();
        } else {
            first.handle.abort();
        }
        assert!(db.tokens.is_delivered(token));
        let written = try_insert(&mut rids);
        assert_eq!(written.done, usize::from(!commits));
        second.commit();
    }
}

#[test]
fn definitions_are_undone_by_abort_and_shown_by_commit() {
    let db = Db::memory();
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    tx.handle.create_relation(T, &SPECS, false).unwrap();
    tx.handle.catalog_put("table/20000", Some("{}"), false).unwrap();
    tx.insert(T, &SPECS, &[row(1, "a", 0), row(1, "b", 0)]);
    let point = tx.handle.savepoint().unwrap();
    let error = tx.create_index(btree(PK, T, 0, KeyKind::Int, true)).unwrap_err();
    assert_eq!(error.sqlstate, "23505");
    tx.handle.rollback_to(point).unwrap();
    tx.create_index(btree(PK, T, 0, KeyKind::Int, false)).unwrap();
    tx.statement();
    assert_eq!(tx.range(PK, INT, None, None).len(), 2);
    assert_eq!(db.engine.catalog_changes(0).1, []);
    tx.commit();
    assert_eq!(db.engine.catalog_changes(0).1.len(), 1);
    db.run(|tx| assert_eq!(tx.range(PK, INT, None, None).len(), 2));
    let tx = db.begin(Isolation::ReadCommitted);
    tx.handle.create_relation(T + 5, &SPECS, false).unwrap();
    tx.handle.drop_relation(T).unwrap();
    tx.handle.abort();
    assert!(db.engine.relation_statistics(T + 5).is_err());
    assert_eq!(db.engine.relation_statistics(T).unwrap().row_count, 2);
}

#[test]
fn an_added_column_reads_its_initial_value_in_old_rows() {
    let db = db();
    db.run(|tx| tx.insert(T, &SPECS, &[row(1, "a", 0)]));
    let wider = [INT, TEXT, BIG, TEXT];
    let old_and_new = |tx: &Tx| {
        tx.scan(T, &wider).into_iter().map(|(_, mut r)| r.pop().unwrap()).collect::<Vec<_>>()
    };
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    tx.insert(T, &SPECS, &[row(2, "b", 0)]);
    let initial = Columns::new(&[TEXT], &[vec![text("dflt")]]);
    tx.handle.add_column(T, TEXT, &initial.refs()[0]).unwrap();
    let mut new = row(3, "c", 0);
    new.push(text("own"));
    tx.insert(T, &wider, &[new]);
    tx.statement();
    assert_eq!(old_and_new(&tx), [text("dflt"), text("dflt"), text("own")]);
    tx.commit();
    db.run(|tx| assert_eq!(old_and_new(tx), [text("dflt"), text("dflt"), text("own")]));
}

#[test]
fn dead_versions_are_collected_and_row_ids_used_again() {
    let db = db();
    let many: Vec<Row> = (0..5_000).map(|i| row(i, "x", 0)).collect();
    let rids = db.run(|tx| tx.insert(T, &SPECS, &many));
    for round in 0..20 {
        db.run(|tx| {
            for &rid in rids.iter().take(1_000) {
                tx.update(T, rid, &SPECS, &[2], vec![Cell::Big(round)]);
            }
        });
    }
    let settled = |limit: u64| {
        let start = std::time::Instant::now();
        while start.elapsed().as_secs() < 20 {
            db.run(|_| ());
            let size = db.engine.relation_statistics(T).unwrap().size_bytes;
            if size < limit {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("20,000 dead versions of 5,000 rows were kept");
    };
    // 5,000 rows are about 250 kB, 25,000 versions five times that.
    settled(700_000);
    db.run(|tx| {
        assert_eq!(tx.scan(T, &SPECS).len(), 5_000);
        assert_eq!(tx.range(PK, INT, None, None), rids);
    });
}
