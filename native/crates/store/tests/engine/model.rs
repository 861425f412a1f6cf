//! Random interleaved transactions against a model that is plainly right: a map per transaction.
//!
//! Every operation is a statement of its own. A call that would have to wait must do so exactly when the model says
//! somebody else holds the row or the key; the wait is then given up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use omen_disk::{Disk, MemoryDisk, MemoryKv};
use omen_store::*;
use proptest::prelude::*;

use super::common::*;

const T: u32 = 20_000;
const PK: u32 = 20_001;
const BY_VALUE: u32 = 20_002;
const DUMMY: u32 = 9;
const SPECS: [ColumnSpec; 2] = [INT, INT];

#[derive(Debug, Clone)]
enum Step {
    Begin(bool),
    Insert(i32, i32),
    Update(i32, i32),
    Rekey(i32, i32),
    Delete(i32),
    Read(i32, i32),
    Savepoint,
    RollbackTo,
    Commit,
    Abort,
    Collect,
    Checkpoint,
    /// The process dies, and with it every open transaction.
    Reopen,
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let key = 0..8i32;
    let kinds = prop_oneof![
        2 => any::<bool>().prop_map(Step::Begin),
        6 => (key.clone(), 0..5i32).prop_map(|(k, v)| Step::Insert(k, v)),
        4 => (key.clone(), 0..5i32).prop_map(|(k, v)| Step::Update(k, v)),
        3 => (key.clone(), key.clone()).prop_map(|(a, b)| Step::Rekey(a, b)),
        3 => key.clone().prop_map(Step::Delete),
        4 => (0..5i32, 0..5i32).prop_map(|(a, b)| Step::Read(a, b)),
        1 => Just(Step::Savepoint),
        1 => Just(Step::RollbackTo),
        3 => Just(Step::Commit),
        1 => Just(Step::Abort),
        1 => Just(Step::Collect),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
    ];
    (0..3usize, kinds)
}

/// Row id -> (key, value).
type State = BTreeMap<u32, (i32, i32)>;

#[derive(Clone, Default)]
struct Own {
    /// Row id -> what this transaction made of it; None = deleted.
    writes: BTreeMap<u32, Option<(i32, i32)>>,
    rows: BTreeSet<u32>,
    keys: BTreeSet<i32>,
}

struct Open {
    tx: Tx,
    repeatable: bool,
    snapshot: State,
    /// Commits before the snapshot.
    taken_at: usize,
    own: Own,
    savepoints: Vec<(u32, Own)>,
}

impl Open {
    fn view(&self, base: &State) -> State {
        let mut view = base.clone();
        for (rid, write) in &self.own.writes {
            match write {
                Some(row) => view.insert(*rid, *row),
                None => view.remove(rid),
            };
        }
        view
    }

    /// Another lock request ends a wait that was begun.
    fn give_up_wait(&self) {
        self.tx.handle.lock_relation(DUMMY, 1, LockPolicy::Wait).unwrap();
    }
}

fn open(disk: Option<&Arc<MemoryDisk>>) -> Db {
    let Some(disk) = disk else { return Db::memory() };
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    let kv = Arc::new(MemoryKv::open(Arc::clone(&disk)).unwrap());
    Db::try_open_with(Storage::Durable { disk, kv }, 200).unwrap()
}

fn cells(row: (i32, i32)) -> Row {
    vec![Cell::Int(row.0), Cell::Int(row.1)]
}

struct World {
    db: Db,
    /// Where it lives, unless that is memory.
    disk: Option<Arc<MemoryDisk>>,
    committed: State,
    commits: usize,
    /// Row id -> the commit that wrote it last, also with the values it had.
    written: BTreeMap<u32, usize>,
    open: [Option<Open>; 3],
}

impl World {
    fn new(disk: Option<Arc<MemoryDisk>>) -> Self {
        let db = open(disk.as_ref());
        db.run(|tx| {
            tx.handle.create_relation(T, &SPECS, false).unwrap();
            tx.create_index(btree(PK, T, 0, KeyKind::Int, true)).unwrap();
            tx.create_index(btree(BY_VALUE, T, 1, KeyKind::Int, false)).unwrap();
        });
        let written = BTreeMap::new();
        Self { db, disk, committed: State::new(), commits: 0, written, open: [None, None, None] }
    }

    fn reopen(&mut self) {
        let Some(disk) = &self.disk else { return };
        self.open = [None, None, None];
        self.db.engine.abandon();
        self.db = open(Some(disk));
    }

    fn others_hold(&self, me: usize, held: impl Fn(&Own) -> bool) -> bool {
        let others = self.open.iter().enumerate().filter(|(i, _)| *i != me);
        others.filter_map(|(_, o)| o.as_ref()).any(|o| held(&o.own))
    }

