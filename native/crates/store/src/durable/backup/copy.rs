//! Copying a source to the target, and making the copy durable.

use std::sync::atomic::Ordering;

use omen_disk::{Disk, DiskFile, Kv, KvBatch, KvRange, KvSnapshot, create_dir_durably};

use super::Job;
use super::source::{Folder, Source};
use crate::error::Result;

/// Bytes copied at a time; between two pieces a cancel is looked for.
const PIECE: usize = 1 << 20;
/// Entries put into the target's store at a time.
const BATCH_ENTRIES: usize = 256;

/// Copies everything but `FORMAT`. Each file is let go when it is copied.
pub fn copy(source: Source, target: &dyn Disk, kv: &dyn Kv, job: &Job) -> Result<()> {
    let Source { vectors, hold, others, entries, commit: _ } = source;
    job.progress.enter("streaming database files");
    copy_folders(vectors, target, job)?;
    // First, because the engine takes fresh slots for new vectors until then.
    drop(hold);
    copy_folders(others, target, job)?;
    copy_entries(&*entries, kv, job)?;
    Ok(kv.persist()?)
}

fn copy_folders(folders: Vec<Folder>, target: &dyn Disk, job: &Job) -> Result<()> {
    for Folder { path, files } in folders.into_iter().filter(|folder| !folder.files.is_empty()) {
        create_dir_durably(target, &path)?;
        for (name, file) in files {
            copy_file(&*file, target, &format!("{path}/{name}"), job)?;
        }
        target.sync_dir(&path)?;
    }
    Ok(())
}

fn copy_file(from: &dyn DiskFile, target: &dyn Disk, path: &str, job: &Job) -> Result<()> {
    let to = target.create(path)?;
    let length = from.len()?;
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < length {
        job.check_interrupt()?;
        let piece = &mut buffer[..(length - at).min(PIECE as u64) as usize];
        from.read_at(at, piece)?;
        to.write_at(at, piece)?;
        at += piece.len() as u64;
        job.progress.done.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    Ok(to.sync_data()?)
}

fn copy_entries(from: &dyn KvSnapshot, to: &dyn Kv, job: &Job) -> Result<()> {
    let mut batch = KvBatch::new();
    let mut count = 0;
    for entry in from.scan(KvRange::prefix(b"")) {
        let (key, value) = entry?;
        let bytes = (key.len() + value.len()) as u64;
        batch.put(key, value);
        count += 1;
        job.progress.done.fetch_add(bytes, Ordering::Relaxed);
        if count % BATCH_ENTRIES == 0 {
            job.check_interrupt()?;
            to.apply(std::mem::take(&mut batch))?;
        }
    }
    Ok(to.apply(batch)?)
}
