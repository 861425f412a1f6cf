//! Reads texts, one a line, and writes each one's terms, one line a text, separated by spaces.
//!
//! `cargo run --release -p omen-text --example tokens -- english < texts > terms`

use std::io::{BufRead, Write};

use omen_text::{Analyzer, AnalyzerKind};

fn main() -> std::io::Result<()> {
    let kind = match std::env::args().nth(1).as_deref() {
        Some("simple") => AnalyzerKind::Simple,
        _ => AnalyzerKind::English,
    };
    let mut analyzer = Analyzer::new(kind);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let mut line_terms = String::new();
        analyzer.tokens(&line?, |term| {
            line_terms.push_str(term);
            line_terms.push(' ');
        });
        writeln!(out, "{}", line_terms.trim_end())?;
    }
    out.flush()
}
