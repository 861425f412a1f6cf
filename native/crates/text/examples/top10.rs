//! Indexes texts, one a line, answers queries, one a line, and writes each query's ten best as `line:score` pairs, one line a
//! query. To the standard error stream it writes the CPU time of both.
//!
//! `cargo run --release -p omen-text --example top10 -- english texts queries`

use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use omen_text::{AllDocs, AnalyzerKind, TextIndex, TextIndexParams};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, texts, queries] = &arguments[..] else {
        return Err(std::io::Error::other("usage: top10 english|simple TEXTS QUERIES"));
    };
    let kind = if kind == "simple" { AnalyzerKind::Simple } else { AnalyzerKind::English };
    let (texts, queries) = (std::fs::read_to_string(texts)?, std::fs::read_to_string(queries)?);

    let index = TextIndex::new(TextIndexParams::new(kind));
    let start = Instant::now();
    for (doc, text) in texts.lines().enumerate() {
        index.add(doc as u32, &index.analyze(text));
    }
    let added = start.elapsed();
    let start = Instant::now();
    index.seal(u32::MAX);
    let sealed = start.elapsed();
    let stats = index.stats();
    eprintln!("{} documents: added in {added:?}, sealed in {sealed:?}; {stats:?}", stats.docs);

    let mut out = BufWriter::new(std::io::stdout().lock());
    let (mut hits, mut times) = (Vec::new(), Vec::new());
    for text in queries.lines() {
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            index.search(&index.query(text), 10, &AllDocs, &mut hits);
            best = best.min(start.elapsed());
        }
        times.push(best);
        let pairs: Vec<String> =
            hits.iter().map(|hit| format!("{}:{}", hit.doc, hit.score)).collect();
        writeln!(out, "{}", pairs.join(" "))?;
    }
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    eprintln!("{} queries, best of five each: median {:?}, 95th {:?}", times.len(), at(50), at(95));
    out.flush()
}
