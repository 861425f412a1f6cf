//! Indexes filled while threads write, move keys and drop versions: afterwards they have the rows' keys and texts, no more and
//! no fewer, and go on so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use omen_disk::{Disk, MemoryDisk, MemoryKv};
use omen_store::*;

use super::common::*;

const T: u32 = 20_000;
const PK: u32 = 20_001;
const BY_VALUE: u32 = 20_002;
const WORDS: u32 = 20_003;
const UNIQUE: u32 = 20_100;
const ROWS: i32 = 6000;
const WRITERS: i32 = 3;
/// Values, and so keys and words, that rows may have.
const VALUES: u64 = 40;

fn specs() -> [ColumnSpec; 3] {
    [INT, INT, TEXT]
}

fn row(id: i32, value: i32) -> Row {
    vec![Cell::Int(id), Cell::Int(value), text(&format!("common word{value}"))]
}

/// Moves the rows of `rids` from value to value, back to where they were, away and anew, until `done`.
fn write(db: &Db, mut rids: Vec<u32>, number: i32, done: &AtomicBool) {
    let mut random = Random(number as u64 + 1);
    let mut next = ROWS + number * 1_000_000;
    while !done.load(Ordering::Relaxed) {
        let tx = db.begin(Isolation::ReadCommitted);
        tx.statement();
        while let Acquire::Wait(token) = tx.handle.lock_relation(T, 3, LockPolicy::Wait).unwrap() {
            tx.tokens.wait(token);
        }
        let at = random.below(rids.len() as u64) as usize;
        tx.try_lock(T, &[rids[at]], RowLockMode::Update).unwrap();
        let old = tx.fetch(T, &specs(), &[rids[at]], true)[0].1.clone();
        let Cell::Int(id) = old[0] else { panic!("{old:?}") };
        if random.below(4) == 0 {
            tx.handle.delete_rows(T, &[rids[at]]).unwrap();
            next += 1;
            rids[at] = tx.insert(T, &specs(), &[row(next, random.below(VALUES) as i32)])[0];
            tx.commit();
        } else {
            let new = row(id, random.below(VALUES) as i32).split_off(1);
            tx.update(T, rids[at], &specs(), &[1, 2], new);
            tx.commit();
        }
    }
}

/// Every look at the indexes beside the rows, in one snapshot.
fn check(db: &Db, key: u32, text: u32) {
    let tx = db.begin(Isolation::RepeatableRead);
    tx.statement();
    let rows = tx.scan(T, &specs());
    assert_eq!(rows.len(), ROWS as usize);
    for value in 0..VALUES as i32 {
        let mut wanted: Vec<u32> = rows
            .iter()
            .filter(|(_, row)| row[1] == Cell::Int(value))
            .map(|(rid, _)| *rid)
            .collect();
        wanted.sort_unstable();
        let mut found = tx.range(key, INT, Some(Cell::Int(value)), Some(Cell::Int(value)));
        found.sort_unstable();
        assert_eq!(found, wanted, "rows with key {value}");
        let mut found = words(&tx, text, &format!("word{value}"));
        found.sort_unstable();
        assert_eq!(found, wanted, "rows with word{value}");
    }
    tx.handle.abort();
}

/// The rows with a word, in the order of their scores.
fn words(tx: &Tx, index: u32, word: &str) -> Vec<u32> {
    let query = tx.handle.text_query(index, word).unwrap();
    let size = ROWS as usize;
    let (mut rids, mut scores) = (vec![0; size], vec![0.0; size]);
    let mode = SearchMode::Auto;
    let search = tx.handle.text_search(index, &query, size, None, mode, &mut rids, &mut scores);
    rids.truncate(search.unwrap().0);
    rids
}

/// Ends the writers, also when a check has failed.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn wait(tx: &Tx, pending: Pending) -> Result<()> {
    if let Pending::Wait(token) = pending {
        tx.tokens.wait(token);
    }
    tx.handle.index_result()
}

fn create_beside(db: &Db, spec: IndexSpec) -> Result<()> {
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    let is_unique = matches!(spec.method, IndexMethod::Btree { unique: true, .. });
    tx.handle.lock_relation(T, 4, LockPolicy::Wait)?;
    tx.handle.begin_index(spec, "beside".to_owned())?;
    let await_writers = || -> Result<()> {
        while let Acquire::Wait(token) = tx.handle.await_writers(T)? {
            tx.tokens.wait(token);
        }
        Ok(())
    };
    await_writers()?;
    wait(&tx, tx.handle.fill_index()?)?;
    if is_unique {
        await_writers()?;
        wait(&tx, tx.handle.validate_index()?)?;
    }
    tx.try_commit()
}

#[test]
fn indexes_filled_beside_writers_are_those_of_the_rows() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk)).unwrap());
    let db = Db::open(Storage::Durable { disk: Arc::clone(&disk), kv });
    let rids = db.run(|tx| {
        tx.handle.create_relation(T, &specs(), false).unwrap();
        tx.create_index(btree(PK, T, 0, KeyKind::Int, true)).unwrap();
        let rows: Vec<Row> = (0..ROWS).map(|id| row(id, id % VALUES as i32)).collect();
        tx.insert(T, &specs(), &rows)
    });
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (db, done) = (&db, &done);
        let end = Done(done);
        for number in 0..WRITERS {
            let share = rids.chunks(rids.len() / WRITERS as usize).nth(number as usize);
            let share = share.unwrap().to_vec();
            scope.spawn(move || write(db, share, number, done));
        }
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                db.engine.collect_garbage(T).unwrap();
                db.checkpoint();
            }
        });
        for round in 0..4 {
            create_beside(db, btree(BY_VALUE + 2 * round, T, 1, KeyKind::Int, false)).unwrap();
            create_beside(db, bm25(WORDS + 2 * round, T, 2)).unwrap();
            create_beside(db, btree(UNIQUE + round, T, 0, KeyKind::Int, true)).unwrap();
            check(db, BY_VALUE + 2 * round, WORDS + 2 * round);
        }
        drop(end);
    });
    db.engine.collect_garbage(T).unwrap();
    for round in 0..4 {
        check(&db, BY_VALUE + 2 * round, WORDS + 2 * round);
    }
    assert!(db.engine.build_progress().is_empty());
    db.kill();
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk)).unwrap());
    let db = Db::open(Storage::Durable { disk, kv });
    check(&db, BY_VALUE, WORDS);
    check(&db, BY_VALUE + 6, WORDS + 6);
    db.kill();
}

#[test]
fn what_is_given_up_leaves_no_index() {
    let db = Db::memory();
    let rids = db.run(|tx| {
        tx.handle.create_relation(T, &specs(), false).unwrap();
        let rows: Vec<Row> = (0..ROWS).map(|id| row(id, id % VALUES as i32)).collect();
        tx.insert(T, &specs(), &rows)
    });
    let error = create_beside(&db, btree(BY_VALUE, T, 1, KeyKind::Int, true)).unwrap_err();
    assert_eq!(error.sqlstate, "23505");
    assert!(db.engine.index_statistics(BY_VALUE).is_err(), "the index is gone");
    assert!(db.engine.build_progress().is_empty());
    // Nobody keeps to it any more.
    db.run(|tx| {
        tx.try_lock(T, &rids[..1], RowLockMode::Update).unwrap();
        tx.update(T, rids[0], &specs(), &[1], vec![Cell::Int(1)]);
    });
}
