//! Where a search had better start: on the upper levels, or at the nearest of some nodes drawn at random ("hubs").
//!
//! `cargo run --release -p omen-hnsw --example entries -- [nodes ...]`
//!
//! Both ways go on in the same links of level 0, which are read from the graph's own file format, by one beam written here;
//! so they differ in nothing but the start. Data: 128 dimensions, a random image of points in 24 dimensions around a
//! thousand centres; queries of the same kind. Per size, the narrowest beam of recall@10 .95 counts. Prints a markdown
//! table: nodes that got a distance before level 0 and on it, and CPU time, the least of five rounds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64};

use omen_hnsw::{BatchOptions, HnswGraph, HnswParams, Metric, VectorSource};
use omen_kernels::kernels;
use omen_testing::Random;
use rustix::time::{ClockId, clock_gettime};

const DIM: usize = 128;
const LATENT: usize = 24;
const CENTRES: usize = 1000;
const QUERIES: usize = 200;
const K: usize = 10;
const ROUNDS: usize = 5;

struct Rows(Vec<f32>);

impl VectorSource for Rows {
    type Vector = [f32];

    fn dim(&self) -> usize {
        DIM
    }

    fn vector(&self, node: u32) -> &[f32] {
        &self.0[node as usize * DIM..][..DIM]
    }
}

/// `count` points after the first, all of one distribution.
struct Generator {
    random: Random,
    centres: Vec<f32>,
    image: Vec<f32>,
}

impl Generator {
    fn new() -> Self {
        let mut random = Random(2024);
        let mut normals = |count| (0..count).map(|_| random.normal()).collect::<Vec<f32>>();
        let (centres, image) = (normals(CENTRES * LATENT), normals(LATENT * DIM));
        Self { random, centres, image }
    }

    fn rows(&mut self, count: usize) -> Vec<f32> {
        let mut rows = vec![0.0; count * DIM];
        for row in rows.chunks_mut(DIM) {
            let centre = self.random.below(CENTRES as u64) as usize;
            for (latent, image) in self.image.chunks(DIM).enumerate() {
                let x = self.centres[centre * LATENT + latent] + 0.6 * self.random.normal();
                row.iter_mut().zip(image).for_each(|(to, &weight)| *to += x * weight);
            }
        }
        rows
    }
}

/// The links of a stored graph.
struct Links {
    words: Vec<u32>,
    m: usize,
    entry: u32,
    base: usize,
    blocks: usize,
    upper: usize,
    top: usize,
}

impl Links {
    /// See `image` in the crate for the layout.
    fn of(graph: &HnswGraph) -> Result<Self, Box<dyn Error>> {
        const HEADER: usize = 64;
        let mut bytes = Vec::new();
        graph.write_image(graph.len(), &mut bytes)?;
        let words: Vec<u32> =
            bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let (m, nodes) = (graph.params().m as usize, graph.len() as usize);
        let aligned = |words: usize| words.next_multiple_of(16);
        let base = HEADER / 4;
        let blocks = base + aligned(nodes * 2 * m);
        let upper = blocks + aligned(nodes);
        let entry = words[9] - 1;
        let count = words[10] as usize;
        let mut links = Self { words, m, entry, base, blocks, upper, top: 0 };
        // Blocks of a node are next to each other, in order of nodes.
        let own = links.words[blocks + entry as usize] as usize;
        let later = (0..nodes).map(|node| links.words[blocks + node] as usize);
        let next = later.filter(|&block| block > own).min().unwrap_or(count);
        links.top = if own == 0 { 0 } else { next - own };
        Ok(links)
    }

    fn neighbours(&self, node: u32, level: usize) -> impl Iterator<Item = u32> {
        let (start, slots) = if level == 0 {
            (self.base + node as usize * 2 * self.m, 2 * self.m)
        } else {
            let block = self.words[self.blocks + node as usize] as usize + level - 1;
            (self.upper + block * self.m, self.m)
        };
        self.words[start..start + slots].iter().map_while(|link| link.checked_sub(1))
    }
}

/// How a search finds its first node.
#[derive(Clone, Copy)]
enum Start {
    Levels,
    Hubs(usize),
}

struct Search<'a> {
    rows: &'a Rows,
    links: &'a Links,
    hubs: &'a [u32],
    /// The hubs' vectors together, in their order.
    hub_rows: &'a [f32],
    visited: Vec<u32>,
    round: u32,
    before: u64,
    on_base: u64,
}

