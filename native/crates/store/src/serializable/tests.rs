//! The graph against brute force: random histories run over a small multi-version store with the marks and checks of
//! `Serializable`; of every history the committed transactions must have a serial order, found by looking for cycles in
//! their full dependency graph.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::*;
use crate::key::Entry;

const RELATION: u32 = 1;
const INDEX: u32 = 2;

/// xorshift64*: seeded, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }
}

struct Open {
    number: usize,
    handle: Arc<Handle>,
    snapshot: Arc<Snapshot>,
    read_only: bool,
    /// Item -> the writer whose version was read (0 = the first version).
    reads: BTreeMap<u64, usize>,
    writes: BTreeSet<u64>,
}

struct Done {
    number: usize,
    reads: BTreeMap<u64, usize>,
    writes: BTreeSet<u64>,
}

struct World {
    ssi: Serializable,
    snapshots: Arc<Snapshots>,
    /// Item -> (commit, transaction), oldest first.
    versions: HashMap<u64, Vec<(u64, usize)>>,
    committed: Vec<Done>,
    failures: usize,
}

fn entry(item: u64) -> Vec<u8> {
    Entry::new(&item.to_be_bytes(), item as u32).bytes().to_vec()
}

impl World {
    fn visible(&self, item: u64, snapshot: u64) -> usize {
        let versions = self.versions.get(&item);
        let seen = versions.into_iter().flatten().rev().find(|(commit, _)| *commit <= snapshot);
        seen.map_or(0, |(_, writer)| *writer)
    }

    /// Reads items one by one, as a range of the index, or as a whole table.
    fn read(&self, open: &mut Open, random: &mut Random, items: u64) -> Result<()> {
        let (low, high) = match random.below(4) {
            0 => {
                self.ssi.read_table(&open.handle, &open.snapshot, RELATION)?;
                (0, items)
            }
            1 => {
                let low = random.below(items);
                let high = low + 1 + random.below(items - low);
                let bytes = |item: u64| Some(item.to_be_bytes().to_vec());
                let range = ByteRange { low: bytes(low), high: bytes(high) };
                self.ssi.read_range(&open.handle, &open.snapshot, RELATION, INDEX, &range)?;
                (low, high)
            }
            _ => {
                let item = random.below(items);
                self.ssi.read_rows(&open.handle, &open.snapshot, RELATION, &[item as u32])?;
                (item, item + 1)
            }
        };
        for item in low..high {
            if !open.writes.contains(&item) {
                let writer = self.visible(item, open.handle.snapshot);
                open.reads.insert(item, writer);
            }
        }
        Ok(())
    }

    /// Overwrites an item; an error where another got there first (the row lock and first-updater-wins of the store).
    fn write(&self, open: &mut Open, others: &[Open], item: u64) -> Result<()> {
        let newest =
            self.versions.get(&item).and_then(|v| v.last()).map_or(0, |(commit, _)| *commit);
        let locked = others.iter().any(|o| o.writes.contains(&item));
        if newest > open.handle.snapshot || locked {
            return Err(StoreError::internal("somebody else"));
        }
        // The version that is replaced was read, as an UPDATE does.
        self.ssi.read_rows(&open.handle, &open.snapshot, RELATION, &[item as u32])?;
        let keys = [(INDEX, entry(item))];
        self.ssi.write(&open.handle, RELATION, Some(item as u32), &keys)?;
        if open.writes.insert(item) {
            open.reads.entry(item).or_insert_with(|| self.visible(item, open.handle.snapshot));
        }
        Ok(())
    }

    fn commit(&mut self, open: Open) -> Result<()> {
        if let Err(error) = self.ssi.prepare(&open.handle) {
            self.ssi.end(&open.handle, false);
            return Err(error);
        }
        if !open.writes.is_empty() {
            let commit = self.snapshots.visible() + 1;
            for item in &open.writes {
                self.versions.entry(*item).or_default().push((commit, open.number));
            }
            open.handle.commit.store(commit, Ordering::Release);
            self.snapshots.advance(commit);
        }
        self.ssi.end(&open.handle, true);
        self.committed.push(Done { number: open.number, reads: open.reads, writes: open.writes });
        Ok(())
    }

