//! How long a database takes to answer again after its process was killed.
//!
//! `restart FOLDER build [ROWS [VECTORS]]` fills a new folder (rows of about 100 bytes with a primary key; documents with
//! 384 dimensions under hnsw and a text under bm25), commits a little more and dies without a word. `restart FOLDER open`
//! opens it and reports the time to the first look-up, nearest-neighbour search, text search and full scan.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use omen_disk::{FjallKv, OsDisk};
use omen_store::{
    Channel, ColumnMut, ColumnRef, ColumnSpec, Engine, EngineOptions, Filled, GraphSpec,
    IndexColumnSpec, IndexMethod, IndexSpec, Isolation, KeyKind, KeyRange, Metric, Notifier,
    Pending, SearchMode, Session, Storage, StorageKind, TextConfig, Transaction, ValuesMut,
    ValuesRef, VectorQuery,
};

const ROWS: u32 = 20_000;
const ROWS_KEY: u32 = 20_001;
const DOCUMENTS: u32 = 20_010;
const GRAPH: u32 = 20_011;
const WORDS: u32 = 20_012;
const DIM: usize = 384;
const BATCH: usize = 4096;

#[derive(Default, Clone)]
struct Tokens(Arc<(Mutex<HashSet<u32>>, Condvar)>);

impl Notifier for Tokens {
    fn notify(&self, tokens: &[u32]) {
        self.0.0.lock().unwrap().extend(tokens);
        self.0.1.notify_all();
    }
}

impl Tokens {
    fn wait(&self, pending: Pending) {
        let Pending::Wait(token) = pending else { return };
        let guard = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(guard, |t| !t.remove(&token)).unwrap());
    }
}

fn open(folder: &Path) -> (Arc<Engine>, Arc<Channel>, Tokens) {
    let disk = Arc::new(OsDisk::open(folder).unwrap());
    let kv = Arc::new(FjallKv::open(&folder.join("kv")).unwrap());
    let storage = Storage::Durable { disk, kv };
    let engine = Engine::open(EngineOptions { storage, pool_threads: 0, buffer_bytes: 0 }).unwrap();
    let tokens = Tokens::default();
    let channel = engine.open_channel(Box::new(tokens.clone()));
    (engine, channel, tokens)
}

fn begin(session: &Arc<Session>) -> Arc<Transaction> {
    let tx = session.begin(Isolation::ReadCommitted, false).unwrap();
    tx.begin_statement().unwrap();
    tx
}

fn texts(count: usize, text: impl Fn(usize) -> String) -> (Vec<u32>, Vec<u8>) {
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    for i in 0..count {
        bytes.extend_from_slice(text(i).as_bytes());
        offsets.push(bytes.len() as u32);
    }
    (offsets, bytes)
}

