//! Vector and text search under snapshots, own writes, filters and tails.

use omen_kernels::distance;
use omen_store::*;

use super::common::*;

const T: u32 = 20_000;
const GRAPH: u32 = 20_002;
const WORDS: u32 = 20_003;
const DIM: usize = 8;

fn specs() -> [ColumnSpec; 2] {
    [TEXT, vector(DIM as u32)]
}

fn random_row(random: &mut Random) -> Row {
    let words = ["alpha", "beta", "gamma", "delta", "epsilon"];
    let count = 1 + random.below(6);
    let text: Vec<&str> = (0..count).map(|_| words[random.below(5) as usize]).collect();
    let floats = (0..DIM).map(|_| random.unit()).collect();
    vec![Cell::Text(text.join(" ")), Cell::Vector(floats)]
}

fn db(rows: usize) -> (Db, Vec<u32>) {
    let db = Db::memory();
    let mut random = Random(5);
    let rids = db.run(|tx| {
        tx.handle.create_relation(T, &specs(), false).unwrap();
        let rows: Vec<Row> = (0..rows).map(|_| random_row(&mut random)).collect();
        tx.insert(T, &specs(), &rows)
    });
    db.run(|tx| {
        tx.create_index(hnsw(GRAPH, T, 1, DIM as u32)).unwrap();
        tx.create_index(bm25(WORDS, T, 0)).unwrap();
    });
    (db, rids)
}

/// What a scan of the statement's rows says is nearest.
fn nearest(tx: &Tx, query: &[f32], k: usize, allowed: impl Fn(u32) -> bool) -> Vec<(f64, u32)> {
    let mut all: Vec<(f64, u32)> = tx
        .scan(T, &specs())
        .into_iter()
        .filter_map(|(rid, row)| match &row[1] {
            Cell::Vector(v) if allowed(rid) => Some((distance(Metric::L2, query, v), rid)),
            _ => None,
        })
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.truncate(k);
    all
}

fn search(
    tx: &Tx,
    query: &[f32],
    k: usize,
    filter: Option<&[u8]>,
    mode: SearchMode,
    budget: u64,
) -> (Vec<(f64, u32)>, SearchStats) {
    let (mut rids, mut distances) = (vec![0; k], vec![0.0; k]);
    let count = |bits: &[u8]| bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
    let filter = filter.map(|bits| (bits, count(bits)));
    let query = VectorQuery { filter, mode, ef: 200, max_distances: budget, ..closest(query, k) };
    let (n, stats) = tx.handle.vector_search(GRAPH, &query, &mut rids, &mut distances).unwrap();
    ((0..n).map(|i| (distances[i], rids[i])).collect(), stats)
}

#[test]
fn searches_follow_the_snapshot_and_the_transactions_own_writes() {
    let (db, rids) = db(600);
    let old = db.begin(Isolation::RepeatableRead);
    old.statement();
    let before = nearest(&old, &[0.5; DIM], 10, |_| true);
    db.run(|tx| {
        for &(_, rid) in &before[..5] {
            tx.delete(T, rid);
        }
    });
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    tx.insert(T, &specs(), &[vec![text("own"), Cell::Vector(vec![0.5; DIM])]]);
    tx.update(T, before[6].1, &specs(), &[1], vec![Cell::Vector(vec![0.51; DIM])]);
    tx.update(T, rids[1], &specs(), &[0], vec![text("only the text")]);
    tx.statement();
    for mode in [SearchMode::Auto, SearchMode::Graph, SearchMode::Exact] {
        assert_eq!(
            search(&old, &[0.5; DIM], 10, None, mode, 0).0,
            before,
            "{mode:?}, old snapshot"
        );
        let expected = nearest(&tx, &[0.5; DIM], 10, |_| true);
        assert_eq!(search(&tx, &[0.5; DIM], 10, None, mode, 0).0, expected, "{mode:?}, own writes");
        assert_eq!(expected[0].0, 0.0);
    }
}

