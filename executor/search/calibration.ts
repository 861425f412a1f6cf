// hnsw.target_recall: how wide a beam one index needs for the recall a user wants.
//
// Measured, not modelled: a sample of the index's own vectors is asked for ten neighbours exactly and by beams of rising
// width. A stored vector is an easier question than a new one, for its node lies in the graph with its neighbours beside
// it, so where rows are floats the question is the point half-way to a neighbour.
//
// Measured at first use and kept by each worker; measured again when the index has grown or shrunk by a fifth. A random
// filter needs no wider beam, because the beam holds rows that pass it; a correlated one is widened by the engine.
import { must } from "../../common/assert.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import { type Engine, type EngineTransaction, SearchMode, SearchStat } from "../../native/engine.ts";
import { packingOf } from "../storage/column-spec.ts";
import { columnType } from "../storage/scan-target.ts";
import { readVector, sampleVectors } from "./sample-vectors.ts";

const NEIGHBOURS = 10;
/** Each width costs half as much again as the one before; the last is pgvector's limit. */
const WIDTHS = [10, 16, 24, 40, 60, 90, 135, 200, 300, 450, 675, 1000] as const;
/** Vectors asked; fewer where the exact answers would take more than this many distances together. */
const SAMPLE = 100;
const SMALLEST_SAMPLE = 24;
const EXACT_DISTANCES = 5_000_000;
/** Share of the index's size after which it is measured again. */
const DRIFT = 0.2;

/** Mean recall@10 by beam width, rising. */
export interface Calibration {
  readonly entryCount: number;
  readonly points: readonly RecallPoint[];
}

export interface RecallPoint {
  readonly ef: number;
  /** Between 0 and 1. */
  readonly recall: number;
  /** Standard error of `recall`. */
  readonly error: number;
}

/** Per engine and storage id of the index. A promise, so that statements which come at once measure once. */
const calibrations = new WeakMap<Engine, Map<number, Promise<Calibration>>>();

/** What an index was measured at, measuring it if need be. */
export async function calibration(
  engine: Engine,
  transaction: EngineTransaction,
  table: TableEntry,
  attnum: number,
  indexId: number,
): Promise<Calibration> {
  const ofEngine = calibrations.get(engine) ?? new Map<number, Promise<Calibration>>();
  calibrations.set(engine, ofEngine);
  const { entryCount } = engine.indexStatistics(indexId);
  const known = await ofEngine.get(indexId);
  if (known !== undefined && Math.abs(entryCount - known.entryCount) <= DRIFT * known.entryCount)
    return known;
  const measuring = measure(transaction, table, attnum, indexId, entryCount);
  ofEngine.set(indexId, measuring);
  // A failure is this statement's; the next one tries anew.
  measuring.catch(() => ofEngine.delete(indexId));
  return measuring;
}

/**
 * The narrowest beam whose recall is `target` within a standard error, between the measured widths by linear
 * interpolation; the widest where none is. `count`: rows wanted; what was measured for ten is scaled to more.
 */
export function beamFor(calibration: Calibration, target: number, count: number): RecallPoint {
  const { points } = calibration;
  const sure = (point: RecallPoint): number => point.recall - point.error;
  const at = points.findIndex((point) => sure(point) >= target);
  const found = at < 0 ? points.at(-1) : points[at];
  const { ef, recall, error } = must(found, "a calibration has points");
  const scale = Math.max(1, count / NEIGHBOURS);
  const below = at > 0 ? points[at - 1] : undefined;
  if (below === undefined) return { ef: Math.ceil(ef * scale), recall, error };
  const part = (target - sure(below)) / (recall - error - sure(below));
  const width = below.ef + part * (ef - below.ef);
  return { ef: Math.ceil(width * scale), recall: below.recall + part * (recall - below.recall), error };
}

async function measure(
  transaction: EngineTransaction,
  table: TableEntry,
  attnum: number,
  indexId: number,
  entryCount: number,
): Promise<Calibration> {
  const packing = must(packingOf(columnType(table, attnum)), "an indexed column");
  const sample = Math.round(
    Math.min(SAMPLE, Math.max(SMALLEST_SAMPLE, EXACT_DISTANCES / Math.max(entryCount, 1))),
  );
  const recalls: number[][] = WIDTHS.map(() => []);
  const nearest = (
    words: Float32Array,
    count: number,
    ef: number,
    mode: number,
  ): [Uint32Array, Float64Array] => {
    const rids = new Uint32Array(count);
    const distances = new Float64Array(count);
    const stats = new Float64Array(SearchStat.size);
    const args = [undefined, 0, mode, 0, rids, distances, stats] as const;
    const found = transaction.vectorSearch(indexId, words, count, ef, ...args);
    return [rids.subarray(0, found), distances.subarray(0, found)];
  };
  // As far from the stored vector as its neighbours are, in a direction in which the data spreads there.
  const moved = (rid: number, words: Float32Array): Float32Array => {
    const [rids] = nearest(words, 3, WIDTHS[4], SearchMode.graph);
    const others = Array.from(rids).filter((found) => found !== rid);
    const [a, b] = others.map((other) => readVector(transaction, table, attnum, other));
    return a === undefined || b === undefined
      ? words
      : words.map((word, i) => word + ((a[i] as number) - (b[i] as number)) * Math.SQRT1_2);
  };
  for await (const { rid, words } of sampleVectors(transaction, table, attnum, sample)) {
    const query = packing.form === "f32" ? moved(rid, words) : words;
    const [, exact] = nearest(query, NEIGHBOURS, NEIGHBOURS, SearchMode.exact);
    const furthest = exact.at(-1);
    if (furthest === undefined) continue;
    for (const [at, ef] of WIDTHS.entries()) {
      const [, found] = nearest(query, NEIGHBOURS, ef, SearchMode.graph);
      // Of several at the same distance any will do.
      const right = found.filter((distance) => distance <= furthest).length;
      must(recalls[at], "a list for each width").push(right / exact.length);
    }
  }
  return { entryCount, points: WIDTHS.map((ef, at) => point(ef, must(recalls[at], "a list"))) };
}

/** Mean and its standard error; an index without vectors is always right. */
function point(ef: number, recalls: readonly number[]): RecallPoint {
  const count = recalls.length;
  if (count === 0) return { ef, recall: 1, error: 0 };
  const recall = recalls.reduce((sum, value) => sum + value, 0) / count;
  const variance = recalls.reduce((sum, value) => sum + (value - recall) ** 2, 0) / count;
  return { ef, recall, error: Math.sqrt(variance / count) };
}
