//! Every byte of every file of a small database, changed one at a time: the answer is an error or the right rows.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::backup::problems;
use super::common::*;
use super::recovery::{
    GRAPH, T, check_indexes, contents, create, row, specs, try_open, try_open_with,
};
use omen_disk::{Disk, MemoryDisk};
use omen_store::VectorQuery;

/// Path and bytes of every file.
type Files = Vec<(String, Vec<u8>)>;

fn collect(disk: &dyn Disk, dir: &str, files: &mut Files) {
    for name in disk.list(dir).unwrap() {
        let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
        if disk.list(&path).is_ok() {
            collect(disk, &path, files);
            continue;
        }
        let file = disk.open(&path).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        files.push((path, bytes));
    }
}

/// Makes a database with rows in chunk files, in the stored tail and in the log, vectors, a graph and a text index,
/// and ends it; its rows.
pub fn fill(db: Db, is_clean: bool) -> Vec<Row> {
    create(&db);
    let rids = db.run(|tx| tx.insert(T, &specs(), &(0..40).map(row).collect::<Vec<_>>()));
    db.checkpoint();
    db.run(|tx| {
        tx.insert(T, &specs(), &[row(50), row(51)]);
        tx.update(T, rids[3], &specs(), &[1, 2], row(100)[1..].to_vec());
        tx.delete(T, rids[4]);
    });
    db.run(|tx| tx.insert(T, &specs(), &[row(60)]));
    let rows = contents(&db);
    if is_clean {
        db.shutdown();
    } else {
        db.kill();
    }
    rows
}

fn database(is_clean: bool) -> (Files, Vec<Row>) {
    let disk = Arc::new(MemoryDisk::new());
    let db = try_open_with(Arc::clone(&disk) as Arc<dyn Disk>, 2000).unwrap();
    let rows = fill(db, is_clean);
    let mut files = Files::new();
    collect(&*disk, "", &mut files);
    (files, rows)
}

fn disk_of(files: &Files) -> MemoryDisk {
    let disk = MemoryDisk::new();
    for (path, bytes) in files {
        if let Some((dir, _)) = path.rsplit_once('/') {
            disk.create_dir(dir).unwrap();
        }
        disk.put(path, bytes).unwrap();
    }
    disk
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The database does not open.
    Refused,
    /// It opens, and reading the table is an error.
    Error,
    /// All rows are there: rebuilt from others, or the byte means nothing.
    Right,
}

pub fn outcome(opened: omen_store::Result<Db>, expected: &[Row]) -> Outcome {
    let db = match opened {
        Ok(db) => db,
        Err(error) => {
            let clear = error.sqlstate == "XX001" || error.message.contains("incompatible");
            assert!(clear, "{error}");
            return Outcome::Refused;
        }
    };
    let read = || -> omen_store::Result<Vec<Row>> {
        let tx = db.begin(omen_store::Isolation::ReadCommitted);
        tx.statement();
        let mut rows: Vec<Row> =
            tx.try_scan(T, &specs())?.into_iter().map(|(_, row)| row).collect();
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        Ok(rows)
    };
    let outcome = match read() {
        Err(error) => {
            assert_eq!(error.sqlstate, "XX001", "{error}");
            Outcome::Error
        }
        Ok(rows) => {
            assert_eq!(rows, expected, "wrong rows");
            check_indexes(&db);
            Outcome::Right
        }
    };
    db.kill();
    outcome
}

/// The kind of a file: its folder, or its name.
fn kind(path: &str) -> String {
    let folder = path.split('/').next().unwrap_or(path);
    match path {
        "wal/acknowledged" => path.to_owned(),
        _ if path.starts_with("wal/spare") => "wal/spare".to_owned(),
        _ => folder.to_owned(),
    }
}

/// Changes every `step`th byte, and of runs of zeros that are longer than 32 only every `zero_step`th: room that is
/// reserved and not written. Prints the outcomes.
fn flip(step: usize, zero_step: usize) {
    for is_clean in [false, true] {
        let (mut files, expected) = database(is_clean);
        assert_eq!(problems(&(Arc::new(disk_of(&files)) as Arc<dyn Disk>)), [] as [String; 0]);
        let mut table: BTreeMap<(String, Outcome), usize> = BTreeMap::new();
        let (mut flips, mut zeros) = (0, 0);
        for number in 0..files.len() {
            let (path, bytes) = files[number].clone();
            for (at, byte) in bytes.iter().enumerate() {
                zeros = if *byte == 0 { zeros + 1 } else { 0 };
                if zeros > 32 && zeros % zero_step != 0 || zeros <= 32 && at % step != number % step
                {
                    continue;
                }
                files[number].1[at] ^= 1 << (at % 8);
                let result = catch_unwind(AssertUnwindSafe(|| {
                    outcome(try_open(Arc::new(disk_of(&files))), &expected)
                }));
                files[number].1[at] ^= 1 << (at % 8);
                let found = result.unwrap_or_else(|_| panic!("byte {at} of {path}"));
                *table.entry((kind(&path), found)).or_default() += 1;
                flips += 1;
            }
        }
        println!("{flips} flips, clean end: {is_clean}");
        for ((kind, outcome), count) in &table {
            println!("  {kind:16} {outcome:?}: {count}");
        }
        assert!(flips > 100, "{flips} flips");
    }
}

