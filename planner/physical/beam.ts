// How wide the beam of a graph search is when nobody has said (`hnsw.ef_search`, `hnsw.target_recall`). Planner costs, the
// executor and vector_recall() ask here, so that what is planned, run and measured is one search.
//
// A beam that finds .95 of the neighbours of 20,000 vectors finds less of a million's: what it takes grows as a power of
// the nodes. Measured for recall@10 .95 (bench/vector/growth.ts; examples/curve.rs of the graph's crate with the build's defaults):
//
//   generated, 128 d    28 at 16K, 63 at 100K, 134 at 1M: n^.38
//   sentence embeddings, 384 d    45 at 20K      generated, 256 d    30 at 100K      SIFT, 128 d    27 at 19K
//
// The curve below lies half above the hardest of these: .967 of those embeddings, .988 to .993 of the generated sets at
// 100K. Codes of a byte a dimension need the same beam, coarser ones a wider one, because more of what they rank first is not.
import type { IndexEntry } from "../../catalog/entries.ts";

/** A small index is cheap to search, and vectors of high dimension without clusters take that much of one. */
const LEAST = 64;
/** The largest hnsw.ef_search there is. */
const MOST = 1000;
/** Neighbours that any beam holds well inside. */
const FEW = 20;
const FACTOR = 2.1;
const EXPONENT = 0.35;
/**
 * Times as wide, by kind of code. rabitq and pq then find .989 and .985 of the embeddings, .99 and .998 of the SIFT
 * descriptors; bq .977 of the embeddings, and at 128 dimensions .85: it wants many.
 */
const COARSE: Readonly<Record<string, number>> = { rabitq: 2.5, pq: 2.5, bq: 4 };

/** For the `count` nearest by a graph over `entryCount` vectors; whole, and never below `count`. */
export function defaultBeam(index: Pick<IndexEntry, "options">, entryCount: number, count: number): number {
  const codes = index.options.find(([name]) => name === "quantization")?.[1];
  const grown = FACTOR * entryCount ** EXPONENT * (COARSE[codes ?? ""] ?? 1);
  const forFew = Math.min(MOST, Math.max(LEAST, Math.round(grown)));
  // The last of many is found as surely as the last of a few only where the beam goes on beyond it.
  return count <= FEW ? forFew : Math.max(forFew, Math.round(count + forFew / 2));
}