    /// Edges of the dependency graph over committed transactions: write-read, write-write, read-write.
    fn is_serializable(&self) -> bool {
        let mut edges: HashMap<usize, BTreeSet<usize>> = HashMap::new();
        let order = |item: &u64| -> Vec<usize> {
            let written = self.versions.get(item).into_iter().flatten().map(|(_, writer)| *writer);
            std::iter::once(0).chain(written).collect()
        };
        for done in &self.committed {
            for (item, writer) in &done.reads {
                edges.entry(*writer).or_default().insert(done.number);
                let order = order(item);
                let at = order.iter().position(|w| w == writer).expect("what was read was written");
                if let Some(next) = order.get(at + 1) {
                    edges.entry(done.number).or_default().insert(*next);
                }
            }
            for item in &done.writes {
                for pair in order(item).windows(2) {
                    edges.entry(pair[0]).or_default().insert(pair[1]);
                }
            }
        }
        for (from, to) in &mut edges {
            to.remove(from);
        }
        // Takes away whoever nobody points at, again and again.
        let mut left: BTreeSet<usize> =
            self.committed.iter().map(|d| d.number).chain([0]).collect();
        loop {
            let pointed: BTreeSet<usize> =
                left.iter().flat_map(|n| edges.get(n).into_iter().flatten()).copied().collect();
            let free: Vec<usize> = left.difference(&pointed).copied().collect();
            if free.is_empty() {
                return left.is_empty();
            }
            left.retain(|n| !free.contains(n));
        }
    }
}

fn run(seed: u64, with_checks: bool, max_nodes: usize) -> World {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut world = World {
        ssi: Serializable { max_nodes, ..Serializable::new(Arc::new(AtomicU32::new(0))) },
        snapshots: Arc::new(Snapshots::new(0)),
        versions: HashMap::new(),
        committed: Vec::new(),
        failures: 0,
    };
    let items = 2 + random.below(4);
    let mut open: Vec<Open> = Vec::new();
    let mut number = 0;
    let transactions = 12;
    while number < transactions || !open.is_empty() {
        if number < transactions && open.len() < 4 && random.below(3) == 0 {
            number += 1;
            let read_only = random.below(4) == 0;
            let (snapshot, handle) = world.ssi.begin(&world.snapshots, read_only);
            if !with_checks {
                handle.is_safe.store(true, Ordering::Release);
            }
            let (reads, writes) = (BTreeMap::new(), BTreeSet::new());
            open.push(Open { number: number as usize, handle, snapshot, read_only, reads, writes });
            continue;
        }
        if open.is_empty() {
            continue;
        }
        let at = random.below(open.len() as u64) as usize;
        let mut me = open.swap_remove(at);
        let step = random.below(8);
        if step == 6 {
            world.ssi.end(&me.handle, false);
        } else if step == 7 || (step >= 3 && me.read_only) {
            world.failures += usize::from(world.commit(me).is_err());
        } else {
            let outcome = if step < 3 {
                world.read(&mut me, &mut random, items)
            } else {
                let item = random.below(items);
                world.write(&mut me, &open, item)
            };
            if outcome.is_ok() {
                open.push(me);
            } else {
                world.ssi.end(&me.handle, false);
                world.failures += 1;
            }
        }
    }
    world
}

#[test]
fn accepted_histories_are_serializable() {
    let (mut committed, mut failures) = (0, 0);
    for seed in 1..=20_000 {
        let world = run(seed, true, MAX_NODES);
        assert!(world.is_serializable(), "seed {seed}");
        committed += world.committed.len();
        failures += world.failures;
    }
    // Neither everything nor nothing is refused.
    assert!(committed > failures, "{committed} committed, {failures} failed");
}

/// Committed transactions that were merged are still seen as they were, or worse.
#[test]
fn summaries_lose_no_conflict() {
    let mut committed = 0;
    for seed in 1..=10_000 {
        let world = run(seed, true, 3 + (seed % 3) as usize);
        assert!(world.is_serializable(), "seed {seed}");
        committed += world.committed.len();
    }
    assert!(committed > 10_000, "{committed} committed");
}

/// The brute-force side can fail: plain snapshot isolation does not pass it.
#[test]
fn without_the_checks_they_are_not() {
    let bad = (1..=500).filter(|seed| !run(*seed, false, MAX_NODES).is_serializable()).count();
    assert!(bad > 10, "{bad}");
}

#[test]
fn nothing_is_left_behind() {
    for seed in 1..=500 {
        let world = run(seed, true, if seed % 2 == 0 { MAX_NODES } else { 5 });
        let inner = lock(&world.ssi.inner);
        assert_eq!(inner.graph.len(), 0, "seed {seed}");
        assert!(inner.marks.is_empty(), "seed {seed}");
    }
}
