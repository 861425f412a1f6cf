// The exact answers that recall is measured against. A result as near as the true k-th counts as right, so that equal rows
// may stand for each other.
import { rowOf, type SetMetric, type VectorSet } from "./sets.ts";

export const K = 10;

/** Relative error of float sums in another order. */
const TOLERANCE = 1e-5;

/** Smaller is nearer: the order of SQL's operators for one query, not their values. */
function distance(metric: SetMetric, a: Float32Array, b: Float32Array): number {
  let sum = 0;
  if (metric === "l2") {
    for (let i = 0; i < a.length; i++) {
      const difference = (a[i] as number) - (b[i] as number);
      sum += difference * difference;
    }
    return sum;
  }
  let square = 0;
  for (let i = 0; i < a.length; i++) {
    sum += (a[i] as number) * (b[i] as number);
    square += (b[i] as number) ** 2;
  }
  return metric === "ip" ? -sum : -sum / Math.sqrt(square);
}

/** What a query's answers are held against. */
export interface Truth {
  /** Distance of the k-th nearest allowed row. */
  readonly worst: number;
  /** How many rows there are to find: at most k. */
  readonly wanted: number;
}

/** The truth of one query among the rows that are `allowed`. */
export function truthOf(set: VectorSet, query: number, allowed?: (row: number) => boolean): Truth {
  const vector = rowOf(set.queries, set.dimensions, query);
  const best: number[] = [];
  for (let row = 0; row < set.count; row++) {
    if (allowed !== undefined && !allowed(row)) continue;
    const d = distance(set.metric, vector, rowOf(set.base, set.dimensions, row));
    if (best.length === K && d >= (best[K - 1] as number)) continue;
    let at = best.length;
    while (at > 0 && (best[at - 1] as number) > d) at -= 1;
    best.splice(at, 0, d);
    if (best.length > K) best.pop();
  }
  return { worst: best.at(-1) ?? Number.POSITIVE_INFINITY, wanted: best.length };
}

/** The share of a query's truth among the rows it gave. */
export function recallOf(
  set: VectorSet,
  query: number,
  truth: Truth,
  rows: readonly number[],
  allowed?: (row: number) => boolean,
): number {
  if (truth.wanted === 0) return 1;
  const vector = rowOf(set.queries, set.dimensions, query);
  const limit = truth.worst + Math.abs(truth.worst) * TOLERANCE;
  const hits = rows.filter(
    (row) =>
      (allowed === undefined || allowed(row)) &&
      distance(set.metric, vector, rowOf(set.base, set.dimensions, row)) <= limit,
  );
  return Math.min(hits.length, truth.wanted) / truth.wanted;
}
