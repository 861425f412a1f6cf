//! Threads against one engine: writers that move keys and rows, readers that compare every path, with collection on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use omen_disk::{Disk, MemoryDisk, MemoryKv};
use omen_store::*;

use super::common::*;

const T: u32 = 20_000;
const PK: u32 = 20_001;
const GRAPH: u32 = 20_002;
const ROWS: i32 = 64;

fn specs() -> [ColumnSpec; 3] {
    [INT, BIG, vector(2)]
}

/// Row k has the key k or k + 1000, a count, and a vector that says the count.
fn row(k: i32, count: i64) -> Row {
    vec![Cell::Int(k), Cell::Big(count), Cell::Vector(vec![count as f32, k as f32])]
}

fn write(db: &Db, rids: &[u32], seed: u64) {
    let mut random = Random(seed);
    for _ in 0..200 {
        let tx = db.begin(Isolation::ReadCommitted);
        tx.statement();
        let rid = rids[random.below(rids.len() as u64) as usize];
        if tx.try_lock(T, &[rid], RowLockMode::Update).is_err() {
            tx.handle.abort();
            continue;
        }
        let old = tx.fetch(T, &specs(), &[rid], true)[0].1.clone();
        let (Cell::Int(k), Cell::Big(count)) = (&old[0], &old[1]) else { panic!("{old:?}") };
        let new = row((k + 1000) % 2000, count + 1);
        match tx.try_update(T, rid, &specs(), &[0, 1, 2], new) {
            Ok(()) if random.below(8) == 0 => tx.handle.abort(),
            Ok(()) => tx.commit(),
            Err(error) => {
                assert_eq!(error.sqlstate, "40P01", "{error}");
                tx.handle.abort();
            }
        }
    }
}

fn read(db: &Db) {
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        let tx = db.begin(isolation);
        tx.statement();
        let mut rows = tx.scan(T, &specs());
        assert_eq!(rows.len(), ROWS as usize);
        for (_, r) in &rows {
            let (Cell::Int(k), Cell::Big(count)) = (&r[0], &r[1]) else { panic!("{r:?}") };
            assert_eq!(*r, row(*k, *count), "a row is of one version");
            assert_eq!(i64::from(*k >= 1000), count % 2, "key and count move together");
        }
        rows.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap());
        let rids: Vec<u32> = rows.iter().map(|(rid, _)| *rid).collect();
        assert_eq!(tx.range(PK, INT, None, None), rids, "walk and scan of one snapshot");
        assert_eq!(tx.fetch(T, &specs(), &rids, false), rows, "fetch and scan");
        let (mut found, mut distances) = ([0; 100], [0.0; 100]);
        let (n, _) = tx
            .handle
            .vector_search(GRAPH, &closest(&[0.0; 2], 100), &mut found, &mut distances)
            .unwrap();
        let mut found = found[..n].to_vec();
        let mut all = rids;
        found.sort_unstable();
        all.sort_unstable();
        assert_eq!(found, all, "every row has one vector");
    }
}

#[test]
fn every_path_agrees_while_threads_write() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk)).unwrap());
    let db = Db::open(Storage::Durable { disk: Arc::clone(&disk), kv });
    let rids = db.run(|tx| {
        tx.handle.create_relation(T, &specs(), false).unwrap();
        tx.create_index(btree(PK, T, 0, KeyKind::Int, true)).unwrap();
        tx.create_index(hnsw(GRAPH, T, 2, 2)).unwrap();
        let rows: Vec<Row> = (0..ROWS).map(|k| row(k, 0)).collect();
        tx.insert(T, &specs(), &rows)
    });
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (db, rids, done) = (&db, &rids, &done);
        let writers: Vec<_> = (1..4).map(|i| scope.spawn(move || write(db, rids, i))).collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                db.engine.collect_garbage(T).unwrap();
                db.checkpoint();
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                read(db);
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    read(&db);
    let before =
        db.run(|tx| tx.scan(T, &specs()).into_iter().collect::<std::collections::BTreeMap<_, _>>());
    db.kill();
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk)).unwrap());
    let db = Db::open(Storage::Durable { disk, kv });
    read(&db);
    let after =
        db.run(|tx| tx.scan(T, &specs()).into_iter().collect::<std::collections::BTreeMap<_, _>>());
    assert_eq!(before, after);
    db.kill();
}
