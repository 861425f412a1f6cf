//! The engine of the process and its handles, one a thread.

use crate::channel::{Channel, Courier, Tokens};
use crate::error::{Result, guard, misuse};
use crate::session::EngineSession;
use napi::Env;
use napi::bindgen_prelude::{Function, Object, Uint32Array};
use napi_derive::napi;
use omen_disk::{DirLock, Disk, DiskError, FjallKv, OsDisk};
use omen_store::{EngineOptions, Notifier, Pending, Storage, StoreError, sqlstate};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The engine every thread of the process shares, with the hold on its folder.
struct Open {
    engine: Arc<omen_store::Engine>,
    _folder: Option<DirLock>,
}

static OPEN: Mutex<Option<Open>> = Mutex::new(None);

fn open_slot() -> MutexGuard<'static, Option<Open>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn disk_failed(error: &DiskError) -> StoreError {
    let mut failed = StoreError::new(sqlstate::INTERNAL, error.to_string());
    failed.sqlstate = Cow::Borrowed(error.sqlstate());
    failed
}

fn open_storage(path: Option<&str>) -> Result<(Storage, Option<DirLock>)> {
    let Some(path) = path else { return Ok((Storage::Memory, None)) };
    let open = || -> omen_disk::Result<_> {
        let disk = OsDisk::open(path)?;
        let folder = disk.lock()?;
        let kv = FjallKv::open(&std::path::Path::new(path).join("kv"))?;
        Ok((Storage::Durable { disk: Arc::new(disk), kv: Arc::new(kv) }, Some(folder)))
    };
    open().map_err(|error| disk_failed(&error))
}

#[napi]
pub fn open_engine(env: Env, options: Object<'_>) -> napi::Result<Engine> {
    let path: Option<String> = options.get("path")?;
    let pool_threads: Option<u32> = options.get("poolThreads")?;
    let buffer_bytes: Option<f64> = options.get("bufferBytes")?;
    guard(env, || {
        let mut slot = open_slot();
        if slot.is_some() {
            return Err(StoreError::new(
                sqlstate::OBJECT_IN_USE,
                "an engine is already open in this process",
            ));
        }
        let (storage, folder) = open_storage(path.as_deref())?;
        let pool_threads = pool_threads.unwrap_or(0) as usize;
        let buffer_bytes = buffer_bytes.map_or(0, |bytes| bytes.max(1.0) as u64);
        let options = EngineOptions { storage, pool_threads, buffer_bytes };
        let engine = omen_store::Engine::open(options)?;
        *slot = Some(Open { engine: Arc::clone(&engine), _folder: folder });
        Ok(Engine { shared: engine, courier: None, channel: None })
    })
}

#[napi(object)]
pub struct CheckedPart {
    pub name: String,
    pub count: f64,
    pub problems: Vec<String>,
}

#[napi]
pub fn check_database(env: Env, path: String) -> napi::Result<Vec<CheckedPart>> {
    guard(env, || {
        let (storage, _folder) = open_storage(Some(&path))?;
        let Storage::Durable { disk, kv } = storage else { return Ok(Vec::new()) };
        let parts = omen_store::check(&disk, &kv).into_iter();
        let part = |part: omen_store::CheckedPart| CheckedPart {
            name: part.name.to_owned(),
            count: part.count as f64,
            problems: part.problems,
        };
        Ok(parts.map(part).collect())
    })
}

#[napi]
pub fn attach_engine(env: Env) -> napi::Result<Engine> {
    guard(env, || {
        let engine = open_slot().as_ref().map(|open| Arc::clone(&open.engine));
        let engine = engine.ok_or_else(|| misuse("no engine is open in this process"))?;
        Ok(Engine { shared: engine, courier: None, channel: None })
    })
}

#[napi]
pub struct Engine {
    shared: Arc<omen_store::Engine>,
    /// The last channel opened through this handle: where its own wait tokens go.
    courier: Option<Courier>,
    channel: Option<Arc<omen_store::Channel>>,
}

#[napi(object)]
pub struct CatalogChange {
    pub key: String,
    pub value: Option<String>,
}

#[napi(object)]
pub struct CatalogChanges {
    pub version: f64,
    pub changes: Vec<CatalogChange>,
}

#[napi(object)]
pub struct RelationStatistics {
    pub row_count: f64,
    pub dead_count: f64,
    pub reclaimed_count: f64,
    pub size_bytes: f64,
    pub chunk_count: f64,
    pub vacuums: f64,
    pub last_vacuum: f64,
    pub collections: f64,
    pub last_collection: f64,
}

