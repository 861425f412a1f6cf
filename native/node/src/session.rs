//! A client's session.

use crate::backup::empty_folder;
use crate::channel::Courier;
use crate::engine::token;
use crate::error::{Result, guard, misuse};
use crate::transaction::EngineTransaction;
use napi::Env;
use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use omen_store::{Acquire, Isolation, Session, Transaction};
use std::sync::Arc;

/// Closes the session when the last JavaScript object that uses it is collected, so that a forgotten one gives its
/// locks back.
pub struct Closing {
    session: Arc<Session>,
    courier: Courier,
}

impl Closing {
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The way to the session's thread.
    pub(crate) fn courier(&self) -> &Courier {
        &self.courier
    }

    pub(crate) fn begin(&self, isolation: &str, read_only: bool) -> Result<Arc<Transaction>> {
        let isolation = match isolation {
            "read committed" => Isolation::ReadCommitted,
            "repeatable read" => Isolation::RepeatableRead,
            "serializable" => Isolation::Serializable,
            other => return Err(misuse(format!("isolation level {other}"))),
        };
        self.begin_as(isolation, read_only)
    }

    pub(crate) fn begin_as(
        &self,
        isolation: Isolation,
        read_only: bool,
    ) -> Result<Arc<Transaction>> {
        self.session.begin(isolation, read_only)
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.session.close();
    }
}

#[napi]
pub struct EngineSession {
    session: Arc<Session>,
    closing: Arc<Closing>,
}

impl EngineSession {
    pub(crate) fn new(session: Arc<Session>, courier: Courier) -> Self {
        let closing = Closing { session: Arc::clone(&session), courier };
        Self { closing: Arc::new(closing), session }
    }
}

/// 0 granted, -1 not available, else the wait token (which fits an i32).
pub fn acquired(acquire: Acquire) -> i32 {
    match acquire {
        Acquire::Granted => 0,
        Acquire::Unavailable => -1,
        Acquire::Wait(token) => token as i32,
    }
}

/// A bigint that must be an int8.
pub fn int8(value: &BigInt, what: &str) -> Result<i64> {
    match value.get_i64() {
        (value, true) => Ok(value),
        _ => Err(misuse(format!("{what} is outside int8"))),
    }
}

fn class(class_id: i32) -> Option<i32> {
    (class_id != -1).then_some(class_id)
}

#[napi]
impl EngineSession {
    #[napi]
    pub fn backup(&self, env: Env, path: String) -> napi::Result<u32> {
        guard(env, || Ok(token(self.session.backup(Box::new(move || empty_folder(&path)))?)))
    }

    #[napi]
    pub fn backup_result(&self, env: Env, token: u32) -> napi::Result<f64> {
        guard(env, || Ok(self.session.backup_result(token)? as f64))
    }

    #[napi]
    pub fn vacuum(&self, env: Env, relation_id: u32, full: bool) -> napi::Result<u32> {
        guard(env, || Ok(token(self.session.vacuum(relation_id, full)?)))
    }

    #[napi(getter)]
    pub fn process_id(&self) -> u32 {
        self.session.process_id()
    }

    #[napi(getter)]
    pub fn secret_key(&self) -> u32 {
        self.session.secret_key()
    }

    /// Polled once per batch, so it does nothing but read a flag.
    #[napi]
    pub fn interrupt(&self) -> u32 {
        u32::from(self.session.interrupt())
    }

    #[napi]
    pub fn clear_cancel(&self) {
        self.session.clear_cancel();
    }

    #[napi]
    pub fn advisory_lock(
        &self,
        env: Env,
        key: BigInt,
        class_id: i32,
        shared: bool,
        transaction_scope: bool,
        try_only: bool,
    ) -> napi::Result<i32> {
        guard(env, || {
            let key = int8(&key, "lock key")?;
            let session = &self.session;
            Ok(acquired(session.advisory_lock(
                key,
                class(class_id),
                shared,
                transaction_scope,
                try_only,
            )?))
        })
    }

    #[napi]
    pub fn advisory_unlock(
        &self,
        env: Env,
        key: BigInt,
        class_id: i32,
        shared: bool,
    ) -> napi::Result<bool> {
        guard(env, || {
            Ok(self.session.advisory_unlock(int8(&key, "lock key")?, class(class_id), shared))
        })
    }

    #[napi]
    pub fn advisory_unlock_all(&self, env: Env) -> napi::Result<()> {
        guard(env, || {
            self.session.advisory_unlock_all();
            Ok(())
        })
    }

    #[napi]
    pub fn check_deadlock(&self, env: Env) -> napi::Result<bool> {
        guard(env, || Ok(self.session.check_deadlock()))
    }

    #[napi]
    pub fn begin(
        &self,
        env: Env,
        isolation: String,
        read_only: bool,
    ) -> napi::Result<EngineTransaction> {
        guard(env, || {
            let transaction = self.closing.begin(&isolation, read_only)?;
            Ok(EngineTransaction::new(transaction, Arc::clone(&self.closing)))
        })
    }

    #[napi]
    pub fn close(&self, env: Env) -> napi::Result<()> {
        guard(env, || {
            self.session.close();
            Ok(())
        })
    }
}
