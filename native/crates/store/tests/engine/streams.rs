//! Large writes of vectors: they lie in files before their transaction ends, and are the table's with its commit or nobody's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::common::*;
use omen_disk::{Disk, Fault, FaultyDisk, MemoryDisk};
use omen_store::*;

const T: u32 = 20_000;
const GRAPH: u32 = 20_001;
const DIM: u32 = 4;
const SPECS: [ColumnSpec; 2] = [INT, ColumnSpec { kind: StorageKind::Vector, dim: DIM }];
/// Vectors in a segment of short rows.
const SEGMENT: i32 = 16_384;
/// Commits of more than an eighth of it are bulk.
const BUFFER: u64 = 64 * 1024;
const FOLDER: &str = "vec/20000.1";

fn row(k: i32) -> Row {
    let floats = (0..DIM as i32).map(|i| (k * 7 + i) as f32 * 0.5).collect();
    vec![Cell::Int(k), Cell::Vector(floats)]
}

fn rows(keys: impl IntoIterator<Item = i32>) -> Vec<Row> {
    keys.into_iter().map(row).collect()
}

fn open(disk: &Arc<dyn Disk>) -> Db {
    crate::recovery::try_open_with(Arc::clone(disk), BUFFER).expect("the database opens")
}

fn create(disk: &Arc<dyn Disk>) -> Db {
    let db = open(disk);
    db.run(|tx| tx.handle.create_relation(T, &SPECS, false).unwrap());
    db
}

/// In batches, as COPY does.
fn load(tx: &Tx, keys: std::ops::Range<i32>) -> Vec<u32> {
    let keys: Vec<i32> = keys.collect();
    let batches = keys.chunks(1000);
    batches.flat_map(|keys| tx.insert(T, &SPECS, &rows(keys.iter().copied()))).collect()
}

fn contents(tx: &Tx) -> Vec<Row> {
    let mut rows: Vec<Row> = tx.scan(T, &SPECS).into_iter().map(|(_, row)| row).collect();
    rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
    rows
}

fn expect(db: &Db, keys: impl IntoIterator<Item = i32>) {
    db.run(|tx| assert!(contents(tx) == rows(keys), "the rows are those that were committed"));
}

fn files(disk: &Arc<dyn Disk>) -> (usize, usize) {
    let names = disk.list(FOLDER).unwrap();
    let loads = names.iter().filter(|name| name.starts_with("load-")).count();
    (names.len() - loads, loads)
}

/// A writer that is given up ends after the block it is at.
fn expect_no_loads(disk: &Arc<dyn Disk>) {
    let limit = Instant::now() + Duration::from_secs(30);
    while files(disk).1 > 0 {
        assert!(Instant::now() < limit, "the files of a load go with it");
        std::thread::yield_now();
    }
}

#[test]
fn loads_of_every_size_are_what_was_loaded() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let db = create(&disk);
    db.run(|tx| {
        tx.create_index(hnsw(GRAPH, T, 1, DIM)).unwrap();
    });
    let mut end = 0;
    // Into an empty column; behind a segment that is not full; small ones in between; whole segments alone.
    let sizes = [600, 20, SEGMENT + 700, 3, SEGMENT, 900];
    for size in sizes {
        db.run(|tx| {
            load(tx, end..end + size);
            assert_eq!(
                tx.scan(T, &SPECS).len() as i32,
                end,
                "a statement does not see its own rows"
            );
            tx.statement();
            let own = tx.scan(T, &SPECS).len() as i32;
            assert_eq!(own, end + size, "the next one does, wherever they are");
        });
        end += size;
        expect(&db, 0..end);
    }
    let nearest = |db: &Db, k: i32| {
        let Cell::Vector(query) = row(k).remove(1) else { unreachable!() };
        let (mut rids, mut distances) = ([0; 1], [0.0; 1]);
        db.run(|tx| {
            let query = VectorQuery { ef: 200, ..closest(&query, 1) };
            let found = tx.handle.vector_search(GRAPH, &query, &mut rids, &mut distances);
            assert_eq!((found.unwrap().0, distances[0]), (1, 0.0), "row {k}");
        });
    };
    for k in (0..end).step_by(997) {
        nearest(&db, k);
    }
    expect_no_loads(&disk);
    // By the log alone.
    db.kill();
    let db = open(&disk);
    expect(&db, 0..end);
    nearest(&db, end - 1);
    db.shutdown();
    let db = open(&disk);
    expect(&db, 0..end);
    nearest(&db, end - 1);
    db.shutdown();
}

