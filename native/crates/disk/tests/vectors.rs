//! Vector segments: what is written is what is read, through the mapping, over openings, crashes and damage.

use omen_disk::vectors::MAX_DIM;
use omen_disk::{
    Disk, DiskErrorKind, FaultyDisk, MemoryDisk, OsDisk, RowWords, VectorOptions, VectorSegments,
};
use std::sync::Arc;

const SMALL: VectorOptions = VectorOptions { words: RowWords::Fixed(5), segment_rows: 8 };

fn vector(vid: u32, dim: usize) -> Vec<f32> {
    (0..dim).map(|position| vid as f32 * 100.0 + position as f32 + 0.5).collect()
}

fn open(disk: &(impl Disk + Clone + 'static), high_water: u32) -> VectorSegments {
    VectorSegments::open(Arc::new(disk.clone()), "7.2", SMALL, high_water).unwrap()
}

#[test]
fn vectors_come_back_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let os = OsDisk::open(folder.path()).unwrap();
    let memory = MemoryDisk::new();
    let disks: [Arc<dyn Disk>; 2] = [Arc::new(os), Arc::new(memory)];
    for disk in disks {
        for dim in [1, 3, 16, 17, 768] {
            let name = format!("1.{dim}");
            let options = VectorOptions { words: RowWords::Fixed(dim), segment_rows: 8 };
            let column = VectorSegments::open(Arc::clone(&disk), &name, options, 0).unwrap();
            let kept = column_of(&column, dim);
            assert_eq!(column.sync().unwrap(), 4);
            assert_eq!(column.sync().unwrap(), 0, "nothing dirty is left");
            assert_eq!(kept.as_ptr() as usize % 64, 0, "rows lie on cache lines");
            drop(column);
            let column = VectorSegments::open(Arc::clone(&disk), &name, options, 30).unwrap();
            (0..30).for_each(|vid| assert_eq!(column.vector(vid), vector(vid, dim)));
            assert!(column.get(30).is_none());
            column.verify(0, 32).unwrap();
            VectorSegments::remove(&*disk, &name).unwrap();
            assert!(!disk.exists(&format!("vec/{name}")).unwrap());
            assert_eq!(column.vector(3), vector(3, dim), "open values stay readable");
        }
    }
}

/// Writes 30 vectors, singly and in runs over a segment border; returns the first, which must stay where it is.
fn column_of(column: &VectorSegments, dim: usize) -> &[f32] {
    column.write(0, &vector(0, dim)).unwrap();
    let first = column.vector(0);
    let run: Vec<f32> = (1..29).flat_map(|vid| vector(vid, dim)).collect();
    column.write_run(1, &run).unwrap();
    column.write(29, &vector(29, dim)).unwrap();
    assert_eq!(first, vector(0, dim), "growing moves nothing");
    first
}

#[test]
fn the_usual_layout_fits_its_limits() {
    for dim in [1, 3, 128, 768, 1536, 2000, MAX_DIM] {
        let options = VectorOptions::new(RowWords::Fixed(dim));
        assert!(options.segment_rows.is_power_of_two());
        assert!(options.segment_rows * dim * 4 <= 32 << 20);
        assert!((512..=16_384).contains(&options.segment_rows), "{options:?}");
    }
}

#[test]
fn a_slot_is_written_once() {
    let column = open(&MemoryDisk::new(), 0);
    column.write(4, &vector(4, 5)).unwrap();
    column.write(4, &vector(4, 5)).unwrap();
    assert_eq!(column.write(4, &vector(5, 5)).unwrap_err().kind, DiskErrorKind::Corrupt);
    let run: Vec<f32> = (2..7).flat_map(|vid| vector(vid, 5)).collect();
    column.write_run(2, &run).unwrap();
    (2..7).for_each(|vid| assert_eq!(column.vector(vid), vector(vid, 5)));
    column.write(40, &vector(40, 5)).unwrap();
    assert!(column.get(39).is_none() && column.get(20).is_none(), "numbers may stay unused");
    column.verify(0, 48).unwrap();
}

#[test]
fn limits_are_errors() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    for dim in [0, MAX_DIM + 1] {
        let options = VectorOptions { words: RowWords::Fixed(dim), segment_rows: 8 };
        let refused = VectorSegments::open(Arc::clone(&disk), "1.1", options, 0).err().unwrap();
        assert_eq!(refused.kind, DiskErrorKind::TooLarge);
    }
}

