//! What a SERIALIZABLE transaction tells of its reads and writes; the other levels pass through here for nothing.

use std::sync::Arc;

use super::{State, Transaction};
use crate::error::Result;
use crate::index::Index;
use crate::key::{ByteRange, Entry};
use crate::serializable::SafeSnapshot;
use crate::table::Table;
use crate::types::{Acquire, Isolation};

impl Transaction {
    /// Takes the snapshot of a SERIALIZABLE transaction, unless `safe_snapshot` has taken it already.
    pub(super) fn begin_serializable(&self, state: &mut State) {
        if state.serializable.is_none() {
            let (snapshot, handle) =
                self.engine.serializable.begin(&self.engine.snapshots, self.read_only);
            state.snapshot = snapshot;
            state.serializable = Some(handle);
        }
    }

    /// SERIALIZABLE READ ONLY DEFERRABLE, before the first statement: a snapshot on which no anomaly can be seen. `Wait`:
    /// repeat the call when the token is delivered. Granted at once for every other transaction.
    ///
    /// Errors: 57014, 57P01.
    pub fn safe_snapshot(&self) -> Result<Acquire> {
        let mut state = self.open_state()?;
        if self.isolation != Isolation::Serializable || !self.read_only || state.command > 0 {
            return Ok(Acquire::Granted);
        }
        loop {
            self.session.check_interrupt()?;
            self.begin_serializable(&mut state);
            let handle = state.serializable.as_ref().expect("begun above");
            self.session.wait_for_safety(Some(Arc::clone(handle)));
            match self.engine.serializable.is_safe(handle, &self.session.owner.channel) {
                SafeSnapshot::Wait(token) if self.session.interrupt() == 0 => {
                    return Ok(Acquire::Wait(token));
                }
                SafeSnapshot::Wait(_) => {}
                SafeSnapshot::Safe => {
                    self.session.wait_for_safety(None);
                    return Ok(Acquire::Granted);
                }
                SafeSnapshot::Unsafe => {
                    self.engine.serializable.end(handle, false);
                    state.serializable = None;
                }
            }
        }
    }

    pub(super) fn note_table_read(&self, state: &State, table: &Table) -> Result<()> {
        match &state.serializable {
            Some(handle) if !table.temporary => {
                self.engine.serializable.read_table(handle, &state.snapshot, table.relation_id)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn note_rows_read(&self, state: &State, table: &Table, rids: &[u32]) -> Result<()> {
        match &state.serializable {
            Some(handle) if !table.temporary => {
                self.engine.serializable.read_rows(handle, &state.snapshot, table.relation_id, rids)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn note_range_read(
        &self,
        state: &State,
        table: &Table,
        index: &Index,
        range: &ByteRange,
    ) -> Result<()> {
        match &state.serializable {
            Some(handle) if !table.temporary => {
                let id = index.spec.index_id;
                let (snapshot, relation) = (&state.snapshot, table.relation_id);
                self.engine.serializable.read_range(handle, snapshot, relation, id, range)
            }
            _ => Ok(()),
        }
    }

    /// Before a row is written. `entries` gives the index entries that come and go; it is asked only where somebody listens.
    pub(super) fn note_write(
        &self,
        state: &State,
        table: &Table,
        rid: Option<u32>,
        entries: impl FnOnce() -> Result<Vec<(u32, Entry)>>,
    ) -> Result<()> {
        let Some(handle) = state.serializable.as_ref().filter(|_| !table.temporary) else {
            return Ok(());
        };
        let entries = entries()?;
        let entries: Vec<(u32, Vec<u8>)> =
            entries.into_iter().map(|(index, e)| (index, e.bytes().to_vec())).collect();
        self.engine.serializable.write(handle, table.relation_id, rid, &entries)
    }
}
