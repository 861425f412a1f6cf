//! The store's lock-free parts under `loom`: publication of commits beside snapshots, snapshots beside garbage collection,
//! numbers that are given again beside searches, flags of queued work, scans beside rewritten chunks, single keys beside
//! loads.
//!
//! `loom` runs each test through the interleavings of its threads (up to a number of preemptions) and lets every load
//! return every value the memory model allows. The types are those of the product; what stands around them here is the
//! order of steps that `commit::publish`, `collect`, `removal`, scans and loads keep, and that the comments there name.
//! Each test then plants what could be wrong, and must fail: a check that passes everything shows nothing.
//!
//! `cargo test --profile checked -p omen-store --lib --features model model`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use loom::thread;

use crate::snapshot::Snapshots;
use crate::sync::protocol::{Meeting, OpenScans, Queued};
use crate::sync::shared::{AtomicU32, Fault, Mutex, Ordering, RwLock, lock, plant, read, write};
use crate::table::entries::EntryTable;

const PREEMPTIONS: usize = 3;

fn holds(fault: Option<Fault>, model: fn()) -> bool {
    let run = || {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(PREEMPTIONS);
        builder.check(model);
    };
    plant(fault, || catch_unwind(AssertUnwindSafe(run)).is_ok())
}

/// The model holds, and does not with any of the mistakes.
fn check(model: fn(), faults: &[Fault]) {
    assert!(holds(None, model), "the protocol fails");
    for &fault in faults {
        assert!(!holds(Some(fault), model), "{fault:?} goes unnoticed");
    }
}

#[test]
fn a_snapshot_sees_all_of_the_commits_up_to_its_own() {
    fn model() {
        let shared = Arc::new((EntryTable::new(), Snapshots::new(0).into()));
        let committer = Arc::clone(&shared);
        let committer = thread::spawn(move || {
            let (entries, snapshots): &(EntryTable, Arc<Snapshots>) = &committer;
            for commit in 1..=2 {
                let number = entries.len();
                entries.grow(number + 1);
                entries.set(number, 10 + number, commit);
                snapshots.advance(commit);
            }
        });
        let (entries, snapshots): &(EntryTable, Arc<Snapshots>) = &shared;
        let snapshot = snapshots.take();
        // As a search does it: the snapshot first, then what there is.
        let view = entries.view();
        let seen = (0..view.len).filter_map(|number| view.visible(number, snapshot.number));
        let expected: Vec<u32> = (0..snapshot.number as u32).map(|number| 10 + number).collect();
        assert_eq!(seen.collect::<Vec<u32>>(), expected);
        drop(snapshot);
        committer.join().expect("no panic");
    }
    check(model, &[Fault::AdvanceUnreleased]);
}

/// A version that commit 2 ended, and whether it is still there.
struct Version {
    snapshots: Arc<Snapshots>,
    is_there: Mutex<bool>,
}

#[test]
fn what_a_snapshot_sees_is_not_collected_under_it() {
    fn model() {
        let world = Arc::new(Version {
            snapshots: Arc::new(Snapshots::new(1)),
            is_there: Mutex::new(true),
        });
        let other = Arc::clone(&world);
        let other = thread::spawn(move || {
            other.snapshots.advance(2);
            if other.snapshots.oldest() >= 2 {
                *lock(&other.is_there) = false;
            }
        });
        let snapshot = world.snapshots.take();
        if snapshot.number < 2 {
            assert!(*lock(&world.is_there), "the snapshot lost what it sees");
            assert!(snapshot.check().is_ok(), "nobody gave it up");
        }
        drop(snapshot);
        other.join().expect("no panic");
    }
    check(model, &[Fault::RegisteredLate]);
}

/// A reader of a version, beside one who gives its snapshot up and collects.
fn reading_beside_expiry(asks_before_it_reads: bool) {
    let world =
        Arc::new(Version { snapshots: Arc::new(Snapshots::new(1)), is_there: Mutex::new(true) });
    let snapshot = world.snapshots.take();
    let other = Arc::clone(&world);
    let other = thread::spawn(move || {
        other.snapshots.advance(2);
        other.snapshots.expire();
        if other.snapshots.oldest() >= 2 {
            *lock(&other.is_there) = false;
        }
    });
    let before = snapshot.check();
    let was_there = *lock(&world.is_there);
    let answer = if asks_before_it_reads { before } else { snapshot.check() };
    assert!(was_there || answer.is_err(), "a row less, and nobody said so");
    drop(snapshot);
    other.join().expect("no panic");
    // What the engine itself keeps is never given up.
    let kept = world.snapshots.keep();
    world.snapshots.advance(3);
    world.snapshots.expire();
    assert!(kept.check().is_ok() && world.snapshots.oldest() <= kept.number);
}

