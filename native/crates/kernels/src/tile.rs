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

/// The sums between `Q` queries and `R` rows, which an instruction set keeps in registers.
pub(crate) trait Block<const Q: usize, const R: usize> {
    /// Must be `#[inline(always)]`: it is compiled as part of a function that enables the instructions it uses.
    ///
    /// # Safety
    /// The CPU has the instructions of the implementation, and all vectors are equally long.
    unsafe fn sums(queries: [&[f32]; Q], rows: [&[f32]; R]) -> [[f32; R]; Q];
}

/// Fills the matrix block by block. A block over the edge repeats the last vector and drops the results.
///
/// # Safety
/// That of [`Block::sums`]; `out` holds a number for each pair.
#[inline(always)]
pub(crate) unsafe fn each_block<B: Block<Q, R>, const Q: usize, const R: usize>(
    queries: &[&[f32]],
    rows: &[&[f32]],
    out: &mut [f32],
) {
    let Some(first) = rows.first() else { return };
    let panel = (PANEL_BYTES / size_of_val(*first).max(1)).max(R).next_multiple_of(R);
    for (panel_number, panel_rows) in rows.chunks(panel).enumerate() {
        for (query_block, queries) in queries.chunks(Q).enumerate() {
            let block_queries: [&[f32]; Q] =
                std::array::from_fn(|i| queries[i.min(queries.len() - 1)]);
            for (row_block, rows_here) in panel_rows.chunks(R).enumerate() {
                let block_rows: [&[f32]; R] =
                    std::array::from_fn(|i| rows_here[i.min(rows_here.len() - 1)]);
                // SAFETY: the contract is the caller's.
                let sums = unsafe { B::sums(block_queries, block_rows) };
                let column = panel_number * panel + row_block * R;
                for (i, sums) in sums.iter().take(queries.len()).enumerate() {
                    let start = (query_block * Q + i) * rows.len() + column;
                    out[start..start + rows_here.len()].copy_from_slice(&sums[..rows_here.len()]);
                }
            }
        }
    }
}
