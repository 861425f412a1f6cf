//! What the engine's tests share: rows as plain values, a session that waits for its tokens, small schemas.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use omen_store::*;

#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub enum Cell {
    Null,
    Int(i32),
    Big(i64),
    Float(f64),
    Text(String),
    Vector(Vec<f32>),
}

pub type Row = Vec<Cell>;

pub fn text(s: &str) -> Cell {
    Cell::Text(s.to_owned())
}

pub const INT: ColumnSpec = ColumnSpec { kind: StorageKind::I32, dim: 0 };
pub const BIG: ColumnSpec = ColumnSpec { kind: StorageKind::I64, dim: 0 };
pub const TEXT: ColumnSpec = ColumnSpec { kind: StorageKind::Bytes, dim: 0 };

pub fn vector(dim: u32) -> ColumnSpec {
    ColumnSpec { kind: StorageKind::Vector, dim }
}

/// Columns that own their memory.
pub struct Columns {
    nulls: Vec<Vec<u8>>,
    data: Vec<Data>,
}

enum Data {
    Int(Vec<i32>),
    Big(Vec<i64>),
    Float(Vec<f64>),
    Text(Vec<u32>, Vec<u8>),
    Vector(usize, Vec<f32>),
}

impl Columns {
    pub fn new(specs: &[ColumnSpec], rows: &[Row]) -> Self {
        let mut nulls = Vec::new();
        let mut data = Vec::new();
        for (c, spec) in specs.iter().enumerate() {
            nulls.push(rows.iter().map(|r| u8::from(r[c] == Cell::Null)).collect());
            data.push(match spec.kind {
                StorageKind::I32 => Data::Int(
                    rows.iter().map(|r| if let Cell::Int(v) = r[c] { v } else { 0 }).collect(),
                ),
                StorageKind::I64 => Data::Big(
                    rows.iter().map(|r| if let Cell::Big(v) = r[c] { v } else { 0 }).collect(),
                ),
                StorageKind::F64 => Data::Float(
                    rows.iter().map(|r| if let Cell::Float(v) = r[c] { v } else { 0.0 }).collect(),
                ),
                StorageKind::Bytes => {
                    let (mut offsets, mut bytes) = (vec![0], Vec::new());
                    for row in rows {
                        if let Cell::Text(s) = &row[c] {
                            bytes.extend_from_slice(s.as_bytes());
                        }
                        offsets.push(bytes.len() as u32);
                    }
                    Data::Text(offsets, bytes)
                }
                StorageKind::Vector | StorageKind::Counted => {
                    let dim = spec.dim as usize;
                    let mut floats = Vec::new();
                    for row in rows {
                        match &row[c] {
                            Cell::Vector(v) => floats.extend_from_slice(v),
                            _ => floats.resize(floats.len() + dim, 0.0),
                        }
                    }
                    Data::Vector(dim, floats)
                }
                StorageKind::Bool => unreachable!("tests use no bool columns"),
            });
        }
        Self { nulls, data }
    }

