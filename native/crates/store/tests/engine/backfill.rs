//! Columns whose values are put beside the versions of rows that exist: rows stay what they are, nobody else sees the columns
//! before the commit, and every crash leaves all of them or none. The oracle: each value is a function of its row.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use omen_disk::{Disk, FaultyDisk, MemoryDisk};
use omen_store::*;

use super::common::*;
use super::recovery::{try_open, try_open_with};

const T: u32 = 20_000;
const PK: u32 = 20_001;
const TEXTS: u32 = 20_002;
const GRAPH: u32 = 20_003;
const NUMBERS: u32 = 20_004;

const OLD: [ColumnSpec; 2] = [INT, TEXT];
const ADDED: [ColumnSpec; 2] = [TEXT, ColumnSpec { kind: StorageKind::Vector, dim: 4 }];
const ALL: [ColumnSpec; 4] = [INT, TEXT, ADDED[0], ADDED[1]];

fn row(id: i32, word: &str) -> Row {
    vec![Cell::Int(id), text(word)]
}

/// What the added columns have for a row: NULL for every fifth id, as outside of a predicate.
fn added(row: &Row) -> Row {
    let (Cell::Int(id), Cell::Text(word)) = (&row[0], &row[1]) else { panic!("{row:?}") };
    if id % 5 == 0 {
        return vec![Cell::Null, Cell::Null];
    }
    let mut random = Random(*id as u64 * 31 + word.len() as u64);
    let floats = (0..4).map(|_| random.unit()).collect();
    vec![text(&word.to_uppercase()), Cell::Vector(floats)]
}

fn whole(row: &Row) -> Row {
    [row.clone(), added(row)].concat()
}

fn create(db: &Db, rows: i32) -> Vec<u32> {
    db.run(|tx| {
        tx.handle.create_relation(T, &OLD, false).unwrap();
        tx.create_index(btree(PK, T, 0, KeyKind::Int, true)).unwrap();
        let rows: Vec<Row> = (0..rows).map(|id| row(id, &format!("word {}", id % 9))).collect();
        tx.insert(T, &OLD, &rows)
    })
}

fn add_columns(tx: &Tx) {
    for spec in ADDED {
        let null = Columns::new(&[spec], &[vec![Cell::Null]]);
        tx.handle.add_column(T, spec, &null.refs()[0]).unwrap();
    }
}

/// Adds the columns and gives the rows their values, `batch` rows at a time.
fn widen(tx: &Tx, batch: usize) {
    add_columns(tx);
    for rows in tx.scan(T, &OLD).chunks(batch) {
        let rids: Vec<u32> = rows.iter().map(|(rid, _)| *rid).collect();
        let values: Vec<Row> = rows.iter().map(|(_, row)| added(row)).collect();
        tx.handle.backfill(T, &rids, &[2, 3], &Columns::new(&ADDED, &values).refs()).unwrap();
    }
}

fn create_indexes(tx: &Tx) {
    tx.create_index(btree(TEXTS, T, 2, KeyKind::Bytes, false)).unwrap();
    tx.create_index(hnsw(GRAPH, T, 3, 4)).unwrap();
}

fn sorted(rows: Vec<(u32, Row)>) -> Vec<(u32, Row)> {
    let mut rows = rows;
    rows.sort_by_key(|(rid, _)| *rid);
    rows
}

/// The rows have the values that are theirs, and the indexes have the rows.
fn check(db: &Db) -> Vec<(u32, Row)> {
    let tx = db.begin(Isolation::RepeatableRead);
    tx.statement();
    let rows = sorted(tx.scan(T, &ALL));
    for (_, found) in &rows {
        assert_eq!(*found, whole(&found[..2].to_vec()));
    }
    let mut entries = tx.range(TEXTS, TEXT, None, None);
    entries.sort_unstable();
    assert_eq!(entries, rows.iter().map(|(rid, _)| *rid).collect::<Vec<_>>());
    for word in 0..9 {
        let word = text(&format!("WORD {word}"));
        let mut found = tx.range(TEXTS, TEXT, Some(word.clone()), Some(word.clone()));
        found.sort_unstable();
        let wanted = rows.iter().filter(|(_, row)| row[2] == word).map(|(rid, _)| *rid);
        assert_eq!(found, wanted.collect::<Vec<_>>());
    }
    check_nearest(&tx, &rows);
    tx.handle.abort();
    rows
}

