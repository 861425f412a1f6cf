//! Rows that differ in length: they take what they hold, their room is given again, and a crash leaves no row behind that is
//! half another's.

use omen_disk::{
    Disk, DiskErrorKind, FaultyDisk, MemoryDisk, OsDisk, RowWords, VectorOptions, VectorSegments,
};
use std::collections::BTreeMap;
use std::sync::Arc;

const MOST: usize = 2001;
const OPTIONS: VectorOptions =
    VectorOptions { words: RowWords::Counted { most: MOST }, segment_rows: 64 };
/// Of one heap file.
const FILE_BYTES: u64 = (4 << 20) + 4096;

fn open(disk: &(impl Disk + Clone + 'static), high_water: u32) -> VectorSegments {
    VectorSegments::open(Arc::new(disk.clone()), "7.2", OPTIONS, high_water).unwrap()
}

/// A row of `pairs` pairs that says whose it is.
fn row(vid: u32, pairs: usize, version: u32) -> Vec<f32> {
    let words = (0..2 * pairs as u32).map(|at| vid * 1_000_003 + version * 7919 + at);
    std::iter::once(pairs as u32).chain(words).map(f32::from_bits).collect()
}

fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|word| word.to_bits()).collect()
}

/// xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[test]
fn rows_of_any_length_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let os: Arc<dyn Disk> = Arc::new(OsDisk::open(folder.path()).unwrap());
    for disk in [os, Arc::new(MemoryDisk::new())] {
        let open = |mark| VectorSegments::open(Arc::clone(&disk), "7.2", OPTIONS, mark).unwrap();
        let lengths = [0, 1, 3, 1000, 100, 7, 0, 999];
        let rows: Vec<Vec<f32>> =
            (0..1200).map(|vid| row(vid, lengths[vid as usize % 8], 0)).collect();
        let column = open(0);
        column.write(0, &rows[0]).unwrap();
        column.write_run(1, &rows[1..].concat()).unwrap();
        let check = |column: &VectorSegments| {
            for (vid, row) in (0..).zip(&rows) {
                assert_eq!(column.get(vid).map(bits), Some(bits(row)), "vector {vid}");
            }
            column.verify(0, 1200).unwrap();
        };
        check(&column);
        let words: usize = rows.iter().map(Vec::len).sum();
        assert!(column.row_bytes(1200) < (words * 4 + 1200 * (8 + 16)) as u64);
        assert!(column.sync().unwrap() > 0);
        assert_eq!(column.sync().unwrap(), 0, "nothing dirty is left");
        drop(column);
        let column = open(1200);
        check(&column);
        column.settle(1200, |_| false);
        check(&column);
        assert_eq!(VectorSegments::check(&*disk, "7.2", OPTIONS, 1200).unwrap(), 19 + 1);
        VectorSegments::remove(&*disk, "7.2").unwrap();
        assert!(!disk.exists("vec/7.2").unwrap());
    }
}

#[test]
fn a_row_that_is_too_long_for_its_column_is_no_row() {
    let words = RowWords::Counted { most: MOST };
    assert!(words.first(&row(1, 1000, 0)).is_some());
    assert!(words.first(&row(1, 1001, 0)).is_none());
}

/// Against a model, over openings: what is live reads as it was written, and room stays below what lives and a file more.
#[test]
fn the_room_of_dead_rows_is_given_again() {
    const ROWS: u32 = 2000;
    let disk = MemoryDisk::new();
    let mut column = open(&disk, 0);
    let mut random = Random(77);
    let mut live: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
    for round in 0..60 {
        // Lengths drift: small ones first, then large ones, then all.
        let most = [60, 400, 150][round as usize % 3];
        for vid in 0..ROWS {
            if round > 0 && random.below(2) == 0 {
                continue;
            }
            if live.remove(&vid).is_some() {
                // SAFETY: nobody holds a slice.
                unsafe { column.release(vid) };
            }
            let row = row(vid, 1 + random.below(most) as usize, round);
            column.write(vid, &row).unwrap();
            live.insert(vid, row);
        }
        if round % 7 == 3 {
            column.sync().unwrap();
            drop(column);
            column = open(&disk, ROWS);
            // Some died with the process.
            live.retain(|_, _| random.below(10) > 0);
            column.settle(ROWS, |vid| !live.contains_key(&vid));
        }
        for (&vid, row) in &live {
            assert_eq!(column.get(vid).map(bits), Some(bits(row)), "round {round}, vector {vid}");
        }
        let bytes: usize = live.values().map(|row| row.len() * 4 + 16).sum();
        assert!(column.row_bytes(ROWS) <= bytes as u64 + u64::from(ROWS) * 8);
    }
    // 2000 rows of at most 400 pairs take 3.3 MB in the mean of their largest round.
    let is_segment = |name: &String| name.contains(".seg");
    let heaps = disk.list("vec/7.2").unwrap().iter().filter(|name| !is_segment(name)).count();
    assert!(heaps <= 2, "{heaps} files");
    assert!(column.disk_bytes() < 3 * FILE_BYTES);
}

