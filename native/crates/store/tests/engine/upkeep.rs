//! Garbage collection, VACUUM, snapshots that are given up, and commits held back behind a checkpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use omen_disk::{DirLock, Disk, DiskFile, MemoryDisk, MemoryKv};
use omen_store::*;

use super::common::*;

const T: u32 = 20_000;
const PK: u32 = 20_001;
const SPECS: [ColumnSpec; 2] = [INT, TEXT];

fn row(key: i32, s: &str) -> Row {
    vec![Cell::Int(key), text(s)]
}

/// A table of `count` rows with a key.
fn fill(db: &Db, count: i32) -> Vec<u32> {
    db.run(|tx| {
        tx.handle.create_relation(T, &SPECS, false).unwrap();
        tx.create_index(btree(PK, T, 0, KeyKind::Int, true)).unwrap();
        let rows: Vec<Row> = (0..count).map(|key| row(key, "as it was")).collect();
        tx.insert(T, &SPECS, &rows)
    })
}

fn vacuum(db: &Db, full: bool) {
    let session = db.session();
    match session.vacuum(T, full).unwrap() {
        Pending::Wait(token) => db.tokens.wait(token),
        Pending::Done => {}
    }
    session.close();
}

fn statistics(db: &Db) -> RelationStatistics {
    db.engine.relation_statistics(T).unwrap()
}

fn entries(db: &Db) -> u64 {
    db.engine.index_statistics(PK).unwrap().entry_count
}

#[test]
fn vacuum_gives_back_what_the_engine_leaves() {
    let db = Db::memory();
    let rids = fill(&db, 10_000);
    let before = statistics(&db).size_bytes;
    // Too few for the engine to begin by itself, and a third of each chunk at most.
    for part in rids.chunks(3).map(|part| part[0]).collect::<Vec<_>>().chunks(400) {
        db.run(|tx| part.iter().for_each(|&rid| tx.delete(T, rid)));
    }
    let third = statistics(&db);
    assert_eq!((third.row_count, third.runs.vacuums), (6666, 0));
    vacuum(&db, false);
    let after = statistics(&db);
    assert_eq!((after.dead_count, after.reclaimed_count, entries(&db)), (0, 3334, 6666));
    assert!(after.size_bytes < before * 3 / 4, "{before} -> {}", after.size_bytes);
    assert_eq!((after.runs.vacuums, after.runs.last_vacuum_ms > 0.0), (1, true));
    // A tenth is not worth it unless everything is asked for.
    db.run(|tx| rids.chunks(30).for_each(|part| tx.delete(T, part[1])));
    vacuum(&db, false);
    let some = statistics(&db).size_bytes;
    vacuum(&db, true);
    assert!(statistics(&db).size_bytes < some);
    db.run(|tx| {
        assert_eq!(tx.scan(T, &SPECS).len(), 6666 - 334);
        assert_eq!(tx.range(PK, INT, None, None).len(), 6666 - 334);
    });
}

#[test]
fn vacuum_keeps_what_a_snapshot_sees_and_chunks_that_are_being_scanned() {
    let db = Db::memory();
    let rids = fill(&db, 6000);
    let old = db.begin(Isolation::RepeatableRead);
    old.statement();
    db.run(|tx| rids.iter().for_each(|&rid| tx.delete(T, rid)));
    vacuum(&db, false);
    assert_eq!(statistics(&db).dead_count, 6000);
    assert_eq!(old.scan(T, &SPECS).len(), 6000);
    assert_eq!(old.range(PK, INT, None, None).len(), 6000);
    let reader = db.begin(Isolation::ReadCommitted);
    reader.statement();
    let cursor = reader.handle.open_scan(T, &[0]).unwrap();
    old.handle.abort();
    let held = statistics(&db).size_bytes;
    reader.statement();
    vacuum(&db, false);
    // The versions are gone, the chunks are not while somebody counts them.
    assert_eq!((statistics(&db).dead_count, statistics(&db).size_bytes > held / 2), (0, true));
    drop(cursor);
    reader.handle.abort();
    // What was left then is looked at again, whoever collects.
    db.engine.collect_garbage(T).unwrap();
    assert_eq!((statistics(&db).dead_count, entries(&db)), (0, 0));
    assert!(statistics(&db).size_bytes < held / 4);
}

