//! Every query against every row: distance matrices for building an index, where the same vectors are compared over and
//! over and a pair at a time would load each of them once per comparison.

/// Queries, rows and the matrix.
type Matrix = unsafe fn(&[&[f32]], &[&[f32]], &mut [f32]);

/// Matrix kernels of one instruction set. A value is the same sum as the pair kernel's, in another order: equal within
/// rounding, not to the bit.
pub struct Tile {
    pub(crate) l2_squared: Matrix,
    pub(crate) dot: Matrix,
}

impl Tile {
    /// `out[q * rows.len() + r] = sum((queries[q] - rows[r])^2)`. Panics when dimensions differ or `out` is not as long as
    /// the matrix.
    pub fn l2_squared(&self, queries: &[&[f32]], rows: &[&[f32]], out: &mut [f32]) {
        check(queries, rows, out);
        // SAFETY: lengths agree; the CPU has the table's instructions (invariant of `table`).
        unsafe { (self.l2_squared)(queries, rows, out) }
    }

    /// `out[q * rows.len() + r] = sum(queries[q] * rows[r])`. Panics as `l2_squared` does.
    pub fn dot(&self, queries: &[&[f32]], rows: &[&[f32]], out: &mut [f32]) {
        check(queries, rows, out);
        // SAFETY: as above.
        unsafe { (self.dot)(queries, rows, out) }
    }
}

fn check(queries: &[&[f32]], rows: &[&[f32]], out: &[f32]) {
    assert_eq!(queries.len() * rows.len(), out.len(), "one result per pair");
    let mut vectors = queries.iter().chain(rows);
    let dim = vectors.next().map_or(0, |vector| vector.len());
    assert!(vectors.all(|vector| vector.len() == dim), "vectors of one dimension");
}

/// Rows that are compared with all queries before the next ones: they should stay in the first-level cache.
const PANEL_BYTES: usize = 16 << 10;

/// Fills the matrix in blocks of `Q` queries and `R` rows, whose sums a block function keeps in registers. A block over
/// the edge repeats the last vector and drops the results.
#[inline(always)]
pub(crate) fn each_block<const Q: usize, const R: usize>(
    queries: &[&[f32]],
    rows: &[&[f32]],
    out: &mut [f32],
    block: impl Fn([&[f32]; Q], [&[f32]; R]) -> [[f32; R]; Q],
) {
    let Some(first) = rows.first() else { return };
    let panel = (PANEL_BYTES / size_of_val(*first).max(1)).max(R).next_multiple_of(R);
    for (panel_number, panel_rows) in rows.chunks(panel).enumerate() {
        for (block_number, block_queries) in queries.chunks(Q).enumerate() {
            let queries = std::array::from_fn(|i| block_queries[i.min(block_queries.len() - 1)]);
            for (row_block, block_rows) in panel_rows.chunks(R).enumerate() {
                let block_of_rows =
                    std::array::from_fn(|i| block_rows[i.min(block_rows.len() - 1)]);
                let sums = block(queries, block_of_rows);
                let column = panel_number * panel + row_block * R;
                for (i, sums) in sums.iter().take(block_queries.len()).enumerate() {
                    let start = (block_number * Q + i) * rows.len() + column;
                    out[start..start + block_rows.len()].copy_from_slice(&sums[..block_rows.len()]);
                }
            }
        }
    }
}
