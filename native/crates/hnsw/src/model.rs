//! The adjacency protocol under `loom`: searches beside an insertion, beside a removal that gives a number again, two
//! insertions at once, and the epochs alone, on graphs of a few nodes.
//!
//! `loom` runs each test through the interleavings of its threads (up to a number of preemptions) and lets every load
//! return every value the memory model allows. What is checked: a search sees each node's vector as it was written
//! ([`Spot`] is memory that `loom` watches: a read beside a write is an error, however it comes about), reaches every
//! node that was there before, and nobody's link is lost. Each test then plants what could be wrong, and must fail: a
//! check that passes everything shows nothing.
//!
//! `cargo test --profile checked -p omen-hnsw --lib --features model model`. Not here: codes, batch builds and images
//! (their parallel phases write disjoint rows), and graphs of more than a few nodes, which `tests/stress.rs` has.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use loom::cell::UnsafeCell;
use loom::thread;
use omen_kernels::Metric;

use crate::epochs::Epochs;
use crate::graph::level_of;
use crate::sync::{AtomicU32, Fault, Ordering, plant};
use crate::{
    AllNodes, HnswGraph, HnswParams, InsertScratch, SearchRequest, SearchScratch, VectorForm,
    VectorSource,
};

const M: u16 = 2;

/// A vector of one dimension, in memory whose every access `loom` orders.
struct Spot(UnsafeCell<f32>);

// SAFETY: unsynchronised accesses are what the model finds and reports.
unsafe impl Sync for Spot {}
// SAFETY: as above.
unsafe impl Send for Spot {}

impl Spot {
    fn new(value: f32) -> Self {
        Self(UnsafeCell::new(value))
    }

    fn get(&self) -> f32 {
        // SAFETY: `loom` fails the test if a write may be under way.
        self.0.with(|value| unsafe { *value })
    }

    fn set(&self, value: f32) {
        // SAFETY: `loom` fails the test if any other access may be under way.
        self.0.with_mut(|place| unsafe { *place = value });
    }
}

impl VectorForm for Spot {
    const NUMBERS: bool = false;

    fn has(metric: Metric) -> bool {
        metric == Metric::L2
    }

    fn raw(_: Metric, query: &Self, row: &Self) -> f32 {
        (query.get() - row.get()).powi(2)
    }

    fn raw_many(metric: Metric, query: &Self, rows: &[&Self], out: &mut [f32]) {
        for (slot, row) in out.iter_mut().zip(rows) {
            *slot = Self::raw(metric, query, row);
        }
    }

    fn squared_norm(&self) -> f32 {
        self.get().powi(2)
    }

    fn equals(&self, other: &Self) -> bool {
        self.get() == other.get()
    }

    fn prefetch(&self) {}

    fn to_floats(&self, _: &mut [f32]) {
        panic!("dense vectors");
    }
}

/// A graph and its vectors, some of which are not inserted yet.
struct World {
    graph: HnswGraph,
    spots: Vec<Spot>,
}

impl VectorSource for World {
    type Vector = Spot;

    fn dim(&self) -> usize {
        1
    }

    fn vector(&self, node: u32) -> &Spot {
        &self.spots[node as usize]
    }
}

impl World {
    /// A graph whose nodes have these levels, the first `inserted` of them in it.
    fn new(values: &[f32], levels: &[u8], inserted: u32) -> Self {
        let fits = |seed: &u64| {
            let mut drawn = (0..).map(|node| level_of(*seed, M, node));
            levels.iter().all(|&level| drawn.next() == Some(level))
        };
        let seed = (0..u64::MAX).find(fits).expect("every row of levels is drawn by some seed");
        let params = HnswParams { m: M, seed, ..HnswParams::new(Metric::L2) };
        let spots = values.iter().map(|&value| Spot::new(value)).collect();
        let world = Self { graph: HnswGraph::new(params), spots };
        (0..inserted).for_each(|node| world.insert(node));
        world
    }

    fn insert(&self, node: u32) {
        self.graph.insert(node, self, &mut InsertScratch::new());
    }

    /// The nodes a search for `value` finds, nearest first, by a beam wide enough for all of them.
    fn search(&self, value: f32) -> Vec<u32> {
        let request = SearchRequest::new(self.spots.len(), self.spots.len());
        let (mut scratch, mut hits) = (SearchScratch::new(), Vec::new());
        let query = Spot::new(value);
        self.graph.search(self, &query, &request, &AllNodes, &mut scratch, &mut hits);
        hits.iter().map(|hit| hit.node).collect()
    }
}

/// Runs a model through its interleavings; false when one of them failed.
fn holds(fault: Option<Fault>, preemptions: usize, model: fn()) -> bool {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    let run = || catch_unwind(AssertUnwindSafe(|| builder.check(model))).is_ok();
    plant(fault, run)
}