/// The graph gives what comparing every row gives.
fn check_nearest(tx: &Tx, rows: &[(u32, Row)]) {
    for seed in 0..5 {
        let mut random = Random(seed);
        let query: Vec<f32> = (0..4).map(|_| random.unit()).collect();
        let distance = |row: &Row| match &row[3] {
            Cell::Vector(v) => Some(v.iter().zip(&query).map(|(a, b)| (a - b) * (a - b)).sum()),
            _ => None,
        };
        let mut wanted: Vec<(f32, u32)> =
            rows.iter().filter_map(|(rid, row)| Some((distance(row)?, *rid))).collect();
        wanted.sort_by(|a, b| a.partial_cmp(b).unwrap());
        wanted.truncate(10);
        let (mut rids, mut distances) = (vec![0; 10], vec![0.0; 10]);
        let asked = VectorQuery { ef: 200, ..closest(&query, 10) };
        let found = tx.handle.vector_search(GRAPH, &asked, &mut rids, &mut distances).unwrap();
        let near = wanted.iter().filter(|(_, rid)| rids[..found.0].contains(rid)).count();
        assert_eq!(found.0, wanted.len());
        assert!(near + 1 >= wanted.len(), "{near} of {}", wanted.len());
    }
}

#[test]
fn values_come_beside_the_versions_that_exist() {
    let disk = Arc::new(MemoryDisk::new());
    let open = || try_open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    let db = open();
    let rids = create(&db, 9000);
    // Rows in files, rows on the heap, rows in the open tail, dead versions, rows that are gone.
    db.checkpoint();
    db.run(|tx| {
        for &rid in &rids[..50] {
            tx.update(T, rid, &OLD, &[1], vec![text("word 1")]);
        }
        rids[4000..4100].iter().for_each(|&rid| tx.delete(T, rid));
        let rows: Vec<Row> = (10_000..10_020).map(|id| row(id, "word 4")).collect();
        tx.insert(T, &OLD, &rows);
    });
    let before = sorted(db.run(|tx| tx.scan(T, &OLD)));
    let dead = db.engine.relation_statistics(T).unwrap().dead_count;
    let old = db.begin(Isolation::RepeatableRead);
    old.statement();
    old.scan(T, &OLD);

    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    // Batches that are not chunks.
    widen(&tx, 1000);
    create_indexes(&tx);
    tx.statement();
    assert!(tx.scan(T, &ALL).iter().all(|(_, row)| *row == whole(&row[..2].to_vec())));
    // Nobody else sees anything of it, and a checkpoint keeps it out of the files.
    db.checkpoint();
    assert_eq!(sorted(db.run(|tx| tx.scan(T, &OLD))), before);
    assert!(db.engine.collect_garbage(T).is_ok());
    tx.commit();
    drop(tx);

    let rows = check(&db);
    let of_old = |rows: &[(u32, Row)]| -> Vec<(u32, Row)> {
        rows.iter().map(|(rid, row)| (*rid, row[..2].to_vec())).collect()
    };
    assert_eq!(of_old(&rows), before, "the same rows under the same row ids");
    assert!(db.engine.relation_statistics(T).unwrap().dead_count <= dead, "no new versions");
    assert_eq!(sorted(old.scan(T, &OLD)), before, "to an old snapshot as well");
    drop(old);
    // From the log, from the log over files, from files.
    db.kill();
    let db = open();
    assert_eq!(check(&db), rows);
    db.run(|tx| {
        tx.update(T, rids[1], &ALL, &[1, 2, 3], whole(&row(1, "word 7"))[1..].to_vec());
        tx.delete(T, rids[2]);
    });
    let rows = check(&db);
    db.checkpoint();
    db.kill();
    let db = open();
    assert_eq!(check(&db), rows);
    db.shutdown();
    let db = open();
    assert_eq!(check(&db), rows);
    db.kill();
}

