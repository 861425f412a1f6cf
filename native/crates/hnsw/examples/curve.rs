//! A graph on files of raw floats, driven line by line: what `bench/ann/compare.py` measures beside other libraries.
//!
//! `cargo run --release -p omen-hnsw --example curve -- <base> <query> <truth> key=value...`
//!
//! Files: `u32` rows, `u32` columns, then little-endian `f32` (truth: `u32`). Keys: `metric` (l2, ip, cosine), `m`,
//! `ef_construction`, `threads`, `quantisation` (none, f16, sq8, rabitq, bq, pq), `builder` (insert, batch). The first line out
//! describes the build; then each `ef rerank` read from standard input, where an `ef` below one is a recall to reach, is
//! answered by a line with the recall at 10 and the CPU microseconds per query, one thread. All lines are JSON.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, AtomicU64};

use omen_hnsw::{
    AllNodes, BatchOptions, Block, HnswGraph, HnswParams, Memory, Metric, Quantisation,
    SearchRequest, SearchScratch, VectorSource,
};
use rustix::time::{ClockId, clock_gettime};

const K: usize = 10;

struct Rows {
    dim: usize,
    block: Block,
}

impl VectorSource for Rows {
    type Vector = [f32];

    fn dim(&self) -> usize {
        self.dim
    }

    #[inline(always)]
    fn vector(&self, node: u32) -> &[f32] {
        let at = node as usize * self.dim;
        assert!((at + self.dim) * size_of::<f32>() <= self.block.len());
        #[expect(clippy::cast_ptr_alignment, reason = "a block starts on a cache line")]
        let floats = self.block.start().cast::<f32>();
        // SAFETY: inside the block, checked above, which holds floats and is not written any more.
        unsafe { std::slice::from_raw_parts(floats.add(at), self.dim) }
    }
}

/// Rows, columns, and the words after them.
type Matrix = (usize, usize, Vec<[u8; 4]>);

fn read(path: &str) -> Result<Matrix, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let words = bytes.as_chunks::<4>().0;
    let [rows, columns, rest @ ..] = words else { return Err("no header".into()) };
    Ok((u32::from_le_bytes(*rows) as usize, u32::from_le_bytes(*columns) as usize, rest.to_vec()))
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, query, truth, options @ ..] = &arguments[..] else {
        return Err("files of base, query and truth".into());
    };
    let options: HashMap<&str, &str> = options.iter().filter_map(|o| o.split_once('=')).collect();
    let option = |name, default| options.get(name).copied().unwrap_or(default);

    let (count, dim, words) = read(base)?;
    let mut block = Block::zeroed(words.len() * 4);
    for (into, word) in block.bytes_mut().as_chunks_mut::<4>().0.iter_mut().zip(&words) {
        // Little-endian on disk and in memory, as the rest of the engine.
        *into = *word;
    }
    drop(words);
    let rows = Rows { dim, block };
    let queries: Vec<f32> = read(query)?.2.into_iter().map(f32::from_le_bytes).collect();
    let (_, truth_row, truth) = read(truth)?;
    let truth: Vec<u32> = truth.into_iter().map(u32::from_le_bytes).collect();

    let metric = match option("metric", "l2") {
        "l2" => Metric::L2,
        "ip" => Metric::InnerProduct,
        "cosine" => Metric::Cosine,
        _ => return Err("metric".into()),
    };
    let quantisation = match option("quantisation", "none") {
        "none" => Quantisation::None,
        "f16" => Quantisation::F16,
        "sq8" => Quantisation::Sq8,
        "rabitq" => Quantisation::Rabitq,
        "bq" => Quantisation::Bq,
        "pq" => Quantisation::Pq,
        _ => return Err("quantisation".into()),
    };
    let graph = HnswGraph::new(HnswParams {
        m: option("m", "16").parse()?,
        ef_construction: option("ef_construction", "200").parse()?,
        alpha: option("alpha", "1").parse()?,
        quantisation,
        ..HnswParams::new(metric)
    });
    let threads = option("threads", "1").parse()?;
    let before = cpu_seconds();
    let wall = std::time::Instant::now();
    let (progress, cancel) = (AtomicU64::new(0), AtomicBool::new(false));
    let nodes = 0..count as u32;
    match option("builder", "batch") {
        "insert" => graph.build(nodes, &rows, threads, &progress, &cancel)?,
        "batch" => {
            let memory_bytes = option("memory", "10000000000").parse()?;
            let (progress, cancel) = (&progress, &cancel);
            let options = BatchOptions { threads, memory_bytes, progress, cancel };
            graph.build_batches(nodes, &rows, |_| false, &options)?;
        }
        _ => return Err("builder".into()),
    }
    let build = cpu_seconds() - before;
    println!(
        r#"{{"event":"build","n":{count},"dim":{dim},"cpu_s":{build:.3},"wall_s":{:.3},"vectors_per_cpu_s":{:.0},"graph_bytes":{:.1},"code_bytes":{:.1}}}"#,
        wall.elapsed().as_secs_f64(),
        count as f64 / build,
        (graph.memory_bytes() - graph.code_bytes()) as f64 / count as f64,
        graph.code_bytes() as f64 / count as f64,
    );

    let before = cpu_seconds();
    graph.calibrate(&rows, 0, threads, &cancel)?;
    println!(r#"{{"event":"calibration","cpu_s":{:.3}}}"#, cpu_seconds() - before);
    let known = graph.calibration().ok_or("a graph without links")?;
    let (mut scratch, mut hits) = (SearchScratch::new(), Vec::new());
    let exact = |query: &[f32], node: u32| {
        let distance = omen_kernels::distance(metric, query, rows.vector(node));
        if distance.is_nan() { f64::INFINITY } else { distance }
    };
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut fields = line.split_whitespace();
        let (ef, rerank) = (fields.next(), fields.next().unwrap_or("0"));
        let Some(ef) = ef else { continue };
        let rerank = rerank.parse()?;
        let asked: f32 = ef.parse()?;
        let request = if asked < 1.0 {
            SearchRequest { rerank, ..known.aim(asked, K).open.request(K) }
        } else {
            SearchRequest { rerank, ..SearchRequest::new(K, asked as usize) }
        };
        let (mut found, mut distances, mut hops) = (0, 0, 0);
        // Once for the recall, with answers as near as the true tenth counting as right, and to warm up.
        for (query, truth) in queries.chunks(dim).zip(truth.chunks(truth_row)) {
            let stats = graph.search(&rows, query, &request, &AllNodes, &mut scratch, &mut hits);
            (distances, hops) = (distances + stats.distances, hops + stats.hops);
            let farthest = exact(query, truth[K - 1]);
            let farthest = farthest + 1e-6 * farthest.abs().max(1e-3);
            found += hits.iter().filter(|hit| exact(query, hit.node) <= farthest).count();
        }
        let searches = queries.len() / dim;
        let before = cpu_seconds();
        for query in queries.chunks(dim) {
            graph.search(&rows, query, &request, &AllNodes, &mut scratch, &mut hits);
        }
        let us = (cpu_seconds() - before) * 1e6 / searches as f64;
        println!(
            r#"{{"event":"search","ef":{ef},"recall":{:.5},"us":{us:.2},"distances":{},"hops":{}}}"#,
            found as f64 / (searches * K) as f64,
            distances / searches as u64,
            hops / searches as u64,
        );
        std::io::stdout().flush()?;
    }
    Ok(())
}
