//! Row locks: taking them in order, and saying what was found behind each.

use super::private::Newest;
use super::{State, Transaction};
use crate::error::{Result, StoreError, sqlstate};
use crate::lock::{LockTag, Outcome};
use crate::sync::read;
use crate::types::{Isolation, LockPolicy, LockedRows, RowLockMode, RowOutcome};

/// Rows locked between two looks at the interrupt flag.
const INTERRUPT_ROWS: usize = 1024;

impl Transaction {
    /// Locks `rids` in order; `outcomes[i]` receives a `RowOutcome`. `token` > 0: stopped at row `done` to wait.
    ///
    /// Errors: 55P03 with `NoWait`, 40P01, 57014, and 40001 under REPEATABLE READ and above when a row has changed since
    /// the snapshot.
    pub fn lock_rows(
        &self,
        relation_id: u32,
        rids: &[u32],
        mode: RowLockMode,
        policy: LockPolicy,
        outcomes: &mut [u8],
    ) -> Result<LockedRows> {
        let mut state = self.open_state()?;
        self.private(&mut state, relation_id)?;
        for (i, &rid) in rids.iter().enumerate() {
            if i.is_multiple_of(INTERRUPT_ROWS) {
                self.session.check_interrupt()?;
            }
            let tag = LockTag::Row { relation: relation_id, rid };
            let outcome = match self.take_lock(&mut state, tag, mode as u8, policy)? {
                Outcome::Wait(token) => return Ok(LockedRows { done: i, token }),
                Outcome::Unavailable if policy == LockPolicy::NoWait => {
                    return Err(StoreError::new(
                        sqlstate::LOCK_NOT_AVAILABLE,
                        "could not obtain lock on row in relation",
                    )
                    .relation(relation_id));
                }
                Outcome::Unavailable => RowOutcome::Skipped,
                Outcome::Granted | Outcome::Held => {
                    self.behind_lock(&mut state, relation_id, rid)?
                }
            };
            outcomes[i] = outcome as u8;
        }
        Ok(LockedRows { done: rids.len(), token: 0 })
    }

    /// Compares a locked row with what the statement saw of it.
    fn behind_lock(&self, state: &mut State, relation_id: u32, rid: u32) -> Result<RowOutcome> {
        let (command, snapshot) = (state.command, state.snapshot.number);
        let private = state.private(relation_id);
        match private.newest(rid) {
            // A row this very statement has written already is passed over, as PostgreSQL does (TM_SelfModified).
            Newest::Own(row) if private.created_by(row) >= command => return Ok(RowOutcome::Gone),
            Newest::Own(_) => return Ok(RowOutcome::Locked),
            Newest::Deleted => return Ok(RowOutcome::Gone),
            Newest::Committed => {}
        }
        let data = read(&private.table.data);
        let repeatable = self.isolation != Isolation::ReadCommitted;
        let newest = data.newest(rid).map(|slot| {
            let chunk = data.chunk(slot.chunk());
            (chunk.xmin(slot.position()), chunk.xmax(slot.position()))
        });
        match newest {
            Some((_, xmax)) if xmax != 0 && repeatable => Err(serialization_failure("delete")),
            None | Some((_, 1..)) => Ok(RowOutcome::Gone),
            Some((xmin, 0)) if xmin <= snapshot => Ok(RowOutcome::Locked),
            Some(_) if repeatable => Err(serialization_failure("update")),
            Some(_) => Ok(RowOutcome::Changed),
        }
    }
}

fn serialization_failure(what: &str) -> StoreError {
    StoreError::new(
        sqlstate::SERIALIZATION_FAILURE,
        format!("could not serialize access due to concurrent {what}"),
    )
}
