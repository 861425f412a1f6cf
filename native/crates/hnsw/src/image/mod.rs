//! The graph as bytes that can be mapped: whole pools, laid out as they are in memory. All numbers little-endian.
//!
//! ```text
//!   header    magic "OMENHNSW"  version u32 = 4  m u16  ef_construction u16  metric u8  quantisation u8  zero u16
//!             alpha f32  seed u64  nodes u32  entry node + 1 u32  blocks u32  dimensions u32  codec bytes u64
//!             points of the calibration u32  CRC32C of the above u32
//!   sections  links of level 0      nodes x 2m u32, a node number plus one, zero ends the list
//!             upper blocks          nodes x u32, the first of a node's blocks, zero when it has none
//!             upper links           blocks x m u32, block 0 unused
//!             equal nodes           nodes x u32, the next node with an equal vector plus one
//!             scales                nodes x f32, inverse norms; under cosine only
//!             codec                 what codes were trained to; empty without codes
//!             codes                 nodes x bytes of a code; when dimensions are not zero
//!             calibration           nodes it was measured at u32, largest norm f32, then its points: slack f32, width u32,
//!                                   recall f32, its standard error f32, distances f32; empty without points
//!             linked nodes          one bit a node, in words of 64: those a search can come to
//!             sums of links         CRC32C u32 of each block of level 0: as many rows, a power of two, as fit into 4 KiB
//!             sums of codes         the same of the codes
//!   trailer   CRC32C of each section u32 x 11  CRC32C of these u32
//! ```
//!
//! Every section begins at a multiple of 64 bytes, the gaps are zero, and the header fixes all lengths. Opening checks
//! the sums of all but the two large sections, links of level 0 and codes, and every number in them that is followed later, so
//! that nothing in a file can lead outside it. Blocks of the large ones are looked at when they are first touched
//! (`unseen`): a damaged one is emptied, and [`HnswGraph::is_sound`] says so from then on. [`HnswGraph::verify`]
//! looks at everything. Afterwards the memory is the graph's: a private mapping is copied on write, page by page, by the
//! system, and new nodes live in blocks of their own.
//!
//! Writing goes on beside insertions: each node is copied under its lock, and links to nodes at or above the high-water mark
//! are left out, so the copy is a graph of exactly the nodes below it.
//!
//! Older versions are read, and all of them is looked at when they are opened: version 3 ends with the calibration, version 2
//! before it.

mod open;
mod write;

use std::io;

use omen_kernels::Metric;

use crate::calibrate::MAX_POINTS;
use crate::codes::{CENTROIDS, code_bytes};
use crate::unseen::block_count;
use crate::{EF_CONSTRUCTION_RANGE, HnswParams, M_RANGE, MAX_NODE, Quantisation};

const MAGIC: [u8; 8] = *b"OMENHNSW";
const VERSION: u32 = 4;
const WITHOUT_BLOCK_SUMS: u32 = 3;
const WITHOUT_CALIBRATION: u32 = 2;
/// Fields and their checksum.
const HEADER_FIELDS: usize = 64;
const SECTIONS: usize = 11;
const ALIGNMENT: usize = 64;
const WORD: usize = size_of::<u32>();

/// Why bytes are not a stored graph.
#[derive(Debug)]
pub enum ImageError {
    Io(io::Error),
    /// Not a stored graph at all.
    BadMagic,
    /// Written by another version of the program.
    UnsupportedVersion(u32),
    /// Damaged; the text says where.
    Corrupt(&'static str),
}

impl ImageError {
    /// The SQLSTATE to report: `io_error`, `feature_not_supported` or `data_corrupted`.
    pub fn sql_state(&self) -> &'static str {
        match self {
            Self::Io(_) => "58030",
            Self::UnsupportedVersion(_) => "0A000",
            Self::BadMagic | Self::Corrupt(_) => "XX001",
        }
    }
}

impl std::fmt::Display for ImageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "could not read stored graph: {error}"),
            Self::BadMagic => f.write_str("not a stored graph"),
            Self::UnsupportedVersion(version) => {
                write!(f, "stored graph of unknown version {version}")
            }
            Self::Corrupt(what) => write!(f, "stored graph is damaged: {what}"),
        }
    }
}

impl std::error::Error for ImageError {}

impl From<io::Error> for ImageError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Corrupt("it ends early"),
            _ => Self::Io(error),
        }
    }
}

/// What the header says.
#[derive(Clone, Copy)]
struct Header {
    /// Sections of the file.
    sections: usize,
    params: HnswParams,
    nodes: u32,
    /// Plus one; zero in an empty graph.
    entry: u32,
    /// Rows of upper links, the unused first one included.
    blocks: u32,
    /// Of the codes; zero without codes.
    dim: u32,
    codec_bytes: u64,
    /// Of the calibration; zero without one.
    points: u32,
}

/// Where a section lies.
#[derive(Clone, Copy)]
struct Section {
    offset: usize,
    len: usize,
}

/// All sections in order, and the length of the whole.
struct Layout {
    /// Those that the file has not are empty.
    sections: [Section; SECTIONS],
    trailer: usize,
    /// Of the trailer's sums, their own included.
    trailer_bytes: usize,
}

impl Header {
    fn bytes(&self) -> [u8; HEADER_FIELDS] {
        let HnswParams { m, ef_construction, metric, seed, alpha, quantisation } = self.params;
        let mut bytes = Vec::with_capacity(HEADER_FIELDS);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(m.to_le_bytes());
        bytes.extend(ef_construction.to_le_bytes());
        bytes.extend([metric_code(metric), quantisation_code(quantisation), 0, 0]);
        bytes.extend(alpha.to_le_bytes());
        bytes.extend(seed.to_le_bytes());
        for number in [self.nodes, self.entry, self.blocks, self.dim] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.codec_bytes.to_le_bytes());
        bytes.extend(self.points.to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.try_into().expect("the fields fill the header")
    }

