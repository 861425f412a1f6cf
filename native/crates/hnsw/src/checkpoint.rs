//! The graph as bytes: a header, then blocks of whole node records, each under its own CRC32C. All numbers little-endian.
//!
//! ```text
//!   header   magic "OMENHNSW"  version u32  m u16  ef_construction u16  metric u8  zero [u8; 3]
//!            alpha f32  seed u64  node count u32  entry node + 1 u32  CRC32C of the above u32
//!   block    byte length u32  CRC32C of the bytes u32  bytes
//!   node     level u8  then for each level 0..=level: count u8, links u32...
//!            next equal node + 1 u32  and, under cosine, inverse norm f32
//! ```
//!
//! Writing goes on beside insertions: each node is copied under its lock, and links to nodes at or above the high-water mark
//! are left out, so the copy is a graph of exactly the nodes below it. Reading believes nothing: memory grows with the
//! bytes that were there, and every number is checked before it is followed.

use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;

use omen_kernels::Metric;

use crate::graph::{HnswGraph, MAX_LEVEL};
use crate::{EF_CONSTRUCTION_RANGE, HnswParams, M_RANGE};

const MAGIC: [u8; 8] = *b"OMENHNSW";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 44;
/// A block is written once it has this many bytes; the last node may carry it past.
const BLOCK_BYTES: usize = 64 << 10;
/// The longest block a reader takes: `BLOCK_BYTES` and the largest node record.
const MAX_BLOCK_BYTES: usize = BLOCK_BYTES + (16 << 10);

/// Why bytes are not a checkpoint.
#[derive(Debug)]
pub enum CheckpointError {
    Io(io::Error),
    /// Not a graph checkpoint at all.
    BadMagic,
    /// Written by a newer program.
    UnsupportedVersion(u32),
    /// Damaged; the text says where.
    Corrupt(&'static str),
}

impl CheckpointError {
    /// The SQLSTATE to report: `io_error`, `feature_not_supported` or `data_corrupted`.
    pub fn sql_state(&self) -> &'static str {
        match self {
            Self::Io(_) => "58030",
            Self::UnsupportedVersion(_) => "0A000",
            Self::BadMagic | Self::Corrupt(_) => "XX001",
        }
    }
}

impl std::fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "could not read graph checkpoint: {error}"),
            Self::BadMagic => f.write_str("not a graph checkpoint"),
            Self::UnsupportedVersion(version) => {
                write!(f, "graph checkpoint of unknown version {version}")
            }
            Self::Corrupt(what) => write!(f, "graph checkpoint is damaged: {what}"),
        }
    }
}

impl std::error::Error for CheckpointError {}

impl From<io::Error> for CheckpointError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Corrupt("it ends early"),
            _ => Self::Io(error),
        }
    }
}

impl HnswGraph {
    /// Writes the graph of the nodes below `high_water`, which is at most [`HnswGraph::len`]. Insertions may go on; the
    /// caller inserts the nodes from `high_water` up again after reading.
    pub fn write_checkpoint(&self, high_water: u32, out: &mut dyn Write) -> io::Result<()> {
        assert!(high_water <= self.len(), "only finished nodes are written");
        out.write_all(&self.header(high_water))?;
        let mut block = Vec::with_capacity(MAX_BLOCK_BYTES);
        for node in 0..high_water {
            self.append_node(node, high_water, &mut block);
            if block.len() >= BLOCK_BYTES || node + 1 == high_water {
                out.write_all(&(block.len() as u32).to_le_bytes())?;
                out.write_all(&crc32c::crc32c(&block).to_le_bytes())?;
                out.write_all(&block)?;
                block.clear();
            }
        }
        Ok(())
    }

