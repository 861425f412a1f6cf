//! Product quantisation (Jegou, Douze and Schmid, PAMI 2011): eight dimensions become one byte, the number of the nearest of
//! 256 centroids of those eight.
//!
//! A query computes its distance to every centroid once, a table of 256 numbers for each byte; a distance is then one look
//! into the table per byte. Every metric that is a sum over dimensions works so, L1 too. Tables cost `256 d` operations a
//! query, so this is for wide vectors and large beams.

use omen_kernels::Metric;

use super::finite;
use crate::graph::split_mix;
use crate::pool::Pool;
use crate::space::{BLOCK, or_infinite};

/// Dimensions of a byte; the last byte may have fewer.
const WIDTH: usize = 8;
pub(crate) const CENTROIDS: usize = 256;
/// Rows that centroids are trained on, and rounds of Lloyd's algorithm: more of either changed recall by less than .005.
const TRAINING_ROWS: usize = 4096;
const ROUNDS: usize = 8;

pub(super) fn row_bytes(dim: usize) -> usize {
    dim.div_ceil(WIDTH).next_multiple_of(4)
}

pub(crate) struct Pq {
    /// For each dimension that coordinate of its byte's 256 centroids: distances to all of them go side by side.
    pub centroids: Vec<[f32; CENTROIDS]>,
}

#[derive(Default)]
pub(crate) struct PqQuery {
    /// For each byte what each of its centroids adds to the distance.
    table: Vec<[f32; CENTROIDS]>,
    offset: f32,
}

impl Pq {
    /// From rows of `dim` numbers, at least one; the seed draws the first centroids.
    pub fn train(dim: usize, seed: u64, rows: &[f32]) -> Self {
        let count = rows.len() / dim;
        let step = count.div_ceil(TRAINING_ROWS).max(1);
        let sample: Vec<&[f32]> = rows.chunks(dim).step_by(step).collect();
        let mut order: Vec<usize> = (0..sample.len()).collect();
        order.sort_by_key(|&at| split_mix(seed ^ at as u64));
        let mut centroids = vec![[0.0; CENTROIDS]; dim];
        for (part, centroids) in centroids.chunks_mut(WIDTH).enumerate() {
            let part_of = |row: &[f32]| {
                let mut part_of_row = [0.0; WIDTH];
                let from = part * WIDTH;
                part_of_row.iter_mut().zip(&row[from..]).for_each(|(to, &x)| *to = finite(x));
                part_of_row
            };
            let points: Vec<[f32; WIDTH]> = order.iter().map(|&at| part_of(sample[at])).collect();
            cluster(&points, centroids);
        }
        Self { centroids }
    }

    /// Of centroids that were trained before, `dim` times 256 numbers.
    pub fn new(centroids: Vec<[f32; CENTROIDS]>) -> Self {
        Self { centroids }
    }

    pub fn encode(&self, floats: &[f32], row: &mut [u8]) {
        let parts = floats.chunks(WIDTH).zip(self.centroids.chunks(WIDTH));
        for (code, (part, centroids)) in row.iter_mut().zip(parts) {
            *code = nearest(part, centroids) as u8;
        }
    }

    pub fn query(&self, metric: Metric, floats: &[f32], out: &mut PqQuery) {
        out.offset = if metric == Metric::Cosine { 1.0 } else { 0.0 };
        out.table.clear();
        let parts = floats.chunks(WIDTH).zip(self.centroids.chunks(WIDTH));
        out.table.extend(parts.map(|(part, centroids)| match metric {
            Metric::L2 => sums(part, centroids, |x, c| (x - c) * (x - c)),
            Metric::L1 => sums(part, centroids, |x, c| (x - c).abs()),
            _ => sums(part, centroids, |x, c| 0.0 - x * c),
        }));
    }
}

/// For each centroid the sum of `term` over the dimensions.
#[inline(always)]
fn sums(
    part: &[f32],
    centroids: &[[f32; CENTROIDS]],
    term: impl Fn(f32, f32) -> f32,
) -> [f32; CENTROIDS] {
    let mut out = [0.0; CENTROIDS];
    for (&x, coordinates) in part.iter().zip(centroids) {
        for (sum, &c) in out.iter_mut().zip(coordinates) {
            *sum += term(x, c);
        }
    }
    out
}