#[test]
fn a_filter_never_starves_a_search() {
    let (db, rids) = db(3_000);
    let mut random = Random(9);
    for every in [2, 20, 300, 1_500] {
        let allowed: Vec<u32> = rids.iter().copied().filter(|_| random.below(every) == 0).collect();
        let mut bits = vec![0u8; 3_000 / 8 + 1];
        for rid in &allowed {
            bits[*rid as usize / 8] |= 1 << (rid % 8);
        }
        db.run(|tx| {
            let query: Vec<f32> = (0..DIM).map(|_| 0.3).collect();
            let expected = nearest(tx, &query, 10, |rid| allowed.contains(&rid));
            for (mode, budget) in
                [(SearchMode::Auto, 0), (SearchMode::Graph, 50), (SearchMode::Exact, 0)]
            {
                let (found, stats) = search(tx, &query, 10, Some(&bits), mode, budget);
                assert_eq!(found.len(), expected.len(), "1 in {every}, {mode:?}");
                if stats.path > 0 {
                    assert_eq!(found, expected, "1 in {every}, {mode:?}");
                }
            }
        });
    }
}

#[test]
fn text_scores_are_the_same_wherever_a_row_is() {
    let (db, _) = db(400);
    let committed = db.begin(Isolation::ReadCommitted);
    committed.statement();
    let query = committed.handle.text_query(WORDS, "alpha gamma").unwrap();
    let all = |tx: &Tx, query: &TextQuery, mode| {
        let (mut rids, mut scores) = (vec![0; 1000], vec![0.0; 1000]);
        let (n, _) =
            tx.handle.text_search(WORDS, query, 1000, None, mode, &mut rids, &mut scores).unwrap();
        (0..n).map(|i| (scores[i], rids[i])).collect::<Vec<_>>()
    };
    let found = all(&committed, &query, SearchMode::Auto);
    assert_eq!(found, all(&committed, &query, SearchMode::Exact));
    // Scoring the texts themselves gives the same numbers.
    let rows = committed.scan(T, &specs());
    let texts: Vec<Row> = rows.iter().map(|(_, r)| vec![r[0].clone()]).collect();
    let columns = Columns::new(&[TEXT], &texts);
    let mut scores = vec![0.0; rows.len()];
    committed.handle.text_score(&query, &columns.refs()[0], rows.len(), &mut scores).unwrap();
    let mut scored: Vec<(f64, u32)> = scores
        .iter()
        .zip(&rows)
        .map(|(s, (rid, _))| (*s, *rid))
        .filter(|(s, _)| *s > 0.0)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    assert_eq!(found, scored);
    // Top ten is a prefix, whatever ties there are.
    let (mut rids, mut top) = ([0; 10], [0.0; 10]);
    committed
        .handle
        .text_search(WORDS, &query, 10, None, SearchMode::Auto, &mut rids, &mut top)
        .unwrap();
    let top: Vec<(f64, u32)> = top.into_iter().zip(rids).collect();
    assert_eq!(top, found[..10]);
    // An own copy of the best text scores what the best scores.
    let best = rows.iter().find(|(rid, _)| *rid == found[0].1).unwrap().1.clone();
    committed.insert(T, &specs(), &[best]);
    committed.statement();
    let with_own = all(&committed, &query, SearchMode::Auto);
    assert_eq!(with_own.len(), found.len() + 1);
    assert_eq!(with_own[1].0, with_own[0].0);
}

#[test]
fn text_statistics_forget_removed_rows_at_once() {
    let (db, rids) = db(200);
    db.run(|tx| {
        for &rid in &rids[..100] {
            tx.delete(T, rid);
        }
        for &rid in &rids[100..150] {
            tx.update(T, rid, &specs(), &[0], vec![text("alpha alpha")]);
        }
    });
    let rebuilt = WORDS + 1;
    db.run(|tx| tx.create_index(bm25(rebuilt, T, 0)).unwrap());
    db.run(|tx| {
        let scores = |index| {
            let query = tx.handle.text_query(index, "alpha beta").unwrap();
            let (mut rids, mut scores) = (vec![0; 200], vec![0.0; 200]);
            let (n, _) = tx
                .handle
                .text_search(index, &query, 200, None, SearchMode::Auto, &mut rids, &mut scores)
                .unwrap();
            (0..n).map(|i| (scores[i].to_bits(), rids[i])).collect::<Vec<_>>()
        };
        assert_eq!(scores(WORDS), scores(rebuilt));
    });
}

