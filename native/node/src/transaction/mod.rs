//! A transaction, the bulk of the contract: its life and its locks here, what it does in the parts. Positions, counts and
//! lengths are checked here, meanings in the engine.

mod define;
mod read;
mod search;
mod start;
mod write;

use crate::error::{Result, guard, misuse};
use crate::lend::Lent;
use crate::session::{Closing, acquired};
use crate::sockets::Sockets;
use crate::sockets::answer::Sent;
use napi::{Env, Unknown};
use napi_derive::napi;
use omen_store::{LockPolicy, Pending, RowLockMode, Transaction, WriteStop, Written};
use std::sync::Arc;
#[napi]
pub struct EngineTransaction {
    transaction: Arc<Transaction>,
    /// Keeps the session open while this object is reachable.
    session: Arc<Closing>,
    /// Of the answer that goes with the commit under way.
    sent: Sent,
}

impl EngineTransaction {
    pub(crate) fn new(transaction: Arc<Transaction>, session: Arc<Closing>) -> Self {
        Self { transaction, session, sent: Sent::default() }
    }

    fn commit_now(&self, asynchronous: bool) -> Result<Pending> {
        if asynchronous {
            self.transaction.commit_asynchronously()
        } else {
            self.transaction.commit()
        }
    }
}
fn token(pending: Pending) -> u32 {
    match pending {
        Pending::Done => 0,
        Pending::Wait(token) => token,
    }
}

fn lock_policy(policy: u32) -> Result<LockPolicy> {
    Ok(match policy {
        0 => LockPolicy::Wait,
        1 => LockPolicy::NoWait,
        2 => LockPolicy::Skip,
        other => return Err(misuse(format!("lock policy {other}"))),
    })
}

fn row_lock_mode(mode: u32) -> Result<RowLockMode> {
    Ok(match mode {
        0 => RowLockMode::KeyShare,
        1 => RowLockMode::Share,
        2 => RowLockMode::NoKeyUpdate,
        3 => RowLockMode::Update,
        other => return Err(misuse(format!("row lock mode {other}"))),
    })
}

/// `values[from .. from + count]`.
fn part<'a, T>(values: &'a [T], from: u32, count: u32, what: &str) -> Result<&'a [T]> {
    let (from, count) = (from as usize, count as usize);
    values
        .get(from..from + count)
        .ok_or_else(|| misuse(format!("{what} is shorter than {from} + {count}")))
}

fn part_mut<'a, T>(values: &'a mut [T], from: u32, count: u32, what: &str) -> Result<&'a mut [T]> {
    let (from, count) = (from as usize, count as usize);
    let part = values.get_mut(from..from + count);
    part.ok_or_else(|| misuse(format!("{what} is shorter than {from} + {count}")))
}

/// Fills the `status` array (see `WriteStatus`) and gives the number of rows done.
fn written(written: Written, status: &mut [i32]) -> Result<u32> {
    let [reason, index_id, conflicting_rid, token, ..] = status else {
        return Err(misuse("status must have 4 elements"));
    };
    match written.stop {
        WriteStop::Done => *reason = 0,
        WriteStop::Conflict { index_id: index, rid } => {
            *reason = 1;
            *index_id = index as i32;
            *conflicting_rid = rid as i32;
        }
        WriteStop::Wait(wait) => {
            *reason = 2;
            *token = wait as i32;
        }
    }
    Ok(written.done as u32)
}

#[napi]
impl EngineTransaction {
    /// The next transaction of the session under the handle of one that has ended: objects cost more than transactions.
    #[napi]
    pub fn renew(&mut self, env: Env, isolation: String, read_only: bool) -> napi::Result<()> {
        guard(env, || {
            self.transaction = self.session.begin(&isolation, read_only)?;
            Ok(())
        })
    }

    /// What begins a planned statement, in one call: see `StatementStart` in `engine.ts`.
    #[napi]
    pub fn start(&mut self, env: Env, frame: Unknown<'_>) -> napi::Result<i32> {
        guard(env, || {
            let lent = Lent::new(env);
            start::start(self, lent.write(frame, "frame")?)
        })
    }

    #[napi]
    pub fn begin_statement(&self, env: Env) -> napi::Result<()> {
        guard(env, || self.transaction.begin_statement())
    }

    #[napi]
    pub fn begin_check(&self, env: Env) -> napi::Result<()> {
        guard(env, || self.transaction.begin_check())
    }

