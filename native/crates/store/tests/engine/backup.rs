//! Backups taken while commits and checkpoints go on: each is the acknowledged history up to the commit it names, and passes
//! the check.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::common::*;
use super::recovery::{
    GRAPH, T, check_indexes, contents, create, row, specs, try_open, try_open_with,
};
use omen_disk::{Disk, Fault, FaultyDisk, Kv, MemoryDisk, MemoryKv};
use omen_store::*;

/// A folder in memory, and whether it was discarded.
fn target(folder: &Arc<dyn Disk>, discarded: &Arc<AtomicBool>) -> OpenTarget {
    let (disk, discarded) = (Arc::clone(folder), Arc::clone(discarded));
    Box::new(move || {
        let kv: Arc<dyn Kv> = Arc::new(MemoryKv::open(Arc::clone(&disk))?);
        let discard = Box::new(move || discarded.store(true, Ordering::Relaxed));
        Ok(BackupTarget { disk, kv, discard })
    })
}

/// Runs a backup to its end.
fn run(db: &Db, open: OpenTarget) -> Result<u64> {
    let session = db.session();
    let outcome = session.backup(open).and_then(|pending| end(db, &session, pending));
    session.close();
    outcome
}

fn end(db: &Db, session: &Session, pending: Pending) -> Result<u64> {
    let Pending::Wait(token) = pending else { panic!("a backup takes its time") };
    db.tokens.wait(token);
    session.backup_result(token)
}

/// Copies the database; the commit number of the copy, and its folder.
fn backup(db: &Db) -> Result<(u64, Arc<dyn Disk>)> {
    let folder: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let commit = run(db, target(&folder, &Arc::default()))?;
    Ok((commit, folder))
}

/// What the check finds wrong.
pub fn problems(disk: &Arc<dyn Disk>) -> Vec<String> {
    let kv: Arc<dyn Kv> = match MemoryKv::open(Arc::clone(disk)) {
        Ok(kv) => Arc::new(kv),
        Err(error) => return vec![error.to_string()],
    };
    check(disk, &kv).into_iter().flat_map(|part| part.problems).collect()
}

#[test]
fn a_backup_under_load_is_the_history_up_to_its_commit() {
    // Few buffer bytes: checkpoints come by themselves, rows move to chunk files while they are copied.
    let db = try_open_with(Arc::new(MemoryDisk::new()), 20_000).unwrap();
    create(&db);
    let (first, _) = backup(&db).unwrap();
    let done = AtomicBool::new(false);
    let copies = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0;
            while !done.load(Ordering::Relaxed) && written < 20_000 {
                db.run(|tx| tx.insert(T, &specs(), &[row(written)]));
                written += 1;
            }
            written
        });
        let copies: Vec<_> = (0..6).map(|_| backup(&db).unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(writer.join().unwrap() > 0);
        copies
    });
    db.kill();
    for (commit, folder) in copies {
        assert_eq!(problems(&folder), [] as [String; 0]);
        let copy = try_open(folder).unwrap();
        // One row a commit, in order.
        let mut expected: Vec<Row> = (0..(commit - first) as i32).map(row).collect();
        expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(contents(&copy), expected, "as of commit {commit}");
        check_indexes(&copy);
        // It is a database like any other.
        copy.run(|tx| tx.insert(T, &specs(), &[row(1_000_000)]));
        assert_eq!(contents(&copy).len(), expected.len() + 1);
        copy.shutdown();
    }
}

#[test]
fn a_database_in_memory_has_no_backup() {
    let error = backup(&Db::memory()).err().unwrap();
    assert_eq!(error.sqlstate, "0A000");
}

#[test]
fn a_failed_backup_is_taken_away_and_harms_nothing() {
    let db = try_open(Arc::new(MemoryDisk::new())).unwrap();
    create(&db);
    db.run(|tx| tx.insert(T, &specs(), &(0..50).map(row).collect::<Vec<_>>()));
    let twin = FaultyDisk::new();
    twin.inject(Fault::NoSpaceAfter { bytes: 100_000 });
    let (full, discarded): (Arc<dyn Disk>, _) = (Arc::new(twin), Arc::default());
    let error = run(&db, target(&full, &discarded)).unwrap_err();
    assert_eq!(error.sqlstate, "53100", "{error}");
    assert!(discarded.load(Ordering::Relaxed));
    // The full disk was the copy's, not the database's.
    db.run(|tx| tx.insert(T, &specs(), &[row(60)]));
    assert_eq!(db.engine.backup_progress(), []);
    assert!(backup(&db).is_ok());
    db.shutdown();
}

