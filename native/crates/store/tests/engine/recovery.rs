//! Durability: what was acknowledged is there after every crash, whole, with indexes that agree with the rows.

use std::sync::Arc;

use super::common::*;
use omen_disk::{Disk, Fault, FaultyDisk, MemoryDisk, MemoryKv};
use omen_store::*;

pub const T: u32 = 20_000;
const PK: u32 = 20_001;
const GRAPH: u32 = 20_002;
const WORDS: u32 = 20_003;
const DIM: u32 = 4;

pub fn specs() -> [ColumnSpec; 3] {
    [INT, TEXT, vector(DIM)]
}

fn open(disk: &Arc<MemoryDisk>) -> Db {
    try_open(Arc::clone(disk) as Arc<dyn Disk>).expect("the database opens")
}

pub fn try_open(disk: Arc<dyn Disk>) -> Result<Db> {
    try_open_with(disk, 0)
}

pub fn try_open_with(disk: Arc<dyn Disk>, buffer_bytes: u64) -> Result<Db> {
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk))?);
    Db::try_open_with(Storage::Durable { disk, kv }, buffer_bytes)
}

pub fn row(k: i32) -> Row {
    let word = ["red", "green", "blue"][k as usize % 3];
    let mut random = Random(k as u64 + 1);
    let floats = (0..DIM).map(|_| random.unit()).collect();
    vec![Cell::Int(k), Cell::Text(format!("{word} number {k}")), Cell::Vector(floats)]
}

pub fn create(db: &Db) {
    db.run(|tx| {
        tx.handle.create_relation(T, &specs(), false).unwrap();
        tx.create_index(btree(PK, T, 0, KeyKind::Int, true)).unwrap();
        tx.create_index(hnsw(GRAPH, T, 2)).unwrap();
        tx.create_index(bm25(WORDS, T, 1)).unwrap();
        tx.handle.catalog_put("table/20000", Some("{\"name\":\"t\"}"), false).unwrap();
    });
}

pub fn contents(db: &Db) -> Vec<Row> {
    db.run(|tx| {
        let mut rows: Vec<Row> = tx.scan(T, &specs()).into_iter().map(|(_, r)| r).collect();
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        rows
    })
}

/// Every index of the table gives what a scan gives.
pub fn check_indexes(db: &Db) {
    db.run(|tx| {
        let mut rows = tx.scan(T, &specs());
        rows.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap());
        let by_key: Vec<u32> = rows.iter().map(|(rid, _)| *rid).collect();
        assert_eq!(tx.range(PK, INT, None, None), by_key, "btree");
        let query = [0.5; DIM as usize];
        let mut exact: Vec<(f64, u32)> = rows
            .iter()
            .filter_map(|(rid, row)| match &row[2] {
                Cell::Vector(v) => Some((omen_kernels::distance(Metric::L2, &query, v), *rid)),
                _ => None,
            })
            .collect();
        exact.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        exact.truncate(10);
        for mode in [SearchMode::Exact, SearchMode::Graph] {
            let (mut rids, mut distances) = ([0; 10], [0.0; 10]);
            let (n, _) = tx
                .handle
                .vector_search(GRAPH, &query, 10, 200, None, mode, 0, &mut rids, &mut distances)
                .unwrap();
            let found: Vec<(f64, u32)> = (0..n).map(|i| (distances[i], rids[i])).collect();
            assert_eq!(found, exact, "hnsw, {mode:?}");
        }
        let query = tx.handle.text_query(WORDS, "green").unwrap();
        let green: Vec<u32> = rows
            .iter()
            .filter(|(_, r)| matches!(&r[1], Cell::Text(s) if s.starts_with("green")))
            .map(|(rid, _)| *rid)
            .collect();
        let mut bitmap = vec![0; tx.handle.rid_limit(T).unwrap() as usize / 8 + 1];
        assert_eq!(tx.handle.text_bitmap(WORDS, &query, &mut bitmap).unwrap(), green.len(), "bm25");
        assert!(green.iter().all(|rid| bitmap[*rid as usize / 8] & (1 << (rid % 8)) != 0));
        assert_eq!(query.match_bound(), green.len() as u64, "statistics of the live rows");
    });
}

