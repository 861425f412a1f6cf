//! Saved indexes: they come back as they were, go on from there, and damage is noticed.

mod common;

use common::{Opened, Random, TempFile, floats, last_error, options, search};
use omendb::{OMEN_COSINE, Options, Status};

const DIM: usize = 12;
/// Where sections begin.
const SECTION: usize = 4096;

/// 300 vectors with labels, three of them removed.
fn example() -> (Opened, Vec<f32>) {
    let vectors = floats(&mut Random(1), 300 * DIM);
    let labels: Vec<u64> = (0..300).map(|row| row * 3).collect();
    let options = Options { metric: OMEN_COSINE, quantisation: 2, ..options(DIM as u32) };
    let index = Opened::create(&options).unwrap();
    index.add(&vectors, DIM, Some(&labels)).unwrap();
    index.remove(&[0, 30, 60]).unwrap();
    (index, vectors)
}

#[test]
fn a_loaded_index_answers_as_the_saved_one_and_grows() {
    let (saved, vectors) = example();
    let file = TempFile::new("grows");
    saved.save(&file.0).unwrap();
    let loaded = Opened::load(&file.0, true).unwrap();
    assert_eq!(loaded.count(), 297);
    for row in vectors.chunks(DIM) {
        assert_eq!(loaded.search(row, &search(10)), saved.search(row, &search(10)));
    }
    // Labels are known again: taken ones are refused, removed ones are free.
    let twice = loaded.add(&vectors[..DIM], DIM, Some(&[3]));
    assert_eq!(twice, Err(Status::OMEN_DUPLICATE_LABEL));
    loaded.add(&vectors[..DIM], DIM, Some(&[30])).unwrap();
    assert_eq!(loaded.remove(&[3, 3]), Ok(1));
    // Saved over the file it is mapped from, the index goes on.
    loaded.save(&file.0).unwrap();
    let again = Opened::load(&file.0, true).unwrap();
    for row in vectors.chunks(DIM) {
        let hits = again.search(row, &search(10)).unwrap();
        assert_eq!(loaded.search(row, &search(10)).unwrap(), hits);
        assert!(hits.iter().all(|hit| ![0, 3, 60].contains(&hit.0)));
    }
    assert_eq!(again.search(&vectors[..DIM], &search(1)).unwrap()[0].0, 30);
}

#[test]
fn an_empty_index_is_saved_too() {
    let file = TempFile::new("empty");
    Opened::create(&options(3)).unwrap().save(&file.0).unwrap();
    let index = Opened::load(&file.0, true).unwrap();
    assert_eq!((index.count(), index.search(&[0.0f32; 3], &search(1))), (0, Ok(Vec::new())));
    index.add(&[1.0f32, 2.0, 3.0], 3, None).unwrap();
    assert_eq!(index.search(&[1.0f32, 2.0, 4.0], &search(1)), Ok(vec![(0, 1.0)]));
}

#[test]
fn damage_is_noticed_and_never_followed() {
    let (index, vectors) = example();
    let file = TempFile::new("damage");
    index.save(&file.0).unwrap();
    let bytes = std::fs::read(&file.0).unwrap();
    let load = |bytes: &[u8], verify: bool| {
        std::fs::write(&file.0, bytes).unwrap();
        Opened::load(&file.0, verify)
    };
    let refused = |bytes: &[u8], what: &str| {
        let status = load(bytes, true).err();
        assert_eq!(status, Some(Status::OMEN_BAD_FILE), "{what}: {}", last_error());
    };
    for len in [0, 1, 63, 64, SECTION, bytes.len() / 2, bytes.len() - 1] {
        refused(&bytes[..len], &format!("cut to {len}"));
    }
    refused(&[&bytes[..], &[0]].concat(), "longer");
    // Every byte of the header, and one in some of everything that is not a gap.
    let row_bytes = 300 * DIM * 4;
    for at in (0..bytes.len()).filter(|at| *at < 64 || at % 97 == 0) {
        let is_gap = (64..SECTION).contains(&at)
            || (SECTION + row_bytes..bytes.len()).contains(&at) && bytes[at] == 0;
        if is_gap {
            continue;
        }
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        refused(&damaged, &format!("byte {at}"));
        if (SECTION..SECTION + row_bytes).contains(&at) && at % 5 == 0 {
            // Without being asked to read all vectors, a load does not notice; searches then measure other numbers.
            let index = load(&damaged, false).unwrap();
            assert_eq!(index.search(&vectors[..DIM], &search(10)).unwrap().len(), 10);
        }
    }
}

#[test]
fn files_that_cannot_be_are_said_so() {
    let (index, _) = example();
    let nowhere = std::path::Path::new("/nonexistent/folder/index");
    assert_eq!(index.save(nowhere).err(), Some(Status::OMEN_IO));
    assert!(last_error().contains("/nonexistent/folder"), "{}", last_error());
    assert_eq!(Opened::load(nowhere, false).err(), Some(Status::OMEN_IO));
    let file = TempFile::new("text");
    std::fs::write(&file.0, "not an index at all, but longer than a header would be".repeat(3))
        .unwrap();
    assert_eq!(Opened::load(&file.0, false).err(), Some(Status::OMEN_BAD_FILE));
    assert_eq!(last_error(), "not a saved index");
}