    fn run(&mut self, slot: usize, step: &Step) {
        if let Step::Collect = step {
            self.db.engine.collect_garbage(T).unwrap();
            return;
        }
        if let Step::Checkpoint = step {
            self.db.checkpoint();
            return;
        }
        if let Step::Reopen = step {
            self.reopen();
            return;
        }
        if self.open[slot].is_none() {
            let repeatable = matches!(step, Step::Begin(true));
            let isolation =
                if repeatable { Isolation::RepeatableRead } else { Isolation::ReadCommitted };
            self.open[slot] = Some(Open {
                tx: self.db.begin(isolation),
                repeatable,
                snapshot: self.committed.clone(),
                taken_at: self.commits,
                own: Own::default(),
                savepoints: Vec::new(),
            });
        }
        let mut open = self.open[slot].take().unwrap();
        open.tx.statement();
        if !open.repeatable {
            open.snapshot = self.committed.clone();
        }
        let keep = self.step(slot, &mut open, step);
        self.open[slot] = keep.then_some(open);
    }

    /// False when the transaction has ended.
    fn step(&mut self, slot: usize, open: &mut Open, step: &Step) -> bool {
        let view = open.view(&open.snapshot);
        let find =
            |key: i32| view.iter().find(|(_, row)| row.0 == key).map(|(rid, row)| (*rid, *row));
        match *step {
            Step::Begin(_) | Step::Collect | Step::Checkpoint | Step::Reopen => {}
            Step::Insert(k, v) => self.insert(slot, open, (k, v)),
            Step::Update(k, v) => {
                if let Some((rid, row)) = find(k) {
                    self.change(slot, open, rid, (row.0, v), row);
                }
            }
            Step::Rekey(k, to) => {
                if let Some((rid, row)) = find(k) {
                    self.change(slot, open, rid, (to, row.1), row);
                }
            }
            Step::Delete(k) => {
                if let Some((rid, row)) = find(k)
                    && self.lock(slot, open, rid)
                {
                    open.tx.handle.delete_rows(T, &[rid]).unwrap();
                    open.own.keys.insert(row.0);
                    open.own.writes.insert(rid, None);
                }
            }
            Step::Read(a, b) => check_read(open, &view, a, b),
            Step::Savepoint => {
                let number = open.tx.handle.savepoint().unwrap();
                open.savepoints.push((number, open.own.clone()));
            }
            Step::RollbackTo => {
                if let Some((number, own)) = open.savepoints.last() {
                    open.tx.handle.rollback_to(*number).unwrap();
                    open.own = own.clone();
                }
            }
            Step::Commit => {
                open.tx.commit();
                self.committed = open.view(&self.committed);
                self.commits += 1;
                self.written.extend(open.own.writes.keys().map(|rid| (*rid, self.commits)));
                return false;
            }
            Step::Abort => {
                open.tx.handle.abort();
                return false;
            }
        }
        true
    }

    /// Whether the newest state as this transaction would leave it has the key in another row.
    fn key_taken(&self, open: &Open, key: i32, except: Option<u32>) -> bool {
        open.view(&self.committed).iter().any(|(rid, row)| row.0 == key && Some(*rid) != except)
    }

    fn insert(&mut self, slot: usize, open: &mut Open, row: (i32, i32)) {
        let columns = Columns::new(&SPECS, &[cells(row)]);
        let mut rids = [0];
        let written = open.tx.handle.insert_rows(T, &columns.refs(), 0, 1, &mut rids).unwrap();
        let waits = self.others_hold(slot, |own| own.keys.contains(&row.0));
        match written.stop {
            WriteStop::Wait(_) => {
                assert!(waits, "insert of {row:?} waits for nobody");
                open.give_up_wait();
            }
            WriteStop::Conflict { .. } => {
                assert!(
                    !waits && self.key_taken(open, row.0, None),
                    "{row:?} conflicts with nothing"
                );
            }
            WriteStop::Done => {
                assert!(!waits && !self.key_taken(open, row.0, None), "{row:?} is there twice");
                open.own.writes.insert(rids[0], Some(row));
                open.own.keys.insert(row.0);
            }
        }
    }

