//! A copy of a running database as of one commit.
//!
//! The applier thread writes a checkpoint and copies what it names while it does nothing else: the key-value store has
//! then exactly the definitions up to the checkpoint's commit, chunk files are never written again and none is removed,
//! and slots of vector segments that the manifests count are written and synced. Commits go on meanwhile; what they add
//! lies above the marks of the manifests and is not part of the copy, so the copy needs no log. Until it ends there is
//! no other checkpoint: log and heap grow by what is committed meanwhile.
//!
//! Graph and text files are copied as they are; a text file of a later commit than the checkpoint is rebuilt from rows
//! when the copy is opened. `FORMAT` is written last: a folder without it is no finished backup, and is refused. At the
//! end every sum of the copy is looked at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use omen_disk::{Disk, DiskErrorKind, Kv, KvBatch, KvRange, create_dir_durably};

use super::apply::{KEY_CHECKPOINT, get_u64, key_id};
use super::check::check_files;
use super::checkpoint::Checkpointer;
use super::derived::{GRAPH_DIR, TEXT_DIR};
use super::manifest::Manifest;
use super::open::list;
use super::{Durable, Work, format};
use crate::engine::{Engine, vector_name};
use crate::error::{Result, StoreError, sqlstate};
use crate::lock::next_token;
use crate::session::Channel;
use crate::sync::lock;
use crate::table::chunk_file;
use crate::types::Pending;

/// Opens the folder a backup goes to, and an empty key-value store inside it. Called in the engine's thread.
pub type OpenTarget = Box<dyn FnOnce() -> Result<(Arc<dyn Disk>, Arc<dyn Kv>)> + Send>;

/// Bytes copied at a time.
const PIECE: usize = 1 << 20;
/// Entries put into the target's store at a time.
const BATCH_ENTRIES: usize = 256;

/// Outcomes of backups that nobody has asked for yet, by token.
pub type Outcomes = Mutex<HashMap<u32, Result<u64>>>;

pub struct Request {
    open: OpenTarget,
    channel: Arc<Channel>,
    token: u32,
}

impl Durable {
    pub(super) fn backup_for(
        &self,
        engine: &Arc<Engine>,
        state: &mut Checkpointer,
        request: Request,
    ) {
        let Request { open, channel, token } = request;
        let outcome = match self.failure() {
            Some(error) => Err(error),
            None => self.backup(engine, state, open),
        };
        lock(&self.backups).insert(token, outcome);
        channel.deliver(&[token]);
    }

    /// Returns the commit number the copy is of.
    fn backup(&self, engine: &Engine, state: &mut Checkpointer, open: OpenTarget) -> Result<u64> {
        let (target, kv) = open()?;
        if let Err(error) = self.checkpoint(engine, state) {
            if !self.note_full(&error) {
                self.fail(&error);
            }
            return Err(error);
        }
        if !self.pending_relations().is_empty() {
            let message = "a damaged table keeps the database from being backed up";
            return Err(StoreError::corrupt(message));
        }
        let commit = get_u64(&*self.kv, KEY_CHECKPOINT)?.unwrap_or(0);
        self.copy_files(&*target)?;
        copy_entries(&*self.kv, &*kv)?;
        kv.persist()?;
        format::check(&*target, false)?;
        let damage = check_files(&*target, &*kv).into_iter().flat_map(|part| part.problems).next();
        kv.close()?;
        match damage {
            Some(problem) => Err(StoreError::corrupt(format!("the backup is damaged: {problem}"))),
            None => Ok(commit),
        }
    }

    fn copy_files(&self, target: &dyn Disk) -> Result<()> {
        let source = &*self.disk;
        for entry in self.kv.scan(KvRange::prefix(b"f")) {
            let (key, value) = entry?;
            let relation = key_id(&key, 1)?;
            let manifest = Manifest::decode(&value).map_err(|error| error.relation(relation))?;
            let mut files: Vec<u32> = manifest.chunks.iter().map(|c| c.place.file).collect();
            files.sort_unstable();
            files.dedup();
            let names = files.into_iter().map(chunk_file::name);
            copy_some(source, target, &chunk_file::dir(relation), names)?;
            for (column, _) in manifest.vectors {
                let dir = format!("vec/{}", vector_name(relation, column));
                let names = list(source, &dir)?;
                copy_some(source, target, &dir, names.into_iter())?;
            }
        }
        for dir in [GRAPH_DIR, TEXT_DIR] {
            let names = list(source, dir)?;
            let whole = names.into_iter().filter(|name| name.parse::<u32>().is_ok());
            copy_some(source, target, dir, whole)?;
        }
        Ok(())
    }
}

/// Copies files of a folder, which is created if there are any, durably.
fn copy_some(
    source: &dyn Disk,
    target: &dyn Disk,
    dir: &str,
    names: impl Iterator<Item = String>,
) -> Result<()> {
    let mut names = names.peekable();
    if names.peek().is_none() {
        return Ok(());
    }
    create_dir_durably(target, dir)?;
    for name in names {
        let path = format!("{dir}/{name}");
        let from = match source.open(&path) {
            Err(error) if error.kind == DiskErrorKind::NotFound => continue,
            from => from?,
        };
        let to = target.create(&path)?;
        let length = from.len()?;
        let mut buffer = vec![0; PIECE];
        let mut at = 0;
        while at < length {
            let piece = &mut buffer[..(length - at).min(PIECE as u64) as usize];
            from.read_at(at, piece)?;
            to.write_at(at, piece)?;
            at += piece.len() as u64;
        }
        to.sync_data()?;
    }
    Ok(target.sync_dir(dir)?)
}

fn copy_entries(from: &dyn Kv, to: &dyn Kv) -> Result<()> {
    let mut batch = KvBatch::new();
    let mut count = 0;
    for entry in from.scan(KvRange::prefix(b"")) {
        let (key, value) = entry?;
        batch.put(key, value);
        count += 1;
        if count % BATCH_ENTRIES == 0 {
            to.apply(std::mem::take(&mut batch))?;
        }
    }
    Ok(to.apply(batch)?)
}

impl Engine {
    /// Copies the database, as of one commit, to a folder that `open` gives (in the engine's thread: it may do I/O).
    /// Once the token is delivered, `backup_result` says how it went. 0A000 for a database in memory.
    pub fn backup(self: &Arc<Self>, channel: &Arc<Channel>, open: OpenTarget) -> Result<Pending> {
        let Some(durable) = &self.durable else {
            return Err(StoreError::unsupported("backup of a database in memory"));
        };
        let token = next_token(&self.next_token);
        let request = Request { open, channel: Arc::clone(channel), token };
        durable.send(Work::Backup(request));
        Ok(Pending::Wait(token))
    }

    /// The commit number of the backup that `token` was waited for, once; or why there is none.
    pub fn backup_result(&self, token: u32) -> Result<u64> {
        let durable = self.durable.as_ref();
        let outcome = durable.and_then(|durable| lock(&durable.backups).remove(&token));
        outcome.unwrap_or_else(|| {
            Err(StoreError::new(sqlstate::ADMIN_SHUTDOWN, "the server ended before the backup did"))
        })
    }
}
