//! Dead vectors leave the graphs, and their numbers and slots are given again: space stays bounded, and every answer is
//! that of the rows, before and after crashes.

use std::sync::Arc;

use omen_disk::{Disk, Kv, MemoryDisk, MemoryKv};
use omen_store::*;

use super::common::*;

const T: u32 = 20_000;
const GRAPH: u32 = 20_002;
const OTHER: u32 = 20_003;
const DIM: usize = 8;

fn specs() -> [ColumnSpec; 2] {
    [INT, vector(DIM as u32)]
}

/// Around centres that overlap a little.
fn row(random: &mut Random, key: i32) -> Row {
    let mut centre = Random(7 + random.below(12));
    let floats = (0..DIM).map(|_| 1.5 * centre.unit() + random.unit()).collect();
    vec![Cell::Int(key), Cell::Vector(floats)]
}

/// One of a few vectors, so that many rows have the same.
fn common_row(random: &mut Random, key: i32) -> Row {
    let mut few = Random(100 + random.below(5));
    let floats = (0..DIM).map(|_| few.unit()).collect();
    vec![Cell::Int(key), Cell::Vector(floats)]
}

fn create(db: &Db, graphs: &[u32]) {
    db.run(|tx| {
        tx.handle.create_relation(T, &specs(), false).unwrap();
        for &id in graphs {
            tx.create_index(hnsw(id, T, 1, DIM as u32)).unwrap();
        }
    });
}

fn open(disk: &Arc<MemoryDisk>) -> Db {
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk)).unwrap());
    Db::open(Storage::Durable { disk, kv })
}

/// What `omendb check` would report.
fn problems(disk: &Arc<MemoryDisk>) -> Vec<String> {
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    let kv: Arc<dyn Kv> = Arc::new(MemoryKv::open(Arc::clone(&disk)).unwrap());
    check(&disk, &kv).into_iter().flat_map(|part| part.problems).collect()
}

fn wait_until_linked(db: &Db, graph: u32) {
    loop {
        let statistics = db.engine.index_statistics(graph).unwrap();
        if statistics.linked_count == statistics.entry_count {
            return;
        }
        std::thread::yield_now();
    }
}

/// Mean share of the exact ten nearest distances that the graph finds; every row found is one that the transaction sees, at
/// its distance.
fn recall(tx: &Tx, graph: u32, ef: usize) -> f64 {
    let rows = tx.scan(T, &specs());
    let mut random = Random(99);
    let (mut found, mut wanted) = (0, 0);
    for _ in 0..30 {
        let Cell::Vector(query) = &row(&mut random, 0)[1] else { unreachable!("a vector") };
        let mut exact: Vec<(f64, u32)> = rows
            .iter()
            .filter_map(|(rid, row)| match &row[1] {
                Cell::Vector(v) => Some((omen_kernels::distance(Metric::L2, query, v), *rid)),
                _ => None,
            })
            .collect();
        exact.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (mut rids, mut distances) = ([0; 10], [0.0; 10]);
        let query = VectorQuery { ef, mode: SearchMode::Graph, ..closest(query, 10) };
        let (n, _) = tx.handle.vector_search(graph, &query, &mut rids, &mut distances).unwrap();
        assert_eq!(n, exact.len().min(10));
        for hit in distances.into_iter().zip(rids).take(n) {
            assert!(exact.contains(&hit), "{hit:?} is a row the statement sees");
            wanted += 1;
            found += usize::from(hit.0 <= exact[n - 1].0);
        }
    }
    if wanted == 0 { 1.0 } else { f64::from(found as u32) / f64::from(wanted) }
}

