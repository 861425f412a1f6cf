//! The graph on disk: same answers after reading, a consistent copy while insertions go on, damage answered by an error.

mod common;

use common::{Random, Rows, build, insert_all, params, recall, search};
use omen_hnsw::{AllNodes, CheckpointError, HnswGraph, Metric};

fn bytes_of(graph: &HnswGraph, high_water: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    graph.write_checkpoint(high_water, &mut bytes).expect("memory takes all");
    bytes
}

fn read(bytes: &[u8]) -> Result<HnswGraph, CheckpointError> {
    HnswGraph::read_checkpoint(&mut &bytes[..])
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
        let mut rows = rows_with_copies(3_000, 51);
        rows.floats[12 * 100..12 * 101].fill(0.0);
        let graph = build(&rows, params(metric));
        let bytes = bytes_of(&graph, 3_000);
        let mut input = [&bytes[..], b"what follows"].concat();
        let mut unread = &input[..];
        let again = HnswGraph::read_checkpoint(&mut unread).expect("as written");
        assert_eq!(unread, b"what follows");
        assert_eq!((again.len(), again.params()), (3_000, graph.params()));
        assert!(bytes_of(&again, 3_000) == bytes);
        for node in (0..3_000).step_by(101) {
            let query = &rows.floats[node * 12..][..12];
            let filter = |node: u32| node % 3 != 1;
            assert_eq!(
                search(&graph, &rows, query, (10, 50), &filter),
                search(&again, &rows, query, (10, 50), &filter)
            );
        }
        input.clear();
    }
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
fn a_checkpoint_below_the_end_goes_on_where_it_stopped() {
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
fn a_checkpoint_beside_insertions_is_a_whole_graph() {
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
    let rows = rows_with_copies(300, 55);
    let bytes = bytes_of(&build(&rows, params(Metric::Cosine)), 300);
    for length in (0..bytes.len()).step_by(7) {
        assert!(read(&bytes[..length]).is_err(), "cut at {length}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(read(&damaged).is_err(), "flipped at {at}");
    }
    assert!(matches!(
        read(b"something else entirely, long enough to hold a whole header"),
        Err(CheckpointError::BadMagic)
    ));
}

/// Damage whose checksums are right: nothing read may be followed unchecked.
#[test]
fn forged_checksums_give_errors_or_graphs_that_can_be_searched() {
    const HEADER: usize = 44;
    let rows = rows_with_copies(200, 56);
    let bytes = bytes_of(&build(&rows, params(Metric::Cosine)), 200);
    let mut random = Random(57);
    let (mut refused, mut taken) = (0, 0);
    for round in 0..4_000 {
        let mut damaged = bytes.clone();
        // The block's bytes mostly, now and then the header's count, entry and parameters.
        let range = if round % 8 == 0 { 12..HEADER - 4 } else { HEADER + 8..bytes.len() };
        for _ in 0..=random.below(3) {
            let at = range.start + random.below(range.len() as u64) as usize;
            damaged[at] = random.next() as u8;
        }
        let header_crc = crc32c::crc32c(&damaged[..HEADER - 4]).to_le_bytes();
        damaged[HEADER - 4..HEADER].copy_from_slice(&header_crc);
        let block_crc = crc32c::crc32c(&damaged[HEADER + 8..]).to_le_bytes();
        damaged[HEADER + 4..HEADER + 8].copy_from_slice(&block_crc);
        match read(&damaged) {
            Err(_) => refused += 1,
            Ok(graph) => {
                taken += 1;
                assert!(graph.len() <= 200);
                search(&graph, &rows, &rows.floats[..12], (200, 200), &AllNodes);
                search(&graph, &rows, &rows.floats[12..24], (5, 9), &|node: u32| {
                    node.is_multiple_of(9)
                });
            }
        }
    }
    assert!(refused > 1_000 && taken > 100, "refused {refused}, taken {taken}");
}

#[test]
fn a_huge_node_count_allocates_nothing_until_nodes_come() {
    let rows = Rows::clustered(10, 12, 58);
    let mut bytes = bytes_of(&build(&rows, params(Metric::L2)), 10);
    bytes[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..40]).to_le_bytes();
    bytes[40..44].copy_from_slice(&crc);
    assert!(matches!(read(&bytes), Err(CheckpointError::Corrupt("it ends early"))));
}
