//! The reader of stored graphs against files that lie: what comes out is an error, or a graph with which everything can
//! be done that is done to graphs, without a panic, a read outside the file or a walk without an end.
//!
//! Most damage here carries right checksums, so that it reaches the checks behind them. [`Forger`] knows the layout from
//! its description (`src/image/mod.rs`), not from the code.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64};

use common::{Random, Rows, build, insert_all, params, search};
use omen_hnsw::{
    AllNodes, Block, HnswGraph, HnswParams, ImageError, Metric, Quantisation, SearchScratch,
};

const DIM: usize = 12;
const NODES: u32 = 1_200;
const QUANTISATIONS: [Quantisation; 6] = [
    Quantisation::None,
    Quantisation::F16,
    Quantisation::Sq8,
    Quantisation::Rabitq,
    Quantisation::Bq,
    Quantisation::Pq,
];

/// Where the header's fields are, and how wide.
const FIELDS: [(&str, usize, usize); 15] = [
    ("magic", 0, 8),
    ("version", 8, 4),
    ("m", 12, 2),
    ("ef_construction", 14, 2),
    ("metric", 16, 1),
    ("quantisation", 17, 1),
    ("zero", 18, 2),
    ("alpha", 20, 4),
    ("seed", 24, 8),
    ("nodes", 32, 4),
    ("entry", 36, 4),
    ("blocks", 40, 4),
    ("dimensions", 44, 4),
    ("codec bytes", 48, 8),
    ("points", 56, 4),
];
const HEADER: usize = 64;
const SECTIONS: usize = 11;
const LINKS: usize = 0;
const BLOCKS: usize = 1;
const UPPER: usize = 2;
const TWINS: usize = 3;
const CODES: usize = 6;
const LINK_SUMS: usize = 9;
const CODE_SUMS: usize = 10;

/// A stored graph whose bytes can be changed under right checksums.
#[derive(Clone)]
struct Forger {
    bytes: Vec<u8>,
    parts: Vec<std::ops::Range<usize>>,
    m: usize,
    /// Bytes of a node's links of level 0 and of its code.
    rows: [usize; 2],
}

/// Bytes of a block that has a sum of its own, of rows of so many bytes.
fn block_bytes(row: usize) -> usize {
    row << (4096 / row.max(1)).max(1).ilog2()
}

fn sum_of(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).to_le_bytes()
}

impl Forger {
    fn new(bytes: Vec<u8>) -> Self {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let m = u16::from_le_bytes(bytes[12..14].try_into().unwrap()) as usize;
        let (cosine, quantisation) = (bytes[16] == 2, bytes[17]);
        let [nodes, blocks, dim, codec, points] = [32, 40, 44, 48, 56].map(number);
        let code = match quantisation {
            1 => (2 * dim).next_multiple_of(4),
            2 => dim.next_multiple_of(4),
            3 => dim.div_ceil(64) * 8 + 16,
            4 => dim.div_ceil(64) * 8,
            5 => dim.div_ceil(8).next_multiple_of(4),
            _ => 0,
        };
        let rows = [m * 8, code];
        let sums =
            rows.map(|row| if row == 0 { 0 } else { (nodes * row).div_ceil(block_bytes(row)) });
        let lengths = [
            nodes * m * 8,
            nodes * 4,
            blocks * m * 4,
            nodes * 4,
            nodes * 4 * usize::from(cosine),
            codec,
            nodes * code,
            if points == 0 { 0 } else { 8 + points * 20 },
            nodes.div_ceil(64) * 8,
            sums[0] * 4,
            sums[1] * 4,
        ];
        let mut at = HEADER;
        let parts = lengths.map(|len| {
            let part = at..at + len;
            at = part.end.next_multiple_of(64);
            part
        });
        assert_eq!(at + (SECTIONS + 1) * 4, bytes.len(), "the layout as described");
        Self { bytes, parts: parts.to_vec(), m, rows }
    }

    fn word(&self, part: usize, at: usize) -> u32 {
        let from = self.parts[part].start + at * 4;
        u32::from_le_bytes(self.bytes[from..from + 4].try_into().unwrap())
    }

    fn set(&mut self, part: usize, at: usize, word: u32) {
        let from = self.parts[part].start + at * 4;
        self.bytes[from..from + 4].copy_from_slice(&word.to_le_bytes());
    }

