//! The graph on disk: same answers after reading, a consistent copy while insertions go on, damage answered by an error.

mod common;

use common::{Rows, build, insert_all, params, recall, search};
use omen_hnsw::{AllNodes, Block, HnswGraph, HnswParams, ImageError, Metric, Quantisation};

fn bytes_of(graph: &HnswGraph, high_water: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    graph.write_image(high_water, &mut bytes).expect("memory takes all");
    bytes
}

fn read(bytes: &[u8]) -> Result<HnswGraph, ImageError> {
    HnswGraph::read_image(&mut &bytes[..])
}

/// Rows of which one in three repeats the one 30 before it.
fn rows_with_copies(count: usize, seed: u64) -> Rows {
    let mut rows = Rows::clustered(count, 12, seed);
    for node in (30..count).step_by(3) {
        rows.floats.copy_within((node - 30) * 12..(node - 29) * 12, node * 12);
    }
    rows
}

#[test]
fn a_graph_read_back_answers_the_same() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        for quantisation in [
            Quantisation::None,
            Quantisation::F16,
            Quantisation::Sq8,
            Quantisation::Rabitq,
            Quantisation::Bq,
            Quantisation::Pq,
        ] {
            let mut rows = rows_with_copies(3_000, 51);
            rows.floats[12 * 100..12 * 101].fill(0.0);
            let graph = build(&rows, HnswParams { quantisation, ..params(metric) });
            assert_eq!(graph.code_bytes() > 0, quantisation != Quantisation::None);
            let bytes = bytes_of(&graph, 3_000);
            let input = [&bytes[..], b"what follows"].concat();
            let mut unread = &input[..];
            let again = HnswGraph::read_image(&mut unread).expect("as written");
            assert_eq!(unread, b"what follows");
            assert_eq!((again.len(), again.params()), (3_000, graph.params()));
            assert_eq!(again.memory_bytes(), graph.memory_bytes());
            assert!(bytes_of(&again, 3_000) == bytes);
            for node in (0..3_000).step_by(101) {
                let query = &rows.floats[node * 12..][..12];
                let filter = |node: u32| node % 3 != 1;
                assert_eq!(
                    search(&graph, &rows, query, (10, 50), &filter),
                    search(&again, &rows, query, (10, 50), &filter)
                );
            }
        }
    }
}

#[test]
fn a_quantised_graph_too_small_to_train_goes_on_collecting() {
    let (rows, queries) = Rows::clustered(3_050, 12, 59).split(3_000);
    let quantised = HnswParams { quantisation: Quantisation::Sq8, ..params(Metric::L2) };
    let graph = HnswGraph::new(quantised);
    insert_all(&graph, &rows, 0..900);
    assert_eq!(graph.code_bytes(), 0);
    let again = read(&bytes_of(&graph, 900)).expect("as written");
    insert_all(&again, &rows, 900..3_000);
    assert!(again.code_bytes() > 0);
    let actual = recall(&again, &rows, &queries, (10, 60), &AllNodes);
    assert!(actual >= 0.97, "recall {actual}");
}

#[test]
fn empty_and_single_node_graphs_survive() {
    let rows = Rows::clustered(1, 12, 52);
    for count in [0, 1] {
        let graph = HnswGraph::new(params(Metric::L2));
        insert_all(&graph, &rows, 0..count);
        let again = read(&bytes_of(&graph, count)).expect("as written");
        let (hits, _) = search(&again, &rows, &rows.floats, (5, 5), &AllNodes);
        assert_eq!((again.len(), hits.len()), (count, count as usize));
    }
}

#[test]
fn an_image_below_the_end_goes_on_where_it_stopped() {
    let (rows, queries) = Rows::clustered(3_050, 12, 53).split(3_000);
    let graph = build(&rows, params(Metric::L2));
    for high_water in [1, 17, 1_000, 2_900] {
        let again = read(&bytes_of(&graph, high_water)).expect("as written");
        assert_eq!(again.len(), high_water);
        insert_all(&again, &rows, high_water..3_000);
        let actual = recall(&again, &rows, &queries, (10, 60), &AllNodes);
        assert!(actual >= 0.97, "from {high_water}: recall {actual}");
    }
}

