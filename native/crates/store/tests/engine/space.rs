//! Space stays bounded under updates: twenty updates of every row leave less than twice what one leaves, in memory and on
//! disk, for tables with a full-text index; and searches beside the clearing up see every row once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use omen_disk::{Disk, FaultyDisk, MemoryDisk, MemoryKv};
use omen_store::*;

use super::common::*;

const T: u32 = 20_000;
const WORDS: u32 = 20_001;
const AGAIN: u32 = 20_002;
const GRAPH: u32 = 20_003;
const DIM: u32 = 16;
const ROWS: i32 = 3000;

fn body(random: &mut Random) -> Cell {
    let words: Vec<String> = (0..12).map(|_| format!("word{}", random.below(400))).collect();
    text(&format!("everywhere {}", words.join(" ")))
}

/// Updates every row, some hundred in a transaction.
fn update_all(db: &Db, specs: &[ColumnSpec], rids: &[u32], mut cell: impl FnMut() -> Cell) {
    for part in rids.chunks(300) {
        db.run(|tx| {
            for &rid in part {
                tx.update(T, rid, specs, &[1], vec![cell()]);
            }
        });
    }
}

/// Waits for what the engine does by itself.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn memory_bytes(db: &Db, index: u32) -> u64 {
    let table = db.engine.relation_statistics(T).unwrap().size_bytes;
    table + db.engine.index_statistics(index).unwrap().size_bytes
}

fn disk_bytes(disk: &MemoryDisk, folder: &str) -> u64 {
    let length = |path: String| match disk.open(&path) {
        Ok(file) => file.len().unwrap(),
        Err(_) => disk_bytes(disk, &path),
    };
    let names = disk.list(folder).unwrap_or_default();
    names.iter().map(|name| length(format!("{folder}/{name}"))).sum()
}

fn hits(tx: &Tx, index: u32, words: &str) -> Vec<(u32, u64)> {
    let query = tx.handle.text_query(index, words).unwrap();
    let (mut rids, mut scores) = (vec![0; 2 * ROWS as usize], vec![0.0; 2 * ROWS as usize]);
    let (n, _) = tx
        .handle
        .text_search(index, &query, rids.len(), None, SearchMode::Auto, &mut rids, &mut scores)
        .unwrap();
    rids.into_iter().zip(scores).take(n).map(|(rid, score)| (rid, score.to_bits())).collect()
}

/// A database with files, its table and one index over column 1.
fn stored(column: ColumnSpec, index: IndexSpec) -> (Arc<MemoryDisk>, Db, [ColumnSpec; 2]) {
    let disk = Arc::new(MemoryDisk::new());
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap());
    let db = Db::open(Storage::Durable { disk: Arc::clone(&disk) as Arc<dyn Disk>, kv });
    let specs = [INT, column];
    db.run(|tx| {
        tx.handle.create_relation(T, &specs, false).unwrap();
        tx.create_index(index).unwrap();
    });
    (disk, db, specs)
}

/// Twenty updates of every row against one. `file_folders`: where their files lie.
fn stays_bounded(
    (disk, db, specs): (Arc<MemoryDisk>, Db, [ColumnSpec; 2]),
    index: u32,
    file_folders: &[&str],
    mut cell: impl FnMut() -> Cell,
) -> Db {
    let rids = db.run(|tx| {
        let rows: Vec<Row> = (0..ROWS).map(|key| vec![Cell::Int(key), cell()]).collect();
        tx.insert(T, &specs, &rows)
    });
    let on_disk = |db: &Db| {
        // Numbers of vectors are free after a second one.
        db.checkpoint();
        db.checkpoint();
        file_folders.iter().map(|folder| disk_bytes(&disk, folder)).sum::<u64>()
    };
    update_all(&db, &specs, &rids, &mut cell);
    let (memory, files) = (memory_bytes(&db, index), on_disk(&db));
    for _ in 0..19 {
        update_all(&db, &specs, &rids, &mut cell);
        db.checkpoint();
    }
    eventually("the memory of one update, twice", || memory_bytes(&db, index) < 2 * memory);
    let after = on_disk(&db);
    assert!(after < 2 * files, "{files} bytes of files after one update, {after} after twenty");
    db
}