#[test]
fn a_commit_waits_while_the_graph_is_far_behind() {
    let db = Db::memory();
    let specs = [vector(2)];
    let mut random = Random(3);
    let mut vectors = |n: usize| -> Vec<Row> {
        (0..n).map(|_| vec![Cell::Vector(vec![random.unit(), random.unit()])]).collect()
    };
    db.run(|tx| {
        tx.handle.create_relation(T, &specs, false).unwrap();
        tx.create_index(hnsw(GRAPH, T, 0, 2)).unwrap();
    });
    let (many, one) = (vectors(18_000), vectors(1));
    db.run(|tx| tx.insert(T, &specs, &many));
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    tx.insert(T, &specs, &one);
    let Pending::Wait(token) = tx.handle.commit().unwrap() else {
        panic!("18,000 vectors are not linked at once")
    };
    db.tokens.wait(token);
    tx.handle.commit_result().unwrap();
    let statistics = db.engine.index_statistics(GRAPH).unwrap();
    assert_eq!(statistics.entry_count, 18_001);
    assert!(statistics.linked_count >= 18_000 - 16_384);
}

#[test]
fn a_cancelled_index_build_leaves_nothing() {
    let db = Db::memory();
    let mut random = Random(4);
    let rows: Vec<Row> = (0..6_000).map(|_| random_row(&mut random)).collect();
    db.run(|tx| {
        tx.handle.create_relation(T, &specs(), false).unwrap();
        tx.insert(T, &specs(), &rows);
    });
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    let Pending::Wait(token) =
        tx.handle.create_index(hnsw(GRAPH, T, 1, DIM as u32), u64::MAX, String::new()).unwrap()
    else {
        panic!("6,000 vectors are not linked at once")
    };
    assert_eq!(db.engine.build_progress()[0].index_id, GRAPH);
    db.engine.cancel_session(tx.session.process_id(), None);
    db.tokens.wait(token);
    assert_eq!(tx.handle.index_result().unwrap_err().sqlstate, "57014");
    tx.handle.abort();
    assert!(db.engine.index_statistics(GRAPH).is_err());
    assert!(db.engine.build_progress().is_empty());
    db.run(|tx| tx.create_index(hnsw(GRAPH, T, 1, DIM as u32)).unwrap());
    assert_eq!(db.engine.index_statistics(GRAPH).unwrap().linked_count, 6_000);
}

/// Distances from first principles, over elements: what the kernels' words stand for.
fn by_hand(metric: Metric, a: &[f64], b: &[f64]) -> f64 {
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(&x, &y)| f(x, y)).sum::<f64>();
    match metric {
        Metric::L2 => sum(&|x, y| (x - y) * (x - y)).sqrt(),
        Metric::InnerProduct => -sum(&|x, y| x * y),
        Metric::Cosine => {
            1.0 - sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
        }
        Metric::L1 => sum(&|x, y| (x - y).abs()),
        Metric::Hamming => sum(&|x, y| (x - y).abs()),
        Metric::Jaccard => 1.0 - sum(&|x, y| x * y) / sum(&|x, y| x.max(y)),
    }
}