    #[napi]
    pub fn savepoint(&self, env: Env) -> napi::Result<u32> {
        guard(env, || self.transaction.savepoint())
    }

    #[napi]
    pub fn rollback_to(&self, env: Env, savepoint: u32) -> napi::Result<()> {
        guard(env, || self.transaction.rollback_to(savepoint))
    }

    #[napi]
    pub fn release(&self, env: Env, savepoint: u32) -> napi::Result<()> {
        guard(env, || self.transaction.release(savepoint))
    }

    #[napi]
    pub fn commit(&self, env: Env, asynchronous: bool) -> napi::Result<u32> {
        guard(env, || Ok(token(self.commit_now(asynchronous)?)))
    }

    /// As `commit`; the first `count` of `bytes` are sent to the socket where the commit becomes durable. Below zero: it is,
    /// and so many were sent.
    #[napi]
    pub fn commit_and_answer(
        &mut self,
        env: Env,
        asynchronous: bool,
        sockets: &Sockets,
        socket: u32,
        bytes: Unknown<'_>,
        count: u32,
    ) -> napi::Result<i32> {
        guard(env, || {
            let lent = Lent::new(env);
            let sent = Sent::default();
            let bytes = lent.read::<u8>(bytes, "bytes")?;
            if !self.transaction.has_changes() {
                // Nobody else has a hand in this commit: the answer needs no memory of its own to be passed on.
                return Ok(match self.commit_now(asynchronous)? {
                    // What could not be sent the owner finds when it sends the rest.
                    Pending::Done => -sockets.send_first(socket, bytes, count).unwrap_or(0).max(0),
                    Pending::Wait(token) => {
                        self.sent = sent;
                        token as i32
                    }
                });
            }
            let answer = sockets.answer(socket, bytes, count, sent.clone())?;
            let courier = self.session.courier().clone();
            let acknowledgement = Box::new(move || courier.answer(answer));
            match self.transaction.commit_acknowledging(asynchronous, acknowledgement)? {
                Pending::Done => Ok(-(sent.bytes() as i32)),
                Pending::Wait(token) => {
                    self.sent = sent;
                    Ok(token as i32)
                }
            }
        })
    }

    /// Gives how many bytes of the answer were sent.
    #[napi]
    pub fn commit_result(&mut self, env: Env) -> napi::Result<u32> {
        guard(env, || {
            let sent = std::mem::take(&mut self.sent);
            self.transaction.commit_result().map(|()| sent.bytes())
        })
    }

    #[napi]
    pub fn abort(&self, env: Env) -> napi::Result<()> {
        guard(env, || {
            self.transaction.abort();
            Ok(())
        })
    }

    #[napi]
    pub fn has_writes(&self, env: Env) -> napi::Result<bool> {
        guard(env, || Ok(self.transaction.has_writes()))
    }

    #[napi]
    pub fn safe_snapshot(&self, env: Env) -> napi::Result<i32> {
        guard(env, || Ok(acquired(self.transaction.safe_snapshot()?)))
    }

    #[napi]
    pub fn lock_relation(
        &self,
        env: Env,
        object_id: u32,
        mode: u32,
        policy: u32,
    ) -> napi::Result<i32> {
        guard(env, || {
            let mode = u8::try_from(mode).ok().filter(|mode| (1..=8).contains(mode));
            let mode = mode.ok_or_else(|| misuse("table lock modes are 1 to 8"))?;
            Ok(acquired(self.transaction.lock_relation(object_id, mode, lock_policy(policy)?)?))
        })
    }

    #[napi]
    #[allow(clippy::too_many_arguments)] // the contract's
    pub fn lock_rows(
        &self,
        env: Env,
        relation_id: u32,
        rids: Unknown<'_>,
        from: u32,
        count: u32,
        mode: u32,
        policy: u32,
        outcomes: Unknown<'_>,
        status: Unknown<'_>,
    ) -> napi::Result<u32> {
        guard(env, || {
            let lent = Lent::new(env);
            let rids = part(lent.read(rids, "rids")?, from, count, "rids")?;
            let outcomes = part_mut(lent.write(outcomes, "outcomes")?, from, count, "outcomes")?;
            let (mode, policy) = (row_lock_mode(mode)?, lock_policy(policy)?);
            let locked = self.transaction.lock_rows(relation_id, rids, mode, policy, outcomes)?;
            let stop =
                if locked.token == 0 { WriteStop::Done } else { WriteStop::Wait(locked.token) };
            written(Written { done: locked.done, stop }, lent.write(status, "status")?)
        })
    }
}