/// As replay does it: what the log names is written again, whatever the slots lead to, and nothing else is overwritten.
#[test]
fn what_is_replayed_harms_nothing_that_lives() {
    let disk = MemoryDisk::new();
    let column = open(&disk, 0);
    (0..100).for_each(|vid| column.write(vid, &row(vid, 20, 0)).unwrap());
    column.sync().unwrap();
    // After the checkpoint: 10 of them are given again, and 20 follow.
    for vid in 0..10 {
        // SAFETY: nobody holds a slice.
        unsafe { column.release(vid) };
        column.write(vid, &row(vid, 25, 1)).unwrap();
    }
    (100..120).for_each(|vid| column.write(vid, &row(vid, 30, 0)).unwrap());
    drop(column);
    for _ in 0..2 {
        let column = open(&disk, 100);
        for vid in (0..10).chain(100..120) {
            let row = if vid < 10 { row(vid, 25, 1) } else { row(vid, 30, 0) };
            // SAFETY: nobody reads the column.
            unsafe { column.restore_run(vid, &row).unwrap() };
        }
        column.settle(120, |vid| vid == 50);
        column.write(120, &row(120, 40, 0)).unwrap();
        for vid in (0..120).filter(|vid| *vid != 50) {
            let wanted = match vid {
                0..10 => row(vid, 25, 1),
                10..100 => row(vid, 20, 0),
                _ => row(vid, 30, 0),
            };
            assert_eq!(column.get(vid).map(bits), Some(bits(&wanted)), "vector {vid}");
        }
    }
}

/// The slot of a number that was given again was lost with a crash, and still leads to where the row of its first owner was:
/// to the row of another by now, which is equal.
#[test]
fn equal_rows_do_not_end_up_in_one_place() {
    let disk = MemoryDisk::new();
    let column = open(&disk, 0);
    column.write(0, &row(0, 0, 0)).unwrap();
    // SAFETY: nobody holds a slice.
    unsafe { column.release(0) };
    column.write(1, &row(1, 0, 0)).unwrap();
    drop(column);
    let column = open(&disk, 2);
    assert!(column.get(0).is_some(), "the slot leads to an equal row");
    // SAFETY: nobody reads the column.
    unsafe { column.restore_run(0, &row(0, 0, 0)).unwrap() };
    column.settle(2, |_| false);
    // SAFETY: nobody holds a slice.
    unsafe { column.release(0) };
    column.write(0, &row(0, 1, 1)).unwrap();
    column.write(2, &row(2, 0, 0)).unwrap();
    assert_eq!(column.get(1).map(bits), Some(bits(&row(1, 0, 0))));
}

/// Starts without a checkpoint between them find the same log again.
#[test]
fn replaying_again_and_again_takes_no_more_room() {
    let disk = MemoryDisk::new();
    let column = open(&disk, 0);
    (0..10).for_each(|vid| column.write(vid, &row(vid, 900, 0)).unwrap());
    column.sync().unwrap();
    drop(column);
    let logged: Vec<f32> = (5..1000).flat_map(|vid| row(vid, 90, 1)).collect();
    let mut bytes = Vec::new();
    for _ in 0..10 {
        let column = open(&disk, 10);
        // SAFETY: nobody reads the column.
        unsafe { column.restore_run(5, &logged).unwrap() };
        column.settle(1000, |vid| vid == 3);
        for vid in (0..1000).filter(|vid| *vid != 3) {
            let wanted = if vid < 5 { row(vid, 900, 0) } else { row(vid, 90, 1) };
            assert_eq!(column.get(vid).map(bits), Some(bits(&wanted)), "vector {vid}");
        }
        bytes.push(column.disk_bytes());
    }
    assert!(bytes.iter().all(|now| *now == bytes[0]), "{bytes:?}");
}

