//! Making a segment, term by term in byte order.

use super::pack::{PADDING_BYTES, bits_for, pack};
use super::{BlockHeader, CRC_BYTES, Entry, HEADER_BYTES, Header, MAGIC, Segment, VERSION};
use crate::bm25::CollectionStatistics;
use crate::postings::{BLOCK_DOCS, Bounds};

pub(crate) struct SegmentWriter<'a> {
    id: u64,
    statistics: CollectionStatistics,
    first_doc: u32,
    norms: &'a [u8],
    entries: Vec<u8>,
    terms: Vec<u8>,
    postings: Vec<u8>,
}

impl<'a> SegmentWriter<'a> {
    /// `norms` are those of the documents from `first_doc` on; `statistics` count those that are not zero.
    pub fn new(id: u64, statistics: CollectionStatistics, first_doc: u32, norms: &'a [u8]) -> Self {
        let (entries, terms, postings) = (Vec::new(), Vec::new(), Vec::new());
        Self { id, statistics, first_doc, norms, entries, terms, postings }
    }

    /// Adds a term later than all before it, with at least one document; `docs` ascend.
    pub fn add(&mut self, term: &[u8], docs: &[u32], tfs: &[u32]) {
        assert!(!docs.is_empty() && docs.len() == tfs.len(), "a term has documents");
        let postings_at = self.postings.len() as u64;
        let (mut headers, mut blocks) = (Vec::new(), Vec::new());
        let mut bounds = Bounds::NONE;
        let mut previous = self.first_doc.wrapping_sub(1);
        for (docs, tfs) in docs.chunks(BLOCK_DOCS).zip(tfs.chunks(BLOCK_DOCS)) {
            let header = self.add_block(previous, docs, tfs, &mut blocks);
            bounds.merge(header.bounds);
            previous = header.last_doc;
            headers.extend(header.to_bytes());
        }
        self.postings.extend(headers);
        self.postings.extend(blocks);
        self.terms.extend(term);
        let term_end =
            u32::try_from(self.terms.len()).expect("terms of one segment stay below 4 GB");
        let entry = Entry { term_end, docs: docs.len() as u32, postings_at, bounds };
        self.entries.extend(entry.to_bytes());
    }

    fn add_block(
        &self,
        mut previous: u32,
        docs: &[u32],
        tfs: &[u32],
        blocks: &mut Vec<u8>,
    ) -> BlockHeader {
        let (mut gaps, mut extra) = ([0; BLOCK_DOCS], [0; BLOCK_DOCS]);
        let mut bounds = Bounds::NONE;
        for (at, (&doc, &tf)) in docs.iter().zip(tfs).enumerate() {
            gaps[at] = doc.wrapping_sub(previous).wrapping_sub(1);
            extra[at] = tf - 1;
            previous = doc;
            bounds.add(tf, self.norms[(doc - self.first_doc) as usize]);
        }
        let (gaps, extra) = (&gaps[..docs.len()], &extra[..docs.len()]);
        let (doc_bits, tf_bits) = (bits_for(gaps), bits_for(extra));
        let offset = u32::try_from(blocks.len()).expect("postings of one term stay below 4 GB");
        pack(gaps, doc_bits, blocks);
        pack(extra, tf_bits, blocks);
        BlockHeader { last_doc: previous, offset, bounds, doc_bits, tf_bits }
    }

    pub fn finish(mut self) -> Segment {
        self.postings.extend([0; PADDING_BYTES]);
        let header = Header {
            id: self.id,
            total_length: self.statistics.total_length,
            first_doc: self.first_doc,
            doc_span: self.norms.len() as u32,
            docs: self.statistics.docs as u32,
            terms: (self.entries.len() / super::ENTRY_BYTES) as u32,
            term_bytes: self.terms.len() as u32,
            postings_bytes: self.postings.len() as u64,
        };
        let sections = [self.norms, &self.entries, &self.terms, &self.postings];
        let size = sections.iter().map(|section| section.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + size + CRC_BYTES);
        header.append(&mut bytes);
        for section in sections {
            bytes.extend(section);
        }
        let checksum = crc32c::crc32c(&bytes[HEADER_BYTES..]);
        bytes.extend(checksum.to_le_bytes());
        Segment { bytes, header }
    }
}

impl Header {
    fn append(&self, bytes: &mut Vec<u8>) {
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.id.to_le_bytes());
        bytes.extend(self.total_length.to_le_bytes());
        for field in [self.first_doc, self.doc_span, self.docs, self.terms, self.term_bytes] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(self.postings_bytes.to_le_bytes());
        bytes.extend(crc32c::crc32c(bytes).to_le_bytes());
    }
}
