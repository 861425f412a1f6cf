//! Writing a graph, beside insertions.

use std::io::{self, Write};

use super::{ALIGNMENT, HEADER_FIELDS, Header, SECTIONS, linked_words};
use crate::codes::Codec;
use crate::graph::HnswGraph;
use crate::sync::Ordering;
use crate::unseen::block_rows;

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 64 << 10;

/// Counts and sums what goes out, section by section.
struct Sections<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    /// Written before the buffer.
    written: usize,
    sum: u32,
    sums: Vec<u32>,
    /// Of the section that is being written, if it is one of blocks.
    blocks: Option<BlockSums>,
}

/// Sums a stream in blocks.
struct BlockSums {
    block_bytes: usize,
    filled: usize,
    sum: u32,
    sums: Vec<u32>,
}

impl BlockSums {
    fn of_rows(row_bytes: usize) -> Self {
        Self { block_bytes: block_rows(row_bytes) * row_bytes, filled: 0, sum: 0, sums: Vec::new() }
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (own, rest) = bytes.split_at(bytes.len().min(self.block_bytes - self.filled));
            self.sum = crc32c::crc32c_append(self.sum, own);
            self.filled += own.len();
            if self.filled == self.block_bytes {
                self.close();
            }
            bytes = rest;
        }
    }

    fn close(&mut self) {
        self.sums.push(std::mem::take(&mut self.sum));
        self.filled = 0;
    }

    fn finish(mut self) -> Vec<u32> {
        if self.filled > 0 {
            self.close();
        }
        self.sums
    }
}

impl Sections<'_> {
    fn word(&mut self, word: u32) -> io::Result<()> {
        self.bytes(&word.to_le_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sum = crc32c::crc32c_append(self.sum, &self.buffer);
        if let Some(blocks) = &mut self.blocks {
            blocks.add(&self.buffer);
        }
        self.written += self.buffer.len();
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.flush()?;
        self.sums.push(std::mem::take(&mut self.sum));
        let gap = self.written.next_multiple_of(ALIGNMENT) - self.written;
        self.written += gap;
        self.out.write_all(&[0; ALIGNMENT][..gap])
    }

    /// Ends a section of rows in blocks; their sums.
    fn end_blocks(&mut self) -> io::Result<Vec<u32>> {
        self.end()?;
        Ok(self.blocks.take().map_or_else(Vec::new, BlockSums::finish))
    }

    fn words(&mut self, words: &[u32]) -> io::Result<()> {
        words.iter().try_for_each(|&word| self.word(word))
    }
}