    fn read(bytes: &[u8; HEADER_FIELDS]) -> Result<Self, ImageError> {
        let corrupt = ImageError::Corrupt("header");
        let (body, _) = bytes.split_at(HEADER_FIELDS - WORD);
        let mut fields = Fields(bytes);
        if fields.take::<8>() != MAGIC {
            return Err(ImageError::BadMagic);
        }
        let version = fields.u32();
        let sections = match version {
            VERSION => SECTIONS,
            WITHOUT_BLOCK_SUMS => SECTIONS - 3,
            WITHOUT_CALIBRATION => SECTIONS - 4,
            _ => return Err(ImageError::UnsupportedVersion(version)),
        };
        let (m, ef_construction) = (fields.u16(), fields.u16());
        let [metric, quantisation, zeros @ ..] = fields.take::<4>();
        let alpha = f32::from_bits(fields.u32());
        let seed = u64::from_le_bytes(fields.take());
        let [nodes, entry, blocks, dim] = [(); 4].map(|()| fields.u32());
        let codec_bytes = u64::from_le_bytes(fields.take());
        let points = fields.u32();
        let sum = fields.u32();
        let (Some(metric), Some(quantisation)) = (metric_of(metric), quantisation_of(quantisation))
        else {
            return Err(corrupt);
        };
        let sound = sum == crc32c::crc32c(body)
            && zeros == [0; 2]
            && M_RANGE.contains(&m)
            && EF_CONSTRUCTION_RANGE.contains(&ef_construction)
            && alpha >= 1.0
            && quantisation.fits(metric)
            && nodes <= MAX_NODE
            && entry <= nodes
            && blocks >= 1
            && dim <= MAX_DIM
            && codec_bytes <= MAX_CODEC_BYTES
            && points as usize <= MAX_POINTS
            && (points == 0 || version != WITHOUT_CALIBRATION);
        if !sound {
            return Err(corrupt);
        }
        let params = HnswParams { m, ef_construction, metric, seed, alpha, quantisation };
        Ok(Self { sections, params, nodes, entry, blocks, dim, codec_bytes, points })
    }

    /// Bytes of one code.
    fn code_bytes(&self) -> usize {
        if self.dim == 0 { 0 } else { code_bytes(self.params.quantisation, self.dim as usize) }
    }

    /// Whether large sections are looked at in blocks.
    fn has_block_sums(&self) -> bool {
        self.sections == SECTIONS
    }

    fn layout(&self) -> Layout {
        let (nodes, m) = (self.nodes as usize, self.params.m as usize);
        let links = 2 * m * WORD;
        let in_blocks = usize::from(self.has_block_sums());
        let scale = usize::from(self.params.metric == Metric::Cosine) * WORD;
        let lengths = [
            nodes * links,
            nodes * WORD,
            self.blocks as usize * m * WORD,
            nodes * WORD,
            nodes * scale,
            self.codec_bytes as usize,
            nodes * self.code_bytes(),
            calibration_bytes(self.points as usize),
            in_blocks * linked_words(nodes) * size_of::<u64>(),
            in_blocks * block_count(nodes, links) * WORD,
            in_blocks * block_count(nodes, self.code_bytes()) * WORD,
        ];
        let mut offset = HEADER_FIELDS.next_multiple_of(ALIGNMENT);
        let sections = lengths.map(|len| {
            let section = Section { offset, len };
            offset = (offset + len).next_multiple_of(ALIGNMENT);
            section
        });
        Layout { sections, trailer: offset, trailer_bytes: (self.sections + 1) * WORD }
    }
}

impl Layout {
    fn total(&self) -> usize {
        self.trailer + self.trailer_bytes
    }
}

/// Bytes of a calibration with so many points.
fn calibration_bytes(points: usize) -> usize {
    if points == 0 { 0 } else { (2 + 5 * points) * WORD }
}

/// Words with a bit for each node.
fn linked_words(nodes: usize) -> usize {
    nodes.div_ceil(64)
}

/// More than any vector type allows.
const MAX_DIM: u32 = 1 << 20;
/// Room for the centroids of that many dimensions, the largest codec there is.
const MAX_CODEC_BYTES: u64 = CENTROIDS as u64 * 4 * MAX_DIM as u64;

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

fn metric_of(code: u8) -> Option<Metric> {
    const ALL: [Metric; 6] = [
        Metric::L2,
        Metric::InnerProduct,
        Metric::Cosine,
        Metric::L1,
        Metric::Hamming,
        Metric::Jaccard,
    ];
    ALL.into_iter().find(|&metric| metric_code(metric) == code)
}

fn quantisation_code(quantisation: Quantisation) -> u8 {
    match quantisation {
        Quantisation::None => 0,
        Quantisation::F16 => 1,
        Quantisation::Sq8 => 2,
        Quantisation::Rabitq => 3,
        Quantisation::Bq => 4,
        Quantisation::Pq => 5,
    }
}

fn quantisation_of(code: u8) -> Option<Quantisation> {
    const ALL: [Quantisation; 6] = [
        Quantisation::None,
        Quantisation::F16,
        Quantisation::Sq8,
        Quantisation::Rabitq,
        Quantisation::Bq,
        Quantisation::Pq,
    ];
    ALL.into_iter().find(|&quantisation| quantisation_code(quantisation) == code)
}

/// Bytes of the header yet to be read, which is long enough for what is taken.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the header has all its fields");
        self.0 = rest;
        *field
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
}