#[test]
fn ten_rounds_of_delete_and_insert_take_no_more_room_and_keep_their_recall() {
    // Few enough that half of them does not set the pool to work.
    const ROWS: usize = 1_800;
    let db = Db::memory();
    create(&db, &[GRAPH]);
    let mut random = Random(41);
    let mut live = db.run(|tx| {
        let rows: Vec<Row> = (0..ROWS).map(|at| row(&mut random, at as i32)).collect();
        tx.insert(T, &specs(), &rows)
    });
    wait_until_linked(&db, GRAPH);
    let size = |db: &Db| {
        let graph = db.engine.index_statistics(GRAPH).unwrap();
        (graph.entry_count, graph.size_bytes)
    };
    let before = size(&db);
    for round in 0..10 {
        let gone: Vec<u32> = live.extract_if(.., |_| random.below(2) == 0).collect();
        db.run(|tx| gone.iter().for_each(|&rid| tx.delete(T, rid)));
        assert_eq!(db.engine.remove_dead_vectors(T).unwrap(), gone.len(), "round {round}");
        let left = db.run(|tx| recall(tx, GRAPH, 60));
        assert!(left >= 0.97, "round {round}: {left} after removal");
        live.extend(db.run(|tx| {
            let rows: Vec<Row> = gone.iter().map(|_| row(&mut random, round)).collect();
            tx.insert(T, &specs(), &rows)
        }));
        // Found before they are linked and after.
        let unlinked = db.run(|tx| recall(tx, GRAPH, 60));
        assert!(unlinked >= 0.97, "round {round}: {unlinked} before linking");
        wait_until_linked(&db, GRAPH);
        let linked = db.run(|tx| recall(tx, GRAPH, 60));
        assert!(linked >= 0.97, "round {round}: {linked} after linking");
    }
    let after = size(&db);
    assert_eq!(after.0, before.0, "the numbers of dead vectors are given again");
    assert!(after.1 <= before.1 * 11 / 10, "{} bytes, {} at first", after.1, before.1);
    // As a fresh graph over the same rows.
    db.run(|tx| tx.create_index(hnsw(OTHER, T, 1, DIM as u32)).unwrap());
    let (worn, fresh) = db.run(|tx| (recall(tx, GRAPH, 40), recall(tx, OTHER, 40)));
    assert!(worn >= fresh - 0.01, "{worn} against {fresh} of a fresh graph");
}

#[test]
fn a_snapshot_keeps_what_it_sees_and_its_end_lets_it_go() {
    let db = Db::memory();
    create(&db, &[GRAPH]);
    let mut random = Random(42);
    let rows: Vec<Row> = (0..400).map(|at| row(&mut random, at)).collect();
    let rids = db.run(|tx| tx.insert(T, &specs(), &rows));
    wait_until_linked(&db, GRAPH);
    let old = db.begin(Isolation::RepeatableRead);
    old.statement();
    db.run(|tx| rids[..200].iter().for_each(|&rid| tx.delete(T, rid)));
    assert_eq!(db.engine.remove_dead_vectors(T).unwrap(), 0);
    assert!(recall(&old, GRAPH, 100) >= 0.99);
    drop(old);
    assert_eq!(db.engine.remove_dead_vectors(T).unwrap(), 200);
    assert_eq!(db.engine.remove_dead_vectors(T).unwrap(), 0);
    db.run(|tx| assert!(recall(tx, GRAPH, 100) >= 0.99));
}

/// A checkpoint leaves the file of a graph as it is while little was linked since; a start catches up with the rest.
#[test]
fn a_graph_is_written_when_enough_of_it_is_new() {
    let disk = Arc::new(MemoryDisk::new());
    let db = open(&disk);
    create(&db, &[GRAPH]);
    let mut random = Random(43);
    let mut insert = |db: &Db, count: i32| {
        let rows: Vec<Row> = (0..count).map(|key| row(&mut random, key)).collect();
        let rids = db.run(|tx| tx.insert(T, &specs(), &rows));
        wait_until_linked(db, GRAPH);
        db.checkpoint();
        rids
    };
    let file = |disk: &MemoryDisk| {
        let file = disk.open(&format!("graph/{GRAPH}")).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        bytes
    };
    let rids = insert(&db, 1000);
    let first = file(&disk);
    insert(&db, 200);
    assert!(file(&disk) == first, "a fifth of a small graph is not worth it");
    db.kill();
    let db = open(&disk);
    db.run(|tx| assert!(recall(tx, GRAPH, 100) >= 0.97));
    wait_until_linked(&db, GRAPH);
    db.run(|tx| assert!(recall(tx, GRAPH, 100) >= 0.97));
    insert(&db, 400);
    let second = file(&disk);
    assert!(second.len() > first.len(), "six hundred are");
    // What leaves the graph must leave the file before its number is given again.
    db.run(|tx| tx.delete(T, rids[7]));
    assert_eq!(db.engine.remove_dead_vectors(T).unwrap(), 1);
    db.checkpoint();
    assert!(file(&disk) != second);
    let third = file(&disk);
    insert(&db, 1);
    assert!(file(&disk) == third);
    // The clean end leaves nothing to catch up with.
    db.shutdown();
    assert!(file(&disk) != third);
    let db = open(&disk);
    db.run(|tx| assert!(recall(tx, GRAPH, 100) >= 0.97));
    let statistics = db.engine.index_statistics(GRAPH).unwrap();
    assert_eq!(statistics.linked_count, statistics.entry_count);
    db.shutdown();
}