    fn words(&self, part: usize) -> usize {
        self.parts[part].len() / 4
    }

    /// Makes every checksum right again.
    fn sign(mut self) -> Vec<u8> {
        for (part, sums, row) in
            [(LINKS, LINK_SUMS, self.rows[0]), (CODES, CODE_SUMS, self.rows[1])]
        {
            let (Some(sums), true) = (self.parts.get(sums).cloned(), row > 0) else { continue };
            let blocks = self.bytes[self.parts[part].clone()].chunks(block_bytes(row));
            let fresh: Vec<u8> = blocks.flat_map(sum_of).collect();
            self.bytes[sums].copy_from_slice(&fresh);
        }
        let bytes = &mut self.bytes;
        let sum = sum_of(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..HEADER].copy_from_slice(&sum);
        let sections = self.parts.len();
        let trailer = bytes.len() - (sections + 1) * 4;
        for (at, part) in self.parts.iter().enumerate() {
            let sum = sum_of(&bytes[part.clone()]);
            bytes[trailer + at * 4..trailer + at * 4 + 4].copy_from_slice(&sum);
        }
        let own = trailer + sections * 4;
        let sum = sum_of(&bytes[trailer..own]);
        bytes[own..].copy_from_slice(&sum);
        self.bytes
    }
}

/// Rows of which some repeat others, so that chains of equal nodes are stored, and queries for the nodes that are inserted
/// later.
fn rows() -> Rows {
    let mut rows = Rows::clustered(NODES as usize + 8, DIM, 56);
    for node in (30..NODES as usize).step_by(9) {
        rows.floats.copy_within((node - 30) * DIM..(node - 29) * DIM, node * DIM);
    }
    rows
}

fn stored(rows: &Rows, quantisation: Quantisation, metric: Metric) -> Forger {
    let rows = Rows { dim: DIM, floats: rows.floats[..NODES as usize * DIM].to_vec() };
    let graph = build(&rows, HnswParams { quantisation, m: 4, ..params(metric) });
    graph.calibrate(&rows, 0, 1, &AtomicBool::new(false)).expect("nobody cancels");
    let mut bytes = Vec::new();
    graph.write_image(NODES, &mut bytes).expect("memory takes all");
    Forger::new(bytes)
}

fn read(bytes: &[u8]) -> Result<HnswGraph, ImageError> {
    HnswGraph::read_image(&mut &bytes[..])
}

/// The graph in memory of its own, looked at as it is used.
fn open(bytes: &[u8]) -> Result<HnswGraph, ImageError> {
    let mut block = Block::zeroed(bytes.len());
    block.bytes_mut().copy_from_slice(bytes);
    HnswGraph::open(std::sync::Arc::new(block))
}

/// Does everything to a graph out of a file, if it is one, looked at before and while it is used. True when it was.
fn use_it(bytes: &[u8], rows: &Rows) -> bool {
    let unseen = open(bytes);
    let Ok(graph) = read(bytes) else {
        // What is wrong may lie where only its use tells.
        return unseen.is_ok_and(|graph| use_graph(&graph, rows) && graph.is_sound());
    };
    // A stream may go on after its graph, memory may not.
    let is_used = use_graph(&graph, rows);
    if let Ok(unseen) = unseen {
        assert_eq!(use_graph(&unseen, rows), is_used);
    }
    is_used
}