    /// Locks a row for writing; false when the step ends here.
    fn lock(&self, slot: usize, open: &mut Open, rid: u32) -> bool {
        let mut outcome = [9];
        let locked = open.tx.handle.lock_rows(
            T,
            &[rid],
            RowLockMode::NoKeyUpdate,
            LockPolicy::Wait,
            &mut outcome,
        );
        let waits = self.others_hold(slot, |own| own.rows.contains(&rid));
        let moved = open.repeatable
            && !open.own.writes.contains_key(&rid)
            && self.written.get(&rid).is_some_and(|&commit| commit > open.taken_at);
        match locked {
            Err(error) => {
                assert!(!waits && error.sqlstate == "40001" && moved, "{error}");
                open.own.rows.insert(rid);
                false
            }
            Ok(locked) if locked.token > 0 => {
                assert!(waits, "row {rid} waits for nobody");
                open.give_up_wait();
                false
            }
            Ok(_) => {
                assert!(!waits && outcome[0] == RowOutcome::Locked as u8, "row {rid}: {outcome:?}");
                open.own.rows.insert(rid);
                true
            }
        }
    }

    fn change(&mut self, slot: usize, open: &mut Open, rid: u32, row: (i32, i32), old: (i32, i32)) {
        if !self.lock(slot, open, rid) {
            return;
        }
        let columns = Columns::new(&SPECS, &[cells(row)]);
        let written = open.tx.handle.update_rows(T, &[rid], &[0, 1], &columns.refs(), 0).unwrap();
        let moves = row.0 != old.0;
        let waits = moves && self.others_hold(slot, |own| own.keys.contains(&row.0));
        let taken = moves && self.key_taken(open, row.0, Some(rid));
        match written.stop {
            WriteStop::Wait(_) => {
                assert!(waits, "update to {row:?} waits for nobody");
                open.give_up_wait();
            }
            WriteStop::Conflict { .. } => {
                assert!(!waits && taken, "{row:?} conflicts with nothing");
            }
            WriteStop::Done => {
                assert!(!waits && !taken, "{row:?} is there twice");
                open.own.writes.insert(rid, Some(row));
                if moves {
                    open.own.keys.extend([row.0, old.0]);
                }
            }
        }
    }
}

fn check_read(open: &Open, view: &State, a: i32, b: i32) {
    let scanned: State = open
        .tx
        .scan(T, &SPECS)
        .into_iter()
        .map(|(rid, row)| match row[..] {
            [Cell::Int(k), Cell::Int(v)] => (rid, (k, v)),
            _ => panic!("{row:?}"),
        })
        .collect();
    assert_eq!(&scanned, view, "scan");
    let mut by_key: Vec<(i32, u32)> = view.iter().map(|(rid, row)| (row.0, *rid)).collect();
    by_key.sort_unstable();
    let walked = open.tx.range(PK, INT, None, None);
    assert_eq!(walked, by_key.iter().map(|(_, rid)| *rid).collect::<Vec<_>>(), "walk by key");
    let all = KeyRange::default();
    let mut backward = open.tx.handle.open_index_scan(PK, &all, true).unwrap();
    let mut rids = [0; 100];
    let count = backward.next(&mut rids).unwrap();
    assert!(rids[..count].iter().eq(walked.iter().rev()), "walk backward");
    let mut by_value: Vec<(i32, u32)> =
        view.iter().filter(|(_, r)| (a..=b).contains(&r.1)).map(|(rid, r)| (r.1, *rid)).collect();
    by_value.sort_unstable();
    let walked = open.tx.range(BY_VALUE, INT, Some(Cell::Int(a)), Some(Cell::Int(b)));
    assert_eq!(walked, by_value.iter().map(|(_, rid)| *rid).collect::<Vec<_>>(), "walk by value");
    let rids: Vec<u32> = view.keys().copied().collect();
    let fetched = open.tx.fetch(T, &SPECS, &rids, false);
    assert_eq!(fetched.iter().map(|(rid, _)| *rid).collect::<Vec<_>>(), rids, "fetch");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_transactions_agree_with_the_model(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(None);
        for (slot, step) in &steps {
            world.run(*slot, step);
        }
        world.open = [None, None, None];
        world.db.kill();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same with hardly any memory for rows, with checkpoints beside them and restarts between them.
    #[test]
    fn rows_in_files_agree_with_the_model_across_restarts(
        steps in prop::collection::vec(step(), 1..200)
    ) {
        let mut world = World::new(Some(Arc::new(MemoryDisk::new())));
        for (slot, step) in &steps {
            world.run(*slot, step);
        }
        world.reopen();
        let tx = world.db.begin(Isolation::ReadCommitted);
        tx.statement();
        let open = Open {
            tx,
            repeatable: false,
            snapshot: world.committed.clone(),
            taken_at: world.commits,
            own: Own::default(),
            savepoints: Vec::new(),
        };
        check_read(&open, &world.committed, 0, 4);
        drop(open);
        world.db.kill();
    }
}