#[napi(object)]
pub struct LockStatus {
    pub kind: String,
    pub object_id: u32,
    pub sub_id: u32,
    pub is_wide: bool,
    pub process_id: u32,
    pub mode: u32,
    pub is_granted: bool,
    pub wait_start: Option<f64>,
}

/// `object_id` and `sub_id`: relation; relation and row; index and hash; the two halves of an advisory key.
fn lock_status(status: omen_store::LockStatus) -> LockStatus {
    use omen_store::{LockTag, MODE_DEPARTURE};
    let (kind, object_id, sub_id) = match status.tag {
        LockTag::Relation(id) if status.mode == MODE_DEPARTURE => ("writers", id, 0),
        LockTag::Relation(id) => ("relation", id, 0),
        LockTag::Row { relation, rid } => ("row", relation, rid),
        LockTag::Key { index, hash } => ("key", index, hash as u32),
        LockTag::Keys { index, process_id } => ("key", index, process_id),
        LockTag::Advisory { class: Some(class), key } => ("advisory", class as u32, key as u32),
        LockTag::Advisory { class: None, key } => {
            ("advisory", ((key as u64) >> 32) as u32, key as u32)
        }
    };
    LockStatus {
        kind: kind.to_owned(),
        object_id,
        sub_id,
        is_wide: matches!(status.tag, LockTag::Advisory { class: None, .. }),
        process_id: status.process_id,
        mode: u32::from(status.mode),
        is_granted: status.granted,
        wait_start: status.wait_start,
    }
}

#[napi(object)]
pub struct IndexStatistics {
    pub entry_count: f64,
    pub size_bytes: f64,
    pub linked_count: f64,
    pub reclaimed_count: f64,
}

#[napi(object)]
pub struct BuildProgress {
    pub index_id: u32,
    pub relation_id: u32,
    pub process_id: u32,
    pub label: String,
    pub phase: String,
    pub done: f64,
    pub total: f64,
}

#[napi(object)]
pub struct VacuumProgress {
    pub process_id: u32,
    pub relation_id: u32,
    pub phase: String,
    pub chunks: f64,
    pub scanned: f64,
    pub rewritten: f64,
    pub dead: f64,
    pub dropped: f64,
}

#[napi(object)]
pub struct BackupProgress {
    pub process_id: u32,
    pub phase: String,
    pub done: f64,
    pub total: f64,
}

pub fn token(pending: Pending) -> u32 {
    match pending {
        Pending::Done => 0,
        Pending::Wait(token) => token,
    }
}

/// Lets go of the engine and its folder once the shutdown is through, then passes the token on.
struct Release(Courier);

impl Notifier for Release {
    fn notify(&self, tokens: &[u32]) {
        release();
        self.0.notify(tokens);
    }
}

fn release() {
    let open = open_slot().take();
    drop(open);
}

impl Engine {
    fn courier(&self) -> Result<&Courier> {
        self.courier
            .as_ref()
            .ok_or_else(|| misuse("open a channel first: wait tokens need a way back"))
    }
}

#[napi]
impl Engine {
    #[napi]
    pub fn open_channel(
        &mut self,
        env: Env,
        deliver: Function<'_, Tokens, ()>,
        syncs_alone: Option<bool>,
    ) -> napi::Result<Channel> {
        let channel = Channel::open(env, &self.shared, deliver)?;
        if syncs_alone == Some(true) {
            channel.handle().sync_alone();
        }
        self.courier = Some(channel.courier.clone());
        self.channel = Some(Arc::clone(channel.handle()));
        Ok(channel)
    }

    #[napi]
    pub fn open_session(&self, env: Env, channel: &Channel) -> napi::Result<EngineSession> {
        guard(env, || {
            let session = self.shared.open_session(channel.handle());
            channel.adopt(&session);
            Ok(EngineSession::new(session, channel.courier.clone()))
        })
    }

    #[napi]
    pub fn cancel_session(
        &self,
        env: Env,
        process_id: u32,
        secret_key: Option<u32>,
    ) -> napi::Result<bool> {
        guard(env, || Ok(self.shared.cancel_session(process_id, secret_key)))
    }

    #[napi]
    pub fn terminate_session(&self, env: Env, process_id: u32) -> napi::Result<bool> {
        guard(env, || Ok(self.shared.terminate_session(process_id)))
    }

    #[napi]
    pub fn session_ids(&self, env: Env) -> napi::Result<Uint32Array> {
        guard(env, || Ok(self.shared.session_ids().into()))
    }

    #[napi]
    pub fn blocking_sessions(&self, env: Env, process_id: u32) -> napi::Result<Uint32Array> {
        guard(env, || Ok(self.shared.blocking_sessions(process_id).into()))
    }