fn use_graph(graph: &HnswGraph, rows: &Rows) -> bool {
    let nodes = graph.len();
    // As the store does before it gives a graph vectors to read.
    if nodes > NODES || !graph.fits_dimension(DIM) {
        return false;
    }
    let query = &rows.floats[NODES as usize * DIM..][..DIM];
    let (hits, _) = search(graph, rows, query, (nodes as usize, 200), &AllNodes);
    assert!(hits.iter().all(|hit| hit.node < nodes), "a node that is not there");
    assert!(hits.is_sorted_by(|a, b| a.distance <= b.distance));
    let mut found: Vec<u32> = hits.iter().map(|hit| hit.node).collect();
    found.sort_unstable();
    assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "a node twice");
    for one_in in [3, 90] {
        let few = |node: u32| node.is_multiple_of(one_in);
        let (hits, _) = search(graph, rows, query, (5, 9), &few);
        assert!(hits.iter().all(|hit| few(hit.node)));
    }
    if let Some(known) = graph.calibration() {
        let aim = known.aim(0.9, 10);
        let (mut scratch, mut hits) = (SearchScratch::new(), Vec::new());
        for way in [aim.open, aim.filtered] {
            assert!(way.ef <= 1_000, "no wider than what is measured");
            let request = way.request(10);
            graph.search(rows, query, &request, &AllNodes, &mut scratch, &mut hits);
            assert!(hits.iter().all(|hit| hit.node < nodes));
        }
    }
    graph.linked_nodes();
    graph.reachable();
    let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
    let removed = |node: u32| node.is_multiple_of(5);
    graph.remove(removed, rows, 1, &progress, &cancel).expect("nobody cancels");
    insert_all(graph, rows, nodes..nodes + 4);
    let again: Vec<u32> = (0..nodes).filter(|&node| removed(node)).take(8).collect();
    for node in again {
        insert_all(graph, rows, node..node + 1);
    }
    for high_water in [graph.len(), graph.len() / 2] {
        let mut copy = Vec::new();
        graph.write_image(high_water, &mut copy).expect("memory takes all");
        let error = read(&copy).err();
        assert!(error.is_none(), "what was written of it can be read: {error:?}");
    }
    true
}

/// The values a number of `width` bytes is given: the ends of its range, and around what it is.
fn values(now: u64, width: usize) -> Vec<u64> {
    let top = u64::MAX >> (64 - 8 * width);
    let near = [now.wrapping_sub(1), now.wrapping_add(1), now / 2, now << 4];
    let far = [0, 1, 2, 6, 101, 255, 1 << 20, 1 << 30, (1 << 31) - 1, 1 << 31, top];
    near.into_iter().chain(far).map(|value| value & top).collect()
}

#[test]
fn every_field_of_the_header_may_say_anything() {
    let rows = rows();
    let kinds = [Quantisation::None, Quantisation::Sq8, Quantisation::Pq];
    for (quantisation, metric) in kinds.into_iter().zip([Metric::Cosine, Metric::L2, Metric::L2]) {
        let forger = stored(&rows, quantisation, metric);
        assert!(use_it(&forger.clone().sign(), &rows), "as it was");
        for (name, from, width) in FIELDS {
            let mut now = [0; 8];
            now[..width].copy_from_slice(&forger.bytes[from..from + width]);
            for value in values(u64::from_le_bytes(now), width) {
                let mut forged = forger.clone();
                forged.bytes[from..from + width].copy_from_slice(&value.to_le_bytes()[..width]);
                // Bits of no number, too small a number.
                let unusable = name == "alpha" && !(1.0..).contains(&f32::from_bits(value as u32));
                let taken = use_it(&forged.sign(), &rows);
                assert!(!(taken && unusable), "{name} {value}");
            }
        }
    }
}

