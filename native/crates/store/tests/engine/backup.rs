//! Backups taken while commits go on: each is the acknowledged history up to the commit it names, and passes the check.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::common::*;
use super::recovery::{T, check_indexes, contents, create, row, specs, try_open, try_open_with};
use omen_disk::{Disk, Kv, MemoryDisk, MemoryKv};
use omen_store::*;

/// Copies the database; the commit number of the copy, and its folder.
fn backup(db: &Db) -> Result<(u64, Arc<dyn Disk>)> {
    let target: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let folder = Arc::clone(&target);
    let open = move || -> Result<(Arc<dyn Disk>, Arc<dyn Kv>)> {
        let kv = Arc::new(MemoryKv::open(Arc::clone(&folder))?);
        Ok((folder, kv))
    };
    let Pending::Wait(token) = db.engine.backup(&db.channel, Box::new(open))? else {
        panic!("a backup takes its time")
    };
    db.tokens.wait(token);
    Ok((db.engine.backup_result(token)?, target))
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