#[test]
fn a_cancelled_backup_ends() {
    let db = try_open(Arc::new(MemoryDisk::new())).unwrap();
    create(&db);
    let session = db.session();
    let discarded = Arc::default();
    let open = target(&(Arc::new(MemoryDisk::new()) as Arc<dyn Disk>), &discarded);
    let (engine, process_id) = (Arc::clone(&db.engine), session.process_id());
    // The cancel comes when the copy is about to begin.
    let cancelled: OpenTarget = Box::new(move || {
        assert_eq!(engine.backup_progress()[0].process_id, process_id);
        engine.cancel_session(process_id, None);
        open()
    });
    let Pending::Wait(token) = session.backup(cancelled).unwrap() else { panic!("it waits") };
    db.tokens.wait(token);
    assert_eq!(session.backup_result(token).unwrap_err().sqlstate, "57014");
    assert!(discarded.load(Ordering::Relaxed));
    session.close();
    db.shutdown();
}

/// A backup that has opened its source and waits for its target to take the first of the files that begin with a prefix.
struct Slow {
    session: Arc<Session>,
    pending: Pending,
    target: FaultyDisk,
    discarded: Arc<AtomicBool>,
}

fn begin_slowly(db: &Db, prefix: &str) -> Slow {
    let (target_disk, discarded) = (FaultyDisk::new(), Arc::default());
    target_disk.stall(prefix);
    let folder: Arc<dyn Disk> = Arc::new(target_disk.clone());
    let session = db.session();
    let pending = session.backup(target(&folder, &discarded)).unwrap();
    target_disk.wait_until_stalled();
    Slow { session, pending, target: target_disk, discarded }
}

impl Slow {
    fn go_on(self, db: &Db) -> Result<u64> {
        self.target.go_on();
        let outcome = end(db, &self.session, self.pending);
        self.session.close();
        outcome
    }
}

const OTHER: u32 = 20_010;
const OTHER_SPECS: [ColumnSpec; 2] = [INT, ColumnSpec { kind: StorageKind::Vector, dim: 4 }];

fn others(db: &Db) -> Vec<(u32, Row)> {
    db.run(|tx| tx.scan(OTHER, &OTHER_SPECS))
}

fn fill_other(db: &Db) {
    db.run(|tx| {
        tx.handle.create_relation(OTHER, &OTHER_SPECS, false).unwrap();
        let rows: Vec<Row> = (0..100).map(|k| vec![Cell::Int(k), row(k)[2].clone()]).collect();
        tx.insert(OTHER, &OTHER_SPECS, &rows);
    });
}

/// New text and vector for every row; the numbers of the old vectors are free afterwards if a checkpoint can free them.
fn update_all(db: &Db, rids: &[u32], round: i32) {
    let specs = specs();
    db.run(|tx| {
        for &rid in rids {
            let other = row(round * 1000 + rid as i32);
            let body = text(&format!("green {round} {}", "x".repeat(2000)));
            tx.update(T, rid, &specs, &[1, 2], vec![body, other[2].clone()]);
        }
    });
    db.engine.remove_dead_vectors(T).unwrap();
    db.checkpoint();
}

fn lengths(disk: &dyn Disk, dir: &str) -> u64 {
    let names = disk.list(dir).unwrap_or_default();
    names.iter().map(|name| disk.open(&format!("{dir}/{name}")).unwrap().len().unwrap()).sum()
}

fn wait_until_linked(db: &Db) {
    while {
        let graph = db.engine.index_statistics(GRAPH).unwrap();
        graph.linked_count < graph.entry_count
    } {
        std::thread::yield_now();
    }
}