#[test]
fn twenty_updates_of_every_text_take_less_than_twice_the_room_of_one() {
    let mut random = Random(5);
    let database = stored(TEXT, bm25(WORDS, T, 1));
    let db = stays_bounded(database, WORDS, &["rows", "text"], || body(&mut random));
    let statistics = db.engine.index_statistics(WORDS).unwrap();
    assert_eq!(statistics.entry_count, ROWS as u64);
    assert!(statistics.reclaimed_count > 17 * ROWS as u64, "{statistics:?}");
    // Scores are those of an index made from the rows.
    db.run(|tx| tx.create_index(bm25(AGAIN, T, 1)).unwrap());
    db.run(|tx| {
        for words in ["everywhere", "word1 word2", "word399 word17 word7", "nowhere"] {
            assert_eq!(hits(tx, WORDS, words), hits(tx, AGAIN, words), "{words}");
        }
    });
}

#[test]
fn vacuum_gives_back_dead_documents_that_no_snapshot_sees() {
    let db = Db::memory();
    let specs = [INT, TEXT];
    let rids = db.run(|tx| {
        tx.handle.create_relation(T, &specs, false).unwrap();
        tx.create_index(bm25(WORDS, T, 1)).unwrap();
        let rows: Vec<Row> = (0..300).map(|key| vec![Cell::Int(key), text("old word")]).collect();
        tx.insert(T, &specs, &rows)
    });
    let old = db.begin(Isolation::RepeatableRead);
    old.statement();
    let seen = hits(&old, WORDS, "word");
    // Too few for the engine to begin by itself.
    update_all(&db, &specs, &rids[..100], || text("new word"));
    let vacuum = |full| {
        let session = db.session();
        if let Pending::Wait(token) = session.vacuum(T, full).unwrap() {
            db.tokens.wait(token);
        }
        session.close();
        db.engine.index_statistics(WORDS).unwrap().reclaimed_count
    };
    assert_eq!(vacuum(true), 0);
    assert_eq!(hits(&old, WORDS, "old").len(), 300);
    assert_eq!(hits(&old, WORDS, "word").len(), seen.len());
    old.handle.abort();
    assert_eq!(vacuum(false), 100);
    db.run(|tx| {
        assert_eq!((hits(tx, WORDS, "old").len(), hits(tx, WORDS, "new").len()), (200, 100));
    });
    // One in thirty is worth it for FULL only.
    db.run(|tx| rids[..10].iter().for_each(|&rid| tx.delete(T, rid)));
    assert_eq!(vacuum(false), 100);
    assert_eq!(vacuum(true), 110);
    db.run(|tx| assert_eq!(hits(tx, WORDS, "word").len(), 290));
}

/// Every text has the word, so each search finds every row once, whichever generation it walks.
#[test]
fn searches_beside_compactions_see_every_row_once() {
    let db = Db::memory();
    let specs = [INT, TEXT];
    let mut random = Random(7);
    let rids = db.run(|tx| {
        tx.handle.create_relation(T, &specs, false).unwrap();
        tx.create_index(bm25(WORDS, T, 1)).unwrap();
        let rows: Vec<Row> = (0..ROWS).map(|key| vec![Cell::Int(key), body(&mut random)]).collect();
        tx.insert(T, &specs, &rows)
    });
    let running = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut searches = 0;
            while running.load(Ordering::Relaxed) || searches == 0 {
                let tx = db.begin(Isolation::RepeatableRead);
                tx.statement();
                for _ in 0..3 {
                    let mut found: Vec<u32> =
                        hits(&tx, WORDS, "everywhere").into_iter().map(|(rid, _)| rid).collect();
                    found.sort_unstable();
                    assert_eq!(found, rids, "search {searches}");
                }
                tx.handle.abort();
                searches += 1;
            }
        });
        for _ in 0..6 {
            update_all(&db, &specs, &rids, || body(&mut random));
        }
        running.store(false, Ordering::Relaxed);
        reader.join().expect("the reader ends");
    });
    let reclaimed = || db.engine.index_statistics(WORDS).unwrap().reclaimed_count;
    eventually("compactions have run", || reclaimed() > 2 * ROWS as u64);
}

fn random_vector(random: &mut Random, dim: u32) -> Cell {
    Cell::Vector((0..dim).map(|_| random.unit()).collect())
}

/// Updates every row in transactions of `rows` rows, without a pause.
fn update_vectors(db: &Db, rids: &[u32], rows: usize, mut cell: impl FnMut() -> Cell) {
    let specs = [INT, vector(DIM)];
    for part in rids.chunks(rows) {
        db.run(|tx| {
            for &rid in part {
                tx.update(T, rid, &specs, &[1], vec![cell()]);
            }
        });
    }
}

fn insert_vectors(db: &Db, count: i32, mut cell: impl FnMut() -> Cell) -> Vec<u32> {
    let rows: Vec<Row> = (0..count).map(|key| vec![Cell::Int(key), cell()]).collect();
    db.run(|tx| tx.insert(T, &[INT, vector(DIM)], &rows))
}