/// Sections in which every number is a link, with links that no insertion makes.
#[test]
fn links_may_lead_anywhere() {
    let rows = rows();
    let forger = stored(&rows, Quantisation::None, Metric::L2);
    let (m, nodes) = (forger.m, NODES as usize);
    let check = |name: &str, is_graph: bool, forge: &dyn Fn(&mut Forger)| {
        let mut forged = forger.clone();
        forge(&mut forged);
        println!("{name}");
        assert_eq!(use_it(&forged.sign(), &rows), is_graph, "{name}");
    };
    let all = |part: usize, link: fn(usize) -> u32| {
        move |forged: &mut Forger| {
            (0..forged.words(part)).for_each(|at| forged.set(part, at, link(at)));
        }
    };
    check("nobody has links", true, &all(LINKS, |_| 0));
    check("all links lead to the first node", true, &all(LINKS, |_| 1));
    check("all links lead to the last node", true, &all(LINKS, |_| NODES));
    check("all links lead past the last node", false, &all(LINKS, |_| NODES + 1));
    check("all links lead far away", false, &all(LINKS, |_| u32::MAX));
    check("one link leads past the last node", false, &|forged| forged.set(LINKS, 17, NODES + 1));
    check("every node links to itself", true, &|forged| {
        (0..nodes * 2 * m).for_each(|at| forged.set(LINKS, at, (at / (2 * m)) as u32 + 1));
    });
    check("every node links to the next", true, &|forged| {
        (0..nodes * 2 * m)
            .for_each(|at| forged.set(LINKS, at, (at / (2 * m) + 1) as u32 % NODES + 1));
    });
    check("a hole before a link", true, &|forged| {
        (0..nodes).for_each(|node| forged.set(LINKS, node * 2 * m, 0));
    });

    check("all in one chain of equals", true, &all(TWINS, |at| (at as u32 + 2) % (NODES + 1)));
    check("all in one ring of equals", false, &all(TWINS, |at| (at as u32 + 1) % NODES + 1));
    check("a node is its own equal", false, &|forged| forged.set(TWINS, 7, 8));
    check("two equals of each other", false, &|forged| {
        forged.set(TWINS, 1, 1);
        forged.set(TWINS, 0, 2);
    });
    check("a ring that nobody hangs off", false, &|forged| {
        all(TWINS, |_| 0)(forged);
        for (node, twin) in [(700, 900), (900, 1000), (1000, 700)] {
            forged.set(TWINS, node, twin + 1);
        }
    });
    check("a chain that ends in a ring", false, &|forged| {
        all(TWINS, |_| 0)(forged);
        for (node, twin) in [(3, 700), (700, 900), (900, 700)] {
            forged.set(TWINS, node, twin + 1);
        }
    });
    check("all chains share their end", true, &all(TWINS, |at| if at == 3 { 0 } else { 4 }));
    check("an equal past the last node", false, &|forged| forged.set(TWINS, 7, NODES + 1));

    // The first two nodes above level 0.
    let raised: Vec<usize> = (0..nodes).filter(|&node| forger.word(BLOCKS, node) != 0).collect();
    let (one, other) = (raised[0], raised[1]);
    let flat = (0..nodes).find(|node| forger.word(BLOCKS, *node) == 0).expect("most nodes");
    let block = forger.word(BLOCKS, one) as usize;
    check("a block past the last", false, &|forged| {
        forged.set(BLOCKS, one, (forged.words(UPPER) / m) as u32);
    });
    check("a block far away", false, &|forged| forged.set(BLOCKS, one, u32::MAX));
    check("a block of a node of level 0", false, &|forged| forged.set(BLOCKS, flat, 1));
    check("two nodes in one block", false, &|forged| {
        forged.set(BLOCKS, one, 1);
        forged.set(BLOCKS, other, 1);
        (0..forged.words(UPPER)).for_each(|at| forged.set(UPPER, at, 0));
    });
    check("a link above level 0 to a node that is not there", false, &|forged| {
        forged.set(UPPER, block * m, flat as u32 + 1);
    });
    check("such a link behind an empty slot", false, &|forged| {
        forged.set(UPPER, block * m, 0);
        forged.set(UPPER, block * m + m - 1, flat as u32 + 1);
    });
    check("a link above level 0 past the last node", false, &|forged| {
        forged.set(UPPER, block * m, NODES + 1);
    });
    check("every node above level 0 links to itself", true, &|forged| {
        (0..forged.words(UPPER)).for_each(|at| forged.set(UPPER, at, 0));
        for &node in &raised {
            let block = forger.word(BLOCKS, node) as usize;
            forged.set(UPPER, block * m, node as u32 + 1);
        }
    });
}

/// One file with seeded damage: bytes, words, swapped runs, in some section or the header, then a cut or an addition.
fn damage(forger: &Forger, random: &mut Random) -> Vec<u8> {
    let mut forged = forger.clone();
    let part = match random.below(9) {
        0 => 12..HEADER - 4,
        at => forged.parts[at as usize % SECTIONS].clone(),
    };
    for _ in 0..=random.below(4) {
        if part.len() < 8 {
            break;
        }
        let at = part.start + random.below(part.len() as u64 - 4) as usize;
        let word = part.start + (at - part.start) / 4 * 4;
        match random.below(6) {
            0 => forged.bytes[at] ^= 1 << random.below(8),
            1 => forged.bytes[at] = random.next() as u8,
            // Small numbers pass more checks than any others.
            2 => forged.bytes[word..word + 4]
                .copy_from_slice(&(random.below(u64::from(NODES) + 2) as u32).to_le_bytes()),
            3 => {
                forged.bytes[word..word + 4].copy_from_slice(&(random.next() as u32).to_le_bytes());
            }
            4 => {
                let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, f32::MAX, 1e-40];
                let float = bad[random.below(6) as usize];
                forged.bytes[word..word + 4].copy_from_slice(&float.to_le_bytes());
            }
            _ => {
                let run = random.below((part.end - at) as u64) as usize;
                let from = part.start + random.below((part.len() - run) as u64) as usize;
                forged.bytes.copy_within(from..from + run, at);
            }
        }
    }
    let mut bytes = forged.sign();
    match random.below(40) {
        0 => bytes.truncate(random.below(bytes.len() as u64) as usize),
        1 => bytes.extend([0; 64]),
        _ => {}
    }
    bytes
}

