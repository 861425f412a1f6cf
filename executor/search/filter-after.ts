// Filtering after the search: the nearest rows of all are asked for their predicate, nearest first. Where a fair share of
// rows passes, ten of them are among the first few dozen, and neither a bitmap of half the table nor a scan for it is
// needed. Where few of the nearest pass, whatever passes elsewhere, the answer would be unsure: then the bitmap decides.
import type { Ranking } from "./ranking.ts";
import type { SearchFilter, SearchPlan } from "../../planner/physical/plan.ts";
import { DEFAULT_EF } from "../../planner/physical/cost.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { trueRows } from "../expression/truth.ts";
import { LentBuffers } from "../storage/column-buffer.ts";
import { RowFetcher } from "../storage/fetch-rows.ts";
import { indexRanges } from "../storage/index-range.ts";
import type { BranchSearch } from "./branch.ts";

/** A smaller index is not worth two ways. */
const LEAST_ENTRIES = 4096;
/** Fewer rows than this pass through a bitmap in less time than a search takes. */
const LEAST_ROWS = 2048;
/** Of more entries nobody counts how many there are. */
const MOST_COUNTED = 16_384;
/** A predicate worth trying keeps at least one row in this many. */
const LEAST_SHARE = 8;
/** The last row of the answer must be among the first half of the rows found: further out the search is less sure. */
const SURE_SHARE = 2;

/**
 * The `wanted` nearest rows that pass; undefined when another way should be gone. Only for searches by a vector index that
 * need not be exact.
 */
export async function filterAfter(
  plan: SearchPlan,
  search: BranchSearch,
  wanted: number,
  context: ExecutionContext,
): Promise<Ranking | undefined> {
  const { branch, filter, target } = plan;
  if (filter === undefined || branch.kind !== "vector" || branch.index === undefined) return undefined;
  const beam = context.settings.efSearch ?? DEFAULT_EF;
  if (wanted * SURE_SHARE > beam) return undefined;
  const entryCount = context.statistics.indexEntries(branch.index.storageId);
  if (entryCount < LEAST_ENTRIES || !(await isWide(filter, plan, entryCount, context))) return undefined;
  const nearest = await search.top(beam, undefined, false);
  const sure = Math.floor(nearest.rids.length / SURE_SHARE);
  if (sure < wanted) return undefined;
  const { attnums, expression } = filter.whole;
  const fetcher = new RowFetcher({ ...target, attnums, withRid: false }, sure, context);
  try {
    const batch = fetcher.fetch(nearest.rids, 0, sure);
    if (batch === undefined) return undefined;
    const passing = trueRows(await compileExpression(expression)(batch, context), batch.rowCount);
    const count = passing?.length ?? batch.rowCount;
    if (count < wanted) return undefined;
    const rids = Uint32Array.from({ length: wanted }, (_, i) => batch.rids[passing?.[i] ?? i] as number);
    // Rows come in the order asked for, some may be missing: positions only move on.
    let at = 0;
    const values = Float64Array.from(rids, (rid) => {
      while (nearest.rids[at] !== rid) at += 1;
      return nearest.values[at] as number;
    });
    return { rids, values };
  } finally {
    fetcher.close();
  }
}

/** Whether so many rows pass that trying is likely to pay. */
async function isWide(
  filter: SearchFilter,
  { target }: SearchPlan,
  entryCount: number,
  context: ExecutionContext,
): Promise<boolean> {
  const { bitmap } = filter;
  // Without an index the rows that pass can only be found by looking at all.
  if (bitmap === undefined) return true;
  const limit = Math.min(MOST_COUNTED, Math.max(LEAST_ROWS, Math.ceil(entryCount / LEAST_SHARE)));
  if (bitmap.kind !== "index") return filter.selectivity * entryCount >= limit;
  const buffers = new LentBuffers(context.buffers);
  let count = 0;
  for (const range of await indexRanges(
    bitmap.condition,
    bitmap.index,
    target.table,
    false,
    context,
    buffers,
  )) {
    count += context.transaction.indexCount(bitmap.index.storageId, range, limit - count);
    if (count >= limit) break;
  }
  buffers.release();
  return count >= limit;
}