#[test]
fn a_snapshot_that_was_given_up_knows_it_after_reading() {
    check(|| reading_beside_expiry(false), &[]);
    assert!(!holds(None, || reading_beside_expiry(true)), "asking too early goes unnoticed");
}

#[test]
fn an_entry_is_one_life_or_the_other() {
    fn model() {
        let entries = Arc::new(EntryTable::new());
        entries.grow(1);
        entries.set(0, 7, 1);
        entries.delete(0, 2);
        let other = Arc::clone(&entries);
        let other = thread::spawn(move || {
            other.clear(0);
            other.set(0, 9, 3);
        });
        let view = entries.view();
        // A snapshot that was given up: nothing, or what was there.
        assert_ne!(view.visible(0, 1), Some(9));
        assert_eq!(view.visible(0, 2), None);
        assert_ne!(view.visible(0, 3), Some(7));
        other.join().expect("no panic");
        assert_eq!((view.visible(0, 1), view.visible(0, 3)), (None, Some(9)));
    }
    check(model, &[Fault::LifeNotLookedAtAgain, Fault::LifeUnreleased]);
}

#[test]
fn queued_work_is_done() {
    fn model() {
        // Work that no lock guards.
        let shared = Arc::new((Queued::default(), AtomicU32::new(0), AtomicU32::new(0)));
        let ask = |(queued, brought, done): &(Queued, AtomicU32, AtomicU32), work: u32| {
            brought.fetch_or(work, Ordering::Relaxed);
            if queued.ask() {
                queued.clear();
                done.fetch_or(brought.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        };
        let other = Arc::clone(&shared);
        let other = thread::spawn(move || ask(&other, 1));
        ask(&shared, 2);
        other.join().expect("no panic");
        assert_eq!(shared.2.load(Ordering::Relaxed), 3, "somebody's work was left");
    }
    check(model, &[Fault::ClearedUnacquired]);
}

/// A scan that counts itself, beside one who rewrites the chunk it walks.
fn scan_beside_rewriting(counted_late: bool) {
    // A chunk of one dead row and two others; rewritten, it has the others.
    let shared = Arc::new((OpenScans::default(), RwLock::new(vec![0, 1, 2])));
    let other = Arc::clone(&shared);
    let other = thread::spawn(move || {
        let (scans, chunk) = &*other;
        let mut chunk = write(chunk);
        if !scans.any() {
            chunk.retain(|&row| row != 0);
        }
    });
    let (scans, chunk) = &*shared;
    // The lock is let go between rows.
    let at = |position: usize| read(chunk).get(position).copied();
    if !counted_late {
        scans.begin();
    }
    let mut found = Vec::new();
    let (mut position, mut row) = (0, at(0));
    if counted_late {
        scans.begin();
    }
    while let Some(present) = row {
        found.push(present);
        position += 1;
        row = at(position);
    }
    scans.end();
    found.retain(|&row| row != 0);
    assert_eq!(found, [1, 2]);
    other.join().expect("no panic");
}

#[test]
fn a_scan_by_position_meets_no_rewritten_chunk() {
    check(|| scan_beside_rewriting(false), &[]);
    assert!(!holds(None, || scan_beside_rewriting(true)), "a count that comes late goes unnoticed");
}

#[test]
fn a_load_and_a_single_key_see_each_other() {
    fn model() {
        let meeting = Arc::new(Meeting::default());
        let other = Arc::clone(&meeting);
        let other = thread::spawn(move || {
            other.load_comes();
            other.has_singles()
        });
        meeting.single_comes();
        let load_seen = meeting.has_loads();
        let single_seen = other.join().expect("no panic");
        assert!(load_seen || single_seen, "both go on with one key");
    }
    check(model, &[Fault::Unfenced]);
}