#[test]
fn committed_rows_come_back_after_a_crash_and_after_a_clean_end() {
    let disk = Arc::new(MemoryDisk::new());
    let mut expected: Vec<Row> = (0..300).map(row).collect();
    let db = open(&disk);
    create(&db);
    let rids = db.run(|tx| tx.insert(T, &specs(), &expected));
    db.run(|tx| {
        tx.delete(T, rids[7]);
        tx.update(T, rids[8], &specs(), &[1, 2], row(1000)[1..].to_vec());
        tx.update(T, rids[9], &specs(), &[0], vec![Cell::Int(2000)]);
    });
    expected[8][1..].clone_from_slice(&row(1000)[1..]);
    expected[9][0] = Cell::Int(2000);
    expected.remove(7);
    expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
    check_indexes(&db);
    // Dropped without a word: a crash that keeps the page cache.
    db.kill();
    let db = open(&disk);
    assert_eq!(contents(&db), expected);
    check_indexes(&db);
    assert_eq!(db.engine.catalog_changes(0).1.len(), 1);
    db.checkpoint();
    db.run(|tx| tx.insert(T, &specs(), &[row(5000)]));
    expected.push(row(5000));
    // A clean end does not wait for the pool, so that it ends soon; here the graph is to be whole.
    while db.engine.index_statistics(GRAPH).unwrap().linked_count < 302 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    db.shutdown();
    for _ in 0..2 {
        let db = open(&disk);
        // The graph comes from its file: nothing is left to link when the table has just been loaded.
        let graph = db.engine.index_statistics(GRAPH).unwrap();
        assert_eq!((graph.linked_count, graph.entry_count), (302, 302));
        assert_eq!(contents(&db), expected);
        check_indexes(&db);
        db.shutdown();
    }
}

#[test]
fn object_ids_and_sequences_never_repeat() {
    let disk = Arc::new(MemoryDisk::new());
    let spec = SequenceSpec {
        sequence_id: 7,
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cycle: false,
        temporary: false,
    };
    let (mut last_oid, mut last_value) = (0, 0);
    for round in 0..5 {
        let db = open(&disk);
        if round == 0 {
            last_value = db.run(|tx| {
                tx.handle.create_sequence(spec).unwrap();
                (0..40).fold(0, |_, _| tx.handle.sequence_next(7).unwrap())
            });
        }
        if round == 0 {
            db.kill();
            continue;
        }
        let oid = db.engine.allocate_oid().unwrap();
        let value = db.run(|tx| {
            let value = tx.handle.sequence_next(7).unwrap();
            tx.handle.catalog_put("uses", Some(&format!("{oid} {value}")), false).unwrap();
            value
        });
        assert!(oid > last_oid && value > last_value, "{oid} {value}");
        (last_oid, last_value) = (oid, value);
        if round == 2 {
            db.shutdown();
        } else {
            db.kill();
        }
    }
    assert!(last_value <= 44 + 4 * 33, "{last_value}");
}

#[test]
fn temporary_things_are_not_logged_and_end_with_their_session() {
    let disk = Arc::new(MemoryDisk::new());
    let db = open(&disk);
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    tx.handle.create_relation(T, &specs(), true).unwrap();
    tx.insert(T, &specs(), &[row(1)]);
    tx.handle.catalog_put("temp/1", Some("{}"), true).unwrap();
    tx.commit();
    assert_eq!(db.engine.catalog_changes(0).1.len(), 1);
    assert_eq!(db.engine.relation_statistics(T).unwrap().row_count, 1);
    drop(tx);
    assert_eq!(db.engine.catalog_changes(0).1, []);
    assert!(db.engine.relation_statistics(T).is_err());
    db.kill();
    let db = open(&disk);
    assert!(db.engine.relation_statistics(T).is_err());
    assert_eq!(db.engine.catalog_version(), 0);
}

#[test]
fn a_commit_too_large_for_the_log_goes_through_a_side_file() {
    let disk = Arc::new(MemoryDisk::new());
    let specs = [INT, TEXT];
    let big = "x".repeat(100_000);
    let rows: Vec<Row> = (0..120).map(|k| vec![Cell::Int(k), text(&big)]).collect();
    let db = open(&disk);
    db.run(|tx| tx.handle.create_relation(T, &specs, false).unwrap());
    db.run(|tx| tx.insert(T, &specs, &rows));
    db.kill();
    let db = open(&disk);
    db.run(|tx| assert_eq!(tx.scan(T, &specs).len(), 120));
    db.shutdown();
    assert!(disk.list("bulk").unwrap().is_empty(), "the checkpoint needs it no more");
    let db = open(&disk);
    db.run(|tx| assert_eq!(tx.scan(T, &specs)[119].1, rows[119]));
}

#[test]
fn a_full_disk_fails_commits_and_nothing_else() {
    let disk = FaultyDisk::new();
    let db = try_open(Arc::new(disk.clone())).unwrap();
    create(&db);
    db.run(|tx| tx.insert(T, &specs(), &[row(1)]));
    disk.inject(Fault::NoSpaceAfter { bytes: 0 });
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    // More than the log segment in use has left, so that a new one is needed.
    let long = "z".repeat(600_000);
    tx.insert(T, &specs(), &[vec![Cell::Int(2), text(&long), Cell::Null]]);
    assert_eq!(tx.try_commit().unwrap_err().sqlstate, "53100");
    drop(tx);
    assert_eq!(contents(&db), [row(1)]);
    disk.heal();
    db.run(|tx| tx.insert(T, &specs(), &[row(2)]));
    check_indexes(&db);
    db.kill();
    let db = try_open(Arc::new(disk)).unwrap();
    assert_eq!(contents(&db), [row(1), row(2)]);
    check_indexes(&db);
    db.shutdown();
}