#[test]
fn what_is_rolled_back_leaves_no_column() {
    let disk = Arc::new(MemoryDisk::new());
    let open = || try_open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    let db = open();
    create(&db, 5000);
    let files = || disk.list(&format!("vec/{T}.3")).unwrap_or_default().len();
    for to_savepoint in [false, true] {
        let tx = db.begin(Isolation::ReadCommitted);
        tx.statement();
        let savepoint = tx.handle.savepoint().unwrap();
        widen(&tx, 4096);
        create_indexes(&tx);
        assert!(files() > 0);
        db.checkpoint();
        if to_savepoint {
            tx.handle.rollback_to(savepoint).unwrap();
            tx.statement();
            assert_eq!(tx.scan(T, &OLD).len(), 5000);
        }
        tx.handle.abort();
        assert_eq!(files(), 0);
    }
    // Nor does a crash: segments that nobody has go when the table is loaded.
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    widen(&tx, 4096);
    db.kill();
    drop(tx);
    let segments = format!("vec/{T}.3");
    disk.create_dir(&segments).unwrap();
    disk.create(&format!("{segments}/00000000.seg")).unwrap();
    let db = open();
    db.run(|tx| assert_eq!(tx.scan(T, &OLD).len(), 5000));
    assert_eq!(files(), 0);
    // The place of the columns is given to another: rows have its initial value.
    db.run(|tx| {
        let seven = Columns::new(&[INT], &[vec![Cell::Int(7)]]);
        tx.handle.add_column(T, INT, &seven.refs()[0]).unwrap();
    });
    let check = |db: &Db| {
        let rows = db.run(|tx| tx.scan(T, &[INT, TEXT, INT]));
        assert!(rows.len() == 5000 && rows.iter().all(|(_, row)| row[2] == Cell::Int(7)));
    };
    check(&db);
    db.kill();
    let db = open();
    check(&db);
    db.checkpoint();
    db.kill();
    check(&open());
}

/// Rows that the transaction writes after it has filled the columns, and a savepoint among the columns.
#[test]
fn the_transaction_goes_on_with_its_columns() {
    let disk = Arc::new(MemoryDisk::new());
    let open = || try_open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    let db = open();
    let rids = create(&db, 300);
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    widen(&tx, 128);
    create_indexes(&tx);
    let savepoint = tx.handle.savepoint().unwrap();
    tx.statement();
    let third = Columns::new(&[INT], &[vec![Cell::Null]]);
    tx.handle.add_column(T, INT, &third.refs()[0]).unwrap();
    tx.statement();
    let numbers: Vec<Row> = rids.iter().map(|&rid| vec![Cell::Int(rid as i32)]).collect();
    tx.handle.backfill(T, &rids, &[4], &Columns::new(&[INT], &numbers).refs()).unwrap();
    tx.create_index(btree(NUMBERS, T, 4, KeyKind::Int, true)).unwrap();
    tx.handle.rollback_to(savepoint).unwrap();
    tx.statement();
    tx.update(T, rids[1], &ALL, &[1, 2, 3], whole(&row(1, "word 8"))[1..].to_vec());
    tx.delete(T, rids[2]);
    tx.insert(T, &ALL, &[whole(&row(1001, "word 3"))]);
    assert!(!tx.handle.can_backfill(T).unwrap());
    tx.commit();
    drop(tx);
    let rows = check(&db);
    assert_eq!(rows.len(), 300);
    db.kill();
    let db = open();
    assert_eq!(check(&db), rows);
    db.kill();
}

