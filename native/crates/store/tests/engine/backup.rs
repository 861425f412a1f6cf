//! Backups taken while commits go on: each is the acknowledged history up to the commit it names, and passes the check.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::common::*;
use super::recovery::{T, check_indexes, contents, create, row, specs, try_open, try_open_with};
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
    let outcome = session.backup(open).and_then(|pending| {
        let Pending::Wait(token) = pending else { panic!("a backup takes its time") };
        db.tokens.wait(token);
        session.backup_result(token)
    });
    session.close();
    outcome
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