/// Numbers given so far: each has a slot in a segment and a place in the graph.
fn numbers(db: &Db) -> u64 {
    db.engine.index_statistics(GRAPH).unwrap().entry_count
}

/// Each row is found by its own vector, through the graph.
fn finds_all(db: &Db) {
    db.run(|tx| {
        let rows = tx.scan(T, &[INT, vector(DIM)]);
        let mut missed = 0;
        for (rid, row) in rows.iter().step_by(7) {
            let Cell::Vector(own) = &row[1] else { unreachable!("a vector") };
            let query = VectorQuery { ef: 100, mode: SearchMode::Graph, ..closest(own, 1) };
            let (mut found, mut distance) = ([0], [1.0]);
            tx.handle.vector_search(GRAPH, &query, &mut found, &mut distance).unwrap();
            assert!(distance[0] > 0.0 || found[0] == *rid, "the nearest is a row's own vector");
            missed += usize::from(found[0] != *rid);
        }
        assert!(missed * 100 <= rows.len() / 7, "{missed} of {} missed", rows.len() / 7);
    });
}

/// Nobody asks for a checkpoint, and commits do not pause: they wait for the engine when it falls behind.
#[test]
fn twenty_fast_updates_of_every_vector_take_less_than_twice_the_numbers_of_one() {
    for (is_durable, part) in [(true, 1200), (true, 200), (false, 1200)] {
        let disk = Arc::new(MemoryDisk::new());
        let db = if is_durable {
            let kv = Arc::new(MemoryKv::open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap());
            Db::open(Storage::Durable { disk: Arc::clone(&disk) as Arc<dyn Disk>, kv })
        } else {
            Db::memory()
        };
        let mut random = Random(11);
        let mut cell = || random_vector(&mut random, DIM);
        db.run(|tx| {
            tx.handle.create_relation(T, &[INT, vector(DIM)], false).unwrap();
            tx.create_index(hnsw(GRAPH, T, 1, DIM)).unwrap();
        });
        let rids = insert_vectors(&db, 1200, &mut cell);
        update_vectors(&db, &rids, part, &mut cell);
        let one = numbers(&db);
        for _ in 0..19 {
            update_vectors(&db, &rids, part, &mut cell);
        }
        let twenty = numbers(&db);
        assert!(
            twenty < 2 * one,
            "{one} numbers after one update, {twenty} after twenty, {part} rows at a time"
        );
        finds_all(&db);
        db.shutdown();
        if is_durable {
            // A segment holds 16,384.
            assert!(disk_bytes(&disk, "vec") < 2 << 20, "one segment");
        }
    }
}

/// The snapshot of a checkpoint holds what dies beside it, for a while only: a round waits for its end, and commits for the
/// round.
#[test]
fn commits_do_not_run_away_from_a_slow_checkpoint() {
    let twin = FaultyDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(twin.clone());
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk)).unwrap());
    let db = Db::open(Storage::Durable { disk, kv });
    let specs = [INT, vector(DIM)];
    let mut random = Random(14);
    let mut cell = || random_vector(&mut random, DIM);
    db.run(|tx| {
        tx.handle.create_relation(T, &specs, false).unwrap();
        tx.create_index(hnsw(GRAPH, T, 1, DIM)).unwrap();
    });
    let rids = insert_vectors(&db, 1200, &mut cell);
    twin.stall("kv/");
    let Pending::Wait(_) = db.engine.checkpoint(&db.channel) else { panic!("it takes its time") };
    twin.wait_until_stalled();
    // As many numbers wait as are in use, then twice as many.
    for _ in 0..2 {
        update_vectors(&db, &rids, 1200, &mut cell);
    }
    assert_eq!(numbers(&db), 3600);
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    for &rid in &rids {
        tx.update(T, rid, &specs, &[1], vec![cell()]);
    }
    let Pending::Wait(token) = tx.handle.commit().unwrap() else { panic!("it waits") };
    // Others go on.
    db.run(|tx| tx.handle.catalog_put("word", Some("value"), false).unwrap());
    assert!(!db.tokens.is_delivered(token));
    twin.go_on();
    db.tokens.wait(token);
    tx.handle.commit_result().unwrap();
    drop(tx);
    assert_eq!(numbers(&db), 3600);
    finds_all(&db);
    db.shutdown();
}

