//! The recall that a search is asked for: an index knows from its own measurements how to reach it, once it is large enough
//! to be measured, and after a restart as before.

use std::sync::Arc;

use omen_disk::{Disk, MemoryDisk, MemoryKv};
use omen_store::*;

use super::backup::problems;
use super::common::*;

const T: u32 = 30_000;
const GRAPH: u32 = 30_002;
const DIM: usize = 8;

fn specs() -> [ColumnSpec; 2] {
    [INT, vector(DIM as u32)]
}

fn open(disk: &Arc<MemoryDisk>) -> Db {
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk)).unwrap());
    Db::open(Storage::Durable { disk, kv })
}

fn create(db: &Db) {
    db.run(|tx| {
        tx.handle.create_relation(T, &specs(), false).unwrap();
        tx.create_index(hnsw(GRAPH, T, 1, DIM as u32)).unwrap();
    });
}

fn insert(db: &Db, count: usize) {
    let mut random = Random(3);
    let mut row = |key: usize| {
        let floats = (0..DIM).map(|_| random.unit()).collect();
        vec![Cell::Int(key as i32), Cell::Vector(floats)]
    };
    let rows: Vec<Row> = (0..count).map(&mut row).collect();
    db.run(|tx| tx.insert(T, &specs(), &rows));
}

/// What a search for nine in ten says of itself.
fn asked(db: &Db) -> SearchStats {
    db.run(|tx| {
        let (mut rids, mut distances) = ([0; 10], [0.0; 10]);
        let query =
            VectorQuery { recall: 0.9, mode: SearchMode::Graph, ..closest(&[0.5; DIM], 10) };
        let (n, stats) = tx.handle.vector_search(GRAPH, &query, &mut rids, &mut distances).unwrap();
        assert_eq!(n, 10);
        stats
    })
}

/// As [`asked`], once the pool has measured the graph.
fn asked_when_measured(db: &Db) -> SearchStats {
    loop {
        let stats = asked(db);
        if stats.recall > 0.0 && stats.tail == 0 {
            return stats;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_graph_is_measured_when_it_is_large_enough_and_stays_so() {
    let disk = Arc::new(MemoryDisk::new());
    let db = open(&disk);
    create(&db);
    insert(&db, 300);
    let small = asked(&db);
    assert_eq!((small.beam, small.recall), (400, 0.0), "wide, where nothing is known");
    insert(&db, 900);
    let measured = asked_when_measured(&db);
    assert!(measured.recall >= 0.9 && measured.beam < 400, "{measured:?}");
    db.shutdown();
    let db = open(&disk);
    assert_eq!(asked(&db), measured, "stored with the graph");
    db.shutdown();
}

fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let bit = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
    let sum = bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit));
    (!sum).to_le_bytes()
}

/// The image, of floats, as version 2 wrote it: no points, no section of them and none after that (`hnsw/src/image/mod.rs`).
fn before_calibration(mut image: Vec<u8>) -> Vec<u8> {
    let [nodes, points] =
        [32, 56].map(|at| u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize);
    let row = 8 * usize::from(u16::from_le_bytes(image[12..14].try_into().unwrap()));
    let blocks = nodes.div_ceil(1 << (4096 / row).ilog2());
    let sections = [8 + points * 20, nodes.div_ceil(64) * 8, blocks * 4];
    let sums = image.split_off(image.len() - 12 * 4);
    image
        .truncate(image.len() - sections.map(|len| len.next_multiple_of(64)).iter().sum::<usize>());
    image[8..12].copy_from_slice(&2u32.to_le_bytes());
    image[56..60].fill(0);
    let header = crc32c(&image[..60]);
    image[60..64].copy_from_slice(&header);
    image.extend(&sums[..7 * 4]);
    image.extend(crc32c(&sums[..7 * 4]));
    image
}

#[test]
fn a_graph_of_the_version_before_is_opened_and_measured() {
    let disk = Arc::new(MemoryDisk::new());
    let db = open(&disk);
    create(&db);
    insert(&db, 1_200);
    let measured = asked_when_measured(&db);
    db.shutdown();
    let path = format!("graph/{GRAPH}");
    let file = disk.open(&path).unwrap();
    let mut image = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut image).unwrap();
    disk.put(&path, &before_calibration(image)).unwrap();
    assert_eq!(problems(&(Arc::clone(&disk) as Arc<dyn Disk>)), [] as [String; 0]);
    let db = open(&disk);
    assert_eq!(asked_when_measured(&db), measured, "the same graph");
    db.shutdown();
}