    fn header(&self, high_water: u32) -> Vec<u8> {
        let HnswParams { m, ef_construction, metric, seed, alpha, .. } = self.params;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend(MAGIC);
        header.extend(VERSION.to_le_bytes());
        header.extend(m.to_le_bytes());
        header.extend(ef_construction.to_le_bytes());
        header.extend([metric_code(metric), 0, 0, 0]);
        header.extend(alpha.to_le_bytes());
        header.extend(seed.to_le_bytes());
        header.extend(high_water.to_le_bytes());
        header.extend(self.entry_below(high_water).map_or(0, |node| node + 1).to_le_bytes());
        header.extend(crc32c::crc32c(&header).to_le_bytes());
        header
    }

    /// A node to start from in the graph of the nodes below `high_water`: of the highest level there.
    fn entry_below(&self, high_water: u32) -> Option<u32> {
        if let Some(entry) = self.entry().filter(|&entry| entry < high_water) {
            return Some(entry);
        }
        let raised = (0..high_water).filter(|&node| self.has_upper(node));
        // With nothing above level 0, the oldest node that was linked at all: it hangs off nobody.
        raised.max_by_key(|&node| (self.level_of(node), std::cmp::Reverse(node))).or_else(|| {
            let linked = |node: &u32| self.neighbours(*node, 0).next().is_some();
            (0..high_water).find(linked)
        })
    }

    fn append_node(&self, node: u32, high_water: u32, block: &mut Vec<u8>) {
        let _reader_of_one_state = self.lock_node(node);
        let level = if self.has_upper(node) { self.level_of(node) } else { 0 };
        block.push(level);
        for at in 0..=level {
            let count_at = block.len();
            block.push(0);
            for link in self.neighbours(node, at).filter(|&link| link < high_water) {
                block.extend(link.to_le_bytes());
                block[count_at] += 1;
            }
        }
        let twins = std::iter::successors(self.next_twin(node), |&twin| self.next_twin(twin));
        let twin = twins.into_iter().find(|&twin| twin < high_water);
        block.extend(twin.map_or(0, |twin| twin + 1).to_le_bytes());
        if self.params.metric == Metric::Cosine {
            block.extend(self.scales.words(node)[0].load(Ordering::Relaxed).to_le_bytes());
        }
    }

    /// Reads what [`HnswGraph::write_checkpoint`] wrote, and no byte after it.
    pub fn read_checkpoint(input: &mut dyn Read) -> Result<Self, CheckpointError> {
        let mut header = [0; HEADER_BYTES];
        input.read_exact(&mut header)?;
        let (graph, count, entry) = read_header(&header)?;
        let mut bytes = Vec::new();
        let mut node = 0;
        while node < count {
            read_block(input, &mut bytes)?;
            let mut fields = Fields(&bytes);
            while !fields.0.is_empty() {
                if node == count {
                    return Err(CheckpointError::Corrupt("more nodes than its header says"));
                }
                graph.read_node(node, count, &mut fields)?;
                graph.complete(node);
                node += 1;
            }
        }
        graph.check_upper_links()?;
        if entry > 0 {
            let entry = entry - 1;
            if entry >= count || graph.level_of(entry) > 0 && !graph.has_upper(entry) {
                return Err(CheckpointError::Corrupt("entry node"));
            }
            graph.set_entry(entry);
        }
        Ok(graph)
    }