/// The model holds, and with each of the faults it does not.
fn check(preemptions: usize, model: fn(), faults: &[Fault]) {
    assert!(holds(None, preemptions, model), "the protocol fails");
    for &fault in faults {
        assert!(!holds(Some(fault), preemptions, model), "{fault:?} goes unnoticed");
    }
}

#[test]
fn a_search_that_may_hold_a_node_is_waited_for() {
    fn model() {
        let shared = Arc::new((Epochs::default(), AtomicU32::new(1), Spot::new(1.0)));
        let reader = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            let (epochs, link, spot) = &*reader;
            let _inside = epochs.enter();
            if link.load(Ordering::Acquire) != 0 {
                assert_eq!(spot.get(), 1.0);
            }
        });
        let (epochs, link, spot) = &*shared;
        // Once for something else: a reader that entered too late for this wait must not be missed by the next.
        epochs.wait_for_readers();
        link.store(0, Ordering::Release);
        epochs.wait_for_readers();
        spot.set(2.0);
        reader.join().expect("no panic");
    }
    check(5, model, &[Fault::EpochNotLookedAtAgain, Fault::EpochUnfenced]);
}

#[test]
fn a_search_beside_an_insertion_finds_what_was_there() {
    // Node 0 has all its slots taken by nodes on one side; the new one between takes the place of all of them.
    const VALUES: [f32; 6] = [0.0, 13.0, 12.0, 11.0, 10.0, 5.0];
    fn model() {
        let world = Arc::new(World::new(&VALUES, &[0; 6], 5));
        let searcher = Arc::clone(&world);
        let searcher = thread::spawn(move || {
            let mut found = searcher.search(13.0);
            found.retain(|&node| node != 5);
            assert_eq!(found, [1, 2, 3, 4, 0]);
        });
        world.insert(5);
        searcher.join().expect("no panic");
        assert_eq!(world.search(13.0), [1, 2, 3, 4, 5, 0]);
    }
    check(4, model, &[Fault::LinkUnreleased, Fault::LinksBackFirst]);
}

#[test]
fn a_search_beside_an_insertion_on_two_levels_comes_down_to_its_links() {
    // The new node becomes the entry while a search may stand on the old one.
    fn model() {
        let world = Arc::new(World::new(&[0.0, 4.0, 9.0], &[1, 0, 2], 2));
        let searcher = Arc::clone(&world);
        let searcher = thread::spawn(move || {
            let found = searcher.search(9.0);
            assert!(found == [1, 0] || found == [2, 1, 0], "{found:?}");
        });
        world.insert(2);
        searcher.join().expect("no panic");
        assert_eq!(world.search(9.0), [2, 1, 0]);
    }
    check(4, model, &[Fault::LinkUnreleased]);
}

#[test]
fn two_insertions_at_once_lose_nobody() {
    fn into_nothing() {
        let world = Arc::new(World::new(&[0.0, 4.0], &[0, 0], 0));
        let other = Arc::clone(&world);
        let other = thread::spawn(move || other.insert(1));
        world.insert(0);
        other.join().expect("no panic");
        assert_eq!((world.graph.len(), world.search(0.0)), (2, vec![0, 1]));
    }
    // Both want a slot of node 0.
    fn one_target() {
        let world = Arc::new(World::new(&[0.0, 4.0, -4.0], &[0; 3], 1));
        let other = Arc::clone(&world);
        let other = thread::spawn(move || other.insert(2));
        world.insert(1);
        other.join().expect("no panic");
        assert_eq!((world.graph.len(), world.search(4.0)), (3, vec![1, 0, 2]));
    }
    check(4, into_nothing, &[Fault::EntryNotLookedAtAgain]);
    check(4, one_target, &[Fault::SlotsUnlocked]);
}

#[test]
fn a_removed_node_is_given_again_after_the_searches_that_hold_it() {
    fn model() {
        let world = Arc::new(World::new(&[0.0, 4.0, 9.0], &[0; 3], 3));
        let searcher = Arc::clone(&world);
        let searcher = thread::spawn(move || {
            let mut found = searcher.search(4.0);
            // Node 1 may be found as what it was, or as what it became, or not at all.
            found.retain(|&node| node != 1);
            assert_eq!(found, [0, 2]);
        });
        let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
        let is_removed = |node| node == 1;
        world.graph.remove(is_removed, &*world, 1, &progress, &cancel).expect("nobody cancels");
        world.spots[1].set(20.0);
        world.insert(1);
        searcher.join().expect("no panic");
        assert_eq!(world.search(4.0), [0, 2, 1]);
    }
    let faults = [Fault::WaitBeforeDetach, Fault::EpochUnfenced, Fault::LinkUnreleased];
    check(4, model, &faults);
}
