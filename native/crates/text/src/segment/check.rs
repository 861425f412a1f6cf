//! Opening bytes that may be anything.

use super::pack::{PADDING_BYTES, packed_bytes};
use super::{
    BLOCK_HEADER_BYTES, BlockHeader, CRC_BYTES, ENTRY_BYTES, HEADER_BYTES, Header, MAGIC, Segment,
    SegmentError, VERSION, u32_at, u64_at,
};
use crate::postings::{BLOCK_DOCS, Bounds, NO_MORE_DOCS};

const fn corrupt(what: &'static str) -> SegmentError {
    SegmentError::Corrupt(what)
}

impl Segment {
    /// Takes the bytes of a segment file, if they are one from beginning to end.
    pub fn open(bytes: Vec<u8>) -> Result<Self, SegmentError> {
        let header = Header::read(&bytes)?;
        let size = HEADER_BYTES as u128
            + header.doc_span as u128
            + header.terms as u128 * ENTRY_BYTES as u128
            + header.term_bytes as u128
            + header.postings_bytes as u128
            + CRC_BYTES as u128;
        if size != bytes.len() as u128 {
            return Err(corrupt("size"));
        }
        let body = bytes.len() - CRC_BYTES;
        if crc32c::crc32c(&bytes[HEADER_BYTES..body]) != u32_at(&bytes, body) {
            return Err(corrupt("checksum"));
        }
        let segment = Self { bytes, header };
        segment.check_documents()?;
        segment.check_dictionary()?;
        segment.check_postings()?;
        Ok(segment)
    }

    fn check_documents(&self) -> Result<(), SegmentError> {
        let Header { first_doc, doc_span, docs, total_length, .. } = self.header;
        let end = first_doc.checked_add(doc_span).is_some_and(|end| end < NO_MORE_DOCS);
        let counted = self.norms().iter().filter(|&&norm| norm != 0).count();
        if end && counted == docs as usize && total_length >= docs as u64 {
            Ok(())
        } else {
            Err(corrupt("documents"))
        }
    }

    fn check_dictionary(&self) -> Result<(), SegmentError> {
        let mut previous: Option<&[u8]> = None;
        let mut start = 0;
        for at in 0..self.term_count() {
            let end = self.entry(at).term_end as usize;
            let term = self.term_bytes().get(start..end).ok_or(corrupt("dictionary"))?;
            let sorted = previous.is_none_or(|previous| previous < term);
            if !sorted || std::str::from_utf8(term).is_err() {
                return Err(corrupt("term"));
            }
            (previous, start) = (Some(term), end);
        }
        if start == self.term_bytes().len() { Ok(()) } else { Err(corrupt("dictionary")) }
    }

    fn check_postings(&self) -> Result<(), SegmentError> {
        for at in 0..self.term_count() {
            self.check_block_headers(at)?;
            let mut previous = None;
            let mut total = Bounds::NONE;
            let mut cursor = self.cursor_at(at);
            while let Some((docs, tfs, bounds, last)) = cursor.next_block() {
                let mut actual = Bounds::NONE;
                for (&doc, &tf) in docs.iter().zip(tfs) {
                    let norm = self.norm(doc);
                    if previous.is_some_and(|previous| previous >= doc) || norm == 0 || tf == 0 {
                        return Err(corrupt("posting"));
                    }
                    previous = Some(doc);
                    actual.add(tf, norm);
                }
                if actual != bounds || previous != Some(last) {
                    return Err(corrupt("block header"));
                }
                total.merge(actual);
            }
            if total != self.entry(at).bounds {
                return Err(corrupt("bounds of a term"));
            }
        }
        Ok(())
    }

    /// Everything a cursor reads lies within the postings.
    fn check_block_headers(&self, at: usize) -> Result<(), SegmentError> {
        let (entry, damaged) = (self.entry(at), corrupt("postings of a term"));
        let postings = self.postings();
        let limit = postings.len().checked_sub(PADDING_BYTES).ok_or(damaged)?;
        let from = usize::try_from(entry.postings_at).map_err(|_| damaged)?;
        let list = postings[..limit].get(from..).ok_or(damaged)?;
        let headers = entry.blocks() * BLOCK_HEADER_BYTES;
        if entry.docs == 0 || entry.docs > self.header.docs || headers > list.len() {
            return Err(damaged);
        }
        let (headers, blocks) = list.split_at(headers);
        for block in 0..entry.blocks() {
            let header = BlockHeader::read(headers, block);
            let count = BLOCK_DOCS.min(entry.docs as usize - block * BLOCK_DOCS);
            if header.doc_bits > 32 || header.tf_bits > 32 {
                return Err(damaged);
            }
            let size = packed_bytes(count, header.doc_bits) + packed_bytes(count, header.tf_bits);
            if header.offset as usize + size > blocks.len() {
                return Err(damaged);
            }
        }
        Ok(())
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, SegmentError> {
        let header = bytes.get(..HEADER_BYTES).ok_or(corrupt("it ends early"))?;
        if header[..8] != MAGIC {
            return Err(SegmentError::BadMagic);
        }
        let version = u32_at(header, 8);
        if version != VERSION {
            return Err(SegmentError::UnsupportedVersion(version));
        }
        let checked = HEADER_BYTES - CRC_BYTES;
        if u32_at(header, checked) != crc32c::crc32c(&header[..checked]) || u32_at(header, 12) != 0
        {
            return Err(corrupt("header"));
        }
        Ok(Self {
            id: u64_at(header, 16),
            total_length: u64_at(header, 24),
            first_doc: u32_at(header, 32),
            doc_span: u32_at(header, 36),
            docs: u32_at(header, 40),
            terms: u32_at(header, 44),
            term_bytes: u32_at(header, 48),
            postings_bytes: u64_at(header, 52),
        })
    }
}
