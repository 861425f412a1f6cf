//! kill -9 on a real folder: a child process commits and reports, is killed, and its successor must find everything it had
//! reported, whole. The page cache survives a kill, so this tests process death, not power loss; that is `engine/crash.rs`.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use omen_disk::{FjallKv, OsDisk};
use omen_store::{
    Channel, ColumnMut, ColumnRef, ColumnSpec, Engine, EngineOptions, Filled, Isolation, Notifier,
    Pending, Storage, StorageKind, ValuesMut, ValuesRef,
};

const FOLDER: &str = "OMEN_KILL_TEST_FOLDER";
const T: u32 = 20_000;
/// Rows of one commit: they come back all or none.
const ROWS: usize = 3;

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
    let options =
        EngineOptions { storage: Storage::Durable { disk, kv }, pool_threads: 1, buffer_bytes: 0 };
    // Small segments: checkpoints and recycling happen within the test.
    let engine = Engine::open_with_log_segments(options, 1 << 20).unwrap();
    let tokens = Tokens::default();
    let channel = engine.open_channel(Box::new(tokens.clone()));
    (engine, channel, tokens)
}

/// Numbers with their counts, from the stored table; empty before it exists.
fn stored(engine: &Arc<Engine>, channel: &Arc<Channel>) -> Vec<i32> {
    if engine.relation_statistics(T).is_err() {
        return Vec::new();
    }
    let session = engine.open_session(channel);
    let tx = session.begin(Isolation::ReadCommitted, true).unwrap();
    tx.begin_statement().unwrap();
    let mut cursor = tx.open_scan(T, &[0]).unwrap();
    let mut found = Vec::new();
    loop {
        let (mut values, mut nulls, mut rids) = (vec![0; 4096], vec![0; 4096], vec![0; 4096]);
        let buffer = ColumnMut { nulls: &mut nulls, values: ValuesMut::I32(&mut values) };
        match cursor.next(&mut [buffer], &mut rids).unwrap() {
            Filled::Rows(0) => break,
            Filled::Rows(n) => found.extend_from_slice(&values[..n]),
            Filled::TooSmall { .. } => unreachable!("no bytes columns"),
        }
    }
    drop(cursor);
    session.close();
    found
}

/// The child: commits one number after the other, three rows each, and reports each when it is acknowledged.
fn commit_for_ever(folder: &Path) {
    let (engine, channel, tokens) = open(folder);
    let mut number = stored(&engine, &channel).into_iter().max().unwrap_or(0);
    let session = engine.open_session(&channel);
    loop {
        number += 1;
        let tx = session.begin(Isolation::ReadCommitted, false).unwrap();
        if engine.relation_statistics(T).is_err() {
            tx.create_relation(T, &[ColumnSpec { kind: StorageKind::I32, dim: 0 }], false).unwrap();
        }
        tx.begin_statement().unwrap();
        let column = ColumnRef { nulls: &[0; ROWS], values: ValuesRef::I32(&[number; ROWS]) };
        tx.insert_rows(T, &[column], 0, ROWS, &mut [0; ROWS]).unwrap();
        tokens.wait(tx.commit().unwrap());
        tx.commit_result().unwrap();
        println!("acknowledged {number}");
        std::io::stdout().flush().unwrap();
        if number % 97 == 0 {
            tokens.wait(engine.checkpoint(&channel));
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_it_acknowledged() {
    if let Ok(folder) = std::env::var(FOLDER) {
        commit_for_ever(Path::new(&folder));
    }
    let folder: PathBuf = std::env::temp_dir().join(format!("omen-kill-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let mut acknowledged = 0;
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture", "a_killed_process"])
            .env(FOLDER, &folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let goal = acknowledged + 60 * round;
        // Everything the child said counts, also what it said before the kill reached it.
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(number) = line.strip_prefix("acknowledged ").and_then(|n| n.parse().ok()) {
                acknowledged = number;
                if number >= goal {
                    // Not waited for here: the pipe ends when the child is gone.
                    let _ = child.kill();
                }
            }
        }
        child.wait().unwrap();
        assert!(acknowledged >= goal, "the child stopped at {acknowledged}");
        let (engine, channel, tokens) = open(&folder);
        let mut found = stored(&engine, &channel);
        found.sort_unstable();
        let last = *found.last().unwrap();
        assert!(last >= acknowledged && last <= acknowledged + 1, "{last} of {acknowledged}");
        let expected: Vec<i32> = (1..=last).flat_map(|n| [n; ROWS]).collect();
        assert_eq!(found, expected);
        tokens.wait(engine.shutdown(&channel).unwrap());
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
