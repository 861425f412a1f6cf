//! Durability: what was acknowledged is there after every crash, whole, with indexes that agree with the rows.

use std::sync::Arc;

use super::common::*;
use omen_disk::{Disk, Fault, FaultyDisk, MemoryDisk, MemoryKv};
use omen_store::*;

pub const T: u32 = 20_000;
pub const PK: u32 = 20_001;
pub const GRAPH: u32 = 20_002;
pub const WORDS: u32 = 20_003;
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
        tx.create_index(hnsw(GRAPH, T, 2, DIM)).unwrap();
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
    check_btree(db);
    check_graph(db);
    check_text(db);
}

pub fn check_btree(db: &Db) {
    db.run(|tx| {
        let mut rows = tx.scan(T, &specs());
        rows.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap());
        let by_key: Vec<u32> = rows.iter().map(|(rid, _)| *rid).collect();
        assert_eq!(tx.range(PK, INT, None, None), by_key, "btree");
    });
}

pub fn check_graph(db: &Db) {
    db.run(|tx| {
        let query = [0.5; DIM as usize];
        let mut exact: Vec<(f64, u32)> = tx
            .scan(T, &specs())
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
            let query = VectorQuery { ef: 200, mode, ..closest(&query, 10) };
            let (n, _) = tx.handle.vector_search(GRAPH, &query, &mut rids, &mut distances).unwrap();
            let found: Vec<(f64, u32)> = (0..n).map(|i| (distances[i], rids[i])).collect();
            assert_eq!(found, exact, "hnsw, {mode:?}");
        }
    });
}

