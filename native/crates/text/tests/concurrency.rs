//! Readers beside additions, removals, seals and merges see whole documents and no number twice.

mod common;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use common::{Random, document, params};
use omen_text::{AllDocs, TextIndex};

#[test]
fn readers_see_every_finished_document_once() {
    let index = TextIndex::new(params());
    let (finished, running) = (AtomicU32::new(0), AtomicBool::new(true));
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut hits, mut searches) = (Vec::new(), 0);
                    while running.load(Ordering::Relaxed) || searches == 0 {
                        let known = finished.load(Ordering::Acquire);
                        let query = index.query("everywhere");
                        index.search(&query, usize::MAX >> 1, &AllDocs, &mut hits);
                        let docs: HashSet<u32> = hits.iter().map(|hit| hit.doc).collect();
                        assert_eq!(docs.len(), hits.len(), "a document twice");
                        assert!((0..known).all(|doc| docs.contains(&doc)), "a document is missing");
                        assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
                        searches += 1;
                    }
                })
            })
            .collect();
        let mut random = Random(3);
        for doc in 0..3_000 {
            let text = format!("everywhere {}", document(&mut random));
            index.add(doc, &index.analyze(&text));
            finished.store(doc + 1, Ordering::Release);
            if doc % 50 == 49 {
                index.seal(doc - 10);
                index.merge(|_| false);
            }
        }
        running.store(false, Ordering::Relaxed);
        for reader in readers {
            reader.join().expect("no panic");
        }
    });
    assert_eq!(index.stats().docs, 3_000);
    assert!(index.stats().segments < 20, "merging keeps up: {:?}", index.stats());
}