#[test]
fn slots_above_the_mark_are_forgotten() {
    let disk = MemoryDisk::new();
    let column = open(&disk, 0);
    (0..30).for_each(|vid| column.write(vid, &vector(vid, 5)).unwrap());
    drop(column);
    let column = open(&disk, 10);
    assert_eq!(disk.list("vec/7.2").unwrap().len(), 2, "segments above are gone");
    assert!(column.get(10).is_none());
    (10..30).for_each(|vid| column.write(vid, &vector(vid + 1000, 5)).unwrap());
    assert_eq!(column.vector(10), vector(1010, 5));
    assert_eq!(column.vector(9), vector(9, 5));
}

#[test]
fn every_flipped_byte_is_noticed() {
    let disk = MemoryDisk::new();
    let column = open(&disk, 0);
    (0..12).for_each(|vid| column.write(vid, &vector(vid, 5)).unwrap());
    drop(column);
    for (name, first) in [("vec/7.2/00000000.seg", 0), ("vec/7.2/00000001.seg", 8)] {
        let file = disk.open(name).unwrap();
        let mut whole = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut whole).unwrap();
        let header = 0..36;
        let sums = 4096..4096 + 8 * 4;
        let rows = 8192..8192 + 8 * 64;
        for at in header.clone().chain(sums).chain(rows) {
            file.write_at(at as u64, &[whole[at] ^ 0x40]).unwrap();
            match VectorSegments::open(Arc::new(disk.clone()), "7.2", SMALL, 12) {
                Err(error) => {
                    assert_eq!(error.sqlstate(), "XX001");
                    assert!(
                        header.contains(&at),
                        "only the header stops the opening, not byte {at}"
                    );
                }
                Ok(column) => {
                    let bad =
                        if at < 8192 { (at - 4096) / 4 } else { (at - 8192) / 64 } as u32 + first;
                    let error = column.verify(0, 16).unwrap_err().to_string();
                    assert!(error.starts_with(&format!("vector {bad} in")), "byte {at}: {error}");
                    assert!(
                        bad >= 12 || column.get(bad).is_none(),
                        "a damaged vector is not given out"
                    );
                }
            }
            file.write_at(at as u64, &whole[at..=at]).unwrap();
        }
    }
    disk.remove("vec/7.2/00000000.seg").unwrap();
    let missing = VectorSegments::open(Arc::new(disk), "7.2", SMALL, 12).err().unwrap();
    assert_eq!(missing.kind, DiskErrorKind::Corrupt);
}

/// Opening reads no rows: what is damaged afterwards is found as well, when it is first asked for and not later.
#[test]
fn rows_are_checked_at_first_touch() {
    const WIDE: VectorOptions = VectorOptions { words: RowWords::Fixed(512), segment_rows: 32 };
    let disk = MemoryDisk::new();
    let shared = || Arc::new(disk.clone()) as Arc<dyn Disk>;
    let column = VectorSegments::open(shared(), "7.2", WIDE, 0).unwrap();
    (0..30).for_each(|vid| column.write(vid, &vector(vid, 512)).unwrap());
    drop(column);
    let file = disk.open("vec/7.2/00000000.seg").unwrap();
    let damage = |vid: u64| file.write_at(8192 + vid * 2048 + 77, &[0xAA]).unwrap();
    let column = VectorSegments::open(shared(), "7.2", WIDE, 30).unwrap();
    // Four rows make a block.
    assert_eq!(column.vector(4), vector(4, 512));
    damage(6);
    assert!(column.get(6).is_some(), "looked at together with the fourth");
    damage(9);
    // SAFETY: below the mark, and nobody releases it.
    assert!(unsafe { column.read(9) }.is_none());
    assert_eq!(column.vector(10), vector(10, 512), "the others of its block are sound");
    assert!(column.get(31).is_none());
    column.write(9, &vector(9, 512)).unwrap();
    assert_eq!(column.vector(9), vector(9, 512));
    // SAFETY: nobody has a slice of it.
    unsafe { column.release(20) };
    column.write(20, &vector(999, 512)).unwrap();
    assert_eq!(column.vector(20), vector(999, 512), "a release is a touch");
    (0..30).filter(|vid| ![6, 20].contains(vid)).for_each(|vid| {
        // SAFETY: as above.
        assert_eq!(unsafe { column.read(vid) }.unwrap(), vector(vid, 512));
    });
}