pub fn check_text(db: &Db) {
    db.run(|tx| {
        let query = tx.handle.text_query(WORDS, "green").unwrap();
        let green: Vec<u32> = tx
            .scan(T, &specs())
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
    let big = "x".repeat(200_000);
    let rows: Vec<Row> = (0..60).map(|k| vec![Cell::Int(k), text(&big)]).collect();
    let db = open(&disk);
    db.run(|tx| tx.handle.create_relation(T, &specs, false).unwrap());
    db.run(|tx| tx.insert(T, &specs, &rows));
    db.kill();
    let db = open(&disk);
    db.run(|tx| assert_eq!(tx.scan(T, &specs).len(), 60));
    db.shutdown();
    assert!(disk.list("bulk").unwrap().is_empty(), "the checkpoint needs it no more");
    let db = open(&disk);
    db.run(|tx| assert_eq!(tx.scan(T, &specs)[59].1, rows[59]));
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
    // The server is read-only now: even what would fit the log is refused, until there is room.
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    tx.insert(T, &specs(), &[row(3)]);
    let refused = tx.try_commit().unwrap_err();
    assert_eq!(refused.sqlstate, "53100");
    drop(tx);
    // A checkpoint that meets a full disk is put off and harms nothing.
    db.checkpoint();
    assert_eq!(contents(&db), [row(1)]);
    disk.heal();
    db.run(|tx| tx.insert(T, &specs(), &[row(2)]));
    db.checkpoint();
    check_indexes(&db);
    db.kill();
    let db = try_open(Arc::new(disk)).unwrap();
    assert_eq!(contents(&db), [row(1), row(2)]);
    check_indexes(&db);
    db.shutdown();
}

/// The same through chunk files: the commit that met the full disk is gone, its file with it.
#[test]
fn a_bulk_commit_on_a_full_disk_leaves_nothing() {
    let disk = FaultyDisk::new();
    let open = || try_open_with(Arc::new(disk.clone()), 1000).unwrap();
    let db = open();
    create(&db);
    db.run(|tx| tx.insert(T, &specs(), &[row(1)]));
    db.checkpoint();
    disk.inject(Fault::NoSpaceAfter { bytes: 3000 });
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    let rows: Vec<Row> = (2..200).map(row).collect();
    tx.insert(T, &specs(), &rows);
    assert_eq!(tx.try_commit().unwrap_err().sqlstate, "53100");
    drop(tx);
    assert_eq!(contents(&db), [row(1)]);
    check_indexes(&db);
    disk.heal();
    db.run(|tx| tx.insert(T, &specs(), &rows));
    check_indexes(&db);
    db.kill();
    let db = open();
    assert_eq!(contents(&db).len(), 199);
    check_indexes(&db);
    db.shutdown();
}

/// Paths of all chunk files.
fn chunk_files(disk: &MemoryDisk) -> Vec<String> {
    let dir = format!("rows/{T}");
    let names = disk.list(&dir).unwrap_or_default();
    names.into_iter().map(|name| format!("{dir}/{name}")).collect()
}

const SMALL_BUFFER: u64 = 64 * 1024;

#[test]
fn a_table_larger_than_the_buffer_lies_in_files_and_reads_the_same() {
    let disk = Arc::new(MemoryDisk::new());
    let open = || try_open_with(Arc::clone(&disk) as Arc<dyn Disk>, SMALL_BUFFER).unwrap();
    let db = open();
    create(&db);
    let mut expected: Vec<Row> = Vec::new();
    let long = |k: i32| {
        let mut row = row(k);
        if let Cell::Text(words) = &mut row[1] {
            words.push_str(&" and on".repeat(20));
        }
        row
    };
    let mut rids = Vec::new();
    // Small commits, then a bulk one.
    for part in 0..20 {
        let rows: Vec<Row> = (part * 50..part * 50 + 50).map(long).collect();
        rids.extend(db.run(|tx| tx.insert(T, &specs(), &rows)));
        expected.extend(rows);
    }
    let rows: Vec<Row> = (1000..1400).map(long).collect();
    rids.extend(db.run(|tx| tx.insert(T, &specs(), &rows)));
    expected.extend(rows);
    for k in (0..1400).step_by(7) {
        db.run(|tx| tx.update(T, rids[k as usize], &specs(), &[1], vec![long(k + 1)[1].clone()]));
        expected[k as usize][1] = long(k + 1)[1].clone();
    }
    db.checkpoint();
    let size = db.engine.relation_statistics(T).unwrap().size_bytes;
    let heap = db.engine.heap_bytes(T).unwrap();
    assert!(size > 3 * SMALL_BUFFER && heap < SMALL_BUFFER, "{heap} of {size} bytes on the heap");
    assert_eq!(contents(&db), expected);
    check_indexes(&db);
    db.kill();
    let db = open();
    assert_eq!(contents(&db), expected);
    check_indexes(&db);
    assert!(db.engine.heap_bytes(T).unwrap() < SMALL_BUFFER);
    db.shutdown();
    assert!(!chunk_files(&disk).is_empty());
}

/// Whatever byte of a chunk file is damaged: every row that is read is right, or there is an error that names the table.
#[test]
fn damage_in_a_chunk_file_is_an_error_and_never_a_wrong_row() {
    let disk = Arc::new(MemoryDisk::new());
    let expected: Vec<Row> = (0..200).map(row).collect();
    let open = || try_open_with(Arc::clone(&disk) as Arc<dyn Disk>, 1000).unwrap();
    let db = open();
    create(&db);
    db.run(|tx| tx.insert(T, &specs(), &expected));
    db.shutdown();
    let files = chunk_files(&disk);
    assert_eq!(files.len(), 1, "one bulk commit, one file");
    let file = disk.open(&files[0]).unwrap();
    let mut refused = 0;
    let mut random = Random(5);
    for at in (0..file.len().unwrap()).step_by(97) {
        let at = at + random.next() % 97;
        let mut byte = [0];
        if at >= file.len().unwrap() {
            break;
        }
        file.read_at(at, &mut byte).unwrap();
        file.write_at(at, &[byte[0] ^ 0x20]).unwrap();
        let db = open();
        let tx = db.begin(Isolation::ReadCommitted);
        tx.statement();
        match tx.try_scan(T, &specs()) {
            Ok(mut rows) => {
                rows.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap());
                assert!(rows.iter().map(|(_, row)| row).eq(&expected), "byte {at}");
            }
            Err(error) => {
                assert_eq!((&*error.sqlstate, error.relation_id), ("XX001", Some(T)));
                refused += 1;
            }
        }
        drop(tx);
        db.kill();
        file.write_at(at, &byte).unwrap();
    }
    assert!(refused > 20, "{refused}");
    assert_eq!(contents(&open()), expected);
}

/// A damaged table is nobody else's trouble: others are written and read, checkpoints are tried, and it can be dropped.
#[test]
fn a_damaged_table_can_be_dropped_and_harms_no_other() {
    const OTHER: u32 = 30_000;
    let disk = Arc::new(MemoryDisk::new());
    let open = || try_open_with(Arc::clone(&disk) as Arc<dyn Disk>, 1000).unwrap();
    let db = open();
    create(&db);
    let rows: Vec<Row> = (0..100).map(row).collect();
    db.run(|tx| tx.insert(T, &specs(), &rows));
    db.kill();
    let file = disk.open(&chunk_files(&disk)[0]).unwrap();
    file.write_at(70, &[0xFF; 16]).unwrap();
    let db = open();
    assert_eq!(db.engine.relation_statistics(T).unwrap_err().sqlstate, "XX001");
    db.run(|tx| {
        tx.handle.create_relation(OTHER, &specs(), false).unwrap();
        tx.insert(OTHER, &specs(), &rows);
    });
    db.checkpoint();
    db.run(|tx| tx.insert(OTHER, &specs(), &[row(5)]));
    db.run(|tx| tx.handle.drop_relation(T).unwrap());
    db.checkpoint();
    db.kill();
    let db = open();
    assert!(db.engine.relation_statistics(T).is_err());
    assert_eq!(db.run(|tx| tx.scan(OTHER, &specs()).len()), 101);
    assert!(chunk_files(&disk).is_empty());
    db.shutdown();
}

/// Full updates leave dead rows behind, in memory and in files: both are given back.
#[test]
fn space_after_twenty_full_updates_is_less_than_twice_that_of_one() {
    let disk = Arc::new(MemoryDisk::new());
    let specs = [INT, TEXT];
    let db = try_open_with(Arc::clone(&disk) as Arc<dyn Disk>, SMALL_BUFFER).unwrap();
    let rids = db.run(|tx| {
        tx.handle.create_relation(T, &specs, false).unwrap();
        let rows: Vec<Row> = (0..2000).map(|k| vec![Cell::Int(k), text("something")]).collect();
        tx.insert(T, &specs, &rows)
    });
    let mut sizes = Vec::new();
    for round in 0..20 {
        let word = format!("round number {round:05}");
        for part in rids.chunks(100) {
            db.run(|tx| {
                for &rid in part {
                    tx.update(T, rid, &specs, &[1], vec![text(&word)]);
                }
            });
        }
        db.engine.collect_garbage(T).unwrap();
        db.checkpoint();
        let length = |path: String| disk.open(&path).unwrap().len().unwrap();
        let files: u64 = chunk_files(&disk).into_iter().map(length).sum();
        sizes.push((files, db.engine.relation_statistics(T).unwrap().size_bytes));
    }
    let (first, last) = (sizes[0], sizes[19]);
    assert!(last.0 < 2 * first.0 && last.1 < 2 * first.1, "{sizes:?}");
    db.shutdown();
}

/// Whoever comes while a table is being loaded gets what he asks for, whole: a search when rows and graph are there, keys
/// and writes when the btrees are.
#[test]
fn all_come_at_once_to_a_table_that_is_being_loaded() {
    let disk = Arc::new(MemoryDisk::new());
    let db = open(&disk);
    create(&db);
    db.run(|tx| tx.insert(T, &specs(), &(0..3000).map(row).collect::<Vec<_>>()));
    db.shutdown();
    for _ in 0..5 {
        let db = open(&disk);
        std::thread::scope(|scope| {
            scope.spawn(|| check_graph(&db));
            scope.spawn(|| {
                db.run(|tx| {
                    let Cell::Vector(query) = row(77).remove(2) else { unreachable!() };
                    let (mut rids, mut distances) = ([0; 1], [0.0; 1]);
                    let query = VectorQuery { ef: 100, ..closest(&query, 1) };
                    let found = tx.handle.vector_search(GRAPH, &query, &mut rids, &mut distances);
                    assert_eq!((found.unwrap().0, distances[0]), (1, 0.0));
                });
            });
            scope.spawn(|| db.run(|tx| assert_eq!(tx.range(PK, INT, None, None).len(), 3000)));
            scope.spawn(|| {
                let tx = db.begin(Isolation::ReadCommitted);
                tx.statement();
                let again = tx.try_insert(T, &specs(), &[row(2999)]).unwrap_err();
                assert_eq!(again.sqlstate, "23505");
                tx.handle.abort();
            });
            scope.spawn(|| db.run(|tx| assert_eq!(tx.scan(T, &specs()).len(), 3000)));
        });
        db.kill();
    }
}
