// Which way a search runs, decided by the executor at open() when the actual values and counts are known. Pure, and far below
// the 50 microseconds that a plan may spend on it: a handful of multiplications.
//
// Vector: `exact` computes the distance of every matching row; `graph` walks the index and needs the more visits the fewer
// rows pass the filter. Text: `pruned` skips blocks that cannot reach the top k; `exhaustive` scores every posting and
// wins when few documents pass or k is large.
import { Cost } from "./cost.ts";

export interface VectorCounts {
  readonly kind: "vector";
  /** Live vectors in the index. */
  readonly rowCount: number;
  /** Rows the filter allows; undefined = no filter. */
  readonly matchCount: number | undefined;
  readonly k: number;
  /** Width of the beam, see beam.ts. */
  readonly ef: number;
  readonly dimensions: number;
  /** No index, or exactness asked for. */
  readonly mustBeExact: boolean;
}

export interface TextCounts {
  readonly kind: "text";
  readonly documentCount: number;
  /** Sum of the query terms' document frequencies: the postings an exhaustive run reads. */
  readonly postingCount: number;
  readonly matchCount: number | undefined;
  readonly k: number;
  readonly mustBeExact: boolean;
}

export type SearchPath = "graph" | "graph-filtered" | "exact" | "text-pruned" | "text-exhaustive";

export interface ChosenPath {
  readonly path: SearchPath;
  readonly cost: number;
  /** The same search by the path that lost; Infinity where there is none. Also the graph's budget before it gives up. */
  readonly otherCost: number;
}

/** Below this many candidates the walk's fixed cost is never worth it, and exact answers are free. */
const ALWAYS_EXACT_BELOW = 512;

/** The cheaper path for these counts. Ties go to the exact one. */
export function choosePath(counts: VectorCounts | TextCounts): ChosenPath {
  return counts.kind === "vector" ? chooseVector(counts) : chooseText(counts);
}

function chooseVector(counts: VectorCounts): ChosenPath {
  const candidates = counts.matchCount ?? counts.rowCount;
  const distance = distanceCost(counts.dimensions);
  const exact = exactVectorCost(candidates, distance);
  if (counts.mustBeExact) return { path: "exact", cost: exact, otherCost: Number.POSITIVE_INFINITY };
  const graph = graphCost(counts.rowCount, counts.matchCount, Math.max(counts.ef, counts.k), distance);
  // Every row that matches is wanted, or nearly: the walk would visit them all and guess at the end.
  if (candidates <= Math.max(ALWAYS_EXACT_BELOW, 2 * counts.k) || exact <= graph) {
    return { path: "exact", cost: exact, otherCost: graph };
  }
  return {
    path: counts.matchCount === undefined ? "graph" : "graph-filtered",
    cost: graph,
    otherCost: exact,
  };
}

/** The most matching rows for which the exact way is chosen, all else being as in `counts`. */
export function mostExact(counts: Omit<VectorCounts, "matchCount">): number {
  let [most, tooMany] = [0, counts.rowCount + 1];
  // Costs grow with the matches on one side and fall on the other: there is one place where they meet.
  while (tooMany - most > 1) {
    const matchCount = Math.floor((most + tooMany) / 2);
    if (chooseVector({ ...counts, matchCount }).path === "exact") most = matchCount;
    else tooMany = matchCount;
  }
  return most;
}

export function distanceCost(dimensions: number): number {
  return Cost.cpuOperator + (Cost.distancePer100Dimensions * dimensions) / 100;
}

export function exactVectorCost(candidates: number, distance: number): number {
  return candidates * (distance + Cost.cpuOperator);
}

/**
 * Visits grow with ef / selectivity: a neighbour that does not pass still has to be looked through. Random access makes a
 * visit dearer than a step of the exact scan.
 */
export function graphCost(
  rowCount: number,
  matchCount: number | undefined,
  ef: number,
  distance: number,
): number {
  if (rowCount === 0) return 0;
  const selectivity = matchCount === undefined ? 1 : Math.max(matchCount, 1) / rowCount;
  const levels = Math.log2(Math.max(rowCount, 2));
  const visits = Math.min(
    rowCount,
    (ef * Cost.graphVisitsPerEf) / Math.max(selectivity, 1e-6) ** 0.5 + levels * 16,
  );
  const tooFew = selectivity < 0.02 ? 0.02 / selectivity : 1;
  return visits * tooFew * (distance * 2 + Cost.cpuOperator);
}

function chooseText(counts: TextCounts): ChosenPath {
  const exhaustive = exhaustiveTextCost(counts.postingCount, counts.documentCount, counts.matchCount);
  const pruned = prunedTextCost(counts.postingCount, counts.documentCount, counts.matchCount, counts.k);
  if (counts.mustBeExact || exhaustive <= pruned)
    return { path: "text-exhaustive", cost: exhaustive, otherCost: pruned };
  return { path: "text-pruned", cost: pruned, otherCost: exhaustive };
}

export function exhaustiveTextCost(postings: number, documents: number, matches: number | undefined): number {
  const share = matches === undefined || documents === 0 ? 1 : Math.min(1, matches / documents);
  return postings * Cost.posting * (0.3 + 0.7 * share);
}

export function prunedTextCost(
  postings: number,
  documents: number,
  matches: number | undefined,
  k: number,
): number {
  const share =
    matches === undefined || documents === 0 ? 1 : Math.max(Math.min(1, matches / documents), 1e-6);
  // The threshold rises slowly when few documents pass, so less can be skipped.
  const scored = Math.min(1, Cost.prunedFraction / share ** 0.5 + k / Math.max(postings, 1));
  return postings * Cost.posting * scored + Math.log2(k + 2) * Cost.cpuOperator * k;
}
