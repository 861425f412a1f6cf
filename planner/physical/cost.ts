// Cost constants, in PostgreSQL's unit (1 = one sequential page read) and with its names and defaults, so that EXPLAIN's
// figures look familiar. Search costs are ours: they compare ways of one search with each other.
import type { Estimate } from "./plan.ts";

export const Cost = {
  seqPage: 1,
  randomPage: 4,
  cpuTuple: 0.01,
  cpuIndexTuple: 0.005,
  cpuOperator: 0.0025,
  /** Allocating a bitmap over the whole relation and reading it back: single rows go by plain index scans. */
  bitmapSetup: 10,
  /** Added to a path that an enable_* setting is off for, as PostgreSQL does: it stays possible when nothing else is. */
  disabled: 1e10,
  pageBytes: 8192,
  /** One distance of 768 dimensions against one cpuOperator; scaled by dimensions. */
  distancePer100Dimensions: 0.004,
  /** Distances a graph search computes per unit of ef, neighbours of neighbours included. */
  graphVisitsPerEf: 18,
  /** Reading and scoring one posting. */
  posting: 0.001,
  /** Skipping by block maxima leaves about this part of the postings to score for a small k. */
  prunedFraction: 0.15,
} as const;

/** Default row counts where nothing is known. */
export const DEFAULT_ROWS = { table: 1000, virtual: 500, function: 1000, values: 1 } as const;

export function estimate(startupCost: number, totalCost: number, rows: number, width: number): Estimate {
  return { startupCost, totalCost, rows: clampRows(rows), width };
}

/** At least one row, whole numbers: as PostgreSQL rounds. */
export function clampRows(rows: number): number {
  return Number.isFinite(rows) ? Math.max(1, Math.round(rows)) : 1e100;
}

/** CPU cost of sorting, the comparison count of PostgreSQL's cost_sort. */
export function sortCost(rows: number, limit: number | undefined): number {
  const n = Math.max(rows, 2);
  const comparisons =
    limit !== undefined && limit < n / 2 ? n * Math.log2(2 * Math.max(limit, 1)) : n * Math.log2(n);
  return 2 * Cost.cpuOperator * comparisons;
}