/// `rounds` damaged files of each quantisation; how many were refused, how many were graphs.
fn fuzz(rounds: u32, seed: u64) -> (u32, u32) {
    let rows = rows();
    let mut random = Random(seed);
    let (mut refused, mut taken) = (0, 0);
    for quantisation in QUANTISATIONS {
        for metric in [Metric::Cosine, Metric::L2, Metric::InnerProduct] {
            let forger = stored(&rows, quantisation, metric);
            for _ in 0..rounds {
                let is_graph = use_it(&damage(&forger, &mut random), &rows);
                *(if is_graph { &mut taken } else { &mut refused }) += 1;
            }
        }
    }
    (refused, taken)
}

#[test]
fn damage_under_right_checksums_gives_errors_or_graphs_that_can_be_used() {
    let (refused, taken) = fuzz(8, 57);
    assert!(refused > 50 && taken > 50, "refused {refused}, taken {taken}");
}

/// As older versions wrote it: without the sums of blocks and what is linked, and before that without a calibration.
#[test]
fn files_of_older_versions_are_read_and_measured_when_it_is_due() {
    let rows = rows();
    for quantisation in [Quantisation::None, Quantisation::Sq8] {
        let forger = stored(&rows, quantisation, Metric::Cosine);
        let is_new = read(&forger.bytes).expect("as written");
        let of_version = |version: u32, sections: usize| {
            let mut forged = forger.clone();
            forged.bytes[8..12].copy_from_slice(&version.to_le_bytes());
            let end = forged.parts[sections].start;
            forged.parts.truncate(sections);
            forged.bytes.truncate(end + (sections + 1) * 4);
            if sections < 8 {
                forged.bytes[56..60].fill(0);
            }
            forged.sign()
        };
        let mut last = of_version(3, 8);
        assert_eq!(read(&last).expect("version 3").calibration(), is_new.calibration());
        assert!(use_it(&last, &rows));
        // All of such a file is looked at when it is opened.
        last[HEADER + 5] ^= 4;
        assert!(open(&last).is_err());
        let before = of_version(2, 7);
        let graph = read(&before).expect("version 2");
        assert!(graph.calibration().is_none() && graph.is_uncalibrated());
        for query in rows.iter().take(40) {
            let [one, other] =
                [&graph, &is_new].map(|of| search(of, &rows, query, (5, 40), &AllNodes));
            assert_eq!(one, other);
        }
        graph.calibrate(&rows, 0, 1, &AtomicBool::new(false)).expect("nobody cancels");
        assert_eq!(graph.calibration(), is_new.calibration());
        assert!(use_it(&before, &rows));
    }
}

#[test]
#[ignore = "two minutes"]
fn much_more_damage_under_right_checksums() {
    for seed in 0..2 {
        fuzz(400, 1_000 + seed);
    }
}

/// Without right checksums nothing passes, whatever it is.
#[test]
fn noise_of_any_length_is_an_error() {
    let rows = rows();
    let mut random = Random(58);
    let whole = stored(&rows, Quantisation::Sq8, Metric::Cosine).bytes;
    for _ in 0..2_000 {
        let mut bytes: Vec<u8> = (0..random.below(400)).map(|_| random.next() as u8).collect();
        if random.below(2) == 0 && bytes.len() > HEADER {
            bytes[..HEADER].copy_from_slice(&whole[..HEADER]);
        }
        assert!(read(&bytes).is_err());
        let mut block = Block::zeroed(bytes.len());
        block.bytes_mut().copy_from_slice(&bytes);
        assert!(HnswGraph::open(std::sync::Arc::new(block)).is_err());
    }
}