/// Updates every row, 500 in a transaction.
fn rewrite(db: &Db, rids: &[u32], word: &str) {
    for part in rids.chunks(500) {
        db.run(|tx| {
            for &rid in part {
                tx.update(T, rid, &SPECS, &[1], vec![text(word)]);
            }
        });
    }
}

#[test]
fn a_snapshot_is_given_up_when_it_keeps_too_much_memory() {
    // Eight times this is what snapshots may keep.
    let db = Db::try_open_with(Storage::Memory, 32 * 1024).unwrap();
    let rids = fill(&db, 2000);
    let old = db.begin(Isolation::RepeatableRead);
    old.statement();
    assert_eq!(old.scan(T, &SPECS).len(), 2000);
    let mut portal = old.handle.open_scan(T, &[0, 1]).unwrap();
    rewrite(&db, &rids[..1000], "once");
    assert!(old.scan(T, &SPECS).iter().all(|(_, r)| *r == row_of(r, "as it was")), "still whole");
    for round in 0..20 {
        rewrite(&db, &rids, &format!("round {round}"));
    }
    // It ran full: nobody is told rows of another moment, whichever way they ask.
    let too_old = |error: StoreError| {
        assert_eq!((&*error.sqlstate, &*error.message), ("72000", "snapshot too old"));
    };
    too_old(old.try_scan(T, &SPECS).unwrap_err());
    let mut buffers = Columns::buffers(&SPECS, 4096, 1 << 20);
    too_old(buffers.with_mut(|b| portal.next(b, &mut [0; 4096])).unwrap_err());
    let mut cursor = old.handle.open_index_scan(PK, &KeyRange::default(), false).unwrap();
    too_old(cursor.next(&mut [0; 16]).unwrap_err());
    let found = &mut [0; 4];
    too_old(
        buffers
            .with_mut(|b| old.handle.fetch_rows(T, &rids[..4], false, &[0, 1], b, found))
            .unwrap_err(),
    );
    drop(portal);
    old.handle.abort();
    // A new one of the same session is as good as any, and memory has come back.
    db.run(|tx| assert_eq!(tx.scan(T, &SPECS).len(), 2000));
    db.engine.collect_garbage(T).unwrap();
    let left = statistics(&db);
    assert_eq!((left.dead_count, entries(&db)), (0, 2000));
}

fn row_of(found: &Row, s: &str) -> Row {
    vec![found[0].clone(), text(s)]
}

