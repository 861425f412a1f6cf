//! Opening a stored graph. Nothing read is believed: sums first, then every number that is followed later; of the large
//! sections both when they are touched.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{ALIGNMENT, HEADER_FIELDS, Header, ImageError, SECTIONS, Section, WORD, linked_words};
use crate::aim::{Calibration, Point};
use crate::calibrate::WIDEST;
use crate::codes::{Bq, CENTROIDS, Codec, Codes, Pq, Rabitq, Sq8};
use crate::graph::{Counts, HnswGraph, Pools, level_of, lock};
use crate::memory::{Block, Memory};
use crate::pool::Pool;
use crate::review::TRAIN_AT;
use crate::unseen::Unseen;
use crate::{HnswParams, Quantisation};

/// Sections that are looked at in blocks: links of level 0 and codes.
const IN_BLOCKS: [usize; 2] = [0, 6];

impl HnswGraph {
    /// The graph that [`HnswGraph::write_image`] wrote into exactly these bytes. It lives in them from now on. What is large is
    /// looked at when it is touched, see [`HnswGraph::is_sound`].
    #[expect(clippy::needless_pass_by_value, reason = "the graph takes the memory over")]
    pub fn open(memory: Arc<dyn Memory>) -> Result<Self, ImageError> {
        // SAFETY: `Memory` promises that these bytes are there and nobody else's; the slice ends before they change.
        let bytes = unsafe { std::slice::from_raw_parts(memory.start(), memory.len()) };
        let header =
            Header::read(bytes.first_chunk().ok_or(ImageError::Corrupt("it ends early"))?)?;
        let layout = header.layout();
        if bytes.len() != layout.total() {
            return Err(ImageError::Corrupt("length"));
        }
        let image = Image { bytes, header, sections: layout.sections };
        image.check_sums(layout.trailer)?;
        image.check_gaps(layout.trailer)?;
        image.check_numbers()?;
        let codec = image.codec()?;
        if codec.is_none() {
            image.check_waiting()?;
        }

        let Header { params, nodes, entry, blocks, dim, .. } = header;
        let shared = &memory;
        let pool = |at: usize, rows: u32| {
            let Section { offset, len } = layout.sections[at];
            let row = if rows == 0 { 0 } else { len / rows as usize };
            move |row_bytes: usize| {
                assert!(row == row_bytes || rows == 0, "rows of the pool's width");
                Pool::over(Arc::clone(shared), offset, rows, row_bytes)
            }
        };
        let damaged: Arc<AtomicBool> = Arc::default();
        let unseen = |pool: Pool, rows: u32, sums: usize, largest: u32| {
            let sums: Box<[u32]> = image.words(sums).collect();
            if sums.is_empty() {
                return pool;
            }
            let row_bytes = pool.row_bytes();
            pool.with_unseen(Unseen::new(
                rows as usize,
                row_bytes,
                sums,
                largest,
                Arc::clone(&damaged),
            ))
        };
        let twins = image.words(3).filter(|&word| word != 0).count() as u32;
        let code_pool = |bytes| unseen(pool(6, nodes)(bytes), nodes, 10, u32::MAX);
        let codes = codec.map(|codec| Codes::new(codec, params.metric, dim as usize, code_pool));
        let calibration = image.calibration()?;
        let pools = Pools {
            base_links: unseen(pool(0, nodes)(2 * params.m as usize * WORD), nodes, 9, nodes),
            upper_blocks: pool(1, nodes)(WORD),
            upper_links: pool(2, blocks)(params.m as usize * WORD),
            twins: pool(3, nodes)(WORD),
            scales: pool(4, nodes)(layout.sections[4].len / (nodes as usize).max(1)),
        };
        let counts = Counts { nodes, entry, blocks, twins };
        let mut graph = Self::from_parts(params, pools, counts, codes);
        graph.set_damage_mark(damaged);
        graph.set_linked_when_stored(image.linked());
        *lock(&graph.calibration) = calibration.map(Arc::new);
        Ok(graph)
    }

    /// Looks at everything that opening left unseen.
    pub fn verify(&self) -> Result<(), ImageError> {
        self.look_at_stored();
        if self.is_sound() { Ok(()) } else { Err(ImageError::Corrupt("links or codes")) }
    }

    /// Opens a stored graph from a stream, all of it looked at, and reads no byte after it.
    pub fn read_image(input: &mut dyn Read) -> Result<Self, ImageError> {
        let mut header = [0; HEADER_FIELDS];
        input.read_exact(&mut header)?;
        let total = Header::read(&header)?.layout().total();
        // A vector first: memory grows with the bytes that are there, whatever the header claims.
        let mut rest = Vec::new();
        input.take((total - HEADER_FIELDS) as u64).read_to_end(&mut rest)?;
        if rest.len() != total - HEADER_FIELDS {
            return Err(ImageError::Corrupt("it ends early"));
        }
        let mut block = Block::zeroed(total);
        let (first, others) = block.bytes_mut().split_at_mut(HEADER_FIELDS);
        first.copy_from_slice(&header);
        others.copy_from_slice(&rest);
        let graph = Self::open(Arc::new(block))?;
        graph.verify()?;
        graph.forget_linked_when_stored();
        Ok(graph)
    }
}

