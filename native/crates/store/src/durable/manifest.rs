//! What a checkpoint says about a relation: where its chunks lie, which of their rows are dead, and the rows of the open
//! tail, all as of one commit.
//!
//! ```text
//!   manifest (key f relation): commit u64, last change u64,
//!                 vector columns u16, (column u16, vids below are durable u32)*,
//!                 chunks u32, (file u32, offset u64, length u64, rows u32, has dead u8, [dead bits])*,
//!                 sum u32
//!   tail (key l relation): count u32, (rid u32, row image)*, sum u32
//! ```
//!
//! Files the manifest does not name, and the log does not name either, are rubbish.

use omen_disk::checksum;

use crate::commit::redo::{Reader, Writer};
use crate::error::{Result, StoreError};
use crate::table::chunk_file::Place;
use crate::table::rows::CHUNK_ROWS;

#[derive(Debug, Default, PartialEq)]
pub struct Manifest {
    pub commit: u64,
    /// The last commit at or before `commit` that changed rows of the relation.
    pub changed: u64,
    pub vectors: Vec<(u16, u32)>,
    pub chunks: Vec<ManifestChunk>,
}

#[derive(Debug, PartialEq)]
pub struct ManifestChunk {
    pub place: Place,
    pub rows: u32,
    /// One bit a row, set = not there at the commit; empty when all are.
    pub dead: Vec<u8>,
}

impl ManifestChunk {
    pub fn is_dead(&self, row: usize) -> bool {
        self.dead.get(row / 8).is_some_and(|byte| byte & (1 << (row % 8)) != 0)
    }
}

/// Appends the sum of everything before.
pub fn seal(mut out: Writer) -> Vec<u8> {
    out.u32(checksum(0, &out.bytes));
    out.bytes
}

/// The bytes before a sum that is right.
pub fn sealed(bytes: &[u8]) -> Result<&[u8]> {
    let bad = || StoreError::corrupt("a stored manifest does not match its checksum");
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or_else(bad)?;
    if checksum(0, body) == u32::from_le_bytes(*sum) { Ok(body) } else { Err(bad()) }
}

impl Manifest {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u64(self.commit);
        out.u64(self.changed);
        out.u16(self.vectors.len() as u16);
        for &(column, next) in &self.vectors {
            out.u16(column);
            out.u32(next);
        }
        out.u32(self.chunks.len() as u32);
        for chunk in &self.chunks {
            out.place(chunk.place);
            out.u32(chunk.rows);
            out.u8(u8::from(!chunk.dead.is_empty()));
            out.bytes.extend_from_slice(&chunk.dead);
        }
        seal(out)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(sealed(bytes)?);
        let (commit, changed) = (reader.u64()?, reader.u64()?);
        let vectors = (0..reader.u16()?).map(|_| Ok((reader.u16()?, reader.u32()?)));
        let vectors = vectors.collect::<Result<_>>()?;
        let count = reader.u32()?;
        let chunks = (0..count).map(|_| {
            let (place, rows) = (reader.place()?, reader.u32()?);
            if rows as usize > CHUNK_ROWS {
                return Err(StoreError::corrupt("a stored manifest has an impossible chunk"));
            }
            let dead = if reader.bool()? { (rows as usize).div_ceil(8) } else { 0 };
            Ok(ManifestChunk { place, rows, dead: reader.take(dead)?.to_vec() })
        });
        let chunks = chunks.collect::<Result<_>>()?;
        Ok(Self { commit, changed, vectors, chunks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back_and_a_damaged_one_does_not() {
        let place = Place { file: 3, offset: 64, length: 1000 };
        let manifest = Manifest {
            commit: 77,
            changed: 70,
            vectors: vec![(2, 900)],
            chunks: vec![
                ManifestChunk { place, rows: 10, dead: vec![0b100, 0] },
                ManifestChunk { place, rows: 4096, dead: Vec::new() },
            ],
        };
        assert!(manifest.chunks[0].is_dead(2) && !manifest.chunks[0].is_dead(3));
        assert!(!manifest.chunks[1].is_dead(4095));
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert_eq!(Manifest::decode(&damaged).unwrap_err().sqlstate, "XX001", "byte {at}");
            assert!(Manifest::decode(&bytes[..at]).is_err());
        }
    }
}