/// What a snapshot holds no wait makes free: commits go on, and take what they need.
#[test]
fn commits_do_not_wait_for_numbers_that_a_snapshot_holds() {
    let db = Db::memory();
    let mut random = Random(12);
    let mut cell = || random_vector(&mut random, DIM);
    db.run(|tx| {
        tx.handle.create_relation(T, &[INT, vector(DIM)], false).unwrap();
        tx.create_index(hnsw(GRAPH, T, 1, DIM)).unwrap();
    });
    let rids = insert_vectors(&db, 1500, &mut cell);
    let old = db.begin(Isolation::RepeatableRead);
    old.statement();
    let before = old.scan(T, &[INT, vector(DIM)]);
    for _ in 0..6 {
        update_vectors(&db, &rids, 1500, &mut cell);
    }
    assert_eq!(numbers(&db), 7 * 1500);
    assert_eq!(old.scan(T, &[INT, vector(DIM)]), before);
    old.handle.abort();
    // The next ones find room.
    for _ in 0..6 {
        update_vectors(&db, &rids, 1500, &mut cell);
    }
    eventually("what the snapshot held is given again", || {
        update_vectors(&db, &rids, 1500, &mut cell);
        let is_bounded = numbers(&db) <= 11 * 1500;
        assert!(is_bounded, "{} numbers", numbers(&db));
        db.engine.index_statistics(GRAPH).unwrap().reclaimed_count > 15 * 1500
    });
    finds_all(&db);
}

/// Writes that go to segments of their own take the room of dead vectors when there is enough of it.
#[test]
fn updates_by_whole_segments_take_the_room_of_dead_vectors() {
    const SEGMENT: i32 = 16_384;
    let disk = Arc::new(MemoryDisk::new());
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap());
    let storage = Storage::Durable { disk: Arc::clone(&disk) as Arc<dyn Disk>, kv };
    // A write of more than 128 KB goes to files before its commit.
    let db = Db::try_open_with(storage, 1 << 20).unwrap();
    let mut random = Random(13);
    let mut cell = || random_vector(&mut random, DIM);
    db.run(|tx| tx.handle.create_relation(T, &[INT, vector(DIM)], false).unwrap());
    let rids = insert_vectors(&db, SEGMENT, &mut cell);
    for _ in 0..10 {
        update_vectors(&db, &rids, rids.len(), &mut cell);
    }
    let segments = disk.list(&format!("vec/{T}.1")).unwrap().len();
    assert!(segments <= 3, "{segments} segments");
    let rows = db.run(|tx| tx.scan(T, &[INT, vector(DIM)]));
    db.kill();
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap());
    let db = Db::open(Storage::Durable { disk: Arc::clone(&disk) as Arc<dyn Disk>, kv });
    assert!(db.run(|tx| tx.scan(T, &[INT, vector(DIM)])) == rows, "as before the crash");
    db.shutdown();
}

/// A table that is emptied and filled again and again holds two loads, whatever their number and length.
#[test]
fn loads_into_an_emptied_table_take_the_room_of_dead_vectors() {
    const ROUNDS: i32 = 6;
    let reopen = |disk: &Arc<MemoryDisk>| {
        let kv = Arc::new(MemoryKv::open(Arc::clone(disk) as Arc<dyn Disk>).unwrap());
        let storage = Storage::Durable { disk: Arc::clone(disk) as Arc<dyn Disk>, kv };
        Db::try_open_with(storage, 1 << 20).unwrap()
    };
    for (rows, segments, has_graph) in [(40_000, 6, false), (2500, 1, true)] {
        let disk = Arc::new(MemoryDisk::new());
        let mut db = reopen(&disk);
        db.run(|tx| {
            tx.handle.create_relation(T, &[INT, vector(DIM)], false).unwrap();
            if has_graph {
                tx.create_index(hnsw(GRAPH, T, 1, DIM)).unwrap();
            }
        });
        let mut random = Random(15);
        for round in 0..ROUNDS {
            db.run(|tx| {
                for (rid, _) in tx.scan(T, &[INT, vector(DIM)]) {
                    tx.delete(T, rid);
                }
            });
            insert_vectors(&db, rows, || random_vector(&mut random, DIM));
            if round == 3 {
                let before = db.run(|tx| tx.scan(T, &[INT, vector(DIM)]));
                db.kill();
                db = reopen(&disk);
                let after = db.run(|tx| tx.scan(T, &[INT, vector(DIM)]));
                assert!(after == before, "as before the crash");
            }
        }
        if has_graph {
            finds_all(&db);
            assert!(numbers(&db) <= 3 * rows as u64, "{} numbers", numbers(&db));
        }
        let files = disk.list(&format!("vec/{T}.1")).unwrap();
        assert!(files.len() <= segments, "{files:?}");
        db.shutdown();
    }
}