    #[napi]
    pub fn lock_statuses(&self, env: Env) -> napi::Result<Vec<LockStatus>> {
        guard(env, || Ok(self.shared.lock_statuses().into_iter().map(lock_status).collect()))
    }

    #[napi]
    pub fn allocate_oid(&self, env: Env) -> napi::Result<u32> {
        guard(env, || self.shared.allocate_oid())
    }

    #[napi]
    pub fn catalog_version(&self, env: Env) -> napi::Result<f64> {
        guard(env, || Ok(self.shared.catalog_version() as f64))
    }

    #[napi]
    pub fn catalog_changes(&self, env: Env, version: f64) -> napi::Result<CatalogChanges> {
        guard(env, || {
            let (version, changes) = self.shared.catalog_changes(version as u64);
            let changes = changes.into_iter();
            let changes =
                changes.map(|change| CatalogChange { key: change.key, value: change.value });
            Ok(CatalogChanges { version: version as f64, changes: changes.collect() })
        })
    }

    #[napi]
    pub fn relation_statistics(
        &self,
        env: Env,
        relation_id: u32,
    ) -> napi::Result<RelationStatistics> {
        guard(env, || {
            let found = self.shared.relation_statistics(relation_id)?;
            Ok(RelationStatistics {
                row_count: found.row_count as f64,
                dead_count: found.dead_count as f64,
                reclaimed_count: found.reclaimed_count as f64,
                size_bytes: found.size_bytes as f64,
                chunk_count: found.chunk_count as f64,
                vacuums: found.runs.vacuums as f64,
                last_vacuum: found.runs.last_vacuum_ms,
                collections: found.runs.collections as f64,
                last_collection: found.runs.last_collection_ms,
            })
        })
    }

    #[napi]
    pub fn index_statistics(&self, env: Env, index_id: u32) -> napi::Result<IndexStatistics> {
        guard(env, || {
            let found = self.shared.index_statistics(index_id)?;
            Ok(IndexStatistics {
                entry_count: found.entry_count as f64,
                size_bytes: found.size_bytes as f64,
                linked_count: found.linked_count as f64,
                reclaimed_count: found.reclaimed_count as f64,
            })
        })
    }

    #[napi]
    pub fn index_entry_count(&self, env: Env, index_id: u32) -> napi::Result<f64> {
        guard(env, || Ok(self.shared.index_statistics(index_id)?.entry_count as f64))
    }

    #[napi]
    pub fn build_progress(&self, env: Env) -> napi::Result<Vec<BuildProgress>> {
        guard(env, || {
            let running = self.shared.build_progress().into_iter();
            let running = running.map(|build| BuildProgress {
                index_id: build.index_id,
                relation_id: build.relation_id,
                process_id: build.process_id,
                label: build.label,
                phase: build.phase.to_owned(),
                done: build.done as f64,
                total: build.total as f64,
            });
            Ok(running.collect())
        })
    }

    #[napi]
    pub fn checkpoint(&self, env: Env) -> napi::Result<u32> {
        guard(env, || {
            self.courier()?;
            let channel = self.channel.as_ref().ok_or_else(|| misuse("the channel is closed"))?;
            Ok(token(self.shared.checkpoint(channel)))
        })
    }

    #[napi]
    pub fn vacuum_progress(&self, env: Env) -> napi::Result<Vec<VacuumProgress>> {
        guard(env, || {
            let running = self.shared.vacuum_progress().into_iter();
            let running = running.map(|vacuum| VacuumProgress {
                process_id: vacuum.process_id,
                relation_id: vacuum.relation_id,
                phase: vacuum.phase.to_owned(),
                chunks: vacuum.chunks as f64,
                scanned: vacuum.scanned as f64,
                rewritten: vacuum.rewritten as f64,
                dead: vacuum.dead as f64,
                dropped: vacuum.dropped as f64,
            });
            Ok(running.collect())
        })
    }

    #[napi]
    pub fn backup_progress(&self, env: Env) -> napi::Result<Vec<BackupProgress>> {
        guard(env, || {
            let running = self.shared.backup_progress().into_iter();
            let running = running.map(|backup| BackupProgress {
                process_id: backup.process_id,
                phase: backup.phase.to_owned(),
                done: backup.done as f64,
                total: backup.total as f64,
            });
            Ok(running.collect())
        })
    }

    #[napi]
    pub fn shutdown(&self, env: Env) -> napi::Result<u32> {
        guard(env, || {
            // A channel of its own, because the folder may be let go only when everything is on disk.
            let channel = self.shared.open_channel(Box::new(Release(self.courier()?.clone())));
            let token = token(self.shared.shutdown(&channel)?);
            if token == 0 {
                release();
            }
            Ok(token)
        })
    }
}
