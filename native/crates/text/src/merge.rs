//! Merging neighbouring segments, so that a search visits few: whenever eight of one size class lie together, with nothing
//! but smaller ones between, they become one of the next. Each document is thereby rewritten once per factor of eight in the index's size.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::bm25::CollectionStatistics;
use crate::index::TextIndex;
use crate::segment::{Segment, SegmentCursor, SegmentWriter};

/// Segments that make one of the next size class.
const MERGE_FACTOR: usize = 8;

/// What a merge did: these segments are gone, and this one, if any document was left, stands for them.
pub struct Merged {
    pub segment: Option<Arc<Segment>>,
    pub replaced: Vec<u64>,
}

impl TextIndex {
    /// Merges one run of segments, if any is due. Removed documents that `droppable` says no reader can see any more lose
    /// their postings. Searches and additions go on meanwhile.
    pub fn merge(&self, droppable: impl Fn(u32) -> bool) -> Option<Merged> {
        let mut next_id = self.lock_maintenance();
        let (inputs, run, docs, dropped) = {
            let state = self.read();
            let sizes: Vec<u64> = state.segments.iter().map(|s| s.statistics().docs).collect();
            let run = due(&sizes)?;
            let inputs = state.segments[run.clone()].to_vec();
            let docs = inputs[0].docs().start..inputs[inputs.len() - 1].docs().end;
            let removed = state.removed.docs().filter(|doc| docs.contains(doc));
            let dropped: HashSet<u32> = removed.filter(|&doc| droppable(doc)).collect();
            (inputs, run, docs, dropped)
        };
        let place = |doc: u32| (!dropped.contains(&doc)).then_some(doc);
        let mut merge = Merge { inputs: &inputs, place, dropped_terms: HashMap::new() };
        let kept = self.kept_statistics(&inputs, &dropped);
        let segment = (kept.docs > 0).then(|| Arc::new(merge.write(*next_id, kept, docs)));
        if segment.is_none() {
            merge.count_all_dropped();
        }
        *next_id += 1;
        let mut state = self.write();
        state.segments.splice(run, segment.clone());
        for doc in dropped.iter().copied() {
            state.removed.drop_doc(doc);
        }
        for (term, count) in merge.dropped_terms {
            state.removed.drop_term(&term, count);
        }
        Some(Merged { segment, replaced: inputs.iter().map(|segment| segment.id()).collect() })
    }

    /// What is left of segments without the removed documents in `dropped`, whose lengths only the record of removals knows.
    pub(crate) fn kept_statistics(
        &self,
        inputs: &[Arc<Segment>],
        dropped: &HashSet<u32>,
    ) -> CollectionStatistics {
        let state = self.read();
        let mut kept = CollectionStatistics::default();
        for part in inputs.iter().map(|segment| segment.statistics()) {
            kept.docs += part.docs;
            kept.total_length += part.total_length;
        }
        for length in dropped.iter().filter_map(|&doc| state.removed.length(doc)) {
            kept.docs -= 1;
            kept.total_length = kept.total_length.saturating_sub(length as u64);
        }
        kept
    }
}

/// The run of segments to merge, given their sizes: the one of the smallest size class.
fn due(sizes: &[u64]) -> Option<Range<usize>> {
    let class = |size: u64| size.max(1).ilog(MERGE_FACTOR as u64);
    let mut classes: Vec<u32> = sizes.iter().map(|&size| class(size)).collect();
    classes.sort_unstable();
    classes.dedup();
    for limit in classes {
        let mut start = 0;
        for stretch in sizes.chunk_by(|&a, &b| (class(a) <= limit) == (class(b) <= limit)) {
            // Eight of the class itself: a large segment is not rewritten for the sake of seven small ones behind it.
            if stretch.iter().filter(|&&size| class(size) == limit).count() >= MERGE_FACTOR {
                return Some(start..start + stretch.len());
            }
            start += stretch.len();
        }
    }
    None
}

/// The documents of some segments, under the numbers that `place` gives them: ascending as theirs do, None = left out.
pub(crate) struct Merge<'a, P> {
    pub inputs: &'a [Arc<Segment>],
    pub place: P,
    /// Postings left out, per term.
    pub dropped_terms: HashMap<String, u32>,
}

impl<P: Fn(u32) -> Option<u32>> Merge<'_, P> {
    /// The segment of what stays, with numbers in `docs`; `kept` counts it.
    pub fn write(&mut self, id: u64, kept: CollectionStatistics, docs: Range<u32>) -> Segment {
        let norms = self.norms(&docs);
        let mut writer = SegmentWriter::new(id, kept, docs.start, &norms);
        self.for_each_term(|term, docs, tfs| {
            if !docs.is_empty() {
                writer.add(term, docs, tfs);
            }
        });
        writer.finish()
    }

    /// Every posting is dropped; there is nothing to write.
    pub fn count_all_dropped(&mut self) {
        self.for_each_term(|_, docs, _| assert!(docs.is_empty(), "all documents are dropped"));
    }

    fn norms(&self, docs: &Range<u32>) -> Vec<u8> {
        let mut norms = vec![0; docs.len()];
        for segment in self.inputs {
            for (doc, &norm) in segment.docs().zip(segment.norms()).filter(|(_, norm)| **norm != 0)
            {
                if let Some(number) = (self.place)(doc) {
                    norms[(number - docs.start) as usize] = norm;
                }
            }
        }
        norms
    }

    /// Calls `f` with every term in byte order and the postings that stay.
    fn for_each_term(&mut self, mut f: impl FnMut(&[u8], &[u32], &[u32])) {
        let inputs = self.inputs;
        let mut next = vec![0; inputs.len()];
        let (mut docs, mut tfs) = (Vec::new(), Vec::new());
        loop {
            let heads = || inputs.iter().zip(&next).filter(|(s, at)| **at < s.term_count());
            let Some(term) = heads().map(|(segment, &at)| segment.term(at)).min() else { return };
            docs.clear();
            tfs.clear();
            for (segment, at) in inputs.iter().zip(&mut next) {
                if *at < segment.term_count() && segment.term(*at) == term {
                    self.append(term, segment.cursor_at(*at), &mut docs, &mut tfs);
                    *at += 1;
                }
            }
            f(term, &docs, &tfs);
        }
    }

    fn append(
        &mut self,
        term: &[u8],
        mut cursor: SegmentCursor<'_>,
        docs: &mut Vec<u32>,
        tfs: &mut Vec<u32>,
    ) {
        let mut left_out = 0;
        while let Some((block_docs, block_tfs, _, _)) = cursor.next_block() {
            for (&doc, &tf) in block_docs.iter().zip(block_tfs) {
                if let Some(number) = (self.place)(doc) {
                    docs.push(number);
                    tfs.push(tf);
                } else {
                    left_out += 1;
                }
            }
        }
        if left_out > 0 {
            let term = String::from_utf8_lossy(term).into_owned();
            *self.dropped_terms.entry(term).or_default() += left_out;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_of_a_kind_are_due() {
        assert_eq!(due(&[5; 7]), None);
        assert_eq!(due(&[5; 8]), Some(0..8));
        assert_eq!(due(&[9000, 1, 2, 3, 4, 5, 6, 7, 1, 1]), Some(1..10));
        assert_eq!(due(&[9000, 1, 2, 3, 4, 9000, 6, 7, 1, 1]), None);
        assert_eq!(due(&[70, 80, 90, 100, 1, 70, 80, 90]), None);
        assert_eq!(due(&[70, 80, 90, 100, 1, 70, 80, 90, 100]), Some(0..9));
    }
}