#[test]
fn checkpoints_go_on_beside_a_slow_backup() {
    // The copy waits with all files ahead of it, and with those of vectors done.
    for stalled_at in ["vec/", "rows/"] {
        let disk = Arc::new(MemoryDisk::new());
        let db = try_open_with(Arc::clone(&disk) as Arc<dyn Disk>, 20_000).unwrap();
        create(&db);
        fill_other(&db);
        let rids = db.run(|tx| tx.insert(T, &specs(), &(0..300).map(row).collect::<Vec<_>>()));
        // Rows in files, and numbers of dead vectors on their way.
        (0..2).for_each(|round| update_all(&db, &rids, round));
        let (before, other) = (contents(&db), others(&db));
        let slow = begin_slowly(&db, stalled_at);
        let progress = db.engine.backup_progress();
        assert_eq!(progress[0].phase, "streaming database files");
        db.run(|tx| tx.handle.drop_relation(OTHER).unwrap());
        let mut logged = 0;
        for round in 2..12 {
            update_all(&db, &rids, round);
            wait_until_linked(&db);
            logged += rids.len() * 2000;
        }
        let session = db.session();
        if let Pending::Wait(token) = session.vacuum(T, true).unwrap() {
            db.tokens.wait(token);
        }
        session.close();
        db.run(|tx| rids[100..].iter().for_each(|&rid| tx.delete(T, rid)));
        db.checkpoint();
        let log = lengths(&*disk, "wal");
        assert!(logged > 5_000_000 && log < 2_500_000, "{log} bytes of log after {logged}");
        // A crash now would leave nothing of what the copy still needs.
        assert_eq!(lengths(&*disk, &format!("vec/{OTHER}.1")), 0);
        assert_eq!(lengths(&*disk, &format!("rows/{OTHER}")), 0);
        let folder: Arc<dyn Disk> = Arc::new(slow.target.clone());
        slow.go_on(&db).unwrap();
        assert_eq!(db.engine.backup_progress(), []);
        assert_eq!(problems(&folder), [] as [String; 0]);
        let copy = try_open(folder).unwrap();
        assert!(contents(&copy) == before, "as of its checkpoint");
        assert!(others(&copy) == other, "with what was dropped since");
        check_indexes(&copy);
        copy.shutdown();
        db.shutdown();
    }
}

#[test]
fn numbers_are_given_again_once_a_backup_has_the_vectors() {
    for is_cancelled in [false, true] {
        let db = try_open(Arc::new(MemoryDisk::new())).unwrap();
        create(&db);
        let rids = db.run(|tx| tx.insert(T, &specs(), &(0..300).map(row).collect::<Vec<_>>()));
        update_all(&db, &rids, 0);
        let given = || db.engine.index_statistics(GRAPH).unwrap().entry_count;
        let update = |round| {
            wait_until_linked(&db);
            update_all(&db, &rids, round);
        };
        (1..4).for_each(update);
        let bounded = given();
        assert!(bounded <= 900, "{bounded} numbers");
        let slow = begin_slowly(&db, "vec/");
        (4..8).for_each(update);
        let held = given();
        assert!(held >= bounded + 600, "{held} numbers after {bounded}");
        if is_cancelled {
            db.engine.cancel_session(slow.session.process_id(), None);
        }
        let discarded = Arc::clone(&slow.discarded);
        let outcome = slow.go_on(&db);
        let sqlstate = outcome.err().map(|error| error.sqlstate.into_owned());
        assert_eq!(sqlstate.as_deref(), is_cancelled.then_some("57014"));
        assert_eq!(discarded.load(Ordering::Relaxed), is_cancelled);
        (8..12).for_each(update);
        assert_eq!(given(), held);
        check_indexes(&db);
        db.shutdown();
    }
}

#[test]
fn the_end_of_the_engine_ends_a_backup() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let db = try_open(Arc::clone(&disk)).unwrap();
    create(&db);
    db.run(|tx| tx.insert(T, &specs(), &(0..50).map(row).collect::<Vec<_>>()));
    let slow = begin_slowly(&db, "vec/");
    db.engine.terminate_session(slow.session.process_id());
    slow.session.close();
    let expected = contents(&db);
    std::thread::scope(|scope| {
        let end = scope.spawn(|| db.shutdown());
        slow.target.go_on();
        end.join().unwrap();
    });
    assert!(slow.discarded.load(Ordering::Relaxed));
    let db = try_open(disk).unwrap();
    assert_eq!(contents(&db), expected);
    db.shutdown();
}
