// Filtering after the search: the nearest rows of all are asked for their predicate, nearest first. Where a fair share of
// rows passes, ten of them are among the first few dozen, and neither a bitmap of half the table nor a scan for it is
// needed. Where few of the nearest pass, whatever passes elsewhere, the answer would be unsure: then the bitmap decides.
import type { Vector } from "../../common/batch/vector.ts";
import type { Ranking } from "./ranking.ts";
import type { ScanTarget, SearchFilter, SearchPlan } from "../../planner/physical/plan.ts";
import { SearchStat } from "../../native/engine.ts";
import { defaultBeam } from "../../planner/physical/beam.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { trueRows } from "../expression/truth.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { LentBuffers } from "../storage/column-buffer.ts";
import { type FetchedBatch, RowFetcher } from "../storage/fetch-rows.ts";
import { indexRanges } from "../storage/index-range.ts";
import { type BranchSearch, THEN_FILTER, type WideRange } from "./branch.ts";

/** A smaller index is not worth two ways. */
const LEAST_ENTRIES = 4096;
/** Fewer rows than this pass through a bitmap in less time than a search takes. */
const LEAST_ROWS = 2048;
/** Of more entries nobody counts how many there are. */
const MOST_COUNTED = 16_384;
/** A predicate worth trying keeps at least one row in this many. */
const LEAST_SHARE = 8;
/** The last row of the answer must be among the first half of the rows a beam found: further out it is less sure. */
const SURE_SHARE = 2;
/** As many rows are looked at as should hold the answer this many times: a share is an average. */
const SPARE = 1.5;
/** The beam is widened for a narrow predicate up to so many times its width. */
const MOST_WIDENED = 4;

/**
 * The `wanted` nearest rows that pass; undefined when another way should be gone. Only for searches by a vector index that
 * need not be exact.
 */
export function filterAfter(
  plan: SearchPlan,
  search: BranchSearch,
  wanted: number,
  context: ExecutionContext,
): MaybePromise<Ranking | undefined> {
  const { filter } = plan;
  const limit = wideFrom(plan, wanted, context);
  if (filter === undefined || limit === Number.POSITIVE_INFINITY) return undefined;
  const asked = askedRows(plan, filter, wanted, context);
  if (asked.sure < wanted) return undefined;
  return chain(isWide(filter, plan, search.matchesAtLeast, limit, context), (wide) => {
    if (!wide) return undefined;
    return chain(search.nearestOfAll(asked.found), (nearest) =>
      chain(passingRows(nearest, asked.sure, filter, plan, wanted, context), (found) => {
        if (found !== undefined) search.stats[SearchStat.path] = THEN_FILTER;
        return found;
      }),
    );
  });
}

/** How a wide range is asked of the nearest rows in the engine; undefined where this is not done there. */
export function wideRange(
  plan: SearchPlan,
  filter: SearchFilter,
  wanted: number,
  context: ExecutionContext,
): WideRange | undefined {
  // A beam that is measured first is search.top's to choose.
  if (context.settings.targetRecall !== undefined) return undefined;
  const from = wideFrom(plan, wanted, context);
  if (from === Number.POSITIVE_INFINITY) return undefined;
  const { found, sure } = askedRows(plan, filter, wanted, context);
  return sure < wanted ? undefined : { from, beam: found, sure };
}

/** The number of passing rows from which on the nearest rows are asked for the predicate; Infinity where they never are. */
function wideFrom(plan: SearchPlan, wanted: number, context: ExecutionContext): number {
  const { branch } = plan;
  if (branch.kind !== "vector" || branch.index === undefined) return Number.POSITIVE_INFINITY;
  if (wanted * SURE_SHARE > usualBeam(plan, wanted, context)) return Number.POSITIVE_INFINITY;
  const entryCount = context.statistics.indexEntries(branch.index.storageId);
  if (entryCount < LEAST_ENTRIES) return Number.POSITIVE_INFINITY;
  return Math.min(MOST_COUNTED, Math.max(LEAST_ROWS, Math.ceil(entryCount / LEAST_SHARE)));
}

function usualBeam(
  { branch }: SearchPlan,
  wanted: number,
  { settings, statistics }: ExecutionContext,
): number {
  if (settings.efSearch !== undefined) return settings.efSearch;
  if (branch.kind !== "vector" || branch.index === undefined) return 0;
  return defaultBeam(branch.index, statistics.indexEntries(branch.index.storageId), wanted);
}