/// A reader in the middle of vector and text searches while its snapshot is given up: an answer is that of the snapshot, or
/// 72000, and never one of another moment.
#[test]
fn searches_of_a_snapshot_that_is_given_up_answer_for_it_or_not_at_all() {
    const GRAPH: u32 = 20_002;
    const WORDS: u32 = 20_003;
    const DIM: usize = 4;
    let specs = [INT, TEXT, vector(DIM as u32)];
    let db = Db::try_open_with(Storage::Memory, 8 * 1024).unwrap();
    let mut random = Random(61);
    let mut new_row = |key: i32| {
        let words = format!("all word{} {}", random.below(9), "filler ".repeat(10));
        let floats = (0..DIM).map(|_| random.unit()).collect();
        vec![Cell::Int(key), text(&words), Cell::Vector(floats)]
    };
    let rids = db.run(|tx| {
        tx.handle.create_relation(T, &specs, false).unwrap();
        tx.create_index(hnsw(GRAPH, T, 2, DIM as u32)).unwrap();
        tx.create_index(bm25(WORDS, T, 1)).unwrap();
        let rows: Vec<Row> = (0..300).map(&mut new_row).collect();
        tx.insert(T, &specs, &rows)
    });
    let running = AtomicBool::new(true);
    let (vectors, texts) = (AtomicU64::new(0), AtomicU64::new(0));
    let given_up = |outcome: Result<usize>, count: &AtomicU64| match outcome {
        Ok(n) => Some(n),
        Err(error) => {
            assert_eq!(&*error.sqlstate, "72000", "{error}");
            count.fetch_add(1, Ordering::Relaxed);
            None
        }
    };
    let read = |tx: &Tx| {
        let rows = tx.try_scan(T, &specs).ok()?;
        let query = [0.5; DIM];
        let mut nearest: Vec<(f64, u32)> = rows
            .iter()
            .map(|(rid, row)| match &row[2] {
                Cell::Vector(v) => (omen_kernels::distance(Metric::L2, &query, v), *rid),
                other => unreachable!("{other:?} is no vector"),
            })
            .collect();
        nearest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        while running.load(Ordering::Relaxed) {
            let (mut found, mut distances) = ([0; 10], [0.0; 10]);
            let query = VectorQuery { mode: SearchMode::Exact, ..closest(&query, 10) };
            let outcome = tx.handle.vector_search(GRAPH, &query, &mut found, &mut distances);
            let n = given_up(outcome.map(|(n, _)| n), &vectors)?;
            let hits: Vec<(f64, u32)> = distances.into_iter().zip(found).take(n).collect();
            assert_eq!(hits, nearest[..10]);
            let query = VectorQuery { mode: SearchMode::Graph, ..query };
            let outcome = tx.handle.vector_search(GRAPH, &query, &mut found, &mut distances);
            let n = given_up(outcome.map(|(n, _)| n), &vectors)?;
            for hit in distances.into_iter().zip(found).take(n) {
                assert!(nearest.contains(&hit), "{hit:?} is no row of the snapshot");
            }
            let (mut found, mut scores) = ([0; 400], [0.0; 400]);
            let query = tx.handle.text_query(WORDS, "all").unwrap();
            let outcome = tx.handle.text_search(
                WORDS,
                &query,
                found.len(),
                None,
                SearchMode::Auto,
                &mut found,
                &mut scores,
            );
            let n = given_up(outcome.map(|(n, _)| n), &texts)?;
            let mut found = found[..n].to_vec();
            found.sort_unstable();
            assert_eq!(found, rids, "every row has the word");
        }
        None
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                let tx = db.begin(Isolation::RepeatableRead);
                tx.statement();
                let _: Option<()> = read(&tx);
                tx.handle.abort();
            }
        });
        let begun = std::time::Instant::now();
        let met = |count: &AtomicU64| count.load(Ordering::Relaxed) >= 3;
        while !(met(&vectors) && met(&texts)) {
            assert!(begun.elapsed() < Duration::from_secs(60), "no reader was in a search");
            for part in rids.chunks(100) {
                db.run(|tx| {
                    for &rid in part {
                        let row = new_row(rid as i32);
                        tx.update(T, rid, &specs, &[1, 2], row[1..].to_vec());
                    }
                });
            }
        }
        running.store(false, Ordering::Relaxed);
    });
}

/// A disk on which new chunk files take a while, so that checkpoints are slower than commits.
struct SlowDisk {
    inner: Arc<MemoryDisk>,
    is_slow: AtomicBool,
    /// Most bytes the log has grown by while a file was made.
    most_grown: AtomicU64,
}

impl SlowDisk {
    fn log_bytes(&self) -> u64 {
        let names = self.inner.list("wal").unwrap_or_default();
        let logs = names.iter().filter(|name| name.contains(".log"));
        logs.map(|name| self.inner.open(&format!("wal/{name}")).and_then(|f| f.len()).unwrap_or(0))
            .sum()
    }
}

