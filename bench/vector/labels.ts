// What the filter benchmark's predicates look at: a random rank, and the cell of the space a row lies in.
import { randomSource } from "../dataset.ts";
import { rowOf, type VectorSet } from "./sets.ts";

const SEED = 7;
const CELLS = 20;

/** A random permutation: `rank < n` keeps n rows, spread over the whole space. */
export function ranksOf(count: number): Int32Array {
  const random = randomSource(SEED);
  const ranks = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [ranks[i], ranks[j]] = [ranks[j] as number, ranks[i] as number];
  }
  return ranks;
}

/** Cells of the space, each the rows nearest to one of a few rows, and how queries lie to them. */
export interface Cells {
  /** By row. */
  readonly labels: Int32Array;
  /** By query: the cell it lies in, and the one furthest from it. */
  readonly own: Int32Array;
  readonly furthest: Int32Array;
}

export function cellsOf(set: VectorSet): Cells {
  const { dimensions } = set;
  const random = randomSource(SEED);
  const centres = Array.from({ length: CELLS }, () =>
    rowOf(set.base, dimensions, Math.floor(random() * set.count)),
  );
  const far = (block: Float32Array, row: number): number[] =>
    centres.map((centre) => squaredDistance(rowOf(block, dimensions, row), centre));
  const labels = Int32Array.from({ length: set.count }, (_, row) => leastAt(far(set.base, row)));
  const own = new Int32Array(set.queryCount);
  const furthest = new Int32Array(set.queryCount);
  for (let query = 0; query < set.queryCount; query++) {
    const distances = far(set.queries, query);
    own[query] = leastAt(distances);
    furthest[query] = leastAt(distances.map((distance) => -distance));
  }
  return { labels, own, furthest };
}

function squaredDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum;
}

function leastAt(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value < (values[best] as number) ? i : best), 0);
}