    pub fn refs(&self) -> Vec<ColumnRef<'_>> {
        let values = self.data.iter().map(|d| match d {
            Data::Int(v) => ValuesRef::I32(v),
            Data::Big(v) => ValuesRef::I64(v),
            Data::Float(v) => ValuesRef::F64(v),
            Data::Text(offsets, bytes) => ValuesRef::Bytes { offsets, bytes },
            Data::Vector(dim, values) => ValuesRef::Vector { dim: *dim, values },
        });
        self.nulls.iter().zip(values).map(|(nulls, values)| ColumnRef { nulls, values }).collect()
    }

    /// Buffers for `rows` rows.
    pub fn buffers(specs: &[ColumnSpec], rows: usize, bytes: usize) -> Self {
        let data = specs.iter().map(|spec| match spec.kind {
            StorageKind::I32 => Data::Int(vec![0; rows]),
            StorageKind::I64 => Data::Big(vec![0; rows]),
            StorageKind::F64 => Data::Float(vec![0.0; rows]),
            StorageKind::Bytes => Data::Text(vec![0; rows + 1], vec![0; bytes]),
            StorageKind::Vector | StorageKind::Counted => {
                Data::Vector(spec.dim as usize, vec![0.0; rows * spec.dim as usize])
            }
            StorageKind::Bool => unreachable!("tests use no bool columns"),
        });
        Self { nulls: vec![vec![0; rows]; specs.len()], data: data.collect() }
    }

    pub fn with_mut<R>(&mut self, f: impl FnOnce(&mut [ColumnMut<'_>]) -> R) -> R {
        let mut wide = vec![0u8; self.data.len()];
        let mut columns: Vec<ColumnMut<'_>> = Vec::new();
        for ((nulls, data), wide) in self.nulls.iter_mut().zip(&mut self.data).zip(&mut wide) {
            let values = match data {
                Data::Int(v) => ValuesMut::I32(v),
                Data::Big(v) => ValuesMut::I64 { words: v, wide },
                Data::Float(v) => ValuesMut::F64(v),
                Data::Text(offsets, bytes) => ValuesMut::Bytes { offsets, bytes },
                Data::Vector(dim, values) => ValuesMut::Vector { dim: *dim, values },
            };
            columns.push(ColumnMut { nulls, values });
        }
        let result = f(&mut columns);
        drop(columns);
        // Narrow integers back to what rows hold.
        for (data, wide) in self.data.iter_mut().zip(wide) {
            if let (Data::Big(words), 0) = (data, wide) {
                for word in words {
                    *word = f64::from_bits(*word as u64) as i64;
                }
            }
        }
        result
    }

    pub fn row(&self, row: usize) -> Row {
        let cell = |(nulls, data): (&Vec<u8>, &Data)| {
            if nulls[row] != 0 {
                return Cell::Null;
            }
            match data {
                Data::Int(v) => Cell::Int(v[row]),
                Data::Big(v) => Cell::Big(v[row]),
                Data::Float(v) => Cell::Float(v[row]),
                Data::Text(o, b) => {
                    let bytes = &b[o[row] as usize..o[row + 1] as usize];
                    Cell::Text(String::from_utf8(bytes.to_vec()).expect("tests store UTF-8"))
                }
                Data::Vector(dim, v) => Cell::Vector(v[row * dim..(row + 1) * dim].to_vec()),
            }
        };
        self.nulls.iter().zip(&self.data).map(cell).collect()
    }
}

/// Tokens that have been delivered.
#[derive(Default, Clone)]
pub struct Tokens(Arc<(Mutex<HashSet<u32>>, Condvar)>);

impl Notifier for Tokens {
    fn notify(&self, tokens: &[u32]) {
        self.0.0.lock().unwrap().extend(tokens);
        self.0.1.notify_all();
    }
}

impl Tokens {
    pub fn is_delivered(&self, token: u32) -> bool {
        self.0.0.lock().unwrap().contains(&token)
    }

    pub fn wait(&self, token: u32) {
        let guard = self.0.0.lock().unwrap();
        let limit = Duration::from_secs(60);
        let (guard, result) =
            self.0.1.wait_timeout_while(guard, limit, |t| !t.contains(&token)).unwrap();
        drop(guard);
        assert!(!result.timed_out(), "token {token} was never delivered");
    }
}

/// An engine with a channel.
pub struct Db {
    pub engine: Arc<Engine>,
    pub channel: Arc<Channel>,
    pub tokens: Tokens,
}

impl Db {
    pub fn memory() -> Self {
        Self::open(Storage::Memory)
    }

    pub fn open(storage: Storage) -> Self {
        Self::try_open(storage).expect("the database opens")
    }

    pub fn try_open(storage: Storage) -> Result<Self> {
        Self::try_open_with(storage, 0)
    }

    /// `buffer_bytes`: rows above it go to files; 0 = the default, which tests never reach.
    pub fn try_open_with(storage: Storage, buffer_bytes: u64) -> Result<Self> {
        let options = EngineOptions { storage, pool_threads: 1, buffer_bytes };
        let engine = Engine::open_with_log_segments(options, 256 * 1024)?;
        let tokens = Tokens::default();
        let channel = engine.open_channel(Box::new(tokens.clone()));
        Ok(Self { engine, channel, tokens })
    }

    pub fn session(&self) -> Arc<Session> {
        self.engine.open_session(&self.channel)
    }

    pub fn begin(&self, isolation: Isolation) -> Tx {
        let session = self.session();
        let handle = session.begin(isolation, false).expect("no transaction is open");
        Tx { handle, session, tokens: self.tokens.clone() }
    }

    /// Runs one READ COMMITTED transaction.
    pub fn run<R>(&self, f: impl FnOnce(&Tx) -> R) -> R {
        let tx = self.begin(Isolation::ReadCommitted);
        tx.statement();
        let result = f(&tx);
        tx.commit();
        result
    }

    pub fn shutdown(self) {
        match self.engine.shutdown(&self.channel).expect("sessions are closed") {
            Pending::Wait(token) => self.tokens.wait(token),
            Pending::Done => {}
        }
    }

    /// Ends without a word, as a killed process does.
    pub fn kill(self) {
        self.engine.abandon();
    }

    pub fn checkpoint(&self) {
        if let Pending::Wait(token) = self.engine.checkpoint(&self.channel) {
            self.tokens.wait(token);
        }
    }
}

/// A transaction whose calls wait for their tokens; `handle` for calls that should not.
pub struct Tx {
    pub handle: Arc<Transaction>,
    pub session: Arc<Session>,
    pub tokens: Tokens,
}

impl Drop for Tx {
    fn drop(&mut self) {
        self.session.close();
    }
}

impl Tx {
    pub fn statement(&self) {
        self.handle.begin_statement().expect("the transaction is open");
    }

    pub fn try_commit(&self) -> Result<()> {
        match self.handle.commit()? {
            Pending::Done => Ok(()),
            Pending::Wait(token) => {
                self.tokens.wait(token);
                self.handle.commit_result()
            }
        }
    }

    /// With `synchronous_commit = off`.
    pub fn commit_asynchronously(&self) {
        if let Pending::Wait(token) = self.handle.commit_asynchronously().expect("it commits") {
            self.tokens.wait(token);
            self.handle.commit_result().expect("the commit succeeds");
        }
    }

    pub fn commit(&self) {
        self.try_commit().expect("the commit succeeds");
    }

    /// What `hear` said when the commit was acknowledged; None when it failed, and nothing was.
    pub fn commit_acknowledging<T: Send + 'static>(
        &self,
        asynchronous: bool,
        hear: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let heard = Arc::new(Mutex::new(None));
        let note = Arc::clone(&heard);
        let acknowledge = Box::new(move || *note.lock().unwrap() = Some(hear()));
        let result = match self.handle.commit_acknowledging(asynchronous, acknowledge) {
            Ok(Pending::Done) => Ok(()),
            Ok(Pending::Wait(token)) => {
                self.tokens.wait(token);
                self.handle.commit_result()
            }
            Err(error) => Err(error),
        };
        let heard = heard.lock().unwrap().take();
        assert_eq!(heard.is_some(), result.is_ok());
        heard
    }

    pub fn try_insert(
        &self,
        relation: u32,
        specs: &[ColumnSpec],
        rows: &[Row],
    ) -> Result<Vec<u32>> {
        let columns = Columns::new(specs, rows);
        let mut rids = vec![0; rows.len()];
        let mut done = 0;
        while done < rows.len() {
            let written = self.handle.insert_rows(
                relation,
                &columns.refs(),
                done,
                rows.len() - done,
                &mut rids[done..],
            )?;
            done += written.done;
            match written.stop {
                WriteStop::Done => {}
                WriteStop::Wait(token) => {
                    self.session.check_deadlock();
                    self.tokens.wait(token);
                }
                WriteStop::Conflict { index_id, .. } => {
                    return Err(StoreError::new("23505", "duplicate key").index(index_id));
                }
            }
        }
        Ok(rids)
    }

    pub fn insert(&self, relation: u32, specs: &[ColumnSpec], rows: &[Row]) -> Vec<u32> {
        self.try_insert(relation, specs, rows).expect("rows are inserted")
    }

    /// Locks rows, waiting; the outcomes.
    pub fn try_lock(&self, relation: u32, rids: &[u32], mode: RowLockMode) -> Result<Vec<u8>> {
        let mut outcomes = vec![0; rids.len()];
        let mut done = 0;
        while done < rids.len() {
            let locked = self.handle.lock_rows(
                relation,
                &rids[done..],
                mode,
                LockPolicy::Wait,
                &mut outcomes[done..],
            )?;
            done += locked.done;
            if locked.token > 0 {
                // As after deadlock_timeout.
                self.session.check_deadlock();
                self.tokens.wait(locked.token);
            }
        }
        Ok(outcomes)
    }

    /// Replaces columns of one row, locked first.
    pub fn try_update(
        &self,
        relation: u32,
        rid: u32,
        specs: &[ColumnSpec],
        changed: &[u16],
        row: Row,
    ) -> Result<()> {
        let specs: Vec<_> = changed.iter().map(|&c| specs[c as usize]).collect();
        let columns = Columns::new(&specs, &[row]);
        loop {
            let written = self.handle.update_rows(relation, &[rid], changed, &columns.refs(), 0)?;
            match written.stop {
                WriteStop::Done => return Ok(()),
                WriteStop::Wait(token) => {
                    self.session.check_deadlock();
                    self.tokens.wait(token);
                }
                WriteStop::Conflict { index_id, .. } => {
                    return Err(StoreError::new("23505", "duplicate key").index(index_id));
                }
            }
        }
    }

    pub fn update(&self, relation: u32, rid: u32, specs: &[ColumnSpec], changed: &[u16], row: Row) {
        let outcome =
            self.try_lock(relation, &[rid], RowLockMode::NoKeyUpdate).expect("the lock is granted");
        assert!(outcome[0] < 2, "the row is there");
        self.try_update(relation, rid, specs, changed, row).expect("the row is updated");
    }

    pub fn delete(&self, relation: u32, rid: u32) {
        let outcome =
            self.try_lock(relation, &[rid], RowLockMode::Update).expect("the lock is granted");
        assert!(outcome[0] < 2, "the row is there");
        self.handle.delete_rows(relation, &[rid]).expect("the row is deleted");
    }

    /// All visible rows as (rid, row), in scan order.
    pub fn scan(&self, relation: u32, specs: &[ColumnSpec]) -> Vec<(u32, Row)> {
        self.try_scan(relation, specs).expect("the scan goes on")
    }

    pub fn try_scan(&self, relation: u32, specs: &[ColumnSpec]) -> Result<Vec<(u32, Row)>> {
        let positions: Vec<u16> = (0..specs.len() as u16).collect();
        let mut cursor = self.handle.open_scan(relation, &positions)?;
        Self::try_drain(&mut cursor, specs)
    }

    pub fn drain(cursor: &mut ScanCursor, specs: &[ColumnSpec]) -> Vec<(u32, Row)> {
        Self::try_drain(cursor, specs).expect("the scan goes on")
    }

    fn try_drain(cursor: &mut ScanCursor, specs: &[ColumnSpec]) -> Result<Vec<(u32, Row)>> {
        let mut bytes = 64;
        let mut rids = vec![0; 4096];
        let mut rows = Vec::new();
        loop {
            let mut buffers = Columns::buffers(specs, 4096, bytes);
            let filled = buffers.with_mut(|b| cursor.next(b, &mut rids))?;
            match filled {
                Filled::Rows(0) => return Ok(rows),
                Filled::Rows(n) => rows.extend((0..n).map(|i| (rids[i], buffers.row(i)))),
                Filled::TooSmall { needed, .. } => bytes = needed,
            }
        }
    }

    pub fn fetch(
        &self,
        relation: u32,
        specs: &[ColumnSpec],
        rids: &[u32],
        newest: bool,
    ) -> Vec<(u32, Row)> {
        let positions: Vec<u16> = (0..specs.len() as u16).collect();
        let mut found = vec![0; rids.len()];
        let mut bytes = 64;
        loop {
            let mut buffers = Columns::buffers(specs, rids.len(), bytes);
            let filled = buffers
                .with_mut(|b| {
                    self.handle.fetch_rows(relation, rids, newest, &positions, b, &mut found)
                })
                .expect("rows are fetched");
            match filled {
                Filled::Rows(n) => return (0..n).map(|i| (found[i], buffers.row(i))).collect(),
                Filled::TooSmall { needed, .. } => bytes = needed,
            }
        }
    }

    /// Row ids of an index range over single-column bounds, in key order.
    pub fn range(
        &self,
        index: u32,
        spec: ColumnSpec,
        low: Option<Cell>,
        high: Option<Cell>,
    ) -> Vec<u32> {
        let low = low.map(|c| Columns::new(&[spec], &[vec![c]]));
        let high = high.map(|c| Columns::new(&[spec], &[vec![c]]));
        let (low, high) = (low.as_ref().map(Columns::refs), high.as_ref().map(Columns::refs));
        let range = KeyRange {
            low: low.as_deref(),
            low_inclusive: true,
            high: high.as_deref(),
            high_inclusive: true,
            nulls: NullEntries::All,
        };
        let mut cursor = self.handle.open_index_scan(index, &range, false).expect("the walk opens");
        let mut rids = vec![0; 100];
        let mut found = Vec::new();
        loop {
            let n = cursor.next(&mut rids).expect("the walk goes on");
            if n == 0 {
                return found;
            }
            found.extend_from_slice(&rids[..n]);
        }
    }

    pub fn create_index(&self, spec: IndexSpec) -> Result<()> {
        match self.handle.create_index(spec, u64::MAX, String::new())? {
            Pending::Done => Ok(()),
            Pending::Wait(token) => {
                self.tokens.wait(token);
                self.handle.index_result()
            }
        }
    }
}