impl Search<'_> {
    fn distance(&self, query: &[f32], node: u32) -> f32 {
        (kernels().l2_squared)(query, self.rows.vector(node))
    }

    fn start(&mut self, query: &[f32], start: Start) -> u32 {
        match start {
            Start::Hubs(count) => {
                let rows = self.hub_rows.chunks(DIM).take(count);
                let near = rows.map(|row| (kernels().l2_squared)(query, row)).enumerate();
                let near = near.min_by(|a, b| a.1.total_cmp(&b.1));
                self.before += count as u64;
                self.hubs[near.map_or(0, |(at, _)| at)]
            }
            Start::Levels => {
                let mut near = (self.distance(query, self.links.entry), self.links.entry);
                self.before += 1;
                for level in (1..=self.links.top).rev() {
                    loop {
                        let from = near;
                        for node in self.links.neighbours(from.1, level) {
                            self.before += 1;
                            let distance = self.distance(query, node);
                            if distance < near.0 {
                                near = (distance, node);
                            }
                        }
                        if near == from {
                            break;
                        }
                    }
                }
                near.1
            }
        }
    }

    fn run(&mut self, query: &[f32], start: Start, ef: usize) -> Vec<u32> {
        self.round += 1;
        let first = self.start(query, start);
        let key = |distance: f32, node| (u64::from(distance.to_bits()) << 32) | u64::from(node);
        let first_key = key(self.distance(query, first), first);
        self.visited[first as usize] = self.round;
        let mut open = BinaryHeap::from([Reverse(first_key)]);
        let mut best = BinaryHeap::from([first_key]);
        while let Some(Reverse(near)) = open.pop() {
            if best.len() == ef && best.peek().is_some_and(|&far| near > far) {
                break;
            }
            for node in self.links.neighbours(near as u32, 0) {
                if std::mem::replace(&mut self.visited[node as usize], self.round) == self.round {
                    continue;
                }
                self.on_base += 1;
                let found = key(self.distance(query, node), node);
                if best.len() < ef || best.peek().is_some_and(|&far| found < far) {
                    open.push(Reverse(found));
                    best.push(found);
                    if best.len() > ef {
                        best.pop();
                    }
                }
            }
        }
        best.into_sorted_vec().into_iter().take(K).map(|found| found as u32).collect()
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn main() -> Result<(), Box<dyn Error>> {
    let sizes: Vec<usize> =
        std::env::args().skip(1).map(|n| n.parse()).collect::<Result<_, _>>()?;
    println!("| nodes | start | ef | recall@10 | before level 0 | on level 0 | us |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for count in sizes {
        let mut generator = Generator::new();
        let rows = Rows(generator.rows(count));
        let queries = generator.rows(QUERIES);
        let graph = HnswGraph::new(HnswParams { seed: 1, ..HnswParams::new(Metric::L2) });
        let (progress, cancel) = (&AtomicU64::new(0), &AtomicBool::new(false));
        let options = BatchOptions { threads: 2, memory_bytes: u64::MAX, progress, cancel };
        graph.build_batches(0..count as u32, &rows, |_| false, &options)?;
        let links = Links::of(&graph)?;
        drop(graph);
        let truth: Vec<Vec<u32>> = queries.chunks(DIM).map(|query| exact(&rows, query)).collect();
        let step = (count / 4096).max(1);
        let hubs: Vec<u32> = (0..count as u32).step_by(step).collect();
        let hub_rows: Vec<f32> = hubs.iter().flat_map(|&hub| rows.vector(hub)).copied().collect();
        // Hubs come in the order of rows, which is random already.
        let mut search = Search {
            rows: &rows,
            links: &links,
            hubs: &hubs,
            hub_rows: &hub_rows,
            visited: vec![0; count],
            round: 0,
            before: 0,
            on_base: 0,
        };
        let starts =
            [Start::Levels, Start::Hubs(1), Start::Hubs(64), Start::Hubs(256), Start::Hubs(1024)];
        for start in starts {
            report(&mut search, &queries, &truth, count, start);
        }
    }
    Ok(())
}

/// One line of the table, for the narrowest beam that is good enough.
fn report(
    search: &mut Search<'_>,
    queries: &[f32],
    truth: &[Vec<u32>],
    count: usize,
    start: Start,
) {
    for ef in [10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 56, 68, 80, 96, 112, 136, 160, 200] {
        (search.before, search.on_base) = (0, 0);
        let mut found = 0;
        for (query, truth) in queries.chunks(DIM).zip(truth) {
            found += search.run(query, start, ef).iter().filter(|hit| truth.contains(hit)).count();
        }
        let recall = found as f64 / (QUERIES * K) as f64;
        if recall < 0.95 && ef < 200 {
            continue;
        }
        let per_query = |total: u64| total / QUERIES as u64;
        let (before, on_base) = (per_query(search.before), per_query(search.on_base));
        let mut least = f64::INFINITY;
        for _ in 0..ROUNDS {
            let from = cpu_seconds();
            for query in queries.chunks(DIM) {
                search.run(query, start, ef);
            }
            least = least.min((cpu_seconds() - from) * 1e6 / QUERIES as f64);
        }
        let name = match start {
            Start::Levels => "upper levels".to_owned(),
            Start::Hubs(1) => "one node".to_owned(),
            Start::Hubs(hubs) => format!("{hubs} hubs"),
        };
        println!("| {count} | {name} | {ef} | {recall:.3} | {before} | {on_base} | {least:.0} |");
        return;
    }
}

fn exact(rows: &Rows, query: &[f32]) -> Vec<u32> {
    let distances = rows.0.chunks(DIM).map(|row| (kernels().l2_squared)(query, row));
    let mut all: Vec<(u32, u32)> = distances.map(f32::to_bits).zip(0..).collect();
    all.select_nth_unstable(K - 1);
    all[..K].iter().map(|&(_, node)| node).collect()
}