/// Elements of a random vector that its form holds exactly, and its row.
fn random_vector(random: &mut Random, form: Form, dim: usize) -> (Vec<f64>, Vec<f32>) {
    let levels = if form == Form::Bits { 2 } else { 64 };
    let elements: Vec<u64> = (0..dim).map(|_| random.below(levels)).collect();
    let row = match form {
        Form::F32 => elements.iter().map(|&e| e as f32).collect(),
        Form::F16 => {
            let half = |e: Option<&u64>| {
                u32::from(omen_kernels::F16::from_f32(e.map_or(0.0, |&e| e as f32)).0)
            };
            let pair = |p: &[u64]| f32::from_bits(half(p.first()) | half(p.get(1)) << 16);
            elements.chunks(2).map(pair).collect()
        }
        Form::Bits => {
            let mut words = vec![0_u32; dim.div_ceil(64) * 2];
            for (i, &e) in elements.iter().enumerate() {
                words[i / 32] |= (e as u32) << (i % 32);
            }
            words.into_iter().map(f32::from_bits).collect()
        }
        Form::Sparse => {
            let set: Vec<usize> = (0..dim).filter(|&i| elements[i] != 0).collect();
            let indices = set.iter().map(|&i| i as u32);
            let values = set.iter().map(|&i| (elements[i] as f32).to_bits());
            let mut words: Vec<u32> =
                [set.len() as u32].into_iter().chain(indices).chain(values).collect();
            words.resize(1 + 2 * dim, 0);
            words.into_iter().map(f32::from_bits).collect()
        }
    };
    (elements.into_iter().map(|e| e as f64).collect(), row)
}

#[test]
fn every_form_is_found_under_every_metric_through_changes_and_rollbacks() {
    const ALL: usize = 200;
    let numbers = [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1];
    let cases = [
        (Form::F32, 5, &numbers[..]),
        (Form::F16, 7, &numbers[..]),
        (Form::Bits, 70, &[Metric::Hamming, Metric::Jaccard][..]),
        (Form::Sparse, 9, &numbers[..]),
    ];
    for (form, dim, metric) in
        cases.into_iter().flat_map(|(form, dim, all)| all.iter().map(move |&m| (form, dim, m)))
    {
        let db = Db::memory();
        let mut random = Random(11);
        let specs = [vector(random_vector(&mut random, form, dim).1.len() as u32)];
        let mut vectors: Vec<_> = (0..ALL).map(|_| random_vector(&mut random, form, dim)).collect();
        let row = |v: &(Vec<f64>, Vec<f32>)| vec![Cell::Vector(v.1.clone())];
        let rows: Vec<Row> = vectors.iter().map(row).collect();
        let rids = db.run(|tx| {
            tx.handle.create_relation(T, &specs, false).unwrap();
            tx.insert(T, &specs, &rows)
        });
        let mut spec = hnsw(GRAPH, T, 0, dim as u32);
        spec.method = graph(form, dim as u32, metric);
        db.run(|tx| tx.create_index(spec).unwrap());
        // Some rows change, others go; half of that is taken back.
        let tx = db.begin(Isolation::ReadCommitted);
        tx.statement();
        for i in (0..ALL).step_by(9) {
            vectors[i] = random_vector(&mut random, form, dim);
            tx.update(T, rids[i], &specs, &[0], row(&vectors[i]));
        }
        let savepoint = tx.handle.savepoint().unwrap();
        tx.statement();
        for i in (0..ALL).step_by(7) {
            tx.delete(T, rids[i]);
        }
        tx.handle.rollback_to(savepoint).unwrap();
        for step in ["own writes", "committed"] {
            let query = random_vector(&mut random, form, dim);
            let wanted: Vec<f64> = {
                let mut all: Vec<_> =
                    vectors.iter().map(|v| by_hand(metric, &query.0, &v.0)).collect();
                all.sort_by(f64::total_cmp);
                all
            };
            let check = |tx: &Tx| {
                tx.statement();
                for mode in [SearchMode::Graph, SearchMode::Exact] {
                    let found = search(tx, &query.1, ALL, None, mode, 0).0;
                    assert_eq!(found.len(), ALL, "{form:?} {metric:?} {mode:?}, {step}");
                    for ((distance, rid), wanted) in found.iter().zip(&wanted) {
                        let i = rids.iter().position(|r| r == rid).unwrap();
                        let own = by_hand(metric, &query.0, &vectors[i].0);
                        for expected in [own, *wanted] {
                            let error = (distance - expected).abs();
                            assert!(
                                error < 1e-4 * expected.abs().max(1.0),
                                "{form:?} {metric:?} {mode:?}: {distance} for {expected}, {step}"
                            );
                        }
                    }
                }
            };
            if step == "own writes" {
                check(&tx);
            } else {
                tx.try_commit().unwrap();
                check(&db.begin(Isolation::ReadCommitted));
            }
        }
    }
}

