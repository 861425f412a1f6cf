//! Bytes that may be anything: errors, never panics; and what opens can be searched.

mod common;

use common::{Random, document, params, search};
use omen_text::{Segment, SegmentError, TextIndex};

const HEADER: usize = 64;

/// A small index with removals, as its checkpoint's bytes.
fn files() -> (Vec<u8>, Vec<u8>) {
    let (mut random, index) = (Random(1), TextIndex::new(params()));
    let texts: Vec<String> = (0..300).map(|_| document(&mut random)).collect();
    for (doc, text) in texts.iter().enumerate() {
        index.add(doc as u32, &index.analyze(text));
    }
    let segment = index.seal(300).expect("there are documents");
    for doc in (0..300).step_by(7) {
        index.remove(doc, &index.analyze(&texts[doc as usize]));
    }
    (segment.bytes().to_vec(), index.manifest().removals)
}

#[test]
fn truncations_and_flips_are_errors() {
    let (segment, removals) = files();
    for length in (0..segment.len()).step_by(11) {
        assert!(Segment::open(segment[..length].to_vec()).is_err(), "cut at {length}");
    }
    for at in (0..segment.len()).step_by(3) {
        let mut damaged = segment.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(Segment::open(damaged).is_err(), "flipped at {at}");
    }
    let open = |removals: &[u8]| TextIndex::open(params(), [segment.clone()], removals);
    assert!(open(&removals).is_ok());
    for at in (0..removals.len()).step_by(5) {
        assert!(open(&removals[..at]).is_err(), "removals cut at {at}");
        let mut damaged = removals.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(open(&damaged).is_err(), "removals flipped at {at}");
    }
    assert!(matches!(Segment::open(vec![0; 100]), Err(SegmentError::BadMagic)));
    let mut longer = segment.clone();
    longer.push(0);
    assert!(Segment::open(longer).is_err());
    let twice = TextIndex::open(params(), [segment.clone(), segment.clone()], &removals);
    assert!(matches!(twice.err(), Some(SegmentError::Corrupt("segments overlap"))));
}

/// Damage whose checksums are right.
#[test]
fn forged_checksums_give_errors_or_segments_that_can_be_searched() {
    let (segment, removals) = files();
    let mut random = Random(2);
    let (mut refused, mut taken) = (0, 0);
    for round in 0..2_400 {
        let mut damaged = segment.clone();
        let body = damaged.len() - 4;
        let range = match round % 4 {
            0 => 12..HEADER - 4,
            // Norms, dictionary and the first postings; then anywhere.
            1 => HEADER..HEADER + 4_000,
            _ => HEADER..body,
        };
        for _ in 0..=random.below(2) {
            let at = range.start + random.below(range.len() as u64) as usize;
            damaged[at] = random.next() as u8;
        }
        let crc = crc32c::crc32c(&damaged[..HEADER - 4]).to_le_bytes();
        damaged[HEADER - 4..HEADER].copy_from_slice(&crc);
        let crc = crc32c::crc32c(&damaged[HEADER..body]).to_le_bytes();
        damaged[body..].copy_from_slice(&crc);
        match TextIndex::open(params(), [damaged], &removals) {
            Err(_) => refused += 1,
            Ok(index) => {
                taken += 1;
                let query = index.query("w0 w1 w5 w30 w200");
                search(&index, &query, 10, &|doc| doc % 3 != 0);
                index.matches(&query, |_| ());
            }
        }
    }
    assert!(refused > 1_000 && taken > 0, "refused {refused}, taken {taken}");
}