fn insert(tx: &Transaction, relation: u32, columns: &[ColumnRef<'_>], count: usize) {
    let mut rids = vec![0; count];
    assert_eq!(tx.insert_rows(relation, columns, 0, count, &mut rids).unwrap().done, count);
}

fn insert_rows(tx: &Transaction, from: usize, count: usize) {
    let keys: Vec<i32> = (from..from + count).map(|k| k as i32).collect();
    let (offsets, bytes) = texts(count, |i| format!("{:>90}", from + i));
    let nulls = vec![0; count];
    let columns = [
        ColumnRef { nulls: &nulls, values: ValuesRef::I32(&keys) },
        ColumnRef { nulls: &nulls, values: ValuesRef::Bytes { offsets: &offsets, bytes: &bytes } },
    ];
    insert(tx, ROWS, &columns, count);
}

fn noise(at: u64) -> u64 {
    let mut x = at.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Vectors around 256 centres.
fn vector(number: usize) -> impl Iterator<Item = f32> {
    let centre = noise(number as u64) % 256;
    let unit = |seed: u64| (noise(seed) >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
    (0..DIM as u64)
        .map(move |d| unit(centre * 1000 + d) + 0.3 * unit((number as u64) << 20 | d | 1 << 63))
}

fn insert_documents(tx: &Transaction, from: usize, count: usize) {
    let floats: Vec<f32> = (from..from + count).flat_map(vector).collect();
    let word = |i: usize, w: u64| noise((i as u64) << 8 | w) % 20_000;
    let words = |i: usize| {
        let words: Vec<String> = (0..12).map(|w| format!("w{}", word(i, w))).collect();
        words.join(" ")
    };
    let (offsets, bytes) = texts(count, |i| words(from + i));
    let nulls = vec![0; count];
    let columns = [
        ColumnRef { nulls: &nulls, values: ValuesRef::Bytes { offsets: &offsets, bytes: &bytes } },
        ColumnRef { nulls: &nulls, values: ValuesRef::Vector { dim: DIM, values: &floats } },
    ];
    insert(tx, DOCUMENTS, &columns, count);
}

fn build(folder: &Path, rows: usize, vectors: usize) {
    std::fs::create_dir(folder).expect("a new folder");
    let (engine, channel, tokens) = open(folder);
    let session = engine.open_session(&channel);
    let tx = begin(&session);
    let column = |kind, dim| ColumnSpec { kind, dim };
    let text = column(StorageKind::Bytes, 0);
    tx.create_relation(ROWS, &[column(StorageKind::I32, 0), text], false).unwrap();
    tx.create_relation(DOCUMENTS, &[text, column(StorageKind::Vector, DIM as u32)], false).unwrap();
    let index = |index_id, relation_id, method, column| {
        let key_kind = KeyKind::Int;
        let column = IndexColumnSpec { column, key_kind, descending: false, nulls_first: false };
        let spec = IndexSpec { index_id, relation_id, method, columns: vec![column] };
        tx.create_index(spec, u64::MAX).unwrap()
    };
    let unique = IndexMethod::Btree { unique: true, nulls_not_distinct: false };
    tokens.wait(index(ROWS_KEY, ROWS, unique, 0));
    let hnsw = IndexMethod::Hnsw(GraphSpec::new(DIM as u32, Metric::L2));
    tokens.wait(index(GRAPH, DOCUMENTS, hnsw, 1));
    let bm25 = IndexMethod::Bm25 { config: TextConfig::Simple, k1: 1.2, b: 0.75 };
    tokens.wait(index(WORDS, DOCUMENTS, bm25, 0));
    tokens.wait(tx.commit().unwrap());
    let start = Instant::now();
    for from in (0..rows).step_by(BATCH) {
        let tx = begin(&session);
        insert_rows(&tx, from, BATCH.min(rows - from));
        tokens.wait(tx.commit().unwrap());
    }
    println!("{rows} rows in {:.1?}", start.elapsed());
    let start = Instant::now();
    for from in (0..vectors).step_by(BATCH) {
        let tx = begin(&session);
        insert_documents(&tx, from, BATCH.min(vectors - from));
        tokens.wait(tx.commit().unwrap());
    }
    while engine.index_statistics(GRAPH).unwrap().linked_count < vectors as u64 {
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{vectors} documents in {:.1?}", start.elapsed());
    tokens.wait(engine.checkpoint(&channel));
    for i in 0..1000 {
        let tx = begin(&session);
        insert_rows(&tx, rows + i, 1);
        insert_documents(&tx, vectors + i, 1);
        tokens.wait(tx.commit().unwrap());
    }
    std::process::abort();
}

fn reopen(folder: &Path) {
    let start = Instant::now();
    let (engine, channel, tokens) = open(folder);
    println!("opened after {:.2?}", start.elapsed());
    let session = engine.open_session(&channel);
    let tx = begin(&session);
    let key = [ColumnRef { nulls: &[0], values: ValuesRef::I32(&[4711]) }];
    let range = KeyRange {
        low: Some(&key),
        low_inclusive: true,
        high: Some(&key),
        high_inclusive: true,
        ..KeyRange::default()
    };
    let mut rids = [0; 10];
    let found = tx.open_index_scan(ROWS_KEY, &range, false).unwrap().next(&mut rids).unwrap();
    println!("first look-up by key after {:.2?}: {found} row", start.elapsed());
    let query: Vec<f32> = vector(17).collect();
    let mut distances = [0.0; 10];
    let query = VectorQuery {
        words: &query,
        k: 10,
        ef: 100,
        filter: None,
        mode: SearchMode::Auto,
        max_distances: 0,
    };
    let (found, stats) = tx.vector_search(GRAPH, &query, &mut rids, &mut distances).unwrap();
    println!(
        "first nearest neighbours after {:.2?}: {found}, path {}, {} distances",
        start.elapsed(),
        stats.path,
        stats.distances
    );
    let query = tx.text_query(WORDS, "w1 w2").unwrap();
    println!("first text query after {:.2?}: bound {}", start.elapsed(), query.match_bound());
    let mut cursor = tx.open_scan(ROWS, &[0]).unwrap();
    let mut count = 0;
    loop {
        let (mut values, mut nulls, mut rids) = (vec![0; BATCH], vec![0; BATCH], vec![0; BATCH]);
        let buffer = ColumnMut { nulls: &mut nulls, values: ValuesMut::I32(&mut values) };
        match cursor.next(&mut [buffer], &mut rids).unwrap() {
            Filled::Rows(0) => break,
            Filled::Rows(n) => count += n,
            Filled::TooSmall { .. } => unreachable!("no bytes column"),
        }
    }
    println!("all {count} rows scanned after {:.2?}", start.elapsed());
    drop(cursor);
    session.close();
    let start = Instant::now();
    tokens.wait(engine.shutdown(&channel).unwrap());
    println!("clean end in {:.2?}", start.elapsed());
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, or: usize| arguments.get(at).map_or(or, |n| n.parse().expect("a number"));
    match arguments.get(1).map(String::as_str) {
        Some("build") => {
            build(Path::new(&arguments[0]), number(2, 1_000_000), number(3, 200_000));
        }
        Some("open") => reopen(Path::new(&arguments[0])),
        _ => println!("restart FOLDER build [ROWS [VECTORS]] | restart FOLDER open"),
    }
}