/// A key of a unique index over an added column is in the way of the transaction itself, and of others from the commit on.
#[test]
fn an_added_column_can_be_unique() {
    let db = Db::memory();
    create(&db, 100);
    let fill = |tx: &Tx, number: fn(i32) -> i32| {
        let null = Columns::new(&[INT], &[vec![Cell::Null]]);
        tx.handle.add_column(T, INT, &null.refs()[0]).unwrap();
        let rows = tx.scan(T, &OLD);
        let rids: Vec<u32> = rows.iter().map(|(rid, _)| *rid).collect();
        let number = |row: &Row| match row[0] {
            Cell::Int(id) => vec![Cell::Int(number(id))],
            _ => panic!("{row:?}"),
        };
        let values: Vec<Row> = rows.iter().map(|(_, row)| number(row)).collect();
        tx.handle.backfill(T, &rids, &[2], &Columns::new(&[INT], &values).refs()).unwrap();
        tx.create_index(btree(NUMBERS, T, 2, KeyKind::Int, true))
    };
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    assert_eq!(fill(&tx, |id| id / 2).unwrap_err().sqlstate, "23505");
    drop(tx);
    let specs = [INT, TEXT, INT];
    let wide = |id: i32, number: i32| [row(id, "word"), vec![Cell::Int(number)]].concat();
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    fill(&tx, |id| -id).unwrap();
    assert_eq!(tx.try_insert(T, &specs, &[wide(500, -7)]).unwrap_err().sqlstate, "23505");
    tx.commit();
    drop(tx);
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    assert_eq!(tx.try_insert(T, &specs, &[wide(501, -99)]).unwrap_err().sqlstate, "23505");
    drop(tx);
    db.run(|tx| tx.insert(T, &specs, &[wide(502, -100)]));
}

/// Rows change while the columns are filled, by writers who do not know them; at the end only what is new is looked at again.
#[test]
fn rows_change_beside_the_filling() {
    for round in 0..3 {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let db = try_open(Arc::clone(&disk)).unwrap();
        let rids = create(&db, 6000);
        let (done, commits) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for (number, share) in rids.chunks(2000).enumerate() {
                let (db, done, commits, seed) = (&db, &done, &commits, round * 10 + number);
                scope.spawn(move || write_beside(db, share.to_vec(), seed, (done, commits)));
            }
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    db.engine.collect_garbage(T).unwrap();
                    db.checkpoint();
                }
            });
            fill_beside(&db, (&done, &commits));
        });
        let rows = check(&db);
        assert!(rows.iter().filter(|(_, row)| row[0] > Cell::Int(10_000)).count() > 3);
        db.run(|tx| {
            let Cell::Int(id) = rows[0].1[0] else { panic!("{rows:?}") };
            tx.update(T, rows[0].0, &ALL, &[1, 2, 3], whole(&row(id, "word 3"))[1..].to_vec());
            tx.insert(T, &ALL, &[whole(&row(90_001, "word 3"))]);
        });
        let rows = check(&db);
        db.engine.remove_dead_vectors(T).unwrap();
        assert_eq!(check(&db), rows);
        db.kill();
        let db = try_open(disk).unwrap();
        assert_eq!(check(&db), rows);
        db.kill();
    }
}

/// Updates rows, and replaces some by others, as somebody who knows the old columns only.
fn write_beside(
    db: &Db,
    mut rids: Vec<u32>,
    number: usize,
    (done, commits): (&AtomicBool, &AtomicUsize),
) {
    let mut random = Random(number as u64);
    let mut next = 10_000 * (number as i32 + 1);
    loop {
        let tx = db.begin(Isolation::ReadCommitted);
        tx.statement();
        lock_table(&tx, 3);
        if done.load(Ordering::Relaxed) {
            return;
        }
        let at = random.below(rids.len() as u64) as usize;
        if random.below(3) == 0 {
            tx.delete(T, rids[at]);
            next += 1;
            rids[at] = tx.insert(T, &OLD, &[row(next, "word 1")])[0];
        } else {
            let word = text(&format!("word {}", random.below(9)));
            tx.update(T, rids[at], &OLD, &[1], vec![word]);
        }
        tx.commit();
        commits.fetch_add(1, Ordering::Relaxed);
    }
}

fn lock_table(tx: &Tx, mode: u8) {
    while let Acquire::Wait(token) = tx.handle.lock_relation(T, mode, LockPolicy::Wait).unwrap() {
        tx.tokens.wait(token);
    }
}

/// Commits that have to come beside the filling.
const BESIDE: usize = 100;

fn fill_beside(db: &Db, (done, commits): (&AtomicBool, &AtomicUsize)) {
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    lock_table(&tx, 4);
    tx.statement();
    add_columns(&tx);
    let since = tx.handle.snapshot_number().unwrap();
    let before = commits.load(Ordering::Relaxed);
    fill_since(&tx, 0);
    while commits.load(Ordering::Relaxed) < before + BESIDE {
        std::thread::sleep(Duration::from_millis(1));
    }
    tx.create_index(hnsw(GRAPH, T, 3, 4)).unwrap();
    lock_table(&tx, 6);
    done.store(true, Ordering::Relaxed);
    tx.statement();
    assert!(fill_since(&tx, since) > 0);
    tx.create_index(btree(TEXTS, T, 2, KeyKind::Bytes, false)).unwrap();
    tx.commit();
}

