//! What was removed of the documents in segments: segments never change, statistics must.
//!
//! As bytes, little-endian: magic "OMENTXRM", version u32, sealed up to u32, documents u32, terms u32; per document its number
//! and length, ascending; per term its byte length u32, bytes and count u32, in byte order; CRC32C of all before it.

use std::collections::HashMap;

use crate::SegmentError;
use crate::bm25::CollectionStatistics;

const MAGIC: [u8; 8] = *b"OMENTXRM";
const VERSION: u32 = 1;

#[derive(Default)]
pub(crate) struct Removed {
    /// Documents with their lengths.
    docs: HashMap<u32, u32>,
    total_length: u64,
    /// Postings of removed documents, per term.
    terms: HashMap<Box<str>, u32>,
}

impl Removed {
    pub fn length(&self, doc: u32) -> Option<u32> {
        self.docs.get(&doc).copied()
    }

    pub fn docs(&self) -> impl Iterator<Item = u32> {
        self.docs.keys().copied()
    }

    /// About how much memory this takes.
    pub fn bytes(&self) -> usize {
        let terms: usize = self.terms.keys().map(|term| term.len()).sum();
        self.docs.len() * size_of::<(u32, u32)>()
            + self.terms.len() * size_of::<(Box<str>, u32)>()
            + terms
    }

    /// The same removals under the numbers that `place` gives the documents; those it gives none are left out, with the
    /// postings `dropped_terms` counts of them.
    pub fn renumbered(
        &self,
        place: impl Fn(u32) -> Option<u32>,
        dropped_terms: &HashMap<String, u32>,
    ) -> Self {
        let mut renumbered = Self::default();
        for (&doc, &length) in &self.docs {
            if let Some(number) = place(doc) {
                renumbered.add_doc(number, length);
            }
        }
        for (term, &count) in &self.terms {
            let dropped = dropped_terms.get(&**term).copied().unwrap_or(0);
            renumbered.add_term(term, count.saturating_sub(dropped));
        }
        renumbered
    }

    pub fn statistics(&self) -> CollectionStatistics {
        CollectionStatistics { docs: self.docs.len() as u64, total_length: self.total_length }
    }

    pub fn docs_with(&self, term: &str) -> u32 {
        self.terms.get(term).copied().unwrap_or(0)
    }

    /// Notes a document; false when it was noted before.
    pub fn add_doc(&mut self, doc: u32, length: u32) -> bool {
        let fresh = self.docs.insert(doc, length).is_none();
        self.total_length += if fresh { length as u64 } else { 0 };
        fresh
    }

    pub fn add_term(&mut self, term: &str, count: u32) {
        if let Some(known) = self.terms.get_mut(term) {
            *known += count;
        } else if count > 0 {
            self.terms.insert(term.into(), count);
        }
    }

    /// Forgets a document whose postings are gone.
    pub fn drop_doc(&mut self, doc: u32) {
        if let Some(length) = self.docs.remove(&doc) {
            self.total_length -= length as u64;
        }
    }

    /// Forgets postings that are gone.
    pub fn drop_term(&mut self, term: &str, count: u32) {
        if let Some(known) = self.terms.get_mut(term) {
            *known = known.saturating_sub(count);
            if *known == 0 {
                self.terms.remove(term);
            }
        }
    }

    pub fn to_bytes(&self, sealed_up_to: u32) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for field in [VERSION, sealed_up_to, self.docs.len() as u32, self.terms.len() as u32] {
            bytes.extend(field.to_le_bytes());
        }
        let mut docs: Vec<_> = self.docs.iter().collect();
        docs.sort_unstable();
        for (doc, length) in docs {
            bytes.extend(doc.to_le_bytes());
            bytes.extend(length.to_le_bytes());
        }
        let mut terms: Vec<_> = self.terms.iter().collect();
        terms.sort_unstable();
        for (term, count) in terms {
            bytes.extend((term.len() as u32).to_le_bytes());
            bytes.extend(term.as_bytes());
            bytes.extend(count.to_le_bytes());
        }
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// Reads what `to_bytes` wrote: the removals and the number up to which documents were sealed.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Self, u32), SegmentError> {
        const ENDS_EARLY: SegmentError = SegmentError::Corrupt("removals end early");
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(ENDS_EARLY)?;
        let mut rest = body.strip_prefix(&MAGIC).ok_or(SegmentError::BadMagic)?;
        let number = |rest: &mut &[u8]| -> Result<u32, SegmentError> {
            let (field, after) = rest.split_first_chunk::<4>().ok_or(ENDS_EARLY)?;
            *rest = after;
            Ok(u32::from_le_bytes(*field))
        };
        let version = number(&mut rest)?;
        if version != VERSION {
            return Err(SegmentError::UnsupportedVersion(version));
        }
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return Err(SegmentError::Corrupt("checksum of removals"));
        }
        let (sealed_up_to, docs, terms) =
            (number(&mut rest)?, number(&mut rest)?, number(&mut rest)?);
        let mut removed = Self::default();
        for _ in 0..docs {
            removed.add_doc(number(&mut rest)?, number(&mut rest)?);
        }
        for _ in 0..terms {
            let length = number(&mut rest)? as usize;
            let term = rest.get(..length).ok_or(ENDS_EARLY)?;
            let term =
                std::str::from_utf8(term).map_err(|_| SegmentError::Corrupt("removed term"))?;
            rest = &rest[length..];
            removed.add_term(term, number(&mut rest)?);
        }
        if rest.is_empty() {
            Ok((removed, sealed_up_to))
        } else {
            Err(SegmentError::Corrupt("removals go on"))
        }
    }
}