    fn read_node(
        &self,
        node: u32,
        count: u32,
        fields: &mut Fields<'_>,
    ) -> Result<(), CheckpointError> {
        let level = fields.u8()?;
        if level != 0 && level != self.level_of(node) {
            return Err(CheckpointError::Corrupt("level of a node"));
        }
        self.prepare(node);
        self.prepare_upper(node, level);
        for at in 0..=level {
            let slots = self.slots(node, at);
            let links = fields.u8()? as usize;
            if links > slots.len() {
                return Err(CheckpointError::Corrupt("number of links"));
            }
            for slot in &slots[..links] {
                let link = fields.u32()?;
                if link >= count || link == node {
                    return Err(CheckpointError::Corrupt("link"));
                }
                slot.store(link + 1, Ordering::Relaxed);
            }
        }
        let twin = fields.u32()?;
        if twin > count {
            return Err(CheckpointError::Corrupt("link to an equal node"));
        }
        if twin > 0 {
            self.twin_slot(node).store(twin, Ordering::Relaxed);
            self.twin_count.fetch_add(1, Ordering::Relaxed);
        }
        if self.params.metric == Metric::Cosine {
            self.scales.words(node)[0].store(fields.u32()?, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A link on a level must lead to a node that has slots there.
    fn check_upper_links(&self) -> Result<(), CheckpointError> {
        for node in (0..self.len()).filter(|&node| self.has_upper(node)) {
            for level in 1..=self.level_of(node).min(MAX_LEVEL) {
                let mut links = self.neighbours(node, level);
                if links.any(|link| !self.has_upper(link) || self.level_of(link) < level) {
                    return Err(CheckpointError::Corrupt("link above level 0"));
                }
            }
        }
        Ok(())
    }
}

fn metric_code(metric: Metric) -> u8 {
    match metric {
        Metric::L2 => 0,
        Metric::InnerProduct => 1,
        Metric::Cosine => 2,
        Metric::L1 => 3,
        Metric::Hamming => 4,
        Metric::Jaccard => 5,
    }
}

/// An empty graph with the header's parameters, the node count, and the entry node plus one.
fn read_header(header: &[u8; HEADER_BYTES]) -> Result<(HnswGraph, u32, u32), CheckpointError> {
    let corrupt = CheckpointError::Corrupt("header");
    let (body, _) = header.split_at(HEADER_BYTES - size_of::<u32>());
    let mut fields = Fields(header);
    if fields.take::<8>()? != MAGIC {
        return Err(CheckpointError::BadMagic);
    }
    let version = fields.u32()?;
    if version != VERSION {
        return Err(CheckpointError::UnsupportedVersion(version));
    }
    let (m, ef_construction) = (fields.u16()?, fields.u16()?);
    let [metric, zeros @ ..] = fields.take::<4>()?;
    let alpha = f32::from_bits(fields.u32()?);
    let seed = u64::from_le_bytes(fields.take()?);
    let (count, entry) = (fields.u32()?, fields.u32()?);
    let metric = match metric {
        0 => Metric::L2,
        1 => Metric::InnerProduct,
        2 => Metric::Cosine,
        3 => Metric::L1,
        4 => Metric::Hamming,
        5 => Metric::Jaccard,
        _ => return Err(corrupt),
    };
    let sound = fields.u32()? == crc32c::crc32c(body)
        && zeros == [0; 3]
        && M_RANGE.contains(&m)
        && EF_CONSTRUCTION_RANGE.contains(&ef_construction)
        && alpha >= 1.0;
    if !sound {
        return Err(corrupt);
    }
    let params = HnswParams {
        m,
        ef_construction,
        metric,
        seed,
        alpha,
        quantisation: crate::Quantisation::None,
    };
    Ok((HnswGraph::new(params), count, entry))
}

fn read_block(input: &mut dyn Read, bytes: &mut Vec<u8>) -> Result<(), CheckpointError> {
    let mut prefix = [0; 8];
    input.read_exact(&mut prefix)?;
    let mut fields = Fields(&prefix);
    let (length, checksum) = (fields.u32()? as usize, fields.u32()?);
    if length == 0 || length > MAX_BLOCK_BYTES {
        return Err(CheckpointError::Corrupt("block length"));
    }
    bytes.resize(length, 0);
    input.read_exact(bytes)?;
    if crc32c::crc32c(bytes) != checksum {
        return Err(CheckpointError::Corrupt("checksum"));
    }
    Ok(())
}

/// Bytes yet to be read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let (field, rest) =
            self.0.split_first_chunk().ok_or(CheckpointError::Corrupt("a record ends early"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Result<u8, CheckpointError> {
        self.take().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, CheckpointError> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, CheckpointError> {
        self.take().map(u32::from_le_bytes)
    }
}