/// A search that takes every node for visible looks at its answers: rows that came or went unseen are not among them.
#[test]
fn the_few_rows_out_of_sight_are_no_answers() {
    let (db, _) = db(3000);
    let query = [0.5; DIM];
    let old = db.begin(Isolation::RepeatableRead);
    old.statement();
    let tx = db.begin(Isolation::ReadCommitted);
    tx.statement();
    let first = nearest(&tx, &query, 1, |_| true)[0].1;
    tx.delete(T, first);
    tx.insert(T, &specs(), &[vec![text("new"), Cell::Vector(query.to_vec())]]);
    tx.commit();
    let new = db.begin(Isolation::ReadCommitted);
    new.statement();
    for tx in [&old, &new] {
        let expected = nearest(tx, &query, 10, |_| true);
        assert_eq!(search(tx, &query, 10, None, SearchMode::Graph, 0).0, expected);
    }
    assert_ne!(nearest(&old, &query, 1, |_| true), nearest(&new, &query, 1, |_| true));
}

/// The bitmap of a long range, read by a transaction with and without rows of its own in the table.
#[test]
fn a_bitmap_of_many_rows_is_what_a_scan_finds() {
    const NUMBERS: u32 = 21_000;
    const KEY: u32 = 21_001;
    let specs = [INT];
    let db = Db::memory();
    let rids = db.run(|tx| {
        tx.handle.create_relation(NUMBERS, &specs, false).unwrap();
        let rows: Vec<Row> = (0..20_000).map(|i| vec![Cell::Int(i * 7 % 20_000)]).collect();
        tx.insert(NUMBERS, &specs, &rows)
    });
    db.run(|tx| tx.create_index(btree(KEY, NUMBERS, 0, KeyKind::Int, false)).unwrap());
    let old = db.begin(Isolation::RepeatableRead);
    old.statement();
    db.run(|tx| {
        for &rid in rids.iter().step_by(100) {
            tx.update(NUMBERS, rid, &specs, &[0], vec![Cell::Int(-1)]);
        }
        for &rid in rids.iter().skip(50).step_by(100) {
            tx.delete(NUMBERS, rid);
        }
    });
    let new = db.begin(Isolation::ReadCommitted);
    new.statement();
    let writing = db.begin(Isolation::ReadCommitted);
    writing.statement();
    writing.update(NUMBERS, rids[1], &specs, &[0], vec![Cell::Int(100)]);
    writing.insert(NUMBERS, &specs, &[vec![Cell::Int(101)], vec![Cell::Int(30_000)]]);
    writing.statement();
    for tx in [&old, &new, &writing] {
        let (low, high) = (
            Columns::new(&specs, &[vec![Cell::Int(0)]]),
            Columns::new(&specs, &[vec![Cell::Int(15_000)]]),
        );
        let (low, high) = (low.refs(), high.refs());
        let range = KeyRange {
            low: Some(&low),
            low_inclusive: true,
            high: Some(&high),
            high_inclusive: true,
            nulls: NullEntries::All,
        };
        let mut bitmap = vec![0; 2600];
        let count = tx.handle.index_bitmap(KEY, &range, &mut bitmap).unwrap();
        let is_within = |row: &Row| matches!(row[0], Cell::Int(n) if (0..=15_000).contains(&n));
        let expected: Vec<u32> = tx
            .scan(NUMBERS, &specs)
            .into_iter()
            .filter(|(_, row)| is_within(row))
            .map(|(rid, _)| rid)
            .collect();
        assert_eq!(count, expected.len());
        assert!(expected.iter().all(|&rid| bitmap[rid as usize / 8] & (1 << (rid % 8)) != 0));
    }
}
