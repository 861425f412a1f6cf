//! Rates of the engine on a real folder: durable commits, bulk inserts, opening, and searches.
//!
//! `cargo run --release -p omen-store --example rates -- FOLDER [ROWS]`; the folder must not exist.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use omen_disk::{FjallKv, OsDisk};
use omen_store::{
    Channel, ColumnRef, ColumnSpec, Engine, EngineOptions, IndexColumnSpec, IndexMethod, IndexSpec,
    Isolation, KeyKind, Notifier, Pending, Storage, StorageKind, Transaction, ValuesRef,
};

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

const T: u32 = 20_000;
const PK: u32 = 20_001;

fn insert(tx: &Transaction, from: i32, count: usize) {
    let keys: Vec<i32> = (from..from + count as i32).collect();
    let text = vec![b'x'; count * 90];
    let offsets: Vec<u32> = (0..=count as u32).map(|i| i * 90).collect();
    let nulls = vec![0; count];
    let columns = [
        ColumnRef { nulls: &nulls, values: ValuesRef::I32(&keys) },
        ColumnRef { nulls: &nulls, values: ValuesRef::Bytes { offsets: &offsets, bytes: &text } },
    ];
    let mut rids = vec![0; count];
    let written = tx.insert_rows(T, &columns, 0, count, &mut rids).unwrap();
    assert_eq!(written.done, count);
}

fn open(folder: &std::path::Path) -> (Arc<Engine>, Arc<Channel>, Tokens) {
    let disk = Arc::new(OsDisk::open(folder).unwrap());
    let kv = Arc::new(FjallKv::open(&folder.join("kv")).unwrap());
    let storage = Storage::Durable { disk, kv };
    let engine = Engine::open(EngineOptions { storage, pool_threads: 0, buffer_bytes: 0 }).unwrap();
    let tokens = Tokens::default();
    let channel = engine.open_channel(Box::new(tokens.clone()));
    (engine, channel, tokens)
}

fn commits(
    engine: &Arc<Engine>,
    channel: &Arc<Channel>,
    tokens: &Tokens,
    clients: usize,
    first: i32,
) {
    const EACH: usize = 200;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for client in 0..clients {
            scope.spawn(move || {
                let session = engine.open_session(channel);
                for i in 0..EACH {
                    let tx = session.begin(Isolation::ReadCommitted, false).unwrap();
                    tx.begin_statement().unwrap();
                    insert(&tx, first + (client * EACH + i) as i32, 1);
                    tokens.wait(tx.commit().unwrap());
                }
                session.close();
            });
        }
    });
    let rate = (clients * EACH) as f64 / start.elapsed().as_secs_f64();
    println!("{clients} clients: {rate:.0} durable single-row commits/s");
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = std::path::PathBuf::from(arguments.next().expect("a folder"));
    let rows: usize = arguments.next().map_or(200_000, |n| n.parse().expect("a number of rows"));
    std::fs::create_dir(&folder).expect("a new folder");
    let (engine, channel, tokens) = open(&folder);
    let session = engine.open_session(&channel);
    let tx = session.begin(Isolation::ReadCommitted, false).unwrap();
    let column = |kind| ColumnSpec { kind, dim: 0 };
    tx.create_relation(T, &[column(StorageKind::I32), column(StorageKind::Bytes)], false).unwrap();
    let columns = vec![IndexColumnSpec {
        column: 0,
        key_kind: KeyKind::Int,
        descending: false,
        nulls_first: false,
    }];
    let method = IndexMethod::Btree { unique: true, nulls_not_distinct: false };
    let spec = IndexSpec { index_id: PK, relation_id: T, method, columns };
    tx.create_index(spec, u64::MAX).unwrap();
    tokens.wait(tx.commit().unwrap());

    let start = Instant::now();
    let tx = session.begin(Isolation::ReadCommitted, false).unwrap();
    tx.begin_statement().unwrap();
    for from in (0..rows).step_by(4096) {
        insert(&tx, from as i32, 4096.min(rows - from));
    }
    let inserted = start.elapsed();
    tokens.wait(tx.commit().unwrap());
    let rate = rows as f64 / start.elapsed().as_secs_f64();
    println!("bulk: {rate:.0} rows/s with a primary key ({inserted:.1?} of it before the commit)");
    for clients in [1, 16] {
        commits(&engine, &channel, &tokens, clients, 100_000_000 * clients as i32 / 8);
    }
    session.close();
    let start = Instant::now();
    tokens.wait(engine.shutdown(&channel).unwrap());
    println!("shutdown {:.1?}", start.elapsed());
    drop(engine);
    let start = Instant::now();
    let (engine, channel, tokens) = open(&folder);
    let opened = start.elapsed();
    let live = engine.relation_statistics(T).unwrap().row_count;
    println!("opened in {opened:.1?}, {live} rows loaded after {:.1?}", start.elapsed());
    tokens.wait(engine.shutdown(&channel).unwrap());
}