/** The nearest rows of all that a search gives, and how many of them, the nearest, are asked for the predicate. */
interface AskedRows {
  readonly found: number;
  readonly sure: number;
}

/** A search that misses by a few rows is paid twice; one that looks somewhat further costs little. */
function askedRows(
  plan: SearchPlan,
  filter: SearchFilter,
  wanted: number,
  context: ExecutionContext,
): AskedRows {
  const holding = (wanted * SPARE) / Math.max(filter.selectivity, 1 / LEAST_SHARE);
  // A recall that is aimed at is that of all the rows the search gives.
  if (context.settings.targetRecall !== undefined) {
    const asked = Math.ceil(holding);
    return { found: asked, sure: asked };
  }
  const beam = usualBeam(plan, wanted, context);
  const found = Math.round(Math.min(Math.max(beam, holding * SURE_SHARE), beam * MOST_WIDENED));
  return { found, sure: Math.floor(found / SURE_SHARE) };
}

/** The `wanted` first of the `sure` nearest rows that pass; undefined where there are fewer. */
function passingRows(
  nearest: Ranking,
  sure: number,
  filter: SearchFilter,
  { target }: SearchPlan,
  wanted: number,
  context: ExecutionContext,
): MaybePromise<Ranking | undefined> {
  const count = Math.min(sure, nearest.rids.length);
  if (count < wanted) return undefined;
  const fetcher = new RowFetcher(wholeTarget(filter, target), count, context);
  const batch = fetcher.fetch(nearest.rids, 0, count);
  if (batch === undefined) {
    fetcher.close();
    return undefined;
  }
  const tested = compileExpression(filter.whole.expression)(batch, context);
  const close = (): void => fetcher.close();
  if (tested instanceof Promise)
    return tested.then((passes) => firstPassing(nearest, batch, passes, wanted)).finally(close);
  const found = firstPassing(nearest, batch, tested, wanted);
  close();
  return found;
}

function firstPassing(
  nearest: Ranking,
  batch: FetchedBatch,
  passes: Vector,
  wanted: number,
): Ranking | undefined {
  const passing = trueRows(passes, batch.rowCount);
  const count = passing?.length ?? batch.rowCount;
  if (count < wanted) return undefined;
  const rids = new Uint32Array(wanted);
  const values = new Float64Array(wanted);
  // Rows come in the order asked for, some may be missing: positions only move on.
  let at = 0;
  for (let i = 0; i < wanted; i++) {
    const rid = batch.rids[passing?.[i] ?? i] as number;
    while (nearest.rids[at] !== rid) at += 1;
    rids[i] = rid;
    values[i] = nearest.values[at] as number;
  }
  return { rids, values };
}

const wholeTargets = new WeakMap<SearchFilter, ScanTarget>();

/** The columns of the whole predicate. */
function wholeTarget(filter: SearchFilter, target: ScanTarget): ScanTarget {
  let whole = wholeTargets.get(filter);
  if (whole === undefined) {
    whole = { ...target, attnums: filter.whole.attnums, withRid: false };
    wholeTargets.set(filter, whole);
  }
  return whole;
}

/** Whether `limit` rows or more pass; at least `known` do. */
function isWide(
  filter: SearchFilter,
  { branch, target }: SearchPlan,
  known: number,
  limit: number,
  context: ExecutionContext,
): MaybePromise<boolean> {
  const { bitmap } = filter;
  // Without an index the rows that pass can only be found by looking at all.
  if (bitmap === undefined) return true;
  if (known >= limit) return true;
  if (bitmap.kind !== "index") {
    const index = branch.kind === "vector" ? branch.index : undefined;
    return (
      index !== undefined && filter.selectivity * context.statistics.indexEntries(index.storageId) >= limit
    );
  }
  const { condition, index } = bitmap;
  const bounds = new LentBuffers(context.buffers);
  return chain(indexRanges(condition, index, target.table, false, context, bounds), (ranges) => {
    let count = 0;
    for (const range of ranges) {
      count += context.transaction.indexCount(index.storageId, range, limit - count);
      if (count >= limit) break;
    }
    bounds.release();
    return count >= limit;
  });
}
