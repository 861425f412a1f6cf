//! Build rate, recall and time per query on a folder of descriptors: `base.npy` (uint8, n x d), `query.npy` (float32),
//! `gt_l2.npy` (int32, the exact nearest per query).
//!
//! `cargo run --release -p omen-hnsw --example photo_sift -- <folder> [m] [ef_construction] [threads]`
//!
//! Times are CPU time of the process, so that a busy machine disturbs them less.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};

use omen_hnsw::{
    AllNodes, HnswGraph, HnswParams, Metric, SearchRequest, SearchScratch, VectorSource,
};
use omen_kernels::distance;

struct Rows {
    dim: usize,
    floats: Vec<f32>,
}

impl VectorSource for Rows {
    type Vector = [f32];

    fn dim(&self) -> usize {
        self.dim
    }

    fn vector(&self, node: u32) -> &[f32] {
        &self.floats[node as usize * self.dim..][..self.dim]
    }
}

/// The two-dimensional array in an npy file of version 1: its row length and its bytes.
fn read_npy(path: &Path) -> Result<(usize, Vec<u8>), Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let header_bytes = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let header = std::str::from_utf8(&bytes[10..10 + header_bytes])?;
    let shape = header.split(['(', ')']).nth(1).ok_or("no shape")?;
    let row = shape.split(',').nth(1).ok_or("not two-dimensional")?.trim().parse()?;
    Ok((row, bytes[10 + header_bytes..].to_vec()))
}

/// User and system time of this process in seconds; the kernel counts in hundredths.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().ok_or("folder of the data set")?);
    let number = |at: usize, default: u16| arguments.get(at).map_or(Ok(default), |a| a.parse());
    let (m, ef_construction, threads) = (number(1, 16)?, number(2, 200)?, number(3, 1)?);

    let (dim, base) = read_npy(&folder.join("base.npy"))?;
    let base = Rows { dim, floats: base.into_iter().map(f32::from).collect() };
    let (_, queries) = read_npy(&folder.join("query.npy"))?;
    let words = |bytes: &[u8]| bytes.as_chunks::<4>().0.to_vec();
    let queries: Vec<f32> = words(&queries).into_iter().map(f32::from_le_bytes).collect();
    let (truth_row, truth) = read_npy(&folder.join("gt_l2.npy"))?;
    let truth: Vec<u32> = words(&truth).into_iter().map(u32::from_le_bytes).collect();

    let count = (base.floats.len() / dim) as u32;
    let graph = HnswGraph::new(HnswParams { m, ef_construction, ..HnswParams::new(Metric::L2) });
    let before = cpu_seconds();
    let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
    graph.build(0..count, &base, threads as usize, &progress, &cancel)?;
    let build = cpu_seconds() - before;
    let rate = count as f64 / build;
    println!(
        "{count} x {dim}: built in {build:.2} CPU s, {rate:.0} vectors/s/core, M {m} ef_construction {ef_construction}"
    );
    println!("{:.0} bytes a node beside the vectors", graph.memory_bytes() as f64 / count as f64);

    let (mut scratch, mut hits) = (SearchScratch::new(), Vec::new());
    for ef in [10, 20, 30, 40, 60, 80, 120, 200] {
        let (mut found, mut distances, mut rounds) = (0, 0, 0);
        let before = cpu_seconds();
        while cpu_seconds() - before < 0.5 {
            rounds += 1;
            for (query, truth) in queries.chunks(dim).zip(truth.chunks(truth_row)) {
                distances += graph
                    .search(
                        &base,
                        query,
                        &SearchRequest::new(10, ef),
                        &AllNodes,
                        &mut scratch,
                        &mut hits,
                    )
                    .distances;
                found += hits.iter().filter(|hit| truth[..10].contains(&hit.node)).count();
            }
        }
        let searches = (rounds * queries.len() / dim) as f64;
        println!(
            "ef {ef:3}  recall@10 {:.4}  {:6.1} us/query  {:5.0} distances",
            found as f64 / searches / 10.0,
            (cpu_seconds() - before) * 1e6 / searches,
            distances as f64 / searches
        );
    }

    println!(
        "filtered, ef 40 (an exact scan of the matches computes as many distances as rows match):"
    );
    for one_in in [2, 4, 10, 20, 50, 100, 200] {
        // A multiplicative hash of the node number: a random predicate.
        let accepts = |node: u32| (node.wrapping_mul(0x9e37_79b1) >> 8).is_multiple_of(one_in);
        let accepted: Vec<u32> = (0..count).filter(|&node| accepts(node)).collect();
        let (mut found, mut distances) = (0, 0);
        let before = cpu_seconds();
        for query in queries.chunks(dim) {
            let search = &mut scratch;
            distances += graph
                .search(&base, query, &SearchRequest::new(10, 40), &accepts, search, &mut hits)
                .distances;
            let of = |&node: &u32| distance(Metric::L2, query, base.vector(node));
            let mut exact: Vec<f64> = accepted.iter().map(of).collect();
            let tenth = *exact.select_nth_unstable_by(9, f64::total_cmp).1;
            found += hits.iter().filter(|hit| of(&hit.node) <= tenth).count();
        }
        let searches = (queries.len() / dim) as f64;
        println!(
            "1 in {one_in:3}  {:5} match  recall@10 {:.4}  {:5.0} distances ({:.1} us/query with the exact scan)",
            accepted.len(),
            found as f64 / searches / 10.0,
            distances as f64 / searches,
            (cpu_seconds() - before) * 1e6 / searches
        );
    }
    Ok(())
}