fn nearest(part: &[f32], centroids: &[[f32; CENTROIDS]]) -> usize {
    let distances = sums(part, centroids, |x, c| (x - c) * (x - c));
    let least = distances.iter().fold(f32::INFINITY, |least, &d| least.min(d));
    // None where a number was NaN: such a vector is nowhere anyway.
    distances.iter().position(|&d| d == least).unwrap_or(0)
}

/// Lloyd's algorithm from the first points, which come in random order. A centroid that no point is nearest to stays where
/// it is.
fn cluster(points: &[[f32; WIDTH]], centroids: &mut [[f32; CENTROIDS]]) {
    for (number, point) in (0..CENTROIDS).zip(points.iter().cycle()) {
        centroids.iter_mut().zip(point).for_each(|(to, &x)| to[number] = x);
    }
    for _ in 0..ROUNDS {
        let mut counts = [0u32; CENTROIDS];
        let mut totals = [[0.0f64; WIDTH]; CENTROIDS];
        for point in points {
            let number = nearest(&point[..centroids.len()], centroids);
            counts[number] += 1;
            totals[number].iter_mut().zip(point).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        for (number, (&count, total)) in counts.iter().zip(&totals).enumerate() {
            if count > 0 {
                let place = |sum: f64| (sum / f64::from(count)) as f32;
                centroids.iter_mut().zip(total).for_each(|(to, &sum)| to[number] = place(sum));
            }
        }
    }
}

pub(crate) struct PqSpace<'a> {
    pub query: &'a PqQuery,
    pub pool: &'a Pool,
}

impl PqSpace<'_> {
    #[inline]
    pub fn distances(&self, nodes: &[u32], out: &mut [f32; BLOCK]) {
        const LANES: usize = 4;
        let PqQuery { table, offset } = self.query;
        let (whole, rest) = table.as_chunks::<LANES>();
        for (slot, &node) in out.iter_mut().zip(nodes) {
            let (codes, last) = self.pool.bytes(node)[..table.len()].as_chunks::<LANES>();
            // Sums of their own, so that one addition need not wait for another.
            let mut sums = [0.0; LANES];
            for (parts, codes) in whole.iter().zip(codes) {
                for lane in 0..LANES {
                    sums[lane] += parts[lane][codes[lane] as usize];
                }
            }
            for (part, &code) in rest.iter().zip(last) {
                sums[0] += part[code as usize];
            }
            *slot = or_infinite(offset + (sums[0] + sums[1]) + (sums[2] + sums[3]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of nineteen numbers: the last byte has three.
    fn rows(count: usize) -> Vec<f32> {
        (0..count * 19).map(|at| (split_mix(at as u64) >> 40) as f32 / 1e6).collect()
    }

    #[test]
    fn a_distance_is_that_to_the_centroids_of_the_code() {
        let rows = rows(600);
        let codec = Pq::train(19, 7, &rows);
        let pool = Pool::new(row_bytes(19));
        let query = &rows[..19];
        for metric in [Metric::L2, Metric::L1, Metric::InnerProduct, Metric::Cosine] {
            let mut tables = PqQuery::default();
            codec.query(metric, query, &mut tables);
            for (node, row) in rows.chunks(19).enumerate().skip(1).step_by(97) {
                // SAFETY: nobody else knows the pool.
                let code = unsafe { pool.write(node as u32) };
                codec.encode(row, code);
                let at = |dim: usize| codec.centroids[dim][code[dim / WIDTH] as usize];
                let terms = query.iter().enumerate().map(|(dim, &x)| match metric {
                    Metric::L2 => (x - at(dim)) * (x - at(dim)),
                    Metric::L1 => (x - at(dim)).abs(),
                    _ => -x * at(dim),
                });
                let start = if metric == Metric::Cosine { 1.0 } else { 0.0 };
                let expected = start + terms.sum::<f32>();
                let mut out = [0.0; BLOCK];
                PqSpace { query: &tables, pool: &pool }.distances(&[node as u32], &mut out);
                assert!((out[0] - expected).abs() < 1e-3 * expected.abs(), "{metric:?} {node}");
            }
        }
    }

    #[test]
    fn with_no_more_rows_than_centroids_nothing_is_lost() {
        let rows = rows(200);
        let codec = Pq::train(19, 7, &rows);
        let mut code = [0; 4];
        for row in rows.chunks(19) {
            codec.encode(row, &mut code);
            for (dim, &x) in row.iter().enumerate() {
                assert!((codec.centroids[dim][code[dim / WIDTH] as usize] - x).abs() < 1e-4);
            }
        }
    }
}