#[test]
fn what_a_load_writes_and_takes_back_is_nobodys() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let db = create(&disk);
    db.run(|tx| {
        load(tx, 0..1000);
        let point = tx.handle.savepoint().unwrap();
        tx.statement();
        load(tx, 1000..SEGMENT);
        tx.handle.rollback_to(point).unwrap();
        tx.statement();
        let rids = load(tx, 5000..7000);
        tx.statement();
        rids[500..].iter().for_each(|&rid| tx.delete(T, rid));
        // Versions of the load's own rows.
        tx.statement();
        tx.update(T, rids[0], &SPECS, &[1], vec![row(9000).remove(1)]);
    });
    let check = |db: &Db| {
        db.run(|tx| {
            let mut expected = rows((0..1000).chain(5000..5500));
            expected[1000][1] = row(9000).remove(1);
            assert!(contents(tx) == expected);
        });
    };
    check(&db);
    // Their numbers are given to others.
    db.engine.remove_dead_vectors(T).unwrap();
    db.checkpoint();
    let before = files(&disk);
    db.run(|tx| {
        tx.insert(T, &SPECS, &rows(20_000..20_100));
    });
    assert_eq!(files(&disk), before);
    db.run(|tx| {
        for (rid, row) in tx.scan(T, &SPECS) {
            if row[0] >= Cell::Int(20_000) {
                tx.delete(T, rid);
            }
        }
    });
    db.kill();
    let db = open(&disk);
    check(&db);
    db.shutdown();
}

#[test]
fn a_rollback_and_a_crash_leave_no_files() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let db = create(&disk);
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    load(&tx, 0..SEGMENT + 100);
    tx.handle.abort();
    drop(tx);
    expect_no_loads(&disk);
    assert_eq!(files(&disk), (0, 0));
    expect(&db, 0..0);
    // A relation that the transaction made itself, and one it dropped.
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    load(&tx, 0..2000);
    tx.handle.drop_relation(T).unwrap();
    tx.commit();
    drop(tx);
    db.checkpoint();
    db.run(|tx| {
        tx.handle.create_relation(T + 10, &SPECS, false).unwrap();
        tx.insert(T + 10, &SPECS, &rows(0..2000));
    });
    db.run(|tx| assert_eq!(tx.scan(T + 10, &SPECS).len(), 2000));
    db.shutdown();
    disk.create_dir("vec/20010.1").unwrap();
    disk.create("vec/20010.1/load-00000007.tmp").unwrap();
    let db = open(&disk);
    let names = disk.list("vec/20010.1").unwrap();
    assert!(names.iter().all(|name| !name.starts_with("load-")), "{names:?}");
    db.shutdown();
}

#[test]
fn a_full_disk_is_the_loads_error() {
    let twin = FaultyDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(twin.clone());
    let db = create(&disk);
    db.run(|tx| {
        load(tx, 0..700);
    });
    twin.inject(Fault::NoSpaceAfter { bytes: 200_000 });
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    let mut failure = None;
    for start in (1000..4 * SEGMENT).step_by(1000) {
        if let Err(error) = tx.try_insert(T, &SPECS, &rows(start..start + 1000)) {
            failure = Some(error);
            break;
        }
    }
    let failure = failure.or_else(|| tx.try_commit().err()).expect("there is no room");
    assert_eq!(failure.sqlstate, "53100");
    tx.handle.abort();
    drop(tx);
    expect_no_loads(&disk);
    expect(&db, 0..700);
    twin.heal();
    db.run(|tx| {
        load(tx, 700..2000);
    });
    expect(&db, 0..2000);
    db.shutdown();
}

/// Every state a crash can leave of loads that fill segments, into an empty column and behind others, has each of them
/// whole or not at all.
#[test]
fn crash_states_have_loads_whole() {
    let twin = FaultyDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(twin.clone());
    let db = create(&disk);
    let created = twin.operations();
    let ends = [SEGMENT + 30, SEGMENT + 40, 2 * SEGMENT + 700];
    let mut acknowledged = vec![(created, 0)];
    let mut start = 0;
    for end in ends {
        let given_up = db.begin(Isolation::ReadCommitted);
        given_up.statement();
        load(&given_up, 0..600);
        db.run(|tx| {
            load(tx, start..end);
        });
        acknowledged.push((twin.operations(), end));
        given_up.handle.abort();
        start = end;
    }
    db.shutdown();
    let (mut states, mut seen) = (0, std::collections::BTreeSet::new());
    for state in twin.crash_states(3).map(std::result::Result::unwrap).step_by(3) {
        let promised = acknowledged.iter().rfind(|(at, _)| *at <= state.operation);
        let Some(&(_, promised)) = promised else { continue };
        let db = open(&(Arc::new(state.disk) as Arc<dyn Disk>));
        let found = db.run(contents);
        let count = found.len() as i32;
        let (operation, kind) = (state.operation, state.kind);
        let place = format!("after {operation} operations, {kind:?}: {count} of {promised} rows");
        assert!(count >= promised && (count == 0 || ends.contains(&count)), "{place}");
        assert!(found == rows(0..count), "{place}");
        seen.insert(count);
        states += 1;
        db.kill();
    }
    assert!(states > 100 && seen.len() == 4, "{states} states, {seen:?}");
}