/// Gives the rows their values, a batch at a time, while they may change; returns how many there were.
fn fill_since(tx: &Tx, since: u64) -> usize {
    let mut cursor = tx.handle.open_scan_since(T, &[0, 1], since).unwrap();
    let rows = Tx::drain(&mut cursor, &OLD);
    for rows in rows.chunks(500) {
        let rids: Vec<u32> = rows.iter().map(|(rid, _)| *rid).collect();
        let values: Vec<Row> = rows.iter().map(|(_, row)| added(row)).collect();
        tx.handle.backfill(T, &rids, &[2, 3], &Columns::new(&ADDED, &values).refs()).unwrap();
    }
    rows.len()
}

/// Every state that a crash could leave of columns being filled, beside commits and checkpoints, has all of them or none.
#[test]
fn every_crash_state_has_the_columns_or_not() {
    for (seed, buffer_bytes) in [(31, 0), (32, 2000)] {
        let disk = FaultyDisk::new();
        let db = try_open_with(Arc::new(disk.clone()), buffer_bytes).unwrap();
        // The rows after each commit, and when it was acknowledged.
        let mut history: Vec<(usize, Vec<(u32, Row)>)> = Vec::new();
        let mut note = |db: &Db, specs: &[ColumnSpec]| {
            history.push((disk.operations(), sorted(db.run(|tx| tx.scan(T, specs)))));
        };
        let step = |tx: &Tx, step: i32| {
            tx.handle.catalog_put("step", Some(&step.to_string()), false).unwrap();
        };
        let rids = create(&db, 60);
        db.run(|tx| step(tx, 0));
        note(&db, &OLD);
        db.checkpoint();
        db.run(|tx| {
            step(tx, 1);
            rids[10..20].iter().for_each(|&rid| tx.delete(T, rid));
            tx.update(T, rids[7], &OLD, &[1], vec![text("word 2")]);
            tx.insert(T, &OLD, &[row(100, "word 5"), row(101, "word 6")]);
        });
        note(&db, &OLD);
        let given_up = db.begin(Isolation::ReadCommitted);
        given_up.statement();
        widen(&given_up, 16);
        db.checkpoint();
        drop(given_up);
        let tx = db.begin(Isolation::ReadCommitted);
        tx.statement();
        widen(&tx, 25);
        create_indexes(&tx);
        step(&tx, 2);
        tx.commit();
        drop(tx);
        note(&db, &ALL);
        db.run(|tx| {
            step(tx, 3);
            tx.update(T, rids[8], &ALL, &[1, 2, 3], whole(&row(8, "word 0"))[1..].to_vec());
            tx.delete(T, rids[9]);
            tx.insert(T, &ALL, &[whole(&row(102, "word 1"))]);
        });
        note(&db, &ALL);
        db.checkpoint();
        db.shutdown();
        let mut seen = [0; 4];
        for state in disk.crash_states(seed).map(std::result::Result::unwrap).step_by(2) {
            let promised = history.iter().rposition(|(at, _)| *at <= state.operation);
            let db = try_open(Arc::new(state.disk)).unwrap();
            let (_, catalog) = db.engine.catalog_changes(0);
            let found = catalog.iter().rfind(|c| c.key == "step").and_then(|c| c.value.clone());
            let Some(found) = found.map(|step| step.parse::<usize>().unwrap()) else {
                assert_eq!(promised, None);
                db.kill();
                continue;
            };
            assert!(promised.is_none_or(|promised| promised <= found));
            let rows = if found < 2 { sorted(db.run(|tx| tx.scan(T, &OLD))) } else { check(&db) };
            assert_eq!(rows, history[found].1, "step {found} after {} operations", state.operation);
            seen[found] += 1;
            db.kill();
        }
        assert!(seen.iter().all(|&states| states > 5), "{seen:?}");
    }
}