struct Image<'a> {
    bytes: &'a [u8],
    header: Header,
    sections: [Section; SECTIONS],
}

impl Image<'_> {
    fn section(&self, at: usize) -> &[u8] {
        let Section { offset, len } = self.sections[at];
        &self.bytes[offset..offset + len]
    }

    fn words(&self, at: usize) -> impl Iterator<Item = u32> {
        self.section(at).as_chunks::<WORD>().0.iter().map(|word| u32::from_le_bytes(*word))
    }

    fn word(&self, section: usize, at: usize) -> u32 {
        u32::from_le_bytes(self.section(section).as_chunks::<WORD>().0[at])
    }

    fn check_sums(&self, trailer: usize) -> Result<(), ImageError> {
        let stored = self.header.sections;
        let trailer = self.bytes[trailer..].as_chunks::<WORD>().0;
        let (sums, own) = trailer.split_at(stored);
        let sound = crc32c::crc32c(sums.as_flattened()) == u32::from_le_bytes(own[0])
            && (0..stored)
                .filter(|at| !(self.header.has_block_sums() && IN_BLOCKS.contains(at)))
                .all(|at| crc32c::crc32c(self.section(at)) == u32::from_le_bytes(sums[at]));
        if sound { Ok(()) } else { Err(ImageError::Corrupt("checksum")) }
    }

    /// Bytes between sections are zero: every byte of a file means something or is known.
    fn check_gaps(&self, trailer: usize) -> Result<(), ImageError> {
        let ends = self.sections.iter().map(|section| section.offset + section.len);
        let starts = self.sections[1..].iter().map(|section| section.offset).chain([trailer]);
        let mut gaps = ends.zip(starts).map(|(end, start)| &self.bytes[end..start]);
        debug_assert!(gaps.clone().all(|gap| gap.len() < ALIGNMENT));
        let sound = gaps.all(|gap| gap.iter().all(|&byte| byte == 0));
        if sound { Ok(()) } else { Err(ImageError::Corrupt("bytes between sections")) }
    }

    fn level_of(&self, node: u32) -> u8 {
        let HnswParams { seed, m, .. } = self.header.params;
        level_of(seed, m, node)
    }

    /// Every link leads to a node, and above level 0 to one that has slots there. No two nodes share slots: what one writes
    /// into its own would be the other's links on another level.
    fn check_numbers(&self) -> Result<(), ImageError> {
        let Header { nodes, entry, blocks, .. } = self.header;
        // The largest of each list, without a branch per link.
        if !self.header.has_block_sums() && self.words(0).fold(0, u32::max) > nodes {
            return Err(ImageError::Corrupt("link"));
        }
        self.check_chains()?;
        let m = self.header.params.m as usize;
        let mut taken = vec![false; blocks as usize];
        for (node, block) in self.words(1).enumerate().filter(|(_, block)| *block != 0) {
            let level = self.level_of(node as u32);
            // In u64: a forged block number may be anything.
            if level == 0 || block as u64 + level as u64 > blocks as u64 {
                return Err(ImageError::Corrupt("block of a node"));
            }
            for block in &mut taken[block as usize..block as usize + level as usize] {
                if std::mem::replace(block, true) {
                    return Err(ImageError::Corrupt("block of two nodes"));
                }
            }
            for at in 1..=level {
                let first = (block as usize + at as usize - 1) * m;
                let links = (first..first + m).map(|slot| self.word(2, slot));
                // All of them, not the ones before the first empty slot: an insertion may fill it.
                for link in links.filter(|&link| link != 0) {
                    let target = link - 1;
                    let sound = target < nodes
                        && self.word(1, target as usize) != 0
                        && self.level_of(target) >= at;
                    if !sound {
                        return Err(ImageError::Corrupt("link above level 0"));
                    }
                }
            }
        }
        let raised = |node: u32| self.level_of(node) == 0 || self.word(1, node as usize) != 0;
        if entry > 0 && !raised(entry - 1) {
            return Err(ImageError::Corrupt("entry node"));
        }
        Ok(())
    }

    /// Every chain of equal nodes comes to an end: whoever walks one need not fear a ring. Two may share their end, which is
    /// what a removal leaves that was cut short.
    fn check_chains(&self) -> Result<(), ImageError> {
        let corrupt = ImageError::Corrupt("link to an equal node");
        let nodes = self.header.nodes;
        let longest = self.words(3).fold(0, u32::max);
        if longest > nodes {
            return Err(corrupt);
        }
        if longest == 0 {
            return Ok(());
        }
        // For each node the walk that met it first, plus one.
        let mut met = vec![0; nodes as usize];
        for start in 0..nodes {
            let mut at = start;
            while met[at as usize] == 0 {
                met[at as usize] = start + 1;
                match self.word(3, at as usize).checked_sub(1) {
                    Some(next) if met[next as usize] == start + 1 => return Err(corrupt),
                    Some(next) => at = next,
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// The codec, when there is one.
    fn codec(&self) -> Result<Option<Codec>, ImageError> {
        let corrupt = || ImageError::Corrupt("codec");
        let (bytes, dim) = (self.section(5), self.header.dim as usize);
        let floats = |bytes: &[u8], count: usize| {
            let floats = bytes.as_chunks::<WORD>().0.iter().map(|word| f32::from_le_bytes(*word));
            let floats: Vec<f32> = floats.collect();
            let sound = bytes.len() == count * WORD && floats.iter().all(|m| m.is_finite());
            sound.then_some(floats)
        };
        let mean = |bytes: &[u8]| floats(bytes, dim);
        match self.header.params.quantisation {
            _ if dim == 0 => Ok(None),
            Quantisation::F16 if bytes.is_empty() => Ok(Some(Codec::Half)),
            Quantisation::None | Quantisation::F16 => Err(corrupt()),
            Quantisation::Sq8 => {
                let (step, rest) = bytes.split_first_chunk::<WORD>().ok_or_else(corrupt)?;
                let step = f32::from_le_bytes(*step);
                let mean = mean(rest).ok_or_else(corrupt)?;
                let sound = step.is_finite() && step > 0.0;
                if sound { Ok(Some(Codec::Sq8(Sq8 { mean, step }))) } else { Err(corrupt()) }
            }
            Quantisation::Rabitq => {
                let (seed, rest) = bytes.split_first_chunk::<8>().ok_or_else(corrupt)?;
                let mean = mean(rest).ok_or_else(corrupt)?;
                Ok(Some(Codec::Rabitq(Rabitq::new(mean, u64::from_le_bytes(*seed)))))
            }
            Quantisation::Bq => Ok(Some(Codec::Bq(Bq { mean: mean(bytes).ok_or_else(corrupt)? }))),
            Quantisation::Pq => {
                let centroids = floats(bytes, dim * CENTROIDS).ok_or_else(corrupt)?;
                Ok(Some(Codec::Pq(Pq::new(centroids.as_chunks().0.to_vec()))))
            }
        }
    }

    /// What the graph was measured at.
    fn calibration(&self) -> Result<Option<Calibration>, ImageError> {
        let mut words = self.words(7);
        let (Some(nodes), Some(reach)) = (words.next(), words.next()) else { return Ok(None) };
        let reach = f32::from_bits(reach);
        let words: Vec<u32> = words.collect();
        let points = words.as_chunks::<5>().0.iter().map(|&[slack, ef, recall, error, work]| {
            let [slack, recall, error, work] = [slack, recall, error, work].map(f32::from_bits);
            Point { slack, ef, recall, error, work }
        });
        let points: Vec<Point> = points.collect();
        let sound = |point: &Point| {
            point.slack >= 0.0
                && (1..=WIDEST as u32).contains(&point.ef)
                && (0.0..=1.0).contains(&point.recall)
                && (0.0..=1.0).contains(&point.error)
                && point.work >= 0.0
        };
        // One of either kind at least: a search for a recall looks for both.
        let kinds = [true, false].map(|kind| points.iter().any(|p| p.slack.is_finite() == kind));
        if reach >= 0.0 && points.iter().all(sound) && kinds == [true; 2] {
            Ok(Some(Calibration { nodes, reach, points }))
        } else {
            Err(ImageError::Corrupt("calibration"))
        }
    }

    /// The nodes that waited for a codec, of which older versions kept a list.
    fn check_waiting(&self) -> Result<(), ImageError> {
        let count = self.section(5).len() / WORD;
        let Header { params, nodes, .. } = self.header;
        let room = count == 0
            || params.quantisation != Quantisation::None && !self.header.has_block_sums();
        let sound = room
            && self.section(5).len().is_multiple_of(WORD)
            && count < TRAIN_AT
            && self.words(5).all(|node| node < nodes);
        if sound { Ok(()) } else { Err(ImageError::Corrupt("nodes without a code")) }
    }

    /// The nodes that a search can come to, where the file says so.
    fn linked(&self) -> Option<Vec<u64>> {
        let words = self.section(8).as_chunks::<8>().0;
        let has_all = words.len() == linked_words(self.header.nodes as usize);
        (self.header.has_block_sums() && has_all)
            .then(|| words.iter().map(|word| u64::from_le_bytes(*word)).collect())
    }
}
