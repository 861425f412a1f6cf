//! Our answers beside tantivy's on the demo's rows, from the same tokens: test/tantivy/record.py recorded its ten best per
//! query. tantivy keeps the constant factor k1 + 1 that Lucene and we leave out.

use std::io::Read;

use flate2::read::GzDecoder;
use omen_text::{AllDocs, AnalyzerKind, TextIndex, TextIndexParams};
use serde_json::Value;

const FACTOR: f64 = 2.2;

fn gunzip(path: &str) -> String {
    let path = format!("{}/../../../{path}", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("gzipped UTF-8");
    text
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|n| n.as_f64().expect("a number")).collect()
}

#[test]
fn scores_and_ranking_quality_are_tantivy_s() {
    let index = TextIndex::new(TextIndexParams::new(AnalyzerKind::English));
    for (doc, line) in gunzip("data/demo/packages.jsonl.gz").lines().enumerate() {
        let row: Value = serde_json::from_str(line).expect("one row a line");
        index.add(doc as u32, &index.analyze(row["body"].as_str().expect("a body")));
        if doc == 1_200 {
            index.seal(1_201);
        }
    }
    let recorded: Value =
        serde_json::from_str(&gunzip("test/tantivy/parity.json.gz")).expect("JSON");
    let list = |name: &str| recorded[name].as_array().expect("a list").clone();
    let (queries, rows, scores) = (list("queries"), list("rows"), list("scores"));
    assert!(queries.len() >= 1_000, "enough queries");
    let mut gain = 0.0;
    let (mut places, mut moved) = (0, 0);
    for (at, wanted) in numbers(&recorded["wanted"]).into_iter().enumerate() {
        let text = queries[at].as_str().expect("a query");
        let (rows, scores) = (numbers(&rows[at]), numbers(&scores[at]));
        let mut hits = Vec::new();
        index.search(&index.query(text), 10, &AllDocs, &mut hits);
        assert_eq!(hits.len(), rows.len(), "{text}");
        for (rank, hit) in hits.iter().enumerate() {
            let ratio = scores[rank] / (hit.score as f64 * FACTOR);
            assert!((ratio - 1.0).abs() < 2e-6, "{text}, place {rank}: {} by {ratio}", hit.score);
            gain += if hit.doc as f64 == wanted { 1.0 / (rank as f64 + 2.0).log2() } else { 0.0 };
            // Equal scores but for the last bit may change places.
            moved += usize::from(hit.doc as f64 != rows[rank]);
            places += 1;
        }
    }
    assert!(moved * 1_000 <= places, "{moved} of {places} places differ");
    let (ours, theirs) =
        (gain / queries.len() as f64, recorded["ndcg10"].as_f64().expect("a number"));
    assert!((ours - theirs).abs() < 5e-4, "nDCG@10 {ours} against {theirs}");
}