impl Disk for SlowDisk {
    fn open(&self, path: &str) -> omen_disk::Result<Arc<dyn DiskFile>> {
        self.inner.open(path)
    }
    fn create(&self, path: &str) -> omen_disk::Result<Arc<dyn DiskFile>> {
        if path.starts_with("rows/") && self.is_slow.load(Ordering::Relaxed) {
            let before = self.log_bytes();
            for _ in 0..30 {
                std::thread::sleep(Duration::from_millis(10));
                let grown = self.log_bytes().saturating_sub(before);
                self.most_grown.fetch_max(grown, Ordering::Relaxed);
            }
        }
        self.inner.create(path)
    }
    fn remove(&self, path: &str) -> omen_disk::Result<()> {
        self.inner.remove(path)
    }
    fn rename(&self, from: &str, to: &str) -> omen_disk::Result<()> {
        self.inner.rename(from, to)
    }
    fn exists(&self, path: &str) -> omen_disk::Result<bool> {
        self.inner.exists(path)
    }
    fn create_dir(&self, path: &str) -> omen_disk::Result<()> {
        self.inner.create_dir(path)
    }
    fn remove_dir(&self, path: &str) -> omen_disk::Result<()> {
        self.inner.remove_dir(path)
    }
    fn list(&self, path: &str) -> omen_disk::Result<Vec<String>> {
        self.inner.list(path)
    }
    fn sync_dir(&self, path: &str) -> omen_disk::Result<()> {
        self.inner.sync_dir(path)
    }
    fn lock(&self) -> omen_disk::Result<DirLock> {
        self.inner.lock()
    }
    fn os_path(&self) -> Option<&std::path::Path> {
        None
    }
}

/// Commits are many times faster than checkpoints here: the log grows by about its bound during one all the same.
#[test]
fn commits_wait_for_a_checkpoint_that_falls_behind() {
    let inner = Arc::new(MemoryDisk::new());
    let disk = Arc::new(SlowDisk {
        inner,
        is_slow: AtomicBool::new(false),
        most_grown: AtomicU64::new(0),
    });
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap());
    let storage = Storage::Durable { disk: Arc::clone(&disk) as Arc<dyn Disk>, kv };
    // A checkpoint is due after 512 KB of log.
    let db = Db::try_open_with(storage, 1 << 20).unwrap();
    db.run(|tx| tx.handle.create_relation(T, &SPECS, false).unwrap());
    disk.is_slow.store(true, Ordering::Relaxed);
    let long = "x".repeat(1000);
    for start in 0..400 {
        let rows: Vec<Row> = (0..10).map(|i| row(start * 10 + i, &long)).collect();
        db.run(|tx| tx.insert(T, &SPECS, &rows));
    }
    disk.is_slow.store(false, Ordering::Relaxed);
    // 4 MB were written. While a checkpoint runs the log grows by its bound, and by segments (256 KB here) begun or spare.
    let most = disk.most_grown.load(Ordering::Relaxed);
    assert!(most > 0 && most <= 1280 * 1024, "the log grew by {most} bytes");
    db.run(|tx| assert_eq!(tx.scan(T, &SPECS).len(), 4000));
    db.shutdown();
}

/// Without its file a start after a crash would build the index again.
#[test]
fn a_long_build_gets_its_file_without_being_asked() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk)).unwrap());
    let db = Db::open(Storage::Durable { disk: Arc::clone(&disk), kv });
    fill(&db, 10_000);
    let files = || disk.list("text").unwrap_or_default().len();
    assert_eq!(files(), 0, "so little log makes no checkpoint due");
    db.run(|tx| tx.create_index(bm25(PK + 1, T, 1)).unwrap());
    let begun = std::time::Instant::now();
    while files() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "no checkpoint has come");
        std::thread::sleep(Duration::from_millis(10));
    }
    db.shutdown();
}