impl HnswGraph {
    /// Writes the graph of the nodes below `high_water`, which is at most [`HnswGraph::len`]. Insertions may go on; the
    /// caller inserts the nodes from `high_water` up again after opening. No number below it is removed or given again
    /// meanwhile.
    pub fn write_image(&self, high_water: u32, out: &mut dyn Write) -> io::Result<()> {
        assert!(high_water <= self.len(), "only finished nodes are written");
        let raised: Vec<u32> = (0..high_water).filter(|&node| self.has_upper(node)).collect();
        let blocks = 1 + raised.iter().map(|&node| self.level_of(node) as u32).sum::<u32>();
        // All finished nodes have a code in these, whatever codes others make meanwhile.
        let codes = self.codes();
        let codec = codes.as_ref().map_or_else(Vec::new, |codes| codec_bytes(&codes.codec));
        let calibration = self.calibration();
        let header = Header {
            sections: SECTIONS,
            params: self.params,
            nodes: high_water,
            entry: self.entry_below(high_water, &raised).map_or(0, |node| node + 1),
            blocks,
            dim: codes.as_ref().map_or(0, |codes| codes.dim as u32),
            codec_bytes: codec.len() as u64,
            points: calibration.as_ref().map_or(0, |known| known.points.len() as u32),
        };
        let header_bytes = header.bytes();
        out.write_all(&header_bytes)?;
        let mut to = Sections {
            out,
            buffer: Vec::with_capacity(2 * BUFFER_BYTES),
            written: HEADER_FIELDS,
            sum: 0,
            sums: Vec::with_capacity(SECTIONS),
            blocks: Some(BlockSums::of_rows(self.base_links.row_bytes())),
        };
        let mut linked = vec![0u64; linked_words(high_water as usize)];
        let mut mark = |node: u32| linked[node as usize / 64] |= 1 << (node % 64);
        for node in 0..high_water {
            if self.write_node(node, 0, high_water, &mut to)? {
                mark(node);
            }
        }
        let link_sums = to.end_blocks()?;
        let mut next_block = 1;
        let mut next_raised = raised.iter().peekable();
        for node in 0..high_water {
            let is_raised = next_raised.next_if_eq(&&node).is_some();
            to.word(if is_raised { next_block } else { 0 })?;
            next_block += if is_raised { self.level_of(node) as u32 } else { 0 };
        }
        to.end()?;
        to.bytes(&vec![0; self.params.m as usize * size_of::<u32>()])?;
        for &node in &raised {
            for level in 1..=self.level_of(node) {
                self.write_node(node, level, high_water, &mut to)?;
            }
        }
        to.end()?;
        for node in 0..high_water {
            let twins = std::iter::successors(self.next_twin(node), |&twin| self.next_twin(twin));
            let twin = twins.into_iter().find(|&twin| twin < high_water);
            if let Some(twin) = twin {
                mark(node);
                mark(twin);
            }
            to.word(twin.map_or(0, |twin| twin + 1))?;
        }
        if let Some(entry) = header.entry.checked_sub(1) {
            mark(entry);
        }
        to.end()?;
        for node in 0..high_water {
            for scale in self.scales.words(node) {
                to.word(scale.load(Ordering::Relaxed))?;
            }
        }
        to.end()?;
        to.bytes(&codec)?;
        to.end()?;
        if let Some(codes) = &codes {
            to.blocks = Some(BlockSums::of_rows(codes.pool.row_bytes()));
            let none = vec![0; codes.pool.row_bytes()];
            for node in 0..high_water {
                // A node that was left out has no code.
                to.bytes(codes.pool.get_bytes(node).unwrap_or(&none))?;
            }
        }
        let code_sums = to.end_blocks()?;
        if let Some(known) = calibration {
            to.word(known.nodes)?;
            to.word(known.reach.to_bits())?;
            for point in &known.points {
                to.word(point.slack.to_bits())?;
                to.word(point.ef)?;
                to.word(point.recall.to_bits())?;
                to.word(point.error.to_bits())?;
                to.word(point.work.to_bits())?;
            }
        }
        to.end()?;
        linked.iter().try_for_each(|word| to.bytes(&word.to_le_bytes()))?;
        to.end()?;
        to.words(&link_sums)?;
        to.end()?;
        to.words(&code_sums)?;
        to.end()?;
        let trailer: Vec<u8> = to.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        out.write_all(&trailer)?;
        out.write_all(&crc32c::crc32c(&trailer).to_le_bytes())
    }

    /// A node to start from in the graph of the nodes below `high_water`: of the highest level there.
    fn entry_below(&self, high_water: u32, raised: &[u32]) -> Option<u32> {
        if let Some(entry) = self.entry().filter(|&entry| entry < high_water) {
            return Some(entry);
        }
        let highest =
            raised.iter().max_by_key(|&&node| (self.level_of(node), std::cmp::Reverse(node)));
        // With nothing above level 0, the oldest node that was linked at all: it hangs off nobody.
        let linked = |node: &u32| self.neighbours(*node, 0).next().is_some();
        highest.copied().or_else(|| (0..high_water).find(linked))
    }

    /// True when it has links.
    fn write_node(
        &self,
        node: u32,
        level: u8,
        high_water: u32,
        to: &mut Sections<'_>,
    ) -> io::Result<bool> {
        let _writer_of_one_state = self.lock_node(node);
        let slots = self.slots(node, level).len();
        let mut free = slots;
        for link in self.neighbours(node, level).filter(|&link| link < high_water) {
            to.word(link + 1)?;
            free -= 1;
        }
        (0..free).try_for_each(|_| to.word(0))?;
        Ok(free < slots)
    }
}

fn codec_bytes(codec: &Codec) -> Vec<u8> {
    let floats = |mean: &[f32]| mean.iter().flat_map(|m| m.to_le_bytes()).collect::<Vec<u8>>();
    match codec {
        Codec::Half => Vec::new(),
        Codec::Sq8(codec) => [&codec.step.to_le_bytes()[..], &floats(&codec.mean)].concat(),
        Codec::Rabitq(codec) => [&codec.seed.to_le_bytes()[..], &floats(&codec.mean)].concat(),
        Codec::Bq(codec) => floats(&codec.mean),
        Codec::Pq(codec) => floats(codec.centroids.as_flattened()),
    }
}