#[test]
fn every_flipped_byte_is_noticed() {
    let disk = MemoryDisk::new();
    let column = open(&disk, 0);
    (0..10).for_each(|vid| column.write(vid, &row(vid, 3, 0)).unwrap());
    drop(column);
    let files = ["vec/7.2/00000000.seg", "vec/7.2/00000000.heap"];
    let whole = files.map(|name| {
        // All that is used of them.
        let file = disk.open(name).unwrap();
        let mut bytes = vec![0; file.len().unwrap().min(12_288) as usize];
        file.read_at(0, &mut bytes).unwrap();
        bytes
    });
    for (name, ranges) in files.into_iter().zip([
        vec![0..36, 4096..4096 + 40, 8192..8192 + 80],
        // Behind a row of 28 bytes are 4 that nobody reads.
        (0..10)
            .map(|vid| 4096 + vid * 32..4096 + vid * 32 + 28)
            .chain(std::iter::once(0..20))
            .collect(),
    ]) {
        let file = disk.open(name).unwrap();
        for at in ranges.into_iter().flatten() {
            let mut byte = [0];
            file.read_at(at, &mut byte).unwrap();
            file.write_at(at, &[byte[0] ^ 0x40]).unwrap();
            match VectorSegments::open(Arc::new(disk.clone()), "7.2", OPTIONS, 10) {
                Err(error) => assert!(at < 4096 && error.kind == DiskErrorKind::Corrupt, "{error}"),
                Ok(column) => {
                    assert!(at >= 4096, "byte {at} of {name}");
                    let bad: Vec<u32> = (0..10).filter(|&vid| column.get(vid).is_none()).collect();
                    assert_eq!(bad.len(), 1, "byte {at} of {name}");
                    assert!(column.verify(0, 10).is_err());
                    // Its units are not given to others, for who knows whose they are.
                    column.settle(10, |_| false);
                    // SAFETY: nobody holds a slice.
                    unsafe { column.release(bad[0]) };
                    let before: Vec<_> = (0..10).map(|vid| column.get(vid).map(bits)).collect();
                    column.write(10, &row(10, 3, 9)).unwrap();
                    let after: Vec<_> = (0..10).map(|vid| column.get(vid).map(bits)).collect();
                    assert_eq!(before, after);
                }
            }
            for (name, bytes) in files.iter().zip(&whole) {
                disk.open(name).unwrap().write_at(0, bytes).unwrap();
            }
        }
    }
}

/// After any crash a slot below the mark holds the row that was synced, or nothing: never parts of two.
#[test]
fn crashes_leave_rows_whole() {
    let disk = FaultyDisk::new();
    let small = VectorOptions { segment_rows: 8, ..OPTIONS };
    let column = VectorSegments::open(Arc::new(disk.clone()), "7.2", small, 0).unwrap();
    (0..12).for_each(|vid| column.write(vid, &row(vid, 30, 0)).unwrap());
    column.sync().unwrap();
    let synced = disk.operations();
    for vid in 0..4 {
        // SAFETY: nobody holds a slice.
        unsafe { column.release(vid) };
    }
    // In the room of those, of other lengths.
    (0..4).for_each(|vid| column.write(vid, &row(vid, 10 + 20 * vid as usize, 1)).unwrap());
    column.write_run(12, &[row(12, 40, 0), row(13, 5, 0)].concat()).unwrap();
    column.sync().unwrap();
    let mut states = 0;
    for state in disk.crash_states(3).map(Result::unwrap) {
        if state.operation < synced {
            continue;
        }
        let crashed = Arc::new(state.disk);
        let column = VectorSegments::open(crashed, "7.2", small, 14);
        let Ok(column) = column else {
            // Segment 1 is synced; nothing says so of a file that came later.
            panic!("after {} operations, {:?}", state.operation, state.kind);
        };
        for vid in 0..14 {
            let found = column.get(vid).map(bits);
            let old = (vid < 12).then(|| bits(&row(vid, 30, 0)));
            let new = match vid {
                0..4 => Some(bits(&row(vid, 10 + 20 * vid as usize, 1))),
                12 => Some(bits(&row(12, 40, 0))),
                13 => Some(bits(&row(13, 5, 0))),
                _ => None,
            };
            let is_one =
                found == old || found == new || (found.is_none() && !(4..12).contains(&vid));
            assert!(is_one, "vector {vid} after {} operations, {:?}", state.operation, state.kind);
        }
        states += 1;
    }
    assert!(states > 20, "{states} states");
}