#[test]
fn a_flipped_byte_is_an_error_or_harmless() {
    flip(293, 20_000);
}

#[test]
#[ignore = "minutes: every byte"]
fn every_flipped_byte_is_an_error_or_harmless() {
    flip(1, 1000);
}

/// A damaged vector is the error of whoever needs it: a scan of it, every search that comes by; not of other columns.
#[test]
fn a_damaged_vector_is_found_by_who_reads_it() {
    let (files, rows) = database(true);
    let damaged = |at: usize| {
        let mut files = files.clone();
        let (_, bytes) = files.iter_mut().find(|(path, _)| path.starts_with("vec/")).unwrap();
        let start = 4096 + 16_384 * 4;
        assert!(bytes[start..start + 16].iter().any(|byte| *byte != 0), "the first row");
        bytes[start + at] ^= 4;
        try_open(Arc::new(disk_of(&files))).unwrap()
    };
    for mode in [omen_store::SearchMode::Exact, omen_store::SearchMode::Graph] {
        let db = damaged(1);
        let tx = db.begin(omen_store::Isolation::ReadCommitted);
        tx.statement();
        assert_eq!(tx.try_scan(T, &specs()[..2]).unwrap().len(), rows.len());
        let search = || {
            let (mut rids, mut distances) = ([0; 10], [0.0; 10]);
            let query = VectorQuery { ef: 200, mode, ..closest(&[0.5; 4], 10) };
            tx.handle.vector_search(GRAPH, &query, &mut rids, &mut distances).map(|_| ())
        };
        assert_eq!(search().unwrap_err().sqlstate, "XX001", "{mode:?}");
        assert_eq!(search().unwrap_err().sqlstate, "XX001", "and not only the first time");
        drop(tx);
        db.kill();
    }
    let db = damaged(15);
    let tx = db.begin(omen_store::Isolation::ReadCommitted);
    tx.statement();
    let mut distances = vec![0.0; rows.len()];
    let rids: Vec<u32> = (0..rows.len() as u32).collect();
    let distances = tx.handle.vector_distances(
        T,
        2,
        omen_store::Form::F32,
        4,
        omen_store::Metric::L2,
        &rids,
        &[0.5; 4],
        &mut distances,
    );
    assert_eq!(distances.unwrap_err().sqlstate, "XX001");
    assert_eq!(tx.try_scan(T, &specs()).unwrap_err().sqlstate, "XX001");
    drop(tx);
    db.shutdown();
}

/// Damage of a graph's links shows when they are touched. Answers are the right ones then, the file goes with the next checkpoint, and
/// the start after that has a graph again.
#[test]
fn a_damaged_graph_answers_exactly_and_is_built_anew() {
    let nearest = |db: &Db, mode| {
        let tx = db.begin(omen_store::Isolation::ReadCommitted);
        tx.statement();
        let (mut rids, mut distances) = ([0; 10], [0.0; 10]);
        let query = VectorQuery { ef: 200, mode, ..closest(&[0.5; 4], 10) };
        let (count, stats) =
            tx.handle.vector_search(GRAPH, &query, &mut rids, &mut distances).unwrap();
        assert_eq!(count, 10);
        (distances, stats.path)
    };
    // Graphs are built in the background.
    let wait_for_graph = |db: &Db| {
        while nearest(db, omen_store::SearchMode::Graph).1 != 0 {
            std::thread::yield_now();
        }
    };
    let (mut files, _) = database(true);
    let disk = Arc::new(disk_of(&files));
    let db = try_open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    wait_for_graph(&db);
    db.shutdown();
    files.clear();
    collect(&*disk, "", &mut files);
    let (path, bytes) = files.iter_mut().find(|(path, _)| path.starts_with("graph/")).unwrap();
    let path = path.clone();
    bytes[64 + 5] ^= 4;
    let disk = Arc::new(disk_of(&files));
    let db = try_open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    let (exact, _) = nearest(&db, omen_store::SearchMode::Exact);
    for _ in 0..2 {
        let (found, path) = nearest(&db, omen_store::SearchMode::Graph);
        assert_eq!(found, exact);
        assert_ne!(path, 0, "not by the graph alone");
    }
    db.shutdown();
    assert!(!disk.exists(&path).unwrap(), "nobody opens it again");
    let db = try_open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    wait_for_graph(&db);
    assert_eq!(nearest(&db, omen_store::SearchMode::Graph), (exact, 0));
    db.shutdown();
    assert!(disk.exists(&path).unwrap());
}

/// The check sees damage that a server would only meet when it reads there.
#[test]
fn the_check_names_damaged_files() {
    let (files, _) = database(true);
    for (path, what) in
        [("rows/", "chunk"), ("text/", "text/"), ("graph/", "graph/"), ("vec/", "vector")]
    {
        let mut damaged = files.clone();
        let file = damaged.iter_mut().find(|(name, _)| name.starts_with(path)).unwrap();
        let middle = file.1.iter().rposition(|byte| *byte != 0).unwrap();
        file.1[middle] ^= 1;
        let found = problems(&(Arc::new(disk_of(&damaged)) as Arc<dyn Disk>));
        assert!(found.iter().any(|problem| problem.contains(what)), "{path}: {found:?}");
    }
}
