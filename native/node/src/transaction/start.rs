//! The start of a planned statement: cancel flag, transaction, table locks, the catalogue's version and the snapshot, looked
//! after in the order in which the calls for each would be made. It stops at the first thing that needs a caller's hand.

use super::EngineTransaction;
use crate::error::{Result, misuse};
use crate::session::acquired;
use omen_store::{Isolation, LockPolicy};

/// Slots of the frame: see `StatementStart` in `engine.ts`.
const LOCK_COUNT: usize = 2;
const FIRST_LOCK: usize = 3;

/// Answers beside a wait token, which is above zero.
const STARTED: i32 = 0;
const CATALOG_MOVED: i32 = -1;
const TERMINATED: i32 = -2;

/// The session's interrupt flag.
const CANCEL: u8 = 1;
const TERMINATE: u8 = 2;

/// Isolation level and whether it is read-only, of a transaction to begin; None goes on in the open one.
fn modes(slot: f64) -> Result<Option<(Isolation, bool)>> {
    Ok(Some(match slot as u32 {
        0 => return Ok(None),
        1 => (Isolation::ReadCommitted, false),
        2 => (Isolation::RepeatableRead, false),
        3 => (Isolation::Serializable, false),
        5 => (Isolation::ReadCommitted, true),
        6 => (Isolation::RepeatableRead, true),
        7 => (Isolation::Serializable, true),
        other => return Err(misuse(format!("transaction modes {other}"))),
    }))
}

pub fn start(handle: &mut EngineTransaction, frame: &mut [f64]) -> Result<i32> {
    let short = || misuse("a statement's frame is shorter than its locks");
    let [begins, known_version, lock_count, ..] = *frame else { return Err(short()) };
    let session = handle.session.session();
    match session.interrupt() {
        // One that came after the statement before was over, or while nothing ran.
        CANCEL => session.clear_cancel(),
        TERMINATE => return Ok(TERMINATED),
        _ => {}
    }
    if let Some((isolation, read_only)) = modes(begins)? {
        handle.transaction = handle.session.begin_as(isolation, read_only)?;
    }
    let transaction = &handle.transaction;
    let locks = frame.get(FIRST_LOCK..FIRST_LOCK + 2 * lock_count as usize).ok_or_else(short)?;
    for (done, lock) in locks.chunks_exact(2).enumerate() {
        let (object_id, mode) = (lock[0] as u32, lock[1] as u8);
        let token = acquired(transaction.lock_relation(object_id, mode, LockPolicy::Wait)?);
        if token != 0 {
            frame[LOCK_COUNT] = done as f64;
            return Ok(token);
        }
    }
    if transaction.catalog_version() as f64 != known_version {
        return Ok(CATALOG_MOVED);
    }
    transaction.begin_statement()?;
    Ok(STARTED)
}