/// Whoever comes first, reader or writer: all see what is there, each slot is taken once.
#[test]
fn threads_meet_at_a_first_touch() {
    let disk = MemoryDisk::new();
    let options = VectorOptions { words: RowWords::Fixed(5), segment_rows: 4096 };
    let shared = || Arc::new(disk.clone()) as Arc<dyn Disk>;
    let column = VectorSegments::open(shared(), "7.2", options, 0).unwrap();
    (0..4000)
        .filter(|vid| vid % 7 != 0)
        .for_each(|vid| column.write(vid, &vector(vid, 5)).unwrap());
    drop(column);
    for round in 0..20 {
        let column = VectorSegments::open(shared(), "7.2", options, 4000).unwrap();
        std::thread::scope(|scope| {
            for reader in 0..3 {
                let column = &column;
                scope.spawn(move || {
                    for vid in (0..4000).map(|i| (i * 13 + reader * 997) % 4000) {
                        if vid % 7 != 0 {
                            assert_eq!(column.get(vid), Some(&vector(vid, 5)[..]), "vector {vid}");
                        }
                    }
                });
            }
            scope.spawn(|| {
                for vid in (0..4000).rev().step_by(7 * 11).map(|vid| vid - vid % 7) {
                    column.write(vid, &vector(vid + 1, 5)).unwrap();
                    // SAFETY: nobody else asks for these.
                    unsafe { column.release(vid) };
                    column.write(vid, &vector(vid + round, 5)).unwrap();
                    assert_eq!(column.vector(vid), vector(vid + round, 5));
                    // SAFETY: as above.
                    unsafe { column.release(vid) };
                }
            });
        });
        drop(column);
        let file = disk.open("vec/7.2/00000000.seg").unwrap();
        // Never written again, for the next round.
        (0..4096).step_by(7).for_each(|slot| {
            file.write_at(4096 + slot * 4, &[0; 4]).unwrap();
            file.write_at(4096 + 16_384 + slot * 64, &[0; 64]).unwrap();
        });
    }
}

/// After any crash every synced vector is there, and a replay can write all later ones again.
#[test]
fn crashes_leave_the_synced_and_take_the_replayed() {
    let disk = FaultyDisk::new();
    let column = open(&disk, 0);
    let mut synced = Vec::new();
    for vid in 0..30 {
        column.write(vid, &vector(vid, 5)).unwrap();
        if vid % 7 == 6 {
            column.sync().unwrap();
            synced.push((disk.operations(), vid + 1));
        }
    }
    drop(column);
    for state in disk.crash_states(9).map(Result::unwrap) {
        let reached = synced.iter().rfind(|(at, _)| *at <= state.operation);
        let high_water = reached.map_or(0, |(_, high_water)| *high_water);
        let column = open(&state.disk, high_water);
        (0..high_water).for_each(|vid| assert_eq!(column.vector(vid), vector(vid, 5)));
        (high_water..30).for_each(|vid| column.write(vid, &vector(vid, 5)).unwrap());
        // Numbers handed out before the checkpoint but written after it lie below the mark.
        let column = open(&state.disk, 30);
        (0..30).for_each(|vid| column.write(vid, &vector(vid, 5)).unwrap());
        column.verify(0, 30).unwrap();
    }
}

/// Torn rows below the mark count as unwritten until the replay writes them.
#[test]
fn torn_rows_below_the_mark_are_written_again() {
    let disk = MemoryDisk::new();
    let column = open(&disk, 0);
    (0..8).for_each(|vid| column.write(vid, &vector(vid, 5)).unwrap());
    drop(column);
    disk.open("vec/7.2/00000000.seg").unwrap().write_at(8192 + 3 * 64, &[9; 10]).unwrap();
    let column = open(&disk, 8);
    assert!(column.get(3).is_none());
    column.write(3, &vector(3, 5)).unwrap();
    assert_eq!(column.vector(3), vector(3, 5));
    column.verify(0, 8).unwrap();
}

#[test]
fn readers_run_beside_a_writer() {
    let column = open(&MemoryDisk::new(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..4000).for_each(|vid| column.write(vid, &vector(vid, 5)).unwrap()));
        for _ in 0..2 {
            scope.spawn(|| {
                for vid in 0..4000 {
                    let found = loop {
                        if let Some(found) = column.get(vid) {
                            break found;
                        }
                        std::thread::yield_now();
                    };
                    assert_eq!(found, vector(vid, 5));
                }
            });
        }
    });
}