pub fn btree(
    index_id: u32,
    relation_id: u32,
    column: u16,
    key_kind: KeyKind,
    unique: bool,
) -> IndexSpec {
    IndexSpec {
        index_id,
        relation_id,
        method: IndexMethod::Btree { unique, nulls_not_distinct: false },
        columns: vec![IndexColumnSpec { column, key_kind, descending: false, nulls_first: false }],
    }
}

/// A search by graph for the `k` nearest with a beam as wide.
pub fn closest(words: &[f32], k: usize) -> VectorQuery<'_> {
    VectorQuery {
        words,
        k,
        ef: k,
        filter: None,
        mode: SearchMode::Graph,
        max_distances: 0,
        recall: 0.0,
    }
}

pub fn graph(form: Form, dim: u32, metric: Metric) -> IndexMethod {
    IndexMethod::Hnsw(GraphSpec { m: 8, ef_construction: 40, form, ..GraphSpec::new(dim, metric) })
}

pub fn hnsw(index_id: u32, relation_id: u32, column: u16, dim: u32) -> IndexSpec {
    IndexSpec {
        index_id,
        relation_id,
        method: graph(Form::F32, dim, Metric::L2),
        columns: vec![IndexColumnSpec {
            column,
            key_kind: KeyKind::Bytes,
            descending: false,
            nulls_first: false,
        }],
    }
}

pub fn bm25(index_id: u32, relation_id: u32, column: u16) -> IndexSpec {
    IndexSpec {
        method: IndexMethod::Bm25 { config: TextConfig::Simple, k1: 1.2, b: 0.75 },
        ..hnsw(index_id, relation_id, column, 1)
    }
}

/// Numbers for tests: the same every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn unit(&mut self) -> f32 {
        self.below(1 << 20) as f32 / (1 << 20) as f32
    }
}