/// Random changes, removals, checkpoints, crashes and old snapshots; the rows are the oracle throughout.
#[test]
fn numbers_given_again_survive_crashes() {
    for seed in 0..12 {
        let disk = Arc::new(MemoryDisk::new());
        let mut db = open(&disk);
        create(&db, &[GRAPH, OTHER]);
        let mut random = Random(seed + 1);
        let (mut live, mut key, mut most) = (Vec::new(), 0, 0);
        for step in 0..60 {
            match random.below(10) {
                0..=2 => {
                    let count = 1 + random.below(60);
                    let make = if random.below(4) == 0 { common_row } else { row };
                    let rows: Vec<Row> = (0..count).map(|_| make(&mut random, key)).collect();
                    key += 1;
                    live.extend(db.run(|tx| tx.insert(T, &specs(), &rows)));
                    most = most.max(live.len());
                }
                3 | 4 => {
                    let gone: Vec<u32> = live.extract_if(.., |_| random.below(3) == 0).collect();
                    db.run(|tx| gone.iter().for_each(|&rid| tx.delete(T, rid)));
                }
                5 => {
                    let changed: Vec<u32> =
                        live.iter().copied().filter(|_| random.below(4) == 0).collect();
                    db.run(|tx| {
                        for &rid in &changed {
                            let make = if random.below(4) == 0 { common_row } else { row };
                            let new = make(&mut random, key);
                            tx.update(T, rid, &specs(), &[1], new[1..].to_vec());
                        }
                    });
                }
                6 | 7 => {
                    db.engine.remove_dead_vectors(T).unwrap();
                }
                8 => db.checkpoint(),
                _ => {
                    db.kill();
                    assert_eq!(problems(&disk), [""; 0], "seed {seed}, step {step}");
                    db = open(&disk);
                }
            }
            db.run(|tx| {
                assert_eq!(tx.scan(T, &specs()).len(), live.len(), "seed {seed}, step {step}");
                for graph in [GRAPH, OTHER] {
                    let found = recall(tx, graph, 100);
                    assert!(found >= 0.97, "seed {seed}, step {step}, {graph}: {found}");
                }
            });
        }
        // What died can be used: after two checkpoints nothing of the past is named any more.
        db.run(|tx| live.iter().for_each(|&rid| tx.delete(T, rid)));
        wait_until_linked(&db, GRAPH);
        wait_until_linked(&db, OTHER);
        db.engine.remove_dead_vectors(T).unwrap();
        db.checkpoint();
        let before = db.engine.index_statistics(GRAPH).unwrap().entry_count;
        let rows: Vec<Row> = (0..before.min(50)).map(|_| row(&mut random, key)).collect();
        db.run(|tx| tx.insert(T, &specs(), &rows));
        let after = db.engine.index_statistics(GRAPH).unwrap().entry_count;
        assert_eq!(after, before, "seed {seed}");
        db.shutdown();
    }
}

/// Rays at right angles and zero, which is nearer to each than they are to one another, come one commit at a time.
#[test]
fn a_graph_of_vectors_far_from_one_another_is_stored_whole() {
    const RAYS: usize = 500;
    let specs = [INT, vector(RAYS as u32)];
    let disk = Arc::new(MemoryDisk::default());
    let db = open(&disk);
    db.run(|tx| {
        tx.handle.create_relation(T, &specs, false).unwrap();
        tx.create_index(hnsw(GRAPH, T, 1, RAYS as u32)).unwrap();
    });
    for keys in (0..=RAYS).collect::<Vec<_>>().chunks(20) {
        let ray = |&key: &usize| {
            let mut floats = vec![0.0; RAYS];
            if key > 0 {
                floats[key - 1] = 1.0 + 0.001 * (key % 97) as f32;
            }
            vec![Cell::Int(key as i32), Cell::Vector(floats)]
        };
        db.run(|tx| tx.insert(T, &specs, &keys.iter().map(ray).collect::<Vec<_>>()));
        wait_until_linked(&db, GRAPH);
    }
    db.checkpoint();
    drop(db);
    assert_eq!(problems(&disk), Vec::<String>::new());
}
