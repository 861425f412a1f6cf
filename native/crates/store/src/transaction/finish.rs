//! The end of a transaction: commit hands everything over, abort takes everything back.

use std::sync::{Arc, Mutex};

use super::private::Newest;
use super::{PrivateTable, State, Status, Transaction};
use crate::commit::{
    Acknowledgement, ChunkChange, CommitRequest, DocumentChange, KeyChange, TableChange,
};
use crate::error::{Result, StoreError, sqlstate};
use crate::key::Entry;
use crate::lock::next_token;
use crate::snapshot::Snapshot;
use crate::sync::{lock, read};
use crate::table::data::TableData;
use crate::table::slot_value;
use crate::types::Pending;
use crate::value::Value;

/// What became of a commit that was handed over; None while it is under way.
#[derive(Default)]
pub struct CommitOutcome {
    result: Mutex<Option<Result<()>>>,
}

impl CommitOutcome {
    pub fn set(&self, result: Result<()>) {
        *lock(&self.result) = Some(result);
    }

    pub fn get(&self) -> Option<Result<()>> {
        lock(&self.result).clone()
    }
}

impl Transaction {
    /// Commits. `Wait`: the channel will deliver the token, then `commit_result` answers. The handle is dead afterwards.
    pub fn commit(&self) -> Result<Pending> {
        self.hand_over(false, None)
    }

    /// As `commit`, but done as soon as others see it: a crash within the next 200 ms may undo it, together with all that
    /// was committed this way after it and nothing that `commit` has acknowledged.
    pub fn commit_asynchronously(&self) -> Result<Pending> {
        self.hand_over(true, None)
    }

    /// As `commit`, or `commit_asynchronously`, with word to the client from the thread that commits, where that succeeds.
    pub fn commit_acknowledging(
        &self,
        asynchronous: bool,
        acknowledgement: Acknowledgement,
    ) -> Result<Pending> {
        self.hand_over(asynchronous, Some(acknowledgement))
    }

    fn hand_over(
        &self,
        asynchronous: bool,
        acknowledgement: Option<Acknowledgement>,
    ) -> Result<Pending> {
        let mut state = self.open_state()?;
        Self::stop_build(&mut state);
        self.engine.locks.abandon_wait(&self.session.owner);
        if let Some(error) = self.engine.failure().filter(|_| !state.undo.is_empty()) {
            drop(state);
            self.abort();
            return Err(error);
        }
        let serializable = state.serializable.take();
        if let Some(handle) = &serializable
            && let Err(error) = self.engine.serializable.prepare(handle)
        {
            state.serializable = serializable;
            drop(state);
            self.abort();
            return Err(error);
        }
        let tables = match Self::table_changes(&mut state) {
            Ok(tables) => tables,
            Err(error) => {
                state.serializable = serializable;
                drop(state);
                self.abort();
                return Err(error);
            }
        };
        let request = CommitRequest {
            session: Arc::clone(&self.session),
            channel: Arc::clone(&self.session.owner.channel),
            token: None,
            asynchronous,
            outcome: Arc::clone(&self.outcome),
            acknowledgement,
            locks: std::mem::take(&mut state.locks),
            serializable,
            tables,
            definitions: std::mem::take(&mut state.definitions),
            catalog: std::mem::take(&mut state.catalog).into_iter().collect(),
            round: None,
        };
        state.undo.clear();
        state.tables.clear();
        state.snapshot = Snapshot::ended();
        state.fixed_snapshot = None;
        let is_empty = request.tables.is_empty()
            && request.definitions.is_empty()
            && request.catalog.is_empty();
        if is_empty {
            state.status = Status::Ended;
            drop(state);
            self.engine.finish_commit(request, Ok(()));
            return Ok(Pending::Done);
        }
        if self.read_only && request.is_durable() {
            state.status = Status::Ended;
            drop(state);
            let message = "cannot write permanent relations in a read-only transaction";
            let error = StoreError::new(sqlstate::READ_ONLY, message);
            self.engine.finish_commit(request, Err(error.clone()));
            return Err(error);
        }
        if self.engine.commits_inline(&request) {
            state.status = Status::Ended;
            drop(state);
            return self.engine.commit_inline(request).map(|()| Pending::Done);
        }
        state.status = Status::Committing;
        drop(state);
        let Some(request) = self.engine.commit_alone(request) else {
            return self.commit_result().map(|()| Pending::Done);
        };
        let token = next_token(&self.engine.next_token);
        self.engine.submit_commit(CommitRequest { token: Some(token), ..request });
        Ok(Pending::Wait(token))
    }

    /// The result of a commit whose token was delivered.
    pub fn commit_result(&self) -> Result<()> {
        let result = self.outcome.get();
        let result = result.ok_or_else(|| StoreError::internal("the commit is still under way"))?;
        lock(&self.state).status = Status::Ended;
        result
    }

    /// Takes everything back and releases the locks. No effect on a transaction that has ended or is being committed.
    pub fn abort(&self) {
        let mut state = lock(&self.state);
        if state.status != Status::Open {
            return;
        }
        state.status = Status::Ended;
        Self::stop_build(&mut state);
        self.engine.locks.abandon_wait(&self.session.owner);
        let freed: Vec<_> = state
            .tables
            .values()
            .map(|p| (Arc::clone(&p.table), p.own_rids().collect::<Vec<_>>()))
            .collect();
        // Rows go as a whole: only what is outside the private tables has to be undone step by step.
        state.tables.clear();
        while let Some(step) = state.undo.pop() {
            self.take_back_definition(&mut state, &step);
        }
        state.catalog.clear();
        state.definitions.clear();
        let locks = std::mem::take(&mut state.locks);
        let serializable = state.serializable.take();
        state.snapshot = Snapshot::ended();
        state.fixed_snapshot = None;
        drop(state);
        self.session.wait_for_safety(None);
        if let Some(handle) = serializable {
            self.engine.serializable.end(&handle, false);
        }
        for (table, rids) in freed {
            table.free_rids(rids.into_iter().rev());
        }
        self.engine.locks.release_all(self.session.process_id(), locks);
    }