#[test]
fn an_image_beside_insertions_is_a_whole_graph() {
    let rows = rows_with_copies(4_000, 54);
    let graph = HnswGraph::new(params(Metric::L2));
    insert_all(&graph, &rows, 0..2_000);
    let bytes = std::thread::scope(|scope| {
        scope.spawn(|| insert_all(&graph, &rows, 2_000..4_000));
        let mut last = bytes_of(&graph, graph.len());
        while graph.len() < 4_000 {
            last = bytes_of(&graph, graph.len().min(3_500));
        }
        last
    });
    let again = read(&bytes).expect("as written");
    let count = again.len();
    assert!((2_000..=3_500).contains(&count));
    let (below, queries) = rows_with_copies(4_000, 54).split(count as usize);
    let actual = recall(&again, &below, &queries, (10, 80), &AllNodes);
    assert!(actual >= 0.97, "{count} nodes: recall {actual}");
    insert_all(&again, &rows, count..4_000);
    let actual = recall(&again, &rows, &queries, (10, 80), &AllNodes);
    assert!(actual >= 0.97, "caught up: recall {actual}");
}

#[test]
fn every_truncation_and_every_flipped_byte_is_an_error() {
    let rows = rows_with_copies(40, 55);
    // Few links: a graph is made of most of these files before it is refused.
    let bytes = bytes_of(&build(&rows, HnswParams { m: 4, ..params(Metric::Cosine) }), 40);
    for length in (0..bytes.len()).step_by(7) {
        assert!(read(&bytes[..length]).is_err(), "cut at {length}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(read(&damaged).is_err(), "flipped at {at}");
    }
    assert!(matches!(
        read(b"something else entirely, and long enough to hold a whole header of ours"),
        Err(ImageError::BadMagic)
    ));
}

/// The graph in memory of its own, looked at as it is used.
fn open(bytes: &[u8]) -> Result<HnswGraph, ImageError> {
    let mut block = Block::zeroed(bytes.len());
    block.bytes_mut().copy_from_slice(bytes);
    HnswGraph::open(std::sync::Arc::new(block))
}

/// Whatever byte is changed, it is an error at opening, or found before anything is made of it: the answers are the right
/// ones, or the graph says that they are not to be trusted.
#[test]
fn a_flipped_byte_is_found_when_it_is_touched_at_the_latest() {
    let rows = rows_with_copies(1_500, 60);
    for quantisation in [Quantisation::None, Quantisation::Sq8] {
        let graph = build(&rows, HnswParams { quantisation, ..params(Metric::L2) });
        let bytes = bytes_of(&graph, 1_500);
        let whole = open(&bytes).expect("as written");
        assert!(whole.linked_nodes() == graph.linked_nodes());
        let queries: Vec<&[f32]> = rows.iter().step_by(97).collect();
        let answers = |graph: &HnswGraph| -> Vec<_> {
            queries.iter().map(|query| search(graph, &rows, query, (10, 40), &AllNodes)).collect()
        };
        let right = answers(&whole);
        assert!(right == answers(&graph) && whole.is_sound() && whole.verify().is_ok());
        let (mut refused, mut told, mut untouched) = (0, 0, 0);
        for at in (0..bytes.len()).step_by(1201) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let Ok(graph) = open(&damaged) else {
                refused += 1;
                continue;
            };
            let found = answers(&graph);
            if graph.is_sound() {
                untouched += 1;
                assert!(found == right, "flipped at {at}");
            } else {
                told += 1;
            }
            // Links are made all the same, and nothing leads outside.
            insert_all(&graph, &Rows::clustered(1_504, 12, 60), 1_500..1_504);
            assert!(graph.verify().is_err() && !graph.is_sound(), "flipped at {at}");
        }
        assert!(refused > 10 && told > 10, "{refused} refused, {told} told, {untouched} untouched");
    }
}

#[test]
fn a_huge_node_count_allocates_nothing_until_nodes_come() {
    let rows = Rows::clustered(10, 12, 58);
    let mut bytes = bytes_of(&build(&rows, params(Metric::L2)), 10);
    bytes[32..36].copy_from_slice(&(1u32 << 30).to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..60]).to_le_bytes();
    bytes[60..64].copy_from_slice(&sum);
    assert!(matches!(read(&bytes), Err(ImageError::Corrupt("it ends early"))));
    let mut block = Block::zeroed(bytes.len());
    block.bytes_mut().copy_from_slice(&bytes);
    let memory: std::sync::Arc<dyn omen_hnsw::Memory> = std::sync::Arc::new(block);
    assert!(matches!(HnswGraph::open(memory), Err(ImageError::Corrupt("length"))));
}