    fn table_changes(state: &mut State) -> Result<Vec<TableChange>> {
        let mut ids: Vec<u32> = state.tables.keys().copied().collect();
        ids.sort_unstable();
        let mut changes = Vec::new();
        for id in ids {
            let private = state.tables.remove(&id).expect("listed above");
            // A relation dropped by this transaction has no rows to publish.
            if private.has_changes() && !state.drops(id) {
                changes.push(table_change(private)?);
            }
        }
        Ok(changes)
    }
}

fn table_change(mut private: PrivateTable) -> Result<TableChange> {
    let (replaced, deleted) = private.committed_changes();
    let indexes = private.table.indexes();
    let mut keys = Vec::new();
    let mut documents = Vec::new();
    for index in indexes.iter() {
        if index.btree().is_some() {
            let (new, of_replaced) = current_entries(&mut private, index)?;
            keys.push(KeyChange { index: Arc::clone(index), new, replaced: of_replaced });
        } else if index.bm25().is_some() {
            documents.push(document_change(&mut private, index, &replaced, &deleted)?);
        }
    }
    let unused_rids: Vec<u32> =
        private.own_rids().filter(|&rid| private.newest(rid) == Newest::Deleted).collect();
    let mut chunks = Vec::new();
    for (start, rows) in private.take_chunks() {
        let numbers = start..start + rows.len() as u32;
        let rids = private.rids[start as usize..start as usize + rows.len()].to_vec().into();
        let live: Vec<u32> =
            numbers.filter(|&row| private.is_live(row)).map(|row| row - start).collect();
        if live.is_empty() {
            continue;
        }
        let all_new = !private.has_touched();
        let live = (live.len() < rows.len()).then_some(live);
        chunks.push(ChunkChange { rows, rids, live, all_new, place: None });
    }
    Ok(TableChange::new(
        Arc::clone(&private.table),
        Arc::clone(&private.columns),
        chunks,
        replaced,
        deleted,
        unused_rids,
        std::mem::take(&mut private.vectors),
        keys,
        documents,
    ))
}

/// The own entries of newest versions: of new rows, and of replaced ones. A load's claim keeps the set they are copied from
/// until they are published.
fn current_entries(
    private: &mut PrivateTable,
    index: &crate::index::Index,
) -> Result<(Vec<Entry>, Vec<Entry>)> {
    let (mut new, mut replaced) = (Vec::new(), Vec::new());
    let Some(keys) = private.keys.remove(&index.spec.index_id) else { return Ok((new, replaced)) };
    let keys = read(&keys);
    let all_new = private.is_all_new();
    new.reserve(keys.len());
    let mut key = Vec::new();
    keys.for_each(|entry| {
        if all_new {
            new.push(entry.clone());
        } else if is_current(private, index, entry, &mut key)? {
            let own = private.is_own(entry.rid());
            if own { &mut new } else { &mut replaced }.push(entry.clone());
        }
        Ok::<_, StoreError>(())
    })?;
    Ok((new, replaced))
}

/// Whether an own entry is that of its row's newest version.
fn is_current(
    private: &PrivateTable,
    index: &crate::index::Index,
    entry: &Entry,
    key: &mut Vec<u8>,
) -> Result<bool> {
    match private.newest(entry.rid()) {
        Newest::Own(_) if !private.has_touched() && private.is_own(entry.rid()) => Ok(true),
        Newest::Own(row) => {
            private.key(row, &index.spec.columns, key)?;
            Ok(key == entry.key())
        }
        Newest::Committed | Newest::Deleted => Ok(false),
    }
}

/// Documents that come and go: a replaced row whose text stayed keeps its document.
fn document_change(
    private: &mut PrivateTable,
    index: &Arc<crate::index::Index>,
    replaced: &[u32],
    deleted: &[u32],
) -> Result<DocumentChange> {
    let bm25 = index.bm25().expect("a bm25 index");
    let column = index.spec.columns[0].column as usize;
    let mut own = private.documents.remove(&index.spec.index_id).unwrap_or_default();
    let data = read(&private.table.data);
    let old_text = |data: &TableData, rid: u32| {
        let slot = data.newest(rid).expect("a changed row has a committed version");
        Ok::<_, StoreError>(slot_value(data, &private.columns, column, slot)?.to_owned_value())
    };
    let mut unchanged = std::collections::HashSet::new();
    let mut removed = Vec::new();
    for &rid in replaced {
        let old = old_text(&data, rid)?;
        match private.newest(rid) {
            Newest::Own(row) if private.value(row, column) == old.as_value() => {
                unchanged.insert(rid);
            }
            _ => removed.extend(bm25.analyze(old.as_value()).map(|d| (rid, d))),
        }
    }
    for &rid in deleted {
        let old = old_text(&data, rid)?;
        removed.extend(bm25.analyze(old.as_value()).map(|d| (rid, d)));
    }
    let mut added = Vec::new();
    for row in 0..private.row_count() {
        let rid = private.rids[row as usize];
        if private.is_live(row) && !unchanged.contains(&rid) {
            let document = own.get_mut(row as usize).and_then(Option::take);
            // Rows older than the index (made by this same transaction) are tokenised now.
            let document = document.or_else(|| match private.value(row, column) {
                Value::Null => None,
                text => bm25.analyze(text),
            });
            added.extend(document.map(|d| (rid, d)));
        }
    }
    Ok(DocumentChange { index: Arc::clone(index), added, removed })
}
